//! R9: what the hub says means something to readers of JSON-LD. Every golden document is expanded by a processor that knows
//! the contexts and fetches nothing: nothing is dropped, and nothing becomes a word without a meaning.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::golden;
use crate::support::hubs::Hub;

/// Documents as a processor reads them.
fn expanded(documents: &[Value]) -> Vec<Value> {
    let node = std::env::var("MADE_OPEN_TEST_NODE").expect("scripts/test says where Node is");
    let own = made_open::fed::vocab::context_document().to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/expand.mjs");
    let mut process = Command::new(node)
        .arg(script)
        .arg(own)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let lines: String = documents
        .iter()
        .map(|document| format!("{document}\n"))
        .collect();
    std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), documents.len());
    answers
}

/// Keys that every reader of JSON-LD leaves out: they are about the document, not about what it speaks of.
const ABOUT_THE_DOCUMENT: &[&str] = &["@context"];

fn members(value: &Value) -> usize {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(name, _)| !ABOUT_THE_DOCUMENT.contains(&name.as_str()))
            .map(|(_, value)| 1 + members(value))
            .sum(),
        Value::Array(values) => values.iter().map(members).sum(),
        _ => 0,
    }
}

/// Every key and type of an expanded document.
fn words(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.push(name.clone());
                if name == "@type" {
                    let types = value
                        .as_array()
                        .cloned()
                        .unwrap_or_else(|| vec![value.clone()]);
                    found.extend(types.iter().filter_map(Value::as_str).map(str::to_owned));
                } else {
                    words(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, found)),
        _ => {}
    }
}

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
        assert!(answer.get("error").is_none(), "{name}: {answer}");
        assert_eq!(answer["dropped"], json!([]), "{name}");
        let mut found = Vec::new();
        words(&answer["expanded"], &mut found);
        let empty: Vec<&String> = found.iter().filter(|word| word.starts_with("_:")).collect();
        assert!(empty.is_empty(), "{name}: {empty:?} have no meaning");
        for word in &found {
            assert!(
                word.starts_with('@') || word.contains("://"),
                "{name}: {word} is no IRI"
            );
        }
        // Every member of the document is one of the expanded one, which also has some of its own.
        let expected = members(document);
        let own =
            |word: &&String| !matches!(word.as_str(), "@value" | "@list" | "@graph" | "@language");
        let told = found.iter().filter(own).count();
        assert!(
            told >= expected,
            "{name}: of {expected} members {told} are left"
        );
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
