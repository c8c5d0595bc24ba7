-- A secret whose key was lost stays where it is, marked, until its owner has entered it again or the key is found.

alter table vault_secrets add column unreadable_at timestamptz;
comment on column vault_secrets.unreadable_at is 'Since when no key opens it; a rotation says so, and takes it back when the key is there again.';
create index vault_secrets_owner_id_unreadable_idx on vault_secrets (owner_id) where unreadable_at is not null;

-- What a client writes there is sealed, so the column holds a reference like any other: it may be read, and an upsert, which
-- reads what it writes, works.
select hub.change_kind('key_store', '{"hidden": []}');
select hub.change_kind('user_calendar_tokens', '{"hidden": []}');
