-- Governance: founders become members, proposals take their steps; and microDAOs under their seed's names.

-- A microDAO has a lasting name outside; a row that brings one is a microDAO.
create or replace function hub.daos_settle() returns trigger
language plpgsql as $$
begin
    if new.external_id like 'microdao:%' and coalesce(new.dao_type, 'direct') = 'direct' then
        new.dao_type := 'microdao';
    elsif new.dao_type = 'microdao' and new.external_id is null then
        new.external_id := 'microdao:' || new.id;
    end if;
    return new;
end
$$;
drop trigger if exists accept_name on public.daos;
create trigger accept_name before insert or update of dao_type, external_id on public.daos
    for each row execute function hub.daos_settle();
drop trigger if exists daos_keep on public.daos;
create trigger daos_keep before update on public.daos
    for each row when (old.external_id is not null) execute function hub.keep_columns('external_id');
-- Only its owner hands a DAO over.
drop trigger if exists daos_keep_owner on public.daos;
create trigger daos_keep_owner before update on public.daos
    for each row when (old.owner_id is distinct from auth.uid()) execute function hub.keep_columns('owner_id');

-- The founder is the first member. As the caller, so that the members' policies hold here too.
create or replace function hub.found_dao() returns trigger
language plpgsql as $$
begin
    insert into public.dao_members (dao_id, user_id, role) values (new.id, new.owner_id, 'owner');
    return null;
end
$$;
drop trigger if exists daos_found on public.daos;
create trigger daos_found after insert on public.daos
    for each row when (new.owner_id is not null) execute function hub.found_dao();

drop trigger if exists dao_members_keep on public.dao_members;
create trigger dao_members_keep before update on public.dao_members
    for each row execute function hub.keep_columns('dao_id', 'user_id', 'actor_id');

-- Proposals -----------------------------------------------------------------------------------------------------------

-- What a DAO elsewhere decides is its own; here it is only kept.
create or replace function hub.dao_is_elsewhere(dao uuid) returns boolean
language sql stable as $$
    select exists (select from public.daos d where d.id = dao and d.origin_actor_id is not null)
$$;

-- What was carried out is passed again where another hub refused its part.
drop trigger if exists proposals_step on public.proposals;
create trigger proposals_step before insert or update of status on public.proposals
    for each row when (not hub.dao_is_elsewhere(new.dao_id)) execute function hub.step_state('status',
        '{"draft": ["active", "cancelled"],
          "active": ["passed", "rejected", "quorum_failed", "cancelled"],
          "passed": ["executed"],
          "rejected": [], "quorum_failed": [], "cancelled": [], "executed": ["passed"]}', '{draft}');

-- Somebody puts a proposal forward. Opening sets the voting window from the DAO; from then on it stands as it is, and its
-- words as soon as somebody voted.
create or replace function hub.proposals_settle() returns trigger
language plpgsql as $$
declare
    broken text;
begin
    if tg_op = 'INSERT' then
        if num_nonnulls(new.author_id, new.origin_actor_id) = 0 then
            broken := 'proposals_has_one_origin';
        end if;
    elsif hub.dao_is_elsewhere(new.dao_id) then
        return new;
    elsif old.status <> 'draft' then
        if (new.dao_id, new.proposal_type, new.action_payload, new.voting_opens_at, new.voting_closes_at)
            is distinct from (old.dao_id, old.proposal_type, old.action_payload, old.voting_opens_at, old.voting_closes_at)
            or ((new.title, new.description) is distinct from (old.title, old.description)
                and exists (select from public.votes v where v.proposal_id = new.id))
        then
            broken := 'proposals_stands_once_open';
        end if;
    end if;
    if broken is not null then
        raise exception using errcode = '23514', schema = 'public', table = 'proposals', constraint = broken,
            message = format('new row for relation "proposals" violates check constraint "%s"', broken),
            detail = case broken when 'proposals_has_one_origin' then 'Somebody puts a proposal forward.'
                else 'What is put to the vote does not change any more.' end;
    end if;
    if new.status = 'active' and (tg_op = 'INSERT' or old.status = 'draft') then
        new.voting_opens_at := coalesce(new.voting_opens_at, now());
        new.voting_closes_at := coalesce(new.voting_closes_at, new.voting_opens_at + make_interval(hours => coalesce(
            (select d.voting_period_h from public.daos d where d.id = new.dao_id), 168)));
    end if;
    if new.status = 'executed' then
        new.executed_at := coalesce(new.executed_at, now());
    end if;
    return new;
end
$$;
drop trigger if exists proposals_settle on public.proposals;
create trigger proposals_settle before insert or update on public.proposals
    for each row execute function hub.proposals_settle();
drop trigger if exists proposals_keep on public.proposals;
create trigger proposals_keep before update on public.proposals
    for each row execute function hub.keep_columns('dao_id', 'author_id');

-- MicroDAOs under the names their seed gave them, to be read.
drop view if exists public.microdaos;
create view public.microdaos with (security_invoker = true) as
    select d.id, d.external_id, d.name, d.owner_id as owner_user_id, d.created_at
    from public.daos d where d.dao_type = 'microdao';
drop view if exists public.microdao_members;
create view public.microdao_members with (security_invoker = true) as
    select m.id, m.dao_id as microdao_id, m.user_id, m.role, m.created_at
    from public.dao_members m join public.daos d on d.id = m.dao_id where d.dao_type = 'microdao';
revoke all on public.microdaos, public.microdao_members from public, anon, authenticated, service_role;
grant select on public.microdaos to anon, authenticated, service_role;
grant select on public.microdao_members to authenticated, service_role;
