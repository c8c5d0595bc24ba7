-- Ops: what keeps the hub going. A person's rules, and what the operator looks at: runs, errors, security, activity,
-- figures, and who tries the hub out before it opens. Everything but the rules is written by the hub itself.

create table rules (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    description text,
    trigger_event_types text[] not null,
    condition_ast jsonb not null default '{}',
    actions jsonb[] not null default '{}',
    priority integer default 100,
    enabled boolean default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column rules.trigger_event_types is 'Names of events, such as communication.CallStarted.';
comment on column rules.condition_ast is 'A tree of conditions; an empty one always holds.';
comment on column rules.priority is 'The lower number goes first.';
create index rules_owner_id_priority_idx on rules (owner_id, priority) where enabled;
create index rules_owner_id_idx on rules (owner_id);
select hub.register_kind('rules', domain => 'ops', scope => 'owner', title => 'name', text_columns => '{name,description}');

create table cron_logs (
    id uuid primary key default hub.uuid_v7(),
    job_name text not null,
    status text not null constraint cron_logs_status_listed check (status in ('success', 'error')),
    error_message text,
    executed_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index cron_logs_job_name_executed_at_idx on cron_logs (job_name, executed_at);
select hub.register_kind('cron_logs', domain => 'ops', scope => 'operators', title => 'job_name');

create table error_logs (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid references users (id) on delete set null,
    error_type text not null,
    error_message text not null,
    error_stack text,
    endpoint text,
    severity text,
    resolved boolean default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index error_logs_user_id_idx on error_logs (user_id);
create index error_logs_open_idx on error_logs (created_at) where not resolved;
select hub.register_kind('error_logs', domain => 'ops', scope => 'operators', title => 'error_type');

create table user_activity_logs (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid default auth.uid() references users (id) on delete cascade,
    activity_type text not null,
    activity_data jsonb,
    ip_address inet not null,
    user_agent text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column user_activity_logs.user_id is 'Empty for somebody who had not signed in.';
create index user_activity_logs_user_id_created_at_idx on user_activity_logs (user_id, created_at);
select hub.register_kind('user_activity_logs', domain => 'ops', scope => 'owner', owner => 'user_id',
    client_writes => '{}', title => 'activity_type');

create table security_logs (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null references users (id) on delete cascade,
    event_type text not null,
    content text not null,
    was_blocked boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index security_logs_user_id_created_at_idx on security_logs (user_id, created_at);
select hub.register_kind('security_logs', domain => 'ops', scope => 'operators', title => 'event_type');

create table admin_analytics (
    id uuid primary key default hub.uuid_v7(),
    date date not null,
    metric_name text not null,
    metric_value numeric not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint admin_analytics_date_metric_name_key unique (date, metric_name)
);
select hub.register_kind('admin_analytics', domain => 'ops', scope => 'operators', title => 'metric_name');

-- Anybody may put himself on the waiting list, so what he writes has bounds, and an address that is on it already is not
-- told apart from one that isn't.
create table beta_signups (
    id uuid primary key default hub.uuid_v7(),
    email text not null constraint beta_signups_email_fits
        check (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and char_length(email) <= 320),
    full_name text not null constraint beta_signups_full_name_fits check (char_length(full_name) <= 200),
    why_interested text constraint beta_signups_why_interested_fits check (char_length(why_interested) <= 4000),
    signup_status text default 'pending' constraint beta_signups_signup_status_listed
        check (signup_status in ('pending', 'approved')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index beta_signups_email_idx on beta_signups (email);
select hub.register_kind('beta_signups', domain => 'ops', scope => 'operators',
    anon_insert_when => $$signup_status = 'pending'$$, title => 'full_name', read_only => '{signup_status}');

create table beta_members (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid references users (id) on delete set null,
    email text not null,
    full_name text not null,
    beta_tier text,
    is_active boolean default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index beta_members_user_id_idx on beta_members (user_id);
select hub.register_kind('beta_members', domain => 'ops', scope => 'operators', title => 'full_name');

create table beta_feedback (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    member_id uuid references beta_members (id) on delete set null,
    feedback_title text not null,
    feedback_description text not null,
    feedback_type text,
    feedback_status text default 'new',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column beta_feedback.member_id is 'The writer''s place in the programme, found by the hub: members are not listed to anybody.';
create index beta_feedback_owner_id_idx on beta_feedback (owner_id);
create index beta_feedback_member_id_idx on beta_feedback (member_id);
select hub.register_kind('beta_feedback', domain => 'ops', scope => 'owner', client_writes => '{insert}',
    title => 'feedback_title', text_columns => '{feedback_title,feedback_description}',
    read_only => '{member_id,feedback_status}');
