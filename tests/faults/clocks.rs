//! Clocks that are wrong and clocks that jump: what is due is the database's to say, whatever the hub's own clock shows.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::TestDatabase;
use crate::support::clock;
use crate::support::hub::{self, TestHub, wait_until_ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_22_a_clock_that_jumps_two_hours_runs_no_job_early_or_late() {
    let database = TestDatabase::new().await;
    let admin = database.admin().await;
    let data_dir = std::env::temp_dir().join(format!("made-open-{}", database.name));
    std::fs::create_dir_all(&data_dir).unwrap();
    let offset = data_dir.join("offset");
    std::fs::write(&offset, "+2h\n").unwrap();
    let mut command = hub::command(&database.url(), &data_dir);
    command
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env("LD_PRELOAD", clock::library())
        .env("FAKETIME_TIMESTAMP_FILE", &offset)
        .env("FAKETIME_NO_CACHE", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let (url, first_link) = wait_until_ready(&mut process);
    let anon = hub::cli(&database.url(), &data_dir, &["token", "anon"], None).unwrap();
    let hub = TestHub {
        url,
        database,
        data_dir,
        http: reqwest::Client::new(),
        anon,
        first_link,
        process,
    };

    let enqueue = "insert into job_records (job_type, scheduled_for, correlation_id) values \
        ('ops.nothing', now() + interval '1 hour', 'early'), ('ops.nothing', now(), 'due')";
    admin.batch_execute(enqueue).await.unwrap();
    let done = async |name: &str| -> bool {
        let sql = "select exists (select from job_records where correlation_id = $1 and status = 'completed')";
        admin.query_one(sql, &[&name]).await.unwrap().get(0)
    };
    let until_done = async |name: &str| {
        for _ in 0..100 {
            if done(name).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} did not run");
    };
    until_done("due").await;
    let amina = hub.sign_up("amina").await;
    // The hub really lives in the future: its tokens say so.
    let claims = amina.token.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(claims["iat"].as_u64().unwrap() > now + 7000);

    // Two hours ahead; then two hours behind, as when the time is set from the network.
    std::fs::write(&offset, "-2h\n").unwrap();
    admin
        .batch_execute(
            "insert into job_records (job_type, correlation_id) values ('ops.nothing', 'behind')",
        )
        .await
        .unwrap();
    until_done("behind").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!done("early").await, "a job ran an hour early");
    let leases = "select count(*) from job_records where status = 'running' or attempts > 1";
    assert_eq!(
        admin.query_one(leases, &[]).await.unwrap().get::<_, i64>(0),
        0
    );

    // A token from the future is refused; its holder refreshes and goes on.
    let answer = hub
        .ask(Method::POST, "/auth/v1/token?grant_type=refresh_token")
        .json(&json!({ "refresh_token": amina.refresh }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let fresh: serde_json::Value = answer.json().await.unwrap();
    let user = hub
        .http
        .get(format!("{}/auth/v1/user", hub.url))
        .bearer_auth(fresh["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(user.status(), 200);
}
