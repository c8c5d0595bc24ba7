-- Seals over the audit log: what is committed is counted into a chain of hashes, one per owner, and all of them into one
-- over the whole hub. What is hashed, byte by byte, is said in docs/AUDIT.md.

-- By the transaction that wrote a row the sealer knows when everything before it is committed.
alter table audit_log add column tx xid8 not null default pg_current_xact_id();
comment on column audit_log.tx is 'The transaction that wrote the row; rows are sealed once everything before it has ended.';
create index audit_log_tx_idx on audit_log (tx);
select hub.change_kind('audit_log', '{"hidden": ["tx"]}');

create table hub.audit_seals (
    number bigint generated always as identity primary key,
    -- Whose rows are sealed; null for those that are nobody's.
    owner_id uuid,
    -- From 1 in each owner's chain.
    place bigint not null,
    first uuid not null,
    last uuid not null,
    -- The sealed rows in order, and the hash of each, so that a row that is wrong can be named.
    ids uuid[] not null,
    hashes bytea[] not null,
    -- Every row of a transaction below this was sealed when this seal was made.
    upto xid8 not null,
    -- The owner's seal before this one, and the hub's.
    prev_hash bytea not null,
    before_hash bytea not null,
    hash bytea not null,
    -- Made after a dump was restored into a server whose transactions count from lower numbers.
    is_restart boolean not null default false,
    sealed_at timestamptz not null
);
create index audit_seals_owner_id_number_idx on hub.audit_seals (owner_id, number);
create index audit_seals_is_restart_idx on hub.audit_seals (number) where is_restart;
