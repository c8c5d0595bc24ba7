-- Listings go to other servers and come from them, with everything that a buyer wants to know.

alter table listings
    add column author_actor_id uuid references ap_actors (id) on delete set null,
    add column category text,
    add column language text,
    add column photos jsonb not null default '[]' constraint listings_photos_fits check (jsonb_typeof(photos) = 'array'),
    add column place_name text,
    add column latitude double precision constraint listings_latitude_fits check (latitude between -90 and 90),
    add column longitude double precision constraint listings_longitude_fits check (longitude between -180 and 180),
    add column place_radius_m integer constraint listings_place_radius_m_fits check (place_radius_m between 0 and 20100000),
    add column condition text constraint listings_condition_listed
        check (condition in ('new', 'like_new', 'used', 'refurbished', 'for_parts')),
    add column fulfilment text[] not null default '{}',
    add column quantity numeric(18, 4) not null default 1 constraint listings_quantity_fits check (quantity > 0),
    add column reserved numeric(18, 4) not null default 0 constraint listings_reserved_fits check (reserved >= 0 and reserved <= quantity),
    add column minimum numeric(18, 4) not null default 1 constraint listings_minimum_fits check (minimum > 0),
    add column resource_uri text,
    add column license text,
    add column format text,
    add column schema_uri text,
    add column community_dao_id uuid references daos (id) on delete set null,
    add column url text,
    add column content_html text,
    add column published_at timestamptz not null default now(),
    add column version bigint not null default 1 constraint listings_version_fits check (version > 0),
    add column sent_at timestamptz,
    add column warned_at timestamptz,
    add column hidden_at timestamptz,
    add column raw jsonb,
    add column told_by text,
    add constraint listings_price_currency_fits check (price_currency ~ '^[A-Z]{3,12}$') not valid,
    add constraint listings_has_one_place check (num_nonnulls(latitude, longitude) in (0, 2));
comment on column listings.author_actor_id is 'In whose name it speaks, if not its owner''s: a DAO''s, a tenant''s or an agent''s actor.';
comment on column listings.photos is '[{url, media_type, name, width, height, blurhash}]; name says what is to be seen.';
comment on column listings.quantity is 'How many there were to begin with.';
comment on column listings.reserved is 'How many of them are promised or gone; the hub counts.';
comment on column listings.minimum is 'The fewest that are given at a time.';
comment on column listings.resource_uri is 'What it is, as an address that others know it by.';
comment on column listings.community_dao_id is 'Whose limit of credit applies.';
comment on column listings.warned_at is 'When its owner was told that it is about to expire.';
comment on column listings.raw is 'As it was received.';
create index listings_author_actor_id_idx on listings (author_actor_id);
create index listings_community_dao_id_idx on listings (community_dao_id);
drop index listings_public_idx;
-- Newest first, and what people filter by: each filter that matches little has an index of its own.
create index listings_public_newest_idx on listings (published_at desc, id desc)
    where visibility = 'public' and status in ('active', 'reserved', 'sold') and hidden_at is null;
create index listings_public_category_idx on listings (category, published_at desc, id desc)
    where visibility = 'public' and status = 'active' and hidden_at is null;
create index listings_public_price_idx on listings (listing_type, price_currency, price_minor)
    where visibility = 'public' and status = 'active' and hidden_at is null;
create index listings_public_place_idx on listings (latitude, longitude)
    where visibility = 'public' and status = 'active' and hidden_at is null;
create index listings_public_words_idx on listings using gin (to_tsvector('simple', title || ' ' || coalesce(description, '')))
    where visibility = 'public' and status = 'active' and hidden_at is null;
create index listings_public_tags_idx on listings using gin (tags)
    where visibility = 'public' and status = 'active' and hidden_at is null;
update hub.kinds set
    read_only = read_only || '{reserved,url,content_html,published_at,version,sent_at,warned_at,hidden_at,raw,told_by}',
    hidden = hidden || '{raw,told_by,warned_at}',
    public_when = $$visibility in ('public', 'unlisted') and status in ('active', 'reserved', 'sold') and hidden_at is null$$,
    also_read_when = $$visibility = 'followers' and status in ('active', 'reserved', 'sold') and hidden_at is null and (
        exists (select from follows f join ap_actors a on a.id = f.actor_id where f.owner_id = auth.uid() and f.direction = 'out'
            and f.state = 'accepted' and (a.id in (origin_actor_id, author_actor_id)
                or (author_actor_id is null and a.kind = 'user' and a.row_id = owner_id)))
        or (auth.app_role() = 'remote' and owner_id is not null and hub.remote_follows(owner_id, author_actor_id)))$$
where name = 'listings';

alter table conversations add column listing_id uuid references listings (id) on delete set null;
comment on column conversations.listing_id is 'The own listing that somebody asks about.';
create index conversations_listing_id_idx on conversations (listing_id);
update hub.kinds set read_only = read_only || '{listing_id}' where name = 'conversations';
