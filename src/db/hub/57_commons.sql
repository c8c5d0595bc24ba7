-- Declarations as they go out and come in, and the locks under which exchanges move.

-- Own declarations ----------------------------------------------------------------------------------------------------

-- Where an own declaration stands; the hub's address comes with the request.
create or replace function hub.declarations_place() returns trigger
language plpgsql as $$
declare
    base constant text := nullif(current_setting('hub.base', true), '');
begin
    if base is not null then
        new.federated_ap_id := base || '/ap/declarations/' || new.id;
        new.url := base || '/declarations/' || new.id;
    end if;
    return new;
end
$$;
drop trigger if exists declarations_place on public.declarations;
create trigger declarations_place before insert on public.declarations
    for each row when (new.owner_id is not null) execute function hub.declarations_place();
drop trigger if exists declarations_keep on public.declarations;
create trigger declarations_keep before update on public.declarations
    for each row execute function hub.keep_columns('author_actor_id', 'decl_type', 'origin_actor_id');

-- Each change of what an own one says is a new version, which stays above the old even on a restored backup.
create or replace function hub.declarations_version() returns trigger
language plpgsql as $$
begin
    new.version := greatest(old.version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint);
    return new;
end
$$;
drop trigger if exists declarations_version on public.declarations;
create trigger declarations_version
    before update of category, title, description, exchange_type, location_pref, status, expires_at, skills, tags, availability,
        quantity, unit, price_amount, price_currency, language, community_dao_id on public.declarations
    for each row when (new.owner_id is not null) execute function hub.declarations_version();
drop trigger if exists declarations_bury on public.declarations;
create trigger declarations_bury after delete on public.declarations
    for each row when (old.owner_id is not null and old.sent_at is not null) execute function hub.bury_own();

-- Declarations from elsewhere -----------------------------------------------------------------------------------------

-- Take a declaration of another server: new, or as it is now. p: the columns of the row, and author, by, is_fetched, audience,
-- updated. Kept is what somebody here follows, what names somebody here, and what was asked for.
create or replace function hub.take_declaration(p jsonb) returns table (verdict text, id uuid)
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    author constant uuid := (p ->> 'author')::uuid;
    place constant text := p ->> 'federated_ap_id';
    its_version constant bigint := (p ->> 'version')::bigint;
    r constant public.declarations := jsonb_populate_record(null::public.declarations, p);
    it record;
    new_id uuid;
begin
    select o.id, o.owner_id, o.origin_actor_id, o.version, o.told_by into it
    from declarations o where o.federated_ap_id = place for update;
    if found then
        if it.owner_id is not null then
            return query select 'local_object', it.id;
        elsif it.origin_actor_id <> author then
            return query select 'not_owner', it.id;
        elsif (its_version, p ->> 'by') < (it.version, coalesce(it.told_by, '')) then
            return query select 'older', it.id;
        elsif it.told_by = p ->> 'by' then
            return query select 'repeated', it.id;
        else
            update declarations o set (decl_type, category, title, description, content_html, exchange_type, location_pref, status, expires_at,
                skills, tags, availability, quantity, unit, price_amount, price_currency, language, url, version, raw, told_by)
                = (r.decl_type, r.category, r.title, r.description, r.content_html, r.exchange_type, r.location_pref, r.status, r.expires_at,
                r.skills, r.tags, r.availability, r.quantity, r.unit, r.price_amount, r.price_currency, r.language, r.url, its_version,
                p -> 'raw', p ->> 'by')
            where o.id = it.id;
            return query select 'changed', it.id;
        end if;
        return;
    end if;
    if not ((p ->> 'is_fetched')::boolean
        or exists (select from follows f where f.actor_id = author and f.direction = 'out' and f.state = 'accepted')
        or exists (select from ap_actors a where a.kind is not null and a.deleted_at is null
            and a.uri in (select jsonb_array_elements_text(p -> 'audience'))
            and (a.kind <> 'user' or not exists (select from blocks b where b.owner_id = a.row_id and b.actor_id = author))))
    then
        return query select 'not_wanted', null::uuid;
        return;
    end if;
    if exists (select from ap_tombstones t where t.uri = place) then
        return query select 'deleted', null::uuid;
        return;
    end if;
    insert into declarations (owner_id, origin_actor_id, decl_type, category, title, description, content_html, exchange_type, location_pref,
        status, expires_at, skills, tags, availability, quantity, unit, price_amount, price_currency, language, url, published_at, version,
        raw, told_by, federated_ap_id)
    values (null, author, r.decl_type, r.category, r.title, r.description, r.content_html, r.exchange_type, r.location_pref,
        r.status, r.expires_at, r.skills, r.tags, r.availability, r.quantity, r.unit, r.price_amount, r.price_currency, r.language, r.url,
        r.published_at, its_version, p -> 'raw', p ->> 'by', place)
    on conflict (federated_ap_id) do nothing
    returning declarations.id into new_id;
    return query select case when new_id is null then 'repeated' else 'new' end, new_id;
end
$$;

-- Exchanges -----------------------------------------------------------------------------------------------------------

-- An exchange with what stands behind it, under the locks in the one order that everybody takes them: what it is about, then
-- itself. Here and below, planning would take longer than the work: plans are kept.
create or replace function hub.lock_deal(one uuid) returns jsonb
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    links record;
begin
    select e.offer_decl_id, e.need_decl_id, e.listing_id into links from public.exchanges e where e.id = one;
    if not found then
        return null;
    end if;
    perform from public.listings l where l.id = links.listing_id for update;
    perform from public.declarations d where d.id in (links.offer_decl_id, links.need_decl_id) order by d.id for update;
    return (
        with locked as (select e.* from public.exchanges e where e.id = one for update)
        select jsonb_build_object('row', jsonb_build_object('id', e.id, 'owner_id', e.owner_id, 'status', e.status,
                'offer_user_id', e.offer_user_id, 'need_user_id', e.need_user_id, 'counterparty_actor_id', e.counterparty_actor_id,
                'offer_decl_id', e.offer_decl_id, 'need_decl_id', e.need_decl_id, 'listing_id', e.listing_id,
                'exchange_type', e.exchange_type, 'notes', e.notes, 'expires_at', e.expires_at, 'accepted_at', e.accepted_at,
                'reason', e.reason, 'progress', e.progress),
            'deal', to_jsonb(d),
            'documents', coalesce((select jsonb_agg(jsonb_build_object('uri', x.uri, 'is_proposers', x.is_proposers, 'version', x.version,
                'verdict', x.verdict)) from hub.deal_documents x where x.exchange_id = e.id), '[]'))
        from locked e join hub.deals d on d.exchange_id = e.id);
end
$$;

-- What was agreed upon through the hub is taken back in words, not by deleting it.
create or replace function hub.exchanges_stay() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    if coalesce(current_setting('role', true), '') = 'authenticated' and exists (select from hub.deals d where d.exchange_id = old.id) then
        raise exception 'an exchange that was proposed is withdrawn, not deleted'
            using errcode = '42501', schema = 'public', table = 'exchanges', hint = 'Call exchanges_withdraw.';
    end if;
    return old;
end
$$;
drop trigger if exists exchanges_stay on public.exchanges;
create trigger exchanges_stay before delete on public.exchanges
    for each row execute function hub.exchanges_stay();

-- The words of an offer stay as they were said.
create or replace function hub.exchanges_words() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    if coalesce(current_setting('role', true), '') = 'authenticated' and exists (select from hub.deals d where d.exchange_id = old.id) then
        raise exception 'notes were said with the offer'
            using errcode = '42501', schema = 'public', table = 'exchanges', column = 'notes', hint = 'Call exchanges_counter.';
    end if;
    return new;
end
$$;
drop trigger if exists exchanges_words on public.exchanges;
create trigger exchanges_words before update of notes on public.exchanges
    for each row when (new.notes is distinct from old.notes) execute function hub.exchanges_words();

-- Keep what stands behind an exchange, all of it, under the lock of its row.
create or replace function hub.keep_deal(p jsonb) returns void
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    d constant hub.deals := jsonb_populate_record(null::hub.deals, p);
begin
    insert into hub.deals select d.*
    on conflict (exchange_id) do update set terms = d.terms, community = d.community, counter = d.counter, accept_uri = d.accept_uri,
        agreement_uri = d.agreement_uri, agreement = d.agreement, agreement_now = d.agreement_now,
        agreement_version = d.agreement_version, is_reserved = d.is_reserved, is_bound = d.is_bound, is_held = d.is_held,
        is_booked = d.is_booked;
end
$$;

-- Set these columns of an exchange and leave the others.
create or replace function hub.set_exchange(one uuid, p jsonb) returns void
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    r public.exchanges;
begin
    r := (select jsonb_populate_record(e, p) from public.exchanges e where e.id = one);
    update public.exchanges e set status = r.status, reason = r.reason, counter = r.counter, progress = r.progress,
        own_verdict = r.own_verdict, other_verdict = r.other_verdict, accepted_at = r.accepted_at, federated_ap_id = r.federated_ap_id
    where e.id = one;
end
$$;
