//! A recount finds what was counted wrongly, left out or forged.

use super::*;

fn question(yes: &str, voters: i64, digest: Option<&str>) -> Value {
    json!({
        "id": "https://hub.example/ap/proposals/1", "mo:kind": "mo:DaoProposal", "mo:dao": "https://hub.example/ap/groups/1",
        "mo:status": "passed", "mo:ballots": "https://hub.example/ap/proposals/1/ballots",
        "mo:rules": { "mo:quorum": "0.25", "mo:threshold": "0.5", "mo:eligibleVoters": 4 },
        "mo:tally": { "mo:yes": yes, "mo:no": "0", "mo:abstain": "0", "mo:voters": voters }, "mo:ballotsDigest": digest,
    })
}

fn ballot(index: i64, voter: &str) -> Value {
    ballots::item(ballots::Ballot {
        index,
        weight: "1",
        attestation: None,
        choice: "yes",
        hash: "",
        vote: Some(
            json!({ "type": "Note", "name": "Yes", "attributedTo": voter,
            "inReplyTo": "https://hub.example/ap/proposals/1" }),
        ),
    })
}

fn count(question: &Value, items: &[Value]) -> Report {
    let mut count = Count::new(Question::read(question).unwrap());
    items.iter().for_each(|item| count.ballot(item, None));
    count.finish()
}

#[test]
fn what_was_told_is_found_again() {
    let items = [ballot(2, "b"), ballot(1, "a")];
    let digest = count(&question("2", 2, None), &items).digest;
    let report = count(&question("2", 2, Some(&digest)), &items);
    assert!(report.agrees(), "{report:?}");
    assert_eq!(report.turnout, "0.5");
}

#[test]
fn nothing_is_left_out_made_up_or_changed() {
    let items = [ballot(1, "a"), ballot(2, "b")];
    let good = count(&question("2", 2, None), &items).digest;
    for (what, items) in [
        ("left out", vec![ballot(1, "a")]),
        ("twice", vec![ballot(1, "a"), ballot(2, "a")]),
        ("one number", vec![ballot(1, "a"), ballot(1, "b")]),
        ("a gap", vec![ballot(1, "a"), ballot(3, "b")]),
        ("another voter", vec![ballot(1, "a"), ballot(2, "c")]),
    ] {
        let report = count(&question("2", 2, Some(&good)), &items);
        assert!(!report.agrees(), "{what}");
    }
    let report = count(&question("3", 2, None), &items);
    assert_eq!(report.faults, ["yes: 2 counted, 3 told"]);
}

#[test]
fn who_is_said_to_have_signed_has() {
    let mut item = ballot(1, "https://coop.example/u");
    item["mo:attestation"] = json!("proof");
    for (proof, is_fine) in [
        (Some(Proof::Good), true),
        (Some(Proof::Unknown), true),
        (Some(Proof::Bad), false),
        (None, false),
    ] {
        let mut count = Count::new(Question::read(&question("1", 1, None)).unwrap());
        count.ballot(&item, proof);
        assert_eq!(count.finish().agrees(), is_fine, "{proof:?}");
    }
}
