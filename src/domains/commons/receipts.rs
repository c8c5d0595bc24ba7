//! Receipts: what two parties have signed of an exchange, as one file that anybody can check without asking anybody (R26).
//! Checking is pure; what it proves is that all of it fits together, and whose keys signed it.

use std::collections::HashMap;

use diesel::sql_types::{Bool, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::exchanges::bargain::Bargain;
use super::exchanges::state::{Evidence, Said, Side, Verdict};
use super::exchanges::{mine, wire};
use crate::base::amount::Amount;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors;
use crate::fed::crypto::PublicKey;
use crate::fed::{proof, trust, vocab};

/// Which exchange.
#[derive(Deserialize)]
pub struct File {
    id: Uuid,
}

/// All that was signed of an exchange, word by word.
pub async fn file(tx: &mut Tx, input: File) -> Result<Value> {
    let (deal, _, _) = mine(tx, input.id).await?;
    let Some(agreement) = deal.kept.agreement.as_deref() else {
        return Err(Error::conflict(
            "exchange.not_accepted",
            "It was not accepted yet.",
        ));
    };
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(Error::broken);
    let mut select = Statement::<(Bool, Text)>::new(
        "select distinct on (x.is_proposers) x.is_proposers, x.document from hub.deal_documents x where x.exchange_id = ",
    );
    select.bind(Bind::Uuid(deal.row.id)).sql(format!(
        " order by x.is_proposers desc, {} x.version desc, x.uri desc",
        match deal.row.status.as_str() {
            // What completed it is what counts, whatever was said besides.
            "completed" => "x.verdict <> 'fulfilled',",
            _ => "",
        }
    ));
    let rows: Vec<(bool, String)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let documents = rows
        .iter()
        .map(|(_, text)| read(text))
        .collect::<Result<Vec<_>>>()?;
    let mut people = Vec::new();
    for id in [deal.proposer.id, deal.asker.id] {
        people.push(actor(tx, id).await?);
    }
    Ok(json!({
        "offer": read(&deal.kept.offer)?,
        "agreement": read(agreement)?,
        "documents": documents,
        "actors": people,
    }))
}

/// An actor as he shows himself; of another server as he was received.
async fn actor(tx: &mut Tx, id: Uuid) -> Result<Value> {
    if let Some(local) = actors::by_id(tx, id).await? {
        return actors::document(tx, &local).await;
    }
    let mut select =
        Statement::<Nullable<Text>>::new("select document from public.ap_actors where id = ");
    select.bind(Bind::Uuid(id));
    let rows: Vec<Option<String>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    match rows.into_iter().flatten().next() {
        Some(text) => serde_json::from_str(&text).map_err(Error::broken),
        None => Ok(Value::Null),
    }
}

/// What is wrong with a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{part}: {reason}")]
pub struct Wrong {
    /// Which part of it.
    pub part: &'static str,
    pub reason: String,
}

/// What a receipt proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proved {
    pub agreement: String,
    /// What follows from the documents in it.
    pub state: &'static str,
    pub parties: Vec<Key>,
    /// `identity` when the key of each party was given from elsewhere; `consistency` when the file itself says whose they are.
    pub shows: &'static str,
}

/// Whose word it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    pub actor: String,
    pub key: String,
    pub is_pinned: bool,
}

fn wrong(part: &'static str, reason: impl Into<String>) -> Wrong {
    Wrong {
        part,
        reason: reason.into(),
    }
}

/// Check a receipt. Keys that were pinned count alone for their actors.
pub fn verify(receipt: &Value, pinned: &HashMap<String, String>) -> Result<Proved, Wrong> {
    let part = |name: &'static str| receipt.get(name).ok_or_else(|| wrong(name, "is missing"));
    let (offer, agreement) = (part("offer")?, part("agreement")?);
    let documents = vocab::many(part("documents")?);
    let people = vocab::many(part("actors")?);
    let text = |value: &Value, name: &str| value.get(name).and_then(vocab::id).map(str::to_owned);

    let asker = text(offer, "actor").ok_or_else(|| wrong("offer", "names nobody"))?;
    let proposer = trust::owner(agreement)
        .ok_or_else(|| wrong("agreement", "names nobody"))?
        .to_owned();
    if asker == proposer {
        return Err(wrong("agreement", "is of one with himself"));
    }
    let keys = Keys { people, pinned };
    let mut parties = Vec::new();
    for (part, document, owner) in [
        ("agreement", agreement, &proposer),
        ("offer", offer, &asker),
    ] {
        parties.push(keys.check(part, document, owner)?);
    }

    let bargain = fits(offer, agreement, &proposer, &asker)?;
    let mut evidence = Evidence::default();
    let mut seen = Vec::new();
    for document in documents {
        let owner = trust::owner(document).unwrap_or_default().to_owned();
        let side = match &owner {
            owner if *owner == proposer => Side::Proposer,
            owner if *owner == asker => Side::Asker,
            _ => return Err(wrong("documents", "one is of somebody else")),
        };
        if seen.contains(&side) {
            return Err(wrong("documents", "two are of one party"));
        }
        seen.push(side);
        keys.check("documents", document, &owner)?;
        evidence.take(side, says(document, agreement, &bargain)?);
    }
    let is_pinned = parties.iter().all(|party| party.is_pinned);
    Ok(Proved {
        agreement: text(agreement, "id").unwrap_or_default(),
        state: evidence.state().word(),
        parties,
        shows: match is_pinned {
            true => "identity",
            false => "consistency",
        },
    })
}

/// Whether the agreement is the one that was offered, between these two.
fn fits(offer: &Value, agreement: &Value, proposer: &str, asker: &str) -> Result<Bargain, Wrong> {
    let offered = offer
        .get("object")
        .ok_or_else(|| wrong("offer", "offers nothing"))?;
    if vocab::kind(offer) != Some("Offer") || vocab::kind(agreement) != Some("Agreement") {
        return Err(wrong("agreement", "is none"));
    }
    let asked = Bargain::read(offered).map_err(|why| wrong("offer", why))?;
    let agreed = Bargain::read(agreement).map_err(|why| wrong("agreement", why))?;
    if !asked.is(&agreed) {
        return Err(wrong("agreement", "is about something else than the offer"));
    }
    if agreement.get("mo:offerActivity").and_then(vocab::id) != vocab::id(offer) {
        return Err(wrong("agreement", "answers another offer"));
    }
    for name in ["mo:offer", "mo:need"] {
        if agreement.get(name) != offered.get(name) {
            return Err(wrong("agreement", "is about something else than the offer"));
        }
    }
    let between = |name: &str| -> Option<(String, String)> {
        let it = agreement.get(name)?;
        let id = |name: &str| it.get(name).and_then(vocab::id).map(str::to_owned);
        Some((id("provider")?, id("receiver")?))
    };
    let (giver, taker) =
        between("stipulates").ok_or_else(|| wrong("agreement", "says not who gives"))?;
    let is_theirs = [giver.as_str(), taker.as_str()] == [proposer, asker]
        || [giver.as_str(), taker.as_str()] == [asker, proposer];
    let is_returned = agreed.reciprocal.is_none()
        || between("stipulatesReciprocal") == Some((taker.clone(), giver.clone()));
    match is_theirs && is_returned {
        true => Ok(agreed),
        false => Err(wrong("agreement", "is between others")),
    }
}

/// What a document says of the agreement.
fn says(document: &Value, agreement: &Value, bargain: &Bargain) -> Result<Said, Wrong> {
    let flaw = |reason: &str| wrong("documents", reason);
    let id = |value: &Value, name: &str| value.get(name).and_then(vocab::id).map(str::to_owned);
    if id(document, "context").as_deref() != vocab::id(agreement) {
        return Err(flaw("one is about another agreement"));
    }
    let obliged = wire::obligations(agreement);
    let fulfills = vocab::ids(document.get("fulfills").unwrap_or(&Value::Null));
    if fulfills.len() != obliged.len() || !obliged.iter().all(|id| fulfills.contains(&id.as_str()))
    {
        return Err(flaw("one is not about all of the agreement"));
    }
    let quantity = document.get("resourceQuantity");
    let unit = quantity
        .and_then(|it| it.get("hasUnit"))
        .and_then(Value::as_str);
    let value = quantity
        .and_then(|it| it.get("hasNumericalValue"))
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<Amount>().ok());
    if unit != Some(bargain.primary.unit.as_str()) || value != bargain.primary.value {
        return Err(flaw("one is about another amount"));
    }
    let verdict = document
        .get("mo:verdict")
        .and_then(Value::as_str)
        .and_then(Verdict::read)
        .ok_or_else(|| flaw("one says not how it went"))?;
    Ok(Said {
        version: document
            .get("mo:version")
            .and_then(Value::as_i64)
            .unwrap_or(1),
        uri: vocab::id(document).unwrap_or_default().to_owned(),
        verdict,
    })
}

/// Keys of the parties: those that were pinned, else those that they show themselves.
struct Keys<'a> {
    people: &'a [Value],
    pinned: &'a HashMap<String, String>,
}

impl Keys<'_> {
    fn check(&self, part: &'static str, document: &Value, owner: &str) -> Result<Key, Wrong> {
        let proven = proof::read(document)
            .map_err(|flaw| wrong(part, flaw.to_string()))?
            .ok_or_else(|| wrong(part, "carries no proof"))?;
        if !trust::same_origin(&proven.verification_method, owner) {
            return Err(wrong(part, "is signed with another's key"));
        }
        let pinned = self.pinned.get(owner);
        let key = match pinned {
            Some(key) => key.clone(),
            None => self
                .shown(owner, &proven.verification_method)
                .ok_or_else(|| wrong(part, format!("{owner} shows no such key")))?,
        };
        let parsed = PublicKey::from_multibase(&key)
            .map_err(|flaw| wrong(part, format!("the key cannot be read: {}", flaw.reason())))?;
        if !proven.verify(&parsed) {
            return Err(wrong(part, "is not what was signed"));
        }
        Ok(Key {
            actor: owner.to_owned(),
            key,
            is_pinned: pinned.is_some(),
        })
    }

    /// A key as its owner shows it in the file.
    fn shown(&self, owner: &str, id: &str) -> Option<String> {
        let actor = self
            .people
            .iter()
            .find(|actor| vocab::id(actor) == Some(owner))?;
        let method = vocab::many(actor.get("assertionMethod")?)
            .iter()
            .find(|method| vocab::id(method) == Some(id))?;
        let is_his = method.get("controller").and_then(vocab::id) == Some(owner);
        let key = method.get("publicKeyMultibase")?.as_str()?;
        is_his.then(|| key.to_owned())
    }
}
