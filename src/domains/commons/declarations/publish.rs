//! Own declarations go out as their rows are inserted, changed and deleted, in the same transaction.

use serde_json::json;
use uuid::Uuid;

use super::wire;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::domains::social::posts::audience;
use crate::domains::social::posts::publish::{self as posts, take_back};
use crate::fed::actors;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};

/// What is done around writes of declarations.
pub const HOOK: Hook = Hook {
    kind: "declarations",
    before: Some(posts::before),
    after: Some(after),
};

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
    let Some(author) = people::author(tx, owner, it.author_actor_id).await? else {
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
