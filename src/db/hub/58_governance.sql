-- Votes: who may vote is written down when a vote is opened, ballots are taken one after the other on one proposal and
-- counted as they come. Nothing is ever counted anew.

-- Opening: the next number of the DAO, and its members as they are now (R35: what is written down is final).
create or replace function hub.open_vote() returns trigger
language plpgsql set search_path = pg_catalog, public, hub as $$
begin
    if hub.dao_is_elsewhere(new.dao_id) then
        return null;
    end if;
    insert into hub.electorate (proposal_id, user_id, actor_id, weight, shows_ballot, delegate_id)
    select new.id, m.user_id, m.actor_id, m.voting_weight, m.shows_ballot, m.delegate_id
    from public.dao_members m where m.dao_id = new.dao_id and m.role <> 'guest' and m.voting_weight > 0
    on conflict do nothing;
    insert into hub.tallies (proposal_id, eligible, electorate)
    select new.id, count(*), coalesce(sum(e.weight), 0) from hub.electorate e where e.proposal_id = new.id
    on conflict do nothing;
    return null;
end
$$;
drop trigger if exists proposals_open_vote on public.proposals;
create trigger proposals_open_vote after insert or update of status on public.proposals
    for each row when (new.status = 'active') execute function hub.open_vote();

-- A ballot counts when it was cast in the window (a minute is granted to those under way) by somebody who was a member and
-- no guest when it was opened. Of an erased one only what was counted is left.
create or replace function hub.votes_settle() returns trigger
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    p record;
    broken text;
    why text;
begin
    -- Who writes all at once has looked at all that.
    if tg_op = 'INSERT' and current_setting('hub.votes_are_many', true) = 'all' then
        return new;
    end if;
    if num_nonnulls(new.user_id, new.actor_id) = 0 then
        if tg_op = 'UPDATE' then
            new.erased_at := coalesce(new.erased_at, now());
            new.ballot := null;
            new.rationale := null;
            new.delegated_by := null;
        end if;
        return new;
    end if;
    if tg_op = 'UPDATE' and (new.proposal_id, new.user_id, new.actor_id, new.choice, new.weight, new.cast_at)
        is not distinct from (old.proposal_id, old.user_id, old.actor_id, old.choice, old.weight, old.cast_at)
    then
        return new;
    end if;
    select s.status, s.voting_opens_at, s.voting_closes_at, s.dao_id into p from proposals s where s.id = new.proposal_id;
    if not found or hub.dao_is_elsewhere(p.dao_id) then
        return new;
    end if;
    if p.status in ('draft', 'cancelled') or p.status is null or p.voting_opens_at is null
        or new.cast_at < p.voting_opens_at or new.cast_at > p.voting_closes_at + interval '1 minute'
    then
        broken := 'votes_cast_at_fits';
        why := 'There is no vote on it at that time.';
    elsif not exists (select from hub.electorate e where e.proposal_id = new.proposal_id
        and (e.user_id = new.user_id or e.actor_id = new.actor_id))
    then
        broken := 'votes_voter_is_member';
        why := 'Only members vote.';
    end if;
    if broken is not null then
        raise exception using errcode = '23514', schema = 'public', table = 'votes', constraint = broken,
            message = format('new row for relation "votes" violates check constraint "%s"', broken), detail = why;
    end if;
    return new;
end
$$;
drop trigger if exists votes_settle on public.votes;
create trigger votes_settle before insert or update on public.votes
    for each row execute function hub.votes_settle();

-- The proposal tells the count as it is now.
create or replace function hub.show_tally(of_proposal uuid) returns void
language sql set search_path = pg_catalog, public, hub as $$
    update proposals p set votes_yes = t.yes_voters, votes_no = t.no_voters, votes_abstain = t.abstain_voters,
        tally = jsonb_build_object('mo:yes', trim_scale(t.yes)::text, 'mo:no', trim_scale(t.no)::text,
            'mo:abstain', trim_scale(t.abstain)::text, 'mo:voters', t.yes_voters + t.no_voters + t.abstain_voters,
            'mo:advisory', jsonb_build_object('mo:yes', t.advisory_yes, 'mo:no', t.advisory_no, 'mo:abstain', t.advisory_abstain)),
        version = greatest(p.version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint)
    from hub.tallies t where t.proposal_id = p.id and p.id = of_proposal
$$;

-- One ballot more, less or other. Where many come at once, showing the count is put off; who writes all at once counts himself.
create or replace function hub.votes_tally() returns trigger
language plpgsql set search_path = pg_catalog, public, hub as $$
begin
    if tg_op = 'UPDATE' and (new.choice, new.weight) is not distinct from (old.choice, old.weight) then
        return null;
    elsif current_setting('hub.votes_are_many', true) = 'all' then
        return null;
    end if;
    update hub.tallies t set
        yes = t.yes + case when new.choice = 'yes' then new.weight else 0 end - case when old.choice = 'yes' then old.weight else 0 end,
        no = t.no + case when new.choice = 'no' then new.weight else 0 end - case when old.choice = 'no' then old.weight else 0 end,
        abstain = t.abstain + case when new.choice = 'abstain' then new.weight else 0 end
            - case when old.choice = 'abstain' then old.weight else 0 end,
        yes_voters = t.yes_voters + (new.choice is not distinct from 'yes')::int - (old.choice is not distinct from 'yes')::int,
        no_voters = t.no_voters + (new.choice is not distinct from 'no')::int - (old.choice is not distinct from 'no')::int,
        abstain_voters = t.abstain_voters + (new.choice is not distinct from 'abstain')::int
            - (old.choice is not distinct from 'abstain')::int
    where t.proposal_id = coalesce(new.proposal_id, old.proposal_id);
    if current_setting('hub.votes_are_many', true) is distinct from 'on' then
        perform hub.show_tally(coalesce(new.proposal_id, old.proposal_id));
    end if;
    return null;
end
$$;
drop trigger if exists votes_tally on public.votes;
create trigger votes_tally after insert or update or delete on public.votes
    for each row execute function hub.votes_tally();

-- What a voter is called in a ballot that does not name him.
create or replace function hub.voter_mark(salt text, voter uuid) returns text
language sql stable as $$
    select left(encode(sha256(convert_to(salt || voter, 'UTF8')), 'hex'), 32)
$$;

-- A ballot's hash over its canonical text; `vote` is that of what was signed (R33).
create or replace function hub.ballot_hash(attestation text, line bigint, weight numeric, vote text) returns text
language sql stable as $$
    select encode(sha256(convert_to(format(
        '{"mo:attestation":"%s","mo:ballotIndex":%s,"mo:kind":"mo:Ballot","mo:weight":"%s","object":%s,"type":"Object"}',
        coalesce(attestation, 'session'), line, trim_scale(weight), vote), 'UTF8')), 'hex')
$$;

-- Take a ballot. What the voter signed comes with its canonical text, so that the ballot's hash is made here, where its
-- number and weight are known: the names of a ballot are in canonical order below (R33). Everything is looked up by an index,
-- also in a session that has made its plans while there were few ballots: they come by the ten thousand within a minute.
create or replace function hub.take_vote(p jsonb)
returns table (verdict text, ballot_index int, weight text, is_news boolean, vote uuid)
language plpgsql set search_path = pg_catalog, public, hub set enable_seqscan = off as $$
#variable_conflict use_column
declare
    proposal constant uuid := (p ->> 'proposal')::uuid;
    actor constant uuid := (p ->> 'actor')::uuid;
    account constant uuid := (p ->> 'user')::uuid;
    pick constant text := p ->> 'choice';
    place constant text := p ->> 'uri';
    said constant timestamptz := (p ->> 'published')::timestamptz;
    received constant timestamptz := coalesce((select r.created_at from ap_received r where r.id = (p ->> 'received')::uuid), now());
    count_now hub.tallies;
    it record;
    may record;
    has record;
    voice record;
    shown boolean;
    signed text;
    kept jsonb;
    place_in_line int;
    hash text;
    is_new boolean := false;
    vote_id uuid;
begin
    -- One after the other on one proposal; who waited sees what happened meanwhile.
    select * into count_now from hub.tallies t where t.proposal_id = proposal for update;
    if not found then
        return query select 'closed', null::int, null::text, false, null::uuid;
        return;
    end if;
    select s.status, s.voting_opens_at, s.voting_closes_at, s.rules into it from proposals s where s.id = proposal;
    select v.id, v.choice, v.ballot_index, v.weight, v.published_at, v.federated_ap_id into has
    from votes v where v.proposal_id = proposal and (v.user_id = account or v.actor_id = actor);
    if has.id is not null and has.federated_ap_id = place then
        return query select 'repeated', has.ballot_index, trim_scale(has.weight)::text, false, has.id;
        return;
    end if;
    -- One address is one vote, whoever says it and wherever.
    if exists (select from votes v where v.federated_ap_id = place) then
        return query select 'id_taken', null::int, null::text, false, null::uuid;
        return;
    end if;
    if it.status <> 'active' or coalesce(said, received) > it.voting_closes_at or received < it.voting_opens_at then
        return query select 'closed', null::int, null::text, false, null::uuid;
        return;
    end if;

    select e.weight, e.shows_ballot into may
    from hub.electorate e where e.proposal_id = proposal and (e.user_id = account or e.actor_id = actor);
    if not found then
        if actor is null then
            return query select 'not_eligible', null::int, null::text, false, null::uuid;
            return;
        end if;
        select a.id, a.choice, a.published_at, a.uri into voice
        from hub.advisory_votes a where a.proposal_id = proposal and a.actor_id = actor;
        if voice.id is not null and (said is null or not coalesce((it.rules ->> 'mo:changeVote')::boolean, false)
            or (voice.published_at is not null and (said, place collate "C") <= (voice.published_at, voice.uri collate "C")))
        then
            return query select 'advisory', null::int, null::text, false, null::uuid;
            return;
        end if;
        insert into hub.advisory_votes (proposal_id, actor_id, choice, published_at, uri) values (proposal, actor, pick, said, place)
        on conflict (proposal_id, actor_id) do update set choice = excluded.choice, published_at = excluded.published_at, uri = excluded.uri;
        update hub.tallies t set is_due = true,
            advisory_yes = t.advisory_yes + (pick = 'yes')::int - (voice.choice is not distinct from 'yes')::int,
            advisory_no = t.advisory_no + (pick = 'no')::int - (voice.choice is not distinct from 'no')::int,
            advisory_abstain = t.advisory_abstain + (pick = 'abstain')::int - (voice.choice is not distinct from 'abstain')::int
        where t.proposal_id = proposal;
        return query select 'advisory', null::int, null::text, not count_now.is_due, null::uuid;
        return;
    end if;

    if has.id is not null then
        -- R34: the greatest (published, id) counts where votes change; else, and without a time, the first.
        if not coalesce((it.rules ->> 'mo:changeVote')::boolean, false) or said is null then
            return query select 'already_voted', has.ballot_index, trim_scale(has.weight)::text, false, has.id;
            return;
        elsif has.published_at is not null and (said, place collate "C") <= (has.published_at, has.federated_ap_id collate "C") then
            return query select 'older', has.ballot_index, trim_scale(has.weight)::text, false, has.id;
            return;
        end if;
    end if;

    shown := it.rules ->> 'mo:ballot' is distinct from 'secret' and (may.shows_ballot or p ->> 'attestation' = 'proof');
    if shown then
        signed := p ->> 'canonical';
        kept := p -> 'vote';
    else
        signed := replace(p ->> 'anonymous', '@voter@', hub.voter_mark(count_now.salt, coalesce(account, actor)));
        kept := signed::jsonb;
    end if;
    place_in_line := coalesce(has.ballot_index, count_now.yes_voters + count_now.no_voters + count_now.abstain_voters + 1);
    hash := hub.ballot_hash(p ->> 'attestation', place_in_line, may.weight, signed);

    perform set_config('hub.votes_are_many', coalesce(p ->> 'many', 'off'), true);
    if has.id is null then
        insert into votes (proposal_id, user_id, actor_id, choice, weight, rationale, ballot_index, ballot, ballot_hash, attestation,
            cast_at, published_at, is_open, federated_ap_id)
        values (proposal, account, actor, pick, may.weight, p ->> 'rationale', place_in_line, kept, hash, p ->> 'attestation',
            greatest(least(coalesce(said, received), it.voting_closes_at), it.voting_opens_at), said, shown, place)
        returning id into vote_id;
    else
        vote_id := has.id;
        update votes v set choice = pick, rationale = p ->> 'rationale', ballot = kept, ballot_hash = hash, attestation = p ->> 'attestation',
            cast_at = greatest(least(said, it.voting_closes_at), it.voting_opens_at), published_at = said, is_open = shown,
            federated_ap_id = place, delegated_by = null
        where v.id = has.id;
    end if;
    perform set_config('hub.votes_are_many', 'off', true);
    if not count_now.is_due then
        update hub.tallies t set is_due = true where t.proposal_id = proposal;
        is_new := true;
    end if;
    return query select case when has.id is null then 'counted' else 'changed' end, place_in_line, trim_scale(may.weight)::text, is_new, vote_id;
end
$$;

-- The first ballots of members elsewhere on one proposal, written and counted at once; whatever is not plainly that is left
-- to take_vote. p: as take_votes has them.
create or replace function hub.take_first_votes(of_proposal uuid, p jsonb) returns table (nth int, verdict text, is_news boolean)
language plpgsql set search_path = pg_catalog, public, hub set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    count_now hub.tallies;
    it record;
    sums record;
begin
    select * into count_now from hub.tallies t where t.proposal_id = of_proposal for update;
    select s.status, s.voting_opens_at, s.voting_closes_at, s.rules ->> 'mo:ballot' is distinct from 'secret' as is_open
    into it from proposals s where s.id = of_proposal;
    if count_now.proposal_id is null or it.status is distinct from 'active' then
        return;
    end if;

    perform set_config('hub.votes_are_many', 'all', true);
    perform set_config('hub.by_actor', 'votes', true);
    with said as materialized (
        select x.*, row_number() over (partition by x.actor order by x.nth) + row_number() over (partition by x.uri order by x.nth) as turns
        from jsonb_to_recordset(p) as x (nth int, proposal uuid, actor uuid, choice text, uri text, published timestamptz,
            rationale text, attestation text, vote jsonb, canonical text, anonymous text, received uuid)
        where x.proposal = of_proposal and x.actor is not null
    ), first as materialized (
        select s.*, r.received_at, e.weight, it.is_open and (e.shows_ballot or s.attestation = 'proof') as is_shown,
            count_now.yes_voters + count_now.no_voters + count_now.abstain_voters + row_number() over (order by s.nth) as line
        from said s join hub.electorate e on e.proposal_id = of_proposal and e.actor_id = s.actor,
            lateral (select coalesce((select a.created_at from ap_received a where a.id = s.received), now()) as received_at) r
        where s.turns = 2 and coalesce(s.published, r.received_at) <= it.voting_closes_at and r.received_at >= it.voting_opens_at
            and not exists (select from votes v where v.proposal_id = of_proposal and v.actor_id = s.actor offset 0)
            and not exists (select from votes v where v.federated_ap_id = s.uri offset 0)
    ), signed as materialized (
        select f.*, case when f.is_shown then f.canonical
            else replace(f.anonymous, '@voter@', hub.voter_mark(count_now.salt, f.actor)) end as text
        from first f
    ), put as (
        insert into votes (proposal_id, actor_id, choice, weight, rationale, ballot_index, ballot, ballot_hash, attestation, cast_at,
            published_at, is_open, federated_ap_id)
        select of_proposal, s.actor, s.choice, s.weight, s.rationale, s.line, case when s.is_shown then s.vote else s.text::jsonb end,
            hub.ballot_hash(s.attestation, s.line, s.weight, s.text),
            s.attestation, greatest(least(coalesce(s.published, s.received_at), it.voting_closes_at), it.voting_opens_at),
            s.published, s.is_shown, s.uri
        from signed s order by s.nth
    )
    select array_agg(f.nth order by f.nth) as taken,
        count(*) filter (where f.choice = 'yes') as yes_voters, count(*) filter (where f.choice = 'no') as no_voters,
        count(*) filter (where f.choice = 'abstain') as abstain_voters, coalesce(sum(f.weight) filter (where f.choice = 'yes'), 0) as yes,
        coalesce(sum(f.weight) filter (where f.choice = 'no'), 0) as no, coalesce(sum(f.weight) filter (where f.choice = 'abstain'), 0) as abstain
    into sums from first f;
    perform set_config('hub.votes_are_many', 'off', true);
    perform set_config('hub.by_actor', '', true);
    if sums.taken is null then
        return;
    end if;

    update hub.tallies t set is_due = true, yes = t.yes + sums.yes, no = t.no + sums.no, abstain = t.abstain + sums.abstain,
        yes_voters = t.yes_voters + sums.yes_voters, no_voters = t.no_voters + sums.no_voters,
        abstain_voters = t.abstain_voters + sums.abstain_voters
    where t.proposal_id = of_proposal;
    return query select n.nth, 'counted', not count_now.is_due and n.place = 1 from unnest(sums.taken) with ordinality n (nth, place);
end
$$;

-- Many ballots of people elsewhere, each in the name of its voter: first those that are nobody's second, then the rest in their
-- order. p: as take_vote has them, and nth and voter.
create or replace function hub.take_votes(p jsonb) returns table (nth int, verdict text, is_news boolean)
language plpgsql set search_path = pg_catalog, public, hub as $$
#variable_conflict use_column
declare
    before constant text := current_setting('request.jwt.claims', true);
    taken int[] := '{}';
    one jsonb;
begin
    perform set_config('request.jwt.claims', jsonb_build_object('role', 'authenticated', 'user_role', 'remote',
        'actor', p -> 0 ->> 'voter', 'actor_id', p -> 0 ->> 'actor')::text, true);
    for one in select distinct e.value -> 'proposal' from jsonb_array_elements(p) e order by 1 loop
        for nth, verdict, is_news in select * from hub.take_first_votes((one #>> '{}')::uuid, p) loop
            taken := taken || nth;
            return next;
        end loop;
    end loop;
    for one in select e.value from jsonb_array_elements(p) with ordinality e (value, place)
        where (e.value ->> 'nth')::int <> all (taken) order by e.place
    loop
        perform set_config('request.jwt.claims', jsonb_build_object('role', 'authenticated', 'user_role', 'remote',
            'actor', one ->> 'voter', 'actor_id', one ->> 'actor')::text, true);
        return query select (one ->> 'nth')::int, t.verdict, t.is_news from hub.take_vote(one) t;
    end loop;
    perform set_config('request.jwt.claims', coalesce(before, ''), true);
end
$$;

-- At the close: whoever has not voted and named somebody of this hub who has, votes as he did; one hop, never further.
create or replace function hub.take_delegated(of_proposal uuid) returns int
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    salted constant text := (select t.salt from hub.tallies t where t.proposal_id = of_proposal for update);
    place constant text := (select coalesce(s.federated_ap_id, 'urn:uuid:' || s.id) from proposals s where s.id = of_proposal);
    closes constant timestamptz := (select s.voting_closes_at from proposals s where s.id = of_proposal);
    line constant int := (select t.yes_voters + t.no_voters + t.abstain_voters from hub.tallies t where t.proposal_id = of_proposal);
    sums record;
begin
    -- All at once, and counted once: tens of thousands may have given their voice to others.
    perform set_config('hub.votes_are_many', 'all', true);
    with given as (
        select e.user_id, e.weight, e.delegate_id, v.choice, line + row_number() over (order by e.user_id) as line
        from hub.electorate e join votes v on v.proposal_id = e.proposal_id and v.user_id = e.delegate_id and v.delegated_by is null
        where e.proposal_id = of_proposal and e.user_id is not null
            and not exists (select from votes o where o.proposal_id = e.proposal_id and o.user_id = e.user_id)
    ), signed as (
        select g.*, format('{"attributedTo":%s,"inReplyTo":%s,"mo:choice":"%s","mo:delegated":true,"mo:kind":"mo:Vote","name":"%s","type":"Note"}',
            to_json(place || '#voter-' || hub.voter_mark(salted, g.user_id)), to_json(place),
            g.choice, initcap(g.choice)) as vote
        from given g
    ), put as (
        insert into votes (proposal_id, user_id, choice, weight, ballot_index, ballot, ballot_hash, cast_at, is_open, delegated_by)
        select of_proposal, s.user_id, s.choice, s.weight, s.line, s.vote::jsonb, hub.ballot_hash('session', s.line, s.weight, s.vote), closes, false, s.delegate_id
        from signed s
        returning choice, weight
    )
    select count(*) as voters, count(*) filter (where choice = 'yes') as yes_voters, count(*) filter (where choice = 'no') as no_voters,
        coalesce(sum(weight) filter (where choice = 'yes'), 0) as yes, coalesce(sum(weight) filter (where choice = 'no'), 0) as no,
        coalesce(sum(weight) filter (where choice = 'abstain'), 0) as abstain
    into sums from put;
    update hub.tallies t set yes = t.yes + sums.yes, no = t.no + sums.no, abstain = t.abstain + sums.abstain,
        yes_voters = t.yes_voters + sums.yes_voters, no_voters = t.no_voters + sums.no_voters,
        abstain_voters = t.abstain_voters + sums.voters - sums.yes_voters - sums.no_voters
    where t.proposal_id = of_proposal;
    perform set_config('hub.votes_are_many', 'off', true);
    return sums.voters;
end
$$;

-- DAOs elsewhere ------------------------------------------------------------------------------------------------------

-- Who belongs to a DAO elsewhere is its to say.
create or replace function hub.dao_members_settle() returns trigger
language plpgsql as $$
begin
    if current_user = 'authenticated' and hub.dao_is_elsewhere(coalesce(new.dao_id, old.dao_id)) then
        raise exception 'membership of a DAO elsewhere is asked for there' using errcode = '42501', schema = 'public', table = 'dao_members';
    end if;
    return coalesce(new, old);
end
$$;
drop trigger if exists dao_members_settle on public.dao_members;
create trigger dao_members_settle before insert or update or delete on public.dao_members
    for each row execute function hub.dao_members_settle();

-- Who was struck off is said afterwards: until the transaction ends the hub remembers who it was. What goes along with a DAO or
-- an account is said by them.
create or replace function hub.dao_members_depart() returns trigger
language plpgsql as $$
begin
    perform set_config('hub.departed', (coalesce(nullif(current_setting('hub.departed', true), ''), '[]')::jsonb
        || coalesce((select jsonb_agg(jsonb_build_object('id', g.id, 'dao_id', g.dao_id, 'user_id', g.user_id, 'actor_id', g.actor_id))
            from gone g), '[]'))::text, true);
    return null;
end
$$;
drop trigger if exists dao_members_depart on public.dao_members;
create trigger dao_members_depart after delete on public.dao_members referencing old table as gone
    for each statement when (pg_trigger_depth() = 0) execute function hub.dao_members_depart();

-- An actor's row as a DAO of this hub's tables; its rules as its document says.
create or replace function hub.keep_dao(of_actor uuid) returns uuid
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    it record;
    told jsonb;
    kept uuid;
begin
    select a.id, a.uri, a.name, a.preferred_username, a.document into it
    from ap_actors a where a.id = of_actor and a.kind is null and a.type = 'Group' and a.deleted_at is null;
    if not found then
        return null;
    end if;
    begin
        told := it.document::jsonb -> 'mo:governance';
    exception when others then
        told := null;
    end;
    insert into daos (origin_actor_id, owner_id, name, is_public, membership, federated_ap_id)
    values (it.id, null, left(coalesce(nullif(it.name, ''), it.preferred_username, it.uri), 500), true,
        case when told ->> 'mo:membership' in ('open', 'approval', 'invite') then told ->> 'mo:membership' else 'approval' end, it.uri)
    on conflict (federated_ap_id) do update set name = excluded.name, membership = excluded.membership
    where daos.origin_actor_id = excluded.origin_actor_id
    returning daos.id into kept;
    return kept;
end
$$;

-- A DAO of this hub is known by its actor's address.
create or replace function hub.dao_has_actor() returns trigger
language plpgsql set search_path = pg_catalog, public, hub as $$
begin
    update daos d set federated_ap_id = new.uri where d.id = new.row_id and d.federated_ap_id is distinct from new.uri;
    return null;
end
$$;
drop trigger if exists ap_actors_dao on public.ap_actors;
create trigger ap_actors_dao after insert on public.ap_actors
    for each row when (new.kind = 'dao') execute function hub.dao_has_actor();

-- What a DAO's document says beside what every actor's says.
create or replace function hub.actor_words(of_kind text, of_row uuid, place text) returns jsonb
language sql stable set search_path = pg_catalog, public, hub as $$
    select jsonb_build_object(
        'mo:daoURI', regexp_replace(place, '/ap/groups/.*$', '') || '/dao/' || coalesce(d.slug, d.id::text) || '/daoip2.json',
        'mo:members', place || '/members', 'mo:proposals', place || '/proposals', 'mo:affiliations', place || '/affiliations',
        'mo:governance', jsonb_build_object('mo:method', 'single_choice',
            'mo:quorum', trim_scale(coalesce(d.quorum_pct, 51) / 100.0)::text,
            'mo:threshold', trim_scale(coalesce(d.pass_threshold, 51) / 100.0)::text, 'mo:thresholdBase', d.threshold_base,
            'mo:votingPeriod', 'PT' || coalesce(d.voting_period_h, 168) || 'H', 'mo:ballot', d.ballot, 'mo:electorate', 'members',
            'mo:weighting', case when exists (select from dao_members m where m.dao_id = d.id and m.voting_weight <> 1)
                then 'weighted' else 'one_member_one_vote' end,
            'mo:membership', d.membership))
    from daos d where of_kind = 'dao' and d.id = of_row
$$;

-- A proposal of a DAO elsewhere, as it says it: only its own words change it, and only newer ones.
create or replace function hub.take_proposal(p jsonb) returns table (verdict text, id uuid)
language plpgsql set search_path = pg_catalog, public, hub as $$
#variable_conflict use_column
declare
    author constant uuid := (p ->> 'author')::uuid;
    place constant text := p ->> 'uri';
    said constant bigint := (p ->> 'version')::bigint;
    community uuid;
    it record;
    new_id uuid;
begin
    select s.id, s.version, d.origin_actor_id into it
    from proposals s left join daos d on d.id = s.dao_id where s.federated_ap_id = place for update of s;
    if found then
        if it.origin_actor_id is null then
            return query select 'local_object', it.id;
        elsif it.origin_actor_id <> author then
            return query select 'not_owner', it.id;
        elsif it.version = said then
            return query select 'repeated', it.id;
        elsif it.version > said then
            return query select 'older', it.id;
        else
            update proposals s set title = p ->> 'title', description = p ->> 'description', status = p ->> 'status',
                votes_yes = (p ->> 'yes')::int, votes_no = (p ->> 'no')::int,
                votes_abstain = (p ->> 'abstain')::int, quorum_reached = (p ->> 'quorum')::boolean, tally = p -> 'tally',
                ballots_digest = p ->> 'digest', execution_error = p ->> 'execution_error', version = said
            where s.id = it.id;
            return query select 'changed', it.id;
        end if;
        return;
    end if;
    if not ((p ->> 'is_fetched')::boolean
        or exists (select from follows f where f.actor_id = author and f.direction = 'out' and f.state = 'accepted')
        or exists (select from daos d join dao_members m on m.dao_id = d.id where d.origin_actor_id = author and m.user_id is not null))
    then
        return query select 'not_wanted', null::uuid;
        return;
    end if;
    community := hub.keep_dao(author);
    if community is null then
        return query select 'not_a_dao', null::uuid;
        return;
    end if;
    insert into proposals (author_id, origin_actor_id, dao_id, title, description, proposal_type, status, number, rules, tally, votes_yes,
        votes_no, votes_abstain, quorum_reached, voting_opens_at, voting_closes_at, ballots_digest, execution_error, version, federated_ap_id)
    values (null, author, community, p ->> 'title', p ->> 'description', 'remote', p ->> 'status', (p ->> 'number')::int, p -> 'rules', p -> 'tally',
        (p ->> 'yes')::int, (p ->> 'no')::int, (p ->> 'abstain')::int, (p ->> 'quorum')::boolean, (p ->> 'opens')::timestamptz,
        (p ->> 'closes')::timestamptz, p ->> 'digest', p ->> 'execution_error', said, place)
    on conflict (dao_id, number) do nothing
    returning proposals.id into new_id;
    return query select case when new_id is null then 'number_taken' else 'new' end, new_id;
end
$$;
