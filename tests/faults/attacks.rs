//! Attacks on the table door over HTTP, with two people's rows present.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::TestHub;

/// S-122: another's row by id, and lists with another's owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_122_another_ones_rows() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let bruno = hub.sign_up("bruno").await;
    let hers = amina
        .adds(&hub, "persons", json!({ "name": "Chidi" }))
        .await;
    bruno
        .adds(&hub, "persons", json!({ "name": "Dolores" }))
        .await;
    let (id, random) = (
        hers["id"].as_str().unwrap(),
        uuid::Uuid::now_v7().to_string(),
    );

    for id in [id, random.as_str()] {
        assert_eq!(
            bruno
                .reads(&hub, &format!("/rest/v1/persons?id=eq.{id}"))
                .await,
            json!([])
        );
        for (method, body) in [
            (Method::PATCH, Some(json!({ "name": "mine" }))),
            (Method::DELETE, None),
        ] {
            let mut asked = bruno
                .ask(&hub, method, &format!("/rest/v1/persons?id=eq.{id}"))
                .header("Prefer", "return=representation");
            if let Some(body) = body {
                asked = asked.json(&body);
            }
            let answer = asked.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.text().await.unwrap(), "[]");
        }
    }
    let owner = amina.id;
    assert_eq!(
        bruno
            .reads(&hub, &format!("/rest/v1/persons?owner_id=eq.{owner}"))
            .await,
        json!([])
    );
    assert_eq!(
        amina
            .reads(&hub, &format!("/rest/v1/persons?id=eq.{id}"))
            .await[0],
        hers
    );
}

/// S-123: rows for another, and giving one's own away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_123_rows_for_another() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let bruno = hub.sign_up("bruno").await;
    let refused = bruno
        .ask(&hub, Method::POST, "/rest/v1/persons")
        .json(&json!({ "name": "planted", "owner_id": amina.id }))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "42501");
    let his = bruno.adds(&hub, "persons", json!({ "name": "his" })).await;
    let refused = bruno
        .ask(
            &hub,
            Method::PATCH,
            &format!("/rest/v1/persons?id=eq.{}", his["id"].as_str().unwrap()),
        )
        .json(&json!({ "owner_id": amina.id }))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(amina.reads(&hub, "/rest/v1/persons").await, json!([]));
}

/// S-125 over the door: a foreign parent and a random one get the same answer, byte for byte but for the id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_125_foreign_parents() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let bruno = hub.sign_up("bruno").await;
    let person = amina
        .adds(&hub, "persons", json!({ "name": "Chidi" }))
        .await;
    let project = amina
        .adds(
            &hub,
            "projects",
            json!({ "name": "garden", "slug": "garden", "status": "active" }),
        )
        .await;
    for (table, column, foreign, rest) in [
        (
            "tasks",
            "assignee_id",
            &person["id"],
            json!({ "title": "t" }),
        ),
        (
            "tasks",
            "project_id",
            &project["id"],
            json!({ "title": "t" }),
        ),
        (
            "events",
            "organizer_id",
            &person["id"],
            json!({ "title": "e", "start_time": "2027-01-01T00:00:00Z" }),
        ),
    ] {
        let mut answers = Vec::new();
        for id in [
            foreign.as_str().unwrap().to_owned(),
            uuid::Uuid::now_v7().to_string(),
        ] {
            let mut row = rest.clone();
            row[column] = json!(id);
            let answer = bruno
                .ask(&hub, Method::POST, &format!("/rest/v1/{table}"))
                .json(&row)
                .send()
                .await
                .unwrap();
            let status = answer.status();
            assert_eq!(status, 409, "{table}.{column}");
            let mut headers: Vec<String> = answer
                .headers()
                .iter()
                .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            headers.sort();
            answers.push((headers, answer.text().await.unwrap().replace(&id, "ID")));
        }
        assert_eq!(answers[0], answers[1], "{table}.{column}");
        assert_eq!(
            bruno.reads(&hub, &format!("/rest/v1/{table}")).await,
            json!([])
        );
    }
}

/// S-129: two connections, two hundred requests of two people and of nobody, some broken off: nobody sees another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_129_no_caller_reaches_the_next() {
    let hub = TestHub::start_with(&[("MADE_OPEN_DATABASE_POOL", "2")]).await;
    let amina = hub.sign_up("amina").await;
    let bruno = hub.sign_up("bruno").await;
    amina.adds(&hub, "persons", json!({ "name": "hers" })).await;
    bruno.adds(&hub, "persons", json!({ "name": "his" })).await;
    let mut requests = Vec::new();
    for n in 0..200 {
        let path = "/rest/v1/persons?select=name";
        let (asked, expected) = match n % 4 {
            0 => (
                amina.ask(&hub, Method::GET, path),
                Some(json!([{ "name": "hers" }])),
            ),
            1 => (
                bruno.ask(&hub, Method::GET, path),
                Some(json!([{ "name": "his" }])),
            ),
            2 => (hub.ask(Method::GET, path), None),
            // Broken off in the middle.
            _ => (
                amina
                    .ask(&hub, Method::GET, path)
                    .timeout(std::time::Duration::from_micros(300 + 20 * n)),
                Some(json!([{ "name": "hers" }])),
            ),
        };
        requests.push(tokio::spawn(async move {
            match asked.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    match (expected, answer.json::<Value>().await) {
                        (Some(expected), Ok(seen)) if status == 200 => assert_eq!(seen, expected),
                        (_, Ok(seen)) => assert!(
                            seen == json!([]) || seen["code"].is_string(),
                            "nobody saw {seen}"
                        ),
                        (_, Err(_)) => {}
                    }
                }
                Err(error) => assert!(error.is_timeout() || error.is_request(), "{error}"),
            }
        }));
    }
    for request in requests {
        request.await.unwrap();
    }
}

/// A read of persons with one part of the query, whatever it holds.
fn asking(name: &str, value: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish();
    format!("/rest/v1/persons?{query}")
}

/// S-131: SQL and nonsense in every place of the query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_131_injection() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    amina
        .adds(&hub, "persons", json!({ "name": "still here" }))
        .await;
    let sly = [
        "(select 1)",
        "id;drop table persons",
        "id--",
        "pg_sleep(9)",
        "owner_id'",
        "name->>'x' from users",
        "id)or(1=1",
        "encrypted_password",
        "xmin",
        "ctid",
        "tableoid",
        "persons",
    ];
    for text in sly {
        for place in ["order", "select", "columns", "on_conflict"] {
            let answer = amina
                .ask(&hub, Method::GET, &asking(place, text))
                .send()
                .await
                .unwrap();
            let status = answer.status();
            let body = answer.text().await.unwrap();
            let unused = ["columns", "on_conflict"].contains(&place) && status == 200;
            assert!(
                unused || status.is_client_error(),
                "{place}={text}: {status} {body}"
            );
        }
        let answer = amina
            .ask(&hub, Method::GET, &asking(text, "eq.1"))
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_client_error(),
            "{text}=eq.1: {}",
            answer.status()
        );
        let answer = amina
            .ask(&hub, Method::GET, &asking("name", &format!("eq.{text}")))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "name=eq.{text}");
        assert_eq!(answer.text().await.unwrap(), "[]");
    }
    let many: Vec<String> = (0..10_000).map(|n| format!("name.eq.{n}")).collect();
    let answer = amina
        .ask(
            &hub,
            Method::GET,
            &format!("/rest/v1/persons?or=({})", many.join(",")),
        )
        .send()
        .await;
    // Refused by the grammar, or already by the length of the line.
    if let Ok(answer) = answer {
        assert!(answer.status().is_client_error(), "{}", answer.status());
    }
    assert_eq!(
        amina
            .reads(&hub, "/rest/v1/persons?limit=1000000000")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for wrong in ["offset=-1", "limit=-1", "limit=x", "offset=1e9"] {
        let answer = amina
            .ask(&hub, Method::GET, &format!("/rest/v1/persons?{wrong}"))
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_client_error(),
            "{wrong}: {}",
            answer.status()
        );
    }
    assert_eq!(
        amina.reads(&hub, "/rest/v1/persons?select=name").await,
        json!([{ "name": "still here" }])
    );
}

/// S-136: table names come from the catalogue and from nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_136_names_in_the_path() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    for path in [
        "pg_catalog.pg_user",
        "users;drop",
        "hub.sessions",
        "..%2f..%2fetc",
        "%2e%2e",
        "persons%00",
        "persons%20",
        "PERSONS",
        "vault_secrets",
        "__diesel_schema_migrations",
        "pg_user",
        "information_schema.tables",
        "journal",
        "persons%27",
        "%ff",
        "rpc",
        "rpc/",
        "rpc/pg_sleep",
        "rpc/hub.register_kind",
        "auth.users",
        "persons/1",
    ] {
        let answer = amina
            .ask(&hub, Method::GET, &format!("/rest/v1/{path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.status(),
            404,
            "{path}: {}",
            answer.text().await.unwrap()
        );
    }
}

/// S-137 for PATCH: of two changes that both saw the same row, the second is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_137_lost_update() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let person = amina
        .adds(&hub, "persons", json!({ "name": "Bruno" }))
        .await;
    let path = format!("/rest/v1/persons?id=eq.{}", person["id"].as_str().unwrap());
    let seen = amina
        .ask(&hub, Method::GET, &path)
        .header("Accept", "application/vnd.pgrst.object+json")
        .send()
        .await
        .unwrap();
    let tag = seen.headers()["etag"].to_str().unwrap().to_owned();
    let change = |name: &str| {
        amina
            .ask(&hub, Method::PATCH, &path)
            .header("If-Match", &tag)
            .json(&json!({ "name": name }))
            .send()
    };
    let (first, second) = tokio::join!(change("first"), change("second"));
    let mut statuses = [
        first.unwrap().status().as_u16(),
        second.unwrap().status().as_u16(),
    ];
    statuses.sort();
    assert_eq!(statuses, [204, 412]);
    let third = change("third").await.unwrap();
    assert_eq!(third.status(), 412);
    let body: Value = third.json().await.unwrap();
    assert!(body["code"].is_string(), "{body}");

    let fresh = amina
        .ask(&hub, Method::GET, &path)
        .header("Accept", "application/vnd.pgrst.object+json")
        .send()
        .await
        .unwrap();
    let fresh = fresh.headers()["etag"].to_str().unwrap().to_owned();
    assert_ne!(fresh, tag);
    let done = amina
        .ask(&hub, Method::PATCH, &path)
        .header("If-Match", fresh)
        .json(&json!({ "name": "fourth" }))
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), 204);
}

/// Bad bodies and bad tokens: a clear 4xx in the door's shape, nothing stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_and_stores_nothing() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let deep = format!(
        "{{\"name\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let bodies: &[&str] = &[
        "",
        "{",
        "[1]",
        "\"x\"",
        "null",
        "{\"name\":\"a\\u0000b\"}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"nope\":1}",
        "{\"name\":\"a\",\"birthday\":\"yesterday-ish\"}",
        "{\"name\":null}",
        "{\"name\":\"a\",\"id\":\"x\"}",
        "{\"name\":\"a\",\"created_at\":\"2020-01-01\"}",
        "[{\"name\":\"a\"},{\"notes\":\"b\"}]",
        &deep,
    ];
    for body in bodies {
        let answer = amina
            .ask(&hub, Method::POST, "/rest/v1/persons")
            .header("Content-Type", "application/json")
            .body((*body).to_owned())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let said = answer.text().await.unwrap();
        let shown = body.chars().take(60).collect::<String>();
        assert!(status.is_client_error(), "{shown}: {status} {said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert!(
            said["code"].is_string() && said["message"].is_string(),
            "{shown}: {said}"
        );
    }
    assert_eq!(amina.reads(&hub, "/rest/v1/persons").await, json!([]));

    let (head, rest) = amina.token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let forged = format!("{head}.{claims}.{}", "A".repeat(signature.len()));
    for token in [
        none.as_str(),
        &forged,
        "x",
        "a.b.c",
        "",
        &"x".repeat(20_000),
    ] {
        let answer = hub
            .http
            .get(format!("{}/rest/v1/persons", hub.url))
            .header("Authorization", format!("Bearer {token}"))
            .send()
            .await
            .unwrap();
        let shown: String = token.chars().take(40).collect();
        assert_eq!(answer.status(), 401, "{shown}");
        let said: Value = answer.json().await.unwrap();
        assert!(
            said["code"].as_str().unwrap().starts_with("PGRST30"),
            "{said}"
        );
    }
}
