-- What reputation is made of: how agreements of an account ended, and credentials that another hub signed about it.

create table hub.reputation_facts (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null references public.users (id) on delete cascade,
    counterparty_hash bytea not null,
    domain text not null,
    agreement text not null,
    is_fulfilled boolean not null,
    ended_at timestamptz not null default now(),
    constraint reputation_facts_user_id_agreement_key unique (user_id, agreement)
);
comment on table hub.reputation_facts is 'How an agreement ended for one of its parties; the other is kept as a hash, for counting only.';
create index reputation_facts_user_id_domain_idx on hub.reputation_facts (user_id, domain);

create table reputation_credentials (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    uri text not null,
    issuer text not null,
    subject text not null,
    domain text not null,
    score numeric(5, 2) not null constraint reputation_credentials_score_fits check (score between 0 and 100),
    receipts integer not null constraint reputation_credentials_receipts_fits check (receipts >= 0),
    is_own boolean not null default false,
    document jsonb not null,
    issued_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint reputation_credentials_owner_id_uri_key unique (owner_id, uri)
);
comment on table reputation_credentials is 'Verifiable credentials about reputation: issued here, or signed by another hub and verified when they came.';
comment on column reputation_credentials.uri is 'The id of the credential.';
comment on column reputation_credentials.issuer is 'The actor of the hub that signed it.';
comment on column reputation_credentials.subject is 'The actor whom it is about.';
comment on column reputation_credentials.is_own is 'It is about its owner, as he was known at another hub, and counts for him.';
comment on column reputation_credentials.document is 'The credential as it was signed.';
select hub.register_kind('reputation_credentials', domain => 'commons', scope => 'owner',
    client_writes => '{delete}',
    title => 'domain');
