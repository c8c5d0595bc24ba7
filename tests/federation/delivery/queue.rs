//! A long queue is claimed as fast as a short one and forgotten in time; what hangs is tried again.

use std::time::{Duration, Instant};

use super::speaker::Speaker;
use crate::support::TestDatabase;
use crate::support::hubs::Hub;
use crate::support::peer::{Answer, Peers};

/// Somebody with something to say.
const SPEAKER: &str = "set session_replication_role = replica; \
    insert into ap_actors (id, uri, type, preferred_username, host, kind, row_id) \
    values ('00000000-0000-7000-8000-0000000000aa', 'https://hub.example/ap/actors/1', 'Person', 's', 'hub.example', 'user', hub.uuid_v7()); \
    insert into ap_activities (id, uri, actor_id, type, body) \
    values ('00000000-0000-7000-8000-0000000000bb', 'https://hub.example/ap/activities/1', '00000000-0000-7000-8000-0000000000aa', 'Create', '{}'); \
    set session_replication_role = origin";

/// Deliveries from one number to another, of which a tenth waits at a thousand hosts, most of them not due.
async fn queue(admin: &tokio_postgres::Client, from: i64, to: i64) {
    let rows = format!(
        "set session_replication_role = replica; \
         insert into ap_deliveries (activity_id, seq, host, inbox_url, lane, state, attempts, next_at, ended_at, created_at) \
         select '00000000-0000-7000-8000-0000000000bb', n, 'p' || n / 10 % 1000 || '.example', \
           'https://p' || n / 10 % 1000 || '.example/' || n, 'lane ' || n % 5000, \
           case when n % 10 > 0 then case when n % 30 = 1 then 'dead' else 'done' end else 'waiting' end, 1, \
           now() + case when n / 1000 % 20 = 0 then interval '-1 minute' else interval '1 hour' end, \
           case when n % 10 > 0 then now() - interval '8 days' end, now() - interval '9 days' \
         from generate_series({from}, {to}) n; \
         set session_replication_role = origin"
    );
    admin.batch_execute(&rows).await.unwrap();
    admin
        .batch_execute("vacuum analyze ap_deliveries")
        .await
        .unwrap();
}

/// How many pages a claim of so many looks at, and how many deliveries it takes; then it is as if it had not been.
async fn claimed(admin: &tokio_postgres::Client) -> (i64, i64) {
    const CLAIM: &str = "select count(*)::bigint from hub.claim_deliveries('worker', interval '1 minute', '{}', '{}', 16, 16)";
    admin.batch_execute("begin").await.unwrap();
    let took: i64 = admin.query_one(CLAIM, &[]).await.unwrap().get(0);
    admin.batch_execute("rollback; begin").await.unwrap();
    let explain = format!("explain (analyze, buffers, costs off) {CLAIM}");
    let plan: Vec<String> = admin
        .query(&explain, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    admin.batch_execute("rollback").await.unwrap();
    let line = plan
        .iter()
        .find(|line| line.contains("Buffers: shared"))
        .unwrap();
    let pages = ["hit=", "read="]
        .iter()
        .filter_map(|word| line.split_once(word))
        .map(|(_, rest)| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            digits.parse::<i64>().unwrap()
        })
        .sum();
    (pages, took)
}

#[tokio::test]
async fn r_28_a_million_deliveries_are_claimed_like_a_few_and_forgotten() {
    let database = TestDatabase::new().await;
    let admin = database.admin().await;
    admin.batch_execute(SPEAKER).await.unwrap();
    queue(&admin, 1, 20_000).await;
    let (of_few, took_of_few) = claimed(&admin).await;
    queue(&admin, 20_001, 1_000_000).await;
    let (of_many, took_of_many) = claimed(&admin).await;

    // A thousand hosts are looked at, however long the queue of each is and however much has ended; only what is taken counts.
    eprintln!(
        "{of_few} pages for {took_of_few} of 2,000 that wait, {of_many} for {took_of_many} of 100,000"
    );
    assert!(took_of_few > 0 && took_of_many > took_of_few);
    let more_taken = took_of_many - took_of_few;
    assert!(
        of_many < 2 * of_few + 20 * more_taken,
        "{of_few} pages for {took_of_few}, {of_many} for {took_of_many}"
    );

    // What ended is forgotten, so many at a time, and what waits stays.
    let mut rounds = 0;
    loop {
        let gone: i64 = admin
            .query_one("select hub.prune_deliveries()", &[])
            .await
            .unwrap()
            .get(0);
        assert!(gone <= 30_000, "{gone} at once");
        rounds += 1;
        if gone == 0 || rounds == 10 {
            break;
        }
    }
    let counts = "select count(*) filter (where state = 'waiting'), count(*) filter (where state <> 'waiting') from ap_deliveries";
    let row = admin.query_one(counts, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 100_000);
    assert_eq!(row.get::<_, i64>(1), 900_000 - rounds * 10_000);
}

#[tokio::test]
async fn r_31_a_delivery_that_is_never_answered_ends_and_is_tried_again() {
    let peers = Peers::many(2);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    for peer in peers.all() {
        speaker.followed_by(&hub, &peer, "ann").await;
    }
    let (silent, other) = (peers.peer("p1.peer.test"), peers.peer("p2.peer.test"));
    silent.plan([
        Answer::never(),
        Answer::status(202).drip(Duration::from_millis(500)),
    ]);
    let began = Instant::now();
    let said = speaker
        .posts("Create", &speaker.note("1"), "<p>1</p>")
        .await;
    other.wait("Create", 1).await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "nobody else waits"
    );

    let tries = format!(
        "select attempts::bigint from ap_deliveries where host = '{}' and state = 'waiting'",
        silent.host
    );
    hub.until("the first try ends", async || {
        let waits = format!(
            "select count(*) from ap_deliveries where host = '{}'",
            silent.host
        );
        assert_eq!(hub.count(&waits).await, 1);
        (hub.count(&tries).await >= 1).then_some(())
    })
    .await;
    assert!(
        (9..25).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );

    // An answer that says that it was taken counts, though its body never ends.
    hub.until("the second try", async || {
        hub.hurry().await;
        let done = format!(
            "select count(*) from ap_deliveries where host = '{}' and state = 'done'",
            silent.host
        );
        (hub.count(&done).await == 1).then_some(())
    })
    .await;
    let ids: Vec<String> = silent
        .posts()
        .iter()
        .map(|post| post.id().to_owned())
        .collect();
    assert_eq!(ids, [said.uri.clone(), said.uri]);
}
