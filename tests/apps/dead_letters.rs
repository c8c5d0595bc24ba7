//! Jobs that died, as those who look after them see them: over the table door and on the command line.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestHub;
use crate::support::people::Person;

async fn call(hub: &TestHub, who: &Person, action: &str, input: Value) -> (u16, Value) {
    let answer = who
        .ask(hub, Method::POST, &format!("/rest/v1/rpc/{action}"))
        .json(&input)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn dead_jobs_are_listed_and_retried_by_operators_and_their_owner_and_nobody_else() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let bruno = hub.sign_up("bruno").await;
    let chidi = hub.sign_up("chidi").await;
    let admin = hub.database.admin().await;
    let dead: String = admin
        .query_one(
            "insert into job_records (owner_id, job_type, status, attempts, max_attempts, last_error, payload) \
             values ($1::text::uuid, 'ops.nothing', 'dead', 10, 10, 'Not now.', '{\"private\": \"word\"}') returning id::text",
            &[&bruno.id.to_string()],
        )
        .await
        .unwrap()
        .get(0);

    let (status, listed) = call(&hub, &amina, "job_records_list", json!({})).await;
    assert_eq!(
        (status, listed[0]["id"].as_str()),
        (200, Some(dead.as_str()))
    );
    assert!(!listed.to_string().contains("private"));
    let (status, refused) = call(&hub, &bruno, "job_records_list", json!({})).await;
    assert_eq!((status, refused["code"].as_str()), (403, Some("42501")));
    assert_eq!(
        bruno
            .reads(&hub, "/rest/v1/job_records?select=status")
            .await,
        json!([{ "status": "dead" }])
    );

    // Somebody else's job is answered like one that never was.
    let foreign = call(&hub, &chidi, "job_records_retry", json!({ "id": dead })).await;
    let random = call(
        &hub,
        &chidi,
        "job_records_retry",
        json!({ "id": uuid::Uuid::now_v7() }),
    )
    .await;
    assert_eq!(foreign, random);
    assert_eq!(foreign.0, 404);

    let said = hub.cli(&["job", "list", "--json"], None).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (said[0]["job_type"].as_str(), said[0]["attempts"].as_i64()),
        (Some("ops.nothing"), Some(10))
    );
    let would = hub
        .cli(&["job", "retry", "--all", "--dry-run", "--json"], None)
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&would).unwrap(),
        json!({ "retried": 1, "dry_run": true })
    );

    let (status, _) = call(&hub, &bruno, "job_records_retry", json!({ "id": dead })).await;
    assert_eq!(status, 200);
    let done =
        "select status = 'completed' and attempts = 1 from job_records where id = $1::text::uuid";
    let mut is_done = false;
    for _ in 0..100 {
        is_done = admin.query_one(done, &[&dead]).await.unwrap().get(0);
        if is_done {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(is_done);
    let (status, _) = call(&hub, &amina, "job_records_retry", json!({ "id": dead })).await;
    assert_eq!(status, 404);
    assert!(hub.cli(&["job", "retry", &dead], None).is_err());
    let none = hub.cli(&["job", "retry", "--all", "--json"], None).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&none).unwrap()["retried"], 0);
}
