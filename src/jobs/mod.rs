//! Later, reliably: a job is a row of `job_records`, written in the transaction that wants it and run once it is
//! committed, at least once, by one process at a time. What jobs do is said beside the behaviour that enqueues them.

pub mod cron;
pub mod figures;
pub mod queue;
pub mod runner;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Nullable, Uuid as SqlUuid};
use uuid::Uuid;

pub use crate::node::work::{Attempt, Cron, Job, JobEntry, Lane};

use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// How a job is wanted, beside what it does.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// For whom; none for the hub's own.
    pub owner: Option<Uuid>,
    /// Not before.
    pub at: Option<DateTime<Utc>>,
    /// Of two with the same key only the first is kept, for as long as its row is.
    pub key: Option<String>,
    /// What it belongs to.
    pub correlation: Option<String>,
    /// The change that it follows from.
    pub triggered_by: Option<String>,
}

/// Enqueue a job, in this transaction and with the hub's rights. None when one with the same key is there already.
pub async fn enqueue<J: Job>(tx: &mut Tx, job: &J, order: Order) -> Result<Option<Uuid>> {
    let payload = serde_json::to_value(job).map_err(Error::broken)?;
    enqueue_named(tx, J::KEY, J::LANE, J::TRIES, payload, order).await
}

/// The same for a job that is known by its name only.
pub async fn enqueue_named(
    tx: &mut Tx,
    key: &str,
    lane: Lane,
    tries: i32,
    payload: serde_json::Value,
    order: Order,
) -> Result<Option<Uuid>> {
    let mut insert = Statement::<Nullable<SqlUuid>>::new(
        "insert into public.job_records (owner_id, job_type, queue, max_attempts, payload, queue_job_id, \
         correlation_id, triggered_by_event_id, scheduled_for) values (",
    );
    match order.owner {
        Some(owner) => insert.bind(Bind::Uuid(owner)),
        None => insert.sql("null"),
    };
    insert
        .sql(", ")
        .text(key)
        .sql(", ")
        .text(lane.name())
        .sql(", ")
        .bind(Bind::Int(i64::from(tries)))
        .sql("::int, ")
        .text(payload.to_string())
        .sql("::jsonb, ")
        .bind(Bind::Text(order.key))
        .sql(", ")
        .bind(Bind::Text(order.correlation))
        .sql(", ")
        .bind(Bind::Text(order.triggered_by))
        .sql(", ");
    match order.at {
        Some(at) => insert.bind(Bind::Time(at)),
        None => insert.sql("now()"),
    };
    insert.sql(") on conflict (queue_job_id) do nothing returning id");
    let ids: Vec<Option<Uuid>> = tx.as_hub(async |tx| tx.load(insert.clone()).await).await?;
    Ok(ids.into_iter().flatten().next())
}
