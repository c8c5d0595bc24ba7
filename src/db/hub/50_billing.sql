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
