-- Agents: who acts without being a person, what each of them may use (connections, stores, documents, tools), what they
-- were told to do and when, what they said, and what it cost. An agent belongs to a person, serves a DAO, or is the hub's
-- own; whatever hangs on it belongs to the person who hung it there.

create table agent_blueprints (
    id uuid primary key default hub.uuid_v7(),
    code text not null,
    description text,
    model text not null,
    capabilities jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_blueprints_code_key unique (code)
);
comment on column agent_blueprints.capabilities is 'Tools and permissions that an agent of this make can have.';
select hub.register_kind('agent_blueprints', domain => 'agents', scope => 'catalogue',
    title => 'code', text_columns => '{code,description}');

create table agents (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid default auth.uid() references users (id) on delete cascade,
    dao_id uuid references daos (id) on delete set null,
    external_id text not null default ('agent:' || hub.uuid_v7()) constraint agents_external_id_fits
        check (external_id ~ '^agent:.'),
    matrix_id text,
    name text not null,
    kind text not null default 'assistant' constraint agents_kind_listed
        check (kind in ('system', 'assistant', 'node', 'quest')),
    type text constraint agents_type_listed check (type in ('planner', 'executor')),
    instructions text,
    available_tools jsonb default '[]',
    avatar_url text,
    context_window_size integer default 4000 constraint agents_context_window_size_fits check (context_window_size > 0),
    max_tokens integer default 1000 constraint agents_max_tokens_fits check (max_tokens > 0),
    is_active boolean not null default true,
    status text not null default 'active' constraint agents_status_listed check (status in ('active', 'completed')),
    blueprint_id uuid references agent_blueprints (id) on delete restrict,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agents_external_id_key unique (external_id),
    constraint agents_has_one_origin check (user_id is not null or dao_id is not null or kind = 'system')
);
comment on column agents.user_id is 'Its owner. Without one it is a DAO''s, or the hub''s own when its kind is system.';
comment on column agents.dao_id is 'The DAO it serves: members see it. An agent that only a DAO has must go before the DAO goes.';
comment on column agents.external_id is 'Its lasting name, agent:sofia.';
comment on column agents.type is 'Whether it makes plans or carries out their steps; empty for one that just talks.';
comment on column agents.instructions is 'Who it is and how it behaves: the system prompt.';
create index idx_agents_user_id on agents (user_id);
create index agents_dao_id_idx on agents (dao_id);
create index agents_blueprint_id_idx on agents (blueprint_id);
create index agents_matrix_id_idx on agents (matrix_id);
create index agents_kind_idx on agents (kind);
select hub.register_kind('agents', domain => 'agents', scope => 'owner', owner => 'user_id',
    also_read_when => $$dao_id in (select hub.my_sets('dao'))$$,
    title => 'name', text_columns => '{name,instructions}');

-- An agent's presence in a room.
create table agent_sessions (
    id uuid primary key default hub.uuid_v7(),
    agent_id uuid not null references agents (id) on delete cascade,
    channel_id uuid not null references chat_channels (id) on delete cascade,
    status text not null default 'active' constraint agent_sessions_status_listed
        check (status in ('active', 'idle', 'closed')),
    started_at timestamptz default now(),
    last_activity_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index agent_sessions_agent_id_channel_id_idx on agent_sessions (agent_id, channel_id);
create index agent_sessions_channel_id_idx on agent_sessions (channel_id);
create index agent_sessions_status_idx on agent_sessions (status);
-- An agent is in a room once.
create unique index agent_sessions_agent_id_channel_id_open_key on agent_sessions (agent_id, channel_id)
    where status <> 'closed';
select hub.register_kind('agent_sessions', domain => 'agents', scope => 'members', member_set => 'channel',
    member_column => 'channel_id', title => 'status');

-- Planner and executor ------------------------------------------------------------------------------------------------

create table agent_chat_sessions (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    planner_agent_id uuid not null references agents (id) on delete cascade,
    session_type text not null,
    status text not null default 'active',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_chat_sessions_user_id_id_key unique (user_id, id)
);
create index agent_chat_sessions_planner_agent_id_idx on agent_chat_sessions (planner_agent_id);
select hub.register_kind('agent_chat_sessions', domain => 'agents', scope => 'owner', owner => 'user_id',
    title => 'session_type');

create table agent_plans (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    session_id uuid not null,
    planner_agent_id uuid not null references agents (id) on delete cascade,
    steps jsonb not null default '[]',
    status text not null default 'pending',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_plans_owner_id_id_key unique (owner_id, id),
    constraint agent_plans_session_id_fkey foreign key (owner_id, session_id)
        references agent_chat_sessions (user_id, id) on delete cascade
);
create index agent_plans_owner_id_session_id_idx on agent_plans (owner_id, session_id);
create index agent_plans_planner_agent_id_idx on agent_plans (planner_agent_id);
select hub.register_kind('agent_plans', domain => 'agents', scope => 'owner', title => 'status');

create table agent_executions (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    plan_id uuid not null,
    executor_agent_id uuid references agents (id) on delete set null,
    step_number integer not null constraint agent_executions_step_number_fits check (step_number >= 0),
    task jsonb not null default '{}',
    status text not null default 'pending',
    result jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_executions_plan_id_fkey foreign key (owner_id, plan_id)
        references agent_plans (owner_id, id) on delete cascade
);
comment on column agent_executions.executor_agent_id is 'Who carried the step out, where that is known.';
create index agent_executions_owner_id_plan_id_step_number_idx on agent_executions (owner_id, plan_id, step_number);
create index agent_executions_executor_agent_id_idx on agent_executions (executor_agent_id);
select hub.register_kind('agent_executions', domain => 'agents', scope => 'owner', title => 'status');

-- What an agent may use -----------------------------------------------------------------------------------------------

create table datastores (
    id uuid primary key default hub.uuid_v7(),
    created_by_user_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    type text not null constraint datastores_type_listed check (type in ('pinecone', 'getzep')),
    config jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint datastores_created_by_user_id_id_key unique (created_by_user_id, id)
);
comment on column datastores.config is 'As the store''s provider wants it; secrets in it are kept in the vault and named here by their vault id.';
select hub.register_kind('datastores', domain => 'agents', scope => 'owner', owner => 'created_by_user_id', title => 'name');

create table agent_datastores (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    agent_id uuid not null references agents (id) on delete cascade,
    datastore_id uuid not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_datastores_agent_id_datastore_id_key unique (agent_id, datastore_id),
    constraint agent_datastores_datastore_id_fkey foreign key (owner_id, datastore_id)
        references datastores (created_by_user_id, id) on delete cascade
);
create index agent_datastores_owner_id_datastore_id_idx on agent_datastores (owner_id, datastore_id);
select hub.register_kind('agent_datastores', domain => 'agents', scope => 'owner',
    insert_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    update_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())');

create table agent_integration_permissions (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    agent_id uuid not null references agents (id) on delete cascade,
    connection_id uuid not null,
    allowed_scopes jsonb not null default '[]' constraint agent_integration_permissions_allowed_scopes_fits
        check (jsonb_typeof(allowed_scopes) = 'array'),
    permission_level text not null default 'custom',
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_integration_permissions_agent_id_connection_id_key unique (agent_id, connection_id),
    constraint agent_integration_permissions_connection_id_fkey foreign key (owner_id, connection_id)
        references user_integration_credentials (user_id, id) on delete cascade
);
comment on column agent_integration_permissions.allowed_scopes is 'No more than the connection itself was granted.';
create index idx_agent_permissions_composite on agent_integration_permissions (agent_id, is_active);
create index agent_integration_permissions_owner_id_connection_id_idx
    on agent_integration_permissions (owner_id, connection_id);
select hub.register_kind('agent_integration_permissions', domain => 'agents', scope => 'owner',
    insert_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    update_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    title => 'permission_level');

create table agent_mcp_connections (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    agent_id uuid not null references agents (id) on delete cascade,
    connection_name text not null,
    server_url text not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_mcp_connections_owner_id_id_key unique (owner_id, id)
);
create index agent_mcp_connections_agent_id_idx on agent_mcp_connections (agent_id);
select hub.register_kind('agent_mcp_connections', domain => 'agents', scope => 'owner',
    insert_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    update_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    title => 'connection_name');

create table mcp_tools_cache (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    connection_id uuid not null,
    tool_name text not null,
    tool_schema jsonb,
    openai_schema jsonb,
    last_updated timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint mcp_tools_cache_connection_id_tool_name_key unique (connection_id, tool_name),
    constraint mcp_tools_cache_connection_id_fkey foreign key (owner_id, connection_id)
        references agent_mcp_connections (owner_id, id) on delete cascade
);
comment on column mcp_tools_cache.tool_schema is 'As the server gave it.';
comment on column mcp_tools_cache.openai_schema is 'The same as a function that models can call.';
comment on column mcp_tools_cache.last_updated is 'When the server was asked last.';
create index mcp_tools_cache_owner_id_connection_id_idx on mcp_tools_cache (owner_id, connection_id);
select hub.register_kind('mcp_tools_cache', domain => 'agents', scope => 'owner', title => 'tool_name');

create table tool_catalog (
    id uuid primary key default hub.uuid_v7(),
    name text not null,
    display_name text,
    description text,
    category text,
    docker_image text,
    default_config jsonb default '{}',
    resource_requirements jsonb default '{}',
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tool_catalog_name_key unique (name)
);
select hub.register_kind('tool_catalog', domain => 'agents', scope => 'catalogue',
    title => 'display_name', text_columns => '{name,display_name,description}');

create table account_tool_environments (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    environment_name text not null default 'default',
    do_droplet_id bigint,
    do_droplet_name text,
    region_slug text not null default 'nyc3',
    size_slug text not null default 's-1vcpu-1gb',
    image_slug text not null default 'ubuntu-22-04-x64',
    status_on_toolbox text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint account_tool_environments_user_id_environment_name_key unique (user_id, environment_name)
);
comment on column account_tool_environments.do_droplet_id is 'The machine that was made for it: written by whoever made it, or one could name somebody else''s.';
select hub.register_kind('account_tool_environments', domain => 'agents', scope => 'owner', owner => 'user_id',
    title => 'environment_name', read_only => '{do_droplet_id,do_droplet_name,status_on_toolbox}');

create table agent_media_assignments (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    agent_id uuid not null references agents (id) on delete cascade,
    media_id uuid not null,
    assignment_type text not null default 'reference' constraint agent_media_assignments_assignment_type_listed
        check (assignment_type in ('training', 'reference', 'context')),
    assigned_by_user_id uuid default auth.uid() references users (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_media_assignments_agent_id_media_id_assignment_type_key unique (agent_id, media_id, assignment_type),
    constraint agent_media_assignments_media_id_fkey foreign key (owner_id, media_id)
        references media_library (user_id, id) on delete cascade
);
create index agent_media_assignments_owner_id_media_id_idx on agent_media_assignments (owner_id, media_id);
create index agent_media_assignments_assigned_by_user_id_idx on agent_media_assignments (assigned_by_user_id);
select hub.register_kind('agent_media_assignments', domain => 'agents', scope => 'owner',
    insert_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    update_when => 'owner_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    title => 'assignment_type', read_only => '{assigned_by_user_id}');

-- What an agent does by itself ----------------------------------------------------------------------------------------

create table agent_tasks (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    agent_id uuid not null references agents (id) on delete cascade,
    name text not null,
    description text,
    task_type text not null default 'scheduled',
    instructions text,
    is_multi_step boolean not null default false,
    step_count integer not null default 1 constraint agent_tasks_step_count_fits check (step_count >= 1),
    cron_expression text,
    timezone text not null default 'UTC',
    max_executions integer constraint agent_tasks_max_executions_fits check (max_executions >= 0),
    total_executions integer not null default 0 constraint agent_tasks_total_executions_fits
        check (total_executions >= 0),
    status text not null default 'active',
    target_conversation_id uuid references conversations (id) on delete set null,
    next_run_at timestamptz,
    start_date date,
    end_date date,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_tasks_user_id_id_key unique (user_id, id),
    constraint agent_tasks_end_date_fits check (end_date >= start_date)
);
comment on column agent_tasks.step_count is 'Follows the steps; a task without any is one step.';
comment on column agent_tasks.status is 'An active task runs when next_run_at has come; it is completed once it ran max_executions times.';
comment on column agent_tasks.target_conversation_id is 'Where its answer is written.';
create index idx_agent_tasks_next_run_at on agent_tasks (next_run_at) where status = 'active';
create index agent_tasks_agent_id_idx on agent_tasks (agent_id);
create index agent_tasks_target_conversation_id_idx on agent_tasks (target_conversation_id);
select hub.register_kind('agent_tasks', domain => 'agents', scope => 'owner', owner => 'user_id',
    insert_when => 'user_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    update_when => 'user_id = auth.uid() and exists (select from agents a where a.id = agent_id and a.user_id = auth.uid())',
    title => 'name', text_columns => '{name,description,instructions}', read_only => '{step_count,total_executions}');

create table task_steps (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    task_id uuid not null,
    step_order integer not null constraint task_steps_step_order_fits check (step_order >= 0),
    step_name text,
    instructions text,
    include_previous_context boolean not null default false,
    status text not null default 'pending',
    execution_result jsonb,
    execution_duration_ms integer constraint task_steps_execution_duration_ms_fits check (execution_duration_ms >= 0),
    error_message text,
    retry_count integer not null default 0 constraint task_steps_retry_count_fits check (retry_count >= 0),
    execution_started_at timestamptz,
    execution_completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- Deferrable so that one statement can renumber them all.
    constraint task_steps_task_id_step_order_key unique (task_id, step_order) deferrable initially immediate,
    constraint task_steps_task_id_fkey foreign key (owner_id, task_id)
        references agent_tasks (user_id, id) on delete cascade,
    constraint task_steps_execution_completed_at_fits check (execution_completed_at >= execution_started_at)
);
create index task_steps_owner_id_task_id_idx on task_steps (owner_id, task_id);
select hub.register_kind('task_steps', domain => 'agents', scope => 'owner',
    title => 'step_name', text_columns => '{step_name,instructions}');

-- Pieces of code that a chat can call.
create table functions (
    id uuid primary key default hub.uuid_v7(),
    tenant_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    created_by uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    description text,
    parameters jsonb,
    code text not null,
    user_id uuid references users (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column functions.parameters is 'JSON Schema of what it is called with.';
comment on column functions.user_id is 'Whom it was given to, if to one person.';
create index functions_tenant_id_idx on functions (tenant_id);
create index functions_created_by_idx on functions (created_by);
create index functions_user_id_idx on functions (user_id);
-- Users write them (OH-28); an admin of the tenant may mend or remove them.
select hub.register_kind('functions', domain => 'agents', scope => 'tenant',
    insert_when => 'tenant_id = auth.tenant_id() and created_by = auth.uid()',
    update_when => '(tenant_id = auth.tenant_id() and (created_by = auth.uid() or auth.app_role() = ''admin'')) or auth.app_role() = ''developer''',
    delete_when => '(tenant_id = auth.tenant_id() and (created_by = auth.uid() or auth.app_role() = ''admin'')) or auth.app_role() = ''developer''',
    title => 'name', text_columns => '{name,description}');

-- Talking with a model ------------------------------------------------------------------------------------------------

create table chat_sessions (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    context_type text not null default 'global' constraint chat_sessions_context_type_listed
        check (context_type in ('global', 'project', 'task')),
    entity_id uuid,
    title text,
    status text not null default 'active' constraint chat_sessions_status_listed check (status in ('active', 'archived')),
    message_count integer default 0 constraint chat_sessions_message_count_fits check (message_count >= 0),
    total_tokens_used integer default 0 constraint chat_sessions_total_tokens_used_fits check (total_tokens_used >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chat_sessions_user_id_id_key unique (user_id, id),
    constraint chat_sessions_entity_id_fits check (context_type <> 'global' or entity_id is null)
);
comment on column chat_sessions.entity_id is 'The project or task it is about, the person''s own or a shared one.';
comment on column chat_sessions.message_count is 'Counted from its messages, like total_tokens_used.';
create index chat_sessions_entity_id_idx on chat_sessions (entity_id);
select hub.register_kind('chat_sessions', domain => 'agents', scope => 'owner', owner => 'user_id',
    title => 'title', text_columns => '{title}', read_only => '{message_count,total_tokens_used}');

create table chat_messages (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    session_id uuid not null,
    role text not null constraint chat_messages_role_listed check (role in ('user', 'assistant', 'system', 'tool')),
    content text not null,
    tool_calls jsonb,
    tool_result jsonb,
    prompt_tokens integer constraint chat_messages_prompt_tokens_fits check (prompt_tokens >= 0),
    completion_tokens integer constraint chat_messages_completion_tokens_fits check (completion_tokens >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chat_messages_session_id_fkey foreign key (user_id, session_id)
        references chat_sessions (user_id, id) on delete cascade
);
create index chat_messages_user_id_session_id_created_at_idx on chat_messages (user_id, session_id, created_at);
select hub.register_kind('chat_messages', domain => 'agents', scope => 'owner', owner => 'user_id',
    title => 'content', text_columns => '{content}');

-- What a model would change, before and after it was allowed to.
create table chat_operations (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    chat_session_id uuid not null,
    operation_type text not null constraint chat_operations_operation_type_listed
        check (operation_type in ('create', 'update', 'delete')),
    table_name text not null,
    entity_id uuid,
    data jsonb not null default '{}',
    status text default 'pending' constraint chat_operations_status_listed
        check (status in ('pending', 'executed', 'failed')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chat_operations_chat_session_id_fkey foreign key (owner_id, chat_session_id)
        references chat_sessions (user_id, id) on delete cascade
);
create index chat_operations_owner_id_chat_session_id_idx on chat_operations (owner_id, chat_session_id);
create index chat_operations_entity_id_idx on chat_operations (entity_id);
select hub.register_kind('chat_operations', domain => 'agents', scope => 'owner',
    title => 'operation_type', links => '{"entity_id": {"kind": "table_name"}}');

-- What it cost --------------------------------------------------------------------------------------------------------

create table llm_usage_logs (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    operation_type text not null,
    provider text,
    model_requested text not null,
    model_used text not null,
    prompt_tokens integer not null constraint llm_usage_logs_prompt_tokens_fits check (prompt_tokens >= 0),
    completion_tokens integer not null constraint llm_usage_logs_completion_tokens_fits check (completion_tokens >= 0),
    total_tokens integer not null constraint llm_usage_logs_total_tokens_fits check (total_tokens >= 0),
    total_cost_usd numeric not null constraint llm_usage_logs_total_cost_usd_fits check (total_cost_usd >= 0),
    response_time_ms integer not null constraint llm_usage_logs_response_time_ms_fits check (response_time_ms >= 0),
    status text not null constraint llm_usage_logs_status_listed check (status in ('success', 'error')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column llm_usage_logs.model_used is 'The model that answered, which may stand in for the one that was asked.';
create index llm_usage_logs_user_id_created_at_idx on llm_usage_logs (user_id, created_at);
select hub.register_kind('llm_usage_logs', domain => 'agents', scope => 'owner', owner => 'user_id',
    client_writes => '{}', title => 'operation_type');

create table llm_usage_summary (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    summary_date date not null,
    total_requests integer not null default 0 constraint llm_usage_summary_total_requests_fits check (total_requests >= 0),
    total_tokens integer not null default 0 constraint llm_usage_summary_total_tokens_fits check (total_tokens >= 0),
    total_cost_usd numeric not null default 0 constraint llm_usage_summary_total_cost_usd_fits check (total_cost_usd >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint llm_usage_summary_user_id_summary_date_key unique (user_id, summary_date)
);
comment on table llm_usage_summary is 'llm_usage_logs by day (UTC), kept as they are written.';
select hub.register_kind('llm_usage_summary', domain => 'agents', scope => 'owner', owner => 'user_id',
    client_writes => '{}', title => 'summary_date');
