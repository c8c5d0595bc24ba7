select hub.change_kind('votes', jsonb_build_object('also_read_when', $$user_id = auth.uid() or (is_open and proposal_id in (
    select p.id from proposals p where p.dao_id in (select hub.my_sets('dao')) and p.rules ->> 'mo:ballot' is distinct from 'secret'))$$));
