-- Billing: an account always says how its subscription stands, as the provider said it last.

create or replace function hub.customer_subscriptions_tell() returns trigger
language plpgsql as $$
begin
    update public.users u set subscription_status = new.status, stripe_customer_id = new.stripe_customer_id
    where u.id = new.user_id
        and (u.subscription_status, u.stripe_customer_id) is distinct from (new.status, new.stripe_customer_id);
    return null;
end
$$;
drop trigger if exists customer_subscriptions_tell on public.customer_subscriptions;
create trigger customer_subscriptions_tell after insert or update on public.customer_subscriptions
    for each row execute function hub.customer_subscriptions_tell();

-- A new default takes the place of the old one.
create or replace function hub.payment_methods_default() returns trigger
language plpgsql as $$
begin
    update public.payment_methods p set is_default = false
    where p.user_id = new.user_id and p.id <> new.id and p.is_default;
    return new;
end
$$;
drop trigger if exists payment_methods_default on public.payment_methods;
create trigger payment_methods_default before insert or update of is_default on public.payment_methods
    for each row when (new.is_default) execute function hub.payment_methods_default();

-- Whether the caller may use a module: his organization provides it, and a licence of that organization that is not over
-- includes it. By the clock of the database. As the caller, so that no other organization's licence counts.
create or replace function hub.may_use_module(module text) returns boolean
language sql stable set search_path = pg_catalog, public, hub as $$
    select exists (
        select from public.org_modules m
        join public.license_modules lm on lm.tenant_id = m.organization_id and lm.module_id = m.id
        join public.licenses l on l.organization_id = lm.tenant_id and l.id = lm.license_id
        where m.organization_id = auth.tenant_id() and m.module_name = module
            and (l.expiration_date is null or l.expiration_date > now()))
$$;
grant execute on function hub.may_use_module(text) to authenticated, service_role;

-- Where an organization provides a module of a kind's name, its people write that kind only under a licence. What they
-- wrote stays theirs to read and to remove. Without such a module nothing is asked.
create or replace function hub.needs_licence() returns trigger
language plpgsql as $$
begin
    if current_user = 'authenticated' and not hub.may_use_module(tg_table_name)
        and exists (select from public.org_modules m
            where m.organization_id = auth.tenant_id() and m.module_name = tg_table_name)
    then
        raise exception using errcode = '42501', schema = tg_table_schema, table = tg_table_name,
            message = format('the licence for the module "%s" is over or was never there', tg_table_name),
            hint = 'An admin of the organization renews it.';
    end if;
    return new;
end
$$;
drop trigger if exists functions_need_licence on public.functions;
create trigger functions_need_licence before insert or update on public.functions
    for each row execute function hub.needs_licence();
