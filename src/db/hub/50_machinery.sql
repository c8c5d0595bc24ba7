-- Foreign words for a job's state, sources that are no rows, and the names that vanished when tables were merged.

create or replace function hub.word_job_status() returns trigger
language plpgsql as $$
begin
    new.status := case new.status when 'pending' then 'enqueued' else 'running' end;
    return new;
end
$$;
drop trigger if exists job_records_word_status on public.job_records;
create trigger job_records_word_status before insert or update of status on public.job_records
    for each row when (new.status in ('pending', 'processing')) execute function hub.word_job_status();

create or replace function hub.name_embedding_source() returns trigger
language plpgsql as $$
begin
    new.entity_type := coalesce(new.entity_type, 'source');
    new.entity_id := coalesce(new.entity_id, md5(new.source_id)::uuid);
    new.model := coalesce(new.model, 'unknown');
    return new;
end
$$;
drop trigger if exists embeddings_name_source on public.embeddings;
create trigger embeddings_name_source before insert or update on public.embeddings
    for each row when (new.source_id is not null) execute function hub.name_embedding_source();

drop view if exists public.queue_jobs;
create view public.queue_jobs with (security_invoker = true) as
select j.id, coalesce(j.queue_job_id, j.id::text) as queue_job_id, j.owner_id as user_id, j.job_type,
    case j.status when 'enqueued' then 'pending' when 'running' then 'processing' when 'dead' then 'failed' else j.status end
        as status,
    j.scheduled_for, j.started_at, j.completed_at, j.attempts, j.max_attempts, j.last_error as error_message, j.result,
    j.created_at, j.updated_at
from public.job_records j;
revoke all on public.queue_jobs from public, anon, authenticated, service_role;
grant select on public.queue_jobs to authenticated, service_role;

drop view if exists public.vector_store;
create view public.vector_store with (security_invoker = true) as
select e.id, e.owner_id as user_id, e.source_id, e.embedding, e.metadata, e.created_at
from public.embeddings e
where e.source_id is not null;
revoke all on public.vector_store from public, anon, authenticated, service_role;
grant select on public.vector_store to authenticated, service_role;

-- For whom a key counts: the account, whichever session it asks by; else what the door knows of the asker.
create or replace function hub.asker(otherwise text) returns text
language sql stable set search_path = pg_catalog, hub as $$
    select coalesce('user ' || auth.uid(), otherwise)
$$;

-- Take a key for this transaction, or say what is known of it: new, running, other (request) or done.
-- Nobody waits: whoever comes second while the first is at work is told so.
create or replace function hub.take_key(otherwise text, key bytea, request bytea)
returns table (state text, status int, headers text, body bytea)
language plpgsql security definer set search_path = pg_catalog, hub as $$
declare
    who text := hub.asker(otherwise);
    kept hub.idempotency_keys;
begin
    if not pg_try_advisory_xact_lock(hashtextextended(who || ' ' || encode(key, 'hex'), 138)) then
        return query select 'running', null::int, null::text, null::bytea;
        return;
    end if;
    select * into kept from hub.idempotency_keys k
        where k.caller = who and k.key_hash = key and k.created_at > now() - interval '24 hours';
    if not found then
        return query select 'new', null::int, null::text, null::bytea;
    elsif kept.request_hash <> request then
        return query select 'other', null::int, null::text, null::bytea;
    else
        return query select 'done', kept.status, kept.headers::text, kept.body;
    end if;
end
$$;

-- Keep the answer to a key that this transaction took.
create or replace function hub.keep_answer(otherwise text, key bytea, request bytea, status int, headers jsonb, body bytea)
returns void
language sql security definer set search_path = pg_catalog, hub as $$
    insert into hub.idempotency_keys (caller, key_hash, request_hash, status, headers, body)
    values (hub.asker(otherwise), key, request, status, headers, body)
    on conflict (caller, key_hash) do update set request_hash = excluded.request_hash, status = excluded.status,
        headers = excluded.headers, body = excluded.body, created_at = now()
$$;

-- Workers hear of new jobs when they are committed.
create or replace function hub.wake_workers() returns trigger
language plpgsql as $$
begin
    perform pg_notify('hub_jobs', '');
    return null;
end
$$;
drop trigger if exists job_records_wake on public.job_records;
create trigger job_records_wake after insert on public.job_records
    for each statement execute function hub.wake_workers();

-- Whether the journal goes on behind a place. By its index: a third of all rows is expected behind any place, so that reading
-- from the beginning until one is found looks cheap, and it never is.
create or replace function hub.journal_goes_on(after_tx xid8, after_id uuid) returns boolean
language plpgsql stable set search_path = pg_catalog, hub set enable_seqscan = off as $$
begin
    return exists (select from hub.journal j where (j.tx, j.id) > (after_tx, after_id));
end
$$;
grant execute on function hub.journal_goes_on(xid8, uuid) to service_role;

-- A domain's word in the journal, beside what the triggers write. For the hub only; who asked stays known.
create or replace function hub.emit(word text, kind text, row_id uuid, owner_id uuid) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    made uuid;
begin
    insert into hub.journal (kind, verb, row_id, owner_id, actor_id, role)
    values (kind, word, row_id, owner_id, auth.uid(), current_setting('role'))
    returning id into made;
    perform pg_notify('hub_changes', '');
    return made;
end
$$;
