//! What a post must look like before anybody is asked about it.

use std::time::Duration;

use diesel::sql_types::Uuid as SqlUuid;
use moka::future::Cache;
use serde_json::Value;
use uuid::Uuid;

use super::{Posted, Recipient, Refusal, Stop};
use crate::base::{Caller, Result};
use crate::db::{Statement, Tx};
use crate::fed::document::{Document, LONGEST};
use crate::fed::intake::{Taken, Via};
use crate::fed::remote::actors;
use crate::fed::{policy, trust, vocab};
use crate::node::Node;

/// The longest id that is kept.
const LONGEST_ID: usize = 2048;

/// So many choices one activity may carry (R12).
const MOST_VOTES: usize = 20;

const PROFILE: &str = "https://www.w3.org/ns/activitystreams";

/// A document that looks like an activity.
#[derive(Debug)]
pub struct Checked {
    pub id: String,
    pub actor: String,
    pub kind: String,
    /// The server of its actor, as limits and blocks know it.
    pub host: String,
    pub document: Document,
}

impl Checked {
    /// Content type, size, form, and whose server the id belongs to (R10).
    pub(super) fn read(posted: &Posted<'_>) -> Result<Self, Refusal> {
        let header = |name: &str| {
            let (_, value) = posted
                .head
                .headers
                .iter()
                .find(|(known, _)| known == name)?;
            Some(value.trim())
        };
        if !is_activity_type(header("content-type").unwrap_or_default()) {
            return Err(Refusal::new(415, "content_type"));
        }
        if header("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
        {
            return Err(Refusal::new(415, "content_encoding"));
        }
        if posted.body.len() > LONGEST {
            return Err(Refusal::new(413, "too_long"));
        }
        let document = Document::read(posted.body)
            .map_err(|malformed| Refusal::new(malformed.status(), malformed.reason()))?;
        Self::of(document)
    }

    /// A document that came in another way, looked at in the same.
    pub fn of(document: Document) -> Result<Self, Refusal> {
        let text = |name: &str| document.value().get(name).and_then(Value::as_str);
        let bad = |reason| Refusal::new(400, reason);
        let kind = text("type").ok_or(bad("no_type"))?.to_owned();
        let id = text("id").ok_or(bad("no_id"))?.to_owned();
        let actor = document.actor().ok_or(bad("no_actor"))?.to_owned();
        if id.len() > LONGEST_ID || actor.len() > LONGEST_ID || kind.len() > 64 {
            return Err(bad("id_too_long"));
        }
        let origin = trust::origin(&actor).ok_or(bad("bad_actor"))?;
        if trust::origin(&id).as_ref() != Some(&origin) {
            return Err(bad("id_elsewhere"));
        }
        if !is_one_object(&kind, document.object()) {
            return Err(bad("object_list"));
        }
        Ok(Self {
            id,
            actor,
            kind,
            host: origin.host_key(),
            document,
        })
    }

    /// Whether the hub takes anything from there.
    pub(super) async fn is_wanted(&self, node: &Node) -> Result<(), Stop> {
        if policy::is_ours(node, &self.id) {
            return Err(Refusal::new(403, "local_id").into());
        }
        if policy::is_blocked(node, &self.host).await? {
            return Err(Refusal::new(403, "blocked").into());
        }
        Ok(())
    }

    /// The id of what it is about.
    pub fn object_uri(&self) -> Option<&str> {
        vocab::id(self.document.object()?)
    }

    /// Whether an actor says that he is gone.
    pub(super) fn deletes_its_actor(&self) -> bool {
        self.kind == "Delete" && self.object_uri() == Some(&self.actor)
    }

    /// What is kept of it.
    pub fn taken(self, via: Via, recipient: Recipient) -> Taken {
        Taken {
            object_uri: self.object_uri().map(str::to_owned),
            body: self.document.text().to_owned(),
            uri: self.id,
            actor_uri: self.actor,
            host: self.host,
            kind: self.kind,
            via,
            recipient,
        }
    }
}

/// `application/activity+json`, or JSON-LD with the profile of `ActivityStreams` (S-21).
fn is_activity_type(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    match kind.as_str() {
        "application/activity+json" => true,
        "application/ld+json" => parts.any(|part| {
            part.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("profile")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|one| one == PROFILE)
            })
        }),
        _ => false,
    }
}

/// Several objects are only read as a few choices in a poll (R12); a report names whatever it is about.
fn is_one_object(kind: &str, object: Option<&Value>) -> bool {
    let Some(Value::Array(objects)) = object else {
        return true;
    };
    if objects.len() <= 1 {
        return true;
    }
    let is_vote = |note: &Value| vocab::kind(note) == Some("Note") && note.get("name").is_some();
    match kind {
        // However much it names, it is cut where it is read (S-60).
        "Flag" => true,
        "Create" => objects.len() <= MOST_VOTES && objects.iter().all(is_vote),
        _ => false,
    }
}

struct Actors(Cache<String, Option<Uuid>>);

/// Whose inbox it came to, if it is an actor's own.
pub(super) async fn recipient(node: &Node, posted: &Posted<'_>) -> Result<Recipient, Stop> {
    let Some(actor) = posted.inbox_of else {
        return Ok(None);
    };
    let known = node.part(|_| {
        Actors(
            Cache::builder()
                .max_capacity(10_000)
                .time_to_live(Duration::from_secs(5))
                .build(),
        )
    });
    if let Some(found) = known.0.get(actor).await {
        return found.map(Some).ok_or(no_such_inbox());
    }
    let mut ask = Statement::<SqlUuid>::new(
        "select id from public.ap_actors where kind is not null and deleted_at is null and uri = ",
    );
    ask.text(actor);
    let found: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    let found = found.into_iter().next();
    known.0.insert(actor.to_owned(), found).await;
    found.map(Some).ok_or(no_such_inbox())
}

fn no_such_inbox() -> Stop {
    Stop::Refuse(Refusal::new(404, "no_such_inbox"))
}

struct Strangers(Cache<String, ()>);

/// Whether an actor was ever heard of. Who was not is remembered for a minute: his server may tell everybody that he is gone.
pub(super) async fn is_known(node: &Node, actor: &str) -> Result<bool> {
    let strangers = node.part(|_| {
        Strangers(
            Cache::builder()
                .max_capacity(50_000)
                .time_to_live(Duration::from_secs(60))
                .build(),
        )
    });
    if strangers.0.get(actor).await.is_some() {
        return Ok(false);
    }
    let is_known = actors::known(node, actor).await?.is_some();
    if !is_known {
        strangers.0.insert(actor.to_owned(), ()).await;
    }
    Ok(is_known)
}
