//! Stand-in until the market's own.
use crate::base::Result; use crate::base::amount::Amount; use crate::db::Tx; use uuid::Uuid;
pub async fn reserve(_: &mut Tx, _: Uuid, _: Amount) -> Result<()> { Ok(()) }
pub async fn release(_: &mut Tx, _: Uuid, _: Amount) -> Result<()> { Ok(()) }
