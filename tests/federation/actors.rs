//! Who of a hub is an actor: accounts by themselves, tenants and agents when their people say so; and what becomes of the
//! actor of an account that hides or goes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestHub;
use crate::support::people::Person;

const ACTIVITY: &str = "application/activity+json";

async fn read(hub: &TestHub, url: &str) -> (u16, Value) {
    let url = match url.starts_with("http") {
        true => url.to_owned(),
        false => format!("{}{url}", hub.url),
    };
    let answer = hub
        .http
        .get(url)
        .header("Accept", ACTIVITY)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// The answer once it has this status, within some seconds.
async fn until(hub: &TestHub, url: &str, wanted: u16) -> Value {
    for _ in 0..100 {
        let (status, told) = read(hub, url).await;
        if status == wanted {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{url} never answered {wanted}: {:?}", read(hub, url).await);
}

async fn call(hub: &TestHub, person: &Person, action: &str, input: Value) -> (u16, Value) {
    let answer = person
        .ask(hub, Method::POST, &format!("/rest/v1/rpc/{action}"))
        .json(&input)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

fn host(hub: &TestHub) -> &str {
    hub.url.split("://").nth(1).unwrap()
}

async fn finger(hub: &TestHub, name: &str) -> Value {
    let resource = format!("/.well-known/webfinger?resource=acct:{name}@{}", host(hub));
    until(hub, &resource, 200).await
}

#[actix_web::test]
async fn an_account_is_found_followed_and_gone() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let bo = hub.sign_up("bo").await;

    let found = finger(&hub, "ada").await;
    let uri = found["links"][0]["href"].as_str().unwrap().to_owned();
    let actor = until(&hub, &uri, 200).await;
    assert_eq!(actor["id"], json!(uri));
    assert_eq!(actor["preferredUsername"], "ada");
    assert!(
        actor["publicKey"]["publicKeyPem"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PUBLIC KEY-----")
    );
    assert!(
        actor["assertionMethod"][0]["publicKeyMultibase"]
            .as_str()
            .unwrap()
            .starts_with("z6Mk")
    );
    assert_eq!(actor["mo:kind"], "mo:Person");

    finger(&hub, "bo").await;
    let (status, follow) = call(
        &hub,
        &bo,
        "follows_request",
        json!({ "actor": format!("@ada@{}", host(&hub)) }),
    )
    .await;
    assert_eq!(status, 200, "{follow}");
    assert_eq!(follow["state"], "accepted");
    let (_, again) = call(&hub, &bo, "follows_request", json!({ "actor": uri })).await;
    assert_eq!(again["id"], follow["id"], "asked twice, it is one follow");
    let followers = until(&hub, &format!("{uri}/followers"), 200).await;
    assert_eq!(followers["totalItems"], 1);
    let (_, page) = read(&hub, followers["first"].as_str().unwrap()).await;
    assert_eq!(page["orderedItems"].as_array().unwrap().len(), 1, "{page}");

    // Somebody else's follow is not there for him.
    let (status, _) = call(&hub, &ada, "follows_undo", json!({ "id": follow["id"] })).await;
    assert_eq!(status, 404);
    let (status, _) = call(&hub, &bo, "follows_undo", json!({ "id": follow["id"] })).await;
    assert_eq!(status, 200);
    assert_eq!(
        read(&hub, &format!("{uri}/followers")).await.1["totalItems"],
        0
    );

    // A private profile is not there; a public one is again.
    let hide = |public: bool| json!({ "is_public": public });
    let patched = ada
        .ask(
            &hub,
            Method::PATCH,
            &format!("/rest/v1/profiles?id=eq.{}", ada.id),
        )
        .json(&hide(false))
        .send()
        .await
        .unwrap();
    assert!(patched.status().is_success());
    until_fresh(&hub, &uri, 404).await;
    let (status, refused) = call(&hub, &ada, "follows_request", json!({ "actor": "@bo" })).await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (409, Some("actor.not_public")),
        "{refused}"
    );
    let (status, told) = call(&hub, &ada, "actors_publish", json!({})).await;
    assert_eq!(status, 200, "{told}");
    until_fresh(&hub, &uri, 200).await;

    // The account goes: the address says so for good, and its name is never free again.
    let client = hub.database.admin().await;
    client
        .batch_execute(&format!("delete from users where id = '{}'", ada.id))
        .await
        .unwrap();
    let stone = until_fresh(&hub, &uri, 410).await;
    assert_eq!(stone["type"], "Tombstone");
    assert_eq!(stone["formerType"], "Person");
    assert!(stone.get("name").is_none());
    let other = hub.ask(Method::POST, "/auth/v1/signup")
        .json(&json!({ "email": "ada2@example.org", "password": "ada two walks the dog", "data": { "full_name": "ada" } }))
        .send().await.unwrap();
    assert!(other.status().is_success());
    finger(&hub, "ada_2").await;
}

/// The same past the shelf, which is emptied a moment after a change.
async fn until_fresh(hub: &TestHub, url: &str, wanted: u16) -> Value {
    until(hub, url, wanted).await
}

#[actix_web::test]
async fn a_tenant_and_an_agent_are_shown_by_their_people_only() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let bo = hub.sign_up("bo").await;
    let agent = ada
        .adds(&hub, "agents", json!({ "name": "Sofia the helper" }))
        .await;

    let (status, _) = call(
        &hub,
        &bo,
        "actors_publish",
        json!({ "kind": "agent", "id": agent["id"] }),
    )
    .await;
    assert_eq!(status, 404, "not his");
    let (status, shown) = call(
        &hub,
        &ada,
        "actors_publish",
        json!({ "kind": "agent", "id": agent["id"], "handle": "Sofia" }),
    )
    .await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["handle"], "sofia");
    let uri = shown["uri"].as_str().unwrap();
    finger(&hub, "ada").await;
    let (_, document) = read(&hub, uri).await;
    assert_eq!(document["type"], "Service");
    assert_eq!(document["mo:kind"], "mo:Agent");
    let operator = document["mo:operator"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(operator.contains("/ap/actors/"), "{document}");

    let (status, told) = call(&hub, &ada, "actors_update", json!({ "id": shown["id"], "changes": { "summary": "I *help*.", "properties": [{ "name": "Skills", "value": "<b>all</b><script>x</script>" }], "locked": true } })).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["summary"], "<p>I <em>help</em>.</p>");
    assert_eq!(told["manuallyApprovesFollowers"], true);
    assert!(
        !told["attachment"][0]["value"]
            .as_str()
            .unwrap()
            .contains("script"),
        "{told}"
    );
    let (status, _) = call(
        &hub,
        &bo,
        "actors_update",
        json!({ "id": shown["id"], "changes": { "summary": "mine" } }),
    )
    .await;
    assert_eq!(status, 403);

    let (status, asked) = call(&hub, &bo, "follows_request", json!({ "actor": uri })).await;
    assert_eq!(
        (status, asked["state"].as_str()),
        (200, Some("pending")),
        "{asked}"
    );

    let (status, _) = call(&hub, &ada, "actors_withdraw", json!({ "id": shown["id"] })).await;
    assert_eq!(status, 200);
    until(&hub, uri, 410).await;
}
