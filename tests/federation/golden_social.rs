//! What the hub says between people and groups, for the golden files: a tenant that is shown, a report, a block and its end, a
//! move, and what a group passes on in both forms (CONTRACT 4, 5 and 10).

use serde_json::{Value, json};

use super::golden::Said;
use super::inbox::ended;
use super::moderation::{operator, stored_post};
use super::reading::acquaint;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Keys, PUBLIC, Peers};

/// Say everything of it once.
pub async fn all(said: &mut Said, hub: &Hub, alice: &Member, peers: &Peers) {
    organization(said, hub).await;
    against(said, hub, alice, peers).await;
    moves(said, hub, peers).await;
    passed_on(said, hub, peers).await;
}

async fn organization(said: &mut Said, hub: &Hub) {
    let founder = operator(hub).await;
    let home = hub
        .text("select organization_id::text from user_profile where role = 'developer'")
        .await
        .unwrap();
    let shown = json!({ "kind": "tenant", "id": home, "handle": "workshop" });
    let shown = hub.rpc(&founder, "actors_publish", shown).await;
    said.put(
        "organization",
        hub.ask(shown["uri"].as_str().unwrap()).await.json(),
    );
}

/// A report that is passed on, a block and a block taken back.
async fn against(said: &mut Said, hub: &Hub, alice: &Member, peers: &Peers) {
    let mallory = peers.peer("p1.peer.test").person("mallory");
    acquaint(hub, &mallory).await;
    stored_post(hub, &mallory, "coins").await;
    let post = format!("{}/notes/coins", mallory.peer.origin());
    let report = json!({ "object": post, "reason": "scam", "forward": true });
    hub.rpc(&alice.person, "reports_file", report).await;
    said.activity(hub, "flag", "Flag").await;

    let set = json!({ "actor": mallory.id });
    let block = hub.rpc(&alice.person, "blocks_set", set).await;
    said.activity(hub, "block", "Block").await;
    let undo = json!({ "id": block["id"] });
    hub.rpc(&alice.person, "blocks_undo", undo).await;
    said.activity(hub, "undo_block", "Undo").await;
}

async fn moves(said: &mut Said, hub: &Hub, peers: &Peers) {
    let carla = hub.member("carla").await;
    let there = peers.peer("p2.peer.test").actor(
        "Person",
        "carla",
        Keys::fresh(),
        json!({ "alsoKnownAs": [carla.actor] }),
    );
    let target = json!({ "target": there.id });
    hub.rpc(&carla.person, "actors_move", target).await;
    said.activity(hub, "move", "Move").await;
    said.put("person_moved", hub.ask(&carla.actor).await.json());
}

/// Somebody elsewhere says something to the public room: servers that know groups get the activity, others the post.
async fn passed_on(said: &mut Said, hub: &Hub, peers: &Peers) {
    let group = hub
        .text("select uri from ap_actors where kind = 'channel'")
        .await
        .unwrap();
    let member = peers.peer("p2.peer.test").person("dora");
    let other = peers.peer("p1.peer.test").person("emil");
    let admin = hub.hub.database.admin().await;
    let host = &member.peer.host;
    admin
        .batch_execute(&format!("insert into ap_hosts (host, takes_groups) values ('{host}', true) on conflict (host) do update set takes_groups = true"))
        .await
        .unwrap();
    for who in [&member, &other] {
        let follow = who.activity("Follow", json!({ "object": group }));
        let told = who.send(&hub.shared_inbox(), &follow).await;
        assert_eq!(told.status, 202, "{told:?}");
        assert_eq!(ended(hub, follow["id"].as_str().unwrap()).await, "done");
    }
    let note = member.note("<p>A new bell</p>", &[PUBLIC, &group], json!({}));
    let mut create = member.create(&note);
    create["@context"] = made_open::fed::vocab::context().clone();
    let create = member.proved(&create);
    let told = member.send(&hub.shared_inbox(), &create).await;
    assert_eq!(told.status, 202, "{told:?}");
    assert_eq!(ended(hub, create["id"].as_str().unwrap()).await, "done");
    let passed = "select body from ap_activities where type = 'Announce' and actor_id = (select id from ap_actors where kind = 'channel') \
                  and (body::jsonb -> 'object' ->> 'type') is ";
    for (name, form) in [("announce_activity", "not null"), ("announce_post", "null")] {
        let query = format!("{passed} {form}");
        let body = hub
            .until(&format!("{name} is said"), async || hub.text(&query).await)
            .await;
        let body: Value = serde_json::from_str(&body).unwrap();
        if name == "announce_activity" {
            assert_eq!(body["object"], create, "word for word");
        }
        said.put(name, body);
    }
}
