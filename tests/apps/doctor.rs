//! `made-open doctor`: everything that it can find is brought about here, and a sound hub has nothing wrong.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::hub::command;
use crate::support::{TestDatabase, TestHub};

/// What the doctor found, and how he left.
struct Report {
    exit: i32,
    findings: Vec<Value>,
    text: String,
}

impl Report {
    fn names(&self) -> Vec<&str> {
        let wrong = self.findings.iter().filter(|f| f["severity"] != "note");
        wrong
            .map(|finding| finding["name"].as_str().unwrap())
            .collect()
    }

    fn assert_found(&self, name: &str) {
        let found = self.findings.iter().find(|finding| finding["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name} in {:?}", self.findings));
        for part in ["what", "mend", "severity"] {
            assert!(found[part].as_str().unwrap().len() > 3, "{found}");
        }
        assert_eq!(self.exit, 1, "{name}");
        // Numbers move on between two looks.
        let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        for part in ["what", "mend"] {
            let part = words(found[part].as_str().unwrap());
            assert!(words(&self.text).contains(&part), "{}", self.text);
        }
    }
}

fn examine(mut command: impl FnMut() -> Command) -> Report {
    let output = command().args(["doctor", "--json"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let exit = output.status.code().unwrap();
    assert_eq!(report["fine"], exit == 0, "{report}");
    let text = command().arg("doctor").output().unwrap();
    assert_eq!(text.status.code().unwrap(), exit);
    Report {
        exit,
        findings: report["findings"].as_array().unwrap().clone(),
        text: String::from_utf8(text.stdout).unwrap(),
    }
}

fn with(database: &str, dir: &Path, settings: &[(&str, &str)]) -> Report {
    examine(|| {
        let mut doctor = command(database, dir);
        doctor.envs(settings.iter().copied());
        doctor
    })
}

fn fresh_dir() -> PathBuf {
    let name = format!("made-open-doctor-{}", uuid::Uuid::new_v4().simple());
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Something that speaks HTTP, with a clock and a status of its own.
async fn pretender(status: u16, date: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut asker, _) = listener.accept().await.unwrap();
            let mut asked = [0; 2048];
            drop(asker.read(&mut asked).await);
            let head = format!("HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
            drop(asker.write_all(head.as_bytes()).await);
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_what_is_wrong_with_the_database() {
    let database = TestDatabase::new().await;
    let dir = fresh_dir();
    let url = database.url();
    let sound = with(&url, &dir, &[]);
    assert_eq!((sound.exit, sound.names()), (0, vec![]), "{}", sound.text);
    assert!(sound.text.contains("Nothing is wrong."));
    assert!(
        !dir.join("cluster").exists(),
        "no other database was started"
    );

    with("postgresql://made_open@127.0.0.1:1/none", &dir, &[]).assert_found("database.unreachable");
    let stranger = url.replace("made_open:", "nobody_at_all:");
    with(&stranger, &dir, &[]).assert_found("database.refuses");
    assert!(
        !with(&stranger, &dir, &[]).text.contains("only-in-tests"),
        "no password is said"
    );
    with(&database.admin_url(), &dir, &[]).assert_found("database.too_powerful");

    let admin = database.admin().await;
    admin
        .batch_execute("alter table persons no force row level security")
        .await
        .unwrap();
    with(&url, &dir, &[]).assert_found("database.too_powerful");
    admin
        .batch_execute("alter table persons force row level security")
        .await
        .unwrap();

    admin
        .batch_execute("insert into job_records (job_type, queue, status, payload) values ('a.b', 'background', 'dead', '{}')")
        .await
        .unwrap();
    with(&url, &dir, &[]).assert_found("jobs.dead");
    admin
        .batch_execute("delete from job_records")
        .await
        .unwrap();

    admin
        .batch_execute("update hub.versions set value = 'another' where name = 'digest'")
        .await
        .unwrap();
    with(&url, &dir, &[]).assert_found("database.pending_migrations");

    // A clock of the server that is an hour ahead.
    admin
        .batch_execute(&format!(
            "create function public.clock_timestamp() returns timestamptz language sql as $$ select now() + interval '1 hour' $$;
             alter database {} set search_path = public, pg_catalog",
            database.name
        ))
        .await
        .unwrap();
    with(&url, &dir, &[]).assert_found("clock.off");

    let empty = TestDatabase::empty().await;
    with(&empty.url(), &dir, &[]).assert_found("database.pending_migrations");
    let admin = empty.admin().await;
    admin
        .batch_execute("drop extension vector cascade")
        .await
        .unwrap();
    with(&empty.url(), &dir, &[]).assert_found("database.no_vector");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_what_is_wrong_around_the_hub() {
    let hub = TestHub::start().await;
    let url = hub.database.url();
    let dir = fresh_dir();
    let sound = with(&url, &dir, &[("MADE_OPEN_PUBLIC_URL", &hub.url)]);
    assert_eq!((sound.exit, sound.names()), (0, vec![]), "{}", sound.text);

    with(
        &url,
        &dir,
        &[("MADE_OPEN_DISK_RESERVE", "9000000000000000000")],
    )
    .assert_found("disk.low");
    with(&url, &dir, &[("SMTP_URL", "smtp://127.0.0.1:1")]).assert_found("mail.unreachable");
    let secret = with(&url, &dir, &[("SMTP_URL", "smtp://me:hunter2@127.0.0.1:1")]);
    assert!(!secret.text.contains("hunter2"), "{}", secret.text);
    with(
        &url,
        &dir,
        &[("MADE_OPEN_PUBLIC_URL", "http://127.0.0.1:1")],
    )
    .assert_found("address.unreachable");
    with(
        &url,
        &dir,
        &[("MADE_OPEN_PUBLIC_URL", "http://hub.invalid")],
    )
    .assert_found("address.plain");
    let late = pretender(200, "Mon, 02 Jan 2006 15:04:05 GMT").await;
    with(&url, &dir, &[("MADE_OPEN_PUBLIC_URL", &late)]).assert_found("clock.off");
    let other = pretender(404, "nonsense").await;
    with(&url, &dir, &[("MADE_OPEN_PUBLIC_URL", &other)]).assert_found("address.wrong");

    let key = dir.join("vault.key");
    std::fs::write(&key, "x").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    with(&url, &dir, &[]).assert_found("vault.key_open");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(with(&url, &dir, &[]).exit, 0);
    std::fs::remove_file(&key).unwrap();
    let admin = hub.database.admin().await;
    admin
        .batch_execute("set session_replication_role = replica; insert into vault_secrets (key_id, wrapped_key, sealed) values ('k', 'a', 'b')")
        .await
        .unwrap();
    with(&url, &dir, &[]).assert_found("vault.key_missing");

    // With the database away everything else is still looked at.
    let both = with(
        "postgresql://made_open@127.0.0.1:1/none",
        &dir,
        &[("SMTP_URL", "smtp://127.0.0.1:1")],
    );
    both.assert_found("database.unreachable");
    both.assert_found("mail.unreachable");

    // No embedded database is started only to be looked at.
    let nothing = examine(|| {
        let mut doctor = command("", &dir);
        doctor.env_remove("DATABASE_URL");
        doctor
    });
    assert_eq!(nothing.exit, 0, "{}", nothing.text);
    assert!(nothing.text.contains("does not run"), "{}", nothing.text);
    assert!(!dir.join("cluster").exists());
    std::fs::remove_dir_all(&dir).unwrap();
}
