//! How much waits and what became of the rest, for those who watch the hub.

use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use metrics::{counter, histogram};

use super::rows::Word;
use crate::base::{Caller, Result};
use crate::db::{Db, Statement};

/// Count a try.
pub fn sent(word: Word, took: Duration) {
    let outcome = match word {
        Word::Done => "done",
        Word::Dead => "dead",
        Word::Dropped => "dropped",
        Word::Gone(_) | Word::Refused(_) => "refused",
        Word::Again(_) | Word::Later => "failed",
    };
    counter!("made_open_deliveries_total", "outcome" => outcome).increment(1);
    histogram!("made_open_delivery_seconds").record(took.as_secs_f64());
}

/// The number of deliveries that wait and that were given up, and of servers that do not answer.
pub async fn figures(db: &Db) -> Result<Vec<(String, i64)>> {
    db.read(&Caller::Hub, async |tx| {
        let count = Statement::<(Text, BigInt)>::new(
            "select 'waiting', count(*) from public.ap_deliveries where state = 'waiting' \
             union all select 'dead', count(*) from public.ap_deliveries where state = 'dead' \
             union all select 'hosts_away', count(*) from public.ap_hosts where retry_at > now()",
        );
        tx.load(count).await
    })
    .await
}
