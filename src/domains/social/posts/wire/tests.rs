//! What a post looks like on the wire.

use serde_json::json;

use super::*;
use crate::domains::social::posts::audience::{self, Mention};

fn post(more: Value) -> Post {
    let mut row = json!({
        "id": "0193f1a0-0000-7000-8000-000000000001", "owner_id": null, "origin_actor_id": null, "author_actor_id": null,
        "type": "Note", "title": null, "content": "A **blue** bike", "summary": null, "language": null, "sensitive": false,
        "attachments": [], "tags": [], "visibility": "public", "recipients": [], "in_reply_to": null, "in_reply_to_id": null,
        "context": "https://hub.example/ap/contexts/1", "url": "https://hub.example/posts/1", "version": 1,
        "published_at": "2026-11-20T12:00:00Z", "edited_at": null, "sent_at": null,
        "federated_ap_id": "https://hub.example/ap/posts/1",
    });
    row.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

fn bob() -> Mention {
    Mention {
        id: uuid::Uuid::nil(),
        uri: "https://masto.example/users/bob".into(),
        name: "@bob@masto.example".into(),
        href: "https://masto.example/@bob".into(),
        is_group: false,
        kind: None,
        written: vec!["@bob@masto.example".into()],
    }
}

const AUTHOR: &str = "https://hub.example/ap/actors/a";

fn told(more: Value, mentions: Vec<Mention>) -> Value {
    let post = post(more);
    let mut audience = Audience {
        mentions,
        ..Audience::default()
    };
    audience::address(
        &mut audience,
        &post.visibility,
        &format!("{AUTHOR}/followers"),
    );
    note(&post, AUTHOR, &audience, "https://hub.example")
}

#[test]
fn to_whom_each_visibility_goes() {
    let followers = format!("{AUTHOR}/followers");
    let bob_uri = bob().uri;
    for (visibility, to, cc) in [
        ("public", vec![PUBLIC], vec![followers.as_str(), &bob_uri]),
        ("unlisted", vec![followers.as_str()], vec![PUBLIC, &bob_uri]),
        (
            "followers",
            vec![followers.as_str()],
            vec![bob_uri.as_str()],
        ),
        ("direct", vec![bob_uri.as_str()], vec![]),
    ] {
        let told = told(json!({ "visibility": visibility }), vec![bob()]);
        assert_eq!(
            (&told["to"], &told["cc"]),
            (&json!(to), &json!(cc)),
            "{visibility}"
        );
        assert_eq!(told["tag"][0]["type"], "Mention", "{visibility}");
        assert_eq!(
            told["directMessage"].as_bool(),
            (visibility == "direct").then_some(true)
        );
    }
}

#[test]
fn nothing_is_null_and_content_is_never_empty() {
    for more in [
        json!({}),
        json!({ "content": "" }),
        json!({ "content": "\u{e000}", "type": "Article" }),
    ] {
        let told = told(more, Vec::new());
        assert!(!told.to_string().contains("null"), "{told}");
        assert!(!told["content"].as_str().unwrap().is_empty());
        assert!(told.get("summary").is_none());
    }
}

#[test]
fn a_warning_and_a_language_are_told() {
    let told = told(
        json!({ "summary": "Bikes & <more>", "language": "en", "content": "#Rust never sleeps" }),
        Vec::new(),
    );
    assert_eq!(told["summary"], "Bikes &amp; &lt;more&gt;");
    assert_eq!(told["sensitive"], true);
    assert_eq!(told["contentMap"], json!({ "en": told["content"] }));
    assert_eq!(
        told["source"],
        json!({ "content": "#Rust never sleeps", "mediaType": "text/markdown" })
    );
    assert_eq!(
        told["tag"],
        json!([{ "type": "Hashtag", "href": "https://hub.example/tags/rust", "name": "#Rust" }])
    );
}

#[test]
fn a_note_has_no_name_and_an_article_has_one() {
    let note = told(json!({ "title": "On <bikes>" }), Vec::new());
    assert!(note.get("name").is_none());
    assert!(
        note["content"]
            .as_str()
            .unwrap()
            .starts_with("<p><strong>On &lt;bikes&gt;</strong></p>")
    );
    let article = told(
        json!({ "title": "On <bikes>", "type": "Article" }),
        Vec::new(),
    );
    assert_eq!(article["name"], "On <bikes>");
}

#[test]
fn each_change_is_later_than_the_last() {
    let first = told(json!({}), Vec::new());
    assert_eq!(
        (&first["published"], &first["updated"]),
        (
            &json!("2026-11-20T12:00:00Z"),
            &json!("2026-11-20T12:00:00Z")
        )
    );
    let second = told(json!({ "version": 1_795_780_800_001_i64 }), Vec::new());
    assert!(second["updated"].as_str() > first["updated"].as_str());
    assert_eq!(second["mo:version"], 1_795_780_800_001_i64);
}

#[test]
fn images_come_first_and_nothing_malformed_comes_at_all() {
    let told = told(
        json!({ "attachments": [
            { "type": "Link", "url": "https://x.example/a" },
            { "url": "https://x.example/b.pdf", "mediaType": "application/pdf", "name": "B" },
            { "url": "javascript:alert(1)", "type": "Image" }, {}, 7, "x",
            { "url": "https://x.example/c.png", "mediaType": "image/png", "name": "C", "width": 3, "height": "x", "value": 1 },
        ] }),
        Vec::new(),
    );
    assert_eq!(
        told["attachment"],
        json!([
            { "type": "Image", "url": "https://x.example/c.png", "mediaType": "image/png", "name": "C", "width": 3 },
            { "type": "Document", "url": "https://x.example/b.pdf", "mediaType": "application/pdf", "name": "B" },
            { "type": "Link", "href": "https://x.example/a" },
        ])
    );
}
