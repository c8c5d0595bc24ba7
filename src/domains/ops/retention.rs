//! What the hub forgets by itself, and when.

use diesel::sql_types::BigInt;
use serde::{Deserialize, Serialize};

use crate::base::{Caller, Result};
use crate::db::Statement;
use crate::node::Node;
use crate::node::work::{Attempt, Job};

/// How many rows go at once, so that no transaction is long.
const AT_ONCE: usize = 5_000;

/// Forget answers to idempotency keys that are a day old: nobody may ask for them any more.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ForgetAnswers {}

impl Job for ForgetAnswers {
    const KEY: &'static str = "ops.forget_answers";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        loop {
            let gone: Vec<i64> = node
                .db
                .write(&Caller::Hub, async |tx| {
                    tx.load(Statement::<BigInt>::new(format!(
                        "with gone as (delete from hub.idempotency_keys where ctid in (select ctid from hub.idempotency_keys \
                         where created_at < now() - interval '24 hours' limit {AT_ONCE}) returning 1) select count(*) from gone"
                    )))
                    .await
                })
                .await?;
            if gone.first().is_none_or(|gone| (*gone as usize) < AT_ONCE) {
                return Ok(());
            }
        }
    }
}
