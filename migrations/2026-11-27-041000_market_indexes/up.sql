-- A page of the market is found by an index through every door: rows are also others' to read than those that are public, so
-- what only holds public rows serves the search and nothing else.

drop index listings_public_newest_idx;
-- What is only compared stands at the end of an index, so that rows which do not match are left out without being read.
create index listings_newest_idx on listings (published_at desc, id desc, price_minor, latitude, longitude, price_currency);
drop index listings_public_category_idx;
create index listings_category_newest_idx on listings (category, published_at desc, id desc);
drop index listings_public_price_idx;
create index listings_type_newest_idx on listings (listing_type, published_at desc, id desc, price_minor, price_currency);
create index listings_price_minor_idx on listings (price_minor);
drop index listings_origin_actor_id_idx;
create index listings_origin_actor_id_newest_idx on listings (origin_actor_id, published_at desc, id desc);
-- What is given away and what is in a rare condition is little.
create index listings_price_type_newest_idx on listings (price_type, published_at desc, id desc);
create index listings_condition_newest_idx on listings (condition, published_at desc, id desc);
