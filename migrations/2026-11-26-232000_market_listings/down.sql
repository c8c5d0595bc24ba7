update hub.kinds set read_only = array_remove(read_only, 'listing_id') where name = 'conversations';
alter table conversations drop column listing_id;
update hub.kinds set
    read_only = array(select c from unnest(read_only) c
        where c <> all ('{reserved,url,content_html,published_at,version,sent_at,warned_at,hidden_at,raw,told_by}')),
    hidden = array(select c from unnest(hidden) c where c <> all ('{raw,told_by,warned_at}')),
    public_when = $$visibility = 'public' and status in ('active', 'reserved', 'sold')$$,
    also_read_when = null
where name = 'listings';
alter table listings
    drop column author_actor_id, drop column category, drop column language, drop column photos, drop column place_name,
    drop column latitude, drop column longitude, drop column place_radius_m, drop column condition, drop column fulfilment,
    drop column quantity, drop column reserved, drop column minimum, drop column resource_uri, drop column license, drop column format,
    drop column schema_uri, drop column community_dao_id, drop column url, drop column content_html, drop column published_at,
    drop column version, drop column sent_at, drop column warned_at, drop column hidden_at, drop column raw, drop column told_by,
    drop constraint listings_price_currency_fits;
drop index if exists listings_public_words_idx;
create index listings_public_idx on listings (listing_type, price_minor)
    where visibility = 'public' and status in ('active', 'reserved', 'sold');
