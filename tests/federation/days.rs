//! What takes hours and days, on a clock that the hub and its database obey: how long a signature is good for, and how long
//! retired keys stay.

use serde_json::json;

use super::inbox::state;
use super::reading::acquaint;
use crate::support::hubs::Hub;
use crate::support::peer::{Peers, Scheme, Told, client};

#[tokio::test]
async fn s_07_r_23_a_signature_is_good_for_an_hour_of_the_hubs_own_clock() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start_with_clock("a", &peers.resolve(), &[]).await;
    let bob = hub.member("bob").await;
    let ann = peers.peer("p1.peer.test").person("ann");
    acquaint(&hub, &ann).await;
    let inbox = hub.shared_inbox();

    // All are signed now and sent when their time has come, as by somebody who has recorded them.
    for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
        let follows: Vec<_> = (0..3)
            .map(|_| {
                let follow = ann.activity("Follow", json!({ "object": bob.actor }));
                let body = follow.to_string();
                let mut request = client()
                    .post(&inbox)
                    .header("Content-Type", "application/activity+json")
                    .body(body.clone());
                for (name, value) in ann.signed(scheme, "POST", &inbox, Some(body.as_bytes())) {
                    request = request.header(name, value);
                }
                (follow["id"].as_str().unwrap().to_owned(), request)
            })
            .collect();
        for ((id, request), (pause, expected)) in
            follows
                .into_iter()
                .zip([("0", 202), ("50 minutes", 202), ("15 minutes", 401)])
        {
            hub.passes(pause).await;
            let told = Told::of(request.send().await.unwrap()).await;
            assert_eq!(told.status, expected, "{scheme:?} after {pause}: {told:?}");
            assert_eq!(state(&hub, &id).await.is_some(), expected == 202);
        }
        // Back to the time that peers live in.
        hub.passes("-65 minutes").await;
    }
}

#[tokio::test]
async fn a_retired_key_is_shown_for_ninety_days_and_its_secret_kept_for_fifteen() {
    let mut hub = Hub::start_with_clock("a", "", &[]).await;
    let bob = hub.member("bob").await;
    let id = bob.actor.rsplit('/').next().unwrap().to_owned();
    hub.ask(&bob.actor).await;
    hub.rpc(&bob.person, "actors_rotate_keys", json!({ "id": id }))
        .await;
    let retired = "retired_at is not null and actor_id = (select id from ap_actors where kind = 'user' and preferred_username = 'bob')";
    let secrets = format!("select count(*) from ap_keys where secret_id is not null and {retired}");
    hub.counts(&secrets, 2).await;
    // After so many days everything is due at once, and the database may be busy for a while.
    let shown = async |hub: &Hub| {
        let document = hub
            .until("the actor is shown", async || {
                let told = hub.ask(&bob.actor).await;
                (told.status != 503).then_some(told)
            })
            .await;
        document.json()["assertionMethod"].as_array().unwrap().len()
    };
    hub.until("both keys are shown", async || {
        (shown(&hub).await == 2).then_some(())
    })
    .await;

    // Nothing waits to be signed for longer than two weeks.
    hub.passes("14 days").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(hub.count(&secrets).await, 2);
    hub.passes("2 days").await;
    hub.counts(&secrets, 0).await;
    // What was proved with it is still to be read by others.
    hub.passes("73 days").await;
    hub.restart();
    assert_eq!(shown(&hub).await, 2);
    hub.passes("2 days").await;
    hub.restart();
    assert_eq!(shown(&hub).await, 1);
}
