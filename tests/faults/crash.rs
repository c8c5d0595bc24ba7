//! Everything is killed at random while people work: what was answered with 2xx must be there afterwards, and what
//! follows from it must follow once.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::hub::{self, wait_until_ready};
use crate::support::server::{fresh_dir, kill, postmaster};

const CLIENTS: usize = 8;
const KILLS: usize = 20;

fn start(data_dir: &Path, port: u16) -> (Child, String) {
    let mut process = hub::command("", data_dir)
        .env_remove("DATABASE_URL")
        .args(["serve", "--bind", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (url, _) = wait_until_ready(&mut process);
    (process, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_twenty_kills() {
    let data_dir = fresh_dir("kills");
    let (mut process, url) = start(&data_dir, 0);
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let http = reqwest::Client::new();
    let account: Value = http
        .post(format!("{url}/auth/v1/signup"))
        .json(&json!({ "email": "amina@example.org", "password": "survives a power cut" }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = account["access_token"].as_str().unwrap().to_owned();

    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (over, token, url) = (over.clone(), token.clone(), url.clone());
            tokio::spawn(async move {
                let http = reqwest::Client::builder()
                    .timeout(Duration::from_secs(5))
                    .build()
                    .unwrap();
                let mut acknowledged = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let id = Uuid::now_v7();
                    let answer = http
                        .post(format!("{url}/rest/v1/persons"))
                        .bearer_auth(&token)
                        .json(&json!({ "id": id, "name": format!("written by {client}") }))
                        .send()
                        .await;
                    match answer {
                        Ok(answer) if answer.status().is_success() => acknowledged.push(id),
                        Ok(answer) => {
                            let status = answer.status().as_u16();
                            assert!(
                                status == 503,
                                "a client's write was answered {status}: {}",
                                answer.text().await.unwrap_or_default()
                            );
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
                acknowledged
            })
        })
        .collect();

    for round in 0..KILLS {
        let mut wait = [0u8; 2];
        wait.copy_from_slice(&Uuid::new_v4().as_bytes()[..2]);
        let random = u16::from_be_bytes(wait);
        tokio::time::sleep(Duration::from_millis(150 + u64::from(random % 700))).await;
        let database = postmaster(&data_dir).expect("the database runs");
        // The hub alone, the database alone, or both at the same moment.
        match random / 700 % 3 {
            0 => kill("KILL", process.id()),
            1 => kill("KILL", database),
            _ => {
                kill("KILL", database);
                kill("KILL", process.id());
            }
        }
        // A hub whose database died ends by itself.
        let ended = tokio::task::spawn_blocking(move || {
            let mut process = process;
            for _ in 0..300 {
                if process.try_wait().unwrap().is_some() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            panic!("round {round}: the hub still runs 30 s after its database was killed");
        });
        ended.await.unwrap();
        process = start(&data_dir, port).0;
    }
    over.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.unwrap());
    }
    assert!(
        acknowledged.len() > 100,
        "the load was too thin to prove anything: {}",
        acknowledged.len()
    );

    let admin = crate::support::database::connect(
        &made_open::db::embedded::Embedded::attach(&data_dir)
            .unwrap()
            .expect("the hub's database runs")
            .admin_url("made_open"),
    )
    .await;
    let lost: i64 = admin
        .query_one(
            "select count(*) from unnest($1::text[]::uuid[]) a(id) \
             where not exists (select from persons p where p.id = a.id) \
             or (select count(*) from hub.journal j where j.row_id = a.id and j.kind = 'persons' and j.verb = 'insert') <> 1",
            &[&acknowledged.iter().map(Uuid::to_string).collect::<Vec<_>>()],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(lost, 0, "of {} acknowledged rows", acknowledged.len());
    drop(admin);

    kill("TERM", process.id());
    drop(process.wait());
    drop(std::fs::remove_dir_all(&data_dir));
}

/// What one client of the mixed load was told.
#[derive(Default)]
struct Told {
    /// Rows that a rule waits for.
    watched: Vec<Uuid>,
    /// Rows that were posted with a key of their own, again and again until an answer came.
    keyed: Vec<Uuid>,
    /// Vault ids with what was kept under them.
    secrets: Vec<(String, String)>,
    /// The refresh token that was given last.
    refresh: Option<String>,
}

struct Desk {
    http: reqwest::Client,
    url: String,
    token: String,
    over: Arc<AtomicBool>,
    /// How many rows that a rule waits for were taken, by everyone.
    taken: Arc<AtomicUsize>,
}

impl Desk {
    /// Post until there is an answer that says something; none when the load is over meanwhile.
    async fn post(&self, path: &str, key: Option<Uuid>, body: &Value) -> Option<Value> {
        while !self.over.load(Ordering::Relaxed) {
            let mut request = self
                .http
                .post(format!("{}{path}", self.url))
                .bearer_auth(&self.token)
                .header("Prefer", "return=representation")
                .json(body);
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key.to_string());
            }
            match request.send().await {
                Ok(answer) if answer.status().is_success() => return answer.json().await.ok(),
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let said = answer.text().await.unwrap_or_default();
                    assert!(
                        matches!(status, 503) || key.is_some() && status == 409,
                        "{path}: {status} {said}"
                    );
                    // Without a key of its own nobody asks twice.
                    key?;
                }
                Err(_) if key.is_none() => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    return None;
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }

    async fn work(self, client: usize, mut refresh: String) -> Told {
        let mut told = Told::default();
        let mut round = 0;
        while !self.over.load(Ordering::Relaxed) {
            round += 1;
            let id = Uuid::now_v7();
            match client {
                // Slowly: a rule that matches too often in a minute is held back.
                0 => {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    let row =
                        json!({ "id": id, "name": format!("Watched {round}"), "notes": "watched" });
                    if self.post("/rest/v1/persons", None, &row).await.is_some() {
                        told.watched.push(id);
                        self.taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
                1..=3 => {
                    let row = json!({ "name": id.to_string() });
                    if self
                        .post("/rest/v1/persons", Some(id), &row)
                        .await
                        .is_some()
                    {
                        told.keyed.push(id);
                    }
                }
                4 => {
                    let value = format!("hush {id}");
                    let secret = json!({ "p_secret": value, "p_name": id.to_string() });
                    if let Some(Value::String(vault_id)) = self
                        .post("/rest/v1/rpc/create_vault_secret", None, &secret)
                        .await
                    {
                        told.secrets.push((vault_id, value));
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => {
                    let asked = json!({ "refresh_token": refresh });
                    let path = "/auth/v1/token?grant_type=refresh_token";
                    match self
                        .post(path, None, &asked)
                        .await
                        .and_then(|fresh| Some(fresh["refresh_token"].as_str()?.to_owned()))
                    {
                        Some(fresh) => {
                            refresh = fresh;
                            told.refresh = Some(refresh.clone());
                        }
                        // An answer that was lost may have used the token up: whoever comes again at once is let in.
                        None => continue,
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_04_twenty_kills_under_a_mixed_load_lose_nothing_and_double_nothing() {
    let data_dir = fresh_dir("mixed");
    let (mut process, url) = start(&data_dir, 0);
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let account: Value = http
        .post(format!("{url}/auth/v1/signup"))
        .json(&json!({ "email": "amina@example.org", "password": "survives a power cut" }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = account["access_token"].as_str().unwrap().to_owned();
    let watch = json!({
        "name": "watch", "trigger_event_types": ["persons.insert"],
        "condition_ast": { "field": "notes", "op": "eq", "value": "watched" },
        "actions": [{ "type": "notify", "title": "{{row.name}}", "message": "{{row.id}}" }],
    });
    let made = http
        .post(format!("{url}/rest/v1/rules"))
        .bearer_auth(&token)
        .json(&watch)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201);

    let over = Arc::new(AtomicBool::new(false));
    let taken = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for client in 0..6 {
        let mut refresh = String::new();
        if client == 5 {
            let session: Value = http
                .post(format!("{url}/auth/v1/token?grant_type=password"))
                .json(&json!({ "email": "amina@example.org", "password": "survives a power cut" }))
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            refresh = session["refresh_token"].as_str().unwrap().to_owned();
        }
        let desk = Desk {
            http: http.clone(),
            url: url.clone(),
            token: token.clone(),
            over: over.clone(),
            taken: taken.clone(),
        };
        clients.push(tokio::spawn(desk.work(client, refresh)));
    }
    for round in 0..KILLS {
        let random =
            u16::from_be_bytes([Uuid::new_v4().as_bytes()[0], Uuid::new_v4().as_bytes()[1]]);
        tokio::time::sleep(Duration::from_millis(400 + u64::from(random % 900))).await;
        // A slow machine gets the time to do something that can be lost.
        for _ in 0..200 {
            if taken.load(Ordering::Relaxed) > round {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let database = postmaster(&data_dir).expect("the database runs");
        match round % 3 {
            0 => kill("KILL", process.id()),
            1 => kill("KILL", database),
            _ => {
                kill("KILL", database);
                kill("KILL", process.id());
            }
        }
        tokio::task::spawn_blocking(move || drop(process.wait()))
            .await
            .unwrap();
        process = start(&data_dir, port).0;
    }
    over.store(true, Ordering::Relaxed);
    let mut told = Told::default();
    for client in clients {
        let client = client.await.unwrap();
        told.watched.extend(client.watched);
        told.keyed.extend(client.keyed);
        told.secrets.extend(client.secrets);
        told.refresh = told.refresh.or(client.refresh);
    }
    assert!(
        told.watched.len() > 15 && told.keyed.len() > 30 && told.secrets.len() > 10,
        "the load was too thin to prove anything: {} {} {}",
        told.watched.len(),
        told.keyed.len(),
        told.secrets.len()
    );

    let admin = crate::support::database::connect(
        &made_open::db::embedded::Embedded::attach(&data_dir)
            .unwrap()
            .expect("the hub's database runs")
            .admin_url("made_open"),
    )
    .await;
    let count = async |sql: &str, ids: &[String]| -> i64 {
        admin.query_one(sql, &[&ids]).await.unwrap().get(0)
    };
    let texts = |ids: &[Uuid]| ids.iter().map(Uuid::to_string).collect::<Vec<_>>();

    // A key that was answered did its work, and did it once.
    let keyed = "select count(*) from unnest($1::text[]) k where (select count(*) from persons p where p.name = k) <> 1";
    assert_eq!(
        count(keyed, &texts(&told.keyed)).await,
        0,
        "of {} keys",
        told.keyed.len()
    );

    // What waits is done, nobody holds what he does not run, nothing died.
    let watched = texts(&told.watched);
    let waiting = "select count(*) from job_records where status in ('enqueued', 'running') and correlation_id is distinct from 'cron' and scheduled_for < now() + interval '1 minute' and $1::text[] is not null";
    let missing = "select count(*) from unnest($1::text[]) w where not exists (select from user_notifications n where n.message = w)";
    let mut left = (1, 1);
    for _ in 0..600 {
        admin.batch_execute("update job_records set scheduled_for = now() where status = 'enqueued' and last_error is not null").await.unwrap();
        left = (count(waiting, &[]).await, count(missing, &watched).await);
        if left == (0, 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        left,
        (0, 0),
        "jobs that wait, notifications that are missing of {}",
        watched.len()
    );
    let dead: Vec<String> = admin
        .query("select job_type || ': ' || coalesce(last_error, '') from job_records where status = 'dead'", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(dead.is_empty(), "{dead:?}");
    let twice = "select count(*) from (select message from user_notifications where message = any ($1) group by message having count(*) > 1) t";
    assert_eq!(
        count(twice, &watched).await,
        0,
        "notifications that came twice"
    );

    // Secrets open, the session goes on, the audit log is whole.
    let key = cli_in(
        &data_dir,
        &["token", "create", "--role", "service_role", "--json"],
    );
    let key = key["token"].as_str().unwrap().to_owned();
    for (vault_id, value) in &told.secrets {
        let opened: Value = http
            .post(format!("{url}/rest/v1/rpc/vault_decrypt"))
            .bearer_auth(&key)
            .json(&json!({ "vault_id": vault_id }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(&opened, value);
    }
    assert!(
        told.refresh.is_some(),
        "nobody could refresh a session between two kills"
    );
    admin
        .batch_execute("select hub.seal_audit()")
        .await
        .unwrap();
    let verified = cli_in(&data_dir, &["audit", "verify", "--json"]);
    assert!(
        verified["bad"].is_null() && verified["rows"].as_u64().unwrap() > 0,
        "{verified}"
    );
    drop(admin);

    kill("TERM", process.id());
    drop(process.wait());
    drop(std::fs::remove_dir_all(&data_dir));
}

/// A command beside the running hub, on its embedded database.
fn cli_in(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = hub::command("", data_dir)
        .env_remove("DATABASE_URL")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
