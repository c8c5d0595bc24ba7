//! What everybody may take along from a hub: public things, a page at a time, cacheable, and nothing else.

use serde_json::{Value, json};

use crate::support::hubs::Hub;
use crate::support::peer::client;

async fn export(hub: &Hub, path: &str, tag: Option<&str>) -> (u16, Option<String>, String, Value) {
    let mut request = client()
        .get(format!("{}/export/{path}", hub.hub.url))
        .header("Host", &hub.host);
    if let Some(tag) = tag {
        request = request.header("If-None-Match", tag);
    }
    let answer = request.send().await.unwrap();
    let text = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (status, tag, kind) = (
        answer.status().as_u16(),
        text("etag"),
        text("content-type").unwrap_or_default(),
    );
    let body = answer.text().await.unwrap();
    (
        status,
        tag,
        kind,
        serde_json::from_str(&body).unwrap_or(Value::Null),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_is_exported_and_nothing_else() {
    let hub = Hub::start("a", "", &[]).await;
    let ann = hub.member("ann").await;
    for n in 0..45 {
        let listing = json!({ "listing_type": "physical", "title": format!("Thing {n}"), "status": "active", "price_type": "free" });
        ann.person.adds(&hub.hub, "listings", listing).await;
    }
    for (visibility, status) in [
        ("private", "active"),
        ("unlisted", "active"),
        ("public", "draft"),
    ] {
        let listing = json!({ "listing_type": "physical", "title": "Hidden", "status": status, "visibility": visibility, "price_type": "free" });
        ann.person.adds(&hub.hub, "listings", listing).await;
    }
    let need = json!({ "decl_type": "need", "title": "A hand", "exchange_type": "gift" });
    ann.person.adds(&hub.hub, "declarations", need).await;
    for (name, is_public) in [("Open", true), ("Closed", false)] {
        ann.person
            .adds(
                &hub.hub,
                "daos",
                json!({ "name": name, "slug": name.to_lowercase(), "is_public": is_public }),
            )
            .await;
    }

    let (status, tag, kind, whole) = export(&hub, "listings.jsonld", None).await;
    assert_eq!(
        (status, kind.as_str(), whole["totalItems"].as_i64()),
        (200, "application/ld+json", Some(45))
    );
    assert_eq!(whole["@context"], format!("{}/ns/hub/v1", hub.public));
    assert_eq!(export(&hub, "listings.jsonld", tag.as_deref()).await.0, 304);

    let mut titles = Vec::new();
    let mut next = Some("listings.jsonld?page=true".to_owned());
    while let Some(path) = next {
        let page = export(&hub, &path, None).await.3;
        titles.extend(
            page["orderedItems"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        next = page["next"]
            .as_str()
            .map(|uri| uri.split_once("/export/").unwrap().1.to_owned());
    }
    let expected: Vec<String> = (0..45).rev().map(|n| format!("Thing {n}")).collect();
    assert_eq!(titles, expected);

    let graph = export(&hub, "declarations.jsonld?page=true&as=graph", None)
        .await
        .3;
    assert_eq!(graph["@graph"][0]["mo:kind"], "mo:Declaration");
    assert_eq!(graph["@graph"].as_array().unwrap().len(), 1);
    let daos = hub
        .until("the DAO has its actor", async || {
            let page = export(&hub, "daos.jsonld?page=true", None).await.3;
            let names: Vec<String> = page["orderedItems"]
                .as_array()
                .unwrap()
                .iter()
                .map(|dao| dao["name"].as_str().unwrap().to_owned())
                .collect();
            (!names.is_empty()).then_some(names)
        })
        .await;
    assert_eq!(daos, ["Open"]);
    assert_eq!(
        export(&hub, "proposals.jsonld", None).await.3["totalItems"],
        0
    );
    for wrong in [
        "users.jsonld",
        "listings",
        "listings.json",
        "agreements.jsonld",
    ] {
        assert_eq!(export(&hub, wrong, None).await.0, 404, "{wrong}");
    }
}
