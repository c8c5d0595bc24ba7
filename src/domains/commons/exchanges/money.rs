//! Hours that are given in return: promised when a party of this hub binds itself, booked when both say that it was
//! fulfilled, and else let go (R29). Money of other kinds changes hands elsewhere.

use diesel::sql_types::Uuid as SqlUuid;
use serde_json::Value;
use uuid::Uuid;

use super::state::Side;
use super::{Deal, Party, keep};
use crate::base::Result;
use crate::base::amount::Amount;
use crate::db::{Statement, Tx};
use crate::domains::commons::ledger::{self, Hold, Holder, Transfer};

/// What hours are called in the books.
const UNIT: &str = "TIME";

/// Who pays, if hours are paid.
pub fn payer(deal: &Deal) -> Option<Side> {
    match deal.kept.payer.as_deref() {
        Some("proposer") => Some(Side::Proposer),
        Some("asker") => Some(Side::Asker),
        _ => None,
    }
}

fn holder(party: &Party) -> Holder {
    match (party.kind.as_deref(), party.row_id) {
        (Some("user"), Some(id)) => Holder::User(id),
        (Some("dao"), Some(id)) => Holder::Dao(id),
        _ => Holder::Actor(party.id),
    }
}

/// How many hours.
fn due(deal: &Deal) -> Result<Option<Amount>> {
    if payer(deal).is_none() {
        return Ok(None);
    }
    let reciprocal = deal.bargain()?.reciprocal;
    Ok(reciprocal
        .and_then(|asked| asked.value)
        .filter(|value| !value.is_zero()))
}

/// Whose limits apply, if it is a DAO of this hub.
async fn community(tx: &mut Tx, deal: &Deal) -> Result<Option<Uuid>> {
    let Some(uri) = deal.kept.community.clone() else {
        return Ok(None);
    };
    let mut select = Statement::<SqlUuid>::new(
        "select a.row_id from public.ap_actors a where a.kind = 'dao' and a.uri = ",
    );
    select.text(uri);
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(ids.into_iter().next())
}

/// A party of this hub binds itself: promise what is due. Who pays from elsewhere is held to what his hub may owe.
pub async fn bind(tx: &mut Tx, deal: &mut Deal, who: Side) -> Result<()> {
    match payer(deal) {
        Some(side) if side == who || !deal.party(side).is_local() => hold(tx, deal).await,
        _ => Ok(()),
    }
}

/// Promise what is due.
pub async fn hold(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    let (Some(side), Some(amount)) = (payer(deal), due(deal)?) else {
        return Ok(());
    };
    let community = community(tx, deal).await?;
    let hold = Hold {
        payer: holder(deal.party(side)),
        unit: UNIT,
        community,
        amount,
        key: &deal.kept.offer_uri,
    };
    ledger::reserve(tx, &hold).await?;
    deal.kept.is_held = true;
    keep(tx, &deal.kept).await
}

/// Let a promise go.
pub async fn release(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    if !deal.kept.is_held {
        return Ok(());
    }
    ledger::release(tx, &deal.kept.offer_uri).await?;
    deal.kept.is_held = false;
    keep(tx, &deal.kept).await
}

/// Book what was promised, under the agreement's name: once, whatever comes again.
pub async fn book(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    let (Some(side), Some(amount), Some(agreement)) =
        (payer(deal), due(deal)?, deal.kept.agreement_uri.clone())
    else {
        return Ok(());
    };
    if deal.kept.is_booked {
        return Ok(());
    }
    let community = community(tx, deal).await?;
    let memo = deal.row.notes.clone();
    let transfer = Transfer {
        from: holder(deal.party(side)),
        to: holder(deal.party(side.other())),
        unit: UNIT,
        community,
        amount,
        agreement: &agreement,
        memo,
        exchange: Some(deal.row.id),
        hold: deal.kept.is_held.then_some(deal.kept.offer_uri.as_str()),
    };
    ledger::book(tx, &transfer).await?;
    deal.kept.is_booked = true;
    deal.kept.is_held = false;
    keep(tx, &deal.kept).await
}

/// Whether hours are paid.
pub fn is_paid_in_hours(deal: &Deal) -> bool {
    deal.kept.terms.get("is_time") == Some(&Value::Bool(true))
}
