//! What of federation is forgotten, and when (R14 of the contract): deliveries a week after their end, activities and what
//! was heard after 90 days, others' tombstones after 30. What is still on its way stays.

use serde::{Deserialize, Serialize};

use crate::base::{Caller, Result};
use crate::db::{Statement, Tx};
use crate::fed::keys;
use crate::node::Node;
use crate::node::work::{Attempt, Job};

/// How much one statement forgets, so that none takes long.
const AT_ONCE: usize = 5000;

const OVER: &[&str] = &[
    "delete from public.ap_deliveries where id in (select id from public.ap_deliveries where state <> 'waiting' \
     and ended_at < now() - interval '7 days' limit 5000)",
    "delete from public.ap_activities where id in (select a.id from public.ap_activities a \
     where a.created_at < now() - interval '90 days' and not exists (select from public.ap_deliveries d \
     where d.activity_id = a.id and d.state = 'waiting') limit 5000)",
    "delete from public.ap_received where id in (select id from public.ap_received where state <> 'waiting' \
     and created_at < now() - interval '90 days' limit 5000)",
    "delete from public.ap_tombstones where id in (select id from public.ap_tombstones where not is_local \
     and created_at < now() - interval '30 days' limit 5000)",
];

/// Forget what is over.
#[derive(Serialize, Deserialize)]
pub struct Forget {}

impl Job for Forget {
    const KEY: &'static str = "social.forget";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        for over in OVER {
            loop {
                let gone = node
                    .db
                    .write(&Caller::Hub, async |tx: &mut Tx| {
                        tx.run(Statement::new(over)).await
                    })
                    .await?;
                if gone < AT_ONCE {
                    break;
                }
            }
        }
        node.db
            .write(&Caller::Hub, async |tx| {
                keys::forget_retired(tx).await.map(drop)
            })
            .await
    }
}
