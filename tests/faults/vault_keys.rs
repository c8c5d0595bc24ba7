//! the vault's key is lost, is wrong, can be read by others, or is being changed while everything is killed. The
//! hub serves everything else, the error has a name, and no secret is lost as long as its key is there.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::TestHub;
use crate::support::hub::{self, wait_until_ready};
use crate::support::people::Person;

fn key_file(hub: &TestHub) -> PathBuf {
    hub.data_dir.join("vault.key")
}

/// Lines of the key file: id and key, oldest first.
fn keys(hub: &TestHub) -> Vec<(String, String)> {
    std::fs::read_to_string(key_file(hub))
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (id, key) = line.split_once(' ').unwrap();
            (id.to_owned(), key.to_owned())
        })
        .collect()
}

fn write_keys(hub: &TestHub, keys: &[(String, String)]) {
    let lines: Vec<String> = keys
        .iter()
        .map(|(id, key)| format!("{id} {key}\n"))
        .collect();
    std::fs::write(key_file(hub), lines.concat()).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(key_file(hub), private).unwrap();
}

fn another_key() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(made_open::base::secret::random::<32>())
}

/// Stop the hub and start it again on the same data.
fn restart(hub: &mut TestHub) {
    drop(hub.process.kill());
    drop(hub.process.wait());
    let mut process = hub::command(&hub.database.url(), &hub.data_dir)
        .args(["serve", "--bind", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (hub.url, _) = wait_until_ready(&mut process);
    hub.process = process;
}

fn service_key(hub: &TestHub) -> String {
    let arguments = ["token", "create", "--role", "service_role", "--json"];
    let said: Value = serde_json::from_str(&hub.cli(&arguments, None).unwrap()).unwrap();
    said["token"].as_str().unwrap().to_owned()
}

async fn calls(hub: &TestHub, token: &str, function: &str, input: Value) -> (StatusCode, Value) {
    let answer = hub
        .ask(Method::POST, &format!("/rest/v1/rpc/{function}"))
        .bearer_auth(token)
        .json(&input)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

async fn keeps(hub: &TestHub, person: &Person, secret: &str) -> String {
    let input = json!({ "p_secret": secret });
    let (status, body) = calls(hub, &person.token, "create_vault_secret", input).await;
    assert!(status.is_success(), "{status} {body}");
    body.as_str().unwrap().to_owned()
}

async fn opens(hub: &TestHub, service: &str, id: &str) -> Value {
    calls(hub, service, "vault_decrypt", json!({ "vault_id": id }))
        .await
        .1
}

/// Everything but the vault serves, and the vault says what is wrong.
async fn is_shut(hub: &TestHub, person: &Person, service: &str, id: &str, code: &str) {
    let (status, body) = calls(hub, service, "vault_decrypt", json!({ "vault_id": id })).await;
    assert_eq!(
        (status.as_u16(), &body["code"]),
        (503, &json!(code)),
        "{body}"
    );
    let row = json!({ "provider": "x", "api_key": "sk" });
    let answer = person
        .ask(hub, Method::POST, "/rest/v1/key_store")
        .json(&row)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], code);
    assert!(
        !body.to_string().contains(hub.data_dir.to_str().unwrap()),
        "{body}"
    );
    person
        .adds(hub, "tasks", json!({ "title": "goes on" }))
        .await;
    assert_eq!(
        person
            .reads(hub, "/rest/v1/key_store?select=provider")
            .await,
        json!([])
    );
}

fn check(hub: &TestHub) -> Value {
    let said = match hub.cli(&["vault", "check", "--json"], None) {
        Ok(said) => said,
        Err(said) => said,
    };
    let line = said
        .lines()
        .find_map(|line| line.find('{').map(|at| line[at..].to_owned()));
    serde_json::from_str(&line.unwrap_or_else(|| panic!("{said}"))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_38_the_key_is_lost() {
    let mut hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    let made = std::fs::metadata(key_file(&hub)).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
    let first = keys(&hub);
    restart(&mut hub);
    assert_eq!(keys(&hub), first, "made once");
    let id = keeps(&hub, &amina, "before").await;

    let away = hub.data_dir.join("elsewhere");
    std::fs::rename(key_file(&hub), &away).unwrap();
    restart(&mut hub);
    assert!(!key_file(&hub).exists(), "never replaced silently");
    is_shut(&hub, &amina, &service, &id, "vault.no_key").await;
    let state = check(&hub);
    assert_eq!(
        (&state["well"], &state["keys"][0]["state"]),
        (&json!(false), &json!("missing"))
    );
    assert_eq!(
        (&state["keys"][0]["id"], &state["keys"][0]["secrets"]),
        (&json!(first[0].0), &json!(1))
    );
    let refused = hub.cli(&["vault", "rotate"], None).unwrap_err();
    assert!(refused.contains("vault.no_key"), "{refused}");
    assert!(!key_file(&hub).exists());

    // The key is found again: nothing has to be restarted.
    std::fs::rename(&away, key_file(&hub)).unwrap();
    assert_eq!(opens(&hub, &service, &id).await, "before");
    assert_eq!(check(&hub)["well"], true);

    // It is lost for good: begin afresh. Owners see what they have to enter again; nothing is gone.
    let key = json!({ "provider": "openrouter", "api_key": "sk-old" });
    amina.adds(&hub, "key_store", key).await;
    let admin = hub.database.admin().await;
    admin
        .batch_execute("update public.key_store set verified = true")
        .await
        .unwrap();
    let store = json!({ "credential_type": "twilio", "secrets": { "token": "tw" } });
    assert!(
        calls(&hub, &amina.token, "user_credentials_store", store)
            .await
            .0
            .is_success()
    );
    std::fs::rename(key_file(&hub), &away).unwrap();
    restart(&mut hub);
    let said: Value = serde_json::from_str(
        &hub.cli(&["vault", "rotate", "--new-key", "--json"], None)
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&said["is_new"], &said["unreadable"], &said["rewrapped"]),
        (&json!(true), &json!(3), &json!(0))
    );
    assert_eq!(said["still_needed"], json!([first[0].0]));
    let new = keeps(&hub, &amina, "after").await;
    assert_eq!(opens(&hub, &service, &new).await, "after");
    assert_eq!(opens(&hub, &service, &id).await["code"], "vault.no_key");
    let lost = calls(&hub, &amina.token, "vault_secrets_unreadable", json!({}))
        .await
        .1;
    let lost = lost.as_array().unwrap();
    assert_eq!(lost.len(), 3, "{lost:?}");
    let rows = amina
        .reads(&hub, "/rest/v1/key_store?select=id,verified")
        .await;
    assert_eq!(rows[0]["verified"], false);
    let of_store = lost
        .iter()
        .find(|lost| lost["kind"] == "key_store")
        .unwrap();
    assert_eq!(of_store["rows"], json!([rows[0]["id"]]));
    assert_eq!(
        amina
            .reads(&hub, "/rest/v1/user_credentials?select=is_active")
            .await,
        json!([{ "is_active": false }])
    );
    // Entered again, it is no longer asked for.
    let change = json!({ "api_key": "sk-new" });
    let patched = amina
        .ask(
            &hub,
            Method::PATCH,
            "/rest/v1/key_store?provider=eq.openrouter",
        )
        .json(&change)
        .send()
        .await
        .unwrap();
    assert_eq!(patched.status(), 204);
    let lost = calls(&hub, &amina.token, "vault_secrets_unreadable", json!({}))
        .await
        .1;
    assert_eq!(lost.as_array().unwrap().len(), 2);
    // What is marked holds no later rotation up.
    hub.cli(&["vault", "rotate"], None).unwrap();
    assert_eq!(keys(&hub).len(), 1);
    assert_eq!(opens(&hub, &service, &new).await, "after");

    // The old key turns up after all: its line is put back, and the next rotation takes the mark away.
    let mut both = first.clone();
    both.extend(keys(&hub));
    write_keys(&hub, &both);
    hub.cli(&["vault", "rotate"], None).unwrap();
    assert_eq!(opens(&hub, &service, &id).await, "before");
    assert_eq!(opens(&hub, &service, &new).await, "after");
    let lost = calls(&hub, &amina.token, "vault_secrets_unreadable", json!({}))
        .await
        .1;
    assert_eq!(lost, json!([]));
    assert_eq!(check(&hub)["well"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_38_the_key_is_wrong() {
    let mut hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    let id = keeps(&hub, &amina, "before").await;
    let right = keys(&hub);

    let wrong = [(right[0].0.clone(), another_key())];
    write_keys(&hub, &wrong);
    restart(&mut hub);
    is_shut(&hub, &amina, &service, &id, "vault.wrong_key").await;
    assert_eq!(check(&hub)["keys"][0]["state"], "wrong");
    let refused = hub.cli(&["vault", "rotate"], None).unwrap_err();
    assert!(refused.contains("vault.wrong_key"), "{refused}");
    assert_eq!(keys(&hub), wrong, "never replaced silently");

    // A key of another name is not the one that is needed.
    write_keys(&hub, &[("other".to_owned(), another_key())]);
    restart(&mut hub);
    is_shut(&hub, &amina, &service, &id, "vault.no_key").await;

    // A file that holds no key.
    std::fs::write(key_file(&hub), "not a key\n").unwrap();
    hub.signal("HUP");
    restart(&mut hub);
    is_shut(&hub, &amina, &service, &id, "vault.key_unusable").await;

    write_keys(&hub, &right);
    assert_eq!(opens(&hub, &service, &id).await, "before");
    keeps(&hub, &amina, "more").await;
    assert_eq!(check(&hub)["well"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_38_others_can_read_the_key() {
    let mut hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    let id = keeps(&hub, &amina, "before").await;
    std::fs::set_permissions(key_file(&hub), std::fs::Permissions::from_mode(0o644)).unwrap();
    // A running hub hears of it by SIGHUP, a fresh one at its start.
    hub.signal("HUP");
    let until = Instant::now() + Duration::from_secs(10);
    while opens(&hub, &service, &id).await["code"] != "vault.key_exposed" {
        assert!(Instant::now() < until, "SIGHUP reads the keys again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    restart(&mut hub);
    is_shut(&hub, &amina, &service, &id, "vault.key_exposed").await;
    let said = check(&hub)["shut"].as_str().unwrap().to_owned();
    assert!(said.contains("chmod 600"), "{said}");
    std::fs::set_permissions(key_file(&hub), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(opens(&hub, &service, &id).await, "before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_38_two_keys_during_rotation() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    let id = keeps(&hub, &amina, "before").await;
    let old = keys(&hub);

    // As a rotation that was killed right after it had added its key leaves it.
    let mut both = old.clone();
    both.push(("newer".to_owned(), another_key()));
    write_keys(&hub, &both);
    hub.signal("HUP");
    let meanwhile = keeps(&hub, &amina, "meanwhile").await;
    assert_eq!(opens(&hub, &service, &id).await, "before");
    let state = check(&hub);
    assert_eq!(state["well"], true, "{state}");
    assert_eq!(
        state["keys"][0]["seals"], true,
        "what the database does not know yet seals nothing: {state}"
    );

    let said: Value =
        serde_json::from_str(&hub.cli(&["vault", "rotate", "--json"], None).unwrap()).unwrap();
    assert_eq!(
        (&said["key"], &said["is_new"], &said["rewrapped"]),
        (&json!("newer"), &json!(false), &json!(2))
    );
    assert_eq!(said["removed"], json!([old[0].0]));
    assert_eq!(keys(&hub), both[1..]);
    // The hub that runs has not been told, and notices.
    assert_eq!(opens(&hub, &service, &id).await, "before");
    assert_eq!(opens(&hub, &service, &meanwhile).await, "meanwhile");
    let after = keeps(&hub, &amina, "after").await;
    assert_eq!(opens(&hub, &service, &after).await, "after");
    let state = check(&hub);
    assert_eq!(
        (&state["well"], state["keys"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    assert_eq!(state["keys"][0]["secrets"], 3);
}

/// A hub writes and opens secrets all the time, rotations are killed at random and run again: every secret opens, and in
/// the end only the new key is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_38_killed_during_rotation() {
    const SECRETS: usize = 3_000;
    let hub = Arc::new(TestHub::start().await);
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    let first = keys(&hub);
    // Through the door, in few statements: one secret per row.
    for part in 0..SECRETS / 500 {
        let rows: Vec<Value> = (0..500)
            .map(|n| json!({ "provider": format!("p{part}-{n}"), "api_key": format!("sk-{part}-{n}") }))
            .collect();
        let answer = amina
            .ask(&hub, Method::POST, "/rest/v1/key_store")
            .json(&rows)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
    }

    let over = Arc::new(AtomicBool::new(false));
    let busy = {
        let (hub, amina, service, over) =
            (hub.clone(), amina.clone(), service.clone(), over.clone());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let secret = format!("kept {}", kept.len());
                let id = keeps(&hub, &amina, &secret).await;
                assert_eq!(opens(&hub, &service, &id).await, secret.as_str());
                kept.push((id, secret));
            }
            kept
        })
    };

    let mut killed = 0;
    let mut wait = 40;
    for round in 0..14 {
        let mut rotation = hub::command(&hub.database.url(), &hub.data_dir)
            .args(["vault", "rotate"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the life of a rotation, with some chance in it.
        let chance = u64::from(made_open::base::secret::random::<1>()[0]) / 4;
        tokio::time::sleep(Duration::from_millis(wait + chance)).await;
        wait += 45;
        if rotation.try_wait().unwrap().is_none() {
            rotation.kill().unwrap();
            killed += 1;
        }
        rotation.wait().unwrap();
        assert!(!keys(&hub).is_empty(), "round {round}");
    }
    assert!(killed > 3, "only {killed} were killed");
    // Somebody may seal under the key that goes in its very last moment: then it stays, is named, and goes the next time.
    let mut said = Value::Null;
    for _ in 0..4 {
        let rotated = hub.cli(&["vault", "rotate", "--json"], None).unwrap();
        said = serde_json::from_str(&rotated).unwrap();
        assert_eq!(said["unreadable"], 0, "{said}");
        if said["still_needed"] == json!([]) {
            break;
        }
    }
    assert_eq!(said["still_needed"], json!([]));
    over.store(true, Ordering::Relaxed);
    let kept = busy.await.unwrap();
    assert!(kept.len() > 10);

    let left = keys(&hub);
    assert_eq!(
        left.len(),
        1,
        "{:?}",
        left.iter().map(|(id, _)| id).collect::<Vec<_>>()
    );
    assert_ne!(left[0].0, first[0].0);
    let state = check(&hub);
    assert_eq!(
        (&state["well"], &state["unreadable"]),
        (&json!(true), &json!([])),
        "{state}"
    );
    assert_eq!(state["secrets"], SECRETS + kept.len());
    assert_eq!(state["keys"].as_array().unwrap().len(), 1, "{state}");
    for (id, secret) in kept.iter().rev().take(20) {
        assert_eq!(opens(&hub, &service, id).await, secret.as_str());
    }
    let admin = hub.database.admin().await;
    let rows = admin
        .query(
            "select provider, api_key from public.key_store order by provider limit 40",
            &[],
        )
        .await
        .unwrap();
    for row in rows {
        let (provider, id): (String, String) = (row.get(0), row.get(1));
        let secret = provider.replacen('p', "sk-", 1);
        assert_eq!(opens(&hub, &service, &id).await, secret.as_str());
    }
}

/// No core file is written of a hub that knows keys, even where files of that kind are wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_is_not_dumped() {
    let mut hub = TestHub::start().await;
    drop(hub.process.kill());
    drop(hub.process.wait());
    let dumps = |then: &str| {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", &format!("ulimit -c unlimited; {then}")])
            .current_dir(&hub.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    };
    let was_dumped = |status: std::process::ExitStatus| {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(status.signal(), Some(6));
        status.core_dumped()
    };
    let other = dumps("kill -ABRT $$").status().unwrap();
    if !was_dumped(other) {
        eprintln!("this machine writes no core files at all, so nothing can be told here");
        return;
    }
    let mut process = dumps(&format!("exec {} serve --bind 127.0.0.1:0", hub::BINARY))
        .env("DATABASE_URL", hub.database.url())
        .env("MADE_OPEN_DATA_DIR", &hub.data_dir)
        .spawn()
        .unwrap();
    wait_until_ready(&mut process);
    crate::support::server::kill("ABRT", process.id());
    assert!(!was_dumped(process.wait().unwrap()));
}
