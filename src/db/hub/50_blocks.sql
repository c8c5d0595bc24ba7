-- Between actors: who has blocked whom, and whether somebody is to hear of what another does.

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
language sql stable set search_path = pg_catalog, hub, public as $$
    select exists (select from hub.blocked_with(local_actor) b (id) where b.id = other_actor)
$$;

-- Whether somebody is to hear of what an actor does: not where one has blocked the other, not while he has muted him, and of
-- an actor who is limited here only if he follows him.
create or replace function hub.hears_of(person uuid, actor uuid) returns boolean
language plpgsql stable set search_path = pg_catalog, hub, public as $$
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
