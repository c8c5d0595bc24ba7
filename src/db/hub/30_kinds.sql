-- From a registry row to everything that holds for the table: policies, triggers, grants, the owner's index.

create or replace function hub.apply_policies(k hub.kinds) returns void
language plpgsql as $$
declare
    own text;      -- the scope's condition for rows that are the caller's
    manage text;   -- … for rows that he may change
    reads text;
    shown text;    -- when everybody may read
    writes text[] := k.client_writes;
    old record;
begin
    for old in select policyname from pg_policies where schemaname = 'public' and tablename = k.name loop
        execute format('drop policy %I on public.%I', old.policyname, k.name);
    end loop;

    own := case k.scope
        when 'owner' then format('%I = auth.uid()', k.owner_column)
        when 'tenant' then format('(%I = auth.tenant_id() or auth.app_role() = ''developer'')', k.owner_column)
        when 'members' then case when k.member_column is null then 'false'
            else format('%I in (select hub.my_sets(%L))', k.member_column, k.member_set) end
        when 'catalogue' then 'true'
        when 'operators' then 'auth.app_role() = ''developer'''
        else 'false' end;
    manage := case k.scope
        when 'tenant' then format('((%I = auth.tenant_id() and auth.app_role() = ''admin'') or auth.app_role() = ''developer'')',
            k.owner_column)
        when 'members' then case when k.member_column is null then 'false'
            else format('%I in (select hub.my_sets(%L, ''{owner,admin}''))', k.member_column, k.member_set) end
        when 'catalogue' then 'auth.app_role() = ''developer'''
        else own end;

    reads := own;
    if k.also_read_when is not null then
        reads := format('(%s) or (%s)', reads, k.also_read_when);
    end if;
    if k.public_when is not null then
        -- What a closed account showed is hidden with it.
        shown := case when k.scope = 'owner'
            then format('(%s) and (%I in (select hub.closed_accounts())) is not true', k.public_when, k.owner_column)
            else k.public_when end;
        reads := format('(%s) or (%s)', reads, shown);
        execute format('create policy anon_read on public.%I for select to anon using (%s)', k.name, shown);
    end if;
    if k.scope <> 'service' then
        execute format('create policy client_read on public.%I for select to authenticated using (%s)', k.name, reads);
    end if;
    if 'insert' = any (writes) then
        execute format('create policy client_insert on public.%I for insert to authenticated with check (%s)', k.name,
            coalesce(k.insert_when, case k.scope when 'members' then own else manage end));
    end if;
    if 'update' = any (writes) then
        execute format('create policy client_update on public.%I for update to authenticated using (%s) with check (%s)', k.name,
            coalesce(k.update_when, manage), coalesce(k.update_when, manage));
    end if;
    if 'delete' = any (writes) then
        execute format('create policy client_delete on public.%I for delete to authenticated using (%s)', k.name,
            coalesce(k.delete_when, manage));
    end if;
    if k.anon_insert_when is not null then
        execute format('create policy anon_insert on public.%I for insert to anon with check (%s)', k.name, k.anon_insert_when);
        if not 'insert' = any (writes) then
            execute format('create policy client_insert on public.%I for insert to authenticated with check (%s)',
                k.name, k.anon_insert_when);
        end if;
    end if;
    -- Whom somebody blocked he does not read, whoever passes it on (S-154). The blocked are looked up once for a statement.
    if k.name = 'posts' then
        create policy client_blocked on public.posts as restrictive for select to authenticated using ((owner_id = auth.uid()) is true
            or (coalesce(author_actor_id, origin_actor_id, owner_id) in (select hub.blocked_authors())) is not true);
    elsif k.name = 'reactions' then
        create policy client_blocked on public.reactions as restrictive for select to authenticated using (
            (owner_id = auth.uid() and direction = 'out') is true
            or not exists (select from hub.blocked_authors())
            or ((actor_id in (select hub.blocked_authors())) is not true
                and (object_kind is distinct from 'posts' or not hub.is_by_blocked(object_id))));
    end if;

    execute format('create policy service_all on public.%I for all to service_role using (true) with check (true)', k.name);

    -- Definer helpers belong to the owner, whom FORCE binds as well: they may read memberships, listings for the search, and
    -- whether an account stands, append to the audit log, and forget secrets that no row names any more.
    if k.name in ('users', 'user_profile', 'dao_members', 'channel_members', 'workspace_members', 'onto_project_members', 'onto_actors',
        'ap_actors', 'follows', 'post_audience', 'blocks', 'mutes', 'agents', 'listings') then
        execute format('create policy kernel on public.%I for select to made_open_owner using (true)', k.name);
    elsif k.name = 'posts' then
        -- Counts of what is said about posts, whoever says it; and what remains of one that goes.
        execute format('create policy kernel on public.%I for select to made_open_owner using (true)', k.name);
        execute format('create policy kernel_counts on public.%I for update to made_open_owner using (true)', k.name);
    elsif k.name = 'reactions' then
        execute format('create policy kernel on public.%I for select to made_open_owner using (true)', k.name);
        execute format('create policy kernel_forgets on public.%I for delete to made_open_owner using (true)', k.name);
    elsif k.name = 'ap_tombstones' then
        execute format('create policy kernel on public.%I for select to made_open_owner using (true)', k.name);
        execute format('create policy kernel_buries on public.%I for insert to made_open_owner with check (true)', k.name);
    elsif k.name in ('key_store', 'user_calendar_tokens', 'user_integration_credentials', 'channels', 'datastores') then
        execute format('create policy kernel on public.%I for select to made_open_owner using (true)', k.name);
    elsif k.name = 'vault_secrets' then
        execute format('create policy kernel on public.%I for select to made_open_owner using (true)', k.name);
        execute format('create policy kernel_forgets on public.%I for delete to made_open_owner using (true)', k.name);
    elsif k.name = 'audit_log' then
        execute format('create policy kernel on public.%I for insert to made_open_owner with check (true)', k.name);
    end if;
end
$$;

create or replace function hub.apply_grants(k hub.kinds) returns void
language plpgsql as $$
declare
    readable text;
    insertable text;
    updatable text;
begin
    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) filter (where not a.attname = any (k.hidden)),
        string_agg(quote_ident(a.attname), ', ' order by a.attnum)
            filter (where a.attgenerated = '' and not a.attname = any (k.read_only || '{created_at,updated_at}'::text[])),
        string_agg(quote_ident(a.attname), ', ' order by a.attnum)
            filter (where a.attgenerated = '' and not a.attname = any (k.read_only || '{id,created_at,updated_at}'::text[]))
    into readable, insertable, updatable
    from pg_attribute a
    where a.attrelid = format('public.%I', k.name)::regclass and a.attnum > 0 and not a.attisdropped;

    execute format('revoke all on public.%I from public, anon, authenticated, service_role', k.name);
    if k.append_only then
        execute format('grant select, insert on public.%I to service_role', k.name);
    else
        execute format('grant select, insert, update, delete on public.%I to service_role', k.name);
    end if;
    if k.scope = 'service' then
        return;
    end if;
    execute format('grant select (%s) on public.%I to authenticated', readable, k.name);
    if k.public_when is not null or k.anon_insert_when is not null then
        execute format('grant select (%s) on public.%I to anon', readable, k.name);
    end if;
    if k.anon_insert_when is not null then
        execute format('grant insert (%s) on public.%I to anon, authenticated', insertable, k.name);
    end if;
    if 'insert' = any (k.client_writes) then
        execute format('grant insert (%s) on public.%I to authenticated', insertable, k.name);
    end if;
    if 'update' = any (k.client_writes) and updatable is not null then
        execute format('grant update (%s) on public.%I to authenticated', updatable, k.name);
    end if;
    if 'delete' = any (k.client_writes) then
        execute format('grant delete on public.%I to authenticated', k.name);
    end if;
end
$$;

create or replace function hub.apply_triggers(k hub.kinds) returns void
language plpgsql as $$
declare
    tab constant regclass := format('public.%I', k.name)::regclass;
    owned_by text := coalesce(case when k.scope in ('owner', 'tenant') then k.owner_column end, '');
    -- The person in whose audit log a change belongs: the owner, else whom the row names as its own.
    person text := case when k.scope = 'owner' then k.owner_column end;
    link record;
    old record;
begin
    for old in select t.tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid
               where t.tgrelid = tab and not t.tgisinternal and t.tgname like 'hub\_%' loop
        execute format('drop trigger %I on %s', old.tgname, tab);
    end loop;
    -- A members' row that also names an owner is journalled under that owner.
    if owned_by = '' then
        select coalesce(min(a.attname), '') into owned_by from pg_attribute a
        where a.attrelid = tab and a.attname in ('owner_id') and not a.attisdropped;
    end if;

    if person is null then
        select a.attname into person from pg_attribute a
        join pg_constraint c on c.conrelid = tab and c.contype = 'f' and c.confrelid = 'public.users'::regclass
            and c.conkey = array[a.attnum]
        where a.attrelid = tab and a.attname in ('owner_id', 'user_id', 'member_user_id', 'created_by')
        order by array_position('{owner_id,user_id,member_user_id,created_by}', a.attname::text) limit 1;
    end if;
    person := coalesce(person, '');

    if exists (select from pg_attribute a where a.attrelid = tab and a.attname = 'updated_at' and not a.attisdropped) then
        execute format('create trigger hub_touch before update on %s for each row execute function hub.touch()', tab);
    end if;
    if k.append_only then
        execute format('create trigger hub_append_only before update or delete on %s for each row execute function hub.refuse_change()', tab);
        execute format('create trigger hub_append_only_all before truncate on %s for each statement execute function hub.refuse_change()', tab);
    end if;
    if k.journaled then
        execute format('create trigger hub_journal_insert after insert on %s referencing new table as changed
            for each statement execute function hub.journal_insert(%L, %L)', tab, owned_by, person);
    end if;
    if k.journaled and not k.append_only then
        execute format('create trigger hub_journal_update after update on %s referencing new table as changed old table as before
            for each statement execute function hub.journal_update(%L, %L, %L)', tab, owned_by, person,
            case when k.quiet <> '{}' then array_to_string(k.quiet || '{updated_at}'::text[], ',') else '' end);
        execute format('create trigger hub_journal_delete after delete on %s referencing old table as before
            for each statement execute function hub.journal_delete(%L, %L)', tab, owned_by, person);
    end if;

    -- Links by a foreign key of one column to another kind. A composite one carries the owner and needs no look. Actors are
    -- known to the whole network: only operators list them, but everybody may block, mute or report one.
    for link in
        select a.attname as col, p.relname as parent
        from pg_constraint c
        join pg_class p on p.oid = c.confrelid
        join hub.kinds pk on pk.name = p.relname
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        where c.conrelid = tab and c.contype = 'f' and cardinality(c.conkey) = 1
            and p.relnamespace = 'public'::regnamespace
            and not (k.scope = 'owner' and a.attname = k.owner_column)
            and not exists (select from pg_constraint cc where cc.conrelid = tab and cc.contype = 'f'
                and cardinality(cc.conkey) > 1 and a.attnum = any (cc.conkey) and cc.confrelid = c.confrelid)
            and pk.scope <> 'service' and pk.name <> 'ap_actors'
        union
        -- A composite one is looked up too where a unique key without the owner would answer before the foreign key does,
        -- and so tell that another owner's row is there.
        select a.attname, p.relname
        from pg_constraint c
        join pg_class p on p.oid = c.confrelid
        join hub.kinds pk on pk.name = p.relname
        join pg_attribute o on o.attrelid = c.conrelid and o.attname = k.owner_column
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey) and a.attnum <> o.attnum
        where c.conrelid = tab and c.contype = 'f' and cardinality(c.conkey) > 1 and pk.scope <> 'service'
            and exists (select from pg_index i where i.indrelid = tab and i.indisunique
                and a.attnum = any (i.indkey::int2[]) and not o.attnum = any (i.indkey::int2[]))
    loop
        execute format('create trigger %I before insert or update of %I on %s for each row when (new.%I is not null)
            execute function hub.check_link(%L, %L, '''')', 'hub_link_' || link.col, link.col, tab, link.col, link.col, link.parent);
    end loop;
    for link in select l.key as col, l.value as target from jsonb_each(k.links) l loop
        execute format('create trigger %I before insert or update on %s for each row execute function hub.check_link(%L, %L, %L)',
            'hub_link_' || link.col, tab, link.col,
            case jsonb_typeof(link.target) when 'string' then link.target #>> '{}' else '' end,
            case jsonb_typeof(link.target) when 'object' then link.target ->> 'kind' else '' end);
    end loop;
end
$$;

create or replace function hub.apply_kind(kind_name text) returns void
language plpgsql as $$
declare
    k hub.kinds;
begin
    select * into strict k from hub.kinds where name = kind_name;
    execute format('alter table public.%I enable row level security, force row level security', k.name);
    perform hub.apply_policies(k);
    perform hub.apply_grants(k);
    perform hub.apply_triggers(k);
    -- The owner's condition stands in every query: it must have an index to stand on.
    if k.owner_column is not null and k.scope in ('owner', 'tenant') and not exists (
        select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = format('public.%I', k.name)::regclass and a.attname = k.owner_column and i.indpred is null)
    then
        execute format('create index %I on public.%I (%I)', k.name || '_' || k.owner_column || '_idx', k.name, k.owner_column);
    end if;
    perform pg_notify('hub_catalog', '');
end
$$;

create or replace function hub.apply_kinds() returns void
language sql as $$
    select hub.apply_kind(k.name) from hub.kinds k order by k.name
$$;
