//! A transfer of ours that another hub refuses: what was given is back in the treasury, and the decision stands as passed with
//! the reason, until those who run the DAO try again (R37). A new attempt has an address of its own, so that nothing is booked
//! twice whatever comes late.

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::execution;
use crate::base::{Amount, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::commons::exchanges::bargain::words;
use crate::domains::commons::ledger::{self, Holder, Transfer};
use crate::fed::actors;
use crate::node::incoming::{Applied, Incoming};

/// So often something is tried at most.
const MOST: u32 = 1_000;

/// Reasons that are repeated to everybody who reads of the decision; others are a plain no.
const REASONS: &[&str] = &[
    "not_party",
    "wrong_unit",
    "wrong_quantity",
    "forged",
    "expired",
    "too_often",
];

/// What was given with an activity.
struct Given {
    document: String,
    proposal: Uuid,
    dao: Uuid,
    receiver: Uuid,
    unit: String,
    amount: Amount,
}

/// The receiver's hub does not take what was given; not mine if it was no transfer.
pub async fn on_refused(tx: &mut Tx, heard: &Incoming, asked: &str) -> Result<Applied> {
    tx.as_hub(async |tx| refused(tx, heard, asked).await).await
}

async fn refused(tx: &mut Tx, heard: &Incoming, asked: &str) -> Result<Applied> {
    let Some(given) = given(tx, asked).await? else {
        return Ok(Applied::NotMine);
    };
    if given.receiver != heard.author.id {
        return Ok(Applied::Refused("not_addressee"));
    }

    let returned = returned(&given.document);
    let back = Transfer {
        from: Holder::Actor(given.receiver),
        to: Holder::Dao(given.dao),
        unit: &given.unit,
        community: None,
        amount: given.amount,
        agreement: &returned,
        memo: None,
        exchange: None,
        hold: None,
    };
    match ledger::book(tx, &back).await {
        Ok(true) => {}
        Ok(false) => return Ok(Applied::Repeated),
        // It has gone on from there: who spends what he has does not refuse it.
        Err(error) if error.is("ledger.over_limit") => return Ok(Applied::Refused("over_limit")),
        Err(error) => return Err(error),
    }

    let said = heard.activity.get("mo:reason").and_then(Value::as_str);
    let reason = REASONS.iter().find(|reason| said == Some(**reason));
    let reason = reason.copied().unwrap_or("declined");
    let why = format!(
        "{} refuses it: {reason}. {}",
        heard.author.host,
        words(reason)
    );
    execution::note_refusal(tx, given.proposal, &why).await?;
    Ok(Applied::Done)
}

/// Under which address a transfer of a proposal is said: each attempt that was refused has used one up.
pub async fn next_document(tx: &mut Tx, proposal: Uuid) -> Result<String> {
    let first = format!("{}/ap/transfers/{proposal}", actors::base(tx)?);
    for nth in 1..=MOST {
        let document = match nth {
            1 => first.clone(),
            nth => format!("{first}/{nth}"),
        };
        let mut ask = Statement::<Bool>::new(
            "select exists (select from public.ledger_entries e where e.agreement = ",
        );
        ask.text(returned(&document)).sql(")");
        let is_used: Vec<bool> = tx.load(ask).await?;
        if is_used != [true] {
            return Ok(document);
        }
    }
    Err(Error::conflict(
        "proposal.too_often",
        "It was refused too often.",
    ))
}

/// The address under which a transfer is taken back.
fn returned(document: &str) -> String {
    format!("{document}#refused")
}

async fn given(tx: &mut Tx, asked: &str) -> Result<Option<Given>> {
    let mut said = Statement::<Text>::new(
        "select x.object_uri from public.ap_activities x where x.type = 'Create' and x.object_uri is not null and x.uri = ",
    );
    said.text(asked);
    let documents: Vec<String> = tx.load(said).await?;
    let place = format!("{}/ap/transfers/", actors::base(tx)?);
    let Some((document, proposal)) = documents.into_iter().next().and_then(|document| {
        let proposal = document
            .strip_prefix(&place)?
            .get(..36)?
            .parse::<Uuid>()
            .ok()?;
        Some((document, proposal))
    }) else {
        return Ok(None);
    };
    let mut select = Statement::<(SqlUuid, SqlUuid, Text, Text)>::new(
        "select p.dao_id, a.actor_id, a.unit, trim_scale(e.amount)::text from public.proposals p \
         join public.ledger_entries e on e.amount > 0 and e.agreement = ",
    );
    select
        .text(&document)
        .sql(" join public.ledger_accounts a on a.id = e.account_id where a.actor_id is not null and p.id = ")
        .bind(Bind::Uuid(proposal));
    let rows: Vec<(Uuid, Uuid, String, String)> = tx.load(select).await?;
    let Some((dao, receiver, unit, amount)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let amount = amount.parse().map_err(Error::broken)?;
    Ok(Some(Given {
        document,
        proposal,
        dao,
        receiver,
        unit,
        amount,
    }))
}
