//! A message as it is said to other servers, and what they say as a message. Pure.

use serde_json::{Value, json};

use super::threads::{Message, Said};
use crate::domains::social::actors::Known;
use crate::fed::actors::time;

/// A message as a note for those it names and nobody else, each of whom it mentions (CONTRACT section 8).
pub fn note(message: &Message, author: &str, named: &[(String, String)], base: &str) -> Value {
    let names: Vec<&str> = named.iter().map(|(_, name)| name.as_str()).collect();
    let text = crate::base::text::html(message.body.as_deref().unwrap_or_default());
    let content = if text.is_empty() {
        "<p></p>".to_owned()
    } else {
        text
    };
    let tags: Vec<Value> = named
        .iter()
        .zip(names)
        .map(|((uri, _), name)| json!({ "type": "Mention", "href": uri, "name": name }))
        .collect();
    let to: Vec<&str> = named.iter().map(|(uri, _)| uri.as_str()).collect();
    let context = message
        .context
        .clone()
        .unwrap_or_else(|| format!("{base}/ap/contexts/{}", message.conversation_id));
    let mut note = json!({
        "type": "Note",
        "id": message.federated_ap_id,
        "attributedTo": author,
        "content": content,
        "source": { "content": message.body.as_deref().unwrap_or_default(), "mediaType": "text/markdown" },
        "published": time(message.timestamp),
        "updated": time(message.updated_at.max(message.timestamp)),
        "to": to,
        "cc": [],
        "directMessage": true,
        "context": context,
        "tag": tags,
        "mo:kind": "mo:Message",
    });
    if let (Some(answers), Some(note)) = (&message.answers, note.as_object_mut()) {
        note.insert("inReplyTo".to_owned(), json!(answers));
    }
    note
}

/// What somebody said to some, from the row it would become as a post. None when there is nothing to read.
pub fn said(read: &Value, author: &Known) -> Option<Said> {
    let text = |name: &str| {
        read.get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let date = |name: &str| text(name).and_then(|date| date.parse().ok());
    let attached = read
        .get("attachments")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let links = attached.filter_map(|one| one.get("url").and_then(Value::as_str));
    let parts: Vec<&str> = text("summary")
        .into_iter()
        .chain(text("title"))
        .chain(text("content"))
        .chain(links)
        .collect();
    let body = parts.join("\n\n");
    let audience = read.get("audience").and_then(Value::as_array)?;
    (!body.is_empty()).then_some(())?;
    Some(Said {
        author: author.id,
        author_uri: author.uri.clone(),
        author_name: author
            .name
            .as_deref()
            .map(crate::base::text::name)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| author.address()),
        writer: None,
        uri: text("uri")?.to_owned(),
        audience: audience
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        body,
        published: date("published")?,
        updated: date("updated")?,
        in_reply_to: text("in_reply_to").map(str::to_owned),
        context: text("context").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_for_those_it_mentions() {
        let message: Message = serde_json::from_value(json!({
            "id": "0193f1a0-0000-7000-8000-000000000001", "owner_id": "0193f1a0-0000-7000-8000-000000000002",
            "body": "See you *Sunday*", "federated_ap_id": "https://hub.example/ap/messages/m", "timestamp": "2026-11-20T14:00:00Z",
            "updated_at": "2026-11-20T14:00:00Z", "actors": [], "answers": "https://masto.example/9", "context": null,
            "conversation_id": "0193f1a0-0000-7000-8000-000000000003",
        }))
        .unwrap();
        let named = [(
            "https://masto.example/users/bob".to_owned(),
            "@bob@masto.example".to_owned(),
        )];
        let note = note(
            &message,
            "https://hub.example/ap/actors/a",
            &named,
            "https://hub.example",
        );
        assert_eq!(note["content"], "<p>See you <em>Sunday</em></p>");
        assert_eq!(note["to"], json!(["https://masto.example/users/bob"]));
        assert_eq!(note["cc"], json!([]));
        assert_eq!(
            note["tag"],
            json!([{ "type": "Mention", "href": "https://masto.example/users/bob", "name": "@bob@masto.example" }])
        );
        assert_eq!(note["inReplyTo"], "https://masto.example/9");
        assert_eq!(
            (&note["mo:kind"], &note["directMessage"]),
            (&json!("mo:Message"), &json!(true))
        );
    }
}
