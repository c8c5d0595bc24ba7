-- Billing: what a tenant may use (licences and the modules they open) and what a person pays for it (plans, subscriptions,
-- invoices, ways to pay). The payment provider is the source of the second half, so clients only read it. Amounts are
-- whole minor units of their currency.

create table licenses (
    id uuid primary key default hub.uuid_v7(),
    organization_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    license_key uuid default gen_random_uuid(),
    expiration_date timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint licenses_organization_id_id_key unique (organization_id, id),
    constraint licenses_license_key_key unique (license_key)
);
comment on column licenses.license_key is 'Random on purpose: a key that tells its time of birth is half guessed.';
comment on column licenses.expiration_date is 'Empty: for ever.';
select hub.register_kind('licenses', domain => 'billing', scope => 'tenant', owner => 'organization_id');

create table org_modules (
    id uuid primary key default hub.uuid_v7(),
    organization_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    module_name text not null,
    description text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint org_modules_organization_id_id_key unique (organization_id, id),
    constraint org_modules_organization_id_module_name_key unique (organization_id, module_name)
);
select hub.register_kind('org_modules', domain => 'billing', scope => 'tenant', owner => 'organization_id',
    title => 'module_name', text_columns => '{module_name,description}');

create table license_modules (
    id uuid primary key default hub.uuid_v7(),
    tenant_id uuid not null default auth.tenant_id() references tenants (id) on delete cascade,
    license_id uuid not null,
    module_id uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint license_modules_license_id_module_id_key unique (license_id, module_id),
    constraint license_modules_license_id_fkey foreign key (tenant_id, license_id)
        references licenses (organization_id, id) on delete cascade,
    constraint license_modules_module_id_fkey foreign key (tenant_id, module_id)
        references org_modules (organization_id, id) on delete cascade
);
create index license_modules_tenant_id_license_id_idx on license_modules (tenant_id, license_id);
create index license_modules_tenant_id_module_id_idx on license_modules (tenant_id, module_id);
select hub.register_kind('license_modules', domain => 'billing', scope => 'tenant');

create table subscription_plans (
    id uuid primary key default hub.uuid_v7(),
    name text not null,
    stripe_price_id text not null,
    price_cents bigint not null constraint subscription_plans_price_cents_fits check (price_cents >= 0),
    billing_interval text constraint subscription_plans_billing_interval_listed
        check (billing_interval in ('month', 'year')),
    features jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint subscription_plans_stripe_price_id_key unique (stripe_price_id)
);
select hub.register_kind('subscription_plans', domain => 'billing', scope => 'catalogue', title => 'name',
    jsonld => 'schema:Offer');

create table customer_subscriptions (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    stripe_customer_id text not null,
    stripe_subscription_id text not null,
    status text not null constraint customer_subscriptions_status_listed
        check (status in ('active', 'canceled', 'past_due')),
    current_period_start timestamptz,
    current_period_end timestamptz,
    cancel_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint customer_subscriptions_stripe_subscription_id_key unique (stripe_subscription_id),
    constraint customer_subscriptions_current_period_end_fits check (current_period_end >= current_period_start)
);
comment on column customer_subscriptions.cancel_at is 'When it will end, if that is already decided.';
create index customer_subscriptions_user_id_idx on customer_subscriptions (user_id);
select hub.register_kind('customer_subscriptions', domain => 'billing', scope => 'owner', owner => 'user_id',
    client_writes => '{}', title => 'status');

create table invoices (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    stripe_invoice_id text not null,
    amount_due bigint not null constraint invoices_amount_due_fits check (amount_due >= 0),
    amount_paid bigint not null constraint invoices_amount_paid_fits check (amount_paid >= 0),
    status text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint invoices_stripe_invoice_id_key unique (stripe_invoice_id)
);
create index invoices_user_id_idx on invoices (user_id);
select hub.register_kind('invoices', domain => 'billing', scope => 'owner', owner => 'user_id',
    client_writes => '{}', title => 'stripe_invoice_id', jsonld => 'schema:Invoice');

create table payment_methods (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    stripe_payment_method_id text not null,
    type text not null constraint payment_methods_type_listed check (type in ('card', 'bank')),
    card_brand text,
    card_last4 text constraint payment_methods_card_last4_fits check (card_last4 ~ '^[0-9]{4}$'),
    is_default boolean default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint payment_methods_stripe_payment_method_id_key unique (stripe_payment_method_id)
);
create index payment_methods_user_id_idx on payment_methods (user_id);
-- At most one of them is taken without asking.
create unique index payment_methods_user_id_default_key on payment_methods (user_id) where is_default;
select hub.register_kind('payment_methods', domain => 'billing', scope => 'owner', owner => 'user_id',
    client_writes => '{}', title => 'type');

create table discount_codes (
    id uuid primary key default hub.uuid_v7(),
    code text not null,
    discount_type text not null constraint discount_codes_discount_type_listed
        check (discount_type in ('percent', 'fixed')),
    discount_value numeric not null,
    is_active boolean default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint discount_codes_code_key unique (code),
    constraint discount_codes_discount_value_fits
        check (discount_value >= 0 and (discount_type <> 'percent' or discount_value <= 100))
);
comment on column discount_codes.discount_value is 'Percent of the price, or minor units off it.';
select hub.register_kind('discount_codes', domain => 'billing', scope => 'operators', title => 'code');
