//! Letters by way of a real mail server: they arrive whole, what is refused for good is not sent for ever, and a server
//! that is away is waited for.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::auth::{by_code, opened, post};
use crate::clients::interpreter_of;
use crate::support::TestHub;
use crate::support::mail::Letter;

/// A mail server on this machine.
struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    fn start(folder: &Path, port: u16) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mut process = Command::new(interpreter_of("MADE_OPEN_TEST_PYTHON"))
            .arg("smtp.py")
            .arg(folder)
            .arg(port.to_string())
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let port = said.trim().parse().unwrap();
        Self {
            process,
            folder: folder.to_owned(),
            port,
        }
    }

    /// What arrived for an address, once something did.
    async fn letter(&self, to: &str) -> (Value, Letter) {
        let start = Instant::now();
        loop {
            if let Some(found) = self.letters(to).pop() {
                return found;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "nothing for {to}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn letters(&self, to: &str) -> Vec<(Value, Letter)> {
        std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
            .filter(|letter: &Value| letter["to"].as_array().unwrap().contains(&json!(to)))
            .map(|letter| {
                let read = Letter::of(letter["text"].as_str().unwrap());
                (letter, read)
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_go_by_way_of_a_mail_server() {
    let folder = std::env::temp_dir().join(format!("made-open-smtp-{}", uuid::Uuid::new_v4()));
    let mut server = Server::start(&folder, 0);
    let url = format!("smtp://127.0.0.1:{}", server.port);
    let hub = TestHub::start_with(&[
        ("MADE_OPEN_AUTOCONFIRM", "off"),
        ("SMTP_URL", &url),
        ("MADE_OPEN_MAIL_FROM", "The Lindens <hub@lindens.example>"),
    ])
    .await;
    let sign_up = async |email: &str, name: &str| {
        let body = json!({ "email": email, "password": "a long walk along the river", "data": { "full_name": name } });
        assert_eq!(post(&hub, "/auth/v1/signup", body).await.status(), 200);
    };

    sign_up("amina@example.org", "Amina Öztürk").await;
    let (envelope, letter) = server.letter("amina@example.org").await;
    assert_eq!(envelope["from"], "hub@lindens.example");
    assert_eq!(envelope["to"], json!(["amina@example.org"]));
    for (header, value) in [
        ("From", "The Lindens"),
        ("From", "<hub@lindens.example>"),
        ("To", "amina@example.org"),
        ("Subject", "Confirm your address at 127.0.0.1"),
        ("Date", " +0000"),
        ("Message-ID", "@lindens.example>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Auto-Submitted", "auto-generated"),
    ] {
        let found = letter.headers(header);
        assert_eq!(found.len(), 1, "{header}: {letter:?}");
        assert!(found[0].contains(value), "{header}: {found:?}");
    }
    assert!(letter.text.starts_with("Hello Amina Öztürk,"), "{letter:?}");
    assert!(letter.link().contains("&type=signup&"), "{letter:?}");
    sign_up("bruno@example.org", "Bruno").await;
    let (_, letter) = server.letter("bruno@example.org").await;
    assert!(letter.text.starts_with("Hello Bruno,"), "{letter:?}");
    assert!(opened(letter.link()).await.contains("#access_token="));

    // Refused for good: tried once, and there to be looked at.
    sign_up("nobody@example.org", "Nobody").await;
    let dead = job(&hub, "nobody@example.org", "dead").await;
    assert_eq!(dead.0, 1, "tried {} times: {}", dead.0, dead.1);
    assert!(dead.1.contains("mail.refused"), "{}", dead.1);

    // Refused for now: tried again until it is taken.
    sign_up("later@example.org", "Later").await;
    let waiting = job(&hub, "later@example.org", "enqueued").await;
    assert!(waiting.0 >= 1 && waiting.1.contains("busy"), "{waiting:?}");
    std::fs::write(folder.join("open"), "").unwrap();
    let (_, letter) = come_now(&hub, &server, "later@example.org").await;
    let answer = by_code(&hub, "signup", "later@example.org", letter.code()).await;
    assert_eq!(answer.status(), 200);

    // Away: nobody is told, and the letter arrives when the server is back.
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    sign_up("chidi@example.org", "Chidi").await;
    let waiting = job(&hub, "chidi@example.org", "enqueued").await;
    assert!(waiting.0 >= 1 && waiting.1.contains("busy"), "{waiting:?}");
    let port = server.port;
    let again = folder.join("again");
    let back = Server::start(&again, port);
    let (_, letter) = come_now(&hub, &back, "chidi@example.org").await;
    let answer = by_code(&hub, "signup", "chidi@example.org", letter.code()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(back.letters("nobody@example.org").len(), 0);
}

/// Attempts and last error of the job that writes to an address, once it was tried and is in this state.
async fn job(hub: &TestHub, email: &str, status: &str) -> (i32, String) {
    let admin = hub.database.admin().await;
    let start = Instant::now();
    loop {
        let rows = admin
            .query(
                "select attempts, coalesce(last_error, ''), status from job_records \
                 where payload ->> 'email' = $1 and attempts > 0 and status <> 'running'",
                &[&email],
            )
            .await
            .unwrap();
        if let Some(row) = rows.first()
            && row.get::<_, String>(2) == status
        {
            return (row.get(0), row.get(1));
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{email} is not {status}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What waits for its next try need not wait longer.
async fn come_now(hub: &TestHub, server: &Server, email: &str) -> (Value, Letter) {
    let admin = hub.database.admin().await;
    let now = "update job_records set scheduled_for = now() where status = 'enqueued' and payload ->> 'email' = $1";
    admin.execute(now, &[&email]).await.unwrap();
    server.letter(email).await
}
