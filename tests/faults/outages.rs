//! The hub when its surroundings fail: signals, a database that is away, read-only, full or slow.

use std::process::Stdio;
use std::time::{Duration, Instant};

use made_open::db::{bootstrap, migrate};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::hub::{self, wait_until_ready};
use crate::support::server::{Server, fresh_dir};
use crate::support::{TestDatabase, TestHub, database};

/// A hub on a server of its own.
struct Lone {
    server: Server,
    url: String,
    process: std::process::Child,
}

const PASSWORD: &str = "lone";

async fn prepare(server: &Server) -> String {
    let admin = server.admin.clone();
    let named = move |name: &str| database::with_database(&admin, name);
    bootstrap::run(named, "made_open", Some(PASSWORD))
        .await
        .unwrap();
    let config: tokio_postgres::Config = server.admin.parse().unwrap();
    let tokio_postgres::config::Host::Unix(socket) = &config.get_hosts()[0] else {
        panic!("the server listens on a socket");
    };
    format!(
        "postgresql://made_open:{PASSWORD}@{}:{}/made_open",
        socket.to_str().unwrap().replace('/', "%2F"),
        config.get_ports()[0]
    )
}

fn spawn(database: &str) -> std::process::Child {
    hub::command(database, &fresh_dir("lone-hub"))
        .args(["serve", "--bind", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Lone {
    async fn start(name: &str) -> Self {
        let server = Server::start(name);
        let database = prepare(&server).await;
        let mut process = spawn(&database);
        let (url, _) = wait_until_ready(&mut process);
        Self {
            server,
            url,
            process,
        }
    }

    async fn sign_up(&self) -> String {
        let answer: Value = reqwest::Client::new()
            .post(format!("{}/auth/v1/signup", self.url))
            .json(&json!({ "email": "amina@example.org", "password": "waits for better days" }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn write(&self, token: &str, name: &str) -> reqwest::Response {
        reqwest::Client::new()
            .post(format!("{}/rest/v1/persons", self.url))
            .bearer_auth(token)
            .json(&json!({ "name": name }))
            .send()
            .await
            .unwrap()
    }

    async fn read(&self, token: &str) -> reqwest::Response {
        reqwest::Client::new()
            .get(format!("{}/rest/v1/persons?select=name", self.url))
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    }

    async fn status(&self, path: &str) -> StatusCode {
        reqwest::get(format!("{}{path}", self.url))
            .await
            .unwrap()
            .status()
    }
}

impl Drop for Lone {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// SIGTERM under load: what is running is answered, new work is not taken, what was acknowledged is there, the exit
/// is clean.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_05_sigterm_under_load() {
    let mut hub = TestHub::start_with(&[
        ("MADE_OPEN_REST_SCHEMAS", "public,slow"),
        ("MADE_OPEN_DATABASE_POOL", "8"),
    ])
    .await;
    let amina = hub.sign_up("amina").await;
    let admin = hub.database.admin().await;
    slow_schema(&admin).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;

    let running: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn(
                amina
                    .ask(&hub, Method::GET, "/rest/v1/nap?seconds=eq.3")
                    .header("Accept-Profile", "slow")
                    .send(),
            )
        })
        .collect();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (url, token) = (hub.url.clone(), amina.token.clone());
            tokio::spawn(async move {
                let http = reqwest::Client::new();
                let mut acknowledged = 0i64;
                // Until the hub takes nothing any more.
                while let Ok(answer) = http
                    .post(format!("{url}/rest/v1/persons"))
                    .bearer_auth(&token)
                    .json(&json!({ "name": format!("before the end {writer}") }))
                    .send()
                    .await
                {
                    let status = answer.status();
                    assert!(status == 201 || status == 503, "{status}");
                    acknowledged += i64::from(status == 201);
                }
                acknowledged
            })
        })
        .collect();
    let patience = Instant::now();
    loop {
        let asleep: i64 = admin
            .query_one(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        if asleep == 3 {
            break;
        }
        assert!(patience.elapsed() < Duration::from_secs(10), "{asleep} run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    hub.signal("TERM");
    let asked = Instant::now();
    for request in running {
        let answer = request
            .await
            .unwrap()
            .expect("a running request is answered");
        assert_eq!(answer.status(), 200);
    }
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.await.unwrap();
    }
    assert!(acknowledged > 0, "nothing was under way");
    let kept: i64 = admin
        .query_one("select count(*) from persons", &[])
        .await
        .unwrap()
        .get(0);
    assert!(kept >= acknowledged, "{kept} of {acknowledged}");
    let (status, _hub) = tokio::task::spawn_blocking(move || {
        let status = hub.process.wait().unwrap();
        (status, hub)
    })
    .await
    .unwrap();
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(30));
}

/// A second signal ends the hub at once, although a request is still running; commits stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_06_second_signal_and_closed_output() {
    let mut hub = TestHub::start_with(&[
        ("MADE_OPEN_REST_SCHEMAS", "public,slow"),
        ("RUST_LOG", "debug"),
    ])
    .await;
    let amina = hub.sign_up("amina").await;
    amina
        .adds(&hub, "persons", json!({ "name": "Bruno" }))
        .await;
    slow_schema(&hub.database.admin().await).await;
    hub.signal("HUP");
    let (url, token) = (hub.url.clone(), amina.token.clone());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let running = tokio::spawn(async move {
        reqwest::Client::new()
            .get(format!("{url}/rest/v1/nap?seconds=eq.9"))
            .header("Accept-Profile", "slow")
            .bearer_auth(token)
            .send()
            .await
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let asked = Instant::now();
    hub.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    hub.signal("INT");
    let (status, hub) = tokio::task::spawn_blocking(move || {
        let status = hub.process.wait().unwrap();
        (status, hub)
    })
    .await
    .unwrap();
    assert!(status.success(), "{status}");
    assert!(
        asked.elapsed() < Duration::from_secs(6),
        "the second signal ends at once: {:?}",
        asked.elapsed()
    );
    drop(running.await);
    let kept: i64 = hub
        .database
        .admin()
        .await
        .query_one("select count(*) from persons", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(kept, 1);
}

/// The database dies and comes back: 503 with Retry-After meanwhile, then everything works without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_07_database_restarted() {
    let mut lone = Lone::start("r07").await;
    let token = lone.sign_up().await;
    assert_eq!(lone.write(&token, "before").await.status(), 201);

    lone.server.kill();
    for _ in 0..5 {
        let refused = lone.write(&token, "meanwhile").await;
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        let body: Value = refused.json().await.unwrap();
        assert!(
            body["code"].is_string() && body["message"].is_string(),
            "{body}"
        );
        assert_eq!(lone.read(&token).await.status(), 503);
    }
    assert_eq!(lone.status("/livez").await, 200);
    assert_eq!(lone.status("/readyz").await, 503);

    lone.server.restart();
    let patience = Instant::now();
    while lone.status("/readyz").await != 200 {
        assert!(
            patience.elapsed() < Duration::from_secs(20),
            "the pool does not heal"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Connections that died while they lay in the pool cost at most one answer each.
    let mut healed = false;
    for _ in 0..20 {
        if lone.write(&token, "after").await.status() == 201 {
            healed = true;
            break;
        }
    }
    assert!(healed);
    for n in 0..8 {
        assert_eq!(
            lone.write(&token, &format!("again {n}")).await.status(),
            201
        );
    }
}

/// The hub starts before its database: live, not ready, and serves once the database is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_08_hub_starts_first() {
    let mut server = Server::start("r08");
    let database = prepare(&server).await;
    server.kill();

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut process = hub::command(&database, &fresh_dir("r08-hub"))
        .args(["serve", "--bind", &address.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let get = async |path: &str| reqwest::get(format!("http://{address}{path}")).await;
    let patience = Instant::now();
    loop {
        if let Ok(answer) = get("/livez").await {
            assert_eq!(answer.status(), 200);
            break;
        }
        assert!(patience.elapsed() < Duration::from_secs(10), "not live");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let early = get("/rest/v1/listings").await.unwrap();
    assert_eq!(early.status(), 503);
    assert_eq!(get("/readyz").await.unwrap().status(), 503);

    server.restart();
    let (url, _alive) = tokio::task::spawn_blocking(move || {
        let ready = wait_until_ready(&mut process);
        (ready.0, process)
    })
    .await
    .map(|(url, process)| (url, KillOnDrop(process)))
    .unwrap();
    assert_eq!(
        reqwest::get(format!("{url}/readyz"))
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        reqwest::get(format!("{url}/rest/v1/listings"))
            .await
            .unwrap()
            .status(),
        200
    );
}

struct KillOnDrop(std::process::Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A database that only reads: reads work, writes are told to come back later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_09_read_only_database() {
    let lone = Lone::start("r09").await;
    let token = lone.sign_up().await;
    assert_eq!(lone.write(&token, "before").await.status(), 201);
    let admin = database::connect(&lone.server.admin).await;
    admin
        .batch_execute("alter system set default_transaction_read_only = on")
        .await
        .unwrap();
    admin
        .batch_execute("select pg_reload_conf()")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;

    assert_eq!(lone.read(&token).await.status(), 200);
    let refused = lone.write(&token, "not now").await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));

    admin
        .batch_execute("set default_transaction_read_only = off")
        .await
        .unwrap();
    admin
        .batch_execute("alter system reset default_transaction_read_only")
        .await
        .unwrap();
    admin
        .batch_execute("select pg_reload_conf()")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(lone.write(&token, "after").await.status(), 201);
}

/// A full disk: writes are refused with 503 or 507, nothing half-written stays, and all is well when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_disk_full() {
    let dir = fresh_dir("r10");
    let me = rustix::process::geteuid();
    let size = format!("size=240m,mode=755,uid={}", me.as_raw());
    let mounted = as_root("mount")
        .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
        .arg(&dir)
        .status()
        .unwrap();
    assert!(
        mounted.success(),
        "this test mounts a small tmpfs, which needs root or a sudo that does not ask"
    );
    let server = Server::start_in(dir.clone());
    let url = prepare(&server).await;
    let mut process = spawn(&url);
    let (address, _) = wait_until_ready(&mut process);
    let lone = Lone {
        server,
        url: address,
        process,
    };
    let token = lone.sign_up().await;
    assert_eq!(lone.write(&token, "before").await.status(), 201);

    let filler = dir.join("filler");
    let filled = std::process::Command::new("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", filler.display()))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!filled.success(), "the disk is not full");
    let big = "x".repeat(200_000);
    let mut refused = 0;
    for n in 0..60 {
        let answer = lone.write(&token, &format!("{n} {big}")).await.status();
        match answer.as_u16() {
            201 => {}
            503 | 507 => refused += 1,
            other => panic!("a full disk was answered with {other}"),
        }
        if refused > 2 {
            break;
        }
    }
    assert!(refused > 0, "the disk was never full");
    let stored = lone.server_count().await;

    std::fs::remove_file(&filler).unwrap();
    let patience = Instant::now();
    while lone.write(&token, "after").await.status() != 201 {
        assert!(patience.elapsed() < Duration::from_secs(60), "no recovery");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(lone.server_count().await > stored);
    drop(lone);
    drop(as_root("umount").arg("-l").arg(&dir).status());
}

/// A command that only root may run, by way of sudo for everybody else.
fn as_root(program: &str) -> std::process::Command {
    if rustix::process::geteuid().is_root() {
        return std::process::Command::new(program);
    }
    let mut command = std::process::Command::new("sudo");
    command.args(["-n", program]);
    command
}

impl Lone {
    /// How many persons there are; nothing while the server does not answer.
    async fn server_count(&self) -> Option<i64> {
        let url = database::with_database(&self.server.admin, "made_open");
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .ok()?;
        tokio::spawn(connection);
        Some(
            client
                .query_one("select count(*) from persons", &[])
                .await
                .ok()?
                .get(0),
        )
    }
}

/// Every connection is busy: callers hear so after five seconds, probes do not notice, long statements are stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_11_pool_exhausted() {
    let hub = TestHub::start_with(&[
        ("MADE_OPEN_REST_SCHEMAS", "public,slow"),
        ("MADE_OPEN_DATABASE_POOL", "2"),
    ])
    .await;
    let amina = hub.sign_up("amina").await;
    slow_schema(&hub.database.admin().await).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let nap = |seconds: u32| {
        amina
            .ask(
                &hub,
                Method::GET,
                &format!("/rest/v1/nap?seconds=eq.{seconds}"),
            )
            .header("Accept-Profile", "slow")
            .send()
    };
    let (long, other, quick, probe) = tokio::join!(
        nap(60),
        nap(9),
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let asked = Instant::now();
            (hub.get("/rest/v1/listings").await, asked.elapsed())
        },
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            hub.get("/readyz").await.status()
        },
    );
    assert_eq!(probe, 200, "probes have a connection of their own");
    let (quick, waited) = quick;
    assert_eq!(quick.status(), 503);
    assert!(quick.headers().contains_key("retry-after"));
    assert!(
        waited > Duration::from_secs(4) && waited < Duration::from_secs(8),
        "{waited:?}"
    );
    let long = long.unwrap();
    assert_eq!(long.status(), 503, "a statement of a minute is stopped");
    assert_eq!(long.json::<Value>().await.unwrap()["code"], "57014");
    assert_eq!(other.unwrap().status(), 200);
    assert_eq!(hub.get("/rest/v1/listings").await.status(), 200);
}

async fn slow_schema(admin: &tokio_postgres::Client) {
    admin
        .batch_execute(
            "create schema slow; grant usage on schema slow to anon, authenticated, service_role;
             create table slow.nap (seconds int primary key);
             insert into slow.nap select generate_series(1, 60);
             create function slow.sleep(seconds int) returns boolean language sql volatile as
                 $$ select pg_sleep(seconds) is not null $$;
             create view slow.napping as select 1;
             alter table slow.nap enable row level security;
             create policy slowly on slow.nap using (slow.sleep(seconds));
             grant select on slow.nap to anon, authenticated, service_role;
             notify hub_catalog",
        )
        .await
        .unwrap();
}

/// Two transactions that wait for each other: the hub's is tried again and wins in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_deadlock_is_tried_again() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let first = amina.adds(&hub, "persons", json!({ "name": "a" })).await;
    let second = amina.adds(&hub, "persons", json!({ "name": "b" })).await;
    let (a, b) = (
        first["id"].as_str().unwrap(),
        second["id"].as_str().unwrap(),
    );

    let mut admin = hub.database.admin().await;
    // So that the hub's session, which waits first, is the one that finds the deadlock and loses.
    admin
        .batch_execute("set deadlock_timeout = '30s'")
        .await
        .unwrap();
    let other = admin.transaction().await.unwrap();
    other
        .batch_execute(&format!(
            "update persons set notes = 'other' where id = '{b}'"
        ))
        .await
        .unwrap();
    // One statement that locks both rows: the first at once, then it waits for the second.
    let path = format!("/rest/v1/persons?id=in.({a},{b})");
    let patch = tokio::spawn(
        amina
            .ask(&hub, Method::PATCH, &path)
            .json(&json!({ "name": "patched" }))
            .send(),
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    let second_lock = format!("update persons set notes = 'other' where id = '{a}'");
    let crossing = other.batch_execute(&second_lock);
    let crossed = tokio::time::timeout(Duration::from_secs(20), crossing).await;
    assert!(
        crossed.is_ok_and(|done| done.is_ok()),
        "the other one was the victim"
    );
    other.commit().await.unwrap();
    let answer = patch.await.unwrap().unwrap();
    assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    let patched = amina
        .reads(&hub, "/rest/v1/persons?name=eq.patched&notes=eq.other")
        .await;
    assert_eq!(patched.as_array().unwrap().len(), 2);
}

/// A database that a newer hub has brought up: the older one says so and does not serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_35_newer_database() {
    let database = TestDatabase::new().await;
    let admin = database.admin().await;
    admin
        .batch_execute(
            "insert into public.__diesel_schema_migrations (version) values ('29990101000000')",
        )
        .await
        .unwrap();
    let refused = migrate::up(&database.url()).await.unwrap_err().to_string();
    assert!(refused.contains("newer made-open"), "{refused}");
    let mut process = spawn(&database.url());
    let output = tokio::task::spawn_blocking(move || {
        let stderr = process.stderr.take().unwrap();
        let said = std::io::read_to_string(stderr).unwrap();
        (process.wait().unwrap(), said)
    })
    .await
    .unwrap();
    assert_eq!(output.0.code(), Some(1));
    assert!(output.1.contains("newer made-open"), "{}", output.1);
}
