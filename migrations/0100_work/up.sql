-- Work: what people mean to do. Two worlds side by side. `projects`, `phases` and `tasks` are one person's own list, with
-- the calendar that serves it. The `onto_` tables are shared: entities of a project with a type and a state, where a
-- template of the catalogue says which states there are and which may follow which. Brain dumps feed both.

-- Projects and tasks of one person ------------------------------------------------------------------------------------

create table projects (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    slug text not null,
    description text,
    context text,
    status text not null default 'planning' constraint projects_status_listed
        check (status in ('planning', 'active', 'completed')),
    executive_summary text,
    tags text[] default '{}',
    calendar_sync_enabled boolean default false,
    start_date timestamptz,
    end_date timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint projects_user_id_id_key unique (user_id, id),
    constraint projects_user_id_slug_key unique (user_id, slug),
    constraint projects_end_date_fits check (end_date >= start_date)
);
comment on column projects.context is 'What brain dumps have told about the project so far.';
comment on column projects.executive_summary is 'Written by a model.';
comment on column projects.end_date is 'The deadline.';
select hub.register_kind('projects', domain => 'work', scope => 'owner', owner => 'user_id',
    title => 'name', text_columns => '{name,description,context,executive_summary}', jsonld => 'schema:Project');

create table tasks (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    title text not null,
    description text,
    task_type text not null default 'one_time' constraint tasks_task_type_listed
        check (task_type in ('one_time', 'recurring')),
    status text not null default 'pending' constraint tasks_status_listed
        check (status in ('pending', 'in_progress', 'done', 'cancelled')),
    priority text not null default 'medium' constraint tasks_priority_listed
        check (priority in ('low', 'medium', 'high', 'urgent')),
    duration_minutes integer constraint tasks_duration_minutes_fits check (duration_minutes >= 0),
    recurrence_pattern text,
    recurrence_ends timestamptz,
    assignee_id uuid,
    related_event uuid,
    project_id uuid,
    parent_task_id uuid,
    dependencies uuid[] default '{}',
    start_date timestamptz,
    due_date timestamptz,
    completed_at timestamptz,
    deleted_at timestamptz,
    sources jsonb default '[]',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tasks_owner_id_id_key unique (owner_id, id),
    constraint tasks_assignee_id_fkey foreign key (owner_id, assignee_id)
        references persons (owner_id, id) on delete set null (assignee_id),
    constraint tasks_related_event_fkey foreign key (owner_id, related_event)
        references events (owner_id, id) on delete set null (related_event),
    constraint tasks_project_id_fkey foreign key (owner_id, project_id)
        references projects (user_id, id) on delete set null (project_id),
    constraint tasks_parent_task_id_fkey foreign key (owner_id, parent_task_id)
        references tasks (owner_id, id) on delete set null (parent_task_id),
    constraint tasks_parent_task_id_fits check (parent_task_id <> id),
    constraint tasks_dependencies_fits check (not id = any (dependencies)),
    constraint tasks_recurring_has_pattern check (task_type <> 'recurring' or recurrence_pattern is not null)
);
comment on column tasks.status is '`todo` is taken as `pending`.';
comment on column tasks.recurrence_pattern is 'When a recurring task comes again, in the manner of cron.';
comment on column tasks.dependencies is 'Tasks that must be done before this one.';
comment on column tasks.completed_at is 'Stamped when the task becomes done, emptied when it is opened again.';
comment on column tasks.deleted_at is 'A task thrown away stays here until it is swept.';
comment on column tasks.sources is '[{connectorId, externalId, lastSynced}]';
create index tasks_owner_id_assignee_id_idx on tasks (owner_id, assignee_id);
create index tasks_owner_id_related_event_idx on tasks (owner_id, related_event);
create index tasks_owner_id_project_id_idx on tasks (owner_id, project_id);
create index tasks_owner_id_parent_task_id_idx on tasks (owner_id, parent_task_id);
create index tasks_owner_id_due_date_idx on tasks (owner_id, due_date) where deleted_at is null;
select hub.register_kind('tasks', domain => 'work', scope => 'owner',
    title => 'title', text_columns => '{title,description}', links => '{"dependencies": "tasks"}');

create table phases (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    project_id uuid not null,
    name text not null,
    description text,
    "order" integer not null,
    start_date timestamptz not null,
    end_date timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint phases_user_id_id_key unique (user_id, id),
    constraint phases_project_id_fkey foreign key (user_id, project_id)
        references projects (user_id, id) on delete cascade,
    constraint phases_end_date_fits check (end_date >= start_date)
);
create index phases_user_id_project_id_order_idx on phases (user_id, project_id, "order");
select hub.register_kind('phases', domain => 'work', scope => 'owner', owner => 'user_id',
    title => 'name', text_columns => '{name,description}');

create table phase_tasks (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    phase_id uuid not null,
    task_id uuid not null,
    "order" integer not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint phase_tasks_phase_id_task_id_key unique (phase_id, task_id),
    constraint phase_tasks_phase_id_fkey foreign key (owner_id, phase_id)
        references phases (user_id, id) on delete cascade,
    constraint phase_tasks_task_id_fkey foreign key (owner_id, task_id)
        references tasks (owner_id, id) on delete cascade
);
create index phase_tasks_owner_id_phase_id_order_idx on phase_tasks (owner_id, phase_id, "order");
create index phase_tasks_owner_id_task_id_idx on phase_tasks (owner_id, task_id);
select hub.register_kind('phase_tasks', domain => 'work', scope => 'owner');

-- Brain dumps ---------------------------------------------------------------------------------------------------------

create table brain_dumps (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    content text,
    title text,
    status text not null default 'pending' constraint brain_dumps_status_listed
        check (status in ('pending', 'processing', 'completed')),
    ai_summary text,
    ai_insights text,
    parsed_results jsonb,
    tags text[] default '{}',
    project_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint brain_dumps_user_id_id_key unique (user_id, id),
    constraint brain_dumps_project_id_fkey foreign key (user_id, project_id)
        references projects (user_id, id) on delete set null (project_id)
);
comment on column brain_dumps.parsed_results is 'The entities that were found in the text.';
create index brain_dumps_user_id_project_id_idx on brain_dumps (user_id, project_id);
select hub.register_kind('brain_dumps', domain => 'work', scope => 'owner', owner => 'user_id',
    title => 'title', text_columns => '{title,content,ai_summary}');

create table brain_dump_links (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    brain_dump_id uuid not null,
    project_id uuid,
    task_id uuid,
    note_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint brain_dump_links_brain_dump_id_fkey foreign key (owner_id, brain_dump_id)
        references brain_dumps (user_id, id) on delete cascade,
    constraint brain_dump_links_project_id_fkey foreign key (owner_id, project_id)
        references projects (user_id, id) on delete cascade,
    constraint brain_dump_links_task_id_fkey foreign key (owner_id, task_id)
        references tasks (owner_id, id) on delete cascade,
    constraint brain_dump_links_note_id_fkey foreign key (owner_id, note_id)
        references notes (owner_id, id) on delete cascade,
    constraint brain_dump_links_lead_somewhere check (num_nonnulls(project_id, task_id, note_id) >= 1)
);
create index brain_dump_links_owner_id_brain_dump_id_idx on brain_dump_links (owner_id, brain_dump_id);
create index brain_dump_links_owner_id_project_id_idx on brain_dump_links (owner_id, project_id);
create index brain_dump_links_owner_id_task_id_idx on brain_dump_links (owner_id, task_id);
create index brain_dump_links_owner_id_note_id_idx on brain_dump_links (owner_id, note_id);
select hub.register_kind('brain_dump_links', domain => 'work', scope => 'owner');

create table onto_braindumps (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    content text not null,
    title text,
    summary text,
    status text not null default 'pending',
    topics text[] default '{}',
    chat_session_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index onto_braindumps_user_id_chat_session_id_idx on onto_braindumps (user_id, chat_session_id);
select hub.register_kind('onto_braindumps', domain => 'work', scope => 'owner', owner => 'user_id',
    title => 'title', text_columns => '{title,content,summary}');

-- The calendar around the work ----------------------------------------------------------------------------------------

create table user_calendar_preferences (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    work_start_time time,
    work_end_time time,
    working_days integer[] constraint user_calendar_preferences_working_days_fits
        check (working_days <@ '{0,1,2,3,4,5,6,7}'),
    default_task_duration_minutes integer constraint user_calendar_preferences_default_task_duration_minutes_fits
        check (default_task_duration_minutes > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_calendar_preferences_user_id_key unique (user_id)
);
comment on column user_calendar_preferences.working_days is '1 is Monday; Sunday is 0 or 7.';
select hub.register_kind('user_calendar_preferences', domain => 'work', scope => 'owner', owner => 'user_id');

create table project_calendars (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    project_id uuid not null,
    calendar_id text not null,
    calendar_name text not null,
    sync_enabled boolean default true,
    sync_status text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint project_calendars_user_id_project_id_calendar_id_key unique (user_id, project_id, calendar_id),
    constraint project_calendars_project_id_fkey foreign key (user_id, project_id)
        references projects (user_id, id) on delete cascade
);
comment on column project_calendars.calendar_id is 'The calendar''s name at its provider.';
select hub.register_kind('project_calendars', domain => 'work', scope => 'owner', owner => 'user_id',
    title => 'calendar_name');

create table task_calendar_events (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    task_id uuid not null,
    calendar_id text not null,
    calendar_event_id text not null,
    sync_status text not null default 'pending',
    event_start timestamptz,
    event_end timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint task_calendar_events_user_id_calendar_id_calendar_event_id_key
        unique (user_id, calendar_id, calendar_event_id),
    constraint task_calendar_events_task_id_fkey foreign key (user_id, task_id)
        references tasks (owner_id, id) on delete cascade,
    constraint task_calendar_events_event_end_fits check (event_end >= event_start)
);
comment on column task_calendar_events.calendar_event_id is 'The event''s name at the calendar''s provider.';
create index task_calendar_events_user_id_task_id_idx on task_calendar_events (user_id, task_id);
select hub.register_kind('task_calendar_events', domain => 'work', scope => 'owner', owner => 'user_id');

create table time_blocks (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    block_type text not null,
    duration_minutes integer not null constraint time_blocks_duration_minutes_fits check (duration_minutes >= 0),
    project_id uuid,
    calendar_event_id text,
    start_time timestamptz not null,
    end_time timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint time_blocks_project_id_fkey foreign key (user_id, project_id)
        references projects (user_id, id) on delete set null (project_id),
    constraint time_blocks_end_time_fits check (end_time >= start_time)
);
comment on column time_blocks.duration_minutes is 'Follows from start and end, whatever is written.';
comment on column time_blocks.calendar_event_id is 'The event''s name at the calendar''s provider, where the block is mirrored.';
create index time_blocks_user_id_project_id_idx on time_blocks (user_id, project_id);
create index time_blocks_user_id_start_time_idx on time_blocks (user_id, start_time);
select hub.register_kind('time_blocks', domain => 'work', scope => 'owner', owner => 'user_id', title => 'block_type');

create table calendar_webhook_channels (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    channel_id text not null,
    resource_id text,
    expiration bigint not null,
    sync_token text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint calendar_webhook_channels_channel_id_key unique (channel_id)
);
comment on column calendar_webhook_channels.expiration is 'Milliseconds since 1970, as the calendar''s provider counts.';
comment on column calendar_webhook_channels.sync_token is 'From where the next change is asked.';
create index calendar_webhook_channels_user_id_idx on calendar_webhook_channels (user_id);
create index calendar_webhook_channels_expiration_idx on calendar_webhook_channels (expiration);
select hub.register_kind('calendar_webhook_channels', domain => 'work', scope => 'owner', owner => 'user_id');

-- The ontology: shared projects ---------------------------------------------------------------------------------------

-- What a type of entity may be. A type that no template names is free in its states.
create table onto_templates (
    id uuid primary key default hub.uuid_v7(),
    kind text not null constraint onto_templates_kind_listed
        check (kind in ('project', 'task', 'goal', 'plan', 'document', 'milestone', 'event')),
    type_key text not null default 'default',
    name text not null,
    description text,
    states text[] not null constraint onto_templates_states_fits check (cardinality(states) > 0),
    initial_state text not null,
    transitions jsonb not null default '{}' constraint onto_templates_transitions_fits
        check (jsonb_typeof(transitions) = 'object'),
    default_props jsonb not null default '{}' constraint onto_templates_default_props_fits
        check (jsonb_typeof(default_props) = 'object'),
    default_facets jsonb not null default '{}' constraint onto_templates_default_facets_fits
        check (jsonb_typeof(default_facets) = 'object'),
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint onto_templates_kind_type_key_key unique (kind, type_key),
    constraint onto_templates_initial_state_fits check (initial_state = any (states))
);
comment on column onto_templates.type_key is 'The type it describes; `default` for goals, milestones and events, which have no types.';
comment on column onto_templates.transitions is 'From each state the ones that may follow: {"todo": ["in_progress", "done"]}.';
comment on column onto_templates.default_facets is 'facet_context, facet_scale and facet_stage of a new entity.';
select hub.register_kind('onto_templates', domain => 'work', scope => 'catalogue',
    title => 'name', text_columns => '{name,description}');

create table onto_projects (
    id uuid primary key default hub.uuid_v7(),
    created_by uuid not null default auth.uid() references users (id) on delete cascade,
    org_id uuid references tenants (id) on delete set null,
    name text not null,
    description text,
    type_key text not null,
    props jsonb not null default '{}',
    facet_context text,
    facet_scale text,
    facet_stage text,
    is_public boolean default false,
    state_key text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column onto_projects.created_by is 'The founder, who becomes its first member and can always come back.';
comment on column onto_projects.is_public is 'Everyone may read the project itself, not what is in it.';
create index onto_projects_created_by_idx on onto_projects (created_by);
create index onto_projects_org_id_idx on onto_projects (org_id);
create index onto_projects_public_idx on onto_projects (id) where is_public;
select hub.register_kind('onto_projects', domain => 'work', scope => 'members', member_set => 'project', member_column => 'id',
    public_when => 'is_public',
    also_read_when => 'created_by = auth.uid()',
    insert_when => 'created_by = auth.uid()',
    update_when => $$id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$id in (select hub.my_sets('project', '{owner}'))$$,
    title => 'name', text_columns => '{name,description}', jsonld => 'schema:Project');

create table onto_actors (
    id uuid primary key default hub.uuid_v7(),
    created_by uuid default auth.uid() references users (id) on delete set null,
    user_id uuid references users (id) on delete cascade,
    kind text not null default 'user' constraint onto_actors_kind_listed check (kind in ('user', 'system', 'bot')),
    name text not null,
    email text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint onto_actors_kind_fits check (kind = 'user' or user_id is null)
);
comment on table onto_actors is 'Who acts in shared projects: the card that somebody wrote for an account, a bot or the system. Visible to its writer, to the account and to fellow members.';
comment on column onto_actors.created_by is 'Who wrote the card, which outlives that account: others are members by it. One''s own, written at the first founding, names oneself twice.';
comment on column onto_actors.user_id is 'Never changes: a card can''t be passed on with the memberships it holds.';
create unique index onto_actors_created_by_user_id_key on onto_actors (created_by, user_id) where user_id is not null;
create index onto_actors_created_by_idx on onto_actors (created_by);
create index onto_actors_user_id_idx on onto_actors (user_id);
select hub.register_kind('onto_actors', domain => 'work', scope => 'members', member_set => 'project',
    also_read_when => 'created_by = auth.uid() or user_id = auth.uid() or id in (select hub.fellow_actors())',
    insert_when => 'created_by = auth.uid()',
    update_when => 'created_by = auth.uid()',
    delete_when => 'created_by = auth.uid()',
    title => 'name');

create table onto_project_members (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    actor_id uuid not null references onto_actors (id) on delete cascade,
    role_key text not null default 'member' constraint onto_project_members_role_key_listed
        check (role_key in ('owner', 'member', 'viewer')),
    access text not null default 'write',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint onto_project_members_project_id_actor_id_key unique (project_id, actor_id)
);
comment on column onto_project_members.role_key is 'Owners manage members, owners and members write, viewers read.';
comment on column onto_project_members.access is 'The level of permission, as the project''s app names it.';
create index onto_project_members_actor_id_idx on onto_project_members (actor_id);
select hub.register_kind('onto_project_members', domain => 'work', scope => 'members', member_set => 'project',
    member_column => 'project_id',
    insert_when => $$project_id in (select hub.my_sets('project', '{owner}'))
        or exists (select from onto_projects p where p.id = project_id and p.created_by = auth.uid())$$,
    update_when => $$project_id in (select hub.my_sets('project', '{owner}'))$$,
    delete_when => $$project_id in (select hub.my_sets('project', '{owner}')) or actor_id in (select hub.my_actors())$$);

create table onto_tasks (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    created_by uuid default auth.uid() references users (id) on delete set null,
    title text not null,
    description text,
    type_key text not null,
    priority integer constraint onto_tasks_priority_fits check (priority between 1 and 5),
    props jsonb not null default '{}',
    facet_scale text,
    state_key text not null constraint onto_tasks_state_key_listed check (state_key in ('todo', 'in_progress', 'done')),
    start_at timestamptz,
    due_at timestamptz,
    completed_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column onto_tasks.created_by is 'Empty once that account is gone: the task is still the project''s.';
comment on column onto_tasks.completed_at is 'Stamped when the task becomes done, emptied when it is opened again.';
create index onto_tasks_project_id_idx on onto_tasks (project_id);
create index onto_tasks_created_by_idx on onto_tasks (created_by);
select hub.register_kind('onto_tasks', domain => 'work', scope => 'members', member_set => 'project', member_column => 'project_id',
    insert_when => $$created_by = auth.uid() and project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    update_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    title => 'title', text_columns => '{title,description}');

create table onto_goals (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    name text not null,
    goal text,
    state_key text not null,
    target_date timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index onto_goals_project_id_idx on onto_goals (project_id);
select hub.register_kind('onto_goals', domain => 'work', scope => 'members', member_set => 'project', member_column => 'project_id',
    insert_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    update_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    title => 'name', text_columns => '{name,goal}');

create table onto_plans (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    name text not null,
    plan text,
    type_key text not null,
    state_key text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index onto_plans_project_id_idx on onto_plans (project_id);
select hub.register_kind('onto_plans', domain => 'work', scope => 'members', member_set => 'project', member_column => 'project_id',
    insert_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    update_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    title => 'name', text_columns => '{name,plan}');

create table onto_documents (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    title text not null,
    content text,
    type_key text not null,
    state_key text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index onto_documents_project_id_idx on onto_documents (project_id);
select hub.register_kind('onto_documents', domain => 'work', scope => 'members', member_set => 'project',
    member_column => 'project_id',
    insert_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    update_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    title => 'title', text_columns => '{title,content}', jsonld => 'schema:DigitalDocument');

create table onto_milestones (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    title text not null,
    state_key text not null,
    due_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index onto_milestones_project_id_idx on onto_milestones (project_id);
select hub.register_kind('onto_milestones', domain => 'work', scope => 'members', member_set => 'project',
    member_column => 'project_id',
    insert_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    update_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    title => 'title', text_columns => '{title}');

-- An event without a project is its writer's alone.
create table onto_events (
    id uuid primary key default hub.uuid_v7(),
    created_by uuid not null default auth.uid() references users (id) on delete cascade,
    project_id uuid references onto_projects (id) on delete cascade,
    title text not null,
    location text,
    all_day boolean not null default false,
    state_key text not null,
    start_at timestamptz not null,
    end_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint onto_events_end_at_fits check (end_at >= start_at)
);
create index onto_events_created_by_idx on onto_events (created_by);
create index onto_events_project_id_start_at_idx on onto_events (project_id, start_at);
select hub.register_kind('onto_events', domain => 'work', scope => 'members', member_set => 'project', member_column => 'project_id',
    also_read_when => 'project_id is null and created_by = auth.uid()',
    insert_when => $$created_by = auth.uid()
        and (project_id is null or project_id in (select hub.my_sets('project', '{owner,member}')))$$,
    update_when => $$(project_id is null and created_by = auth.uid())
        or project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$(project_id is null and created_by = auth.uid())
        or project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    title => 'title', text_columns => '{title,location}', jsonld => 'schema:Event');

create table onto_edges (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    src_id uuid not null,
    src_kind text not null,
    rel text not null,
    dst_id uuid not null,
    dst_kind text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint onto_edges_src_id_src_kind_rel_dst_id_dst_kind_key unique (src_id, src_kind, rel, dst_id, dst_kind)
);
comment on column onto_edges.src_kind is 'A table; the short names (`task` for `onto_tasks`) are taken too. What is of a project is of this one.';
create index onto_edges_project_id_idx on onto_edges (project_id);
create index onto_edges_dst_id_idx on onto_edges (dst_id);
select hub.register_kind('onto_edges', domain => 'work', scope => 'members', member_set => 'project', member_column => 'project_id',
    insert_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    update_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    title => 'rel', links => '{"src_id": {"kind": "src_kind"}, "dst_id": {"kind": "dst_kind"}}');

create table onto_comments (
    id uuid primary key default hub.uuid_v7(),
    project_id uuid not null references onto_projects (id) on delete cascade,
    created_by uuid not null default auth.uid() references users (id) on delete cascade,
    entity_id uuid not null,
    entity_type text not null,
    body text not null,
    parent_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint onto_comments_project_id_id_key unique (project_id, id),
    constraint onto_comments_parent_id_fkey foreign key (project_id, parent_id)
        references onto_comments (project_id, id) on delete cascade,
    constraint onto_comments_parent_id_fits check (parent_id <> id)
);
comment on column onto_comments.entity_type is 'A table; the short names (`task` for `onto_tasks`) are taken too. What is of a project is of this one.';
create index onto_comments_created_by_idx on onto_comments (created_by);
create index onto_comments_entity_id_idx on onto_comments (entity_id);
create index onto_comments_project_id_parent_id_idx on onto_comments (project_id, parent_id);
select hub.register_kind('onto_comments', domain => 'work', scope => 'members', member_set => 'project',
    member_column => 'project_id',
    insert_when => $$created_by = auth.uid() and project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    update_when => $$created_by = auth.uid() and project_id in (select hub.my_sets('project', '{owner,member}'))$$,
    delete_when => $$created_by = auth.uid() or project_id in (select hub.my_sets('project', '{owner}'))$$,
    title => 'body', text_columns => '{body}', links => '{"entity_id": {"kind": "entity_type"}}', jsonld => 'schema:Comment');
