-- Votes that others can check: who may vote is written down when a vote is opened, ballots are counted as they come, and
-- whoever wants to belong to a DAO asks or is asked.

alter table daos
    add column ballot text not null default 'public' constraint daos_ballot_listed check (ballot in ('public', 'secret')),
    add column threshold_base text not null default 'yes_no'
        constraint daos_threshold_base_listed check (threshold_base in ('yes_no', 'cast', 'electorate')),
    add column change_vote boolean not null default true,
    add column bylaws text;
comment on column daos.ballot is 'Whether everybody sees how each member voted.';
comment on column daos.threshold_base is 'Of what the threshold is a part: yes and no, all that was cast, or the electorate.';
comment on column daos.change_vote is 'Whether a ballot can be replaced while the vote is open.';
comment on column daos.bylaws is 'What the members agreed on beside the numbers, in Markdown.';

alter table dao_members
    add column shows_ballot boolean not null default false,
    add column delegate_id uuid references users (id) on delete set null;
comment on column dao_members.shows_ballot is 'Agreed that votes without a signature appear under the own name.';
comment on column dao_members.delegate_id is 'Who votes for this member where the member does not.';
create index dao_members_delegate_id_idx on dao_members (delegate_id);
update hub.kinds set read_only = read_only || '{shows_ballot,delegate_id}' where name = 'dao_members';

alter table proposals
    add column number integer constraint proposals_number_fits check (number > 0),
    add column rules jsonb,
    add column tally jsonb,
    add column version bigint not null default 0,
    add column ballots_digest text,
    add column execution_error text,
    add column offer_uri text,
    add constraint proposals_dao_id_number_key unique (dao_id, number),
    add constraint proposals_offer_uri_key unique (offer_uri);
comment on column proposals.number is 'Counted in its DAO from 1, given when it is opened.';
comment on column proposals.rules is 'How it is decided, as it was when the vote was opened.';
comment on column proposals.tally is 'As it was last told.';
comment on column proposals.version is 'Rises with every change that others hear of.';
comment on column proposals.ballots_digest is 'SHA-256 over the hashes of all ballots in order, once it is closed.';
comment on column proposals.execution_error is 'Why what it decided could not be carried out.';
comment on column proposals.offer_uri is 'Under which address it was put to a DAO elsewhere.';
update hub.kinds set read_only = read_only || '{number,rules,tally,version,ballots_digest,execution_error,offer_uri}'
    where name = 'proposals';

alter table votes
    add column published_at timestamptz,
    add column is_open boolean not null default true,
    add column delegated_by uuid references users (id) on delete set null,
    add column answer text;
comment on column votes.published_at is 'When the voter says to have voted; of two ballots the later one counts.';
comment on column votes.is_open is 'Off: the ballot appears under a pseudonym.';
comment on column votes.delegated_by is 'Who voted, where it was not the voter.';
comment on column votes.answer is 'What the DAO elsewhere said of it: sent, recorded or why not.';
create index votes_delegated_by_idx on votes (delegated_by);
select hub.change_kind('votes', jsonb_build_object('also_read_when', $$user_id = auth.uid() or (is_open and proposal_id in (
    select p.id from proposals p where p.dao_id in (select hub.my_sets('dao')) and p.rules ->> 'mo:ballot' is distinct from 'secret'))$$));

create table dao_applications (
    id uuid primary key default hub.uuid_v7(),
    dao_id uuid not null references daos (id) on delete cascade,
    user_id uuid references users (id) on delete cascade,
    actor_id uuid references ap_actors (id) on delete cascade,
    direction text not null constraint dao_applications_direction_listed check (direction in ('join', 'invite')),
    state text not null default 'pending' constraint dao_applications_state_listed
        check (state in ('pending', 'accepted', 'rejected', 'withdrawn')),
    role text not null default 'member' constraint dao_applications_role_listed check (role in ('admin', 'member', 'guest')),
    message text,
    shows_ballot boolean not null default false,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint dao_applications_has_one_origin check (num_nonnulls(user_id, actor_id) = 1),
    constraint dao_applications_dao_id_user_id_key unique (dao_id, user_id),
    constraint dao_applications_dao_id_actor_id_key unique (dao_id, actor_id),
    constraint dao_applications_federated_ap_id_key unique (federated_ap_id)
);
comment on table dao_applications is 'Who asks to belong to a DAO, and whom a DAO asks; of each the last word.';
create index dao_applications_user_id_idx on dao_applications (user_id);
create index dao_applications_actor_id_idx on dao_applications (actor_id);
select hub.register_kind('dao_applications', domain => 'governance', scope => 'members',
    member_set => 'dao',
    also_read_when => $$user_id = auth.uid() or dao_id in (select hub.my_sets('dao', '{owner,admin}'))$$,
    client_writes => '{}',
    title => 'state', text_columns => '{message}');

create table hub.electorate (
    id uuid primary key default hub.uuid_v7(),
    proposal_id uuid not null references public.proposals (id) on delete cascade,
    user_id uuid references public.users (id) on delete cascade,
    actor_id uuid references public.ap_actors (id) on delete cascade,
    weight numeric(18, 4) not null,
    shows_ballot boolean not null default false,
    delegate_id uuid references public.users (id) on delete set null,
    constraint electorate_has_one_voter check (num_nonnulls(user_id, actor_id) = 1),
    constraint electorate_proposal_id_user_id_key unique (proposal_id, user_id),
    constraint electorate_proposal_id_actor_id_key unique (proposal_id, actor_id)
);
comment on table hub.electorate is 'Who may vote on a proposal and with what weight: the members as they were when it was opened.';
create index electorate_user_id_idx on hub.electorate (user_id);
create index electorate_actor_id_idx on hub.electorate (actor_id);
create index electorate_delegate_id_idx on hub.electorate (delegate_id);

create table hub.tallies (
    proposal_id uuid primary key references public.proposals (id) on delete cascade,
    eligible integer not null,
    electorate numeric not null,
    snapshot_at timestamptz not null default now(),
    yes numeric not null default 0,
    no numeric not null default 0,
    abstain numeric not null default 0,
    yes_voters integer not null default 0,
    no_voters integer not null default 0,
    abstain_voters integer not null default 0,
    advisory_yes integer not null default 0,
    advisory_no integer not null default 0,
    advisory_abstain integer not null default 0,
    salt text not null default gen_random_uuid()::text || gen_random_uuid()::text,
    is_due boolean not null default false
);
comment on table hub.tallies is 'The count of a proposal of this hub, kept as ballots come.';
comment on column hub.tallies.salt is 'What pseudonyms are made with; known to nobody.';
comment on column hub.tallies.is_due is 'There are ballots that others have not heard of yet.';

create table hub.advisory_votes (
    id uuid primary key default hub.uuid_v7(),
    proposal_id uuid not null references public.proposals (id) on delete cascade,
    actor_id uuid not null references public.ap_actors (id) on delete cascade,
    choice text not null,
    published_at timestamptz,
    uri text not null,
    constraint advisory_votes_proposal_id_actor_id_key unique (proposal_id, actor_id)
);
comment on table hub.advisory_votes is 'What people say who are no members: told beside the count and not part of it; forgotten at the close.';
create index advisory_votes_actor_id_idx on hub.advisory_votes (actor_id);
