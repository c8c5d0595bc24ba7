//! Words of the wire: the context that every document of ours carries, names of types, and readers of one-or-many.
//! What the words mean to our own rows is written where those rows live.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde_json::{Value, json};

/// Everybody.
pub const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

/// Whether an id is everybody's, in each of the three spellings.
pub fn is_public(id: &str) -> bool {
    matches!(id, PUBLIC | "as:Public" | "Public")
}

/// The context of `ActivityStreams`.
pub const ACTIVITYSTREAMS: &str = "https://www.w3.org/ns/activitystreams";

/// What an actor's `implements` names if it is a hub.
pub const HUB: &str = "https://w3id.org/made-open/hub/v1";

/// What an actor's `implements` names if it reads signatures of RFC 9421.
pub const RFC9421: &str = "https://datatracker.ietf.org/doc/html/rfc9421";

/// The context that only actors need: it explains their keys.
pub const MULTIKEY: &str = "https://w3id.org/security/multikey/v1";

const DATA_INTEGRITY: &str = "https://w3id.org/security/data-integrity/v2";

/// The context as text.
pub const CONTEXT: &str = include_str!("vocab/context.json");

/// Types of actors.
pub const ACTORS: &[&str] = &["Application", "Group", "Organization", "Person", "Service"];

/// Types of activities.
pub const ACTIVITIES: &[&str] = &[
    "Accept",
    "Add",
    "Announce",
    "Arrive",
    "Block",
    "Create",
    "Delete",
    "Dislike",
    "EmojiReact",
    "Flag",
    "Follow",
    "Ignore",
    "Invite",
    "Join",
    "Leave",
    "Like",
    "Listen",
    "Move",
    "Offer",
    "Question",
    "QuoteRequest",
    "Read",
    "Reject",
    "Remove",
    "TentativeAccept",
    "TentativeReject",
    "Travel",
    "Undo",
    "Update",
    "View",
];

static PARSED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(CONTEXT).expect("our own context is JSON"));

static PARSED_FOR_ACTORS: LazyLock<Value> = LazyLock::new(|| {
    let mut context = PARSED.clone();
    if let Some(entries) = context.as_array_mut() {
        let after = entries.iter().position(|entry| entry == DATA_INTEGRITY);
        entries.insert(after.map_or(0, |at| at + 1), MULTIKEY.into());
    }
    context
});

/// The context of every document but actors.
pub fn context() -> &'static Value {
    &PARSED
}

/// The context of actors.
pub fn actor_context() -> &'static Value {
    &PARSED_FOR_ACTORS
}

/// The context as a document of its own, for whoever wants to fetch it.
pub fn context_document() -> Value {
    json!({ "@context": *PARSED })
}

/// The ids in a value that is one or many, each as text or as an object or link with it.
pub fn ids(value: &Value) -> Vec<&str> {
    many(value).iter().filter_map(id).collect()
}

/// The texts in a value that is one or many.
pub fn strings(value: &Value) -> Vec<&str> {
    many(value).iter().filter_map(Value::as_str).collect()
}

/// One thing's id: the text itself, the object's `id` or the link's `href`.
pub fn id(value: &Value) -> Option<&str> {
    let named = match value {
        Value::String(id) => Some(id.as_str()),
        Value::Object(object) => object
            .get("id")
            .or_else(|| object.get("href"))
            .and_then(Value::as_str),
        _ => None,
    };
    named.filter(|id| !id.is_empty())
}

/// A value that is one or many, as many.
pub fn many(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

/// The type of an object; of several the first.
pub fn kind(object: &Value) -> Option<&str> {
    many(object.get("type")?).first()?.as_str()
}

/// Whether a type is an actor's.
pub fn is_actor(kind: &str) -> bool {
    ACTORS.contains(&kind)
}

/// Whether a type is an activity's. `Question` counts only where it has an `actor`.
pub fn is_activity(object: &Value) -> bool {
    match kind(object) {
        Some("Question") => object.get("actor").is_some(),
        Some(kind) => ACTIVITIES.contains(&kind),
        None => false,
    }
}
