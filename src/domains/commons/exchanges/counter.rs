//! Other terms: a new offer in place of the old, or what would do instead.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bargain::{self, Bargain};
use super::propose::{Ask, Text, ask_for, until};
use super::state::Side;
use super::subject::{self, Named};
use super::{enter, mine, money, refused};
use crate::base::Result;
use crate::db::Tx;

/// Other terms: by the one who asked a new offer in place of the old, by the other a refusal that says what would do.
#[derive(Deserialize)]
pub struct Counter {
    id: Uuid,
    quantity: Option<Text>,
    price: Option<Text>,
    terms: Option<String>,
    expires: Option<DateTime<Utc>>,
}

/// Say other terms.
pub async fn counter(tx: &mut Tx, input: Counter) -> Result<Value> {
    let (mut deal, side, me) = mine(tx, input.id).await?;
    if side == Side::Proposer {
        let wanted = super::answer::Countered {
            quantity: input.quantity,
            price: input.price,
            terms: input.terms,
        };
        return super::answer::refuse(tx, &mut deal, &me, "other_terms", None, Some(wanted)).await;
    }
    if !matches!(deal.row.status.as_str(), "proposed" | "rejected") {
        return Err(refused("already_accepted"));
    }
    let kind = match deal.kept.subject_kind.as_str() {
        "listings" => "listings",
        _ => "declarations",
    };
    let subject = subject::find(tx, Named::Seen(kind, &deal.kept.subject_uri.clone()))
        .await?
        .ok_or_else(|| refused("not_active"))?;
    let theirs = deal
        .kept
        .counter
        .as_ref()
        .and_then(|counter| Bargain::read(counter).ok());
    let (quantity, price) = (
        Text::read(input.quantity.as_ref())?,
        Text::read(input.price.as_ref())?,
    );
    let bargain = match (&theirs, quantity, price) {
        (Some(theirs), None, None) => theirs.clone(),
        _ => bargain::usual(&subject.terms, &subject.uri, quantity, price).map_err(refused)?,
    };
    let is_his_own = theirs.as_ref().is_some_and(|theirs| theirs.is(&bargain));
    bargain::fits(&subject.terms, &subject.uri, &bargain, is_his_own).map_err(refused)?;

    // The old one stands no more, unless its acceptance is under way.
    money::release(tx, &mut deal).await?;
    if deal.row.status == "proposed" {
        enter(
            tx,
            &mut deal,
            "withdrawn",
            json!({ "reason": "superseded" }),
        )
        .await?;
    }
    let own = match subject.offers() {
        true => deal.kept.need_link.clone(),
        false => deal.kept.offer_link.clone(),
    };
    let own = match own {
        Some(uri) => subject::find(tx, Named::Own(&uri)).await?,
        None => None,
    };
    let ask = Ask {
        row: None,
        bargain,
        words: input.terms.or_else(|| deal.row.notes.clone()),
        expires: until(input.expires)?,
        counters: Some(deal.kept.offer_uri.clone()),
        context: Some(deal.kept.context.clone()),
    };
    ask_for(tx, &me, &subject, own.as_ref(), ask).await
}
