//! What the room itself does about activities: actors that change, move and go, and what groups pass on.

use diesel::sql_types::{Bool, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::one::Known;
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::fed::remote::actors::Told;
use crate::fed::{intake, policy, vocab};
use crate::node::Node;
use crate::node::incoming::{Applied, Incoming, Meaning};

/// What must hold, and what must be written, before the domains are asked. Something when it ends here.
pub async fn before(node: &Node, tx: &mut Tx, heard: &Incoming) -> Result<Option<Applied>> {
    match heard.meaning {
        Meaning::ActorUpdated => updated(tx, heard).await,
        Meaning::ActorMoved => moves(node, tx, heard).await,
        _ => Ok(None),
    }
}

/// What is written after the domains have done their part; whether anything was.
pub async fn after(tx: &mut Tx, heard: &Incoming, known: &Known) -> Result<bool> {
    match heard.meaning {
        Meaning::ActorUpdated => Ok(true),
        Meaning::ActorDeleted => deleted(tx, heard.author.id).await,
        Meaning::ActorMoved => moved(tx, heard).await,
        Meaning::PassedOn => {
            let Some(inside) = known.inside.clone() else {
                return Ok(false);
            };
            tx.as_hub(async |tx| intake::keep_in(tx, inside.clone()).await)
                .await
        }
        _ => Ok(false),
    }
}

/// An activity of this actor that was taken before, as it was said.
pub async fn said_before(tx: &mut Tx, uri: &str, actor: &str) -> Result<Option<Value>> {
    let (uri, actor) = (uri.to_owned(), actor.to_owned());
    tx.as_hub(async |tx| {
        let mut ask = Statement::<Text>::new("select body from public.ap_received where uri = ");
        ask.text(&uri).sql(" and actor_uri = ").text(&actor);
        let bodies: Vec<String> = tx.load(ask).await?;
        Ok(bodies
            .first()
            .and_then(|body| serde_json::from_str(body).ok()))
    })
    .await
}

/// He tells of himself anew; an older word than the one that is known changes nothing.
async fn updated(tx: &mut Tx, heard: &Incoming) -> Result<Option<Applied>> {
    let told = match Told::read(&heard.object) {
        Ok(told) => told,
        Err(reason) => return Ok(Some(Applied::Refused(reason))),
    };
    let document = heard.object.to_string();
    let kept = tx
        .as_hub(async |tx| told.keep(tx, &document, None, false).await)
        .await?;
    Ok(match kept {
        Some(_) => None,
        None => Some(Applied::Ignored("older")),
    })
}

/// He is gone: the row stays, so that he stays gone; his keys go.
async fn deleted(tx: &mut Tx, id: Uuid) -> Result<bool> {
    tx.as_hub(async |tx| {
        let mut keys = Statement::<()>::new("delete from public.ap_keys where secret_id is null and actor_id = ");
        keys.bind(Bind::Uuid(id));
        tx.run(keys).await?;
        let mut gone = Statement::<()>::new(
            "update public.ap_actors set deleted_at = now(), name = null, summary = null, icon_url = null, held_icon_url = null, properties = '[]', \
             document = null where kind is null and deleted_at is null and id = ",
        );
        gone.bind(Bind::Uuid(id));
        Ok(tx.run(gone).await? > 0)
    })
    .await
}

/// Whether a move may be believed (S-42): its target, of whatever server, names the one who moves and has not moved on
/// itself, and this is not one move of many. Who moves to this very hub has to be named by the account here.
async fn moves(node: &Node, tx: &mut Tx, heard: &Incoming) -> Result<Option<Applied>> {
    let refused = |reason| Ok(Some(Applied::Refused(reason)));
    let Some(target) = heard.activity.get("target").and_then(vocab::id) else {
        return refused("no_target");
    };
    if target == heard.author.uri {
        return refused("moves_nowhere");
    }
    let is_here = policy::is_ours(node, target);
    let (target, author) = (target.to_owned(), heard.author.clone());
    type Row = (Bool, Bool, Bool, Bool);
    let found: Vec<(bool, bool, bool, bool)> = tx
        .as_hub(async |tx| {
            let mut ask = Statement::<Row>::new("select ");
            ask.text(&author.uri)
                .sql(
                    " = any (t.also_known_as), t.moved_to is not null or t.deleted_at is not null or t.suspended_at is not null, \
                     t.kind is not null or coalesce(t.last_fetched_at > now() - interval '5 minutes', false), \
                     coalesce(a.moved_at > now() - interval '7 days', false) \
                     from public.ap_actors a, public.ap_actors t where a.id = ",
                )
                .bind(Bind::Uuid(author.id))
                .sql(" and t.uri = ")
                .text(&target);
            tx.load(ask).await
        })
        .await?;
    match found.into_iter().next() {
        None if is_here => refused("target_not_to_be_had"),
        // As he is now, not as he once was.
        None | Some((_, _, false, _)) if !heard.missing.contains(&target) => {
            Ok(Some(Applied::Needs(target)))
        }
        None | Some((_, _, false, _)) => refused("target_not_to_be_had"),
        Some((false, ..)) => refused("not_known_as"),
        Some((_, true, ..)) => refused("moved_on"),
        Some((_, _, _, true)) => refused("moved_lately"),
        Some(_) => Ok(None),
    }
}

async fn moved(tx: &mut Tx, heard: &Incoming) -> Result<bool> {
    let Some(target) = heard.activity.get("target").and_then(vocab::id) else {
        return Ok(false);
    };
    let (target, id) = (target.to_owned(), heard.author.id);
    tx.as_hub(async |tx| {
        let mut moved = Statement::<(SqlUuid, Nullable<Text>)>::new(
            "update public.ap_actors set moved_at = now(), moved_to = ",
        );
        moved
            .text(&target)
            .sql(" where kind is null and id = ")
            .bind(Bind::Uuid(id))
            .sql(" returning id, moved_to");
        let moved: Vec<(Uuid, Option<String>)> = tx.load(moved).await?;
        Ok(!moved.is_empty())
    })
    .await
}
