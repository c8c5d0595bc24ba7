-- What accounts have promised, each promise under the name of what it was made for; and how far a community lets its
-- members' accounts go.

create table hub.ledger_holds (
    id uuid primary key default hub.uuid_v7(),
    key text not null,
    account_id uuid not null references public.ledger_accounts (id) on delete restrict,
    amount numeric(18, 4) not null constraint ledger_holds_amount_fits check (amount > 0),
    created_at timestamptz not null default now(),
    constraint ledger_holds_key_key unique (key)
);
comment on table hub.ledger_holds is 'What an account has promised and not paid yet; the sum of an account''s is its reserved.';
comment on column hub.ledger_holds.key is 'The address of the offer it was promised with.';
create index ledger_holds_account_id_idx on hub.ledger_holds (account_id);

alter table daos add column time_credit_limit numeric(18, 4)
    constraint daos_time_credit_limit_fits check (time_credit_limit >= 0);
comment on column daos.time_credit_limit is 'How many hours a member''s account in this community may owe; empty: as the hub has it.';
comment on column ledger_accounts.balance is 'The sum of its entries; of the line with a hub, that of the mirrors of its actors.';
