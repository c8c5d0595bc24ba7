//! Origins and owners, as an attacker would have them.

use serde_json::json;

use super::*;

const ALICE: &str = "https://hub.example/ap/actors/alice";

#[test]
fn an_origin_is_scheme_host_and_port() {
    assert!(same_origin(
        "https://hub.example/a",
        "https://HUB.example:443/b?c#d"
    ));
    assert!(same_origin(
        "https://hub.example./a",
        "https://hub.example/b"
    ));
    assert!(same_origin(
        "https://bücher.example/a",
        "https://xn--bcher-kva.example/"
    ));
    for other in [
        "http://hub.example/a",
        "https://hub.example:8443/a",
        "https://sub.hub.example/a",
        "https://hub.example.evil.example/a",
        "https://evil.example/https://hub.example/a",
        "https://evil.example#https://hub.example/",
        "https://evil.example?hub.example",
    ] {
        assert!(!same_origin("https://hub.example/a", other), "{other}");
    }
}

#[test]
fn s_76_tricks_with_addresses_have_no_origin() {
    for trick in [
        "https://good.example@evil.example/",
        "https://user:pass@good.example/",
        "https:good.example/a",
        "https:/good.example/a",
        "https:///good.example/a",
        "https:\\\\good.example\\a",
        "https://good.example\\@evil.example/",
        "https://good.ex\tample/",
        "https://good.example/\r\nhost: evil",
        " https://good.example/",
        "https://good.example/ ",
        "https://good.example\u{2028}/",
        "HTTPS://good.example/",
        "ftp://good.example/",
        "javascript:alert(1)",
        "data:,a",
        "acct:a@good.example",
        "did:key:z6Mk",
        "urn:uuid:1",
        "//good.example/",
        "/ap/actors/1",
        "",
        "https://",
        "https://./",
        "https://a..",
        "https://[::1",
        "https://good.example:99999/",
    ] {
        assert_eq!(origin(trick), None, "{trick:?}");
    }
}

#[test]
fn a_host_has_one_key() {
    let key = |url: &str| host_key(&Url::parse(url).unwrap());
    assert_eq!(key("https://Hub.Example./a"), "hub.example");
    assert_eq!(key("https://hub.example:443/"), "hub.example");
    assert_eq!(key("http://localhost:8080/"), "localhost:8080");
    assert_eq!(key("https://bücher.example/"), "xn--bcher-kva.example");
    assert_eq!(key("http://[::1]:80/"), "[::1]");
    assert_eq!(
        origin("http://localhost:8080/a").unwrap().host_key(),
        "localhost:8080"
    );
    assert_eq!(
        origin("https://hub.example/a").unwrap().host_key(),
        "hub.example"
    );
}

#[test]
fn an_owner_is_found_where_it_counts() {
    for (object, expected) in [
        (json!({"type": "Note", "attributedTo": "a"}), Some("a")),
        (
            json!({"type": "Note", "attributedTo": {"type": "Person", "id": "a"}}),
            Some("a"),
        ),
        (
            json!({"type": "Video", "attributedTo": [{"type": "Person", "id": "a"}, {"type": "Group", "id": "b"}]}),
            Some("a"),
        ),
        (
            json!({"type": "Note", "attributedTo": {"type": "Link", "href": "a"}}),
            Some("a"),
        ),
        // Of a list the first counts, also where that is nobody.
        (json!({"type": "Note", "attributedTo": [null, "a"]}), None),
        (
            json!({"type": "Event", "actor": "a", "attributedTo": "group"}),
            Some("group"),
        ),
        (
            json!({"type": "Create", "actor": "a", "attributedTo": "b"}),
            Some("a"),
        ),
        (json!({"type": "Create", "attributedTo": "b"}), None),
        (
            json!({"type": "Group", "id": "a", "attributedTo": "a/moderators"}),
            Some("a"),
        ),
        (
            json!({"type": "Multikey", "id": "a#key", "controller": "a"}),
            Some("a"),
        ),
        (json!({"type": "Question", "attributedTo": "a"}), Some("a")),
        (json!({"type": "Note"}), None),
        (json!("a"), None),
        (json!(5), None),
    ] {
        assert_eq!(owner(&object), expected, "{object}");
    }
}

#[test]
fn s_23_to_s_25_copies_are_believed_only_from_their_owner_and_his_server() {
    for (object, expected) in [
        (
            json!({"id": "https://hub.example/notes/1", "type": "Note", "attributedTo": ALICE}),
            Embedded::Trusted,
        ),
        (json!({"id": ALICE, "type": "Person"}), Embedded::Trusted),
        (
            json!({"id": format!("{ALICE}#key"), "type": "Multikey", "controller": ALICE}),
            Embedded::Trusted,
        ),
        (json!({"id": format!("{ALICE}#part")}), Embedded::Trusted),
        (json!({"type": "Note", "content": "a"}), Embedded::Anonymous),
        (json!({"id": null, "type": "Note"}), Embedded::Anonymous),
        // S-24: another host's.
        (
            json!({"id": "https://other.example/notes/1", "type": "Note", "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (
            json!({"id": "http://hub.example/notes/1", "type": "Note", "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (
            json!({"id": "https://hub.example:444/notes/1", "type": "Note", "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (
            json!({"id": "https://hub.example@evil.example/", "type": "Note", "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (
            json!({"id": "", "type": "Note", "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (
            json!({"id": 5, "type": "Note", "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (
            json!({"id": ["https://hub.example/1"], "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (
            json!({"@id": "https://other.example/notes/1", "attributedTo": ALICE}),
            Embedded::Foreign,
        ),
        (json!("https://hub.example/notes/1"), Embedded::Foreign),
        // S-23 and S-25: another account's, or nobody's.
        (
            json!({"id": "https://hub.example/notes/1", "type": "Note", "attributedTo": "https://hub.example/ap/actors/bob"}),
            Embedded::OtherOwner,
        ),
        (
            json!({"id": "https://hub.example/notes/1", "type": "Note", "attributedTo": "https://other.example/eve"}),
            Embedded::OtherOwner,
        ),
        (
            json!({"id": "https://hub.example/notes/1", "type": "Note", "attributedTo": ["https://hub.example/ap/actors/bob", ALICE]}),
            Embedded::OtherOwner,
        ),
        (
            json!({"id": "https://hub.example/notes/1", "type": "Note"}),
            Embedded::OtherOwner,
        ),
        (
            json!({"id": "https://hub.example/ap/actors/bob", "type": "Person"}),
            Embedded::OtherOwner,
        ),
        (
            json!({"id": "https://hub.example/ap/actors/bob", "type": "Person", "attributedTo": ALICE}),
            Embedded::OtherOwner,
        ),
        (
            json!({"id": format!("{ALICE}#key"), "type": "Multikey", "controller": "https://other.example/eve"}),
            Embedded::OtherOwner,
        ),
        (
            json!({"id": format!("{ALICE}2#part")}),
            Embedded::OtherOwner,
        ),
    ] {
        assert_eq!(embedded(&object, ALICE), expected, "{object}");
    }
}

#[test]
fn r10_an_activity_has_an_id_of_its_actors_server() {
    let with = |id: &str, actor: &str| own_id(&json!({"type": "Create", "id": id, "actor": actor}));
    assert!(with("https://hub.example/ap/activities/1", ALICE));
    assert!(!with("https://other.example/ap/activities/1", ALICE));
    assert!(!with("", ALICE));
    assert!(!with("urn:uuid:1", "urn:uuid:2"));
    assert!(own_id(
        &json!({"type": "Unheard", "id": "https://hub.example/1", "actor": {"id": ALICE}})
    ));
    assert!(!own_id(
        &json!({"type": "Create", "id": "https://hub.example/1", "actor": [ALICE, "https://hub.example/b"]})
    ));
    assert!(!own_id(
        &json!({"type": "Create", "id": "https://hub.example/1"})
    ));
    assert!(!own_id(
        &json!({"type": "Note", "id": "https://hub.example/1", "attributedTo": ALICE})
    ));
}

#[test]
fn s_35_only_who_did_it_takes_it_back_and_only_who_is_asked_answers() {
    let eve = "https://hub.example/ap/actors/eve";
    let follow = json!({"type": "Follow", "id": "https://masto.example/1", "actor": "https://masto.example/bob", "object": ALICE});
    assert!(may_undo("https://masto.example/bob", &follow));
    assert!(!may_undo(ALICE, &follow));
    assert!(!may_undo("https://masto.example/eve", &follow));
    assert!(may_answer(ALICE, &follow));
    assert!(!may_answer(eve, &follow));
    assert!(!may_answer("https://masto.example/bob", &follow));
    let itself = json!({"type": "Follow", "actor": ALICE, "object": ALICE});
    assert!(!may_answer(ALICE, &itself));
    let offer = json!({"type": "Offer", "actor": "https://masto.example/bob", "to": [ALICE], "object": {"type": "Agreement"}});
    assert!(may_answer(ALICE, &offer));
    assert!(!may_answer(eve, &offer));
    let invite = json!({"type": "Invite", "actor": "https://masto.example/g", "object": "https://masto.example/g", "target": ALICE});
    assert!(may_answer(ALICE, &invite));
    assert!(!may_answer(ALICE, &json!({"type": "Note", "to": [ALICE]})));
}
