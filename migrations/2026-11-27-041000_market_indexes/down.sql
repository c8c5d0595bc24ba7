drop index listings_condition_newest_idx;
drop index listings_price_type_newest_idx;
drop index listings_origin_actor_id_newest_idx;
create index listings_origin_actor_id_idx on listings (origin_actor_id);
drop index listings_price_minor_idx;
drop index listings_type_newest_idx;
create index listings_public_price_idx on listings (listing_type, price_currency, price_minor)
    where visibility = 'public' and status = 'active' and hidden_at is null;
drop index listings_category_newest_idx;
create index listings_public_category_idx on listings (category, published_at desc, id desc)
    where visibility = 'public' and status = 'active' and hidden_at is null;
drop index listings_newest_idx;
create index listings_public_newest_idx on listings (published_at desc, id desc)
    where visibility = 'public' and status in ('active', 'reserved', 'sold') and hidden_at is null;
