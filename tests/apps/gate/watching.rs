//! Log lines and figures: what they tell, what they never tell, and that they hold when the hub is in trouble.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::{Cut, Heard};
use crate::support::{TestDatabase, TestHub};

async fn metrics(url: &str) -> (StatusCode, String) {
    let answer = reqwest::get(format!("{url}/metrics")).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// The value of a figure whose line holds all these words.
fn figure(text: &str, words: &[&str]) -> Option<f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find(|line| words.iter().all(|word| line.contains(word)))
        .and_then(|line| line.rsplit_once(' ')?.1.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_for_each_request_names_it_and_tells_no_secret() {
    let database = TestDatabase::new().await;
    let hub = Heard::start(
        &database.url(),
        &[
            ("MADE_OPEN_LOG_FORMAT", "json"),
            ("MADE_OPEN_LOG_REQUESTS", "on"),
        ],
    );
    let answer = Client::new()
        .post(format!(
            "{}/rest/v1/persons?select=hidden_in_the_query",
            hub.url
        ))
        .bearer_auth("hidden.in.the_token")
        .header("Cookie", "hidden_in_the_cookie")
        .body("{\"name\":\"hidden_in_the_body\"}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();

    let since = Instant::now();
    let line = loop {
        let found = hub
            .log()
            .into_iter()
            .find(|line| line["span"]["id"] == id.as_str());
        if let Some(line) = found {
            break line;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", hub.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let fields = &line["fields"];
    assert_eq!(fields["event"], "request", "{line}");
    assert_eq!(fields["method"], "POST");
    assert_eq!(fields["route"], "/rest/v1/{table:.*}");
    assert_eq!(fields["status"], 401);
    assert_eq!(fields["caller"], "unknown");
    assert!(fields["ms"].is_u64(), "{line}");
    assert_eq!(line["span"]["peer"], "127.0.0.1");
    let said = hub.lines.lock().unwrap().join("\n");
    assert!(!said.contains("hidden"), "{said}");
}

/// The hub is asked again and again while its database is away: it lives, says that it is not ready, its figures are there,
/// and its log does not grow with the attack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_48_the_hub_can_be_watched_while_its_database_is_away() {
    let database = TestDatabase::new().await;
    let way = Cut::before(&database).await;
    let hub = Heard::start(&way.url, &[("MADE_OPEN_LOG_FORMAT", "json")]);
    let (status, text) = metrics(&hub.url).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        figure(&text, &["made_open_database_up"]),
        Some(1.0),
        "{text}"
    );
    let before = hub.lines.lock().unwrap().len();

    way.set(true);
    let http = Client::new();
    let mut refused = 0;
    for _ in 0..40 {
        let asked = (0..5).map(|_| http.get(format!("{}/rest/v1/listings", hub.url)).send());
        for answer in futures_util::future::join_all(asked).await {
            if answer.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE {
                refused += 1;
            }
        }
    }
    assert!(refused > 150, "{refused}");
    let status = async |path: &str| {
        let answer = http.get(format!("{}{path}", hub.url)).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(status("/livez").await, 200);
    assert_eq!(status("/readyz").await, 503);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = Instant::now();
    let (code, text) = metrics(&hub.url).await;
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(code, StatusCode::OK);
    assert_eq!(
        figure(&text, &["made_open_database_up"]),
        Some(0.0),
        "{text}"
    );
    let failed = figure(&text, &["made_open_requests_total", "\"read\"", "\"503\""]);
    assert!(failed.is_some_and(|count| count > 150.0), "{text}");

    // Of each reason one line for this peer, and few lines in all.
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for line in hub
        .log()
        .iter()
        .filter(|line| line["span"]["peer"].is_string())
    {
        let fields = &line["fields"];
        let reason = format!(
            "{} {} {}",
            fields["event"], fields["route"], fields["status"]
        );
        *said.entry(reason).or_default() += 1;
    }
    assert!(!said.is_empty(), "somebody should learn of it");
    assert!(said.values().all(|count| *count == 1), "{said:?}");
    let lines = hub.lines.lock().unwrap().len() - before;
    assert!(
        lines < 90,
        "{lines} lines:\n{}",
        hub.lines.lock().unwrap().join("\n")
    );

    way.set(false);
    let since = Instant::now();
    while status("/readyz").await != 200 {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "it never came back"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn figures_are_for_those_who_run_the_hub() {
    let hub = TestHub::start().await;
    hub.get("/rest/v1/listings").await;
    let admin = hub.database.admin().await;
    let dead = "insert into job_records (job_type, queue, status, payload) values ('a.b', 'background', 'dead', '{}')";
    admin.batch_execute(dead).await.unwrap();
    let (status, text) = metrics(&hub.url).await;
    assert_eq!(status, StatusCode::OK);
    for words in [
        &[
            "made_open_requests_total",
            "class=\"read\"",
            "status=\"200\"",
        ][..],
        &[
            "made_open_request_seconds_bucket",
            "class=\"read\"",
            "le=\"+Inf\"",
        ],
        &["made_open_database_connections", "state=\"most\""],
        &["made_open_jobs", "queue=\"realtime\"", "state=\"enqueued\""],
        &["process_resident_memory_bytes"],
        &["made_open_uptime_seconds"],
    ] {
        assert!(figure(&text, words).is_some(), "no {words:?} in\n{text}");
    }
    let dead = ["made_open_jobs", "queue=\"background\"", "state=\"dead\""];
    assert_eq!(figure(&text, &dead), Some(1.0), "{text}");
    let memory = figure(&text, &["process_resident_memory_bytes"]).unwrap();
    assert!(memory > 1e6, "{memory}");

    // Somebody behind a proxy of this machine is not this machine.
    let answer = hub
        .http
        .get(format!("{}/metrics", hub.url))
        .header("X-Forwarded-For", "127.0.0.1")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);

    // With a public address only a service key counts, and only as long as it does.
    let database = TestDatabase::new().await;
    let public = Heard::start(
        &database.url(),
        &[
            ("MADE_OPEN_PUBLIC_URL", "https://hub.example"),
            ("MADE_OPEN_BIND", "127.0.0.1:0"),
            ("MADE_OPEN_METRICS_BIND", "127.0.0.1:0"),
        ],
    );
    let apart = public.said("Figures: ");
    let bound = reqwest::get(&apart).await.unwrap();
    assert_eq!(bound.status(), StatusCode::OK);
    assert!(
        bound
            .text()
            .await
            .unwrap()
            .contains("made_open_uptime_seconds")
    );
    let elsewhere = apart.replace("/metrics", "/rest/v1/persons");
    assert_eq!(
        reqwest::get(elsewhere).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn with_a_public_address_only_a_service_key_sees_figures() {
    let hub = TestHub::start_with(&[("MADE_OPEN_PUBLIC_URL", "https://hub.example")]).await;
    // It calls itself by its public address: where it listens is what it was asked to bind.
    let asked = async |key: Option<&str>| {
        let mut request = hub
            .http
            .request(Method::GET, format!("{}/metrics", hub.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap().status()
    };
    let said = hub
        .cli(
            &["token", "create", "--role", "service_role", "--json"],
            None,
        )
        .unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let key = said["token"].as_str().unwrap();
    let person = hub.sign_up("ada").await;
    assert_eq!(asked(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(asked(Some(&hub.anon)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(asked(Some(&person.token)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(asked(Some(key)).await, StatusCode::OK);
    let admin = hub.database.admin().await;
    admin
        .execute("delete from hub.sessions where role = 'service_role'", &[])
        .await
        .unwrap();
    assert_eq!(asked(Some(key)).await, StatusCode::UNAUTHORIZED);
}
