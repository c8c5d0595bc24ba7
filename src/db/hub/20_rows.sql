-- What every kind shares: ids, times, the journal, links.

-- As the first migration has it, in the language that keeps its plan: every row there is asks for one.
create or replace function hub.uuid_v7() returns uuid
language plpgsql volatile parallel safe as $$
declare
    us constant bigint := extract(epoch from clock_timestamp()) * 1000000;
    fraction constant int := (us % 1000) * 4096 / 1000;
begin
    return encode(set_byte(set_byte(
        overlay(uuid_send(gen_random_uuid()) placing substring(int8send(us / 1000) from 3) from 1 for 6),
        6, 112 | (fraction >> 8)), 7, fraction & 255), 'hex')::uuid;
end
$$;

-- The clock and not the start of the transaction: two changes of one row must not carry the same time (S-137).
create or replace function hub.touch() returns trigger
language plpgsql as $$
begin
    new.updated_at := clock_timestamp();
    return new;
end
$$;

-- Append-only binds the owner of the database too, not only those without a grant.
create or replace function hub.refuse_change() returns trigger
language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = '42501';
end
$$;

-- What happened is not changed either.
drop trigger if exists hub_append_only on hub.journal;
create trigger hub_append_only before update or delete on hub.journal
    for each row execute function hub.refuse_change();
drop trigger if exists hub_append_only_all on hub.journal;
create trigger hub_append_only_all before truncate on hub.journal
    for each statement execute function hub.refuse_change();

-- Who acts, as the audit log says it: an account, a service or plugin by its key's name, or the hub itself. A key whose name
-- begins with `plugin:` is a plugin's. Without a request it is whoever is at the database's console.
create or replace function hub.audit_actor(out kind text, out name text, out about jsonb)
language plpgsql stable as $$
declare
    claimed text;
    claims jsonb;
begin
    about := '{}';
    name := nullif(current_setting('request.jwt.claim.sub', true), '');
    if name is not null then
        kind := 'user';
        return;
    end if;
    claimed := nullif(current_setting('request.jwt.claim.role', true), '');
    if claimed = 'anon' then
        kind := 'user';
        name := 'anonymous';
        return;
    end if;
    if claimed is null then
        kind := 'system';
        name := session_user;
        return;
    end if;
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'actor' is not null then
        -- Somebody of another server.
        kind := 'user';
        name := claims ->> 'actor';
        return;
    end if;
    if claims ->> 'session_id' is null then
        kind := 'system';
        name := 'hub';
        return;
    end if;
    select n.kind, n.name into kind, name from hub.audit_key_name(claims ->> 'name', claims ->> 'session_id') n;
    about := jsonb_build_object('session', claims ->> 'session_id');
end
$$;

-- How a key is named in the audit log.
create or replace function hub.audit_key_name(given text, session text, out kind text, out name text)
language sql immutable as $$
    select case when given like 'plugin:_%' then 'plugin' else 'service' end,
        case when given like 'plugin:_%' then substr(given, 8) else coalesce(nullif(given, ''), 'unnamed ' || session) end
$$;

-- One journal row and one audit row per changed row, by one statement. The arguments are the column that names the owner in the
-- journal and the one that names the person in whose log the change belongs; '' where the kind has none, and then it belongs
-- in the log of who did it. The names of the columns that changed are kept, never their values.
-- Where `hub.by_origin` names the table, each row was written because of the actor elsewhere whom it names as its origin.
create or replace function hub.journal_insert() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    who record;
    ids uuid[];
    owners uuid[];
    persons uuid[];
    names text[];
begin
    who := hub.audit_actor();
    -- Rows as JSON can name any column, and cost the more the longer they are. Who writes many rows in the names of many says
    -- which table that is, and their names are found with the rows.
    if current_setting('hub.by_origin', true) = tg_table_name then
        select array_agg(c.id), array_agg(c.owner_id), array_agg(a.uri) into ids, owners, names
        from changed c left join public.ap_actors a on a.id = c.origin_actor_id;
        persons := owners;
    elsif current_setting('hub.by_actor', true) = tg_table_name then
        select array_agg(c.id), array_agg((to_jsonb(c) ->> tg_argv[0])::uuid), array_agg((to_jsonb(c) ->> tg_argv[1])::uuid), array_agg(a.uri)
        into ids, owners, persons, names from changed c left join public.ap_actors a on a.id = c.actor_id;
    elsif tg_argv[0] = 'owner_id' and tg_argv[1] = 'owner_id' then
        select array_agg(c.id), array_agg(c.owner_id) into ids, owners from changed c;
        persons := owners;
    else
        select array_agg((n.j ->> 'id')::uuid), array_agg((n.j ->> tg_argv[0])::uuid), array_agg((n.j ->> tg_argv[1])::uuid)
        into ids, owners, persons from (select to_jsonb(c) as j from changed c) n;
    end if;
    with r as materialized (
        select n.id, n.owner, n.person, coalesce(n.name, who.name) as name
        from unnest(ids, owners, persons, names) as n (id, owner, person, name)),
    audited as (
        insert into public.audit_log (owner_id, actor_type, actor_id, door, action, resource_type, resource_id, outcome, metadata)
        select coalesce(r.person, auth.uid()), who.kind, r.name, nullif(current_setting('request.door', true), ''),
            'write', tg_table_name, r.id, 'allowed', who.about || '{"verb": "insert"}'
        from r)
    insert into hub.journal (kind, verb, row_id, owner_id, actor_id, role)
    select tg_table_name, 'insert', r.id, r.owner, auth.uid(), current_setting('role') from r;
    if found then
        perform pg_notify('hub_changes', '');
    end if;
    return null;
end
$$;

create or replace function hub.journal_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    who record;
begin
    -- The third argument names the columns whose change alone is no news.
    if tg_argv[2] <> '' and not exists (
        select from changed c join before b on b.id = c.id
        where to_jsonb(c) - string_to_array(tg_argv[2], ',') is distinct from to_jsonb(b) - string_to_array(tg_argv[2], ','))
    then
        return null;
    end if;
    who := hub.audit_actor();
    with r as materialized (
        select (n.j ->> 'id')::uuid as id, (n.j ->> tg_argv[0])::uuid as owner, (n.j ->> tg_argv[1])::uuid as person,
            (n.o ->> tg_argv[1])::uuid as person_before,
            array(select f.key from jsonb_each(n.j) f
                  where f.value is distinct from n.o -> f.key and f.key <> 'updated_at' order by f.key) as columns
        from (select to_jsonb(c) as j, to_jsonb(b) as o from changed c join before b on b.id = c.id) n),
    audited as (
        insert into public.audit_log
            (owner_id, actor_type, actor_id, door, action, resource_type, resource_id, outcome, changed, metadata)
        -- What is handed over or taken away stays in the log of whose it was.
        select coalesce(r.person_before, r.person, auth.uid()), who.kind, who.name,
            nullif(current_setting('request.door', true), ''),
            'write', tg_table_name, r.id, 'allowed', r.columns, who.about || '{"verb": "update"}'
        from r where cardinality(r.columns) > 0)
    insert into hub.journal (kind, verb, row_id, owner_id, actor_id, role, changed)
    select tg_table_name, 'update', r.id, r.owner, auth.uid(), current_setting('role'), r.columns from r;
    if found then
        perform pg_notify('hub_changes', '');
    end if;
    return null;
end
$$;

create or replace function hub.journal_delete() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    who record;
begin
    who := hub.audit_actor();
    with r as materialized (
        select (n.j ->> 'id')::uuid as id, (n.j ->> tg_argv[0])::uuid as owner, (n.j ->> tg_argv[1])::uuid as person
        from (select to_jsonb(b) as j from before b) n),
    audited as (
        insert into public.audit_log (owner_id, actor_type, actor_id, door, action, resource_type, resource_id, outcome, metadata)
        select coalesce(r.person, auth.uid()), who.kind, who.name, nullif(current_setting('request.door', true), ''),
            'delete', tg_table_name, r.id, 'allowed', who.about || '{"verb": "delete"}'
        from r)
    insert into hub.journal (kind, verb, row_id, owner_id, actor_id, role)
    select tg_table_name, 'delete', r.id, r.owner, auth.uid(), current_setting('role') from r;
    if found then
        perform pg_notify('hub_changes', '');
    end if;
    return null;
end
$$;

-- A link may only point at a row the caller can see. Foreign keys do not ask row security, so this does, as the caller;
-- what he cannot see is reported exactly like what does not exist.
-- Arguments: column, parent kind ('' when another column names it), that other column ('' otherwise).
create or replace function hub.check_link() returns trigger
language plpgsql as $$
declare
    link_column constant text := tg_argv[0];
    parent text := tg_argv[1];
    now_linked constant jsonb := to_jsonb(new) -> link_column;
    linked jsonb;
    seen boolean;
begin
    if now_linked is null or jsonb_typeof(now_linked) = 'null' then
        return new;
    end if;
    if tg_argv[2] <> '' then
        parent := to_jsonb(new) ->> tg_argv[2];
        if tg_op = 'UPDATE' and now_linked = to_jsonb(old) -> link_column and parent = to_jsonb(old) ->> tg_argv[2] then
            return new;
        end if;
    elsif tg_op = 'UPDATE' and now_linked = to_jsonb(old) -> link_column then
        return new;
    end if;
    if not exists (select from hub.kinds k where k.name = parent) then
        raise exception using errcode = '23503', schema = tg_table_schema, table = tg_table_name,
            constraint = tg_table_name || '_' || link_column || '_fkey',
            message = format('insert or update on table "%s" violates foreign key constraint "%s"',
                tg_table_name, tg_table_name || '_' || link_column || '_fkey'),
            detail = 'No such kind of row.';
    end if;
    for linked in
        select e from jsonb_array_elements(case jsonb_typeof(now_linked) when 'array' then now_linked
            else jsonb_build_array(now_linked) end) e
    loop
        begin
            if parent = 'users' then
                seen := hub.can_name_user((linked #>> '{}')::uuid);
            else
                execute format('select exists (select from public.%I where id = $1)', parent)
                    into seen using (linked #>> '{}')::uuid;
            end if;
        exception when invalid_text_representation then
            seen := false;
        end;
        if seen is not true then
            raise exception using errcode = '23503', schema = tg_table_schema, table = tg_table_name,
                constraint = tg_table_name || '_' || link_column || '_fkey',
                message = format('insert or update on table "%s" violates foreign key constraint "%s"',
                    tg_table_name, tg_table_name || '_' || link_column || '_fkey'),
                detail = format('Key (%s)=(%s) is not present in table "%s".', link_column, linked #>> '{}', parent);
        end if;
    end loop;
    return new;
end
$$;
