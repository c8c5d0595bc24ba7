select hub.change_kind('user_calendar_tokens', '{"hidden": ["access_token", "refresh_token"]}');
select hub.change_kind('key_store', '{"hidden": ["api_key"]}');
drop index vault_secrets_owner_id_unreadable_idx;
alter table vault_secrets drop column unreadable_at;
