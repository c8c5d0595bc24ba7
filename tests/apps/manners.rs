//! The manners of the command line: JSON on every command that prints, exit codes, quiet, settings that are explained.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::commands::commands;
use crate::support::hub::{cli, command};
use crate::support::{TestDatabase, TestHub};

/// Commands that print nothing but what another program reads anyway: SQL, Markdown, a page of help, a log.
const WITHOUT_JSON: &[&str] = &["serve", "database run"];

/// The words of every command that does something.
fn leaves() -> Vec<(Vec<String>, String)> {
    let dir = std::env::temp_dir();
    let mut leaves = Vec::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
        words.push("--help");
        let help = cli("postgresql://nobody@127.0.0.1:1/none", &dir, &words, None).unwrap();
        let below = commands(&help);
        // `migrate` does something itself, and has questions below it.
        if below.is_empty() || help.contains("--json") {
            leaves.push((path.clone(), help));
        }
        open.extend(below.into_iter().map(|word| {
            let mut longer = path.clone();
            longer.push(word);
            longer
        }));
    }
    leaves
}

#[test]
fn every_command_that_prints_takes_json() {
    let leaves = leaves();
    assert!(leaves.len() > 12, "{leaves:?}");
    let mut wrong = Vec::new();
    for (path, help) in &leaves {
        let name = path.join(" ");
        let takes = help.lines().any(|line| line.trim().starts_with("--json"));
        if takes == WITHOUT_JSON.contains(&name.as_str()) {
            wrong.push(name);
        }
    }
    assert!(
        wrong.is_empty(),
        "give them --json, or a reason in WITHOUT_JSON: {wrong:?}"
    );
    for name in WITHOUT_JSON {
        assert!(
            leaves.iter().any(|(path, _)| path.join(" ") == *name),
            "{name} is gone"
        );
    }
}

fn run(database: &str, dir: &Path, words: &[&str]) -> Output {
    command(database, dir).args(words).output().unwrap()
}

#[tokio::test]
async fn exit_codes_tell_what_came_of_it() {
    let hub = TestHub::start().await;
    let (url, dir) = (hub.database.url(), hub.data_dir.clone());
    let unreachable = "postgresql://made_open@127.0.0.1:1/none";
    let superuser = hub.database.admin_url();
    let nobody = url.replace("made_open:", "nobody_at_all:");
    for (database, words, code) in [
        (&*url, &["version", "--json"][..], 0),
        (&url, &["migrate", "check", "--json"], 0),
        (&url, &["migrate", "status", "--json"], 0),
        (&url, &["database", "check", "--json"], 0),
        (&url, &["config", "check", "--json"], 0),
        (&url, &["kind", "add", "/no/such/file.json", "--json"], 1),
        (&url, &["frobnicate", "--json"], 2),
        (&url, &["user", "add", "--json"], 2),
        (
            &url,
            &["user", "add", "Lee", "--email", "nonsense", "--json"],
            2,
        ),
        (&url, &["mail", "test", "--to", "nonsense", "--json"], 2),
        (unreachable, &["kind", "list", "--json"], 4),
        (unreachable, &["migrate", "status", "--json"], 4),
        (unreachable, &["token", "anon", "--json"], 4),
        (&superuser, &["database", "check", "--json"], 5),
        (&nobody, &["migrate", "status", "--json"], 5),
    ] {
        let output = run(database, &dir, words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(
            !said.contains("panicked") && !said.contains("only-in-tests"),
            "{said}"
        );
        if code == 0 {
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(told.is_object(), "{words:?}: {told}");
            assert_eq!(said, "", "a program reads this");
            continue;
        }
        // The last line tells a program why.
        let told: Value = serde_json::from_str(said.lines().last().unwrap())
            .unwrap_or_else(|_| panic!("{words:?}: {said}"));
        assert_eq!(told["error"]["exit"], code, "{told}");
        assert!(!told["error"]["message"].as_str().unwrap().is_empty());
        assert!(told["error"]["code"].is_string());
    }

    let empty = TestDatabase::empty().await;
    let output = run(&empty.url(), &dir, &["migrate", "check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["current"], told["applied"].as_array().unwrap().len()),
        (&false.into(), 0)
    );
    assert!(told["pending"].as_array().unwrap().len() > 10);

    // A hub refuses to serve as superuser, and says so in its exit code.
    let output = run(&superuser, &dir, &["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(
        output.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn quiet_says_nothing_but_data() {
    let hub = TestHub::start().await;
    let add = ["user", "add", "Jo", "--email", "jo@example.org", "--quiet"];
    let output = run(&hub.database.url(), &hub.data_dir, &add);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.stdout.len() > 10, "the password is data");
    let both = run(&hub.database.url(), &hub.data_dir, &["version", "-q", "-v"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn settings_are_shown_with_where_they_came_from_and_tried() {
    let dir = std::env::temp_dir().join(format!("made-open-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(
        dir.join("made-open.toml"),
        "rest_max_rows = 77\nsignup = \"open\"\n",
    )
    .unwrap();
    std::fs::write(dir.join("smtp"), "smtp://me:hunter2@mail.example\n").unwrap();
    let base = || {
        let mut base = command("postgresql://me:hunter2@db.example/hub", &dir);
        base.env_remove("MADE_OPEN_SIGNUP");
        base
    };
    let ask = |words: &[&str], settings: &[(&str, &str)]| {
        base()
            .args(words)
            .envs(settings.iter().copied())
            .output()
            .unwrap()
    };
    let smtp = dir.join("smtp");
    let file = [("SMTP_URL_FILE", smtp.to_str().unwrap())];

    let output = ask(
        &["config", "show", "--json", "--bind", "127.0.0.1:4"],
        &file,
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let shown: Value = serde_json::from_str(&text).unwrap();
    let setting = |name: &str| {
        let found = shown.as_array().unwrap().iter().find(|s| s["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name}"));
        (
            found["value"].clone(),
            found["from"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(setting("bind"), ("127.0.0.1:4".into(), "--bind".to_owned()));
    assert_eq!(setting("rest_max_rows").0, 77);
    assert!(setting("rest_max_rows").1.ends_with("made-open.toml"));
    assert_eq!(setting("autoconfirm").1, "MADE_OPEN_AUTOCONFIRM");
    assert_eq!(
        setting("database_url"),
        ("[secret]".into(), "DATABASE_URL".to_owned())
    );
    assert_eq!(
        setting("smtp_url"),
        ("[secret]".into(), "SMTP_URL_FILE".to_owned())
    );
    assert_eq!(
        setting("limit_write"),
        ("600/min".into(), "built in".to_owned())
    );
    assert_eq!(setting("metrics_bind"), (Value::Null, "not set".to_owned()));

    assert!(ask(&["config", "check"], &file).status.success());
    for (name, value, code, told) in [
        (
            "MADE_OPEN_REST_MAX_ROW",
            "5",
            2,
            "did you mean rest_max_rows?",
        ),
        ("MADE_OPEN_LIMIT_WRITE", "often", 2, "rate"),
        ("MADE_OPEN_LIMITS", "perhaps", 2, "on or off"),
        ("MADE_OPEN_TRUSTED_PROXIES", "10.0.0.0/99", 2, "10.0.0.0/99"),
        ("MADE_OPEN_LOG_FORMAT", "xml", 2, "json or text"),
        ("MADE_OPEN_PUBLIC_URL", "ftp://hub.example", 2, "http"),
        ("MADE_OPEN_SIGNUP", "maybe", 2, "maybe"),
        ("SMTP_URL_FILE", "/no/such/file", 2, "/no/such/file"),
        ("DATABASE_URL_FILE", smtp.to_str().unwrap(), 2, "both set"),
        ("MADE_OPEN_BIND", "nowhere", 1, "bind"),
        ("MADE_OPEN_METRICS_BIND", "nowhere", 1, "metrics_bind"),
        ("MADE_OPEN_MAIL_FROM", "nobody", 1, "mail_from"),
        ("SMTP_URL", "mail.example", 1, "smtp_url"),
        ("MADE_OPEN_DATABASE_POOL", "0", 1, "database_pool"),
    ] {
        let output = ask(&["config", "check"], &[(name, value)]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{name}={value}: {said}");
        assert!(said.contains(told), "{name}={value}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        if code == 2 {
            let other = ask(&["token", "anon"], &[(name, value)]);
            assert_eq!(other.status.code(), Some(2), "every command says so");
        }
    }

    let letter = base()
        .args(["mail", "test", "--to", "ada@example.org", "--json"])
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&letter.stdout).unwrap();
    assert_eq!(
        (&told["way"], &told["to"]),
        (&"file".into(), &"ada@example.org".into())
    );
    let files = std::fs::read_dir(told["directory"].as_str().unwrap()).unwrap();
    assert_eq!(files.count(), 1);
    let away = ask(
        &["mail", "test", "--to", "ada@example.org"],
        &[("SMTP_URL", "smtp://127.0.0.1:1")],
    );
    assert_eq!(away.status.code(), Some(4));
    std::fs::remove_dir_all(&dir).unwrap();
}
