//! The audit log as people, services and operators meet it: whose change it was, what was refused, who read others' rows.
//! That nobody can change it unseen is in `audit_seals`.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::audit_seals::seal_all;
use crate::support::TestHub;
use crate::support::people::Person;

/// A service's key with a name.
pub fn key(hub: &TestHub, name: &str) -> String {
    let said = hub
        .cli(
            &[
                "token",
                "create",
                "--role",
                "service_role",
                "--name",
                name,
                "--json",
            ],
            None,
        )
        .unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    said["token"].as_str().unwrap().to_owned()
}

/// Somebody with an account on a hub whose first account, the developer's, is somebody else's.
async fn ordinary(hub: &TestHub, name: &str) -> Person {
    hub.sign_up("founder").await;
    hub.sign_up(name).await
}

/// Ask the database until it answers so many rows.
async fn rows(hub: &TestHub, sql: &str, at_least: usize) -> Vec<String> {
    let admin = hub.database.admin().await;
    for _ in 0..50 {
        let found = admin.query(sql, &[]).await.unwrap();
        if found.len() >= at_least {
            return found.iter().map(|row| row.get(0)).collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not {at_least} rows: {sql}");
}

#[tokio::test]
async fn mo_56_everybody_reads_what_happened_to_what_is_his() {
    let hub = TestHub::start().await;
    let ada = ordinary(&hub, "ada").await;
    let bruno = hub.sign_up("bruno").await;
    let person = ada
        .adds(
            &hub,
            "persons",
            json!({ "name": "Grace Hopper", "notes": "owes me a lunch" }),
        )
        .await;
    let id = person["id"].as_str().unwrap();
    let path = format!("/rest/v1/persons?id=eq.{id}");
    for (method, body) in [
        (
            Method::PATCH,
            json!({ "name": "Grace B. Hopper", "tags": ["navy"] }),
        ),
        // Nothing changes, so there is nothing to tell.
        (Method::PATCH, json!({ "name": "Grace B. Hopper" })),
        (Method::DELETE, json!({})),
    ] {
        let done = ada
            .ask(&hub, method, &path)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(done.status().is_success());
    }

    let log = format!("/rest/v1/audit_log?resource_id=eq.{id}&order=occurred_at,id");
    let told = ada.reads(&hub, &log).await;
    let short: Vec<Value> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            json!([
                row["action"],
                row["changed"],
                row["metadata"]["verb"],
                row["outcome"]
            ])
        })
        .collect();
    assert_eq!(
        json!(short),
        json!([
            ["write", null, "insert", "allowed"],
            ["write", ["name", "tags"], "update", "allowed"],
            ["delete", null, "delete", "allowed"],
        ])
    );
    for row in told.as_array().unwrap() {
        assert_eq!(row["owner_id"], json!(ada.id));
        assert_eq!(row["actor_type"], "user");
        assert_eq!(row["actor_id"], json!(ada.id));
        assert_eq!(row["door"], "rest");
        assert_eq!(row["resource_type"], "persons");
        assert!(
            row.get("tx").is_none(),
            "how it is sealed is nobody's column"
        );
    }
    for value in ["Grace", "Hopper", "lunch", "navy"] {
        assert!(!told.to_string().contains(value), "{value} is a value");
    }
    assert_eq!(bruno.reads(&hub, &log).await, json!([]), "a stranger's log");
    let anonymous = hub.get("/rest/v1/audit_log").await;
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);

    // What the hub did for him when he signed up is his to read too, and by which door.
    let account = ada
        .reads(
            &hub,
            &format!(
                "/rest/v1/audit_log?resource_type=eq.users&resource_id=eq.{}",
                ada.id
            ),
        )
        .await;
    assert_eq!(account[0]["door"], "auth", "{account}");
    assert_eq!(account[0]["actor_type"], "system");
}

#[tokio::test]
async fn mo_55_the_log_is_only_added_to() {
    let hub = TestHub::start().await;
    let ada = ordinary(&hub, "ada").await;
    ada.adds(&hub, "persons", json!({ "name": "Grace" })).await;
    let service = key(&hub, "meddler");
    for token in [&ada.token, &service] {
        for (method, body) in [
            (Method::PATCH, json!({ "outcome": "denied" })),
            (Method::DELETE, json!({})),
        ] {
            let done = hub
                .ask(method, "/rest/v1/audit_log?outcome=eq.allowed")
                .bearer_auth(token)
                .json(&body)
                .send()
                .await
                .unwrap();
            assert_eq!(done.status(), StatusCode::FORBIDDEN);
        }
        let seals = hub
            .ask(Method::GET, "/rest/v1/audit_seals")
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        assert_eq!(seals.status(), StatusCode::NOT_FOUND);
    }
    let invented = ada
        .ask(&hub, Method::POST, "/rest/v1/audit_log")
        .json(&json!({ "actor_type": "user", "actor_id": "bruno", "action": "write", "resource_type": "persons", "outcome": "allowed" }))
        .send()
        .await
        .unwrap();
    assert_eq!(invented.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn s_134_neither_rows_nor_seals_are_changed_by_any_role_of_the_hub() {
    let hub = TestHub::start().await;
    let ada = ordinary(&hub, "ada").await;
    ada.adds(&hub, "persons", json!({ "name": "Grace" })).await;
    seal_all(&hub).await;
    for role in [
        "anon",
        "authenticated",
        "service_role",
        "made_open_owner",
        "postgres",
    ] {
        let console = hub.database.admin().await;
        console
            .batch_execute(&format!("set role {role}"))
            .await
            .unwrap();
        for sql in [
            "update public.audit_log set outcome = 'denied'",
            "delete from public.audit_log",
            "truncate public.audit_log",
            "update hub.audit_seals set hash = prev_hash",
            "delete from hub.audit_seals",
            "truncate hub.audit_seals",
        ] {
            match console.execute(sql, &[]).await {
                Err(refused) => {
                    assert_eq!(refused.code().unwrap().code(), "42501", "{role}: {sql}")
                }
                // The owner of the table sees no row of it: row security binds him.
                Ok(touched) => assert_eq!(touched, 0, "{role}: {sql}"),
            }
        }
    }
}

#[tokio::test]
async fn mo_57_a_service_and_a_plugin_act_under_the_name_of_their_key() {
    let hub = TestHub::start().await;
    let ada = ordinary(&hub, "ada").await;
    for (name, kind, called) in [
        ("nightly import", "service", "nightly import"),
        ("plugin:io.example.venues", "plugin", "io.example.venues"),
    ] {
        let token = key(&hub, name);
        let added = hub
            .ask(Method::POST, "/rest/v1/persons?select=id")
            .bearer_auth(&token)
            .header("Prefer", "return=representation")
            .json(&json!({ "owner_id": ada.id, "name": "Grace" }))
            .send()
            .await
            .unwrap();
        assert_eq!(added.status(), StatusCode::CREATED);
        let added: Value = added.json().await.unwrap();
        let id = added[0]["id"].as_str().unwrap();
        let told = ada
            .reads(&hub, &format!("/rest/v1/audit_log?resource_id=eq.{id}"))
            .await;
        assert_eq!(told[0]["actor_type"], kind);
        assert_eq!(told[0]["actor_id"], called);
        assert!(told[0]["metadata"]["session"].is_string());

        // A key that writes into the log itself does so in its own name, now.
        let forged = hub
            .ask(Method::POST, "/rest/v1/audit_log?select=actor_type,actor_id,occurred_at")
            .bearer_auth(&token)
            .header("Prefer", "return=representation")
            .json(&json!({ "owner_id": ada.id, "actor_type": "user", "actor_id": ada.id, "action": "delete",
                "resource_type": "persons", "outcome": "allowed", "occurred_at": "2001-01-01T00:00:00Z" }))
            .send()
            .await
            .unwrap();
        let forged: Value = forged.json().await.unwrap();
        assert_eq!(forged[0]["actor_type"], kind, "{forged}");
        assert_eq!(forged[0]["actor_id"], called);
        assert!(
            !forged[0]["occurred_at"]
                .as_str()
                .unwrap()
                .starts_with("2001")
        );
    }
}

#[tokio::test]
async fn mo_57_what_is_refused_is_told_with_who_where_and_what() {
    let hub = TestHub::start().await;
    let ada = ordinary(&hub, "ada").await;
    let answer = hub
        .ask(Method::POST, "/rest/v1/persons")
        .json(&json!({ "name": "secret of a stranger" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = ada
        .ask(&hub, Method::DELETE, "/rest/v1/audit_log?id=not.is.null")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let answer = ada
        .ask(&hub, Method::POST, "/rest/v1/rpc/kinds_add")
        .json(&json!({ "kind": { "name": "venues", "plugin": "x.y", "title": "name", "columns": [{ "name": "name", "type": "text" }] } }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let answer = hub.get("/auth/v1/user").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = hub
        .ask(Method::GET, "/rest/v1/persons")
        .bearer_auth("eyJ.not.ours")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);

    let told = rows(
        &hub,
        "select concat_ws(' ', coalesce(owner_id::text, '-'), actor_type, actor_id, door, action, resource_type, metadata ->> 'status')
         from audit_log where outcome = 'denied' order by id",
        5,
    )
    .await;
    let me = ada.id;
    let mut expected = vec![
        "- user anonymous rest write persons 401".to_owned(),
        format!("{me} user {me} rest delete audit_log 403"),
        format!("{me} user {me} rpc execute kinds_add 403"),
        "- user anonymous auth read /auth/v1/user 401".to_owned(),
        "- user anonymous rest read persons 401".to_owned(),
    ];
    let mut told = told;
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    let mine = ada
        .reads(&hub, "/rest/v1/audit_log?outcome=eq.denied")
        .await;
    assert_eq!(mine.as_array().unwrap().len(), 2);
    assert_eq!(mine[0]["metadata"]["code"], "42501", "{mine}");
    let all = rows(&hub, "select metadata::text from audit_log", 1).await;
    assert!(!all.concat().contains("secret of a stranger"));
}

#[tokio::test]
async fn an_attacker_cannot_fill_the_disk_with_refusals() {
    let hub = TestHub::start().await;
    let ada = ordinary(&hub, "ada").await;
    for n in 0..60 {
        let made_up = format!("/rest/v1/audit_log?actor_id=eq.{n}");
        let refused = hub.ask(Method::DELETE, &made_up).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }
    let refused = ada
        .ask(&hub, Method::DELETE, "/rest/v1/audit_log?id=not.is.null")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let of_ada = format!(
        "select id::text from audit_log where outcome = 'denied' and owner_id = '{}'",
        ada.id
    );
    rows(&hub, &of_ada, 1).await;
    let of_strangers = rows(
        &hub,
        "select id::text from audit_log where outcome = 'denied' and owner_id is null",
        1,
    )
    .await;
    assert_eq!(of_strangers.len(), 10);
}

#[tokio::test]
async fn what_was_refused_just_before_the_end_is_still_written_down() {
    let mut hub = TestHub::start().await;
    let refused = hub
        .ask(Method::DELETE, "/rest/v1/persons?id=not.is.null")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    hub.signal("TERM");
    assert!(hub.process.wait().unwrap().success());
    let kept = hub
        .database
        .admin()
        .await
        .query("select from audit_log where outcome = 'denied'", &[])
        .await
        .unwrap();
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn reading_others_rows_by_role_is_told_and_reading_ones_own_is_not() {
    let hub = TestHub::start().await;
    let developer = hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    let service = key(&hub, "reader");
    for _ in 0..3 {
        let path =
            "/rest/v1/users?select=id,email&email=eq.ada@example.org&or=(name.eq.x,id.not.is.null)";
        developer.reads(&hub, path).await;
        ada.reads(&hub, path).await;
        ada.reads(&hub, "/rest/v1/persons?name=eq.x").await;
        let read = hub
            .ask(Method::GET, "/rest/v1/persons?name=eq.x")
            .bearer_auth(&service)
            .send()
            .await
            .unwrap();
        assert_eq!(read.status(), StatusCode::OK);
    }
    let told = rows(
        &hub,
        "select concat_ws(' ', actor_type, actor_id, door, resource_type, metadata -> 'tables', metadata -> 'filters')
         from audit_log where action = 'read' order by actor_type desc",
        2,
    )
    .await;
    assert_eq!(
        told,
        [
            format!(
                r#"user {} rest users ["users"] ["email", "name", "id"]"#,
                developer.id
            ),
            r#"service reader rest persons ["persons"] ["name"]"#.to_owned(),
        ],
        "once a minute, names only, and nothing of ada's own reading"
    );
}

#[tokio::test]
async fn an_account_is_gone_and_its_log_is_not() {
    let hub = TestHub::start().await;
    let ada = ordinary(&hub, "ada").await;
    ada.adds(&hub, "persons", json!({ "name": "Grace" })).await;
    let service = key(&hub, "undertaker");
    let gone = hub
        .ask(Method::DELETE, &format!("/rest/v1/users?id=eq.{}", ada.id))
        .bearer_auth(&service)
        .send()
        .await
        .unwrap();
    assert!(gone.status().is_success(), "{}", gone.text().await.unwrap());
    seal_all(&hub).await;
    let export = hub
        .cli(&["audit", "export", "--owner", &ada.id.to_string()], None)
        .unwrap();
    let told: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let has = |action: &str, resource: &str, actor: &str| {
        told.iter().any(|row| {
            row["action"] == action
                && row["resource_type"] == resource
                && row["actor_type"] == actor
                && row["owner_id"] == json!(ada.id)
        })
    };
    assert!(has("write", "persons", "user"), "{export}");
    // What the account took with it, row by row, and who deleted it.
    assert!(has("delete", "persons", "service"), "{export}");
    assert!(has("delete", "users", "service"), "{export}");
    assert!(!export.contains("Grace") && !export.contains("ada@example.org"));
    hub.cli(&["audit", "verify"], None).unwrap();
}
