-- What is offered for a price, and the data that can be offered: a data product is a saved query under a privacy policy.
-- A listing of another hub is a row as well, with an origin instead of an owner.

create table data_products (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    description text,
    query_def jsonb not null,
    privacy_policy jsonb not null default '{}',
    output_format text not null default 'json' constraint data_products_output_format_listed
        check (output_format in ('json', 'csv', 'parquet')),
    sample_rows integer default 0 constraint data_products_sample_rows_fits check (sample_rows >= 0),
    schema_json jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint data_products_owner_id_id_key unique (owner_id, id)
);
comment on column data_products.query_def is 'Which of the owner''s rows and columns it consists of.';
comment on column data_products.privacy_policy is 'What is left out, coarsened or only counted before anybody else sees it.';
comment on column data_products.sample_rows is 'How many rows a buyer may see beforehand.';
select hub.register_kind('data_products', domain => 'market', scope => 'owner',
    title => 'name', text_columns => '{name,description}',
    jsonld => 'schema:Dataset');

create table listings (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete cascade,
    origin_actor_id uuid references ap_actors (id) on delete cascade,
    listing_type text not null constraint listings_listing_type_listed
        check (listing_type in ('data_product', 'service', 'physical', 'digital')),
    title text not null,
    description text,
    price_amount numeric(12, 2) constraint listings_price_amount_fits check (price_amount >= 0),
    price_minor bigint generated always as ((price_amount * 100)::bigint) stored,
    price_currency text default 'USD',
    price_type text constraint listings_price_type_listed
        check (price_type in ('fixed', 'hourly', 'negotiable', 'free', 'time_credit')),
    tags text[] default '{}',
    location_pref text,
    visibility text default 'public',
    status text not null default 'draft' constraint listings_status_listed
        check (status in ('draft', 'active', 'paused', 'reserved', 'sold', 'expired', 'withdrawn')),
    data_product_id uuid,
    expires_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, data_product_id) references data_products (owner_id, id) on delete set null (data_product_id),
    constraint listings_has_one_origin check (num_nonnulls(owner_id, origin_actor_id) = 1),
    constraint listings_has_own_data_product check (data_product_id is null or owner_id is not null),
    constraint listings_free_has_no_price check (price_type is distinct from 'free' or coalesce(price_amount, 0) = 0),
    constraint listings_federated_ap_id_key unique (federated_ap_id)
);
comment on column listings.origin_actor_id is 'Who offers it on another hub; an own listing has an owner instead.';
comment on column listings.price_minor is 'The price in hundredths, for filters that an index serves.';
comment on column listings.price_currency is 'An ISO 4217 code, or TIME for hours.';
comment on column listings.visibility is 'public: everybody reads it while it is active, reserved or sold; any other word: only the owner.';
comment on column listings.status is 'draft, then active, then paused, reserved, sold, expired or withdrawn; sold and withdrawn are final.';
comment on column listings.expires_at is 'When an active listing expires by itself.';
create index listings_owner_id_status_idx on listings (owner_id, status);
create index listings_origin_actor_id_idx on listings (origin_actor_id);
create index listings_data_product_id_idx on listings (data_product_id);
create index listings_status_expires_at_idx on listings (status, expires_at);
create index listings_public_idx on listings (listing_type, price_minor)
    where visibility = 'public' and status in ('active', 'reserved', 'sold');
select hub.register_kind('listings', domain => 'market', scope => 'owner',
    public_when => $$visibility = 'public' and status in ('active', 'reserved', 'sold')$$,
    title => 'title', text_columns => '{title,description}',
    read_only => '{origin_actor_id,federated_ap_id}',
    jsonld => 'schema:Offer');
