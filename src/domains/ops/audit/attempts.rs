//! What the doors saw, written down: refusals and reads by role. In transactions of their own and in bunches, so that
//! whoever is refused a thousand times a second costs the database next to nothing.

use std::time::Duration;

use diesel::sql_types::BigInt;
use serde_json::{Value, json};

use crate::base::{Caller, Result};
use crate::db::{Db, Statement, Tx};
use crate::node::Node;
use crate::node::witness::Sight;

/// How many are written at once.
const BUNCH: usize = 200;

/// How long a bunch is waited for.
const PAUSE: Duration = Duration::from_millis(200);

/// Write until nothing more can come. What the database does not take is lost, and said so in the log of the process.
pub async fn write_down(node: &Node) {
    let Some(mut sights) = node.witness.sights() else {
        return;
    };
    let mut bunch = Vec::with_capacity(BUNCH);
    while sights.recv_many(&mut bunch, BUNCH).await > 0 {
        let notes: Vec<Value> = bunch.drain(..).map(|sight| noted(&sight)).collect();
        if let Err(error) = write(&node.db, &notes).await {
            tracing::error!(event = "attempts_not_audited", attempts = notes.len(), cause = %error);
        }
        if !sights.is_closed() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn write(db: &Db, notes: &[Value]) -> Result<()> {
    let mut call = Statement::<BigInt>::new("select hub.note_attempts(");
    call.text(Value::from(notes).to_string()).sql("::jsonb)");
    Tx::once::<_, i64>(db, &Caller::Hub, call).await.map(|_| ())
}

fn noted(sight: &Sight) -> Value {
    json!({
        "session": sight.session,
        "door": sight.door,
        "action": sight.action,
        "resource_type": sight.resource,
        "outcome": if sight.is_denied { "denied" } else { "allowed" },
        "metadata": sight.metadata,
    })
}
