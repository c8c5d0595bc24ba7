-- Declarations go to other servers and come from them, and exchanges are agreed upon between hubs: what both sides have signed
-- is kept word by word, because the state follows from it.

alter table declarations
    add column author_actor_id uuid references ap_actors (id) on delete set null,
    add column skills text[] not null default '{}',
    add column tags text[] not null default '{}',
    add column availability text,
    add column quantity numeric(18, 4) constraint declarations_quantity_fits check (quantity > 0),
    add column unit text constraint declarations_unit_fits check (unit ~ '^[A-Za-z][A-Za-z0-9_-]{0,39}$'),
    add column price_amount numeric(18, 4) constraint declarations_price_amount_fits check (price_amount >= 0),
    add column price_currency text constraint declarations_price_currency_fits check (price_currency ~ '^[A-Z]{3,12}$'),
    add column language text,
    add column community_dao_id uuid references daos (id) on delete set null,
    add column url text,
    add column published_at timestamptz not null default now(),
    add column version bigint not null default 1 constraint declarations_version_fits check (version > 0),
    add column sent_at timestamptz,
    add column content_html text,
    add column raw jsonb,
    add column told_by text;
comment on column declarations.author_actor_id is 'In whose name it speaks, if not its owner''s: a DAO''s, a tenant''s or an agent''s actor.';
comment on column declarations.quantity is 'How much of it; empty: whatever is agreed upon.';
comment on column declarations.unit is 'one for things, hour for hours of work, or another unit''s name.';
comment on column declarations.price_amount is 'What is asked in return: hours in time banking, money where that is the exchange.';
comment on column declarations.price_currency is 'An ISO 4217 code, or TIME.';
comment on column declarations.community_dao_id is 'Whose limit of credit applies.';
comment on column declarations.raw is 'As it was received.';
create index declarations_author_actor_id_idx on declarations (author_actor_id);
create index declarations_community_dao_id_idx on declarations (community_dao_id);
update hub.kinds set read_only = read_only || '{url,published_at,version,sent_at,content_html,raw,told_by}', hidden = hidden || '{told_by,raw}'
where name = 'declarations';

alter table exchanges
    add column quantity numeric(18, 4),
    add column unit text,
    add column price numeric(18, 4),
    add column price_unit text,
    add column expires_at timestamptz,
    add column reason text,
    add column counter jsonb,
    add column progress text,
    add column own_verdict text,
    add column other_verdict text,
    add column accepted_at timestamptz;
comment on column exchanges.quantity is 'How much is given.';
comment on column exchanges.price is 'How much is given in return; empty for a gift.';
comment on column exchanges.expires_at is 'Until when the offer stands.';
comment on column exchanges.reason is 'Why it did not come about.';
comment on column exchanges.counter is 'What the other side would agree to instead: {quantity, price, terms}.';
comment on column exchanges.progress is 'What the one who was asked says of it meanwhile.';
comment on column exchanges.own_verdict is 'What its owner has signed: fulfilled, cancelled or disputed.';
comment on column exchanges.other_verdict is 'What the other party has signed.';
update hub.kinds set read_only = read_only
    || '{quantity,unit,price,price_unit,expires_at,reason,counter,progress,own_verdict,other_verdict,accepted_at}'
where name = 'exchanges';

create table hub.deals (
    exchange_id uuid primary key references exchanges (id) on delete cascade,
    proposer_id uuid not null references ap_actors (id) on delete cascade,
    asker_id uuid not null references ap_actors (id) on delete cascade,
    subject_kind text not null,
    subject_id uuid not null,
    subject_uri text not null,
    offer_link text,
    need_link text,
    context text not null,
    terms jsonb not null,
    payer text,
    community text,
    offer_uri text not null unique,
    offer text not null,
    offered_at timestamptz not null,
    counters text,
    counter jsonb,
    accept_uri text,
    agreement_uri text unique,
    agreement text,
    agreement_now text,
    agreement_version bigint not null default 0,
    is_reserved boolean not null default false,
    is_bound boolean not null default false,
    is_held boolean not null default false,
    is_booked boolean not null default false
);
comment on table hub.deals is 'What stands behind an exchange: who asked whom for what, in the words that were signed.';
create index deals_proposer_id_idx on hub.deals (proposer_id);
create index deals_asker_id_idx on hub.deals (asker_id);
create index deals_subject_id_idx on hub.deals (subject_id);
create index deals_need_link_idx on hub.deals (need_link) where need_link is not null;
create index deals_counters_idx on hub.deals (counters) where counters is not null;

create table hub.deal_documents (
    id uuid primary key,
    exchange_id uuid not null references hub.deals (exchange_id) on delete cascade,
    uri text not null unique,
    is_proposers boolean not null,
    version bigint not null,
    verdict text not null,
    document text not null,
    said_at timestamptz not null default now()
);
comment on table hub.deal_documents is 'What the parties have signed of how it went, word by word.';
create index deal_documents_exchange_id_idx on hub.deal_documents (exchange_id);
create index exchanges_status_expires_at_idx on exchanges (status, expires_at);
