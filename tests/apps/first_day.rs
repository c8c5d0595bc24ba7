//! The first day of a hub: the one-time link makes the first account, which is the developer's, and its first row.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestHub;
use crate::support::people::Person;

const EMAIL: &str = "founder@example.org";
const PASSWORD: &str = "the first of many days";

#[tokio::test]
async fn the_link_makes_the_first_account_once() {
    let hub = TestHub::start_with(&[("MADE_OPEN_SIGNUP", "closed")]).await;
    let link = hub.first_link.clone().expect("the hub printed a link");
    assert!(link.starts_with(&hub.url), "{link} is not on {}", hub.url);

    // Looking at the form uses nothing up.
    for _ in 0..2 {
        let shown = hub.http.get(&link).send().await.unwrap();
        assert_eq!(shown.status(), StatusCode::OK);
        let kind = shown.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/html"), "{kind}");
        let page = shown.text().await.unwrap();
        for part in [
            "<form",
            "method=\"post\"",
            "name=\"token\"",
            "name=\"email\"",
            "name=\"password\"",
            "<label",
        ] {
            assert!(page.contains(part), "no {part} in\n{page}");
        }
        assert!(
            !page.contains("<script"),
            "the form works without JavaScript"
        );
    }

    let short = post_form(&hub, &link, EMAIL, "short").await;
    assert_client_error(&short);
    assert!(
        short.1.contains("<form"),
        "the form is shown again:\n{}",
        short.1
    );
    assert!(
        short.1.contains(EMAIL),
        "what was typed is kept:\n{}",
        short.1
    );
    assert_client_error(&post_form(&hub, &link, "not an address", PASSWORD).await);
    let wrong = format!("{}/first?token=invented", hub.url);
    assert_client_error(&post_form(&hub, &wrong, EMAIL, PASSWORD).await);
    assert_eq!(accounts(&hub).await, 0, "what was refused made nobody");

    let made = post_form(&hub, &link, EMAIL, PASSWORD).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    assert_eq!(accounts(&hub).await, 1);

    let again = post_form(&hub, &link, "second@example.org", PASSWORD).await;
    assert_client_error(&again);
    assert_eq!(accounts(&hub).await, 1, "the link works once");

    let founder = sign_in(&hub, EMAIL, PASSWORD).await;
    assert_eq!(app_role(&hub, founder.id).await, "developer");

    let refused = hub
        .ask(Method::POST, "/auth/v1/signup")
        .json(&json!({ "email": "third@example.org", "password": PASSWORD }))
        .send()
        .await
        .unwrap();
    assert!(refused.status().is_client_error(), "sign-up is closed");
    assert_eq!(accounts(&hub).await, 1);
}

#[tokio::test]
async fn one_of_many_who_open_the_link_at_once_wins() {
    let hub = TestHub::start().await;
    let link = hub.first_link.clone().expect("the hub printed a link");
    let tries = (0..6).map(|n| {
        let (hub, link) = (&hub, &link);
        async move {
            post_form(hub, link, &format!("racer{n}@example.org"), PASSWORD)
                .await
                .0
        }
    });
    let answers = futures_util::future::join_all(tries).await;
    let made = answers.iter().filter(|status| status.is_success()).count();
    assert_eq!(made, 1, "{answers:?}");
    assert_eq!(accounts(&hub).await, 1);
}

#[tokio::test]
async fn a_hub_with_accounts_offers_no_link() {
    let hub = TestHub::start().await;
    let link = hub.first_link.clone().expect("the hub printed a link");
    hub.cli(
        &[
            "user",
            "add",
            "founder",
            "--email",
            EMAIL,
            "--password-stdin",
            "--role",
            "developer",
        ],
        Some(PASSWORD),
    )
    .unwrap();
    assert_client_error(&post_form(&hub, &link, "late@example.org", PASSWORD).await);
    assert_eq!(accounts(&hub).await, 1);
}

#[tokio::test]
async fn the_first_row_is_served_and_journalled() {
    let hub = TestHub::start().await;
    let link = hub.first_link.clone().expect("the hub printed a link");
    assert_eq!(
        post_form(&hub, &link, EMAIL, PASSWORD).await.0,
        StatusCode::CREATED
    );
    let founder = sign_in(&hub, EMAIL, PASSWORD).await;
    let row = founder
        .adds(&hub, "persons", json!({ "name": "Rosa" }))
        .await;
    let id = row["id"].as_str().unwrap();

    assert_eq!(
        founder
            .reads(&hub, "/rest/v1/persons?select=name,owner_id")
            .await,
        json!([{ "name": "Rosa", "owner_id": founder.id }])
    );
    let admin = hub.database.admin().await;
    let lines = admin
        .query(
            "select verb, owner_id::text, actor_id::text, role from hub.journal where kind = 'persons' and row_id::text = $1",
            &[&id],
        )
        .await
        .unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].get::<_, String>("verb"), "insert");
    assert_eq!(
        lines[0].get::<_, Option<String>>("owner_id"),
        Some(founder.id.to_string())
    );
    assert_eq!(
        lines[0].get::<_, Option<String>>("actor_id"),
        Some(founder.id.to_string())
    );
    assert_eq!(lines[0].get::<_, String>("role"), "authenticated");

    // A later account is a plain user of the same home, to whom the row does not exist.
    let guest = hub.sign_up("guest").await;
    assert_eq!(app_role(&hub, guest.id).await, "user");
    assert_eq!(
        guest.reads(&hub, "/rest/v1/persons?select=name").await,
        json!([])
    );
}

/// Fill in the form as a browser would: with the hidden token of the page that the link shows.
async fn post_form(hub: &TestHub, link: &str, email: &str, password: &str) -> (StatusCode, String) {
    let token = link.split_once("token=").unwrap().1;
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("email", email)
        .append_pair("password", password)
        .finish();
    let answer = hub
        .http
        .post(format!("{}/first", hub.url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.text().await.unwrap())
}

fn assert_client_error((status, body): &(StatusCode, String)) {
    assert!(status.is_client_error(), "{status}\n{body}");
}

/// Sign in with mail address and password.
pub async fn sign_in(hub: &TestHub, email: &str, password: &str) -> Person {
    let answer = hub
        .ask(Method::POST, "/auth/v1/token?grant_type=password")
        .json(&json!({ "email": email, "password": password }))
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    Person {
        id: body["user"]["id"].as_str().unwrap().parse().unwrap(),
        name: email.to_owned(),
        token: body["access_token"].as_str().unwrap().to_owned(),
        refresh: body["refresh_token"].as_str().unwrap().to_owned(),
    }
}

async fn accounts(hub: &TestHub) -> i64 {
    let admin = hub.database.admin().await;
    let counted = admin
        .query_one("select count(*) from users", &[])
        .await
        .unwrap();
    counted.get(0)
}

async fn app_role(hub: &TestHub, user: Uuid) -> String {
    let admin = hub.database.admin().await;
    let found = admin
        .query_one(
            "select role from user_profile where user_id::text = $1",
            &[&user.to_string()],
        )
        .await
        .unwrap();
    found.get(0)
}
