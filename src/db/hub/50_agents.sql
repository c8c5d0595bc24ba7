-- Agents: what their rows do by themselves. Numbers that a client may not write (how many messages, steps, agents) are
-- counted anew whenever their row is written; whoever changes what is counted touches that row, as himself.

-- An agent keeps its name, and only members bring one into a DAO.
create or replace function hub.agents_keep() returns trigger
language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.external_id is distinct from old.external_id then
        raise exception using errcode = '23514', schema = 'public', table = 'agents', column = 'external_id',
            constraint = 'agents_external_id_lasts',
            message = 'new row for relation "agents" violates check constraint "agents_external_id_lasts"',
            detail = 'An agent keeps its external id.';
    end if;
    if current_user = 'authenticated' and new.dao_id is not null
        and (tg_op = 'INSERT' or new.dao_id is distinct from old.dao_id)
        and not new.dao_id in (select hub.my_sets('dao', '{owner,admin,member}'))
    then
        raise exception 'only members bring an agent into a DAO'
            using errcode = '42501', schema = 'public', table = 'agents', column = 'dao_id';
    end if;
    return new;
end
$$;
drop trigger if exists agents_keep on public.agents;
create trigger agents_keep before insert or update on public.agents
    for each row execute function hub.agents_keep();

-- An agent is allowed no more than the connection itself was granted.
create or replace function hub.agent_integration_permissions_bound() returns trigger
language plpgsql as $$
declare
    granted jsonb;
begin
    select c.scopes_granted into granted from public.user_integration_credentials c
    where c.user_id = new.owner_id and c.id = new.connection_id;
    if jsonb_typeof(granted) = 'array' and not granted @> new.allowed_scopes then
        raise exception using errcode = '23514', schema = 'public', table = 'agent_integration_permissions',
            column = 'allowed_scopes', constraint = 'agent_integration_permissions_allowed_scopes_granted',
            message = 'new row for relation "agent_integration_permissions" violates check constraint "agent_integration_permissions_allowed_scopes_granted"',
            detail = 'The connection itself was not granted all of these.';
    end if;
    return new;
end
$$;
drop trigger if exists agent_integration_permissions_bound on public.agent_integration_permissions;
create trigger agent_integration_permissions_bound before insert or update on public.agent_integration_permissions
    for each row execute function hub.agent_integration_permissions_bound();

-- Chat sessions -------------------------------------------------------------------------------------------------------

-- The project or task a chat is about is the person's own or a shared one; what the caller can't see does not exist.
create or replace function hub.chat_sessions_context() returns trigger
language plpgsql as $$
declare
    seen boolean := true;
begin
    if new.entity_id is null
        or (tg_op = 'UPDATE' and (new.entity_id, new.context_type) is not distinct from (old.entity_id, old.context_type))
    then
        return new;
    end if;
    if new.context_type = 'project' then
        seen := exists (select from public.projects p where p.user_id = new.user_id and p.id = new.entity_id)
            or exists (select from public.onto_projects p where p.id = new.entity_id);
    elsif new.context_type = 'task' then
        seen := exists (select from public.tasks t where t.owner_id = new.user_id and t.id = new.entity_id)
            or exists (select from public.onto_tasks t where t.id = new.entity_id);
    end if;
    if not seen then
        raise exception using errcode = '23503', schema = 'public', table = 'chat_sessions',
            constraint = 'chat_sessions_entity_id_fkey',
            message = 'insert or update on table "chat_sessions" violates foreign key constraint "chat_sessions_entity_id_fkey"',
            detail = format('Key (entity_id)=(%s) is not present in table "%s".', new.entity_id, new.context_type || 's');
    end if;
    return new;
end
$$;
drop trigger if exists chat_sessions_context on public.chat_sessions;
create trigger chat_sessions_context before insert or update on public.chat_sessions
    for each row execute function hub.chat_sessions_context();

create or replace function hub.chat_sessions_count() returns trigger
language plpgsql as $$
begin
    select count(*), coalesce(sum(coalesce(m.prompt_tokens, 0) + coalesce(m.completion_tokens, 0)), 0)
    into new.message_count, new.total_tokens_used
    from public.chat_messages m where m.user_id = new.user_id and m.session_id = new.id;
    return new;
end
$$;
drop trigger if exists chat_sessions_count on public.chat_sessions;
create trigger chat_sessions_count before update on public.chat_sessions
    for each row execute function hub.chat_sessions_count();

create or replace function hub.chat_messages_counted() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update public.chat_sessions s set title = s.title where s.id in (select c.session_id from changed c);
    elsif tg_op = 'DELETE' then
        update public.chat_sessions s set title = s.title where s.id in (select b.session_id from before b);
    else
        update public.chat_sessions s set title = s.title
        where s.id in (select c.session_id from changed c union select b.session_id from before b);
    end if;
    return null;
end
$$;
drop trigger if exists chat_messages_counted_insert on public.chat_messages;
create trigger chat_messages_counted_insert after insert on public.chat_messages
    referencing new table as changed for each statement execute function hub.chat_messages_counted();
drop trigger if exists chat_messages_counted_update on public.chat_messages;
create trigger chat_messages_counted_update after update on public.chat_messages
    referencing new table as changed old table as before for each statement execute function hub.chat_messages_counted();
drop trigger if exists chat_messages_counted_delete on public.chat_messages;
create trigger chat_messages_counted_delete after delete on public.chat_messages
    referencing old table as before for each statement execute function hub.chat_messages_counted();

-- Tasks and their steps -----------------------------------------------------------------------------------------------

-- The count of steps, and the end of a task that has run as often as it should.
create or replace function hub.agent_tasks_count() returns trigger
language plpgsql as $$
begin
    select greatest(count(*), 1) into new.step_count
    from public.task_steps s where s.owner_id = new.user_id and s.task_id = new.id;
    if new.status = 'active' and new.total_executions > old.total_executions
        and new.total_executions >= new.max_executions
    then
        new.status := 'completed';
    end if;
    return new;
end
$$;
drop trigger if exists agent_tasks_count on public.agent_tasks;
create trigger agent_tasks_count before update on public.agent_tasks
    for each row execute function hub.agent_tasks_count();

create or replace function hub.task_steps_counted() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update public.agent_tasks t set name = t.name where t.id in (select c.task_id from changed c);
    elsif tg_op = 'DELETE' then
        update public.agent_tasks t set name = t.name where t.id in (select b.task_id from before b);
    else
        update public.agent_tasks t set name = t.name
        where t.id in (
            select coalesce(c.task_id, b.task_id) from changed c full join before b on b.task_id = c.task_id
            where b.task_id is null or c.task_id is null);
    end if;
    return null;
end
$$;
drop trigger if exists task_steps_counted_insert on public.task_steps;
create trigger task_steps_counted_insert after insert on public.task_steps
    referencing new table as changed for each statement execute function hub.task_steps_counted();
drop trigger if exists task_steps_counted_update on public.task_steps;
create trigger task_steps_counted_update after update on public.task_steps
    referencing new table as changed old table as before for each statement execute function hub.task_steps_counted();
drop trigger if exists task_steps_counted_delete on public.task_steps;
create trigger task_steps_counted_delete after delete on public.task_steps
    referencing old table as before for each statement execute function hub.task_steps_counted();

-- Documents and their agents ------------------------------------------------------------------------------------------

create or replace function hub.media_library_count_agents() returns trigger
language plpgsql as $$
begin
    select count(distinct a.agent_id) into new.assigned_agents_count
    from public.agent_media_assignments a where a.owner_id = new.user_id and a.media_id = new.id;
    return new;
end
$$;
drop trigger if exists media_library_count_agents on public.media_library;
create trigger media_library_count_agents before update on public.media_library
    for each row execute function hub.media_library_count_agents();

create or replace function hub.agent_media_assignments_counted() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update public.media_library m set display_name = m.display_name where m.id in (select c.media_id from changed c);
    elsif tg_op = 'DELETE' then
        update public.media_library m set display_name = m.display_name where m.id in (select b.media_id from before b);
    else
        update public.media_library m set display_name = m.display_name
        where m.id in (select c.media_id from changed c union select b.media_id from before b);
    end if;
    return null;
end
$$;
drop trigger if exists agent_media_assignments_counted_insert on public.agent_media_assignments;
create trigger agent_media_assignments_counted_insert after insert on public.agent_media_assignments
    referencing new table as changed for each statement execute function hub.agent_media_assignments_counted();
drop trigger if exists agent_media_assignments_counted_update on public.agent_media_assignments;
create trigger agent_media_assignments_counted_update after update on public.agent_media_assignments
    referencing new table as changed old table as before for each statement execute function hub.agent_media_assignments_counted();
drop trigger if exists agent_media_assignments_counted_delete on public.agent_media_assignments;
create trigger agent_media_assignments_counted_delete after delete on public.agent_media_assignments
    referencing old table as before for each statement execute function hub.agent_media_assignments_counted();

-- Cost ----------------------------------------------------------------------------------------------------------------

-- The day's sum grows with each call. An imported log brings its own day.
create or replace function hub.llm_usage_logs_sum() returns trigger
language plpgsql as $$
begin
    insert into public.llm_usage_summary as s (user_id, summary_date, total_requests, total_tokens, total_cost_usd)
    values (new.user_id, (new.created_at at time zone 'UTC')::date, 1, new.total_tokens, new.total_cost_usd)
    on conflict (user_id, summary_date) do update set
        total_requests = s.total_requests + 1,
        total_tokens = s.total_tokens + excluded.total_tokens,
        total_cost_usd = s.total_cost_usd + excluded.total_cost_usd;
    return null;
end
$$;
drop trigger if exists llm_usage_logs_sum on public.llm_usage_logs;
create trigger llm_usage_logs_sum after insert on public.llm_usage_logs
    for each row execute function hub.llm_usage_logs_sum();
