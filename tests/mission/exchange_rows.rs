//! A row of `exchanges` that a client writes itself is the same offer as `exchanges_propose` makes, or it is refused and leaves
//! nothing behind.

use reqwest::Method;
use serde_json::{Value, json};

use super::trade::{Market, arrived, declares, id, stands};
use crate::support::hubs::{Hub, Member};

/// Write a row; how that is answered.
async fn writes(hub: &Hub, who: &Member, row: Value) -> (u16, Value) {
    let answer = who
        .person
        .ask(&hub.hub, Method::POST, "/rest/v1/exchanges")
        .header("Prefer", "return=representation")
        .json(&row)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

/// The id of a declaration or a listing as a hub has it.
async fn here(hub: &Hub, kind: &str, uri: &str) -> String {
    hub.text(&format!(
        "select id::text from {kind} where federated_ap_id = '{uri}'"
    ))
    .await
    .unwrap()
}

async fn offers(hub: &Hub, id: &str) -> String {
    hub.text(&format!(
        "select offer_uri from hub.deals where exchange_id = '{id}'"
    ))
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_the_same_offer_as_the_action_makes() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let bread = json!({ "decl_type": "offer", "title": "Bread", "exchange_type": "monetary", "quantity": 1,
        "price_amount": "4.5", "price_currency": "EUR" });
    let uri = market.declares(bread).await;
    let need =
        json!({ "decl_type": "need", "title": "Something to eat", "exchange_type": "monetary" });
    let need = declares(b, &market.bruno, need, b).await;

    // By the action, to compare with.
    let (by_action, _) = market
        .offers(json!({ "declaration": uri, "terms": "On Saturday" }))
        .await;
    let row = json!({ "offer_decl_id": here(b, "declarations", &uri).await, "need_user_id": market.bruno.person.id,
        "notes": "On Saturday" });
    let (status, said) = writes(b, &market.bruno, row).await;
    assert_eq!(status, 201, "{said}");
    let by_row = id(&said[0]);
    let columns = "select to_jsonb(e) - 'id' - 'created_at' - 'updated_at' - 'expires_at' from exchanges e where id = ";
    let of = async |id: &str| {
        b.text(&format!("select (({columns}'{id}'))::text"))
            .await
            .unwrap()
    };
    assert_eq!(of(&by_action).await, of(&by_row).await);
    let body = async |id: &str| -> Value {
        let offer = offers(b, id).await;
        let body = format!("select body from ap_activities where uri = '{offer}'");
        let mut body: Value = serde_json::from_str(&b.text(&body).await.unwrap()).unwrap();
        for name in ["id", "published", "context", "proof"] {
            body.as_object_mut().unwrap().remove(name).unwrap();
        }
        body["object"]
            .as_object_mut()
            .unwrap()
            .remove("mo:expires")
            .unwrap();
        body
    };
    assert_eq!(body(&by_action).await, body(&by_row).await);

    // It goes the whole way.
    let hers = arrived(a, &offers(b, &by_row).await).await;
    a.rpc(
        &market.alice.person,
        "exchanges_accept",
        json!({ "id": hers }),
    )
    .await;
    stands(b, &by_row, "accepted").await;

    // With an own need it is a pair, and a listing is answered as well.
    let more = market
        .declares(json!({ "decl_type": "offer", "title": "Cake", "exchange_type": "gift" }))
        .await;
    let row = json!({ "offer_decl_id": here(b, "declarations", &more).await, "need_decl_id": here(b, "declarations", &need).await });
    let (status, said) = writes(b, &market.bruno, row).await;
    assert_eq!(status, 201, "{said}");
    let pair = format!(
        "select need_link from hub.deals where exchange_id = '{}'",
        id(&said[0])
    );
    assert_eq!(b.text(&pair).await, Some(need));
    arrived(a, &offers(b, &id(&said[0])).await).await;
    let lamp = json!({ "listing_type": "physical", "title": "A lamp", "status": "active", "price_type": "free" });
    let lamp = market.alice.person.adds(&a.hub, "listings", lamp).await;
    let lamp = lamp["federated_ap_id"].as_str().unwrap();
    b.counts(
        &format!("select count(*) from listings where federated_ap_id = '{lamp}'"),
        1,
    )
    .await;
    let row = json!({ "listing_id": here(b, "listings", lamp).await, "need_user_id": market.bruno.person.id });
    let (status, said) = writes(b, &market.bruno, row).await;
    assert_eq!(status, 201, "{said}");
    arrived(a, &offers(b, &id(&said[0])).await).await;

    // What was said stays as it was said.
    let path = format!("/rest/v1/exchanges?id=eq.{by_row}");
    for (method, change) in [
        (Method::PATCH, Some(json!({ "notes": "For nothing" }))),
        (Method::DELETE, None),
    ] {
        let mut request = market
            .bruno
            .person
            .ask(&b.hub, method, &path)
            .header("Prefer", "return=representation");
        if let Some(change) = change {
            request = request.json(&change);
        }
        let answer = request.send().await.unwrap();
        let (status, said) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert!(
            (400..500).contains(&status) || said == "[]",
            "{status} {said}"
        );
    }
    assert_eq!(
        b.text(&format!(
            "select notes from exchanges where id = '{by_row}'"
        ))
        .await
        .as_deref(),
        Some("On Saturday")
    );
    market.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_no_offer_is_refused_and_leaves_nothing() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let (bruno, me) = (&market.bruno, market.bruno.person.id);
    let carol = b.member("carol").await;
    let gift =
        |title: &str| json!({ "decl_type": "offer", "title": title, "exchange_type": "gift" });
    let over = market.declares(gift("Over")).await;
    let (open, own) = (
        market.declares(gift("Open")).await,
        declares(b, bruno, gift("Own"), b).await,
    );
    let sold = json!({ "decl_type": "offer", "title": "Sold", "exchange_type": "monetary" });
    let unpriced = market.declares(sold).await;
    let (open, own, unpriced) = (
        here(b, "declarations", &open).await,
        here(b, "declarations", &own).await,
        here(b, "declarations", &unpriced).await,
    );
    let over_id = here(b, "declarations", &over).await;
    let row = async |uri: &str| -> Value {
        let rows = market
            .alice
            .person
            .reads(
                &a.hub,
                &format!("/rest/v1/declarations?federated_ap_id=eq.{uri}"),
            )
            .await;
        rows[0].clone()
    };
    a.changes(
        &market.alice,
        "declarations",
        &row(&over).await,
        json!({ "status": "withdrawn" }),
    )
    .await;
    b.counts(
        &format!(
            "select count(*) from declarations where id = '{over_id}' and status = 'withdrawn'"
        ),
        1,
    )
    .await;

    for (row, code) in [
        // Nobody's, one's own, two at once, two of one kind, another way of exchanging, no price, and what is over.
        (
            json!({ "need_user_id": me, "offer_user_id": carol.person.id }),
            "exchange.one_subject",
        ),
        (json!({ "offer_decl_id": own }), "exchange.one_subject"),
        (
            json!({ "offer_decl_id": open, "need_user_id": me, "exchange_type": "time_banking" }),
            "exchange.wrong_type",
        ),
        (
            json!({ "offer_decl_id": unpriced, "need_user_id": me }),
            "exchange.wrong_quantity",
        ),
        (
            json!({ "offer_decl_id": over_id, "need_user_id": me }),
            "23503",
        ),
        // Columns that the hub writes, and another's name.
        (
            json!({ "offer_decl_id": open, "need_user_id": me, "status": "completed" }),
            "42501",
        ),
        (
            json!({ "offer_decl_id": open, "need_user_id": me, "price": "0" }),
            "42501",
        ),
        (
            json!({ "offer_decl_id": open, "need_user_id": me, "counterparty_actor_id": me }),
            "42501",
        ),
        (
            json!({ "offer_decl_id": open, "need_user_id": carol.person.id }),
            "42501",
        ),
        (
            json!({ "offer_decl_id": open, "need_user_id": me, "owner_id": carol.person.id }),
            "42501",
        ),
    ] {
        let (status, said) = writes(b, bruno, row.clone()).await;
        let told = said["code"].as_str().unwrap_or_default();
        assert!(
            (400..500).contains(&status) && told.starts_with(code),
            "{row}: {status} {said}"
        );
        assert!(
            !said["message"].as_str().unwrap_or_default().is_empty(),
            "{said}"
        );
    }
    // Of several rows either all are said or none.
    let good = json!({ "offer_decl_id": open, "need_user_id": me });
    let (status, said) = writes(
        b,
        bruno,
        json!([good, { "offer_decl_id": own, "need_user_id": me }]),
    )
    .await;
    assert!((400..500).contains(&status), "{status} {said}");
    for query in [
        "select count(*) from exchanges",
        "select count(*) from hub.deals",
        "select count(*) from ap_activities where type = 'Offer'",
        "select count(*) from ledger_accounts where reserved <> 0",
    ] {
        assert_eq!(b.count(query).await, 0, "{query}");
    }
    let (status, said) = writes(b, bruno, good).await;
    assert_eq!(status, 201, "{said}");
}
