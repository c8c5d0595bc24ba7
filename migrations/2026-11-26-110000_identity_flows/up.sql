-- Everything by e-mail: links carry a code that can be typed, the code flow of apps with its challenge, tries that are
-- counted for all processes together, and refresh tokens that know their generation.

alter table hub.one_time_links
    add column code_hash bytea,
    add column wrong_tries integer not null default 0,
    add column code_challenge text;
comment on column hub.one_time_links.code_hash is 'A keyed hash of the six digits that the same letter names.';
comment on column hub.one_time_links.wrong_tries is 'How often other digits were typed for these.';
comment on column hub.one_time_links.code_challenge is 'Whose link is opened for an app: what the app proves to be the asker with.';
create index one_time_links_email_purpose_idx on hub.one_time_links (email, purpose) where used_at is null;

alter table hub.sessions add column generation integer not null default 0;
comment on column hub.sessions.generation is 'How often it was refreshed; refresh tokens of earlier generations were used.';
alter table hub.refresh_tokens add column generation integer not null default 0;

-- What an app exchanges for a session, once, when it knows what the challenge was made from. Only the code's hash is here.
create table hub.auth_codes (
    code_hash bytea primary key,
    user_id uuid not null references public.users (id) on delete cascade,
    challenge text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    session_id uuid references hub.sessions (id) on delete set null
);
comment on column hub.auth_codes.session_id is 'What it was exchanged for: over when somebody shows the code again.';
create index auth_codes_user_id_idx on hub.auth_codes (user_id);
create index auth_codes_session_id_idx on hub.auth_codes (session_id);

-- How often something was tried since when. Keys are keyed hashes: who tried what can't be read from them.
create table hub.tries (
    key bytea primary key,
    since timestamptz not null default now(),
    count integer not null
);
create index tries_since_idx on hub.tries (since);
