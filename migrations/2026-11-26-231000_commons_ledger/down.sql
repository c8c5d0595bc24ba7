comment on column ledger_accounts.balance is 'The sum of its entries.';
alter table daos drop column time_credit_limit;
drop table hub.ledger_holds;
