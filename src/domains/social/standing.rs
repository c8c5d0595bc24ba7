//! What operators hold of a single actor, of this hub or another: silenced, only his followers hear of him; suspended,
//! nothing is taken from him and nothing sent, and an account of this hub is logged out and stays outside.

use serde::Deserialize;
use serde_json::{Value, json};

use super::actors::{self as people, Known};
use super::moderation::{Settle, operators_only, settle_later};
use crate::base::{Error, Result};
use crate::db::audit::{self, Note};
use crate::db::{Bind, Statement, Tx};

/// Which actor: his id, his address or his name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    actor: String,
}

/// Only his followers hear of him.
pub async fn silence(tx: &mut Tx, input: Which) -> Result<Value> {
    hold(tx, &input.actor, "silenced").await
}

/// Nothing is taken from him and nothing sent.
pub async fn suspend(tx: &mut Tx, input: Which) -> Result<Value> {
    hold(tx, &input.actor, "suspended").await
}

/// Nothing is held of him any more; what was hidden comes back, whom he followed does not.
pub async fn restore(tx: &mut Tx, input: Which) -> Result<Value> {
    hold(tx, &input.actor, "restored").await
}

async fn hold(tx: &mut Tx, named: &str, state: &'static str) -> Result<Value> {
    operators_only(tx).await?;
    let actor = people::find_held(tx, named)
        .await?
        .ok_or_else(|| Error::missing("actor.not_found", format!("Nobody is known as {named}.")))?;
    if actor.kind.as_deref() == Some("node") {
        return Err(Error::conflict(
            "actor.is_the_hub",
            "This actor is the hub itself.",
        ));
    }
    if actor.row_id.is_some() && actor.row_id == tx.person().await? {
        return Err(Error::conflict(
            "actor.oneself",
            "Nobody holds something against himself.",
        ));
    }

    let target = actor.clone();
    tx.as_hub(async |tx| write(tx, &target, state).await)
        .await?;

    let done = Note {
        action: "write",
        resource: "ap_actors",
        id: Some(actor.id),
        owner: None,
        metadata: json!({ "actor": actor.uri, "state": state }),
    };
    audit::note(tx, done).await?;
    settle_later(tx, Settle::actor(actor.id)).await?;
    Ok(json!({ "id": actor.id, "actor": actor.uri, "state": state }))
}

async fn write(tx: &mut Tx, actor: &Known, state: &str) -> Result<()> {
    let set = match state {
        "silenced" => "silenced_at = coalesce(silenced_at, now())",
        "suspended" => "suspended_at = coalesce(suspended_at, now())",
        _ => "silenced_at = null, suspended_at = null",
    };
    if let (Some("user"), Some(account)) = (actor.kind.as_deref(), actor.row_id) {
        // Sessions end by trigger; whoever is banned keeps nothing open. A ban that came otherwise stays.
        let mut ban = match state {
            "suspended" => Statement::new(
                "update public.users set banned_until = now() + interval '100 years' where id = ",
            ),
            _ => Statement::new(
                "update public.users set banned_until = null where exists (select from public.ap_actors a \
                 where a.kind = 'user' and a.row_id = users.id and a.suspended_at is not null) and id = ",
            ),
        };
        ban.bind(Bind::Uuid(account));
        if state != "silenced" {
            tx.run(ban).await?;
        }
    }
    let mut update = Statement::new(format!("update public.ap_actors set {set} where id = "));
    update.bind(Bind::Uuid(actor.id));
    tx.run(update).await.map(drop)
}
