//! Liking and passing on, and taking it back: of posts, listings and declarations here and elsewhere. Between two of this hub there is one row on each
//! side and nothing is sent.

pub mod hear;

use diesel::sql_types::Uuid as SqlUuid;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::hear::{on_reaction, on_undone};

use super::actors::{self as people, Known, speaker};
use super::posts::{self, Post};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::events;
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;

/// What is done about something, with its words in rows and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    Like,
    Announce,
}

impl Deed {
    /// As `reactions.type` has it.
    fn name(self) -> &'static str {
        match self {
            Self::Like => "like",
            Self::Announce => "announce",
        }
    }

    /// What the author of something of this kind hears.
    fn event(self, kind: &str) -> String {
        let done = match self {
            Self::Like => "liked",
            Self::Announce => "announced",
        };
        format!("{}.{done}", kind.trim_end_matches('s'))
    }

    /// As an activity's type.
    fn activity(self) -> &'static str {
        match self {
            Self::Like => "Like",
            Self::Announce => "Announce",
        }
    }

    /// To say something of this kind: a like to the author alone, what is passed on to everybody.
    fn said(self, me: &Local, author: &Known, activity: Value, uri: &str) -> Outgoing {
        match self {
            Self::Like => Outgoing {
                about: Some(uri.to_owned()),
                ..super::wire::private(me, author, activity)
            },
            Self::Announce => Outgoing {
                actor: me.id,
                activity,
                to: vec![PUBLIC.to_owned()],
                cc: vec![me.followers(), author.uri.clone()],
                about: Some(uri.to_owned()),
                also: Vec::new(),
                is_private: false,
            },
        }
    }
}

/// A row of `reactions`.
#[derive(Clone, Debug, Deserialize)]
pub struct Reaction {
    pub id: Uuid,
    pub owner_id: Option<Uuid>,
    pub local_actor_id: Option<Uuid>,
    pub actor_id: Uuid,
    #[serde(rename = "type")]
    pub deed: Deed,
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
    react(tx, input, Deed::Like).await
}

/// Pass something on to one's followers.
pub async fn announce(tx: &mut Tx, input: Towards) -> Result<Value> {
    react(tx, input, Deed::Announce).await
}

async fn react(tx: &mut Tx, input: Towards, deed: Deed) -> Result<Value> {
    let me = speaker(tx, input.speaks_as).await?;
    let missing = || {
        Error::missing(
            "object.not_found",
            format!("Nothing is known as {}.", input.object),
        )
    };
    let target = target(tx, input.object.trim()).await?.ok_or_else(missing)?;
    let uri = target.uri.clone().ok_or_else(missing)?;
    let author = author_of(tx, target.author_id, target.owner_id)
        .await?
        .ok_or_else(missing)?;
    if super::blocks::is_between(tx, me.id, author.id).await? {
        return Err(Error::forbidden(
            "reaction.blocked",
            "One of you has blocked the other.",
        ));
    }
    if deed == Deed::Announce && !target.is_public {
        return Err(Error::forbidden(
            "reaction.not_public",
            "Only what everybody may read is passed on.",
        ));
    }

    let (row, is_new) = write(tx, &me, &author, "out", deed, &target, &uri).await?;
    if !is_new {
        return Ok(shown(&row, &author));
    }
    if let Some(owner) = target.owner_id {
        let theirs = actors::by_id(tx, author.id).await?.ok_or_else(missing)?;
        let mine = people::by_id(tx, me.id).await?.ok_or_else(missing)?;
        write(tx, &theirs, &mine, "in", deed, &target, &uri).await?;
        if author.id != me.id {
            events::emit(
                tx,
                events::Event {
                    word: &deed.event(target.kind),
                    kind: target.kind,
                    row: target.id,
                    owner: Some(owner),
                },
            )
            .await?;
        }
    }
    if author.is_local() && deed == Deed::Like {
        return Ok(shown(&row, &author));
    }
    let activity = json!({ "type": deed.activity(), "object": uri });
    let published = outbox::publish(tx, deed.said(&me, &author, activity, &uri)).await?;
    let row = name(tx, row.id, &published.uri).await?;
    Ok(shown(&row, &author))
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
    let row: Reaction = tx.hub_one(select).await?.ok_or_else(missing)?;
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
        .text(row.deed.name())
        .sql(" and r.object_uri = ")
        .text(&row.object_uri)
        .sql(")");
    tx.as_hub(async |tx| tx.run(delete.clone()).await.map(drop))
        .await?;

    if let (Some(uri), Some(author)) =
        (&row.federated_ap_id, people::by_id(tx, row.actor_id).await?)
    {
        let inner = json!({
            "type": row.deed.activity(), "id": uri, "actor": me.uri, "object": row.object_uri,
        });
        let undo = json!({ "type": "Undo", "object": inner });
        let outgoing = row.deed.said(&me, &author, undo, &row.object_uri);
        outbox::publish(tx, outgoing).await?;
    }
    Ok(json!({ "id": row.id, "undone": true }))
}

/// What can be reacted to: a post, a listing or a declaration.
#[derive(Clone, Debug)]
struct Target {
    kind: &'static str,
    id: Uuid,
    uri: Option<String>,
    owner_id: Option<Uuid>,
    /// The actor that speaks in it, if not its owner's own.
    author_id: Option<Uuid>,
    is_public: bool,
}

/// What is for trade: its columns as those of a post.
#[derive(Deserialize)]
struct ForTrade {
    id: Uuid,
    federated_ap_id: Option<String>,
    owner_id: Option<Uuid>,
    author_actor_id: Option<Uuid>,
    origin_actor_id: Option<Uuid>,
    #[serde(default)]
    visibility: Option<String>,
}

/// What the caller may read, by its address or its id here.
async fn target(tx: &mut Tx, named: &str) -> Result<Option<Target>> {
    if let Some(post) = posts::seen(tx, named).await? {
        return Ok(Some(Target {
            kind: "posts",
            id: post.id,
            uri: post.federated_ap_id.clone(),
            owner_id: post.owner_id,
            author_id: post.origin_actor_id.or(post.author_actor_id),
            is_public: post.is_public(),
        }));
    }
    for kind in ["listings", "declarations"] {
        // Row security speaks: what he cannot read is not there.
        let mut ask = Statement::<SqlUuid>::new(format!("select x.id from public.{kind} x where "));
        match named.parse::<Uuid>() {
            Ok(id) => ask.sql("x.id = ").bind(Bind::Uuid(id)),
            Err(_) => ask.sql("x.federated_ap_id = ").text(named),
        };
        let Some(id) = tx.load::<_, Uuid>(ask).await?.into_iter().next() else {
            continue;
        };
        let mut select = Statement::new(format!(
            "select to_jsonb(x) from public.{kind} x where x.id = "
        ));
        select
            .bind(Bind::Uuid(id))
            .sql(" and (x.owner_id is null or x.sent_at is not null)");
        let row: Option<ForTrade> = tx.hub_one(select).await?;
        return Ok(row.map(|row| Target {
            kind,
            id: row.id,
            uri: row.federated_ap_id,
            owner_id: row.owner_id,
            author_id: row.origin_actor_id.or(row.author_actor_id),
            is_public: row
                .visibility
                .is_none_or(|it| matches!(it.as_str(), "public" | "unlisted")),
        }));
    }
    Ok(None)
}

/// Who wrote a post, wherever he lives.
pub async fn author(tx: &mut Tx, post: &Post) -> Result<Option<Known>> {
    author_of(
        tx,
        post.origin_actor_id.or(post.author_actor_id),
        post.owner_id,
    )
    .await
}

async fn author_of(
    tx: &mut Tx,
    author: Option<Uuid>,
    owner: Option<Uuid>,
) -> Result<Option<Known>> {
    let actor = match (author, owner) {
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
    deed: Deed,
    target: &Target,
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
        .text(deed.name())
        .sql(", ")
        .text(uri)
        .sql(", ")
        .text(target.kind)
        .sql(", ")
        .bind(Bind::Uuid(target.id))
        .sql(" from public.ap_actors a where a.id = ")
        .bind(Bind::Uuid(local.id))
        .sql(" on conflict do nothing returning to_jsonb(reactions)");
    if let Some(row) = tx.hub_one(insert).await? {
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
        .text(deed.name())
        .sql(" and r.object_uri = ")
        .text(uri);
    tx.hub_one(select)
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
    tx.hub_one(update)
        .await?
        .ok_or_else(|| Error::missing("reaction.not_found", "There is no such reaction."))
}

fn shown(row: &Reaction, author: &Known) -> Value {
    json!({ "id": row.id, "type": row.deed.name(), "object": row.object_uri, "author": author.uri, "handle": author.address() })
}
