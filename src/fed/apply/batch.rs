//! Many activities in one transaction. What needs something from elsewhere is put aside; what panics is marked by itself,
//! and the others are done again without it.

use std::rc::Rc;

use uuid::Uuid;

use super::one::{self, Batch, Came, Known, Ready, Together};
use super::rows::{self, Outcome, Row};
use super::{SINGLY, Shared, slow};
use crate::base::{Caller, Error, Result, clock};
use crate::db::Tx;
use crate::fed::vocab;
use crate::node::Node;
use crate::node::incoming::{HearMany, Incoming};

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
    for (row, came) in all(shared, &mut tx, &claimed, &mut batch).await? {
        match came {
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

/// Those that follow each other and may be done together.
#[derive(Default)]
struct Run<'a> {
    many: Option<HearMany>,
    rows: Vec<&'a Row>,
    heard: Vec<Incoming>,
}

/// Apply all of a batch in their order: what comes often together, the others one by one. Ends with what panicked.
async fn all<'a>(
    shared: &Shared,
    tx: &mut Tx,
    claimed: &'a [Row],
    batch: &mut Batch,
) -> Result<Vec<(&'a Row, Came)>> {
    let node = &shared.node;
    let known = Known::default();
    let mut came = Vec::with_capacity(claimed.len());
    let mut run = Run::default();
    for row in claimed {
        let ready = match one::read(node, tx, row, batch, &known).await? {
            Ok(ready) => ready,
            Err(ended) => {
                came.push((row, ended));
                continue;
            }
        };
        let many = together(shared, &ready);
        let is_other =
            many.is_none() || run.heard.iter().any(|heard| heard.meaning != ready.meaning);
        if is_other && !end(shared, tx, &mut run, batch, &mut came).await? {
            return Ok(came);
        }
        if many.is_some() {
            run.many = many;
            run.rows.push(row);
            run.heard.extend(ready.heard);
            continue;
        }
        let ended = one::act(node, tx, row, ready, batch, &known).await?;
        let is_over = matches!(ended, Came::Panicked);
        came.push((row, ended));
        if is_over {
            return Ok(came);
        }
    }
    end(shared, tx, &mut run, batch, &mut came).await?;
    Ok(came)
}

/// What does many like this at once, if anything does.
fn together(shared: &Shared, ready: &Ready) -> Option<HearMany> {
    let since = shared.singly_since.get();
    if since.is_some_and(|since| since.elapsed() < SINGLY) || ready.heard.len() != 1 {
        return None;
    }
    let mut hears = shared.node.hears(ready.meaning);
    match (hears.next(), hears.next()) {
        (Some(hears), None) => hears.many,
        _ => None,
    }
}

/// Apply a run. Whether the transaction may go on.
async fn end<'a>(
    shared: &Shared,
    tx: &mut Tx,
    run: &mut Run<'a>,
    batch: &mut Batch,
    came: &mut Vec<(&'a Row, Came)>,
) -> Result<bool> {
    let Run { many, rows, heard } = std::mem::take(run);
    let ended = match many {
        Some(many) if rows.len() > 1 => one::act_together(tx, batch, many, &heard).await?,
        _ => Together::Ended(vec![None; rows.len()]),
    };
    let Together::Ended(ended) = ended else {
        // Who of them it was shows when they are done one by one.
        shared.singly_since.set(Some(tokio::time::Instant::now()));
        return Err(Error::broken(anyhow::anyhow!(
            "activities panicked together"
        )));
    };
    let known = Known::default();
    for ((row, heard), outcome) in rows.into_iter().zip(heard).zip(ended) {
        let ended = match outcome {
            Some(outcome) => Came::Ended(outcome),
            None => {
                let ready = Ready {
                    meaning: heard.meaning,
                    heard: vec![heard],
                };
                one::act(&shared.node, tx, row, ready, batch, &known).await?
            }
        };
        let is_over = matches!(ended, Came::Panicked);
        came.push((row, ended));
        if is_over {
            return Ok(false);
        }
    }
    Ok(true)
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
        let Some(activity) = batch.document(row) else {
            continue;
        };
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
