//! The audit log: who did what through which door, sealed into a chain of hashes per owner that he can export and verify.
//! Rows of changes are written by trigger with the change; here is what seals, reads and checks them.

pub mod attempts;
pub mod chain;
pub mod file;
mod log;

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use self::chain::{Chains, Report, Row};
use self::file::Head;
use crate::base::{Caller, Error, Result};
use crate::db::audit::Note;
use crate::db::{Tx, audit};
use crate::jobs::{Attempt, Job};
use crate::node::Node;

/// About how many lines an owner is given at once through a door.
const LINES: usize = 1_000;

/// The version of the exported format.
const VERSION: u32 = 1;

/// Seal what is committed.
#[derive(Serialize, Deserialize)]
pub struct SealAudit {}

impl Job for SealAudit {
    const KEY: &'static str = "ops.seal_audit";

    async fn run(&self, node: &Node, _attempt: &Attempt) -> Result<()> {
        seal(node).await.map(|_| ())
    }
}

/// Seal all that is committed; how many rows there were.
pub async fn seal(node: &Node) -> Result<u64> {
    let mut sealed = 0;
    loop {
        match node.db.write(&Caller::Hub, log::seal).await? {
            0 => return Ok(sealed),
            some => sealed += some,
        }
    }
}

/// Hold the log against its seals: all of it, or one owner's. `known` is the hash of a seal that somebody kept.
/// `each` is told how many seals there are and how many are done.
pub async fn verify(
    node: &Node,
    owner: Option<Uuid>,
    known: Option<String>,
    mut each: impl FnMut(u64, u64),
) -> Result<Report> {
    let hub = Caller::Hub;
    let until = node.db.read(&hub, log::until).await?;
    let (owners, all) = node
        .db
        .read(&hub, async |tx| {
            let owners = match owner {
                Some(_) => vec![owner],
                None => log::owners(tx).await?,
            };
            Ok((owners, log::count(tx, owner, &until).await?))
        })
        .await?;
    let mut chains = Chains::holding(known);
    let mut done = 0;
    for whose in owners {
        let (mut strays, waiting) = node
            .db
            .read(&hub, async |tx| {
                let strays = log::strays(tx, whose, &until).await?;
                Ok((strays, log::count_waiting(tx, whose, &until).await?))
            })
            .await?;
        chains.waiting(waiting);
        let mut after = 0;
        // One transaction per seal: a long look must not hold anything up.
        while let Some(sealed) = node
            .db
            .read(&hub, async |tx| {
                log::next(tx, whose, after, &until, &strays).await
            })
            .await?
        {
            after = sealed.seal.number;
            done += 1;
            each(done, all);
            let rows: Vec<Row> = sealed.rows.into_iter().map(|(row, _)| row).collect();
            if !chains.take(&sealed.seal, &rows, None) {
                return Ok(chains.report(false));
            }
            strays.retain(|stray| !rows.iter().any(|row| row.id == *stray));
        }
        if let Some(stray) = strays.first() {
            chains.stray(whose, *stray);
            break;
        }
    }
    Ok(chains.report(owner.is_none()))
}

/// Write the log and its seals as lines: all of it, or one owner's. How many rows there were.
pub async fn export(
    node: &Node,
    owner: Option<Uuid>,
    out: &mut impl Write,
    mut each: impl FnMut(u64, u64),
) -> Result<u64> {
    let hub = Caller::Hub;
    let until = node.db.read(&hub, log::until).await?;
    let (owners, all) = node
        .db
        .write(&hub, async |tx| {
            note_export(tx, owner).await?;
            let owners = match owner {
                Some(_) => vec![owner],
                None => log::owners(tx).await?,
            };
            Ok((owners, log::count(tx, owner, &until).await?))
        })
        .await?;
    let mut say = |line: &str| writeln!(out, "{line}").map_err(Error::broken);
    say(&head(owner)?)?;
    let (mut rows, mut done) = (0, 0);
    for whose in owners {
        let mut after = 0;
        while let Some(sealed) = node
            .db
            .read(&hub, async |tx| {
                log::next(tx, whose, after, &until, &[]).await
            })
            .await?
        {
            after = sealed.seal.number;
            for (_, line) in &sealed.rows {
                say(line)?;
            }
            say(&sealed.line)?;
            rows += sealed.rows.len() as u64;
            done += 1;
            each(done, all);
        }
        let mut last = None;
        loop {
            let page = node
                .db
                .read(&hub, async |tx| log::waiting(tx, whose, &until, last).await)
                .await?;
            let Some((id, _)) = page.last() else { break };
            last = Some(*id);
            for (_, line) in &page {
                say(line)?;
            }
            rows += page.len() as u64;
        }
    }
    out.flush().map_err(Error::broken)?;
    Ok(rows)
}

/// From where on to go on.
#[derive(Deserialize)]
pub struct After {
    after: Option<i64>,
}

/// One's own log as lines, a page at a time: joined by line ends they are the file that `audit verify --file` reads.
pub async fn export_own(tx: &mut Tx, input: After) -> Result<Value> {
    let person = signed_in(tx).await?;
    let owner = Some(person);
    let mut lines = Vec::new();
    if input.after.is_none() {
        note_export(tx, owner).await?;
        lines.push(head(owner)?);
    }
    tx.as_hub(async |tx| {
        let until = log::until(tx).await?;
        let mut after = input.after.unwrap_or(0);
        while let Some(sealed) = log::next(tx, owner, after, &until, &[]).await? {
            after = sealed.seal.number;
            lines.extend(sealed.rows.into_iter().map(|(_, line)| line));
            lines.push(sealed.line);
            if lines.len() >= LINES {
                return Ok(json!({ "lines": lines, "next": after }));
            }
        }
        let rest = log::waiting(tx, owner, &until, None).await?;
        lines.extend(rest.into_iter().map(|(_, line)| line));
        Ok(json!({ "lines": lines, "next": null }))
    })
    .await
}

/// One's own seals, a page at a time, without the rows' hashes.
pub async fn seals_own(tx: &mut Tx, input: After) -> Result<Value> {
    let owner = Some(signed_in(tx).await?);
    tx.as_hub(async |tx| {
        let until = log::until(tx).await?;
        let seals = log::seals(tx, owner, input.after.unwrap_or(0), &until).await?;
        Ok(json!(seals))
    })
    .await
}

/// Hold one's own log against its seals.
pub async fn verify_own(tx: &mut Tx, _input: Value) -> Result<Report> {
    let owner = Some(signed_in(tx).await?);
    tx.as_hub(async |tx| {
        let until = log::until(tx).await?;
        let strays = log::strays(tx, owner, &until).await?;
        let mut chains = Chains::default();
        chains.waiting(log::count_waiting(tx, owner, &until).await?);
        let mut after = 0;
        let mut unseen = strays.clone();
        while let Some(sealed) = log::next(tx, owner, after, &until, &unseen).await? {
            after = sealed.seal.number;
            let rows: Vec<Row> = sealed.rows.into_iter().map(|(row, _)| row).collect();
            if !chains.take(&sealed.seal, &rows, None) {
                break;
            }
            unseen.retain(|stray| !rows.iter().any(|row| row.id == *stray));
        }
        if let Some(stray) = unseen.first() {
            chains.stray(owner, *stray);
        }
        Ok(chains.report(false))
    })
    .await
}

fn head(owner: Option<Uuid>) -> Result<String> {
    serde_json::to_string(&Head {
        version: VERSION,
        owner_id: owner,
        is_whole_hub: owner.is_none(),
    })
    .map_err(Error::broken)
}

async fn note_export(tx: &mut Tx, owner: Option<Uuid>) -> Result<()> {
    let note = Note {
        action: "read",
        resource: "audit_log",
        id: None,
        owner,
        metadata: json!({ "export": true }),
    };
    audit::note(tx, note).await
}

async fn signed_in(tx: &mut Tx) -> Result<Uuid> {
    tx.person()
        .await?
        .ok_or_else(|| Error::sign_in("audit.nobody", "Sign in to read your own log."))
}
