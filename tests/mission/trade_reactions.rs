//! What others like, pass on and answer of listings and declarations is kept and counted as it is of posts.

use serde_json::{Value, json};

use super::trade::declares;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, PUBLIC, Peers};

/// Post something and wait until the hub is done with it; what came of it.
async fn said(hub: &Hub, from: &Actor, activity: &Value) -> String {
    let told = from.send(&hub.shared_inbox(), activity).await;
    assert_eq!(told.status, 202, "{}", told.body);
    let id = activity["id"].as_str().unwrap();
    hub.counts(
        &format!("select count(*) from ap_received where uri = '{id}' and state = 'waiting'"),
        0,
    )
    .await;
    let state =
        format!("select state || coalesce(': ' || reason, '') from ap_received where uri = '{id}'");
    hub.text(&state).await.unwrap_or_default()
}

async fn counted(hub: &Hub, who: &Member, kind: &str, uri: &str) -> (i64, i64) {
    let rows = who
        .person
        .reads(
            &hub.hub,
            &format!("/rest/v1/{kind}?federated_ap_id=eq.{uri}"),
        )
        .await;
    let count = |name: &str| rows[0][name].as_i64().unwrap();
    (count("likes_count"), count("announces_count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_think_of_it_is_counted() {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let alice = hub.member("alice").await;
    let petra = peers.peer("p1.peer.test").person("petra");
    let mallory = peers.peer("p2.peer.test").person("mallory");
    let lamp = json!({ "listing_type": "physical", "title": "A lamp", "status": "active", "price_type": "free" });
    let lamp = alice.person.adds(&hub.hub, "listings", lamp).await;
    let listing = lamp["federated_ap_id"].as_str().unwrap().to_owned();
    let bread = json!({ "decl_type": "offer", "title": "Bread", "exchange_type": "gift" });
    let declaration = declares(&hub, &alice, bread, &hub).await;

    for (kind, uri) in [("listings", &listing), ("declarations", &declaration)] {
        let like = petra.activity("Like", json!({ "object": uri, "to": [alice.actor] }));
        let share = petra.activity("Announce", json!({ "object": uri, "to": [PUBLIC], "cc": [alice.actor], "published": "2026-11-21T10:00:00Z" }));
        for activity in [&like, &share] {
            let came = said(&hub, &petra, activity).await;
            assert!(came.starts_with("done"), "{kind}: {came}");
        }
        // Once is enough, by whatever name.
        said(&hub, &petra, &like).await;
        said(
            &hub,
            &petra,
            &petra.activity("Like", json!({ "object": uri, "to": [alice.actor] })),
        )
        .await;
        assert_eq!(counted(&hub, &alice, kind, uri).await, (1, 1), "{kind}");
        for (collection, activity) in [("likes", &like), ("shares", &share)] {
            let page = hub
                .ask(&format!("{uri}/{collection}?page=true"))
                .await
                .json();
            assert_eq!(
                page["orderedItems"],
                json!([activity["id"]]),
                "{kind} {collection}"
            );
        }
        let events = format!(
            "select count(*) from hub.journal where verb in ('{0}.liked', '{0}.announced')",
            kind.trim_end_matches('s')
        );
        assert_eq!(hub.count(&events).await, 2, "{kind}");

        let news = format!(
            "select count(*) from notification_events where event_type in ('{0}.liked', '{0}.announced')",
            kind.trim_end_matches('s')
        );
        hub.counts(&news, 2).await;

        // Nobody takes back what another did; he does.
        for (from, expected) in [(&mallory, 1), (&petra, 0)] {
            let undo = from.activity("Undo", json!({ "object": { "type": "Like", "id": like["id"], "actor": petra.id, "object": uri }, "to": [alice.actor] }));
            said(&hub, from, &undo).await;
            assert_eq!(counted(&hub, &alice, kind, uri).await.0, expected, "{kind}");
        }

        let note = petra.note(
            "<p>Is it heavy?</p>",
            &[PUBLIC],
            json!({ "inReplyTo": uri, "cc": [alice.actor],
            "tag": [{ "type": "Mention", "href": alice.actor, "name": alice.handle }] }),
        );
        said(&hub, &petra, &petra.create(&note)).await;
        let replies = hub.ask(&format!("{uri}/replies?page=true")).await.json();
        assert_eq!(replies["orderedItems"], json!([note["id"]]), "{kind}");
    }

    // What few may read is nobody's to pass on, and who is blocked is not heard.
    let few = json!({ "listing_type": "physical", "title": "For few", "status": "active", "visibility": "followers", "price_type": "free" });
    let few = alice.person.adds(&hub.hub, "listings", few).await;
    let few = few["federated_ap_id"].as_str().unwrap().to_owned();
    for kind in ["Like", "Announce"] {
        let activity =
            mallory.activity(kind, json!({ "object": few, "to": [PUBLIC, alice.actor] }));
        said(&hub, &mallory, &activity).await;
    }
    assert_eq!(counted(&hub, &alice, "listings", &few).await, (0, 0));
    hub.rpc(&alice.person, "blocks_set", json!({ "actor": mallory.id }))
        .await;
    let told = mallory
        .send(
            &hub.shared_inbox(),
            &mallory.activity("Like", json!({ "object": listing, "to": [alice.actor] })),
        )
        .await;
    assert!(told.status < 500, "{}", told.body);
    hub.counts(
        "select count(*) from ap_received where state = 'waiting'",
        0,
    )
    .await;
    assert_eq!(counted(&hub, &alice, "listings", &listing).await, (0, 1));

    // It goes with what it is about.
    hub.deletes(&alice, "listings", &lamp).await;
    assert_eq!(
        hub.count("select count(*) from reactions where object_kind = 'listings'")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_thinks_of_it_is_said_to_its_hub() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (a, b) = (&hubs[0], &hubs[1]);
    let (alice, ann) = (a.member("alice").await, a.member("ann").await);
    let (bruno, fan) = (b.member("bruno").await, a.member("fan").await);
    b.follows(&bruno, &alice.handle).await;
    a.follows(&fan, &bruno.handle).await;
    let lamp = json!({ "listing_type": "physical", "title": "A lamp", "status": "active", "price_type": "free" });
    let lamp = alice.person.adds(&a.hub, "listings", lamp).await;
    let listing = lamp["federated_ap_id"].as_str().unwrap().to_owned();
    let bread = json!({ "decl_type": "offer", "title": "Bread", "exchange_type": "gift" });
    let declaration = declares(a, &alice, bread, b).await;
    b.counts(
        &format!("select count(*) from listings where federated_ap_id = '{listing}'"),
        1,
    )
    .await;

    for (kind, uri) in [("listings", &listing), ("declarations", &declaration)] {
        let count = |likes: i64, announces: i64| {
            format!(
                "select count(*) from {kind} where federated_ap_id = '{uri}' and likes_count = {likes} and announces_count = {announces}"
            )
        };
        let asked = json!({ "object": uri });
        let like = b.rpc(&bruno.person, "reactions_like", asked.clone()).await;
        b.rpc(&bruno.person, "reactions_announce", asked.clone())
            .await;
        a.counts(&count(1, 1), 1).await;
        b.counts(&count(1, 1), 1).await;
        // Between two of one hub it counts once.
        a.rpc(&ann.person, "reactions_like", asked.clone()).await;
        a.counts(&count(2, 1), 1).await;
        b.rpc(&bruno.person, "reactions_undo", json!({ "id": like["id"] }))
            .await;
        a.counts(&count(1, 1), 1).await;
        b.counts(&count(0, 1), 1).await;
    }
    // What few may read is passed on by nobody, and what one does not see is not there.
    let few = json!({ "listing_type": "physical", "title": "For few", "status": "active", "visibility": "followers", "price_type": "free" });
    let few = alice.person.adds(&a.hub, "listings", few).await;
    let few = few["federated_ap_id"].as_str().unwrap();
    b.counts(
        &format!("select count(*) from listings where federated_ap_id = '{few}'"),
        1,
    )
    .await;
    let (status, _) = b
        .tries(
            &bruno.person,
            "reactions_announce",
            json!({ "object": few }),
        )
        .await;
    assert_eq!(status, 403);
    let (status, _) = a
        .tries(&ann.person, "reactions_like", json!({ "object": few }))
        .await;
    assert_eq!(status, 404);
    let like = b
        .rpc(&bruno.person, "reactions_like", json!({ "object": few }))
        .await;
    a.counts(
        &format!(
            "select count(*) from listings where federated_ap_id = '{few}' and likes_count = 1"
        ),
        1,
    )
    .await;
    b.rpc(&bruno.person, "reactions_undo", json!({ "id": like["id"] }))
        .await;
    a.counts(
        &format!(
            "select count(*) from listings where federated_ap_id = '{few}' and likes_count = 0"
        ),
        1,
    )
    .await;
}
