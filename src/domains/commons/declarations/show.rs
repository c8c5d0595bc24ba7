//! A declaration at its own address, and all of an actor's.

use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::{Declaration, publish, wire};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::posts::show::proven;
use crate::fed::actors::{self, Local};
use crate::fed::collections;
use crate::node::incoming::{Part, Shown, Wanted};

/// An own declaration that the caller may read and that was said to others.
pub async fn declaration(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let Some((it, author)) = readable(tx, id).await? else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let object =
        wire::object(&it, &author, &base).map_err(|why| Error::broken(anyhow::anyhow!(why)))?;
    let object = proven(tx, object, &author, it.as_of()).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: true,
    }))
}

async fn readable(tx: &mut Tx, id: Uuid) -> Result<Option<(Declaration, Local)>> {
    let Some(it) = super::seen(tx, &id.to_string()).await? else {
        return Ok(None);
    };
    let Some(owner) = it.owner_id.filter(|_| it.sent_at.is_some()) else {
        return Ok(None);
    };
    let author = publish::author(tx, &it, owner).await.ok().flatten();
    Ok(author.map(|author| (it, author)))
}

/// The collections of a declaration; nothing is kept in them yet but their number.
pub async fn part(_: &mut Tx, _: Uuid, collection: &str, _: Wanted) -> Result<Option<Part>> {
    Ok(matches!(collection, "replies" | "likes" | "shares").then(Part::default))
}

/// Actors themselves are shown elsewhere.
pub async fn no_actor(_: &mut Tx, _: Uuid) -> Result<Option<Shown>> {
    Ok(None)
}

/// What an actor of this hub declares, newest first.
pub async fn of_actor(
    tx: &mut Tx,
    actor: Uuid,
    collection: &str,
    wanted: Wanted,
) -> Result<Option<Part>> {
    if collection != "declarations" {
        return Ok(None);
    }
    let Some(author) = actors::by_id(tx, actor).await? else {
        return Ok(None);
    };
    const THEIRS: &str = "from public.declarations d join public.ap_actors a on case when d.author_actor_id is null \
         then a.kind = 'user' and a.row_id = d.owner_id else a.id = d.author_actor_id end \
         where d.sent_at is not null and d.status in ('active', 'matched', 'fulfilled') and a.id = ";
    let mut count = Statement::<BigInt>::new(format!("select count(*) {THEIRS}"));
    count.bind(Bind::Uuid(actor));
    let totals: Vec<i64> = tx.as_hub(async |tx| tx.load(count.clone()).await).await?;
    let total = totals.first().copied().unwrap_or_default();
    let Wanted::Page(after) = wanted else {
        return Ok(Some(Part {
            total,
            ..Part::default()
        }));
    };
    let mut select = Statement::<SqlUuid>::new(format!("select d.id {THEIRS}"));
    select.bind(Bind::Uuid(actor));
    if let Some(after) = after.and_then(|after| after.parse().ok()) {
        select.sql(" and d.id < ").bind(Bind::Uuid(after));
    }
    select
        .sql(" order by d.id desc limit ")
        .bind(Bind::Int(collections::PAGE + 1));
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let base = actors::base(tx)?;
    let mut found: Vec<(Uuid, Value)> = Vec::new();
    for id in ids {
        if let Some(it) = super::by_id(tx, id).await?
            && let Ok(object) = wire::object(&it, &author, &base)
        {
            found.push((id, object));
        }
    }
    let page = collections::paged(
        found,
        |(id, _)| id.to_string(),
        |(_, object)| object.clone(),
    );
    Ok(Some(Part {
        total,
        items: page.items,
        next: page.next,
    }))
}

/// Everything that is declared here, newest first.
pub async fn exported(tx: &mut Tx, _: Uuid, _: &str, wanted: Wanted) -> Result<Option<Part>> {
    const ALL: &str = "from public.declarations d where d.owner_id is not null and d.sent_at is not null \
         and d.status in ('active', 'matched', 'fulfilled') and d.owner_id not in (select hub.closed_accounts())";
    let count = Statement::<BigInt>::new(format!("select count(*) {ALL}"));
    let totals: Vec<i64> = tx.as_hub(async |tx| tx.load(count.clone()).await).await?;
    let total = totals.first().copied().unwrap_or_default();
    let Wanted::Page(after) = wanted else {
        return Ok(Some(Part {
            total,
            ..Part::default()
        }));
    };
    let mut select = Statement::<SqlUuid>::new(format!("select d.id {ALL}"));
    if let Some(after) = after.and_then(|after| after.parse().ok()) {
        select.sql(" and d.id < ").bind(Bind::Uuid(after));
    }
    select
        .sql(" order by d.id desc limit ")
        .bind(Bind::Int(collections::PAGE + 1));
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let page = collections::paged(ids, Uuid::to_string, |id| Value::String(id.to_string()));
    let base = actors::base(tx)?;
    let mut items = Vec::with_capacity(page.items.len());
    for id in page
        .items
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|id| id.parse().ok())
    {
        let Some(it) = super::by_id(tx, id).await? else {
            continue;
        };
        let Some(owner) = it.owner_id else {
            continue;
        };
        if let Some(author) = publish::author(tx, &it, owner).await.ok().flatten()
            && let Ok(object) = wire::object(&it, &author, &base)
        {
            items.push(object);
        }
    }
    Ok(Some(Part {
        total,
        items,
        next: page.next,
    }))
}
