//! What everybody may take along from a hub: public things, a page at a time, cacheable, and nothing else.

use serde_json::{Value, json};

use super::trade::Market;
use crate::support::hubs::Hub;
use crate::support::linked;
use crate::support::peer::client;
use crate::support::people::Person;

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
        "own.jsonld",
        "declarations.atom",
    ] {
        assert_eq!(export(&hub, wrong, None).await.0, 404, "{wrong}");
    }
}

/// What somebody is told who shows a token, or none: status, header and body.
async fn own(hub: &Hub, who: Option<&Person>, path: &str) -> (u16, String, Value) {
    let url = format!("{}/export/{path}", hub.hub.url);
    let mut request = client().get(url).header("Host", &hub.host);
    if let Some(who) = who {
        request = request.header("Authorization", format!("Bearer {}", who.token));
    }
    let answer = request.send().await.unwrap();
    let cached = answer.headers().get_all("cache-control").iter();
    let cached: Vec<&str> = cached.map(|value| value.to_str().unwrap()).collect();
    let cached = cached.join(", ");
    let status = answer.status().as_u16();
    (status, cached, answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_upon_is_exported_to_its_parties_alone() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let carol = b.member("carol").await;
    let mut agreed = Vec::new();
    for n in 0..12 {
        let row =
            json!({ "decl_type": "offer", "title": format!("Jam {n}"), "exchange_type": "gift" });
        let uri = market.declares(row).await;
        agreed.push(market.agrees(json!({ "declaration": uri })).await);
    }
    // One more is only asked for: nobody has agreed to it.
    let open = market
        .declares(json!({ "decl_type": "offer", "title": "More", "exchange_type": "gift" }))
        .await;
    market.offers(json!({ "declaration": open })).await;
    for (his, hers) in &agreed[..5] {
        market.bruno_says(his, "fulfilled").await;
        market.alice_says(hers, "fulfilled").await;
        market.both_stand(his, hers, "completed").await;
    }

    for (hub, who) in [(a, &market.alice), (b, &market.bruno)] {
        let person = Some(&who.person);
        let (status, cached, whole) = own(hub, person, "agreements.jsonld").await;
        assert_eq!((status, whole["totalItems"].as_i64()), (200, Some(22)));
        assert!(cached.contains("no-store"), "{cached}");
        assert_eq!(
            whole["id"],
            format!("{}/export/agreements.jsonld", hub.public)
        );
        let mut papers = Vec::new();
        let mut next = Some("agreements.jsonld?page=true".to_owned());
        while let Some(path) = next {
            let (status, cached, page) = own(hub, person, &path).await;
            assert!(
                status == 200 && cached.contains("no-store"),
                "{status} {cached}"
            );
            papers.extend(page["orderedItems"].as_array().unwrap().clone());
            linked::is_whole(&page);
            next = page["next"]
                .as_str()
                .map(|uri| uri.split_once("/export/").unwrap().1.to_owned());
        }
        let of = |kind: &str| papers.iter().filter(|paper| paper["type"] == kind).count();
        assert_eq!(
            (papers.len(), of("Agreement"), of("Document")),
            (22, 12, 10)
        );
        // What was signed can still be checked.
        let signed: Vec<&Value> = papers
            .iter()
            .filter(|it| it.get("proof").is_some())
            .collect();
        assert_eq!(signed.len(), 22);
        assert!(signed.iter().all(|it| it.get("@context").is_some()));
        let graph = own(hub, person, "agreements.jsonld?page=true&as=graph")
            .await
            .2;
        assert!(!graph["@graph"].as_array().unwrap().is_empty());
        linked::is_whole(&graph);
    }

    let (status, _, whole) = own(b, Some(&carol.person), "agreements.jsonld").await;
    assert_eq!((status, whole["totalItems"].as_i64()), (200, Some(0)));
    let page = own(b, Some(&carol.person), "agreements.jsonld?page=true")
        .await
        .2;
    assert_eq!(page["orderedItems"], json!([]));
    let mut forged = carol.person.clone();
    forged.token = format!("{}x", market.bruno.person.token);
    for (who, path) in [
        (None, "agreements.jsonld"),
        (None, "agreements.jsonld?page=true"),
        (None, "own%2Fagreements.jsonld"),
        (Some(&forged), "agreements.jsonld"),
        // A token of another hub is none here.
        (Some(&market.alice.person), "agreements.jsonld"),
    ] {
        let (status, cached, said) = own(b, who, path).await;
        let expected = if path.contains("%2F") {
            401..405
        } else {
            401..402
        };
        assert!(expected.contains(&status), "{path}: {status} {said}");
        assert!(cached.contains("no-store"), "{path}: {cached}");
        assert!(
            said["code"].is_string() && said.get("orderedItems").is_none(),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_listings_are_a_feed() {
    let hub = Hub::start("a", "", &[]).await;
    let ann = hub.member("ann").await;
    let mut rows = Vec::new();
    for (title, visibility, status) in [
        ("Hidden one", "followers", "active"),
        ("Draft", "public", "draft"),
        ("A <b>bike</b> & more", "public", "active"),
        ("A lamp", "public", "active"),
    ] {
        let listing = json!({ "listing_type": "physical", "title": title, "status": status, "visibility": visibility,
            "price_type": "free", "description": "Some *rust*." });
        rows.push(ann.person.adds(&hub.hub, "listings", listing).await);
    }
    let (status, tag, kind, _) = export(&hub, "listings.atom", None).await;
    assert_eq!(
        (status, kind.as_str()),
        (200, "application/atom+xml; charset=utf-8")
    );
    assert_eq!(export(&hub, "listings.atom", tag.as_deref()).await.0, 304);
    let feed = hub.ask("/export/listings.atom").await.body;
    assert!(
        feed.find("A lamp").unwrap() < feed.find("A &lt;b&gt;bike&lt;/b&gt; &amp; more").unwrap()
    );
    assert_eq!(feed.matches("<entry>").count(), 2, "{feed}");
    assert!(!feed.contains("Hidden one") && !feed.contains("Draft"));
    let uri = rows[3]["federated_ap_id"].as_str().unwrap();
    assert!(feed.contains(&format!("<id>{uri}</id>")), "{feed}");
    // Whoever has the export finds the feed, and its entries lead to pages.
    let whole = export(&hub, "listings.jsonld", None).await.3;
    assert_eq!(
        whole["url"]["href"],
        format!("{}/export/listings.atom", hub.public)
    );
    let page = rows[3]["url"].as_str().unwrap();
    assert!(feed.contains(&format!("href=\"{page}\"")), "{feed}");
    let answer = client()
        .get(page.replace(&hub.public, &hub.hub.url))
        .header("Host", &hub.host)
        .header("Accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("A lamp"));

    // It changes with what it is about.
    hub.changes(&ann, "listings", &rows[3], json!({ "status": "withdrawn" }))
        .await;
    let (status, newer, _, _) = export(&hub, "listings.atom", tag.as_deref()).await;
    assert!(status == 200 && newer != tag);
    assert!(
        !hub.ask("/export/listings.atom")
            .await
            .body
            .contains("A lamp")
    );
}
