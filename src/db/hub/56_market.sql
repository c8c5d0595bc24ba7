-- Listings as they go out and come in, what of them is still to be had, and how they are found.

-- Own listings --------------------------------------------------------------------------------------------------------

-- Where an own listing stands; the hub's address comes with the request.
create or replace function hub.listings_place() returns trigger
language plpgsql as $$
declare
    base constant text := nullif(current_setting('hub.base', true), '');
begin
    if base is not null then
        new.federated_ap_id := base || '/ap/listings/' || new.id;
        new.url := base || '/listings/' || new.id;
    end if;
    return new;
end
$$;
drop trigger if exists listings_place on public.listings;
create trigger listings_place before insert on public.listings
    for each row when (new.owner_id is not null) execute function hub.listings_place();
drop trigger if exists listings_keep on public.listings;
create trigger listings_keep before update on public.listings
    for each row execute function hub.keep_columns('author_actor_id', 'listing_type');

-- Each change of what an own one says is a new version, which stays above the old even on a restored backup.
create or replace function hub.listings_version() returns trigger
language plpgsql as $$
begin
    new.version := greatest(old.version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint);
    if new.expires_at is distinct from old.expires_at then
        new.warned_at := null;
    end if;
    return new;
end
$$;
drop trigger if exists listings_version on public.listings;
create trigger listings_version
    before update of title, description, price_amount, price_currency, price_type, tags, location_pref, visibility, status, expires_at,
        category, language, photos, place_name, latitude, longitude, place_radius_m, condition, fulfilment, quantity, reserved, minimum,
        resource_uri, license, format, schema_uri, community_dao_id on public.listings
    for each row when (new.owner_id is not null) execute function hub.listings_version();
drop trigger if exists listings_bury on public.listings;
create trigger listings_bury after delete on public.listings
    for each row when (old.owner_id is not null and old.sent_at is not null) execute function hub.bury_own();

-- Stock ---------------------------------------------------------------------------------------------------------------

-- Promise so many of an own listing: reserved, over_stock, not_active or wrong_quantity. The last ones make it reserved.
create or replace function hub.reserve_stock(of_listing uuid, wanted numeric) returns text
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    it record;
begin
    select l.status, l.quantity - l.reserved as left, l.minimum, l.expires_at into it
    from listings l where l.id = of_listing and l.owner_id is not null for update;
    if not found or it.status <> 'active' or it.expires_at < now() then
        return 'not_active';
    elsif wanted <= 0 or wanted < it.minimum then
        return 'wrong_quantity';
    elsif wanted > it.left then
        return 'over_stock';
    end if;
    update listings l set reserved = l.reserved + wanted,
        status = case when l.reserved + wanted = l.quantity then 'reserved' else l.status end
    where l.id = of_listing;
    return 'reserved';
end
$$;

-- What was promised is free again, or gone for good: then it stays counted, and the last ones make the listing sold.
create or replace function hub.settle_stock(of_listing uuid, moved numeric, is_gone boolean) returns boolean
language plpgsql set search_path = pg_catalog, public, hub as $$
begin
    if is_gone then
        update listings l set status = 'sold'
        where l.id = of_listing and l.owner_id is not null and l.status = 'reserved' and l.reserved = l.quantity
            and not exists (select from exchanges e where e.listing_id = l.id and e.status in ('accepted', 'in_progress', 'disputed'));
    else
        update listings l set reserved = greatest(l.reserved - moved, 0),
            status = case when l.status = 'reserved' and (l.expires_at is null or l.expires_at > now()) then 'active'
                when l.status = 'reserved' then 'expired' else l.status end
        where l.id = of_listing and l.owner_id is not null;
    end if;
    return found;
end
$$;

-- Who follows its seller reads a listing that is for followers alone, wherever the seller is.
create or replace function hub.follows_seller(owner uuid, author uuid, origin uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, hub as $$
    select exists (select from follows f join ap_actors a on a.id = f.actor_id
        where f.owner_id = auth.uid() and f.direction = 'out' and f.state = 'accepted'
            and (a.id in (author, origin) or (author is null and a.kind = 'user' and a.row_id = owner)))
$$;

-- Listings from elsewhere ---------------------------------------------------------------------------------------------

-- Take a listing of another server: new, or as it is now. p: the columns of the row, and author, by, is_fetched, audience.
-- Kept is what somebody here follows, what names somebody here, and what was asked for.
create or replace function hub.take_listing(p jsonb) returns table (verdict text, id uuid)
language plpgsql set search_path = pg_catalog, public, hub as $$
#variable_conflict use_column
declare
    author constant uuid := (p ->> 'author')::uuid;
    place constant text := p ->> 'federated_ap_id';
    its_version constant bigint := (p ->> 'version')::bigint;
    r constant public.listings := jsonb_populate_record(null::public.listings, p);
    it record;
    new_id uuid;
begin
    select o.id, o.owner_id, o.origin_actor_id, o.version, o.told_by into it
    from listings o where o.federated_ap_id = place for update;
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
            update listings o set (listing_type, title, description, content_html, price_amount, price_currency, price_type, tags, location_pref,
                visibility, status, expires_at, category, language, photos, place_name, latitude, longitude, place_radius_m, condition,
                fulfilment, quantity, reserved, minimum, resource_uri, license, format, schema_uri, url, version, raw, told_by)
                = (r.listing_type, r.title, r.description, r.content_html, r.price_amount, r.price_currency, r.price_type, r.tags, r.location_pref,
                r.visibility, r.status, r.expires_at, r.category, r.language, r.photos, r.place_name, r.latitude, r.longitude,
                r.place_radius_m, r.condition, r.fulfilment, r.quantity, 0, r.minimum, r.resource_uri, r.license, r.format, r.schema_uri,
                r.url, its_version, p -> 'raw', p ->> 'by')
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
    insert into listings (owner_id, origin_actor_id, listing_type, title, description, content_html, price_amount, price_currency, price_type,
        tags, location_pref, visibility, status, expires_at, category, language, photos, place_name, latitude, longitude, place_radius_m,
        condition, fulfilment, quantity, minimum, resource_uri, license, format, schema_uri, url, published_at, version, raw, told_by,
        federated_ap_id)
    values (null, author, r.listing_type, r.title, r.description, r.content_html, r.price_amount, r.price_currency, r.price_type,
        r.tags, r.location_pref, r.visibility, r.status, r.expires_at, r.category, r.language, r.photos, r.place_name, r.latitude, r.longitude,
        r.place_radius_m, r.condition, r.fulfilment, r.quantity, r.minimum, r.resource_uri, r.license, r.format, r.schema_uri, r.url,
        r.published_at, its_version, p -> 'raw', p ->> 'by', place)
    on conflict (federated_ap_id) do nothing
    returning listings.id into new_id;
    return query select case when new_id is null then 'repeated' else 'new' end, new_id;
end
$$;

-- What is thought of listings and declarations -----------------------------------------------------------------------

-- Whether something that is offered or wanted is known by this address, so that it need not be looked for among posts.
create or replace function hub.is_for_trade(place text) returns boolean
language sql stable set search_path = pg_catalog, public, hub as $$
    select exists (select from listings l where l.federated_ap_id = place)
        or exists (select from declarations d where d.federated_ap_id = place)
$$;

-- Somebody elsewhere likes or passes on a listing or a declaration: as hub.take_reaction has it of posts.
create or replace function hub.take_trade_reaction(of_kind text, author uuid, deed text, place text, by text) returns text
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    it record;
    speaks uuid;
    new_id uuid;
begin
    if of_kind = 'listings' then
        select l.id, l.owner_id, l.author_actor_id, l.sent_at, l.visibility, l.hidden_at is not null as is_hidden into it
        from listings l where l.federated_ap_id = place;
    else
        select d.id, d.owner_id, d.author_actor_id, d.sent_at, 'public' as visibility, false as is_hidden into it
        from declarations d where d.federated_ap_id = place;
    end if;
    if not found or (it.owner_id is not null and it.sent_at is null) then
        return 'unknown';
    end if;
    if it.owner_id is null then
        if deed = 'like' then
            return 'not_ours';
        elsif not exists (select from follows f where f.actor_id = author and f.direction = 'out' and f.state = 'accepted') then
            return 'not_wanted';
        end if;
    elsif exists (select from blocks b where b.owner_id = it.owner_id and b.actor_id = author) then
        return 'blocked';
    end if;
    if it.is_hidden or (it.visibility not in ('public', 'unlisted') and (deed = 'announce' or it.visibility <> 'followers'
        or not exists (select from follows f where f.actor_id = author and f.direction = 'in' and f.state = 'accepted'
            and case when it.author_actor_id is null then f.owner_id = it.owner_id else f.local_actor_id = it.author_actor_id end)))
    then
        return 'not_public';
    end if;
    speaks := case when it.owner_id is not null then coalesce(it.author_actor_id,
        (select a.id from ap_actors a where a.kind = 'user' and a.row_id = it.owner_id)) end;
    insert into reactions (owner_id, local_actor_id, actor_id, direction, type, object_uri, object_kind, object_id, federated_ap_id)
    values (it.owner_id, speaks, author, 'in', deed, place, of_kind, it.id, by)
    on conflict do nothing returning id into new_id;
    if new_id is null then
        return 'repeated';
    end if;
    if it.owner_id is not null and hub.hears_of(it.owner_id, author) then
        perform hub.emit(rtrim(of_kind, 's') || case deed when 'like' then '.liked' else '.announced' end, of_kind, it.id, it.owner_id);
    end if;
    return 'done';
end
$$;

-- How often each was liked and passed on: counted anew whenever the hub hears or forgets one, so that it ends right whatever
-- a client has deleted meanwhile.
create or replace function hub.trade_reactions_count() returns trigger
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    it constant reactions := case when tg_op = 'DELETE' then old else new end;
    found_likes int;
    found_announces int;
    is_away boolean;
begin
    if current_user <> 'service_role' then
        return null;
    end if;
    -- Between two of this hub there are two rows, of which that of the owner counts; of others' there is one.
    is_away := case it.object_kind when 'listings' then exists (select from listings l where l.id = it.object_id and l.owner_id is null)
        else exists (select from declarations d where d.id = it.object_id and d.owner_id is null) end;
    select count(*) filter (where r.type = 'like'), count(*) filter (where r.type = 'announce') into found_likes, found_announces
    from reactions r where r.object_id = it.object_id and r.object_kind = it.object_kind and (r.direction = 'in' or is_away);
    if it.object_kind = 'listings' then
        update listings l set likes_count = found_likes, announces_count = found_announces where l.id = it.object_id;
    else
        update declarations d set likes_count = found_likes, announces_count = found_announces where d.id = it.object_id;
    end if;
    return null;
end
$$;
drop trigger if exists trade_reactions_count on public.reactions;
create trigger trade_reactions_count after insert on public.reactions
    for each row when (new.object_kind in ('listings', 'declarations')) execute function hub.trade_reactions_count();
drop trigger if exists trade_reactions_count_gone on public.reactions;
create trigger trade_reactions_count_gone after delete on public.reactions
    for each row when (old.object_kind in ('listings', 'declarations')) execute function hub.trade_reactions_count();

-- What was thought of it goes with it.
create or replace function hub.trade_forget() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    delete from reactions r where r.object_id = old.id and r.object_kind = tg_table_name;
    return null;
end
$$;
drop trigger if exists listings_forget on public.listings;
create trigger listings_forget after delete on public.listings
    for each row when (old.likes_count + old.announces_count > 0) execute function hub.trade_forget();
drop trigger if exists declarations_forget on public.declarations;
create trigger declarations_forget after delete on public.declarations
    for each row when (old.likes_count + old.announces_count > 0) execute function hub.trade_forget();

-- Questions about a listing -------------------------------------------------------------------------------------------

-- A message that answers an own listing opens an inquiry: its conversation knows what it is about.
create or replace function hub.messages_inquire() returns trigger
language plpgsql set search_path = pg_catalog, public, hub as $$
begin
    update conversations c set listing_id = l.id, title = left(l.title || ' · ' || coalesce(c.title, ''), 200)
    from listings l
    where c.id = new.conversation_id and c.listing_id is null and l.federated_ap_id = new.metadata ->> 'in_reply_to'
        and l.owner_id = new.owner_id;
    return null;
end
$$;
drop trigger if exists messages_inquire on public.messages;
create trigger messages_inquire after insert on public.messages
    for each row when (new.direction = 'inbound' and new.metadata ? 'in_reply_to') execute function hub.messages_inquire();

create or replace function hub.inbox_items_inquire() returns trigger
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    about record;
begin
    select l.id, l.title into about from conversations c join listings l on l.id = c.listing_id where c.id = new.conversation_id;
    if found then
        new.metadata := coalesce(new.metadata, '{}') || jsonb_build_object('listing_id', about.id);
        new.subject := left(about.title || ' · ' || coalesce(new.subject, ''), 200);
    end if;
    return new;
end
$$;
drop trigger if exists inbox_items_inquire on public.inbox_items;
create trigger inbox_items_inquire before insert on public.inbox_items
    for each row when (new.conversation_id is not null) execute function hub.inbox_items_inquire();

-- Search --------------------------------------------------------------------------------------------------------------

-- Public listings that are still to be had, newest first: their ids. It runs with its owner's rights and says itself what is
-- public, so that indexes serve it: one for each filter that matches little. A page goes on `before` the last one's
-- published_at and id.
--
-- How often words and tags are met, no statistics tell under row level security. So the newest rows are gone through while one
-- in twenty matches; from there on the rest is found by the index of words and tags, a stretch of time after the other while
-- stretches bring much, so that few rows are read that the page has no place for.
create or replace function hub.search_listings(
    words text default null, category text default null, listing_type text default null, tags text[] default null,
    price_min numeric default null, price_max numeric default null, currency text default null, is_free boolean default null,
    near_latitude double precision default null, near_longitude double precision default null, within_km double precision default 25,
    before timestamptz default null, before_id uuid default null, page_size integer default 50)
returns setof uuid
language plpgsql stable security definer
set search_path = pg_catalog, public, hub set plan_cache_mode = force_custom_plan set work_mem = '16MB' as $$
declare
    size constant integer := least(greatest(coalesce(page_size, 50), 1), 200);
    latitude_span constant double precision := least(within_km, 20000) / 111.0;
    longitude_span constant double precision := latitude_span / greatest(cos(radians(coalesce(near_latitude, 0))), 0.01);
    query constant tsquery := case when words is not null then websearch_to_tsquery('simple', left(words, 500)) end;
    -- Reading a text for its words is dear: what doesn't hold a word's letters needn't be.
    letters constant text := case when query::text !~ '[|!]' then
        (select m[1] from regexp_matches(query::text, '''([a-z0-9]+)''', 'g') m order by length(m[1]) desc limit 1) end;
    newest constant text := ' order by l.published_at desc, l.id desc limit $14';
    among text := ' from public.listings l
        where l.visibility = ''public'' and l.status = ''active'' and l.hidden_at is null and (l.expires_at is null or l.expires_at > now())
        and (l.owner_id is null or l.owner_id not in (select hub.closed_accounts()))';
    matches text := concat_ws(' and ',
        case when tags is not null then 'l.tags @> $4' end,
        case when numnode(query) > 0 then 'to_tsvector(''simple'', l.title || '' '' || coalesce(l.description, '''')) @@ $1' end);
    it record;
    start timestamptz;
    stretch interval;
    past timestamptz := before;
    past_id uuid := coalesce(before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    since timestamptz;
    seen integer := 0;
    found_now integer;
    missing integer := size;
begin
    among := among
        || case when category is not null then ' and l.category = $2' else '' end
        || case when listing_type is not null then ' and l.listing_type = $3' else '' end
        || case when price_min is not null then ' and l.price_minor >= ($5 * 100)::bigint' else '' end
        || case when price_max is not null then ' and l.price_minor <= ($6 * 100)::bigint' else '' end
        || case when currency is not null then ' and l.price_currency = $7' else '' end
        || case when is_free then ' and l.price_type = ''free''' else '' end
        || case when near_latitude is not null and near_longitude is not null then
            ' and l.latitude between $8 - $10 and $8 + $10 and l.longitude between $9 - $11 and $9 + $11
              and power((l.latitude - $8) / $10, 2) + power((l.longitude - $9) / $11, 2) <= 1' else '' end;
    if matches = '' then
        return query execute 'select l.id' || among || case when before is not null then ' and (l.published_at, l.id) < ($12, $13)' else '' end || newest
            using query, category, listing_type, tags, price_min, price_max, currency, near_latitude, near_longitude,
            latitude_span, longitude_span, past, past_id, size;
        return;
    end if;

    for it in execute 'select l.id, l.published_at, '
        || case when letters is not null then 'strpos(lower(l.title || '' '' || coalesce(l.description, '''')), $15) > 0 and ' else '' end
        || matches || ' as is_match' || among
        || case when before is not null then ' and (l.published_at, l.id) < ($12, $13)' else '' end || newest
        using query, category, listing_type, tags, price_min, price_max, currency, near_latitude, near_longitude,
        latitude_span, longitude_span, past, past_id, size * 20, letters
    loop
        seen := seen + 1;
        start := coalesce(start, it.published_at);
        past := it.published_at;
        past_id := it.id;
        if it.is_match then
            return next it.id;
            missing := missing - 1;
            exit when missing = 0;
        end if;
        exit when seen % (size * 4) = 0 and (size - missing) * 20 < seen;
    end loop;
    if missing = 0 or seen % (size * 4) > 0 or seen = 0 then
        return;
    end if;

    -- Others may have said any date: one that is out of all bounds ends the stretches.
    if isfinite(start) and isfinite(past) and past > 'epoch' then
        stretch := greatest(least(start - past, interval '1000 days') * 64, interval '1 hour');
        since := past - stretch;
    end if;
    loop
        found_now := 0;
        for it in execute 'with matching as materialized (select l.id, l.published_at' || among || ' and ' || matches
            || ' and (l.published_at, l.id) < ($12, $13)' || case when since is not null then ' and l.published_at >= $15' else '' end
            || ') select l.id, l.published_at from matching l' || newest
            using query, category, listing_type, tags, price_min, price_max, currency, near_latitude, near_longitude,
            latitude_span, longitude_span, past, past_id, missing, since
        loop
            return next it.id;
            found_now := found_now + 1;
        end loop;
        missing := missing - found_now;
        exit when missing <= 0 or since is null;
        past := since;
        past_id := '00000000-0000-0000-0000-000000000000';
        since := case when found_now * 2 >= size and since > 'epoch' then since - stretch end;
    end loop;
end
$$;
