//! A listing at its own address, as a note and as a proposal; what was said about it; and all of an actor's.

use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Listing, publish, wire};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::posts::show::proven;
use crate::fed::actors::{self, Local};
use crate::fed::collections;
use crate::node::incoming::{Part, Shown, Wanted};

/// An own listing that the caller may read and that was said to others.
pub async fn listing(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    shown(tx, id, wire::object).await
}

/// The same as a proposal.
pub async fn proposal(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    shown(tx, id, wire::proposal).await
}

async fn shown(
    tx: &mut Tx,
    id: Uuid,
    say: fn(&Listing, &Local, &str) -> Result<Value, &'static str>,
) -> Result<Option<Shown>> {
    let Some(it) = super::seen(tx, &id.to_string()).await? else {
        return Ok(None);
    };
    let Some(owner) = it.owner_id.filter(|_| it.sent_at.is_some()) else {
        return Ok(None);
    };
    let Some(author) = publish::author(tx, &it, owner).await.ok().flatten() else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let object = say(&it, &author, &base).map_err(|why| Error::broken(anyhow::anyhow!(why)))?;
    let object = proven(tx, object, &author, it.as_of()).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: it.is_public(),
    }))
}

/// What was said about a listing, to everybody.
pub async fn part(tx: &mut Tx, id: Uuid, collection: &str, wanted: Wanted) -> Result<Option<Part>> {
    match collection {
        "replies" => {}
        "likes" | "shares" => return Ok(Some(Part::default())),
        _ => return Ok(None),
    }
    let Some(uri) = super::by_id(tx, id)
        .await?
        .and_then(|it| it.federated_ap_id)
    else {
        return Ok(None);
    };
    const REPLIES: &str = "from public.posts x where x.visibility in ('public', 'unlisted') and x.hidden_at is null \
         and x.federated_ap_id is not null and x.in_reply_to_id is null and x.in_reply_to = ";
    let mut count = Statement::<BigInt>::new(format!("select count(*) {REPLIES}"));
    count.text(&uri);
    let mut select =
        Statement::<(SqlUuid, Text)>::new(format!("select x.id, x.federated_ap_id {REPLIES}"));
    select.text(&uri);
    paged(tx, count, select, "x.id", wanted, |uri: &String| json!(uri))
        .await
        .map(Some)
}

/// Actors themselves are shown elsewhere.
pub async fn no_actor(_: &mut Tx, _: Uuid) -> Result<Option<Shown>> {
    Ok(None)
}

/// What an actor of this hub sells, newest first.
pub async fn of_actor(
    tx: &mut Tx,
    actor: Uuid,
    collection: &str,
    wanted: Wanted,
) -> Result<Option<Part>> {
    if collection != "listings" {
        return Ok(None);
    }
    let Some(author) = actors::by_id(tx, actor).await? else {
        return Ok(None);
    };
    const THEIRS: &str = "from public.listings l join public.ap_actors a on case when l.author_actor_id is null \
         then a.kind = 'user' and a.row_id = l.owner_id else a.id = l.author_actor_id end \
         where l.sent_at is not null and l.visibility = 'public' and l.status in ('active', 'reserved', 'sold') and l.hidden_at is null and a.id = ";
    let mut count = Statement::<BigInt>::new(format!("select count(*) {THEIRS}"));
    count.bind(Bind::Uuid(actor));
    let mut select = Statement::<(SqlUuid, Text)>::new(format!("select l.id, l.id::text {THEIRS}"));
    select.bind(Bind::Uuid(actor));
    let mut found = paged(tx, count, select, "l.id", wanted, |id: &String| json!(id)).await?;
    let base = actors::base(tx)?;
    let mut objects = Vec::with_capacity(found.items.len());
    for id in found
        .items
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|id| id.parse().ok())
    {
        if let Some(it) = super::by_id(tx, id).await?
            && let Ok(object) = wire::object(&it, &author, &base)
        {
            objects.push(object);
        }
    }
    found.items = objects;
    Ok(Some(found))
}

/// Everything that is for sale here and that everybody may read, newest first.
pub async fn exported(tx: &mut Tx, _: Uuid, _: &str, wanted: Wanted) -> Result<Option<Part>> {
    const ALL: &str = "from public.listings x where x.owner_id is not null and x.sent_at is not null and x.visibility = 'public' \
         and x.status in ('active', 'reserved', 'sold') and x.hidden_at is null and x.owner_id not in (select hub.closed_accounts())";
    let count = Statement::<BigInt>::new(format!("select count(*) {ALL}"));
    let select = Statement::<(SqlUuid, Text)>::new(format!("select x.id, x.id::text {ALL}"));
    let mut found = paged(tx, count, select, "x.id", wanted, |id: &String| json!(id)).await?;
    let base = actors::base(tx)?;
    let mut objects = Vec::with_capacity(found.items.len());
    for id in found
        .items
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|id| id.parse().ok())
    {
        let Some(it) = super::by_id(tx, id).await? else {
            continue;
        };
        let Some(owner) = it.owner_id else { continue };
        if let Some(author) = publish::author(tx, &it, owner).await.ok().flatten()
            && let Ok(object) = wire::object(&it, &author, &base)
        {
            objects.push(object);
        }
    }
    found.items = objects;
    Ok(Some(found))
}

async fn paged(
    tx: &mut Tx,
    count: Statement<BigInt>,
    mut select: Statement<(SqlUuid, Text)>,
    id: &str,
    wanted: Wanted,
    item: impl Fn(&String) -> Value,
) -> Result<Part> {
    let totals: Vec<i64> = tx.as_hub(async |tx| tx.load(count.clone()).await).await?;
    let total = totals.first().copied().unwrap_or_default();
    let Wanted::Page(after) = wanted else {
        return Ok(Part {
            total,
            ..Part::default()
        });
    };
    if let Some(after) = after.and_then(|after| after.parse().ok()) {
        select.sql(format!(" and {id} < ")).bind(Bind::Uuid(after));
    }
    select
        .sql(format!(" order by {id} desc limit "))
        .bind(Bind::Int(collections::PAGE + 1));
    let rows: Vec<(Uuid, String)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let page = collections::paged(rows, |(id, _)| id.to_string(), |(_, text)| item(text));
    Ok(Part {
        total,
        items: page.items,
        next: page.next,
    })
}
