//! An exchange from the offer to the end between two hubs: each way of exchanging with each ending.

use serde_json::{Value, json};

use super::trade::{Market, books_balance, confirms, declares, id, is_declared, stands};
use crate::support::hubs::Hub;

/// The ways of exchanging: the row, and what is booked.
fn ways() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let row = |way: &str, more: Value| {
        let mut row =
            json!({ "decl_type": "offer", "title": format!("By {way}"), "exchange_type": way });
        row.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        row
    };
    vec![
        ("gift", row("gift", json!({ "quantity": 1 })), None),
        ("reciprocal", row("reciprocal", json!({})), None),
        (
            "monetary",
            row(
                "monetary",
                json!({ "quantity": 1, "price_amount": 30, "price_currency": "EUR" }),
            ),
            None,
        ),
        (
            "time_banking",
            row("time_banking", json!({ "quantity": 2, "unit": "hour" })),
            Some("2"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_is_completed() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let mut booked = 0;
    for (way, row, hours) in ways() {
        let uri = market.declares(row).await;
        let (his, hers) = market
            .agrees(json!({ "declaration": uri, "terms": "On Saturday?" }))
            .await;
        is_declared(b, &uri, "matched").await;
        market.bruno_says(&his, "fulfilled").await;
        market.both_stand(&his, &hers, "in_progress").await;
        market.alice_says(&hers, "fulfilled").await;
        market.both_stand(&his, &hers, "completed").await;
        is_declared(b, &uri, "fulfilled").await;
        booked += 2 * usize::from(hours.is_some());
        let books = market.books().await;
        assert_eq!(books.len(), booked, "{way}: {books:?}");
        if let Some(hours) = hours {
            // Who receives the primary pays (R24).
            let paid = format!("{} -{hours}", market.bruno.actor);
            assert!(books.iter().any(|line| line.ends_with(&paid)), "{books:?}");
        }
        // What is completed is over.
        let (status, body) = b
            .tries(
                &market.bruno.person,
                "exchanges_confirm",
                json!({ "id": his, "verdict": "disputed" }),
            )
            .await;
        assert_eq!((status, &body["code"]), (409, &json!("exchange.final")));
    }
    market.is_quiet().await;
    for hub in [a, b] {
        books_balance(hub).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_is_cancelled_by_one_or_both_and_can_be_begun_again() {
    let market = Market::open().await;
    for (_, row, _) in ways() {
        let uri = market.declares(row).await;
        // By the one who asked.
        let (his, hers) = market.agrees(json!({ "declaration": uri })).await;
        market.bruno_says(&his, "cancelled").await;
        market.both_stand(&his, &hers, "cancelled").await;
        is_declared(&market.b, &uri, "active").await;
        // By the one who was asked, and the other agrees.
        let (his, hers) = market.agrees(json!({ "declaration": uri })).await;
        market.alice_says(&hers, "cancelled").await;
        market.both_stand(&his, &hers, "cancelled").await;
        market.bruno_says(&his, "cancelled").await;
        is_declared(&market.b, &uri, "active").await;
    }
    assert_eq!(market.books().await.len(), 0);
    market.is_quiet().await;
    for hub in [&market.a, &market.b] {
        books_balance(hub).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_is_disputed_and_settled() {
    let market = Market::open().await;
    let mut booked = 0;
    for (_, row, hours) in ways() {
        let uri = market.declares(row.clone()).await;
        let (his, hers) = market.agrees(json!({ "declaration": uri })).await;
        market.bruno_says(&his, "fulfilled").await;
        market.both_stand(&his, &hers, "in_progress").await;
        market.alice_says(&hers, "disputed").await;
        market.both_stand(&his, &hers, "disputed").await;
        market.alice_says(&hers, "fulfilled").await;
        market.both_stand(&his, &hers, "completed").await;
        booked += 2 * usize::from(hours.is_some());

        let uri = market.declares(row).await;
        let (his, hers) = market.agrees(json!({ "declaration": uri })).await;
        market.alice_says(&hers, "fulfilled").await;
        market.both_stand(&his, &hers, "in_progress").await;
        market.bruno_says(&his, "cancelled").await;
        market.both_stand(&his, &hers, "disputed").await;
        // Fulfilled is not final while the two disagree.
        market.alice_says(&hers, "cancelled").await;
        market.both_stand(&his, &hers, "cancelled").await;
        assert_eq!(market.books().await.len(), booked);
    }
    market.is_quiet().await;
    for hub in [&market.a, &market.b] {
        books_balance(hub).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_refused_countered_withdrawn_and_expires() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let uri = market
        .declares(json!({ "decl_type": "offer", "title": "A table", "exchange_type": "monetary", "quantity": 1,
            "price_amount": 30, "price_currency": "EUR" }))
        .await;

    // A plain no, in her words.
    let (his, hers) = market.offers(json!({ "declaration": uri })).await;
    a.rpc(
        &market.alice.person,
        "exchanges_reject",
        json!({ "id": hers, "reason": "Not on Saturday" }),
    )
    .await;
    market.both_stand(&his, &hers, "rejected").await;
    let row = market
        .bruno
        .person
        .reads(&b.hub, &format!("/rest/v1/exchanges?id=eq.{his}"))
        .await;
    assert_eq!(row[0]["reason"], "Not on Saturday", "{row}");

    // Other terms, which he takes: less than was declared is fine because she said so (R28).
    let (his, hers) = market.offers(json!({ "declaration": uri })).await;
    a.rpc(
        &market.alice.person,
        "exchanges_reject",
        json!({ "id": hers, "reason": "A little less", "counter": { "price": "25", "terms": "Sunday 10:00" } }),
    )
    .await;
    market.both_stand(&his, &hers, "rejected").await;
    let row = market
        .bruno
        .person
        .reads(&b.hub, &format!("/rest/v1/exchanges?id=eq.{his}"))
        .await;
    assert_eq!(row[0]["counter"]["price"], "25", "{row}");
    assert_eq!(row[0]["counter"]["terms"], "Sunday 10:00", "{row}");
    let made = b
        .rpc(
            &market.bruno.person,
            "exchanges_counter",
            json!({ "id": his }),
        )
        .await;
    let hers = super::trade::arrived(a, made["offer"].as_str().unwrap()).await;
    a.rpc(
        &market.alice.person,
        "exchanges_accept",
        json!({ "id": hers }),
    )
    .await;
    let his = id(&made);
    market.both_stand(&his, &hers, "accepted").await;
    market.bruno_says(&his, "cancelled").await;
    market.both_stand(&his, &hers, "cancelled").await;

    // A new offer in place of the old one.
    is_declared(b, &uri, "active").await;
    let (his, hers) = market.offers(json!({ "declaration": uri })).await;
    let made = b
        .rpc(
            &market.bruno.person,
            "exchanges_counter",
            json!({ "id": his, "terms": "In the evening" }),
        )
        .await;
    market.both_stand(&his, &hers, "withdrawn").await;

    // Taken back.
    let newer = super::trade::arrived(a, made["offer"].as_str().unwrap()).await;
    b.rpc(
        &market.bruno.person,
        "exchanges_withdraw",
        json!({ "id": id(&made) }),
    )
    .await;
    market.both_stand(&id(&made), &newer, "withdrawn").await;
    let (status, body) = a
        .tries(
            &market.alice.person,
            "exchanges_accept",
            json!({ "id": newer }),
        )
        .await;
    assert_eq!((status, &body["code"]), (409, &json!("exchange.withdrawn")));

    // Nobody answered in time.
    let (his, hers) = market.offers(json!({ "declaration": uri })).await;
    for (hub, id) in [(a, &hers), (b, &his)] {
        over(hub, id).await;
    }
    market.both_stand(&his, &hers, "expired").await;
    market.is_quiet().await;
}

/// The time for an offer is over, and the hub sees it.
async fn over(hub: &Hub, id: &str) {
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "update exchanges set expires_at = now() - interval '1 minute' where id = '{id}';
             insert into job_records (job_type, queue, payload, max_attempts) values ('commons.expire_exchanges', 'background', '{{}}', 3)"
        ))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_need_is_answered_and_who_needs_pays_the_hours() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let uri = market
        .declares(json!({ "decl_type": "need", "title": "Help fixing a bike", "exchange_type": "time_banking", "quantity": "1.5",
            "unit": "hour", "skills": ["bike repair"] }))
        .await;
    let offer = declares(
        b,
        &market.bruno,
        json!({ "decl_type": "willing_to_do", "title": "I mend bikes", "exchange_type": "time_banking" }),
        b,
    )
    .await;
    let (his, hers) = market
        .agrees(json!({ "declaration": uri, "need": offer }))
        .await;
    // Both declarations are matched, and others see it.
    is_declared(b, &uri, "matched").await;
    is_declared(b, &offer, "matched").await;
    market.alice_says(&hers, "fulfilled").await;
    market.bruno_says(&his, "fulfilled").await;
    market.both_stand(&his, &hers, "completed").await;
    is_declared(b, &offer, "fulfilled").await;
    let books = market.books().await;
    let paid = format!("{} -1.5", market.alice.actor);
    assert!(books.iter().any(|line| line.ends_with(&paid)), "{books:?}");
    // Each party reads its own row with what was agreed upon.
    let row = market
        .alice
        .person
        .reads(&a.hub, &format!("/rest/v1/exchanges?id=eq.{hers}"))
        .await;
    assert_eq!(row[0]["own_verdict"], "fulfilled", "{row}");
    assert_eq!(row[0]["other_verdict"], "fulfilled", "{row}");
    assert_eq!(row[0]["need_user_id"], json!(market.alice.person.id));
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_one_hub_have_one_row_and_sign_the_same_documents() {
    let [hub] = Hub::start_all(&["a"]).await.try_into().ok().unwrap();
    let (alice, carla) = (hub.member("alice").await, hub.member("carla").await);
    let uri = declares(
        &hub,
        &alice,
        json!({ "decl_type": "offer", "title": "German", "exchange_type": "time_banking", "quantity": 1, "unit": "hour" }),
        &hub,
    )
    .await;
    let made = hub
        .rpc(
            &carla.person,
            "exchanges_propose",
            json!({ "declaration": uri }),
        )
        .await;
    let it = id(&made);
    hub.counts("select count(*) from exchanges", 1).await;
    // Only whom it concerns answers.
    let (status, _) = hub
        .tries(&carla.person, "exchanges_accept", json!({ "id": it }))
        .await;
    assert_eq!(status, 409);
    hub.rpc(&alice.person, "exchanges_accept", json!({ "id": it }))
        .await;
    confirms(&hub, &carla, &it, "fulfilled").await;
    stands(&hub, &it, "in_progress").await;
    confirms(&hub, &alice, &it, "fulfilled").await;
    stands(&hub, &it, "completed").await;
    hub.counts("select count(*) from ledger_entries", 2).await;
    hub.counts("select count(*) from hub.deal_documents", 2)
        .await;
    hub.counts("select count(*) from ap_deliveries", 0).await;
    books_balance(&hub).await;

    // Nobody makes an exchange with himself, and what is over is not offered any more.
    let (status, body) = hub
        .tries(
            &alice.person,
            "exchanges_propose",
            json!({ "declaration": uri }),
        )
        .await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("exchange.own_listing"))
    );
    let (status, body) = hub
        .tries(
            &carla.person,
            "exchanges_propose",
            json!({ "declaration": uri }),
        )
        .await;
    assert_eq!(
        (status, &body["code"]),
        (409, &json!("exchange.not_active"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s_137_of_two_acceptances_at_once_one_wins() {
    let market = Market::open().await;
    let carla = market.b.member("carla").await;
    let uri = market
        .declares(json!({ "decl_type": "offer", "title": "The last one", "exchange_type": "gift", "quantity": 1 }))
        .await;
    let (_, first) = market.offers(json!({ "declaration": uri })).await;
    let made = market
        .b
        .rpc(
            &carla.person,
            "exchanges_propose",
            json!({ "declaration": uri }),
        )
        .await;
    let second = super::trade::arrived(&market.a, made["offer"].as_str().unwrap()).await;
    let accept = |id: &str| {
        let input = json!({ "id": id });
        let (hub, who) = (&market.a, &market.alice.person);
        async move { hub.tries(who, "exchanges_accept", input).await.0 }
    };
    let (one, other, again) = tokio::join!(accept(&first), accept(&second), accept(&first));
    let mut statuses = [one, other, again];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);
    market
        .a
        .counts(
            "select count(*) from exchanges where status = 'accepted'",
            1,
        )
        .await;
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_promises_more_hours_than_he_may() {
    let market = Market::open_with(&[("MADE_OPEN_TIME_CREDIT_LIMIT", "3")]).await;
    let ask = |hours: u32| json!({ "decl_type": "offer", "title": format!("{hours} hours"), "exchange_type": "time_banking", "quantity": hours, "unit": "hour" });
    let two = market.declares(ask(2)).await;
    let other = market.declares(ask(2)).await;
    let (his, hers) = market.offers(json!({ "declaration": two })).await;
    // What is promised counts.
    let (status, body) = market
        .b
        .tries(
            &market.bruno.person,
            "exchanges_propose",
            json!({ "declaration": other }),
        )
        .await;
    assert_eq!(
        (status, &body["code"]),
        (409, &json!("ledger.over_limit")),
        "{body}"
    );
    market.b.counts("select count(*) from exchanges", 1).await;
    // What was refused is free again.
    market
        .a
        .rpc(
            &market.alice.person,
            "exchanges_reject",
            json!({ "id": hers }),
        )
        .await;
    stands(&market.b, &his, "rejected").await;
    market.offers(json!({ "declaration": other })).await;
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_137_the_stock_of_a_listing_is_promised_given_back_and_sold_out() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let row = market
        .alice
        .person
        .adds(
            &a.hub,
            "listings",
            json!({ "listing_type": "physical", "title": "Chairs", "status": "active", "price_type": "fixed", "price_amount": 20,
                "price_currency": "EUR", "quantity": 2 }),
        )
        .await;
    let uri = row["federated_ap_id"].as_str().unwrap().to_owned();
    b.counts(
        &format!("select count(*) from listings where federated_ap_id = '{uri}'"),
        1,
    )
    .await;
    let left = async |quantity: &str| {
        let wanted = format!(
            "select count(*) from listings where federated_ap_id = '{uri}' \
            and coalesce(raw #>> '{{publishes,availableQuantity,hasNumericalValue}}', '-') = '{quantity}'"
        );
        b.counts(&wanted, 1).await;
    };
    left("2").await;

    // Three want the two.
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(market.offers(json!({ "listing": uri })).await);
    }
    // More than there are is no offer.
    let (status, body) = b
        .tries(
            &market.bruno.person,
            "exchanges_propose",
            json!({ "listing": uri, "quantity": 3 }),
        )
        .await;
    assert_eq!(
        (status, &body["code"]),
        (409, &json!("exchange.over_stock")),
        "{body}"
    );
    let accept = |id: &str| {
        let input = json!({ "id": id });
        let (hub, who) = (a, &market.alice.person);
        async move { hub.tries(who, "exchanges_accept", input).await.0 }
    };
    let (one, two, three) = tokio::join!(accept(&all[0].1), accept(&all[1].1), accept(&all[2].1));
    let mut statuses = [one, two, three];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 409]);
    left("0").await;

    // One is given back, the other is sold; then the last one goes.
    let mut accepted = Vec::new();
    for (his, hers) in &all {
        let query = format!("select status from exchanges where id = '{hers}'");
        if a.text(&query).await.as_deref() == Some("accepted") {
            stands(b, his, "accepted").await;
            accepted.push((his.clone(), hers.clone()));
        }
    }
    market.bruno_says(&accepted[0].0, "cancelled").await;
    market
        .both_stand(&accepted[0].0, &accepted[0].1, "cancelled")
        .await;
    left("1").await;
    market.bruno_says(&accepted[1].0, "fulfilled").await;
    market.alice_says(&accepted[1].1, "fulfilled").await;
    market
        .both_stand(&accepted[1].0, &accepted[1].1, "completed")
        .await;
    let (his, hers) = all
        .iter()
        .find(|pair| !accepted.contains(pair))
        .unwrap()
        .clone();
    a.rpc(
        &market.alice.person,
        "exchanges_accept",
        json!({ "id": hers }),
    )
    .await;
    market.both_stand(&his, &hers, "accepted").await;
    market.bruno_says(&his, "fulfilled").await;
    market.alice_says(&hers, "fulfilled").await;
    market.both_stand(&his, &hers, "completed").await;
    b.counts(
        &format!(
            "select count(*) from listings where federated_ap_id = '{uri}' and status = 'sold'"
        ),
        1,
    )
    .await;
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_a_service_are_bought_for_time_and_by_the_hour() {
    let market = Market::open().await;
    for (price, quantity, due) in [
        (
            json!({ "price_type": "hourly", "price_amount": 15, "price_currency": "EUR" }),
            "3",
            "45.00",
        ),
        (
            json!({ "price_type": "time_credit", "price_amount": 2, "price_currency": "TIME" }),
            "1",
            "2",
        ),
    ] {
        let mut row = json!({ "listing_type": "service", "title": "Gardening", "status": "active", "quantity": 10 });
        row.as_object_mut()
            .unwrap()
            .extend(price.as_object().unwrap().clone());
        let row = market
            .alice
            .person
            .adds(&market.a.hub, "listings", row)
            .await;
        let uri = row["federated_ap_id"].as_str().unwrap().to_owned();
        market
            .b
            .counts(
                &format!("select count(*) from listings where federated_ap_id = '{uri}'"),
                1,
            )
            .await;
        let (his, hers) = market
            .agrees(json!({ "listing": uri, "quantity": quantity }))
            .await;
        let agreed = market
            .a
            .text(&format!("select agreement::jsonb #>> '{{stipulatesReciprocal,resourceQuantity,hasNumericalValue}}' from hub.deals where exchange_id = '{hers}'"))
            .await;
        assert_eq!(agreed.as_deref(), Some(due));
        market.bruno_says(&his, "fulfilled").await;
        market.alice_says(&hers, "fulfilled").await;
        market.both_stand(&his, &hers, "completed").await;
    }
    assert_eq!(market.books().await.len(), 2);
    for hub in [&market.a, &market.b] {
        books_balance(hub).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_here_follows_is_answered_by_its_address() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let dora = a.member("dora").await;
    for (table, argument, row) in [
        (
            "declarations",
            "declaration",
            json!({ "decl_type": "offer", "title": "Figs", "exchange_type": "gift", "quantity": 1 }),
        ),
        (
            "listings",
            "listing",
            json!({ "listing_type": "physical", "title": "A jar", "status": "active", "price_type": "free", "quantity": 1 }),
        ),
    ] {
        let row = dora.person.adds(&a.hub, table, row).await;
        let uri = row["federated_ap_id"].as_str().unwrap();
        b.counts(
            &format!("select count(*) from {table} where federated_ap_id = '{uri}'"),
            0,
        )
        .await;
        let mut input = json!({});
        input[argument] = json!(uri);
        let made = b
            .rpc(&market.bruno.person, "exchanges_propose", input)
            .await;
        super::trade::arrived(a, made["offer"].as_str().unwrap()).await;
    }
    market.is_quiet().await;
}
