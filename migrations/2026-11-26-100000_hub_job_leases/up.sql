-- Jobs are leased, so that a process that dies or freezes loses them; one process at a time does what must be done once;
-- sessions remember how their holder proved himself.

alter table job_records
    add column leased_by text,
    add column leased_until timestamptz,
    add column lost integer not null default 0 constraint job_records_lost_fits check (lost >= 0);
comment on column job_records.leased_by is 'The process that runs it.';
comment on column job_records.leased_until is 'When that process has not said by then that it still works, another takes over.';
comment on column job_records.lost is 'How often in a row its process went away while it ran: it may be the reason, and then runs alone.';
drop index job_records_due_idx;
create index job_records_due_idx on job_records (queue, scheduled_for, id) where status = 'enqueued' and lost = 0;
create index job_records_suspect_idx on job_records (scheduled_for, id) where status = 'enqueued' and lost > 0;
create index job_records_leased_idx on job_records (leased_until) where status = 'running';
create index job_records_dead_idx on job_records (updated_at) where status = 'dead';

-- Who does what only one process may do at a time.
create table hub.leases (
    name text primary key,
    holder text not null,
    until timestamptz not null
);

-- When each thing that runs by itself is due again.
create table hub.cron_due (
    name text primary key,
    schedule text not null,
    due_at timestamptz not null
);

-- Machinery that changes all the time is not news: it stays out of the journal.
alter table hub.kinds add column journaled boolean not null default true;
update hub.kinds set journaled = false where name in ('job_records', 'cron_logs', 'audit_log', 'embeddings');

-- Columns that say only when something was last seen: a change of nothing else is not news either.
alter table hub.kinds add column quiet text[] not null default '{}';
update hub.kinds set quiet = '{last_sign_in_at}' where name = 'users';

alter table hub.sessions
    add column aal text not null default 'aal1' constraint sessions_aal_listed check (aal in ('aal1', 'aal2')),
    add column amr jsonb not null default '[]';
comment on column hub.sessions.amr is 'How the holder proved himself: [{"method", "timestamp"}], the latest last.';
