drop table hub.audit_seals;
drop function if exists hub.audit_line(audit_log);
select hub.change_kind('audit_log', '{"hidden": []}');
drop index audit_log_tx_idx;
alter table audit_log drop column tx;
