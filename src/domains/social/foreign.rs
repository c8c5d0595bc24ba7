//! Rows of other servers' things, whatever kind they are of: taken by one SQL function each, which says what came of it, and
//! forgotten when their author says so, or goes himself.

use diesel::sql_types::{Jsonb, Text};
use serde_json::{Value, json};

use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming};

/// Take a row that somebody says, or says anew, by the function of this name.
pub async fn take(
    tx: &mut Tx,
    heard: &Incoming,
    function: &str,
    mut row: Value,
) -> Result<Applied> {
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

    let mut take = Statement::<Text>::new(format!("select verdict from hub.{function}("));
    take.text(row.to_string()).sql("::jsonb)");
    let verdicts: Vec<String> = tx.as_hub(async |tx| tx.load(take.clone()).await).await?;

    let verdict = verdicts.into_iter().next().unwrap_or_default();
    Ok(match verdict.as_str() {
        "new" | "changed" => Applied::Done,
        "repeated" => Applied::Repeated,
        // Who asked for it has it, newer than what is shown.
        "older" if is_fetched => Applied::Repeated,
        "older" => Applied::Ignored("older"),
        "not_wanted" => Applied::Ignored("not_wanted"),
        "deleted" => Applied::Ignored("deleted"),
        "local_object" => Applied::Refused("local_object"),
        _ => Applied::Refused("not_owner"),
    })
}

/// Whether the author of a deletion may have it: nothing when he may, else what becomes of it.
pub async fn may_delete(tx: &mut Tx, heard: &Incoming, table: &str) -> Result<Option<Applied>> {
    let Some(uri) = vocab::id(&heard.object) else {
        return Ok(Some(Applied::Ignored("no_object")));
    };
    let mut select = Statement::<Jsonb>::new(
        "select jsonb_build_object('is_own', x.owner_id is not null, 'is_his', x.origin_actor_id = ",
    );
    select
        .bind(Bind::Uuid(heard.author.id))
        .sql(format!(
            ") from public.{table} x where x.federated_ap_id = "
        ))
        .text(uri);
    let rows: Vec<Value> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(Some(Applied::NotMine));
    };
    let is = |name: &str| row.get(name) == Some(&Value::Bool(true));
    Ok(match (is("is_own"), is("is_his")) {
        (true, _) => Some(Applied::Refused("local_object")),
        (false, false) => Some(Applied::Refused("not_owner")),
        (false, true) => None,
    })
}

/// Delete what its author says is gone.
pub async fn delete(tx: &mut Tx, heard: &Incoming, table: &str) -> Result<Applied> {
    let uri = vocab::id(&heard.object).unwrap_or_default();
    let mut delete = Statement::<()>::new(format!(
        "delete from public.{table} where federated_ap_id = "
    ));
    delete
        .text(uri)
        .sql(" and origin_actor_id = ")
        .bind(Bind::Uuid(heard.author.id));
    tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
        .await?;
    Ok(Applied::Done)
}

/// The author is gone, and his rows with him. Others have something to forget as well.
pub async fn forget_author(
    tx: &mut Tx,
    heard: &Incoming,
    table: &str,
    column: &str,
) -> Result<Applied> {
    let mut delete = Statement::<()>::new(format!("delete from public.{table} where {column} = "));
    delete.bind(Bind::Uuid(heard.author.id));
    tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
        .await?;
    Ok(Applied::NotMine)
}
