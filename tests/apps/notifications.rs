//! Notifications and the daily brief through the running hub: channels and their states, quiet hours, and what people
//! write as zones and schedules.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rules::{letter, letters, until};
use crate::support::TestHub;
use crate::support::people::Person;

async fn rule(hub: &TestHub, who: &Person) {
    let actions = json!([{ "type": "notify", "title": "New: {{row.name}}", "message": "Look", "action_url": "/persons" }]);
    who.adds(
        hub,
        "rules",
        json!({"name": "hear", "trigger_event_types": ["persons.insert"], "actions": actions}),
    )
    .await;
}

async fn deliveries(hub: &TestHub, who: &Person) -> Vec<(String, String)> {
    let rows = who
        .reads(hub, "/rest/v1/notification_deliveries?order=channel")
        .await;
    let said = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| (said(row, "channel"), said(row, "status")))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[tokio::test]
async fn bo_5_bo_41_bo_42_each_channel_that_is_on_has_a_delivery_with_its_state() {
    let hub = TestHub::start().await;
    let (amina, bruno) = (hub.sign_up("amina").await, hub.sign_up("bruno").await);
    for who in [&amina, &bruno] {
        rule(&hub, who).await;
    }
    // Amina has a device, for which this hub has no way; Bruno wants no mail.
    let device = amina
        .adds(
            &hub,
            "devices",
            json!({"name": "phone", "platform": "android"}),
        )
        .await;
    amina
        .adds(
            &hub,
            "device_push_tokens",
            json!({"device_id": device["id"], "platform": "android", "token": "t"}),
        )
        .await;
    bruno
        .adds(
            &hub,
            "user_notification_preferences",
            json!({"email_enabled": false, "sms_enabled": true}),
        )
        .await;

    amina
        .adds(&hub, "persons", json!({"name": "Dolores"}))
        .await;
    bruno.adds(&hub, "persons", json!({"name": "Emre"})).await;

    let mail = letter(&hub, "New: Dolores").await;
    assert!(mail.contains(&format!("{}/persons", hub.url)), "{mail}");
    until(
        &hub,
        &amina,
        "/rest/v1/notification_deliveries?channel=eq.email&status=eq.sent",
        |rows| rows.len() == 1,
    )
    .await;
    assert_eq!(
        deliveries(&hub, &amina).await,
        pairs(&[
            ("email", "sent"),
            ("in_app", "delivered"),
            ("push", "failed")
        ])
    );
    let rows = amina
        .reads(&hub, "/rest/v1/notification_deliveries?order=channel")
        .await;
    assert!(
        rows[0]["sent_at"].is_string() && rows[0]["delivered_at"].is_null(),
        "no server says that mail arrived"
    );
    assert!(rows[1]["delivered_at"].is_string());
    assert_eq!(rows[2]["payload"]["reason"], "no_provider");
    assert_eq!(
        amina.reads(&hub, "/rest/v1/email_logs").await[0]["status"],
        "sent"
    );

    let shown = until(&hub, &bruno, "/rest/v1/user_notifications", |rows| {
        rows.len() == 1
    })
    .await;
    assert_eq!(
        deliveries(&hub, &bruno).await,
        pairs(&[("in_app", "delivered")])
    );
    assert!(!letters(&hub).iter().any(|text| text.contains("Emre")));

    // Read and dismissed are the reader's to say; the rest is not.
    let path = format!(
        "/rest/v1/user_notifications?id=eq.{}",
        shown[0]["id"].as_str().unwrap()
    );
    let change = |body: Value| bruno.ask(&hub, Method::PATCH, &path).json(&body).send();
    assert_eq!(
        change(json!({"read_at": "2026-01-01T00:00:00Z", "dismissed_at": "2026-01-02T00:00:00Z"}))
            .await
            .unwrap()
            .status(),
        StatusCode::NO_CONTENT
    );
    assert!(
        change(json!({"title": "forged"}))
            .await
            .unwrap()
            .status()
            .is_client_error()
    );
    let foreign = amina
        .ask(&hub, Method::PATCH, &path)
        .json(&json!({"read_at": null}))
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), StatusCode::NO_CONTENT);
    assert!(
        bruno.reads(&hub, &path).await[0]["read_at"].is_string(),
        "a stranger touches nothing"
    );
}

#[tokio::test]
async fn bo_6_nothing_is_delivered_in_quiet_hours_and_everything_afterwards() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    rule(&hub, &amina).await;
    amina
        .adds(
            &hub,
            "user_settings",
            json!({"timezone": "Pacific/Auckland"}),
        )
        .await;
    amina.adds(&hub, "user_notification_preferences", json!({
        "quiet_hours_enabled": true, "quiet_hours_start": "00:00", "quiet_hours_end": "23:59:59.999"
    })).await;
    amina.adds(&hub, "persons", json!({"name": "Mara"})).await;

    until(
        &hub,
        &amina,
        "/rest/v1/job_records?job_type=eq.comms.deliver",
        |rows| rows.len() == 2,
    )
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        deliveries(&hub, &amina).await,
        pairs(&[("email", "pending"), ("in_app", "pending")])
    );
    assert_eq!(
        amina.reads(&hub, "/rest/v1/user_notifications").await,
        json!([])
    );
    assert!(letters(&hub).is_empty());
    let jobs = amina
        .reads(&hub, "/rest/v1/job_records?job_type=eq.comms.deliver")
        .await;
    // Midnight in Auckland is no hour of the hub's.
    let due = jobs[0]["scheduled_for"].as_str().unwrap();
    assert!(
        due[11..].starts_with("10:59:59.999") || due[11..].starts_with("11:59:59.999"),
        "{due}"
    );

    // The clock says that it is time, but the hours are still quiet: put off again.
    let admin = hub.database.admin().await;
    let now = "update job_records set scheduled_for = now() where job_type = 'comms.deliver' and status = 'enqueued'; notify hub_jobs";
    admin.batch_execute(now).await.unwrap();
    until(
        &hub,
        &amina,
        "/rest/v1/job_records?job_type=eq.comms.deliver&status=eq.completed",
        |rows| rows.len() == 2,
    )
    .await;
    assert_eq!(
        deliveries(&hub, &amina).await,
        pairs(&[("email", "pending"), ("in_app", "pending")])
    );

    // The hours are over. A zone that nobody knows does not stop it.
    admin.batch_execute("update user_notification_preferences set quiet_hours_enabled = false; update user_settings set timezone = 'Mars/Olympus'").await.unwrap();
    let waits = amina
        .reads(
            &hub,
            "/rest/v1/job_records?job_type=eq.comms.deliver&status=eq.enqueued",
        )
        .await;
    if waits.as_array().unwrap().is_empty() {
        // Put off to the very moment it had been put off to before: the same job.
        admin.batch_execute("update job_records set status = 'enqueued', attempts = 0, leased_by = null, leased_until = null, scheduled_for = now() where job_type = 'comms.deliver'; notify hub_jobs").await.unwrap();
    } else {
        admin.batch_execute(now).await.unwrap();
    }
    until(&hub, &amina, "/rest/v1/user_notifications", |rows| {
        rows.len() == 1
    })
    .await;
    letter(&hub, "New: Mara").await;
}

#[tokio::test]
async fn bo_6_the_daily_brief_comes_once_a_day_by_the_channels_that_are_on() {
    let hub = TestHub::start().await;
    let (amina, bruno) = (hub.sign_up("amina").await, hub.sign_up("bruno").await);
    let zone = "Asia/Kathmandu";
    amina
        .adds(&hub, "user_settings", json!({"timezone": zone}))
        .await;
    amina
        .adds(
            &hub,
            "user_notification_preferences",
            json!({"should_email_daily_brief": true, "daily_brief_time": "00:00"}),
        )
        .await;
    bruno
        .adds(
            &hub,
            "user_notification_preferences",
            json!({"should_email_daily_brief": false}),
        )
        .await;
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let day = |days: i64| (now + chrono::Duration::days(days)).to_rfc3339();
    amina
        .adds(
            &hub,
            "events",
            json!({"title": "Fair\r\n  09:00  forged", "start_time": day(0), "all_day": true}),
        )
        .await;
    amina
        .adds(
            &hub,
            "events",
            json!({"title": "Far away", "start_time": day(9)}),
        )
        .await;
    for (title, due, status) in [
        ("Pay rent", -2, "pending"),
        ("Done long ago", -3, "done"),
        ("Next week", 7, "pending"),
    ] {
        amina
            .adds(
                &hub,
                "tasks",
                json!({"title": title, "due_date": day(due), "status": status}),
            )
            .await;
    }
    bruno
        .adds(
            &hub,
            "tasks",
            json!({"title": "Secret of Bruno", "due_date": day(-1)}),
        )
        .await;

    let admin = hub.database.admin().await;
    let look = "insert into job_records (job_type, queue, payload, max_attempts) values ('comms.daily_brief', 'background', '{}', 2)";
    for _ in 0..3 {
        admin.batch_execute(look).await.unwrap();
    }
    let mail = letter(&hub, "Your day:").await;
    assert!(mail.contains("To: amina@example.org"), "{mail}");
    for line in ["all day  Fair    09:00  forged", "Pay rent  (overdue since"] {
        assert!(mail.contains(line), "no {line:?} in {mail}");
    }
    for line in ["Far away", "Done long ago", "Next week", "Bruno"] {
        assert!(!mail.contains(line), "{line:?} in {mail}");
    }
    admin.batch_execute(look).await.unwrap();
    let begun = std::time::Instant::now();
    loop {
        let left = admin
            .query_one(
                "select count(*) from job_records where status <> 'completed'",
                &[],
            )
            .await
            .unwrap();
        if left.get::<_, i64>(0) == 0 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let briefs = amina
        .reads(&hub, "/rest/v1/user_notifications?type=eq.brief.written")
        .await;
    assert_eq!(briefs.as_array().unwrap().len(), 1);
    assert_eq!(
        bruno.reads(&hub, "/rest/v1/user_notifications").await,
        json!([])
    );
    assert_eq!(letters(&hub).len(), 1);
}

#[tokio::test]
async fn hostile_zones_and_schedules_are_refused_by_name() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let me = format!("/rest/v1/users?id=eq.{}", amina.id);
    let long = "A/".repeat(50_000);
    for zone in [
        "Mars/Olympus",
        "",
        "../../etc/passwd",
        "Europe/Berlin; drop table users",
        long.as_str(),
    ] {
        let asks = [
            amina
                .ask(&hub, Method::PATCH, &me)
                .json(&json!({ "timezone": zone })),
            amina
                .ask(&hub, Method::POST, "/rest/v1/user_settings")
                .json(&json!({ "timezone": zone })),
        ];
        for ask in asks {
            let answer = ask.send().await.unwrap();
            let status = answer.status();
            let said: Value = answer.json().await.unwrap();
            assert_eq!(
                (status, &said["code"]),
                (StatusCode::UNPROCESSABLE_ENTITY, &json!("timezone.unknown")),
                "{said}"
            );
        }
    }
    let moved = amina
        .ask(&hub, Method::PATCH, &me)
        .json(&json!({"timezone": "Australia/Lord_Howe"}))
        .send()
        .await
        .unwrap();
    assert_eq!(moved.status(), StatusCode::NO_CONTENT);
    let agent = amina.adds(&hub, "agents", json!({"name": "Iris"})).await;
    for cron in [
        "* * * * * *",
        "0 0 31 2 *",
        "every day",
        &"*,".repeat(20_000),
    ] {
        let task = json!({"agent_id": agent["id"], "name": "x", "cron_expression": cron});
        let answer = amina
            .ask(&hub, Method::POST, "/rest/v1/agent_tasks")
            .json(&task)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let said: Value = answer.json().await.unwrap();
        assert_eq!(
            (status, &said["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("cron.schedule")),
            "{said}"
        );
    }
    amina.adds(&hub, "agent_tasks", json!({"agent_id": agent["id"], "name": "x", "cron_expression": "0 7 * * MON", "timezone": "Europe/Berlin"})).await;
}
