//! Who may say what about which thing: nobody speaks for others, and what was taken back does not come again.

use serde_json::{Value, json};

use super::inbox::{ended, rig, state};
use crate::support::hubs::Hub;
use crate::support::peer::{Actor, Answer, Keys, PUBLIC, Scheme};

async fn comes_to(hub: &Hub, by: &Actor, activity: &Value) -> String {
    let told = by.send(&hub.shared_inbox(), activity).await;
    assert_eq!(told.status, 202, "{told:?}");
    ended(hub, activity["id"].as_str().unwrap()).await
}

#[tokio::test]
async fn s_23_to_s_32_nobody_speaks_for_others() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let mate = peers.peer("p1.peer.test").person("mate");
    let eve = peers.peer("p2.peer.test").person("eve");
    let posts = "select count(*) from posts";

    // S-23, S-25: somebody else's, on the same server and elsewhere.
    for other in [&mate, &eve] {
        let note = ann.note(
            "<p>not mine</p>",
            &[PUBLIC],
            json!({ "attributedTo": other.id }),
        );
        assert_eq!(
            comes_to(&hub, &ann, &ann.create(&note)).await,
            "refused:attribution_mismatch"
        );
    }
    // S-24: an id of another server.
    let note = ann.note(
        "<p>x</p>",
        &[PUBLIC],
        json!({ "id": format!("{}/notes/1", eve.peer.origin()) }),
    );
    assert_eq!(
        comes_to(&hub, &ann, &ann.create(&note)).await,
        "refused:foreign_object"
    );
    // S-26, S-27, S-31: changing and deleting what is another's.
    let note = mate.note("<p>mine</p>", &[PUBLIC], json!({}));
    for by in [&ann, &eve] {
        let mut update = by.activity("Update", json!({ "object": note }));
        let came = comes_to(&hub, by, &update).await;
        assert!(came.starts_with("refused:"), "{came}");
        update["id"] = json!(format!("{}/again", by.peer.origin()));
        update["object"]["attributedTo"] = json!(by.id);
        let came = comes_to(&hub, by, &update).await;
        assert!(
            !came.starts_with("done") || by.peer.host == mate.peer.host,
            "{came}"
        );
    }
    let delete = eve.activity("Delete", json!({ "object": note["id"] }));
    assert_eq!(
        comes_to(&hub, &eve, &delete).await,
        "refused:foreign_object"
    );
    // S-29, S-32: what is ours.
    for kind in ["Create", "Update", "Delete"] {
        for object in [
            json!(bob.actor),
            json!({ "id": format!("{}/ap/posts/1", hub.public), "type": "Note", "attributedTo": ann.id }),
        ] {
            let activity = ann.activity(kind, json!({ "object": object }));
            assert_eq!(
                comes_to(&hub, &ann, &activity).await,
                "refused:local_object",
                "{kind}"
            );
        }
    }
    let delete = ann.activity(
        "Delete",
        json!({ "object": format!("{}/ap/actor", hub.public) }),
    );
    assert_eq!(comes_to(&hub, &ann, &delete).await, "refused:local_object");
    // S-32: another actor.
    let delete = ann.activity(
        "Delete",
        json!({ "object": { "id": mate.id, "type": "Person" } }),
    );
    assert_eq!(comes_to(&hub, &ann, &delete).await, "refused:not_his");
    assert_eq!(
        hub.count("select count(*) from ap_actors where deleted_at is not null")
            .await,
        0
    );
    assert_eq!(
        hub.count(&format!(
            "{posts} where federated_ap_id like '{}%'",
            eve.peer.origin()
        ))
        .await,
        0
    );
}

#[tokio::test]
async fn s_34_s_35_r_25_what_is_taken_back_stays_taken_back_in_any_order() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let mate = peers.peer("p1.peer.test").person("mate");
    // S-34: Delete before Create, and the Create again.
    let note = ann.note("<p>gone</p>", &[PUBLIC], json!({}));
    let delete = ann.activity(
        "Delete",
        json!({ "object": { "id": note["id"], "type": "Tombstone" } }),
    );
    comes_to(&hub, &ann, &delete).await;
    for _ in 0..2 {
        assert_eq!(
            comes_to(&hub, &ann, &ann.create(&note)).await,
            "ignored:deleted"
        );
    }
    // Nobody else's word buries it.
    let other = ann.note("<p>stays</p>", &[PUBLIC], json!({}));
    let delete = mate.activity("Delete", json!({ "object": other["id"] }));
    comes_to(&hub, &mate, &delete).await;
    assert_ne!(
        comes_to(&hub, &ann, &ann.create(&other)).await,
        "ignored:deleted"
    );

    // Undo before Follow. S-35: only her own.
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    let undo = mate.activity("Undo", json!({ "object": follow }));
    assert_eq!(comes_to(&hub, &mate, &undo).await, "refused:not_his");
    let undo = ann.activity("Undo", json!({ "object": follow }));
    assert_eq!(ann.send(&hub.shared_inbox(), &undo).await.status, 202);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    comes_to(&hub, &ann, &follow).await;
    ended(&hub, undo["id"].as_str().unwrap()).await;
    hub.counts("select count(*) from follows where direction = 'in'", 0)
        .await;

    // Taken back by its id alone.
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    assert_eq!(comes_to(&hub, &ann, &follow).await, "done");
    hub.counts("select count(*) from follows where direction = 'in'", 1)
        .await;
    let undo = ann.activity("Undo", json!({ "object": follow["id"] }));
    assert_eq!(comes_to(&hub, &ann, &undo).await, "done");
    hub.counts("select count(*) from follows where direction = 'in'", 0)
        .await;
}

#[tokio::test]
async fn s_42_a_move_is_believed_when_the_other_side_says_so() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let there = peers.peer("p2.peer.test");
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    assert_eq!(comes_to(&hub, &ann, &follow).await, "done");
    let moves = |target: &str| ann.activity("Move", json!({ "object": ann.id, "target": target }));

    let stranger = there.person("stranger");
    assert_eq!(
        comes_to(&hub, &ann, &moves(&stranger.id)).await,
        "refused:not_known_as"
    );
    assert_eq!(
        comes_to(&hub, &ann, &moves(&bob.actor)).await,
        "refused:not_known_as"
    );
    let further = there.actor(
        "Person",
        "further",
        Keys::fresh(),
        json!({ "alsoKnownAs": [ann.id], "movedTo": stranger.id }),
    );
    assert_eq!(
        comes_to(&hub, &ann, &moves(&further.id)).await,
        "refused:moved_on"
    );
    assert_eq!(
        comes_to(&hub, &ann, &moves("gopher://elsewhere.example/x"))
            .await
            .split(':')
            .next(),
        Some("refused")
    );

    let new = there.actor(
        "Person",
        "new",
        Keys::fresh(),
        json!({ "alsoKnownAs": [ann.id] }),
    );
    assert_eq!(comes_to(&hub, &ann, &moves(&new.id)).await, "done");
    let moved = format!("select moved_to from ap_actors where uri = '{}'", ann.id);
    assert_eq!(hub.text(&moved).await.as_deref(), Some(new.id.as_str()));
    let newer = there.actor(
        "Person",
        "newer",
        Keys::fresh(),
        json!({ "alsoKnownAs": [ann.id] }),
    );
    assert_eq!(
        comes_to(&hub, &ann, &moves(&newer.id)).await,
        "refused:moved_lately"
    );
}

#[tokio::test]
async fn r_26_s_50_an_actor_is_as_he_last_said_and_his_name_is_harmless() {
    let (hub, _bob, _peers, ann) = rig(&[]).await;
    let update = |name: &str, updated: &str| {
        let mut document = ann.document.clone();
        document["name"] = json!(name);
        document["summary"] = json!("<p onclick=\"x\">Hi<script>alert(1)</script></p>");
        document["updated"] = json!(updated);
        ann.activity("Update", json!({ "object": document }))
    };
    let newer = update("\u{202e}nn\u{200b}A \u{0007}✓", "2026-11-26T12:00:00Z");
    assert_eq!(comes_to(&hub, &ann, &newer).await, "done");
    assert_eq!(
        comes_to(&hub, &ann, &update("old", "2026-11-25T12:00:00Z")).await,
        "ignored:older"
    );
    let row = format!(
        "select name || '|' || summary from ap_actors where uri = '{}'",
        ann.id
    );
    assert_eq!(hub.text(&row).await.as_deref(), Some("nnA ✓|<p>Hi</p>"));
}

#[tokio::test]
async fn a_deleted_actor_is_gone_and_a_suspended_one_is_not_heard() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let follow = |who: &Actor| who.activity("Follow", json!({ "object": bob.actor }));
    assert_eq!(comes_to(&hub, &ann, &follow(&ann)).await, "done");
    let delete = ann.activity("Delete", json!({ "object": ann.id, "to": [PUBLIC] }));
    assert_eq!(comes_to(&hub, &ann, &delete).await, "done");
    let rows = hub.count("select count(*) from ap_received").await;
    let gone = format!(
        "select count(*) from ap_actors where uri = '{}' and deleted_at is not null",
        ann.id
    );
    assert_eq!(hub.count(&gone).await, 1);
    // Her key is forgotten; what comes later in her name is taken and let go.
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    assert_eq!(
        ann.send(&hub.shared_inbox(), &follow(&ann)).await.status,
        202
    );
    assert_eq!(hub.count("select count(*) from ap_received").await, rows);

    let mate = peers.peer("p1.peer.test").person("mate");
    assert_eq!(comes_to(&hub, &mate, &follow(&mate)).await, "done");
    let admin = hub.hub.database.admin().await;
    admin
        .execute(
            "update ap_actors set suspended_at = now() where uri = $1",
            &[&mate.id],
        )
        .await
        .unwrap();
    let late = follow(&mate);
    assert_eq!(comes_to(&hub, &mate, &late).await, "refused:suspended");
}

#[tokio::test]
async fn what_others_pass_on_counts_as_its_origin_shows_it() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let eve = peers.peer("p2.peer.test").person("eve");
    // Shown by its origin: taken as it stands there, not as it came.
    let note = ann.note("<p>true</p>", &[PUBLIC], json!({}));
    let create = ann.create(&note);
    let path = create["id"]
        .as_str()
        .unwrap()
        .strip_prefix(&ann.peer.origin())
        .unwrap()
        .to_owned();
    ann.peer.serve(&path, &create);
    let mut copy = create.clone();
    copy["object"]["content"] = json!("<p>forged</p>");
    let told = eve
        .send_by(Scheme::Cavage, &hub.shared_inbox(), copy.to_string())
        .await;
    assert_eq!(told.status, 202, "{told:?}");
    ended(&hub, create["id"].as_str().unwrap()).await;
    let body = format!(
        "select body from ap_received where uri = '{}'",
        create["id"].as_str().unwrap()
    );
    let body = hub.text(&body).await.unwrap();
    assert!(body.contains("true") && !body.contains("forged"), "{body}");

    // Not shown: nothing is kept.
    let other = ann.create(&ann.note(
        "<p>x</p>",
        &[PUBLIC],
        json!({ "id": format!("{}/notes/none", ann.peer.origin()) }),
    ));
    assert_eq!(eve.send(&hub.shared_inbox(), &other).await.status, 202);
    // Nobody passes a wish to follow on.
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    assert_eq!(eve.send(&hub.shared_inbox(), &follow).await.status, 401);
    ann.peer.serve_as("/late", Answer::status(404));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(state(&hub, other["id"].as_str().unwrap()).await, None);
    assert_eq!(state(&hub, follow["id"].as_str().unwrap()).await, None);
}

#[tokio::test]
async fn s_35_nobody_takes_back_anothers_like_in_his_own_name_nor_answers_for_another() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let (mate, eve) = (
        peers.peer("p1.peer.test").person("mate"),
        peers.peer("p2.peer.test").person("eve"),
    );
    let post = hub.posts(&bob, json!({ "content": "Mine" })).await;
    let url = hub.url_of(&post).await;
    let like = ann.activity("Like", json!({ "object": url }));
    assert_eq!(comes_to(&hub, &ann, &like).await, "done");
    // The id is another's, the name in it one's own.
    for thief in [&mate, &eve] {
        let inner = json!({ "type": "Like", "id": like["id"], "actor": thief.id, "object": url });
        let undo = thief.activity("Undo", json!({ "object": inner }));
        let came = comes_to(&hub, thief, &undo).await;
        assert!(!came.starts_with("done"), "{came}");
    }
    hub.counts("select count(*) from reactions where direction = 'in'", 1)
        .await;

    // Who was not asked does not answer: neither his neighbour nor anybody else.
    hub.rpc(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    let asked = ann.peer.wait("Follow", 1).await.remove(0).json;
    for other in [&mate, &eve] {
        for object in [asked["id"].clone(), asked.clone()] {
            for word in ["Accept", "Reject"] {
                let answer = other.activity(word, json!({ "object": object }));
                let came = comes_to(&hub, other, &answer).await;
                assert!(!came.starts_with("done"), "{word}: {came}");
            }
        }
    }
    let pending = "select count(*) from follows where direction = 'out' and state = 'pending'";
    assert_eq!(hub.count(pending).await, 1);
    let accept = ann.activity("Accept", json!({ "object": asked["id"] }));
    assert_eq!(comes_to(&hub, &ann, &accept).await, "done");
}
