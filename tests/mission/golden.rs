//! Listings, declarations and exchanges as the hub really says them, block by block of sections 5, 6 and 7 of the contract,
//! against files: ids, times and proofs are masked, everything else must stand there letter by letter. `UPDATE_GOLDEN=1` writes
//! the files anew.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::trade::{Market, declares};
use crate::support::hubs::Hub;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/wire")
        .join(name)
}

struct Mask {
    words: Vec<(String, &'static str)>,
    ids: HashMap<String, usize>,
}

impl Mask {
    fn value(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let masked: Map<String, Value> = object
                    .iter()
                    .map(|(name, value)| (name.clone(), self.value(name, value)))
                    .collect();
                Value::Object(masked)
            }
            // What is gone needs no words but those of everybody.
            Value::String(text) if name == "@context" => {
                assert_eq!(text, "https://www.w3.org/ns/activitystreams");
                value.clone()
            }
            value if name == "@context" => {
                assert_eq!(value, made_open::fed::vocab::context());
                json!("CTX")
            }
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.value(name, value)).collect())
            }
            Value::String(text) => json!(self.text(name, text)),
            Value::Number(number) if name == "mo:version" => {
                assert!(number.as_i64().unwrap() > 0);
                json!(1)
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, name: &str, text: &str) -> String {
        match name {
            "proofValue" => {
                assert_eq!(bs58::decode(&text[1..]).into_vec().unwrap().len(), 64);
                return "z…".to_owned();
            }
            "published" | "updated" | "deleted" | "created" | "hasPointInTime" | "mo:expires" => {
                assert!(
                    text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok(),
                    "{text}"
                );
                return "2026-11-20T12:00:00Z".to_owned();
            }
            _ => {}
        }
        let mut text = text.to_owned();
        for (word, fixed) in &self.words {
            text = text.replace(word, fixed);
        }
        let mut masked = String::new();
        let mut rest = text.as_str();
        // An id is whatever has the shape of one.
        while let Some(at) = rest.char_indices().map(|(at, _)| at).find(|at| {
            rest.get(*at..*at + 36)
                .is_some_and(|word| word.parse::<uuid::Uuid>().is_ok())
        }) {
            masked.push_str(&rest[..at]);
            let next = self.ids.len() + 1;
            let number = *self.ids.entry(rest[at..at + 36].to_owned()).or_insert(next);
            masked.push_str(&number.to_string());
            rest = &rest[at + 36..];
        }
        masked + rest
    }
}

async fn last(hub: &Hub, kind: &str) -> Value {
    let query =
        format!("select body from ap_activities where type = '{kind}' order by seq desc limit 1");
    let body = hub
        .until(&format!("{kind} is said"), async || hub.text(&query).await)
        .await;
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_declarations_and_exchanges_stands_in_the_files() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let mut said: Vec<(&str, Value)> = Vec::new();
    let need = declares(
        b,
        &market.bruno,
        json!({ "decl_type": "need", "title": "help fixing a bike", "description": "Rear wheel.", "exchange_type": "time_banking", "quantity": 2,
            "unit": "hour", "skills": ["bike repair"], "tags": ["bikerepair"], "availability": "weekends", "location_pref": "Berlin", "language": "en",
            "category": "https://www.wikidata.org/wiki/Q11442" }),
        b,
    )
    .await;
    said.push(("declaration_created", last(b, "Create").await));
    said.push(("declaration", b.ask(&need).await.json()));
    for (name, row) in [
        (
            "declaration_gift",
            json!({ "decl_type": "offer", "title": "Apples", "exchange_type": "gift" }),
        ),
        (
            "declaration_reciprocal",
            json!({ "decl_type": "willing_to_do", "title": "cook", "exchange_type": "reciprocal" }),
        ),
        (
            "declaration_monetary",
            json!({ "decl_type": "offer", "title": "A table", "exchange_type": "monetary", "quantity": 1,
            "price_amount": "30.5", "price_currency": "EUR", "expires_at": "2099-01-01T00:00:00Z" }),
        ),
    ] {
        let uri = market.declares(row).await;
        said.push((name, a.ask(&uri).await.json()));
    }
    let lesson = market
        .declares(json!({ "decl_type": "willing_to_do", "title": "mend bikes", "exchange_type": "time_banking", "quantity": 2, "unit": "hour" }))
        .await;
    let offer = json!({ "declaration": lesson, "need": need, "terms": "Pickup Saturday" });
    let (his, hers) = market.offers(offer).await;
    said.push(("offer", last(b, "Offer").await));
    a.rpc(
        &market.alice.person,
        "exchanges_reject",
        json!({ "id": hers, "reason": "Not available Saturday", "counter": { "price": "1.5", "terms": "Sunday 10:00" } }),
    )
    .await;
    said.push(("reject_with_counter", last(a, "Reject").await));
    super::trade::stands(b, &his, "rejected").await;
    let made = b
        .rpc(
            &market.bruno.person,
            "exchanges_counter",
            json!({ "id": his }),
        )
        .await;
    said.push(("offer_countering", last(b, "Offer").await));
    b.rpc(
        &market.bruno.person,
        "exchanges_withdraw",
        json!({ "id": made["id"] }),
    )
    .await;
    said.push(("undo", last(b, "Undo").await));
    let (his, hers) = market
        .agrees(json!({ "declaration": lesson, "need": need, "terms": "Pickup Saturday" }))
        .await;
    said.push(("accept", last(a, "Accept").await));
    a.rpc(
        &market.alice.person,
        "exchanges_progress",
        json!({ "id": hers, "progress": "Paid" }),
    )
    .await;
    said.push(("agreement_updated", last(a, "Update").await));
    market.bruno_says(&his, "fulfilled").await;
    said.push(("receipt_created", last(b, "Create").await));
    market.both_stand(&his, &hers, "in_progress").await;

    let words = vec![
        (a.public.clone(), "https://hub.example"),
        (b.public.clone(), "https://coop.example"),
        (a.host.clone(), "hub.example"),
        (b.host.clone(), "coop.example"),
    ];
    hold("trade", &said, &words);
}

/// What is said stands in the files of a folder, and each of them is held against something.
fn hold(name: &str, said: &[(&str, Value)], words: &[(String, &'static str)]) {
    let is_update = std::env::var("UPDATE_GOLDEN").is_ok();
    let folder = folder(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut wrong = Vec::new();
    for (name, document) in said {
        let mut mask = Mask {
            words: words.to_vec(),
            ids: HashMap::new(),
        };
        let masked = serde_json::to_string_pretty(&mask.value("", document)).unwrap() + "\n";
        let file = folder.join(format!("{name}.json"));
        if is_update {
            std::fs::write(&file, &masked).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != masked {
            wrong.push(format!("{name}:\n{masked}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, said.len(), "a file that nothing is held against");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_listings_stands_in_the_files() {
    let hub = Hub::start("a", "", &[]).await;
    let ann = hub.member("ann").await;
    let mut said: Vec<(&str, Value)> = Vec::new();
    let bike = json!({
        "listing_type": "physical", "title": "Blue one-speed bike", "description": "Some rust, rides well.", "status": "active",
        "price_type": "fixed", "price_amount": 30, "price_currency": "EUR", "tags": ["bike"], "category": "bicycles",
        "resource_uri": "https://www.wikidata.org/wiki/Q11442", "condition": "used", "place_name": "Berlin", "latitude": 52.52,
        "longitude": 13.4, "place_radius_m": 5000, "fulfilment": ["pickup", "shipping"], "language": "en",
        "expires_at": "2099-01-20T00:00:00Z",
        "photos": [{ "url": "https://media.hub.example/bike.webp", "media_type": "image/webp", "name": "A blue bike", "width": 1200,
            "height": 900, "blurhash": "LIIE|gRj00WB-;j[t7j[" }],
    });
    let row = ann.person.adds(&hub.hub, "listings", bike).await;
    let uri = row["federated_ap_id"].as_str().unwrap().to_owned();
    said.push(("created", last(&hub, "Create").await));
    said.push(("listing", hub.ask(&uri).await.json()));
    said.push(("proposal", hub.ask(&format!("{uri}/proposal")).await.json()));
    for (name, listing) in [
        (
            "hourly",
            json!({ "listing_type": "service", "title": "Lessons", "status": "active", "price_type": "hourly", "price_amount": "12.5",
                "price_currency": "GBP" }),
        ),
        (
            "negotiable",
            json!({ "listing_type": "physical", "title": "A boat", "status": "active", "price_type": "negotiable" }),
        ),
        (
            "negotiable_asked",
            json!({ "listing_type": "physical", "title": "A raft", "status": "active", "price_type": "negotiable",
                "price_amount": 100, "price_currency": "JPY" }),
        ),
        (
            "free",
            json!({ "listing_type": "physical", "title": "Bricks", "status": "active", "price_type": "free", "quantity": 40,
                "minimum": 10 }),
        ),
        (
            "time_credit",
            json!({ "listing_type": "service", "title": "Gardening", "status": "active", "price_type": "time_credit",
                "price_amount": 2 }),
        ),
        (
            "data_product",
            json!({ "listing_type": "data_product", "title": "Bus times", "status": "active", "price_type": "fixed",
                "price_amount": "0.99", "price_currency": "XTS", "license": "CC-BY-4.0", "format": "text/csv",
                "schema_uri": "https://data.example/schema.json" }),
        ),
        (
            "digital",
            json!({ "listing_type": "digital", "title": "A song", "status": "active", "visibility": "unlisted",
                "price_type": "fixed", "price_amount": 1, "price_currency": "CHF" }),
        ),
    ] {
        let row = ann.person.adds(&hub.hub, "listings", listing).await;
        let uri = row["federated_ap_id"].as_str().unwrap();
        said.push((name, hub.ask(uri).await.json()));
    }
    let ben = hub.member("ben").await;
    let passed_on = hub
        .rpc(&ben.person, "reactions_announce", json!({ "object": uri }))
        .await;
    said.push(("announced", last(&hub, "Announce").await));
    hub.rpc(
        &ben.person,
        "reactions_undo",
        json!({ "id": passed_on["id"] }),
    )
    .await;
    said.push(("announce_undone", last(&hub, "Undo").await));
    hub.changes(&ann, "listings", &row, json!({ "status": "sold" }))
        .await;
    said.push(("sold", last(&hub, "Update").await));
    // What is shown to followers alone says so, and who saw it before is told that it is gone from the market.
    hub.changes(&ann, "listings", &row, json!({ "visibility": "followers" }))
        .await;
    said.push(("for_followers", last(&hub, "Update").await));
    hub.deletes(&ann, "listings", &row).await;
    said.push(("deleted", last(&hub, "Delete").await));
    let gone = hub.ask(&uri).await;
    assert_eq!(gone.status, 410);
    said.push(("tombstone", gone.json()));

    let words = vec![
        (hub.public.clone(), "https://hub.example"),
        (hub.host.clone(), "hub.example"),
    ];
    hold("market", &said, &words);
}
