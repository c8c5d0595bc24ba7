//! Agreements and receipts at their own addresses, for the two parties and nobody else; and all of one's own at once.

use diesel::sql_types::{Bool, Text};
use serde_json::Value;
use uuid::Uuid;

use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::collections;
use crate::node::incoming::{Part, Shown, Wanted};

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

/// What stands here has an address only as part of the export.
pub async fn nothing(_: &mut Tx, _: Uuid) -> Result<Option<Shown>> {
    Ok(None)
}

/// What the caller has agreed upon and what both sides have signed of it, in their own words, newest first.
pub async fn exported(tx: &mut Tx, _: Uuid, _: &str, wanted: Wanted) -> Result<Option<Part>> {
    const PAPERS: &str = "(select e.owner_id as person, e.id from public.exchanges e union select e.offer_user_id, e.id from public.exchanges e \
         union select e.need_user_id, e.id from public.exchanges e) m cross join lateral (\
         select d.exchange_id as id, d.agreement_now as said from hub.deals d where d.exchange_id = m.id and d.agreement_now is not null \
         union all select p.id, p.document from hub.deal_documents p where p.exchange_id = m.id) x where m.person = ";
    let person = tx.person().await?.ok_or_else(|| {
        Error::sign_in(
            "export.sign_in",
            "Sign in: what was agreed upon is shown to those who have a part in it.",
        )
    })?;
    let of = Some(Bind::Uuid(person));
    let mut part = collections::listed(tx, PAPERS, of, "x.said", wanted).await?;
    for paper in &mut part.items {
        let text = paper.as_str().unwrap_or_default();
        *paper = serde_json::from_str(text).map_err(Error::broken)?;
    }
    Ok(Some(part))
}
