//! What others like and pass on, and take back.

use diesel::sql_types::{Bool, Text};

use super::{Deed, Reaction};
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::groups;
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming, Meaning};

/// Somebody elsewhere likes or passes on a post.
pub async fn on_reaction(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    take(tx, heard, "select hub.take_reaction(").await
}

/// Somebody elsewhere likes or passes on something, as the function decides that this call begins.
pub async fn take(tx: &mut Tx, heard: &Incoming, function: &'static str) -> Result<Applied> {
    let deed = match heard.meaning {
        Meaning::Announced => Deed::Announce,
        _ => Deed::Like,
    };
    let Some(uri) = vocab::id(&heard.object)
        .or(heard.object_uri.as_deref())
        .filter(|uri| uri.len() <= 2_000)
    else {
        return Ok(Applied::Ignored("no_object"));
    };
    let mut take = Statement::<Text>::new(function);
    take.bind(Bind::Uuid(heard.author.id))
        .sql(", ")
        .text(deed.name())
        .sql(", ")
        .text(uri)
        .sql(", ")
        .text(&heard.uri)
        .sql(")");
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(take.clone()).await).await?;
    let applied = match rows.first().map(String::as_str).unwrap_or_default() {
        "done" => Applied::Done,
        "repeated" => Applied::Repeated,
        // What is for trade is heard by others.
        "needed" if is_for_trade(tx, uri).await? => Applied::NotMine,
        "needed" => Applied::Needs(uri.to_owned()),
        "not_public" => Applied::Refused("not_public"),
        "blocked" => Applied::Refused("blocked"),
        "not_wanted" => Applied::Ignored("not_wanted"),
        "not_ours" => Applied::Ignored("not_ours"),
        _ => Applied::NotMine,
    };
    if applied == Applied::Done {
        groups::pass_on(tx, heard).await?;
    }
    Ok(applied)
}

async fn is_for_trade(tx: &mut Tx, uri: &str) -> Result<bool> {
    let mut ask = Statement::<Bool>::new("select hub.is_for_trade(");
    ask.text(uri).sql(")");
    let rows: Vec<bool> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(rows == [true])
}

/// Somebody elsewhere takes a reaction back: only his own (S-35).
pub async fn on_undone(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let deed = match heard.meaning {
        Meaning::AnnounceUndone => Deed::Announce,
        _ => Deed::Like,
    };
    let inner = vocab::id(&heard.object).or(heard.object_uri.as_deref());
    let about = heard.object.get("object").and_then(vocab::id);
    let mut select = Statement::new(
        "select to_jsonb(r) from public.reactions r where r.direction = 'in' and (r.federated_ap_id = ",
    );
    select
        .bind(Bind::Text(inner.map(str::to_owned)))
        .sql(" or (r.object_uri = ")
        .bind(Bind::Text(about.map(str::to_owned)))
        .sql(" and r.type = ")
        .text(deed.name())
        .sql(" and r.actor_id = ")
        .bind(Bind::Uuid(heard.author.id))
        .sql(")) order by r.actor_id = ")
        .bind(Bind::Uuid(heard.author.id))
        .sql(" desc limit 1");
    match tx.hub_one::<Reaction>(select).await? {
        Some(row) if row.actor_id == heard.author.id => {
            groups::pass_on(tx, heard).await?;
            let mut delete = Statement::<()>::new("delete from public.reactions where id = ");
            delete.bind(Bind::Uuid(row.id));
            tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
                .await?;
            Ok(Applied::Done)
        }
        Some(_) => Ok(Applied::Refused("not_owner")),
        // The machinery remembers what was taken back, so that it does not come after.
        None => Ok(Applied::NotMine),
    }
}
