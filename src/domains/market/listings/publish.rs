//! Own listings go out as their rows are inserted, changed and deleted, in the same transaction. Drafts stay at home, and what
//! is sold is said to be sold: only what its owner deletes is gone.

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
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};

/// What is done around writes of listings.
pub const HOOK: Hook = Hook {
    kind: "listings",
    before: Some(posts::before),
    after: Some(after),
};

/// After they were written: say so.
fn after<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            if verb != Verb::Delete {
                say(tx, id).await?;
            } else if let Ok(base) = actors::base(tx) {
                take_back(tx, &format!("{base}/ap/listings/{id}")).await?;
            }
        }
        Ok(())
    })
}

/// Say a listing as it is now.
pub async fn say(tx: &mut Tx, id: Uuid) -> Result<()> {
    let Some(it) = super::by_id(tx, id).await? else {
        return Ok(());
    };
    let (Some(owner), Some(uri)) = (it.owner_id, it.federated_ap_id.clone()) else {
        return Ok(());
    };
    let is_first = it.sent_at.is_none();
    if is_first && (it.status != "active" || !it.goes_out()) {
        return Ok(());
    }
    let Some(author) = people::author(tx, owner, it.author_actor_id).await? else {
        return Ok(());
    };
    // Who was shown it and is to see it no more hears that it is gone from the market.
    let mut it = it;
    if !it.goes_out() {
        it.status = "withdrawn".to_owned();
    }
    let base = actors::base(tx)?;
    let object = wire::object(&it, &author, &base).map_err(|reason| {
        Error::invalid(
            format!("listing.{reason}"),
            "The price or the quantity of the listing cannot be said: a price that is fixed, hourly or in time needs an amount.",
        )
    })?;

    let also = match is_first {
        true => Vec::new(),
        false => audience::told_before(tx, &uri).await?,
    };
    let (to, cc) = wire::audience(&it, &author);
    let outgoing = Outgoing {
        actor: author.id,
        activity: json!({ "type": if is_first { "Create" } else { "Update" }, "object": object }),
        to,
        cc,
        about: Some(uri),
        also,
        is_private: false,
    };
    outbox::publish(tx, outgoing).await?;
    let mut sent = Statement::<()>::new(
        "update public.listings set sent_at = now() where sent_at is null and id = ",
    );
    sent.bind(Bind::Uuid(id));
    tx.as_hub(async |tx| tx.run(sent.clone()).await.map(drop))
        .await
}
