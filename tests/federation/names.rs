//! Which names people may take (S-51): others know them under these for good.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};

async fn wants(hub: &Hub, who: &Member, handle: &str) -> (u16, Value) {
    let path = format!("/rest/v1/users?id=eq.{}", who.person.id);
    let answer = who
        .person
        .ask(&hub.hub, Method::PATCH, &path)
        .json(&json!({ "handle": handle }))
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let told = answer.text().await.unwrap();
    (status, serde_json::from_str(&told).unwrap_or(Value::Null))
}

#[tokio::test]
async fn s_51_names_of_the_hub_and_of_others_are_nobodys() {
    let hub = Hub::start("a", "", &[]).await;
    let (alice, bob) = (hub.member("alice").await, hub.member("bob").await);
    for name in [
        "admin",
        "Admin",
        "ADMIN",
        "@admin",
        ".well-known",
        "well_known",
        "api",
        "inbox",
        "outbox",
        "actor",
        "root",
        "support",
        "moderator",
        "nodeinfo",
    ] {
        let (status, told) = wants(&hub, &bob, name).await;
        assert!((400..500).contains(&status), "{name}: {status} {told}");
        assert!(told.to_string().contains("handle"), "{name}: {told}");
    }
    // Somebody's, in whatever case.
    for name in ["alice", "Alice", "ALICE"] {
        let (status, told) = wants(&hub, &bob, name).await;
        assert_eq!(status, 409, "{name}: {told}");
    }
    // An agent or a room that asks for such a name gets another one.
    for name in ["admin", "alice", "inbox"] {
        let agent = json!({ "name": name });
        let agent = bob.person.adds(&hub.hub, "agents", agent).await;
        let shown = json!({ "kind": "agent", "id": agent["id"], "handle": name });
        let shown = hub.rpc(&bob.person, "actors_publish", shown).await;
        assert_ne!(shown["handle"], name);
    }
    for name in ["admin", "inbox", "root"] {
        let asked = format!("/.well-known/webfinger?resource=acct:{name}@{}", hub.host);
        assert_eq!(hub.ask(&asked).await.status, 404, "{name}");
    }
    let alices = format!("/.well-known/webfinger?resource=acct:alice@{}", hub.host);
    let found = hub.ask(&alices).await.json().to_string();
    assert!(found.contains(&alice.actor), "{found}");
    // What is nobody's may be taken.
    assert_eq!(wants(&hub, &bob, "administrata").await.0, 204);
}
