-- Triggers that every kind shares: times, the journal, links.

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

-- One journal row per changed row. The owner's column comes as the trigger's argument; '' when the kind has none.
create or replace function hub.journal_insert() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    insert into hub.journal (kind, verb, row_id, owner_id, actor_id, role)
    select tg_table_name, 'insert', (r.j ->> 'id')::uuid, (r.j ->> tg_argv[0])::uuid, auth.uid(), current_setting('role')
    from (select to_jsonb(n) as j from changed n) r;
    if found then
        perform pg_notify('hub_changes', '');
    end if;
    return null;
end
$$;

create or replace function hub.journal_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    insert into hub.journal (kind, verb, row_id, owner_id, actor_id, role, changed)
    select tg_table_name, 'update', (r.j ->> 'id')::uuid, (r.j ->> tg_argv[0])::uuid, auth.uid(), current_setting('role'),
        array(select f.key from jsonb_each(r.j) f
              where f.value is distinct from r.o -> f.key and f.key <> 'updated_at' order by f.key)
    from (select to_jsonb(n) as j, to_jsonb(o) as o from changed n join before o on o.id = n.id) r;
    if found then
        perform pg_notify('hub_changes', '');
    end if;
    return null;
end
$$;

create or replace function hub.journal_delete() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    insert into hub.journal (kind, verb, row_id, owner_id, actor_id, role)
    select tg_table_name, 'delete', (r.j ->> 'id')::uuid, (r.j ->> tg_argv[0])::uuid, auth.uid(), current_setting('role')
    from (select to_jsonb(o) as j from before o) r;
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
