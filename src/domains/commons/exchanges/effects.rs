//! What follows from what was signed: the state, what is reserved of a stock or bound of a declaration, the books, and what
//! the one who wrote the agreement says of it.

use diesel::sql_types::Uuid as SqlUuid;
use serde_json::json;
use uuid::Uuid;

use super::state::{Side, State, Verdict};
use super::subject::Subject;
use super::{Deal, answer, confirm, enter, keep, locked, money, refused, wire};
use crate::base::amount::Amount;
use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::commons::declarations::publish as declarations;
use crate::domains::commons::reputation::{self, Fact};
use crate::domains::market::listings;
use crate::domains::social::posts::show::proven;
use crate::fed::actors;

/// Reserve what is accepted: of a listing so much of its stock, of a declaration all of it. Under the lock of its row, so
/// that of two acceptances of the last one only one wins.
pub async fn reserve(tx: &mut Tx, deal: &mut Deal, subject: &Subject) -> Result<()> {
    let value = deal.bargain()?.primary.value.unwrap_or(Amount::whole(1));
    match subject.kind {
        "listings" => {
            if subject
                .terms
                .primary
                .available
                .is_some_and(|available| value > available)
            {
                return Err(refused("over_stock"));
            }
            listings::reserve(tx, subject.id, value)
                .await
                .map_err(
                    |error| match error.told().map(|told| told.code.to_string()) {
                        Some(code) if code == "over_stock" => refused("over_stock"),
                        Some(code) if code == "not_active" => refused("not_active"),
                        _ => error,
                    },
                )?;
        }
        _ => {
            if !declarations::enter(tx, subject.id, &["active"], "matched").await? {
                return Err(refused("not_active"));
            }
        }
    }
    deal.kept.is_reserved = true;
    keep(tx, &deal.kept).await
}

/// The agreement binds one of this hub who asked for it: what he declared himself is matched by the first, his other offers
/// for the same are taken back, and those that were accepted meanwhile are cancelled (R27).
pub async fn bind_asker(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    let Some(own) = own_declaration(deal) else {
        return Ok(());
    };
    if !declarations::enter(tx, own, &["active"], "matched").await? {
        return confirm::say(
            tx,
            deal,
            Side::Asker,
            Verdict::Cancelled,
            Some("It is matched with another already."),
        )
        .await;
    }
    deal.kept.is_bound = true;
    keep(tx, &deal.kept).await?;
    let mut select = Statement::<SqlUuid>::new(
        "select d.exchange_id from hub.deals d join public.exchanges e on e.id = d.exchange_id \
         where e.status = 'proposed' and d.asker_id = ",
    );
    select
        .bind(Bind::Uuid(deal.asker.id))
        .sql(" and (e.offer_decl_id = ")
        .bind(Bind::Uuid(own))
        .sql(" or e.need_decl_id = ")
        .bind(Bind::Uuid(own))
        .sql(") and d.exchange_id <> ")
        .bind(Bind::Uuid(deal.row.id))
        .sql(" order by d.exchange_id limit 1000");
    let siblings: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some(me) = actors::by_id(tx, deal.asker.id).await? else {
        return Ok(());
    };
    for sibling in siblings {
        if let Some(mut other) = locked(tx, sibling).await?
            && other.row.status == "proposed"
        {
            answer::take_back(tx, &mut other, &me, "superseded").await?;
        }
    }
    Ok(())
}

/// What the one who asked has declared himself, if it is of this hub.
fn own_declaration(deal: &Deal) -> Option<Uuid> {
    if !deal.asker.is_local() {
        return None;
    }
    let (own, link) = match deal.proposer_gives() {
        true => (deal.row.need_decl_id, &deal.kept.need_link),
        false => (deal.row.offer_decl_id, &deal.kept.offer_link),
    };
    own.filter(|_| link.is_some())
}

/// Bring an exchange to the state that follows from what was signed, and everything with it.
pub async fn settle(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    let state = deal.evidence.state();
    let own = deal.own_side();
    let word = |side: Side| {
        deal.evidence
            .of(side)
            .verdict()
            .map(|verdict| verdict.word())
    };
    let columns = json!({ "own_verdict": word(own), "other_verdict": word(own.other()) });
    if deal.row.status == state.word() {
        return enter(tx, deal, state.word(), columns).await;
    }

    match state {
        State::Completed => {
            money::book(tx, deal).await?;
            finish(tx, deal).await?;
        }
        State::Cancelled => {
            money::release(tx, deal).await?;
            release(tx, deal).await?;
        }
        // It was cancelled and is not any more: as far as it goes, it is reserved again.
        State::Disputed | State::InProgress | State::Accepted if deal.row.status == "cancelled" => {
            again(tx, deal).await?;
        }
        _ => {}
    }
    enter(tx, deal, state.word(), columns).await?;
    note(tx, deal, state).await?;
    say_agreement(tx, deal).await
}

/// What was reserved is given back.
async fn release(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    if deal.kept.is_reserved {
        match deal.kept.subject_kind.as_str() {
            "listings" => {
                let value = deal.bargain()?.primary.value.unwrap_or(Amount::whole(1));
                listings::release(tx, deal.kept.subject_id, value).await?;
            }
            _ => {
                declarations::enter(tx, deal.kept.subject_id, &["matched"], "active").await?;
            }
        }
    }
    if deal.kept.is_bound
        && let Some(own) = own_declaration(deal)
    {
        declarations::enter(tx, own, &["matched"], "active").await?;
    }
    deal.kept.is_reserved = false;
    deal.kept.is_bound = false;
    keep(tx, &deal.kept).await
}

/// What was given back is taken again where it is still there; where it is not, the two settle it between them.
async fn again(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    if deal.proposer.is_local() {
        deal.kept.is_reserved = match deal.kept.subject_kind.as_str() {
            "listings" => {
                let value = deal.bargain()?.primary.value.unwrap_or(Amount::whole(1));
                match listings::reserve(tx, deal.kept.subject_id, value).await {
                    Err(Error::Conflict(_) | Error::Invalid(_)) => false,
                    came => came.map(|()| true)?,
                }
            }
            _ => declarations::enter(tx, deal.kept.subject_id, &["active"], "matched").await?,
        };
    }
    if let Some(own) = own_declaration(deal) {
        deal.kept.is_bound = declarations::enter(tx, own, &["active"], "matched").await?;
    }
    keep(tx, &deal.kept).await?;
    match money::hold(tx, deal).await {
        Err(error) if error.is("ledger.over_limit") => Ok(()),
        held => held,
    }
}

/// It is done: what was declared is fulfilled.
async fn finish(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    match deal.kept.subject_kind.as_str() {
        _ if !deal.proposer.is_local() => {}
        "listings" if deal.kept.is_reserved => {
            let value = deal.bargain()?.primary.value.unwrap_or(Amount::whole(1));
            listings::stock::take(tx, deal.kept.subject_id, value).await?;
            deal.kept.is_reserved = false;
            keep(tx, &deal.kept).await?;
        }
        "listings" => {}
        _ => {
            declarations::enter(
                tx,
                deal.kept.subject_id,
                &["matched", "active"],
                "fulfilled",
            )
            .await?;
        }
    }
    if deal.kept.is_bound
        && let Some(own) = own_declaration(deal)
    {
        declarations::enter(tx, own, &["matched", "active"], "fulfilled").await?;
    }
    Ok(())
}

/// Agreements that were kept, and those that one called off himself, make a name (R38).
async fn note(tx: &mut Tx, deal: &Deal, state: State) -> Result<()> {
    let Some(agreement) = deal.kept.agreement_uri.as_deref() else {
        return Ok(());
    };
    for side in [Side::Proposer, Side::Asker] {
        let is_fulfilled = match state {
            State::Completed => true,
            State::Cancelled
                if deal.evidence.of(side).verdict() == Some(Verdict::Cancelled)
                    && deal.evidence.of(side.other()).verdict().is_none() =>
            {
                false
            }
            _ => continue,
        };
        if let (Some(user), true) = (deal.user(side), deal.party(side).is_local()) {
            let fact = Fact {
                user,
                counterparty: &deal.party(side.other()).uri,
                domain: match deal.kept.subject_kind.as_str() {
                    "listings" => "marketplace",
                    _ => "resource_sharing",
                },
                agreement,
                is_fulfilled,
            };
            reputation::note(tx, &fact).await?;
        }
    }
    Ok(())
}

/// Who wrote the agreement says how it stands: news for the other, which decides nothing (R25).
pub async fn say_agreement(tx: &mut Tx, deal: &mut Deal) -> Result<()> {
    if !deal.proposer.is_local() || deal.asker.is_local() {
        return Ok(());
    }
    let (Some(me), Some(uri)) = (
        actors::by_id(tx, deal.proposer.id)
            .await?
            .filter(|me| !me.is_gone()),
        deal.kept.agreement_uri.clone(),
    ) else {
        return Ok(());
    };
    let now = clock::now();
    deal.kept.agreement_version = deal
        .kept
        .agreement_version
        .saturating_add(1)
        .max(now.timestamp_millis());
    let status = deal.row.status.clone();
    let agreement = wire::agreement(deal, &uri, &status, now)?;
    let agreement = proven(tx, agreement, &me, now).await?;
    deal.kept.agreement_now = Some(agreement.to_string());
    keep(tx, &deal.kept).await?;
    let activity = json!({ "type": "Update", "object": agreement });
    wire::say(tx, &me, &deal.asker.clone(), &deal.kept.context, activity)
        .await
        .map(drop)
}
