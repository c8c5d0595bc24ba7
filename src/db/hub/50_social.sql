-- Posts and reports; and the steps of states, which the rooms to the right use as well.

-- A state goes only where its table lets it. Arguments: the column; every state with those that may follow it, as JSON; the
-- states that a client may begin with. A word that is no state at all is left to the column's own list; no word is the first.
create or replace function hub.step_state() returns trigger
language plpgsql as $$
declare
    states constant jsonb := tg_argv[1];
    beginnings constant text[] := tg_argv[2];
    rule constant text := tg_table_name || '_' || tg_argv[0] || '_steps';
    wanted constant text := coalesce(to_jsonb(new) ->> tg_argv[0], beginnings[1]);
    had text;
    broken text;
begin
    if not states ? wanted then
        return new;
    end if;
    if tg_op = 'INSERT' then
        if current_user = 'authenticated' and not wanted = any (beginnings) then
            broken := format('It does not begin as %s.', wanted);
        end if;
    else
        had := coalesce(to_jsonb(old) ->> tg_argv[0], beginnings[1]);
        if wanted <> had and not coalesce(states -> had, '[]') ? wanted then
            broken := format('It does not go from %s to %s.', had, wanted);
        end if;
    end if;
    if broken is not null then
        raise exception using errcode = '23514', schema = 'public', table = tg_table_name, column = tg_argv[0], constraint = rule,
            message = format('new row for relation "%s" violates check constraint "%s"', tg_table_name, rule),
            detail = broken;
    end if;
    return new;
end
$$;

-- Columns, given as arguments, that no client changes once the row is there.
create or replace function hub.keep_columns() returns trigger
language plpgsql as $$
declare
    kept text;
begin
    if current_user = 'authenticated' then
        foreach kept in array tg_argv loop
            if to_jsonb(new) -> kept is distinct from to_jsonb(old) -> kept then
                raise exception '% never changes', kept
                    using errcode = '42501', schema = 'public', table = tg_table_name, column = kept;
            end if;
        end loop;
    end if;
    return new;
end
$$;

-- Each change of what an own post says is a new version, which stays above the old even on a restored backup.
create or replace function hub.posts_version() returns trigger
language plpgsql as $$
begin
    new.version := greatest(old.version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint);
    if (new.title, new.content, new.summary, new.attachments) is distinct from (old.title, old.content, old.summary, old.attachments) then
        new.edited_at := now();
    end if;
    return new;
end
$$;
drop trigger if exists posts_version on public.posts;
create trigger posts_version
    before update of title, content, summary, language, sensitive, attachments, tags, visibility, recipients on public.posts
    for each row when (new.owner_id is not null) execute function hub.posts_version();

create or replace function hub.reports_handled() returns trigger
language plpgsql as $$
begin
    new.handled_by := case when new.status <> 'open' then auth.uid() end;
    new.handled_at := case when new.status <> 'open' then now() end;
    return new;
end
$$;
drop trigger if exists reports_handled on public.reports;
create trigger reports_handled before update of status on public.reports
    for each row when (new.status <> old.status) execute function hub.reports_handled();
drop trigger if exists reports_keep on public.reports;
create trigger reports_keep before update on public.reports
    for each row execute function hub.keep_columns('owner_id', 'target_actor_id', 'objects', 'reason');

-- Own posts -----------------------------------------------------------------------------------------------------------

-- Where an own post stands: its address, what it answers and the conversation it belongs to. As the caller, so that a post
-- he cannot see is as good as none; the hub's address comes with the request.
create or replace function hub.posts_place() returns trigger
language plpgsql as $$
declare
    base constant text := nullif(current_setting('hub.base', true), '');
    answered record;
begin
    if new.in_reply_to ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then
        select p.id, p.federated_ap_id, p.context into answered from public.posts p where p.id = new.in_reply_to::uuid;
    else
        select p.id, p.federated_ap_id, p.context into answered from public.posts p where p.federated_ap_id = new.in_reply_to;
    end if;
    if answered.id is not null then
        new.in_reply_to_id := answered.id;
        new.in_reply_to := coalesce(answered.federated_ap_id, new.in_reply_to);
    end if;
    if base is not null then
        new.federated_ap_id := base || '/ap/posts/' || new.id;
        new.url := base || '/posts/' || new.id;
        new.context := coalesce(answered.context, base || '/ap/contexts/' || new.id);
    end if;
    return new;
end
$$;
drop trigger if exists posts_place on public.posts;
create trigger posts_place before insert on public.posts
    for each row when (new.owner_id is not null) execute function hub.posts_place();
drop trigger if exists posts_keep on public.posts;
create trigger posts_keep before update on public.posts
    for each row execute function hub.keep_columns('in_reply_to', 'author_actor_id', 'type');

-- How many answers a post has; those that few read do not count.
create or replace function hub.posts_count() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    had uuid;
    has uuid;
begin
    if tg_op <> 'INSERT' and old.visibility in ('public', 'unlisted') then
        had := old.in_reply_to_id;
    end if;
    if tg_op <> 'DELETE' and new.visibility in ('public', 'unlisted') then
        has := new.in_reply_to_id;
    end if;
    if had is distinct from has then
        update public.posts p set replies_count = greatest(p.replies_count - 1, 0) where p.id = had;
        update public.posts p set replies_count = p.replies_count + 1 where p.id = has;
    end if;
    return null;
end
$$;
drop trigger if exists posts_count on public.posts;
create trigger posts_count after insert on public.posts
    for each row when (new.in_reply_to_id is not null) execute function hub.posts_count();
drop trigger if exists posts_count_again on public.posts;
create trigger posts_count_again after update of in_reply_to_id, visibility on public.posts
    for each row when (new.in_reply_to_id is distinct from old.in_reply_to_id or new.visibility <> old.visibility)
    execute function hub.posts_count();
drop trigger if exists posts_count_gone on public.posts;
create trigger posts_count_gone after delete on public.posts
    for each row when (old.in_reply_to_id is not null) execute function hub.posts_count();

-- What remains of something of ours that was said to others: that it is gone.
create or replace function hub.bury_own() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    insert into public.ap_tombstones (uri, former_type, is_local)
    values (old.federated_ap_id, coalesce(to_jsonb(old) ->> 'type', 'Note'), true) on conflict (uri) do nothing;
    return null;
end
$$;
drop trigger if exists posts_bury on public.posts;
create trigger posts_bury after delete on public.posts
    for each row when (old.owner_id is not null and old.federated_ap_id is not null) execute function hub.bury_own();

-- What was thought of a post goes with it.
create or replace function hub.posts_forget() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
begin
    delete from public.reactions r where r.object_id = old.id and r.object_kind = 'posts';
    return null;
end
$$;
drop trigger if exists posts_forget on public.posts;
create trigger posts_forget after delete on public.posts
    for each row when (old.likes_count + old.announces_count > 0) execute function hub.posts_forget();

-- How often a post was liked and passed on. Between two of this hub there are two rows: that of the post's owner counts.
create or replace function hub.reactions_count() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, hub as $$
declare
    it constant public.reactions := case when tg_op = 'DELETE' then old else new end;
    step constant int := case when tg_op = 'DELETE' then -1 else 1 end;
begin
    update public.posts p set
        likes_count = greatest(p.likes_count + case when it.type = 'like' then step else 0 end, 0),
        announces_count = greatest(p.announces_count + case when it.type = 'announce' then step else 0 end, 0)
    where p.id = it.object_id and (it.direction = 'in' or p.origin_actor_id is not null);
    return null;
end
$$;
drop trigger if exists reactions_count on public.reactions;
create trigger reactions_count after insert on public.reactions
    for each row when (new.object_kind = 'posts') execute function hub.reactions_count();
drop trigger if exists reactions_count_gone on public.reactions;
create trigger reactions_count_gone after delete on public.reactions
    for each row when (old.object_kind = 'posts') execute function hub.reactions_count();

-- Posts from elsewhere ------------------------------------------------------------------------------------------------

-- Who of this hub may read a post from elsewhere that not everybody may.
create or replace function hub.tell_audience(post uuid, seen_by text, author uuid, named uuid[]) returns void
language plpgsql set search_path = pg_catalog, public, hub as $$
begin
    insert into post_audience (post_id, user_id)
    select post, r.account from (select unnest(named) as account
        union select f.owner_id from follows f where seen_by = 'followers' and f.actor_id = author
            and f.direction = 'out' and f.state = 'accepted' and f.owner_id is not null) r
    on conflict do nothing;
end
$$;

-- What stands under an address and may be answered, beside posts: a listing, a declaration, a proposal or its result. Whoever
-- hears of the answer, who said it, whether it was said from here, whether everybody may read it, and whether it is a DAO's, in
-- which no member shuts another out.
create or replace function hub.answerable(place text)
returns table (owner uuid, author uuid, is_ours boolean, is_public boolean, of_dao boolean)
language sql stable rows 1 set search_path = pg_catalog, public, hub as $$
    select l.owner_id, coalesce(l.origin_actor_id, l.author_actor_id, a.id), l.owner_id is not null and l.sent_at is not null,
        l.visibility in ('public', 'unlisted') and l.hidden_at is null, false
    from listings l left join ap_actors a on a.kind = 'user' and a.row_id = l.owner_id
    where l.federated_ap_id = place
    union all
    select d.owner_id, coalesce(d.origin_actor_id, d.author_actor_id, a.id), d.owner_id is not null and d.sent_at is not null, true, false
    from declarations d left join ap_actors a on a.kind = 'user' and a.row_id = d.owner_id
    where d.federated_ap_id = place
    union all
    select s.author_id, coalesce(d.origin_actor_id, a.id),
        d.origin_actor_id is null and s.rules is not null and coalesce(d.is_public, true), coalesce(d.is_public, true), true
    from proposals s join daos d on d.id = s.dao_id left join ap_actors a on a.kind = 'dao' and a.row_id = d.id
    where s.federated_ap_id = replace(place, '/ap/results/', '/ap/proposals/')
$$;

-- What comes of authors from elsewhere by their own standing and their servers': are their posts hidden, are media held back.
create or replace function hub.shields(authors uuid[]) returns table (author uuid, hides boolean, holds_media boolean)
language plpgsql stable set search_path = pg_catalog, hub, public set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
    with known as materialized (
        select a.id, a.host, a.suspended_at is not null or a.silenced_at is not null as is_quiet from ap_actors a where a.id = any (authors))
    select k.id, k.is_quiet or coalesce(p.policy in ('limit', 'block'), false),
        coalesce(p.policy in ('limit', 'reject_media', 'block'), false)
    from known k left join hub.policies(array(select n.host from known n)) p on p.host = k.host;
end
$$;

-- Take posts of other servers that may be new, many by one statement, since everything a hub hears goes through here. Each
-- is {nth, author, uri, by, is_fetched, type, title, content, content_html, summary, language, sensitive, attachments, tags,
-- visibility, audience, in_reply_to, context, url, version, by_version, published, updated, poll, raw}; what is there already,
-- also by an earlier one of these, is `known`. The plans are kept: making them anew costs more than what they do.
create or replace function hub.take_posts(told jsonb) returns table (nth int, verdict text)
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
declare
    authors constant uuid[] := array(select distinct (e.it ->> 'author')::uuid from jsonb_array_elements(told) e (it));
    judged jsonb;
begin
    perform set_config('hub.by_origin', 'posts', true);
    with shielded as materialized (
        select * from hub.shields(authors)
    ), said as materialized (
        select p.*, row_number() over (partition by p.uri order by p.nth) as turn
        from jsonb_to_recordset(told) as p (nth int, author uuid, uri text, "by" text, is_fetched boolean, type text, title text,
            content text, content_html text, summary text, language text, sensitive boolean, attachments jsonb, tags text[],
            visibility text, audience text[], in_reply_to text, context text, url text, version bigint, published timestamptz,
            updated timestamptz, poll jsonb, raw jsonb)
    ), placed as materialized (
        select s.*, o.id as parent_id, coalesce(o.owner_id, r.owner) as parent_owner, o.context as parent_context,
            o.owner_id is not null or r.is_ours is not null as answers_ours, coalesce(r.of_dao, false) as parent_of_dao,
            -- Named are those of this hub who did not block the author.
            array(select a.row_id from ap_actors a where a.uri = any (s.audience) and a.kind = 'user' and a.deleted_at is null
                and not exists (select from blocks b where b.owner_id = a.row_id and b.actor_id = s.author)) as named
        from said s left join posts o on o.federated_ap_id = s.in_reply_to
            -- An answer to something else that was said from here counts as one to a post does.
            left join lateral (select t.* from hub.answerable(s.in_reply_to) t
                where s.in_reply_to is not null and o.id is null and t.is_ours limit 1) r on true
    ), judged as materialized (
        select p.*, case
            -- Looked for one by one (offset 0): reading all there are would be dearer.
            when p.turn > 1 or exists (select from posts o where o.federated_ap_id = p.uri offset 0) then 'known'
            when p.parent_owner is not null and not p.parent_of_dao
                and exists (select from blocks b where b.owner_id = p.parent_owner and b.actor_id = p.author) then 'blocked'
            -- Kept is what somebody here follows, what answers or names somebody here, and what was asked for.
            when not (p.is_fetched or p.named <> '{}' or p.answers_ours
                or exists (select from follows f where f.actor_id = p.author and f.direction = 'out' and f.state = 'accepted' offset 0)
                or exists (select from ap_actors a where a.uri = any (p.audience) and (a.kind in ('dao', 'channel') or exists (
                    select from follows f where f.actor_id = a.id and f.direction = 'out' and f.state = 'accepted' offset 0))))
                then 'not_wanted'
            when exists (select from ap_tombstones t where t.uri = p.uri offset 0) then 'deleted'
            else 'new' end as verdict
        from placed p
    ), made as (
        insert into posts as o (origin_actor_id, owner_id, type, title, content, content_html, summary, language, sensitive,
            attachments, held_attachments, hidden_at, tags, visibility, recipients, in_reply_to, in_reply_to_id, context, url,
            version, raw, poll, published_at, edited_at, federated_ap_id, told_by)
        select p.author, null, p.type, p.title, p.content, p.content_html, p.summary, p.language, p.sensitive,
            case when a.holds_media then '[]' else p.attachments end,
            case when a.holds_media and p.attachments <> '[]' then p.attachments end,
            case when a.hides then now() end,
            p.tags, p.visibility, p.audience, p.in_reply_to, p.parent_id, coalesce(p.context, p.parent_context), p.url,
            coalesce(p.version, 1), p.raw, p.poll, p.published, nullif(p.updated, p.published), p.uri, p.by
        from judged p join shielded a on a.author = p.author where p.verdict = 'new' order by p.nth
        on conflict (federated_ap_id) do nothing
        returning o.id, o.federated_ap_id
    )
    select jsonb_agg(jsonb_build_object('nth', j.nth, 'id', m.id, 'uri', j.uri, 'author', j.author, 'parent_owner', j.parent_owner,
        'named', j.named, 'visibility', j.visibility,
        'verdict', case when j.verdict = 'new' and m.id is null then 'repeated' else j.verdict end))
    into judged
    from judged j left join made m on j.verdict = 'new' and m.federated_ap_id = j.uri;
    perform set_config('hub.by_origin', '', true);

    perform hub.emit('post.replied', 'posts', j.id, j.parent_owner)
    from jsonb_to_recordset(judged) as j (id uuid, author uuid, parent_owner uuid)
    where j.id is not null and j.parent_owner is not null and hub.hears_of(j.parent_owner, j.author);
    perform hub.emit('post.mentioned', 'posts', j.id, n.account)
    from jsonb_to_recordset(judged) as j (id uuid, author uuid, parent_owner uuid, named uuid[]), unnest(j.named) n (account)
    where j.id is not null and n.account is distinct from j.parent_owner and hub.hears_of(n.account, j.author);
    perform hub.tell_audience(j.id, j.visibility, j.author, j.named)
    from jsonb_to_recordset(judged) as j (id uuid, author uuid, named uuid[], visibility text)
    where j.id is not null and j.visibility in ('followers', 'direct');
    -- What answers one and came before it finds it now.
    if exists (select from jsonb_to_recordset(judged) as j (id uuid, uri text)
        where j.id is not null and exists (select from posts o where o.in_reply_to = j.uri and o.in_reply_to_id is null offset 0))
    then
        update posts o set in_reply_to_id = j.id from jsonb_to_recordset(judged) as j (id uuid, uri text)
        where j.id is not null and o.in_reply_to = j.uri and o.in_reply_to_id is null;
    end if;

    return query select j.nth, j.verdict from jsonb_to_recordset(judged) as j (nth int, verdict text);
end
$$;

-- Take one post of another server: new, or as it is now.
drop function if exists hub.take_post(jsonb);
create function hub.take_post(told jsonb) returns text
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    author constant uuid := told ->> 'author';
    audience constant text[] := array(select jsonb_array_elements_text(told -> 'audience'));
    said_version constant bigint := coalesce((told ->> 'version')::bigint, 1);
    said_at constant timestamptz := told ->> 'updated';
    it record;
begin
    select o.id, o.owner_id, o.origin_actor_id, o.version, o.told_by, coalesce(o.edited_at, o.published_at) as as_of
    into it from posts o where o.federated_ap_id = told ->> 'uri' for update;
    if not found then
        -- What another one has written meanwhile says the same, or comes again.
        return (select case t.verdict when 'known' then 'repeated' else t.verdict end
            from hub.take_posts(jsonb_build_array(told || '{"nth": 1}')) t);
    elsif it.owner_id is not null then
        return 'local_object';
    elsif it.origin_actor_id <> author then
        return 'not_owner';
    -- In parentheses: the first bare "then" would end the condition.
    elsif (case when (told ->> 'by_version')::boolean and said_version <> it.version then said_version < it.version
        else (said_at, told ->> 'by') < (it.as_of, coalesce(it.told_by, '')) end)
    then
        return 'older';
    elsif it.told_by = told ->> 'by' then
        return 'repeated';
    end if;

    update posts o set type = told ->> 'type', title = told ->> 'title', content = told ->> 'content',
        content_html = told ->> 'content_html', summary = told ->> 'summary', language = told ->> 'language',
        sensitive = (told ->> 'sensitive')::boolean, attachments = told -> 'attachments',
        tags = array(select jsonb_array_elements_text(told -> 'tags')), visibility = told ->> 'visibility', recipients = audience,
        in_reply_to = told ->> 'in_reply_to',
        in_reply_to_id = (select a.id from posts a where a.federated_ap_id = told ->> 'in_reply_to'),
        url = told ->> 'url', version = said_version, raw = told -> 'raw', poll = nullif(told -> 'poll', 'null'),
        edited_at = case when said_at > o.published_at then said_at else o.edited_at end, told_by = told ->> 'by'
    where o.id = it.id;
    delete from post_audience x where x.post_id = it.id;
    if told ->> 'visibility' in ('followers', 'direct') then
        perform hub.tell_audience(it.id, told ->> 'visibility', author,
            array(select a.row_id from ap_actors a where a.uri = any (audience) and a.kind = 'user' and a.deleted_at is null
                and not exists (select from blocks b where b.owner_id = a.row_id and b.actor_id = author)));
    end if;
    return 'changed';
end
$$;

-- Somebody elsewhere likes or passes on an object. Of others' objects only what is passed on by somebody followed counts.
create or replace function hub.take_reaction(author uuid, kind text, place text, by text) returns text
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    it record;
    speaks uuid;
    is_followed constant boolean := exists (select from public.follows f
        where f.actor_id = author and f.direction = 'out' and f.state = 'accepted');
    new_id uuid;
begin
    select o.id, o.owner_id, o.visibility, o.author_actor_id, o.origin_actor_id into it
    from public.posts o where o.federated_ap_id = place;
    if not found then
        return case when kind = 'announce' and is_followed then 'needed' else 'unknown' end;
    end if;
    if it.visibility not in ('public', 'unlisted') and (kind = 'announce' and author is distinct from it.origin_actor_id
        or it.owner_id is not null and not exists (select from public.post_audience x where x.post_id = it.id and x.actor_id = author)
            and not exists (select from public.follows f where it.visibility = 'followers' and f.actor_id = author
                and f.direction = 'in' and f.state = 'accepted'
                and case when it.author_actor_id is null then f.owner_id = it.owner_id else f.local_actor_id = it.author_actor_id end))
    then
        return 'not_public';
    end if;
    if it.owner_id is null then
        if kind = 'like' then
            return 'not_ours';
        elsif not is_followed then
            return 'not_wanted';
        end if;
    elsif exists (select from public.blocks b where b.owner_id = it.owner_id and b.actor_id = author) then
        return 'blocked';
    end if;
    speaks := case when it.owner_id is not null then coalesce(it.author_actor_id,
        (select a.id from public.ap_actors a where a.kind = 'user' and a.row_id = it.owner_id)) end;
    insert into public.reactions (owner_id, local_actor_id, actor_id, direction, type, object_uri, object_kind, object_id, federated_ap_id)
    values (it.owner_id, speaks, author, 'in', kind, place, 'posts', it.id, by)
    on conflict do nothing returning id into new_id;
    if new_id is null then
        return 'repeated';
    end if;
    if it.owner_id is not null and hub.hears_of(it.owner_id, author) then
        perform hub.emit(case kind when 'like' then 'post.liked' else 'post.announced' end, 'posts', it.id, it.owner_id);
    end if;
    return 'done';
end
$$;
