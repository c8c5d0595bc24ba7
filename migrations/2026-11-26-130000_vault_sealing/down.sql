drop index vault_secrets_owner_id_unreadable_idx;
alter table vault_secrets drop column unreadable_at;
