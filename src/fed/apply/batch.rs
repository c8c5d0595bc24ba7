//! Many activities in one transaction. What needs something from elsewhere is put aside; what panics is marked by itself,
//! and the others are done again without it.

use std::rc::Rc;

use uuid::Uuid;

use super::one::{self, Batch, Came, Known};
use super::rows::{self, Outcome, Row};
use super::{Shared, slow};
use crate::base::{Caller, Result, clock};
use crate::db::Tx;
use crate::fed::vocab;
use crate::node::Node;

/// Apply what is due. Whether more is likely to wait.
pub async fn next(shared: &Rc<Shared>) -> Result<bool> {
    let node = &shared.node;
    let mut tx = Tx::begin(&node.db, &Caller::Hub).await?;
    let claimed = rows::claim(&mut tx).await?;
    if claimed.is_empty() {
        tx.roll_back().await?;
        return Ok(false);
    }
    let mut batch = Batch::default();
    load_gone(&mut tx, &claimed, &mut batch).await?;

    let mut ended = Vec::with_capacity(claimed.len());
    let mut aside = Vec::new();
    let known = Known::default();
    for row in &claimed {
        match one::apply(node, &mut tx, row, &mut batch, &known).await? {
            Came::Ended(outcome) => ended.push((row, outcome)),
            Came::Fetch(..) | Came::Needs(_) | Came::PassesOn(_) => {
                if shared.room.available_permits() > aside.len() {
                    aside.push(row.id);
                    ended.push((row, Outcome::Slow));
                } else {
                    ended.push((row, Outcome::Waits("crowded")));
                }
            }
            Came::Panicked => {
                drop(tx);
                mark(node, row).await?;
                return Ok(true);
            }
        }
    }
    finish(&mut tx, &ended, &batch).await?;
    tx.commit().await?;
    for id in aside {
        slow::begin(shared, id);
    }
    Ok(claimed.len() as i64 == rows::MOST)
}

/// Apply one activity by itself, with what was fetched for it. None when it is not there to be applied.
pub async fn single(node: &Node, id: Uuid, known: &Known) -> Result<Option<Came>> {
    let mut tx = Tx::begin(&node.db, &Caller::Hub).await?;
    let Some(row) = rows::claim_one(&mut tx, id).await? else {
        tx.roll_back().await?;
        return Ok(None);
    };
    let mut batch = Batch::default();
    load_gone(&mut tx, std::slice::from_ref(&row), &mut batch).await?;
    match one::apply(node, &mut tx, &row, &mut batch, known).await? {
        Came::Ended(outcome) => {
            finish(&mut tx, &[(&row, outcome.clone())], &batch).await?;
            tx.commit().await?;
            Ok(Some(Came::Ended(outcome)))
        }
        Came::Panicked => {
            drop(tx);
            mark(node, &row).await?;
            Ok(Some(Came::Panicked))
        }
        needs => {
            tx.roll_back().await?;
            Ok(Some(needs))
        }
    }
}

/// Say how an activity ended without applying it.
pub async fn settle(node: &Node, id: Uuid, outcome: Outcome) -> Result<()> {
    node.db
        .write(&Caller::Hub, async |tx| {
            let Some(row) = rows::claim_one(tx, id).await? else {
                return Ok(());
            };
            rows::settle(tx, &[(&row, outcome.clone())], clock::now()).await
        })
        .await
}

async fn finish(tx: &mut Tx, ended: &[(&Row, Outcome)], batch: &Batch) -> Result<()> {
    if *tx.caller() != Caller::Hub {
        tx.enter_as(&Caller::Hub).await?;
    }
    rows::bury(tx, &batch.buried).await?;
    rows::settle(tx, ended, clock::now()).await
}

/// What of this is gone already, by one question.
async fn load_gone(tx: &mut Tx, claimed: &[Row], batch: &mut Batch) -> Result<()> {
    let mut uris = Vec::with_capacity(claimed.len() * 2);
    for row in claimed {
        uris.push(Some(row.uri.clone()));
        let activity: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
        let objects = activity.get("object").map(vocab::ids).unwrap_or_default();
        uris.extend(objects.into_iter().map(|id| Some(id.to_owned())));
    }
    batch.gone = rows::tombstones(tx, uris).await?.into_iter().collect();
    Ok(())
}

/// It panicked: that counts as a try of its own, in a transaction that holds nothing else (S-157).
async fn mark(node: &Node, row: &Row) -> Result<()> {
    settle(node, row.id, Outcome::Failed("panicked".to_owned())).await
}
