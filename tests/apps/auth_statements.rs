//! S-100 from the database's side: which statements a door runs must not depend on whether an address has an account.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use made_open::db::bootstrap;
use serde_json::{Value, json};

use crate::support::database::{connect, with_database};
use crate::support::hub::{command, wait_until_ready};
use crate::support::server::{Server, fresh_dir};

const DATABASE_PASSWORD: &str = "only-here";

/// The hub of this test, gone when it ends.
struct Hub {
    process: Child,
    url: String,
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_100_the_same_statements_whoever_has_an_account() {
    // A server of its own, which writes down what it is asked.
    let server = Server::start("s100");
    let admin = server.admin.clone();
    let named = move |name: &str| with_database(&admin, name);
    bootstrap::run(named, "made_open", Some(DATABASE_PASSWORD))
        .await
        .unwrap();
    let login = login(&server.admin);
    let mut process = command(&login, &fresh_dir("s100-hub"))
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env("MADE_OPEN_AUTOCONFIRM", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (url, _) = wait_until_ready(&mut process);
    let hub = Hub { process, url };
    ask(
        &hub,
        "signup",
        json!({ "email": "known@example.org", "password": "a long walk along the river" }),
    )
    .await;
    let admin = connect(&with_database(&server.admin, "made_open")).await;
    // Jobs stay where they are, so that the doors' statements are alone.
    admin
        .batch_execute(
            "update users set email_confirmed_at = now();
             create function later() returns trigger language plpgsql as
                 $$ begin new.scheduled_for := now() + interval '1 year'; return new; end $$;
             create trigger later before insert on job_records for each row execute function later();
             delete from job_records;",
        )
        .await
        .unwrap();
    for sql in [
        "alter system set log_statement = 'all'",
        "alter system set log_line_prefix = '%p|'",
        "select pg_reload_conf()",
    ] {
        admin.batch_execute(sql).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;

    let password = "another long password";
    for (door, body) in [
        ("recover", json!({})),
        ("otp", json!({})),
        ("otp", json!({ "create_user": false })),
        ("resend", json!({ "type": "signup" })),
        ("signup", json!({ "password": password })),
        ("token?grant_type=password", json!({ "password": password })),
        ("verify", json!({ "type": "email", "token": "123456" })),
    ] {
        let mut seen = Vec::new();
        // The first rounds make the connections acquainted with the statements.
        for round in 0..4 {
            for who in ["known", &*format!("unknown{round}{}", door.len())] {
                let mut body = body.clone();
                body["email"] = format!("{who}@example.org").into();
                let before = log(&server).len();
                ask(&hub, door, body).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                seen.push(statements(&log(&server)[before..]));
            }
        }
        let [.., known, unknown] = seen.as_slice() else {
            panic!("nothing seen")
        };
        assert!(known.len() > 3, "{door}: {known:#?}");
        assert_eq!(known, unknown, "{door}");
    }
}

/// What was asked for by the doors, transaction by transaction; what the workers ask for all the time is left out.
fn statements(log: &str) -> Vec<String> {
    let mut open: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut done = Vec::new();
    for line in log.lines() {
        let Some((process, said)) = line.split_once("|LOG:  ") else {
            continue;
        };
        let Some((how, sql)) = said.split_once(": ") else {
            continue;
        };
        if how != "statement" && !how.starts_with("execute") {
            continue;
        }
        let transaction = open.entry(process).or_default();
        transaction.push(sql.to_owned());
        if ["COMMIT", "ROLLBACK"].contains(&sql) {
            done.push(std::mem::take(transaction));
        }
    }
    let of_workers = [
        "skip locked",
        "hub.leases",
        "hub.cron_due",
        "update public.job_records",
        "hub.journal",
        "rule",
        "hub.claim_",
        "hub.settle_actor",
        "ap_actors",
        "ap_keys",
        "ap_deliveries",
        "ap_received",
    ];
    done.retain(|transaction| {
        !transaction
            .iter()
            .any(|sql| of_workers.iter().any(|word| sql.contains(word)))
    });
    done.concat()
}

fn log(server: &Server) -> String {
    std::fs::read_to_string(server.data_dir.join("postgres.log")).unwrap()
}

async fn ask(hub: &Hub, door: &str, body: Value) {
    let asked = reqwest::Client::new()
        .post(format!("{}/auth/v1/{door}", hub.url))
        .json(&body);
    let answer = asked.send().await.unwrap();
    assert!(
        answer.status().as_u16() < 429,
        "{door}: {}",
        answer.status()
    );
}

/// The hub's login on a server that listens on a socket.
fn login(admin: &str) -> String {
    let config: tokio_postgres::Config = admin.parse().unwrap();
    let tokio_postgres::config::Host::Unix(socket) = &config.get_hosts()[0] else {
        panic!("the server listens on a socket");
    };
    format!(
        "postgresql://made_open:{DATABASE_PASSWORD}@{}:{}/made_open",
        socket.to_str().unwrap().replace('/', "%2F"),
        config.get_ports()[0]
    )
}
