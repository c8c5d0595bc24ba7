//! Agreements and receipts at their own addresses, for the two parties and nobody else.

use diesel::sql_types::{Bool, Text};
use serde_json::Value;
use uuid::Uuid;

use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::incoming::Shown;

/// An agreement as its author has it now.
pub async fn agreement(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let mut select = Statement::new(
        "select d.agreement_now, (p.kind is not null) from hub.deals d join public.ap_actors p on p.id = d.proposer_id \
         where d.agreement_now is not null and d.exchange_id = ",
    );
    select.bind(Bind::Uuid(id));
    shown(tx, id, select).await
}

/// What a party of this hub has signed.
pub async fn receipt(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let mut of = Statement::<diesel::sql_types::Uuid>::new(
        "select exchange_id from hub.deal_documents where id = ",
    );
    of.bind(Bind::Uuid(id));
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(of.clone()).await).await?;
    let Some(exchange) = ids.into_iter().next() else {
        return Ok(None);
    };
    let mut select = Statement::new(
        "select x.document, (a.kind is not null) from hub.deal_documents x join hub.deals d on d.exchange_id = x.exchange_id \
         join public.ap_actors a on a.id = case when x.is_proposers then d.proposer_id else d.asker_id end where x.id = ",
    );
    select.bind(Bind::Uuid(id));
    shown(tx, exchange, select).await
}

async fn shown(
    tx: &mut Tx,
    exchange: Uuid,
    select: Statement<(Text, Bool)>,
) -> Result<Option<Shown>> {
    let Caller::Remote(reader) = tx.caller().clone() else {
        return Ok(None);
    };
    let mut ask = Statement::<Bool>::new("select ");
    ask.bind(Bind::Uuid(reader.id))
        .sql(" in (d.proposer_id, d.asker_id) from hub.deals d where d.exchange_id = ")
        .bind(Bind::Uuid(exchange));
    let is_party: Vec<bool> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    if is_party != [true] {
        return Ok(None);
    }
    let rows: Vec<(String, bool)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some((text, true)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let object: Value = serde_json::from_str(&text).map_err(Error::broken)?;
    Ok(Some(Shown::Object {
        object,
        is_public: false,
    }))
}
