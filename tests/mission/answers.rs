//! An answer counts only if it is of the one who was asked: whatever somebody of this hub asked of others, a yes or a no of a
//! third one, be he of the same server or of another, changes nothing and is logged as one line.

use serde_json::{Value, json};

use crate::daos::{Dao, found};
use crate::support::hub::logged;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Keys, PUBLIC, Peers};
use crate::votes::sends;

/// Everything that an answer could change.
const ASKED: &str = "select jsonb_build_array(
    (select jsonb_agg(to_jsonb(f) order by f.id) from follows f),
    (select jsonb_agg(to_jsonb(e) order by e.id) from exchanges e),
    (select jsonb_agg(to_jsonb(d) order by d.exchange_id) from hub.deals d),
    (select jsonb_agg(to_jsonb(a) order by a.id) from dao_applications a),
    (select jsonb_agg(to_jsonb(m) order by m.id) from dao_members m),
    (select jsonb_agg(to_jsonb(p) order by p.id) from proposals p),
    (select jsonb_agg(to_jsonb(v) order by v.id) from votes v))::text";

struct Scene {
    hub: Hub,
    bob: Member,
    _peers: Peers,
    carol: Actor,
    /// A DAO at carol's server.
    group: Actor,
    /// One of the same server, and one of another.
    strangers: [Actor; 2],
}

impl Scene {
    async fn set() -> Self {
        let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
        let hub = Hub::start("a", &peers.resolve(), &[]).await;
        let bob = hub.member("bob").await;
        let (one, two) = (peers.peer("p1.peer.test"), peers.peer("p2.peer.test"));
        let is_dao = json!({ "mo:kind": "mo:DAO" });
        Self {
            hub,
            bob,
            carol: one.person("carol"),
            group: one.actor("Group", "coop", Keys::fresh(), is_dao),
            strangers: [one.person("mate"), two.person("eve")],
            _peers: peers,
        }
    }

    /// What was asked last in these words, as the peer got it.
    async fn asked(&self, kind: &str) -> Value {
        let got = self.carol.peer.wait(kind, 1).await;
        got.last().unwrap().json.clone()
    }

    /// Strangers answer it with yes and no, by its id and in full, and with what such an answer brings along.
    async fn nobody_else_answers(&self, asked: &Value) {
        let before = self.hub.text(ASKED).await.unwrap();
        let mut sent = Vec::new();
        for who in &self.strangers {
            for object in [asked["id"].clone(), asked.clone()] {
                for word in ["Accept", "Reject"] {
                    let answer = who.activity(
                        word,
                        json!({ "to": [self.bob.actor], "object": object, "mo:reason": "closed", "result": {
                            "type": "Note", "id": format!("{}/results/{}", who.peer.origin(), uuid::Uuid::now_v7()),
                            "attributedTo": who.id, "mo:ballotIndex": 7 } }),
                    );
                    let state = sends(&self.hub, who, &answer).await;
                    assert!(
                        ["refused not_addressee", "refused not_asked"].contains(&state.as_str()),
                        "{} by {}: {state}",
                        asked["type"],
                        who.id
                    );
                    sent.push((
                        answer["id"].as_str().unwrap().to_owned(),
                        who.peer.host.clone(),
                    ));
                }
            }
        }
        assert_eq!(self.hub.text(ASKED).await.unwrap(), before, "{asked}");

        for (id, host) in sent {
            let lines = || -> Vec<String> {
                let mut lines = logged().clone();
                lines.retain(|line| line.contains(&id));
                lines
            };
            self.hub
                .until("it is logged", async || (!lines().is_empty()).then_some(()))
                .await;
            let lines = lines();
            assert_eq!(lines.len(), 1, "{lines:?}");
            for word in ["activity_not_applied", "reason=\"not_a", &host] {
                assert!(lines[0].contains(word), "{word}: {lines:?}");
            }
        }
    }

    /// The one who was asked answers.
    async fn answers(&self, who: &Actor, word: &str, asked: &Value) {
        let answer = who.activity(
            word,
            json!({ "to": [self.bob.actor], "object": asked["id"] }),
        );
        assert_eq!(sends(&self.hub, who, &answer).await, "done", "{asked}");
    }
}

#[tokio::test]
async fn only_who_was_asked_answers_a_follow() {
    let scene = Scene::set().await;
    let wanted = json!({ "actor": scene.carol.id });
    scene
        .hub
        .rpc(&scene.bob.person, "follows_request", wanted)
        .await;
    let asked = scene.asked("Follow").await;
    scene.nobody_else_answers(&asked).await;
    scene.answers(&scene.carol, "Accept", &asked).await;
    let follows = "select count(*) from follows where direction = 'out' and state = 'accepted'";
    assert_eq!(scene.hub.count(follows).await, 1);
    // Nor does anybody else end it afterwards.
    scene.nobody_else_answers(&asked).await;
    assert_eq!(scene.hub.count(follows).await, 1);
}

#[tokio::test]
async fn only_who_was_asked_answers_an_offer() {
    let scene = Scene::set().await;
    let (hub, carol) = (&scene.hub, &scene.carol);
    let place = format!("{}/declarations/1", carol.peer.origin());
    let bread = json!({
        "type": "Note", "id": place, "attributedTo": carol.id, "name": "Bread", "content": "<p>Bread</p>",
        "published": "2026-11-20T12:00:00Z", "updated": "2026-11-20T12:00:00Z", "to": [PUBLIC], "cc": [scene.bob.actor],
        "purpose": "offer", "unitBased": false, "mo:kind": "mo:Declaration", "mo:declarationType": "offer", "mo:status": "open",
        "mo:version": 3, "publishes": { "type": "Intent", "id": format!("{place}#primary"), "action": "transfer",
            "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "1" } },
    });
    let create = carol.activity(
        "Create",
        json!({ "to": [PUBLIC], "cc": [scene.bob.actor], "object": bread }),
    );
    assert_eq!(sends(hub, carol, &create).await, "done");
    let terms = json!({ "declaration": place, "terms": "Today?" });
    hub.rpc(&scene.bob.person, "exchanges_propose", terms).await;
    let asked = scene.asked("Offer").await;

    scene.nobody_else_answers(&asked).await;
    scene.answers(carol, "Reject", &asked).await;
    let status = hub.text("select status from exchanges").await;
    assert_eq!(status.as_deref(), Some("rejected"));
    scene.nobody_else_answers(&asked).await;
}

#[tokio::test]
async fn only_who_was_asked_answers_a_wish_to_belong_a_vote_and_a_draft() {
    let scene = Scene::set().await;
    let (hub, bob, group) = (&scene.hub, &scene.bob, &scene.group);
    let wanted = json!({ "actor": group.id });
    hub.rpc(&bob.person, "daos_join", wanted).await;
    let join = scene.asked("Join").await;
    scene.nobody_else_answers(&join).await;
    scene.answers(group, "Accept", &join).await;
    hub.counts("select count(*) from dao_members", 1).await;

    let uri = format!("{}/proposals/1", group.peer.origin());
    let question = json!({ "id": uri, "type": "Question", "attributedTo": group.id, "name": "#1 Paint", "content": "<p>x</p>",
        "published": "2026-11-20T12:00:00Z", "updated": "2026-11-20T12:00:00Z", "endTime": "2099-11-27T12:00:00Z", "to": [PUBLIC],
        "oneOf": [{ "type": "Note", "name": "Yes", "mo:choice": "yes", "replies": { "type": "Collection", "totalItems": 0 } },
            { "type": "Note", "name": "No", "mo:choice": "no", "replies": { "type": "Collection", "totalItems": 0 } }],
        "mo:kind": "mo:DaoProposal", "mo:dao": group.id, "mo:number": 1, "mo:status": "active", "mo:startTime": "2026-11-20T12:00:00Z",
        "mo:rules": { "mo:changeVote": true }, "mo:tally": {}, "mo:version": 5 });
    let create = group.activity("Create", json!({ "object": question }));
    assert_eq!(sends(hub, group, &create).await, "done");
    let choice = json!({ "proposal": uri, "choice": "yes" });
    hub.rpc(&bob.person, "votes_cast", choice).await;
    let vote = scene.asked("Create").await;
    scene.nobody_else_answers(&vote).await;
    scene.answers(group, "Accept", &vote).await;
    let answer = hub.text("select answer from votes").await;
    assert_eq!(answer.as_deref(), Some("recorded"));

    let mirror = hub.text("select id::text from daos").await.unwrap();
    let draft = json!({ "dao_id": mirror, "title": "Buy a pump", "description": "A good one." });
    let draft = bob.person.adds(&hub.hub, "proposals", draft).await;
    hub.rpc(&bob.person, "proposals_open", json!({ "id": draft["id"] }))
        .await;
    let offer = scene.asked("Offer").await;
    scene.nobody_else_answers(&offer).await;
    scene.answers(group, "Reject", &offer).await;
    let error = hub
        .text("select execution_error from proposals where status = 'draft'")
        .await;
    assert_eq!(error.as_deref(), Some("declined"));
}

#[tokio::test]
async fn only_who_was_asked_follows_an_invitation() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let Dao { id, .. } = found(hub, bob, "Bikes", json!({})).await;
    let whom = json!({ "id": id, "actor": scene.carol.id, "role": "admin" });
    hub.rpc(&bob.person, "daos_invite", whom).await;
    let invite = scene.asked("Invite").await;
    scene.nobody_else_answers(&invite).await;
    let officers = "select count(*) from dao_members where role = 'admin'";
    assert_eq!(hub.count(officers).await, 0);
    scene.answers(&scene.carol, "Accept", &invite).await;
    hub.counts(officers, 1).await;
}
