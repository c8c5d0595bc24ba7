-- Who follows a seller reads what is for followers alone: the hub looks up whom somebody follows, since actors are not everybody's
-- to read.

select hub.change_kind('listings', jsonb_build_object('also_read_when',
    $$visibility = 'followers' and status in ('active', 'reserved', 'sold') and hidden_at is null and (
        hub.follows_seller(owner_id, author_actor_id, origin_actor_id)
        or (auth.app_role() = 'remote' and owner_id is not null and hub.remote_follows(owner_id, author_actor_id)))$$));

-- How often a listing was liked and passed on.
alter table listings
    add column likes_count integer not null default 0 constraint listings_likes_count_fits check (likes_count >= 0),
    add column announces_count integer not null default 0 constraint listings_announces_count_fits check (announces_count >= 0);
update hub.kinds set read_only = read_only || '{likes_count,announces_count}', quiet = quiet || '{likes_count,announces_count}'
where name = 'listings';
