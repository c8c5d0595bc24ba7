//! The cases of the npm package `activitypub-testing` for what servers serve each other. Its cases for clients that post to
//! an outbox are out: apps of a hub use `/rest/v1`.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::hubs::Hub;

#[tokio::test]
async fn the_cases_pass_on_an_actor_and_its_collections() {
    let hub = Hub::at_localhost().await;
    let alice = hub.member("alice").await;
    let told = hub.ask(&alice.actor).await;
    assert_eq!(told.status, 200, "{told:?}");
    let actor = told.json();

    passes("actor-must-serve-as2-object-to-get", "id", &alice.actor);
    let document = actor.to_string();
    passes(
        "actor-objects-must-have-inbox-outbox-properties",
        "actor",
        &document,
    );
    for slug in [
        "inbox-must-be-an-orderedcollection",
        "outbox-must-be-an-orderedcollection",
        "followers-collection-must-be-a-collection",
        "following-collection-must-be-a-collection",
    ] {
        passes(slug, "object", &document);
    }

    // To strangers an inbox is an empty collection, whatever lies in it.
    let inbox = hub.ask(actor["inbox"].as_str().unwrap()).await.json();
    assert_eq!(inbox["totalItems"], 0, "{inbox}");
    assert!(inbox.get("first").is_none() || inbox["orderedItems"] == json!([]));
}

#[tokio::test]
async fn the_cases_pass_on_likes_and_shares_of_a_post() {
    let hub = Hub::at_localhost().await;
    let alice = hub.member("alice").await;
    let note = hub
        .posts(&alice, json!({ "content": "Something to like" }))
        .await;
    let note = hub.ask(&hub.url_of(&note).await).await.json();
    assert!(
        note["likes"].is_string() && note["shares"].is_string(),
        "{note}"
    );
    for slug in [
        "likes-collection-must-be-a-collection",
        "shares-collection-must-be-a-collection",
    ] {
        passes(slug, "object", &note.to_string());
    }
}

/// Run one case of the package on a hub's answer.
fn passes(slug: &str, input: &str, value: &str) {
    let node = std::env::var("MADE_OPEN_TEST_NODE").expect("scripts/test sets it");
    let ran = Command::new(node)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        .arg("node_modules/activitypub-testing/src/cli.js")
        .args(["run", "test", "--slug", slug, "--input.time=T10S"])
        .arg(format!("--input.{input}={value}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let result: Value = serde_json::from_str(&said).unwrap_or_else(|e| {
        panic!(
            "{slug}: {e}: {said}\n{}",
            String::from_utf8_lossy(&ran.stderr)
        )
    });
    assert_eq!(result["result"]["outcome"], "passed", "{slug}: {result}");
}
