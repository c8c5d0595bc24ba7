-- DAOs, small ones (microDAOs) among them, their members, what is put to the vote, and the votes. A DAO of another hub has
-- an origin instead of an owner; a member or voter may be an actor of another hub.

create table daos (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete cascade,
    origin_actor_id uuid references ap_actors (id) on delete cascade,
    external_id text constraint daos_external_id_fits check (external_id ~ '^[a-z]+:.'),
    name text not null,
    description text,
    slug text,
    dao_type text default 'direct',
    quorum_pct integer default 51 constraint daos_quorum_pct_fits check (quorum_pct between 0 and 100),
    pass_threshold integer default 51 constraint daos_pass_threshold_fits check (pass_threshold between 0 and 100),
    voting_period_h integer default 168 constraint daos_voting_period_h_fits check (voting_period_h > 0),
    membership text not null default 'approval' constraint daos_membership_listed
        check (membership in ('open', 'approval', 'invite')),
    is_public boolean default true,
    treasury_credits numeric(18, 4) default 0 constraint daos_treasury_credits_fits check (treasury_credits >= 0),
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint daos_has_one_origin check (num_nonnulls(owner_id, origin_actor_id) = 1),
    constraint daos_microdao_has_external_id check (dao_type is distinct from 'microdao' or external_id is not null),
    constraint daos_external_id_key unique (external_id),
    constraint daos_slug_key unique (slug),
    constraint daos_federated_ap_id_key unique (federated_ap_id)
);
comment on column daos.owner_id is 'Who founded it; only he hands it over.';
comment on column daos.external_id is 'Its lasting name, microdao:7.';
comment on column daos.dao_type is 'direct, microdao or another.';
comment on column daos.quorum_pct is 'How much of the electorate must vote.';
comment on column daos.pass_threshold is 'How much of the votes must be yes.';
comment on column daos.membership is 'open: whoever can see it joins; approval: who asks is let in; invite: who is asked joins.';
comment on column daos.is_public is 'Off: only members know of it, and nothing of it leaves the hub.';
comment on column daos.treasury_credits is 'The balance of its account in the ledger.';
create index daos_owner_id_idx on daos (owner_id);
create index daos_origin_actor_id_idx on daos (origin_actor_id);
select hub.register_kind('daos', domain => 'governance', scope => 'members',
    member_set => 'dao', member_column => 'id',
    public_when => 'is_public',
    also_read_when => 'owner_id = auth.uid()',
    insert_when => 'owner_id = auth.uid()',
    update_when => $$owner_id = auth.uid() or id in (select hub.my_sets('dao', '{owner,admin}'))$$,
    delete_when => 'owner_id = auth.uid()',
    title => 'name', text_columns => '{name,description}',
    read_only => '{origin_actor_id,treasury_credits,federated_ap_id}',
    jsonld => 'schema:Organization');

create table dao_members (
    id uuid primary key default hub.uuid_v7(),
    dao_id uuid not null references daos (id) on delete cascade,
    user_id uuid references users (id) on delete cascade,
    actor_id uuid references ap_actors (id) on delete cascade,
    role text not null default 'member' constraint dao_members_role_listed
        check (role in ('owner', 'admin', 'member', 'guest')),
    voting_weight numeric(18, 4) not null default 1 constraint dao_members_voting_weight_fits check (voting_weight >= 0),
    joined_at timestamptz default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint dao_members_has_one_origin check (num_nonnulls(user_id, actor_id) = 1),
    constraint dao_members_dao_id_user_id_key unique (dao_id, user_id),
    constraint dao_members_dao_id_actor_id_key unique (dao_id, actor_id)
);
comment on column dao_members.actor_id is 'A member on another hub or server.';
comment on column dao_members.role is 'Owners and admins manage members and channels; guests read what they are invited to and do not vote.';
create index dao_members_user_id_idx on dao_members (user_id);
create index dao_members_actor_id_idx on dao_members (actor_id);
-- Owners and admins manage the members; only owners make or unmake owners; an open DAO is joined by oneself; everybody may leave.
select hub.register_kind('dao_members', domain => 'governance', scope => 'members',
    member_set => 'dao', member_column => 'dao_id',
    also_read_when => 'user_id = auth.uid()',
    insert_when => $$(role <> 'owner' and dao_id in (select hub.my_sets('dao', '{owner,admin}')))
        or dao_id in (select hub.my_sets('dao', '{owner}'))
        or exists (select from daos d where d.id = dao_id and d.owner_id = auth.uid())
        or (user_id = auth.uid() and role = 'member'
            and exists (select from daos d where d.id = dao_id and d.membership = 'open'))$$,
    update_when => $$(role <> 'owner' and dao_id in (select hub.my_sets('dao', '{owner,admin}')))
        or dao_id in (select hub.my_sets('dao', '{owner}'))
        or exists (select from daos d where d.id = dao_id and d.owner_id = auth.uid())$$,
    delete_when => $$user_id = auth.uid()
        or (role <> 'owner' and dao_id in (select hub.my_sets('dao', '{owner,admin}')))
        or dao_id in (select hub.my_sets('dao', '{owner}'))
        or exists (select from daos d where d.id = dao_id and d.owner_id = auth.uid())$$,
    title => 'role',
    read_only => '{voting_weight}');

create table proposals (
    id uuid primary key default hub.uuid_v7(),
    author_id uuid default auth.uid() references users (id) on delete set null,
    origin_actor_id uuid references ap_actors (id) on delete set null,
    dao_id uuid references daos (id) on delete cascade,
    title text not null,
    description text,
    proposal_type text,
    action_payload jsonb,
    status text default 'draft' constraint proposals_status_listed
        check (status in ('draft', 'active', 'passed', 'rejected', 'quorum_failed', 'cancelled', 'executed')),
    votes_yes integer default 0 constraint proposals_votes_yes_fits check (votes_yes >= 0),
    votes_no integer default 0 constraint proposals_votes_no_fits check (votes_no >= 0),
    votes_abstain integer default 0 constraint proposals_votes_abstain_fits check (votes_abstain >= 0),
    quorum_reached boolean,
    voting_opens_at timestamptz,
    voting_closes_at timestamptz,
    executed_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint proposals_has_one_origin check (num_nonnulls(author_id, origin_actor_id) <= 1),
    constraint proposals_voting_closes_at_fits check (voting_closes_at > voting_opens_at),
    constraint proposals_executed_at_fits check (executed_at is null or status = 'executed'),
    constraint proposals_federated_ap_id_key unique (federated_ap_id)
);
comment on column proposals.author_id is 'Who put it forward; empty once the account is gone, for the decision stays the DAO''s.';
comment on column proposals.origin_actor_id is 'Who put it forward from another hub.';
comment on column proposals.action_payload is 'What is done, once, when it has passed.';
comment on column proposals.status is 'draft, active, then passed, rejected, quorum_failed or cancelled; passed becomes executed.';
comment on column proposals.votes_yes is 'Ballots, counted from the votes; weights are theirs.';
create index proposals_dao_id_status_idx on proposals (dao_id, status);
create index proposals_author_id_idx on proposals (author_id);
create index proposals_origin_actor_id_idx on proposals (origin_actor_id);
create index proposals_voting_closes_at_idx on proposals (voting_closes_at) where status = 'active';
-- A client writes drafts; opening, closing and carrying out are actions.
select hub.register_kind('proposals', domain => 'governance', scope => 'members',
    member_set => 'dao', member_column => 'dao_id',
    insert_when => $$author_id = auth.uid() and status = 'draft'
        and dao_id in (select hub.my_sets('dao', '{owner,admin,member}'))$$,
    update_when => $$status = 'draft' and ((author_id = auth.uid() and dao_id in (select hub.my_sets('dao', '{owner,admin,member}')))
        or dao_id in (select hub.my_sets('dao', '{owner,admin}')))$$,
    delete_when => $$status = 'draft' and ((author_id = auth.uid() and dao_id in (select hub.my_sets('dao')))
        or dao_id in (select hub.my_sets('dao', '{owner,admin}')))$$,
    title => 'title', text_columns => '{title,description}',
    read_only => '{origin_actor_id,votes_yes,votes_no,votes_abstain,quorum_reached,executed_at,federated_ap_id}',
    jsonld => 'as:Question');

create table votes (
    id uuid primary key default hub.uuid_v7(),
    proposal_id uuid not null references proposals (id) on delete cascade,
    user_id uuid references users (id) on delete set null,
    actor_id uuid references ap_actors (id) on delete set null,
    choice text not null constraint votes_choice_listed check (choice in ('yes', 'no', 'abstain')),
    weight numeric(18, 4) not null default 1 constraint votes_weight_fits check (weight >= 0),
    rationale text,
    ballot_index integer constraint votes_ballot_index_fits check (ballot_index > 0),
    ballot jsonb,
    ballot_hash text,
    attestation text constraint votes_attestation_listed check (attestation in ('proof', 'http-signature')),
    cast_at timestamptz not null default now(),
    erased_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint votes_has_one_voter check (num_nonnulls(user_id, actor_id) = 1 or (num_nonnulls(user_id, actor_id) = 0 and erased_at is not null)),
    constraint votes_proposal_id_user_id_key unique (proposal_id, user_id),
    constraint votes_proposal_id_actor_id_key unique (proposal_id, actor_id),
    constraint votes_proposal_id_ballot_index_key unique (proposal_id, ballot_index),
    constraint votes_federated_ap_id_key unique (federated_ap_id)
);
comment on table votes is 'One ballot per voter and proposal. Voting is an action; members of the DAO read the ballots.';
comment on column votes.weight is 'As the electorate had it when the vote was opened.';
comment on column votes.ballot is 'The signed vote as it was received or issued.';
comment on column votes.attestation is 'What vouched for it: its own proof or only the request''s signature. Empty: the voter''s session here.';
comment on column votes.erased_at is 'The voter''s account is gone; choice, weight and hash still count.';
create index votes_user_id_idx on votes (user_id);
create index votes_actor_id_idx on votes (actor_id);
select hub.register_kind('votes', domain => 'governance', scope => 'members', member_set => 'dao',
    also_read_when => $$user_id = auth.uid() or proposal_id in (
        select p.id from proposals p where p.dao_id in (select hub.my_sets('dao')))$$,
    client_writes => '{}',
    title => 'choice',
    jsonld => 'mo:Vote');
