//! Posts of both sides: what goes out when rows change, what comes in and becomes a row, and what must not.

use reqwest::Method;
use serde_json::{Value, json};

use crate::inbox::ended;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{ACTIVITY, Actor, Answer, PUBLIC, Peers};

/// A hub with bob, a peer with ann; each follows the other, and fay and guy follow nobody.
pub struct Scene {
    pub hub: Hub,
    pub bob: Member,
    _peers: Peers,
    pub ann: Actor,
    pub stranger: Actor,
    pub elsewhere: Actor,
}

impl Scene {
    pub async fn set() -> Self {
        let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
        let hub = Hub::start("posts", &peers.resolve(), &[]).await;
        let bob = hub.member("bob").await;
        let (one, two) = (peers.peer("p1.peer.test"), peers.peer("p2.peer.test"));
        let (ann, stranger, elsewhere) = (one.person("ann"), one.person("fay"), two.person("guy"));
        let scene = Self {
            hub,
            bob,
            _peers: peers,
            ann,
            stranger,
            elsewhere,
        };
        scene.follows_bob(&scene.ann).await;
        scene
            .hub
            .rpc(
                &scene.bob.person,
                "follows_request",
                json!({ "actor": scene.ann.id }),
            )
            .await;
        let follow = scene.ann.peer.wait("Follow", 1).await.remove(0).json;
        let accept = scene.ann.activity(
            "Accept",
            json!({ "object": follow, "to": [scene.bob.actor] }),
        );
        assert_eq!(scene.tells(&scene.ann, &accept).await, "done");
        scene
    }

    pub async fn follows_bob(&self, who: &Actor) {
        let follow = who.activity("Follow", json!({ "object": self.bob.actor }));
        assert_eq!(self.tells(who, &follow).await, "done");
    }

    /// Somebody sends something; what became of it.
    pub async fn tells(&self, who: &Actor, activity: &Value) -> String {
        let told = who.send(&self.hub.shared_inbox(), activity).await;
        assert_eq!(told.status, 202, "{}", told.body);
        ended(&self.hub, activity["id"].as_str().unwrap()).await
    }

    pub async fn row(&self, uri: &Value) -> Option<Value> {
        let uri = uri.as_str().unwrap();
        let row = format!("select to_jsonb(p)::text from posts p where federated_ap_id = '{uri}'");
        let row = self.hub.text(&row).await;
        row.map(|row| serde_json::from_str(&row).unwrap())
    }

    /// The bytes of a row, to see that nothing changed.
    pub async fn bytes(&self, uri: &str) -> String {
        let row = format!("select p::text from posts p where federated_ap_id = '{uri}'");
        self.hub.text(&row).await.unwrap()
    }

    /// What a peer got of a kind about an object.
    pub async fn got(&self, who: &Actor, kind: &str, uri: &str) -> Value {
        self.hub
            .until(&format!("{kind} of {uri} at {}", who.name), async || {
                let about = |it: &Value| it["object"] == uri || it["object"]["id"] == uri;
                let taken = who.peer.taken(kind);
                taken.into_iter().map(|it| it.json).find(about)
            })
            .await
    }
}

#[tokio::test]
async fn a_public_post_goes_to_a_follower_and_changes_and_goes() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let post = hub
        .posts(bob, json!({ "content": "A **blue** bike #Rust", "summary": "Bikes", "language": "en", "attachments": [{ "type": "Image", "url": "https://x.example/b.png", "name": "a bike" }] }))
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    assert_eq!(
        uri,
        format!("{}/ap/posts/{}", hub.public, post["id"].as_str().unwrap())
    );
    let create = scene.got(&scene.ann, "Create", &uri).await;
    let note = &create["object"];
    assert_eq!((&create["to"], &create["cc"]), (&note["to"], &note["cc"]));
    assert_eq!(note["to"], json!([PUBLIC]));
    assert_eq!(note["cc"], json!([format!("{}/followers", bob.actor)]));
    assert!(
        note["content"]
            .as_str()
            .unwrap()
            .contains("<strong>blue</strong>"),
        "{note}"
    );
    assert_eq!(
        (&note["summary"], &note["sensitive"]),
        (&json!("Bikes"), &json!(true))
    );
    assert_eq!(note["contentMap"]["en"], note["content"]);
    assert_eq!(note["tag"][0]["name"], "#Rust");
    assert_eq!(note["attachment"][0]["type"], "Image");
    assert!(!create.to_string().contains(":null"), "{create}");

    // The same at its address, with a proof of its own.
    let shown = hub.ask(&uri).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let mut alone = shown.json();
    assert!(
        alone["proof"]["verificationMethod"]
            .as_str()
            .unwrap()
            .starts_with(&bob.actor)
    );
    for added in ["proof", "@context"] {
        alone.as_object_mut().unwrap().remove(added);
    }
    assert_eq!(&alone, note);
    assert_eq!(
        hub.ask(&uri).await.body,
        shown.body,
        "the same bytes each time"
    );

    hub.changes(bob, "posts", &post, json!({ "content": "A red bike" }))
        .await;
    let update = scene.got(&scene.ann, "Update", &uri).await;
    assert!(update["object"]["updated"].as_str() > note["updated"].as_str());
    assert!(update["object"]["mo:version"].as_i64() > note["mo:version"].as_i64());
    assert_eq!(update["object"]["published"], note["published"]);

    // Who got it is told that it is gone, also if he does not follow any more.
    let undo = scene.ann.activity(
        "Undo",
        json!({ "object": { "type": "Follow", "actor": scene.ann.id, "object": bob.actor } }),
    );
    scene.tells(&scene.ann, &undo).await;
    hub.deletes(bob, "posts", &post).await;
    let delete = scene.got(&scene.ann, "Delete", &uri).await;
    assert_eq!(delete["object"]["type"], "Tombstone");
}

#[tokio::test]
async fn s_95_what_is_deleted_is_gone_for_everybody() {
    let scene = Scene::set().await;
    let post = scene
        .hub
        .posts(&scene.bob, json!({ "content": "To be forgotten" }))
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    let create = scene.got(&scene.ann, "Create", &uri).await;
    scene.hub.deletes(&scene.bob, "posts", &post).await;
    scene.got(&scene.ann, "Delete", &uri).await;
    let gone = scene.hub.ask(&uri).await;
    assert_eq!(gone.status, 410);
    assert_eq!(
        (&gone.json()["type"], &gone.json()["id"]),
        (&json!("Tombstone"), &json!(uri))
    );
    assert!(!gone.body.contains("forgotten"));
    for part in ["", "/replies", "/likes"] {
        let told = scene.hub.ask(&format!("{uri}{part}")).await;
        assert!(
            !told.body.contains("forgotten") && told.status >= 400,
            "{part}: {}",
            told.body
        );
    }
    let activity = scene.hub.ask(create["id"].as_str().unwrap()).await;
    assert!(!activity.body.contains("forgotten"), "{}", activity.body);
    let outbox = scene
        .hub
        .ask(&format!("{}/outbox?page=true", scene.bob.actor))
        .await;
    assert!(!outbox.body.contains("forgotten"), "{}", outbox.body);
}

#[tokio::test]
async fn many_at_once_and_an_upsert_go_out_too() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let rows: Vec<Value> = (0..5)
        .map(|n| json!({ "content": format!("Bulk {n}") }))
        .collect();
    let answer = bob
        .person
        .ask(&hub.hub, Method::POST, "/rest/v1/posts")
        .header("Prefer", "return=representation")
        .json(&rows)
        .send()
        .await
        .unwrap();
    let rows: Value = answer.json().await.unwrap();
    for row in rows.as_array().unwrap() {
        scene
            .got(
                &scene.ann,
                "Create",
                row["federated_ap_id"].as_str().unwrap(),
            )
            .await;
    }
    let answer = bob
        .person
        .ask(&hub.hub, Method::POST, "/rest/v1/posts")
        .header("Prefer", "resolution=merge-duplicates")
        .json(&json!([{ "id": rows[0]["id"], "content": "Bulk, merged" }]))
        .send()
        .await
        .unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
    let update = scene
        .got(
            &scene.ann,
            "Update",
            rows[0]["federated_ap_id"].as_str().unwrap(),
        )
        .await;
    assert_eq!(update["object"]["content"], "<p>Bulk, merged</p>");
}

#[tokio::test]
async fn who_is_named_and_not_known_is_looked_for_and_the_rest_goes() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let nobody = format!("{}/users/nobody", scene.elsewhere.peer.origin());
    let post = hub
        .posts(
            bob,
            json!({ "content": "Hi there", "recipients": [scene.elsewhere.id, nobody] }),
        )
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    let create = scene.got(&scene.elsewhere, "Create", &uri).await;
    assert_eq!(
        create["object"]["tag"][0]["href"],
        json!(scene.elsewhere.id)
    );
    scene.got(&scene.ann, "Create", &uri).await;
    assert_eq!(
        scene.row(&json!(uri)).await.unwrap()["unreached"],
        json!([nobody])
    );
    hub.counts(
        "select count(*) from notification_events where event_type = 'post.unreached'",
        1,
    )
    .await;
    let told = hub.text("select payload->>'message' from notification_events where event_type = 'post.unreached'").await;
    assert!(told.unwrap().contains("nobody"));

    // More than fifty are refused, and nothing is written.
    let many: Vec<String> = (0..51)
        .map(|n| format!("https://x{n}.example/users/x"))
        .collect();
    let answer = bob
        .person
        .ask(&hub.hub, Method::POST, "/rest/v1/posts")
        .json(&json!({ "content": "Spam", "recipients": many }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_client_error());
    assert_eq!(
        hub.count("select count(*) from posts where content = 'Spam'")
            .await,
        0
    );
}

#[tokio::test]
async fn one_speaks_for_what_one_runs_and_for_nobody_else() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let carl = hub.member("carl").await;
    let agent = bob
        .person
        .adds(&hub.hub, "agents", json!({ "name": "Robot" }))
        .await;
    let actor = hub
        .rpc(
            &bob.person,
            "actors_publish",
            json!({ "kind": "agent", "id": agent["id"] }),
        )
        .await;
    let post = hub
        .posts(
            bob,
            json!({ "content": "Beep", "author_actor_id": actor["id"] }),
        )
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap();
    hub.counts(
        &format!(
            "select count(*) from ap_activities where object_uri = '{uri}' and actor_id = '{}'",
            actor["id"].as_str().unwrap()
        ),
        1,
    )
    .await;
    assert_eq!(hub.ask(uri).await.json()["attributedTo"], actor["uri"]);
    let answer = carl
        .person
        .ask(&hub.hub, Method::POST, "/rest/v1/posts")
        .json(&json!({ "content": "Stolen voice", "author_actor_id": actor["id"] }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(
        hub.count("select count(*) from posts where content = 'Stolen voice'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_note_of_somebody_followed_becomes_a_row_and_others_do_not() {
    let scene = Scene::set().await;
    let note = scene.ann.note(
        "<p>Hello <script>x</script><b>all</b></p>",
        &[PUBLIC],
        json!({ "summary": "CW", "tag": [{ "type": "Hashtag", "name": "#rust" }] }),
    );
    assert_eq!(
        scene.tells(&scene.ann, &scene.ann.create(&note)).await,
        "done"
    );
    let row = scene.row(&note["id"]).await.unwrap();
    assert_eq!(
        (&row["content"], &row["content_html"]),
        (&json!("Hello all"), &json!("<p>Hello <b>all</b></p>"))
    );
    assert_eq!(
        (&row["visibility"], &row["summary"], &row["tags"]),
        (&json!("public"), &json!("CW"), &json!(["rust"]))
    );
    let again = scene.ann.create(&note);
    assert_eq!(
        scene.tells(&scene.ann, &again).await.split(':').next(),
        Some("done"),
        "a later word about the same"
    );

    let note = scene.stranger.note("<p>Buy!</p>", &[PUBLIC], json!({}));
    assert_eq!(
        scene
            .tells(&scene.stranger, &scene.stranger.create(&note))
            .await,
        "ignored:not_wanted"
    );
    assert_eq!(scene.row(&note["id"]).await, None);
    let named = scene
        .stranger
        .note("<p>Hey</p>", &[PUBLIC, &scene.bob.actor], json!({}));
    assert_eq!(
        scene
            .tells(&scene.stranger, &scene.stranger.create(&named))
            .await,
        "done"
    );
    scene
        .hub
        .counts(
            "select count(*) from notification_events where event_type = 'post.mentioned'",
            1,
        )
        .await;
}

#[tokio::test]
async fn a_poll_comes_with_its_counts_and_they_change() {
    let scene = Scene::set().await;
    let poll = |votes: i64, at: &str| {
        json!({ "type": "Question", "updated": at, "endTime": "2030-01-01T00:00:00Z", "votersCount": votes,
            "oneOf": [{ "type": "Note", "name": "Yes", "replies": { "type": "Collection", "totalItems": votes } }, { "type": "Note", "name": "No", "replies": { "totalItems": 0 } }] })
    };
    let note = scene
        .ann
        .note("<p>Well?</p>", &[PUBLIC], poll(1, "2026-11-01T00:00:00Z"));
    assert_eq!(
        scene.tells(&scene.ann, &scene.ann.create(&note)).await,
        "done"
    );
    let mut later = note.clone();
    later
        .as_object_mut()
        .unwrap()
        .extend(poll(5, "2027-11-01T00:00:00Z").as_object().unwrap().clone());
    let update = scene
        .ann
        .activity("Update", json!({ "object": later, "to": [PUBLIC] }));
    assert_eq!(scene.tells(&scene.ann, &update).await, "done");
    let row = scene.row(&note["id"]).await.unwrap();
    assert_eq!(
        row["poll"]["options"][0],
        json!({ "name": "Yes", "votes": 5 })
    );
    assert_eq!(
        (&row["type"], &row["poll"]["voters"]),
        (&json!("Question"), &json!(5))
    );
}

#[tokio::test]
async fn s_23_s_24_s_25_what_is_not_the_authors_own_is_not_stored() {
    let scene = Scene::set().await;
    let theirs = scene.elsewhere.note("<p>Mine</p>", &[PUBLIC], json!({}));
    let neighbours = scene.stranger.note("<p>Ours</p>", &[PUBLIC], json!({}));
    let mut forged = scene.ann.note("<p>Forged</p>", &[PUBLIC], json!({}));
    forged["attributedTo"] = json!(scene.elsewhere.id);
    for note in [&theirs, &neighbours, &forged] {
        let mut copy = note.clone();
        copy["content"] = json!("<p>Changed on the way</p>");
        let state = scene.tells(&scene.ann, &scene.ann.create(&copy)).await;
        assert!(!state.starts_with("done"), "{state}");
    }
    assert_eq!(scene.hub.count("select count(*) from posts where content like '%Changed%' or content like '%Forged%'").await, 0);
}

#[tokio::test]
async fn s_26_s_27_s_31_nobody_else_changes_or_deletes_a_post() {
    let scene = Scene::set().await;
    let note = scene.ann.note("<p>Hello</p>", &[PUBLIC], json!({}));
    scene.tells(&scene.ann, &scene.ann.create(&note)).await;
    let uri = note["id"].as_str().unwrap();
    let before = scene.bytes(uri).await;
    for thief in [&scene.stranger, &scene.elsewhere] {
        for owner in [&scene.ann.id, &thief.id] {
            let mut changed = note.clone();
            changed["content"] = json!("<p>Stolen</p>");
            changed["attributedTo"] = json!(owner);
            changed["updated"] = json!("2027-01-01T00:00:00Z");
            let update = thief.activity("Update", json!({ "object": changed, "to": [PUBLIC] }));
            let state = scene.tells(thief, &update).await;
            assert!(!state.starts_with("done"), "{state}");
        }
        for object in [json!(uri), json!({ "type": "Tombstone", "id": uri })] {
            let delete = thief.activity("Delete", json!({ "object": object, "to": [PUBLIC] }));
            let state = scene.tells(thief, &delete).await;
            assert!(!state.starts_with("done"), "{state}");
        }
        assert_eq!(scene.bytes(uri).await, before);
    }
    let delete = scene.ann.activity(
        "Delete",
        json!({ "object": { "type": "Tombstone", "id": uri }, "to": [PUBLIC] }),
    );
    assert_eq!(scene.tells(&scene.ann, &delete).await, "done");
    assert_eq!(scene.row(&note["id"]).await, None);
}

#[tokio::test]
async fn s_29_nobody_writes_our_own_objects() {
    let scene = Scene::set().await;
    let post = scene
        .hub
        .posts(&scene.bob, json!({ "content": "Mine alone" }))
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    scene.got(&scene.ann, "Create", &uri).await;
    scene
        .hub
        .counts(
            &format!(
                "select count(*) from posts where sent_at is not null and federated_ap_id = '{uri}'"
            ),
            1,
        )
        .await;
    let before = scene.bytes(&uri).await;
    let copy = json!({ "id": uri, "type": "Note", "attributedTo": scene.ann.id, "content": "<p>Taken</p>", "to": [PUBLIC] });
    for activity in [
        scene
            .ann
            .activity("Create", json!({ "object": copy, "to": [PUBLIC] })),
        scene
            .ann
            .activity("Update", json!({ "object": copy, "to": [PUBLIC] })),
        scene
            .ann
            .activity("Delete", json!({ "object": uri, "to": [PUBLIC] })),
    ] {
        assert_eq!(
            scene.tells(&scene.ann, &activity).await,
            "refused:local_object"
        );
    }
    assert_eq!(scene.bytes(&uri).await, before);
}

#[tokio::test]
async fn likes_and_boosts_are_counted_once_and_taken_back_by_their_own_hand() {
    let scene = Scene::set().await;
    let post = scene
        .hub
        .posts(&scene.bob, json!({ "content": "Mine" }))
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    let counts = async || {
        let row = scene.row(&json!(uri)).await.unwrap();
        (
            row["likes_count"].as_i64().unwrap(),
            row["announces_count"].as_i64().unwrap(),
        )
    };
    let like = scene.ann.activity("Like", json!({ "object": uri }));
    let boost = scene
        .ann
        .activity("Announce", json!({ "object": uri, "to": [PUBLIC] }));
    assert_eq!(scene.tells(&scene.ann, &like).await, "done");
    assert_eq!(scene.tells(&scene.ann, &boost).await, "done");
    let again = scene
        .ann
        .activity("EmojiReact", json!({ "object": uri, "content": "x" }));
    assert_eq!(scene.tells(&scene.ann, &again).await, "repeated");
    assert_eq!(counts().await, (1, 1));
    assert_eq!(
        scene.hub.ask(&format!("{uri}/likes")).await.json()["totalItems"],
        1
    );
    let shares = scene
        .hub
        .ask(&format!("{uri}/shares?page=true"))
        .await
        .json();
    assert_eq!(shares["orderedItems"], json!([boost["id"]]));

    // S-35: nobody takes back what another did.
    for inner in [
        json!(like["id"]),
        json!({ "type": "Like", "id": like["id"], "actor": scene.ann.id, "object": uri }),
    ] {
        for thief in [&scene.stranger, &scene.elsewhere] {
            let undo = thief.activity("Undo", json!({ "object": inner }));
            let state = scene.tells(thief, &undo).await;
            assert!(!state.starts_with("done"), "{state}");
        }
    }
    assert_eq!(counts().await, (1, 1));
    for inner in [&like, &boost] {
        let undo = scene.ann.activity("Undo", json!({ "object": inner }));
        assert_eq!(scene.tells(&scene.ann, &undo).await, "done");
    }
    assert_eq!(counts().await, (0, 0));
}

#[tokio::test]
async fn reactions_of_ours_go_to_the_author_and_back() {
    let scene = Scene::set().await;
    let note = scene.ann.note("<p>Hello</p>", &[PUBLIC], json!({}));
    scene.tells(&scene.ann, &scene.ann.create(&note)).await;
    for (action, kind) in [
        ("reactions_like", "Like"),
        ("reactions_announce", "Announce"),
    ] {
        let made = scene
            .hub
            .rpc(&scene.bob.person, action, json!({ "object": note["id"] }))
            .await;
        let again = scene
            .hub
            .rpc(&scene.bob.person, action, json!({ "object": note["id"] }))
            .await;
        assert_eq!(made["id"], again["id"]);
        let sent = scene
            .got(&scene.ann, kind, note["id"].as_str().unwrap())
            .await;
        scene
            .hub
            .rpc(
                &scene.bob.person,
                "reactions_undo",
                json!({ "id": made["id"] }),
            )
            .await;
        let undo = scene
            .got(&scene.ann, "Undo", sent["id"].as_str().unwrap())
            .await;
        assert_eq!(undo["object"]["object"], note["id"]);
    }
    assert_eq!(scene.ann.peer.taken("Like").len(), 1);
    let (status, _) = scene
        .hub
        .tries(
            &scene.bob.person,
            "reactions_like",
            json!({ "object": uuid::Uuid::now_v7() }),
        )
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_somebody_followed_passes_on_is_fetched_and_kept() {
    let scene = Scene::set().await;
    let note = scene
        .elsewhere
        .note("<p>From afar</p>", &[PUBLIC], json!({}));
    let boost = scene
        .stranger
        .activity("Announce", json!({ "object": note["id"], "to": [PUBLIC] }));
    let state = scene.tells(&scene.stranger, &boost).await;
    assert!(state.starts_with("ignored"), "{state}");
    assert_eq!(scene.row(&note["id"]).await, None);
    let boost = scene
        .ann
        .activity("Announce", json!({ "object": note["id"], "to": [PUBLIC] }));
    assert_eq!(scene.tells(&scene.ann, &boost).await, "done");
    assert_eq!(scene.row(&note["id"]).await.unwrap()["announces_count"], 1);
    let seen = scene
        .bob
        .person
        .reads(&scene.hub.hub, "/rest/v1/reactions?type=eq.announce")
        .await;
    assert_eq!(seen.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_has_received_a_post_is_its_authors_to_see() {
    let scene = Scene::set().await;
    let carl = scene.hub.member("carl").await;
    let post = scene
        .hub
        .posts(&scene.bob, json!({ "content": "Mine" }))
        .await;
    scene
        .got(
            &scene.ann,
            "Create",
            post["federated_ap_id"].as_str().unwrap(),
        )
        .await;
    scene
        .hub
        .counts(
            "select count(*) from ap_deliveries where state = 'waiting'",
            0,
        )
        .await;
    for object in [&post["id"], &post["federated_ap_id"]] {
        let told = scene
            .hub
            .rpc(
                &scene.bob.person,
                "deliveries_of",
                json!({ "object": object }),
            )
            .await;
        assert_eq!(told[0]["host"], json!(scene.ann.peer.host), "{told}");
        assert_eq!(told[0]["state"], "done");
        let (status, _) = scene
            .hub
            .tries(&carl.person, "deliveries_of", json!({ "object": object }))
            .await;
        assert_eq!(status, 404);
    }
}

#[tokio::test]
async fn a_quote_is_granted_for_what_is_public_and_for_nothing_else() {
    let scene = Scene::set().await;
    for (visibility, answer) in [("public", "Accept"), ("followers", "Reject")] {
        let post = scene
            .hub
            .posts(
                &scene.bob,
                json!({ "content": "Mine", "visibility": visibility }),
            )
            .await;
        let quote = scene.ann.note("<p>Look</p>", &[PUBLIC], json!({}));
        let asked = scene.ann.activity(
            "QuoteRequest",
            json!({ "object": post["federated_ap_id"], "instrument": quote["id"] }),
        );
        assert_eq!(scene.tells(&scene.ann, &asked).await, "done");
        let answered = scene
            .got(&scene.ann, answer, asked["id"].as_str().unwrap())
            .await;
        if answer == "Accept" {
            let permit = scene.hub.ask(answered["result"].as_str().unwrap()).await;
            assert_eq!(permit.status, 200, "{}", permit.body);
            let permit = permit.json();
            assert_eq!(permit["type"], "QuoteAuthorization");
            assert_eq!(
                (&permit["interactingObject"], &permit["interactionTarget"]),
                (&quote["id"], &post["federated_ap_id"])
            );
        }
    }
}

/// Everything about one post in any order ends the same.
#[tokio::test]
async fn r_25_r_26_every_order_ends_the_same() {
    let scene = Scene::set().await;
    let mut ends = std::collections::BTreeSet::new();
    // All 24 orders of four.
    let orders = (0..256).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6]);
    let orders = orders.filter(|order| (0..4).all(|at| order.contains(&at)));
    let mut tried = 0;
    for order in orders {
        tried += 1;
        let note = scene.ann.note(
            "<p>First</p>",
            &[PUBLIC],
            json!({ "published": "2026-11-01T00:00:00Z" }),
        );
        let changed = |content: &str, at: &str| {
            let mut changed = note.clone();
            changed["content"] = json!(format!("<p>{content}</p>"));
            changed["updated"] = json!(at);
            scene
                .ann
                .activity("Update", json!({ "object": changed, "to": [PUBLIC] }))
        };
        let said = [
            scene.ann.create(&note),
            changed("Second", "2026-11-02T00:00:00Z"),
            changed("Third", "2026-11-03T00:00:00Z"),
            changed("Second", "2026-11-02T00:00:00Z"),
        ];
        for at in order {
            scene.tells(&scene.ann, &said[at]).await;
        }
        let row = scene.row(&note["id"]).await.unwrap();
        ends.insert(format!(
            "{} {} {}",
            row["content"], row["edited_at"], row["published_at"]
        ));

        // Gone is gone, whatever comes after it.
        let delete = scene
            .ann
            .activity("Delete", json!({ "object": note["id"], "to": [PUBLIC] }));
        assert_eq!(scene.tells(&scene.ann, &delete).await, "done");
        let late = scene.ann.create(&note);
        scene.tells(&scene.ann, &late).await;
        assert_eq!(scene.row(&note["id"]).await, None);
    }
    assert_eq!(tried, 24);
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert!(ends.first().unwrap().contains("Third"));
}

#[tokio::test]
async fn s_57_long_lists_and_odd_shapes_are_taken_or_refused() {
    let scene = Scene::set().await;
    let odd = [
        json!({ "type": ["Note", "Thing"] }),
        json!({ "to": PUBLIC }),
        json!({ "to": { "id": PUBLIC } }),
        json!({ "attributedTo": [{ "type": "Person", "id": scene.ann.id }] }),
        json!({ "tag": (0..5_000).map(|n| json!({ "type": "Hashtag", "name": format!("#t{n}") })).collect::<Vec<_>>() }),
        json!({ "attachment": (0..5_000).map(|n| json!({ "type": "Image", "url": format!("https://x.example/{n}") })).collect::<Vec<_>>() }),
        json!({ "to": [PUBLIC], "cc": (0..5_000).map(|n| format!("https://x.example/{n}")).collect::<Vec<_>>() }),
        json!({ "content": 7, "contentMap": [1], "name": {}, "tag": 7, "attachment": "x", "published": {}, "inReplyTo": 7 }),
        json!({ "content": "\u{202e}evil\u{0007}" }),
    ];
    for more in odd {
        let mut note = scene.ann.note("<p>Odd</p>", &[PUBLIC], json!({}));
        note.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let state = scene.tells(&scene.ann, &scene.ann.create(&note)).await;
        assert!(!state.starts_with("dead"), "{state}");
    }
    let many: Vec<Value> = (0..10_000)
        .map(|n| json!(format!("https://x.example/{n}")))
        .collect();
    let create = scene
        .ann
        .activity("Create", json!({ "object": many, "to": [PUBLIC] }));
    let told = scene.ann.send(&scene.hub.shared_inbox(), &create).await;
    assert!((200..500).contains(&told.status), "{}", told.status);
}

#[tokio::test]
async fn whose_server_is_down_for_a_moment_is_not_unreached() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let peer = &scene.elsewhere.peer;
    let late = peer.person("late");
    let document = Answer::status(200)
        .header("Content-Type", ACTIVITY)
        .text(late.document.to_string());
    peer.plan_at("/users/late", [Answer::status(503), document]);

    let post = hub
        .posts(bob, json!({ "content": "Hi all", "recipients": [late.id] }))
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    scene.got(&scene.ann, "Create", &uri).await;
    let row = scene.row(&json!(uri)).await.unwrap();
    assert_eq!(row["unreached"], json!([]), "{row}");
    assert!(peer.taken("Create").is_empty());
    hub.counts(
        "select count(*) from ap_hosts where failures > 0 or retry_at is not null",
        0,
    )
    .await;

    let admin = hub.hub.database.admin().await;
    hub.until("the job waits", async || {
        let soon = "update job_records set scheduled_for = now() \
                    where job_type = 'social.address' and status = 'enqueued' and attempts = 1";
        (admin.execute(soon, &[]).await.unwrap() == 1).then_some(())
    })
    .await;
    let create = scene.got(&late, "Create", &uri).await;
    assert_eq!(create["object"]["tag"][0]["href"], json!(late.id));
    let row = scene.row(&json!(uri)).await.unwrap();
    assert_eq!(row["unreached"], json!([]), "{row}");
    hub.counts(
        "select count(*) from hub.journal where verb = 'post.unreached'",
        0,
    )
    .await;
}
