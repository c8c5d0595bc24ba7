//! Muting: somebody is not told what another actor does, and nobody else learns of it. Whoever is limited here is heard by
//! his followers only, and between two of whom one has blocked the other nothing is told at all.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::actors as people;
use super::blocks::person;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// Whom to mute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    actor: String,
    hide_notifications: Option<bool>,
    expires_at: Option<DateTime<Utc>>,
}

/// Mute somebody, for good or until then.
pub async fn set(tx: &mut Tx, input: Set) -> Result<Value> {
    let person = person(tx).await?;
    let other = people::named(tx, &input.actor).await?;
    if other.kind.as_deref() == Some("user") && other.row_id == Some(person) {
        return Err(Error::invalid("mute.oneself", "Nobody mutes himself."));
    }
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.mutes (owner_id, actor_id, hide_notifications, expires_at) values (",
    );
    insert
        .bind(Bind::Uuid(person))
        .sql(", ")
        .bind(Bind::Uuid(other.id))
        .sql(format!(
            ", {}, ",
            input.hide_notifications.unwrap_or(true)
        ))
        .bind(Bind::Text(input.expires_at.map(|at| at.to_rfc3339())))
        .sql(
            "::timestamptz) on conflict (owner_id, actor_id) do update set hide_notifications = excluded.hide_notifications, \
             expires_at = excluded.expires_at returning id",
        );
    let ids: Vec<Uuid> = tx.load(insert).await?;
    let id = ids.into_iter().next().ok_or_else(no_such_mute)?;
    Ok(json!({ "id": id, "actor": other.uri, "actor_id": other.id, "handle": other.address() }))
}

/// Which mute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    id: Uuid,
}

/// Hear him again.
pub async fn undo(tx: &mut Tx, input: Undo) -> Result<Value> {
    person(tx).await?;
    let mut delete =
        Statement::<SqlUuid>::new("delete from public.mutes where owner_id = auth.uid() and id = ");
    delete.bind(Bind::Uuid(input.id)).sql(" returning id");
    let gone: Vec<Uuid> = tx.load(delete).await?;
    match gone.is_empty() {
        true => Err(no_such_mute()),
        false => Ok(json!({ "id": input.id, "undone": true })),
    }
}

/// Whether somebody is to be told what an actor does: whoever tells asks this first.
pub async fn hears(tx: &mut Tx, person: Uuid, actor: Uuid) -> Result<bool> {
    let mut ask = Statement::<Bool>::new("select hub.hears_of(");
    ask.bind(Bind::Uuid(person))
        .sql(", ")
        .bind(Bind::Uuid(actor))
        .sql(")");
    let hears: Vec<bool> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(hears == [true])
}

fn no_such_mute() -> Error {
    Error::missing("mute.not_found", "There is no such mute.")
}
