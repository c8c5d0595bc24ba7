//! What is said in public about listings, declarations and proposals: kept as a comment whether it names anybody or not, told
//! to whom it concerns, and not from whom he has blocked or muted.

use reqwest::Method;
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

/// Write a row as somebody; the status and what is told.
async fn writes(hub: &Hub, who: &Member, table: &str, row: &Value) -> (u16, Value) {
    let path = format!("/rest/v1/{table}");
    let request = who.person.ask(&hub.hub, Method::POST, &path);
    let answer = request.json(row).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// A question about a listing that only its seller reads.
fn inquiry(from: &Actor, to: &Member, listing: &str, words: &str) -> Value {
    from.note(
        &format!("<p>{words}</p>"),
        &[&to.actor],
        json!({ "inReplyTo": listing, "tag": [{ "type": "Mention", "href": to.actor, "name": to.handle }] }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn s_154_a_block_holds_under_listings_and_in_questions_about_them() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let (alice, ben) = (hub.member("alice").await, hub.member("ben").await);
    let petra = peers.peer("p1.peer.test").person("petra");
    let (_, listing) = sells(&hub, &alice, "active").await;
    let bread = json!({ "decl_type": "offer", "title": "Bread", "exchange_type": "gift" });
    let declaration = declares(&hub, &alice, bread, &hub).await;
    // Both have asked before, and alice answers ben.
    let note = inquiry(&petra, &alice, &listing, "Is it there?");
    assert_eq!(sends(&hub, &petra, &petra.create(&note)).await, "done");
    hub.posts(&ben, json!({ "content": "Is it here?", "visibility": "direct", "recipients": [alice.actor], "in_reply_to": listing }))
        .await;
    let thread = async |who: &Member, words: &str| {
        let query = format!(
            "select conversation_id::text from messages where owner_id = '{}' and direction = 'inbound' and body = '{words}'",
            who.person.id
        );
        hub.until(words, async || hub.text(&query).await).await
    };
    let bens = thread(&alice, "Is it here?").await;
    let reply = json!({ "conversation_id": bens, "direction": "outbound", "body": "It is" });
    alice.person.adds(&hub.hub, "messages", reply).await;
    let bens = thread(&ben, "It is").await;

    for who in [&petra.id, &ben.actor] {
        hub.rpc(&alice.person, "blocks_set", json!({ "actor": who }))
            .await;
    }
    let heard = format!(
        "select (select count(*) from messages where owner_id = '{0}' and direction = 'inbound') \
         + (select count(*) from inbox_items where owner_id = '{0}') \
         + (select count(*) from hub.journal where owner_id = '{0}' and verb in ('message.received', 'post.replied', 'post.mentioned')) \
         + (select count(*) from notification_events where target_user_id = '{0}')",
        alice.person.id
    );
    hub.counts(
        "select count(*) from ap_received where state = 'waiting'",
        0,
    )
    .await;
    let before = hub.count(&heard).await;
    let names = json!({ "cc": [alice.actor], "tag": [{ "type": "Mention", "href": alice.actor, "name": alice.handle }] });
    for uri in [&listing, &declaration] {
        for note in [
            answer_with(&petra, uri, &names),
            answer_with(&petra, uri, &json!({})),
        ] {
            let came = sends(&hub, &petra, &petra.create(&note)).await;
            assert_eq!(came, "refused blocked");
        }
        let asked = json!({ "content": "And now?", "visibility": "public", "in_reply_to": uri });
        let (status, told) = writes(&hub, &ben, "posts", &asked).await;
        assert_eq!(
            (status, told["code"].as_str()),
            (403, Some("post.blocked")),
            "{told}"
        );
        // She does not answer them by mistake either.
        assert_eq!(replies(&hub, uri).await, json!([]));
    }
    let note = inquiry(&petra, &alice, &listing, "Hello?");
    assert_eq!(
        sends(&hub, &petra, &petra.create(&note)).await,
        "refused blocked"
    );
    // Whatever comes of it at ben's, nothing arrives.
    let again = json!({ "content": "Hello?", "visibility": "direct", "recipients": [alice.actor], "in_reply_to": listing });
    writes(&hub, &ben, "posts", &again).await;
    let more = json!({ "conversation_id": bens, "direction": "outbound", "body": "Hello?" });
    writes(&hub, &ben, "messages", &more).await;
    let offer = json!({ "listing": listing, "terms": "Hello?" });
    let (status, _) = hub.tries(&ben.person, "exchanges_propose", offer).await;
    assert_eq!(status, 403);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(hub.count(&heard).await, before);
    assert_eq!(
        hub.count("select count(*) from posts where visibility = 'public'")
            .await,
        0
    );

    // A block that is taken back is none.
    for id in ["petra", "ben"] {
        let query = format!(
            "select b.id::text from blocks b join ap_actors a on a.id = b.actor_id where a.preferred_username = '{id}'"
        );
        let block = hub.text(&query).await.unwrap();
        hub.rpc(&alice.person, "blocks_undo", json!({ "id": block }))
            .await;
    }
    let note = answer(&petra, &listing, "Friends again?");
    assert_eq!(sends(&hub, &petra, &petra.create(&note)).await, "done");
    let asked =
        json!({ "content": "Friends again?", "visibility": "public", "in_reply_to": listing });
    assert_eq!(writes(&hub, &ben, "posts", &asked).await.0, 201);
    hub.counts("select count(*) from posts where visibility = 'public'", 2)
        .await;
}

fn answer_with(from: &Actor, to: &str, more: &Value) -> Value {
    let mut note = answer(from, to, "And now?");
    note.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    note
}

#[tokio::test(flavor = "multi_thread")]
async fn s_154_who_is_muted_is_not_heard_under_a_listing_nor_in_questions_about_it() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let (alice, ben) = (hub.member("alice").await, hub.member("ben").await);
    let petra = peers.peer("p1.peer.test").person("petra");
    let (_, listing) = sells(&hub, &alice, "active").await;
    hub.rpc(
        &alice.person,
        "actors_resolve",
        json!({ "query": petra.id }),
    )
    .await;
    for who in [&petra.id, &ben.actor] {
        hub.rpc(&alice.person, "mutes_set", json!({ "actor": who }))
            .await;
    }
    let note = answer(&petra, &listing, "Hello?");
    assert_eq!(sends(&hub, &petra, &petra.create(&note)).await, "done");
    let note = inquiry(&petra, &alice, &listing, "Hello?");
    assert_eq!(sends(&hub, &petra, &petra.create(&note)).await, "done");
    for visibility in ["public", "direct"] {
        let said = json!({ "content": "Hello?", "visibility": visibility, "recipients": [alice.actor], "in_reply_to": listing });
        hub.posts(&ben, said).await;
    }
    // It is there for whoever looks, and neither learns of it.
    hub.counts(
        &format!(
            "select count(*) from messages where direction = 'inbound' and owner_id = '{}'",
            alice.person.id
        ),
        2,
    )
    .await;
    assert_eq!(
        replies(&hub, &listing).await.as_array().map(Vec::len),
        Some(2)
    );
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for query in [
        told(&alice),
        format!(
            "select count(*) from inbox_items where owner_id = '{}'",
            alice.person.id
        ),
        format!(
            "select count(*) from hub.journal where verb = 'message.received' and owner_id = '{}'",
            alice.person.id
        ),
    ] {
        assert_eq!(hub.count(&query).await, 0, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_154_what_is_said_with_a_vote_is_not_shown_to_who_shut_the_voter_out() {
    let hub = Hub::start("a", "", &[]).await;
    let (alice, ben) = (hub.member("alice").await, hub.member("ben").await);
    let (carla, dora) = (hub.member("carla").await, hub.member("dora").await);
    let dao = found(&hub, &alice, "Bikes", json!({ "membership": "open" })).await;
    for who in [&ben, &carla, &dora] {
        hub.rpc(&who.person, "daos_join", json!({ "id": dao.id }))
            .await;
    }
    let asked = asks(&hub, &alice, &dao, "Buy a stand", json!({})).await;
    for (who, why) in [(&ben, Some("Alice is a thief.")), (&carla, None)] {
        let mut vote = json!({ "proposal": asked["id"], "choice": "no" });
        if let Some(why) = why {
            vote["rationale"] = json!(why);
        }
        hub.rpc(&who.person, "votes_cast", vote).await;
    }
    let path = format!(
        "/rest/v1/votes?proposal_id=eq.{}&select=user_id,rationale,ballot",
        asked["id"].as_str().unwrap()
    );
    let sees = async |who: &Member| who.person.reads(&hub.hub, &path).await;
    assert_eq!(sees(&alice).await.as_array().map(Vec::len), Some(2));

    let block = hub
        .rpc(&alice.person, "blocks_set", json!({ "actor": ben.actor }))
        .await;
    let mute = json!({ "actor": ben.actor });
    hub.rpc(&dora.person, "mutes_set", mute).await;
    for who in [&alice, &dora] {
        let seen = sees(who).await;
        assert!(!seen.to_string().contains("thief"), "{seen}");
        assert_eq!(seen[0]["user_id"], json!(carla.person.id));
        assert_eq!(seen.as_array().map(Vec::len), Some(1));
    }
    // To shut somebody out is one's own matter: others see it, he sees it, and it counts.
    for who in [&carla, &ben] {
        assert_eq!(sees(who).await.as_array().map(Vec::len), Some(2));
    }
    let uri = asked["uri"].as_str().unwrap();
    let ballots = hub.ask(&format!("{uri}/ballots?page=true")).await.json();
    assert_eq!(ballots["orderedItems"].as_array().map(Vec::len), Some(2));
    hub.rpc(&alice.person, "blocks_undo", json!({ "id": block["id"] }))
        .await;
    assert_eq!(sees(&alice).await.as_array().map(Vec::len), Some(2));
    let passed = json!({ "actor": ben.actor, "expires_at": "2020-01-01T00:00:00Z" });
    hub.rpc(&dora.person, "mutes_set", passed).await;
    assert_eq!(sees(&dora).await.as_array().map(Vec::len), Some(2));
}
