//! What others hear of an actor: how it is now, and that it is gone.

use diesel::sql_types::Text;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{self, Local};
use crate::fed::collections;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;

/// Say to the followers how the actor is now.
pub async fn tell_changed(tx: &mut Tx, actor: &Local) -> Result<()> {
    let mut document = actors::document(tx, actor).await?;
    if let Some(document) = document.as_object_mut() {
        document.remove("@context");
    }
    outbox::publish(tx, changed(actor, document))
        .await
        .map(drop)
}

/// That it is as this document says.
pub(super) fn changed(actor: &Local, document: Value) -> Outgoing {
    Outgoing {
        actor: actor.id,
        activity: json!({ "type": "Update", "object": document }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![actor.followers()],
        about: Some(actor.uri.clone()),
        also: Vec::new(),
        is_private: false,
    }
}

/// Say to everybody who ever got something that the actor is gone, and keep only that.
pub async fn go(tx: &mut Tx, actor: &Local) -> Result<()> {
    if actor.is_gone() {
        return Ok(());
    }
    let everybody = everybody_told(tx, actor.id).await?;
    let outgoing = Outgoing {
        actor: actor.id,
        activity: json!({ "type": "Delete", "object": actor.uri }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![actor.followers()],
        about: Some(actor.uri.clone()),
        also: everybody,
        is_private: false,
    };
    let said = outbox::publish(tx, outgoing).await?;
    collections::bury(tx, &actor.uri, &actor.uri, &actor.of_type, true).await?;
    // What is left names nobody: neither whom it stood for nor what he was called or said.
    let mut close = Statement::new(
        "update public.ap_actors set deleted_at = now(), name = null, summary = null, icon_url = null, properties = '[]', \
         also_known_as = '{}', user_id = null, url = null, preferred_username = 'gone', row_id = gen_random_uuid() where id = ",
    );
    close.bind(Bind::Uuid(actor.id));
    let mut forget = Statement::new("delete from public.ap_activities where actor_id = ");
    forget
        .bind(Bind::Uuid(actor.id))
        .sql(" and id <> ")
        .bind(Bind::Uuid(said.id));
    tx.as_hub(async |tx| {
        tx.run(close.clone()).await?;
        tx.run(forget.clone()).await.map(drop)
    })
    .await
}

/// One actor of each server that ever got something of this one.
async fn everybody_told(tx: &mut Tx, actor: Uuid) -> Result<Vec<String>> {
    let mut select = Statement::<Text>::new(
        "select distinct on (a.host) a.uri from public.ap_actors a where a.kind is null and a.deleted_at is null \
         and a.inbox_url is not null and a.host in (select distinct d.host from public.ap_deliveries d \
         join public.ap_activities x on x.id = d.activity_id where d.state = 'done' and x.actor_id = ",
    );
    select
        .bind(Bind::Uuid(actor))
        .sql(") order by a.host, a.shared_inbox_url is null, a.id");
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}
