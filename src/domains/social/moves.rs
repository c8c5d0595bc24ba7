//! Somebody has moved: who follows him here follows the new account from now on, wherever the two live. That the move of
//! somebody elsewhere may be believed was looked at before (S-42).

use diesel::sql_types::{Jsonb, Nullable};
use serde_json::Value;

use super::actors::{self as people, Known};
use super::blocks;
use super::follows::{self, Follow};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors;
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming};

/// His followers of this hub follow the new account, and the old one no more.
pub async fn on_moved(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(target) = heard.activity.get("target").and_then(vocab::id) else {
        return Ok(Applied::NotMine);
    };
    let old = people::by_id(tx, heard.author.id).await?;
    let (Some(old), new) = (old, people::named(tx, target).await?) else {
        return Ok(Applied::NotMine);
    };
    if !follow_along(tx, &old, &new).await? {
        return Ok(Applied::Refused("target_not_to_be_had"));
    }
    // What is known of the actor himself is written by others.
    Ok(Applied::NotMine)
}

/// Let everybody of this hub who follows the one follow the other instead. No where nobody is to be found there any more.
pub async fn follow_along(tx: &mut Tx, old: &Known, new: &Known) -> Result<bool> {
    if new.is_local() {
        let there = actors::by_id(tx, new.id).await?;
        if !there.is_some_and(|there| there.is_shown && !there.is_gone()) {
            return Ok(false);
        }
    }
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select to_jsonb(f) from public.follows f where f.direction = 'out' and f.state <> 'rejected' and f.actor_id = ",
    );
    select
        .bind(Bind::Uuid(old.id))
        .sql(" order by f.id for update");
    let rows: Vec<Option<Value>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;

    for row in rows.into_iter().flatten() {
        let follow: Follow = serde_json::from_value(row).map_err(Error::broken)?;
        let Some(id) = follow.local_actor_id else {
            continue;
        };
        let Some(me) = actors::by_id(tx, id).await? else {
            continue;
        };
        // Who followed the old account of his own follows nobody instead.
        let is_asked =
            me.id == new.id || follows::between(tx, me.id, new.id, "out").await?.is_some();
        if !is_asked && !blocks::is_between(tx, me.id, new.id).await? {
            follows::begin(tx, &me, new).await?;
        }
        follows::end(tx, &follow, old).await?;
    }
    Ok(true)
}
