//! What is over is thrown away: sessions nobody used for long, links and codes that expired, counts of yesterday.

use serde::{Deserialize, Serialize};

use crate::base::{Caller, Result};
use crate::db::{Statement, Tx};
use crate::jobs::{Attempt, Cron, Job};
use crate::node::Node;

/// Every night.
pub const NIGHTLY: Cron = Cron {
    name: "identity_sweep",
    schedule: "17 3 * * *",
    job: Sweep::KEY,
};

/// Throw away what is over.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sweep {}

impl Job for Sweep {
    const KEY: &'static str = "identity.sweep";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        node.db
            .write(&Caller::Hub, async |tx| {
                for over in OVER {
                    delete(tx, over).await?;
                }
                Ok(())
            })
            .await
    }
}

/// A used refresh token stays as long as its session, so that its second use is noticed.
const OVER: [&str; 4] = [
    "delete from hub.sessions where user_id is not null \
     and (expires_at <= now() or refreshed_at <= now() - interval '14 days')",
    "delete from hub.one_time_links where expires_at < now() - interval '30 days'",
    "delete from hub.auth_codes where expires_at < now() - interval '1 day'",
    "delete from hub.tries where since < now() - interval '1 day'",
];

async fn delete(tx: &mut Tx, sql: &str) -> Result<()> {
    tx.run(Statement::new(sql)).await.map(|_| ())
}
