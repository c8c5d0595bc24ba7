-- Ops: a tester's word finds its place in the programme when the hub can see it, which a client can't.

create or replace function hub.beta_members_adopt() returns trigger
language plpgsql as $$
begin
    update public.beta_feedback f set member_id = new.id where f.owner_id = new.user_id and f.member_id is null;
    return null;
end
$$;
drop trigger if exists beta_members_adopt on public.beta_members;
create trigger beta_members_adopt after insert or update of user_id on public.beta_members
    for each row when (new.user_id is not null) execute function hub.beta_members_adopt();

-- Whether a rule that names these events waits for this one: a change of a kind, or a domain's word; `tasks.*` is all of a kind.
create or replace function hub.waits_for(types text[], kind text, verb text) returns boolean
language sql immutable parallel safe as $$
    select exists (
        select from unnest(types) t
        where t = e.name or (t like '_%.*' and starts_with(e.name, left(t, -1))))
    from (select case when strpos(verb, '.') > 0 then verb else kind || '.' || verb end as name) e
$$;

-- The audit log ------------------------------------------------------------------------------------------------------

-- A program's key may add to the log, but only in its own name and now. The hub's own notes come through hub.note_audit.
create or replace function hub.name_audit_writer() returns trigger
language plpgsql as $$
declare
    who constant record := hub.audit_actor();
begin
    new.tx := pg_current_xact_id();
    new.occurred_at := now();
    new.created_at := now();
    if who.kind <> 'system' then
        new.actor_type := who.kind;
        new.actor_id := who.name;
    end if;
    return new;
end
$$;
drop trigger if exists audit_log_names_writer on public.audit_log;
create trigger audit_log_names_writer before insert on public.audit_log
    for each row when (current_user = 'service_role') execute function hub.name_audit_writer();

-- Note something that no change of a row says: a secret opened, an export, a refusal. Who and through which door is read
-- from the request; whose log is said, else it is the actor's own.
create or replace function hub.note_audit(action text, resource_type text, resource_id text, whose uuid, metadata jsonb)
returns void
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    who constant record := hub.audit_actor();
begin
    insert into public.audit_log (owner_id, actor_type, actor_id, door, action, resource_type, resource_id, outcome, metadata)
    values (coalesce(whose, auth.uid()), who.kind, who.name, nullif(current_setting('request.door', true), ''),
        note_audit.action, note_audit.resource_type, note_audit.resource_id, 'allowed', who.about || note_audit.metadata);
end
$$;

-- What the doors saw and noted for later: refusals, and reads by somebody who may read others' rows. Who it was is looked up
-- here; a read by somebody without such a role is not worth a row. How many rows it made.
create or replace function hub.note_attempts(notes jsonb) returns bigint
language sql security definer set search_path = pg_catalog, public, hub as $$
    with told as (
        insert into public.audit_log (owner_id, actor_type, actor_id, door, action, resource_type, outcome, metadata)
        select s.user_id,
            case when s.role = 'service_role' then key.kind else 'user' end,
            case when s.role = 'service_role' then key.name
                else coalesce(s.user_id::text, case when n.session is null then 'anonymous' else 'session ' || n.session end) end,
            n.door, n.action, n.resource_type, n.outcome,
            n.metadata || case when s.role = 'service_role' then jsonb_build_object('session', n.session) else '{}' end
        from jsonb_to_recordset(notes) as n (session uuid, door text, action text, resource_type text, outcome text, metadata jsonb)
        left join hub.sessions s on s.id = n.session
        left join public.user_profile p on p.user_id = s.user_id
        cross join lateral hub.audit_key_name(s.name, s.id::text) key
        where n.outcome = 'denied' or s.role = 'service_role' or p.role in ('developer', 'admin')
        returning 1)
    select count(*) from told
$$;

-- Seals are not changed either, by nobody.
drop trigger if exists hub_append_only on hub.audit_seals;
create trigger hub_append_only before update or delete on hub.audit_seals
    for each row execute function hub.refuse_change();
drop trigger if exists hub_append_only_all on hub.audit_seals;
create trigger hub_append_only_all before truncate on hub.audit_seals
    for each statement execute function hub.refuse_change();

create or replace function hub.audit_time(t timestamptz) returns text
language sql immutable as $$
    select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- A row of the audit log as it is exported and hashed: the bytes of this line are what its hash is made of.
create or replace function hub.audit_line(a public.audit_log) returns text
language sql stable as $$
    select row_to_json(line)::text from (
        select a.id, a.owner_id, hub.audit_time(a.occurred_at) as occurred_at, a.actor_type, a.actor_id, a.door, a.action,
            a.resource_type, a.resource_id, a.outcome, a.changed, a.metadata, hub.audit_time(a.created_at) as created_at
    ) line
$$;

-- A seal as it is exported.
create or replace function hub.audit_seal_line(s hub.audit_seals) returns text
language sql stable as $$
    select row_to_json(line)::text from (
        select s.place as seal, s.owner_id, s.number, hub.audit_time(s.sealed_at) as sealed_at, s.upto::text as upto, s.first, s.last,
            (select json_agg(json_build_array(r.id, encode(r.hash, 'hex')) order by r.n)
                from unnest(s.ids, s.hashes) with ordinality r (id, hash, n)) as rows,
            encode(s.prev_hash, 'hex') as prev_hash, encode(s.before_hash, 'hex') as before_hash, encode(s.hash, 'hex') as hash
    ) line
$$;

-- Seal what is committed, at most about this many rows at a time; how many there were. Rows are taken in the order of their
-- transactions, and only those below every transaction that still runs, so none is skipped: what commits late comes later.
create or replace function hub.seal_audit(most integer default 10000) returns bigint
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    none constant bytea := decode(repeat('00', 32), 'hex');
    horizon xid8;
    since xid8;
    cut xid8;
    is_restart boolean;
    has_restarted boolean;
    f record;
    before record;
    latest bytea;
    this bytea;
    made_at constant timestamptz := clock_timestamp();
    sealed bigint := 0;
begin
    -- One at a time; the snapshot is taken after the lock.
    perform pg_advisory_xact_lock(7100, 1);
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    select s.upto, s.hash into since, latest from hub.audit_seals s order by s.number desc limit 1;
    since := coalesce(since, '0'::xid8);
    latest := coalesce(latest, none);
    -- A dump restored into another server: its transactions count from a lower number. Then what is sealed is told by the
    -- seals alone, from here on.
    is_restart := since > horizon;
    has_restarted := is_restart or exists (select from hub.audit_seals s where s.is_restart);
    if not is_restart then
        select a.tx into cut from public.audit_log a where a.tx >= since and a.tx < horizon
            order by a.tx offset most limit 1;
        if cut is not null then
            -- Never through the middle of a transaction.
            select coalesce(min(a.tx), horizon) into horizon from public.audit_log a
                where a.tx < horizon and case when cut > (select min(m.tx) from public.audit_log m where m.tx >= since)
                    then a.tx >= cut else a.tx > cut end;
        end if;
    end if;

    for f in
        select a.owner_id, array_agg(a.id order by a.tx, a.id) as ids,
            array_agg(sha256(convert_to(hub.audit_line(a), 'UTF8')) order by a.tx, a.id) as hashes
        from public.audit_log a
        where case when is_restart then a.tx < horizon or a.tx >= since else a.tx >= since and a.tx < horizon end
            and (not has_restarted or not exists (
                select from (select unnest(s.ids) as id from hub.audit_seals s) done where done.id = a.id))
        group by a.owner_id
        order by a.owner_id nulls first
    loop
        if f.owner_id is null then
            select s.place, s.hash into before from hub.audit_seals s where s.owner_id is null order by s.number desc limit 1;
        else
            select s.place, s.hash into before from hub.audit_seals s where s.owner_id = f.owner_id order by s.number desc limit 1;
        end if;
        before.place := coalesce(before.place, 0) + 1;
        before.hash := coalesce(before.hash, none);
        select sha256(convert_to(concat_ws(E'\n', 'made-open audit seal 1',
                before.place || ' ' || coalesce(f.owner_id::text, '-'), hub.audit_time(made_at) || ' ' || horizon,
                encode(before.hash, 'hex'), encode(latest, 'hex'),
                string_agg(r.id || ' ' || encode(r.hash, 'hex'), E'\n' order by r.n)), 'UTF8'))
            into this from unnest(f.ids, f.hashes) with ordinality r (id, hash, n);
        insert into hub.audit_seals
            (owner_id, place, first, last, ids, hashes, upto, prev_hash, before_hash, hash, is_restart, sealed_at)
        values (f.owner_id, before.place, f.ids[1], f.ids[cardinality(f.ids)], f.ids, f.hashes, horizon,
            before.hash, latest, this, is_restart, made_at);
        latest := this;
        sealed := sealed + cardinality(f.ids);
    end loop;
    return sealed;
end
$$;
