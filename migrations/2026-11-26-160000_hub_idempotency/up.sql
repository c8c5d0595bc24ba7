-- The answers to requests that carried an Idempotency-Key, written in the transaction of the effect (S-138, R-42).
-- The body is sealed under the key itself, which only the asker has; no door serves this table.
create table hub.idempotency_keys (
    caller text not null,
    key_hash bytea not null,
    request_hash bytea not null,
    status int not null constraint idempotency_keys_status_is_one check (status between 100 and 599),
    headers jsonb not null default '{}',
    body bytea,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (caller, key_hash)
);
comment on column hub.idempotency_keys.caller is 'The account, or the session or network where there is none.';
comment on column hub.idempotency_keys.body is 'None when the answer was too long to be kept.';
create index idempotency_keys_created_at_idx on hub.idempotency_keys (created_at);
