-- Who is who: accounts, the tenants that keep them apart, what each account shows and prefers, its devices, and the
-- workspaces and teams it works in. An account is signed in through `users`; what it may do in its tenant stands in
-- `user_profile.role`; neither `users.is_admin` nor `admin_users` grants anything by itself.

create sequence users_number_seq;

create table users (
    id uuid primary key default hub.uuid_v7(),
    external_id text not null default ('user:' || nextval('users_number_seq')),
    instance_id uuid,
    aud text,
    role text default 'authenticated',
    email text,
    phone text,
    handle text,
    matrix_id text,
    name text,
    timezone text not null default 'UTC',
    encrypted_password text,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    stripe_customer_id text,
    subscription_status text,
    is_admin boolean not null default false,
    is_beta_user boolean,
    is_super_admin boolean,
    is_sso_user boolean not null default false,
    is_anonymous boolean not null default false,
    completed_onboarding boolean,
    confirmation_token text,
    recovery_token text,
    email_change text,
    email_change_token_new text,
    email_change_token_current text default '',
    email_change_confirm_status smallint default 0
        constraint users_email_change_confirm_status_fits check (email_change_confirm_status between 0 and 2),
    phone_change text default '',
    phone_change_token text default '',
    reauthentication_token text default '',
    email_confirmed_at timestamptz,
    phone_confirmed_at timestamptz,
    confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    invited_at timestamptz,
    confirmation_sent_at timestamptz,
    recovery_sent_at timestamptz,
    email_change_sent_at timestamptz,
    phone_change_sent_at timestamptz,
    reauthentication_sent_at timestamptz,
    last_sign_in_at timestamptz,
    last_visit timestamptz,
    banned_until timestamptz,
    trial_ends_at timestamptz,
    onboarding_v2_completed_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_external_id_key unique (external_id),
    constraint users_phone_key unique (phone)
);
alter sequence users_number_seq owned by users.external_id;
comment on column users.external_id is 'The account''s stable name outside, kind:name.';
comment on column users.role is 'The database role of its requests; what the account may do in its tenant is user_profile.role.';
comment on column users.handle is 'The name others mention, such as @alice.';
comment on column users.encrypted_password is 'An Argon2id hash in PHC form.';
comment on column users.is_admin is 'Kept for its readers; grants nothing.';
comment on column users.deleted_at is 'Set: the account can no longer sign in and its address is free again.';
create unique index users_email_idx on users (lower(email)) where deleted_at is null;
create unique index users_handle_idx on users (lower(handle)) where deleted_at is null;
create index users_matrix_id_idx on users (matrix_id);
create index users_stripe_customer_id_idx on users (stripe_customer_id);
select hub.register_kind('users', domain => 'identity', scope => 'owner', owner => 'id',
    also_read_when => $$auth.app_role() = 'developer' or (auth.app_role() = 'admin' and hub.same_tenant(id))$$,
    client_writes => '{update}',
    title => 'name',
    hidden => '{encrypted_password,confirmation_token,recovery_token,email_change_token_new,email_change_token_current,phone_change_token,reauthentication_token}',
    read_only => '{external_id,instance_id,aud,role,email,phone,matrix_id,encrypted_password,raw_app_meta_data,raw_user_meta_data,stripe_customer_id,subscription_status,is_admin,is_beta_user,is_super_admin,is_sso_user,is_anonymous,completed_onboarding,confirmation_token,recovery_token,email_change,email_change_token_new,email_change_token_current,email_change_confirm_status,phone_change,phone_change_token,reauthentication_token,email_confirmed_at,phone_confirmed_at,confirmed_at,invited_at,confirmation_sent_at,recovery_sent_at,email_change_sent_at,phone_change_sent_at,reauthentication_sent_at,last_sign_in_at,last_visit,banned_until,trial_ends_at,onboarding_v2_completed_at,deleted_at}',
    jsonld => 'schema:Person');

create table tenants (
    id uuid primary key default hub.uuid_v7(),
    name text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table tenants is 'The organization that keeps its users, licences and customers apart from others''.';
select hub.register_kind('tenants', domain => 'identity', scope => 'tenant', owner => 'id',
    insert_when => $$auth.app_role() = 'developer'$$,
    delete_when => $$auth.app_role() = 'developer'$$,
    title => 'name',
    jsonld => 'schema:Organization');

create table user_profile (
    id uuid primary key default hub.uuid_v7(),
    organization_id uuid not null references tenants (id) on delete cascade,
    role text not null constraint user_profile_role_listed check (role in ('developer', 'admin', 'user')),
    user_id uuid references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_profile_user_id_key unique (user_id)
);
comment on table user_profile is 'The one tenant an account belongs to and its role there.';
comment on column user_profile.role is 'developer: everything of every tenant; admin: the own tenant; user: the own rows. Only a developer makes developers.';
create index user_profile_organization_id_idx on user_profile (organization_id);
-- An admin manages the people of his tenant but cannot draw an account into it: who belongs where is a developer's or
-- an invitation's word. Nor does he make, change or remove a developer.
select hub.register_kind('user_profile', domain => 'identity', scope => 'tenant', owner => 'organization_id',
    insert_when => $$auth.app_role() = 'developer'$$,
    update_when => $$auth.app_role() = 'developer' or (auth.app_role() = 'admin' and organization_id = auth.tenant_id() and role <> 'developer')$$,
    delete_when => $$auth.app_role() = 'developer' or (auth.app_role() = 'admin' and organization_id = auth.tenant_id() and role <> 'developer')$$,
    also_read_when => 'user_id = auth.uid()',
    title => 'role');

create table profiles (
    id uuid primary key default auth.uid() references users (id) on delete cascade,
    full_name text,
    avatar_url text,
    is_public boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table profiles is 'How an account shows itself; its id is the account''s.';
comment on column profiles.is_public is 'Off: only the account itself reads it, and strangers cannot name the account.';
select hub.register_kind('profiles', domain => 'identity', scope => 'owner', owner => 'id',
    public_when => 'is_public',
    title => 'full_name',
    jsonld => 'schema:Person');

create table user_preferences (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    preference_key text not null,
    preference_value jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_preferences_user_id_preference_key_key unique (user_id, preference_key)
);
select hub.register_kind('user_preferences', domain => 'identity', scope => 'owner', owner => 'user_id',
    title => 'preference_key');

create table user_settings (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    theme text default 'light',
    timezone text default 'UTC',
    notification_settings jsonb,
    ui_preferences jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_settings_user_id_key unique (user_id)
);
comment on table user_settings is 'One row of settings per account; user_preferences holds keys and values.';
select hub.register_kind('user_settings', domain => 'identity', scope => 'owner', owner => 'user_id');

create table user_context (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    background text,
    goals_overview text,
    work_style text,
    productivity_challenges text,
    active_projects text,
    focus_areas text,
    habits text,
    input_projects text,
    input_work_style text,
    input_challenges text,
    input_help_focus text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_context_user_id_key unique (user_id)
);
comment on table user_context is 'What an account told about its work when it began: the raw answers (input_…) and what was read out of them.';
select hub.register_kind('user_context', domain => 'identity', scope => 'owner', owner => 'user_id');

create table admin_users (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null references users (id) on delete cascade,
    granted_by uuid references users (id) on delete set null,
    granted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint admin_users_user_id_key unique (user_id)
);
comment on table admin_users is 'Who was granted administration by whom: a record, which grants nothing.';
create index admin_users_granted_by_idx on admin_users (granted_by);
select hub.register_kind('admin_users', domain => 'identity', scope => 'operators');

create table devices (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    platform text not null constraint devices_platform_listed check (platform in ('android', 'ios', 'windows', 'macos')),
    device_token text,
    last_seen_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint devices_device_token_key unique (device_token),
    constraint devices_owner_id_id_key unique (owner_id, id)
);
comment on column devices.device_token is 'What the device proves itself with; only its SHA-256 is kept.';
select hub.register_kind('devices', domain => 'identity', scope => 'owner',
    title => 'name',
    hidden => '{device_token}',
    read_only => '{last_seen_at}',
    jsonld => 'schema:Device');

create table workspaces (
    id uuid primary key default hub.uuid_v7(),
    owner_user_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text,
    description text,
    is_public boolean not null default false,
    settings jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column workspaces.owner_user_id is 'Who founded it; only he hands it over.';
create index workspaces_owner_user_id_idx on workspaces (owner_user_id);
select hub.register_kind('workspaces', domain => 'identity', scope => 'members',
    member_set => 'workspace', member_column => 'id',
    public_when => 'is_public',
    also_read_when => 'owner_user_id = auth.uid()',
    insert_when => 'owner_user_id = auth.uid()',
    update_when => $$owner_user_id = auth.uid() or id in (select hub.my_sets('workspace', '{owner,admin}'))$$,
    delete_when => 'owner_user_id = auth.uid()',
    title => 'name', text_columns => '{name,description}');

create table teams (
    id uuid primary key default hub.uuid_v7(),
    owner_user_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text,
    description text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint teams_owner_user_id_id_key unique (owner_user_id, id)
);
select hub.register_kind('teams', domain => 'identity', scope => 'owner', owner => 'owner_user_id',
    title => 'name', text_columns => '{name,description}');

create table team_members (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    team_id uuid not null,
    agent_id uuid,
    user_id uuid references users (id) on delete cascade,
    team_role text not null default 'member',
    reports_to_user boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, team_id) references teams (owner_user_id, id) on delete cascade,
    constraint team_members_has_one_member check (num_nonnulls(agent_id, user_id) = 1),
    constraint team_members_team_id_agent_id_key unique (team_id, agent_id),
    constraint team_members_team_id_user_id_key unique (team_id, user_id)
);
comment on column team_members.owner_id is 'The owner of the team.';
comment on column team_members.user_id is 'A member who is a person, as the team''s owner is; every other one is an agent.';
create index team_members_owner_id_team_id_idx on team_members (owner_id, team_id);
create index team_members_agent_id_idx on team_members (agent_id);
create index team_members_user_id_idx on team_members (user_id);
select hub.register_kind('team_members', domain => 'identity', scope => 'owner', title => 'team_role');

create table team_canvas_layouts (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    workspace_id uuid references workspaces (id) on delete cascade,
    positions jsonb,
    connections jsonb,
    view_settings jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint team_canvas_layouts_user_id_workspace_id_key unique nulls not distinct (user_id, workspace_id)
);
comment on table team_canvas_layouts is 'Where each account sees its teams: one layout per workspace and one beside all of them.';
create index team_canvas_layouts_workspace_id_idx on team_canvas_layouts (workspace_id);
select hub.register_kind('team_canvas_layouts', domain => 'identity', scope => 'owner', owner => 'user_id');

create table team_connections (
    id uuid primary key default hub.uuid_v7(),
    created_by_user_id uuid not null default auth.uid() references users (id) on delete cascade,
    from_team_id uuid not null,
    to_team_id uuid not null,
    connection_type text,
    label text,
    color text,
    style text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (created_by_user_id, from_team_id) references teams (owner_user_id, id) on delete cascade,
    foreign key (created_by_user_id, to_team_id) references teams (owner_user_id, id) on delete cascade,
    constraint team_connections_joins_two check (from_team_id <> to_team_id)
);
create index team_connections_created_by_user_id_from_team_id_idx on team_connections (created_by_user_id, from_team_id);
create index team_connections_created_by_user_id_to_team_id_idx on team_connections (created_by_user_id, to_team_id);
select hub.register_kind('team_connections', domain => 'identity', scope => 'owner', owner => 'created_by_user_id',
    title => 'label');

create table workspace_members (
    id uuid primary key default hub.uuid_v7(),
    workspace_id uuid not null references workspaces (id) on delete cascade,
    user_id uuid references users (id) on delete cascade,
    agent_id uuid,
    team_id uuid references teams (id) on delete cascade,
    role text not null default 'member',
    joined_at timestamptz default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint workspace_members_has_one_member check (num_nonnulls(user_id, agent_id, team_id) = 1),
    constraint workspace_members_workspace_id_user_id_key unique (workspace_id, user_id),
    constraint workspace_members_workspace_id_agent_id_key unique (workspace_id, agent_id),
    constraint workspace_members_workspace_id_team_id_key unique (workspace_id, team_id)
);
create index idx_workspace_members_composite on workspace_members (workspace_id, user_id, agent_id);
create index workspace_members_user_id_idx on workspace_members (user_id);
create index workspace_members_agent_id_idx on workspace_members (agent_id);
create index workspace_members_team_id_idx on workspace_members (team_id);
-- Owners and admins manage the members; only who owns the workspace makes or unmakes owners; everybody may leave.
select hub.register_kind('workspace_members', domain => 'identity', scope => 'members',
    member_set => 'workspace', member_column => 'workspace_id',
    also_read_when => 'user_id = auth.uid()',
    insert_when => $$(role <> 'owner' and workspace_id in (select hub.my_sets('workspace', '{owner,admin}')))
        or exists (select from workspaces w where w.id = workspace_id and w.owner_user_id = auth.uid())$$,
    update_when => $$(role <> 'owner' and workspace_id in (select hub.my_sets('workspace', '{owner,admin}')))
        or exists (select from workspaces w where w.id = workspace_id and w.owner_user_id = auth.uid())$$,
    delete_when => $$user_id = auth.uid()
        or (role <> 'owner' and workspace_id in (select hub.my_sets('workspace', '{owner,admin}')))
        or exists (select from workspaces w where w.id = workspace_id and w.owner_user_id = auth.uid())$$,
    title => 'role');
