-- What people offer each other and need from each other, the exchanges that come of it, whom they trust, what is said of
-- them, and the ledger in which time and credits are booked. A declaration of another hub has an origin instead of an owner.

create table declarations (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete cascade,
    origin_actor_id uuid references ap_actors (id) on delete cascade,
    decl_type text not null constraint declarations_decl_type_listed check (decl_type in ('offer', 'need', 'willing_to_do')),
    category text,
    title text not null,
    description text,
    exchange_type text constraint declarations_exchange_type_listed
        check (exchange_type in ('reciprocal', 'gift', 'time_banking', 'monetary')),
    location_pref text,
    status text default 'active' constraint declarations_status_listed
        check (status in ('active', 'matched', 'fulfilled', 'withdrawn', 'expired')),
    expires_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint declarations_has_one_origin check (num_nonnulls(owner_id, origin_actor_id) = 1),
    constraint declarations_federated_ap_id_key unique (federated_ap_id)
);
comment on column declarations.origin_actor_id is 'Who declared it on another hub; an own declaration has an owner instead.';
comment on column declarations.status is 'active until it is matched, fulfilled, withdrawn or expired; the last three are not read by others.';
create index declarations_owner_id_status_idx on declarations (owner_id, status);
create index declarations_origin_actor_id_idx on declarations (origin_actor_id);
create index declarations_decl_type_category_idx on declarations (decl_type, category) where status = 'active';
create index declarations_status_expires_at_idx on declarations (status, expires_at);
select hub.register_kind('declarations', domain => 'commons', scope => 'owner',
    public_when => $$status in ('active', 'matched', 'fulfilled')$$,
    title => 'title', text_columns => '{title,category,description}',
    read_only => '{origin_actor_id,federated_ap_id}',
    jsonld => 'schema:Demand');

create table exchanges (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    offer_user_id uuid references users (id) on delete set null,
    need_user_id uuid references users (id) on delete set null,
    counterparty_actor_id uuid references ap_actors (id) on delete set null,
    exchange_type text,
    notes text,
    status text default 'proposed' constraint exchanges_status_listed
        check (status in ('proposed', 'accepted', 'in_progress', 'completed', 'rejected', 'withdrawn', 'expired', 'cancelled', 'disputed')),
    offer_decl_id uuid references declarations (id) on delete set null,
    need_decl_id uuid references declarations (id) on delete set null,
    listing_id uuid references listings (id) on delete set null,
    completed_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint exchanges_has_two_parties check (num_nonnulls(offer_user_id, need_user_id, counterparty_actor_id) <= 2),
    constraint exchanges_parties_differ check (offer_user_id <> need_user_id),
    constraint exchanges_completed_at_fits check (completed_at is null or status = 'completed'),
    constraint exchanges_federated_ap_id_key unique (federated_ap_id)
);
comment on column exchanges.owner_id is 'The local party that proposed it, or was proposed it from elsewhere.';
comment on column exchanges.offer_user_id is 'Who gives, when he is local.';
comment on column exchanges.need_user_id is 'Who receives, when he is local.';
comment on column exchanges.counterparty_actor_id is 'The other party, when he is on another hub.';
comment on column exchanges.status is 'Moves by what both parties say; no client writes it.';
comment on column exchanges.listing_id is 'The listing it came of, in place of the offer''s declaration.';
comment on column exchanges.federated_ap_id is 'The id of the agreement.';
create index exchanges_owner_id_idx on exchanges (owner_id);
create index exchanges_offer_user_id_idx on exchanges (offer_user_id);
create index exchanges_need_user_id_idx on exchanges (need_user_id);
create index exchanges_counterparty_actor_id_idx on exchanges (counterparty_actor_id);
create index exchanges_offer_decl_id_idx on exchanges (offer_decl_id);
create index exchanges_need_decl_id_idx on exchanges (need_decl_id);
create index exchanges_listing_id_idx on exchanges (listing_id);
select hub.register_kind('exchanges', domain => 'commons', scope => 'members', member_set => 'parties',
    also_read_when => 'offer_user_id = auth.uid() or need_user_id = auth.uid() or owner_id = auth.uid()',
    insert_when => 'owner_id = auth.uid() and (offer_user_id = auth.uid() or need_user_id = auth.uid())',
    update_when => 'offer_user_id = auth.uid() or need_user_id = auth.uid() or owner_id = auth.uid()',
    delete_when => $$owner_id = auth.uid() and status = 'proposed'$$,
    title => 'exchange_type', text_columns => '{notes}',
    read_only => '{counterparty_actor_id,status,completed_at,federated_ap_id}',
    jsonld => 'vf:Agreement');

create table trust_relationships (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    trusted_did text not null,
    weight real default 1.0 constraint trust_relationships_weight_fits check (weight between 0 and 1),
    context text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint trust_relationships_owner_id_trusted_did_context_key unique nulls not distinct (owner_id, trusted_did, context)
);
comment on column trust_relationships.trusted_did is 'A decentralised identifier or an actor''s URL.';
comment on column trust_relationships.context is 'What the trust is about; empty: everything.';
select hub.register_kind('trust_relationships', domain => 'commons', scope => 'owner', title => 'trusted_did');

create table reputation_scores (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null references users (id) on delete cascade,
    domain text not null,
    score double precision constraint reputation_scores_score_fits check (score between 0 and 100),
    vc_count integer default 0 constraint reputation_scores_vc_count_fits check (vc_count >= 0),
    last_computed timestamptz default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint reputation_scores_owner_id_domain_key unique (owner_id, domain)
);
comment on table reputation_scores is 'What the credentials about an account add up to; everybody reads it, only the hub writes it.';
comment on column reputation_scores.domain is 'marketplace, governance, resource_sharing or another.';
comment on column reputation_scores.vc_count is 'How many verifiable credentials went into it.';
select hub.register_kind('reputation_scores', domain => 'commons', scope => 'owner',
    public_when => 'true',
    client_writes => '{}',
    title => 'domain',
    jsonld => 'schema:Rating');

create table ledger_accounts (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid references users (id) on delete set null,
    dao_id uuid,
    actor_id uuid references ap_actors (id) on delete set null,
    peer_host text,
    community_dao_id uuid,
    unit text not null default 'TIME' constraint ledger_accounts_unit_fits check (unit ~ '^[A-Z]{3,12}$'),
    balance numeric(18, 4) not null default 0,
    reserved numeric(18, 4) not null default 0 constraint ledger_accounts_reserved_fits check (reserved >= 0),
    credit_limit numeric(18, 4) default 0 constraint ledger_accounts_credit_limit_fits check (credit_limit >= 0),
    closed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint ledger_accounts_has_one_holder check (num_nonnulls(owner_id, dao_id, actor_id, peer_host) <= 1),
    constraint ledger_accounts_balance_fits check (balance - reserved >= -credit_limit)
);
comment on table ledger_accounts is 'One holder''s account in one unit: an account''s, a DAO''s treasury, the mirror of an actor of another hub, or the net line with a hub. It outlives its holder, because the books must balance.';
comment on column ledger_accounts.community_dao_id is 'The DAO whose limits apply.';
comment on column ledger_accounts.unit is 'TIME (hours), CREDIT, or a currency''s ISO 4217 code.';
comment on column ledger_accounts.balance is 'The sum of its entries.';
comment on column ledger_accounts.reserved is 'Promised and not yet booked.';
comment on column ledger_accounts.credit_limit is 'How far below zero balance less reservations may go; empty: no limit.';
create unique index ledger_accounts_holder_idx on ledger_accounts (owner_id, dao_id, actor_id, peer_host, community_dao_id, unit)
    nulls not distinct where num_nonnulls(owner_id, dao_id, actor_id, peer_host) = 1;
create index ledger_accounts_owner_id_idx on ledger_accounts (owner_id);
create index ledger_accounts_dao_id_idx on ledger_accounts (dao_id);
create index ledger_accounts_actor_id_idx on ledger_accounts (actor_id);
create index ledger_accounts_community_dao_id_idx on ledger_accounts (community_dao_id);
select hub.register_kind('ledger_accounts', domain => 'commons', scope => 'members', member_set => 'parties',
    also_read_when => $$owner_id = auth.uid() or dao_id in (select hub.my_sets('dao'))$$,
    client_writes => '{}',
    title => 'unit');

create table ledger_entries (
    id uuid primary key default hub.uuid_v7(),
    account_id uuid not null references ledger_accounts (id) on delete restrict,
    transfer_id uuid not null,
    amount numeric(18, 4) not null constraint ledger_entries_amount_fits check (amount <> 0),
    agreement text not null,
    memo text,
    exchange_id uuid,
    booked_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    constraint ledger_entries_agreement_account_id_key unique (agreement, account_id)
);
comment on table ledger_entries is 'Bookings. The entries of one transfer have one unit and add up to nothing.';
comment on column ledger_entries.amount is 'Above zero what came in, below zero what went out.';
comment on column ledger_entries.agreement is 'The id of the agreement or document that it is booked for; each is booked once per account.';
comment on column ledger_entries.exchange_id is 'The exchange here, without a foreign key: an entry outlives it.';
create index ledger_entries_account_id_booked_at_idx on ledger_entries (account_id, booked_at);
create index ledger_entries_transfer_id_idx on ledger_entries (transfer_id);
create index ledger_entries_exchange_id_idx on ledger_entries (exchange_id);
select hub.register_kind('ledger_entries', domain => 'commons', scope => 'members', member_set => 'parties',
    also_read_when => 'account_id in (select a.id from ledger_accounts a)',
    client_writes => '{}',
    title => 'memo',
    links => '{"exchange_id": "exchanges"}',
    append_only => true);
