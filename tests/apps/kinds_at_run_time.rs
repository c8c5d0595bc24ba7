//! A plugin's kind: from the moment it is added it is served, scoped, journalled and described like any other.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::first_day::sign_in;
use crate::support::TestHub;
use crate::support::people::Person;

fn venues() -> Value {
    json!({
        "name": "venues",
        "plugin": "io.example.venues",
        "description": "Where something takes place.",
        "title": "name",
        "text": ["name"],
        "jsonld": "schema:Place",
        "public_when": { "column": "status", "equals": "open" },
        "columns": [
            { "name": "name", "type": "text", "required": true },
            { "name": "status", "type": "text", "values": ["open", "it's closed"], "default": "it's closed" },
            { "name": "seats", "type": "integer", "default": 0, "description": "At most." },
            { "name": "host", "type": "uuid", "references": "persons" },
            { "name": "opened", "type": "timestamptz", "default": { "function": "now" } },
            { "name": "notes_of_staff", "type": "text", "hidden": true },
            { "name": "visitors", "type": "integer", "read_only": true, "default": 0 }
        ]
    })
}

async fn developer(hub: &TestHub) -> Person {
    let password = "kinds are nouns of a hub";
    hub.cli(
        &[
            "user",
            "add",
            "dev",
            "--email",
            "dev@example.org",
            "--password-stdin",
            "--role",
            "developer",
        ],
        Some(password),
    )
    .unwrap();
    sign_in(hub, "dev@example.org", password).await
}

async fn add(hub: &TestHub, who: &Person, kind: &Value) -> (StatusCode, Value) {
    let answer = who
        .ask(hub, Method::POST, "/api/kinds")
        .json(kind)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_kind_added_by_a_developer_is_a_kind_like_any_other() {
    let hub = TestHub::start().await;
    let dev = developer(&hub).await;
    let (ada, ben) = (hub.sign_up("ada").await, hub.sign_up("ben").await);
    assert_eq!(
        hub.get("/rest/v1/venues").await.status(),
        StatusCode::NOT_FOUND
    );

    let (status, said) = add(&hub, &dev, &venues()).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
    assert_eq!(said["name"], "venues");

    // Served at once, with its defaults.
    let row = ada.adds(&hub, "venues", json!({ "name": "Cellar" })).await;
    assert_eq!(row["owner_id"], json!(ada.id));
    assert_eq!(row["status"], "it's closed");
    assert_eq!(row["seats"], 0);
    assert!(row["opened"].is_string(), "{row}");
    assert_eq!(row["sources"], json!([]));
    assert!(row.get("notes_of_staff").is_none(), "hidden: {row}");
    let id = row["id"].as_str().unwrap();

    // Scoped: Ben sees it only once it is public, and never writes it.
    assert_eq!(ben.reads(&hub, "/rest/v1/venues").await, json!([]));
    let opened = ada
        .ask(&hub, Method::PATCH, &format!("/rest/v1/venues?id=eq.{id}"))
        .json(&json!({ "status": "open" }))
        .send()
        .await
        .unwrap();
    assert_eq!(opened.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        ben.reads(&hub, "/rest/v1/venues?select=name").await,
        json!([{ "name": "Cellar" }])
    );
    let public: Value = hub
        .get("/rest/v1/venues?select=name")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(public, json!([{ "name": "Cellar" }]));
    let stolen = ben
        .ask(&hub, Method::PATCH, &format!("/rest/v1/venues?id=eq.{id}"))
        .header("Prefer", "return=representation")
        .json(&json!({ "name": "Mine" }))
        .send()
        .await
        .unwrap();
    assert_eq!(stolen.json::<Value>().await.unwrap(), json!([]));
    refused(
        &hub,
        &ben,
        json!({ "name": "Planted", "owner_id": ada.id }),
        "42501",
    )
    .await;

    // Its own rules hold: listed values, columns that are not the client's, links into what is not one's own.
    refused(
        &hub,
        &ada,
        json!({ "name": "x", "status": "nope" }),
        "23514",
    )
    .await;
    refused(&hub, &ada, json!({ "status": "open" }), "23502").await;
    let counted = post(&hub, &ada, json!({ "name": "x", "visitors": 9 })).await;
    assert!(
        counted.0.is_client_error() && counted.1.to_string().contains("visitors"),
        "{counted:?}"
    );
    let unseen = ada
        .adds(
            &hub,
            "venues",
            json!({ "name": "Attic", "notes_of_staff": "leaky" }),
        )
        .await;
    assert!(!unseen.to_string().contains("leaky"), "{unseen}");
    let unseen = format!("/rest/v1/venues?id=eq.{}", unseen["id"].as_str().unwrap());
    assert!(!ada.reads(&hub, &unseen).await.to_string().contains("leaky"));
    ada.ask(&hub, Method::DELETE, &unseen).send().await.unwrap();
    let hidden = ada
        .ask(&hub, Method::GET, "/rest/v1/venues?select=notes_of_staff")
        .send()
        .await
        .unwrap();
    assert!(hidden.status().is_client_error(), "{}", hidden.status());
    let host = ben.adds(&hub, "persons", json!({ "name": "Host" })).await;
    refused(
        &hub,
        &ada,
        json!({ "name": "x", "host": host["id"] }),
        "23503",
    )
    .await;
    let own = ada
        .adds(&hub, "persons", json!({ "name": "Own host" }))
        .await;
    ada.adds(&hub, "venues", json!({ "name": "Loft", "host": own["id"] }))
        .await;
    assert_eq!(
        ada.reads(&hub, "/rest/v1/venues?select=name,persons(name)&order=name")
            .await,
        json!([{ "name": "Cellar", "persons": null }, { "name": "Loft", "persons": { "name": "Own host" } }])
    );

    // Journalled.
    let admin = hub.database.admin().await;
    let lines = admin
        .query("select verb, actor_id::text, changed from hub.journal where kind = 'venues' and row_id::text = $1 order by id", &[&id])
        .await
        .unwrap();
    let verbs: Vec<String> = lines.iter().map(|line| line.get("verb")).collect();
    assert_eq!(verbs, ["insert", "update"]);
    assert!(
        lines
            .iter()
            .all(|line| line.get::<_, Option<String>>("actor_id") == Some(ada.id.to_string()))
    );
    let changed: Vec<String> = lines[1]
        .get::<_, Option<Vec<String>>>("changed")
        .unwrap_or_default();
    assert!(changed.contains(&"status".to_owned()), "{changed:?}");

    // Described, on the command line and to clients.
    let listed: Vec<Value> =
        serde_json::from_str(&hub.cli(&["kind", "list", "--json"], None).unwrap()).unwrap();
    let listed = listed
        .iter()
        .find(|kind| kind["name"] == "venues")
        .expect("listed");
    assert_eq!(listed["scope"], "owner");
    assert_eq!(listed["plugin"], "io.example.venues");
    let column = |name: &str| {
        let columns = listed["columns"].as_array().unwrap();
        columns
            .iter()
            .find(|column| column["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        column("seats"),
        json!({ "name": "seats", "type": "integer", "hidden": false, "read_only": false })
    );
    assert_eq!(column("notes_of_staff")["hidden"], true);
    assert_eq!(column("visitors")["read_only"], true);
    let described = ada.reads(&hub, "/openapi.json").await;
    assert!(
        described["paths"].get("/venues").is_some(),
        "no path /venues"
    );
    let text = described.to_string();
    assert!(
        text.contains("At most.") && text.contains("Where something takes place."),
        "the texts of the description"
    );
    let properties = &described["components"]["schemas"]["venues"]["properties"];
    assert_eq!(
        properties["notes_of_staff"]["writeOnly"], true,
        "written, never read"
    );
    assert_eq!(properties["visitors"]["readOnly"], true);
    assert_eq!(properties["status"]["enum"], json!(["open", "it's closed"]));
    let public: Value = hub.get("/openapi.json").await.json().await.unwrap();
    assert!(
        !public.to_string().contains("notes_of_staff"),
        "who may neither read nor write a column does not hear of it"
    );
    let through = ada.reads(&hub, "/api/kinds").await;
    assert!(
        through
            .as_array()
            .unwrap()
            .iter()
            .any(|kind| kind["name"] == "venues")
    );
}

#[tokio::test]
async fn what_another_owner_has_is_not_given_away() {
    let hub = TestHub::start().await;
    let dev = developer(&hub).await;
    let (ada, ben) = (hub.sign_up("ada").await, hub.sign_up("ben").await);
    let mut kind = venues();
    kind["columns"][0]["unique"] = json!(true);
    let (status, said) = add(&hub, &dev, &kind).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");

    // The same name is free for another owner, taken for the same one.
    ada.adds(&hub, "venues", json!({ "name": "Cellar" })).await;
    ben.adds(&hub, "venues", json!({ "name": "Cellar" })).await;
    refused(&hub, &ada, json!({ "name": "Cellar" }), "23505").await;
    let merged = ada
        .ask(
            &hub,
            Method::POST,
            "/rest/v1/venues?on_conflict=owner_id,name&select=name,seats",
        )
        .header(
            "Prefer",
            "resolution=merge-duplicates,return=representation",
        )
        .json(&json!({ "name": "Cellar", "seats": 40 }))
        .send()
        .await
        .unwrap();
    assert_eq!(
        merged.json::<Value>().await.unwrap(),
        json!([{ "name": "Cellar", "seats": 40 }])
    );
    assert_eq!(
        ben.reads(&hub, "/rest/v1/venues?select=name,seats").await,
        json!([{ "name": "Cellar", "seats": 0 }])
    );

    // A link to somebody else's row is refused as one to a row that is not there.
    let person = ben.adds(&hub, "persons", json!({ "name": "Host" })).await;
    let (foreign, random) = (
        person["id"].as_str().unwrap(),
        "01890000-0000-7000-8000-000000000000",
    );
    let answer = async |id: &str| {
        let (status, said) = post(&hub, &ada, json!({ "name": "x", "host": id })).await;
        (status, said.to_string().replace(id, "ID"))
    };
    assert_eq!(answer(foreign).await, answer(random).await);
    assert_eq!(answer(random).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn kinds_of_a_tenant_and_of_the_catalogue() {
    let hub = TestHub::start().await;
    let dev = developer(&hub).await;
    let ada = hub.sign_up("ada").await;
    for (name, scope) in [("rooms", "tenant"), ("room_types", "catalogue")] {
        let kind = json!({
            "name": name, "plugin": "io.example.rooms", "scope": scope, "title": "name",
            "columns": [{ "name": "name", "type": "text", "required": true, "unique": true }]
        });
        let (status, said) = add(&hub, &dev, &kind).await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
        dev.adds(&hub, name, json!({ "name": "Blue" })).await;
        // Ada belongs to the same home tenant as the developer.
        assert_eq!(
            ada.reads(&hub, &format!("/rest/v1/{name}?select=name"))
                .await,
            json!([{ "name": "Blue" }])
        );
        let public: Value = hub
            .get(&format!("/rest/v1/{name}?select=name"))
            .await
            .json()
            .await
            .unwrap();
        assert!(public == json!([]) || public["code"] == "42501", "{public}");
    }
    let by_user = ada
        .ask(&hub, Method::POST, "/rest/v1/room_types")
        .json(&json!({ "name": "Red" }))
        .send()
        .await
        .unwrap();
    assert_eq!(
        by_user.status(),
        StatusCode::FORBIDDEN,
        "only a developer writes the catalogue"
    );
    let links = json!({
        "name": "bookings", "plugin": "io.example.rooms",
        "columns": [{ "name": "room_id", "type": "uuid", "references": "rooms", "required": true }]
    });
    assert_eq!(
        add(&hub, &dev, &links).await.0,
        StatusCode::CREATED,
        "a plugin's kind links to another's"
    );
    let room = dev.reads(&hub, "/rest/v1/rooms?select=id").await[0]["id"].clone();
    ada.adds(&hub, "bookings", json!({ "room_id": room })).await;
    assert_eq!(
        ada.reads(&hub, "/rest/v1/bookings?select=rooms(name)")
            .await,
        json!([{ "rooms": { "name": "Blue" } }])
    );
}

#[tokio::test]
async fn two_who_add_the_same_kind_at_once() {
    let hub = TestHub::start().await;
    let dev = developer(&hub).await;
    let kind = venues();
    let tries = (0..4).map(|_| add(&hub, &dev, &kind));
    let answers = futures_util::future::join_all(tries).await;
    let made = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .count();
    assert_eq!(made, 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|(status, _)| [201, 409].contains(&status.as_u16())),
        "{answers:?}"
    );
    dev.adds(&hub, "venues", json!({ "name": "Cellar" })).await;
}

#[tokio::test]
async fn a_kind_added_on_the_command_line_is_served_within_a_second() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let file = hub.data_dir.join("venues.json");
    std::fs::write(&file, venues().to_string()).unwrap();
    let file = file.to_str().unwrap();
    let said: Value =
        serde_json::from_str(&hub.cli(&["kind", "add", file, "--json"], None).unwrap()).unwrap();
    assert_eq!(said["name"], "venues");

    let since = Instant::now();
    loop {
        let answer = ada
            .ask(&hub, Method::GET, "/rest/v1/venues")
            .send()
            .await
            .unwrap();
        if answer.status() == StatusCode::OK {
            break;
        }
        assert!(
            since.elapsed() < Duration::from_secs(1),
            "not served after a second: {}",
            answer.status()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ada.adds(&hub, "venues", json!({ "name": "Cellar" })).await;

    let twice = hub.cli(&["kind", "add", file], None).unwrap_err();
    assert!(twice.contains("venues"), "{twice}");
}

#[tokio::test]
async fn only_a_developer_adds_kinds() {
    let hub = TestHub::start().await;
    developer(&hub).await;
    let ada = hub.sign_up("ada").await;
    let before = shape(&hub).await;
    let (status, said) = add(&hub, &ada, &venues()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
    let nobody = hub
        .ask(Method::POST, "/api/kinds")
        .json(&venues())
        .send()
        .await
        .unwrap();
    assert!(
        [401, 403].contains(&nobody.status().as_u16()),
        "{}",
        nobody.status()
    );
    let by_rpc = ada
        .ask(&hub, Method::POST, "/rest/v1/rpc/kinds_add")
        .json(&json!({ "kind": venues() }))
        .send()
        .await
        .unwrap();
    assert_eq!(by_rpc.status(), StatusCode::FORBIDDEN);
    assert_eq!(shape(&hub).await, before);
}

#[tokio::test]
async fn a_bad_description_is_refused_and_changes_nothing() {
    let hub = TestHub::start().await;
    let dev = developer(&hub).await;
    let before = shape(&hub).await;
    let bad = |change: fn(&mut Value)| {
        let mut kind = venues();
        change(&mut kind);
        kind
    };
    let invalid: Vec<(&str, Value)> = vec![
        ("capitals", bad(|k| k["name"] = json!("Venues"))),
        (
            "a quote",
            bad(|k| k["name"] = json!("venues\"; drop table users; --")),
        ),
        ("a schema", bad(|k| k["name"] = json!("hub.venues"))),
        ("empty", bad(|k| k["name"] = json!(""))),
        ("too long", bad(|k| k["name"] = json!("v".repeat(64)))),
        ("reserved", bad(|k| k["name"] = json!("pg_venues"))),
        (
            "no name",
            bad(|k| drop(k.as_object_mut().unwrap().remove("name"))),
        ),
        (
            "no plugin",
            bad(|k| drop(k.as_object_mut().unwrap().remove("plugin"))),
        ),
        ("no columns", bad(|k| k["columns"] = json!([]))),
        ("a word it does not know", bad(|k| k["owner"] = json!("me"))),
        (
            "a scope it does not know",
            bad(|k| k["scope"] = json!("service")),
        ),
        (
            "a type that is SQL",
            bad(|k| k["columns"][0]["type"] = json!("text default current_user")),
        ),
        (
            "a type it does not know",
            bad(|k| k["columns"][0]["type"] = json!("regclass")),
        ),
        (
            "a column twice",
            bad(|k| k["columns"][1]["name"] = json!("name")),
        ),
        (
            "a column of its own",
            bad(|k| k["columns"][0]["name"] = json!("owner_id")),
        ),
        (
            "a column with a quote",
            bad(|k| k["columns"][0]["name"] = json!("a\" text); drop table users; --")),
        ),
        (
            "a default of another type",
            bad(|k| k["columns"][2]["default"] = json!("three")),
        ),
        (
            "a default that is a function",
            bad(|k| k["columns"][2]["default"] = json!({ "function": "pg_sleep(9)" })),
        ),
        (
            "a default the database refuses",
            bad(|k| k["columns"][4]["default"] = json!("not a time")),
        ),
        (
            "unique where nothing compares",
            bad(|k| {
                k["columns"][2]["type"] = json!("point");
                k["columns"][2]["unique"] = json!(true);
                drop(k["columns"][2].as_object_mut().unwrap().remove("default"));
            }),
        ),
        (
            "values of a number",
            bad(|k| k["columns"][2]["values"] = json!(["1"])),
        ),
        (
            "a kind that is not there",
            bad(|k| k["columns"][3]["references"] = json!("pg_authid")),
        ),
        (
            "a title that is not there",
            bad(|k| k["title"] = json!("nope")),
        ),
        (
            "a text that is not there",
            bad(|k| k["text"] = json!(["nope"])),
        ),
        (
            "public when nothing",
            bad(|k| k["public_when"]["column"] = json!("nope")),
        ),
        ("NUL", bad(|k| k["description"] = json!("a\u{0}b"))),
        ("a list", json!([venues()])),
        ("a text", json!("venues")),
    ];
    for (why, kind) in &invalid {
        let (status, said) = add(&hub, &dev, kind).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{why}: {said}");
        assert!(said.to_string().len() > 10, "{why}: nothing said");
        assert_eq!(shape(&hub).await, before, "{why}");
    }

    // What is there already is a conflict, whatever it is.
    for taken in ["persons", "users", "plugin_schemas"] {
        let mut kind = venues();
        kind["name"] = json!(taken);
        let (status, said) = add(&hub, &dev, &kind).await;
        assert_eq!(status, StatusCode::CONFLICT, "{taken}: {said}");
        assert_eq!(shape(&hub).await, before, "{taken}");
    }

    let not_json = dev
        .ask(&hub, Method::POST, "/api/kinds")
        .body("{\"name\": ")
        .send()
        .await
        .unwrap();
    assert_eq!(not_json.status(), StatusCode::BAD_REQUEST);
    assert_eq!(shape(&hub).await, before);

    let (status, said) = add(&hub, &dev, &venues()).await;
    assert_eq!(
        status,
        StatusCode::CREATED,
        "the good one is still welcome: {said}"
    );
}

#[tokio::test]
async fn a_bad_file_is_refused_on_the_command_line() {
    let hub = TestHub::start().await;
    let before = shape(&hub).await;
    let file = hub.data_dir.join("kind.json");
    for (text, expected) in [
        ("{", "JSON"),
        ("{}", "name"),
        (
            r#"{"name": "Big", "plugin": "x", "columns": [{"name": "a", "type": "text"}]}"#,
            "name",
        ),
        (
            r#"{"name": "users", "plugin": "x", "columns": [{"name": "a", "type": "text"}]}"#,
            "users",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = hub
            .cli(&["kind", "add", file.to_str().unwrap()], None)
            .unwrap_err();
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(shape(&hub).await, before, "{text}");
    }
    let said = hub
        .cli(&["kind", "add", "/nowhere/kind.json"], None)
        .unwrap_err();
    assert!(said.contains("/nowhere/kind.json"), "{said}");
}

async fn post(hub: &TestHub, who: &Person, row: Value) -> (StatusCode, Value) {
    let answer = who
        .ask(hub, Method::POST, "/rest/v1/venues")
        .json(&row)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

async fn refused(hub: &TestHub, who: &Person, row: Value, code: &str) {
    let (status, said) = post(hub, who, row).await;
    assert!(status.is_client_error(), "{status} {said}");
    assert_eq!(said["code"], code, "{said}");
}

/// Everything that adding a kind could leave behind.
async fn shape(hub: &TestHub) -> (i64, i64, i64, i64) {
    let admin = hub.database.admin().await;
    let counted = admin
        .query_one(
            "select (select count(*) from hub.kinds), (select count(*) from pg_class), \
             (select count(*) from pg_attribute where attnum > 0 and not attisdropped), (select count(*) from plugin_schemas)",
            &[],
        )
        .await
        .unwrap();
    (
        counted.get(0),
        counted.get(1),
        counted.get(2),
        counted.get(3),
    )
}
