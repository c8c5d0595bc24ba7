//! Liking and passing on, and taking it back: of posts here and elsewhere. Between two of this hub there is one row on each
//! side and nothing is sent.

use diesel::sql_types::{Jsonb, Nullable, Text};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::actors::{self as people, Known, speaker};
use super::posts::{self, Post};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::events;
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::{self, PUBLIC};
use crate::node::incoming::{Applied, Incoming, Meaning};

/// A row of `reactions`.
#[derive(Clone, Debug, Deserialize)]
pub struct Reaction {
    pub id: Uuid,
    pub owner_id: Option<Uuid>,
    pub local_actor_id: Option<Uuid>,
    pub actor_id: Uuid,
    #[serde(rename = "type")]
    pub of_type: String,
    pub object_uri: String,
    pub federated_ap_id: Option<String>,
}

/// What somebody reacts to, by its address or its id here.
#[derive(Deserialize)]
pub struct Towards {
    object: String,
    #[serde(rename = "as")]
    speaks_as: Option<Uuid>,
}

/// Like something.
pub async fn like(tx: &mut Tx, input: Towards) -> Result<Value> {
    react(tx, input, "like").await
}

/// Pass something on to one's followers.
pub async fn announce(tx: &mut Tx, input: Towards) -> Result<Value> {
    react(tx, input, "announce").await
}

async fn react(tx: &mut Tx, input: Towards, kind: &'static str) -> Result<Value> {
    let me = speaker(tx, input.speaks_as).await?;
    let missing = || {
        Error::missing(
            "object.not_found",
            format!("Nothing is known as {}.", input.object),
        )
    };
    let post = posts::seen(tx, input.object.trim())
        .await?
        .ok_or_else(missing)?;
    let uri = post.federated_ap_id.clone().ok_or_else(missing)?;
    let author = author(tx, &post).await?.ok_or_else(missing)?;
    if super::follows::is_blocked(tx, &me, &author).await? {
        return Err(Error::forbidden(
            "reaction.blocked",
            "One of you has blocked the other.",
        ));
    }
    if kind == "announce" && !post.is_public() {
        return Err(Error::forbidden(
            "reaction.not_public",
            "Only what everybody may read is passed on.",
        ));
    }

    let (row, is_new) = write(tx, &me, &author, "out", kind, &post, &uri).await?;
    if !is_new {
        return Ok(shown(&row, &author));
    }
    if let Some(owner) = post.owner_id {
        let theirs = actors::by_id(tx, author.id).await?.ok_or_else(missing)?;
        let mine = people::by_id(tx, me.id).await?.ok_or_else(missing)?;
        write(tx, &theirs, &mine, "in", kind, &post, &uri).await?;
        if author.id != me.id {
            let word = if kind == "like" {
                "post.liked"
            } else {
                "post.announced"
            };
            events::emit(
                tx,
                events::Event {
                    word,
                    kind: "posts",
                    row: post.id,
                    owner: Some(owner),
                },
            )
            .await?;
        }
    }
    if author.is_local() && kind == "like" {
        return Ok(shown(&row, &author));
    }
    let published = outbox::publish(tx, said(&me, &author, kind, &uri)).await?;
    let row = name(tx, row.id, &published.uri).await?;
    Ok(shown(&row, &author))
}

/// A like goes to the author alone, what is passed on to everybody.
fn said(me: &Local, author: &Known, kind: &str, uri: &str) -> Outgoing {
    match kind {
        "like" => Outgoing {
            about: Some(uri.to_owned()),
            ..super::wire::private(me, author, json!({ "type": "Like", "object": uri }))
        },
        _ => public(
            me,
            author,
            json!({ "type": "Announce", "object": uri }),
            uri,
        ),
    }
}

fn public(me: &Local, author: &Known, activity: Value, uri: &str) -> Outgoing {
    Outgoing {
        actor: me.id,
        activity,
        to: vec![PUBLIC.to_owned()],
        cc: vec![me.followers(), author.uri.clone()],
        about: Some(uri.to_owned()),
        also: Vec::new(),
        is_private: false,
    }
}

/// Which reaction.
#[derive(Deserialize)]
pub struct Undo {
    id: Uuid,
}

/// Take a reaction back.
pub async fn undo(tx: &mut Tx, input: Undo) -> Result<Value> {
    let missing = || Error::missing("reaction.not_found", "There is no such reaction.");
    let person = tx
        .person()
        .await?
        .ok_or_else(|| Error::sign_in("actor.sign_in", "Sign in to take something back."))?;
    let mut select = Statement::new(
        "select to_jsonb(r) from public.reactions r where r.direction = 'out' and r.id = ",
    );
    select.bind(Bind::Uuid(input.id)).sql(" for update");
    let row = found(tx, select).await?.ok_or_else(missing)?;
    let me = match row.local_actor_id {
        Some(actor)
            if row.owner_id == Some(person) || actors::spoken_for(tx, person, actor).await? =>
        {
            actors::by_id(tx, actor).await?.ok_or_else(missing)?
        }
        _ => return Err(missing()),
    };

    let mut delete = Statement::<()>::new("delete from public.reactions r where r.id = ");
    delete
        .bind(Bind::Uuid(row.id))
        .sql(" or (r.direction = 'in' and r.local_actor_id = ")
        .bind(Bind::Uuid(row.actor_id))
        .sql(" and r.actor_id = ")
        .bind(Bind::Uuid(me.id))
        .sql(" and r.type = ")
        .text(&row.of_type)
        .sql(" and r.object_uri = ")
        .text(&row.object_uri)
        .sql(")");
    tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
        .await?;

    if let (Some(uri), Some(author)) =
        (&row.federated_ap_id, people::by_id(tx, row.actor_id).await?)
    {
        let word = if row.of_type == "like" {
            "Like"
        } else {
            "Announce"
        };
        let inner = json!({ "type": word, "id": uri, "actor": me.uri, "object": row.object_uri });
        let undo = json!({ "type": "Undo", "object": inner });
        let outgoing = match row.of_type.as_str() {
            "like" => Outgoing {
                about: Some(row.object_uri.clone()),
                ..super::wire::private(&me, &author, undo)
            },
            _ => public(&me, &author, undo, &row.object_uri),
        };
        outbox::publish(tx, outgoing).await?;
    }
    Ok(json!({ "id": row.id, "undone": true }))
}

/// Who wrote a post, wherever he lives.
pub async fn author(tx: &mut Tx, post: &Post) -> Result<Option<Known>> {
    let actor = match (post.origin_actor_id.or(post.author_actor_id), post.owner_id) {
        (Some(actor), _) => Some(actor),
        (None, Some(owner)) => actors::of_row(tx, "user", owner)
            .await?
            .map(|actor| actor.id),
        (None, None) => None,
    };
    match actor {
        Some(actor) => people::by_id(tx, actor).await,
        None => Ok(None),
    }
}

async fn write(
    tx: &mut Tx,
    local: &Local,
    other: &Known,
    direction: &str,
    kind: &str,
    post: &Post,
    uri: &str,
) -> Result<(Reaction, bool)> {
    let mut insert = Statement::new(
        "insert into public.reactions (owner_id, dao_id, local_actor_id, actor_id, direction, type, object_uri, object_kind, object_id) \
         select case a.kind when 'user' then a.row_id end, case a.kind when 'dao' then a.row_id end, a.id, ",
    );
    insert
        .bind(Bind::Uuid(other.id))
        .sql(", ")
        .text(direction)
        .sql(", ")
        .text(kind)
        .sql(", ")
        .text(uri)
        .sql(", 'posts', ")
        .bind(Bind::Uuid(post.id))
        .sql(" from public.ap_actors a where a.id = ")
        .bind(Bind::Uuid(local.id))
        .sql(" on conflict do nothing returning to_jsonb(reactions)");
    if let Some(row) = found(tx, insert).await? {
        return Ok((row, true));
    }
    let mut select =
        Statement::new("select to_jsonb(r) from public.reactions r where r.local_actor_id = ");
    select
        .bind(Bind::Uuid(local.id))
        .sql(" and r.actor_id = ")
        .bind(Bind::Uuid(other.id))
        .sql(" and r.direction = ")
        .text(direction)
        .sql(" and r.type = ")
        .text(kind)
        .sql(" and r.object_uri = ")
        .text(uri);
    found(tx, select)
        .await?
        .map(|row| (row, false))
        .ok_or_else(|| Error::conflict("reaction.collided", "Try again."))
}

async fn name(tx: &mut Tx, id: Uuid, uri: &str) -> Result<Reaction> {
    let mut update = Statement::new("update public.reactions set federated_ap_id = ");
    update
        .text(uri)
        .sql(" where id = ")
        .bind(Bind::Uuid(id))
        .sql(" returning to_jsonb(reactions)");
    found(tx, update)
        .await?
        .ok_or_else(|| Error::missing("reaction.not_found", "There is no such reaction."))
}

async fn found(tx: &mut Tx, statement: Statement<Nullable<Jsonb>>) -> Result<Option<Reaction>> {
    let rows: Vec<Option<Value>> = tx
        .as_hub(async |tx| tx.load(statement.clone()).await)
        .await?;
    rows.into_iter()
        .flatten()
        .next()
        .map(|row| serde_json::from_value(row).map_err(Error::broken))
        .transpose()
}

fn shown(row: &Reaction, author: &Known) -> Value {
    json!({ "id": row.id, "type": row.of_type, "object": row.object_uri, "author": author.uri, "handle": author.address() })
}

/// Somebody elsewhere likes or passes on something.
pub async fn on_reaction(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let kind = match heard.meaning {
        Meaning::Announced => "announce",
        _ => "like",
    };
    let Some(uri) = vocab::id(&heard.object)
        .or(heard.object_uri.as_deref())
        .filter(|uri| uri.len() <= 2_000)
    else {
        return Ok(Applied::Ignored("no_object"));
    };
    let mut take = Statement::<Text>::new("select hub.take_reaction(");
    take.bind(Bind::Uuid(heard.author.id))
        .sql(", ")
        .text(kind)
        .sql(", ")
        .text(uri)
        .sql(", ")
        .text(&heard.uri)
        .sql(")");
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(take.clone()).await).await?;
    let applied = match rows.first().map(String::as_str).unwrap_or_default() {
        "done" => Applied::Done,
        "repeated" => Applied::Repeated,
        "needed" => Applied::Needs(uri.to_owned()),
        "not_public" => Applied::Refused("not_public"),
        "blocked" => Applied::Refused("blocked"),
        "not_wanted" => Applied::Ignored("not_wanted"),
        "not_ours" => Applied::Ignored("not_ours"),
        _ => Applied::NotMine,
    };
    if applied == Applied::Done {
        super::groups::pass_on(tx, heard).await?;
    }
    Ok(applied)
}

/// Somebody elsewhere takes a reaction back: only his own (S-35).
pub async fn on_undone(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let kind = match heard.meaning {
        Meaning::AnnounceUndone => "announce",
        _ => "like",
    };
    let inner = vocab::id(&heard.object).or(heard.object_uri.as_deref());
    let about = heard.object.get("object").and_then(vocab::id);
    let mut select = Statement::new(
        "select to_jsonb(r) from public.reactions r where r.direction = 'in' and (r.federated_ap_id = ",
    );
    select
        .bind(Bind::Text(inner.map(str::to_owned)))
        .sql(" or (r.object_uri = ")
        .bind(Bind::Text(about.map(str::to_owned)))
        .sql(" and r.type = ")
        .text(kind)
        .sql(" and r.actor_id = ")
        .bind(Bind::Uuid(heard.author.id))
        .sql(")) order by r.actor_id = ")
        .bind(Bind::Uuid(heard.author.id))
        .sql(" desc limit 1");
    match found(tx, select).await? {
        Some(row) if row.actor_id == heard.author.id => {
            super::groups::pass_on(tx, heard).await?;
            let mut delete = Statement::<()>::new("delete from public.reactions where id = ");
            delete.bind(Bind::Uuid(row.id));
            tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
                .await?;
            Ok(Applied::Done)
        }
        Some(_) => Ok(Applied::Refused("not_owner")),
        // The machinery remembers what was taken back, so that it does not come after.
        None => Ok(Applied::NotMine),
    }
}
