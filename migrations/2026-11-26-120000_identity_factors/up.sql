-- Second factors and their recovery codes, accounts that were closed, and what is remembered of those that are gone. No door
-- serves any of it.

create table hub.factors (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null references public.users (id) on delete cascade,
    friendly_name text not null,
    factor_type text not null default 'totp' constraint factors_factor_type_listed check (factor_type in ('totp')),
    secret_id uuid not null,
    verified_at timestamptz,
    last_step bigint not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint factors_user_id_friendly_name_key unique (user_id, friendly_name)
);
comment on column hub.factors.secret_id is 'The seed, in the vault.';
comment on column hub.factors.last_step is 'The time step of the code that was used last: neither it nor an earlier one works again.';

-- Somebody is asked for a code. Belongs to the session that asked.
create table hub.factor_challenges (
    id uuid primary key default gen_random_uuid(),
    factor_id uuid not null references hub.factors (id) on delete cascade,
    session_id uuid not null references hub.sessions (id) on delete cascade,
    wrong integer not null default 0,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index factor_challenges_factor_id_idx on hub.factor_challenges (factor_id);
create index factor_challenges_session_id_idx on hub.factor_challenges (session_id);

-- Wrong codes of an account, whatever the challenge and the session: who knows the password must not guess on.
create table hub.factor_guesses (
    user_id uuid primary key references public.users (id) on delete cascade,
    wrong integer not null default 0,
    wait_until timestamptz not null default 'epoch'
);

-- Codes for whoever lost the device, each for one time. Only their SHA-256.
create table hub.recovery_codes (
    user_id uuid not null references public.users (id) on delete cascade,
    code_hash bytea not null,
    set_id uuid not null,
    friendly_name text not null,
    created_at timestamptz not null default now(),
    used_at timestamptz,
    primary key (user_id, code_hash)
);

-- Accounts whose holder, or an operator, closed them: hidden and logged out. Kept by trigger, as long as users.deleted_at is set.
create table hub.closed_accounts (
    user_id uuid primary key references public.users (id) on delete cascade,
    closed_at timestamptz not null default now(),
    erase_at timestamptz
);
comment on column hub.closed_accounts.erase_at is 'When everything of the account is removed; null: not until somebody says so.';

-- Accounts that are gone for good, so that a restored backup does not bring them back.
create table hub.deletions (
    id_hash bytea primary key,
    deleted_on date not null default current_date
);
comment on column hub.deletions.id_hash is 'SHA-256 of the account''s id as text.';

-- Names that were somebody's: nobody else gets them.
create table hub.taken_handles (
    handle_hash bytea primary key,
    id_hash bytea not null
);
comment on column hub.taken_handles.handle_hash is 'SHA-256 of the handle in lower case.';
comment on column hub.taken_handles.id_hash is 'SHA-256 of the id of the account that had it.';

comment on column public.users.deleted_at is 'Set: the account is closed; it can no longer sign in, nothing of it is public, its address is free again, its handle is not.';
