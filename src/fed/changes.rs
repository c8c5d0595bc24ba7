//! The changes feed (CONTRACT section 12, R15): what a hub's actors said, in order, for another hub that was away. Served
//! here to the peer's own actor; reading those of others is `catch_up`'s.

pub mod catch_up;

use diesel::sql_types::{BigInt, Jsonb, Nullable};
use serde_json::{Value, json};

use super::{actors, vocab};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// So many activities a page has at most.
pub const MOST: i64 = 100;

/// A page of the feed, or word that it can't be read on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    Here(String),
    /// Too old, or from a time that this hub does not remember: the peer looks at the collections.
    Gone,
}

/// What was said after a place in the feed and is for that host, with the text as it was sent. With a limit of 0 only how
/// far the feed reaches, for whoever begins to read it.
pub async fn page(tx: &mut Tx, host: &str, after: i64, limit: i64) -> Result<Page> {
    let limit = limit.clamp(0, MOST);
    let mut select = Statement::<Nullable<Jsonb>>::new("select hub.changes_after(");
    select
        .text(host)
        .sql(", ")
        .bind(Bind::Int(after))
        .sql(", ")
        .bind(Bind::Int(limit))
        .sql("::int)");
    let rows: Vec<Option<Value>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some(found) = rows.into_iter().flatten().next() else {
        return Ok(Page::Gone);
    };

    let base = actors::base(tx)?;
    let head = found.get("head").and_then(Value::as_i64).unwrap_or(after);
    let bodies: Vec<&str> = found
        .get("bodies")
        .and_then(Value::as_array)
        .map(|bodies| bodies.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut told = json!({
        "@context": vocab::context(),
        "type": "OrderedCollectionPage",
        "id": format!("{base}/ap/changes?after={after}"),
        "partOf": format!("{base}/ap/changes"),
        "attributedTo": format!("{base}/ap/actor"),
        "mo:head": head,
    });
    if let (Some(next), Some(told)) = (
        found.get("next").and_then(Value::as_i64),
        told.as_object_mut(),
    ) {
        told.insert(
            "next".to_owned(),
            json!(format!("{base}/ap/changes?after={next}")),
        );
    }
    Ok(Page::Here(with_items(&told, &bodies)?))
}

/// The page with its items byte by byte as they were sent, so that whoever passes them on has them so as well.
fn with_items(told: &Value, bodies: &[&str]) -> Result<String> {
    let text = serde_json::to_string(told).map_err(Error::broken)?;
    let open = text.strip_suffix('}').unwrap_or(&text);
    Ok(format!("{open},\"orderedItems\":[{}]}}", bodies.join(",")))
}

/// Number what is said from now on beyond everything that was said before, also where a backup was restored: no peer that had
/// read further than the backup goes takes something new for what it has read already. Once per start.
pub async fn go_on(node: &Node) -> Result<()> {
    let reached: Vec<i64> = Tx::once(
        &node.db,
        &Caller::Hub,
        Statement::<BigInt>::new("select hub.feed_goes_on()"),
    )
    .await?;
    tracing::debug!(event = "feed_goes_on", ?reached);
    Ok(())
}

/// How far the feed reaches by now.
pub async fn head(tx: &mut Tx) -> Result<i64> {
    let rows: Vec<i64> = tx
        .as_hub(async |tx| {
            tx.load(Statement::<BigInt>::new("select hub.changes_head()"))
                .await
        })
        .await?;
    Ok(rows.first().copied().unwrap_or_default())
}
