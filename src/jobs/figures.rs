//! How many jobs wait, run and are given up, for those who watch the hub.

use diesel::sql_types::{BigInt, Text};

use super::Lane;
use crate::base::{Caller, Result};
use crate::db::{Db, Statement};

/// The states that are counted: what is done is no load.
pub const STATES: [&str; 3] = ["enqueued", "running", "dead"];

/// The number of jobs by queue and state; those that are none are there too.
pub async fn figures(db: &Db) -> Result<Vec<(&'static str, &'static str, i64)>> {
    let counted: Vec<(String, String, i64)> = db
        .read(&Caller::Hub, async |tx| {
            let count = Statement::<(Text, Text, BigInt)>::new(
                "select queue, status, count(*) from public.job_records where status = 'enqueued' group by 1, 2 \
                 union all select queue, status, count(*) from public.job_records where status = 'running' group by 1, 2 \
                 union all select queue, status, count(*) from public.job_records where status = 'dead' group by 1, 2",
            );
            tx.load(count).await
        })
        .await?;
    let number = |queue: &str, state: &str| {
        counted
            .iter()
            .filter(|(q, s, _)| q == queue && s == state)
            .map(|(_, _, count)| count)
            .sum()
    };
    Ok(Lane::ALL
        .iter()
        .flat_map(|lane| STATES.map(|state| (lane.name(), state, number(lane.name(), state))))
        .collect())
}
