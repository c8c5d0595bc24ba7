//! `Idempotency-Key`: a request that comes again has no second effect and gets the first answer (S-138, R-42).

use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::first_day::sign_in;
use crate::support::TestHub;
use crate::support::hub::{command, wait_until_ready};
use crate::support::people::Person;

const REPLAYED: &str = "idempotency-replayed";

fn adding(hub: &TestHub, person: &Person, key: &str, name: &str) -> RequestBuilder {
    person
        .ask(hub, Method::POST, "/rest/v1/persons?select=id,name")
        .header("Prefer", "return=representation, count=exact")
        .header("Idempotency-Key", key)
        .json(&json!({ "name": name }))
}

async fn add(hub: &TestHub, person: &Person, key: &str, name: &str) -> Response {
    adding(hub, person, key, name).send().await.unwrap()
}

async fn people(hub: &TestHub, name: &str) -> i64 {
    let admin = hub.database.admin().await;
    let counted = admin
        .query_one("select count(*) from persons where name = $1", &[&name])
        .await
        .unwrap();
    counted.get(0)
}

async fn kept(hub: &TestHub) -> i64 {
    let admin = hub.database.admin().await;
    let counted = admin
        .query_one("select count(*) from hub.idempotency_keys", &[])
        .await
        .unwrap();
    counted.get(0)
}

async fn code(answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// Make each new person of this name take a second, or fail as if the hub were at fault.
async fn trouble(hub: &TestHub, name: &str, what: &str) {
    let admin = hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "create or replace function public.trouble() returns trigger language plpgsql as $$
             begin if new.name = '{name}' then {what}; end if; return new; end $$;
             create or replace trigger trouble before insert on persons for each row execute function public.trouble();"
        ))
        .await
        .unwrap();
}

async fn no_trouble(hub: &TestHub) {
    let admin = hub.database.admin().await;
    admin
        .batch_execute("drop trigger trouble on persons")
        .await
        .unwrap();
}

#[tokio::test]
async fn s_138_a_key_makes_a_request_count_once() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let bob = hub.sign_up("bob").await;

    // The same key and body: the same answer, one row.
    let first = add(&hub, &ada, "key-1", "Rosa").await;
    assert_eq!(first.status(), StatusCode::CREATED);
    assert!(!first.headers().contains_key(REPLAYED));
    let headers = first.headers().clone();
    let body = first.text().await.unwrap();
    for key in ["key-1", "\"key-1\""] {
        let again = add(&hub, &ada, key, "Rosa").await;
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers()[REPLAYED], "true");
        for name in [
            "content-type",
            "content-range",
            "location",
            "preference-applied",
        ] {
            assert_eq!(again.headers().get(name), headers.get(name), "{name}");
        }
        assert_eq!(again.headers()["access-control-allow-origin"], "*");
        assert_ne!(again.headers()["x-request-id"], headers["x-request-id"]);
        assert_eq!(again.text().await.unwrap(), body);
    }
    assert_eq!(people(&hub, "Rosa").await, 1);

    // Another body, another table, another wish: not what the key was for.
    let other = add(&hub, &ada, "key-1", "Otto").await;
    assert_eq!(
        code(other).await,
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency.other_request".to_owned()
        )
    );
    let elsewhere = ada
        .ask(&hub, Method::POST, "/rest/v1/tasks")
        .header("Idempotency-Key", "key-1")
        .json(&json!({ "title": "Rosa" }))
        .send()
        .await
        .unwrap();
    assert_eq!(elsewhere.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(people(&hub, "Otto").await, 0);

    // Somebody else's key is his own, and so is that of a stranger; another session of the same account is not.
    let his = add(&hub, &bob, "key-1", "Rosa").await;
    assert_eq!(his.status(), StatusCode::CREATED);
    assert!(!his.headers().contains_key(REPLAYED));
    assert_ne!(his.text().await.unwrap(), body);
    assert_eq!(people(&hub, "Rosa").await, 2);
    let stranger = hub
        .ask(Method::POST, "/rest/v1/persons?select=id,name")
        .header("Prefer", "return=representation, count=exact")
        .header("Idempotency-Key", "key-1")
        .json(&json!({ "name": "Rosa" }))
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let later = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    let again = add(&hub, &later, "key-1", "Rosa").await;
    assert_eq!(again.headers()[REPLAYED], "true");
    assert_eq!(again.text().await.unwrap(), body);

    // What is kept can't be read without the key.
    let admin = hub.database.admin().await;
    let rows = admin
        .query("select body, key_hash from hub.idempotency_keys", &[])
        .await
        .unwrap();
    assert!(rows.len() >= 2);
    for row in rows {
        for column in 0..2 {
            let bytes: Vec<u8> = row.get(column);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains("Rosa") && !text.contains("key-1"), "{text}");
        }
    }

    // After a day the key is free again.
    admin
        .batch_execute("update hub.idempotency_keys set created_at = now() - interval '25 hours'")
        .await
        .unwrap();
    let afresh = add(&hub, &ada, "key-1", "Rosa").await;
    assert!(!afresh.headers().contains_key(REPLAYED));
    assert_eq!(people(&hub, "Rosa").await, 3);
}

#[tokio::test]
async fn s_138_of_two_at_once_one_runs() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    trouble(&hub, "Slow", "perform pg_sleep(1)").await;
    let all = (0..6).map(|_| add(&hub, &ada, "same", "Slow"));
    let mut ran = 0;
    for answer in futures_util::future::join_all(all).await {
        // Who came late may have found the answer there.
        match (answer.status(), answer.headers().contains_key(REPLAYED)) {
            (StatusCode::CREATED, false) => ran += 1,
            (StatusCode::CREATED, true) | (StatusCode::CONFLICT, false) => {}
            (other, _) => panic!("{other}"),
        }
    }
    assert_eq!(ran, 1);
    assert_eq!(people(&hub, "Slow").await, 1);
    let later = add(&hub, &ada, "same", "Slow").await;
    assert_eq!(
        (later.status(), later.headers()[REPLAYED].to_str().unwrap()),
        (StatusCode::CREATED, "true")
    );
    trouble(&hub, "Slow", "perform pg_sleep(4)").await;
    let refused = async {
        let (_, second) = tokio::join!(add(&hub, &ada, "pair", "Slow"), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            add(&hub, &ada, "pair", "Slow").await
        });
        code(second).await
    };
    assert_eq!(
        refused.await,
        (StatusCode::CONFLICT, "idempotency.running".to_owned())
    );
}

#[tokio::test]
async fn s_138_refusals_are_kept_and_our_own_faults_are_not() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let wrong = async |key: &str, body: Value| {
        ada.ask(&hub, Method::POST, "/rest/v1/persons")
            .header("Idempotency-Key", key)
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    let first = wrong("w", json!({ "no_such_column": 1 })).await;
    assert_eq!(first.status(), StatusCode::BAD_REQUEST);
    let text = first.text().await.unwrap();
    let again = wrong("w", json!({ "no_such_column": 1 })).await;
    assert_eq!(again.headers()[REPLAYED], "true");
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert!(again.headers().contains_key("proxy-status"));
    assert_eq!(again.text().await.unwrap(), text);
    let other = wrong("w", json!({ "name": "Rosa" })).await;
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(people(&hub, "Rosa").await, 0);
    // A used key can't be taken for something that would be refused anyway.
    add(&hub, &ada, "used", "Ida").await;
    let other = wrong("used", json!({ "no_such_column": 2 })).await;
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);

    trouble(
        &hub,
        "Boom",
        "raise exception 'broken' using errcode = 'XX001'",
    )
    .await;
    let broken = add(&hub, &ada, "b", "Boom").await;
    assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
    no_trouble(&hub).await;
    let mended = add(&hub, &ada, "b", "Boom").await;
    assert_eq!(mended.status(), StatusCode::CREATED);
    assert!(!mended.headers().contains_key(REPLAYED));

    // A session that is over is refused, not remembered.
    let before = kept(&hub).await;
    let nobody = Person {
        token: "a.b.c".to_owned(),
        ..ada.clone()
    };
    assert_eq!(
        add(&hub, &nobody, "n", "Nobody").await.status(),
        StatusCode::UNAUTHORIZED
    );
    for key in ["", "two words", &"x".repeat(256), "ü"] {
        let answer = adding(&hub, &ada, "x", "Never")
            .header("Idempotency-Key", "y")
            .send()
            .await
            .unwrap();
        assert_eq!(code(answer).await.1, "idempotency.bad_key", "two keys");
        let answer = ada
            .ask(&hub, Method::POST, "/rest/v1/persons")
            .header("Idempotency-Key", key.as_bytes())
            .json(&json!({ "name": "Never" }))
            .send()
            .await
            .unwrap();
        assert_eq!(
            code(answer).await,
            (StatusCode::BAD_REQUEST, "idempotency.bad_key".to_owned())
        );
    }
    // A trial changes nothing and takes no key.
    let trial = ada
        .ask(&hub, Method::POST, "/rest/v1/persons")
        .header("Prefer", "tx=rollback")
        .header("Idempotency-Key", "trial")
        .json(&json!({ "name": "Never" }))
        .send()
        .await
        .unwrap();
    assert!(trial.status().is_success());
    assert_eq!(people(&hub, "Never").await, 0);
    assert_eq!(kept(&hub).await, before);
}

#[tokio::test]
async fn s_138_verbs_and_the_hubs_own_door_too_but_no_secrets_of_accounts() {
    let hub = TestHub::start().await;
    let key = hub
        .cli(
            &["token", "create", "--role", "service_role", "--json"],
            None,
        )
        .unwrap();
    let key: Value = serde_json::from_str(&key).unwrap();
    let post = async |path: &str, name: &str, body: Value| {
        hub.http
            .post(format!("{}{path}", hub.url))
            .bearer_auth(key["token"].as_str().unwrap())
            .header("Idempotency-Key", name)
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    let kind = |name: &str| {
        json!({ "name": name, "plugin": "io.example.tests", "title": "name",
                "columns": [{ "name": "name", "type": "text", "required": true }] })
    };
    for (path, body, status) in [
        ("/api/kinds", kind("venues"), StatusCode::CREATED),
        (
            "/rest/v1/rpc/kinds_add",
            json!({ "kind": kind("stages") }),
            StatusCode::OK,
        ),
    ] {
        let first = post(path, path, body.clone()).await;
        assert_eq!(first.status(), status, "{path}");
        let told = first.text().await.unwrap();
        let again = post(path, path, body).await;
        assert_eq!(
            (again.status(), again.headers()[REPLAYED].to_str().unwrap()),
            (status, "true")
        );
        assert_eq!(again.text().await.unwrap(), told);
    }

    let before = kept(&hub).await;
    let account = json!({ "email": "eve@example.org", "password": "eve walks the dog" });
    let first = post("/auth/v1/signup", "account", account.clone()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let again = post("/auth/v1/signup", "account", account).await;
    assert!(!again.headers().contains_key(REPLAYED));
    assert_eq!(kept(&hub).await, before);

    // What is a day old goes by itself.
    let admin = hub.database.admin().await;
    admin
        .batch_execute(
            "update hub.idempotency_keys set created_at = now() - interval '25 hours';
             insert into job_records (job_type, queue, payload) values ('ops.forget_answers', 'background', '{}'); notify hub_jobs",
        )
        .await
        .unwrap();
    let since = Instant::now();
    while kept(&hub).await > 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "never forgotten");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A proxy that passes one request on, waits for the whole answer, and then hangs up on whoever asked.
async fn cutting_proxy(hub: &TestHub) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let inside = hub.url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        loop {
            let (mut asker, _) = listener.accept().await.unwrap();
            let mut hub = TcpStream::connect(&inside).await.unwrap();
            let mut asked = vec![0; 64 * 1024];
            let length = asker.read(&mut asked).await.unwrap();
            hub.write_all(&asked[..length]).await.unwrap();
            let mut answer = vec![0; 64 * 1024];
            let got = hub.read(&mut answer).await.unwrap();
            assert!(answer[..got].starts_with(b"HTTP/1.1 201"));
            drop(asker);
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_42_a_request_whose_answer_was_lost_is_sent_again() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let proxy = cutting_proxy(&hub).await;
    let through = |key: Option<&str>, name: &str| {
        let mut request = hub
            .http
            .post(format!("{proxy}/rest/v1/persons?select=id,name"))
            .bearer_auth(&ada.token)
            .header("Prefer", "return=representation, count=exact");
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request.json(&json!({ "name": name })).send()
    };
    through(Some("lost"), "Rosa").await.unwrap_err();
    assert_eq!(people(&hub, "Rosa").await, 1, "it was done");
    let again = add(&hub, &ada, "lost", "Rosa").await;
    assert_eq!(
        (again.status(), again.headers()[REPLAYED].to_str().unwrap()),
        (StatusCode::CREATED, "true")
    );
    let row: Value = again.json().await.unwrap();
    let admin = hub.database.admin().await;
    let id: String = admin
        .query_one("select id::text from persons where name = 'Rosa'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(row[0]["id"], id.as_str());
    assert_eq!(people(&hub, "Rosa").await, 1);

    // Without a key, twice is twice.
    for _ in 0..2 {
        through(None, "Otto").await.unwrap_err();
    }
    assert_eq!(people(&hub, "Otto").await, 2);
}

/// The hub is killed while it works: the effect and its answer are there together or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_42_a_hub_that_dies_meanwhile_does_it_once() {
    let mut hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    trouble(&hub, "Slow", "perform pg_sleep(0.6)").await;
    // Before the effect, while it is made, around its commit, and after the answer.
    for (n, wait) in [50u64, 350, 610, 640, 680, 900].into_iter().enumerate() {
        let key = format!("kill-{n}");
        let asked = tokio::spawn(adding(&hub, &ada, &key, "Slow").send());
        tokio::time::sleep(Duration::from_millis(wait)).await;
        hub.process.kill().unwrap();
        hub.process.wait().unwrap();
        drop(asked.await);

        let mut process = command(&hub.database.url(), &hub.data_dir)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (url, _) = wait_until_ready(&mut process);
        (hub.process, hub.url) = (process, url);
        let since = Instant::now();
        loop {
            let again = add(&hub, &ada, &key, "Slow").await;
            match again.status() {
                StatusCode::CREATED => break,
                // Its server process has not noticed yet that the hub is gone.
                StatusCode::CONFLICT => tokio::time::sleep(Duration::from_millis(100)).await,
                other => panic!("{other}: {}", again.text().await.unwrap()),
            }
            assert!(since.elapsed() < Duration::from_secs(30));
        }
        assert_eq!(people(&hub, "Slow").await, n as i64 + 1, "after {wait} ms");
    }
}
