drop function if exists hub.audit_line(audit_log), hub.audit_seal_line(hub.audit_seals);
drop table hub.audit_seals;
select hub.change_kind('audit_log', '{"hidden": []}');
drop index audit_log_tx_idx;
alter table audit_log drop column tx;
