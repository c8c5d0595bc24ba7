//! What is forgotten of deliveries, and when they are given up (R14 of the contract).

use diesel::sql_types::BigInt;
use serde::{Deserialize, Serialize};

use crate::base::{Caller, Result};
use crate::db::Statement;
use crate::fed::keys;
use crate::node::Node;
use crate::node::work::{Attempt, Job, Lane};

/// Give up what waits for more than 14 days; forget deliveries a week after their end, activities after 90 days and the
/// private halves of keys that were replaced.
#[derive(Debug, Serialize, Deserialize)]
pub struct PruneDeliveries {}

impl Job for PruneDeliveries {
    const KEY: &'static str = "fed.prune_deliveries";
    const LANE: Lane = Lane::Background;

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        loop {
            let counts: Vec<i64> = node
                .db
                .write(&Caller::Hub, async |tx| {
                    tx.load(Statement::<BigInt>::new("select hub.prune_deliveries()"))
                        .await
                })
                .await?;
            if counts.into_iter().sum::<i64>() == 0 {
                break;
            }
        }
        node.db
            .write(&Caller::Hub, async |tx| keys::forget_retired(tx).await)
            .await
            .map(drop)
    }
}
