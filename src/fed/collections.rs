//! Collections of ids or objects, 40 at a time, the newest first. Which rows are in one and who may see them is asked
//! here for what every actor has; what belongs to an object is its domain's.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::actors::Local;
use super::vocab;
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::node::incoming::{Part, Wanted};

/// How many items a page has.
pub const PAGE: i64 = 40;

/// Where a page begins: after this item of the one before.
pub type Cursor = String;

/// What a page holds, and where the next begins.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub items: Vec<Value>,
    pub next: Option<Cursor>,
}

/// The collection itself. Without `is_open` nobody is told what is in it, only how much.
pub fn whole(uri: &str, owner: &str, total: i64, is_open: bool) -> Value {
    let mut told = json!({
        "@context": vocab::context(),
        "type": "OrderedCollection",
        "id": uri,
        "attributedTo": owner,
        "totalItems": total,
    });
    if let (true, Some(told)) = (is_open, told.as_object_mut()) {
        if total == 0 {
            told.insert("orderedItems".to_owned(), json!([]));
        } else {
            told.insert("first".to_owned(), json!(format!("{uri}?page=true")));
        }
    }
    told
}

/// One page of it.
pub fn page(uri: &str, owner: &str, at: Option<&str>, page: Page) -> Value {
    let id = match at {
        Some(cursor) => format!("{uri}?page=true&after={cursor}"),
        None => format!("{uri}?page=true"),
    };
    let mut told = json!({
        "@context": vocab::context(),
        "type": "OrderedCollectionPage",
        "id": id,
        "partOf": uri,
        "attributedTo": owner,
        "orderedItems": page.items,
    });
    if let (Some(next), Some(told)) = (page.next, told.as_object_mut()) {
        told.insert(
            "next".to_owned(),
            json!(format!("{uri}?page=true&after={next}")),
        );
    }
    told
}

/// How many follow an actor (`in`) or are followed by it (`out`).
pub async fn count_follows(tx: &mut Tx, actor: Uuid, direction: &str) -> Result<i64> {
    let mut select = Statement::<BigInt>::new(
        "select count(*) from public.follows where state = 'accepted' and local_actor_id = ",
    );
    select
        .bind(Bind::Uuid(actor))
        .sql(" and direction = ")
        .text(direction);
    first(tx, select).await
}

/// Who follows an actor, or is followed by it.
pub async fn follows(
    tx: &mut Tx,
    actor: Uuid,
    direction: &str,
    after: Option<&str>,
) -> Result<Page> {
    let mut select = Statement::<(SqlUuid, Text)>::new(
        "select f.id, a.uri from public.follows f join public.ap_actors a on a.id = f.actor_id \
         where f.state = 'accepted' and a.deleted_at is null and f.local_actor_id = ",
    );
    select
        .bind(Bind::Uuid(actor))
        .sql(" and f.direction = ")
        .text(direction);
    if let Some(after) = after.and_then(|after| after.parse().ok()) {
        select.sql(" and f.id < ").bind(Bind::Uuid(after));
    }
    select
        .sql(" order by f.id desc limit ")
        .bind(Bind::Int(PAGE + 1));
    let rows: Vec<(Uuid, String)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(paged(rows, |(id, _)| id.to_string(), |(_, uri)| json!(uri)))
}

/// How much an actor said to everybody.
pub async fn count_said(tx: &mut Tx, actor: &Local) -> Result<i64> {
    let mut select = Statement::<BigInt>::new(
        "select count(*) from public.ap_activities where is_public and type in ('Create', 'Announce') and actor_id = ",
    );
    select.bind(Bind::Uuid(actor.id));
    first(tx, select).await
}

/// What an actor said to everybody, as it was sent.
pub async fn said(tx: &mut Tx, actor: &Local, after: Option<&str>) -> Result<Page> {
    let mut select = Statement::<(BigInt, Text)>::new(
        "select seq, body from public.ap_activities where is_public and type in ('Create', 'Announce') and actor_id = ",
    );
    select.bind(Bind::Uuid(actor.id));
    if let Some(after) = after.and_then(|after| after.parse().ok()) {
        select.sql(" and seq < ").bind(Bind::Int(after));
    }
    select
        .sql(
            " and not exists (select from public.ap_tombstones t where t.uri = object_uri) order by seq desc limit ",
        )
        .bind(Bind::Int(PAGE + 1));
    let rows: Vec<(i64, String)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(paged(
        rows,
        |(seq, _)| seq.to_string(),
        |(_, body)| serde_json::from_str(body).unwrap_or_default(),
    ))
}

/// An activity of a local actor as this reader may have it: its text, and whether everybody may read it. Others than
/// everybody are those it names, and the followers where it is for them.
pub async fn activity(
    tx: &mut Tx,
    uri: &str,
    reader: Option<Uuid>,
) -> Result<Option<(String, bool)>> {
    let mut select = Statement::<(Text, diesel::sql_types::Bool)>::new(
        "select body, is_public from public.ap_activities x join public.ap_actors s on s.id = x.actor_id \
         where s.suspended_at is null and s.deleted_at is null \
         and not exists (select from public.ap_tombstones t where t.uri = x.object_uri) and (x.is_public",
    );
    if let Some(reader) = reader {
        select
            .sql(
                " or exists (select from public.ap_actors r, lateral (select jsonb_path_query(x.body::jsonb, 'lax $.to[*]') #>> '{}' as named \
                 union all select jsonb_path_query(x.body::jsonb, 'lax $.cc[*]') #>> '{}') n \
                 where (n.named = r.uri or n.named = s.followers_url and exists (select from public.follows f \
                 where f.actor_id = r.id and f.local_actor_id = s.id and f.direction = 'in' and f.state = 'accepted')) and r.id = ",
            )
            .bind(Bind::Uuid(reader))
            .sql(")");
    }
    select.sql(") and x.uri = ").text(uri);
    let rows: Vec<(String, bool)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows.into_iter().next())
}

/// What is remembered of something deleted here.
pub async fn tombstone(tx: &mut Tx, uri: &str) -> Result<Option<Value>> {
    let mut select = Statement::<(Text, Timestamptz)>::new(
        "select coalesce(former_type, ''), created_at from public.ap_tombstones where is_local and uri = ",
    );
    select.text(uri);
    let rows: Vec<(String, DateTime<Utc>)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    rows.into_iter()
        .next()
        .map(|(former, at)| {
            super::actors::tombstone(uri, (!former.is_empty()).then_some(&former), at)
        })
        .transpose()
}

/// Remember that something of ours is gone.
pub async fn bury(
    tx: &mut Tx,
    uri: &str,
    actor: &str,
    former_type: &str,
    is_local: bool,
) -> Result<()> {
    let mut insert = Statement::new(
        "insert into public.ap_tombstones (uri, actor_uri, former_type, is_local) values (",
    );
    insert
        .text(uri)
        .sql(", ")
        .text(actor)
        .sql(", ")
        .text(former_type)
        .sql(format!(", {is_local}) on conflict (uri) do nothing"));
    tx.as_hub(async |tx| tx.run(insert.clone()).await.map(drop))
        .await
}

/// How many rows there are, or a page of what is `said` of each, the newest first. `from` begins at the table, which it calls x,
/// and ends where `of` stands.
pub async fn listed(
    tx: &mut Tx,
    from: &str,
    of: Option<Bind>,
    said: &str,
    wanted: Wanted,
) -> Result<Part> {
    let mut count = Statement::<BigInt>::new(format!("select count(*) from {from}"));
    let mut select = Statement::<(SqlUuid, Text)>::new(format!("select x.id, {said} from {from}"));
    if let Some(of) = of {
        count.bind(of.clone());
        select.bind(of);
    }
    let total = first(tx, count).await?;
    let Wanted::Page(after) = wanted else {
        return Ok(Part {
            total,
            ..Part::default()
        });
    };
    if let Some(after) = after.and_then(|after| after.parse().ok()) {
        select.sql(" and x.id < ").bind(Bind::Uuid(after));
    }
    select
        .sql(" order by x.id desc limit ")
        .bind(Bind::Int(PAGE + 1));
    let rows: Vec<(Uuid, String)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let page = paged(rows, |(id, _)| id.to_string(), |(_, text)| json!(text));
    Ok(Part {
        total,
        items: page.items,
        next: page.next,
    })
}

/// The ids in a page of ids.
pub fn ids(part: &Part) -> Vec<Uuid> {
    let texts = part.items.iter().filter_map(Value::as_str);
    texts.filter_map(|id| id.parse().ok()).collect()
}

/// Cut what was read one too many, and say where to go on.
pub fn paged<T>(rows: Vec<T>, cursor: impl Fn(&T) -> String, item: impl Fn(&T) -> Value) -> Page {
    let most = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let next = match rows.len() > most {
        true => rows.get(most - 1).map(&cursor),
        false => None,
    };
    Page {
        items: rows.iter().take(most).map(item).collect(),
        next,
    }
}

async fn first(tx: &mut Tx, select: Statement<BigInt>) -> Result<i64> {
    let rows: Vec<i64> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows.first().copied().unwrap_or_default())
}
