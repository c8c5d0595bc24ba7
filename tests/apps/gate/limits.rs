//! Who asks too often is told so, by class of route, in the words of the door.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::TestHub;

/// A request as the proxy in front passes it on for somebody at this address.
async fn from(hub: &TestHub, address: &str, method: Method, path: &str, body: Value) -> Response {
    let mut request = hub
        .ask(method, path)
        .header("X-Forwarded-For", address)
        .header("Accept", "text/html, application/json");
    if !body.is_null() {
        request = request.json(&body);
    }
    request.send().await.unwrap()
}

fn number(answer: &Response, name: &str) -> u64 {
    let value = answer.headers().get(name);
    let value = value.unwrap_or_else(|| panic!("no {name} on {:?}", answer.headers()));
    value.to_str().unwrap().parse().unwrap()
}

fn assert_refused(answer: &Response, limit: u64) {
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(number(answer, "ratelimit-limit"), limit);
    assert_eq!(number(answer, "ratelimit-remaining"), 0);
    let wait = number(answer, "retry-after");
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(number(answer, "ratelimit-reset"), wait);
    assert!(answer.headers().contains_key("x-request-id"));
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn who_asks_too_often_is_told_so_in_each_doors_shape() {
    let hub = TestHub::start_with(&[
        ("MADE_OPEN_LIMITS", "on"),
        ("MADE_OPEN_TRUSTED_PROXIES", "127.0.0.1"),
        ("MADE_OPEN_LIMIT_READ", "5/h"),
        ("MADE_OPEN_LIMIT_WRITE", "3/h"),
        ("MADE_OPEN_LIMIT_SIGN_IN", "4/h"),
        ("MADE_OPEN_LIMIT_PAGES", "2/h"),
        ("MADE_OPEN_LIMIT_MAIL", "2/h"),
    ])
    .await;
    let get =
        async |address: &str, path: &str| from(&hub, address, Method::GET, path, Value::Null).await;
    let post = async |address: &str, path: &str, body: Value| {
        from(&hub, address, Method::POST, path, body).await
    };

    // Reading: the numbers count down, then PostgREST's four words; other tables are the same class.
    for left in (0..5).rev() {
        let answer = get("192.0.2.1", "/rest/v1/persons").await;
        assert_ne!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(number(&answer, "ratelimit-limit"), 5);
        assert_eq!(number(&answer, "ratelimit-remaining"), left);
    }
    let answer = get("192.0.2.1", "/rest/v1/tasks").await;
    assert_refused(&answer, 5);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let said: Value = answer.json().await.unwrap();
    assert_eq!(said["code"], "over_request_rate_limit");
    for word in ["message", "details", "hint"] {
        assert!(said.get(word).is_some(), "{said}");
    }
    // Whatever else he writes, he stays who he is: invented tokens, spellings of the path, addresses he makes up.
    for n in 0..3 {
        let answer = hub
            .http
            .get(format!("{}/rest/v1/%70ersons?x={n}", hub.url))
            .header("X-Forwarded-For", format!("203.0.113.{n}, 192.0.2.1"))
            .header("Authorization", format!("Bearer invented.{n}.token"))
            .send()
            .await
            .unwrap();
        assert_refused(&answer, 5);
    }
    let other = get("192.0.2.2", "/rest/v1/persons").await;
    assert_eq!(number(&other, "ratelimit-remaining"), 4);
    // A whole /64 is one asker.
    for n in 0..5 {
        get(&format!("2001:db8::{n}"), "/rest/v1/persons").await;
    }
    assert_refused(&get("2001:db8::ffff", "/rest/v1/persons").await, 5);
    assert_ne!(
        get("2001:db8:0:1::1", "/rest/v1/persons").await.status(),
        429
    );

    // Signing in: GoTrue's words. Renewing with a token that nobody can guess is another class.
    let wrong = json!({ "email": "nobody@example.org", "password": "wrong wrong wrong" });
    for _ in 0..4 {
        let answer = post(
            "192.0.2.3",
            "/auth/v1/token?grant_type=password",
            wrong.clone(),
        )
        .await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
    let answer = post(
        "192.0.2.3",
        "/auth/v1/token?grant_type=password",
        wrong.clone(),
    )
    .await;
    assert_refused(&answer, 4);
    let said: Value = answer.json().await.unwrap();
    assert_eq!(said["error_code"], "over_request_rate_limit");
    assert_eq!(said["code"], 429);
    let both = "/auth/v1/token?grant_type=password&grant_type=refresh_token";
    assert_refused(&post("192.0.2.3", both, wrong.clone()).await, 4);
    let renew = json!({ "refresh_token": "invented" });
    let answer = post(
        "192.0.2.3",
        "/auth/v1/token?grant_type=refresh_token",
        renew,
    )
    .await;
    assert_ne!(answer.status(), StatusCode::TOO_MANY_REQUESTS);

    // The hub's own door: a problem document.
    for _ in 0..3 {
        post("192.0.2.4", "/api/kinds", json!({})).await;
    }
    let answer = post("192.0.2.4", "/api/kinds", json!({})).await;
    assert_refused(&answer, 3);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], 429);

    // Pages: a page.
    get("192.0.2.5", "/").await;
    get("192.0.2.5", "/no/such/page").await;
    let answer = get("192.0.2.5", "/").await;
    assert_refused(&answer, 2);
    assert!(answer.headers().contains_key("content-security-policy"));
    assert!(answer.text().await.unwrap().contains("<h1"));

    // Letters: by the address they would go to, whoever asks and however it is spelt.
    let sign_up = |email: &str| json!({ "email": email, "password": "a fine long password" });
    let path = "/auth/v1/signup";
    post("192.0.2.6", path, sign_up("ida@example.org")).await;
    post("192.0.2.7", path, sign_up("IDA@example.org")).await;
    let answer = post("192.0.2.8", path, sign_up(" ida@example.org")).await;
    assert_refused(&answer, 2);
    let answer = post("192.0.2.8", path, sign_up("una@example.org")).await;
    assert_eq!(answer.status(), StatusCode::OK, "another address is free");

    // A session counts for itself, wherever it comes from.
    let una: Value = answer.json().await.unwrap();
    let token = una["access_token"].as_str().unwrap();
    let mine = async |address: &str| {
        hub.http
            .get(format!("{}/rest/v1/persons", hub.url))
            .header("X-Forwarded-For", address)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    };
    for n in 0..5 {
        let answer = mine(&format!("192.0.2.1{n}")).await;
        assert_eq!(
            answer.status(),
            StatusCode::OK,
            "not the bucket of 192.0.2.1"
        );
    }
    assert_refused(&mine("192.0.2.200").await, 5);

    // Those who watch the hub are not kept out by its readers.
    assert_eq!(get("192.0.2.1", "/livez").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_strangers_say_of_their_address_counts_nothing() {
    let hub =
        TestHub::start_with(&[("MADE_OPEN_LIMITS", "on"), ("MADE_OPEN_LIMIT_PAGES", "2/h")]).await;
    for n in 0..2 {
        let answer = from(&hub, &format!("192.0.2.{n}"), Method::GET, "/", Value::Null).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let answer = from(&hub, "192.0.2.9", Method::GET, "/", Value::Null).await;
    assert_refused(&answer, 2);
}

#[tokio::test]
async fn without_limits_nobody_is_counted() {
    let hub = TestHub::start_with(&[("MADE_OPEN_LIMIT_PAGES", "1/d")]).await;
    for _ in 0..3 {
        let answer = hub.get("/").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(!answer.headers().contains_key("ratelimit-limit"));
    }
}
