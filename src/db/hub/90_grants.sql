-- What each role may use of the schemas that no door serves. The login role by itself can only enter a request.
revoke all on schema hub, auth from public;
grant usage on schema hub to made_open, anon, authenticated, service_role;
grant usage on schema auth to anon, authenticated, service_role;
grant usage on schema public to anon, authenticated, service_role;
revoke all on all functions in schema hub, auth from public;
grant execute on function hub.session_claims(uuid) to made_open;
grant execute on function auth.uid(), auth.role(), auth.tenant_id(), auth.app_role(), auth.jwt(),
    hub.uuid_v7(), hub.touch(), hub.same_tenant(uuid), hub.my_sets(text, text[]), hub.can_name_user(uuid),
    hub.closed_accounts()
    to anon, authenticated, service_role;
-- The link check runs as the caller and asks whether a named kind exists.
grant select (name) on hub.kinds to anon, authenticated;
grant select on hub.kinds, hub.journal, hub.versions to service_role;
grant select, insert, update, delete on hub.leases, hub.cron_due to service_role;
grant select, insert, update, delete on hub.sessions, hub.refresh_tokens, hub.one_time_links, hub.settings to service_role;
grant select, insert, update, delete on hub.factors, hub.factor_challenges, hub.factor_guesses, hub.recovery_codes,
    hub.closed_accounts, hub.deletions, hub.taken_handles to service_role;
grant select, insert, update, delete on hub.auth_codes, hub.tries to service_role;
grant execute on function hub.take_key(text, bytea, bytea), hub.keep_answer(text, bytea, bytea, int, jsonb, bytea)
    to anon, authenticated, service_role;
grant select, delete on hub.idempotency_keys to service_role;
grant execute on function hub.secret_rows(uuid, uuid, text, text[]) to service_role;
grant execute on function hub.emit(text, text, uuid, uuid) to service_role;
-- A handle that somebody had is not given to an actor.
grant execute on function hub.handle_hash(text) to service_role;
grant select, insert, update on hub.readers to service_role;
grant select, insert on hub.daily_briefs to service_role;
grant execute on function hub.waits_for(text[], text, text) to service_role;
-- The audit log: seals are made and read, never changed; notes are made by functions that know who acts.
grant select, insert on hub.audit_seals to service_role;
grant execute on function hub.note_audit(text, text, text, uuid, jsonb), hub.note_attempts(jsonb), hub.seal_audit(integer),
    hub.audit_actor(), hub.audit_key_name(text, text), hub.audit_time(timestamptz), hub.audit_line(public.audit_log),
    hub.audit_seal_line(hub.audit_seals) to service_role;
-- What other servers say is kept and carried out with the hub's own rights.
grant execute on function hub.learn_actor(jsonb, jsonb) to service_role;
-- Federation works with the hub's own rights.
grant execute on function hub.host_of(text), hub.host_policy(text), hub.policies(text[]), hub.shields(uuid[]),
    hub.publish_activity(uuid, text, uuid, text, text, text, text[], text[], boolean, boolean, text, uuid),
    hub.claim_deliveries(text, interval, uuid[], text[], int, int), hub.postpone_deliveries(uuid[]),
    hub.settle_deliveries(text, jsonb, jsonb), hub.refused_inbox(text, uuid[], boolean), hub.prune_deliveries() to service_role;
-- What is said by people elsewhere is written with the hub's own rights.
grant select, insert, update, delete on hub.quote_permits to service_role;
grant execute on function hub.take_post(jsonb), hub.take_posts(jsonb), hub.answerable(text), hub.tell_audience(uuid, text, uuid, uuid[]),
    hub.take_reaction(uuid, text, text, text), hub.take_message(jsonb) to service_role;
-- What stands behind exchanges is nobody's to read but the hub's.
grant select, insert, update, delete on hub.deals, hub.deal_documents to service_role;
grant execute on function hub.take_declaration(jsonb), hub.lock_deal(uuid), hub.keep_deal(jsonb), hub.set_exchange(uuid, jsonb) to service_role;
-- The books are kept with the hub's own rights.
grant select, insert, update, delete on hub.ledger_holds to service_role;
grant execute on function hub.ledger_account(text, uuid, text, uuid, numeric), hub.ledger_line(uuid, text, numeric),
    hub.ledger_may_owe(uuid, text, numeric, numeric), hub.ledger_release(text), hub.treasury_of(uuid),
    hub.ledger_reserve(text, text, uuid, text, uuid, numeric, numeric, numeric),
    hub.ledger_transfer(text, uuid, text, uuid, text, uuid, numeric, text, text, uuid, text, numeric, numeric),
    hub.ledger_issue(text, uuid, text, numeric, text, text) to service_role;
grant select, insert, update, delete on hub.reputation_facts to service_role;
grant execute on function hub.trust_in(bytea, text, uuid), hub.settle_reputation(uuid, text),
    hub.note_reputation(uuid, text, text, text, boolean) to service_role;
-- What is for sale is found by everybody, and written by the hub where it comes from elsewhere.
grant execute on function hub.search_listings(text, text, text, text[], numeric, numeric, text, boolean, double precision, double precision,
    double precision, timestamptz, uuid, integer) to anon, authenticated, service_role;
grant execute on function hub.follows_seller(uuid, uuid, uuid) to anon, authenticated, service_role;
grant execute on function hub.is_for_trade(text), hub.take_trade_reaction(text, uuid, text, text, text) to service_role;
grant execute on function hub.take_listing(jsonb), hub.reserve_stock(uuid, numeric), hub.settle_stock(uuid, numeric, boolean) to service_role;
-- Votes are taken and counted with the hub's own rights.
grant select, insert, update, delete on hub.electorate, hub.tallies, hub.advisory_votes to service_role;
grant execute on function hub.shunned_actors(), hub.shunned_accounts() to authenticated, service_role;
grant execute on function hub.dao_is_elsewhere(uuid) to anon, authenticated, service_role;
grant execute on function hub.take_vote(jsonb), hub.take_votes(jsonb), hub.take_first_votes(uuid, jsonb), hub.voter_mark(text, uuid),
    hub.ballot_hash(text, bigint, numeric, text), hub.show_tally(uuid), hub.take_delegated(uuid), hub.keep_dao(uuid),
    hub.actor_words(text, uuid, text), hub.take_proposal(jsonb) to service_role;
