//! What the parties say of how it went: each signs documents of its own, and how it stands follows from both.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::state::{Said, Side, Verdict};
use super::{Deal, answer, effects, mine, propose, refused, shown, wire};
use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::posts::show::proven;
use crate::fed::actors;

/// Which exchange, and what to say of it.
#[derive(Deserialize)]
pub struct Confirm {
    id: Uuid,
    verdict: String,
    note: Option<String>,
}

/// Say how it went.
pub async fn confirm(tx: &mut Tx, input: Confirm) -> Result<Value> {
    tx.as_hub(async |tx| confirmed(tx, input).await).await
}

async fn confirmed(tx: &mut Tx, input: Confirm) -> Result<Value> {
    let verdict = Verdict::read(&input.verdict).ok_or_else(|| {
        Error::invalid("exchange.verdict", "Say fulfilled, cancelled or disputed.")
    })?;
    if input
        .note
        .as_ref()
        .is_some_and(|note| note.len() > propose::LONGEST_WORDS)
    {
        return Err(Error::invalid("exchange.too_long", "The note is too long."));
    }
    let (mut deal, side, _) = mine(tx, input.id).await?;
    if deal.kept.agreement.is_none() {
        return Err(Error::conflict(
            "exchange.not_accepted",
            "It was not accepted yet.",
        ));
    }
    if deal.evidence.of(side).verdict() == Some(verdict) {
        return Ok(shown(&deal));
    }
    if !deal.evidence.may_say(side, verdict) {
        return Err(Error::conflict(
            "exchange.final",
            "What was fulfilled stays so, unless the two of you disagree.",
        ));
    }
    answer::is_open_between(tx, &deal).await?;
    say(tx, &mut deal, side, verdict, input.note.as_deref()).await?;
    Ok(shown(&deal))
}

/// Sign a document for a side of this hub, and send it.
pub async fn say(
    tx: &mut Tx,
    deal: &mut Deal,
    side: Side,
    verdict: Verdict,
    note: Option<&str>,
) -> Result<()> {
    let Some(me) = actors::by_id(tx, deal.party(side).id).await? else {
        return Err(refused("not_party"));
    };
    let (id, now) = (Uuid::now_v7(), clock::now());
    let uri = format!("{}/ap/receipts/{id}", actors::base(tx)?);
    let document = wire::document(deal, side, &uri, verdict, note, now)?;
    let document = proven(tx, document, &me, now).await?;
    let activity = json!({ "type": "Create", "object": document });
    let other = deal.party(side.other()).clone();
    wire::say(tx, &me, &other, &deal.kept.context, activity).await?;

    let said = Said {
        version: deal.evidence.of(side).next(),
        uri,
        verdict,
    };
    file(tx, deal, id, side, said, &document).await?;
    Box::pin(effects::settle(tx, deal)).await
}

/// Keep a document.
pub async fn file(
    tx: &mut Tx,
    deal: &mut Deal,
    id: Uuid,
    side: Side,
    said: Said,
    document: &Value,
) -> Result<()> {
    let mut insert = Statement::<()>::new(
        "insert into hub.deal_documents (id, exchange_id, uri, is_proposers, version, verdict, document) values (",
    );
    insert
        .bind(Bind::Uuid(id))
        .sql(", ")
        .bind(Bind::Uuid(deal.row.id))
        .sql(", ")
        .text(&said.uri)
        .sql(format!(", {}, ", side == Side::Proposer))
        .bind(Bind::Int(said.version))
        .sql(", ")
        .text(said.verdict.word())
        .sql(", ")
        .text(document.to_string())
        .sql(")");
    tx.as_hub(async |tx| tx.run(insert.clone()).await.map(drop))
        .await?;
    deal.evidence.take(side, said);
    Ok(())
}

/// Which exchange, and how far it is.
#[derive(Deserialize)]
pub struct Progress {
    id: Uuid,
    progress: String,
}

/// Tell the other party how far it is; only who was asked writes the agreement.
pub async fn progress(tx: &mut Tx, input: Progress) -> Result<Value> {
    tx.as_hub(async |tx| progressed(tx, input).await).await
}

async fn progressed(tx: &mut Tx, input: Progress) -> Result<Value> {
    let (mut deal, side, _) = mine(tx, input.id).await?;
    if side != Side::Proposer || deal.kept.agreement.is_none() {
        return Err(refused("not_party"));
    }
    let progress = crate::base::text::name(&input.progress);
    if progress.is_empty() || progress.len() > 200 {
        return Err(Error::invalid(
            "exchange.progress",
            "Say in a few words how far it is.",
        ));
    }
    super::set(tx, deal.row.id, json!({ "progress": progress })).await?;
    deal.row.progress = Some(progress);
    effects::say_agreement(tx, &mut deal).await?;
    Ok(shown(&deal))
}
