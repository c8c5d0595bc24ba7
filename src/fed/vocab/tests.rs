//! Words of the wire.

use super::*;

#[test]
fn the_context_is_that_of_the_contract() {
    assert_eq!(
        CONTEXT,
        include_str!("../../../tests/fixtures/wire/context.json")
    );
    let entries = context().as_array().unwrap();
    assert_eq!(entries.len(), 4);
    assert_eq!(entries[0], ACTIVITYSTREAMS);
    assert_eq!(entries[3].as_object().unwrap().len(), 67);

    let for_actors = actor_context().as_array().unwrap();
    assert_eq!(for_actors[2], DATA_INTEGRITY);
    assert_eq!(for_actors[3], MULTIKEY);
    assert_eq!(for_actors[4], entries[3]);
    assert_eq!(&context_document()["@context"], context());
}

#[test]
fn one_and_many_read_alike() {
    assert_eq!(ids(&json!("https://a.example/1")), ["https://a.example/1"]);
    assert_eq!(
        ids(
            &json!(["a", {"id": "b"}, {"type": "Link", "href": "c"}, 5, null, [], {}, "", {"id": 1}])
        ),
        ["a", "b", "c"]
    );
    assert!(ids(&Value::Null).is_empty());
    assert_eq!(strings(&json!(["a", 1, "b"])), ["a", "b"]);
    assert_eq!(kind(&json!({"type": ["Note", "Page"]})), Some("Note"));
    assert_eq!(kind(&json!({"type": "Note"})), Some("Note"));
    assert_eq!(kind(&json!({"type": [[]]})), None);
    assert_eq!(kind(&json!("Note")), None);
    assert!(is_activity(&json!({"type": "Question", "actor": "a"})));
    assert!(!is_activity(
        &json!({"type": "Question", "attributedTo": "a"})
    ));
}
