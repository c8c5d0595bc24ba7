//! What the hub says as readers of JSON-LD understand it: expanded by a processor that fetches nothing.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Documents as a processor reads them.
pub fn expanded(documents: &[Value]) -> Vec<Value> {
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

/// How many members a document has that say something.
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
pub fn words(value: &Value, found: &mut Vec<String>) {
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

/// Nothing of a document is dropped by a processor that knows the contexts, and nothing becomes a word without a meaning.
pub fn has_meaning(name: &str, document: &Value, answer: &Value) {
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

/// The same of a document whose context is where the hub publishes it.
pub fn is_whole(document: &Value) {
    let context = document["@context"].as_str().unwrap();
    assert!(context.ends_with("/ns/hub/v1"), "{context}");
    let mut document = document.clone();
    document["@context"] = json!("https://w3id.org/made-open/hub/v1");
    let answers = expanded(std::slice::from_ref(&document));
    has_meaning("a document", &document, &answers[0]);
}
