update hub.kinds set journaled = true where name in ('notification_events', 'notification_deliveries', 'email_logs');
select hub.unregister_kind('rule_runs');
drop table rule_runs;
alter table rules drop constraint rules_owner_id_id_key;
alter table user_notification_preferences drop column daily_brief_time;
drop table hub.daily_briefs;
drop table hub.readers;
drop index hub.journal_tx_id_idx;
create index journal_tx_idx on hub.journal (tx);
alter table hub.journal drop column depth, drop column correlation;
comment on column hub.journal.verb is null;
alter table hub.journal drop constraint journal_verb_listed;
-- Words that were written stay: nobody changes the journal.
alter table hub.journal add constraint journal_verb_listed check (verb in ('insert', 'update', 'delete')) not valid;
