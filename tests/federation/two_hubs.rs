//! Two and three hubs, each a process of its own on a database of its own, exchange everything: with all of them well, and
//! with one killed, restarted, frozen or cut off meanwhile.

use serde_json::json;

use crate::support::hubs::{Hub, Member};

/// Two hubs with somebody on each, and bruno follows alice.
struct Pair {
    a: Hub,
    b: Hub,
    alice: Member,
    bruno: Member,
}

impl Pair {
    async fn start() -> Self {
        let [a, b] = Hub::start_all(&["a", "b"]).await.try_into().ok().unwrap();
        let (alice, bruno) = (a.member("alice").await, b.member("bruno").await);
        b.follows(&bruno, &alice.handle).await;
        Self { a, b, alice, bruno }
    }

    async fn all_is_delivered(&self) {
        for hub in [&self.a, &self.b] {
            delivered(hub).await;
        }
    }
}

async fn delivered(hub: &Hub) {
    hub.counts(
        "select count(*) from ap_deliveries where state in ('waiting', 'dead')",
        0,
    )
    .await;
    hub.counts(
        "select count(*) from ap_received where state in ('waiting', 'dead')",
        0,
    )
    .await;
}

/// Posts that are here of a list of contents, each as often as it is here.
async fn posts_like(hub: &Hub, word: &str) -> i64 {
    hub.count(&format!(
        "select count(*) from posts where content like '{word}%' and origin_actor_id is not null"
    ))
    .await
}

#[tokio::test]
async fn a_hub_finds_and_follows_an_account_of_another() {
    let pair = Pair::start().await;
    let (a, b) = (&pair.a, &pair.b);
    a.counts(
        "select count(*) from follows where direction = 'in' and state = 'accepted'",
        1,
    )
    .await;
    let found = b
        .rpc(
            &pair.bruno.person,
            "actors_resolve",
            json!({ "query": pair.alice.actor }),
        )
        .await;
    let text = found.to_string();
    assert!(text.contains(&pair.alice.actor), "{text}");
    assert!(!text.contains("example.org"), "an address leaks: {text}");

    // Collections name the other side.
    let followers = a
        .ask(&format!("{}/followers", pair.alice.actor))
        .await
        .json();
    assert_eq!(followers["totalItems"], 1, "{followers}");

    let row = pair
        .bruno
        .person
        .reads(&b.hub, "/rest/v1/follows?direction=eq.out")
        .await;
    b.rpc(
        &pair.bruno.person,
        "follows_undo",
        json!({ "id": row[0]["id"] }),
    )
    .await;
    a.counts(
        "select count(*) from follows where direction = 'in' and state = 'accepted'",
        0,
    )
    .await;
    pair.all_is_delivered().await;
}

#[tokio::test]
async fn posts_edits_deletions_and_warnings_go_over() {
    let pair = Pair::start().await;
    let (a, b) = (&pair.a, &pair.b);
    let post = a
        .posts(&pair.alice, json!({ "content": "A **blue** bike", "summary": "Vehicles", "sensitive": true, "language": "en" }))
        .await;
    let there = b.reads_post(&pair.bruno, "blue").await;
    assert_eq!(there["summary"], "Vehicles");
    assert_eq!(there["sensitive"], true);
    assert_eq!(there["federated_ap_id"], json!(a.url_of(&post).await));
    assert!(
        there["content_html"]
            .as_str()
            .unwrap()
            .contains("<strong>blue</strong>")
    );

    a.changes(
        &pair.alice,
        "posts",
        &post,
        json!({ "content": "A red bike" }),
    )
    .await;
    let there = b.reads_post(&pair.bruno, "red").await;
    assert_eq!(there["federated_ap_id"], json!(a.url_of(&post).await));

    // Followers read what is for followers, and nobody else does.
    let stranger = b.member("carla").await;
    a.posts(
        &pair.alice,
        json!({ "content": "For friends", "visibility": "followers" }),
    )
    .await;
    b.reads_post(&pair.bruno, "For friends").await;
    let others = stranger
        .person
        .reads(&b.hub, "/rest/v1/posts?content=like.*friends*")
        .await;
    assert_eq!(others, json!([]));

    let url = a.url_of(&post).await;
    a.deletes(&pair.alice, "posts", &post).await;
    b.counts(
        &format!("select count(*) from posts where federated_ap_id = '{url}'"),
        0,
    )
    .await;
    let gone = a.ask(&url).await;
    assert_eq!(gone.status, 410);
    let stone = gone.json();
    assert_eq!(
        (&stone["type"], &stone["id"]),
        (&json!("Tombstone"), &json!(url))
    );
    assert!(!gone.body.contains("bike"), "{}", gone.body);
    pair.all_is_delivered().await;
}

#[tokio::test]
async fn likes_boosts_replies_and_mentions_come_back() {
    let pair = Pair::start().await;
    let (a, b) = (&pair.a, &pair.b);
    let post = a.posts(&pair.alice, json!({ "content": "A bike" })).await;
    let url = a.url_of(&post).await;
    b.reads_post(&pair.bruno, "A bike").await;

    for (action, kind) in [
        ("reactions_like", "likes_count"),
        ("reactions_announce", "announces_count"),
    ] {
        b.rpc(&pair.bruno.person, action, json!({ "object": url }))
            .await;
        let count = format!("select {kind}::bigint from posts where federated_ap_id = '{url}'");
        a.counts(&count, 1).await;
    }
    let rows = pair
        .bruno
        .person
        .reads(&b.hub, "/rest/v1/reactions?direction=eq.out")
        .await;
    for row in rows.as_array().unwrap() {
        b.rpc(
            &pair.bruno.person,
            "reactions_undo",
            json!({ "id": row["id"] }),
        )
        .await;
    }
    a.counts(&format!("select likes_count + announces_count::bigint from posts where federated_ap_id = '{url}'"), 0)
        .await;

    // A reply that mentions whom it answers, who does not follow back.
    b.posts(&pair.bruno, json!({ "content": format!("{} is it steel?", pair.alice.handle), "in_reply_to": url, "recipients": [pair.alice.handle] }))
        .await;
    let reply = a.reads_post(&pair.alice, "is it steel").await;
    assert_eq!(reply["in_reply_to"], json!(url));
    assert_eq!(reply["in_reply_to_id"], post["id"]);
    a.counts(
        &format!("select replies_count::bigint from posts where federated_ap_id = '{url}'"),
        1,
    )
    .await;
    pair.all_is_delivered().await;
}

#[tokio::test]
async fn a_direct_message_and_its_answer_are_between_the_two() {
    let pair = Pair::start().await;
    let (a, b) = (&pair.a, &pair.b);
    let stranger = b.member("carla").await;
    b.posts(&pair.bruno, json!({ "content": "May I see it?", "visibility": "direct", "recipients": [pair.alice.handle] }))
        .await;
    a.counts(
        "select count(*) from messages where body like '%May I see it%'",
        1,
    )
    .await;
    let items = pair
        .alice
        .person
        .reads(&a.hub, "/rest/v1/inbox_items?select=*")
        .await;
    assert!(!items.as_array().unwrap().is_empty(), "no inbox item");

    a.posts(&pair.alice, json!({ "content": "Come on Sunday", "visibility": "direct", "recipients": [pair.bruno.handle] }))
        .await;
    b.counts(
        "select count(*) from messages where body like '%Sunday%'",
        1,
    )
    .await;
    for path in ["posts?content=like.*Sunday*", "messages?body=like.*Sunday*"] {
        let others = stranger
            .person
            .reads(&b.hub, &format!("/rest/v1/{path}"))
            .await;
        assert_eq!(others, json!([]), "{path}");
    }
    pair.all_is_delivered().await;
}

#[tokio::test]
async fn a_block_ends_it_both_ways() {
    let pair = Pair::start().await;
    let (a, b) = (&pair.a, &pair.b);
    a.follows(&pair.alice, &pair.bruno.handle).await;
    a.rpc(
        &pair.alice.person,
        "blocks_set",
        json!({ "actor": pair.bruno.actor }),
    )
    .await;
    for hub in [a, b] {
        hub.counts("select count(*) from follows where state = 'accepted'", 0)
            .await;
    }
    // What is said after that does not arrive, in either direction.
    a.posts(&pair.alice, json!({ "content": "Not for bruno" }))
        .await;
    b.posts(
        &pair.bruno,
        json!({ "content": "Hey, you", "recipients": [pair.alice.handle], "visibility": "direct" }),
    )
    .await;
    pair.all_is_delivered().await;
    assert_eq!(posts_like(b, "Not for").await, 0);
    assert_eq!(
        a.count("select count(*) from messages where body like '%Hey, you%'")
            .await,
        0
    );
}

#[tokio::test]
async fn s_97_a_report_goes_over_without_its_reporter() {
    let pair = Pair::start().await;
    let (a, b) = (&pair.a, &pair.b);
    let post = a
        .posts(&pair.alice, json!({ "content": "Buy my coins" }))
        .await;
    let url = a.url_of(&post).await;
    b.reads_post(&pair.bruno, "coins").await;
    b.rpc(
        &pair.bruno.person,
        "reports_file",
        json!({ "object": url, "reason": "Spam", "forward": true }),
    )
    .await;
    a.counts(
        "select count(*) from reports where origin_actor_id is not null and reason = 'Spam'",
        1,
    )
    .await;
    let heard = a
        .text("select string_agg(body, ' ') from ap_received where type = 'Flag'")
        .await;
    assert!(!heard.unwrap_or_default().contains(&pair.bruno.actor));
}

#[tokio::test]
async fn a_receiver_that_is_killed_gets_everything_once_it_is_back() {
    let mut pair = Pair::start().await;
    pair.b.kill();
    let mut posts = Vec::new();
    for n in 0..10 {
        let post = json!({ "content": format!("Number {n} of ten") });
        posts.push(pair.a.posts(&pair.alice, post).await);
    }
    pair.a
        .changes(
            &pair.alice,
            "posts",
            &posts[3],
            json!({ "content": "Number 3, changed" }),
        )
        .await;
    pair.a.deletes(&pair.alice, "posts", &posts[4]).await;
    pair.b.restart();
    until_there(&pair.a, &pair.b, "Number", 9).await;
    pair.b
        .counts(
            "select count(*) from posts where content like 'Number 3, changed%'",
            1,
        )
        .await;
    pair.b
        .counts(
            "select count(*) from posts where content like 'Number 4%'",
            0,
        )
        .await;
    pair.all_is_delivered().await;
}

#[tokio::test]
async fn a_sender_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let mut pair = Pair::start().await;
    let mut said = 0;
    for round in 0..4 {
        for n in 0..10 {
            let post = json!({ "content": format!("Word {round} {n}") });
            pair.a.posts(&pair.alice, post).await;
            said += 1;
        }
        pair.a.kill();
        pair.a.restart();
    }
    until_there(&pair.a, &pair.b, "Word", said).await;
    pair.all_is_delivered().await;
    assert_eq!(posts_like(&pair.b, "Word").await, said);
}

#[tokio::test]
async fn a_hub_that_is_cut_off_and_one_that_is_frozen_catch_up() {
    let pair = Pair::start().await;
    pair.b.cut_off();
    for n in 0..5 {
        pair.a
            .posts(&pair.alice, json!({ "content": format!("Letter {n}") }))
            .await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(posts_like(&pair.b, "Letter").await, 0);
    pair.b.reconnect();
    until_there(&pair.a, &pair.b, "Letter", 5).await;

    pair.b.hub.signal("STOP");
    for n in 5..10 {
        pair.a
            .posts(&pair.alice, json!({ "content": format!("Letter {n}") }))
            .await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    pair.b.hub.signal("CONT");
    until_there(&pair.a, &pair.b, "Letter", 10).await;
    pair.all_is_delivered().await;
}

#[tokio::test]
async fn a_hub_that_was_down_reads_the_feed_of_what_it_missed() {
    let mut pair = Pair::start().await;
    pair.a
        .posts(&pair.alice, json!({ "content": "Before" }))
        .await;
    pair.b.reads_post(&pair.bruno, "Before").await;
    pair.all_is_delivered().await;
    // A feed is read on from where it was begun with, which happens within seconds.
    let begun = "select count(*) from ap_hosts where is_hub and cursor_in is not null";
    pair.b.counts(begun, 1).await;

    pair.b.kill();
    for n in 0..5 {
        pair.a
            .posts(&pair.alice, json!({ "content": format!("Missed {n}") }))
            .await;
    }
    // The sender forgets that it owes them anything.
    let admin = pair.a.hub.database.admin().await;
    admin
        .batch_execute("delete from ap_deliveries")
        .await
        .unwrap();
    pair.b.restart();
    pair.b
        .counts("select count(*) from posts where content like 'Missed%'", 5)
        .await;
}

#[tokio::test]
async fn three_hubs_talk_in_one_thread() {
    let [a, b, mut c] = Hub::start_all(&["a", "b", "c"])
        .await
        .try_into()
        .ok()
        .unwrap();
    let (alice, bruno, carla) = (
        a.member("alice").await,
        b.member("bruno").await,
        c.member("carla").await,
    );
    b.follows(&bruno, &alice.handle).await;
    c.follows(&carla, &alice.handle).await;
    c.follows(&carla, &bruno.handle).await;

    let post = a
        .posts(&alice, json!({ "content": "Who brings cake?" }))
        .await;
    let url = a.url_of(&post).await;
    b.reads_post(&bruno, "cake").await;
    c.reads_post(&carla, "cake").await;

    // Bruno answers alice and names carla; both get it, the one who wrote the post and the one who is named.
    c.kill();
    b.posts(&bruno, json!({ "content": format!("{} does", carla.handle), "in_reply_to": url, "recipients": [alice.handle, carla.handle] }))
        .await;
    a.reads_post(&alice, "does").await;
    c.restart();
    b.hurry().await;
    let reply = c.reads_post(&carla, "does").await;
    assert_eq!(reply["in_reply_to"], json!(url));

    // Carla likes alice's post and passes it on; bruno, who follows her, sees that it was passed on.
    b.follows(&bruno, &carla.handle).await;
    c.rpc(
        &carla.person,
        "reactions_announce",
        json!({ "object": url }),
    )
    .await;
    a.counts(
        &format!("select announces_count::bigint from posts where federated_ap_id = '{url}'"),
        1,
    )
    .await;

    // The same message to two is one message to each.
    a.posts(&alice, json!({ "content": "Only us three", "visibility": "direct", "recipients": [bruno.handle, carla.handle] }))
        .await;
    for hub in [&b, &c] {
        hub.counts(
            "select count(*) from messages where body like '%Only us three%'",
            1,
        )
        .await;
    }
    a.deletes(&alice, "posts", &post).await;
    for hub in [&b, &c] {
        hub.counts(
            &format!("select count(*) from posts where federated_ap_id = '{url}'"),
            0,
        )
        .await;
    }
    for hub in [&a, &b, &c] {
        delivered(hub).await;
    }
}

/// Wait until so many posts arrived; what failed meanwhile is not waited for.
async fn until_there(from: &Hub, to: &Hub, word: &str, expected: i64) {
    let start = std::time::Instant::now();
    loop {
        from.hurry().await;
        let found = posts_like(to, word).await;
        if found == expected {
            return;
        }
        assert!(
            start.elapsed() < crate::support::hubs::PATIENCE,
            "{found} of {expected} {word} at {}",
            to.host
        );
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}
