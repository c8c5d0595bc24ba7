-- A new key is unverified, the older name of a user's connections, and when secrets are forgotten.

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

-- Forgetting ----------------------------------------------------------------------------------------------------------
-- A secret that a row names goes with the row, and when the row names another. Definer: a client reaches no row of the
-- vault. Which columns these are stands in src/domains/vault/sealing.rs as well; a test compares.

-- The vault ids in a value: itself, or what its `vault_id`s say at any depth.
create or replace function hub.vault_ids(held jsonb) returns setof uuid
language sql immutable set search_path = pg_catalog as $$
    select found.id::uuid from (
        select held #>> '{}' as id where jsonb_typeof(held) = 'string'
        union all
        select v #>> '{}' from jsonb_path_query(held, 'lax $.**.vault_id') v where jsonb_typeof(held) in ('object', 'array')
    ) found
    where found.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
$$;

-- The rows of a kind that name a secret in one of these columns.
create or replace function hub.secret_rows(secret uuid, owner uuid, kind text, columns text[]) returns setof uuid
language plpgsql stable security definer set search_path = pg_catalog, public, hub as $$
declare
    owned_by text;
    col text;
    held text;
begin
    select k.owner_column into owned_by from hub.kinds k where k.name = kind;
    foreach col in array columns loop
        select case a.atttypid when 'text'::regtype then format('t.%I = $2::text', col)
            else format('position($2::text in t.%1$I::text) > 0 and $2 in (select hub.vault_ids(t.%1$I))', col) end
        into held from pg_attribute a where a.attrelid = format('public.%I', kind)::regclass and a.attname = col;
        return query execute format('select t.id from public.%I t where ($1 is null or t.%I = $1) and %s', kind, owned_by, held)
            using owner, secret;
    end loop;
end
$$;

-- Arguments: the columns.
create or replace function hub.forget_secrets() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    columns constant text[] := tg_argv[0:tg_nargs - 1];
    was constant jsonb := to_jsonb(old);
    now_is jsonb := '{}';
    owner uuid;
    col text;
begin
    if tg_op = 'UPDATE' then
        now_is := to_jsonb(new);
    end if;
    select (was ->> k.owner_column)::uuid into owner from hub.kinds k where k.name = tg_table_name;
    foreach col in array columns loop
        delete from public.vault_secrets v
        where v.id in (select hub.vault_ids(was -> col) except select hub.vault_ids(now_is -> col))
            and v.purpose in (tg_table_name || '.' || col, 'vault_secrets.secret')
            and (v.owner_id is null or v.owner_id = owner)
            and not exists (select from hub.secret_rows(v.id, v.owner_id, tg_table_name, columns));
    end loop;
    return null;
end
$$;

-- Credentials name their secrets instead.
create or replace function hub.forget_credential_secrets() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    kept text[] := '{}';
begin
    if tg_op = 'UPDATE' then
        kept := new.vault_keys;
    end if;
    delete from public.vault_secrets v
    where v.owner_id = old.owner_id and v.purpose = 'user_credentials.vault_keys'
        and v.name = any (old.vault_keys) and not v.name = any (kept);
    return null;
end
$$;
drop trigger if exists user_credentials_forget_deleted on public.user_credentials;
create trigger user_credentials_forget_deleted after delete on public.user_credentials
    for each row execute function hub.forget_credential_secrets();
drop trigger if exists user_credentials_forget_replaced on public.user_credentials;
create trigger user_credentials_forget_replaced after update on public.user_credentials
    for each row when (new.vault_keys is distinct from old.vault_keys) execute function hub.forget_credential_secrets();

do $$
declare
    sealed record;
begin
    for sealed in
        select * from (values
            ('key_store', '{api_key}'::text[]),
            ('user_calendar_tokens', '{access_token,refresh_token}'),
            ('user_integration_credentials', '{vault_access_token_id,vault_refresh_token_id,connection_metadata}'),
            ('channels', '{config}'),
            ('datastores', '{config}')) s(kind, columns)
    loop
        execute format('drop trigger if exists %I on public.%I', sealed.kind || '_forget_deleted', sealed.kind);
        execute format('create trigger %I after delete on public.%I for each row execute function hub.forget_secrets(%s)',
            sealed.kind || '_forget_deleted', sealed.kind,
            (select string_agg(quote_literal(c), ', ') from unnest(sealed.columns) c));
        execute format('drop trigger if exists %I on public.%I', sealed.kind || '_forget_replaced', sealed.kind);
        execute format('create trigger %I after update on public.%I for each row when (%s) execute function hub.forget_secrets(%s)',
            sealed.kind || '_forget_replaced', sealed.kind,
            (select string_agg(format('new.%I is distinct from old.%I', c, c), ' or ') from unnest(sealed.columns) c),
            (select string_agg(quote_literal(c), ', ') from unnest(sealed.columns) c));
    end loop;
end
$$;

-- What was sealed for a row that then was not written (a duplicate that was ignored, a filter that met nothing) goes at
-- the end of its transaction.
create or replace function hub.forget_unnamed() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    if not exists (
        select from hub.secret_rows(new.id, new.owner_id, split_part(new.purpose, '.', 1), array[split_part(new.purpose, '.', 2)]))
    then
        delete from public.vault_secrets v where v.id = new.id;
    end if;
    return null;
end
$$;
drop trigger if exists vault_secrets_named on public.vault_secrets;
create constraint trigger vault_secrets_named after insert on public.vault_secrets
    deferrable initially deferred for each row
    when (new.purpose in ('key_store.api_key', 'user_calendar_tokens.access_token', 'user_calendar_tokens.refresh_token',
        'user_integration_credentials.vault_access_token_id', 'user_integration_credentials.vault_refresh_token_id',
        'user_integration_credentials.connection_metadata', 'channels.config', 'datastores.config'))
    execute function hub.forget_unnamed();
