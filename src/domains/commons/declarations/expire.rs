//! Own declarations end when their time is over, and others are told.

use diesel::sql_types::Uuid as SqlUuid;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::publish;
use crate::base::{Caller, Result};
use crate::db::{Statement, Tx};
use crate::jobs::{Attempt, Job};
use crate::node::Node;

/// How many at once; the rest waits for the next time.
const MOST: usize = 500;

/// End what is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct Expire {}

impl Job for Expire {
    const KEY: &'static str = "commons.expire_declarations";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let over = Statement::<SqlUuid>::new(format!(
            "select id from public.declarations where status in ('active') and expires_at < now() and owner_id is not null limit {MOST}"
        ));
        let ids: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, over).await?;
        for id in ids {
            node.db
                .write(&Caller::Hub, async |tx| {
                    publish::enter(tx, id, &["active"], "expired")
                        .await
                        .map(drop)
                })
                .await?;
        }
        Ok(())
    }
}
