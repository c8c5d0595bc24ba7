-- The knowledge graph of one owner: people and organizations he knows, places, calendar events, documents, notes, and
-- how they belong together; and the customers that a tenant shares. Links stay within one owner by construction.

create table persons (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    emails jsonb default '[]' constraint persons_emails_fits check (jsonb_typeof(emails) = 'array'),
    phones jsonb default '[]' constraint persons_phones_fits check (jsonb_typeof(phones) = 'array'),
    addresses jsonb default '[]' constraint persons_addresses_fits check (jsonb_typeof(addresses) = 'array'),
    tags jsonb default '[]' constraint persons_tags_fits check (jsonb_typeof(tags) = 'array'),
    birthday date,
    notes text,
    avatar_url text,
    sources jsonb default '[]' constraint persons_sources_fits check (jsonb_typeof(sources) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint persons_owner_id_id_key unique (owner_id, id)
);
comment on column persons.tags is 'Such as family, work, vip.';
comment on column persons.sources is 'Where it came from: [{connectorId, externalId, lastSynced}].';
create index persons_owner_id_name_idx on persons (owner_id, name);
select hub.register_kind('persons', domain => 'graph', scope => 'owner',
    title => 'name', text_columns => '{name,notes}',
    jsonld => 'schema:Person');

create table organizations (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    domain text,
    industry text,
    address jsonb,
    phone text,
    website text,
    sources jsonb default '[]' constraint organizations_sources_fits check (jsonb_typeof(sources) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint organizations_owner_id_id_key unique (owner_id, id)
);
comment on table organizations is 'An organization that the owner knows; what keeps accounts apart is a tenant.';
comment on column organizations.sources is 'Where it came from: [{connectorId, externalId, lastSynced}].';
create index organizations_owner_id_name_idx on organizations (owner_id, name);
select hub.register_kind('organizations', domain => 'graph', scope => 'owner',
    title => 'name', text_columns => '{name,industry}',
    jsonld => 'schema:Organization');

create table relationships (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    from_kind text not null,
    from_id uuid not null,
    relation text not null,
    to_kind text not null,
    to_id uuid not null,
    title text,
    since date,
    until date,
    props jsonb not null default '{}',
    sources jsonb not null default '[]' constraint relationships_sources_fits check (jsonb_typeof(sources) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint relationships_until_fits check (until >= since),
    constraint relationships_edge_key
        unique nulls not distinct (owner_id, from_kind, from_id, relation, to_kind, to_id, since)
);
comment on table relationships is 'An edge between two rows of any kind: a person works_at an organization, with a title and since when.';
comment on column relationships.from_kind is 'The kind that from_id belongs to, such as persons.';
comment on column relationships.relation is 'Such as works_at, knows, part_of.';
comment on column relationships.to_kind is 'The kind that to_id belongs to, such as organizations.';
create index relationships_from_id_idx on relationships (from_id);
create index relationships_to_id_idx on relationships (to_id);
select hub.register_kind('relationships', domain => 'graph', scope => 'owner',
    title => 'relation',
    links => '{"from_id": {"kind": "from_kind"}, "to_id": {"kind": "to_kind"}}');

create table locations (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text,
    address text,
    coordinates point,
    type text constraint locations_type_listed check (type in ('home', 'work', 'venue', 'device-fix')),
    phone text,
    radius_meters integer default 100 constraint locations_radius_meters_fits check (radius_meters >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint locations_owner_id_id_key unique (owner_id, id)
);
comment on column locations.coordinates is 'Longitude, latitude.';
comment on column locations.radius_meters is 'How far around the point counts as being there.';
select hub.register_kind('locations', domain => 'graph', scope => 'owner',
    title => 'name', text_columns => '{name,address}',
    jsonld => 'schema:Place');

create table location_history (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    device_id uuid,
    lat double precision not null constraint location_history_lat_fits check (lat between -90 and 90),
    lon double precision not null constraint location_history_lon_fits check (lon between -180 and 180),
    accuracy_m real constraint location_history_accuracy_m_fits check (accuracy_m >= 0),
    altitude_m real,
    speed_mps real,
    wifi_ssid text,
    recorded_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, device_id) references devices (owner_id, id) on delete set null (device_id)
);
create index location_history_device_id_recorded_at_idx on location_history (device_id, recorded_at desc);
create index location_history_owner_id_recorded_at_idx on location_history (owner_id, recorded_at desc);
select hub.register_kind('location_history', domain => 'graph', scope => 'owner',
    jsonld => 'schema:GeoCoordinates');

create table events (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    title text not null,
    description text,
    location text,
    location_geo point,
    all_day boolean default false,
    recurrence jsonb,
    organizer_id uuid,
    attendees jsonb default '[]' constraint events_attendees_fits check (jsonb_typeof(attendees) = 'array'),
    start_time timestamptz not null,
    end_time timestamptz,
    sources jsonb default '[]' constraint events_sources_fits check (jsonb_typeof(sources) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, organizer_id) references persons (owner_id, id) on delete set null (organizer_id),
    constraint events_end_time_fits check (end_time >= start_time),
    constraint events_owner_id_id_key unique (owner_id, id)
);
comment on table events is 'The calendar; what happened to rows is in the journal.';
comment on column events.attendees is 'Ids of persons.';
comment on column events.sources is 'Where it came from: [{connectorId, externalId, lastSynced}].';
create index events_owner_id_start_time_idx on events (owner_id, start_time);
create index events_organizer_id_idx on events (organizer_id);
select hub.register_kind('events', domain => 'graph', scope => 'owner',
    title => 'title', text_columns => '{title,description,location}',
    links => '{"attendees": "persons"}',
    jsonld => 'schema:Event');

create table documents (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    title text not null,
    content text,
    storage_path text,
    mime_type text,
    source text,
    source_id text,
    tags jsonb default '[]' constraint documents_tags_fits check (jsonb_typeof(tags) = 'array'),
    created_by uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, created_by) references persons (owner_id, id) on delete set null (created_by),
    constraint documents_owner_id_id_key unique (owner_id, id)
);
comment on column documents.source is 'onedrive, local, windows-agent or another connector.';
comment on column documents.created_by is 'The person who wrote it.';
create index documents_owner_id_source_source_id_idx on documents (owner_id, source, source_id);
create index documents_created_by_idx on documents (created_by);
select hub.register_kind('documents', domain => 'graph', scope => 'owner',
    title => 'title', text_columns => '{title,content}',
    jsonld => 'schema:DigitalDocument');

create table contact_notes (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    person_id uuid not null,
    note_type text default 'manual' constraint contact_notes_note_type_listed
        check (note_type in ('manual', 'ai_summary', 'reminder', 'meeting_followup')),
    body text not null,
    source_entity_type text constraint contact_notes_source_entity_type_listed
        check (source_entity_type in ('meeting', 'message', 'call')),
    source_entity_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, person_id) references persons (owner_id, id) on delete cascade,
    constraint contact_notes_has_whole_source check (source_entity_id is null or source_entity_type is not null)
);
comment on column contact_notes.source_entity_id is 'A meeting, a message or, of a call, its voicemail.';
create index contact_notes_owner_id_person_id_idx on contact_notes (owner_id, person_id);
create index contact_notes_source_entity_id_idx on contact_notes (source_entity_id);
select hub.register_kind('contact_notes', domain => 'graph', scope => 'owner',
    title => 'note_type', text_columns => '{body}',
    jsonld => 'schema:Comment');

create table notes (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    title text,
    content text,
    tags text[] not null default '{}',
    project_id uuid,
    sources jsonb not null default '[]' constraint notes_sources_fits check (jsonb_typeof(sources) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint notes_has_text check (title is not null or content is not null),
    constraint notes_owner_id_id_key unique (owner_id, id)
);
comment on table notes is 'What the owner wrote down, or what was made of a brain dump; on a contact it is a contact note.';
create index notes_owner_id_project_id_idx on notes (owner_id, project_id);
select hub.register_kind('notes', domain => 'graph', scope => 'owner',
    title => 'title', text_columns => '{title,content}',
    jsonld => 'schema:CreativeWork');

create table intentions (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    title text not null,
    description text,
    status text not null default 'active' constraint intentions_status_listed
        check (status in ('active', 'paused', 'fulfilled', 'abandoned')),
    priority text not null default 'medium' constraint intentions_priority_listed
        check (priority in ('low', 'medium', 'high', 'urgent')),
    person_id uuid,
    event_id uuid,
    location_id uuid,
    due_at timestamptz,
    fulfilled_at timestamptz,
    sources jsonb not null default '[]' constraint intentions_sources_fits check (jsonb_typeof(sources) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, person_id) references persons (owner_id, id) on delete set null (person_id),
    foreign key (owner_id, event_id) references events (owner_id, id) on delete set null (event_id),
    foreign key (owner_id, location_id) references locations (owner_id, id) on delete set null (location_id)
);
comment on table intentions is 'What the owner means to do, before it is a task: said by himself or read out of his words, to be offered at the right time, person or place.';
create index intentions_owner_id_status_due_at_idx on intentions (owner_id, status, due_at);
create index intentions_person_id_idx on intentions (person_id);
create index intentions_event_id_idx on intentions (event_id);
create index intentions_location_id_idx on intentions (location_id);
select hub.register_kind('intentions', domain => 'graph', scope => 'owner',
    title => 'title', text_columns => '{title,description}',
    jsonld => 'schema:Action');

create table context_snapshots (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    reason text,
    summary text,
    context jsonb not null default '{}',
    device_id uuid,
    location_id uuid,
    event_id uuid,
    captured_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, device_id) references devices (owner_id, id) on delete set null (device_id),
    foreign key (owner_id, location_id) references locations (owner_id, id) on delete set null (location_id),
    foreign key (owner_id, event_id) references events (owner_id, id) on delete set null (event_id)
);
comment on table context_snapshots is 'The owner''s situation at one moment: where, on which device, during what, and whatever else rules and agents went by.';
comment on column context_snapshots.reason is 'Why it was taken, such as a rule''s or an agent''s name.';
create index context_snapshots_owner_id_captured_at_idx on context_snapshots (owner_id, captured_at desc);
create index context_snapshots_device_id_idx on context_snapshots (device_id);
create index context_snapshots_location_id_idx on context_snapshots (location_id);
create index context_snapshots_event_id_idx on context_snapshots (event_id);
select hub.register_kind('context_snapshots', domain => 'graph', scope => 'owner',
    title => 'reason', text_columns => '{summary}');

create table media_library (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    file_name text,
    display_name text,
    file_type text,
    file_size bigint constraint media_library_file_size_fits check (file_size >= 0),
    storage_path text,
    bucket text default 'media-library',
    file_url text,
    category text,
    description text,
    tags text[],
    processing_status text,
    assigned_agents_count integer not null default 0
        constraint media_library_assigned_agents_count_fits check (assigned_agents_count >= 0),
    chunk_count integer not null default 0 constraint media_library_chunk_count_fits check (chunk_count >= 0),
    is_archived boolean not null default false,
    document_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (user_id, document_id) references documents (owner_id, id) on delete set null (document_id),
    constraint media_library_user_id_id_key unique (user_id, id)
);
comment on column media_library.document_id is 'The document that was made of the file.';
comment on column media_library.is_archived is 'Agents no longer see it.';
create index media_library_document_id_idx on media_library (document_id);
select hub.register_kind('media_library', domain => 'graph', scope => 'owner', owner => 'user_id',
    title => 'display_name', text_columns => '{display_name,description}',
    read_only => '{assigned_agents_count,chunk_count}',
    jsonld => 'schema:MediaObject');

create table media_processing_logs (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    media_id uuid not null,
    processing_step text,
    status text,
    details jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, media_id) references media_library (user_id, id) on delete cascade
);
create index media_processing_logs_owner_id_media_id_idx on media_processing_logs (owner_id, media_id);
select hub.register_kind('media_processing_logs', domain => 'graph', scope => 'owner', title => 'processing_step');

create table customers (
    id uuid primary key default hub.uuid_v7(),
    tenant_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    name text not null,
    first_name text not null,
    last_name text not null,
    person_id uuid references persons (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint customers_tenant_id_id_key unique (tenant_id, id)
);
comment on column customers.tenant_id is 'The tenant that keeps the record; customer_organization names those it is shared with.';
comment on column customers.person_id is 'The same human being among the persons of whoever linked it.';
create index customers_person_id_idx on customers (person_id);
select hub.register_kind('customers', domain => 'graph', scope => 'tenant',
    also_read_when => 'exists (select from customer_organization o where o.customer_id = customers.id and o.organization_id = auth.tenant_id())',
    title => 'name', text_columns => '{name}',
    jsonld => 'schema:Person');

create table customer_email (
    id uuid primary key default hub.uuid_v7(),
    tenant_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    customer_id uuid not null,
    email text not null,
    is_primary boolean default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);
create index customer_email_tenant_id_customer_id_idx on customer_email (tenant_id, customer_id);
create unique index customer_email_one_primary_idx on customer_email (customer_id) where is_primary;
select hub.register_kind('customer_email', domain => 'graph', scope => 'tenant',
    also_read_when => 'exists (select from customer_organization o where o.customer_id = customer_email.customer_id and o.organization_id = auth.tenant_id())',
    title => 'email');

create table customer_phone (
    id uuid primary key default hub.uuid_v7(),
    tenant_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    customer_id uuid not null,
    phone text not null,
    type text,
    is_primary boolean default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);
create index customer_phone_tenant_id_customer_id_idx on customer_phone (tenant_id, customer_id);
create unique index customer_phone_one_primary_idx on customer_phone (customer_id) where is_primary;
select hub.register_kind('customer_phone', domain => 'graph', scope => 'tenant',
    also_read_when => 'exists (select from customer_organization o where o.customer_id = customer_phone.customer_id and o.organization_id = auth.tenant_id())',
    title => 'phone');

create table customer_organization (
    id uuid primary key default hub.uuid_v7(),
    tenant_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    customer_id uuid not null,
    organization_id uuid not null references tenants (id) on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade,
    constraint customer_organization_customer_id_organization_id_key unique (customer_id, organization_id)
);
comment on table customer_organization is 'Which tenants read the customer besides the one that keeps it.';
comment on column customer_organization.tenant_id is 'The tenant that keeps the customer.';
create index customer_organization_tenant_id_customer_id_idx on customer_organization (tenant_id, customer_id);
create index customer_organization_organization_id_idx on customer_organization (organization_id);
select hub.register_kind('customer_organization', domain => 'graph', scope => 'tenant',
    also_read_when => 'organization_id = auth.tenant_id()');

create table customer_user (
    id uuid primary key default hub.uuid_v7(),
    tenant_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    customer_id uuid not null,
    user_id uuid not null references user_profile (id) on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade,
    constraint customer_user_customer_id_user_id_key unique (customer_id, user_id)
);
comment on table customer_user is 'Who of the tenant looks after the customer.';
comment on column customer_user.tenant_id is 'The tenant that keeps the customer.';
comment on column customer_user.user_id is 'A row of user_profile.';
create index customer_user_tenant_id_customer_id_idx on customer_user (tenant_id, customer_id);
create index customer_user_user_id_idx on customer_user (user_id);
select hub.register_kind('customer_user', domain => 'graph', scope => 'tenant');
