//! An exchange that somebody writes as a row becomes the offer that `exchanges_propose` makes of the same, in the same
//! transaction: it goes to whoever declared the other side. What cannot be said to anybody is refused, and its row with it.

use serde::Deserialize;
use uuid::Uuid;

use super::bargain;
use super::propose::{Ask, ask_for, own_side, until};
use super::refused;
use super::subject::{self, Named, Subject};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::fed::actors::Local;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};

/// What is done around writes of exchanges.
pub const HOOK: Hook = Hook {
    kind: "exchanges",
    before: None,
    after: Some(after),
};

/// After they were written: say so. What becomes of them later is said by actions.
fn after<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        if verb != Verb::Insert {
            return Ok(());
        }
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            offer(tx, id).await?;
        }
        Ok(())
    })
}

/// A row as it was written.
#[derive(Deserialize)]
struct Written {
    owner_id: Uuid,
    status: Option<String>,
    notes: Option<String>,
    exchange_type: Option<String>,
    offer_decl_id: Option<Uuid>,
    need_decl_id: Option<Uuid>,
    listing_id: Option<Uuid>,
    /// It was said already.
    is_said: bool,
}

/// Make an offer of a row.
async fn offer(tx: &mut Tx, id: Uuid) -> Result<()> {
    let Some(row) = written(tx, id).await? else {
        return Ok(());
    };
    // What has come to an end is a record that the operator brings along; only the hub writes how things stand.
    if row.is_said || row.status.as_deref() != Some("proposed") {
        return Ok(());
    }
    // The operator's own programs write for others.
    let me = match tx.person().await? {
        Some(_) => people::speaker(tx, None).await?,
        None => people::author(tx, row.owner_id, None)
            .await?
            .ok_or_else(hidden)?,
    };
    let (subject, own) = sides(tx, &row, &me).await?;
    if row
        .exchange_type
        .as_deref()
        .is_some_and(|mode| mode != subject.mode)
    {
        return Err(Error::invalid(
            "exchange.wrong_type",
            format!("What was declared is exchanged as {}.", subject.mode),
        ));
    }
    let bargain = bargain::usual(&subject.terms, &subject.uri, None, None).map_err(refused)?;
    bargain::fits(&subject.terms, &subject.uri, &bargain, false).map_err(refused)?;

    let ask = Ask {
        row: Some(id),
        bargain,
        words: row.notes,
        expires: until(None)?,
        counters: None,
        context: None,
    };
    ask_for(tx, &me, &subject, own.as_ref(), ask)
        .await
        .map(drop)
}

async fn written(tx: &mut Tx, id: Uuid) -> Result<Option<Written>> {
    let mut select = Statement::new(
        "select jsonb_build_object('owner_id', e.owner_id, 'status', e.status, 'notes', e.notes, 'exchange_type', e.exchange_type, \
         'offer_decl_id', e.offer_decl_id, 'need_decl_id', e.need_decl_id, 'listing_id', e.listing_id, \
         'is_said', exists (select from hub.deals d where d.exchange_id = e.id)) from public.exchanges e where e.id = ",
    );
    select.bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// What is answered, and with which own declaration: of all that a row names, the one that is not the writer's.
async fn sides(tx: &mut Tx, row: &Written, me: &Local) -> Result<(Subject, Option<Subject>)> {
    let named = [
        ("declarations", row.offer_decl_id),
        ("declarations", row.need_decl_id),
        ("listings", row.listing_id),
    ];
    let (mut theirs, mut own) = (Vec::new(), Vec::new());
    for (kind, id) in named {
        let Some(id) = id.map(|id| id.to_string()) else {
            continue;
        };
        let found = subject::find(tx, Named::Seen(kind, &id)).await?;
        let found = found.ok_or_else(missing)?;
        match found.actor == me.id {
            true => own.push(id),
            false => theirs.push(found),
        }
    }
    let (Some(subject), true, true) = (theirs.pop(), theirs.is_empty(), own.len() < 2) else {
        return Err(Error::invalid(
            "exchange.one_subject",
            "Name one listing or declaration of somebody else, and at most one of your own.",
        ));
    };
    let own = match own.pop() {
        Some(named) => Some(own_side(tx, &named, me, &subject).await?),
        None => None,
    };
    Ok((subject, own))
}

fn missing() -> Error {
    Error::missing(
        "exchange.no_subject",
        "There is no such listing or declaration.",
    )
}

fn hidden() -> Error {
    Error::conflict("actor.not_public", "Others cannot see its owner.")
}
