-- Who is asking, as Supabase names it. Every request sets these for its own transaction; outside one they are empty.
-- auth.uid() and auth.tenant_id() stand in the first migration, because columns default to them.

create or replace function auth.role() returns text
language sql stable parallel safe as $$
    select nullif(current_setting('request.jwt.claim.role', true), '')
$$;

-- developer | admin | user: the seeds' `auth.jwt() ->> 'role'`.
create or replace function auth.app_role() returns text
language sql stable parallel safe as $$
    select nullif(current_setting('request.jwt.claim.user_role', true), '')
$$;

create or replace function auth.jwt() returns jsonb
language sql stable parallel safe as $$
    select nullif(current_setting('request.jwt.claims', true), '')::jsonb
$$;

-- What a session may say of itself; null when it is revoked, over or idle for long, or its account banned or deleted.
-- In plpgsql, which keeps its plan: every request asks this, and planning it anew would cost more than the rest of entering.
drop function if exists hub.session_claims(uuid);
create function hub.session_claims(session uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, public, hub as $$
declare
    claims jsonb;
begin
    select jsonb_build_object(
        'sub', s.user_id,
        'session_id', s.id,
        'role', s.role,
        'aal', s.aal,
        'user_role', p.role,
        'tenant_id', p.organization_id)
        -- What a program is called in the audit log.
        || case when s.role = 'service_role' then jsonb_build_object('name', s.name) else '{}' end
    into claims
    from hub.sessions s
    left join public.users u on u.id = s.user_id
    left join public.user_profile p on p.user_id = s.user_id
    where s.id = session and (s.expires_at is null or s.expires_at > now())
        and (s.user_id is null or (s.refreshed_at > now() - interval '14 days'
            and u.id is not null and u.deleted_at is null and (u.banned_until is null or u.banned_until <= now())));
    return claims;
end
$$;

-- Accounts that are closed: nothing of theirs is public.
create or replace function hub.closed_accounts() returns setof uuid
language plpgsql stable security definer rows 10 set search_path = pg_catalog, hub as $$
begin
    return query select c.user_id from hub.closed_accounts c;
end
$$;

-- Whether an account belongs to the caller's tenant.
create or replace function hub.same_tenant(other uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, hub as $$
    select exists (
        select from public.user_profile p
        where p.user_id = other and p.organization_id = auth.tenant_id())
$$;

-- The ids of the sets the caller belongs to: with roles, only where he has one of them.
create or replace function hub.my_sets(kind_of_set text, roles text[] default null) returns setof uuid
language plpgsql stable security definer set search_path = pg_catalog, public, hub as $$
begin
    case kind_of_set
    when 'dao' then
        return query select m.dao_id from public.dao_members m
            where m.user_id = auth.uid() and (roles is null or m.role = any (roles));
    when 'channel' then
        return query select m.channel_id from public.channel_members m
            where m.member_user_id = auth.uid() and m.left_at is null and (roles is null or m.role = any (roles));
    when 'workspace' then
        return query select m.workspace_id from public.workspace_members m
            where m.user_id = auth.uid() and (roles is null or m.role = any (roles));
    when 'project' then
        return query select m.project_id from public.onto_project_members m
            join public.onto_actors a on a.id = m.actor_id
            where a.user_id = auth.uid() and (roles is null or m.role_key = any (roles));
    else
        raise exception 'no such set: %', kind_of_set;
    end case;
end
$$;

-- Whom a link may name: oneself, the people of one's tenant, and whoever's profile one can see. The hub and a developer may
-- name everybody; whether there is such an account is then the foreign key's question.
create or replace function hub.can_name_user(person uuid) returns boolean
language sql stable set search_path = pg_catalog, public, hub as $$
    select person = auth.uid() or auth.role() = 'service_role' or auth.app_role() is not distinct from 'developer'
        or hub.same_tenant(person) or exists (select from public.profiles p where p.id = person)
$$;
