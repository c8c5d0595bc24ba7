-- The schema `hub`: what no seed document names and no door serves. The registry of kinds, the journal of changes,
-- sessions, settings. Functions, triggers and policies are not here: they live in src/db/hub/*.sql and are applied anew
-- whenever their text changes. Until that has happened every registered table is closed to everybody.

create schema hub;
create schema auth;

-- Time-ordered ids (RFC 9562, version 7): 48 bits of milliseconds, 12 bits of the fraction of one, 62 random bits.
create function hub.uuid_v7() returns uuid
language sql volatile parallel safe as $$
    select encode(
        set_byte(set_byte(
            overlay(uuid_send(gen_random_uuid())
                placing substring(int8send((t.us / 1000)::bigint) from 3) from 1 for 6),
            6, (112 | (((t.us % 1000) * 4096 / 1000)::int >> 8))),
            7, (((t.us % 1000) * 4096 / 1000)::int & 255)),
        'hex')::uuid
    from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as us) t
$$;

create function auth.uid() returns uuid
language sql stable parallel safe as $$
    select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid
$$;

create function auth.tenant_id() returns uuid
language sql stable parallel safe as $$
    select nullif(current_setting('request.jwt.claim.tenant_id', true), '')::uuid
$$;

create table hub.kinds (
    name text primary key constraint kinds_name_fits check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    domain text not null,
    scope text not null constraint kinds_scope_listed
        check (scope in ('owner', 'tenant', 'members', 'catalogue', 'operators', 'service')),
    owner_column text,
    member_set text constraint kinds_member_set_listed
        check (member_set in ('dao', 'channel', 'workspace', 'project', 'parties')),
    member_column text,
    public_when text,
    client_writes text[] not null,
    also_read_when text,
    insert_when text,
    update_when text,
    delete_when text,
    anon_insert_when text,
    title text,
    text_columns text[] not null,
    hidden text[] not null,
    read_only text[] not null,
    links jsonb not null,
    jsonld text not null,
    append_only boolean not null,
    -- Who added it at run time; null for the kinds of the hub itself.
    plugin text,
    created_at timestamptz not null default now()
);

-- One row per changed row, written by trigger in the transaction of the change. Readers wait for pg_snapshot_xmin.
create table hub.journal (
    id uuid primary key default hub.uuid_v7(),
    tx xid8 not null default pg_current_xact_id(),
    kind text not null,
    verb text not null constraint journal_verb_listed check (verb in ('insert', 'update', 'delete')),
    row_id uuid not null,
    owner_id uuid,
    actor_id uuid,
    role text not null,
    changed text[],
    at timestamptz not null default now()
);
create index journal_kind_row_id_idx on hub.journal (kind, row_id);
create index journal_owner_id_at_idx on hub.journal (owner_id, at);
create index journal_tx_idx on hub.journal (tx);

create table hub.settings (
    name text primary key,
    value jsonb not null,
    updated_at timestamptz not null default now()
);

-- Whoever holds an access token holds the id of one of these rows; without the row the token is worth nothing.
create table hub.sessions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    -- The database role that requests of this session take.
    role text not null constraint sessions_role_listed check (role in ('authenticated', 'service_role')),
    name text,
    user_agent text,
    created_at timestamptz not null default now(),
    refreshed_at timestamptz not null default now(),
    expires_at timestamptz,
    constraint sessions_has_one_holder check ((role = 'authenticated') = (user_id is not null))
);
create index sessions_user_id_idx on hub.sessions (user_id);

-- Refresh tokens, only their SHA-256. A used one stays, so that its second use can be told from a wrong one.
create table hub.refresh_tokens (
    token_hash bytea primary key,
    session_id uuid not null references hub.sessions (id) on delete cascade,
    created_at timestamptz not null default now(),
    used_at timestamptz
);
create index refresh_tokens_session_id_idx on hub.refresh_tokens (session_id);

-- One-time links: the first account, confirmations, invitations. Only the hash of the secret is here.
create table hub.one_time_links (
    token_hash bytea primary key,
    purpose text not null,
    user_id uuid,
    email text,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index one_time_links_user_id_idx on hub.one_time_links (user_id);

-- The schema's version as the binary that brought it here knew it, and the digest of the replaceable SQL.
create table hub.versions (
    name text primary key,
    value text not null,
    updated_at timestamptz not null default now()
);

-- Write the registry row and close the table. What opens it again is hub.apply_kind, in the replaceable SQL.
create function hub.register_kind(
    name text,
    domain text,
    scope text,
    owner text default null,
    member_set text default null,
    member_column text default null,
    public_when text default null,
    client_writes text[] default null,
    also_read_when text default null,
    insert_when text default null,
    update_when text default null,
    delete_when text default null,
    anon_insert_when text default null,
    title text default null,
    text_columns text[] default '{}',
    hidden text[] default '{}',
    read_only text[] default '{}',
    links jsonb default '{}',
    jsonld text default null,
    append_only boolean default false,
    plugin text default null
) returns void
language plpgsql as $$
#variable_conflict use_column
begin
    insert into hub.kinds values (
        register_kind.name, domain, scope,
        coalesce(owner, case scope when 'owner' then 'owner_id' when 'tenant' then 'tenant_id' end),
        member_set, member_column, public_when,
        coalesce(client_writes, case
            when scope in ('operators', 'service') then '{}'::text[]
            when append_only then '{insert}'
            else '{insert,update,delete}' end),
        also_read_when, insert_when, update_when, delete_when, anon_insert_when,
        title, text_columns, hidden, read_only, links,
        coalesce(jsonld, 'mo:' || replace(initcap(replace(register_kind.name, '_', ' ')), ' ', '')),
        append_only, plugin, now());
    execute format('alter table public.%I enable row level security, force row level security', register_kind.name);
end
$$;

-- Later changes of manners are data too: hub.change_kind('listings', '{"public_when": "…"}').
create function hub.change_kind(name text, changes jsonb) returns void
language plpgsql as $$
begin
    update hub.kinds k set
        public_when = case when changes ? 'public_when' then changes ->> 'public_when' else k.public_when end,
        also_read_when = case when changes ? 'also_read_when' then changes ->> 'also_read_when' else k.also_read_when end,
        insert_when = case when changes ? 'insert_when' then changes ->> 'insert_when' else k.insert_when end,
        update_when = case when changes ? 'update_when' then changes ->> 'update_when' else k.update_when end,
        delete_when = case when changes ? 'delete_when' then changes ->> 'delete_when' else k.delete_when end,
        title = case when changes ? 'title' then changes ->> 'title' else k.title end,
        hidden = case when changes ? 'hidden'
            then array(select jsonb_array_elements_text(changes -> 'hidden')) else k.hidden end,
        read_only = case when changes ? 'read_only'
            then array(select jsonb_array_elements_text(changes -> 'read_only')) else k.read_only end,
        client_writes = case when changes ? 'client_writes'
            then array(select jsonb_array_elements_text(changes -> 'client_writes')) else k.client_writes end
    where k.name = change_kind.name;
    if not found then
        raise exception 'no kind is called %', name;
    end if;
end
$$;

create function hub.unregister_kind(name text) returns void
language sql as $$
    delete from hub.kinds k where k.name = unregister_kind.name
$$;
