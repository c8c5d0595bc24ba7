//! Hubs that talk to each other: real processes on names of their own, each with its own database, behind a gate that can
//! be shut. They can be killed, frozen and started again at the same address.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::TestDatabase;
use super::clock::Clock;
use super::hub::{TestHub, cli, command, wait_until_ready};
use super::peer::{ACTIVITY, Told, client};
use super::people::Person;

/// How long a test waits for what should come.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A hub with a name in the little internet of a test.
pub struct Hub {
    /// `http://a.hub.test:PORT`, where others reach it.
    pub public: String,
    /// `a.hub.test:PORT`.
    pub host: String,
    /// How the test itself asks it; that way is always open.
    pub hub: TestHub,
    gate: Gate,
    bind: String,
    settings: Vec<(String, String)>,
    clock: Option<Clock>,
}

/// Somebody with an account on a hub and an actor that others can find.
#[derive(Clone)]
pub struct Member {
    pub person: Person,
    /// The actor's URL.
    pub actor: String,
    /// `@name@host:port`.
    pub handle: String,
}

impl Hub {
    /// A hub called `NAME.hub.test`, that reaches these further names (`p1.peer.test=127.0.0.1,…`), with more settings.
    pub async fn start(name: &str, resolve: &str, settings: &[(&str, &str)]) -> Self {
        let name = format!("{name}.hub.test");
        Self::start_on(TestDatabase::new().await, &name, resolve, settings).await
    }

    /// The same with a clock that the test moves, in the database as in the process.
    pub async fn start_with_clock(name: &str, resolve: &str, settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::new().await;
        let data_dir = folder_of(&database);
        let clock = Clock::put_into(&database, &data_dir).await;
        let moved = clock.settings();
        let mut all = settings.to_vec();
        all.extend(moved.iter().map(|(name, value)| (*name, value.as_str())));
        let name = format!("{name}.hub.test");
        let mut hub = Self::start_on(database, &name, resolve, &all).await;
        hub.clock = Some(clock);
        hub
    }

    /// Let so much time pass at once for a hub with such a clock: `3 days`.
    pub async fn passes(&self, interval: &str) {
        let clock = self.clock.as_ref().expect("a hub with a clock");
        clock.passes(&self.hub.database, interval).await;
    }

    /// A hub at `localhost`: what is no test of Rust resolves no other name.
    pub async fn at_localhost() -> Self {
        Self::start_on(TestDatabase::new().await, "localhost", "", &[]).await
    }

    /// Hubs that know each other's names.
    pub async fn start_all(names: &[&str]) -> Vec<Self> {
        let resolve: Vec<String> = names
            .iter()
            .map(|name| format!("{name}.hub.test=127.0.0.1"))
            .collect();
        let mut hubs = Vec::new();
        for name in names {
            hubs.push(Self::start(name, &resolve.join(","), &[]).await);
        }
        hubs
    }

    /// A hub on a database that is there already, under a whole name.
    pub async fn start_on(
        database: TestDatabase,
        name: &str,
        resolve: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let bind = format!("127.0.0.1:{}", free_port());
        let gate = Gate::open(bind.parse().unwrap());
        let host = format!("{name}:{}", gate.port);
        let public = format!("http://{host}");
        let data_dir = folder_of(&database);
        let mut all = vec![
            ("MADE_OPEN_PUBLIC_URL".to_owned(), public.clone()),
            ("MADE_OPEN_ALLOW_PRIVATE_PEERS".to_owned(), "on".to_owned()),
            ("MADE_OPEN_TEST_RESOLVE".to_owned(), resolve.to_owned()),
        ];
        all.extend(settings.iter().map(|(k, v)| ((*k).into(), (*v).into())));

        let (process, url, first_link) = run(&database.url(), &data_dir, &bind, &all);
        let said = cli(
            &database.url(),
            &data_dir,
            &["token", "anon", "--json"],
            None,
        );
        let said: Value = serde_json::from_str(&said.unwrap()).unwrap();
        let hub = TestHub {
            url,
            data_dir,
            http: Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            anon: said["token"].as_str().unwrap().to_owned(),
            first_link,
            process,
            database,
        };
        let hub = Self {
            public,
            host,
            hub,
            gate,
            bind,
            settings: all,
            clock: None,
        };
        // The first account is the operator's; the people of a test are nobody in particular.
        hub.hub.sign_up("founder").await;
        hub
    }

    /// Kill it as a power cut would.
    pub fn kill(&mut self) {
        drop(self.hub.process.kill());
        drop(self.hub.process.wait());
    }

    /// Start it again at the same address on the same data, after it was killed; else stop it first.
    pub fn restart(&mut self) {
        if self.hub.process.try_wait().unwrap().is_none() {
            self.hub.signal("TERM");
            drop(self.hub.process.wait());
        }
        let (process, url, _) = run(
            &self.hub.database.url(),
            &self.hub.data_dir,
            &self.bind,
            &self.settings,
        );
        (self.hub.process, self.hub.url) = (process, url);
    }

    /// Another setting from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(n, _)| n != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Nobody reaches it any more from outside; the test still does.
    pub fn cut_off(&self) {
        self.gate.shut();
    }

    /// It is reached again.
    pub fn reconnect(&self) {
        self.gate.reopen();
    }

    /// Somebody with an account, a handle and a public actor.
    pub async fn member(&self, name: &str) -> Member {
        let person = self.hub.sign_up(name).await;
        let answer = person
            .ask(
                &self.hub,
                Method::PATCH,
                &format!("/rest/v1/users?id=eq.{}", person.id),
            )
            .json(&json!({ "handle": name }))
            .send()
            .await
            .unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "handle: {status} {}",
            answer.text().await.unwrap()
        );
        self.rpc(&person, "actors_publish", json!({})).await;
        let handle = format!("@{name}@{}", self.host);
        let actor = self
            .until(&format!("{handle} is found"), async || {
                let found = self
                    .ask(&format!(
                        "/.well-known/webfinger?resource=acct:{name}@{}",
                        self.host
                    ))
                    .await;
                (found.status == 200).then(|| {
                    let links = found.json()["links"].as_array().unwrap().clone();
                    let own = links.into_iter().find(|link| link["rel"] == "self");
                    own.unwrap()["href"].as_str().unwrap().to_owned()
                })
            })
            .await;
        Member {
            person,
            actor,
            handle,
        }
    }

    /// Ask it as a stranger's server does.
    pub async fn ask(&self, path: &str) -> Told {
        let path = path.strip_prefix(&self.public).unwrap_or(path);
        let request = client().get(format!("{}{path}", self.hub.url));
        let request = request
            .header("Accept", ACTIVITY)
            .header("Host", &self.host);
        Told::of(request.send().await.unwrap()).await
    }

    /// An action as somebody; what it answers.
    pub async fn rpc(&self, person: &Person, action: &str, input: Value) -> Value {
        let (status, body) = self.tries(person, action, input.clone()).await;
        assert!(
            (200..300).contains(&status),
            "{action} {input}: {status} {body}"
        );
        body
    }

    /// An action as somebody, which may be refused.
    pub async fn tries(&self, person: &Person, action: &str, input: Value) -> (u16, Value) {
        let answer = person
            .ask(&self.hub, Method::POST, &format!("/rest/v1/rpc/{action}"))
            .json(&input)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap();
        (
            status,
            serde_json::from_str(&body).unwrap_or(Value::String(body)),
        )
    }

    /// Somebody follows an actor, by handle or URL, and waits for the answer.
    pub async fn follows(&self, who: &Member, whom: &str) {
        self.rpc(&who.person, "follows_request", json!({ "actor": whom }))
            .await;
        let bare = whom.trim_start_matches('@');
        let (name, host) = bare.split_once('@').unwrap_or((bare, ""));
        let query = format!(
            "select count(*) from follows f join ap_actors a on a.id = f.actor_id where f.direction = 'out' and f.state = 'accepted' \
             and f.owner_id = '{}' and (a.uri = '{whom}' or (a.preferred_username = '{name}' and a.host = '{host}'))",
            who.person.id
        );
        self.counts(&query, 1).await;
    }

    /// Somebody posts; the row as it is stored.
    pub async fn posts(&self, who: &Member, post: Value) -> Value {
        who.person.adds(&self.hub, "posts", post).await
    }

    /// Wait until somebody reads a post of such a content; the row.
    pub async fn reads_post(&self, who: &Member, content: &str) -> Value {
        self.until(&format!("{} reads {content:?}", who.handle), async || {
            let rows = who
                .person
                .reads(&self.hub, "/rest/v1/posts?order=created_at.desc&limit=200")
                .await;
            let rows = rows.as_array().unwrap();
            rows.iter()
                .find(|row| {
                    row["content"]
                        .as_str()
                        .unwrap_or_default()
                        .contains(content)
                })
                .cloned()
        })
        .await
    }

    /// Ask the database whatever a test must know; one value.
    pub async fn count(&self, query: &str) -> i64 {
        let row = self.hub.database.admin().await;
        row.query_one(query, &[]).await.unwrap().get(0)
    }

    /// A text from the database; none when there is no row, or nothing in it.
    pub async fn text(&self, query: &str) -> Option<String> {
        let row = self.hub.database.admin().await;
        row.query_opt(query, &[]).await.unwrap()?.get(0)
    }

    /// Under which URL others know a post.
    pub async fn url_of(&self, post: &Value) -> String {
        let id = post["id"].as_str().unwrap();
        let query = format!("select federated_ap_id from posts where id = '{id}'");
        self.until("the post has its URL", async || self.text(&query).await)
            .await
    }

    /// The inbox that all its actors share.
    pub fn shared_inbox(&self) -> String {
        format!("{}/ap/inbox", self.public)
    }

    /// Wait until a query of the database counts what is expected.
    pub async fn counts(&self, query: &str, expected: i64) {
        let start = Instant::now();
        loop {
            let found = self.count(query).await;
            if found == expected {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{}: {found} instead of {expected}: {query}",
                self.host
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// As if the time until the next attempt were over: what failed is tried again at once.
    pub async fn hurry(&self) {
        let admin = self.hub.database.admin().await;
        admin
            .batch_execute(
                "update ap_deliveries set next_at = now() where state = 'waiting' and next_at > now();
                 update ap_received set next_at = now() where state = 'waiting' and next_at > now();
                 update ap_hosts set retry_at = now() where retry_at > now()",
            )
            .await
            .unwrap();
    }

    /// Change a row through the interface.
    pub async fn changes(&self, who: &Member, table: &str, row: &Value, change: Value) {
        self.writes(who, Method::PATCH, table, row, Some(change))
            .await;
    }

    /// Delete a row through the interface.
    pub async fn deletes(&self, who: &Member, table: &str, row: &Value) {
        self.writes(who, Method::DELETE, table, row, None).await;
    }

    async fn writes(
        &self,
        who: &Member,
        method: Method,
        table: &str,
        row: &Value,
        change: Option<Value>,
    ) {
        let path = format!("/rest/v1/{table}?id=eq.{}", row["id"].as_str().unwrap());
        let mut request = who.person.ask(&self.hub, method, &path);
        if let Some(change) = change {
            request = request.json(&change);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{path}: {status} {}",
            answer.text().await.unwrap()
        );
    }

    /// Look again and again until there is something.
    pub async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "{}: never: {what}", self.host);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn folder_of(database: &TestDatabase) -> std::path::PathBuf {
    let data_dir = std::env::temp_dir().join(format!("made-open-{}", database.name));
    std::fs::create_dir_all(&data_dir).unwrap();
    data_dir
}

fn run(
    database: &str,
    data_dir: &std::path::Path,
    bind: &str,
    settings: &[(String, String)],
) -> (std::process::Child, String, Option<String>) {
    let mut command = command(database, data_dir);
    command.args(["serve", "--bind", bind]);
    command.envs(settings.iter().map(|(k, v)| (k, v)));
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let (_, first_link) = wait_until_ready(&mut process);
    (process, format!("http://{bind}"), first_link)
}

/// A port that nobody listens on. Somebody may take it before the hub does; then the hub says so and the test fails.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What stands between a hub and the others: it passes bytes on, or nobody comes through.
pub struct Gate {
    pub port: u16,
    shut: Arc<AtomicBool>,
    through: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    /// A gate on a port of its own before an address.
    pub fn open(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (shut, through) = (
            Arc::new(AtomicBool::new(false)),
            Arc::<Mutex<Vec<TcpStream>>>::default(),
        );
        let (is_shut, streams) = (shut.clone(), through.clone());
        std::thread::spawn(move || {
            for outside in listener.incoming().map_while(Result::ok) {
                if is_shut.load(Ordering::SeqCst) {
                    // Dropped at once: to the other side the connection is gone before a word was said.
                    continue;
                }
                let Ok(inside) = TcpStream::connect(to) else {
                    continue;
                };
                let mut streams = streams.lock().unwrap();
                streams.push(outside.try_clone().unwrap());
                streams.push(inside.try_clone().unwrap());
                pass(outside.try_clone().unwrap(), inside.try_clone().unwrap());
                pass(inside, outside);
            }
        });
        Self {
            port,
            shut,
            through,
        }
    }

    /// Cut everything that goes through, and let nobody in.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        for stream in self.through.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// As before.
    pub fn reopen(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Both));
        drop(from.shutdown(Shutdown::Both));
    });
}
