-- Accounts under the name their seed gave them; founders become members; what only some may change.

drop view if exists auth.users;
create view auth.users with (security_invoker = true) as select * from public.users;
revoke all on auth.users from public, anon, authenticated;
grant select, insert, update, delete on auth.users to service_role;
grant usage on sequence public.users_number_seq to service_role;

-- Who is banned or whose account is closed has no session any more, whichever door it was done through; a ban that ends
-- gives none back. Codes and links that would begin one are gone too.
create or replace function hub.end_sessions() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    delete from hub.sessions s where s.user_id = new.id;
    delete from hub.auth_codes c where c.user_id = new.id;
    delete from hub.one_time_links l where l.user_id = new.id and l.used_at is null;
    return null;
end
$$;
drop trigger if exists users_end_sessions on public.users;
create trigger users_end_sessions after update of banned_until, deleted_at on public.users
    for each row when ((new.banned_until is distinct from old.banned_until and new.banned_until > now())
        or (new.deleted_at is not null and old.deleted_at is null))
    execute function hub.end_sessions();

-- A device's token is kept as its SHA-256 only. What already has that form stays as it is.
create or replace function hub.hash_device_token() returns trigger
language plpgsql as $$
begin
    if new.device_token !~ '^sha256:[0-9a-f]{64}$' then
        new.device_token := 'sha256:' || encode(sha256(convert_to(new.device_token, 'UTF8')), 'hex');
    end if;
    return new;
end
$$;
drop trigger if exists devices_hash_token on public.devices;
create trigger devices_hash_token before insert or update of device_token on public.devices
    for each row when (new.device_token is not null) execute function hub.hash_device_token();

-- Whose account a profile is about, and where it belongs, is settled when it is made; later only a developer moves it.
create or replace function hub.keep_profile_user() returns trigger
language plpgsql as $$
begin
    if current_setting('role') = 'authenticated' and auth.app_role() is distinct from 'developer' then
        raise exception using errcode = '42501', schema = tg_table_schema, table = tg_table_name, column = 'user_id',
            message = 'only a developer moves an account to another profile';
    end if;
    return new;
end
$$;
drop trigger if exists user_profile_keeps_user on public.user_profile;
create trigger user_profile_keeps_user before update of user_id, organization_id on public.user_profile
    for each row when (new.user_id is distinct from old.user_id or new.organization_id is distinct from old.organization_id)
    execute function hub.keep_profile_user();

-- A workspace is handed over by its owner; its admins may change everything else.
create or replace function hub.keep_workspace_owner() returns trigger
language plpgsql as $$
begin
    if current_setting('role') = 'authenticated' and old.owner_user_id is distinct from auth.uid() then
        raise exception using errcode = '42501', schema = tg_table_schema, table = tg_table_name, column = 'owner_user_id',
            message = 'only the owner of a workspace hands it over';
    end if;
    return new;
end
$$;
drop trigger if exists workspaces_keeps_owner on public.workspaces;
create trigger workspaces_keeps_owner before update of owner_user_id on public.workspaces
    for each row when (new.owner_user_id is distinct from old.owner_user_id)
    execute function hub.keep_workspace_owner();

-- Who founds a workspace or a team is its first member. As the caller, so that the members' policies hold here too.
create or replace function hub.found_workspace() returns trigger
language plpgsql as $$
begin
    insert into public.workspace_members (workspace_id, user_id, role) values (new.id, new.owner_user_id, 'owner');
    return null;
end
$$;
drop trigger if exists workspaces_found on public.workspaces;
create trigger workspaces_found after insert on public.workspaces
    for each row execute function hub.found_workspace();

create or replace function hub.found_team() returns trigger
language plpgsql as $$
begin
    insert into public.team_members (owner_id, team_id, user_id, team_role)
    values (new.owner_user_id, new.id, new.owner_user_id, 'owner');
    return null;
end
$$;
drop trigger if exists teams_found on public.teams;
create trigger teams_found after insert on public.teams
    for each row execute function hub.found_team();

-- A closed account is noted, and its name stays its own; with an account that is gone goes what would begin a session.
create or replace function hub.users_shut() returns trigger
language plpgsql security definer set search_path = pg_catalog, hub as $$
declare
    gone constant boolean := tg_op = 'DELETE';
    account public.users;
begin
    if gone then account := old; else account := new; end if;
    if gone then
        delete from hub.sessions where user_id = account.id;
        delete from hub.one_time_links where user_id = account.id;
        delete from hub.auth_codes where user_id = account.id;
    end if;
    if (gone or account.deleted_at is not null) and account.handle is not null then
        insert into hub.taken_handles (handle_hash, id_hash)
        values (hub.handle_hash(account.handle), sha256(convert_to(account.id::text, 'UTF8')))
        on conflict do nothing;
    end if;
    if not gone and account.deleted_at is not null then
        insert into hub.closed_accounts (user_id, closed_at) values (account.id, account.deleted_at) on conflict do nothing;
    elsif not gone then
        delete from hub.closed_accounts where user_id = account.id;
    end if;
    return null;
end
$$;
drop trigger if exists users_shut on public.users;
create trigger users_shut after insert or update of deleted_at on public.users
    for each row execute function hub.users_shut();
drop trigger if exists users_gone on public.users;
create trigger users_gone after delete on public.users
    for each row execute function hub.users_shut();

create or replace function hub.handle_hash(handle text) returns bytea
language sql immutable as $$
    select sha256(convert_to(lower(handle), 'UTF8'))
$$;

-- A name that was somebody's, or that stands for the hub itself, is answered like one that is somebody's. Who has such a name
-- from before keeps it.
create or replace function hub.users_keep_handle() returns trigger
language plpgsql security definer set search_path = pg_catalog, hub as $$
begin
    if exists (select from hub.taken_handles t where t.handle_hash = hub.handle_hash(new.handle)
        and t.id_hash <> sha256(convert_to(new.id::text, 'UTF8')))
        or hub.is_reserved_handle(new.handle) and (tg_op = 'INSERT' or new.handle is distinct from old.handle)
    then
        raise exception using errcode = '23505', schema = 'public', table = 'users', constraint = 'users_handle_idx',
            message = 'duplicate key value violates unique constraint "users_handle_idx"',
            detail = format('Key (lower(handle))=(%s) already exists.', lower(new.handle));
    end if;
    return new;
end
$$;
drop trigger if exists users_keep_handle on public.users;
create trigger users_keep_handle before insert or update of handle on public.users
    for each row when (new.handle is not null) execute function hub.users_keep_handle();
