//! How others find the hub and its actors: WebFinger, host-meta, NodeInfo, the hub's own actor; and that whatever they are
//! told is made from the hub's settings, never from the request.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};
use crate::support::peer::{ACTIVITY, Told, client};
use crate::support::people::Person;

async fn found(hub: &Hub, resource: &str) -> Told {
    let resource: String = url::form_urlencoded::byte_serialize(resource.as_bytes()).collect();
    hub.ask(&format!("/.well-known/webfinger?resource={resource}"))
        .await
}

fn link<'a>(told: &'a Value, rel: &str) -> &'a Value {
    let links = told["links"].as_array().unwrap();
    links.iter().find(|link| link["rel"] == rel).unwrap()
}

/// Somebody on a hub whose address is not the one that the test asks it by.
async fn publish(hub: &Hub, name: &str) -> (Person, Value) {
    let person = hub.hub.sign_up(name).await;
    let path = format!("/rest/v1/users?id=eq.{}", person.id);
    let told = person
        .ask(&hub.hub, Method::PATCH, &path)
        .json(&json!({ "handle": name }))
        .send()
        .await
        .unwrap();
    assert!(told.status().is_success());
    hub.rpc(&person, "actors_publish", json!({})).await;
    let query = format!("select uri from ap_actors where preferred_username = '{name}'");
    let uri = hub
        .until("the actor is there", async || hub.text(&query).await)
        .await;
    let path = url::Url::parse(&uri).unwrap().path().to_owned();
    let document = hub.ask(&path).await.json();
    (person, document)
}

#[tokio::test]
async fn webfinger_answers_by_every_name_an_actor_has() {
    let hub = Hub::start("a", "", &[]).await;
    let Member { actor, .. } = hub.member("alice").await;
    let page = format!("{}/@alice", hub.public);
    for resource in [
        format!("acct:alice@{}", hub.host),
        format!("acct:@alice@{}", hub.host),
        format!("acct:Alice@{}", hub.host.to_uppercase()),
        actor.clone(),
        page.clone(),
    ] {
        let told = found(&hub, &resource).await;
        assert_eq!(told.status, 200, "{resource}: {told:?}");
        assert_eq!(told.header("content-type"), Some("application/jrd+json"));
        assert_eq!(told.header("access-control-allow-origin"), Some("*"));
        assert_eq!(told.header("cache-control"), Some("max-age=60"));
        let told = told.json();
        assert_eq!(told["subject"], json!(format!("acct:alice@{}", hub.host)));
        assert_eq!(told["aliases"], json!([page, actor]));
        assert_eq!(link(&told, "self")["href"], json!(actor));
        assert_eq!(link(&told, "self")["type"], ACTIVITY);
        let subscribe = link(&told, "http://ostatus.org/schema/1.0/subscribe");
        let template = format!("{}/interact?uri={{uri}}", hub.public);
        assert_eq!(subscribe["template"], json!(template));
    }

    for nobody in [
        format!("acct:bob@{}", hub.host),
        "acct:alice@elsewhere.example".to_owned(),
        format!("{actor}x"),
        format!("{}/@bob", hub.public),
        format!("{}.evil.example/@alice", hub.public),
        "acct:alice".to_owned(),
        "%00".to_owned(),
        "javascript:alert(1)".to_owned(),
        "x".repeat(5000),
    ] {
        let told = found(&hub, &nobody).await;
        assert_eq!(told.status, 404, "{nobody}: {told:?}");
    }
    let told = hub.ask("/.well-known/webfinger").await;
    assert_eq!(told.status, 400, "{told:?}");
}

#[tokio::test]
async fn the_hub_itself_is_found_by_its_origin_and_by_its_name() {
    let hub = Hub::start("a", "", &[]).await;
    let actor = format!("{}/ap/actor", hub.public);
    for resource in [
        hub.public.clone(),
        format!("{}/", hub.public),
        format!("acct:{0}@{0}", hub.host),
        actor.clone(),
    ] {
        let told = found(&hub, &resource).await;
        assert_eq!(told.status, 200, "{resource}: {told:?}");
        assert_eq!(link(&told.json(), "self")["href"], json!(actor));
    }

    let told = hub.ask("/ap/actor").await;
    assert_eq!(told.status, 200);
    let node = told.json();
    assert_eq!(node["type"], "Application");
    assert_eq!(node["id"], json!(actor));
    assert_eq!(node["preferredUsername"], json!(hub.host));
    assert_eq!(node["mo:kind"], "mo:Node");
    assert_eq!(
        node["mo:changes"],
        json!(format!("{}/ap/changes", hub.public))
    );
    let says = node["implements"].as_array().unwrap();
    assert!(
        says.iter()
            .any(|link| link["href"] == "https://w3id.org/made-open/hub/v1")
    );
    assert_eq!(node["publicKey"]["id"], json!(format!("{actor}#main-key")));
    assert_eq!(node["publicKey"]["owner"], json!(actor));
    assert_eq!(node["assertionMethod"][0]["controller"], json!(actor));
    // Its collections are there, and empty for strangers.
    for name in ["outbox", "followers", "following", "inbox"] {
        let told = hub.ask(&format!("/ap/actor/{name}")).await;
        assert_eq!(told.status, 200, "{name}: {told:?}");
        assert_eq!(told.json()["totalItems"], 0, "{name}");
    }
}

#[tokio::test]
async fn host_meta_and_nodeinfo_say_where_things_are() {
    let hub = Hub::start("a", "", &[]).await;
    hub.member("alice").await;
    let template = format!("{}/.well-known/webfinger?resource={{uri}}", hub.public);

    let told = hub.ask("/.well-known/host-meta").await;
    assert_eq!(told.header("content-type"), Some("application/xrd+xml"));
    assert!(told.body.contains("rel=\"lrdd\""), "{told:?}");
    assert!(told.body.contains(&template), "{told:?}");
    let told = hub.ask("/.well-known/host-meta.json").await;
    assert_eq!(told.json()["links"][0]["template"], json!(template));

    let links = hub.ask("/.well-known/nodeinfo").await.json();
    for version in ["2.0", "2.1"] {
        let rel = format!("http://nodeinfo.diaspora.software/ns/schema/{version}");
        let href = link(&links, &rel)["href"].as_str().unwrap().to_owned();
        let told = hub.ask(&href).await;
        let kind = told.header("content-type").unwrap().to_owned();
        assert!(kind.contains(&format!("{rel}#")), "{kind}");
        let info = told.json();
        assert_eq!(info["version"], version);
        assert_eq!(info["software"]["name"], "made-open");
        assert_eq!(info["protocols"], json!(["activitypub"]));
        assert!(info["usage"]["users"]["total"].as_i64().unwrap() >= 1);
        assert_eq!(info["metadata"]["mo:contract"], "1");
        assert_eq!(info["metadata"]["federation"]["enabled"], true);
        // The schema of 2.0 knows no more of the software than its name and version.
        assert_eq!(info["software"]["repository"].is_string(), version == "2.1");
    }
    assert_eq!(hub.ask("/nodeinfo/3.0").await.status, 404);
}

#[tokio::test]
async fn handles_may_live_on_another_domain_than_the_hub() {
    let hub = Hub::start("a", "", &[("MADE_OPEN_HANDLE_DOMAIN", "People.example")]).await;
    let Member { actor, .. } = hub.member("alice").await;
    for resource in [
        "acct:alice@people.example".to_owned(),
        format!("acct:alice@{}", hub.host),
        actor.clone(),
    ] {
        let told = found(&hub, &resource).await.json();
        assert_eq!(told["subject"], "acct:alice@people.example", "{resource}");
        assert_eq!(link(&told, "self")["href"], json!(actor));
    }
    let document = hub.ask(&actor).await.json();
    assert_eq!(document["webfinger"], "alice@people.example");
    assert_eq!(document["id"], json!(actor));
    assert!(actor.starts_with(&hub.public));
}

#[tokio::test]
async fn ids_have_no_port_unless_the_public_address_has_one() {
    let hub = Hub::start("a", "", &[("MADE_OPEN_PUBLIC_URL", "https://hub.example")]).await;
    let (_, document) = publish(&hub, "alice").await;
    let id = document["id"].as_str().unwrap();
    assert!(id.starts_with("https://hub.example/ap/actors/"), "{id}");
    assert_eq!(document["webfinger"], "alice@hub.example");
    let told = found(&hub, "acct:alice@hub.example").await.json();
    assert_eq!(link(&told, "self")["href"], json!(id));
    let port = hub.host.split(':').nth(1).unwrap();
    assert!(!document.to_string().contains(port), "{document}");
}

#[tokio::test]
async fn s_109_no_header_of_a_request_gets_into_an_id() {
    let hub = Hub::start("a", "", &[]).await;
    let Member { actor, .. } = hub.member("alice").await;
    let acct = format!("/.well-known/webfinger?resource=acct:alice@{}", hub.host);
    let actor = actor.strip_prefix(&hub.public).unwrap();
    for path in [
        actor,
        &format!("{actor}/outbox"),
        &format!("{actor}/followers"),
        &acct,
        "/ap/actor",
        "/.well-known/host-meta",
        "/.well-known/host-meta.json",
        "/.well-known/nodeinfo",
        "/nodeinfo/2.1",
    ] {
        let honest = hub.ask(path).await;
        assert_eq!(honest.status, 200, "{path}");
        let told = client()
            .get(format!("{}{path}", hub.hub.url))
            .header("Accept", ACTIVITY)
            .header("Host", "evil.example")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "https")
            .header("Forwarded", "host=evil.example;proto=https")
            .send()
            .await
            .unwrap();
        let told = Told::of(told).await;
        assert_eq!(told.status, 200, "{path}");
        assert_eq!(told.body, honest.body, "{path}");
        let headers = format!("{:?}", told.headers);
        assert!(!headers.contains("evil.example"), "{headers}");
    }
    // A name on the forged host is nobody's.
    assert_eq!(found(&hub, "acct:alice@evil.example").await.status, 404);
}
