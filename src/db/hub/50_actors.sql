-- Local actors: what each of them shows, and the row that stands for it. Rows to the right say what they are in one view,
-- so that federation itself knows no table but its own.

-- Whether a name can be somebody's: persons, organizations, groups and agents share one space of names.
create or replace function hub.actor_handle(given text) returns text
language sql immutable as $$
    select nullif(left(trim(both '_' from regexp_replace(lower(given), '[^a-z0-9]+', '_', 'g')), 30), '')
$$;

-- What stands behind an actor. is_public: whether it is shown by itself; tenants and agents only when somebody asks.
create or replace function hub.actor_subject(of_kind text, of_row uuid) returns table (
    is_there boolean, is_public boolean, type text, handle text, name text, summary text, icon_url text,
    published_at timestamptz, user_id uuid)
language plpgsql stable set search_path = pg_catalog, public, hub as $$
begin
    case of_kind
    when 'user' then
        return query select u.deleted_at is null,
            u.deleted_at is null and (u.banned_until is null or u.banned_until <= now()) and coalesce(p.is_public, true),
            'Person', u.handle, coalesce(nullif(p.full_name, ''), u.name), null::text, p.avatar_url, u.created_at, u.id
        from public.users u left join public.profiles p on p.id = u.id where u.id = of_row;
    when 'tenant' then
        return query select true, false, 'Organization', null::text, t.name, null::text, null::text, t.created_at, null::uuid
        from public.tenants t where t.id = of_row;
    when 'agent' then
        return query select true, false, 'Service', null::text, a.name, null::text, a.avatar_url, a.created_at, null::uuid
        from public.agents a where a.id = of_row;
    when 'dao' then
        return query select true, coalesce(d.is_public, true), 'Group', d.slug, d.name, d.description, null::text, d.created_at, null::uuid
        from public.daos d where d.id = of_row and d.origin_actor_id is null;
    when 'channel' then
        return query select true, c.visibility = 'public', 'Group', c.slug, c.name, c.description, null::text, c.created_at, null::uuid
        from public.chat_channels c where c.id = of_row;
    else
        return;
    end case;
end
$$;

-- Who runs what stands behind an actor: accounts of this hub and, in a DAO, actors of others. They speak for it, and what is
-- written to it is theirs to read.
create or replace function hub.who_runs(of_kind text, of_row uuid) returns table (account uuid, actor uuid)
language sql stable rows 5 set search_path = pg_catalog, public, hub as $$
    select of_row, null::uuid where of_kind = 'user'
    union all
    select p.user_id, null from public.user_profile p
    where of_kind = 'tenant' and p.organization_id = of_row and p.role in ('admin', 'developer')
    union all
    select g.user_id, null from public.agents g where of_kind = 'agent' and g.id = of_row
    union all
    -- An agent that is nobody's is its DAO's.
    select m.user_id, m.actor_id from public.agents g join public.dao_members m on m.dao_id = g.dao_id
    where of_kind = 'agent' and g.id = of_row and g.user_id is null and m.role in ('owner', 'admin')
    union all
    select m.user_id, m.actor_id from public.dao_members m
    where of_kind = 'dao' and m.dao_id = of_row and m.role in ('owner', 'admin')
    union all
    select m.member_user_id, null from public.channel_members m
    where of_kind = 'channel' and m.channel_id = of_row and m.role in ('owner', 'admin') and m.left_at is null
$$;

-- Whether an account may speak for an actor of this hub.
create or replace function hub.speaks_for(person uuid, actor uuid) returns boolean
language plpgsql stable set search_path = pg_catalog, public, hub as $$
declare
    it record;
begin
    select a.kind, a.row_id into it from public.ap_actors a where a.id = actor and a.kind is not null and a.deleted_at is null;
    if not found then
        return false;
    elsif it.kind = 'user' then
        return it.row_id is not distinct from person and person is not null;
    end if;
    return exists (select from hub.who_runs(it.kind, it.row_id) r where r.account = person);
end
$$;

-- Names that stand for the hub itself or for an address of it, in whatever case and spelling (S-51).
create or replace function hub.is_reserved_handle(name text) returns boolean
language sql immutable set search_path = pg_catalog, hub as $$
    select coalesce(hub.actor_handle(name) = any ('{admin,administrator,root,api,inbox,outbox,actor,hub,support,help,postmaster,webmaster,abuse,security,moderator,system,well_known,nodeinfo}'::text[]), false)
$$;

-- A name for an actor: the one wanted, or that with a number behind it.
create or replace function hub.free_handle(wanted text) returns text
language plpgsql stable set search_path = pg_catalog, public, hub as $$
declare
    base constant text := coalesce(hub.actor_handle(wanted), 'somebody');
    name text := base;
    number int := 1;
begin
    while hub.is_reserved_handle(name)
        or hub.handle_is_taken(name)
    loop
        number := number + 1;
        name := left(base, 29 - length(number::text)) || '_' || number;
    end loop;
    return name;
end
$$;

-- The parameter by its number: both tables have a column called name, which would win.
create or replace function hub.handle_is_taken(name text) returns boolean
language sql stable set search_path = pg_catalog, public, hub as $$
    select exists (select from public.ap_actors a where a.kind is not null and lower(a.preferred_username) = $1)
        or exists (select from hub.taken_handles t where t.handle_hash = hub.handle_hash($1))
        or exists (select from public.users u where lower(ltrim(u.handle, '@')) = $1)
$$;

-- Make the actor's row say what stands behind it. Gives the actor's id and whether it is new, changed, gone or the same;
-- no row where nothing is shown. `base` is the hub's address, `force` shows what is not shown by itself.
create or replace function hub.settle_actor(of_kind text, of_row uuid, base text, force boolean, wanted text default null)
returns table (id uuid, became text)
language plpgsql set search_path = pg_catalog, public, hub as $$
#variable_conflict use_column
declare
    it record;
    has public.ap_actors;
    new_id constant uuid := hub.uuid_v7();
    shown text;
    place text;
    uri text;
begin
    perform pg_advisory_xact_lock(hashtextextended(of_kind || of_row, 41));
    select * into it from hub.actor_subject(of_kind, of_row);
    select * into has from public.ap_actors a where a.kind = of_kind and a.row_id = of_row;
    if not found then
        has := null;
    end if;
    if it is null or not it.is_there or not (it.is_public or force or (has.id is not null and has.deleted_at is null
        and of_kind in ('tenant', 'agent')))
    then
        if has.id is null or has.deleted_at is not null then
            return;
        end if;
        -- Hidden is not gone: what is still there may be shown again. Whoever keeps its document is told.
        perform pg_notify('hub_actors', has.id::text);
        return query select has.id, case when it is null or not it.is_there then 'gone' else 'hidden' end;
        return;
    end if;
    if has.id is null then
        shown := case when of_kind = 'user' and lower(ltrim(it.handle, '@')) ~ '^[a-z0-9_]{1,30}$' and not exists (
                select from public.ap_actors a where a.kind is not null and lower(a.preferred_username) = lower(ltrim(it.handle, '@')))
            then lower(ltrim(it.handle, '@'))
            else hub.free_handle(coalesce(wanted, it.handle, it.name)) end;
        place := case it.type when 'Group' then '/ap/groups/' else '/ap/actors/' end;
        uri := base || place || new_id;
        insert into public.ap_actors (id, uri, type, preferred_username, host, name, summary, icon_url, url, inbox_url, shared_inbox_url,
            outbox_url, followers_url, following_url, featured_url, kind, row_id, user_id, published_at)
        values (new_id, uri, it.type, shown, lower(split_part(base, '/', 3)), it.name, it.summary, it.icon_url, base || '/@' || shown,
            uri || '/inbox', base || '/ap/inbox', uri || '/outbox', uri || '/followers', uri || '/following', uri || '/featured',
            of_kind, of_row, it.user_id, it.published_at);
        -- The name of an account is the one it is known by.
        update public.users u set handle = shown where of_kind = 'user' and u.id = of_row and u.handle is null;
        return query select new_id, 'new';
        return;
    end if;
    -- While nobody can know it by the name that it was given at first, it takes the one that its account chooses.
    shown := lower(ltrim(it.handle, '@'));
    if of_kind = 'user' and shown ~ '^[a-z0-9_]{1,30}$' and shown <> has.preferred_username
        and not exists (select from public.ap_activities x where x.actor_id = has.id)
        and not exists (select from public.follows f where f.local_actor_id = has.id)
        and not exists (select from public.ap_actors a where a.kind is not null and lower(a.preferred_username) = shown)
        and not exists (select from hub.taken_handles t where t.handle_hash = hub.handle_hash(shown))
    then
        update public.ap_actors a set preferred_username = shown, url = base || '/@' || shown where a.id = has.id;
    end if;
    update public.ap_actors a set name = it.name, summary = it.summary, icon_url = coalesce(it.icon_url, a.icon_url),
        version = greatest(a.version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint), deleted_at = null
    where a.id = has.id and (a.name, a.summary, coalesce(it.icon_url, a.icon_url), a.deleted_at)
        is distinct from (it.name, it.summary, a.icon_url, null);
    return query select has.id, case when found then 'changed' else 'same' end;
end
$$;

-- Whoever keeps actors' documents is told when one is not as it was.
create or replace function hub.actors_changed() returns trigger
language plpgsql as $$
begin
    perform pg_notify('hub_actors', coalesce(new.id, old.id)::text);
    return null;
end
$$;
drop trigger if exists actors_changed on public.ap_actors;
create trigger actors_changed after update or delete on public.ap_actors
    for each row when (old.kind is not null) execute function hub.actors_changed();
create or replace function hub.actor_keys_changed() returns trigger
language plpgsql as $$
begin
    if coalesce(new.secret_id, old.secret_id) is not null then
        perform pg_notify('hub_actors', coalesce(new.actor_id, old.actor_id)::text);
    end if;
    return null;
end
$$;
drop trigger if exists actor_keys_changed on public.ap_keys;
create trigger actor_keys_changed after insert or update or delete on public.ap_keys
    for each row execute function hub.actor_keys_changed();

-- The actor of another server that asks, by the claims of the request.
create or replace function hub.remote_actor() returns uuid
language sql stable parallel safe as $$
    select (auth.jwt() ->> 'actor_id')::uuid
$$;

-- Whether that actor may read what only followers of this account read, or of the actor in whose name it spoke.
drop function if exists hub.remote_follows(uuid);
create or replace function hub.remote_follows(account uuid, author uuid default null) returns boolean
language sql stable security definer set search_path = pg_catalog, public, hub as $$
    select exists (select from public.follows f where f.actor_id = hub.remote_actor()
        and case when author is null then f.owner_id = account else f.local_actor_id = author end
        and f.direction = 'in' and f.state = 'accepted')
$$;

create or replace function hub.remote_is_named(post uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, hub as $$
    select exists (select from public.post_audience a where a.post_id = post and a.actor_id = hub.remote_actor())
$$;
grant execute on function hub.remote_actor(), hub.remote_follows(uuid, uuid), hub.remote_is_named(uuid) to anon, authenticated, service_role;
grant execute on function hub.who_runs(text, uuid), hub.speaks_for(uuid, uuid), hub.actor_subject(text, uuid), hub.settle_actor(text, uuid, text, boolean, text), hub.free_handle(text),
    hub.handle_is_taken(text), hub.is_reserved_handle(text), hub.actor_handle(text), hub.actors_changed(), hub.actor_keys_changed() to service_role;
