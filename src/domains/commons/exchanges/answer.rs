//! Answering an offer: accept it, refuse it with a reason, or take it back.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bargain::{self, Bargain, Commitment};
use super::propose::Text;
use super::state::Side;
use super::subject::{self, Named};
use super::{Deal, effects, enter, keep, mine, money, refused, shown, wire};
use crate::base::{Error, Result, clock};
use crate::db::Tx;
use crate::domains::social::blocks;
use crate::domains::social::posts::show::proven;
use crate::fed::actors::{self, Local};

/// Which exchange.
#[derive(Deserialize)]
pub struct Named1 {
    id: Uuid,
}

/// Accept an offer: from now on both are bound.
pub async fn accept(tx: &mut Tx, input: Named1) -> Result<Value> {
    tx.as_hub(async |tx| accepted(tx, input).await).await
}

async fn accepted(tx: &mut Tx, input: Named1) -> Result<Value> {
    let (mut deal, side, me) = mine(tx, input.id).await?;
    if side != Side::Proposer {
        return Err(refused("not_party"));
    }
    match deal.row.status.as_str() {
        "proposed" => {}
        "accepted" | "in_progress" | "completed" | "cancelled" | "disputed" => {
            return Err(refused("already_accepted"));
        }
        "rejected" => {
            return Err(Error::conflict(
                "exchange.rejected",
                "You have refused it already.",
            ));
        }
        "expired" => return Err(refused("expired")),
        _ => return Err(refused("withdrawn")),
    }
    is_open_between(tx, &deal).await?;
    let now = clock::now();
    if deal.row.expires_at.is_some_and(|end| end <= now) {
        return Err(refused("expired"));
    }
    let subject = subject::find(tx, Named::Own(&deal.kept.subject_uri.clone()))
        .await?
        .filter(|subject| subject.is_open && subject.actor == me.id)
        .ok_or_else(|| refused("not_active"))?;

    effects::reserve(tx, &mut deal, &subject).await?;
    money::bind(tx, &mut deal, Side::Proposer).await?;
    let base = actors::base(tx)?;
    let uri = format!("{base}/ap/agreements/{}", deal.row.id);
    deal.row.accepted_at = Some(now);
    deal.kept.agreement_version = 1;
    let agreement = wire::agreement(&deal, &uri, "accepted", now)?;
    let agreement = proven(tx, agreement, &me, now).await?;
    let activity = json!({ "type": "Accept", "object": deal.kept.offer_uri, "result": agreement });
    let said = wire::say(tx, &me, &deal.asker.clone(), &deal.kept.context, activity).await?;

    deal.kept.accept_uri = Some(said.uri);
    deal.kept.agreement_uri = Some(uri.clone());
    deal.kept.agreement = Some(agreement.to_string());
    deal.kept.agreement_now = Some(agreement.to_string());
    keep(tx, &deal.kept).await?;
    enter(
        tx,
        &mut deal,
        "accepted",
        json!({ "accepted_at": now, "federated_ap_id": uri, "reason": null }),
    )
    .await?;
    if deal.asker.is_local() {
        effects::bind_asker(tx, &mut deal).await?;
    }
    Ok(shown(&deal))
}

/// Nothing is agreed upon or signed between two of whom one has blocked the other: it would not arrive.
pub async fn is_open_between(tx: &mut Tx, deal: &Deal) -> Result<()> {
    match blocks::is_between(tx, deal.proposer.id, deal.asker.id).await? {
        false => Ok(()),
        true => Err(Error::conflict(
            "exchange.blocked",
            "One of you has blocked the other: it rests until that is undone.",
        )),
    }
}

/// Other terms that would do.
#[derive(Clone, Debug, Deserialize)]
pub struct Countered {
    pub quantity: Option<Text>,
    pub price: Option<Text>,
    pub terms: Option<String>,
}

/// Why not, and what would do instead.
#[derive(Deserialize)]
pub struct Reject {
    id: Uuid,
    reason: Option<String>,
    counter: Option<Countered>,
}

/// Refuse an offer.
pub async fn reject(tx: &mut Tx, input: Reject) -> Result<Value> {
    tx.as_hub(async |tx| rejected(tx, input).await).await
}

async fn rejected(tx: &mut Tx, input: Reject) -> Result<Value> {
    let (mut deal, side, me) = mine(tx, input.id).await?;
    if side != Side::Proposer {
        return Err(refused("not_party"));
    }
    let reason = match input.counter {
        Some(_) => "other_terms",
        None => "declined",
    };
    refuse(tx, &mut deal, &me, reason, input.reason, input.counter).await
}

/// Refuse an offer that was made to one of this hub.
pub async fn refuse(
    tx: &mut Tx,
    deal: &mut Deal,
    me: &Local,
    reason: &'static str,
    note: Option<String>,
    wanted: Option<Countered>,
) -> Result<Value> {
    if deal.row.status != "proposed" {
        return Err(match deal.row.status.as_str() {
            "rejected" | "withdrawn" | "expired" => refused("withdrawn"),
            _ => refused("already_accepted"),
        });
    }
    let counter = match &wanted {
        Some(wanted) => Some(countered(deal, wanted)?),
        None => None,
    };
    let activity = wire::reject(
        &deal.kept.offer_uri,
        reason,
        note.as_deref(),
        counter.as_ref().map(|(wire, _)| wire),
    );
    wire::say(tx, me, &deal.asker.clone(), &deal.kept.context, activity).await?;

    deal.kept.counter = counter.as_ref().map(|(wire, _)| wire.clone());
    keep(tx, &deal.kept).await?;
    let shown_counter = counter.map(|(_, shown)| shown);
    let reason = note.unwrap_or_else(|| reason.to_owned());
    enter(
        tx,
        deal,
        "rejected",
        json!({ "reason": reason, "counter": shown_counter }),
    )
    .await?;
    if deal.asker.is_local() {
        money::release(tx, deal).await?;
    }
    Ok(shown(deal))
}

/// A counter as it is said, and as the row shows it.
fn countered(deal: &Deal, wanted: &Countered) -> Result<(Value, Value)> {
    let mut bargain: Bargain = deal.bargain()?;
    if let Some(value) = Text::read(wanted.quantity.as_ref())? {
        bargain.primary.value = Some(value);
    }
    if let Some(price) = Text::read(wanted.price.as_ref())? {
        let Some(reciprocal) = &mut bargain.reciprocal else {
            return Err(refused("wrong_quantity"));
        };
        reciprocal.value = Some(price);
    }
    let is_nothing = |it: &Commitment| it.value.is_some_and(|value| value.is_zero());
    if is_nothing(&bargain.primary) || bargain.reciprocal.as_ref().is_some_and(is_nothing) {
        return Err(refused("wrong_quantity"));
    }
    let digits = deal
        .kept
        .terms
        .get("digits")
        .and_then(Value::as_u64)
        .map(|digits| digits as usize);
    let wire = wire::counter(&bargain, digits, wanted.terms.as_deref());
    Ok((wire, shown_counter(&bargain, wanted.terms.as_deref())))
}

/// A counter as the row shows it.
pub fn shown_counter(bargain: &Bargain, terms: Option<&str>) -> Value {
    let value = |it: &bargain::Commitment| it.value.map(|value| value.to_string());
    json!({
        "quantity": value(&bargain.primary),
        "price": bargain.reciprocal.as_ref().and_then(value),
        "terms": terms,
    })
}

/// Take an own offer back, unless it was accepted.
pub async fn withdraw(tx: &mut Tx, input: Named1) -> Result<Value> {
    tx.as_hub(async |tx| withdrawn(tx, input).await).await
}

async fn withdrawn(tx: &mut Tx, input: Named1) -> Result<Value> {
    let (mut deal, side, me) = mine(tx, input.id).await?;
    if side != Side::Asker {
        return Err(refused("not_party"));
    }
    match deal.row.status.as_str() {
        "proposed" => {}
        "withdrawn" => return Ok(shown(&deal)),
        "rejected" | "expired" => return Err(refused("expired")),
        _ => return Err(refused("already_accepted")),
    }
    take_back(tx, &mut deal, &me, "withdrawn").await?;
    Ok(shown(&deal))
}

/// Take an offer of somebody of this hub back. What was reserved for it stays so until the other hub has answered: its
/// acceptance may be under way.
pub async fn take_back(tx: &mut Tx, deal: &mut Deal, me: &Local, reason: &str) -> Result<()> {
    let undo = json!({ "type": "Undo", "object": deal.kept.offer_uri });
    wire::say(tx, me, &deal.proposer.clone(), &deal.kept.context, undo).await?;
    enter(tx, deal, "withdrawn", json!({ "reason": reason })).await?;
    if deal.proposer.is_local() {
        money::release(tx, deal).await?;
    }
    Ok(())
}
