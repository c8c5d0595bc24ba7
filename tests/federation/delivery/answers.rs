//! What a peer's answer leads to. Where it takes days, they pass on a clock that the hub and its database obey.

use std::time::{Duration, Instant};

use made_open::fed::outbox::Outgoing;
use serde_json::json;

use super::speaker::Speaker;
use crate::support::hubs::Hub;
use crate::support::peer::{Answer, PUBLIC, Peer, Peers, Scheme};

/// A hub with a speaker whom one person at each of so many peers follows.
async fn heard_by(count: usize) -> (Peers, Hub, Speaker) {
    let peers = Peers::many(count);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    followed(peers, hub).await
}

/// The same with a clock that can be moved.
async fn heard_for_days_by(count: usize) -> (Peers, Hub, Speaker) {
    let peers = Peers::many(count);
    let hub = Hub::start_with_clock("a", &peers.resolve(), &[]).await;
    followed(peers, hub).await
}

async fn followed(peers: Peers, hub: Hub) -> (Peers, Hub, Speaker) {
    let speaker = Speaker::of(&hub).await;
    for peer in peers.all() {
        speaker.followed_by(&hub, &peer, "ann").await;
    }
    (peers, hub, speaker)
}

/// In how many seconds a host is tried again.
async fn wait_of(hub: &Hub, peer: &Peer) -> i64 {
    let query = format!(
        "select coalesce((select extract(epoch from retry_at - now())::bigint from ap_hosts where host = '{}'), 0)",
        peer.host
    );
    hub.count(&query).await
}

async fn state_of(hub: &Hub, peer: &Peer, state: &str, count: i64) {
    let query = format!(
        "select count(*) from ap_deliveries where host = '{}' and state = '{state}'",
        peer.host
    );
    hub.counts(&query, count).await;
}

async fn tried(hub: &Hub, peer: &Peer, times: i64) {
    let query = format!(
        "select coalesce(max(attempts), 0)::bigint from ap_deliveries where host = '{}'",
        peer.host
    );
    hub.counts(&query, times).await;
}

async fn error_of(hub: &Hub, peer: &Peer) -> String {
    let query = format!(
        "select last_error from ap_deliveries where host = '{}' and last_error is not null order by seq desc limit 1",
        peer.host
    );
    hub.text(&query).await.unwrap_or_default()
}

#[tokio::test]
async fn r_14_who_minds_the_signature_gets_the_other_one_and_it_is_remembered() {
    let (peers, hub, speaker) = heard_for_days_by(5).await;
    let [turns, speaks, plain, never, skewed] = peers.all().try_into().ok().unwrap();
    turns.plan([Answer::status(401), Answer::status(202)]);
    speaks.plan([
        Answer::status(400).text("{\"error\":\"Bad Signature\"}"),
        Answer::status(202),
    ]);
    plain.plan([Answer::status(403).text("go away")]);
    never.plan([Answer::status(401)]);
    let hours_ago = chrono::Utc::now() - chrono::TimeDelta::hours(2);
    let hours_ago = hours_ago.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    skewed.plan([Answer::status(401).header("Date", hours_ago)]);

    speaker
        .posts("Create", &speaker.note("1"), "<p>1</p>")
        .await;

    for peer in [&turns, &speaks] {
        state_of(&hub, peer, "done", 1).await;
        let posts = peer.posts();
        assert_eq!(
            posts.iter().map(|post| post.scheme()).collect::<Vec<_>>(),
            [Some(Scheme::Cavage), Some(Scheme::Rfc9421)]
        );
        assert_eq!(posts[0].body, posts[1].body);
    }
    state_of(&hub, &plain, "dead", 1).await;
    assert_eq!(plain.posts().len(), 1, "nothing was said of signatures");
    state_of(&hub, &never, "dead", 1).await;
    assert_eq!(never.posts().len(), 2);
    assert!(error_of(&hub, &never).await.contains("neither signature"));
    tried(&hub, &skewed, 1).await;
    state_of(&hub, &skewed, "waiting", 1).await;
    assert!(error_of(&hub, &skewed).await.starts_with("clock_skew"));

    speaker
        .posts("Update", &speaker.note("1"), "<p>2</p>")
        .await;
    let third = turns.wait("Update", 1).await.remove(0);
    assert_eq!(third.scheme(), Some(Scheme::Rfc9421));
    assert_eq!(turns.posts().len(), 3, "no second knock any more");
    let key = format!("{}#main-key", speaker.uri);
    let pem = hub
        .text("select public_key from ap_keys where algorithm = 'rsa'")
        .await
        .unwrap();
    assert_eq!(third.signed_by(&key, &pem), Ok(()));

    // A wrong clock gives nothing up, however long it lasts: neither what was refused nor what waits behind it.
    let waits = format!(
        "select count(*) from ap_deliveries where host = '{}' and state = 'waiting' and last_status = 401",
        skewed.host
    );
    hub.counts(&waits, 2).await;
    for _ in 0..3 {
        hub.passes("15 days").await;
        hub.hub
            .database
            .admin()
            .await
            .batch_execute("select hub.prune_deliveries()")
            .await
            .unwrap();
    }
    hub.counts(&waits, 2).await;
    skewed.plan([Answer::status(202)]);
    // An attempt that was under way meanwhile is noted after it, and the next one is a day later.
    let done = format!(
        "select count(*) from ap_deliveries where host = '{}' and state = 'done'",
        skewed.host
    );
    for _ in 0..5 {
        hub.passes("25 hours").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        if hub.count(&done).await == 2 {
            break;
        }
    }
    state_of(&hub, &skewed, "done", 2).await;
    let kinds: Vec<_> = skewed
        .taken("Create")
        .into_iter()
        .chain(skewed.taken("Update"))
        .collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
}

#[tokio::test]
async fn r_13_an_inbox_that_is_gone_is_left_alone_looked_at_again_and_loses_its_follows() {
    let (peers, hub, speaker) = heard_for_days_by(2).await;
    let [gone, back] = peers.all().try_into().ok().unwrap();
    for peer in [&gone, &back] {
        peer.plan([Answer::status(410)]);
    }

    for n in 0..3 {
        speaker
            .posts("Create", &speaker.note(&n.to_string()), "<p>!</p>")
            .await;
    }
    hub.counts(
        "select count(*) from ap_inboxes where gone_at is not null",
        2,
    )
    .await;
    for peer in [&gone, &back] {
        hub.counts(
            &format!("select count(*) from ap_deliveries where host = '{}' and state = 'waiting' and next_at > now() + interval '23 hours'", peer.host),
            1,
        )
        .await;
    }
    // What is said meanwhile does not go there.
    let before = hub.count("select count(*) from ap_deliveries").await;
    speaker
        .posts("Create", &speaker.note("4"), "<p>!</p>")
        .await;
    assert_eq!(
        hub.count("select count(*) from ap_deliveries").await,
        before
    );

    back.plan([Answer::status(202)]);
    let (gone_before, follows) = (gone.posts().len(), "select count(*) from follows");
    hub.passes("25 hours").await;
    hub.counts(follows, 1).await;
    assert_eq!(gone.posts().len(), gone_before + 1);
    state_of(&hub, &back, "done", 1).await;
    hub.counts("select count(*) from ap_inboxes", 0).await;
    hub.counts(
        "select count(*) from ap_deliveries where state = 'waiting'",
        0,
    )
    .await;

    // Whoever follows anew is there.
    gone.plan([Answer::status(202)]);
    hub.hub
        .database
        .admin()
        .await
        .batch_execute(&format!(
            "insert into ap_inboxes (inbox_url, gone_at) values ('{}/inbox', now())",
            gone.origin()
        ))
        .await
        .unwrap();
    hub.hub
        .database
        .admin()
        .await
        .batch_execute(&format!(
            "insert into follows (local_actor_id, actor_id, direction, state) \
         select '{}', id, 'in', 'accepted' from ap_actors where host = '{}'",
            speaker.id, gone.host
        ))
        .await
        .unwrap();
    speaker
        .posts("Create", &speaker.note("5"), "<p>!</p>")
        .await;
    gone.wait("Create", 1).await;
}

#[tokio::test]
async fn r_13_three_refusals_over_three_days_are_as_good_as_gone() {
    let (peers, hub, speaker) = heard_for_days_by(1).await;
    let peer = peers.peer("p1.peer.test");
    peer.plan([Answer::status(404)]);
    for n in 0..4 {
        speaker
            .posts("Create", &speaker.note(&n.to_string()), "<p>!</p>")
            .await;
    }

    for refusals in 1..=2 {
        hub.counts(
            &format!(
                "select count(*) from ap_inboxes where refusals = {refusals} and gone_at is null"
            ),
            1,
        )
        .await;
        hub.counts(
            "select count(*) from ap_deliveries where next_at < now() + interval '23 hours'",
            0,
        )
        .await;
        hub.passes("37 hours").await;
    }
    hub.counts(
        "select count(*) from ap_inboxes where gone_at is not null",
        1,
    )
    .await;
    assert_eq!(hub.count("select count(*) from follows").await, 1);
    hub.passes("25 hours").await;
    hub.counts("select count(*) from follows", 0).await;
    state_of(&hub, &peer, "waiting", 0).await;
}

#[tokio::test]
async fn r_15_who_asks_to_wait_is_obeyed_and_nobody_else_waits() {
    let (peers, hub, speaker) = heard_for_days_by(6).await;
    let all = peers.all();
    let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(120);
    let soon = soon.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (peer, retry_after) in all
        .iter()
        .zip(["120", &soon, "when I say so", "1000000000", "-1"])
    {
        peer.plan([Answer::status(429).header("Retry-After", retry_after)]);
    }

    speaker
        .posts("Create", &speaker.note("1"), "<p>1</p>")
        .await;
    speaker
        .posts("Create", &speaker.note("2"), "<p>2</p>")
        .await;

    all[5].wait("Create", 2).await;
    for (peer, (least, most)) in
        all.iter()
            .zip([(100, 140), (90, 140), (45, 70), (86_000, 86_400), (45, 70)])
    {
        tried(&hub, peer, 1).await;
        let wait = wait_of(&hub, peer).await;
        assert!((least..=most).contains(&wait), "{}: {wait}", peer.host);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for peer in &all[..5] {
        // Those that were under way when the first answer came; nothing after it.
        assert!(peer.posts().len() <= 2, "{}", peer.host);
        peer.plan([Answer::status(202)]);
    }
    hub.passes("25 hours").await;
    for peer in &all {
        state_of(&hub, peer, "done", 2).await;
    }
}

#[tokio::test]
async fn r_16_a_peer_that_fails_for_days_gets_everything_in_order_when_it_is_well() {
    let (peers, hub, speaker) = heard_for_days_by(1).await;
    let peer = peers.peer("p1.peer.test");
    let codes = [500, 502, 503, 504];
    let mut waits = Vec::new();
    peer.plan([Answer::status(500)]);
    for kind in ["Create", "Update", "Delete"] {
        speaker
            .posts(kind, &speaker.note("1"), &format!("<p>{kind}</p>"))
            .await;
    }

    for round in 0..8 {
        tried(&hub, &peer, round + 1).await;
        // Settled together with the host, so both times are there.
        let wait = "select extract(epoch from greatest((select min(next_at) from ap_deliveries where state = 'waiting'), \
                    (select max(retry_at) from ap_hosts)) - now())::bigint";
        let wait = hub.count(wait).await;
        waits.push(wait);
        peer.plan([Answer::status(codes[round as usize % 4])]);
        hub.passes(&format!("{} seconds", wait + 1)).await;
    }
    assert!(
        peer.posts().iter().all(|post| post.kind() == "Create"),
        "the first one blocks its lane"
    );
    for (wait, least) in waits
        .iter()
        .zip([60, 300, 1800, 7200, 21_600, 43_200, 86_400, 86_400])
    {
        assert!(
            (least - 10..=least + least / 10 + 10).contains(wait),
            "{waits:?}"
        );
    }

    peer.plan([Answer::status(202)]);
    hub.passes("2 days").await;
    state_of(&hub, &peer, "done", 3).await;
    let taken: Vec<String> = peer
        .posts()
        .iter()
        .filter(|post| post.taken())
        .map(|post| post.kind().to_owned())
        .collect();
    assert_eq!(taken, ["Create", "Update", "Delete"]);
    hub.counts("select count(*) from ap_hosts where failures = 0 and retry_at is null and unavailable_since is null", 1).await;
}

#[tokio::test]
async fn r_17_a_dead_peer_is_paused_probed_once_a_day_and_revived_when_it_speaks() {
    let (peers, hub, speaker) = heard_for_days_by(1).await;
    let peer = peers.peer("p1.peer.test");
    peer.plan([Answer::status(503)]);
    for n in 0..20 {
        speaker
            .posts("Create", &speaker.note(&n.to_string()), "<p>!</p>")
            .await;
    }
    hub.counts("select count(*) from ap_hosts where retry_at > now()", 1)
        .await;

    hub.passes("8 days").await;
    hub.counts(
        "select count(*) from ap_hosts where is_paused and retry_at > now() + interval '23 hours'",
        1,
    )
    .await;
    let before = peer.posts().len();
    hub.passes("25 hours").await;
    hub.counts(
        "select count(*) from ap_hosts where retry_at > now() + interval '23 hours'",
        1,
    )
    .await;
    assert_eq!(peer.posts().len(), before + 1, "one probe");
    state_of(&hub, &peer, "waiting", 20).await;

    peer.plan([Answer::status(202)]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(peer.posts().len(), before + 1, "not before its time");
    made_open::fed::hosts::heard_from(
        &speaker.db,
        &peer.host,
        made_open::fed::signature::Scheme::Cavage,
    )
    .await
    .unwrap();
    state_of(&hub, &peer, "done", 20).await;
    hub.counts("select count(*) from ap_hosts where is_paused", 0)
        .await;

    // After 14 days what is left is given up.
    peer.plan([Answer::status(503)]);
    speaker
        .posts("Create", &speaker.note("late"), "<p>!</p>")
        .await;
    hub.counts("select count(*) from ap_hosts where retry_at > now()", 1)
        .await;
    hub.passes("15 days").await;
    state_of(&hub, &peer, "dead", 1).await;
    assert!(error_of(&hub, &peer).await.contains("14 days"));

    // And the operator may try it once more.
    peer.plan([Answer::status(202)]);
    let said = hub
        .hub
        .cli(
            &[
                "federation",
                "retry",
                "--host",
                &peer.host,
                "--dry-run",
                "--json",
            ],
            None,
        )
        .unwrap();
    assert_eq!(said, "{\"retried\":1,\"dry_run\":true}");
    hub.hub
        .cli(&["federation", "retry", "--host", &peer.host], None)
        .unwrap();
    state_of(&hub, &peer, "dead", 0).await;
    state_of(&hub, &peer, "waiting", 0).await;
    assert!(
        peer.posts()
            .iter()
            .any(|post| post.taken() && post.json["object"]["id"] == json!(speaker.note("late")))
    );
    let nothing = hub
        .hub
        .cli(&["federation", "retry", "--all"], None)
        .unwrap_err();
    assert!(nothing.contains("exit status: 3"), "{nothing}");
}

#[tokio::test]
async fn r_18_what_cannot_be_reached_is_tried_again_and_names_and_certificates_sooner_count_as_gone()
 {
    let peers = Peers::many(3);
    let hub = Hub::start(
        "a",
        &format!("{},closed.test=127.0.0.1", peers.resolve()),
        &[],
    )
    .await;
    let speaker = Speaker::of(&hub).await;
    let [refused, nowhere, tls] = peers.all().try_into().ok().unwrap();
    for peer in peers.all() {
        speaker.followed_by(&hub, &peer, "ann").await;
    }
    let closed = crate::support::hubs::free_port();
    let admin = hub.hub.database.admin().await;
    for (peer, inbox) in [
        (&refused, format!("http://closed.test:{closed}/inbox")),
        (&nowhere, "http://nowhere.test/inbox".to_owned()),
        (&tls, format!("https://{}/inbox", tls.host)),
    ] {
        admin
            .execute(
                "update ap_actors set shared_inbox_url = $2 where host = $1",
                &[&peer.host, &inbox],
            )
            .await
            .unwrap();
    }

    speaker
        .posts("Create", &speaker.note("1"), "<p>1</p>")
        .await;

    hub.counts(
        "select count(*) from ap_deliveries where state = 'waiting' and attempts = 1",
        3,
    )
    .await;
    for (host, failures) in [
        (format!("closed.test:{closed}"), 1),
        ("nowhere.test".to_owned(), 3),
        (tls.host.clone(), 3),
    ] {
        hub.counts(
            &format!("select failures::bigint from ap_hosts where host = '{host}'"),
            failures,
        )
        .await;
    }
}

#[tokio::test]
async fn r_20_a_redirect_is_a_failure_and_not_followed() {
    let (peers, hub, speaker) = heard_by(3).await;
    for (peer, status) in peers.all().iter().zip([301, 307, 308]) {
        let to = format!("{}/elsewhere", peer.origin());
        peer.plan([Answer::status(status).header("Location", to)]);
    }
    speaker
        .posts("Create", &speaker.note("1"), "<p>1</p>")
        .await;
    for peer in peers.all() {
        tried(&hub, &peer, 1).await;
        state_of(&hub, &peer, "waiting", 1).await;
        assert!(
            error_of(&hub, &peer)
                .await
                .contains(&format!("{}/elsewhere", peer.origin()))
        );
        assert!(peer.posts().iter().all(|post| post.path == "/inbox"));
    }
}

#[tokio::test]
async fn r_21_a_huge_answer_is_not_read() {
    let (peers, hub, speaker) = heard_by(3).await;
    let [huge, refusing, drips] = peers.all().try_into().ok().unwrap();
    huge.plan([Answer::status(202).huge(1 << 30)]);
    refusing.plan([Answer::status(403).huge(1 << 30)]);
    drips.plan([Answer::status(202).drip(Duration::from_millis(100))]);
    let began = Instant::now();
    speaker
        .posts("Create", &speaker.note("1"), "<p>1</p>")
        .await;
    state_of(&hub, &huge, "done", 1).await;
    state_of(&hub, &refusing, "dead", 1).await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    state_of(&hub, &drips, "done", 1).await;
    assert!(
        began.elapsed() < Duration::from_secs(16),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn s_150_r_19_one_slow_peer_keeps_nobody_else_waiting() {
    let peers = Peers::many(22);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let (victim, speaker) = (Speaker::of(&hub).await, Speaker::of(&hub).await);
    let all = peers.all();
    for (peer, answer) in all.iter().zip([
        Answer::status(202).after(Duration::from_millis(9_500)),
        Answer::never(),
    ]) {
        peer.plan([answer]);
        victim.followed_by(&hub, peer, "ann").await;
        speaker.followed_by(&hub, peer, "ben").await;
    }
    for peer in &all[2..] {
        speaker.followed_by(&hub, peer, "ann").await;
    }
    // Ten thousand wait for each of the slow ones.
    victim.posts("Create", &victim.note("0"), "<p>0</p>").await;
    hub.hub.database.admin().await.batch_execute(
        "with more as (insert into ap_activities (uri, actor_id, type, body) \
           select s.uri || '-' || n, s.actor_id, s.type, s.body from ap_activities s, generate_series(1, 10000) n returning id, seq, uri) \
         insert into ap_deliveries (activity_id, seq, host, inbox_url, lane) \
           select more.id, more.seq, h.host, h.inbox_url, more.uri from more, \
             (select distinct host, inbox_url from ap_deliveries) h"
    ).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;

    let mut slowest = Duration::ZERO;
    for n in 0..10 {
        let began = Instant::now();
        speaker
            .posts("Create", &speaker.note(&n.to_string()), "<p>!</p>")
            .await;
        for peer in &all[2..] {
            peer.wait("Create", n + 1).await;
        }
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    for peer in &all[..2] {
        assert!(
            peer.posts().len() <= 12,
            "{} at {}",
            peer.posts().len(),
            peer.host
        );
    }
}

#[tokio::test]
async fn private_things_go_to_whom_they_name_and_blocked_suspended_and_local_actors_get_nothing() {
    let peers = Peers::many(4);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    let [open, blocked, suspended, other] = peers.all().try_into().ok().unwrap();
    let mut named = vec![speaker.uri.clone()];
    for peer in [&open, &blocked, &suspended] {
        named.push(speaker.followed_by(&hub, peer, "ann").await);
        speaker.followed_by(&hub, peer, "ben").await;
    }
    let past = speaker.knows(&hub, &other, "cat").await;
    hub.hub
        .database
        .admin()
        .await
        .batch_execute(&format!(
            "insert into ap_domains (domain, policy) values ('{}', 'block'); \
         update ap_actors set suspended_at = now() where host = '{}'",
            blocked.host.split(':').next().unwrap(),
            suspended.host
        ))
        .await
        .unwrap();

    let said = speaker.says(Outgoing {
        actor: speaker.id,
        activity: json!({ "type": "Create", "bcc": ["https://evil.test/x"], "object": { "id": speaker.note("1"), "type": "Note" } }),
        to: named.clone(),
        also: vec![past],
        is_private: true,
        ..Outgoing::default()
    }).await;
    let got = open.wait("Create", 1).await.remove(0);
    assert_eq!(got.path, "/users/ann/inbox");
    assert_eq!(got.json["to"], json!(named));
    assert_eq!(got.json.get("bcc"), None);
    assert_eq!(got.json.get("cc"), None);
    assert_eq!(
        other.wait("Create", 1).await.remove(0).path,
        "/users/cat/inbox"
    );
    hub.counts("select count(*) from ap_deliveries", 2).await;
    hub.counts(&format!("select cardinality(hosts)::bigint from ap_activities where uri = '{}' and is_private and not is_public", said.uri), 2).await;

    // To the followers only, and not to everybody.
    speaker.says(Outgoing {
        actor: speaker.id,
        activity: json!({ "type": "Create", "object": { "id": speaker.note("2"), "type": "Note" } }),
        to: vec![speaker.followers()],
        ..Outgoing::default()
    }).await;
    let got = open.wait("Create", 2).await.remove(1);
    assert_eq!(got.path, "/inbox");
    assert!(!got.json.to_string().contains(PUBLIC));
    hub.counts("select count(*) from ap_deliveries where state = 'done'", 3)
        .await;
    assert!(blocked.posts().is_empty() && suspended.posts().is_empty());
}

#[tokio::test]
async fn who_has_received_a_thing_is_known_and_what_was_refused_may_be_tried_again() {
    use made_open::base::Caller;
    use made_open::fed::{dead_letters, outbox};

    let (peers, hub, speaker) = heard_by(2).await;
    let [takes, refuses] = peers.all().try_into().ok().unwrap();
    refuses.plan([Answer::status(422)]);
    let note = speaker.note("1");
    speaker.posts("Create", &note, "<p>1</p>").await;
    state_of(&hub, &takes, "done", 1).await;
    state_of(&hub, &refuses, "dead", 1).await;

    let receipts = async || {
        let read = speaker
            .db
            .read(&Caller::Hub, async |tx| outbox::receipts(tx, &note).await);
        let mut rows: Vec<(String, String, String)> = read
            .await
            .unwrap()
            .into_iter()
            .map(|it| (it.host, it.activity, it.state))
            .collect();
        rows.sort();
        rows
    };
    let each = |by_the_other: &str| {
        let row =
            |peer: &Peer, state: &str| (peer.host.clone(), "Create".to_owned(), state.to_owned());
        let mut rows = vec![row(&takes, "done"), row(&refuses, by_the_other)];
        rows.sort();
        rows
    };
    assert_eq!(receipts().await, each("dead"));

    // Nobody but its author and the operator may have it tried again.
    let bruno = hub.hub.sign_up("bruno").await;
    let claims = bruno.token.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let session = Caller::Session(claims["session_id"].as_str().unwrap().parse().unwrap());
    let list = async |caller: &Caller| {
        let list = speaker
            .db
            .read(caller, async |tx| dead_letters::list(tx, "dead", 10).await);
        list.await.unwrap()
    };
    assert!(list(&session).await.is_empty());
    let dead = list(&Caller::Hub).await;
    let id: uuid::Uuid = dead[0]["id"].as_str().unwrap().parse().unwrap();
    let retry = async |caller: &Caller| {
        speaker
            .db
            .write(caller, async |tx| dead_letters::retry(tx, id).await)
            .await
    };
    assert!(retry(&session).await.unwrap_err().is("delivery.not_dead"));
    refuses.plan([Answer::status(202)]);
    let admin = hub.hub.database.admin().await;
    let owned = format!(
        "update ap_actors set row_id = gen_random_uuid() where kind = 'user' and row_id = '{0}'; \
         update ap_actors set row_id = '{0}' where id = '{1}'",
        bruno.id, speaker.id
    );
    admin.batch_execute(&owned).await.unwrap();
    retry(&session).await.unwrap();
    state_of(&hub, &refuses, "done", 1).await;
    assert_eq!(receipts().await, each("done"));

    let said = hub
        .hub
        .cli(&["federation", "status", &takes.host, "--json"], None)
        .unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["hosts"][0]["state"], "there");
    assert_eq!(said["hosts"][0]["signatures"], "cavage");
}
