//! The contract of the REST door, asked of the running hub: each file of `cases/` is one test over the tables of `fixture.sql`.
//! `table.rs` reads and compares; here the questions are sent. every file has a hub and a database of its own.

#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
mod support;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use support::{TestDatabase, TestHub};
use table::{Answer, Caller, Case, differences, parse};

/// Where the questions go.
trait Door {
    /// Sends one request; the target is relative to the door.
    async fn send(
        &self,
        caller: &Caller,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> anyhow::Result<Answer>;

    /// Runs the second part of the fixture: every row as it was.
    async fn reset(&self) -> anyhow::Result<()>;
}

/// The hub over HTTP, and its database for the rows.
struct HttpDoor {
    hub: TestHub,
    client: reqwest::Client,
    user: String,
    database: tokio_postgres::Client,
    rows: String,
}

impl HttpDoor {
    /// The fixture's tables on a database of their own, a hub that serves them, and somebody who is signed in.
    async fn open() -> anyhow::Result<Self> {
        let fixture = std::fs::read_to_string(folder().join("fixture.sql"))?;
        let (_, rows) = fixture
            .split_once("\n-- == rows ==\n")
            .ok_or_else(|| anyhow::anyhow!("fixture.sql has no line of rows"))?;
        let database = TestDatabase::new().await;
        let admin = database.admin().await;
        admin.batch_execute(&fixture).await?;
        let hub = TestHub::start_on(database, &[("MADE_OPEN_REST_SCHEMAS", "public,shop")]).await;
        let user = hub.sign_up("amina").await.token;
        Ok(Self {
            hub,
            client: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            user,
            database: admin,
            rows: rows.to_owned(),
        })
    }
}

impl Door for HttpDoor {
    async fn send(
        &self,
        caller: &Caller,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self
            .client
            .request(method, format!("{}/rest/v1{target}", self.hub.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let token = match caller {
            Caller::Anon => &self.hub.anon,
            Caller::Authenticated => &self.user,
            Caller::Token(token) => token,
        };
        request = request.bearer_auth(token).header("apikey", &self.hub.anon);
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers = headers
            .map(|(n, v)| {
                (
                    n.to_string(),
                    String::from_utf8_lossy(v.as_bytes()).into_owned(),
                )
            })
            .collect();
        Ok(Answer {
            status,
            headers,
            body: answer.bytes().await?.to_vec(),
        })
    }

    async fn reset(&self) -> anyhow::Result<()> {
        Ok(self.database.batch_execute(&self.rows).await?)
    }
}

/// Asks every case of a file in order and gives a report of those that differ.
async fn ask(door: &impl Door, cases: &[Case]) -> anyhow::Result<Vec<String>> {
    let mut failures = Vec::new();
    for case in cases {
        if case.reset {
            door.reset().await?;
        }
        let sent = door
            .send(
                &case.caller,
                &case.method,
                &case.target,
                &case.headers,
                case.body.as_deref(),
            )
            .await;
        let found = match &sent {
            Ok(answer) => differences(&case.want, answer),
            Err(e) => vec![format!("no answer: {e:#}")],
        };
        if !found.is_empty() {
            let body = sent
                .map(|a| {
                    String::from_utf8_lossy(&a.body)
                        .chars()
                        .take(600)
                        .collect::<String>()
                })
                .unwrap_or_default();
            let target: String = case.target.chars().take(300).collect();
            let found = found.join("\n  ");
            failures.push(format!(
                "line {}: {}\n  {} {target}\n  {found}\n  body: {body}",
                case.line, case.name, case.method
            ));
        }
    }
    Ok(failures)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract")
}

fn read(file: &str) -> Vec<Case> {
    let path = folder().join("cases").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(&text).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn hold(file: &str) {
    let cases = read(file);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let failures = runtime.block_on(async {
        let door = HttpDoor::open().await.expect("a hub with the fixture");
        ask(&door, &cases).await.expect("fresh rows")
    });
    let list = failures.join("\n\n");
    assert!(
        failures.is_empty(),
        "{file}: {} of {} cases differ\n\n{list}\n",
        failures.len(),
        cases.len()
    );
}

macro_rules! contract {
    ($($name:ident: $file:literal,)*) => {
        const FILES: &[&str] = &[$($file,)*];
        $(#[test] fn $name() { hold($file); })*
    };
}

contract! {
    select: "01_select.txt",
    casts: "02_casts.txt",
    json_paths: "03_json_paths.txt",
    embedding: "04_embedding.txt",
    hints: "05_hints.txt",
    spread: "06_spread.txt",
    filters: "07_filters.txt",
    arrays_ranges: "08_arrays_ranges.txt",
    full_text: "09_full_text.txt",
    logic: "10_logic.txt",
    embedded_filters: "11_embedded_filters.txt",
    order: "12_order.txt",
    paging: "13_paging.txt",
    counts: "14_counts.txt",
    head: "15_head.txt",
    media: "16_media.txt",
    csv: "17_csv.txt",
    single: "18_single.txt",
    insert: "19_insert.txt",
    bulk_columns: "20_bulk_columns.txt",
    missing: "21_missing.txt",
    upsert: "22_upsert.txt",
    update: "23_update.txt",
    delete: "24_delete.txt",
    put: "25_put.txt",
    prefer: "26_prefer.txt",
    rollback_max_affected: "27_rollback_max_affected.txt",
    rpc: "28_rpc.txt",
    profiles: "29_profiles.txt",
    errors: "30_errors.txt",
    aggregates_off: "31_aggregates_off.txt",
    hostile: "32_hostile.txt",
    grants: "33_grants.txt",
    openapi: "34_openapi.txt",
}

#[test]
fn every_file_is_asked_and_the_table_is_long() {
    let there: BTreeSet<String> = std::fs::read_dir(folder().join("cases"))
        .expect("the folder of cases")
        .map(|entry| {
            entry
                .expect("a file of cases")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let asked: BTreeSet<String> = FILES.iter().map(|f| (*f).to_owned()).collect();
    assert_eq!(
        there, asked,
        "a file without a test, or a test without a file"
    );
    let count: usize = FILES.iter().map(|f| read(f).len()).sum();
    assert!(count >= 300, "only {count} cases");
}
