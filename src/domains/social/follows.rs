//! Following and being followed: asked for, answered, taken back. Between two of this hub there is one row on each side and
//! nothing is sent; towards others the request travels and the row waits for the answer.

use diesel::sql_types::{Jsonb, Nullable, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::actors::{self as people, Known};
use super::limits::{self, Deed};
use super::{blocks, wire};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::speaker;
use crate::events;
use crate::fed::actors::{self, Local};
use crate::fed::outbox;

/// A row of `follows`.
#[derive(Clone, Debug, Deserialize)]
pub struct Follow {
    pub id: Uuid,
    pub owner_id: Option<Uuid>,
    pub local_actor_id: Option<Uuid>,
    pub actor_id: Uuid,
    pub direction: String,
    pub state: String,
    pub federated_ap_id: Option<String>,
}

/// Whom to follow, and in whose name.
#[derive(Deserialize)]
pub struct Request {
    actor: String,
    #[serde(rename = "as")]
    speaks_as: Option<Uuid>,
}

/// Follow somebody. Asked twice, the first row is the answer.
pub async fn request(tx: &mut Tx, input: Request) -> Result<Value> {
    let me = speaker(tx, input.speaks_as).await?;
    let other = people::named(tx, &input.actor).await?;
    if other.id == me.id {
        return Err(Error::invalid("follow.oneself", "Nobody follows himself."));
    }
    if blocks::is_between(tx, me.id, other.id).await? {
        return Err(Error::forbidden(
            "follow.blocked",
            "One of you has blocked the other.",
        ));
    }
    if let Some(there) = between(tx, me.id, other.id, "out").await?
        && there.state != "rejected"
    {
        return Ok(shown(&there, &other));
    }

    limits::take_or_refuse(tx, Deed::Follow, me.id)?;
    let follow = begin(tx, &me, &other).await?;
    Ok(shown(&follow, &other))
}

/// Follow somebody, of this hub or of another.
pub async fn begin(tx: &mut Tx, me: &Local, other: &Known) -> Result<Follow> {
    match other.is_local() {
        true => follow_here(tx, me, other).await,
        false => ask(tx, me, other).await,
    }
}

/// Ask an actor elsewhere; the row waits for the answer.
async fn ask(tx: &mut Tx, me: &Local, other: &Known) -> Result<Follow> {
    let follow = write(tx, me, other, "out", "pending", None).await?;
    let published = outbox::publish(tx, wire::follow(me, other)).await?;
    name(tx, follow.id, &published.uri).await
}

/// Between two of this hub: the other's row is the request, and it is answered at once unless he looks at each.
async fn follow_here(tx: &mut Tx, me: &Local, other: &Known) -> Result<Follow> {
    let state = match other.manually_approves_followers {
        true => "pending",
        false => "accepted",
    };
    let follow = write(tx, me, other, "out", state, None).await?;
    let theirs = actors::by_id(tx, other.id)
        .await?
        .ok_or_else(|| Error::missing("actor.not_found", "The actor is gone."))?;
    let mine = people::by_id(tx, me.id)
        .await?
        .ok_or_else(|| Error::missing("actor.not_found", "The actor is gone."))?;
    let incoming = write(tx, &theirs, &mine, "in", state, None).await?;
    tell(tx, &incoming, state).await?;
    Ok(follow)
}

/// Which request, and whether it is granted.
#[derive(Deserialize)]
pub struct Answer {
    id: Uuid,
    accept: bool,
}

/// Let somebody follow, or not.
pub async fn answer(tx: &mut Tx, input: Answer) -> Result<Value> {
    let follow = mine(tx, input.id).await?;
    if follow.direction != "in" {
        return Err(Error::conflict(
            "follow.not_asked_of_you",
            "Only the one who is to be followed answers.",
        ));
    }
    let other = other_side(tx, &follow).await?;
    let state = match input.accept {
        true => "accepted",
        false => "rejected",
    };
    if follow.state == state {
        return Ok(shown(&follow, &other));
    }
    let follow = enter(tx, follow.id, state).await?;
    if other.is_local() {
        mirror(tx, &follow, state).await?;
    } else if let Some(me) = local_side(tx, &follow).await? {
        outbox::publish(tx, wire::answer(&me, &other, &follow, input.accept)).await?;
    }
    Ok(shown(&follow, &other))
}

/// Which follow.
#[derive(Deserialize)]
pub struct Undo {
    id: Uuid,
}

/// Follow no more, or send a follower away.
pub async fn undo(tx: &mut Tx, input: Undo) -> Result<Value> {
    let follow = mine(tx, input.id).await?;
    let other = other_side(tx, &follow).await?;
    end(tx, &follow, &other).await?;
    Ok(json!({ "id": follow.id, "undone": true }))
}

/// End a follow from the local side: the row goes, and the other side is told.
pub async fn end(tx: &mut Tx, follow: &Follow, other: &Known) -> Result<()> {
    remove(tx, follow.id).await?;
    if other.is_local() {
        let direction = opposite(&follow.direction);
        if let (Some(mine), Some(theirs)) = (follow.local_actor_id, Some(other.id))
            && let Some(mirror) = between(tx, theirs, mine, direction).await?
        {
            remove(tx, mirror.id).await?;
        }
        return Ok(());
    }
    let Some(me) = local_side(tx, follow).await? else {
        return Ok(());
    };
    let said = match follow.direction.as_str() {
        "out" => wire::undo_follow(&me, other, follow),
        _ => wire::answer(&me, other, follow, false),
    };
    outbox::publish(tx, said).await.map(drop)
}

/// Write a row of one side, or bring the one that is there to this state.
pub async fn write(
    tx: &mut Tx,
    local: &Local,
    other: &Known,
    direction: &str,
    state: &str,
    uri: Option<&str>,
) -> Result<Follow> {
    let mut insert = Statement::new(
        "insert into public.follows (owner_id, dao_id, local_actor_id, actor_id, direction, state, accepted_at, federated_ap_id) \
         select case a.kind when 'user' then a.row_id end, case a.kind when 'dao' then a.row_id end, a.id, ",
    );
    insert
        .bind(Bind::Uuid(other.id))
        .sql(", ")
        .text(direction)
        .sql(", ")
        .text(state)
        .sql(format!(
            ", {}, ",
            if state == "accepted" { "now()" } else { "null::timestamptz" }
        ))
        .bind(Bind::Text(uri.map(str::to_owned)))
        .sql(" from public.ap_actors a where a.id = ")
        .bind(Bind::Uuid(local.id))
        .sql(
            " on conflict on constraint follows_sides_key do update set state = excluded.state, \
             accepted_at = coalesce(follows.accepted_at, excluded.accepted_at), \
             federated_ap_id = coalesce(excluded.federated_ap_id, follows.federated_ap_id) returning to_jsonb(follows)",
        );
    written(tx, insert).await
}

/// Bring a follow to a state.
pub async fn enter(tx: &mut Tx, id: Uuid, state: &str) -> Result<Follow> {
    let mut update = Statement::new("update public.follows set accepted_at = case when ");
    update
        .text(state)
        .sql("::text = 'accepted' then coalesce(accepted_at, now()) end, state = ")
        .text(state)
        .sql(" where id = ")
        .bind(Bind::Uuid(id))
        .sql(" returning to_jsonb(follows)");
    written(tx, update).await
}

async fn name(tx: &mut Tx, id: Uuid, uri: &str) -> Result<Follow> {
    let mut update = Statement::new("update public.follows set federated_ap_id = ");
    update
        .text(uri)
        .sql(" where id = ")
        .bind(Bind::Uuid(id))
        .sql(" returning to_jsonb(follows)");
    written(tx, update).await
}

async fn written(tx: &mut Tx, statement: Statement<Nullable<Jsonb>>) -> Result<Follow> {
    tx.hub_one(statement)
        .await?
        .ok_or_else(|| Error::missing("follow.not_found", "There is no such follow."))
}

/// Forget a follow.
pub async fn remove(tx: &mut Tx, id: Uuid) -> Result<()> {
    let mut delete = Statement::new("delete from public.follows where id = ");
    delete.bind(Bind::Uuid(id));
    tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
        .await
}

/// The row between a local actor and another one.
pub async fn between(
    tx: &mut Tx,
    local: Uuid,
    other: Uuid,
    direction: &str,
) -> Result<Option<Follow>> {
    let mut select =
        Statement::new("select to_jsonb(f) from public.follows f where f.local_actor_id = ");
    select
        .bind(Bind::Uuid(local))
        .sql(" and f.actor_id = ")
        .bind(Bind::Uuid(other))
        .sql(" and f.direction = ")
        .text(direction);
    tx.hub_one(select).await
}

/// Whether anybody of this hub follows an actor.
pub async fn is_followed(tx: &mut Tx, actor: Uuid) -> Result<bool> {
    let mut select = Statement::<SqlUuid>::new(
        "select id from public.follows where direction = 'out' and state = 'accepted' and actor_id = ",
    );
    select.bind(Bind::Uuid(actor)).sql(" limit 1");
    let rows: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(!rows.is_empty())
}

/// The row of a follow that went out or came in under this address.
pub async fn by_uri(tx: &mut Tx, uri: &str, direction: &str) -> Result<Option<Follow>> {
    let mut select =
        Statement::new("select to_jsonb(f) from public.follows f where f.federated_ap_id = ");
    select.text(uri).sql(" and f.direction = ").text(direction);
    tx.hub_one(select).await
}

/// A follow whose local side the caller speaks for; anything else is not there for him.
async fn mine(tx: &mut Tx, id: Uuid) -> Result<Follow> {
    let missing = || Error::missing("follow.not_found", "There is no such follow.");
    let person = tx
        .person()
        .await?
        .ok_or_else(|| Error::sign_in("actor.sign_in", "Sign in to follow others."))?;
    let mut select =
        Statement::<Nullable<Jsonb>>::new("select to_jsonb(f) from public.follows f where f.id = ");
    select.bind(Bind::Uuid(id)).sql(" for update");
    let follow: Follow = tx.hub_one(select).await?.ok_or_else(missing)?;
    let is_own = follow.owner_id == Some(person);
    let speaks = match follow.local_actor_id {
        Some(actor) if !is_own => actors::spoken_for(tx, person, actor).await?,
        _ => is_own,
    };
    match speaks {
        true => Ok(follow),
        false => Err(missing()),
    }
}

async fn other_side(tx: &mut Tx, follow: &Follow) -> Result<Known> {
    people::by_id(tx, follow.actor_id)
        .await?
        .ok_or_else(|| Error::missing("actor.not_found", "The other side is gone."))
}

async fn local_side(tx: &mut Tx, follow: &Follow) -> Result<Option<Local>> {
    match follow.local_actor_id {
        Some(id) => actors::by_id(tx, id).await,
        None => Ok(None),
    }
}

/// Bring the other one's row to the same state, when he lives here too.
async fn mirror(tx: &mut Tx, follow: &Follow, state: &str) -> Result<()> {
    let Some(mine) = follow.local_actor_id else {
        return Ok(());
    };
    if let Some(theirs) = between(tx, follow.actor_id, mine, opposite(&follow.direction)).await? {
        enter(tx, theirs.id, state).await?;
    }
    Ok(())
}

fn opposite(direction: &str) -> &'static str {
    match direction {
        "out" => "in",
        _ => "out",
    }
}

/// The one who is followed hears of it.
pub async fn tell(tx: &mut Tx, follow: &Follow, state: &str) -> Result<()> {
    let word = match state {
        "accepted" => "follow.accepted",
        _ => "follow.requested",
    };
    let event = events::Event {
        word,
        kind: "follows",
        row: follow.id,
        owner: follow.owner_id,
    };
    events::emit(tx, event).await.map(drop)
}

fn shown(follow: &Follow, other: &Known) -> Value {
    json!({
        "id": follow.id, "actor": other.uri, "handle": other.address(), "actor_id": follow.actor_id,
        "direction": follow.direction, "state": follow.state,
    })
}
