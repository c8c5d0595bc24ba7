-- Federation: actors of other servers as they tell of themselves.

-- Keep an actor of another server as it was told, with all its keys and no others. Null for one that is local, that has deleted
-- itself, or that is known in a newer version unless this one comes from its server just now. A key that another actor has shown is only taken over by whose document it is
-- a part of.
create or replace function hub.learn_actor(told jsonb, keys jsonb) returns uuid
language plpgsql set search_path = pg_catalog, hub, public as $$
declare
    known uuid;
begin
    insert into ap_actors as a (uri, type, preferred_username, host, name, summary, icon_url, url, inbox_url, shared_inbox_url,
        outbox_url, followers_url, following_url, featured_url, properties, manually_approves_followers, discoverable, indexable,
        also_known_as, moved_to, published_at, version, public_key_id, public_key_pem, is_hub, document, handle, last_fetched_at)
    select t.uri, t.type, t.preferred_username, t.host, t.name, t.summary, t.icon_url, t.url, t.inbox_url, t.shared_inbox_url,
        t.outbox_url, t.followers_url, t.following_url, t.featured_url, coalesce(t.properties, '[]'),
        coalesce(t.manually_approves_followers, false), coalesce(t.discoverable, true), coalesce(t.indexable, true),
        coalesce(t.also_known_as, '{}'), t.moved_to, t.published_at, coalesce(t.version, 1), t.public_key_id, t.public_key_pem,
        coalesce(t.is_hub, false), t.document, t.handle, now()
    from jsonb_to_record(told) t (uri text, type text, preferred_username text, host text, name text, summary text, icon_url text,
        url text, inbox_url text, shared_inbox_url text, outbox_url text, followers_url text, following_url text,
        featured_url text, properties jsonb, manually_approves_followers boolean, discoverable boolean, indexable boolean,
        also_known_as text[], moved_to text, published_at timestamptz, version bigint, public_key_id text, public_key_pem text,
        is_hub boolean, document text, handle text)
    on conflict (uri) do update set
        type = excluded.type, preferred_username = excluded.preferred_username, host = excluded.host, name = excluded.name,
        summary = excluded.summary, icon_url = coalesce(excluded.icon_url, excluded.held_icon_url), held_icon_url = null, url = excluded.url, inbox_url = excluded.inbox_url,
        shared_inbox_url = excluded.shared_inbox_url, outbox_url = excluded.outbox_url, followers_url = excluded.followers_url,
        following_url = excluded.following_url, featured_url = excluded.featured_url, properties = excluded.properties,
        manually_approves_followers = excluded.manually_approves_followers, discoverable = excluded.discoverable,
        indexable = excluded.indexable, also_known_as = excluded.also_known_as, moved_to = excluded.moved_to,
        published_at = excluded.published_at, version = excluded.version, public_key_id = excluded.public_key_id,
        public_key_pem = excluded.public_key_pem, is_hub = excluded.is_hub, document = excluded.document,
        handle = coalesce(excluded.handle, case when a.preferred_username = excluded.preferred_username then a.handle end),
        last_fetched_at = excluded.last_fetched_at
    where a.kind is null and a.deleted_at is null 
        and (a.version <= excluded.version or coalesce((told ->> 'is_fetched')::boolean, false))
    returning a.id into known;
    if known is null then
        return null;
    end if;

    delete from ap_keys k where k.actor_id = known and k.secret_id is null
        and not exists (select from jsonb_to_recordset(keys) n (uri text) where n.uri = k.key_uri);
    insert into ap_keys as k (actor_id, key_uri, algorithm, public_key)
    select distinct on (n.uri) known, n.uri, n.algorithm, n.key from jsonb_to_recordset(keys) n (uri text, algorithm text, key text)
    on conflict (key_uri) do update set actor_id = excluded.actor_id, algorithm = excluded.algorithm, public_key = excluded.public_key
    where k.secret_id is null
        and (k.actor_id = excluded.actor_id or starts_with(excluded.key_uri, (told ->> 'uri') || '#'))
        and (k.actor_id, k.algorithm, k.public_key) is distinct from (excluded.actor_id, excluded.algorithm, excluded.public_key);
    return known;
end
$$;
