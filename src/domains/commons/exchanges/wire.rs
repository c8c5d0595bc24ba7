//! Exchanges as they are said to the other party: offer, agreement, answers and documents (CONTRACT section 7).

use chrono::{DateTime, Utc};
use diesel::sql_types::Text;
use serde_json::{Map, Value, json};

use super::bargain::Bargain;
use super::state::{Side, Verdict};
use super::{Deal, Party};
use crate::base::{Error, Result, text};
use crate::db::{Statement, Tx};
use crate::fed::actors::{Local, time};
use crate::fed::outbox::{self, Outgoing, Published};

/// What an offer says.
#[derive(Clone, Debug)]
pub struct Offered<'a> {
    pub bargain: Map<String, Value>,
    pub offer_link: Option<&'a str>,
    pub need_link: Option<&'a str>,
    pub expires: DateTime<Utc>,
    pub terms: Option<&'a str>,
    pub community: Option<&'a str>,
    pub context: &'a str,
    pub counters: Option<&'a str>,
    /// What it is about, for people.
    pub title: &'a str,
}

/// An offer, as an activity.
pub fn offer(it: &Offered<'_>) -> Value {
    let mut agreement = Map::new();
    agreement.insert("type".to_owned(), json!("Agreement"));
    agreement.extend(it.bargain.clone());
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            agreement.insert(name.to_owned(), value);
        }
    };
    say("mo:kind", json!("mo:Exchange"));
    say("mo:offer", json!(it.offer_link));
    say("mo:need", json!(it.need_link));
    say("mo:status", json!("proposed"));
    say("mo:expires", json!(time(it.expires)));
    say("mo:terms", json!(it.terms));
    say("mo:community", json!(it.community));
    json!({
        "type": "Offer",
        "object": agreement,
        "content": said(it.terms.unwrap_or(it.title)),
        "context": it.context,
        "mo:counters": it.counters,
    })
}

fn said(words: &str) -> String {
    format!("<p>{}</p>", text::escaped(words.trim()))
}

/// An agreement as its author has it at a time, without context and proof.
pub fn agreement(deal: &Deal, uri: &str, status: &str, now: DateTime<Utc>) -> Result<Value> {
    let digits = deal
        .kept
        .terms
        .get("digits")
        .and_then(Value::as_u64)
        .map(|digits| digits as usize);
    let bargain = deal.bargain()?;
    let (giver, taker) = (
        &deal.party(deal.giver()).uri,
        &deal.party(deal.giver().other()).uri,
    );
    let commitment =
        |name: &str, it: &super::bargain::Commitment, provider: &str, receiver: &str, digits| {
            json!({
                "id": format!("{uri}#{name}"), "type": "Commitment", "satisfies": it.satisfies,
                "resourceQuantity": it.quantity(digits), "provider": provider, "receiver": receiver,
            })
        };
    let mut told = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    };
    let accepted = deal.row.accepted_at.unwrap_or(now);
    say("type", json!("Agreement"));
    say("id", json!(uri));
    say("attributedTo", json!(deal.proposer.uri));
    say("published", json!(time(accepted)));
    say("updated", json!(time(now)));
    say("to", json!([deal.asker.uri]));
    say(
        "stipulates",
        commitment("primary", &bargain.primary, giver, taker, None),
    );
    if let Some(reciprocal) = &bargain.reciprocal {
        say(
            "stipulatesReciprocal",
            commitment("reciprocal", reciprocal, taker, giver, digits),
        );
    }
    let progress = deal.row.progress.as_deref().unwrap_or("Open");
    say("preview", json!({ "type": "Note", "name": progress }));
    say("mo:kind", json!("mo:Exchange"));
    say("mo:offer", json!(deal.kept.offer_link));
    say("mo:need", json!(deal.kept.need_link));
    say("mo:status", json!(status));
    say("mo:offerActivity", json!(deal.kept.offer_uri));
    say("mo:terms", json!(deal.row.notes));
    say("mo:community", json!(deal.kept.community));
    say("mo:version", json!(deal.kept.agreement_version));
    Ok(Value::Object(told))
}

/// What an agreement obliges to, by id.
pub fn obligations(agreement: &Value) -> Vec<String> {
    ["stipulates", "stipulatesReciprocal"]
        .iter()
        .filter_map(|name| agreement.get(name)?.get("id")?.as_str())
        .map(str::to_owned)
        .collect()
}

/// What a party says of how it went, without context and proof.
pub fn document(
    deal: &Deal,
    side: Side,
    uri: &str,
    verdict: Verdict,
    note: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Value> {
    let agreement: Value = deal
        .kept
        .agreement
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| Error::broken(anyhow::anyhow!("an accepted exchange has no agreement")))?;
    let part = |name: &str| agreement.pointer(&format!("/stipulates/{name}")).cloned();
    let action = deal
        .kept
        .terms
        .get("action")
        .and_then(Value::as_str)
        .unwrap_or("transfer");
    let mut told = json!({
        "type": "Document",
        "id": uri,
        "name": "Receipt",
        "attributedTo": deal.party(side).uri,
        "context": deal.kept.agreement_uri,
        "published": time(now),
        "to": [deal.party(side.other()).uri],
        "mo:kind": "mo:EconomicEvent",
        "fulfills": obligations(&agreement),
        "action": action,
        "provider": part("provider"),
        "receiver": part("receiver"),
        "resourceQuantity": part("resourceQuantity"),
        "hasPointInTime": time(now),
        "mo:verdict": verdict.word(),
        "mo:version": deal.evidence.of(side).next(),
    });
    if let (Some(told), Some(note)) = (
        told.as_object_mut(),
        note.filter(|note| !note.trim().is_empty()),
    ) {
        told.insert("content".to_owned(), json!(said(note)));
    }
    Ok(told)
}

/// A refusal with its reason, and what would do instead.
pub fn reject(of: &str, reason: &str, note: Option<&str>, counter: Option<&Value>) -> Value {
    json!({
        "type": "Reject",
        "object": of,
        "content": note.filter(|note| !note.trim().is_empty()).unwrap_or(super::bargain::words(reason)),
        "mo:reason": reason,
        "mo:counter": counter,
    })
}

/// A counter as it stands in a refusal (R28).
pub fn counter(bargain: &Bargain, digits: Option<usize>, terms: Option<&str>) -> Value {
    let mut told = Map::new();
    told.insert("stipulates".to_owned(), bargain.primary.to_wire(None));
    if let Some(reciprocal) = &bargain.reciprocal {
        told.insert(
            "stipulatesReciprocal".to_owned(),
            reciprocal.to_wire(digits),
        );
    }
    if let Some(terms) = terms {
        told.insert("mo:terms".to_owned(), json!(terms));
    }
    Value::Object(told)
}

/// Say something to the other party and to nobody else; between two of this hub it is said and stays here. All that belongs
/// to one exchange arrives in order.
pub async fn say(
    tx: &mut Tx,
    me: &Local,
    other: &Party,
    context: &str,
    activity: Value,
) -> Result<Published> {
    let outgoing = Outgoing {
        actor: me.id,
        activity,
        to: vec![other.uri.clone()],
        cc: Vec::new(),
        about: Some(context.to_owned()),
        also: Vec::new(),
        is_private: true,
    };
    outbox::publish(tx, outgoing).await
}

/// What was said, word by word.
pub async fn words_of(tx: &mut Tx, said: &Published) -> Result<String> {
    let mut select = Statement::<Text>::new("select body from public.ap_activities where uri = ");
    select.text(&said.uri);
    let bodies: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    bodies
        .into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("what was said is not there")))
}
