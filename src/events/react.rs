//! Follow the journal and hand each change to the domains. A reader's place is a row, whoever holds its lock reads, and
//! only what no open transaction can still precede is read: a late commit is never skipped, and no change is heard by
//! two processes. A reaction that fails holds up its own reader only, and not for ever.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Change, Reaction};
use crate::base::error::Error;
use crate::base::{Caller, Result, clock};
use crate::db::{Bind, Statement, Tx, migrate, pool};
use crate::node::Node;

/// How many changes are handed over at once.
const BATCH: i64 = 100;
/// How often a reader looks by itself, should no notice reach it.
const POLL: Duration = Duration::from_secs(5);
/// How soon it looks again when an open transaction hides what is there.
const HIDDEN: Duration = Duration::from_millis(100);
/// How often a change is tried that is refused for good, and one that fails by our own fault.
const TRIES: (i32, i32) = (4, 6);

/// What one turn of a reader came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// So many changes were handed over.
    Read(usize),
    /// Nothing to do before then.
    Rest(Duration),
}

type Place = (
    Text,
    SqlUuid,
    Integer,
    Integer,
    Nullable<Timestamptz>,
    Bool,
    Nullable<Timestamptz>,
);
type Taken = (
    String,
    Uuid,
    i32,
    i32,
    Option<DateTime<Utc>>,
    bool,
    Option<DateTime<Utc>>,
);
type Row = (
    Text,
    SqlUuid,
    Text,
    Text,
    SqlUuid,
    Nullable<SqlUuid>,
    Nullable<SqlUuid>,
    Array<Text>,
    Nullable<Text>,
    Integer,
    Timestamptz,
);
type Written = (
    String,
    Uuid,
    String,
    String,
    Uuid,
    Option<Uuid>,
    Option<Uuid>,
    Vec<String>,
    Option<String>,
    i32,
    DateTime<Utc>,
);

/// Hand changes over until the hub is told to stop. `url` is where notices are listened for.
pub async fn follow(node: &Node, url: &str) {
    let (ring, bell) = watch::channel(());
    let readers = node
        .reactions()
        .map(|reaction| read_on(node, reaction, bell.clone()));
    tokio::select! {
        _ = join_all(readers) => {}
        () = listen(url, &ring) => {}
        () = told_to_stop(node) => {}
    }
}

/// Hand over everything that can be read at the moment; how many changes that were. Another process that reads
/// meanwhile is left alone.
pub async fn catch_up(node: &Node) -> Result<usize> {
    let mut done = 0;
    for reaction in node.reactions() {
        while let Turn::Read(changes) = turn(node, reaction).await? {
            done += changes;
        }
    }
    Ok(done)
}

async fn told_to_stop(node: &Node) {
    while !node.is_stopping() {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Ring whenever something was written, in this process or another.
async fn listen(url: &str, ring: &watch::Sender<()>) {
    pool::on_news(url, "hub_changes", async || {
        ring.send_replace(());
    })
    .await;
}

async fn read_on(node: &Node, reaction: &Reaction, mut bell: watch::Receiver<()>) {
    loop {
        bell.borrow_and_update();
        let rest = match turn(node, reaction).await {
            Ok(Turn::Read(_)) => continue,
            Ok(Turn::Rest(rest)) => rest,
            Err(error) => {
                tracing::warn!(event = "journal_not_read", reader = reaction.name, cause = %error);
                POLL
            }
        };
        tokio::select! {
            _ = bell.changed() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// One batch, in one transaction with the reader's place. What a reaction fails with is noted, not returned.
async fn turn(node: &Node, reaction: &Reaction) -> Result<Turn> {
    // Whether the error is the reaction's: the database's own, before and after, are not.
    let mut reached = false;
    let handed = AssertUnwindSafe(node.db.write(&Caller::Hub, async |tx| {
        reached = false;
        hand_over(tx, reaction, &mut reached).await
    }))
    .catch_unwind()
    .await
    .unwrap_or_else(|panic| {
        Err(Error::broken(anyhow::anyhow!(
            "panicked: {}",
            said(&*panic)
        )))
    });
    match handed {
        Err(error) if reached => note_failure(node, reaction, &error).await,
        handed => handed,
    }
}

async fn hand_over(tx: &mut Tx, reaction: &Reaction, reached: &mut bool) -> Result<Turn> {
    let Some(place) = take_place(tx, reaction.name).await? else {
        return Ok(Turn::Rest(POLL));
    };
    if let Some(rest) = place.rest {
        return Ok(Turn::Rest(rest));
    }
    let limit = if place.singly > 0 { 1 } else { BATCH };
    let changes = changes_after(tx, &place, limit).await?;
    let Some((last_tx, last)) = changes
        .last()
        .map(|(number, change)| (number.clone(), change.id))
    else {
        let is_hidden = has_more(tx, &place).await?;
        return Ok(Turn::Rest(if is_hidden { HIDDEN } else { POLL }));
    };

    let changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
    *reached = true;
    (reaction.to)(tx, &changes).await?;

    let mut update = Statement::new("update hub.readers set last_tx = ");
    update
        .text(last_tx)
        .sql("::xid8, last_id = ")
        .bind(Bind::Uuid(last))
        .sql(", failures = 0, retry_at = null, last_error = null, singly = greatest(singly - 1, 0), updated_at = clock_timestamp() where name = ")
        .text(reaction.name);
    tx.run(update).await?;
    Ok(Turn::Read(changes.len()))
}

/// Where a reader stands.
struct Standing {
    tx: String,
    id: Uuid,
    singly: i32,
    failures: i32,
    rest: Option<Duration>,
    since: Option<DateTime<Utc>>,
}

/// Take the reader's place for this transaction; none when another process has it.
async fn take_place(tx: &mut Tx, name: &str) -> Result<Option<Standing>> {
    let mut select = Statement::<Place>::new(
        "select last_tx::text, last_id, singly, failures, since, last_tx > pg_snapshot_xmax(pg_current_snapshot()), \
         retry_at from hub.readers where name = ",
    );
    select.text(name).sql(" for update skip locked");
    let taken: Option<Taken> = tx.load(select).await?.into_iter().next();
    let Some((last_tx, id, singly, failures, since, is_ahead, retry_at)) = taken else {
        // New here: it begins with what is written from now on.
        let mut insert =
            Statement::new("insert into hub.readers (name, last_tx, last_id) values (");
        insert.text(name).sql(
            ", pg_snapshot_xmin(pg_current_snapshot()), '00000000-0000-0000-0000-000000000000') on conflict (name) do nothing",
        );
        tx.run(insert).await?;
        return Ok(None);
    };
    let mut place = Standing {
        tx: last_tx,
        id,
        singly,
        failures,
        since,
        rest: retry_at.and_then(|at| (at - clock::now()).to_std().ok()),
    };
    if is_ahead {
        place = start_anew(tx, name, place).await?;
    }
    Ok(Some(place))
}

/// The journal was brought here from another server, whose transactions had higher numbers: go on from now, and never
/// take the old rows for new ones when this server's numbers reach theirs.
async fn start_anew(tx: &mut Tx, name: &str, place: Standing) -> Result<Standing> {
    let mut update = Statement::<(Text, SqlUuid, Nullable<Timestamptz>)>::new(
        "update hub.readers set last_tx = pg_snapshot_xmin(pg_current_snapshot()), \
         last_id = '00000000-0000-0000-0000-000000000000', since = now() - interval '1 minute' \
         where last_tx > pg_snapshot_xmax(pg_current_snapshot()) and name = ",
    );
    update
        .text(name)
        .sql(" returning last_tx::text, last_id, since");
    let moved: Vec<(String, Uuid, Option<DateTime<Utc>>)> = tx.load(update).await?;
    // The statement that took the place may have seen less than the process which moved it last.
    let Some((number, id, since)) = moved.into_iter().next() else {
        return Ok(place);
    };
    tracing::warn!(event = "journal_moved", reader = name, last_tx = place.tx);
    Ok(Standing {
        tx: number,
        id,
        since,
        ..place
    })
}

/// The next changes that nothing can precede any more, with the numbers of their transactions.
async fn changes_after(tx: &mut Tx, place: &Standing, limit: i64) -> Result<Vec<(String, Change)>> {
    let mut select = Statement::<Row>::new(
        "select tx::text, id, kind, verb, row_id, owner_id, actor_id, coalesce(changed, '{}'), correlation, depth, at \
         from hub.journal",
    );
    after(&mut select, place);
    select
        .sql(" and tx < pg_snapshot_xmin(pg_current_snapshot()) order by journal.tx, journal.id limit ")
        .bind(Bind::Int(limit));
    let rows: Vec<Written> = tx.load(select).await?;
    Ok(rows.into_iter().map(read).collect())
}

fn read(row: Written) -> (String, Change) {
    let (number, id, kind, verb, row, owner, actor, changed, correlation, depth, at) = row;
    let change = Change {
        id,
        kind,
        verb,
        row,
        owner,
        actor,
        changed,
        correlation,
        depth,
        at,
    };
    (number, change)
}

/// Whether there is anything behind the place, readable or not.
async fn has_more(tx: &mut Tx, place: &Standing) -> Result<bool> {
    let mut select = Statement::<Bool>::new("select hub.journal_goes_on(");
    select
        .text(place.tx.clone())
        .sql("::xid8, ")
        .bind(Bind::Uuid(place.id))
        .sql(")");
    Ok(tx.load(select).await?.into_iter().next() == Some(true))
}

fn after<T>(select: &mut Statement<T>, place: &Standing) {
    select
        .sql(" where (tx, id) > (")
        .text(place.tx.clone())
        .sql("::xid8, ")
        .bind(Bind::Uuid(place.id))
        .sql(")");
    if let Some(since) = place.since {
        select.sql(" and at >= ").bind(Bind::Time(since));
    }
}

/// Count a failure, and when there were too many go on behind the change that it is about.
async fn note_failure(node: &Node, reaction: &Reaction, error: &Error) -> Result<Turn> {
    let rest = node
        .db
        .write(&Caller::Hub, async |tx| {
            let Some(place) = take_place(tx, reaction.name).await? else {
                return Ok(POLL);
            };
            let failures = place.failures.saturating_add(1);
            if place.singly > 0 && is_hopeless(error, failures) {
                skip_one(tx, reaction.name, &place, error).await?;
                return Ok(Duration::ZERO);
            }
            let rest = migrate::back_off(u32::try_from(failures).unwrap_or(1) - 1);
            let mut update = Statement::new("update hub.readers set failures = ");
            update
                .bind(Bind::Int(i64::from(failures)))
                .sql(", singly = ")
                .bind(Bind::Int(i64::from(place.singly.max(BATCH as i32))))
                .sql(", last_error = ")
                .text(bounded(&error.to_string()))
                .sql(", updated_at = clock_timestamp(), retry_at = ")
                .bind(Bind::Time(clock::now() + rest))
                .sql(" where name = ")
                .text(reaction.name);
            tx.run(update).await?;
            Ok(rest)
        })
        .await?;
    tracing::warn!(event = "reaction_failed", reader = reaction.name, cause = %error);
    Ok(Turn::Rest(rest))
}

/// What is busy comes right by itself; everything else gets so many tries.
fn is_hopeless(error: &Error, failures: i32) -> bool {
    match error {
        Error::Busy(..) | Error::Stale(_) | Error::TooMuch(..) => false,
        Error::Broken(..) => failures >= TRIES.1,
        _ => failures >= TRIES.0,
    }
}

async fn skip_one(tx: &mut Tx, name: &str, place: &Standing, error: &Error) -> Result<()> {
    let Some((number, change)) = changes_after(tx, place, 1).await?.into_iter().next() else {
        return Ok(());
    };
    tracing::error!(
        event = "change_skipped", reader = name, change = %change.id, kind = change.kind, verb = change.verb, cause = %error
    );
    let mut update = Statement::new("update hub.readers set last_tx = ");
    update
        .text(number)
        .sql("::xid8, last_id = ")
        .bind(Bind::Uuid(change.id))
        .sql(", failures = 0, retry_at = null, skipped = skipped + 1, singly = singly - 1, updated_at = clock_timestamp(), last_error = ")
        .text(bounded(&error.to_string()))
        .sql(" where name = ")
        .text(name);
    tx.run(update).await.map(|_| ())
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(500).collect()
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("something")
}
