//! Listings of other servers as they come in: new, changed, gone.

use diesel::sql_types::{Jsonb, Text};
use serde_json::{Value, json};

use super::read;
use crate::base::{Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming};

/// Somebody says what he sells.
pub async fn on_listing(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let mut row = match read::listing(&heard.object, clock::now()) {
        Ok(row) => row,
        Err(reason) => return Ok(Applied::Refused(reason)),
    };
    let is_fetched = Some(heard.uri.as_str()) == vocab::id(&heard.object);
    // Of two words of one version the one with the greater id counts; what was fetched is no newer than what was said.
    let by = match is_fetched {
        true => "a".to_owned(),
        false => format!("b {}", heard.uri),
    };
    if let Some(row) = row.as_object_mut() {
        row.insert("author".to_owned(), json!(heard.author.id));
        row.insert("is_fetched".to_owned(), json!(is_fetched));
        row.insert("by".to_owned(), json!(by));
    }

    let mut take = Statement::<Text>::new("select verdict from hub.take_listing(");
    take.text(row.to_string()).sql("::jsonb)");
    let verdicts: Vec<String> = tx.as_hub(async |tx| tx.load(take.clone()).await).await?;

    Ok(
        match verdicts.into_iter().next().unwrap_or_default().as_str() {
            "new" | "changed" => Applied::Done,
            "repeated" => Applied::Repeated,
            "older" if is_fetched => Applied::Repeated,
            "older" => Applied::Ignored("older"),
            "not_wanted" => Applied::Ignored("not_wanted"),
            "deleted" => Applied::Ignored("deleted"),
            "local_object" => Applied::Refused("local_object"),
            _ => Applied::Refused("not_owner"),
        },
    )
}

/// Something is gone: a listing, if it is one of the author's.
pub async fn on_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(uri) = vocab::id(&heard.object) else {
        return Ok(Applied::Ignored("no_object"));
    };
    let mut select = Statement::<Jsonb>::new(
        "select jsonb_build_object('is_own', l.owner_id is not null, 'is_his', l.origin_actor_id = ",
    );
    select
        .bind(Bind::Uuid(heard.author.id))
        .sql(") from public.listings l where l.federated_ap_id = ")
        .text(uri);
    let rows: Vec<Value> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(Applied::NotMine);
    };
    if row.get("is_own") == Some(&Value::Bool(true)) {
        return Ok(Applied::Refused("local_object"));
    }
    if row.get("is_his") != Some(&Value::Bool(true)) {
        return Ok(Applied::Refused("not_owner"));
    }
    let mut delete = Statement::<()>::new("delete from public.listings where federated_ap_id = ");
    delete
        .text(uri)
        .sql(" and origin_actor_id = ")
        .bind(Bind::Uuid(heard.author.id));
    tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
        .await?;
    Ok(Applied::Done)
}

/// The author is gone, and what he sold with him.
pub async fn on_author_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let mut delete = Statement::<()>::new("delete from public.listings where origin_actor_id = ");
    delete.bind(Bind::Uuid(heard.author.id));
    tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
        .await?;
    Ok(Applied::NotMine)
}
