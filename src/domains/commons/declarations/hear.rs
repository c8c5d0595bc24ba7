//! Declarations of other servers as they come in: new, changed, gone.

use super::wire;
use crate::base::{Result, clock};
use crate::db::Tx;
use crate::domains::social::foreign;
use crate::domains::social::reactions::hear as reactions;
use crate::node::incoming::{Applied, Incoming};

/// Somebody says what he offers or needs.
pub async fn on_declaration(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    match wire::read(&heard.object, clock::now()) {
        Ok(row) => foreign::take(tx, heard, "take_declaration", row).await,
        Err(reason) => Ok(Applied::Refused(reason)),
    }
}

/// Something is gone: a declaration, if it is one of the author's.
pub async fn on_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    match foreign::may_delete(tx, heard, "declarations").await? {
        Some(ended) => Ok(ended),
        None => foreign::delete(tx, heard, "declarations").await,
    }
}

/// The author is gone, and what he declared with him.
pub async fn on_author_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    foreign::forget_author(tx, heard, "declarations", "origin_actor_id").await
}

/// Somebody elsewhere likes a declaration or passes it on.
pub async fn on_reaction(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    reactions::take(tx, heard, "select hub.take_trade_reaction('declarations', ").await
}
