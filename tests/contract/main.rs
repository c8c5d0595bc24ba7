//! The contract of the REST door, asked of the running hub: each file of `cases/` is one test over the tables of `fixture.sql`.
//! `table.rs` reads and compares; here the questions are sent. `open` is the one place that knows where the hub is.
//! The tests share one database, so one lock lets a file run at a time, and every file begins with fresh rows.

#![forbid(unsafe_code)]

mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

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
    client: reqwest::Client,
    /// Up to and with `/rest/v1`.
    base: String,
    /// The public key and a signed-in user's access token.
    anon: Option<String>,
    user: String,
    database: tokio_postgres::Client,
    rows: String,
}

impl HttpDoor {
    /// `database` is a connection that may become made_open_owner; the whole fixture is run through it.
    async fn open(
        base: &str,
        anon: Option<String>,
        user: String,
        database: &str,
    ) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(database, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let fixture = std::fs::read_to_string(folder().join("fixture.sql"))?;
        let (_, rows) = fixture
            .split_once("\n-- == rows ==\n")
            .ok_or_else(|| anyhow::anyhow!("fixture.sql has no line of rows"))?;
        client.batch_execute(&fixture).await?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client: http,
            base: base.trim_end_matches('/').to_owned(),
            anon,
            user,
            database: client,
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
            .request(method, format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let token = match caller {
            Caller::Anon => self.anon.as_ref(),
            Caller::Authenticated => Some(&self.user),
            Caller::Token(token) => Some(token),
        };
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &self.anon {
            request = request.header("apikey", key);
        }
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

/// The hub that is asked: CONTRACT_URL (with /rest/v1), CONTRACT_DATABASE, CONTRACT_USER_TOKEN, CONTRACT_ANON_TOKEN (may be missing).
async fn open() -> anyhow::Result<Option<HttpDoor>> {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let (Some(url), Some(database), Some(user)) = (
        var("CONTRACT_URL"),
        var("CONTRACT_DATABASE"),
        var("CONTRACT_USER_TOKEN"),
    ) else {
        return Ok(None);
    };
    HttpDoor::open(&url, var("CONTRACT_ANON_TOKEN"), user, &database)
        .await
        .map(Some)
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

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().expect("a runtime"));
static DOOR: LazyLock<tokio::sync::Mutex<Option<HttpDoor>>> = LazyLock::new(|| {
    tokio::sync::Mutex::new(RUNTIME.block_on(open()).expect("the hub of the contract"))
});

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
    let door = LazyLock::force(&DOOR);
    let failures = RUNTIME.block_on(async {
        match &*door.lock().await {
            Some(door) => ask(door, &cases).await.expect("fresh rows"),
            None => {
                eprintln!("{file}: not asked, no hub named (CONTRACT_URL)");
                Vec::new()
            }
        }
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
