-- The books: accounts are opened when they are first needed, promises are held against them, and a booking happens once.
-- What one of ours owes is bounded by his limit; what actors of another hub owe together, by the line with that hub.

-- The account of a holder. Its limit follows what its community or the hub says now, unless that is exceeded already.
create or replace function hub.ledger_account(of_kind text, holder uuid, of_unit text, community uuid, hub_limit numeric)
returns uuid
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    allowed numeric;
    it record;
    made uuid;
begin
    allowed := case
        when of_kind = 'actor' then null
        when of_kind = 'user' and of_unit = 'TIME' then coalesce((select d.time_credit_limit from daos d where d.id = community), hub_limit)
        else 0 end;
    -- Twice: who made it at the same time as this is found afterwards.
    for n in 1..2 loop
        select a.id, a.credit_limit into it from ledger_accounts a
        where (a.owner_id = case when of_kind = 'user' then holder end or a.dao_id = case when of_kind = 'dao' then holder end
                or a.actor_id = case when of_kind = 'actor' then holder end)
            and a.unit = of_unit and a.community_dao_id is not distinct from community;
        exit when found;
        insert into ledger_accounts (owner_id, dao_id, actor_id, community_dao_id, unit, credit_limit)
        values (case when of_kind = 'user' then holder end, case when of_kind = 'dao' then holder end,
            case when of_kind = 'actor' then holder end, community, of_unit, allowed)
        on conflict (owner_id, dao_id, actor_id, peer_host, community_dao_id, unit)
            where num_nonnulls(owner_id, dao_id, actor_id, peer_host) = 1 do nothing
        returning id into made;
        if made is not null then
            return made;
        end if;
    end loop;
    if it.credit_limit is distinct from allowed then
        update ledger_accounts a set credit_limit = allowed
        where a.id = it.id and a.credit_limit is distinct from allowed
            and (allowed is null or a.balance - a.reserved >= -allowed);
    end if;
    return it.id;
end
$$;

-- The line with a hub: what its actors have and owe here, taken together.
create or replace function hub.ledger_line(of_actor uuid, of_unit text, peer_limit numeric) returns uuid
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    of_host constant text := (select a.host from ap_actors a where a.id = of_actor);
    it record;
    made uuid;
begin
    for n in 1..2 loop
        select a.id, a.credit_limit into it from ledger_accounts a
        where num_nonnulls(a.owner_id, a.dao_id, a.actor_id, a.peer_host) = 1 and a.owner_id is null and a.dao_id is null and a.actor_id is null
            and a.peer_host = of_host and a.unit = of_unit and a.community_dao_id is null;
        exit when found;
        insert into ledger_accounts (peer_host, unit, credit_limit) values (of_host, of_unit, peer_limit)
        on conflict (owner_id, dao_id, actor_id, peer_host, community_dao_id, unit)
            where num_nonnulls(owner_id, dao_id, actor_id, peer_host) = 1 do nothing
        returning id into made;
        if made is not null then
            return made;
        end if;
    end loop;
    if it.credit_limit is distinct from peer_limit then
        update ledger_accounts a set credit_limit = peer_limit
        where a.id = it.id and a.credit_limit is distinct from peer_limit and a.balance - a.reserved >= -peer_limit;
    end if;
    return it.id;
end
$$;

-- Whether so much more may be owed by an actor's hub.
create or replace function hub.ledger_may_owe(of_actor uuid, of_unit text, owed numeric, peer_limit numeric) returns boolean
language sql stable set search_path = pg_catalog, public, hub as $$
    select coalesce((select a.balance - a.reserved - owed >= -peer_limit from ledger_accounts a join ap_actors p on p.host = a.peer_host
        where p.id = of_actor and a.unit = of_unit and a.community_dao_id is null), owed <= peer_limit)
$$;

-- Hold a promise against the payer's account: held, already or over_limit.
create or replace function hub.ledger_reserve(of_key text, of_kind text, holder uuid, of_unit text, community uuid, promised numeric,
    hub_limit numeric, peer_limit numeric)
returns text
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    account uuid;
    line uuid;
begin
    account := hub.ledger_account(of_kind, holder, of_unit, community, hub_limit);
    -- The promise first: of two who make the same at once the other waits here and finds it made.
    insert into hub.ledger_holds (key, account_id, amount) values (of_key, account, promised) on conflict (key) do nothing;
    if not found then
        return 'already';
    end if;
    -- Accounts before lines, everywhere: two that wait for each other would wait for ever.
    update ledger_accounts a set reserved = a.reserved + promised
    where a.id = account and a.closed_at is null and (a.credit_limit is null or a.balance - a.reserved - promised >= -a.credit_limit);
    if not found then
        delete from hub.ledger_holds h where h.key = of_key;
        return 'over_limit';
    end if;
    if of_kind = 'actor' then
        line := hub.ledger_line(holder, of_unit, peer_limit);
        update ledger_accounts a set reserved = a.reserved + promised
        where a.id = line and a.balance - a.reserved - promised >= -a.credit_limit;
        if not found then
            update ledger_accounts a set reserved = a.reserved - promised where a.id = account;
            delete from hub.ledger_holds h where h.key = of_key;
            return 'over_limit';
        end if;
    end if;
    return 'held';
end
$$;

-- A promise is void, or kept by the booking that follows.
create or replace function hub.ledger_release(of_key text) returns boolean
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    held record;
begin
    delete from hub.ledger_holds h where h.key = of_key returning h.account_id, h.amount into held;
    if not found then
        return false;
    end if;
    update ledger_accounts a set reserved = a.reserved - held.amount where a.id = held.account_id;
    update ledger_accounts l set reserved = l.reserved - held.amount
    from ledger_accounts a join ap_actors p on p.id = a.actor_id
    where a.id = held.account_id and l.peer_host = p.host and l.unit = a.unit and l.community_dao_id is null;
    return true;
end
$$;

-- Book what one owes the other for an agreement, once; false when it was booked already.
create or replace function hub.ledger_transfer(from_kind text, from_holder uuid, to_kind text, to_holder uuid, of_unit text,
    community uuid, moved numeric, of_agreement text, of_memo text, of_exchange uuid, of_key text, hub_limit numeric, peer_limit numeric)
returns boolean
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    giver constant uuid := hub.ledger_account(from_kind, from_holder, of_unit, community, hub_limit);
    taker constant uuid := hub.ledger_account(to_kind, to_holder, of_unit, community, hub_limit);
    transfer constant uuid := hub.uuid_v7();
begin
    -- An agreement is booked once, whoever its parties are said to be.
    perform pg_advisory_xact_lock(hashtextextended('ledger ' || of_agreement, 41));
    perform from ledger_accounts a where a.id in (giver, taker) order by a.id for update;
    if exists (select from ledger_entries e where e.agreement = of_agreement) then
        return false;
    end if;
    perform hub.ledger_line(holder, of_unit, peer_limit)
    from (values (from_kind, from_holder), (to_kind, to_holder)) as of (kind, holder) where of.kind = 'actor';
    perform hub.ledger_release(of_key);
    insert into ledger_entries (account_id, transfer_id, amount, agreement, memo, exchange_id)
    values (giver, transfer, -moved, of_agreement, of_memo, of_exchange), (taker, transfer, moved, of_agreement, of_memo, of_exchange);
    -- Whether it balances is asked here: at the end of the transaction whoever asked may not see the other's entry.
    set constraints public.ledger_entries_balance immediate;
    set constraints public.ledger_entries_balance deferred;
    return true;
end
$$;

-- Bring credits into being, or out of it: the other side is an account of nobody.
create or replace function hub.ledger_issue(to_kind text, to_holder uuid, of_unit text, issued numeric, of_agreement text, of_memo text)
returns boolean
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    taker constant uuid := hub.ledger_account(to_kind, to_holder, of_unit, null, 0);
    source uuid;
    transfer constant uuid := hub.uuid_v7();
begin
    perform pg_advisory_xact_lock(hashtextextended('ledger_issue' || of_unit, 41));
    if exists (select from ledger_entries e where e.agreement = of_agreement and e.account_id = taker) then
        return false;
    end if;
    select a.id into source from ledger_accounts a
    where num_nonnulls(a.owner_id, a.dao_id, a.actor_id, a.peer_host) = 0 and a.unit = of_unit and a.credit_limit is null and a.closed_at is null
    order by a.id limit 1;
    if source is null then
        insert into ledger_accounts (unit, credit_limit) values (of_unit, null) returning id into source;
    end if;
    insert into ledger_entries (account_id, transfer_id, amount, agreement, memo)
    values (source, transfer, -issued, of_agreement, of_memo), (taker, transfer, issued, of_agreement, of_memo);
    return true;
end
$$;

-- A booking moves the balance of its account, of the line with the holder's hub, and of a treasury.
create or replace function hub.ledger_book() returns trigger
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    booked record;
begin
    update ledger_accounts a set balance = a.balance + new.amount where a.id = new.account_id
    returning a.actor_id, a.dao_id, a.unit, a.balance, a.community_dao_id into booked;
    if booked.actor_id is not null then
        update ledger_accounts l set balance = l.balance + new.amount
        from ap_actors p where p.id = booked.actor_id and num_nonnulls(l.owner_id, l.dao_id, l.actor_id, l.peer_host) = 1
            and l.owner_id is null and l.dao_id is null and l.actor_id is null and l.peer_host = p.host and l.unit = booked.unit
            and l.community_dao_id is null;
    elsif booked.dao_id is not null and booked.unit = 'CREDIT' and booked.community_dao_id is null then
        update daos d set treasury_credits = booked.balance where d.id = booked.dao_id;
    end if;
    return null;
end
$$;

drop trigger if exists ledger_entries_book on public.ledger_entries;
create trigger ledger_entries_book after insert on public.ledger_entries
    for each row execute function hub.ledger_book();

create or replace function hub.ledger_balance() returns trigger
language plpgsql as $$
declare
    total numeric;
    units bigint;
begin
    select sum(e.amount), count(distinct a.unit) into total, units
    from public.ledger_entries e join public.ledger_accounts a on a.id = e.account_id
    where e.transfer_id = new.transfer_id;
    if total <> 0 or units > 1 then
        raise exception using errcode = '23514', schema = 'public', table = 'ledger_entries', constraint = 'ledger_entries_balances',
            message = 'new row for relation "ledger_entries" violates check constraint "ledger_entries_balances"',
            detail = 'The entries of a transfer have one unit and add up to nothing.';
    end if;
    return null;
end
$$;
drop trigger if exists ledger_entries_balance on public.ledger_entries;
create constraint trigger ledger_entries_balance after insert on public.ledger_entries
    deferrable initially deferred for each row execute function hub.ledger_balance();

-- A treasury says what its account holds, and is opened with nothing.
create or replace function hub.treasury_of(of_dao uuid) returns numeric
language sql stable set search_path = pg_catalog, public, hub as $$
    select coalesce((select a.balance from ledger_accounts a
        where a.dao_id = of_dao and a.unit = 'CREDIT' and a.community_dao_id is null), 0)
$$;
