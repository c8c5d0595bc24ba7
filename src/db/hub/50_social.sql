-- Posts and reports; and the steps of states, which the rooms to the right use as well.

-- A state goes only where its table lets it. Arguments: the column; every state with those that may follow it, as JSON; the
-- states that a client may begin with. A word that is no state at all is left to the column's own list; no word is the first.
create or replace function hub.step_state() returns trigger
language plpgsql as $$
declare
    states constant jsonb := tg_argv[1];
    beginnings constant text[] := tg_argv[2];
    rule constant text := tg_table_name || '_' || tg_argv[0] || '_steps';
    wanted constant text := coalesce(to_jsonb(new) ->> tg_argv[0], beginnings[1]);
    had text;
    broken text;
begin
    if not states ? wanted then
        return new;
    end if;
    if tg_op = 'INSERT' then
        if current_user = 'authenticated' and not wanted = any (beginnings) then
            broken := format('It does not begin as %s.', wanted);
        end if;
    else
        had := coalesce(to_jsonb(old) ->> tg_argv[0], beginnings[1]);
        if wanted <> had and not coalesce(states -> had, '[]') ? wanted then
            broken := format('It does not go from %s to %s.', had, wanted);
        end if;
    end if;
    if broken is not null then
        raise exception using errcode = '23514', schema = 'public', table = tg_table_name, column = tg_argv[0], constraint = rule,
            message = format('new row for relation "%s" violates check constraint "%s"', tg_table_name, rule),
            detail = broken;
    end if;
    return new;
end
$$;

-- Columns, given as arguments, that no client changes once the row is there.
create or replace function hub.keep_columns() returns trigger
language plpgsql as $$
declare
    kept text;
begin
    if current_user = 'authenticated' then
        foreach kept in array tg_argv loop
            if to_jsonb(new) -> kept is distinct from to_jsonb(old) -> kept then
                raise exception '% never changes', kept
                    using errcode = '42501', schema = 'public', table = tg_table_name, column = kept;
            end if;
        end loop;
    end if;
    return new;
end
$$;

-- Each change of what an own post says is a new version, which stays above the old even on a restored backup.
create or replace function hub.posts_version() returns trigger
language plpgsql as $$
begin
    new.version := greatest(old.version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint);
    if (new.title, new.content, new.summary, new.attachments) is distinct from (old.title, old.content, old.summary, old.attachments) then
        new.edited_at := now();
    end if;
    return new;
end
$$;
drop trigger if exists posts_version on public.posts;
create trigger posts_version
    before update of title, content, summary, language, sensitive, attachments, tags, visibility, recipients on public.posts
    for each row when (new.owner_id is not null) execute function hub.posts_version();

create or replace function hub.reports_handled() returns trigger
language plpgsql as $$
begin
    new.handled_by := case when new.status <> 'open' then auth.uid() end;
    new.handled_at := case when new.status <> 'open' then now() end;
    return new;
end
$$;
drop trigger if exists reports_handled on public.reports;
create trigger reports_handled before update of status on public.reports
    for each row when (new.status <> old.status) execute function hub.reports_handled();
drop trigger if exists reports_keep on public.reports;
create trigger reports_keep before update on public.reports
    for each row execute function hub.keep_columns('owner_id', 'target_actor_id', 'objects', 'reason');

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
