//! What the other party signs of how it went: taken by its own proof, and derived from it how the exchange stands.

use diesel::sql_types::BigInt;
use serde_json::Value;
use uuid::Uuid;

use super::hear::{refuse, stands, stopped, version};
use super::hear_offers::side_of;
use super::state::{Said, Side, Verdict};
use super::{By, Deal, by_uri, confirm, effects, wire};
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::fed::{trust, vocab};
use crate::node::incoming::{Applied, Incoming};

/// So many documents a party signs of one exchange at most.
const MOST_DOCUMENTS: usize = 50;

/// The other party says how it went.
pub async fn on_receipt(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    // What is about no agreement at all is a gift: others hear it.
    if heard.object.get("context").is_none() && heard.object.get("fulfills").is_none() {
        return Ok(Applied::NotMine);
    }
    tx.as_hub(async |tx| received(tx, heard).await).await
}

async fn received(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let agreement = heard
        .object
        .get("context")
        .and_then(vocab::id)
        .unwrap_or_default()
        .to_owned();
    let Some(mut deal) = by_uri(tx, By::Agreement(&agreement)).await? else {
        // What the acceptance says may still be under way, if there is anything of ours that he could accept.
        return Ok(
            match trust::same_origin(&agreement, &heard.author.uri)
                && has_open_offers(tx, heard.author.id).await?
            {
                true => Applied::Waits("no_agreement"),
                false => Applied::Refused("not_party"),
            },
        );
    };
    let Some(side) = side_of(&deal, heard) else {
        return Ok(Applied::Refused("not_party"));
    };
    if let Some(stop) = stands(tx, heard, &heard.object).await? {
        return stopped(tx, &deal, heard, stop).await;
    }
    let uri = vocab::id(&heard.object).unwrap_or_default().to_owned();
    let Some((version, verdict)) = says(&deal, &heard.object) else {
        return refuse(tx, &deal, heard, "forged").await;
    };
    let (is_known, count) = filed(tx, &deal, side, &uri).await?;
    if is_known {
        return Ok(Applied::Repeated);
    }
    if count >= MOST_DOCUMENTS {
        return Ok(Applied::Refused("too_often"));
    }
    let party = deal.evidence.of(side);
    let said = Said {
        version,
        uri,
        verdict,
    };
    let is_older = party.latest.as_ref().is_some_and(|latest| said < *latest);
    let tells_more = verdict == Verdict::Fulfilled && !party.has_fulfilled;
    if is_older && !tells_more {
        return refuse(tx, &deal, heard, "stale").await;
    }

    confirm::file(tx, &mut deal, Uuid::now_v7(), side, said, &heard.object).await?;
    effects::settle(tx, &mut deal).await?;
    Ok(Applied::Done)
}

/// What a document says of this agreement: nothing, if it is not about all of it as it was agreed (R26).
fn says(deal: &Deal, document: &Value) -> Option<(i64, Verdict)> {
    let agreement: Value = serde_json::from_str(deal.kept.agreement.as_deref()?).ok()?;
    let obliged = wire::obligations(&agreement);
    let fulfills = vocab::ids(document.get("fulfills")?);
    let is_all =
        fulfills.len() == obliged.len() && obliged.iter().all(|id| fulfills.contains(&id.as_str()));
    let same = |name: &str| {
        let agreed = agreement.pointer(&format!("/stipulates/{name}"));
        let said = document.get(name);
        agreed.and_then(vocab::id) == said.and_then(vocab::id)
    };
    let amount = |it: Option<&Value>| {
        let it = it?.get("resourceQuantity")?;
        let value: crate::base::amount::Amount =
            it.get("hasNumericalValue")?.as_str()?.parse().ok()?;
        Some((it.get("hasUnit")?.as_str()?.to_owned(), value))
    };
    let is_amount = amount(agreement.get("stipulates")) == amount(Some(document));
    let verdict = Verdict::read(document.get("mo:verdict")?.as_str()?)?;
    let version = version(document)?;
    (is_all && same("provider") && same("receiver") && is_amount).then_some((version, verdict))
}

/// Whether a document is here already, and how many of that side are.
async fn filed(tx: &mut Tx, deal: &Deal, side: Side, uri: &str) -> Result<(bool, usize)> {
    let mut ask = Statement::<(BigInt, BigInt)>::new("select count(*) filter (where uri = ");
    ask.text(uri)
        .sql(format!(
            "), count(*) filter (where is_proposers = {}) from hub.deal_documents where exchange_id = ",
            side == Side::Proposer
        ))
        .bind(Bind::Uuid(deal.row.id));
    let counts: Vec<(i64, i64)> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    let (known, count) = counts.into_iter().next().unwrap_or_default();
    Ok((known > 0, usize::try_from(count).unwrap_or(usize::MAX)))
}

/// Whether somebody elsewhere has offers of ours that he may have accepted.
async fn has_open_offers(tx: &mut Tx, actor: Uuid) -> Result<bool> {
    let mut ask = Statement::<BigInt>::new(
        "select count(*) from hub.deals d join public.exchanges e on e.id = d.exchange_id \
         where d.agreement is null and e.status in ('proposed', 'withdrawn', 'expired') and d.proposer_id = ",
    );
    ask.bind(Bind::Uuid(actor));
    let counts: Vec<i64> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(counts.into_iter().sum::<i64>() > 0)
}
