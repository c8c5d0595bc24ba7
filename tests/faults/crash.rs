//! Everything is killed at random while eight clients write: what was answered with 2xx must be there afterwards.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
