//! Own declarations go out as their rows are inserted, changed and deleted, in the same transaction.

use diesel::sql_types::{Nullable, Text};
use serde_json::json;
use uuid::Uuid;

use super::{Declaration, wire};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::domains::social::posts::audience;
use crate::domains::social::posts::publish::take_back;
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;
use crate::kinds::ask::Rows;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};

/// What is done around writes of declarations.
pub const HOOK: Hook = Hook {
    kind: "declarations",
    before: Some(before),
    after: Some(after),
};

/// Before they are written: the hub's address, which their own begin with.
fn before(tx: &mut Tx, _: Verb, rows: Rows) -> Later<'_, Rows> {
    Box::pin(async move {
        if let Ok(base) = actors::base(tx) {
            let mut set = Statement::<Nullable<Text>>::new("select set_config('hub.base', ");
            set.text(base).sql(", true)");
            let _: Vec<Option<String>> = tx.load(set).await?;
        }
        Ok(rows)
    })
}

/// After they were written: say so.
fn after<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            if verb == Verb::Delete {
                if let Ok(base) = actors::base(tx) {
                    take_back(tx, &format!("{base}/ap/declarations/{id}")).await?;
                }
            } else {
                say(tx, id).await?;
            }
        }
        Ok(())
    })
}

/// Say a declaration as it is now.
pub async fn say(tx: &mut Tx, id: Uuid) -> Result<()> {
    let Some(it) = super::by_id(tx, id).await? else {
        return Ok(());
    };
    let (Some(owner), Some(uri)) = (it.owner_id, it.federated_ap_id.clone()) else {
        return Ok(());
    };
    let is_first = it.sent_at.is_none();
    if is_first && it.status != "active" {
        return Ok(());
    }
    let Some(author) = author(tx, &it, owner).await? else {
        return Ok(());
    };
    let base = actors::base(tx)?;
    let object = wire::object(&it, &author, &base).map_err(|reason| {
        Error::invalid(
            format!("declaration.{reason}"),
            "The amounts of the declaration cannot be said.",
        )
    })?;

    let also = match is_first {
        true => Vec::new(),
        false => audience::told_before(tx, &uri).await?,
    };
    let outgoing = Outgoing {
        actor: author.id,
        activity: json!({ "type": if is_first { "Create" } else { "Update" }, "object": object }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![author.followers()],
        about: Some(uri),
        also,
        is_private: false,
    };
    outbox::publish(tx, outgoing).await?;
    let mut sent = Statement::<()>::new(
        "update public.declarations set sent_at = now() where sent_at is null and id = ",
    );
    sent.bind(Bind::Uuid(id));
    tx.as_hub(async |tx| tx.run(sent.clone()).await.map(drop))
        .await
}

/// In whose name it speaks; none where its owner is not seen by others.
pub async fn author(tx: &mut Tx, it: &Declaration, owner: Uuid) -> Result<Option<Local>> {
    let actor = match it.author_actor_id {
        Some(id) => {
            if !actors::spoken_for(tx, owner, id).await? {
                return Err(Error::forbidden(
                    "actor.not_yours",
                    "You do not speak for this actor.",
                ));
            }
            actors::by_id(tx, id).await?
        }
        None => match actors::of_row(tx, "user", owner).await? {
            Some(actor) => Some(actor),
            None => people::settle(tx, "user", owner, false, None).await?,
        },
    };
    Ok(actor.filter(|actor| !actor.is_gone() && actor.is_shown && actor.suspended_at.is_none()))
}

/// Bring an own declaration to a state, and say so. Whether it was there and could go there.
pub async fn enter(tx: &mut Tx, id: Uuid, from: &[&str], to: &str) -> Result<bool> {
    let mut update = Statement::<()>::new("update public.declarations set status = ");
    update
        .text(to)
        .sql(" where owner_id is not null and id = ")
        .bind(Bind::Uuid(id))
        .sql(" and status = any (")
        .bind(Bind::Texts(
            from.iter().map(|word| Some((*word).to_owned())).collect(),
        ))
        .sql(")");
    let is_there = tx.as_hub(async |tx| tx.run(update.clone()).await).await? > 0;
    if is_there {
        say(tx, id).await?;
    }
    Ok(is_there)
}
