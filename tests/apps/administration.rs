//! Accounts in the hands of programs with the service key, and out of the hands of everybody else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::factors::{Device, ask, get, post};
use crate::first_day::sign_in;
use crate::support::TestHub;
use crate::support::people::Person;

/// A service key with the id of its row.
pub fn service_key(hub: &TestHub) -> (String, String) {
    let said = hub
        .cli(
            &["token", "create", "--role", "service_role", "--json"],
            None,
        )
        .unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

/// Make somebody what he is in his tenant, as the operator would.
pub async fn becomes(hub: &TestHub, person: &Person, role: &str) {
    let admin = hub.database.admin().await;
    admin
        .execute(
            "update user_profile set role = $1 where user_id = $2::text::uuid",
            &[&role, &person.id.to_string()],
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn s_121_only_the_service_key_administers_and_the_role_is_read_each_time() {
    let hub = TestHub::start().await;
    let boss = hub.sign_up("boss").await;
    let chief = hub.sign_up("chief").await;
    let ada = hub.sign_up("ada").await;
    becomes(&hub, &chief, "admin").await;
    let (id, key) = service_key(&hub);
    let user = format!("admin/users/{}", ada.id);
    let routes: Vec<(Method, String, Option<Value>)> = vec![
        (Method::GET, "admin/users".into(), None),
        (
            Method::POST,
            "admin/users".into(),
            Some(json!({ "email": "x@example.org" })),
        ),
        (Method::GET, user.clone(), None),
        (
            Method::PUT,
            user.clone(),
            Some(json!({ "ban_duration": "24h" })),
        ),
        (Method::DELETE, user.clone(), None),
        (Method::POST, format!("{user}/logout"), None),
        (Method::GET, format!("{user}/factors"), None),
        (Method::DELETE, format!("{user}/factors/{}", ada.id), None),
        (
            Method::POST,
            "admin/generate_link".into(),
            Some(json!({ "type": "recovery", "email": "ada@example.org" })),
        ),
    ];
    for (method, path, body) in &routes {
        // Developer, admin and the account itself are not the service.
        for person in [&boss, &chief, &ada] {
            let (status, told) = ask(&hub, method.clone(), &person.token, path, body.clone()).await;
            assert_eq!(
                (status, told["code"].as_str()),
                (403, Some("not_admin")),
                "{method} {path} as {}: {told}",
                person.name
            );
        }
        let (status, told) = ask(&hub, method.clone(), &hub.anon, path, body.clone()).await;
        assert_eq!(status, 403, "{method} {path}: {told}");
        for forged in [
            "nonsense",
            "eyJhbGciOiJub25lIn0.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.",
        ] {
            let (status, told) = ask(&hub, method.clone(), forged, path, body.clone()).await;
            assert_eq!(
                (status, told["code"].as_str()),
                (401, Some("bad_jwt")),
                "{method} {path}: {told}"
            );
        }
        let answer = hub
            .ask(method.clone(), &format!("/auth/v1/{path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401, "{method} {path} with no token");
    }
    assert_eq!(
        get(&hub, &ada.token, "user").await.0,
        200,
        "nothing happened to her"
    );

    // A role that was taken away is gone at the next request, though the token is the same.
    let stranger_row = json!({ "name": "Linden" });
    let named = |hub: &TestHub, person: &Person| {
        person
            .ask(hub, Method::POST, "/rest/v1/tenants")
            .json(&stranger_row)
            .send()
    };
    assert_eq!(named(&hub, &boss).await.unwrap().status(), 201);
    becomes(&hub, &boss, "user").await;
    assert_eq!(named(&hub, &boss).await.unwrap().status(), 403);
    let profiles = format!("/rest/v1/user_profile?user_id=eq.{}", ada.id);
    let promote = |person: &Person| {
        person
            .ask(&hub, Method::PATCH, &profiles)
            .json(&json!({ "role": "user" }))
            .header("Prefer", "return=representation")
            .send()
    };
    let done: Value = promote(&chief).await.unwrap().json().await.unwrap();
    assert_eq!(done.as_array().map(Vec::len), Some(1), "{done}");
    becomes(&hub, &chief, "user").await;
    let done: Value = promote(&chief).await.unwrap().json().await.unwrap();
    assert_eq!(done, json!([]));

    // So is a key whose row is gone.
    assert_eq!(get(&hub, &key, "admin/users").await.0, 200);
    hub.cli(&["token", "revoke", &id], None).unwrap();
    for (method, path, body) in &routes {
        let (status, told) = ask(&hub, method.clone(), &key, path, body.clone()).await;
        assert_eq!(status, 401, "{method} {path}: {told}");
    }
}

#[tokio::test]
async fn accounts_are_made_changed_listed_and_removed() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let (_, key) = service_key(&hub);
    let new = json!({
        "email": "Eve@Example.org", "password": "eve keeps the bees", "email_confirm": true, "role": "service_role",
        "user_metadata": { "full_name": "Eve" }, "app_metadata": { "plan": "gold" },
    });
    let (status, eve) = post(&hub, &key, "admin/users", new.clone()).await;
    assert_eq!(status, 200, "{eve}");
    assert_eq!(
        (&eve["email"], &eve["role"]),
        (&json!("eve@example.org"), &json!("authenticated"))
    );
    assert_eq!(
        (
            &eve["app_metadata"]["plan"],
            &eve["user_metadata"]["full_name"]
        ),
        (&json!("gold"), &json!("Eve"))
    );
    assert!(eve["email_confirmed_at"].is_string());
    let (status, told) = post(&hub, &key, "admin/users", new).await;
    assert_eq!((status, &told["code"]), (422, &json!("email_exists")));
    let session = sign_in(&hub, "eve@example.org", "eve keeps the bees").await;
    let admin = hub.database.admin().await;
    let role: String = admin
        .query_one(
            "select role from user_profile where user_id = $1::text::uuid",
            &[&session.id.to_string()],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(role, "user", "whatever the program said of a role");

    // Without a confirmed address and without a password nobody gets in.
    let (_, may) = post(
        &hub,
        &key,
        "admin/users",
        json!({ "email": "may@example.org" }),
    )
    .await;
    assert_eq!(may["email_confirmed_at"], Value::Null);
    for (body, expected) in [
        (json!({}), 400),
        (json!({ "email": "no address" }), 400),
        (
            json!({ "email": "z@example.org", "password": "short" }),
            422,
        ),
        (
            json!({ "email": "z@example.org", "ban_duration": "a while" }),
            400,
        ),
        (json!({ "phone": "+4912345" }), 400),
    ] {
        let (status, told) = post(&hub, &key, "admin/users", body.clone()).await;
        assert_eq!(status, expected, "{body}: {told}");
    }

    let id = eve["id"].as_str().unwrap();
    let path = format!("admin/users/{id}");
    let change = json!({ "email": "eva@example.org", "app_metadata": { "plan": null, "seat": 4 }, "user_metadata": { "likes": "bees" } });
    let (status, eva) = ask(&hub, Method::PUT, &key, &path, Some(change)).await;
    assert_eq!(status, 200, "{eva}");
    assert_eq!(eva["email"], "eva@example.org");
    assert_eq!(
        (
            &eva["app_metadata"]["seat"],
            eva["app_metadata"].get("plan")
        ),
        (&json!(4), None)
    );
    assert_eq!(
        eva["user_metadata"],
        json!({ "full_name": "Eve", "likes": "bees" })
    );
    assert_eq!(
        get(&hub, &session.token, "user").await.0,
        403,
        "another address, another session"
    );
    let taken = json!({ "email": "founder@example.org" });
    let (status, told) = ask(&hub, Method::PUT, &key, &path, Some(taken)).await;
    assert_eq!((status, &told["code"]), (422, &json!("email_exists")));

    let session = sign_in(&hub, "eva@example.org", "eve keeps the bees").await;
    let (status, _) = post(&hub, &key, &format!("{path}/logout"), json!({})).await;
    assert_eq!(status, 204);
    assert_eq!(get(&hub, &session.token, "user").await.0, 403);
    let session = sign_in(&hub, "eva@example.org", "eve keeps the bees").await;
    let password = json!({ "password": "eva keeps no bees now" });
    assert_eq!(
        ask(&hub, Method::PUT, &key, &path, Some(password)).await.0,
        200
    );
    assert_eq!(
        get(&hub, &session.token, "user").await.0,
        403,
        "a new password ends sessions"
    );
    sign_in(&hub, "eva@example.org", "eva keeps no bees now").await;

    // Pages.
    let answer = hub
        .ask(Method::GET, "/auth/v1/admin/users?page=1&per_page=2")
        .header("Authorization", format!("Bearer {key}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-total-count"], "3");
    let link = answer.headers()["link"].to_str().unwrap().to_owned();
    assert!(
        link.contains("page=2&per_page=2>; rel=\"next\"") && link.contains("rel=\"last\""),
        "{link}"
    );
    let page: Value = answer.json().await.unwrap();
    assert_eq!(page["users"].as_array().unwrap().len(), 2);
    assert!(!page.to_string().contains("argon2"), "{page}");
    let (_, second) = get(&hub, &key, "admin/users?page=2&per_page=2").await;
    assert_eq!(second["users"].as_array().unwrap().len(), 1);
    assert_eq!(get(&hub, &key, "admin/users?page=x").await.0, 400);

    assert_eq!(ask(&hub, Method::DELETE, &key, &path, None).await.0, 200);
    for _ in 0..2 {
        assert_eq!(get(&hub, &key, &path).await.0, 404);
    }
    assert_eq!(ask(&hub, Method::DELETE, &key, &path, None).await.0, 404);
    assert_eq!(get(&hub, &key, "admin/users/nonsense").await.0, 404);
}

#[tokio::test]
async fn a_ban_and_a_soft_deletion_hold_at_once() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    let (_, key) = service_key(&hub);
    let path = format!("admin/users/{}", ada.id);
    let (status, banned) = ask(
        &hub,
        Method::PUT,
        &key,
        &path,
        Some(json!({ "ban_duration": "24h" })),
    )
    .await;
    assert_eq!(status, 200, "{banned}");
    assert!(banned["banned_until"].is_string(), "{banned}");
    for door in ["/auth/v1/user", "/rest/v1/persons"] {
        let status = ada
            .ask(&hub, Method::GET, door)
            .send()
            .await
            .unwrap()
            .status();
        assert!(status.is_client_error(), "{door}: {status}");
    }
    let refresh = json!({ "refresh_token": ada.refresh });
    assert_eq!(
        post(&hub, &hub.anon, "token?grant_type=refresh_token", refresh)
            .await
            .0,
        400
    );
    let again = json!({ "email": "ada@example.org", "password": "ada walks the dog" });
    let (status, told) = post(&hub, &hub.anon, "token?grant_type=password", again).await;
    assert_eq!((status, &told["code"]), (400, &json!("user_banned")));
    assert_eq!(
        ask(
            &hub,
            Method::PUT,
            &key,
            &path,
            Some(json!({ "ban_duration": "none" }))
        )
        .await
        .0,
        200
    );
    let ada = sign_in(&hub, "ada@example.org", "ada walks the dog").await;

    // A ban through the table door holds the same way.
    let banned = hub
        .http
        .patch(format!("{}/rest/v1/users?id=eq.{}", hub.url, ada.id))
        .header("apikey", &key)
        .json(&json!({ "banned_until": "2999-01-01T00:00:00Z" }))
        .send()
        .await
        .unwrap();
    assert!(
        banned.status().is_success(),
        "{}",
        banned.text().await.unwrap()
    );
    assert_eq!(get(&hub, &ada.token, "user").await.0, 403);
    hub.cli(
        &["user", "ban", "--email", "ada@example.org", "--lift"],
        None,
    )
    .unwrap();
    let ada = sign_in(&hub, "ada@example.org", "ada walks the dog").await;

    let soft = Some(json!({ "should_soft_delete": true }));
    assert_eq!(ask(&hub, Method::DELETE, &key, &path, soft).await.0, 200);
    assert_eq!(get(&hub, &ada.token, "user").await.0, 403);
    let again = json!({ "email": "ada@example.org", "password": "ada walks the dog" });
    let (status, told) = post(&hub, &hub.anon, "token?grant_type=password", again).await;
    assert_eq!(
        (status, &told["code"]),
        (400, &json!("invalid_credentials"))
    );
    hub.cli(&["user", "restore", "--email", "ada@example.org"], None)
        .unwrap();
    sign_in(&hub, "ada@example.org", "ada walks the dog").await;
}

#[tokio::test]
async fn a_lost_factor_is_taken_away_by_the_operator() {
    let hub = TestHub::start().await;
    let mut ada = hub.sign_up("ada").await;
    let bob = hub.sign_up("bob").await;
    let phone = Device::enroll(&hub, &ada, "phone").await;
    phone.prove(&hub, &mut ada, 0).await;
    let (_, key) = service_key(&hub);
    let path = format!("admin/users/{}/factors", ada.id);
    let (_, factors) = get(&hub, &key, &path).await;
    assert_eq!(factors[0]["id"], json!(phone.factor));
    let wrong = format!("admin/users/{}/factors/{}", bob.id, phone.factor);
    assert_eq!(
        ask(&hub, Method::DELETE, &key, &wrong, None).await.0,
        404,
        "of somebody else"
    );
    let gone = ask(
        &hub,
        Method::DELETE,
        &key,
        &format!("{path}/{}", phone.factor),
        None,
    )
    .await;
    assert_eq!(gone, (200, json!({ "id": phone.factor })));
    assert_eq!(get(&hub, &ada.token, "user").await.0, 403);
    let (_, user) = get(&hub, &key, &format!("admin/users/{}", ada.id)).await;
    assert!(user.get("factors").is_none(), "{user}");
}
