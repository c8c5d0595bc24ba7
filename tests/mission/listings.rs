//! The whole life of a listing between hubs: said to followers, found by address, changed, sold, deleted; what is a draft or
//! nobody else's business stays at home.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};

fn bike() -> Value {
    json!({
        "listing_type": "physical", "title": "Blue one-speed bike", "description": "Some rust, rides well.", "status": "active",
        "price_type": "fixed", "price_amount": 30, "price_currency": "EUR", "tags": ["bike"], "category": "bicycles", "condition": "used",
        "place_name": "Berlin", "latitude": 52.52, "longitude": 13.4, "place_radius_m": 5000, "fulfilment": ["pickup", "shipping"],
        "language": "en", "expires_at": "2099-01-20T00:00:00Z",
        "photos": [{ "url": "https://media.example/bike.webp", "media_type": "image/webp", "name": "A blue bike", "width": 1200, "height": 900 }],
    })
}

/// The address of a listing, as others know it.
async fn uri(hub: &Hub, listing: &Value) -> String {
    let id = listing["id"].as_str().unwrap();
    hub.text(&format!(
        "select federated_ap_id from listings where id = '{id}'"
    ))
    .await
    .unwrap()
}

/// Change a listing as its owner.
async fn changes(hub: &Hub, who: &Member, listing: &Value, change: Value) -> u16 {
    let path = format!(
        "/rest/v1/listings?id=eq.{}",
        listing["id"].as_str().unwrap()
    );
    let answer = who
        .person
        .ask(&hub.hub, Method::PATCH, &path)
        .json(&change)
        .send()
        .await
        .unwrap();
    answer.status().as_u16()
}

/// Wait until somebody of another hub reads the listing so.
async fn reads(
    hub: &Hub,
    who: &Member,
    uri: &str,
    what: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    hub.until(&format!("{uri} {what}"), async || {
        let rows = who
            .person
            .reads(
                &hub.hub,
                &format!("/rest/v1/listings?federated_ap_id=eq.{uri}"),
            )
            .await;
        rows.as_array()
            .unwrap()
            .first()
            .filter(|row| is_so(row))
            .cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_lives_on_both_hubs() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let [shop, other] = hubs.as_slice() else {
        unreachable!()
    };
    let (ann, bob) = (shop.member("ann").await, other.member("bob").await);
    other.follows(&bob, &ann.handle).await;

    let listing = ann.person.adds(&shop.hub, "listings", bike()).await;
    let uri = uri(shop, &listing).await;
    let row = reads(other, &bob, &uri, "comes", |_| true).await;
    assert_eq!(row["owner_id"], Value::Null);
    for (column, expected) in [
        ("title", json!("Blue one-speed bike")),
        ("description", json!("Some rust, rides well.")),
        ("price_amount", json!(30.0)),
        ("price_currency", json!("EUR")),
        ("price_type", json!("fixed")),
        ("listing_type", json!("physical")),
        ("status", json!("active")),
        ("category", json!("bicycles")),
        ("condition", json!("used")),
        ("place_name", json!("Berlin")),
        ("latitude", json!(52.52)),
        ("fulfilment", json!(["pickup", "shipping"])),
        ("tags", json!(["bike"])),
    ] {
        let is_same = row[column] == expected
            || row[column]
                .as_f64()
                .is_some_and(|number| Some(number) == expected.as_f64());
        assert!(is_same, "{column}: {} is not {expected}", row[column]);
    }
    assert_eq!(row["photos"][0]["name"], "A blue bike");

    // Nobody but its own hub changes it.
    let path = format!("/rest/v1/listings?id=eq.{}", row["id"].as_str().unwrap());
    let answer = bob
        .person
        .ask(&other.hub, Method::PATCH, &path)
        .json(&json!({ "title": "mine" }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().as_u16() >= 400 || answer.text().await.unwrap() != "mine");
    assert_eq!(
        reads(other, &bob, &uri, "stays", |_| true).await["title"],
        "Blue one-speed bike"
    );

    assert_eq!(
        changes(
            shop,
            &ann,
            &listing,
            json!({ "price_amount": 25, "title": "Blue bike" })
        )
        .await
            / 100,
        2
    );
    reads(other, &bob, &uri, "is cheaper", |row| {
        row["price_amount"].as_f64() == Some(25.0) && row["title"] == "Blue bike"
    })
    .await;

    // What is sold is said to be sold, and is still there.
    assert_eq!(
        changes(shop, &ann, &listing, json!({ "status": "sold" })).await / 100,
        2
    );
    reads(other, &bob, &uri, "is sold", |row| row["status"] == "sold").await;
    let said = shop
        .count(&format!(
            "select count(*) from ap_activities where type = 'Delete' and object_uri = '{uri}'"
        ))
        .await;
    assert_eq!(said, 0);

    let path = format!(
        "/rest/v1/listings?id=eq.{}",
        listing["id"].as_str().unwrap()
    );
    ann.person
        .ask(&shop.hub, Method::DELETE, &path)
        .send()
        .await
        .unwrap();
    other
        .counts(
            &format!("select count(*) from listings where federated_ap_id = '{uri}'"),
            0,
        )
        .await;
    assert_eq!(shop.ask(&uri).await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_offer_to_everybody_stays_at_home() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let [shop, other] = hubs.as_slice() else {
        unreachable!()
    };
    let (ann, bob) = (shop.member("ann").await, other.member("bob").await);
    other.follows(&bob, &ann.handle).await;
    let with = |more: Value| {
        let mut it = bike();
        it.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        it
    };
    let draft = ann
        .person
        .adds(
            &shop.hub,
            "listings",
            with(json!({ "status": "draft", "title": "Draft" })),
        )
        .await;
    let own = ann
        .person
        .adds(
            &shop.hub,
            "listings",
            with(json!({ "visibility": "private", "title": "Private" })),
        )
        .await;
    let shown = ann.person.adds(&shop.hub, "listings", bike()).await;
    let shown = uri(shop, &shown).await;
    reads(other, &bob, &shown, "comes", |_| true).await;

    assert_eq!(other.count("select count(*) from listings").await, 1);
    for hidden in [&draft, &own] {
        assert_eq!(shop.ask(&uri(shop, hidden).await).await.status, 404);
    }
    assert_eq!(
        shop.count("select count(*) from ap_activities where type = 'Create'")
            .await,
        1
    );

    // A draft goes out when it is one no more, and what pauses is withdrawn for everybody else.
    assert_eq!(
        changes(shop, &ann, &draft, json!({ "status": "active" })).await / 100,
        2
    );
    let draft_uri = uri(shop, &draft).await;
    reads(other, &bob, &draft_uri, "comes", |row| {
        row["status"] == "active"
    })
    .await;
    assert_eq!(
        changes(shop, &ann, &draft, json!({ "status": "paused" })).await / 100,
        2
    );
    other.counts(&format!("select count(*) from listings where federated_ap_id = '{draft_uri}' and status = 'withdrawn'"), 1).await;

    // A price that needs an amount has one, and nothing is written otherwise.
    let path = "/rest/v1/listings";
    let answer = ann
        .person
        .ask(&shop.hub, Method::POST, path)
        .json(&with(json!({ "title": "x", "price_amount": null })))
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.status().as_u16() / 100,
        4,
        "{}",
        answer.text().await.unwrap()
    );
    assert_eq!(
        shop.count("select count(*) from listings where title = 'x'")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_read_in_both_forms_and_in_collections() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let [shop, other] = hubs.as_slice() else {
        unreachable!()
    };
    let (ann, bob) = (shop.member("ann").await, other.member("bob").await);
    let listing = ann.person.adds(&shop.hub, "listings", bike()).await;
    let uri = uri(shop, &listing).await;

    let note = shop.ask(&uri).await.json();
    assert_eq!(
        (
            note["type"].as_str(),
            note["mo:price"].as_str(),
            note["mo:kind"].as_str()
        ),
        (Some("Note"), Some("30.00"), Some("mo:Listing"))
    );
    assert_eq!(note["publishes"]["id"], format!("{uri}#primary"));
    assert_eq!(
        note["reciprocal"]["resourceQuantity"],
        json!({ "hasUnit": "one", "hasNumericalValue": "30.00" })
    );
    assert_eq!(
        note["content"],
        "<p><strong>Blue one-speed bike</strong><br>Offer · 30.00 EUR · Berlin · available</p><p>Some rust, rides well.</p><p>#bike</p>"
    );
    assert!(note["proof"].is_object());
    let proposal = shop.ask(&format!("{uri}/proposal")).await.json();
    assert_eq!(
        (proposal["type"].as_str(), proposal["id"].as_str()),
        (Some("Proposal"), Some(format!("{uri}/proposal").as_str()))
    );
    assert_eq!(
        proposal["publishes"]["id"],
        format!("{uri}/proposal#primary")
    );
    let all = shop.ask(&format!("{}/listings", ann.actor)).await.json();
    assert_eq!(all["totalItems"], 1);

    // Somebody who follows nobody looks it up by its address, asks in public and in private.
    other
        .rpc(&bob.person, "actors_resolve", json!({ "query": uri }))
        .await;
    reads(other, &bob, &uri, "was looked up", |_| true).await;
    let question = json!({ "content": format!("{} does it squeak?", ann.handle), "visibility": "public", "in_reply_to": uri });
    other.posts(&bob, question).await;
    let found = shop
        .until("the reply counts", async || {
            let replies = shop.ask(&format!("{uri}/replies")).await.json();
            (replies["totalItems"] == 1).then_some(replies)
        })
        .await;
    assert_eq!(found["totalItems"], 1);

    let asked = json!({ "content": "Would you take 20?", "visibility": "direct", "recipients": [ann.actor], "in_reply_to": uri });
    other.posts(&bob, asked).await;
    let id = listing["id"].as_str().unwrap();
    shop.counts(
        &format!(
            "select count(*) from conversations where owner_id = '{}' and listing_id = '{id}'",
            ann.person.id
        ),
        1,
    )
    .await;
    let items = ann
        .person
        .reads(&shop.hub, "/rest/v1/inbox_items?order=created_at.desc")
        .await;
    let inquiry = items
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["metadata"]["listing_id"] == id)
        .unwrap();
    assert!(
        inquiry["subject"]
            .as_str()
            .unwrap()
            .starts_with("Blue one-speed bike"),
        "{inquiry}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_market_is_searched_by_what_matters() {
    let hub = Hub::start("a", "", &[]).await;
    let (ann, bob) = (hub.member("ann").await, hub.member("bob").await);
    for (title, more) in [
        ("Red bike", json!({ "price_amount": 10 })),
        (
            "Blue bike",
            json!({ "price_amount": 50, "category": "toys" }),
        ),
        ("Far bike", json!({ "latitude": 48.85, "longitude": 2.35 })),
        (
            "Free bike",
            json!({ "price_type": "free", "price_amount": null }),
        ),
        ("Hidden bike", json!({ "visibility": "unlisted" })),
        ("Paused bike", json!({ "status": "draft" })),
        (
            "Lessons",
            json!({ "listing_type": "service", "price_type": "hourly" }),
        ),
    ] {
        let mut it = bike();
        it.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        it["title"] = json!(title);
        ann.person.adds(&hub.hub, "listings", it).await;
    }
    let titles = async |query: Value| -> Vec<String> {
        let found = hub.rpc(&bob.person, "search_listings", query).await;
        let mut titles: Vec<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["title"].as_str().unwrap().to_owned())
            .collect();
        titles.sort();
        titles
    };
    assert_eq!(
        titles(json!({})).await,
        ["Blue bike", "Far bike", "Free bike", "Lessons", "Red bike"]
    );
    assert_eq!(titles(json!({ "words": "blue" })).await, ["Blue bike"]);
    assert_eq!(titles(json!({ "category": "toys" })).await, ["Blue bike"]);
    assert_eq!(
        titles(json!({ "listing_type": "service" })).await,
        ["Lessons"]
    );
    assert_eq!(
        titles(json!({ "price_max": "15", "currency": "EUR" })).await,
        ["Red bike"]
    );
    assert_eq!(titles(json!({ "is_free": true })).await, ["Free bike"]);
    assert_eq!(
        titles(json!({ "latitude": 48.9, "longitude": 2.3, "within_km": 30 })).await,
        ["Far bike"]
    );
    assert_eq!(
        titles(json!({ "words": "bike", "limit": 2 })).await.len(),
        2
    );
    for wrong in [
        json!({ "latitude": 1000, "longitude": 1 }),
        json!({ "price_min": "-1" }),
        json!({ "anything": 1 }),
    ] {
        assert_eq!(
            hub.tries(&bob.person, "search_listings", wrong).await.0 / 100,
            4
        );
    }
}
