//! What activities of many kinds of servers come to, and what is not their author's to say.

use serde_json::json;

use super::*;

const ANN: &str = "https://masto.example/users/ann";

fn of(activity: serde_json::Value) -> Read {
    let speaker = Speaker {
        uri: ANN,
        is_group: false,
        followers_url: Some("https://masto.example/users/ann/fans"),
    };
    read(&activity, speaker, &|id| {
        id.starts_with("https://hub.example/")
    })
}

fn meaning(activity: serde_json::Value) -> Meaning {
    match of(activity.clone()) {
        Read::Means(meaning, _) => meaning,
        other => panic!("{other:?}: {activity}"),
    }
}

fn note(more: serde_json::Value) -> serde_json::Value {
    let mut note = json!({ "id": "https://masto.example/notes/1", "type": "Note", "attributedTo": ANN,
        "content": "<p>hi</p>", "to": [vocab::PUBLIC] });
    note.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    note
}

fn says(kind: &str, object: serde_json::Value) -> serde_json::Value {
    json!({ "id": "https://masto.example/a/1", "type": kind, "actor": ANN, "object": object })
}

#[test]
fn what_is_written_is_a_post_a_message_or_a_vote() {
    for (more, expected) in [
        (json!({}), Meaning::PostCreated),
        (json!({ "to": "as:Public" }), Meaning::PostCreated),
        (
            json!({ "to": ["https://masto.example/users/ann/fans"] }),
            Meaning::PostCreated,
        ),
        (
            json!({ "to": ["https://masto.example/users/ann/followers"] }),
            Meaning::PostCreated,
        ),
        (
            json!({ "to": ["https://hub.example/ap/actors/1"] }),
            Meaning::MessageCreated,
        ),
        (
            json!({ "to": "https://hub.example/ap/actors/1" }),
            Meaning::MessageCreated,
        ),
        (
            json!({ "to": ["https://hub.example/ap/actors/1"], "cc": [vocab::PUBLIC] }),
            Meaning::PostCreated,
        ),
        (json!({ "type": "Article" }), Meaning::PostCreated),
        (json!({ "type": ["Event", "x"] }), Meaning::PostCreated),
        (json!({ "type": "Question" }), Meaning::PostCreated),
        (json!({ "type": "Recipe" }), Meaning::Unknown),
        (
            json!({ "name": "Yes", "content": null, "inReplyTo": "https://hub.example/ap/posts/1" }),
            Meaning::VoteCast,
        ),
        (
            json!({ "name": "Title", "inReplyTo": "https://hub.example/ap/posts/1" }),
            Meaning::PostCreated,
        ),
    ] {
        assert_eq!(
            meaning(says("Create", note(more.clone()))),
            expected,
            "{more}"
        );
    }
    assert_eq!(
        meaning(says("Update", note(json!({})))),
        Meaning::PostUpdated
    );
    let person = json!({ "id": ANN, "type": "Person" });
    assert_eq!(meaning(says("Update", person)), Meaning::ActorUpdated);
}

#[test]
fn s_23_s_24_s_25_an_embedded_object_is_its_authors_or_nothing() {
    let other = "https://masto.example/users/bob";
    assert_eq!(
        of(says("Create", note(json!({ "attributedTo": other })))),
        Read::Refuse("attribution_mismatch")
    );
    assert_eq!(
        of(says(
            "Create",
            note(json!({ "attributedTo": [other, ANN] }))
        )),
        Read::Refuse("attribution_mismatch")
    );
    assert_eq!(
        of(says(
            "Create",
            note(json!({ "id": "https://other.example/1" }))
        )),
        Read::Refuse("foreign_object")
    );
    assert_eq!(
        of(says(
            "Update",
            note(json!({ "attributedTo": "https://x.example/bob" }))
        )),
        Read::Refuse("attribution_mismatch")
    );
    assert_eq!(
        of(says("Create", note(json!({ "attributedTo": null })))),
        Read::Fetch("https://masto.example/notes/1".to_owned())
    );
    assert_eq!(
        of(says("Create", json!("https://masto.example/notes/1"))),
        Read::Fetch("https://masto.example/notes/1".to_owned())
    );
    assert_eq!(
        of(says("Create", json!("https://x.example/1"))),
        Read::Refuse("foreign_object")
    );
    assert_eq!(
        of(says("Create", note(json!({ "id": null })))),
        Read::Ignore("no_id")
    );
}

#[test]
fn s_29_s_31_s_32_nobody_changes_or_deletes_what_is_not_his() {
    let ours = json!({ "id": "https://hub.example/ap/posts/1" });
    for kind in ["Create", "Update", "Delete"] {
        assert_eq!(
            of(says(kind, ours.clone())),
            Read::Refuse("local_object"),
            "{kind}"
        );
        assert_eq!(
            of(says(
                kind,
                note(json!({ "id": "https://hub.example/ap/posts/1" }))
            )),
            Read::Refuse("local_object")
        );
    }
    assert_eq!(
        of(says("Delete", json!("https://x.example/1"))),
        Read::Refuse("foreign_object")
    );
    assert_eq!(
        of(says("Delete", json!("https://hub.example/ap/actors/1"))),
        Read::Refuse("local_object")
    );
    let bob = json!({ "id": "https://masto.example/users/bob", "type": "Person" });
    assert_eq!(of(says("Delete", bob.clone())), Read::Refuse("not_his"));
    assert_eq!(
        of(says("Update", bob)),
        Read::Refuse("attribution_mismatch")
    );
    assert_eq!(
        of(says(
            "Delete",
            note(json!({ "attributedTo": "https://masto.example/users/bob" }))
        )),
        Read::Refuse("not_his")
    );
    assert_eq!(
        meaning(says("Delete", json!("https://masto.example/notes/1"))),
        Meaning::ObjectDeleted
    );
    assert_eq!(
        meaning(says(
            "Delete",
            json!({ "id": "https://masto.example/notes/1", "type": "Tombstone" })
        )),
        Meaning::ObjectDeleted
    );
    assert_eq!(meaning(says("Delete", json!(ANN))), Meaning::ActorDeleted);
    assert_eq!(
        of(says("Move", json!("https://masto.example/users/bob"))),
        Read::Refuse("not_his")
    );
}

#[test]
fn s_35_only_who_did_it_takes_it_back() {
    let follow = |actor: &str| json!({ "id": "https://masto.example/f/1", "type": "Follow", "actor": actor, "object": "https://hub.example/ap/actors/1" });
    assert_eq!(meaning(says("Undo", follow(ANN))), Meaning::FollowUndone);
    assert_eq!(
        of(says("Undo", follow("https://masto.example/users/bob"))),
        Read::Refuse("not_his")
    );
    assert_eq!(
        of(says("Undo", json!("https://x.example/f/1"))),
        Read::Refuse("not_his")
    );
    assert_eq!(
        of(says("Undo", json!("https://masto.example/f/1"))),
        Read::UndoesById("https://masto.example/f/1".to_owned())
    );
    let mut foreign = follow(ANN);
    foreign["id"] = json!("https://x.example/f/1");
    assert_eq!(of(says("Undo", foreign)), Read::Refuse("not_his"));
}

#[test]
fn an_answer_is_given_by_whom_was_asked() {
    let follow = |object: &str| json!({ "id": "https://hub.example/ap/activities/1", "type": "Follow", "actor": "https://hub.example/ap/actors/1", "object": object });
    assert_eq!(meaning(says("Accept", follow(ANN))), Meaning::Accepted);
    assert_eq!(meaning(says("Reject", follow(ANN))), Meaning::Rejected);
    assert_eq!(
        of(says("Accept", follow("https://masto.example/users/bob"))),
        Read::Refuse("not_asked")
    );
    assert_eq!(
        meaning(says("Accept", json!("https://hub.example/ap/activities/1"))),
        Meaning::Accepted
    );
    assert_eq!(
        of(says("Accept", json!("https://x.example/1"))),
        Read::Ignore("not_about_us")
    );
}

#[test]
fn s_57_lists_are_read_where_they_are_legal() {
    let vote = |n: u32| {
        json!({ "id": format!("https://masto.example/v/{n}"), "type": "Note", "attributedTo": ANN, "name": "Yes",
        "inReplyTo": "https://hub.example/ap/posts/1", "to": ["https://hub.example/ap/actors/1"] })
    };
    match of(says("Create", json!([vote(1), vote(2)]))) {
        Read::Means(Meaning::VoteCast, votes) => assert_eq!(votes.len(), 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        of(says("Create", json!([vote(1), note(json!({}))]))),
        Read::Ignore("object_list")
    );
    assert_eq!(
        meaning(says("Create", json!([note(json!({}))]))),
        Meaning::PostCreated
    );
    assert_eq!(
        meaning(says("Create", note(json!({ "attributedTo": [ANN] })))),
        Meaning::PostCreated
    );
    assert_eq!(
        meaning(says(
            "Create",
            note(json!({ "attributedTo": { "type": "Person", "id": ANN } }))
        )),
        Meaning::PostCreated
    );
    for odd in [
        json!(1),
        json!([]),
        json!([[[]]]),
        json!({ "id": 5 }),
        json!(null),
        json!({ "type": [] }),
    ] {
        for kind in [
            "Create", "Update", "Delete", "Undo", "Accept", "Announce", "Like", "Follow", "Move",
            "Add", "Flag", "Block",
        ] {
            assert!(
                !matches!(of(says(kind, odd.clone())), Read::Fetch(_)),
                "{kind} {odd}"
            );
        }
    }
}

#[test]
fn what_a_group_passes_on_is_somebody_elses() {
    let inner = json!({ "id": "https://coop.example/a/7", "type": "Create", "actor": "https://coop.example/ap/actors/2", "object": {} });
    let announce = says("Announce", inner.clone());
    assert_eq!(of(announce.clone()), Read::Ignore("not_a_group"));
    let group = Speaker {
        uri: ANN,
        is_group: true,
        followers_url: None,
    };
    assert_eq!(read(&announce, group, &|_| false), Read::PassesOn(inner));
    assert_eq!(
        meaning(says(
            "Announce",
            note(json!({ "attributedTo": "https://x.example/bob" }))
        )),
        Meaning::Announced
    );
}

#[test]
fn what_concerns_goods_help_and_decisions() {
    let ours = "https://hub.example/ap/actors/1";
    let intent = json!({ "type": "Intent", "action": "transfer" });
    for (object, expected) in [
        (
            note(json!({ "purpose": "offer", "publishes": intent, "mo:kind": "mo:Listing" })),
            Meaning::ListingSaid,
        ),
        (
            note(json!({ "purpose": "offer", "publishes": intent })),
            Meaning::ListingSaid,
        ),
        (
            note(json!({ "flohmarkt:data": { "price": "1 EUR" } })),
            Meaning::ListingSaid,
        ),
        (
            note(json!({ "type": "Proposal", "purpose": "offer" })),
            Meaning::ListingSaid,
        ),
        (
            note(json!({ "type": "ValueFlows:Proposal" })),
            Meaning::ListingSaid,
        ),
        (
            note(json!({ "purpose": "request", "publishes": intent, "mo:kind": "mo:Declaration" })),
            Meaning::DeclarationSaid,
        ),
        (note(json!({ "type": "Agreement" })), Meaning::AgreementSaid),
        (
            note(
                json!({ "type": "Document", "fulfills": ["https://hub.example/ap/agreements/1#primary"] }),
            ),
            Meaning::ReceiptSaid,
        ),
        (
            note(json!({ "type": "Question", "mo:kind": "mo:DaoProposal" })),
            Meaning::ProposalSaid,
        ),
        (note(json!({ "type": "Document" })), Meaning::PostCreated),
        (note(json!({ "type": "Question" })), Meaning::PostCreated),
    ] {
        assert_eq!(
            meaning(says("Create", object.clone())),
            expected,
            "{object}"
        );
        if expected != Meaning::PostCreated {
            assert_eq!(
                meaning(says("Update", object.clone())),
                expected,
                "{object}"
            );
        }
    }

    let offer = |to: &str| {
        let mut offer = says("Offer", json!({ "type": "Agreement" }));
        offer["to"] = json!([to]);
        offer
    };
    assert_eq!(meaning(offer(ours)), Meaning::OfferMade);
    assert_eq!(
        of(offer("https://x.example/1")),
        Read::Ignore("not_about_us")
    );
    let mut question = offer(ours);
    question["object"] = json!({ "type": "Question" });
    assert_eq!(meaning(question), Meaning::ProposalOffered);
    assert_eq!(
        meaning(says(
            "Undo",
            json!({ "id": "https://masto.example/o/1", "type": "Offer", "actor": ANN })
        )),
        Meaning::OfferUndone
    );

    assert_eq!(meaning(says("Join", json!(ours))), Meaning::JoinAsked);
    assert_eq!(meaning(says("Leave", json!(ours))), Meaning::Left);
    let mut invite = says("Invite", json!(ANN));
    invite["target"] = json!(ours);
    assert_eq!(meaning(invite.clone()), Meaning::Invited);
    invite["object"] = json!("https://masto.example/groups/other");
    assert_eq!(of(invite), Read::Refuse("not_his"));

    // What is said of what we asked counts for nothing but its id.
    let copy = json!({ "id": "https://hub.example/ap/activities/1", "type": "Offer", "actor": "https://x.example/1" });
    assert_eq!(
        of(says("Reject", copy)),
        Read::Means(
            Meaning::Rejected,
            vec![json!("https://hub.example/ap/activities/1")]
        )
    );
}
