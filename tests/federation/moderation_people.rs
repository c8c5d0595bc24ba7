//! Blocks and mutes between people (S-154), across servers and within one.

use reqwest::Method;
use serde_json::json;

use super::{followed_by, rig};
use crate::inbox::ended;
use crate::support::peer::Answer;

#[tokio::test]
async fn s_154_a_block_ends_everything_between_two() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    followed_by(&hub, &ann, &bob).await;
    peer.wait("Accept", 1).await;
    hub.rpc(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    peer.wait("Follow", 1).await;

    let block = hub
        .rpc(
            &bob.person,
            "blocks_set",
            json!({ "actor": ann.id, "reason": "for me alone" }),
        )
        .await;
    hub.counts("select count(*) from follows", 0).await;
    let said = peer.wait("Block", 1).await;
    let said = &said[0].json;
    assert_eq!(
        (&said["actor"], &said["object"], &said["to"]),
        (&json!(bob.actor), &json!(ann.id), &json!([ann.id]))
    );
    assert!(!said.to_string().contains("for me alone"), "{said}");
    assert!(said.get("cc").is_none());
    // Said twice it is one block.
    let again = hub
        .rpc(&bob.person, "blocks_set", json!({ "actor": ann.id }))
        .await;
    assert_eq!(again["id"], block["id"]);

    // She cannot follow again, and he does not follow her by mistake.
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    ann.send(&hub.shared_inbox(), &follow).await;
    ended(&hub, follow["id"].as_str().unwrap()).await;
    hub.counts("select count(*) from follows", 0).await;
    let (status, refused) = hub
        .tries(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (403, Some("follow.blocked"))
    );
    hub.counts("select count(*) from ap_activities where type = 'Block'", 1)
        .await;
    let hears = format!(
        "select hub.hears_of('{}', a.id)::int::bigint from ap_actors a where a.uri = '{}'",
        bob.person.id, ann.id
    );
    assert_eq!(hub.count(&hears).await, 0);

    hub.rpc(&bob.person, "blocks_undo", json!({ "id": block["id"] }))
        .await;
    // The follow that the block ended was taken back before.
    let mut wanted = 1;
    let undone = loop {
        let undone = peer.wait("Undo", wanted).await;
        let found = undone
            .iter()
            .find(|undo| undo.json["object"]["type"] == "Block");
        match found {
            Some(found) => break found.clone(),
            None => wanted = undone.len() + 1,
        }
    };
    assert_eq!(undone.json["object"]["id"], said["id"]);
    assert_eq!(hub.count(&hears).await, 1);
    let (status, _) = hub
        .tries(&bob.person, "blocks_undo", json!({ "id": block["id"] }))
        .await;
    assert_eq!(status, 404);
    followed_by(&hub, &ann, &bob).await;
}

#[tokio::test]
async fn a_block_written_as_a_row_is_a_block() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    followed_by(&hub, &ann, &bob).await;
    let id = hub
        .text(&format!(
            "select id::text from ap_actors where uri = '{}'",
            ann.id
        ))
        .await
        .unwrap();

    let row = bob
        .person
        .adds(&hub.hub, "blocks", json!({ "actor_id": id }))
        .await;
    peer.wait("Block", 1).await;
    hub.counts("select count(*) from follows", 0).await;
    // Nobody takes another's block back.
    let carla = hub.member("carla").await;
    let (status, _) = hub
        .tries(&carla.person, "blocks_undo", json!({ "id": row["id"] }))
        .await;
    assert_eq!(status, 404);
    hub.deletes(&carla, "blocks", &row).await;
    hub.counts("select count(*) from blocks", 1).await;
    hub.deletes(&bob, "blocks", &row).await;
    hub.until("she is told", async || {
        peer.taken("Undo")
            .iter()
            .any(|undo| undo.json["object"]["type"] == "Block")
            .then_some(())
    })
    .await;
    hub.counts("select count(*) from hub.ended_blocks", 0).await;

    // Within the hub nothing is sent, and follows end as well.
    hub.follows(&carla, &bob.handle).await;
    hub.rpc(&bob.person, "blocks_set", json!({ "actor": carla.handle }))
        .await;
    hub.counts("select count(*) from follows", 0).await;
    let (status, _) = hub
        .tries(
            &carla.person,
            "follows_request",
            json!({ "actor": bob.handle }),
        )
        .await;
    assert_eq!(status, 403);
    let (status, _) = hub
        .tries(&bob.person, "blocks_set", json!({ "actor": bob.handle }))
        .await;
    assert_eq!(status, 400);
    hub.counts("select count(*) from ap_activities where type = 'Block'", 1)
        .await;
    // Whom one has blocked is nobody else's business.
    let seen = carla.person.reads(&hub.hub, "/rest/v1/blocks").await;
    assert_eq!(seen, json!([]));
}

#[tokio::test]
async fn who_is_blocked_elsewhere_sends_nothing_there_any_more() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test", "p2.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    let eve = peers.peer("p2.peer.test").person("eve");
    followed_by(&hub, &ann, &bob).await;
    followed_by(&hub, &eve, &bob).await;
    peer.wait("Accept", 1).await;
    hub.rpc(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;

    // S-43: what somebody says of others or of a group counts for nothing here.
    let carla = hub.member("carla").await;
    for block in [
        eve.activity("Block", json!({ "object": ann.id })),
        eve.activity(
            "Block",
            json!({ "object": carla.actor, "target": bob.actor }),
        ),
        eve.activity(
            "Block",
            json!({ "object": format!("{}/ap/actor", hub.public) }),
        ),
        eve.activity(
            "Block",
            json!({ "object": format!("{}/ap/actors/none", hub.public) }),
        ),
    ] {
        eve.send(&hub.shared_inbox(), &block).await;
        let ended = ended(&hub, block["id"].as_str().unwrap()).await;
        assert!(
            ended.starts_with("ignored") || ended.starts_with("refused"),
            "{ended}: {block}"
        );
    }
    hub.counts("select count(*) from hub.blocked_by", 0).await;
    hub.counts("select count(*) from follows where direction = 'in'", 2)
        .await;

    let block = ann.activity("Block", json!({ "object": bob.actor, "to": [bob.actor] }));
    ann.send(&hub.shared_inbox(), &block).await;
    assert_eq!(ended(&hub, block["id"].as_str().unwrap()).await, "done");
    hub.counts("select count(*) from follows where direction = 'in'", 1)
        .await;
    hub.counts("select count(*) from follows where direction = 'out'", 0)
        .await;
    let (status, _) = hub
        .tries(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    assert_eq!(status, 403);
    // He is not told by any row that he can read.
    let seen = bob.person.reads(&hub.hub, "/rest/v1/blocks").await;
    assert_eq!(seen, json!([]));

    // Only she takes it back.
    let undo = |who: &crate::support::peer::Actor| who.activity("Undo", json!({ "object": block }));
    let forged = undo(&eve);
    eve.send(&hub.shared_inbox(), &forged).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    hub.counts("select count(*) from hub.blocked_by", 1).await;
    let good = undo(&ann);
    ann.send(&hub.shared_inbox(), &good).await;
    assert_eq!(ended(&hub, good["id"].as_str().unwrap()).await, "done");
    hub.counts("select count(*) from hub.blocked_by", 0).await;
    followed_by(&hub, &ann, &bob).await;
}

#[tokio::test]
async fn who_is_muted_is_not_heard_and_never_learns_of_it() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    followed_by(&hub, &ann, &bob).await;
    peer.wait("Accept", 1).await;
    peer.forget();
    let hears = format!(
        "select hub.hears_of('{}', a.id)::int::bigint from ap_actors a where a.uri = '{}'",
        bob.person.id, ann.id
    );
    let mute = hub
        .rpc(&bob.person, "mutes_set", json!({ "actor": ann.id }))
        .await;
    assert_eq!(hub.count(&hears).await, 0);
    hub.counts("select count(*) from follows where direction = 'in'", 1)
        .await;
    let again =
        json!({ "actor": ann.id, "expires_at": chrono::Utc::now() + chrono::TimeDelta::hours(1) });
    assert_eq!(
        hub.rpc(&bob.person, "mutes_set", again).await["id"],
        mute["id"]
    );
    hub.rpc(&bob.person, "mutes_undo", json!({ "id": mute["id"] }))
        .await;
    assert_eq!(hub.count(&hears).await, 1);

    let path = "/rest/v1/mutes";
    let id = hub
        .text(&format!(
            "select id::text from ap_actors where uri = '{}'",
            ann.id
        ))
        .await
        .unwrap();
    bob.person
        .adds(
            &hub.hub,
            "mutes",
            json!({ "actor_id": id, "expires_at": "2020-01-01T00:00:00Z" }),
        )
        .await;
    assert_eq!(hub.count(&hears).await, 1, "its time is over");
    let gone = bob
        .person
        .ask(
            &hub.hub,
            Method::DELETE,
            &format!("{path}?actor_id=eq.{id}"),
        )
        .send()
        .await
        .unwrap();
    assert!(gone.status().is_success());
    assert_eq!(peer.posts().len(), 0, "{:?}", peer.posts());
}

#[tokio::test]
async fn s_152_what_is_in_hand_already_is_not_sent_after_a_block() {
    let (hub, bob, founder, peers) = rig(&["evil.test", "fine.test"], &[]).await;
    let evil = peers.peer("evil.test");
    let (mallory, ann) = (
        evil.person("mallory"),
        peers.peer("fine.test").person("ann"),
    );
    followed_by(&hub, &mallory, &bob).await;
    followed_by(&hub, &ann, &bob).await;
    evil.wait("Accept", 1).await;
    // Whoever takes his time has many letters wait for him in the memory of the process.
    evil.plan([Answer::status(202).after(std::time::Duration::from_millis(3_500))]);
    for n in 0..30 {
        hub.posts(&bob, json!({ "content": format!("News {n}") }))
            .await;
    }
    evil.wait("Create", 1).await;
    let rule = json!({ "domain": "evil.test", "policy": "block" });
    hub.rpc(&founder, "hosts_set_policy", rule).await;
    let at_the_block = evil.posts().len();

    // What was on its way arrives; nothing else does.
    tokio::time::sleep(std::time::Duration::from_secs(14)).await;
    let came = evil.posts().len() - at_the_block;
    assert!(came <= 2, "{came} came after the block");
    hub.counts(
        "select count(*) from ap_deliveries where host like 'evil%' and state = 'waiting'",
        0,
    )
    .await;
    peers.peer("fine.test").wait("Create", 30).await;
}
