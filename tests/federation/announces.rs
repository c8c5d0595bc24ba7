//! What somebody passes on of those of whom nothing is to be heard (S-40).

use serde_json::{Value, json};

use super::inbox::state;
use super::moderation::{rig, stored_post};
use super::reading::acquaint;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, PUBLIC};

async fn reads(hub: &Hub, who: &Member, word: &str) -> bool {
    let path = format!("/rest/v1/posts?content=like.*{word}*&select=id");
    let rows: Value = who.person.reads(&hub.hub, &path).await;
    !rows.as_array().unwrap().is_empty()
}

async fn passes_on(hub: &Hub, who: &Actor, uri: &str) -> String {
    let boost = who.activity("Announce", json!({ "object": uri, "to": [PUBLIC] }));
    let told = who.send(&hub.shared_inbox(), &boost).await;
    assert_eq!(told.status, 202, "{told:?}");
    // What is not to be had may still come: it waits for a day.
    let id = boost["id"].as_str().unwrap();
    hub.until("it is dealt with", async || {
        state(hub, id)
            .await
            .filter(|state| state != "waiting" && state != "waiting:fetching")
    })
    .await
}

#[tokio::test]
async fn s_40_nobody_passes_on_what_is_not_to_be_heard() {
    let names = ["p1.peer.test", "p2.peer.test", "p3.peer.test"];
    let (hub, bob, founder, peers) = rig(&names, &[]).await;
    let ann = peers.peer("p1.peer.test").person("ann");
    let (eve, mal) = (
        peers.peer("p2.peer.test").person("eve"),
        peers.peer("p3.peer.test").person("mal"),
    );
    let admin = hub.hub.database.admin().await;
    for who in [&ann, &eve, &mal] {
        acquaint(&hub, who).await;
    }
    admin
        .execute(
            "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
             select l.row_id, l.id, r.id, 'out', 'accepted', now() from ap_actors l, ap_actors r where l.uri = $1 and r.uri = $2",
            &[&bob.actor, &ann.id],
        )
        .await
        .unwrap();
    // It would be passed on and read, if nothing were held against them.
    let fair = eve.note("<p>fair</p>", &[PUBLIC], json!({}));
    passes_on(&hub, &ann, fair["id"].as_str().unwrap()).await;
    hub.until("what is passed on is read", async || {
        reads(&hub, &bob, "fair").await.then_some(())
    })
    .await;

    for (who, word) in [(&eve, "oldeve"), (&mal, "oldmal")] {
        stored_post(&hub, who, word).await;
    }
    hub.rpc(&founder, "actors_suspend", json!({ "actor": eve.id }))
        .await;
    let rule = json!({ "domain": "p3.peer.test", "policy": "block" });
    hub.rpc(&founder, "hosts_set_policy", rule).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let news = [
        eve.note("<p>neweve</p>", &[PUBLIC], json!({})),
        mal.note("<p>newmal</p>", &[PUBLIC], json!({})),
    ];
    for peer in peers.all() {
        peer.forget();
    }

    let old = |who: &Actor, word: &str| format!("{}/notes/{word}", who.peer.origin());
    for uri in [old(&eve, "oldeve"), old(&mal, "oldmal")] {
        passes_on(&hub, &ann, &uri).await;
    }
    for note in &news {
        passes_on(&hub, &ann, note["id"].as_str().unwrap()).await;
    }
    for word in ["oldeve", "oldmal", "neweve", "newmal", "fair"] {
        assert!(!reads(&hub, &bob, word).await, "{word} is read");
    }
    // Nothing was asked of the blocked server at all, and nothing new of the suspended one was kept.
    let asked = peers.peer("p3.peer.test").received();
    assert!(asked.is_empty(), "{asked:?}");
    hub.counts("select count(*) from posts where content like '%new%'", 0)
        .await;

    // Nor does anybody here pass it on.
    let own = json!({ "object": old(&eve, "oldeve") });
    let (status, _) = hub.tries(&bob.person, "reactions_announce", own).await;
    assert!((400..500).contains(&status), "{status}");
}
