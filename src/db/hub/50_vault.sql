-- A new key is unverified, and the older name of a user's connections.

create or replace function hub.doubt_new_key() returns trigger
language plpgsql as $$
begin
    new.verified := false;
    return new;
end
$$;
drop trigger if exists key_store_doubt_new on public.key_store;
create trigger key_store_doubt_new before update of api_key on public.key_store
    for each row when (new.api_key is distinct from old.api_key and new.verified is not distinct from old.verified)
    execute function hub.doubt_new_key();

drop view if exists public.user_oauth_connections;
create view public.user_oauth_connections with (security_invoker = true) as
select c.id, c.user_id, c.service_provider_id, c.connection_name, c.connection_status, c.connection_metadata,
    c.scopes_granted, c.vault_access_token_id, c.vault_refresh_token_id, c.token_expires_at, c.created_at, c.updated_at
from public.user_integration_credentials c
where c.credential_type = 'oauth';
revoke all on public.user_oauth_connections from public, anon, authenticated, service_role;
grant select on public.user_oauth_connections to authenticated, service_role;
