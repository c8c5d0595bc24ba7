//! Listings, exchanges, trust, the ledger.

use made_open::base::Caller;

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn mo_64_a_listing_takes_its_steps_and_a_sold_one_stays_sold() {
    let scene = Scene::new().await;
    scene
        .does("insert into listings (listing_type, title, price_amount, price_type) values ('service', 'help', 12.50, 'hourly')")
        .await;
    let defaults =
        "select concat_ws(' ', status, visibility, price_currency, price_minor) from listings";
    assert_eq!(scene.tells(defaults).await, "draft public USD 1250");
    scene
        .refuses(
            "update listings set status = 'sold'",
            "listings_status_steps",
        )
        .await;
    scene.does("update listings set status = 'active'").await;
    scene.does("update listings set status = 'sold'").await;
    scene
        .refuses(
            "update listings set status = 'active'",
            "listings_status_steps",
        )
        .await;
    scene
        .refuses(
            "update listings set price_amount = -1",
            "listings_price_amount_fits",
        )
        .await;
    scene
        .refuses(
            "update listings set price_type = 'barter'",
            "listings_price_type_listed",
        )
        .await;
    scene
        .refuses(
            "insert into listings (listing_type, title, status) values ('service', 'x', 'sold')",
            "listings_status_steps",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_67_others_read_an_active_public_listing_only() {
    let scene = Scene::new().await;
    scene
        .does("insert into listings (listing_type, title) values ('service', 'help')")
        .await;
    let count = "select count(*)::text from listings";
    assert_eq!(scene.shows(&Caller::Anonymous, count).await, "0");
    scene.does("update listings set status = 'active'").await;
    assert_eq!(scene.shows(&Caller::Anonymous, count).await, "1");
    scene
        .does("update listings set visibility = 'members'")
        .await;
    assert_eq!(scene.shows(&Caller::Anonymous, count).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_69_an_exchange_pairs_an_offer_with_a_need_of_two_people() {
    let scene = Scene::new().await;
    let (other, taker) = scene.other("grace").await;
    scene
        .stage
        .hub(&format!(
            "insert into profiles (id) values ('{}')",
            scene.id
        ))
        .await;
    let offer = scene
        .adds(
            &scene.me,
            "insert into declarations (decl_type, title) values ('offer', 'bread')",
        )
        .await;
    let need = scene
        .adds(
            &taker,
            "insert into declarations (decl_type, title) values ('need', 'bread')",
        )
        .await;
    scene
        .refuses(
            &format!("insert into exchanges (offer_decl_id) values ('{need}')"),
            "exchanges_offer_decl_id_offers",
        )
        .await;
    let insert =
        format!("insert into exchanges (offer_decl_id, need_decl_id) values ('{offer}', '{need}')");
    scene.does(&insert).await;
    let parties = "select concat_ws(' ', status, offer_user_id, need_user_id) from exchanges";
    let expected = format!("proposed {} {other}", scene.id);
    assert_eq!(scene.tells(parties).await, expected);
    assert_eq!(scene.shows(&taker, parties).await, expected);
    scene
        .refuses("update exchanges set status = 'completed'", "42501")
        .await;
    scene
        .lets(
            &Caller::Hub,
            "update exchanges set status = 'accepted'; update exchanges set status = 'completed'",
        )
        .await;
    assert_eq!(
        scene
            .tells("select (completed_at is not null)::text from exchanges")
            .await,
        "true"
    );
    scene
        .denies(
            &Caller::Hub,
            "update exchanges set status = 'in_progress'",
            "exchanges_status_steps",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_71_trust_has_a_weight_and_one_row_per_context() {
    let scene = Scene::new().await;
    let insert = "insert into trust_relationships (trusted_did) values ('did:example:1')";
    scene.does(insert).await;
    scene
        .refuses(
            insert,
            "trust_relationships_owner_id_trusted_did_context_key",
        )
        .await;
    assert_eq!(
        scene
            .tells("select weight::text from trust_relationships")
            .await,
        "1"
    );
    scene
        .refuses(
            "update trust_relationships set weight = 1.5",
            "trust_relationships_weight_fits",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_137_bookings_add_up_to_nothing_and_no_account_goes_below_its_limit() {
    let scene = Scene::new().await;
    let (other, _) = scene.other("grace").await;
    let hub = Caller::Hub;
    let insert = |owner: &str, limit: i32| {
        format!("insert into ledger_accounts (owner_id, credit_limit) values ('{owner}', {limit})")
    };
    let from = scene.adds(&hub, &insert(&scene.id, 5)).await;
    let to = scene.adds(&hub, &insert(&other, 0)).await;
    let book = |account: &str, amount: i32, name: &str| {
        format!(
            "insert into ledger_entries (account_id, transfer_id, amount, agreement)
             values ('{account}', md5('{name}')::uuid, {amount}, '{name}');"
        )
    };
    scene
        .denies(&hub, &book(&to, 3, "one"), "ledger_entries_balances")
        .await;
    let both = format!("{}{}", book(&from, -3, "one"), book(&to, 3, "one"));
    scene.lets(&hub, &both).await;
    scene
        .denies(&hub, &both, "ledger_entries_agreement_account_id_key")
        .await;
    let over = format!("{}{}", book(&from, -3, "two"), book(&to, 3, "two"));
    scene
        .denies(&hub, &over, "ledger_accounts_balance_fits")
        .await;
    let balances =
        "select string_agg(balance::numeric::text, ' ' order by balance) from ledger_accounts";
    assert_eq!(scene.shows(&hub, balances).await, "-3.0000 3.0000");
}
