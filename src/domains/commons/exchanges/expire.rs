//! Offers that nobody has answered in time are over; what was promised for them is let go when no acceptance can come any
//! more; and whoever has said nothing of an accepted one for a month is reminded (R27).

use diesel::sql_types::Uuid as SqlUuid;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{enter, locked, money, tell};
use crate::base::{Caller, Result, clock};
use crate::db::{Statement, Tx};
use crate::jobs::{Attempt, Job};
use crate::node::Node;

/// How many at once; the rest waits for the next time.
const MOST: usize = 500;

/// What is over.
const OVER: &str = "e.status = 'proposed' and e.expires_at < now()";

/// What cannot be accepted any more, by a late word either; between two of this hub there is none.
const LAPSED: &str = "d.is_held and d.agreement is null and e.status in ('expired', 'withdrawn') and (e.expires_at < now() - interval '49 hours' \
     or (select count(*) from public.ap_actors a where a.id in (d.proposer_id, d.asker_id) and a.kind is not null) = 2)";

/// What was accepted a month ago and nobody has said a word about; once a day.
const SILENT: &str = "e.status = 'accepted' and e.accepted_at < now() - interval '30 days' \
     and not exists (select from hub.deal_documents x where x.exchange_id = e.id) \
     and not exists (select from hub.journal j where j.kind = 'exchanges' and j.row_id = e.id and j.verb = 'exchange.silent' and j.at > now() - interval '7 days')";

/// End what is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct Expire {}

impl Job for Expire {
    const KEY: &'static str = "commons.expire_exchanges";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        for (which, what) in [(OVER, "over"), (LAPSED, "lapsed"), (SILENT, "silent")] {
            let select = Statement::<SqlUuid>::new(format!(
                "select e.id from public.exchanges e join hub.deals d on d.exchange_id = e.id where {which} limit {MOST}"
            ));
            let ids: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, select).await?;
            for id in ids {
                node.db
                    .write(&Caller::Hub, async |tx| end(tx, id, what).await)
                    .await?;
            }
        }
        Ok(())
    }
}

async fn end(tx: &mut Tx, id: Uuid, what: &str) -> Result<()> {
    let Some(mut deal) = locked(tx, id).await? else {
        return Ok(());
    };
    match (what, deal.row.status.as_str()) {
        ("over", "proposed") if deal.row.expires_at.is_some_and(|end| end < clock::now()) => {
            enter(tx, &mut deal, "expired", json!({ "reason": "expired" })).await?;
            if deal.proposer.is_local() && deal.asker.is_local() {
                money::release(tx, &mut deal).await?;
            }
            Ok(())
        }
        ("lapsed", "expired" | "withdrawn") => money::release(tx, &mut deal).await,
        ("silent", "accepted") => tell(tx, &deal, "silent").await,
        _ => Ok(()),
    }
}
