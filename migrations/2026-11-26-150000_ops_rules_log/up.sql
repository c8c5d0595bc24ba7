-- What follows from changes: readers of the journal with their places, words of the domains beside plain changes, what a
-- change was caused by (so that rules cannot chase each other for ever), the log of the rules, and who had his daily brief.

alter table hub.journal drop constraint journal_verb_listed;
alter table hub.journal add constraint journal_verb_listed check (
    verb in ('insert', 'update', 'delete')
    or (verb ~ '^[a-z][a-z0-9_]{0,62}(\.[A-Za-z][A-Za-z0-9_]{0,62}){1,3}$' and verb !~ '\.(insert|update|delete)$'));
-- Who works on behalf of somebody says so in his transaction; the triggers of the journal need not know.
alter table hub.journal
    add column correlation text default nullif(current_setting('hub.correlation', true), ''),
    add column depth integer not null default coalesce(nullif(current_setting('hub.depth', true), '')::integer, 0);
comment on column hub.journal.verb is 'insert | update | delete, or a domain''s word such as exchange.accepted.';
comment on column hub.journal.correlation is 'The chain of rules that the change belongs to.';
comment on column hub.journal.depth is 'How many rules stand between the change and a person.';
drop index hub.journal_tx_idx;
create index journal_tx_id_idx on hub.journal (tx, id);

-- How far each reader of the journal has come. Who holds the row's lock reads; the others let him.
create table hub.readers (
    name text primary key,
    last_tx xid8 not null,
    last_id uuid not null,
    -- Rows written before are none of its business, whatever number their transaction has.
    since timestamptz,
    failures integer not null default 0,
    -- So many changes are still handed over one by one, after a batch that failed.
    singly integer not null default 0,
    last_error text,
    retry_at timestamptz,
    skipped bigint not null default 0,
    updated_at timestamptz not null default now()
);
-- Rules hear of what happens from now on.
insert into hub.readers (name, last_tx, last_id)
values ('ops.rules', pg_snapshot_xmin(pg_current_snapshot()), '00000000-0000-0000-0000-000000000000');

-- One brief for each account and day of its own calendar.
create table hub.daily_briefs (
    user_id uuid not null references users (id) on delete cascade,
    local_date date not null,
    written_at timestamptz not null default now(),
    primary key (user_id, local_date)
);

alter table user_notification_preferences
    add column daily_brief_time time not null default '07:00';
comment on column user_notification_preferences.daily_brief_time is 'When the daily brief is written, in the account''s timezone.';

alter table rules add constraint rules_owner_id_id_key unique (owner_id, id);

create table rule_runs (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    rule_id uuid not null,
    event_id uuid not null,
    event_type text not null,
    row_kind text not null,
    row_id uuid not null,
    matched boolean not null,
    actions jsonb not null default '[]',
    error text,
    depth integer not null default 0,
    correlation_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint rule_runs_rule_id_fkey foreign key (owner_id, rule_id) references rules (owner_id, id) on delete cascade,
    constraint rule_runs_owner_id_rule_id_event_id_key unique (owner_id, rule_id, event_id)
);
comment on table rule_runs is 'What became of a rule when something happened that it waits for.';
comment on column rule_runs.event_id is 'The change, as job_records.triggered_by_event_id has it.';
comment on column rule_runs.matched is 'Whether the conditions held.';
comment on column rule_runs.actions is 'What was asked for: [{"type", "job_id"}].';
comment on column rule_runs.error is 'Why it came to nothing, or what an action failed with.';
comment on column rule_runs.depth is 'How many rules stand between a person and this run.';
create index rule_runs_owner_id_created_at_idx on rule_runs (owner_id, created_at desc);
create index rule_runs_rule_id_created_at_idx on rule_runs (rule_id, created_at);
create index rule_runs_created_at_idx on rule_runs (created_at);
create index rule_runs_event_id_idx on rule_runs (event_id);
create index rule_runs_row_id_idx on rule_runs (row_id);
create index rule_runs_correlation_id_idx on rule_runs (correlation_id);
select hub.register_kind('rule_runs', domain => 'ops', scope => 'owner',
    client_writes => '{}',
    title => 'event_type');

-- What the hub notes of its own doings is not news: a rule that waited for it would wait for itself.
update hub.kinds set journaled = false where name in ('rule_runs', 'notification_events', 'notification_deliveries', 'email_logs');
