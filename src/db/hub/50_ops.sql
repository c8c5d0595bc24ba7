-- Ops: a tester's word finds its place in the programme when the hub can see it, which a client can't.

create or replace function hub.beta_members_adopt() returns trigger
language plpgsql as $$
begin
    update public.beta_feedback f set member_id = new.id where f.owner_id = new.user_id and f.member_id is null;
    return null;
end
$$;
drop trigger if exists beta_members_adopt on public.beta_members;
create trigger beta_members_adopt after insert or update of user_id on public.beta_members
    for each row when (new.user_id is not null) execute function hub.beta_members_adopt();

-- Whether a rule that names these events waits for this one: a change of a kind, or a domain's word; `tasks.*` is all of a kind.
create or replace function hub.waits_for(types text[], kind text, verb text) returns boolean
language sql immutable parallel safe as $$
    select exists (
        select from unnest(types) t
        where t = e.name or (t like '_%.*' and starts_with(e.name, left(t, -1))))
    from (select case when strpos(verb, '.') > 0 then verb else kind || '.' || verb end as name) e
$$;
