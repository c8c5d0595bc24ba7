-- Moderation: rows of whoever is limited or blocked vanish from reading and come back, what was to go to him is dropped, and
-- what waits from him is frozen. Each function brings rows to what the rules say now, so it may be run again and again.

-- Whoever remembers rules is told when one changes.
create or replace function hub.domains_changed() returns trigger
language plpgsql as $$
begin
    perform pg_notify('hub_domains', '');
    return null;
end
$$;
drop trigger if exists domains_changed on public.ap_domains;
create trigger domains_changed after insert or update or delete on public.ap_domains
    for each statement execute function hub.domains_changed();

-- A post from elsewhere is hidden as long as its author's standing says so, and its media stay where they are while his
-- server's are refused; what is held back is kept. Those who write many at once see to it themselves: hub.shields.
create or replace function hub.posts_shield() returns trigger
language plpgsql set search_path = pg_catalog, hub, public as $$
declare
    its record;
begin
    select x.hides, x.holds_media into its from hub.shields(array[new.origin_actor_id]) x;
    new.hidden_at := case when its.hides then coalesce(new.hidden_at, now()) end;
    if its.holds_media then
        if new.attachments <> '[]' then
            new.held_attachments := new.attachments;
            new.attachments := '[]';
        end if;
    elsif new.held_attachments is not null then
        if new.attachments = '[]' then
            new.attachments := new.held_attachments;
        end if;
        new.held_attachments := null;
    end if;
    return new;
end
$$;
drop trigger if exists posts_shield on public.posts;
create trigger posts_shield before insert or update of hidden_at, attachments on public.posts
    for each row when (new.origin_actor_id is not null and current_setting('hub.by_origin', true) is distinct from 'posts')
    execute function hub.posts_shield();

-- The picture of an actor from elsewhere stays where it is while media of its server are refused.
create or replace function hub.actors_shield() returns trigger
language plpgsql set search_path = pg_catalog, hub, public as $$
begin
    if (hub.host_policy(new.host)).policy in ('limit', 'reject_media', 'block') then
        new.held_icon_url := coalesce(new.icon_url, new.held_icon_url);
        new.icon_url := null;
    elsif new.held_icon_url is not null then
        new.icon_url := coalesce(new.icon_url, new.held_icon_url);
        new.held_icon_url := null;
    end if;
    return new;
end
$$;
drop trigger if exists actors_shield on public.ap_actors;
create trigger actors_shield before insert or update of icon_url on public.ap_actors
    for each row when (new.kind is null and (new.icon_url is not null or new.held_icon_url is not null))
    execute function hub.actors_shield();

-- An own post is hidden while its author is silenced or suspended.
create or replace function hub.posts_shield_own() returns trigger
language plpgsql security definer set search_path = pg_catalog, hub, public as $$
begin
    new.hidden_at := case when exists (
            select from ap_actors a where (a.suspended_at is not null or a.silenced_at is not null)
                and ((a.kind = 'user' and a.row_id = new.owner_id) or a.id = new.author_actor_id))
        then coalesce(new.hidden_at, now()) end;
    return new;
end
$$;
drop trigger if exists posts_shield_own on public.posts;
create trigger posts_shield_own before insert or update of hidden_at on public.posts
    for each row when (new.owner_id is not null) execute function hub.posts_shield_own();

-- Whom the caller follows, as authors of posts: actors, and the accounts of those of this hub.
create or replace function hub.heard_authors() returns setof uuid
language sql stable security definer rows 100 set search_path = pg_catalog, hub, public as $$
    select f.actor_id from follows f where f.owner_id = auth.uid() and f.direction = 'out' and f.state = 'accepted'
    union all
    select a.row_id from follows f join ap_actors a on a.id = f.actor_id and a.kind = 'user'
    where f.owner_id = auth.uid() and f.direction = 'out' and f.state = 'accepted'
$$;

-- Whom the caller blocked, as rows name their authors: actors, the accounts of those of this hub, and the agents of those
-- accounts (S-154). In plpgsql, which keeps its plan: every reading of posts asks, once.
create or replace function hub.blocked_authors() returns setof uuid
language plpgsql stable security definer rows 10 set search_path = pg_catalog, hub, public as $$
declare
    me constant uuid := auth.uid();
begin
    if me is null then
        return;
    end if;
    return query
        select b.actor_id from blocks b where b.owner_id = me
        union all
        select a.row_id from blocks b join ap_actors a on a.id = b.actor_id and a.kind = 'user'
        where b.owner_id = me and a.row_id is not null
        union all
        select s.id from blocks b join ap_actors a on a.id = b.actor_id and a.kind = 'user'
            join agents g on g.user_id = a.row_id join ap_actors s on s.kind = 'agent' and s.row_id = g.id
        where b.owner_id = me;
end
$$;

-- Whether a post is by somebody whom the caller blocked.
create or replace function hub.is_by_blocked(post uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, hub, public as $$
begin
    return exists (select from posts p where p.id = post
        and coalesce(p.author_actor_id, p.origin_actor_id, p.owner_id) in (select hub.blocked_authors()));
end
$$;

-- Posts that only his own block keeps from the caller: he may still complain of them.
create or replace function hub.blocked_posts(named text[]) returns table (id uuid, uri text, of_type text, title text, summary text,
    content text, attachments jsonb, published_at timestamptz, edited_at timestamptz, origin uuid, author uuid, owner uuid)
language sql stable security definer rows 1 set search_path = pg_catalog, hub, public as $$
    select p.id, p.federated_ap_id, p.type, p.title, p.summary, p.content, p.attachments, p.published_at, p.edited_at,
        p.origin_actor_id, p.author_actor_id, p.owner_id
    from posts p
    where (p.federated_ap_id = any (named) or p.url = any (named) or p.id::text = any (named))
      and coalesce(p.author_actor_id, p.origin_actor_id, p.owner_id) in (select hub.blocked_authors())
      and p.hidden_at is null
      and (p.visibility in ('public', 'unlisted') and (p.owner_id in (select hub.closed_accounts())) is not true
        or exists (select from post_audience x where x.post_id = p.id and x.user_id = auth.uid()))
$$;

-- The hosts that a rule for a domain may be about, as far as rows here know of any; all of them without a domain.
create or replace function hub.hosts_below(above text) returns setof text
language sql stable set search_path = pg_catalog, hub, public as $$
    select k.host from (
        select distinct a.host from ap_actors a where a.kind is null
        union select distinct d.host from ap_deliveries d where d.state = 'waiting'
        union select distinct r.host from ap_received r where r.state = 'waiting'
    ) k
    where above is null or above = any (hub.domains_above(k.host))
    order by k.host
$$;

-- Bring up to `most` rows of each kind to what holds for a server now. How many it touched: nothing left to do is 0.
create or replace function hub.settle_host(asked text, most int) returns bigint
language plpgsql set search_path = pg_catalog, hub, public as $$
declare
    rule constant text := coalesce((hub.host_policy(asked)).policy, '');
    touched bigint := 0;
    moved bigint;
begin
    if rule = 'block' then
        update ap_deliveries d set state = 'dropped', ended_at = now(), last_error = 'blocked'
        where d.id in (select w.id from ap_deliveries w where w.host = asked and w.state = 'waiting' limit most)
          and d.state = 'waiting';
        get diagnostics moved = row_count;
        touched := touched + moved;
        -- Frozen: it counts again if the block ends before it is forgotten.
        update ap_received r set next_at = now() + interval '50 years', reason = 'blocked'
        where r.id in (select w.id from ap_received w where w.host = asked and w.state = 'waiting'
            and w.reason is distinct from 'blocked' limit most) and r.state = 'waiting';
        get diagnostics moved = row_count;
        touched := touched + moved;
        delete from follows f where f.id in (
            select w.id from follows w join ap_actors a on a.id = w.actor_id where a.host = asked and a.kind is null limit most);
        get diagnostics moved = row_count;
        touched := touched + moved;
    else
        update ap_received r set next_at = now(), reason = null
        where r.id in (select w.id from ap_received w where w.host = asked and w.state = 'waiting' and w.reason = 'blocked' limit most);
        get diagnostics moved = row_count;
        touched := touched + moved;
    end if;

    update ap_actors a set icon_url = a.icon_url
    where a.id in (
        select w.id from ap_actors w
        where w.host = asked and w.kind is null
          and case when rule in ('limit', 'reject_media', 'block') then w.icon_url is not null else w.held_icon_url is not null end
        limit most);
    get diagnostics moved = row_count;
    touched := touched + moved;

    update posts p set hidden_at = p.hidden_at, attachments = p.attachments
    where p.id in (
        select w.id from ap_actors a join posts w on w.origin_actor_id = a.id
        where a.host = asked and a.kind is null
          and ((w.hidden_at is not null) is distinct from
                (a.suspended_at is not null or a.silenced_at is not null or rule in ('limit', 'block'))
            or (rule in ('limit', 'reject_media', 'block') and w.attachments <> '[]')
            or (rule not in ('limit', 'reject_media', 'block') and w.held_attachments is not null))
        limit most);
    get diagnostics moved = row_count;
    return touched + moved;
end
$$;

-- The same for one actor, of this hub or another.
create or replace function hub.settle_standing(actor uuid, most int) returns bigint
language plpgsql set search_path = pg_catalog, hub, public as $$
declare
    it public.ap_actors;
    touched bigint := 0;
    moved bigint;
begin
    select * into it from ap_actors a where a.id = actor;
    if not found then
        return 0;
    end if;
    if it.suspended_at is not null then
        delete from follows f where f.id in (
            select w.id from follows w where w.actor_id = it.id or w.local_actor_id = it.id limit most);
        get diagnostics moved = row_count;
        touched := touched + moved;
        update ap_deliveries d set state = 'dropped', ended_at = now(), last_error = 'suspended'
        where d.state = 'waiting' and d.id in (
            select w.id from ap_deliveries w where w.state = 'waiting' and it.kind is null and w.inbox_url = it.inbox_url
            union all
            select w.id from ap_activities x join ap_deliveries w on w.activity_id = x.id
            where it.kind is not null and x.actor_id = it.id and w.state = 'waiting'
            limit most);
        get diagnostics moved = row_count;
        touched := touched + moved;
    end if;

    update posts p set hidden_at = p.hidden_at
    where p.id in (
        select w.id from posts w
        where (w.origin_actor_id = it.id or (it.kind = 'user' and w.owner_id = it.row_id) or w.author_actor_id = it.id)
          and (w.hidden_at is not null) is distinct from (
            it.suspended_at is not null or it.silenced_at is not null
            or (it.kind is null and coalesce((hub.host_policy(it.host)).policy in ('limit', 'block'), false))
            or exists (select from ap_actors o where o.kind = 'user' and o.row_id = w.owner_id
                and (o.suspended_at is not null or o.silenced_at is not null))
            or exists (select from ap_actors o where o.id = w.author_actor_id
                and (o.suspended_at is not null or o.silenced_at is not null)))
        limit most);
    get diagnostics moved = row_count;
    return touched + moved;
end
$$;

-- A block ends the follows between the two at once, whoever writes it.
create or replace function hub.cut_follows(one uuid, other uuid) returns bigint
language sql volatile set search_path = pg_catalog, hub, public as $$
    with cut as (
        delete from follows f where (f.local_actor_id = one and f.actor_id = other) or (f.local_actor_id = other and f.actor_id = one)
        returning 1
    )
    select count(*) from cut
$$;

-- What is needed to take a block back after its row is gone.
create or replace function hub.blocks_ended() returns trigger
language plpgsql security definer set search_path = pg_catalog, hub, public as $$
begin
    insert into hub.ended_blocks (id, owner_id, actor_id, uri) values (old.id, old.owner_id, old.actor_id, old.federated_ap_id)
    on conflict (id) do nothing;
    return null;
end
$$;
drop trigger if exists blocks_ended on public.blocks;
create trigger blocks_ended after delete on public.blocks
    for each row when (old.federated_ap_id is not null) execute function hub.blocks_ended();

-- The text that is complained of, as it is while the complaint is made and as far as the one who complains can read it.
create or replace function hub.reports_snapshot() returns trigger
language plpgsql as $$
begin
    new.snapshot := coalesce((
        select jsonb_agg(jsonb_build_object('uri', p.federated_ap_id, 'id', p.id, 'type', p.type, 'title', p.title, 'summary', p.summary,
            'content', left(p.content, 20000), 'attachments', p.attachments, 'published_at', p.published_at, 'edited_at', p.edited_at))
        from (select q.federated_ap_id, q.id, q.type, q.title, q.summary, q.content, q.attachments, q.published_at, q.edited_at
            from public.posts q
            where q.federated_ap_id = any (new.objects) or q.url = any (new.objects) or q.id::text = any (new.objects)
            union all
            select b.uri, b.id, b.of_type, b.title, b.summary, b.content, b.attachments, b.published_at, b.edited_at
            from hub.blocked_posts(new.objects) b
            order by published_at limit 100) p), '[]');
    return new;
end
$$;
drop trigger if exists reports_snapshot on public.reports;
create trigger reports_snapshot before insert on public.reports
    for each row execute function hub.reports_snapshot();

-- Who reported hears when it was dealt with; the operators hear when there is something to deal with.
create or replace function hub.reports_told() returns trigger
language plpgsql security definer set search_path = pg_catalog, hub, public as $$
begin
    if tg_op = 'INSERT' then
        perform hub.emit('report.filed', 'reports', new.id, new.owner_id);
    elsif new.status <> old.status then
        perform hub.emit('report.' || case new.status when 'open' then 'reopened' else new.status end, 'reports', new.id, new.owner_id);
    end if;
    return null;
end
$$;
drop trigger if exists reports_told on public.reports;
create trigger reports_told after insert or update of status on public.reports
    for each row execute function hub.reports_told();

grant execute on function hub.heard_authors(), hub.blocked_authors(), hub.is_by_blocked(uuid), hub.blocked_posts(text[])
    to anon, authenticated, service_role;
grant execute on function hub.domains_above(text), hub.federation_mode(), hub.hosts_below(text),
    hub.settle_host(text, int), hub.settle_standing(uuid, int), hub.cut_follows(uuid, uuid),
    hub.blocked_with(uuid), hub.is_blocked_between(uuid, uuid), hub.hears_of(uuid, uuid) to service_role;
grant select, insert, delete on hub.blocked_by, hub.ended_blocks to service_role;
