-- Work: what rows of tasks and of shared projects do by themselves. Triggers called accept_… come before the link checks
-- (they run in order of name), so that a foreign word is already ours when a link is looked up.

-- Tasks ---------------------------------------------------------------------------------------------------------------

-- One vocabulary for tasks of any origin: `todo` is `pending`, nothing said is the default; `done` has its time.
create or replace function hub.tasks_accept() returns trigger
language plpgsql as $$
begin
    new.status := case new.status when 'todo' then 'pending' else coalesce(new.status, 'pending') end;
    new.priority := coalesce(new.priority, 'medium');
    new.task_type := coalesce(new.task_type, 'one_time');
    if new.status = 'done' then
        new.completed_at := coalesce(new.completed_at, now());
    elsif tg_op = 'INSERT' or old.status = 'done' then
        new.completed_at := null;
    end if;
    return new;
end
$$;
drop trigger if exists accept_words on public.tasks;
create trigger accept_words before insert or update on public.tasks
    for each row execute function hub.tasks_accept();

-- No task is above itself or waits for itself. Two sessions of one owner that tie such a knot together take turns.
create or replace function hub.tasks_refuse_cycles() returns trigger
language plpgsql as $$
declare
    tied text;
begin
    if new.parent_task_id is null and coalesce(cardinality(new.dependencies), 0) = 0 then
        return new;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('tasks.cycles:' || new.owner_id, 0));
    if new.parent_task_id is not null then
        with recursive above (id) as (
            select new.parent_task_id
            union
            select t.parent_task_id from above a join public.tasks t on t.owner_id = new.owner_id and t.id = a.id
            where t.parent_task_id is not null
        )
        select 'parent_task_id' into tied from above where id = new.id;
    end if;
    if tied is null and cardinality(new.dependencies) > 0 then
        with recursive before (id) as (
            select unnest(new.dependencies)
            union
            select d.id from before b join public.tasks t on t.owner_id = new.owner_id and t.id = b.id
            cross join lateral unnest(t.dependencies) as d (id)
        )
        select 'dependencies' into tied from before where id = new.id;
    end if;
    if tied is not null then
        raise exception using errcode = '23514', schema = 'public', table = 'tasks',
            constraint = 'tasks_' || tied || '_has_no_cycle',
            message = format('new row for relation "tasks" violates check constraint "%s"', 'tasks_' || tied || '_has_no_cycle'),
            detail = 'The task would lead back to itself.';
    end if;
    return new;
end
$$;
drop trigger if exists tasks_refuse_cycles on public.tasks;
create trigger tasks_refuse_cycles before insert or update of parent_task_id, dependencies on public.tasks
    for each row execute function hub.tasks_refuse_cycles();

create or replace function hub.time_blocks_measure() returns trigger
language plpgsql as $$
begin
    -- A block that ends before it starts, or has no end, is left to the constraint that says so.
    new.duration_minutes := greatest(0, coalesce(round(extract(epoch from new.end_time - new.start_time) / 60), 0));
    return new;
end
$$;
drop trigger if exists time_blocks_measure on public.time_blocks;
create trigger time_blocks_measure before insert or update on public.time_blocks
    for each row execute function hub.time_blocks_measure();

-- Shared projects: who ------------------------------------------------------------------------------------------------

-- The cards of the caller, and those of everybody he shares a project with.
create or replace function hub.my_actors() returns setof uuid
language sql stable security definer set search_path = pg_catalog, public, hub as $$
    select a.id from public.onto_actors a where a.user_id = auth.uid()
$$;
create or replace function hub.fellow_actors() returns setof uuid
language sql stable security definer set search_path = pg_catalog, public, hub as $$
    select m.actor_id from public.onto_project_members m where m.project_id in (select hub.my_sets('project'))
$$;
grant execute on function hub.my_actors(), hub.fellow_actors() to anon, authenticated, service_role;

-- The founder is the first member, as owner.
create or replace function hub.onto_projects_found() returns trigger
language plpgsql as $$
begin
    insert into public.onto_actors (created_by, user_id, kind, name)
    values (new.created_by, new.created_by, 'user',
        coalesce((select nullif(p.full_name, '') from public.profiles p where p.id = new.created_by), 'Founder'))
    on conflict (created_by, user_id) where user_id is not null do nothing;
    insert into public.onto_project_members (project_id, actor_id, role_key, access)
    select new.id, a.id, 'owner', 'admin' from public.onto_actors a
    where a.created_by = new.created_by and a.user_id = new.created_by;
    return null;
end
$$;
drop trigger if exists onto_projects_found on public.onto_projects;
create trigger onto_projects_found after insert on public.onto_projects
    for each row execute function hub.onto_projects_found();

-- What a client never changes: who made a row, whose card a card is. Opening a project or giving it to an organisation is
-- for its owners, though every member may work on it.
create or replace function hub.onto_keep() returns trigger
language plpgsql as $$
begin
    if current_user <> 'authenticated' then
        return new;
    end if;
    if new.created_by is distinct from old.created_by then
        raise exception 'created_by never changes' using errcode = '42501', schema = 'public', table = tg_table_name, column = 'created_by';
    end if;
    if tg_table_name = 'onto_actors' then
        if new.user_id is distinct from old.user_id then
            raise exception 'user_id never changes' using errcode = '42501', schema = 'public', table = tg_table_name, column = 'user_id';
        end if;
    elsif tg_table_name = 'onto_projects' then
        if (new.is_public is distinct from old.is_public or new.org_id is distinct from old.org_id)
            and not new.id in (select hub.my_sets('project', '{owner}'))
        then
            raise exception 'only owners open a project or give it to an organisation'
                using errcode = '42501', schema = 'public', table = tg_table_name;
        end if;
    end if;
    return new;
end
$$;
drop trigger if exists onto_keep on public.onto_projects;
create trigger onto_keep before update on public.onto_projects for each row execute function hub.onto_keep();
drop trigger if exists onto_keep on public.onto_actors;
create trigger onto_keep before update on public.onto_actors for each row execute function hub.onto_keep();
drop trigger if exists onto_keep on public.onto_tasks;
create trigger onto_keep before update on public.onto_tasks for each row execute function hub.onto_keep();
drop trigger if exists onto_keep on public.onto_events;
create trigger onto_keep before update on public.onto_events for each row execute function hub.onto_keep();
drop trigger if exists onto_keep on public.onto_comments;
create trigger onto_keep before update on public.onto_comments for each row execute function hub.onto_keep();

-- Shared projects: states ---------------------------------------------------------------------------------------------

-- States follow the template of the entity's type; a type without one is free. Arguments: the kind's name in templates and
-- the state of a new entity where no template says another.
create or replace function hub.onto_follow_template() returns trigger
language plpgsql as $$
declare
    of_type constant text := coalesce(to_jsonb(new) ->> 'type_key', 'default');
    template public.onto_templates;
    rule constant text := tg_table_name || '_state_key_follows_template';
    broken text;
begin
    if tg_op = 'UPDATE' and new.state_key is not distinct from old.state_key
        and of_type = coalesce(to_jsonb(old) ->> 'type_key', 'default')
    then
        return new;
    end if;
    select t.* into template from public.onto_templates t where t.kind = tg_argv[0] and t.type_key = of_type and t.is_active;
    if not found then
        if tg_op = 'INSERT' then
            new.state_key := coalesce(new.state_key, tg_argv[1]);
        end if;
        return new;
    end if;
    if tg_op = 'INSERT' then
        new.state_key := coalesce(new.state_key, template.initial_state);
        if to_jsonb(new) ? 'props' then
            new := jsonb_populate_record(new, jsonb_build_object('props',
                case when jsonb_typeof(to_jsonb(new) -> 'props') = 'object'
                    then template.default_props || (to_jsonb(new) -> 'props') else to_jsonb(new) -> 'props' end));
        end if;
        -- Facets the entity has and nobody filled in.
        new := jsonb_populate_record(new, coalesce((
            select jsonb_object_agg(f.key, f.value) from jsonb_each(template.default_facets) f
            where f.key in ('facet_context', 'facet_scale', 'facet_stage')
                and to_jsonb(new) -> f.key = 'null'), '{}'));
    end if;
    if not new.state_key = any (template.states) then
        broken := format('A %s of type %s has no state %s.', tg_argv[0], of_type, new.state_key);
    elsif tg_op = 'UPDATE' and new.state_key <> old.state_key
        and of_type = coalesce(to_jsonb(old) ->> 'type_key', 'default')
        and not coalesce(template.transitions -> old.state_key, '[]') ? new.state_key
    then
        broken := format('A %s of type %s does not go from %s to %s.', tg_argv[0], of_type, old.state_key, new.state_key);
    end if;
    if broken is not null then
        raise exception using errcode = '23514', schema = 'public', table = tg_table_name, column = 'state_key', constraint = rule,
            message = format('new row for relation "%s" violates check constraint "%s"', tg_table_name, rule),
            detail = broken;
    end if;
    return new;
end
$$;
drop trigger if exists onto_follow_template on public.onto_projects;
create trigger onto_follow_template before insert or update on public.onto_projects
    for each row execute function hub.onto_follow_template('project', 'planning');
drop trigger if exists onto_follow_template on public.onto_tasks;
create trigger onto_follow_template before insert or update on public.onto_tasks
    for each row execute function hub.onto_follow_template('task', 'todo');
drop trigger if exists onto_follow_template on public.onto_goals;
create trigger onto_follow_template before insert or update on public.onto_goals
    for each row execute function hub.onto_follow_template('goal', 'draft');
drop trigger if exists onto_follow_template on public.onto_plans;
create trigger onto_follow_template before insert or update on public.onto_plans
    for each row execute function hub.onto_follow_template('plan', 'draft');
drop trigger if exists onto_follow_template on public.onto_documents;
create trigger onto_follow_template before insert or update on public.onto_documents
    for each row execute function hub.onto_follow_template('document', 'draft');
drop trigger if exists onto_follow_template on public.onto_milestones;
create trigger onto_follow_template before insert or update on public.onto_milestones
    for each row execute function hub.onto_follow_template('milestone', 'pending');
drop trigger if exists onto_follow_template on public.onto_events;
create trigger onto_follow_template before insert or update on public.onto_events
    for each row execute function hub.onto_follow_template('event', 'scheduled');

-- Named to come after the template, which may give the first state.
create or replace function hub.onto_tasks_complete() returns trigger
language plpgsql as $$
begin
    if new.state_key = 'done' then
        new.completed_at := coalesce(new.completed_at, now());
    elsif tg_op = 'INSERT' or old.state_key = 'done' then
        new.completed_at := null;
    end if;
    return new;
end
$$;
drop trigger if exists onto_tasks_complete on public.onto_tasks;
create trigger onto_tasks_complete before insert or update on public.onto_tasks
    for each row execute function hub.onto_tasks_complete();

-- Shared projects: edges and comments ---------------------------------------------------------------------------------

create or replace function hub.onto_kind(word text) returns text
language sql immutable as $$
    select case when word in ('project', 'task', 'goal', 'plan', 'document', 'milestone', 'event', 'comment', 'actor')
        then 'onto_' || word || 's' else word end
$$;
grant execute on function hub.onto_kind(text) to authenticated, service_role;

create or replace function hub.onto_edges_accept() returns trigger
language plpgsql as $$
begin
    new.src_kind := hub.onto_kind(new.src_kind);
    new.dst_kind := hub.onto_kind(new.dst_kind);
    return new;
end
$$;
drop trigger if exists accept_words on public.onto_edges;
create trigger accept_words before insert or update on public.onto_edges
    for each row execute function hub.onto_edges_accept();

create or replace function hub.onto_comments_accept() returns trigger
language plpgsql as $$
begin
    new.entity_type := hub.onto_kind(new.entity_type);
    return new;
end
$$;
drop trigger if exists accept_words on public.onto_comments;
create trigger accept_words before insert or update on public.onto_comments
    for each row execute function hub.onto_comments_accept();

-- What belongs to a project is linked within that project; one of another project is as good as missing.
-- Arguments: pairs of the column with the id and the column with the kind.
create or replace function hub.onto_stay_in_project() returns trigger
language plpgsql as $$
declare
    pair integer;
    linked uuid;
    kind text;
    home uuid;
begin
    for pair in 0 .. tg_nargs / 2 - 1 loop
        linked := (to_jsonb(new) ->> tg_argv[2 * pair])::uuid;
        kind := to_jsonb(new) ->> tg_argv[2 * pair + 1];
        if kind = 'onto_projects' then
            home := linked;
        elsif kind in ('onto_tasks', 'onto_goals', 'onto_plans', 'onto_documents', 'onto_milestones', 'onto_events', 'onto_comments') then
            execute format('select project_id from public.%I where id = $1', kind) into home using linked;
        else
            continue;
        end if;
        if home is distinct from new.project_id then
            raise exception using errcode = '23503', schema = 'public', table = tg_table_name,
                constraint = tg_table_name || '_' || tg_argv[2 * pair] || '_fkey',
                message = format('insert or update on table "%s" violates foreign key constraint "%s"',
                    tg_table_name, tg_table_name || '_' || tg_argv[2 * pair] || '_fkey'),
                detail = format('Key (%s)=(%s) is not present in table "%s".', tg_argv[2 * pair], linked, kind);
        end if;
    end loop;
    return new;
end
$$;
drop trigger if exists onto_stay_in_project on public.onto_edges;
create trigger onto_stay_in_project before insert or update on public.onto_edges
    for each row execute function hub.onto_stay_in_project('src_id', 'src_kind', 'dst_id', 'dst_kind');
drop trigger if exists onto_stay_in_project on public.onto_comments;
create trigger onto_stay_in_project before insert or update on public.onto_comments
    for each row execute function hub.onto_stay_in_project('entity_id', 'entity_type');

-- An entity takes its edges and comments with it, as far as they are the caller's to take.
create or replace function hub.onto_leave() returns trigger
language plpgsql as $$
begin
    delete from public.onto_edges where src_id = old.id or dst_id = old.id;
    delete from public.onto_comments where entity_id = old.id and entity_type = tg_table_name;
    return null;
end
$$;
drop trigger if exists onto_leave on public.onto_tasks;
create trigger onto_leave after delete on public.onto_tasks for each row execute function hub.onto_leave();
drop trigger if exists onto_leave on public.onto_goals;
create trigger onto_leave after delete on public.onto_goals for each row execute function hub.onto_leave();
drop trigger if exists onto_leave on public.onto_plans;
create trigger onto_leave after delete on public.onto_plans for each row execute function hub.onto_leave();
drop trigger if exists onto_leave on public.onto_documents;
create trigger onto_leave after delete on public.onto_documents for each row execute function hub.onto_leave();
drop trigger if exists onto_leave on public.onto_milestones;
create trigger onto_leave after delete on public.onto_milestones for each row execute function hub.onto_leave();
drop trigger if exists onto_leave on public.onto_events;
create trigger onto_leave after delete on public.onto_events for each row execute function hub.onto_leave();
