-- Listings: their states. Those of other hubs follow what their hub says.
drop trigger if exists listings_step on public.listings;
create trigger listings_step before insert or update of status on public.listings
    for each row when (new.owner_id is not null)
    execute function hub.step_state('status',
        '{"draft": ["active", "withdrawn"],
          "active": ["paused", "reserved", "sold", "expired", "withdrawn"],
          "paused": ["active", "sold", "expired", "withdrawn"],
          "reserved": ["active", "sold", "expired", "withdrawn"],
          "expired": ["active", "withdrawn"],
          "sold": [], "withdrawn": []}', '{draft,active}');
