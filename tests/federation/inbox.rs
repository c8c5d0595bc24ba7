//! What comes in: stored before the 202 and applied; refused without a row.

use serde_json::json;

use crate::support::hubs::Hub;
use crate::support::peer::{Actor, Peers, Scheme};

/// A hub with somebody on it, and a peer with somebody on it.
pub async fn rig(settings: &[(&str, &str)]) -> (Hub, crate::support::hubs::Member, Peers, Actor) {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test", "p3.peer.test"]);
    let hub = Hub::start("in", &peers.resolve(), settings).await;
    let bob = hub.member("bob").await;
    let ann = peers.peer("p1.peer.test").person("ann");
    (hub, bob, peers, ann)
}

/// The state of what was received under this id.
pub async fn state(hub: &Hub, id: &str) -> Option<String> {
    hub.text(&format!(
        "select state || coalesce(':' || reason, '') from ap_received where uri = '{id}'"
    ))
    .await
}

/// Wait until it is neither waiting nor missing.
pub async fn ended(hub: &Hub, id: &str) -> String {
    hub.until(&format!("{id} ends"), async || {
        state(hub, id)
            .await
            .filter(|state| !state.starts_with("waiting"))
    })
    .await
}

#[tokio::test]
async fn a_signed_follow_is_kept_answered_and_applied() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    for (scheme, inbox) in [
        (Scheme::Cavage, hub.shared_inbox()),
        (Scheme::Rfc9421, format!("{}/inbox", bob.actor)),
    ] {
        let follow = ann.activity("Follow", json!({ "object": bob.actor }));
        let told = ann.send_by(scheme, &inbox, follow.to_string()).await;
        assert_eq!(told.status, 202, "{scheme:?} {told:?}");
        let state = ended(&hub, follow["id"].as_str().unwrap()).await;
        assert!(["done", "repeated"].contains(&state.as_str()), "{state}");
    }
    hub.counts(
        "select count(*) from follows where direction = 'in' and state = 'accepted'",
        1,
    )
    .await;
    peers.peer("p1.peer.test").wait("Accept", 1).await;
}
