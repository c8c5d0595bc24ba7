//! What is said arrives: once in effect, in order, at everybody who is to have it and nobody else.

mod answers;
mod faults;
mod queue;
mod speaker;

use speaker::Speaker;

use crate::support::hubs::Hub;
use crate::support::peer::{ACTIVITY, Peers, Scheme, proved_by};

#[tokio::test]
async fn what_is_said_arrives_signed_and_proved() {
    let peers = Peers::many(2);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    for peer in peers.all() {
        speaker.followed_by(&hub, &peer, "ann").await;
        speaker.followed_by(&hub, &peer, "ben").await;
    }

    let said = speaker
        .posts("Create", &speaker.note("1"), "<p>hello</p>")
        .await;

    let [pem, multikey] = ["rsa", "ed25519"]
        .map(|algorithm| format!("select public_key from ap_keys where algorithm = '{algorithm}'"));
    let (pem, multikey) = (
        hub.text(&pem).await.unwrap(),
        hub.text(&multikey).await.unwrap(),
    );
    for peer in peers.all() {
        let got = peer.wait("Create", 1).await.remove(0);
        assert_eq!(got.id(), said.uri);
        assert_eq!(got.path, "/inbox");
        assert_eq!(got.header("content-type"), Some(ACTIVITY));
        assert_eq!(got.scheme(), Some(Scheme::Cavage));
        assert_eq!(
            got.signed_by(&format!("{}#main-key", speaker.uri), &pem),
            Ok(())
        );
        assert!(proved_by(&got.json, &multikey));
        let kept = hub
            .text(&format!(
                "select body from ap_activities where uri = '{}'",
                said.uri
            ))
            .await;
        assert_eq!(kept.unwrap().as_bytes(), got.body);
    }
    hub.counts("select count(*) from ap_deliveries where state = 'done'", 2)
        .await;
    hub.counts("select count(*) from ap_deliveries", 2).await;
    hub.counts(
        "select count(*) from ap_hosts where sig_scheme = 'cavage' and failures = 0",
        2,
    )
    .await;
    for peer in peers.all() {
        assert_eq!(peer.posts().len(), 1, "one for both");
    }
}
