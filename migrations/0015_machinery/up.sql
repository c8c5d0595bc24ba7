-- What the hub itself runs on and keeps beside the people's data: the audit log, the jobs, the semantic index and the
-- descriptions of the kinds that plugins brought. Clients read their own rows and write none of the first three.

create table audit_log (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid(),
    actor_type text not null
        constraint audit_log_actor_type_listed check (actor_type in ('user', 'plugin', 'service', 'system')),
    actor_id text not null,
    door text,
    action text not null
        constraint audit_log_action_listed check (action in ('read', 'write', 'delete', 'publish', 'execute')),
    resource_type text not null,
    resource_id text,
    outcome text not null constraint audit_log_outcome_listed check (outcome in ('allowed', 'denied')),
    changed text[],
    metadata jsonb default '{}',
    occurred_at timestamptz default now(),
    created_at timestamptz not null default now()
);
comment on column audit_log.owner_id is 'Whose log the row belongs to. No foreign key: the log outlives the account.';
comment on column audit_log.actor_id is 'An account''s id, a plugin''s id or a service''s name.';
comment on column audit_log.door is 'The door through which the attempt came, such as rest or activitypub.';
comment on column audit_log.changed is 'Names of the columns that changed; never their values.';
create index audit_log_owner_id_occurred_at_idx on audit_log (owner_id, occurred_at);
create index audit_log_resource_type_resource_id_idx on audit_log (resource_type, resource_id);
select hub.register_kind('audit_log', domain => 'ops', scope => 'owner',
    client_writes => '{}',
    title => 'action',
    append_only => true);

create table job_records (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete cascade,
    queue_job_id text,
    job_type text not null,
    queue text not null default 'background'
        constraint job_records_queue_listed check (queue in ('realtime', 'interactive', 'background')),
    payload jsonb not null default '{}',
    status text not null default 'enqueued'
        constraint job_records_status_listed check (status in ('enqueued', 'running', 'completed', 'failed', 'dead')),
    attempts integer default 0 constraint job_records_attempts_fits check (attempts >= 0),
    max_attempts integer constraint job_records_max_attempts_fits check (max_attempts >= 1),
    last_error text,
    result jsonb,
    triggered_by_event_id text,
    correlation_id text,
    scheduled_for timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint job_records_queue_job_id_key unique (queue_job_id)
);
comment on column job_records.owner_id is 'For whom the job works; null for the hub''s own.';
comment on column job_records.queue_job_id is 'What another system calls this job.';
comment on column job_records.status is 'dead: its attempts are used up; it waits for somebody to look at it and may be enqueued again.';
create index job_records_owner_id_created_at_idx on job_records (owner_id, created_at);
create index job_records_due_idx on job_records (queue, scheduled_for) where status = 'enqueued';
create index job_records_correlation_id_idx on job_records (correlation_id);
select hub.register_kind('job_records', domain => 'ops', scope => 'owner',
    client_writes => '{}',
    title => 'job_type');

create table embeddings (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete cascade,
    origin_actor_id uuid,
    entity_type text not null,
    entity_id uuid not null,
    chunk integer not null default 0 constraint embeddings_chunk_fits check (chunk >= 0),
    source_id text,
    model text not null,
    embedding vector,
    metadata jsonb,
    is_public boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint embeddings_has_one_origin check (num_nonnulls(owner_id, origin_actor_id) = 1),
    constraint embeddings_owner_id_entity_type_entity_id_model_chunk_key
        unique nulls not distinct (owner_id, entity_type, entity_id, model, chunk)
);
comment on column embeddings.origin_actor_id is 'Whose row elsewhere it was made from; then nobody here owns it.';
comment on column embeddings.chunk is 'Which part of a long text, from 0.';
comment on column embeddings.source_id is 'Any name of a source that is no row here; entity_type is then source and entity_id derived from it.';
comment on column embeddings.embedding is 'As many dimensions as its model gives.';
comment on column embeddings.is_public is 'Made from a row that everybody may read: those are searched through the graph index.';
create index embeddings_origin_actor_id_idx on embeddings (origin_actor_id);
create index embeddings_entity_id_idx on embeddings (entity_id);
create index embeddings_owner_id_source_id_idx on embeddings (owner_id, source_id);
-- One owner's rows are found through the owner and sorted exactly; these serve the public ones, a graph per width.
create index embeddings_1536_idx on embeddings using hnsw ((embedding::vector(1536)) vector_cosine_ops)
    where is_public and vector_dims(embedding) = 1536;
create index embeddings_768_idx on embeddings using hnsw ((embedding::vector(768)) vector_cosine_ops)
    where is_public and vector_dims(embedding) = 768;
select hub.register_kind('embeddings', domain => 'graph', scope => 'owner',
    client_writes => '{}',
    title => 'entity_type');

create table plugin_schemas (
    id uuid primary key default hub.uuid_v7(),
    plugin_id text not null,
    name text not null,
    title text,
    description text,
    version text,
    definition jsonb not null default '{}',
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint plugin_schemas_name_key unique (name)
);
comment on table plugin_schemas is 'The kinds that plugins brought, as they described them.';
comment on column plugin_schemas.name is 'The kind''s name, which is its table''s.';
comment on column plugin_schemas.definition is 'Columns and manners, as they were handed in.';
create index plugin_schemas_plugin_id_idx on plugin_schemas (plugin_id);
select hub.register_kind('plugin_schemas', domain => 'ops', scope => 'catalogue',
    title => 'name', text_columns => '{title,description}');
