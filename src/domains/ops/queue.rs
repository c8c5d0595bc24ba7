//! Jobs as people see them: an operator looks at the dead ones and has them tried again, an owner has his own. What
//! jobs did is forgotten after a while. How they run is the room `jobs`'.

use diesel::sql_types::{Nullable, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::is_operator;
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{Attempt, Job, Lane, queue};
use crate::node::Node;

/// The states a list may ask for.
const STATES: [&str; 5] = ["enqueued", "running", "completed", "failed", "dead"];

/// The most jobs of one list.
const MOST: i64 = 1000;

/// Which jobs to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The dead ones, if nothing is said.
    pub status: Option<String>,
    pub limit: Option<i64>,
}

/// Which job to try again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    pub id: Uuid,
}

/// Jobs of everybody, without what they carry; for developers.
pub async fn list(tx: &mut Tx, input: List) -> Result<Value> {
    let status = input.status.as_deref().unwrap_or("dead");
    if !STATES.contains(&status) {
        let expected = format!("status is one of {}.", STATES.join(", "));
        return Err(Error::invalid("job.status", expected));
    }
    let most = input.limit.unwrap_or(100).clamp(1, MOST);
    if !is_operator(tx).await? {
        return Err(not_yours());
    }
    let rows = tx
        .as_hub(async |tx| queue::list(tx, status, most).await)
        .await?;
    Ok(Value::Array(rows))
}

/// Try a dead job again: a developer any, an owner his own. Others learn not even whether there is such a job.
pub async fn retry(tx: &mut Tx, input: Retry) -> Result<Value> {
    if !is_operator(tx).await? {
        let mut owner = Statement::<Nullable<SqlUuid>>::new(
            "select owner_id from public.job_records where id = ",
        );
        owner.bind(Bind::Uuid(input.id));
        let seen: Vec<Option<Uuid>> = tx.load(owner).await?;
        if seen.is_empty() {
            return Err(Error::missing(
                "job.not_dead",
                "There is no dead job with this id.",
            ));
        }
    }
    tx.as_hub(async |tx| queue::revive(tx, input.id).await)
        .await?;
    Ok(json!({ "id": input.id, "status": "enqueued" }))
}

fn not_yours() -> Error {
    Error::forbidden("42501", "Only a developer lists the jobs of everybody.")
}

/// Forget jobs, leases and runs of the clock that nobody needs any more; sessions and links are `identity::sweep`'s.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prune {}

impl Job for Prune {
    const KEY: &'static str = "ops.prune";
    const LANE: Lane = Lane::Background;

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        while node
            .db
            .write(&Caller::Hub, async |tx| queue::prune(tx).await)
            .await?
            == 10_000
        {}
        node.db
            .write(&Caller::Hub, async |tx| {
                for over in [
                    "delete from hub.leases where until < now() - interval '1 day'",
                    "delete from public.cron_logs where executed_at < now() - interval '90 days'",
                ] {
                    tx.run(Statement::new(over)).await?;
                }
                Ok(())
            })
            .await
    }
}

/// Does nothing: to try whether the queue moves, and to measure how fast.
#[derive(Debug, Serialize, Deserialize)]
pub struct Nothing {}

impl Job for Nothing {
    const KEY: &'static str = "ops.nothing";

    async fn run(&self, _: &Node, _: &Attempt) -> Result<()> {
        Ok(())
    }
}
