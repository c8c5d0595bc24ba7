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
