//! Declarations between two hubs: said as rows are written, changed by their owner alone, gone when they are deleted.

use reqwest::Method;
use serde_json::json;

use super::trade::{Market, is_declared};

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_is_said_changed_expires_and_is_taken_back() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let row = market
        .alice
        .person
        .adds(
            &a.hub,
            "declarations",
            json!({ "decl_type": "willing_to_do", "title": "mend bikes", "description": "Rear *wheels*.", "exchange_type": "time_banking",
                "quantity": "1.5", "unit": "hour", "skills": ["bike repair"], "tags": ["bikes"], "availability": "weekends",
                "location_pref": "Berlin", "language": "en", "category": "repair" }),
        )
        .await;
    let uri = row["federated_ap_id"].as_str().unwrap().to_owned();
    is_declared(b, &uri, "active").await;
    let there = market
        .bruno
        .person
        .reads(
            &b.hub,
            &format!("/rest/v1/declarations?federated_ap_id=eq.{uri}"),
        )
        .await;
    let there = &there[0];
    for (column, value) in [
        ("decl_type", json!("willing_to_do")),
        ("exchange_type", json!("time_banking")),
        ("skills", json!(["bike repair"])),
        ("availability", json!("weekends")),
        ("location_pref", json!("Berlin")),
        ("quantity", json!(1.5)),
        ("unit", json!("hour")),
        ("price_currency", json!("TIME")),
        ("category", json!("repair")),
        ("owner_id", json!(null)),
    ] {
        assert_eq!(there[column], value, "{column}: {there}");
    }

    // As the contract has it, and as somebody who knows nothing of it reads it.
    let note = a.ask(&uri).await.json();
    assert_eq!(note["type"], "Note");
    assert_eq!(note["mo:kind"], "mo:Declaration");
    assert_eq!(
        (&note["purpose"], &note["unitBased"]),
        (&json!("offer"), &json!(false))
    );
    assert_eq!(note["publishes"]["action"], "deliverService");
    assert_eq!(
        note["publishes"]["resourceQuantity"],
        json!({ "hasUnit": "hour", "hasNumericalValue": "1.5" })
    );
    assert_eq!(
        note["reciprocal"]["resourceConformsTo"],
        "https://w3id.org/made-open/hub/v1#TimeCredit"
    );
    assert_eq!(note["mo:status"], "open");
    assert!(
        note["content"].as_str().unwrap().contains("1.5 hours"),
        "{note}"
    );
    assert!(
        note["content"]
            .as_str()
            .unwrap()
            .contains("<em>wheels</em>"),
        "{note}"
    );
    assert!(note["proof"]["proofValue"].is_string());

    // Only its owner changes it, and others see it.
    a.changes(
        &market.alice,
        "declarations",
        &row,
        json!({ "title": "mend bikes and prams" }),
    )
    .await;
    b.counts(
        "select count(*) from declarations where title like '%prams%'",
        1,
    )
    .await;
    let patch = market
        .bruno
        .person
        .ask(
            &b.hub,
            Method::PATCH,
            &format!("/rest/v1/declarations?federated_ap_id=eq.{uri}"),
        )
        .json(&json!({ "title": "mine" }))
        .header("Prefer", "return=representation")
        .send()
        .await
        .unwrap();
    let body = patch.text().await.unwrap();
    assert!(!body.contains("mine"), "a remote row is read only: {body}");
    // S-124: what the hub says of it nobody writes himself.
    let answer = market
        .alice
        .person
        .ask(
            &a.hub,
            Method::PATCH,
            &format!(
                "/rest/v1/declarations?id=eq.{}",
                row["id"].as_str().unwrap()
            ),
        )
        .json(&json!({ "federated_ap_id": "https://elsewhere.example/1" }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_client_error());

    // Its time is over.
    let admin = a.hub.database.admin().await;
    admin
        .batch_execute(
            "update declarations set expires_at = now() - interval '1 minute';
             insert into job_records (job_type, queue, payload, max_attempts) values ('commons.expire_declarations', 'background', '{}', 3)",
        )
        .await
        .unwrap();
    is_declared(a, &uri, "expired").await;
    is_declared(b, &uri, "expired").await;
    // And begun anew.
    a.changes(
        &market.alice,
        "declarations",
        &row,
        json!({ "status": "active", "expires_at": null }),
    )
    .await;
    is_declared(b, &uri, "active").await;

    a.deletes(&market.alice, "declarations", &row).await;
    b.counts("select count(*) from declarations", 0).await;
    assert_eq!(a.ask(&uri).await.status, 410);
    market.is_quiet().await;
}
