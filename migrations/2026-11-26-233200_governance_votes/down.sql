drop table hub.advisory_votes;
drop table hub.tallies;
drop table hub.electorate;
select hub.unregister_kind('dao_applications');
drop table dao_applications;
select hub.change_kind('votes', jsonb_build_object('also_read_when', $$user_id = auth.uid() or proposal_id in (
        select p.id from proposals p where p.dao_id in (select hub.my_sets('dao')))$$));
alter table votes drop column answer, drop column delegated_by, drop column is_open, drop column published_at;
update hub.kinds set read_only = '{origin_actor_id,votes_yes,votes_no,votes_abstain,quorum_reached,executed_at,federated_ap_id}'
    where name = 'proposals';
alter table proposals drop column offer_uri, drop column execution_error, drop column ballots_digest, drop column version,
    drop column tally, drop column rules, drop column number;
update hub.kinds set read_only = '{voting_weight}' where name = 'dao_members';
alter table dao_members drop column delegate_id, drop column shows_ballot;
alter table daos drop column bylaws, drop column change_vote, drop column threshold_base, drop column ballot;
