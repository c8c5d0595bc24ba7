//! R9: what the hub says means something to readers of JSON-LD. Every golden document is expanded by a processor that knows
//! the contexts and fetches nothing: nothing is dropped, and nothing becomes a word without a meaning.

use serde_json::{Value, json};

use super::golden;
use crate::support::hubs::Hub;
use crate::support::linked::{expanded, has_meaning, words};

fn is_linked_data(document: &Value) -> bool {
    document.get("@context").is_some()
}

#[test]
fn r9_nothing_the_hub_says_is_without_a_meaning() {
    let files: Vec<(String, Value)> = golden::all()
        .into_iter()
        .chain(golden::of_trade())
        .map(|(name, golden)| (name, golden::whole(&golden)))
        .filter(|(_, document)| is_linked_data(document))
        .collect();
    assert!(files.len() >= 15, "{}", files.len());
    let documents: Vec<Value> = files.iter().map(|(_, document)| document.clone()).collect();
    for ((name, document), answer) in files.iter().zip(expanded(&documents)) {
        has_meaning(name, document, &answer);
    }
}

#[test]
fn r9_the_check_sees_what_it_is_for() {
    let context = made_open::fed::vocab::context().clone();
    let id = "https://hub.example/ap/posts/1";
    let documents = [
        json!({ "@context": context, "type": "Note", "id": id, "unheard": 1 }),
        // The terms of keys are only in the context of actors.
        json!({ "@context": context, "type": "Person", "id": id, "assertionMethod": [{ "id": format!("{id}#k"), "type": "Multikey" }] }),
        json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "Note", "id": id, "sensitive": true }),
    ];
    for answer in expanded(&documents) {
        let mut found = Vec::new();
        words(&answer["expanded"], &mut found);
        assert!(found.iter().any(|word| word.starts_with("_:")), "{answer}");
    }
    // A protected term cannot be given another meaning.
    let mut clash = context.as_array().unwrap().clone();
    clash.push(json!({ "proofValue": "https://evil.example/ns#proofValue" }));
    let answer = expanded(&[
        json!({ "@context": clash, "id": id, "proof": { "type": "DataIntegrityProof", "proofValue": "z" } }),
    ]);
    let text = answer[0].to_string();
    assert!(
        answer[0].get("error").is_some() || !text.contains("evil.example"),
        "{text}"
    );
}

#[tokio::test]
async fn the_published_context_is_the_inline_one() {
    let hub = Hub::start("a", "", &[]).await;
    let told = hub.ask("/ns/hub/v1").await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("content-type"), Some("application/ld+json"));
    assert!(told.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(told.header("access-control-allow-origin"), Some("*"));
    let published = told.json();
    assert_eq!(published["@context"], *made_open::fed::vocab::context());

    // And both are what the contract lists.
    let listed = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/wire/context.json"
    ))
    .unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(published["@context"], listed);
    // By its own address it is the same as inline.
    let actor = hub.ask("/ap/actor").await.json();
    let mut linked = actor.clone();
    let mut contexts = vec![json!("https://w3id.org/made-open/hub/v1")];
    contexts.extend([json!("https://w3id.org/security/multikey/v1")]);
    linked["@context"] = Value::Array(contexts);
    let answers = expanded(&[actor, linked]);
    assert_eq!(answers[0]["expanded"], answers[1]["expanded"]);
}
