//! Every command once with `--json`, beside a running hub: what it prints is JSON that says what was asked.

use serde_json::{Value, json};

use crate::support::TestHub;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_answers_in_json() {
    let hub = TestHub::start().await;
    let said = |arguments: &[&str], input: Option<&str>| -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let said = hub
            .cli(&all, input)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{said}"))
    };

    // Accounts and organizations.
    let ada = said(&["user", "add", "Ada", "--email", "ada@example.org"], None);
    assert_eq!(
        (ada["email"].as_str(), ada["role"].as_str()),
        (Some("ada@example.org"), Some("developer"))
    );
    said(
        &["user", "add", "Bruno", "--email", "bruno@example.org"],
        None,
    );
    let listed = said(&["user", "list"], None);
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert!(!listed.to_string().contains("argon2"));
    assert_eq!(
        said(&["user", "approve", "--email", "bruno@example.org"], None)["email"],
        "bruno@example.org"
    );
    assert!(
        said(&["user", "invite", "--email", "chidi@example.org"], None)["invitation"].is_string()
    );
    said(
        &[
            "user",
            "passwd",
            "--email",
            "bruno@example.org",
            "--password-stdin",
        ],
        Some("bruno sings in the rain\n"),
    );
    said(
        &[
            "user",
            "ban",
            "--email",
            "bruno@example.org",
            "--for",
            "24h",
        ],
        None,
    );
    said(
        &["user", "ban", "--email", "bruno@example.org", "--lift"],
        None,
    );
    let tenant = said(&["tenant", "add", "Linden"], None);
    assert!(tenant["id"].is_string(), "{tenant}");
    assert!(
        said(&["tenant", "list"], None)
            .to_string()
            .contains("Linden")
    );

    // Keys.
    assert_eq!(said(&["token", "anon"], None)["token"], hub.anon);
    let key = said(
        &[
            "token",
            "create",
            "--role",
            "service_role",
            "--name",
            "import",
        ],
        None,
    );
    assert!(
        said(&["token", "list"], None)
            .to_string()
            .contains("import")
    );
    said(&["token", "revoke", key["id"].as_str().unwrap()], None);

    // Kinds and jobs.
    assert!(said(&["kind", "list"], None).as_array().unwrap().len() > 100);
    let description = hub.data_dir.join("venues.json");
    let venues = json!({
        "name": "venues", "plugin": "io.example.venues", "title": "name",
        "columns": [{ "name": "name", "type": "text", "required": true }],
    });
    std::fs::write(&description, venues.to_string()).unwrap();
    assert_eq!(
        said(&["kind", "add", description.to_str().unwrap()], None)["name"],
        "venues"
    );
    assert_eq!(said(&["job", "list"], None), json!([]));
    assert_eq!(said(&["job", "retry", "--all"], None)["retried"], 0);

    // The audit log and the vault.
    assert!(said(&["audit", "seal"], None)["rows"].as_u64().unwrap() > 0);
    assert!(said(&["audit", "verify"], None)["bad"].is_null());
    let export = hub.data_dir.join("audit.jsonl");
    let exported = said(
        &["audit", "export", "--out", export.to_str().unwrap()],
        None,
    );
    assert!(exported["rows"].as_u64().unwrap() > 0);
    assert!(
        said(
            &["audit", "verify", "--file", export.to_str().unwrap()],
            None
        )["bad"]
            .is_null()
    );
    said(&["vault", "check"], None);
    said(&["vault", "rotate"], None);

    // Rules for other servers.
    let held = said(&["federation", "block", "evil.example", "--yes"], None);
    assert_eq!(held["policy"], "block");
    let dry = said(
        &["federation", "import-blocks", "-", "--dry-run"],
        Some("loud.example\n"),
    );
    assert_eq!(dry["changes"][0]["domain"], "loud.example");
    assert_eq!(said(&["federation", "export-blocks"], None)["rules"], 1);
    assert!(said(&["federation", "status"], None)["hosts"].is_array());

    // Settings, mail, the schema, the whole.
    assert!(
        said(&["config", "show"], None)
            .to_string()
            .contains("public_url")
    );
    said(&["config", "check"], None);
    said(&["config", "docs"], None);
    said(&["mail", "test", "--to", "ada@example.org"], None);
    said(&["migrate"], None);
    said(&["migrate", "status"], None);
    said(&["migrate", "check"], None);
    assert_eq!(said(&["database", "check"], None)["safe"], true);
    said(&["database", "bootstrap", "--print"], None);
    said(&["version"], None);
    let doctor = said(&["doctor"], None);
    assert!(doctor.to_string().len() > 2, "{doctor}");
}
