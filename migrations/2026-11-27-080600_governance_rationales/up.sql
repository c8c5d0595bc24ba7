-- What somebody says with his vote is not shown to whoever has blocked or muted him; that he voted, and how, stays with the count
-- and among the ballots.

select hub.change_kind('votes', jsonb_build_object('also_read_when', $$user_id = auth.uid() or (is_open and proposal_id in (
    select p.id from proposals p where p.dao_id in (select hub.my_sets('dao')) and p.rules ->> 'mo:ballot' is distinct from 'secret')
    and (rationale is null or ((user_id is null or user_id not in (select hub.shunned_accounts()))
        and (actor_id is null or actor_id not in (select hub.shunned_actors())))))$$));
