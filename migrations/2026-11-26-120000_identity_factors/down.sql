comment on column public.users.deleted_at is 'Set: the account can no longer sign in and its address is free again.';
drop table hub.taken_handles;
drop table hub.deletions;
drop table hub.closed_accounts;
drop table hub.recovery_codes;
drop table hub.factor_guesses;
drop table hub.factor_challenges;
drop table hub.factors;
