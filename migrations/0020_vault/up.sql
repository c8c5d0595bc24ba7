-- Secrets and the services they open. A secret's value is only in `vault_secrets`, sealed; every other table names it by
-- its vault id. The catalogue says which services there are and what can be done with each.

create table vault_secrets (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete cascade,
    vault_id text generated always as (id::text) stored,
    name text,
    description text,
    purpose text,
    version integer not null default 1 constraint vault_secrets_version_fits check (version >= 1),
    key_id text not null,
    wrapped_key bytea not null,
    sealed bytea not null,
    last_opened_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint vault_secrets_owner_id_name_key unique (owner_id, name),
    constraint vault_secrets_owner_id_vault_id_key unique (owner_id, vault_id)
);
comment on column vault_secrets.owner_id is 'Whose secret it is; null for the hub''s own.';
comment on column vault_secrets.vault_id is 'The id as text, as other tables keep it.';
comment on column vault_secrets.key_id is 'Which master key wrapped the data key.';
comment on column vault_secrets.wrapped_key is 'This secret''s data key under the master key, its nonce in front.';
comment on column vault_secrets.sealed is 'The secret under the data key, its nonce in front; bound to this row, its owner and its purpose.';
create index vault_secrets_key_id_idx on vault_secrets (key_id);
select hub.register_kind('vault_secrets', domain => 'vault', scope => 'service',
    title => 'name',
    hidden => '{wrapped_key,sealed}');

create table user_credentials (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    credential_type text not null constraint user_credentials_credential_type_listed
        check (credential_type in ('twilio', 'microsoft365', 'openrouter', 'ollama')),
    display_info text,
    is_active boolean default true,
    vault_keys text[] not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_credentials_owner_id_credential_type_key unique (owner_id, credential_type)
);
comment on column user_credentials.display_info is 'A hint that is no secret, such as a phone number; never made from the secret.';
comment on column user_credentials.vault_keys is 'Names of the owner''s secrets in the vault.';
select hub.register_kind('user_credentials', domain => 'vault', scope => 'owner',
    title => 'credential_type',
    read_only => '{vault_keys}');

create table key_store (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    provider text not null,
    api_key text not null,
    verified boolean default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint key_store_user_id_provider_key unique (user_id, provider)
);
comment on column key_store.api_key is 'Written in clear, sealed before it is stored: the column holds the vault id.';
comment on column key_store.verified is 'The provider has accepted the key; set by the hub.';
select hub.register_kind('key_store', domain => 'vault', scope => 'owner', owner => 'user_id',
    title => 'provider',
    hidden => '{api_key}',
    read_only => '{verified}');

create table user_calendar_tokens (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    access_token text not null,
    refresh_token text,
    expiry_date bigint,
    google_email text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_calendar_tokens_user_id_key unique (user_id)
);
comment on column user_calendar_tokens.access_token is 'Sealed before it is stored: the column holds the vault id.';
comment on column user_calendar_tokens.refresh_token is 'Sealed before it is stored: the column holds the vault id.';
comment on column user_calendar_tokens.expiry_date is 'Milliseconds since 1970, as Google counts.';
select hub.register_kind('user_calendar_tokens', domain => 'vault', scope => 'owner', owner => 'user_id',
    title => 'google_email',
    hidden => '{access_token,refresh_token}');

create table service_providers (
    id uuid primary key default hub.uuid_v7(),
    name text not null,
    display_name text,
    provider_type text not null
        constraint service_providers_provider_type_listed check (provider_type in ('oauth', 'api_key', 'smtp')),
    authorization_endpoint text,
    token_endpoint text,
    scopes_supported jsonb,
    configuration_metadata jsonb,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint service_providers_name_key unique (name)
);
comment on column service_providers.configuration_metadata is 'Nothing secret: every account reads it.';
select hub.register_kind('service_providers', domain => 'vault', scope => 'catalogue', title => 'display_name');

create table integrations (
    id uuid primary key default hub.uuid_v7(),
    name text not null,
    display_name text,
    description text,
    category text,
    service_provider_id uuid references service_providers (id) on delete set null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint integrations_name_key unique (name)
);
comment on table integrations is 'What can be connected, and through which provider; integration_capabilities says what it then can do.';
create index integrations_service_provider_id_idx on integrations (service_provider_id);
select hub.register_kind('integrations', domain => 'vault', scope => 'catalogue',
    title => 'display_name', text_columns => '{display_name,description}');

create table integration_capabilities (
    id uuid primary key default hub.uuid_v7(),
    integration_id uuid not null references integrations (id) on delete cascade,
    capability_key text not null,
    display_label text,
    display_order integer,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint integration_capabilities_integration_id_capability_key_key unique (integration_id, capability_key)
);
comment on column integration_capabilities.capability_key is 'The tool''s name, such as smtp_send_email.';
select hub.register_kind('integration_capabilities', domain => 'vault', scope => 'catalogue', title => 'display_label');

create table user_integration_credentials (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    service_provider_id uuid not null references service_providers (id),
    credential_type text not null constraint user_integration_credentials_credential_type_listed
        check (credential_type in ('oauth', 'api_key')),
    connection_name text,
    connection_status text not null default 'active',
    connection_metadata jsonb,
    scopes_granted jsonb,
    vault_access_token_id text,
    vault_refresh_token_id text,
    encrypted_access_token text
        constraint user_integration_credentials_encrypted_access_token_empty check (encrypted_access_token is null),
    encrypted_refresh_token text
        constraint user_integration_credentials_encrypted_refresh_token_empty check (encrypted_refresh_token is null),
    token_expires_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (user_id, vault_access_token_id)
        references vault_secrets (owner_id, vault_id) on delete set null (vault_access_token_id),
    foreign key (user_id, vault_refresh_token_id)
        references vault_secrets (owner_id, vault_id) on delete set null (vault_refresh_token_id),
    constraint user_integration_credentials_user_id_id_key unique (user_id, id)
);
comment on column user_integration_credentials.vault_access_token_id is 'A secret of the same owner in the vault.';
comment on column user_integration_credentials.vault_refresh_token_id is 'A secret of the same owner in the vault.';
comment on column user_integration_credentials.encrypted_access_token is 'No longer used: always null.';
comment on column user_integration_credentials.encrypted_refresh_token is 'No longer used: always null.';
create index idx_user_integration_credentials_user_id on user_integration_credentials (user_id);
create index user_integration_credentials_service_provider_id_idx on user_integration_credentials (service_provider_id);
create index user_integration_credentials_vault_access_token_id_idx on user_integration_credentials (vault_access_token_id);
create index user_integration_credentials_vault_refresh_token_id_idx on user_integration_credentials (vault_refresh_token_id);
select hub.register_kind('user_integration_credentials', domain => 'vault', scope => 'owner', owner => 'user_id',
    title => 'connection_name',
    read_only => '{encrypted_access_token,encrypted_refresh_token}');
