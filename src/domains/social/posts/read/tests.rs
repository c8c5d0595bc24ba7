//! What becomes of what others say.

use serde_json::json;

use super::*;
use crate::fed::vocab::PUBLIC;

fn read(more: Value) -> Result<Value, &'static str> {
    let mut object = json!({
        "id": "https://masto.example/notes/1", "type": "Note", "attributedTo": "https://masto.example/users/bob",
        "content": "<p>Hello</p>", "to": [PUBLIC], "published": "2026-11-20T12:00:00Z",
    });
    object
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    post(&object, "2026-11-26T12:00:00Z".parse().unwrap())
}

#[test]
fn who_may_read_it_is_what_its_author_says() {
    for (to, cc, visibility) in [
        (json!(PUBLIC), json!([]), "public"),
        (
            json!(["as:Public", "https://hub.example/ap/actors/a"]),
            json!(null),
            "public",
        ),
        (
            json!("https://masto.example/users/bob/followers"),
            json!(PUBLIC),
            "unlisted",
        ),
        (
            json!(["https://masto.example/users/bob/followers"]),
            json!(["https://hub.example/ap/actors/a"]),
            "followers",
        ),
        (
            json!({ "id": "https://hub.example/ap/actors/a" }),
            json!([]),
            "direct",
        ),
        (json!(7), json!([null]), "direct"),
    ] {
        let read = read(json!({ "to": to, "cc": cc })).unwrap();
        assert_eq!(read["visibility"], visibility, "{to} {cc}");
    }
}

#[test]
fn s_101_what_acts_is_taken_out() {
    let read = read(json!({ "content": "<p onclick=x>Hi <script>alert(1)</script><b>you</b></p>", "summary": "<img src=x onerror=1>CW" })).unwrap();
    assert_eq!(read["content_html"], "<p>Hi <b>you</b></p>");
    assert_eq!(read["content"], "Hi you");
    assert_eq!(read["summary"], "CW");
}

#[test]
fn kinds_that_are_not_notes_become_posts() {
    for (kind, own) in [
        ("Article", "Article"),
        ("Page", "Article"),
        ("Event", "Event"),
        ("Image", "Note"),
        ("Video", "Note"),
        ("Audio", "Note"),
    ] {
        let read = read(json!({ "type": kind, "name": "A name", "content": null, "url": [{ "type": "Link", "href": "https://x.example/1" }] })).unwrap();
        assert_eq!(
            (&read["type"], &read["title"]),
            (&json!(own), &json!("A name")),
            "{kind}"
        );
        assert_eq!(read["url"], "https://x.example/1");
    }
    assert_eq!(read(json!({ "content": "  " })), Err("empty"));
}

#[test]
fn a_poll_comes_with_its_counts() {
    let read = read(json!({
        "type": "Question", "endTime": "2026-11-27T12:00:00Z", "votersCount": 3,
        "anyOf": [{ "type": "Note", "name": "Yes", "replies": { "totalItems": 2 } }, { "name": "No" }, { "type": "Note" }, 7],
    }))
    .unwrap();
    assert_eq!(
        read["poll"]["options"],
        json!([{ "name": "Yes", "votes": 2 }, { "name": "No", "votes": null }])
    );
    assert_eq!(
        (&read["poll"]["multiple"], &read["poll"]["voters"]),
        (&json!(true), &json!(3))
    );
}

#[test]
fn s_57_lists_where_they_are_legal_and_never_more_than_enough() {
    let many: Vec<Value> = (0..10_000)
        .map(|n| json!({ "type": "Hashtag", "name": format!("#t{n}") }))
        .collect();
    let people: Vec<Value> = (0..10_000)
        .map(|n| json!(format!("https://x.example/{n}")))
        .collect();
    let read = read(json!({ "type": ["Note", "x"], "tag": many, "to": people, "attachment": many, "inReplyTo": ["https://x.example/1"] })).unwrap();
    assert_eq!(read["tags"].as_array().unwrap().len(), 50);
    assert_eq!(read["audience"].as_array().unwrap().len(), 1000);
    assert_eq!(read["in_reply_to"], "https://x.example/1");
}

#[test]
fn dates_that_make_no_sense_are_now() {
    for date in [
        json!("yesterday"),
        json!(7),
        json!("0000-01-01T00:00:00Z"),
        json!("9999-01-01T00:00:00Z"),
    ] {
        let read = read(json!({ "published": date, "updated": "2020-01-01T00:00:00Z" })).unwrap();
        assert_eq!(read["published"], "2026-11-26T12:00:00Z");
        assert_eq!(read["updated"], read["published"]);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(name in "[a-zA-Z]{1,12}", text in ".{0,80}", number in proptest::num::i64::ANY) {
        for value in [json!(text), json!(number), json!([text, number, null]), json!({ "id": text, "type": number }), json!(null)] {
            for key in ["content", "to", "tag", "attachment", "published", "mo:version", "oneOf", "url", "contentMap", "summary", name.as_str()] {
                drop(read(json!({ key: value, "type": "Question" })));
            }
        }
    }
}
