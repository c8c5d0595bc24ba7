//! Two hubs exchange things while one hub, the other, or a database is killed at random: at the end both say the same,
//! nothing that was acknowledged is missing and nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestDatabase;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::Peers;
use crate::support::server::Server;

const RESOLVE: &str = "a.hub.test=127.0.0.1,b.hub.test=127.0.0.1";

/// Numbers that the same seed gives again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// What was acknowledged about alice's posts: what they say now, or that they are gone.
#[derive(Default)]
struct Said {
    posts: BTreeMap<Uuid, Option<String>>,
    liked: BTreeSet<Uuid>,
    /// What was cut off without an answer may hold or not.
    unsure: BTreeSet<Uuid>,
}

async fn attempt(hub: &Hub, who: &Member, method: Method, path: &str, body: Value) -> Option<bool> {
    let request = who.person.ask(&hub.hub, method, path);
    let request = request.timeout(Duration::from_secs(8)).json(&body);
    let answer = request.send().await.ok()?;
    let status = answer.status();
    assert!(
        status.is_success() || status == 503 || status == 404 || status == 409,
        "{path}: {status} {}",
        answer.text().await.unwrap_or_default()
    );
    // A 503 may come after the commit whose answer was lost.
    if status == 503 {
        None
    } else {
        Some(status.is_success())
    }
}

impl Said {
    async fn add(&mut self, a: &Hub, alice: &Member, word: &str) {
        let id = Uuid::now_v7();
        let post = json!({ "id": id, "content": word });
        match attempt(a, alice, Method::POST, "/rest/v1/posts", post).await {
            Some(true) => drop(self.posts.insert(id, Some(word.to_owned()))),
            _ => drop(self.unsure.insert(id)),
        }
    }

    fn some(&self, dice: &mut Dice) -> Option<Uuid> {
        let living: Vec<Uuid> = self
            .posts
            .iter()
            .filter(|(id, said)| said.is_some() && !self.unsure.contains(id))
            .map(|(id, _)| *id)
            .collect();
        let many = living.len() as u64;
        (many > 0).then(|| living[dice.below(many) as usize])
    }

    async fn change(&mut self, a: &Hub, alice: &Member, id: Uuid, word: Option<String>) {
        let path = format!("/rest/v1/posts?id=eq.{id}");
        let told = match &word {
            Some(word) => attempt(a, alice, Method::PATCH, &path, json!({ "content": word })).await,
            None => attempt(a, alice, Method::DELETE, &path, json!({})).await,
        };
        match told {
            Some(true) => drop(self.posts.insert(id, word)),
            _ => drop(self.unsure.insert(id)),
        }
    }

    async fn like(&mut self, b: &Hub, bruno: &Member, id: Uuid) {
        let query =
            format!("select federated_ap_id from posts where federated_ap_id like '%{id}%'");
        let client = b.hub.database.admin().await;
        let Ok(Some(row)) = client.query_opt(&query, &[]).await else {
            return;
        };
        let input = json!({ "object": row.get::<_, String>(0) });
        let path = "/rest/v1/rpc/reactions_like";
        if attempt(b, bruno, Method::POST, path, input).await == Some(true) {
            self.liked.insert(id);
        }
    }
}

/// Two hubs on a server of their own, bruno follows alice, and alice follows bruno.
struct Stage {
    server: Server,
    a: Hub,
    b: Hub,
    alice: Member,
    bruno: Member,
}

impl Stage {
    async fn set(name: &str) -> Self {
        let server = Server::start(name);
        let one = TestDatabase::on(server.admin.clone()).await;
        let other = TestDatabase::on(server.admin.clone()).await;
        let a = Hub::start_on(one, "a.hub.test", RESOLVE, &[]).await;
        let b = Hub::start_on(other, "b.hub.test", RESOLVE, &[]).await;
        let (alice, bruno) = (a.member("alice").await, b.member("bruno").await);
        b.follows(&bruno, &alice.handle).await;
        a.follows(&alice, &bruno.handle).await;
        Self {
            server,
            a,
            b,
            alice,
            bruno,
        }
    }

    /// One of a, b and the database, or a and the database at once, dies as in a power cut, and comes back.
    async fn kills(&mut self, dice: &mut Dice) {
        match dice.below(4) {
            0 => self.a.kill(),
            1 => self.b.kill(),
            2 => self.server.kill(),
            _ => {
                self.server.kill();
                self.a.kill();
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
        if self.server.is_dead() {
            self.server.restart();
        }
        for hub in [&mut self.a, &mut self.b] {
            if hub.hub.process.try_wait().unwrap().is_some() {
                hub.restart();
            }
            let hub = &*hub;
            hub.until("ready", async || {
                let told = hub
                    .hub
                    .http
                    .get(format!("{}/readyz", hub.hub.url))
                    .send()
                    .await;
                told.ok().filter(|told| told.status() == 200).map(drop)
            })
            .await;
        }
    }

    /// What must hold once everything has been delivered.
    async fn is_right(&self, said: &Said, seed: u64) {
        // Tried again at once, again and again: a kill has made hosts wait for a minute.
        let left = "select (select count(*) from ap_deliveries where state in ('waiting', 'dead')) \
                    + (select count(*) from ap_received where state in ('waiting', 'dead'))";
        for hub in [&self.a, &self.b, &self.a] {
            hub.until("everything has arrived", async || {
                self.a.hurry().await;
                self.b.hurry().await;
                (hub.count(left).await == 0).then_some(())
            })
            .await;
        }
        let every = "select coalesce(string_agg(federated_ap_id || ' ' || content, E'\\n' order by federated_ap_id), '') \
                     from posts where federated_ap_id like '%a.hub.test%'";
        let (here, there) = (
            self.a.text(every).await.unwrap(),
            self.b.text(every).await.unwrap(),
        );
        // Alike but for the form of what is written.
        let plain = |text: &str| text.replace("<p>", "").replace("</p>", "");
        assert_eq!(
            plain(&here),
            plain(&there),
            "seed {seed}: both hubs have the same"
        );
        for (id, word) in said
            .posts
            .iter()
            .filter(|(id, _)| !said.unsure.contains(id))
        {
            let lines: Vec<&str> = here
                .lines()
                .filter(|line| line.contains(&id.to_string()))
                .collect();
            match word {
                Some(word) => assert!(
                    lines.len() == 1 && lines[0].ends_with(word.as_str()),
                    "seed {seed}: {id} {word}: {lines:?}"
                ),
                None => assert!(lines.is_empty(), "seed {seed}: {id} is back: {lines:?}"),
            }
        }
        for id in &said.liked {
            if matches!(said.posts.get(id), Some(Some(_))) && !said.unsure.contains(id) {
                let likes = format!("select likes_count::bigint from posts where id = '{id}'");
                assert_eq!(
                    self.a.count(&likes).await,
                    1,
                    "seed {seed}: {id} is liked once"
                );
            }
        }
        for (hub, direction) in [(&self.a, "in"), (&self.b, "out")] {
            let follows = format!(
                "select count(*) from follows where state = 'accepted' and direction = '{direction}'"
            );
            assert_eq!(hub.count(&follows).await, 1, "seed {seed}: followed once");
        }
    }
}

async fn killed_at_random(name: &str, seeds: std::ops::Range<u64>) {
    let mut stage = Stage::set(name).await;
    for seed in seeds {
        eprintln!("seed {seed}");
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut said = Said::default();
        for round in 0..1 {
            let steps = 8 + dice.below(8);
            let (a, b, alice, bruno) = (&stage.a, &stage.b, &stage.alice, &stage.bruno);
            for step in 0..steps {
                let word = format!("seed {seed} round {round} step {step}.");
                match (dice.below(6), said.some(&mut dice)) {
                    (2, Some(id)) => said.change(a, alice, id, Some(word)).await,
                    (3, Some(id)) => said.change(a, alice, id, None).await,
                    (4 | 5, Some(id)) => said.like(b, bruno, id).await,
                    _ => said.add(a, alice, &word).await,
                }
            }
            // What was said a moment ago is still on its way when the killer strikes.
            stage.kills(&mut dice).await;
            let word = format!("seed {seed} round {round} late.");
            said.add(&stage.a, &stage.alice, &word).await;
        }
        stage.is_right(&said, seed).await;
        assert!(
            said.posts.len() > 1,
            "seed {seed}: {} posts",
            said.posts.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_04_five_random_killers_between_two_hubs() {
    killed_at_random("r04a", 1..6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_04_five_more_random_killers_between_two_hubs() {
    killed_at_random("r04b", 6..11).await;
}

/// While the database is away the inbox says 503 with Retry-After, never 202 and never a 4xx; afterwards what is sent again
/// is taken once, and what was taken before has not gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_07_the_inbox_while_the_database_is_away() {
    let mut server = Server::start("r07fed");
    let peers = Peers::start(&["p1.peer.test"]);
    let database = TestDatabase::on(server.admin.clone()).await;
    let hub = Hub::start_on(database, "a.hub.test", &peers.resolve(), &[]).await;
    let bob = hub.member("bob").await;
    let peer = peers.peer("p1.peer.test");
    let (ann, fay) = (peer.person("ann"), peer.person("fay"));
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    assert_eq!(ann.send(&hub.shared_inbox(), &follow).await.status, 202);
    let second = fay.activity("Follow", json!({ "object": bob.actor }));

    server.kill();
    hub.until("the database is gone", async || {
        let told = hub
            .hub
            .http
            .get(format!("{}/readyz", hub.hub.url))
            .send()
            .await
            .unwrap();
        (told.status() == 503).then_some(())
    })
    .await;
    for inbox in [hub.shared_inbox(), format!("{}/inbox", bob.actor)] {
        for (who, said) in [(&ann, &follow), (&fay, &second)] {
            let told = who.send(&inbox, said).await;
            // What is stored already may be acknowledged again.
            let is_stored = told.status == 202 && *said == follow;
            assert!(told.status == 503 || is_stored, "{told:?}");
            assert!(
                is_stored || told.header("retry-after").is_some(),
                "{told:?}"
            );
        }
    }
    server.restart();

    hub.until("the inbox takes it again", async || {
        let told = fay.send(&hub.shared_inbox(), &second).await;
        assert!(told.status == 202 || told.status == 503, "{told:?}");
        (told.status == 202).then_some(())
    })
    .await;
    let told = ann.send(&hub.shared_inbox(), &follow).await;
    assert!(told.status == 202 || told.status == 200, "{told:?}");
    hub.counts(
        "select count(*) from follows where direction = 'in' and state = 'accepted'",
        2,
    )
    .await;
    hub.counts("select count(*) from ap_received", 2).await;
}

/// The hub is killed while it works on what a peer sent: what was answered 202 has its effect afterwards without being
/// sent again, and what is sent again has it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_03_killed_while_it_works_on_what_came() {
    let peers = Peers::start(&["p1.peer.test"]);
    let mut hub = Hub::start("a", &peers.resolve(), &[]).await;
    let bob = hub.member("bob").await;
    let peer = peers.peer("p1.peer.test");
    let mut taken = 0;
    for round in 0..8u64 {
        let mut fans = Vec::new();
        for n in 0..4 {
            let fan = peer.person(&format!("fan{round}x{n}"));
            let follow = fan.activity("Follow", json!({ "object": bob.actor }));
            let status = fan.send(&hub.shared_inbox(), &follow).await.status;
            assert_eq!(status, 202);
            fans.push((fan, follow));
        }
        // Between the answer and the effect, in the effect, and after it.
        tokio::time::sleep(Duration::from_millis(round * 7)).await;
        hub.kill();
        let kept = hub.count("select count(*) from ap_received").await;
        taken += 4;
        assert_eq!(kept, taken, "round {round}: stored before it was answered");
        // All or nothing: nothing is done without its effect, and no effect is there of what still waits.
        let torn = "select count(*) from ap_received r where (r.state = 'done') <> exists (select from follows f \
                    join ap_actors a on a.id = f.actor_id where a.uri = r.actor_uri and f.direction = 'in')";
        assert_eq!(hub.count(torn).await, 0, "round {round}: half an effect");
        hub.restart();
        if round % 2 == 0 {
            let (fan, follow) = &fans[0];
            let told = fan.send(&hub.shared_inbox(), follow).await;
            assert!((200..300).contains(&told.status), "{told:?}");
        }
        hub.hurry().await;
        let all = "select count(*) from follows where direction = 'in' and state = 'accepted'";
        hub.counts(all, taken).await;
    }
    hub.counts("select count(*) from ap_received where state <> 'done'", 0)
        .await;
}
