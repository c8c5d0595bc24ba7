-- The changes feed: what a hub that was away is told, and who is a hub.

-- Whether a document is that of a server's own actor which keeps the hub's contract (rule 10).
create or replace function hub.implements_contract(document jsonb) returns boolean
language sql immutable set search_path = pg_catalog as $$
    select exists (
        select from jsonb_path_query(document, 'lax $.implements[*]') i (link)
        where coalesce(link ->> 'href', link ->> 'id', link #>> '{}') = 'https://w3id.org/made-open/hub/v1')
$$;

create or replace function hub.is_node_document(type text, document text) returns boolean
language plpgsql stable set search_path = pg_catalog, hub as $$
begin
    return type = 'Application' and document is not null and hub.implements_contract(document::jsonb);
exception when data_exception then
    return false;
end
$$;

-- How far the feed reaches: up to what no transaction under way may still come before (R15).
create or replace function hub.changes_head() returns bigint
language sql stable set search_path = pg_catalog, hub, public as $$
    select coalesce((select a.seq from ap_activities a where a.tx < pg_snapshot_xmin(pg_current_snapshot())
        order by a.seq desc limit 1), 0)
$$;

-- Whoever read this feed may have come further than a backup that was restored since: what is said from now on gets numbers
-- beyond whatever was given before, as versions do (R15). Once per start, before anything is said.
create or replace function hub.feed_goes_on() returns bigint
language plpgsql volatile set search_path = pg_catalog, hub, public as $$
declare
    at bigint;
    reached bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended('hub.feed_goes_on', 0));
    at := (extract(epoch from clock_timestamp()) * 1000)::bigint;
    select last_value into reached from public.ap_activities_seq_seq;
    -- One number for each millisecond is more than are ever given, so this is beyond all of them; never back.
    if reached < at then
        reached := setval('public.ap_activities_seq_seq', at);
    end if;
    return reached;
end
$$;

-- What was said after a place and is for that host: everybody's, and what went there. Null where it can't be read on from
-- there: it was pruned since, or this hub never came so far.
create or replace function hub.changes_after(for_host text, after bigint, most int) returns jsonb
language plpgsql stable set search_path = pg_catalog, hub, public as $$
declare
    highest bigint := (select case when is_called then last_value else 0 end from public.ap_activities_seq_seq);
    oldest bigint := (select min(a.seq) from ap_activities a);
    head bigint := greatest(hub.changes_head(), after);
    found_bodies jsonb;
    last_seq bigint;
    is_cut boolean;
begin
    if most = 0 then
        return jsonb_build_object('head', hub.changes_head(), 'bodies', '[]'::jsonb);
    end if;
    if after > highest then
        return null;
    end if;
    -- Only a hub older than what it keeps has pruned anything.
    if after < coalesce(oldest, highest + 1) - 1 and exists (
        select from ap_actors n where n.kind = 'node' and n.created_at < now() - interval '90 days')
    then
        return null;
    end if;
    select jsonb_agg(f.body order by f.seq), max(f.seq) into found_bodies, last_seq
    from (
        select p.seq, p.body from (
        select q.seq, q.body, sum(octet_length(q.body)) over (order by q.seq) as whole, row_number() over (order by q.seq) as place
        from (
        select a.seq, a.body from ap_activities a join ap_actors s on s.id = a.actor_id
        where a.seq > after and a.seq <= head and a.tx < pg_snapshot_xmin(pg_current_snapshot())
          and s.suspended_at is null and (s.deleted_at is null or a.type = 'Delete')
          and (a.type = 'Delete' or not exists (select from ap_tombstones t where t.uri = a.object_uri))
          and (a.is_public
            or for_host = any (a.hosts) and (
                a.is_private
                or exists (select from follows f join ap_actors o on o.id = f.actor_id
                    where f.local_actor_id = a.actor_id and f.direction = 'in' and f.state = 'accepted' and o.host = for_host)
                or exists (select from ap_actors o where o.host = for_host and o.kind is null and o.uri in (
                    select jsonb_path_query(a.body::jsonb, 'lax $.to[*]') #>> '{}'
                    union all select jsonb_path_query(a.body::jsonb, 'lax $.cc[*]') #>> '{}'))))
        order by a.seq limit most + 1) q) p
        -- No reader takes a longer document.
        where p.place = 1 or p.place <= most and p.whole < 700000
    ) f;
    is_cut := exists (select from ap_activities a where a.seq > last_seq and a.seq <= head);
    return jsonb_build_object('head', head, 'bodies', coalesce(found_bodies, '[]'),
        'next', case when is_cut then last_seq end);
end
$$;

-- A server is a hub when one of its actors says so; its own actor says where its feed is.
create or replace function hub.actor_teaches_host() returns trigger
language plpgsql set search_path = pg_catalog, hub, public as $$
declare
    feed text := substring(new.uri from '^https?://[^/?#]+') || '/ap/changes';
begin
    insert into ap_hosts as h (host, is_hub, changes_url) values (new.host, true, feed)
    on conflict (host) do update set is_hub = true, changes_url = excluded.changes_url
    where not h.is_hub or h.changes_url is null;
    return null;
end
$$;
drop trigger if exists actor_teaches_host on public.ap_actors;
create trigger actor_teaches_host after insert or update of is_hub on public.ap_actors
    for each row when (new.is_hub and new.kind is null) execute function hub.actor_teaches_host();

-- Hubs whose feed is to be read now, each by one process: all of them after a start, those never read, those that are ahead
-- of what was read for a while, or behind it as after a restored backup (they told so with a delivery), and every six hours.
create or replace function hub.claim_feeds(started timestamptz, most int) returns table (host text, changes_url text, cursor_in bigint)
language sql volatile set search_path = pg_catalog, hub, public as $$
    update ap_hosts h set cursor_at = now()
    where h.id in (
        select d.id from ap_hosts d
        where d.is_hub and d.changes_url is not null
          and coalesce((hub.host_policy(d.host)).policy, '') <> 'block'
          and (d.cursor_at is null
            or d.cursor_at < started
            or d.cursor_in is null and d.cursor_at < now() - interval '1 minute'
            or d.head_seen <> d.cursor_in and d.cursor_at < now() - interval '10 minutes'
            or d.cursor_at < now() - interval '6 hours')
        order by d.cursor_at nulls first limit most for update skip locked)
    returning h.host, h.changes_url, h.cursor_in
$$;

grant execute on function hub.actor_teaches_host(), hub.claim_feeds(timestamptz, int) to service_role;
grant execute on function hub.implements_contract(jsonb), hub.is_node_document(text, text), hub.changes_head(),
    hub.changes_after(text, bigint, int) to service_role;
grant execute on function hub.feed_goes_on() to service_role;
grant select, update on sequence public.ap_activities_seq_seq to service_role;
