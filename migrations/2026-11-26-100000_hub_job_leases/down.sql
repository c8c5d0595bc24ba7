alter table hub.sessions drop column amr, drop column aal;
alter table hub.kinds drop column journaled;
drop table hub.cron_due;
drop table hub.leases;
drop index job_records_dead_idx;
drop index job_records_leased_idx;
drop index job_records_due_idx;
create index job_records_due_idx on job_records (queue, scheduled_for) where status = 'enqueued';
alter table job_records drop column leased_until, drop column leased_by;
