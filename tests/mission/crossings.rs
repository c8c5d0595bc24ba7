//! Words that cross on their way: whoever was first at the one who decides wins, and both hubs end with the same (R27).

use serde_json::{Value, json};

use super::trade::{Market, arrived, books_balance, declares, id, is_declared, stands};
use crate::support::hubs::Hub;

async fn hurry(market: &Market) {
    for _ in 0..3 {
        market.a.hurry().await;
        market.b.hurry().await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}

fn lesson() -> Value {
    json!({ "decl_type": "offer", "title": "A lesson", "exchange_type": "time_banking", "quantity": 1, "unit": "hour" })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_crosses_with_a_withdrawal_or_a_counter_binds() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    for counters in [false, true] {
        let uri = market.declares(lesson()).await;
        let (his, hers) = market.offers(json!({ "declaration": uri })).await;
        b.cut_off();
        a.rpc(
            &market.alice.person,
            "exchanges_accept",
            json!({ "id": hers }),
        )
        .await;
        let newer = match counters {
            false => {
                b.rpc(
                    &market.bruno.person,
                    "exchanges_withdraw",
                    json!({ "id": his }),
                )
                .await;
                None
            }
            true => {
                let made = b
                    .rpc(
                        &market.bruno.person,
                        "exchanges_counter",
                        json!({ "id": his, "terms": "Later" }),
                    )
                    .await;
                Some(id(&made))
            }
        };
        stands(b, &his, "withdrawn").await;
        b.reconnect();
        hurry(&market).await;
        market.both_stand(&his, &hers, "accepted").await;
        if let Some(newer) = newer {
            stands(b, &newer, "rejected").await;
            let reason = b
                .text(&format!(
                    "select reason from exchanges where id = '{newer}'"
                ))
                .await;
            assert_eq!(reason.as_deref(), Some("already_accepted"));
            a.counts(
                &format!("select count(*) from hub.deals where subject_uri = '{uri}'"),
                1,
            )
            .await;
        }
        market.bruno_says(&his, "fulfilled").await;
        market.alice_says(&hers, "fulfilled").await;
        market.both_stand(&his, &hers, "completed").await;
    }
    assert_eq!(market.books().await.len(), 4);
    for hub in [a, b] {
        books_balance(hub).await;
    }
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_offers_for_one_pair_the_one_to_the_owner_of_the_offer_stands() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    a.follows(&market.alice, &market.bruno.handle).await;
    let offer = market.declares(lesson()).await;
    let need = declares(
        b,
        &market.bruno,
        json!({ "decl_type": "need", "title": "A lesson", "exchange_type": "time_banking", "quantity": 1, "unit": "hour" }),
        a,
    )
    .await;
    a.cut_off();
    b.cut_off();
    let to_bruno = a
        .rpc(
            &market.alice.person,
            "exchanges_propose",
            json!({ "declaration": need, "need": offer }),
        )
        .await;
    let to_alice = b
        .rpc(
            &market.bruno.person,
            "exchanges_propose",
            json!({ "declaration": offer, "need": need }),
        )
        .await;
    a.reconnect();
    b.reconnect();
    hurry(&market).await;
    let stands_with_alice = arrived(a, to_alice["offer"].as_str().unwrap()).await;
    stands(a, &id(&to_bruno), "rejected").await;
    let reason = a
        .text(&format!(
            "select reason from exchanges where id = '{}'",
            id(&to_bruno)
        ))
        .await;
    assert_eq!(reason.as_deref(), Some("superseded"));
    b.counts(
        &format!(
            "select count(*) from hub.deals where offer_uri = '{}'",
            to_bruno["offer"].as_str().unwrap()
        ),
        0,
    )
    .await;
    // Knowing of it, nobody makes a second one.
    let (status, body) = a
        .tries(
            &market.alice.person,
            "exchanges_propose",
            json!({ "declaration": need, "need": offer }),
        )
        .await;
    assert_eq!(
        (status, &body["code"]),
        (409, &json!("exchange.answer_theirs"))
    );
    a.rpc(
        &market.alice.person,
        "exchanges_accept",
        json!({ "id": stands_with_alice }),
    )
    .await;
    market
        .both_stand(&id(&to_alice), &stands_with_alice, "accepted")
        .await;
    is_declared(a, &need, "matched").await;
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_need_is_bound_by_the_first_of_several_acceptances() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let need = declares(
        b,
        &market.bruno,
        json!({ "decl_type": "need", "title": "A lesson", "exchange_type": "time_banking", "quantity": 1, "unit": "hour" }),
        b,
    )
    .await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let uri = market.declares(lesson()).await;
        all.push(
            market
                .offers(json!({ "declaration": uri, "need": need }))
                .await,
        );
    }
    b.cut_off();
    for (_, hers) in &all[..2] {
        a.rpc(
            &market.alice.person,
            "exchanges_accept",
            json!({ "id": hers }),
        )
        .await;
    }
    b.reconnect();
    hurry(&market).await;
    b.counts(
        "select count(*) from exchanges where status = 'accepted'",
        1,
    )
    .await;
    b.counts(
        "select count(*) from exchanges where status = 'cancelled'",
        1,
    )
    .await;
    b.counts(
        "select count(*) from exchanges where status = 'withdrawn'",
        1,
    )
    .await;
    for (his, hers) in &all {
        let query = format!("select status from exchanges where id = '{his}'");
        let status = b.text(&query).await.unwrap();
        stands(a, hers, &status).await;
    }
    // What was cancelled is open again, and its hours are free.
    a.counts(
        "select count(*) from declarations where status = 'active'",
        2,
    )
    .await;
    b.counts("select count(*) from hub.ledger_holds", 1).await;
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_acceptance_binds_for_two_days_if_it_was_said_in_time() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    for (is_in_time, end) in [
        (true, "accepted_at + interval '1 second'"),
        (false, "accepted_at - interval '50 hours'"),
    ] {
        let uri = market.declares(lesson()).await;
        let (his, hers) = market.offers(json!({ "declaration": uri })).await;
        b.cut_off();
        a.rpc(
            &market.alice.person,
            "exchanges_accept",
            json!({ "id": hers }),
        )
        .await;
        let end = a
            .text(&format!(
                "select ({end})::text from exchanges where id = '{hers}'"
            ))
            .await
            .unwrap();
        expires(b, &his, &end).await;
        stands(b, &his, "expired").await;
        b.reconnect();
        hurry(&market).await;
        let status = if is_in_time { "accepted" } else { "cancelled" };
        market.both_stand(&his, &hers, status).await;
        is_declared(b, &uri, if is_in_time { "matched" } else { "active" }).await;
    }
    b.counts("select count(*) from hub.ledger_holds", 1).await;
    market.is_quiet().await;
}

/// Its time is over then, and the hub has seen it.
async fn expires(hub: &Hub, id: &str, end: &str) {
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "update exchanges set expires_at = '{end}' where id = '{id}';
             insert into job_records (job_type, queue, payload, max_attempts) values ('commons.expire_exchanges', 'background', '{{}}', 3)"
        ))
        .await
        .unwrap();
}
