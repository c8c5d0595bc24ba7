//! What operators type: every command explains itself with an example, and what it prints as JSON can be read.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::first_day::sign_in;
use crate::support::hub::cli;
use crate::support::{TestDatabase, TestHub};

/// The commands below a help text: the words that stand first on the lines under "Commands:".
pub fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| *word != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_help_and_an_example() {
    let dir = std::env::temp_dir();
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
        words.push("--help");
        // Help needs no database.
        let help = cli("postgresql://nobody@127.0.0.1:1/none", &dir, &words, None).unwrap();
        let below = commands(&help);
        let example = help
            .lines()
            .find_map(|line| line.strip_prefix("Example: "))
            .unwrap_or_default();
        let name = format!("made-open {}", path.join(" "));
        // A word that only leads to others may leave the examples to them.
        let is_leaf = below.is_empty() && !path.is_empty();
        let is_shown = if is_leaf {
            example.contains(&name)
        } else {
            !path.is_empty() || example.contains("made-open")
        };
        if !is_shown {
            wrong.push(format!("{name}: {example:?}"));
        }
        open.extend(below.into_iter().map(|word| {
            let mut longer = path.clone();
            longer.push(word);
            longer
        }));
        seen.push(path.join(" "));
    }
    assert!(
        wrong.is_empty(),
        "no example, or one of something else:\n{}",
        wrong.join("\n")
    );
    for known in [
        "serve",
        "migrate",
        "database bootstrap",
        "database check",
        "database run",
        "user add",
        "user list",
        "user ban",
        "user passwd",
        "user restore",
        "tenant add",
        "tenant list",
        "token anon",
        "token create",
        "token list",
        "token revoke",
        "kind list",
        "kind add",
        "version",
    ] {
        assert!(
            seen.iter().any(|path| path == known),
            "{known} is not among {seen:?}"
        );
    }
}

#[tokio::test]
async fn what_is_printed_as_json_can_be_read() {
    let hub = TestHub::start().await;
    let run = |words: &[&str], input: Option<&str>| -> Value {
        let said = hub
            .cli(words, input)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    };

    assert_eq!(
        run(&["version", "--json"], None)["version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        run(&["migrate", "--json"], None),
        json!({ "migrations": [], "replaced": false })
    );
    assert_eq!(
        run(&["database", "check", "--json"], None),
        json!({ "safe": true, "problems": [] })
    );
    assert_eq!(
        run(&["token", "anon", "--json"], None),
        json!({ "token": hub.anon })
    );
    assert_eq!(hub.cli(&["token", "anon"], None).unwrap(), hub.anon);

    let kinds = run(&["kind", "list", "--json"], None);
    let persons = kinds
        .as_array()
        .unwrap()
        .iter()
        .find(|kind| kind["name"] == "persons")
        .unwrap();
    assert_eq!(persons["table"], "persons");
    assert_eq!(persons["domain"], "graph");
    assert_eq!(persons["scope"], "owner");
    let columns = persons["columns"].as_array().unwrap();
    let column = |name: &str| {
        columns
            .iter()
            .find(|column| column["name"] == name)
            .unwrap()
    };
    assert_eq!(
        *column("name"),
        json!({ "name": "name", "type": "text", "hidden": false, "read_only": false })
    );
    assert_eq!(column("created_at")["read_only"], true);
    let users = kinds
        .as_array()
        .unwrap()
        .iter()
        .find(|kind| kind["name"] == "users")
        .unwrap();
    let secret = users["columns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|column| column["name"] == "encrypted_password")
        .unwrap();
    assert_eq!(secret["hidden"], true);

    let password = "operators type this once";
    let made = run(
        &[
            "user",
            "add",
            "Iris",
            "--email",
            "iris@example.org",
            "--password-stdin",
            "--json",
        ],
        Some(&format!("{password}\n")),
    );
    assert!(made.to_string().contains("iris@example.org"), "{made}");
    assert!(!made.to_string().contains(password));
    let iris = sign_in(&hub, "iris@example.org", password).await;
    assert!(made.to_string().contains(&iris.id.to_string()), "{made}");
}

#[tokio::test]
async fn an_account_without_a_password_gets_a_way_in() {
    let hub = TestHub::start().await;
    let made = hub
        .cli(
            &["user", "add", "Jo", "--email", "jo@example.org", "--json"],
            None,
        )
        .unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    let password = made["password"]
        .as_str()
        .unwrap_or_else(|| panic!("a password is made up: {made}"));
    sign_in(&hub, "jo@example.org", password).await;
}

#[tokio::test]
async fn an_account_that_cannot_be_is_refused() {
    let hub = TestHub::start().await;
    let add = |words: &[&str], password: &str| {
        let mut all = vec!["user", "add"];
        all.extend(words);
        all.push("--password-stdin");
        hub.cli(&all, Some(password)).unwrap_err()
    };
    let good = "a fine long password";
    hub.cli(
        &[
            "user",
            "add",
            "Kim",
            "--email",
            "kim@example.org",
            "--password-stdin",
        ],
        Some(good),
    )
    .unwrap();
    for (words, password, expected) in [
        (
            &["Kim", "--email", "kim@example.org"][..],
            good,
            "address exists",
        ),
        (
            &["Kim", "--email", "KIM@example.org"],
            good,
            "address exists",
        ),
        (&["Lee", "--email", "nonsense"], good, "mail"),
        (&["Lee", "--email", "lee@example.org"], "short", "assword"),
        (
            &["Lee", "--email", "lee@example.org", "--role", "emperor"],
            good,
            "emperor",
        ),
    ] {
        let said = add(words, password);
        assert!(said.contains(expected), "{words:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    let admin = hub.database.admin().await;
    let counted: i64 = admin
        .query_one("select count(*) from users", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn a_service_key_reads_everything_and_a_public_one_nothing_private() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    ada.adds(&hub, "persons", json!({ "name": "Rosa" })).await;
    let said = hub
        .cli(
            &["token", "create", "--role", "service_role", "--json"],
            None,
        )
        .unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let key = said["token"].as_str().unwrap_or_else(|| panic!("{said}"));
    let ask = async |key: &str| {
        let answer = hub
            .http
            .request(
                Method::GET,
                format!("{}/rest/v1/persons?select=name", hub.url),
            )
            .header("apikey", key)
            .header("Authorization", format!("Bearer {key}"))
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(
        ask(key).await,
        (StatusCode::OK, json!([{ "name": "Rosa" }]))
    );
    let (status, rows) = ask(&hub.anon).await;
    assert!(
        rows == json!([]) || status == StatusCode::UNAUTHORIZED,
        "{status} {rows}"
    );
    // Taking its row away ends it at once.
    let admin = hub.database.admin().await;
    admin
        .execute("delete from hub.sessions where role = 'service_role'", &[])
        .await
        .unwrap();
    assert_eq!(ask(key).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_database_commands_say_what_an_administrator_needs() {
    let database = TestDatabase::empty().await;
    let dir = std::env::temp_dir().join(format!("made-open-{}", database.name));
    std::fs::create_dir_all(&dir).unwrap();
    let run = |words: &[&str]| cli(&database.url(), &dir, words, None);

    let script = run(&["database", "bootstrap", "--print", "--name", "my_hub"]).unwrap();
    for part in [
        "made_open_owner",
        "service_role",
        "authenticated",
        "anon",
        "my_hub",
        "vector",
    ] {
        assert!(script.contains(part), "no {part} in\n{script}");
    }
    assert!(run(&["database", "bootstrap"]).is_err(), "it only prints");

    let done: Value = serde_json::from_str(&run(&["migrate", "--json"]).unwrap()).unwrap();
    assert!(done["migrations"].as_array().unwrap().len() > 3, "{done}");
    assert_eq!(done["replaced"], true);
    assert!(
        run(&["migrate"]).unwrap().contains("0 migrations"),
        "a second time changes nothing"
    );
    run(&["database", "check"]).unwrap();

    // A table that lost its force is found.
    let admin = database.admin().await;
    admin
        .batch_execute("alter table persons no force row level security")
        .await
        .unwrap();
    let said = run(&["database", "check", "--json"]).unwrap_err();
    assert!(
        said.contains("\"safe\":false") && said.contains("persons"),
        "{said}"
    );
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn nonsense_is_answered_with_usage() {
    let dir = std::env::temp_dir();
    for words in [
        &["srve"][..],
        &["kind"],
        &["kind", "ad"],
        &["user", "add"],
        &["--nope"],
        &["migrate", "extra"],
    ] {
        let said = cli("postgresql://nobody@127.0.0.1:1/none", &dir, words, None).unwrap_err();
        assert!(
            said.contains("Usage:") || said.contains("similar"),
            "{words:?}: {said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
    let unreachable = cli(
        "postgresql://nobody@127.0.0.1:1/none",
        &dir,
        &["kind", "list"],
        None,
    )
    .unwrap_err();
    assert!(!unreachable.contains("panicked"), "{unreachable}");
}

#[tokio::test]
async fn accounts_tenants_and_keys_are_looked_after_from_the_terminal() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let run = |words: &[&str], input: Option<&str>| -> Value {
        let said = hub
            .cli(words, input)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    };

    let listed = run(&["user", "list", "--json"], None);
    assert_eq!(listed[0]["email"], "ada@example.org");
    assert_eq!(
        (&listed[0]["role"], &listed[0]["tenant"]),
        (&json!("developer"), &json!("home"))
    );
    assert_eq!(
        (&listed[0]["banned"], &listed[0]["closed_at"]),
        (&json!(false), &Value::Null)
    );
    assert!(!listed.to_string().contains("argon2"), "{listed}");
    assert!(
        hub.cli(&["user", "list"], None)
            .unwrap()
            .contains("ada@example.org")
    );

    let email = "ada@example.org";
    let banned = run(
        &["user", "ban", "--email", email, "--for", "24h", "--json"],
        None,
    );
    let until: chrono::DateTime<chrono::Utc> =
        banned["banned_until"].as_str().unwrap().parse().unwrap();
    let hours = (until - made_open::base::clock::now()).num_minutes();
    assert!((1438..=1440).contains(&hours), "{until}");
    let status = ada
        .ask(&hub, Method::GET, "/auth/v1/user")
        .send()
        .await
        .unwrap()
        .status();
    assert!(status.is_client_error(), "{status}");
    assert_eq!(run(&["user", "list", "--json"], None)[0]["banned"], true);
    let lifted = run(&["user", "ban", "--email", email, "--lift", "--json"], None);
    assert_eq!(lifted["banned_until"], Value::Null);
    for wrong in [
        &["user", "ban", "--email", email, "--for", "soon"][..],
        &["user", "ban", "--email", "no@example.org"],
    ] {
        assert!(hub.cli(wrong, None).is_err(), "{wrong:?}");
    }

    let session = sign_in(&hub, email, "ada walks the dog").await;
    let new = "typed by the operator once";
    let said = run(
        &[
            "user",
            "passwd",
            "--email",
            email,
            "--password-stdin",
            "--json",
        ],
        Some(&format!("{new}\n")),
    );
    assert_eq!(
        said["password"],
        Value::Null,
        "what was given is not said again"
    );
    let status = session
        .ask(&hub, Method::GET, "/auth/v1/user")
        .send()
        .await
        .unwrap()
        .status();
    assert!(status.is_client_error(), "{status}");
    sign_in(&hub, email, new).await;
    let made = run(&["user", "passwd", "--email", email, "--json"], None);
    sign_in(&hub, email, made["password"].as_str().unwrap()).await;
    assert!(
        hub.cli(
            &["user", "passwd", "--email", email, "--password-stdin"],
            Some("short")
        )
        .is_err()
    );
    // A password is never an argument.
    assert!(
        hub.cli(
            &["user", "passwd", "--email", email, "--password", new],
            None
        )
        .unwrap_err()
        .contains("unexpected argument")
    );

    let tenant = run(
        &["tenant", "add", "Linden school", "--admin", email, "--json"],
        None,
    );
    let tenants = run(&["tenant", "list", "--json"], None);
    assert_eq!(tenants[1]["id"], tenant["id"]);
    assert_eq!(
        (&tenants[0]["people"], &tenants[1]["people"]),
        (&json!(0), &json!(1))
    );
    assert!(
        hub.cli(&["tenant", "list"], None)
            .unwrap()
            .contains("Linden school")
    );
    assert!(
        hub.cli(&["tenant", "add", "X", "--admin", "no@example.org"], None)
            .is_err()
    );
    assert_eq!(
        run(&["tenant", "list", "--json"], None)
            .as_array()
            .unwrap()
            .len(),
        2,
        "nothing half made"
    );

    let key = run(
        &[
            "token",
            "create",
            "--role",
            "service_role",
            "--name",
            "nightly",
            "--json",
        ],
        None,
    );
    let keys = run(&["token", "list", "--json"], None);
    assert_eq!(
        (&keys[0]["id"], &keys[0]["name"]),
        (&key["id"], &json!("nightly"))
    );
    assert!(!keys.to_string().contains(key["token"].as_str().unwrap()));
    let id = key["id"].as_str().unwrap();
    assert_eq!(
        run(&["token", "revoke", id, "--json"], None)["id"],
        key["id"]
    );
    assert_eq!(run(&["token", "list", "--json"], None), json!([]));
    assert!(hub.cli(&["token", "revoke", id], None).is_err(), "twice");
    assert!(
        hub.cli(&["user", "restore", "--email", email], None)
            .is_err(),
        "nobody closed it"
    );
}
