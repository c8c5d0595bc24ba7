-- Federation: who hears of what is said, which deliveries are this process's, and what became of them.

-- The server an address belongs to, as lanes, limits and blocks know it: host[:port] in lower case, none for what is no address.
create or replace function hub.host_of(address text) returns text
language sql immutable parallel safe set search_path = pg_catalog as $$
    select case
        when authority like '%@%' then null
        when scheme = 'https' then regexp_replace(authority, ':443$', '')
        else regexp_replace(authority, ':80$', '')
    end
    from (select lower(m[1]) as scheme, lower(m[2]) as authority
          from regexp_match(address, '^(https?)://([^/?#]+)', 'i') m) parts
$$;

-- Keep what a local actor says, and for whom: one delivery per inbox. Gives the number of deliveries.
create or replace function hub.publish_activity(new_id uuid, new_uri text, speaker uuid, new_type text, about text, new_body text,
    recipients text[], also text[], for_public boolean, for_named_only boolean, new_lane text, signed_by uuid) returns bigint
language plpgsql set search_path = pg_catalog, hub, public set plan_cache_mode = force_generic_plan as $$
declare
    number bigint;
begin
    -- To plan this takes longer than to do it: the plan is kept.
    with named as (
        select a.id, a.inbox_url, a.shared_inbox_url from ap_actors a
        where a.uri = any (recipients || also) and a.kind is null and a.suspended_at is null and a.deleted_at is null
          and (new_type in ('Block', 'Undo', 'Reject', 'Delete') or a.id not in (select hub.blocked_with(speaker)))
        union
        select a.id, a.inbox_url, a.shared_inbox_url
        from follows f join ap_actors a on a.id = f.actor_id
        where f.local_actor_id = speaker and f.direction = 'in' and f.state = 'accepted'
          and a.kind is null and a.suspended_at is null and a.deleted_at is null
          and exists (select from ap_actors s where s.id = speaker and s.followers_url = any (recipients))
    ), inboxes as (
        select distinct case when for_named_only then inbox_url else coalesce(shared_inbox_url, inbox_url) end as inbox from named
    ), hosts as (
        select h.host from (select distinct hub.host_of(inbox) as host from inboxes where inbox is not null) h
        where h.host is not null and coalesce((hub.host_policy(h.host)).policy, '') <> 'block'
    ), goes as (
        select i.inbox, h.host, g.look_again_at
        from inboxes i join hosts h on h.host = hub.host_of(i.inbox) left join ap_inboxes g on g.inbox_url = i.inbox
        where g.gone_at is null
    ), said as (
        insert into ap_activities (id, uri, actor_id, type, object_uri, body, is_public, is_private, key_id, hosts)
        values (new_id, new_uri, speaker, new_type, about, new_body, for_public, for_named_only, signed_by,
            coalesce((select array_agg(host order by host) from hosts), '{}'))
        returning id, seq
    ), put as (
        insert into ap_deliveries (activity_id, seq, host, inbox_url, lane, next_at)
        select said.id, said.seq, goes.host, goes.inbox, new_lane, greatest(now(), goes.look_again_at) from said, goes
        returning 1
    )
    select count(*) into number from put;
    if number > 0 then
        perform pg_notify('hub_deliveries', '');
    end if;
    return number;
end
$$;

-- Take hosts that have something due and are nobody's, and what is due there. A host is its holder's until the lease ends.
-- Of each delivery also the one before it in its lane that is still waiting, if it is not among those held.
create or replace function hub.claim_deliveries(who text, lasts interval, held uuid[], full_hosts text[], most int, per_host int)
returns table (id uuid, activity_id uuid, actor_id uuid, key_id uuid, host text, inbox_url text, lane text, seq bigint, attempts int,
    is_late boolean, behind uuid, scheme text, failures int, lease_left float8)
language plpgsql set search_path = pg_catalog, hub, public as $$
#variable_conflict use_column
declare
    mine text[];
begin
    with recursive waiting (host) as (
        (select d.host from ap_deliveries d where d.state = 'waiting' order by d.host limit 1)
        union all
        select (select d.host from ap_deliveries d where d.state = 'waiting' and d.host > w.host order by d.host limit 1)
        from waiting w where w.host is not null
    ), due as (
        select w.host, h.leased_by = who and h.leased_until > now() + lasts / 2 as is_held
        from waiting w left join ap_hosts h on h.host = w.host
        where w.host is not null and w.host <> all (full_hosts)
          and (h.leased_by is null or h.leased_by = who or h.leased_until < now())
          and (h.retry_at is null or h.retry_at <= now())
          and exists (select from ap_deliveries d where d.host = w.host and d.state = 'waiting' and d.next_at <= now())
        order by random() limit most
    ), leased as (
        insert into ap_hosts as h (host, leased_by, leased_until)
        select due.host, who, now() + lasts from due where due.is_held is not true order by due.host
        on conflict (host) do update set leased_by = excluded.leased_by, leased_until = excluded.leased_until
        where (h.leased_by is null or h.leased_by = who or h.leased_until < now()) and (h.retry_at is null or h.retry_at <= now())
        returning h.host
    )
    select array_agg(all_mine.host) into mine
    from (select leased.host from leased union all select due.host from due where due.is_held) all_mine;

    return query
    select d.id, d.activity_id, a.actor_id, a.key_id, d.host, d.inbox_url, d.lane, d.seq, d.attempts,
        d.created_at < now() - interval '14 days' and d.last_status is distinct from 401, b.id, h.sig_scheme, h.failures,
        extract(epoch from h.leased_until - now())::float8
    from unnest(mine) m (host)
    join ap_hosts h on h.host = m.host
    cross join lateral (
        select w.* from ap_deliveries w
        where w.host = m.host and w.state = 'waiting' and w.next_at <= now() and w.id <> all (held)
        order by w.next_at, w.seq limit per_host
    ) d
    join ap_activities a on a.id = d.activity_id
    left join lateral (
        select e.id from ap_deliveries e
        where e.host = d.host and e.lane = d.lane and e.seq < d.seq and e.state = 'waiting'
          and (e.inbox_url = d.inbox_url or coalesce(e.last_status, 0) not in (404, 410))
        order by e.seq desc limit 1
    ) b on true
    order by d.host, d.next_at, d.seq;
end
$$;

-- What waits for another of its lane is not due before that one, and where a wrong clock keeps that one, neither is given up.
create or replace function hub.postpone_deliveries(ids uuid[]) returns bigint
language sql volatile set search_path = pg_catalog, hub, public as $$
    with put as (
        update ap_deliveries d set next_at = greatest(d.next_at, b.next_at + interval '1 millisecond'),
            last_status = case when b.is_skewed then 401 else d.last_status end,
            last_error = case when b.is_skewed then 'clock_skew: waits for another' else d.last_error end
        from unnest(ids) t (id) join ap_deliveries l on l.id = t.id
        cross join lateral (
            select max(e.next_at) as next_at, bool_or(e.last_status = 401) as is_skewed from ap_deliveries e
            where e.host = l.host and e.lane = l.lane and e.seq < l.seq and e.state = 'waiting'
        ) b
        where d.id = l.id and d.state = 'waiting' and b.next_at is not null
        returning 1
    )
    select count(*) from put
$$;

-- An inbox said that it is gone (410) or not there (404); three refusals over three days mean gone too. What waits for it is
-- dropped but for one delivery, which looks again after a day. If it is still gone then, so are those who follow from there.
create or replace function hub.refused_inbox(address text, refused uuid[], is_gone boolean) returns void
language plpgsql set search_path = pg_catalog, hub, public as $$
declare
    known ap_inboxes;
    probe constant uuid := (select min(r::text)::uuid from unnest(refused) r);
begin
    select * into known from ap_inboxes i where i.inbox_url = address for update;
    if known.gone_at is not null and known.look_again_at > now() then
        -- Said or sent while the first answer was on its way; the look again is still to come.
        update ap_deliveries d set state = 'dropped', ended_at = now() where d.id = any (refused);
        return;
    end if;
    if known.gone_at is not null then
        update ap_deliveries d set state = case when d.id = probe then 'dead' else 'dropped' end, ended_at = now()
        where d.inbox_url = address and d.state = 'waiting';
        delete from follows f using ap_actors a
        where a.id = f.actor_id and f.direction = 'in' and a.kind is null
          and (a.inbox_url = address or a.shared_inbox_url = address);
        delete from ap_inboxes i where i.inbox_url = address;
        return;
    end if;
    if not is_gone and known.look_again_at > now() then
        return;
    end if;
    if is_gone or known.refusals >= 2 then
        insert into ap_inboxes as i (inbox_url, refusals, refused_since, gone_at, look_again_at)
        values (address, 1, now(), now(), now() + interval '24 hours')
        on conflict (inbox_url) do update set refusals = i.refusals + 1, gone_at = now(), look_again_at = now() + interval '24 hours';
        update ap_deliveries d set state = 'dropped', ended_at = now(), last_error = coalesce(d.last_error, 'the inbox is gone')
        where d.inbox_url = address and d.state = 'waiting' and d.id <> probe;
        update ap_deliveries d set next_at = now() + interval '24 hours' where d.id = probe;
    else
        insert into ap_inboxes as i (inbox_url, refusals, refused_since, look_again_at)
        values (address, 1, now(), now() + interval '36 hours')
        on conflict (inbox_url) do update set refusals = i.refusals + 1, look_again_at = now() + interval '36 hours';
        update ap_deliveries d set next_at = greatest(d.next_at, now() + interval '36 hours')
        where d.inbox_url = address and d.state = 'waiting';
    end if;
end
$$;

-- Whoever asks to follow is there, whatever was heard of its inbox.
create or replace function hub.inbox_is_back() returns trigger
language plpgsql set search_path = pg_catalog, hub, public as $$
begin
    delete from ap_inboxes i using ap_actors a
    where a.id = new.actor_id and i.inbox_url in (a.inbox_url, a.shared_inbox_url);
    return new;
end
$$;
drop trigger if exists follows_inbox_is_back on public.follows;
create trigger follows_inbox_is_back after insert on public.follows
    for each row when (new.direction = 'in') execute function hub.inbox_is_back();

-- Write down what became of deliveries, and what that says of their hosts. Only the holder of a host is believed.
-- told: [{id, word, wait, status, error}] with word done | again | later | dead | dropped | gone | refused;
-- later leaves its time alone because the host as a whole waits. health: [{host, word, wait, weight, scheme}] with word
-- same | up | down, one for each host that is told of. Gives the hosts that were still the holder's.
create or replace function hub.settle_deliveries(who text, told jsonb, health jsonb) returns setof text
language plpgsql set search_path = pg_catalog, hub, public as $$
#variable_conflict use_column
declare
    mine text[];
    refused uuid[];
begin
    select array_agg(h.host) into mine
    from jsonb_to_recordset(health) n (host text) join ap_hosts h on h.host = n.host
    where h.leased_by = who;

    update ap_hosts h set
        failures = case n.word when 'up' then 0 when 'down' then h.failures + n.weight else h.failures end,
        unavailable_since = case n.word when 'up' then null when 'down' then coalesce(h.unavailable_since, now())
            else h.unavailable_since end,
        last_ok_at = case n.word when 'up' then now() else h.last_ok_at end,
        is_paused = case n.word when 'up' then false
            when 'down' then coalesce(h.unavailable_since < now() - interval '7 days', false) else h.is_paused end,
        retry_at = case n.word when 'up' then null when 'down' then now() + interval '1 second'
            * case when h.unavailable_since < now() - interval '7 days' then greatest(n.wait, 86400) else n.wait end
            else h.retry_at end,
        sig_scheme = coalesce(n.scheme, h.sig_scheme),
        learned_at = case when n.scheme is null then h.learned_at else now() end
    from jsonb_to_recordset(health) n (host text, word text, wait float8, weight int, scheme text)
    where h.host = n.host and h.host = any (mine)
      and (n.word = 'down' or n.scheme is not null and n.scheme <> h.sig_scheme
        or n.word = 'up' and (h.failures > 0 or h.retry_at is not null or h.unavailable_since is not null
            or h.last_ok_at is null or h.last_ok_at < now() - interval '1 minute'));

    with t as (
        select * from jsonb_to_recordset(told) t (id uuid, word text, wait float8, status int, error text)
    ), settled as (
        update ap_deliveries d set
            state = case when t.word in ('done', 'dead', 'dropped') then t.word else 'waiting' end,
            ended_at = case when t.word in ('done', 'dead', 'dropped') then now() end,
            attempts = d.attempts + 1,
            next_at = case when t.word in ('again', 'refused', 'gone') then now() + t.wait * interval '1 second' else d.next_at end,
            last_status = t.status, last_error = t.error
        from t where d.id = t.id and d.state = 'waiting' and d.host = any (mine)
        returning d.id, d.host, d.lane, d.seq, d.inbox_url, d.next_at, t.word, d.last_status = 401 as is_skewed
    ), put_off as (
        update ap_deliveries d set next_at = greatest(d.next_at, s.next_at + interval '1 millisecond'),
            last_status = case when s.is_skewed then 401 else d.last_status end,
            last_error = case when s.is_skewed then 'clock_skew: waits for another' else d.last_error end
        from settled s
        where s.word = 'again' and d.state = 'waiting' and d.host = s.host and d.lane = s.lane and d.seq > s.seq
    ), back as (
        delete from ap_inboxes i using settled s where s.word = 'done' and i.inbox_url = s.inbox_url
    )
    select array_agg(s.id) into refused from settled s where s.word in ('gone', 'refused');
    if refused is not null then
        perform hub.refused_inbox(d.inbox_url, array_agg(d.id), bool_or(d.last_status = 410))
        from ap_deliveries d where d.id = any (refused) group by d.inbox_url;
    end if;

    return query select unnest(mine);
end
$$;

-- Give up what waits for longer than it may, and forget what ended a week ago and what was said a quarter of a year ago.
-- Gives how many rows that were, at most some ten thousand at once. A wrong clock (401 still waiting) gives nothing up (R1).
create or replace function hub.prune_deliveries() returns bigint
language sql volatile set search_path = pg_catalog, hub, public as $$
    with late as (
        update ap_deliveries d set state = 'dead', ended_at = now(),
            last_error = 'not delivered within 14 days' || coalesce(': ' || d.last_error, '')
        from (select l.id from ap_deliveries l
              where l.state = 'waiting' and l.created_at < now() - interval '14 days' and l.last_status is distinct from 401
              limit 10000) l
        where d.id = l.id
        returning 1
    ), ended as (
        delete from ap_deliveries d using (select e.id from ap_deliveries e
            where e.state in ('done', 'dead', 'dropped') and e.ended_at < now() - interval '7 days' limit 10000) e
        where d.id = e.id
        returning 1
    ), old as (
        delete from ap_activities a using (select o.id from ap_activities o
            where o.created_at < now() - interval '90 days'
              and not exists (select from ap_deliveries d where d.activity_id = o.id) limit 10000) o
        where a.id = o.id
        returning 1
    )
    select (select count(*) from late) + (select count(*) from ended) + (select count(*) from old)
$$;
