//! Listings of other servers as they come in: new, changed, gone.

use super::read;
use crate::base::{Result, clock};
use crate::db::Tx;
use crate::domains::social::foreign;
use crate::domains::social::reactions::hear as reactions;
use crate::node::incoming::{Applied, Incoming};

/// Somebody says what he sells.
pub async fn on_listing(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    match read::listing(&heard.object, clock::now()) {
        Ok(row) => foreign::take(tx, heard, "take_listing", row).await,
        Err(reason) => Ok(Applied::Refused(reason)),
    }
}

/// Something is gone: a listing, if it is one of the author's.
pub async fn on_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    match foreign::may_delete(tx, heard, "listings").await? {
        Some(ended) => Ok(ended),
        None => foreign::delete(tx, heard, "listings").await,
    }
}

/// The author is gone, and what he sold with him.
pub async fn on_author_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    foreign::forget_author(tx, heard, "listings", "origin_actor_id").await
}

/// Somebody elsewhere likes a listing or passes it on.
pub async fn on_reaction(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    reactions::take(tx, heard, "select hub.take_trade_reaction('listings', ").await
}
