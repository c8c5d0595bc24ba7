//! Servers of another make as processes: Fedify's, and the hostile sender that apsig signs for.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server made with Fedify, at `http://localhost:PORT`, where `fay` and `finn` live.
pub struct Fedify {
    pub origin: String,
    control: String,
    http: reqwest::Client,
    process: Child,
}

impl Fedify {
    /// Start one on any port.
    pub fn start() -> Self {
        let (process, lines) = run("MADE_OPEN_TEST_NODE", "fedify.mjs", &["control", "ready"]);
        let [control, origin] = lines.try_into().unwrap();
        Self {
            origin,
            control,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            process,
        }
    }

    /// The URL of somebody who lives there.
    pub fn actor(&self, name: &str) -> String {
        format!("{}/users/{name}", self.origin)
    }

    /// Have it do something; see `fedify.mjs`.
    pub async fn does(&self, what: &str, with: Value) -> Value {
        let mut command = with;
        command["do"] = json!(what);
        let answer = self.http.post(&self.control).json(&command).send().await;
        let answer = answer.unwrap();
        let is_done = answer.status().is_success();
        let said: Value = answer.json().await.unwrap();
        assert!(is_done, "{what} {command}: {said}");
        said
    }

    /// Have it send something, which everybody takes it to must accept.
    pub async fn sends(&self, what: &str, with: Value) -> Value {
        let said = self.does(what, with).await;
        let answers = said["answers"].as_array().unwrap();
        assert!(!answers.is_empty(), "{what} went nowhere");
        for answer in answers {
            let status = answer["status"].as_u64().unwrap();
            assert!((200..300).contains(&status), "{what}: {answer}");
        }
        said
    }

    /// Wait until it took so many activities of a type; what it got and what it thinks of their signatures and proofs.
    pub async fn took(&self, kind: &str, count: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let all = self.does("received", json!({})).await;
            let all = all.as_array().unwrap();
            let mut found = all.clone();
            found.retain(|it| it["activity"]["type"] == kind && it["status"] == 202);
            if found.len() >= count {
                return found;
            }
            let brief: Vec<_> = all
                .iter()
                .map(|it| (&it["activity"]["type"], &it["status"], &it["signed"]))
                .collect();
            assert!(
                start.elapsed() < PATIENCE,
                "{} of {count} {kind}; there came {brief:?}",
                found.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Wait until somebody there has, in `followers` or `following`, whom the test expects.
    pub async fn knows(&self, name: &str, list: &str, actor: &str, expected: bool) {
        let start = Instant::now();
        loop {
            let people = self.does("people", json!({})).await;
            let known = people[name][list].as_array().unwrap();
            if known.iter().any(|it| it == actor) == expected {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{actor} in {list} of {name}: {known:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Fedify {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The hostile sender: one command, one answer.
pub struct Hostile {
    pub origin: String,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    process: Child,
}

impl Hostile {
    /// Start it.
    pub fn start() -> Self {
        let mut process = command("MADE_OPEN_TEST_PYTHON", "hostile.py");
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let origin = line.trim().strip_prefix("ready ").expect("it is ready");
        Self {
            origin: origin.to_owned(),
            ask: process.stdin.take().unwrap(),
            answers,
            process,
        }
    }

    /// Have it do something; see `hostile.py`.
    pub fn does(&mut self, what: &str, with: Value) -> Value {
        let mut command = with;
        command["do"] = json!(what);
        writeln!(self.ask, "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        assert!(said.get("error").is_none(), "{command}: {said}");
        said
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn command(program: &str, script: &str) -> Child {
    let path = std::env::var(program)
        .unwrap_or_else(|_| panic!("{program} names what runs the peers; scripts/test sets it"));
    Command::new(path)
        .arg(format!(
            "{}/tests/clients/{script}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Start a script and read what it says first: lines that begin with these words, in this order.
fn run(program: &str, script: &str, words: &[&str]) -> (Child, Vec<String>) {
    let mut process = command(program, script);
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let said = words
        .iter()
        .map(|word| {
            let line = lines.next().expect("it speaks").unwrap();
            let rest = line.strip_prefix(word).unwrap_or_else(|| panic!("{line}"));
            rest.trim().to_owned()
        })
        .collect();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            eprintln!("{line}");
        }
    });
    (process, said)
}
