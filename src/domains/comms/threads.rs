//! Direct messages between actors: what comes in goes into the recipients' conversations, one for each set of people; what
//! somebody writes into such a conversation goes out as a note that only those people read (MO-25, MO-26).

use chrono::{DateTime, Utc};
use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::wire;
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::domains::social::posts::{self, publish, show};
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::Later;
use crate::node::incoming::{Applied, Incoming, Shown};

/// Something said to some.
#[derive(Clone, Debug)]
pub struct Said {
    pub author: Uuid,
    pub author_uri: String,
    pub author_name: String,
    /// The account that wrote it, if it is one of this hub.
    pub writer: Option<Uuid>,
    pub uri: String,
    /// Addresses of all it is said to.
    pub audience: Vec<String>,
    pub body: String,
    pub published: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    pub in_reply_to: Option<String>,
    pub context: Option<String>,
}

/// A message of an own conversation with other actors.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    pub id: Uuid,
    pub owner_id: Uuid,
    pub body: Option<String>,
    pub federated_ap_id: String,
    pub timestamp: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Everybody who takes part, the owner too.
    pub actors: Vec<String>,
    /// What was last said to the owner, and the thread it belongs to.
    pub answers: Option<String>,
    pub context: Option<String>,
    pub conversation_id: Uuid,
}

/// Put it into the conversations of those who are of this hub; the word says what came of it.
pub async fn enter(tx: &mut Tx, said: &Said) -> Result<String> {
    let told = json!({
        "author": said.author,
        "author_uri": said.author_uri,
        "author_name": said.author_name,
        "writer": said.writer,
        "uri": said.uri,
        "audience": said.audience,
        "body": said.body,
        "preview": crate::base::text::excerpt(&said.body, 200),
        "published": said.published,
        "updated": said.updated,
        "in_reply_to": said.in_reply_to,
        "context": said.context,
    });
    let mut take = Statement::<Text>::new("select hub.take_message(");
    take.text(told.to_string()).sql("::jsonb)");
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(take.clone()).await).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

/// Somebody elsewhere has written, or has changed what he wrote.
pub async fn on_message(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let read = match posts::read::post(&heard.object, crate::base::clock::now()) {
        Ok(read) => read,
        Err(reason) => return Ok(Applied::Refused(reason)),
    };
    let Some(author) = people::by_id(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_actor"));
    };
    let Some(said) = wire::said(&read, &author) else {
        return Ok(Applied::Refused("empty"));
    };
    Ok(match enter(tx, &said).await?.as_str() {
        "new" | "changed" => Applied::Done,
        "repeated" => Applied::Repeated,
        "older" => Applied::Ignored("older"),
        "not_owner" => Applied::Refused("not_owner"),
        "blocked" => Applied::Refused("blocked"),
        // A DAO may be whom it is for.
        "no_recipient" => Applied::NotMine,
        _ => Applied::Ignored("not_wanted"),
    })
}

/// Something is gone: a message, if it is one of the author's.
pub async fn on_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(uri) = vocab::id(&heard.object) else {
        return Ok(Applied::NotMine);
    };
    let gone = forget(tx, uri, Some(heard.author.id)).await?;
    Ok(if gone {
        Applied::Done
    } else {
        Applied::NotMine
    })
}

/// Forget what came in under an address, from its author or whoever it was; whether there was anything.
async fn forget(tx: &mut Tx, uri: &str, author: Option<Uuid>) -> Result<bool> {
    let mut delete = Statement::<()>::new(
        "delete from public.messages where direction = 'inbound' and federated_ap_id = ",
    );
    delete.text(uri);
    if let Some(author) = author {
        delete
            .sql(" and sender_actor_id = ")
            .bind(Bind::Uuid(author));
    }
    Ok(tx.as_hub(async |tx| tx.run(delete.clone()).await).await? > 0)
}

/// After messages were written: those of such conversations go to the others.
pub fn after_messages<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            if verb == Verb::Delete {
                take_back(tx, "messages", id).await?;
            } else if let Some(message) = own(tx, id).await? {
                say(tx, &message).await?;
            }
        }
        Ok(())
    })
}

/// After posts were written: what is only for some goes into the conversations of those who are of this hub.
pub fn after_posts<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            if verb == Verb::Delete {
                let Ok(base) = actors::base(tx) else {
                    continue;
                };
                forget(tx, &format!("{base}/ap/posts/{id}"), None).await?;
            } else if let Some(said) = direct_post(tx, id).await? {
                enter(tx, &said).await?;
            }
        }
        Ok(())
    })
}

async fn direct_post(tx: &mut Tx, id: Uuid) -> Result<Option<Said>> {
    let Some(post) = posts::by_id(tx, id)
        .await?
        .filter(|post| post.visibility == "direct")
    else {
        return Ok(None);
    };
    let (Some(owner), Some(uri)) = (post.owner_id, post.federated_ap_id.clone()) else {
        return Ok(None);
    };
    let Some(author) = people::author(tx, owner, post.author_actor_id).await? else {
        return Ok(None);
    };
    let audience = posts::audience::of(tx, &post, &author).await?;
    let domain = actors::domain(tx)?;
    let html = crate::base::text::html(&post.content);
    Ok(Some(Said {
        author: author.id,
        author_uri: author.uri.clone(),
        author_name: author
            .name
            .clone()
            .unwrap_or_else(|| format!("@{}", author.address(&domain))),
        writer: Some(owner),
        uri,
        audience: audience
            .mentions
            .into_iter()
            .map(|mention| mention.uri)
            .collect(),
        body: crate::base::text::plain(&html),
        published: post.published_at,
        updated: post.as_of(),
        in_reply_to: post.in_reply_to,
        context: post.context,
    }))
}

/// Say a message to the others of its conversation.
async fn say(tx: &mut Tx, message: &Message) -> Result<()> {
    let author = author(tx, message).await?.ok_or_else(|| {
        Error::conflict(
            "actor.not_public",
            "Others cannot see you yet: make your profile public, or call actors_publish.",
        )
    })?;
    let note = note(tx, message, &author).await?;
    let before = last_said(tx, &message.federated_ap_id).await?;
    if before.as_deref() == note.get("content").and_then(Value::as_str) {
        return Ok(());
    }
    let to: Vec<String> = others(message, &author);
    let outgoing = Outgoing {
        actor: author.id,
        activity: json!({ "type": if before.is_none() { "Create" } else { "Update" }, "object": note }),
        to: to.clone(),
        cc: Vec::new(),
        about: Some(message.federated_ap_id.clone()),
        also: Vec::new(),
        is_private: true,
    };
    outbox::publish(tx, outgoing).await?;

    let domain = actors::domain(tx)?;
    let said = Said {
        author: author.id,
        author_uri: author.uri.clone(),
        author_name: author
            .name
            .clone()
            .unwrap_or_else(|| format!("@{}", author.address(&domain))),
        writer: Some(message.owner_id),
        uri: message.federated_ap_id.clone(),
        audience: to,
        body: message.body.clone().unwrap_or_default(),
        published: message.timestamp,
        updated: message.updated_at,
        in_reply_to: message.answers.clone(),
        context: message.context.clone(),
    };
    enter(tx, &said).await.map(drop)
}

fn others(message: &Message, author: &Local) -> Vec<String> {
    message
        .actors
        .iter()
        .filter(|uri| **uri != author.uri)
        .cloned()
        .collect()
}

async fn note(tx: &mut Tx, message: &Message, author: &Local) -> Result<Value> {
    let mut named = Vec::new();
    for uri in others(message, author) {
        if let Some(known) = people::find(tx, &uri).await? {
            named.push((uri, known.address()));
        }
    }
    if named.is_empty() {
        return Err(Error::conflict(
            "message.nobody",
            "Nobody else of this conversation can be reached.",
        ));
    }
    let base = actors::base(tx)?;
    Ok(wire::note(message, &author.uri, &named, &base))
}

/// In whose name it is said: the writer's own, or that of whoever takes part and is run by him, as it was written to.
async fn author(tx: &mut Tx, message: &Message) -> Result<Option<Local>> {
    let own = people::own(tx, message.owner_id).await?;
    let is_there = |actor: &Local| message.actors.contains(&actor.uri);
    let actor = match own {
        Some(own) if is_there(&own) => Some(own),
        own => run_by(tx, message).await?.or(own),
    };
    Ok(actor.filter(|actor| !actor.is_gone() && actor.is_shown && actor.suspended_at.is_none()))
}

async fn run_by(tx: &mut Tx, message: &Message) -> Result<Option<Local>> {
    let mut select = Statement::<SqlUuid>::new(
        "select a.id from public.ap_actors a where a.kind in ('agent', 'tenant') and a.uri = any (",
    );
    select
        .bind(Bind::Texts(
            message.actors.iter().cloned().map(Some).collect(),
        ))
        .sql(") and hub.speaks_for(")
        .bind(Bind::Uuid(message.owner_id))
        .sql(", a.id) order by a.id limit 1");
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    match ids.first() {
        Some(id) => actors::by_id(tx, *id).await,
        None => Ok(None),
    }
}

/// What was last said under an address.
async fn last_said(tx: &mut Tx, uri: &str) -> Result<Option<String>> {
    let mut select = Statement::<Nullable<Text>>::new(
        "select x.body::jsonb #>> '{object,content}' from public.ap_activities x where x.type in ('Create', 'Update') and x.object_uri = ",
    );
    select.text(uri).sql(" order by x.seq desc limit 1");
    let rows: Vec<Option<String>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows.into_iter().flatten().next())
}

async fn take_back(tx: &mut Tx, path: &str, id: Uuid) -> Result<()> {
    let Ok(base) = actors::base(tx) else {
        return Ok(());
    };
    let uri = format!("{base}/ap/{path}/{id}");
    forget(tx, &uri, None).await?;
    publish::take_back(tx, &uri).await
}

/// An own message that goes to others.
async fn own(tx: &mut Tx, id: Uuid) -> Result<Option<Message>> {
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select to_jsonb(m) - 'metadata' || jsonb_build_object('actors', c.actors, 'answers', l.federated_ap_id, \
         'context', l.metadata ->> 'context') from public.messages m join public.conversations c on c.id = m.conversation_id \
         left join lateral (select x.federated_ap_id, x.metadata from public.messages x where x.conversation_id = c.id \
         and x.direction = 'inbound' and x.federated_ap_id is not null and x.timestamp <= m.timestamp order by x.timestamp desc limit 1) l on true \
         where m.direction = 'outbound' and m.federated_ap_id is not null and c.actors is not null and m.id = ",
    );
    select.bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// A message at its own address, for those of its conversation and nobody else.
pub async fn show(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let Some(message) = own(tx, id).await? else {
        return Ok(None);
    };
    let may = match tx.caller().clone() {
        Caller::Remote(remote) => message.actors.contains(&remote.uri),
        _ => tx.person().await? == Some(message.owner_id),
    };
    let Some(author) = author(tx, &message).await?.filter(|_| may) else {
        return Ok(None);
    };
    let object = note(tx, &message, &author).await?;
    let object = show::proven(tx, object, &author, message.updated_at).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: false,
    }))
}
