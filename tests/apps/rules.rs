//! Rules through the running hub: in their order, as their owner, once, with an end, with a log and a dry run.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::TestHub;
use crate::support::people::Person;

/// Ask again until it is so, or give up and say what was last.
pub async fn until(
    hub: &TestHub,
    who: &Person,
    path: &str,
    is_so: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let rows = who.reads(hub, path).await;
        let rows = rows.as_array().unwrap();
        if is_so(rows) {
            return rows.clone();
        }
        assert!(
            begun.elapsed() < Duration::from_secs(45),
            "{path} is still {rows:#?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The letters that the hub wrote so far.
pub fn letters(hub: &TestHub) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(hub.data_dir.join("mail")) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

/// A letter with this subject, once it is written.
pub async fn letter(hub: &TestHub, subject: &str) -> String {
    let begun = Instant::now();
    loop {
        let all = letters(hub);
        if let Some(found) = all
            .iter()
            .find(|text| text.contains(&format!("Subject: {subject}")))
        {
            return found.clone();
        }
        assert!(
            begun.elapsed() < Duration::from_secs(45),
            "no letter {subject:?} among {all:#?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn rule(name: &str, event: &str, condition: Value, actions: Value) -> Value {
    json!({ "name": name, "trigger_event_types": [event], "condition_ast": condition, "actions": actions })
}

fn notify(title: &str) -> Value {
    json!([{ "type": "notify", "title": title }])
}

async fn call(hub: &TestHub, who: &Person, name: &str, arguments: Value) -> (StatusCode, Value) {
    let answer = who
        .ask(hub, Method::POST, &format!("/rest/v1/rpc/{name}"))
        .json(&arguments)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn mo_51_mo_52_rules_match_in_order_of_priority_and_their_actions_are_jobs() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let urgent = json!({"all": [
        {"field": "priority", "op": "in", "value": ["high", "urgent"]},
        {"not": {"field": "row.status", "op": "eq", "value": "done"}}
    ]});
    let mut later = rule(
        "later",
        "tasks.insert",
        urgent.clone(),
        notify("Later: {{row.title}}"),
    );
    later["priority"] = json!(20);
    later["id"] = json!("00000000-0000-7000-8000-000000000001");
    let mut sooner = rule(
        "sooner",
        "tasks.*",
        urgent,
        json!([
            {"type": "notify", "title": "{{rule.name}}: {{row.title}}", "message": "by {{event.name}}", "priority": "high",
             "action_url": "/tasks/{{row.id}}"},
            {"type": "email", "subject": "Do {{row.title}}", "message": "It is {{row.priority}}."},
            {"type": "create", "kind": "persons", "row": {"name": "Helper for {{row.title}}"}}
        ]),
    );
    sooner["priority"] = json!(5);
    let mut off = rule("off", "tasks.insert", json!({}), notify("Never"));
    off["enabled"] = json!(false);
    for rule in [&later, &sooner, &off] {
        amina.adds(&hub, "rules", rule.clone()).await;
    }

    amina
        .adds(
            &hub,
            "tasks",
            json!({"title": "nothing", "priority": "low"}),
        )
        .await;
    let task = amina
        .adds(
            &hub,
            "tasks",
            json!({"title": "the roof", "priority": "high"}),
        )
        .await;

    let told = until(
        &hub,
        &amina,
        "/rest/v1/user_notifications?order=created_at",
        |rows| rows.len() >= 2,
    )
    .await;
    let title =
        |rows: &[Value], title: &str| rows.iter().find(|row| row["title"] == title).cloned();
    let first = title(&told, "sooner: the roof").unwrap();
    assert_eq!(first["message"], "by tasks.insert");
    assert_eq!(
        (&first["priority"], &first["type"]),
        (&json!("high"), &json!("rule.matched"))
    );
    assert_eq!(
        first["action_url"],
        format!("/tasks/{}", task["id"].as_str().unwrap())
    );
    assert!(title(&told, "Later: the roof").is_some());
    let mail = letter(&hub, "Do the roof").await;
    assert!(
        mail.contains("It is high.") && mail.contains("To: amina@example.org"),
        "{mail}"
    );
    until(
        &hub,
        &amina,
        "/rest/v1/persons?name=eq.Helper for the roof",
        |rows| rows.len() == 1,
    )
    .await;

    // The log tells of all four, matched or not, the lower number first.
    let path = format!(
        "/rest/v1/rule_runs?row_id=eq.{}&event_type=eq.tasks.insert&select=*,rule:rules(name)&order=id",
        task["id"].as_str().unwrap()
    );
    let runs = amina.reads(&hub, &path).await;
    let names: Vec<_> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            (
                run["rule"]["name"].as_str().unwrap(),
                run["matched"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(names, [("sooner", true), ("later", true)]);
    assert_eq!(runs[0]["actions"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&runs[0]["error"], &runs[0]["depth"]),
        (&Value::Null, &json!(0))
    );
    let unmatched = amina
        .reads(
            &hub,
            "/rest/v1/rule_runs?matched=is.false&row_kind=eq.tasks",
        )
        .await;
    assert_eq!(unmatched.as_array().unwrap().len(), 2);

    // The jobs name what they follow from.
    let jobs = until(
        &hub,
        &amina,
        "/rest/v1/job_records?job_type=eq.ops.rule_action&order=created_at",
        |rows| rows.len() == 4 && rows.iter().all(|job| job["status"] == "completed"),
    )
    .await;
    for job in &jobs {
        assert_eq!(job["triggered_by_event_id"], runs[0]["event_id"]);
        assert_eq!(job["correlation_id"], runs[0]["correlation_id"]);
    }

    // Nobody writes the log himself.
    let forged = amina
        .ask(&hub, Method::PATCH, "/rest/v1/rule_runs?matched=is.true")
        .json(&json!({"error": "x"}))
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn rules_that_set_each_other_off_come_to_an_end() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    amina.adds(&hub, "rules", rule("echo", "persons.insert", json!({}),
        json!([{ "type": "create", "kind": "persons", "row": { "name": "{{row.name}}'" } }]))).await;
    amina.adds(&hub, "persons", json!({"name": "Echo"})).await;

    let runs = until(&hub, &amina, "/rest/v1/rule_runs?order=depth", |rows| {
        rows.iter().any(|run| run["error"].is_string())
    })
    .await;
    let depths: Vec<_> = runs
        .iter()
        .map(|run| run["depth"].as_i64().unwrap())
        .collect();
    assert_eq!(depths, [0, 1, 2, 3, 4, 5]);
    assert!(
        runs[5]["error"]
            .as_str()
            .unwrap()
            .starts_with("rules.too_deep"),
        "{}",
        runs[5]
    );
    let chain: std::collections::HashSet<_> = runs
        .iter()
        .map(|run| run["correlation_id"].to_string())
        .collect();
    assert_eq!(chain.len(), 1, "it is one chain");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let made = amina.reads(&hub, "/rest/v1/persons?order=created_at").await;
    let names: Vec<_> = made
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "Echo",
            "Echo'",
            "Echo''",
            "Echo'''",
            "Echo''''",
            "Echo'''''"
        ]
    );
}

#[tokio::test]
async fn a_notification_does_not_notify_of_itself_for_ever() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    amina.adds(&hub, "rules", rule("mirror", "user_notifications.*", json!({}), json!([
        {"type": "notify", "title": "about {{row.title}}"}, {"type": "email", "subject": "about a notice"}
    ]))).await;
    amina
        .adds(
            &hub,
            "rules",
            rule("start", "persons.insert", json!({}), notify("hello")),
        )
        .await;
    amina.adds(&hub, "persons", json!({"name": "Bruno"})).await;
    until(
        &hub,
        &amina,
        "/rest/v1/rule_runs?error=like.*too_deep*",
        |rows| !rows.is_empty(),
    )
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = amina.reads(&hub, "/rest/v1/user_notifications").await;
    assert_eq!(told.as_array().unwrap().len(), 5, "{told}");
}

#[tokio::test]
async fn a_strangers_rule_never_sees_my_rows_and_can_do_no_more_than_he() {
    let hub = TestHub::start().await;
    let (amina, bruno) = (hub.sign_up("amina").await, hub.sign_up("bruno").await);
    for who in [&amina, &bruno] {
        who.adds(&hub, "rules", rule("spy", "tasks.*", json!({}), json!([
            {"type": "notify", "title": "{{row.title}}"},
            {"type": "create", "kind": "persons", "row": {"name": "planted", "owner_id": amina.id}},
            {"type": "act", "name": "job_records_list"},
            {"type": "act", "name": "nothing_such"}
        ]))).await;
    }
    amina.adds(&hub, "tasks", json!({"title": "mine"})).await;
    until(&hub, &amina, "/rest/v1/user_notifications", |rows| {
        rows.len() == 1
    })
    .await;
    let event = amina.reads(&hub, "/rest/v1/rule_runs").await[0]["event_id"].clone();

    // Bruno's rule heard of his own only; nor does a dry run tell him anything.
    bruno.adds(&hub, "tasks", json!({"title": "his"})).await;
    until(&hub, &bruno, "/rest/v1/user_notifications", |rows| {
        !rows.is_empty()
    })
    .await;
    let told = bruno.reads(&hub, "/rest/v1/user_notifications").await;
    assert_eq!(
        (told.as_array().unwrap().len(), &told[0]["title"]),
        (1, &json!("his"))
    );
    let spied =
        json!({"rule": rule("x", "tasks.*", json!({}), notify("{{row.title}}")), "event": event});
    let (status, said) = call(&hub, &bruno, "rules_try", spied.clone()).await;
    assert_eq!(
        (status, &said["code"]),
        (StatusCode::NOT_FOUND, &json!("rules.no_event")),
        "{said}"
    );
    let mut invented = spied.clone();
    invented["event"] = json!(uuid::Uuid::now_v7());
    let (_, other) = call(&hub, &bruno, "rules_try", invented).await;
    assert_eq!(said, other, "a foreign event is like one that never was");
    let (_, own) = call(&hub, &amina, "rules_try", spied).await;
    assert_eq!(own["actions"][0]["title"], "mine", "{own}");

    // What he may not do himself is refused, and his log says so.
    let runs = until(&hub, &bruno, "/rest/v1/rule_runs", |rows| {
        rows.iter().any(|run| {
            run["error"]
                .as_str()
                .is_some_and(|said| said.matches("; ").count() >= 2)
        })
    })
    .await;
    let said = runs[0]["error"].as_str().unwrap();
    assert!(
        said.contains("42501") && said.contains("action.unknown") && said.contains("developer"),
        "{said}"
    );
    assert_eq!(runs.len(), 1);
    let planted = amina.reads(&hub, "/rest/v1/persons?name=eq.planted").await;
    assert_eq!(
        planted.as_array().unwrap().len(),
        1,
        "only her own rule could"
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let kept = amina
        .adds(
            &hub,
            "rules",
            rule(
                "kept",
                "notes.insert",
                json!({"field": "title", "op": "contains", "value": "milk"}),
                notify("Buy {{row.title}}"),
            ),
        )
        .await;
    let cases = [
        (
            json!({"rule_id": kept["id"], "event": "notes.insert", "row": {"title": "milk"}}),
            true,
            true,
        ),
        (
            json!({"rule_id": kept["id"], "event": "notes.update", "row": {"title": "milk"}}),
            false,
            true,
        ),
        (
            json!({"rule_id": kept["id"], "event": "notes.insert", "row": {"title": "eggs"}}),
            true,
            false,
        ),
        (
            json!({"rule_id": kept["id"], "row": {"title": "oat milk"}}),
            true,
            true,
        ),
    ];
    for (input, waits, matched) in cases {
        let (status, said) = call(&hub, &amina, "rules_try", input.clone()).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_eq!(
            (&said["waits_for_it"], &said["matched"], &said["would_run"]),
            (&json!(waits), &json!(matched), &json!(waits && matched)),
            "{input} {said}"
        );
        let expected = if matched {
            json!([{"type": "notify", "title": format!("Buy {}", input["row"]["title"].as_str().unwrap())}])
        } else {
            json!([])
        };
        assert_eq!(said["actions"], expected);
    }
    for wrong in [
        json!({}),
        json!({"rule": {}, "rule_id": kept["id"]}),
        json!({"rule": 1}),
        json!({"rule_id": kept["id"], "event": 7}),
        json!({"rule": {"condition_ast": {"op": "x"}}}),
        json!({"rule_id": uuid::Uuid::now_v7()}),
        json!({"rule": {}, "more": 1}),
    ] {
        let (status, said) = call(&hub, &amina, "rules_try", wrong.clone()).await;
        assert!(status.is_client_error(), "{wrong} {status} {said}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for table in [
        "rule_runs",
        "job_records",
        "user_notifications",
        "notification_events",
    ] {
        assert_eq!(
            amina.reads(&hub, &format!("/rest/v1/{table}")).await,
            json!([]),
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_rule_that_could_not_run_is_refused_with_the_place_of_what_is_wrong() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let fine = amina
        .adds(
            &hub,
            "rules",
            rule("fine", "tasks.insert", json!({}), json!([])),
        )
        .await;
    let mut deep = json!({"field": "a", "op": "exists"});
    for _ in 0..40 {
        deep = json!({ "not": deep });
    }
    let cases = [
        (
            json!({"condition_ast": {"any": [{"field": "title", "op": "like", "value": "x"}]}}),
            "condition_ast.any[0].op",
        ),
        (json!({"condition_ast": [1]}), "condition_ast"),
        (
            json!({"condition_ast": deep}),
            "condition_ast.not.not.not.not.not.not.not.not.not.not.not.not.not.not.not.not",
        ),
        (
            json!({"actions": [{"type": "notify", "title": "ok"}, {"type": "run", "command": "id"}]}),
            "actions[1].type",
        ),
        (
            json!({"actions": [{"type": "notify", "title": "{{user.password}}"}]}),
            "actions[0].title",
        ),
        (
            json!({"actions": vec![json!({"type": "notify", "title": "x"}); 11]}),
            "actions",
        ),
    ];
    for (change, path) in cases {
        let mut new = rule("new", "tasks.insert", json!({}), json!([]));
        for (key, value) in change.as_object().unwrap() {
            new[key] = value.clone();
        }
        let id = fine["id"].as_str().unwrap();
        let asks = [
            amina.ask(&hub, Method::POST, "/rest/v1/rules").json(&new),
            amina
                .ask(&hub, Method::PATCH, &format!("/rest/v1/rules?id=eq.{id}"))
                .json(&change),
        ];
        for ask in asks {
            let answer = ask.send().await.unwrap();
            let status = answer.status();
            let said: Value = answer.json().await.unwrap();
            assert_eq!(
                (status, &said["code"]),
                (StatusCode::UNPROCESSABLE_ENTITY, &json!("rules.invalid")),
                "{said}"
            );
            let details = said["details"].to_string();
            assert!(details.contains(path), "{path}: {said}");
        }
    }
    assert_eq!(
        amina
            .reads(&hub, "/rest/v1/rules")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // One that came there by another way fails by itself, and the others run.
    let admin = hub.database.admin().await;
    admin
        .batch_execute(
            "update rules set condition_ast = '{\"field\": \"title\", \"op\": \"like\"}'",
        )
        .await
        .unwrap();
    amina
        .adds(
            &hub,
            "rules",
            rule("other", "tasks.insert", json!({}), notify("still here")),
        )
        .await;
    amina.adds(&hub, "tasks", json!({"title": "x"})).await;
    until(&hub, &amina, "/rest/v1/user_notifications", |rows| {
        rows.len() == 1
    })
    .await;
    let broken = amina
        .reads(
            &hub,
            &format!(
                "/rest/v1/rule_runs?rule_id=eq.{}",
                fine["id"].as_str().unwrap()
            ),
        )
        .await;
    assert!(
        broken[0]["error"]
            .as_str()
            .unwrap()
            .starts_with("rules.invalid: condition_ast.op"),
        "{broken}"
    );
}

#[tokio::test]
async fn oh_9_the_rules_of_who_is_banned_or_deleted_do_not_run() {
    let hub = TestHub::start().await;
    let (amina, bruno, chidi) = (
        hub.sign_up("amina").await,
        hub.sign_up("bruno").await,
        hub.sign_up("chidi").await,
    );
    for who in [&amina, &bruno, &chidi] {
        who.adds(
            &hub,
            "rules",
            rule("hear", "persons.insert", json!({}), notify("heard")),
        )
        .await;
    }
    let admin = hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "update users set banned_until = now() + interval '1 day' where id = '{}';
         update users set deleted_at = now() where id = '{}';
         insert into persons (owner_id, name) select id, 'x' from users",
            bruno.id, chidi.id
        ))
        .await
        .unwrap();
    until(&hub, &amina, "/rest/v1/user_notifications", |rows| {
        rows.len() == 1
    })
    .await;
    let begun = Instant::now();
    loop {
        let rows = admin.query_one("select count(*) filter (where status = 'completed'), count(*) from job_records where job_type = 'ops.apply_rules'", &[]).await.unwrap();
        if (rows.get::<_, i64>(0), rows.get::<_, i64>(1)) == (3, 3) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{rows:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let rows = admin
        .query("select distinct owner_id::text from rule_runs", &[])
        .await
        .unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| row.get::<_, String>(0))
            .collect::<Vec<_>>(),
        [amina.id.to_string()]
    );
    let told = admin
        .query_one("select count(*) from user_notifications", &[])
        .await
        .unwrap();
    assert_eq!(told.get::<_, i64>(0), 1);
}
