//! Processes die, freeze and come in twos; nothing is lost, nothing comes out of order, nothing is sent by two at once.

use std::collections::HashMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use made_open::base::Caller;
use made_open::fed::{keys, outbox};

use super::speaker::Speaker;
use crate::support::hub::{command, wait_until_ready};
use crate::support::hubs::Hub;
use crate::support::peer::{Answer, Peer, Peers, proved_by};

/// How often an activity came and in which order each thing's activities came first.
struct Came {
    missing: usize,
    repeated: usize,
    out_of_order: usize,
}

/// What came to peers that were each to have these activities, in this order about each thing.
fn came(peers: &[Peer], said: &[(String, Vec<String>)]) -> Came {
    let mut came = Came {
        missing: 0,
        repeated: 0,
        out_of_order: 0,
    };
    for peer in peers {
        let mut first: HashMap<String, usize> = HashMap::new();
        for (at, post) in peer.posts().iter().enumerate() {
            match first.entry(post.id().to_owned()) {
                std::collections::hash_map::Entry::Occupied(_) => came.repeated += 1,
                std::collections::hash_map::Entry::Vacant(entry) => drop(entry.insert(at)),
            }
        }
        for (_, uris) in said {
            let at: Vec<usize> = uris
                .iter()
                .filter_map(|uri| first.get(uri).copied())
                .collect();
            came.missing += uris.len() - at.len();
            came.out_of_order += usize::from(!at.is_sorted());
        }
    }
    came
}

/// So many things, each said, changed and, every second one, taken back.
async fn says_much(speaker: &Speaker, from: usize, count: usize) -> Vec<(String, Vec<String>)> {
    let mut said = Vec::new();
    for n in from..from + count {
        let note = speaker.note(&n.to_string());
        let mut uris = Vec::new();
        for kind in ["Create", "Update", "Delete"].iter().take(2 + n % 2) {
            uris.push(speaker.posts(kind, &note, &format!("<p>{n}</p>")).await.uri);
        }
        said.push((note, uris));
    }
    said
}

async fn followed_by_all(hub: &Hub, speaker: &Speaker, peers: &Peers) {
    for peer in peers.all() {
        speaker.followed_by(hub, &peer, "ann").await;
    }
}

const WAITING: &str = "select count(*) from ap_deliveries where state = 'waiting'";

async fn until_nothing_waits(hub: &Hub, longest: Duration) {
    let began = Instant::now();
    while hub.count(WAITING).await > 0 {
        assert!(
            began.elapsed() < longest,
            "{} wait",
            hub.count(WAITING).await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The same hub once more, on the same database.
fn second(hub: &Hub, peers: &Peers, settings: &[(&str, &str)]) -> Process {
    let mut command = command(&hub.hub.database.url(), &hub.hub.data_dir);
    let process = command
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env("MADE_OPEN_PUBLIC_URL", &hub.public)
        .env("MADE_OPEN_ALLOW_PRIVATE_PEERS", "on")
        .env("MADE_OPEN_TEST_RESOLVE", peers.resolve())
        .envs(settings.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut process = Process(process);
    wait_until_ready(&mut process.0);
    process
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn forty_posts_to_fifty_hosts_arrive_once_and_in_order() {
    let peers = Peers::many(50);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;

    let said = says_much(&speaker, 0, 40).await;
    until_nothing_waits(&hub, Duration::from_secs(120)).await;

    let came = came(&peers.all(), &said);
    assert_eq!((came.missing, came.repeated, came.out_of_order), (0, 0, 0));
}

#[tokio::test]
async fn r_01_what_was_committed_is_delivered_after_a_kill() {
    let peers = Peers::many(3);
    let mut hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;
    hub.kill();

    let said = says_much(&speaker, 0, 4).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(peers.all().iter().all(|peer| peer.posts().is_empty()));
    hub.restart();

    until_nothing_waits(&hub, Duration::from_secs(30)).await;
    let came = came(&peers.all(), &said);
    assert_eq!((came.missing, came.repeated, came.out_of_order), (0, 0, 0));

    // And what was not committed never is.
    let unsaid = speaker
        .db
        .write(&Caller::Hub, async |tx| {
            outbox::publish(
                tx,
                speaker.post("Create", &speaker.note("never"), "<p>no</p>"),
            )
            .await?;
            Err::<(), _>(made_open::base::Error::invalid("test", "No."))
        })
        .await;
    assert!(unsaid.is_err());
    speaker
        .posts("Create", &speaker.note("after"), "<p>yes</p>")
        .await;
    until_nothing_waits(&hub, Duration::from_secs(30)).await;
    for peer in peers.all() {
        assert!(
            !peer
                .posts()
                .iter()
                .any(|post| post.json.to_string().contains("/notes/never"))
        );
    }
}

#[tokio::test]
async fn r_02_a_kill_between_the_answer_and_its_note_sends_the_same_again() {
    let peers = Peers::many(1);
    let mut hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;
    let peer = peers.peer("p1.peer.test");
    peer.plan([
        Answer::status(202).after(Duration::from_secs(2)),
        Answer::status(202),
    ]);

    let note = speaker.note("1");
    let said = speaker.posts("Create", &note, "<p>1</p>").await;
    let later = speaker.posts("Update", &note, "<p>2</p>").await;
    peer.wait("Create", 1).await;
    hub.kill();
    hub.restart();

    until_nothing_waits(&hub, Duration::from_secs(60)).await;
    let posts = peer.posts();
    let ids: Vec<&str> = posts.iter().map(|post| post.id()).collect();
    assert_eq!(ids, [&said.uri, &said.uri, &later.uri]);
    assert_eq!(posts[0].body, posts[1].body);
}

#[tokio::test]
async fn a_kill_with_a_full_queue_loses_nothing_and_keeps_the_order() {
    let peers = Peers::many(50);
    let mut hub = Hub::start(
        "a",
        &peers.resolve(),
        &[("MADE_OPEN_JOBS_LEASE_SECONDS", "3")],
    )
    .await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;

    let mut said = says_much(&speaker, 0, 20).await;
    hub.kill();
    said.extend(says_much(&speaker, 20, 20).await);
    hub.restart();
    tokio::time::sleep(Duration::from_millis(700)).await;
    hub.kill();
    hub.restart();

    until_nothing_waits(&hub, Duration::from_secs(120)).await;
    let came = came(&peers.all(), &said);
    assert_eq!(
        (came.missing, came.out_of_order),
        (0, 0),
        "repeated {}",
        came.repeated
    );
}

#[tokio::test]
async fn r_29_two_processes_share_the_work_and_send_nothing_twice() {
    let peers = Peers::many(30);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;
    let _second = second(&hub, &peers, &[]);

    let said = says_much(&speaker, 0, 30).await;
    until_nothing_waits(&hub, Duration::from_secs(120)).await;

    let came = came(&peers.all(), &said);
    assert_eq!((came.missing, came.repeated, came.out_of_order), (0, 0, 0));
}

#[tokio::test]
async fn r_30_who_was_frozen_longer_than_his_lease_notices_and_notes_nothing() {
    let lease = [("MADE_OPEN_JOBS_LEASE_SECONDS", "3")];
    let peers = Peers::many(1);
    let hub = Hub::start("a", &peers.resolve(), &lease).await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;
    let peer = peers.peer("p1.peer.test");
    // The first one to ask waits; meanwhile he is frozen.
    peer.plan([
        Answer::status(403).after(Duration::from_secs(1)),
        Answer::status(202),
    ]);
    let said = says_much(&speaker, 0, 10).await;
    let began = Instant::now();
    while peer.posts().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    hub.hub.signal("STOP");
    let _second = second(&hub, &peers, &lease);

    until_nothing_waits(&hub, Duration::from_secs(60)).await;
    let before = peer.posts().len();
    hub.hub.signal("CONT");
    tokio::time::sleep(Duration::from_secs(5)).await;

    assert_eq!(
        peer.posts().len(),
        before,
        "the thawed one sends nothing more"
    );
    hub.counts("select count(*) from ap_deliveries where state = 'dead'", 0)
        .await;
    let came = came(&peers.all(), &said);
    assert_eq!((came.missing, came.out_of_order), (0, 0));
}

#[tokio::test]
async fn r_27_ten_thousand_queued_deliveries_to_two_hundred_hosts_leave_within_minutes() {
    let peers = Peers::many(200);
    let mut hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;
    let before = resident(&hub);
    hub.kill();
    let mut said = Vec::new();
    for n in 0..50 {
        let note = speaker.note(&n.to_string());
        said.push((
            note.clone(),
            vec![speaker.posts("Create", &note, "<p>!</p>").await.uri],
        ));
    }
    assert_eq!(hub.count(WAITING).await, 10_000);

    let began = Instant::now();
    hub.restart();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let mut most = 0;
    while hub.count(WAITING).await > 0 {
        assert!(began.elapsed() < Duration::from_secs(300));
        most = most.max(resident(&hub));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    eprintln!(
        "10,000 deliveries after {:?}, {} kB more",
        began.elapsed(),
        most.saturating_sub(before)
    );
    assert!(
        most < before + 200_000,
        "{before} kB before, {most} kB at most"
    );
    let came = came(&peers.all(), &said);
    assert_eq!((came.missing, came.repeated, came.out_of_order), (0, 0, 0));
}

/// Resident memory in kilobytes.
fn resident(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.hub.process.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_change_of_keys_is_told_with_the_old_ones_and_later_things_with_the_new() {
    let peers = Peers::many(1);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let speaker = Speaker::of(&hub).await;
    followed_by_all(&hub, &speaker, &peers).await;
    let peer = peers.peer("p1.peer.test");
    speaker
        .posts("Create", &speaker.note("1"), "<p>1</p>")
        .await;

    let before = speaker
        .db
        .write(&Caller::Hub, async |tx| keys::shown(tx, speaker.id).await)
        .await
        .unwrap();
    speaker
        .db
        .write(&Caller::Hub, async |tx| {
            let retired = keys::rotate(tx, speaker.id).await?;
            outbox::publish_by(
                tx,
                speaker.post("Update", &speaker.uri, "<p>new keys</p>"),
                &retired,
            )
            .await
        })
        .await
        .unwrap();
    let after = speaker
        .db
        .write(&Caller::Hub, async |tx| keys::shown(tx, speaker.id).await)
        .await
        .unwrap();
    speaker
        .posts("Create", &speaker.note("2"), "<p>2</p>")
        .await;

    let uris: Vec<&str> = after
        .iter()
        .map(|key| key.key_uri.rsplit('#').next().unwrap())
        .collect();
    assert_eq!(uris, ["main-key-2", "ed25519-key-2", "ed25519-key"]);
    let update = peer.wait("Update", 1).await.remove(0);
    assert_eq!(
        update.signed_by(&before[0].key_uri, &before[0].public_key),
        Ok(())
    );
    assert!(proved_by(&update.json, &before[1].public_key));
    let create = peer.wait("Create", 2).await.remove(1);
    assert_eq!(
        create.signed_by(&after[0].key_uri, &after[0].public_key),
        Ok(())
    );
    assert!(proved_by(&create.json, &after[1].public_key));

    // Who has seen the new keys already is told with them.
    peer.plan([
        Answer::status(401),
        Answer::status(401),
        Answer::status(202),
    ]);
    speaker
        .db
        .write(&Caller::Hub, async |tx| {
            let retired = keys::rotate(tx, speaker.id).await?;
            outbox::publish_by(
                tx,
                speaker.post("Update", &speaker.uri, "<p>newer</p>"),
                &retired,
            )
            .await
        })
        .await
        .unwrap();
    let newest = speaker
        .db
        .write(&Caller::Hub, async |tx| keys::shown(tx, speaker.id).await)
        .await
        .unwrap();
    let update = peer.wait("Update", 2).await.remove(1);
    assert_eq!(
        update.signed_by(&newest[0].key_uri, &newest[0].public_key),
        Ok(())
    );
}
