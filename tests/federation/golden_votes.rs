//! What the hub says of DAOs and votes, for the golden files: one proposal from its opening to its result, with a voter of
//! another hub.

use serde_json::{Value, json};

use super::golden::Said;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Keys, Peers};

/// Somebody whose server speaks the hub's vocabulary.
fn hub_member(peers: &Peers) -> Actor {
    let generator = json!({ "type": "Application", "implements": [
        { "type": "Link", "href": "https://w3id.org/made-open/hub/v1", "name": "Hub contract v1" }] });
    let peer = peers.peer("p2.peer.test");
    peer.actor(
        "Person",
        "carol",
        Keys::fresh(),
        json!({ "generator": generator }),
    )
}

/// Say everything of section 9 once.
pub async fn all(said: &mut Said, hub: &Hub, alice: &Member, peers: &Peers) {
    let dao = hub
        .text("select uri from ap_actors where kind = 'dao'")
        .await
        .unwrap();
    let id = hub.text("select id::text from daos").await.unwrap();
    let carol = hub_member(peers);
    let sends = async |activity: Value| {
        let told = carol.send(&hub.shared_inbox(), &activity).await;
        assert_eq!(told.status, 202, "{told:?}");
    };

    sends(carol.activity(
        "Join",
        json!({ "to": [dao], "object": dao, "content": "I repair bikes." }),
    ))
    .await;
    let asked = hub
        .until("carol asks", async || {
            hub.text("select id::text from dao_applications where state = 'pending'")
                .await
        })
        .await;
    hub.rpc(&alice.person, "daos_admit", json!({ "id": asked }))
        .await;
    said.activity(hub, "accept_join", "Accept").await;
    said.activity(hub, "add_member", "Add").await;
    said.put(
        "members_page",
        hub.ask(&format!("{dao}/members?page=true")).await.json(),
    );
    said.put(
        "affiliations_page",
        hub.ask(&format!("{dao}/affiliations?page=true"))
            .await
            .json(),
    );

    let row = json!({ "dao_id": id, "title": "Buy a truing stand", "description": "Cost 180 EUR from the tool fund." });
    let draft = alice.person.adds(&hub.hub, "proposals", row).await;
    let opened = hub
        .rpc(
            &alice.person,
            "proposals_open",
            json!({ "id": draft["id"] }),
        )
        .await;
    let uri = opened["uri"].as_str().unwrap();
    said.activity(hub, "create_question", "Create").await;
    said.put("question", hub.ask(uri).await.json());

    let vote = carol.proved(&json!({
        "@context": made_open::fed::vocab::context(), "type": "Note", "id": format!("{}/votes/{}", carol.peer.origin(), uuid::Uuid::now_v7()),
        "attributedTo": carol.id, "inReplyTo": uri, "name": "Yes", "published": "2026-11-20T12:00:00Z", "to": [dao], "mo:kind": "mo:Vote", "mo:choice": "yes" }));
    sends(carol.activity("Create", json!({ "to": [dao], "object": vote }))).await;
    hub.counts("select count(*) from votes where attestation = 'proof'", 1)
        .await;
    said.activity(hub, "accept_vote", "Accept").await;
    sends(carol.activity("Create", json!({ "to": [dao], "object": { "type": "Note", "id": format!("{}/votes/2", carol.peer.origin()),
        "attributedTo": carol.id, "inReplyTo": uri, "name": "Maybe", "to": [dao] } }))).await;
    said.activity(hub, "reject_vote", "Reject").await;
    hub.rpc(
        &alice.person,
        "votes_cast",
        json!({ "proposal": uri, "choice": "no", "rationale": "Too dear." }),
    )
    .await;
    let own = hub
        .text("select federated_ap_id from votes where user_id is not null")
        .await
        .unwrap();
    said.put("vote", hub.ask(&own).await.json());

    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(
            "set session_replication_role = replica;
             update proposals set voting_opens_at = voting_opens_at - interval '10 days', voting_closes_at = now() - interval '2 minutes';
             set session_replication_role = origin;
             update job_records set scheduled_for = now() where job_type = 'governance.close' and status = 'enqueued'",
        )
        .await
        .unwrap();
    hub.counts(
        "select count(*) from proposals where status = 'rejected'",
        1,
    )
    .await;
    said.activity(hub, "update_question", "Update").await;
    said.activity(hub, "result", "Create").await;
    said.put("ballots", hub.ask(&format!("{uri}/ballots")).await.json());
    said.put(
        "ballots_page",
        hub.ask(&format!("{uri}/ballots?page=true")).await.json(),
    );

    let bob = peers.peer("p1.peer.test").person("bob");
    hub.rpc(
        &alice.person,
        "daos_invite",
        json!({ "id": id, "actor": bob.id }),
    )
    .await;
    said.activity(hub, "invite", "Invite").await;
    hub.rpc(
        &alice.person,
        "daos_remove",
        json!({ "id": id, "actor": carol.id }),
    )
    .await;
    said.activity(hub, "remove_member", "Remove").await;
}
