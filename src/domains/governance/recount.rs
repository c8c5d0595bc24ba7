//! Counting again what a DAO says, from nothing but what it serves: the question, its ballots and the keys of who signed
//! them. Pure; whoever fetches hands in what came.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::ballots::{self, Digest};
use super::tally::{Base, Cast, Rules, Weight};
use crate::fed::crypto::PublicKey;
use crate::fed::proof;
use crate::fed::{trust, vocab};

/// What a question says of itself that a count is held against.
#[derive(Clone, Debug)]
pub struct Question {
    pub id: String,
    pub dao: String,
    pub ballots: Option<String>,
    status: String,
    rules: Rules,
    electorate: Weight,
    tally: BTreeMap<String, Weight>,
    voters: i64,
    digest: Option<String>,
}

/// How a vote is vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By the voter's own signature.
    Good,
    /// By a signature that is not the voter's, or of something else.
    Bad,
    /// The voter's key is not to be had.
    Unknown,
}

impl Question {
    /// Read a question as it was served; the word says what is missing.
    pub fn read(document: &Value) -> Result<Self, &'static str> {
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("mo:kind") != Some("mo:DaoProposal") {
            return Err("it is no proposal of a DAO");
        }
        let id = vocab::id(document).ok_or("it has no id")?;
        let dao = document
            .get("mo:dao")
            .and_then(vocab::id)
            .ok_or("it names no DAO")?;
        if !trust::same_origin(id, dao) {
            return Err("it is not its DAO's to say");
        }
        let rules = document.get("mo:rules").ok_or("it has no rules")?;
        let rule = |name: &str| rules.get(name).and_then(Value::as_str);
        let share = |name: &str| rule(name)?.parse().ok();
        let tally = document.get("mo:tally").ok_or("it has no tally")?;
        let weights = ballots::CHOICES.iter().filter_map(|(choice, _)| {
            let said = tally.get(format!("mo:{choice}"))?.as_str()?;
            Some(((*choice).to_owned(), said.parse().ok()?))
        });
        let eligible = rules.get("mo:eligibleVoters").and_then(Value::as_i64);
        let electorate = match rule("mo:eligibleWeight") {
            Some(weight) => weight.parse().ok(),
            None => eligible.map(|voters| Weight::of_parts(i128::from(voters) * 10_000)),
        };
        Ok(Self {
            id: id.to_owned(),
            dao: dao.to_owned(),
            ballots: document
                .get("mo:ballots")
                .and_then(vocab::id)
                .filter(|ballots| trust::same_origin(ballots, id))
                .map(str::to_owned),
            status: text("mo:status").unwrap_or_default().to_owned(),
            rules: Rules {
                quorum: share("mo:quorum").ok_or("it has no quorum")?,
                threshold: share("mo:threshold").ok_or("it has no threshold")?,
                base: Base::named(rule("mo:thresholdBase").unwrap_or_default()),
            },
            electorate: electorate.ok_or("it does not say who may vote")?,
            tally: weights.collect(),
            voters: tally
                .get("mo:voters")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            digest: text("mo:ballotsDigest").map(str::to_owned),
        })
    }
}

/// A count under way.
pub struct Count {
    question: Question,
    lines: BTreeMap<i64, String>,
    voters: BTreeSet<String>,
    cast: Cast,
    by_choice: BTreeMap<&'static str, Weight>,
    vouched: BTreeMap<&'static str, u64>,
    faults: Vec<String>,
}

/// How many faults are named.
const MOST_FAULTS: usize = 100;

impl Count {
    /// Nothing counted yet.
    pub fn new(question: Question) -> Self {
        let cast = Cast {
            electorate: question.electorate,
            ..Cast::default()
        };
        Self {
            question,
            lines: BTreeMap::new(),
            voters: BTreeSet::new(),
            cast,
            by_choice: BTreeMap::new(),
            vouched: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// The question itself is not proven.
    pub fn fault(&mut self, what: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(what.into());
        }
    }

    /// Whose key is needed to check a ballot; none where nobody signed it.
    pub fn signer(item: &Value) -> Option<&str> {
        if item.get("mo:attestation").and_then(Value::as_str) != Some("proof") {
            return None;
        }
        item.get("object")?.get("attributedTo").and_then(vocab::id)
    }

    /// One ballot; `proof` says what the signature was worth where there should be one.
    pub fn ballot(&mut self, item: &Value, proof: Option<Proof>) {
        let Some(index) = item.get("mo:ballotIndex").and_then(Value::as_i64) else {
            return self.fault("a ballot has no number");
        };
        let Some(weight) = item
            .get("mo:weight")
            .and_then(Value::as_str)
            .and_then(|weight| weight.parse::<Weight>().ok())
        else {
            return self.fault(format!("ballot {index}: its weight is no number"));
        };
        let is_erased = item.get("mo:erased") == Some(&Value::Bool(true));
        let vote = item.get("object");
        let choice = match (is_erased, vote) {
            (true, _) => item
                .get("mo:choice")
                .and_then(Value::as_str)
                .and_then(|said| ballots::CHOICES.iter().find(|(choice, _)| *choice == said))
                .map(|(choice, _)| *choice),
            (false, Some(vote)) => ballots::choice(vote),
            (false, None) => None,
        };
        let Some(choice) = choice else {
            return self.fault(format!(
                "ballot {index}: it says nothing that could be chosen"
            ));
        };
        if let Some(vote) = vote.filter(|_| !is_erased) {
            self.look_at(index, item, vote, proof);
        } else {
            *self.vouched.entry("erased").or_default() += 1;
        }
        let Ok(hash) = ballots::hash(item) else {
            return self.fault(format!("ballot {index}: it cannot be hashed"));
        };
        if self.lines.insert(index, hash).is_some() {
            return self.fault(format!("ballot {index}: its number comes twice"));
        }
        let sum = match choice {
            "yes" => &mut self.cast.yes,
            "no" => &mut self.cast.no,
            _ => &mut self.cast.abstain,
        };
        let Some(more) = sum.plus(weight) else {
            return self.fault("the weights are beyond counting");
        };
        *sum = more;
        self.by_choice.insert(choice, more);
    }

    fn look_at(&mut self, index: i64, item: &Value, vote: &Value, proof: Option<Proof>) {
        if vote.get("inReplyTo").and_then(vocab::id) != Some(self.question.id.as_str()) {
            self.fault(format!("ballot {index}: it was cast on another question"));
        }
        let voter = vote
            .get("attributedTo")
            .and_then(vocab::id)
            .unwrap_or_default();
        if !self.voters.insert(voter.to_owned()) {
            self.fault(format!("ballot {index}: {voter} has voted twice"));
        }
        let how = match (item.get("mo:attestation").and_then(Value::as_str), proof) {
            (Some("proof"), Some(Proof::Good)) => "proof",
            (Some("proof"), Some(Proof::Unknown)) => "key_not_to_be_had",
            (Some("proof"), _) => {
                self.fault(format!("ballot {index}: {voter} has not signed it"));
                "bad_proof"
            }
            (Some("http-signature"), _) => "http-signature",
            _ => "session",
        };
        *self.vouched.entry(how).or_default() += 1;
    }

    /// What it comes to, and whether that is what was said.
    pub fn finish(mut self) -> Report {
        let mut digest = Digest::new();
        let lines = std::mem::take(&mut self.lines);
        for (expected, (index, hash)) in (1_i64..).zip(&lines) {
            if expected != *index {
                self.fault(format!("ballot {expected} is missing"));
                break;
            }
            digest.line(hash);
        }
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        let digest = digest.finish();
        if count != self.question.voters {
            let said = self.question.voters;
            self.fault(format!("{count} ballots are served, {said} were told"));
        }
        for (choice, _) in ballots::CHOICES {
            let counted = self.by_choice.get(choice).copied().unwrap_or_default();
            let said = self.question.tally.get(choice).copied().unwrap_or_default();
            if counted != said {
                self.fault(format!("{choice}: {counted} counted, {said} told"));
            }
        }
        if let Some(said) = self.question.digest.clone()
            && said != digest
        {
            self.fault(format!("the digest is {digest}, told was {said}"));
        }
        let verdict = self.cast.verdict(&self.question.rules).name();
        let told = match self.question.status.as_str() {
            "executed" => "passed",
            other => other,
        };
        if matches!(told, "passed" | "rejected" | "quorum_failed") && told != verdict {
            self.fault(format!("by its rules it is {verdict}, told was {told}"));
        }
        Report {
            question: self.question.id,
            status: self.question.status,
            verdict,
            ballots: count,
            yes: self.cast.yes.to_string(),
            no: self.cast.no.to_string(),
            abstain: self.cast.abstain.to_string(),
            turnout: self.cast.turnout(),
            digest,
            vouched: self.vouched,
            faults: self.faults,
        }
    }
}

/// What counting came to.
#[derive(Clone, Debug)]
pub struct Report {
    pub question: String,
    pub status: String,
    pub verdict: &'static str,
    pub ballots: i64,
    pub yes: String,
    pub no: String,
    pub abstain: String,
    pub turnout: String,
    pub digest: String,
    pub vouched: BTreeMap<&'static str, u64>,
    pub faults: Vec<String>,
}

impl Report {
    /// Whether it is as it was told.
    pub fn agrees(&self) -> bool {
        self.faults.is_empty()
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "question": self.question, "status": self.status, "verdict": self.verdict, "agrees": self.agrees(),
            "ballots": self.ballots, "yes": self.yes, "no": self.no, "abstain": self.abstain, "turnout": self.turnout,
            "digest": self.digest, "vouched": self.vouched, "faults": self.faults,
        })
    }
}

/// What a document's proof is worth by the keys that its owner's document shows.
pub fn proven(document: &Value, owner: &str, actor: Option<&Value>) -> Proof {
    let proven = match proof::read(document) {
        Ok(Some(proven)) => proven,
        _ => return Proof::Bad,
    };
    if !trust::same_origin(&proven.verification_method, owner) {
        return Proof::Bad;
    }
    let Some(actor) = actor else {
        return Proof::Unknown;
    };
    if vocab::id(actor) != Some(owner) {
        return Proof::Bad;
    }
    let methods = vocab::many(actor.get("assertionMethod").unwrap_or(&Value::Null));
    let key = methods
        .iter()
        .find(|method| {
            vocab::id(method) == Some(proven.verification_method.as_str())
                && method.get("controller").and_then(vocab::id) == Some(owner)
        })
        .and_then(|method| method.get("publicKeyMultibase")?.as_str())
        .and_then(|key| PublicKey::from_multibase(key).ok());
    match key {
        // A key that was forgotten meanwhile says nothing against the vote.
        None => Proof::Unknown,
        Some(key) if proven.verify(&key) => Proof::Good,
        Some(_) => Proof::Bad,
    }
}

#[cfg(test)]
mod tests;
