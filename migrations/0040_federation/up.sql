-- Actors of other hubs and servers, and the local ones as others see them. Rows that came from elsewhere name theirs.

create table ap_actors (
    id uuid primary key default hub.uuid_v7(),
    uri text not null,
    type text not null default 'Person',
    preferred_username text,
    host text not null,
    name text,
    summary text,
    icon_url text,
    url text,
    inbox_url text,
    shared_inbox_url text,
    outbox_url text,
    followers_url text,
    public_key_id text,
    public_key_pem text,
    is_hub boolean not null default false,
    user_id uuid references users (id) on delete set null,
    last_fetched_at timestamptz,
    suspended_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint ap_actors_uri_key unique (uri),
    constraint ap_actors_user_id_key unique (user_id)
);
comment on column ap_actors.type is 'Person, Group, Organization, Application or Service.';
comment on column ap_actors.is_hub is 'Its server speaks this hub''s vocabulary too.';
comment on column ap_actors.user_id is 'The account it stands for here; null for everybody elsewhere.';
comment on column ap_actors.suspended_at is 'Set: nothing is taken from it and nothing sent.';
comment on column ap_actors.deleted_at is 'Set: it deleted itself; the row stays so that it stays deleted.';
create index ap_actors_host_preferred_username_idx on ap_actors (host, lower(preferred_username));
create index ap_actors_public_key_id_idx on ap_actors (public_key_id);
select hub.register_kind('ap_actors', domain => 'fed', scope => 'operators',
    title => 'preferred_username', text_columns => '{name,summary}',
    jsonld => 'as:Actor');
