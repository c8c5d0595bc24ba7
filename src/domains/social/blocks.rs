//! Blocks and mutes between people. A block ends the follows between the two and what one would still have sent the other;
//! somebody elsewhere is told that he is blocked, as he has to be if his server is to help. A row written by hand has the
//! same effect as the action. Whoever is blocked by somebody elsewhere is not told.

use diesel::sql_types::{BigInt, Bool, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::actors::{self as people, Known};
use super::{follows, wire};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{self, Local};
use crate::fed::outbox;
use crate::fed::vocab;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};
use crate::node::incoming::{Applied, Incoming};

/// What follows when a row is written or deleted by hand.
pub const HOOK: Hook = Hook {
    kind: "blocks",
    before: None,
    after: Some(written),
};

/// Whom to block.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    actor: String,
    reason: Option<String>,
}

/// Block somebody. Asked twice, the first row is the answer.
pub async fn set(tx: &mut Tx, input: Set) -> Result<Value> {
    let person = person(tx).await?;
    let other = people::find_held(tx, &input.actor).await?.ok_or_else(|| {
        Error::missing(
            "actor.not_found",
            format!("Nobody is known as {}.", input.actor),
        )
    })?;
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.blocks (owner_id, actor_id, reason) values (",
    );
    insert
        .bind(Bind::Uuid(person))
        .sql(", ")
        .bind(Bind::Uuid(other.id))
        .sql(", ")
        .bind(Bind::Text(input.reason))
        .sql(") on conflict (owner_id, actor_id) do update set reason = coalesce(excluded.reason, blocks.reason) returning id");
    let ids: Vec<Uuid> = tx.load(insert).await?;
    let id = ids.into_iter().next().ok_or_else(no_such_block)?;
    take_effect(tx, id).await?;
    Ok(json!({ "id": id, "actor": other.uri, "actor_id": other.id, "handle": other.address() }))
}

/// Which block.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    id: Uuid,
}

/// Take a block back.
pub async fn undo(tx: &mut Tx, input: Undo) -> Result<Value> {
    person(tx).await?;
    let mut delete = Statement::<SqlUuid>::new(
        "delete from public.blocks where owner_id = auth.uid() and id = ",
    );
    delete.bind(Bind::Uuid(input.id)).sql(" returning id");
    let gone: Vec<Uuid> = tx.load(delete).await?;
    if gone.is_empty() {
        return Err(no_such_block());
    }
    taken_back(tx, &[input.id.to_string()]).await?;
    Ok(json!({ "id": input.id, "undone": true }))
}

fn written<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        if verb == Verb::Delete {
            return taken_back(tx, ids).await;
        }
        for id in ids.iter().filter_map(|id| id.parse().ok()) {
            take_effect(tx, id).await?;
        }
        Ok(())
    })
}

/// A row of `blocks`.
#[derive(Debug, Deserialize)]
struct Row {
    id: Uuid,
    owner_id: Uuid,
    actor_id: Uuid,
    #[serde(alias = "federated_ap_id")]
    uri: Option<String>,
}

/// What a block does, once.
async fn take_effect(tx: &mut Tx, id: Uuid) -> Result<()> {
    let mut select =
        Statement::<Nullable<Jsonb>>::new("select to_jsonb(b) from public.blocks b where b.id = ");
    select.bind(Bind::Uuid(id));
    let Some(row) = rows(tx, select).await?.into_iter().next() else {
        return Ok(());
    };
    let Some((me, other)) = sides(tx, &row).await? else {
        return Ok(());
    };
    if me.id == other.id {
        return Err(Error::invalid("block.oneself", "Nobody blocks himself."));
    }

    end_follows(tx, me.id, &other).await?;
    end_deliveries(tx, me.id, &other).await?;

    let is_told = row.uri.is_some() || other.is_local() || !me.is_shown;
    if is_told {
        return Ok(());
    }
    let block = json!({ "type": "Block", "object": other.uri });
    let said = outbox::publish(tx, wire::private(&me, &other, block)).await?;
    let mut name = Statement::new("update public.blocks set federated_ap_id = ");
    name.text(said.uri)
        .sql(" where id = ")
        .bind(Bind::Uuid(row.id));
    tx.as_hub(async |tx| tx.run(name.clone()).await.map(drop))
        .await
}

/// Tell those who had been told of blocks that they are over.
async fn taken_back(tx: &mut Tx, ids: &[String]) -> Result<()> {
    let mut delete = Statement::<Nullable<Jsonb>>::new(
        "delete from hub.ended_blocks b where b.id::text = any (",
    );
    delete
        .bind(Bind::Texts(ids.iter().cloned().map(Some).collect()))
        .sql(") returning to_jsonb(b)");
    for row in rows(tx, delete).await? {
        let Some((me, other)) = sides(tx, &row).await? else {
            continue;
        };
        let block = json!({ "type": "Block", "id": row.uri, "actor": me.uri, "object": other.uri });
        let undo = json!({ "type": "Undo", "object": block });
        outbox::publish(tx, wire::private(&me, &other, undo)).await?;
    }
    Ok(())
}

async fn rows(tx: &mut Tx, statement: Statement<Nullable<Jsonb>>) -> Result<Vec<Row>> {
    let rows: Vec<Option<Value>> = tx
        .as_hub(async |tx| tx.load(statement.clone()).await)
        .await?;
    rows.into_iter()
        .flatten()
        .map(|row| serde_json::from_value(row).map_err(Error::broken))
        .collect()
}

/// The blocker's actor and the other one, while both are there.
async fn sides(tx: &mut Tx, row: &Row) -> Result<Option<(Local, Known)>> {
    let me = actors::of_row(tx, "user", row.owner_id).await?;
    let other = people::find_held(tx, &row.actor_id.to_string()).await?;
    Ok(me.filter(|me| !me.is_gone()).zip(other))
}

/// End what is between a local actor and another one, in both directions; servers that do not read blocks read this.
async fn end_follows(tx: &mut Tx, me: Uuid, other: &Known) -> Result<()> {
    for direction in ["out", "in"] {
        if let Some(follow) = follows::between(tx, me, other.id, direction).await? {
            follows::end(tx, &follow, other).await?;
        }
    }
    Ok(())
}

/// What is on its way to his own inbox does not leave; what others on his server are to have too stays.
async fn end_deliveries(tx: &mut Tx, me: Uuid, other: &Known) -> Result<()> {
    let Some(inbox) = other.inbox_url.clone().filter(|_| !other.is_local()) else {
        return Ok(());
    };
    let mut drop_them = Statement::new(
        "update public.ap_deliveries d set state = 'dropped', ended_at = now(), last_error = 'blocked' \
         from public.ap_activities x where x.id = d.activity_id and d.state = 'waiting' \
         and x.type not in ('Block', 'Undo', 'Reject', 'Delete') and x.actor_id = ",
    );
    drop_them
        .bind(Bind::Uuid(me))
        .sql(" and d.inbox_url = ")
        .text(inbox);
    tx.as_hub(async |tx| tx.run(drop_them.clone()).await.map(drop))
        .await
}

/// Somebody elsewhere blocks one of ours. It says what he wants for himself and no more: of groups and others it says nothing.
pub async fn on_blocked(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(me) = actors::by_uri(tx, heard.object_uri()?).await? else {
        return Ok(Applied::Ignored("not_ours"));
    };
    if heard.activity.get("target").is_some() {
        // A ban from a group: only that group's own hub decides about it.
        return Ok(Applied::Ignored("not_officer"));
    }
    if me.is_gone() || me.kind == "node" {
        return Ok(Applied::Ignored("gone"));
    }
    let Some(other) = people::by_id(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_actor"));
    };

    let (actor, uri) = (other.id, heard.uri.clone());
    let is_new = tx
        .as_hub(async |tx| {
            let mut put = Statement::<Text>::new(
                "insert into hub.blocked_by (actor_id, local_actor_id, uri) values (",
            );
            put.bind(Bind::Uuid(actor))
                .sql(", ")
                .bind(Bind::Uuid(me.id))
                .sql(", ")
                .text(&uri)
                .sql(") on conflict do nothing returning uri");
            let put: Vec<String> = tx.load(put).await?;
            // His server knows that they are over: nothing is said.
            let mut cut = Statement::<BigInt>::new("select hub.cut_follows(");
            cut.bind(Bind::Uuid(me.id))
                .sql(", ")
                .bind(Bind::Uuid(actor))
                .sql(")");
            let _: Vec<i64> = tx.load(cut).await?;
            Ok(!put.is_empty())
        })
        .await?;
    end_deliveries(tx, me.id, &other).await?;
    Ok(match is_new {
        true => Applied::Done,
        false => Applied::Repeated,
    })
}

/// He blocks him no more.
pub async fn on_block_undone(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let uri = vocab::id(&heard.object).map(str::to_owned);
    let whom = heard.object.get("object").and_then(vocab::id);
    let whom = match whom {
        Some(whom) => actors::by_uri(tx, whom).await?.map(|me| me.id.to_string()),
        None => None,
    };
    let author = heard.author.id;
    let gone: Vec<String> = tx
        .as_hub(async |tx| {
            let mut delete =
                Statement::<Text>::new("delete from hub.blocked_by b where b.actor_id = ");
            delete
                .bind(Bind::Uuid(author))
                .sql(" and (b.uri = ")
                .bind(Bind::Text(uri.clone()))
                .sql(" or b.local_actor_id::text = ")
                .bind(Bind::Text(whom.clone()))
                .sql(") returning b.uri");
            tx.load(delete).await
        })
        .await?;
    Ok(match gone.is_empty() {
        false => Applied::Done,
        // The block may still come; then it is taken back again.
        true => Applied::Waits("no_such_block"),
    })
}

/// The account that asks.
pub(super) async fn person(tx: &mut Tx) -> Result<Uuid> {
    tx.person()
        .await?
        .ok_or_else(|| Error::sign_in("actor.sign_in", "Sign in first."))
}

fn no_such_block() -> Error {
    Error::missing("block.not_found", "There is no such block.")
}

/// Whether one of two blocked the other.
pub async fn is_between(tx: &mut Tx, one: Uuid, other: Uuid) -> Result<bool> {
    let mut ask = Statement::<Bool>::new("select hub.is_blocked_between(");
    ask.bind(Bind::Uuid(one))
        .sql(", ")
        .bind(Bind::Uuid(other))
        .sql(")");
    let is_blocked: Vec<bool> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(is_blocked == [true])
}
