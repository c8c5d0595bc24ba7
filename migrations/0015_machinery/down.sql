drop view if exists queue_jobs, vector_store;
select hub.unregister_kind('plugin_schemas');
drop table plugin_schemas;
select hub.unregister_kind('embeddings');
drop table embeddings;
select hub.unregister_kind('job_records');
drop table job_records;
select hub.unregister_kind('audit_log');
drop table audit_log;
