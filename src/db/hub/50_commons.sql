-- Commons: the states of declarations and exchanges, and who the parties of an exchange are.

-- Declarations of other hubs follow what their hub says.
drop trigger if exists declarations_step on public.declarations;
create trigger declarations_step before insert or update of status on public.declarations
    for each row when (new.owner_id is not null)
    execute function hub.step_state('status',
        '{"active": ["matched", "fulfilled", "withdrawn", "expired"],
          "matched": ["active", "fulfilled", "withdrawn", "expired"],
          "expired": ["active", "withdrawn"],
          "fulfilled": [], "withdrawn": []}', '{active}');

-- An exchange pairs an offer with a need. The parties are who declared them, or who owns the listing; the remaining one is
-- who proposes it.
create or replace function hub.exchanges_settle() returns trigger
language plpgsql as $$
declare
    offered record;
    needed record;
    giver_away boolean := false;
    taker_away boolean := false;
    broken text;
begin
    if tg_op = 'INSERT' then
        if new.offer_decl_id is not null then
            select d.owner_id, d.origin_actor_id, d.decl_type into offered from public.declarations d where d.id = new.offer_decl_id;
            if found and offered.decl_type = 'need' then
                broken := 'exchanges_offer_decl_id_offers';
            end if;
        elsif new.listing_id is not null then
            select l.owner_id, l.origin_actor_id into offered from public.listings l where l.id = new.listing_id;
        end if;
        if new.need_decl_id is not null then
            select d.owner_id, d.origin_actor_id, d.decl_type into needed from public.declarations d where d.id = new.need_decl_id;
            if found and needed.decl_type <> 'need' then
                broken := coalesce(broken, 'exchanges_need_decl_id_needs');
            end if;
        end if;
        -- What the caller cannot see is left to the link checks.
        if new.offer_decl_id is not null or new.listing_id is not null then
            giver_away := offered.origin_actor_id is not null;
            new.offer_user_id := coalesce(new.offer_user_id, offered.owner_id);
            if offered.owner_id <> new.offer_user_id or (giver_away and new.offer_user_id is not null) then
                broken := coalesce(broken, 'exchanges_offer_user_id_declared');
            end if;
            if giver_away then
                new.counterparty_actor_id := coalesce(new.counterparty_actor_id, offered.origin_actor_id);
            end if;
        end if;
        if new.need_decl_id is not null then
            taker_away := needed.origin_actor_id is not null;
            new.need_user_id := coalesce(new.need_user_id, needed.owner_id);
            if needed.owner_id <> new.need_user_id or (taker_away and new.need_user_id is not null) then
                broken := coalesce(broken, 'exchanges_need_user_id_declared');
            end if;
            if taker_away then
                new.counterparty_actor_id := coalesce(new.counterparty_actor_id, needed.origin_actor_id);
            end if;
        end if;
        if new.offer_user_id is null and not giver_away and new.need_user_id is distinct from new.owner_id then
            new.offer_user_id := new.owner_id;
        elsif new.need_user_id is null and not taker_away and new.offer_user_id is distinct from new.owner_id then
            new.need_user_id := new.owner_id;
        end if;
        if broken is not null then
            raise exception using errcode = '23514', schema = 'public', table = 'exchanges', constraint = broken,
                message = format('new row for relation "exchanges" violates check constraint "%s"', broken),
                detail = 'An exchange pairs an offer with a need, and its parties are who declared them.';
        end if;
    end if;
    new.completed_at := case when new.status = 'completed' then coalesce(new.completed_at, now()) end;
    return new;
end
$$;
drop trigger if exists accept_parties on public.exchanges;
create trigger accept_parties before insert or update on public.exchanges
    for each row execute function hub.exchanges_settle();
drop trigger if exists exchanges_keep on public.exchanges;
create trigger exchanges_keep before update on public.exchanges
    for each row execute function hub.keep_columns('owner_id', 'offer_user_id', 'need_user_id', 'offer_decl_id', 'need_decl_id', 'listing_id', 'exchange_type');
-- What both sides say may arrive in any order, so a cancelled one can still turn out otherwise; a completed one cannot. An
-- acceptance that was under way binds even who has withdrawn meanwhile.
drop trigger if exists exchanges_step on public.exchanges;
create trigger exchanges_step before insert or update of status on public.exchanges
    for each row execute function hub.step_state('status',
        '{"proposed": ["accepted", "rejected", "withdrawn", "expired"],
          "accepted": ["in_progress", "completed", "cancelled", "disputed"],
          "in_progress": ["completed", "cancelled", "disputed"],
          "disputed": ["in_progress", "completed", "cancelled"],
          "cancelled": ["in_progress", "completed", "disputed"],
          "withdrawn": ["accepted"], "expired": ["accepted", "withdrawn"],
          "completed": [], "rejected": []}', '{proposed}');
