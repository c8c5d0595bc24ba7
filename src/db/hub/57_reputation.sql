-- Reputation: 100 * (sum of w*f + 1) / (sum of w + 2), where f says whether an agreement was kept and w how much the people
-- of this hub trust the other party. At most three agreements count per counterparty, the newest.

-- How much is trusted, by everybody but the one it would help: a half where nobody says anything.
create or replace function hub.trust_in(of_hash bytea, of_domain text, but_not uuid) returns numeric
language plpgsql stable set search_path = pg_catalog, public, hub as $$
begin
    return coalesce((select avg(t.weight::numeric) from trust_relationships t
        where sha256(convert_to(t.trusted_did, 'UTF8')) = of_hash and t.owner_id <> but_not
            and (t.context is null or t.context = '' or t.context = of_domain)), 0.5);
end
$$;

create or replace function hub.settle_reputation(of_user uuid, of_domain text) returns void
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
declare
    weights numeric := 0;
    kept numeric := 0;
    counted int := 0;
    credentials int := 0;
begin
    select coalesce(sum(w), 0), coalesce(sum(w) filter (where is_fulfilled), 0), count(*) into weights, kept, counted
    from (select f.is_fulfilled, hub.trust_in(f.counterparty_hash, of_domain, of_user) as w
        from (select r.*, row_number() over (partition by r.counterparty_hash order by r.ended_at desc, r.id desc) as nth
            from hub.reputation_facts r where r.user_id = of_user and r.domain = of_domain) f
        where f.nth <= 3) weighed;
    -- A credential stands for one counterparty: the hub that signed it.
    select weights + coalesce(sum(w), 0), kept + coalesce(sum(w * share), 0), count(*) into weights, kept, credentials
    from (select least(c.receipts, 3) * hub.trust_in(sha256(convert_to(c.issuer, 'UTF8')), of_domain, of_user) as w, c.score / 100 as share
        from (select distinct on (x.issuer) x.* from reputation_credentials x
            where x.owner_id = of_user and x.domain = of_domain and x.is_own order by x.issuer, x.issued_at desc) c) signed;
    insert into reputation_scores as s (owner_id, domain, score, vc_count, last_computed)
    values (of_user, of_domain, round(100 * (kept + 1) / (weights + 2), 2), counted + credentials, now())
    on conflict (owner_id, domain) do update
        set score = excluded.score, vc_count = excluded.vc_count, last_computed = excluded.last_computed;
end
$$;

create or replace function hub.note_reputation(of_user uuid, counterparty text, of_domain text, of_agreement text, kept boolean)
returns void
language plpgsql set search_path = pg_catalog, public, hub set plan_cache_mode = force_generic_plan as $$
begin
    insert into hub.reputation_facts as f (user_id, counterparty_hash, domain, agreement, is_fulfilled)
    values (of_user, sha256(convert_to(counterparty, 'UTF8')), of_domain, of_agreement, kept)
    on conflict (user_id, agreement) do update set is_fulfilled = excluded.is_fulfilled;
    perform hub.settle_reputation(of_user, of_domain);
end
$$;
