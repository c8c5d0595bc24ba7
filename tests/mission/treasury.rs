//! What a passed proposal does: it pays from the treasury, takes in and sends away, changes a rule, says something; once, and
//! with its reason where it cannot.

use serde_json::{Value, json};

use crate::daos::{Dao, found, has_in_treasury, members};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::Peers;
use crate::votes::{asks, comes_to, time_passes};

async fn passes(hub: &Hub, who: &Member, dao: &Dao, title: &str, action: Value) -> Value {
    let asked = asks(hub, who, dao, title, json!({ "action_payload": action })).await;
    hub.rpc(
        &who.person,
        "votes_cast",
        json!({ "proposal": asked["id"], "choice": "yes" }),
    )
    .await;
    time_passes(hub, &asked).await;
    asked
}

#[tokio::test]
async fn a_treasury_pays_what_was_decided_and_no_more() {
    let hubs = Hub::start_all(&["a"]).await;
    let hub = &hubs[0];
    let ann = hub.member("ann").await;
    let dan = hub.member("dan").await;
    let dao = found(hub, &ann, "Bikes", json!({})).await;
    has_in_treasury(hub, &dao, 100, "issue:test").await;
    let treasury = format!(
        "select treasury_credits::bigint from daos where id = '{}'",
        dao.id
    );
    hub.counts(&treasury, 100).await;

    let pay = |amount: &str| json!({ "action": "transfer", "to": dan.person.id, "amount": amount, "memo": "Tools" });
    let asked = passes(hub, &ann, &dao, "Pay Dan", pay("30")).await;
    let row = comes_to(hub, &asked, "executed").await;
    assert!(row["executed_at"].is_string());
    hub.counts(&treasury, 70).await;
    let (status, _) = hub
        .tries(
            &ann.person,
            "proposals_execute",
            json!({ "id": asked["id"] }),
        )
        .await;
    assert_eq!(status, 409, "once");
    hub.counts(&treasury, 70).await;

    // More than there is: it stays passed and says why; once there is enough, those who run the DAO try again.
    let asked = passes(hub, &ann, &dao, "Pay Dan well", pay("100")).await;
    let id = asked["id"].as_str().unwrap();
    hub.until("it says why not", async || {
        hub.text(&format!(
            "select execution_error from proposals where id = '{id}' and status = 'passed'"
        ))
        .await
    })
    .await;
    let question = hub.ask(asked["uri"].as_str().unwrap()).await.json();
    assert!(
        question["mo:executionError"]
            .as_str()
            .unwrap()
            .contains("overdrawn"),
        "{question}"
    );
    let (status, _) = hub
        .tries(&dan.person, "proposals_execute", json!({ "id": id }))
        .await;
    assert_eq!(status, 403);
    let (status, told) = hub
        .tries(&ann.person, "proposals_execute", json!({ "id": id }))
        .await;
    assert_eq!(
        (status, &told["code"]),
        (409, &json!("ledger.over_limit")),
        "{told}"
    );
    has_in_treasury(hub, &dao, 50, "issue:more").await;
    hub.rpc(&ann.person, "proposals_execute", json!({ "id": id }))
        .await;
    hub.counts(&treasury, 20).await;
    hub.counts(
        "select sum(balance)::bigint from ledger_accounts where unit = 'CREDIT'",
        0,
    )
    .await;
}

#[tokio::test]
async fn a_vote_takes_in_sends_away_and_changes_rules() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let dan = hub.member("dan").await;
    let dao = found(&hub, &ann, "Bikes", json!({ "quorum_pct": 1 })).await;
    let asked = passes(
        &hub,
        &ann,
        &dao,
        "Dan joins",
        json!({ "action": "admit", "actor": dan.actor }),
    )
    .await;
    comes_to(&hub, &asked, "executed").await;
    hub.counts(&members(&dao, "member"), 1).await;
    let asked = passes(
        &hub,
        &ann,
        &dao,
        "Dan goes",
        json!({ "action": "remove", "actor": dan.actor }),
    )
    .await;
    comes_to(&hub, &asked, "executed").await;
    hub.counts(&members(&dao, "member"), 0).await;
    let asked = passes(
        &hub,
        &ann,
        &dao,
        "All may come",
        json!({ "action": "set_rule", "rule": "membership", "value": "open" }),
    )
    .await;
    comes_to(&hub, &asked, "executed").await;
    hub.until("its document says so", async || {
        let told = hub.ask(&dao.uri).await.json();
        (told["mo:governance"]["mo:membership"] == "open").then_some(())
    })
    .await;
    let asked = passes(
        &hub,
        &ann,
        &dao,
        "Bylaws",
        json!({ "action": "publish", "title": "Bylaws", "content": "Be *kind*." }),
    )
    .await;
    comes_to(&hub, &asked, "executed").await;
    let article = hub
        .text("select federated_ap_id from posts where title = 'Bylaws'")
        .await
        .unwrap();
    let article = hub.ask(&article).await.json();
    assert_eq!(
        (&article["type"], &article["attributedTo"]),
        (&json!("Article"), &json!(dao.uri))
    );

    // What is no action is not even opened.
    let draft = ann.person.adds(&hub.hub, "proposals", json!({ "dao_id": dao.id, "title": "x", "action_payload": { "action": "set_rule", "rule": "owner_id", "value": dan.person.id } })).await;
    let (status, told) = hub
        .tries(&ann.person, "proposals_open", json!({ "id": draft["id"] }))
        .await;
    assert_eq!(
        (status, &told["code"]),
        (400, &json!("proposal.action")),
        "{told}"
    );
}
