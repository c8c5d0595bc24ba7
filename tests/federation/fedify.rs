//! A hub and a server made with Fedify: each follows the other and everything goes both ways, by each signature scheme
//! alone and by the proof alone.

use serde_json::{Value, json};

use crate::support::fedify::Fedify;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::PUBLIC;

#[tokio::test]
async fn fedify_finds_a_hub_account_and_believes_its_proof() {
    let (hub, fedify) = (hub().await, Fedify::start());
    let alice = hub.member("alice").await;

    for how in [json!({}), json!({ "unsigned": true })] {
        let mut with = how;
        with["url"] = json!(alice.actor);
        let found = fedify.does("lookup", with).await;
        assert_eq!(found["id"], json!(alice.actor), "{found}");
        assert_eq!(found["preferredUsername"], "alice");
        assert!(found["publicKey"]["publicKeyPem"].is_string(), "{found}");
        assert!(found["assertionMethod"].is_object() || found["assertionMethod"].is_array());
    }

    let note = note_of(&hub, &alice, json!({ "content": "Hello **there**" })).await;
    let found = fedify.does("lookup", json!({ "url": note })).await;
    assert_eq!(found["type"], "Note", "{found}");
    let proof = fedify.does("verify", json!({ "url": note })).await;
    assert_eq!(proof, json!({ "proof": true, "verified": true }));
}

#[tokio::test]
async fn follows_go_both_ways_and_can_be_taken_back() {
    let (hub, fedify) = (hub().await, Fedify::start());
    let alice = hub.member("alice").await;

    // Fedify follows the hub's account, and stops.
    let follow = fedify
        .sends("follow", json!({ "actor": alice.actor }))
        .await;
    fedify.knows("fay", "following", &alice.actor, true).await;
    let accept = fedify.took("Accept", 1).await.remove(0);
    assert!(verified(&accept), "{accept}");
    followers(&hub, &fedify.actor("fay"), 1).await;
    fedify
        .sends("undo", json!({ "activity": follow["id"] }))
        .await;
    followers(&hub, &fedify.actor("fay"), 0).await;

    // The hub's account follows Fedify's, and stops.
    hub.follows(&alice, &fedify.actor("fay")).await;
    fedify.knows("fay", "followers", &alice.actor, true).await;
    let row = follow_out(&hub, &alice).await;
    hub.rpc(&alice.person, "follows_undo", json!({ "id": row["id"] }))
        .await;
    fedify.knows("fay", "followers", &alice.actor, false).await;

    // Whoever is refused is not followed.
    fedify
        .does("settings", json!({ "answers": "reject" }))
        .await;
    hub.rpc(
        &alice.person,
        "follows_request",
        json!({ "actor": fedify.actor("finn") }),
    )
    .await;
    hub.counts(
        "select count(*) from follows where direction = 'out' and state = 'rejected'",
        1,
    )
    .await;
}

#[tokio::test]
async fn fedify_says_everything_by_itself() {
    says_everything("normal").await;
}

#[tokio::test]
async fn fedify_says_everything_by_draft_cavage_alone() {
    says_everything("cavage").await;
}

#[tokio::test]
async fn fedify_says_everything_by_rfc_9421_alone() {
    says_everything("rfc9421").await;
}

#[tokio::test]
async fn fedify_says_everything_by_its_proof_alone() {
    says_everything("proof").await;
}

#[tokio::test]
async fn fedify_hears_everything_and_checks_what_it_likes() {
    hears_everything("any").await;
}

#[tokio::test]
async fn fedify_hears_everything_by_draft_cavage_alone() {
    hears_everything("cavage").await;
}

#[tokio::test]
async fn fedify_hears_everything_by_rfc_9421_alone() {
    hears_everything("rfc9421").await;
}

#[tokio::test]
async fn fedify_hears_everything_by_the_proof_alone() {
    hears_everything("proof").await;
}

/// Follow, Create, Update, Like, Announce, Undo, Delete from Fedify to the hub.
async fn says_everything(scheme: &str) {
    let (hub, fedify) = (hub().await, Fedify::start());
    let alice = hub.member("alice").await;
    let note = note_of(&hub, &alice, json!({ "content": "Mine" })).await;
    fedify.does("settings", json!({ "outbound": scheme })).await;
    let fay = fedify.actor("fay");

    fedify
        .sends("follow", json!({ "actor": alice.actor }))
        .await;
    fedify.knows("fay", "following", &alice.actor, true).await;
    hub.follows(&alice, &fay).await;

    let to = json!({ "to": [PUBLIC], "cc": [alice.actor] });
    let with = |more: Value| {
        let mut all = to.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let said = fedify
        .sends("create", with(json!({ "content": "<p>First <script>alert(1)</script>words</p>", "in_reply_to": note, "mentions": [alice.actor] })))
        .await;
    let row = hub.reads_post(&alice, "First").await;
    assert_eq!(row["federated_ap_id"], said["object"]);
    assert_eq!(row["in_reply_to"], json!(note));
    assert!(
        !row["content_html"]
            .as_str()
            .unwrap_or_default()
            .contains("script")
    );

    fedify
        .sends(
            "update",
            with(json!({ "object": said["object"], "content": "<p>Second words</p>" })),
        )
        .await;
    let row = hub.reads_post(&alice, "Second").await;
    assert_eq!(row["federated_ap_id"], said["object"]);

    for (what, kind) in [("like", "like"), ("announce", "announce")] {
        let sent = fedify.sends(what, with(json!({ "object": note }))).await;
        let query = format!(
            "select count(*) from reactions where direction = 'in' and type = '{kind}' and object_uri = '{note}'"
        );
        hub.counts(&query, 1).await;
        fedify
            .sends(
                "undo",
                json!({ "activity": sent["id"], "to": [alice.actor] }),
            )
            .await;
        hub.counts(&query, 0).await;
    }

    fedify
        .sends("delete", with(json!({ "object": said["object"] })))
        .await;
    hub.counts(
        &format!(
            "select count(*) from posts where federated_ap_id = '{}'",
            said["object"].as_str().unwrap()
        ),
        0,
    )
    .await;

    // A direct message is nobody else's.
    fedify
        .sends("create", json!({ "content": "<p>Between us</p>", "to": [alice.actor], "mentions": [alice.actor] }))
        .await;
    hub.counts(
        "select count(*) from messages where body like '%Between us%'",
        1,
    )
    .await;
    hub.counts(
        "select count(*) from ap_received where state in ('waiting', 'dead', 'refused')",
        0,
    )
    .await;
}

/// Follow, Create, Update, Like, Announce, Undo, Delete from the hub to Fedify.
async fn hears_everything(scheme: &str) {
    let (hub, fedify) = (hub().await, Fedify::start());
    let alice = hub.member("alice").await;
    let fay = fedify.actor("fay");
    fedify
        .sends("follow", json!({ "actor": alice.actor }))
        .await;
    fedify.knows("fay", "following", &alice.actor, true).await;
    fedify.does("settings", json!({ "inbound": scheme })).await;
    fedify.does("forget", json!({})).await;

    hub.follows(&alice, &fay).await;
    let post = hub
        .posts(
            &alice,
            json!({ "content": "Hello **there**", "summary": "A greeting" }),
        )
        .await;
    let create = heard(&fedify, "Create", scheme).await;
    let object = &create["activity"]["object"];
    assert!(
        object["content"]
            .as_str()
            .unwrap()
            .contains("<strong>there</strong>")
    );
    assert_eq!(object["summary"], "A greeting");

    let path = format!("/rest/v1/posts?id=eq.{}", post["id"].as_str().unwrap());
    let answer = alice
        .person
        .ask(&hub.hub, reqwest::Method::PATCH, &path)
        .json(&json!({ "content": "Hello again" }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    let update = heard(&fedify, "Update", scheme).await;
    assert_eq!(update["activity"]["object"]["id"], object["id"]);
    assert!(update["activity"]["object"]["updated"].as_str() >= object["published"].as_str());

    let said = fedify
        .sends(
            "create",
            json!({ "content": "<p>Something to like</p>", "scheme": "normal" }),
        )
        .await;
    hub.reads_post(&alice, "Something to like").await;
    for (action, kind) in [
        ("reactions_like", "Like"),
        ("reactions_announce", "Announce"),
    ] {
        hub.rpc(&alice.person, action, json!({ "object": said["object"] }))
            .await;
        let activity = heard(&fedify, kind, scheme).await;
        assert_eq!(activity["activity"]["object"], said["object"]);
    }
    let rows = alice
        .person
        .reads(
            &hub.hub,
            "/rest/v1/reactions?direction=eq.out&select=id,type",
        )
        .await;
    for (n, row) in rows.as_array().unwrap().iter().enumerate() {
        hub.rpc(&alice.person, "reactions_undo", json!({ "id": row["id"] }))
            .await;
        fedify.took("Undo", n + 1).await;
    }
    heard(&fedify, "Undo", scheme).await;

    let answer = alice
        .person
        .ask(&hub.hub, reqwest::Method::DELETE, &path)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    let delete = heard(&fedify, "Delete", scheme).await;
    let gone = &delete["activity"]["object"];
    assert!(
        gone == &object["id"] || gone["id"] == object["id"],
        "{delete}"
    );
    hub.counts(
        "select count(*) from ap_deliveries where state in ('waiting', 'dead')",
        0,
    )
    .await;
}

/// The first activity of a type that Fedify took, and by what: the scheme that it insists on did vouch for it.
async fn heard(fedify: &Fedify, kind: &str, scheme: &str) -> Value {
    let got = fedify.took(kind, 1).await.remove(0);
    match scheme {
        "any" => assert!(verified(&got), "{kind}: {got}"),
        "proof" => assert_eq!(got["proof"], true, "{kind}: {got}"),
        scheme => {
            assert_eq!(got["signed"], scheme, "{kind}");
            assert_eq!(got["signature"], true, "{kind}: {got}");
        }
    }
    got
}

/// Both the request's signature and the proof are good.
fn verified(got: &Value) -> bool {
    got["signature"] == true && got["proof"] == true
}

async fn hub() -> Hub {
    Hub::at_localhost().await
}

/// A post's URL for others.
async fn note_of(hub: &Hub, who: &Member, post: Value) -> String {
    let post = hub.posts(who, post).await;
    hub.url_of(&post).await
}

async fn follow_out(hub: &Hub, who: &Member) -> Value {
    let rows = who
        .person
        .reads(&hub.hub, "/rest/v1/follows?direction=eq.out")
        .await;
    rows[0].clone()
}

async fn followers(hub: &Hub, actor: &str, expected: i64) {
    hub.counts(
        &format!("select count(*) from follows f join ap_actors a on a.id = f.actor_id where f.direction = 'in' and f.state = 'accepted' and a.uri = '{actor}'"),
        expected,
    )
    .await;
}
