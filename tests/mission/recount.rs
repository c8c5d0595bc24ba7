//! Anybody counts a vote again with `made-open recount`: what was told is found, and what was changed is found too.

use serde_json::{Value, json};

use crate::daos::{found, joins};
use crate::support::hubs::Hub;
use crate::votes::{asks, comes_to, time_passes};

/// Count, with nothing but the network.
fn recount(url: &str, resolve: &str) -> (Option<i32>, Value) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_made-open"))
        .args(["recount", url, "--json"])
        .env("MADE_OPEN_ALLOW_PRIVATE_PEERS", "on")
        .env("MADE_OPEN_TEST_RESOLVE", resolve)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (
        output.status.code(),
        serde_json::from_str(&said).unwrap_or(Value::String(said)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_counts_again() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let resolve = "a.hub.test=127.0.0.1,b.hub.test=127.0.0.1";
    let ann = home.member("ann").await;
    let bob = away.member("bob").await;
    let dao = found(home, &ann, "Bikes", json!({ "quorum_pct": 25 })).await;
    joins(home, &ann, &dao, away, &bob).await;
    let asked = asks(home, &ann, &dao, "Paint it", json!({})).await;
    let uri = asked["uri"].as_str().unwrap();
    away.until("the proposal is known", async || {
        away.text(&format!(
            "select id::text from proposals where federated_ap_id = '{uri}'"
        ))
        .await
    })
    .await;
    away.rpc(
        &bob.person,
        "votes_cast",
        json!({ "proposal": uri, "choice": "yes" }),
    )
    .await;
    home.rpc(
        &ann.person,
        "votes_cast",
        json!({ "proposal": uri, "choice": "no" }),
    )
    .await;
    home.rpc(
        &ann.person,
        "votes_cast",
        json!({ "proposal": uri, "choice": "yes" }),
    )
    .await;
    home.counts(
        "select count(*) from votes where ballot_hash is not null",
        2,
    )
    .await;
    time_passes(home, &asked).await;
    let row = comes_to(home, &asked, "passed").await;

    let (code, report) = recount(uri, resolve);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["agrees"], true, "{report}");
    assert_eq!(
        (
            &report["yes"],
            &report["ballots"],
            &report["vouched"]["proof"]
        ),
        (&json!("2"), &json!(2), &json!(2)),
        "{report}"
    );
    assert_eq!(report["digest"], row["ballots_digest"]);

    // A hub that turns a ballot round is found out by the voter's signature and by the digest.
    let admin = home.hub.database.admin().await;
    admin
        .batch_execute(
            "update votes set ballot = jsonb_set(jsonb_set(ballot, '{name}', '\"No\"'), '{mo:choice}', '\"no\"') where ballot_index = 1",
        )
        .await
        .unwrap();
    let (code, report) = recount(uri, resolve);
    assert_eq!(code, Some(1), "{report}");
    let faults = report["faults"].to_string();
    for found in [
        "has not signed it",
        "yes: 1 counted, 2 told",
        "the digest is",
    ] {
        assert!(faults.contains(found), "{found}: {faults}");
    }
    // One that leaves it out too.
    admin
        .batch_execute("update votes set ballot_hash = null where ballot_index = 1")
        .await
        .unwrap();
    let (code, report) = recount(uri, resolve);
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report["faults"].to_string().contains("ballot 1 is missing"),
        "{report}"
    );

    assert_eq!(recount(&ann.actor, resolve).0, Some(2), "no proposal");
    assert_eq!(
        recount("http://a.hub.test:1/ap/proposals/1", resolve).0,
        Some(4),
        "nobody there"
    );
    assert_eq!(
        recount("http://c.hub.test/ap/proposals/1", "")
            .0
            .map(|code| code > 2),
        Some(true)
    );
}

#[tokio::test]
async fn an_erased_voter_leaves_a_ballot_that_counts() {
    let hubs = Hub::start_all(&["a"]).await;
    let hub = &hubs[0];
    let ann = hub.member("ann").await;
    let dan = hub.member("dan").await;
    let dao = found(hub, &ann, "Bikes", json!({ "membership": "open" })).await;
    hub.rpc(&dan.person, "daos_join", json!({ "id": dao.id }))
        .await;
    let asked = asks(hub, &ann, &dao, "Paint it", json!({})).await;
    let uri = asked["uri"].as_str().unwrap();
    for who in [&dan, &ann] {
        hub.rpc(
            &who.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": "yes", "rationale": "Blue!" }),
        )
        .await;
    }
    time_passes(hub, &asked).await;
    comes_to(hub, &asked, "passed").await;
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!("delete from users where id = '{}'", dan.person.id))
        .await
        .unwrap();
    let page = hub.ask(&format!("{uri}/ballots?page=true")).await;
    assert!(!page.body.contains(&dan.actor));
    let erased = page.json()["orderedItems"][1].clone();
    assert_eq!(
        (
            &erased["mo:erased"],
            &erased["mo:choice"],
            &erased["mo:weight"]
        ),
        (&json!(true), &json!("yes"), &json!("1"))
    );
    let (code, report) = recount(uri, "a.hub.test=127.0.0.1");
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["vouched"]["erased"], 1);
}
