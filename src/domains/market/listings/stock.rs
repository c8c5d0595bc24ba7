//! What of an own listing is still to be had. Counted under the lock of its row, so that two who accept the last one cannot both
//! win; each change is said to others.

use diesel::sql_types::{Bool, Text};
use uuid::Uuid;

use super::publish;
use crate::base::amount::Amount;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// Promise so many. Refused with a reason of R30 for its code.
pub async fn reserve(tx: &mut Tx, id: Uuid, quantity: Amount) -> Result<()> {
    let mut reserve = Statement::<Text>::new("select hub.reserve_stock(");
    reserve
        .bind(Bind::Uuid(id))
        .sql(", ")
        .text(quantity.to_string())
        .sql("::numeric)");
    let came: Vec<String> = tx.as_hub(async |tx| tx.load(reserve.clone()).await).await?;
    match came.first().map(String::as_str) {
        Some("reserved") => publish::say(tx, id).await,
        Some("over_stock") => Err(Error::conflict("over_stock", "So many are not left.")),
        Some("wrong_quantity") => Err(Error::invalid("wrong_quantity", "So few are not given.")),
        _ => Err(Error::conflict(
            "not_active",
            "The listing is not open any more.",
        )),
    }
}

/// Let a promise go: they are to be had again.
pub async fn release(tx: &mut Tx, id: Uuid, quantity: Amount) -> Result<()> {
    settle(tx, id, quantity, false).await
}

/// A promise was kept: what was promised is gone, and the last ones make the listing sold.
pub async fn take(tx: &mut Tx, id: Uuid, quantity: Amount) -> Result<()> {
    settle(tx, id, quantity, true).await
}

async fn settle(tx: &mut Tx, id: Uuid, quantity: Amount, is_gone: bool) -> Result<()> {
    let mut settle = Statement::<Bool>::new("select hub.settle_stock(");
    settle
        .bind(Bind::Uuid(id))
        .sql(", ")
        .text(quantity.to_string())
        .sql(format!("::numeric, {is_gone})"));
    let moved: Vec<bool> = tx.as_hub(async |tx| tx.load(settle.clone()).await).await?;
    match moved == [true] {
        true => publish::say(tx, id).await,
        false => Ok(()),
    }
}
