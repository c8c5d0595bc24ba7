//! What is said in public about listings, declarations and proposals: kept as a comment whether it names anybody or not, told
//! to whom it concerns, and not from whom he has blocked or muted.

use serde_json::{Value, json};

use super::daos::found;
use super::trade::declares;
use super::votes::{asks, comes_to, sends, time_passes};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, PUBLIC, Peers};

/// A public answer that names nobody.
fn answer(from: &Actor, to: &str, words: &str) -> Value {
    from.note(
        &format!("<p>{words}</p>"),
        &[PUBLIC],
        json!({ "inReplyTo": to }),
    )
}

/// How often somebody was told of an answer or that he is named.
fn told(who: &Member) -> String {
    format!(
        "select count(*) from hub.journal where verb in ('post.replied', 'post.mentioned') and owner_id = '{}'",
        who.person.id
    )
}

async fn sells(hub: &Hub, who: &Member, status: &str) -> (Value, String) {
    let row = json!({ "listing_type": "physical", "title": "A lamp", "status": status, "price_type": "free" });
    let row = who.person.adds(&hub.hub, "listings", row).await;
    let uri = row["federated_ap_id"].as_str().unwrap().to_owned();
    (row, uri)
}

async fn replies(hub: &Hub, uri: &str) -> Value {
    let page = hub.ask(&format!("{uri}/replies?page=true")).await.json();
    page["orderedItems"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_answer_that_names_nobody_is_kept() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let alice = hub.member("alice").await;
    let petra = peers.peer("p1.peer.test").person("petra");
    let (_, listing) = sells(&hub, &alice, "active").await;
    let bread = json!({ "decl_type": "offer", "title": "Bread", "exchange_type": "gift" });
    let declaration = declares(&hub, &alice, bread, &hub).await;
    let dao = found(&hub, &alice, "Bikes", json!({})).await;
    let asked = asks(&hub, &alice, &dao, "Buy a stand", json!({})).await;
    let question = asked["uri"].as_str().unwrap().to_owned();
    time_passes(&hub, &asked).await;
    comes_to(&hub, &asked, "quorum_failed").await;
    let result = question.replace("/ap/proposals/", "/ap/results/");
    assert_eq!(hub.ask(&result).await.status, 200);

    for (n, uri) in [&listing, &declaration, &question, &result]
        .into_iter()
        .enumerate()
    {
        let note = answer(&petra, uri, &format!("Is it so, {n}?"));
        assert_eq!(
            sends(&hub, &petra, &petra.create(&note)).await,
            "done",
            "{uri}"
        );
        let id = note["id"].as_str().unwrap();
        let kept = format!(
            "select count(*) from posts where federated_ap_id = '{id}' and in_reply_to = '{uri}' and visibility = 'public'"
        );
        assert_eq!(hub.count(&kept).await, 1, "{uri}");
        assert_eq!(hub.count(&told(&alice)).await, n as i64 + 1, "{uri}");
        if uri != &result {
            assert_eq!(replies(&hub, uri).await, json!([id]), "{uri}");
        }
        // Everybody reads it here.
        let rows = alice
            .person
            .reads(
                &hub.hub,
                &format!("/rest/v1/posts?in_reply_to=eq.{uri}&select=content"),
            )
            .await;
        assert_eq!(rows[0]["content"], format!("Is it so, {n}?"), "{uri}");
    }

    // It is changed and taken back by its author, as every post is.
    let note = answer(&petra, &listing, "Two of them?");
    sends(&hub, &petra, &petra.create(&note)).await;
    let mut changed = note.clone();
    changed["content"] = json!("<p>Three of them?</p>");
    changed["updated"] = json!("2026-11-27T12:00:00Z");
    let update = petra.activity("Update", json!({ "object": changed, "to": [PUBLIC] }));
    assert_eq!(sends(&hub, &petra, &update).await, "done");
    let id = note["id"].as_str().unwrap();
    let content = format!("select content from posts where federated_ap_id = '{id}'");
    assert_eq!(hub.text(&content).await.unwrap(), "Three of them?");
    let delete = petra.activity("Delete", json!({ "object": id, "to": [PUBLIC] }));
    assert_eq!(sends(&hub, &petra, &delete).await, "done");
    assert_eq!(
        replies(&hub, &listing).await.as_array().map(Vec::len),
        Some(1)
    );

    // What was not said to others is not there to be answered, nor what is somebody else's.
    let (_, draft) = sells(&hub, &alice, "draft").await;
    let hidden = found(&hub, &alice, "Hidden", json!({ "is_public": true })).await;
    let secret = asks(&hub, &alice, &hidden, "Buy a safe", json!({})).await;
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "update daos set is_public = false where id = '{}'",
            hidden.id
        ))
        .await
        .unwrap();
    let before = hub.count("select count(*) from posts").await;
    for uri in [
        &draft,
        secret["uri"].as_str().unwrap(),
        &format!("{}/ap/listings/{}", hub.public, uuid::Uuid::now_v7()),
        &format!("{}/listings/1", petra.peer.origin()),
    ] {
        let note = answer(&petra, uri, "And this?");
        let came = sends(&hub, &petra, &petra.create(&note)).await;
        assert_eq!(came, "ignored not_wanted", "{uri}");
    }
    assert_eq!(hub.count("select count(*) from posts").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_whose_it_is_though_it_names_nobody() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (a, b) = (&hubs[0], &hubs[1]);
    let (alice, ann) = (a.member("alice").await, a.member("ann").await);
    let bruno = b.member("bruno").await;
    let (_, listing) = sells(a, &alice, "active").await;
    let dao = found(a, &alice, "Bikes", json!({})).await;
    let asked = asks(a, &alice, &dao, "Buy a stand", json!({})).await;
    let question = asked["uri"].as_str().unwrap().to_owned();

    for (n, uri) in [&listing, &question].into_iter().enumerate() {
        b.rpc(&bruno.person, "actors_resolve", json!({ "query": uri }))
            .await;
        let words = format!("From afar, {n}");
        b.posts(
            &bruno,
            json!({ "content": words, "visibility": "public", "in_reply_to": uri }),
        )
        .await;
        let read = a.reads_post(&alice, &words).await;
        assert_eq!(read["in_reply_to"], json!(uri));
        a.counts(&told(&alice), 2 * n as i64 + 1).await;

        // From next door it is the same.
        a.posts(
            &ann,
            json!({ "content": "From here", "visibility": "public", "in_reply_to": uri }),
        )
        .await;
        a.counts(&told(&alice), 2 * n as i64 + 2).await;
        assert_eq!(
            replies(a, uri).await.as_array().map(Vec::len),
            Some(2),
            "{uri}"
        );
    }
    let replied = "select count(*) from hub.journal where verb = 'post.replied'";
    assert_eq!(a.count(replied).await, 4);
}
