-- Whom the hub has to do with: rules for servers, who has blocked whom, and whether somebody is to hear of what another does.

-- The names that a rule for a server may stand under: its own with its port, without it, and those of the domains above.
create or replace function hub.domains_above(host text) returns text[]
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
declare
    parts constant text[] := string_to_array(rtrim(regexp_replace(lower(host), ':[0-9]+$', ''), '.'), '.');
    above text[] := array[lower(rtrim(host, '.'))];
begin
    for nth in 1..cardinality(parts) loop
        above := above || array_to_string(parts[nth:], '.');
    end loop;
    return above;
end
$$;

-- open | allowlist | off, as the hub was last started.
create or replace function hub.federation_mode() returns text
language plpgsql stable set search_path = pg_catalog, hub as $$
declare
    mode text;
begin
    select s.value #>> '{}' into mode from hub.settings s where s.name = 'federation_mode';
    return coalesce(mode, 'open');
end
$$;

-- The rule that holds for a server: its own or that of the nearest domain above it, as long as it has not run out. Where only
-- servers that are named take part, any other is as good as blocked (S-153). Its plans are kept: planning them anew costs
-- several times what they do, and everything that comes in or goes out asks.
create or replace function hub.host_policy(host text) returns public.ap_domains
language plpgsql stable set search_path = pg_catalog, hub, public set plan_cache_mode = force_generic_plan as $$
declare
    mode constant text := hub.federation_mode();
    above constant text[] := hub.domains_above(host);
    rule public.ap_domains;
begin
    if mode = 'off' or (mode = 'allowlist' and not exists (select from ap_domains d
        where d.domain = any (above) and (d.expires_at is null or d.expires_at > now()) and d.policy = 'allow'))
    then
        return jsonb_populate_record(null::ap_domains, jsonb_build_object('domain', host, 'policy', 'block'));
    end if;
    select d.* into rule from ap_domains d
    where d.domain = any (above) and (d.expires_at is null or d.expires_at > now())
    order by length(d.domain) desc limit 1;
    return rule;
end
$$;

-- The same for many at once: each server once, with the rule that holds for it, if any. Most hubs have few rules or none.
create or replace function hub.policies(hosts text[]) returns table (host text, policy text)
language plpgsql stable set search_path = pg_catalog, hub, public set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    if hub.federation_mode() = 'open' and not exists (select from ap_domains) then
        return query select distinct h.host, null::text from unnest(hosts) h (host);
    else
        return query select h.host, (hub.host_policy(h.host)).policy from (select distinct u.host from unnest(hosts) u (host)) h;
    end if;
end
$$;

-- Whom an actor of this hub has nothing to do with: whom his account has blocked, and who has blocked him.
create or replace function hub.blocked_with(local_actor uuid) returns setof uuid
language sql stable rows 10 set search_path = pg_catalog, hub, public as $$
    select b.actor_id from blocks b join ap_actors me on me.kind = 'user' and me.row_id = b.owner_id where me.id = local_actor
    union all
    select them.id from blocks b join ap_actors them on them.kind = 'user' and them.row_id = b.owner_id where b.actor_id = local_actor
    union all
    select b.actor_id from hub.blocked_by b where b.local_actor_id = local_actor
$$;

-- Whether one of two has blocked the other; the first is of this hub.
create or replace function hub.is_blocked_between(local_actor uuid, other_actor uuid) returns boolean
language plpgsql stable set search_path = pg_catalog, hub, public set plan_cache_mode = force_generic_plan as $$
begin
    return exists (select from blocks b join ap_actors me on me.kind = 'user' and me.row_id = b.owner_id
            where me.id = local_actor and b.actor_id = other_actor)
        or exists (select from blocks b join ap_actors them on them.kind = 'user' and them.row_id = b.owner_id
            where b.actor_id = local_actor and them.id = other_actor)
        or exists (select from hub.blocked_by b where b.local_actor_id = local_actor and b.actor_id = other_actor);
end
$$;

-- Whether somebody is to hear of what an actor does: not where one has blocked the other, not while he has muted him, and of
-- an actor who is limited here only if he follows him.
create or replace function hub.hears_of(person uuid, actor uuid) returns boolean
language plpgsql stable set search_path = pg_catalog, hub, public set plan_cache_mode = force_generic_plan as $$
begin
    return not exists (select from mutes m where m.owner_id = person and m.actor_id = actor and m.hide_notifications
            and (m.expires_at is null or m.expires_at > now()))
        and not exists (select from ap_actors me where me.kind = 'user' and me.row_id = person and hub.is_blocked_between(me.id, actor))
        and not exists (select from blocks b where b.owner_id = person and b.actor_id = actor)
        and not exists (select from ap_actors a where a.id = actor and (a.suspended_at is not null
            or ((a.silenced_at is not null or (a.kind is null and (hub.host_policy(a.host)).policy in ('limit', 'block')))
                and not exists (select from follows f where f.owner_id = person and f.actor_id = a.id
                    and f.direction = 'out' and f.state = 'accepted'))));
end
$$;

-- Whom the caller has blocked, or muted for now; and those of them who have an account here. Uncorrelated, so that a policy asks
-- once for all rows.
create or replace function hub.shunned_actors() returns setof uuid
language sql stable security definer rows 10 set search_path = pg_catalog, public, hub as $$
    select b.actor_id from blocks b where b.owner_id = auth.uid()
    union all
    select m.actor_id from mutes m where m.owner_id = auth.uid() and (m.expires_at is null or m.expires_at > now())
$$;
create or replace function hub.shunned_accounts() returns setof uuid
language sql stable security definer rows 10 set search_path = pg_catalog, public, hub as $$
    select a.row_id from hub.shunned_actors() s join ap_actors a on a.id = s where a.kind = 'user' and a.row_id is not null
$$;
