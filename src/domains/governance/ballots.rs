//! Ballots as everybody may check them: the item that wraps a signed vote, its hash, and the digest over all of them in
//! their order (R33). Pure; a digest is fed line by line, so that a hundred thousand ballots need no room.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Map, Value, json};

use crate::base::Result;
use crate::fed::proof;

/// What a voter may choose, in the order in which it is asked: the machine's word and the name on the wire.
pub const CHOICES: [(&str, &str); 3] = [("yes", "Yes"), ("no", "No"), ("abstain", "Abstain")];

/// Where a pseudonym goes in a vote whose voter is not shown.
pub const VOTER: &str = "@voter@";

/// The choice that a vote names; none where its two words differ or say nothing.
pub fn choice(vote: &Value) -> Option<&'static str> {
    let name = vote.get("name").and_then(Value::as_str)?;
    let (choice, _) = CHOICES.iter().find(|(_, option)| *option == name)?;
    match vote.get("mo:choice") {
        None => Some(choice),
        Some(said) if said == choice => Some(choice),
        Some(_) => None,
    }
}

/// The name of a choice.
pub fn name_of(choice: &str) -> Option<&'static str> {
    CHOICES
        .iter()
        .find(|(known, _)| *known == choice)
        .map(|(_, name)| *name)
}

/// A vote whose voter is told by nothing but a pseudonym, which the database puts in.
pub fn anonymous(proposal: &str, choice: &str) -> Value {
    json!({
        "type": "Note",
        "name": name_of(choice),
        "attributedTo": format!("{proposal}#voter-{VOTER}"),
        "inReplyTo": proposal,
        "mo:kind": "mo:Vote",
        "mo:choice": choice,
    })
}

/// A ballot as its row has it.
#[derive(Clone, Debug)]
pub struct Ballot<'a> {
    pub index: i64,
    pub weight: &'a str,
    /// proof or http-signature; none for a session of the DAO's own hub.
    pub attestation: Option<&'a str>,
    pub choice: &'a str,
    pub hash: &'a str,
    /// The vote; none once it was erased.
    pub vote: Option<Value>,
}

/// A ballot as it is served: with the vote word by word, or with its hash where the voter is gone.
pub fn item(ballot: Ballot<'_>) -> Value {
    let mut item = Map::new();
    item.insert("type".to_owned(), json!("Object"));
    item.insert("mo:kind".to_owned(), json!("mo:Ballot"));
    item.insert("mo:ballotIndex".to_owned(), json!(ballot.index));
    item.insert("mo:weight".to_owned(), json!(ballot.weight));
    match ballot.vote {
        Some(vote) => {
            item.insert(
                "mo:attestation".to_owned(),
                json!(ballot.attestation.unwrap_or("session")),
            );
            item.insert("object".to_owned(), vote);
        }
        None => {
            item.insert("mo:erased".to_owned(), json!(true));
            item.insert("mo:choice".to_owned(), json!(ballot.choice));
            item.insert("mo:ballotHash".to_owned(), json!(ballot.hash));
        }
    }
    Value::Object(item)
}

/// The canonical text of a document.
pub fn canonical(value: &Value) -> Result<String> {
    proof::canonical(value)
}

/// hex(SHA-256(JCS(ballot))); of an erased one what it says itself.
pub fn hash(item: &Value) -> Result<String> {
    if item.get("mo:erased") == Some(&Value::Bool(true))
        && let Some(hash) = item.get("mo:ballotHash").and_then(Value::as_str)
    {
        return Ok(hash.to_owned());
    }
    let mut context = Context::new(&SHA256);
    context.update(canonical(item)?.as_bytes());
    Ok(hex(context.finish().as_ref()))
}

/// The digest over the lines of all ballots, in order.
pub struct Digest {
    context: Context,
    lines: i64,
}

impl Digest {
    /// Of no ballot yet.
    pub fn new() -> Self {
        Self {
            context: Context::new(&SHA256),
            lines: 0,
        }
    }

    /// The next ballot's hash.
    pub fn line(&mut self, hash: &str) {
        self.context.update(hash.as_bytes());
        self.context.update(b"\n");
        self.lines += 1;
    }

    /// How many there were.
    pub fn lines(&self) -> i64 {
        self.lines
    }

    /// In base58, as `z…`.
    pub fn finish(self) -> String {
        proof::multibase(self.context.finish().as_ref())
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_of_a_choice_agree() {
        assert_eq!(choice(&json!({ "name": "Yes" })), Some("yes"));
        assert_eq!(
            choice(&json!({ "name": "Yes", "mo:choice": "yes" })),
            Some("yes")
        );
        for bad in [
            json!({ "name": "Yes", "mo:choice": "no" }),
            json!({ "name": "yes" }),
            json!({ "name": "Maybe" }),
            json!({ "name": 1 }),
            json!({}),
        ] {
            assert_eq!(choice(&bad), None, "{bad}");
        }
    }

    #[test]
    fn the_item_is_what_the_database_hashes() {
        let vote =
            json!({ "type": "Note", "id": "https://coop.example/ap/votes/1", "name": "Yes" });
        let item = item(Ballot {
            index: 12,
            weight: "1",
            attestation: Some("proof"),
            choice: "yes",
            hash: "",
            vote: Some(vote.clone()),
        });
        // The order of names that `hub.take_vote` writes.
        let written = format!(
            "{{\"mo:attestation\":\"proof\",\"mo:ballotIndex\":12,\"mo:kind\":\"mo:Ballot\",\"mo:weight\":\"1\",\"object\":{},\"type\":\"Object\"}}",
            canonical(&vote).unwrap()
        );
        assert_eq!(canonical(&item).unwrap(), written);
    }

    #[test]
    fn an_erased_ballot_keeps_its_line() {
        let gone = item(Ballot {
            index: 3,
            weight: "2.5",
            attestation: None,
            choice: "no",
            hash: "ab",
            vote: None,
        });
        assert_eq!(hash(&gone).unwrap(), "ab");
        assert!(!gone.to_string().contains("object"));
    }

    #[test]
    fn a_digest_knows_the_order() {
        let digest = |lines: &[&str]| {
            let mut digest = Digest::new();
            lines.iter().for_each(|line| digest.line(line));
            digest.finish()
        };
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
        assert_ne!(digest(&["ab"]), digest(&["a", "b"]));
    }
}
