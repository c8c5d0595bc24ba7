//! The real binary on a database of its own, as a newcomer would start it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::database::TestDatabase;
use super::people::Person;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_made-open");

/// A running hub.
pub struct TestHub {
    pub url: String,
    pub database: TestDatabase,
    pub data_dir: PathBuf,
    pub http: Client,
    pub anon: String,
    /// The link of the first account, if it was offered.
    pub first_link: Option<String>,
    pub process: Child,
}

impl TestHub {
    /// A hub where everybody may sign up and no mail is needed.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A hub with more settings, as environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(TestDatabase::new().await, settings).await
    }

    /// A hub on a database.
    pub async fn start_on(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let data_dir = std::env::temp_dir().join(format!("made-open-{}", database.name));
        std::fs::create_dir_all(&data_dir).unwrap();
        let mut command = command(&database.url(), &data_dir);
        command.args(["serve", "--bind", "127.0.0.1:0"]);
        command.envs(settings.iter().copied());
        let mut process = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (url, first_link) = wait_until_ready(&mut process);
        let anon = token_anon(&database.url(), &data_dir);
        Self {
            url,
            database,
            data_dir,
            // No connection is kept: a hub that was killed and is back would be spoken to over a dead one.
            http: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            anon,
            first_link,
            process,
        }
    }

    /// A request with the public key, as a client without a session sends it.
    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .header("apikey", &self.anon)
    }

    /// A GET without a session.
    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    /// Make an account and sign in.
    pub async fn sign_up(&self, name: &str) -> Person {
        let answer = self
            .ask(Method::POST, "/auth/v1/signup")
            .json(&json!({ "email": format!("{name}@example.org"), "password": format!("{name} walks the dog"), "data": { "full_name": name } }))
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{status} {body}");
        Person {
            id: body["user"]["id"].as_str().unwrap().parse().unwrap(),
            name: name.to_owned(),
            token: body["access_token"].as_str().unwrap().to_owned(),
            refresh: body["refresh_token"].as_str().unwrap().to_owned(),
        }
    }

    /// Sign up, and wait until what follows by itself has followed: the account's actor and its name.
    pub async fn sign_up_settled(&self, name: &str) -> Person {
        let person = self.sign_up(name).await;
        let admin = self.database.admin().await;
        let is_shown = "select exists(select from ap_actors where row_id = ($1::text)::uuid)";
        let row_id = person.id.to_string();
        while !admin
            .query_one(is_shown, &[&row_id])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        person
    }

    /// Run a command of the binary on this hub's database; its output when it succeeds.
    pub fn cli(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        cli(&self.database.url(), &self.data_dir, arguments, input)
    }

    /// Stop the hub and start it again on the same database and address of nobody else; with its usual settings.
    pub fn restart(&mut self) {
        self.signal("TERM");
        drop(self.process.wait());
        let mut command = command(&self.database.url(), &self.data_dir);
        command.args(["serve", "--bind", "127.0.0.1:0"]);
        let mut process = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (url, first_link) = wait_until_ready(&mut process);
        (self.url, self.first_link, self.process) = (url, first_link, process);
    }

    /// Send a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.data_dir));
    }
}

/// The binary with nothing of the surroundings but what it needs.
pub fn command(database: &str, data_dir: &std::path::Path) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("DATABASE_URL", database)
        .env("MADE_OPEN_DATA_DIR", data_dir)
        .env("MADE_OPEN_SIGNUP", "open")
        .env("MADE_OPEN_AUTOCONFIRM", "on")
        .env("MADE_OPEN_DATABASE_POOL", "4")
        .env("MADE_OPEN_LIMITS", "off");
    command
}

/// Run a command of the binary.
pub fn cli(
    database: &str,
    data_dir: &std::path::Path,
    arguments: &[&str],
    input: Option<&str>,
) -> Result<String, String> {
    use std::io::Write;
    let mut child = command(database, data_dir)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    if let Some(input) = input {
        stdin.write_all(input.as_bytes()).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    if output.status.success() {
        Ok(said.trim_end().to_owned())
    } else {
        Err(format!(
            "{}{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

fn token_anon(database: &str, data_dir: &std::path::Path) -> String {
    let said = cli(database, data_dir, &["token", "anon", "--json"], None).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    said["token"].as_str().unwrap().to_owned()
}

/// What the hubs of this test have logged since they were ready.
pub fn logged() -> std::sync::MutexGuard<'static, Vec<String>> {
    static SAID: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    SAID.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Read what the hub says until it is ready; what it says later is passed on to the test's output.
pub fn wait_until_ready(process: &mut Child) -> (String, Option<String>) {
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let mut url = None;
    let mut listens = None;
    let mut link = None;
    for line in lines.by_ref() {
        let line = line.unwrap();
        if let Some(rest) = line.strip_prefix("Ready: open ") {
            url = Some(rest.trim_end_matches('/').to_owned());
        }
        if let Some(rest) = line.strip_prefix("Listening on ") {
            listens = Some(rest.to_owned());
        }
        if line.trim_start().starts_with("http") && line.contains("/first?token=") {
            link = Some(line.trim().to_owned());
        }
        said.push(line);
        if url.is_some() {
            break;
        }
    }
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            eprintln!("hub: {line}");
            logged().push(line);
        }
    });
    // A public address leads elsewhere.
    let url = url.map(|url| listens.unwrap_or(url));
    let url = url.unwrap_or_else(|| panic!("the hub did not start:\n{}", said.join("\n")));
    (url, link)
}
