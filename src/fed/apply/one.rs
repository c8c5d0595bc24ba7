//! One activity within a transaction: what it means, whether it may be said, and what the domains do about it. Whatever
//! was written for it is taken back unless it is done.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use uuid::Uuid;

use super::effects;
use super::rows::{Author as AuthorRow, Outcome, Row};
use crate::base::caller::Remote;
use crate::base::{Caller, Error, Result};
use crate::db::Tx;
use crate::fed::meaning::{self, Read, Speaker};
use crate::fed::{policy, trust, vocab};
use crate::node::Node;
use crate::node::incoming::{Applied, Author, HearMany, Incoming, Meaning};

/// The longest that domains may take for one activity.
const LONGEST: Duration = Duration::from_secs(60);

/// What was fetched for an activity, and what is not to be had.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub objects: HashMap<String, Value>,
    pub missing: HashSet<String>,
    /// What a group passed on, once it is known whose it is.
    pub inside: Option<crate::fed::intake::Taken>,
}

/// What a batch remembers beside its rows.
#[derive(Default)]
pub struct Batch {
    /// What the rows say, parsed once.
    pub documents: HashMap<Uuid, Arc<Value>>,
    /// What is gone, and who said so: from the database and from this batch.
    pub gone: HashMap<String, Option<String>>,
    /// What this batch adds to it.
    pub buried: Vec<(String, String)>,
    /// Whom the transaction is entered as.
    pub entered: Option<Uuid>,
}

/// What one activity came to.
#[derive(Debug)]
pub enum Came {
    Ended(Outcome),
    /// What it is about must be fetched first, by whom it is addressed to.
    Fetch(String, Option<Uuid>),
    /// It speaks of this, which is not known here yet.
    Needs(String),
    /// It is to be looked at outside the transaction whose the inside is.
    PassesOn(Value),
    /// A domain panicked: the transaction is not to be trusted any more.
    Panicked,
}

/// An activity that may be applied: what it means, and of which objects.
pub struct Ready {
    pub meaning: Meaning,
    pub heard: Vec<Incoming>,
}

/// Apply one activity as a step of the transaction.
pub async fn apply(
    node: &Node,
    tx: &mut Tx,
    row: &Row,
    batch: &mut Batch,
    known: &Known,
) -> Result<Came> {
    match read(node, tx, row, batch, known).await? {
        Ok(ready) => act(node, tx, row, ready, batch, known).await,
        Err(came) => Ok(came),
    }
}

/// What an activity means, or where it ends before anything is done about it.
pub async fn read(
    node: &Node,
    tx: &mut Tx,
    row: &Row,
    batch: &mut Batch,
    known: &Known,
) -> Result<std::result::Result<Ready, Came>> {
    let ended = |outcome| Ok(Err(Came::Ended(outcome)));
    let Some(author) = &row.author else {
        return Ok(Err(Came::Needs(row.actor_uri.clone())));
    };
    if let Some(outcome) = unwelcome(node, row, author).await? {
        return ended(outcome);
    }
    let Some(activity) = batch.document(row) else {
        return ended(Outcome::Refused("not_json"));
    };
    let speaker = Speaker {
        uri: &row.actor_uri,
        is_group: author.is_group,
        followers_url: author.followers_url.as_deref(),
    };
    let is_ours = |id: &str| policy::is_ours(node, id);
    let read = match meaning::read(&activity, speaker, &is_ours) {
        Read::Fetch(uri) => match fetched(&activity, &uri, speaker, known) {
            Some(read) => read,
            None => return Ok(Err(Came::Fetch(uri, row.recipient))),
        },
        Read::UndoesById(uri) => match effects::said_before(tx, &uri, &row.actor_uri).await? {
            Some(inner) => meaning::undoes(&inner, speaker),
            None => {
                batch.bury(&uri, &row.actor_uri);
                Read::Ignore("nothing_to_undo")
            }
        },
        read => read,
    };
    let (meaning, objects) = match read {
        Read::Means(meaning, objects) => (meaning, objects),
        Read::PassesOn(inside) => (Meaning::PassedOn, vec![inside]),
        Read::Ignore(reason) => return ended(Outcome::Ignored(reason)),
        Read::Refuse(reason) => return ended(Outcome::Refused(reason)),
        Read::Fetch(_) | Read::UndoesById(_) => {
            return ended(Outcome::Ignored("object_not_to_be_had"));
        }
    };
    if batch.is_gone(&row.uri, &objects, &row.actor_uri) {
        return ended(Outcome::Ignored("deleted"));
    }

    let heard = objects.into_iter().map(|object| Incoming {
        id: row.id,
        uri: row.uri.clone(),
        author: Author {
            id: author.id,
            uri: row.actor_uri.clone(),
            host: row.host.clone(),
            is_silenced: author.is_silenced,
        },
        meaning,
        activity: activity.clone(),
        object_uri: vocab::id(&object).map(str::to_owned),
        object,
        recipient: row.recipient,
        is_proven: row.via == "proof" || activity.get("proof").is_some() && row.via == "feed",
        missing: known.missing.iter().cloned().collect(),
    });
    let heard = heard.collect();
    Ok(Ok(Ready { meaning, heard }))
}

/// Do what follows from it, in its author's name.
pub async fn act(
    node: &Node,
    tx: &mut Tx,
    row: &Row,
    ready: Ready,
    batch: &mut Batch,
    known: &Known,
) -> Result<Came> {
    let Ready { meaning, heard } = ready;
    let Some(first) = heard.first() else {
        return Ok(Came::Ended(Outcome::Repeated));
    };
    let (author, activity) = (first.author.id, first.activity.clone());
    let caller = Caller::Remote(Remote {
        id: author,
        uri: row.actor_uri.clone(),
    });
    // Whether a group is listened to at all is asked before anything is looked up because of it.
    let only_asks = meaning == Meaning::PassedOn && known.inside.is_none();
    let before = tx.caller().clone();
    tx.step().await?;
    if batch.entered != Some(author) {
        tx.enter_as(&caller).await?;
        batch.entered = Some(author);
    }
    let came = step(node, tx, &heard, known).await;
    let is_kept = matches!(came, Ok(Came::Ended(Outcome::Done | Outcome::Repeated)));
    if matches!(came, Ok(Came::Panicked)) {
        return came;
    }
    if is_kept && !only_asks {
        tx.keep_step().await?;
    } else {
        tx.undo_step(&before).await?;
        batch.entered = match &before {
            Caller::Remote(remote) => Some(remote.id),
            _ => None,
        };
    }
    if is_kept && only_asks {
        let inside = activity.get("object").cloned().unwrap_or_default();
        return Ok(Came::PassesOn(inside));
    }
    if is_kept || matches!(came, Ok(Came::Ended(Outcome::Ignored("not_heard")))) {
        batch.remember(meaning, &activity, &row.actor_uri);
    }
    match came {
        Err(error) if crate::db::error::is_collision(&error) => {
            Ok(Came::Ended(Outcome::Waits("collided")))
        }
        // A statement that was stopped for its length was this activity's own, and nobody else waits for it (S-157).
        Err(error) if error.is("57014") => Ok(Came::Ended(Outcome::Failed(error.to_string()))),
        Err(Error::Busy(..)) => came,
        Err(error) => Ok(Came::Ended(Outcome::Failed(error.to_string()))),
        came => came,
    }
}

/// Do what follows from many that mean the same, by one call as the hub: how each ended, none for those that are to be
/// done one by one. Nothing at all when the call failed; then all are, and each fails or not by itself.
pub async fn act_together(
    tx: &mut Tx,
    batch: &mut Batch,
    many: HearMany,
    heard: &[Incoming],
) -> Result<Together> {
    if *tx.caller() != Caller::Hub {
        tx.enter_as(&Caller::Hub).await?;
        batch.entered = None;
    }
    tx.step().await?;
    let worked = AssertUnwindSafe(tokio::time::timeout(LONGEST, many(tx, heard))).catch_unwind();
    match Box::pin(worked).await {
        Err(_) | Ok(Err(_)) => Ok(Together::Panicked),
        Ok(Ok(Ok(all))) => {
            tx.keep_step().await?;
            let ended = |applied| match applied {
                Applied::Needs(_) => None,
                applied => Some(outcome(applied)),
            };
            Ok(Together::Ended(
                all.into_iter().map(|one| one.and_then(ended)).collect(),
            ))
        }
        Ok(Ok(Err(error))) => {
            tracing::debug!(event = "not_applied_together", cause = %error);
            tx.undo_step(&Caller::Hub).await?;
            Ok(Together::Ended(vec![None; heard.len()]))
        }
    }
}

/// What many came to.
pub enum Together {
    Ended(Vec<Option<Outcome>>),
    /// The transaction is not to be trusted any more.
    Panicked,
}

/// Everything that is done about it, in the author's name.
async fn step(node: &Node, tx: &mut Tx, heard: &[Incoming], known: &Known) -> Result<Came> {
    let mut all = Outcome::Repeated;
    for heard in heard {
        let worked = async {
            if let Some(stop) = effects::before(node, tx, heard).await? {
                return Ok(stop);
            }
            hear(node, tx, heard).await
        };
        let worked = AssertUnwindSafe(tokio::time::timeout(LONGEST, worked)).catch_unwind();
        let applied = match Box::pin(worked).await {
            Err(_) => {
                tracing::error!(event = "activity_panicked", activity_id = %heard.uri, peer_domain = %heard.author.host);
                return Ok(Came::Panicked);
            }
            Ok(Err(_)) => return Ok(Came::Panicked),
            Ok(Ok(applied)) => applied?,
        };
        let ended = match applied {
            Applied::Needs(uri) if known.missing.contains(&uri) => Outcome::Waits("not_to_be_had"),
            Applied::Needs(uri) => return Ok(Came::Needs(uri)),
            applied => outcome(applied),
        };
        let is_good = matches!(
            ended,
            Outcome::Done | Outcome::Repeated | Outcome::Ignored("not_heard")
        );
        if !is_good {
            return Ok(Came::Ended(ended));
        }
        let ended = match effects::after(tx, heard, known).await? {
            true => Outcome::Done,
            false => ended,
        };
        if all == Outcome::Repeated || ended == Outcome::Done {
            all = ended;
        }
    }
    Ok(Came::Ended(all))
}

fn outcome(applied: Applied) -> Outcome {
    match applied {
        Applied::Done => Outcome::Done,
        Applied::Repeated => Outcome::Repeated,
        Applied::Ignored(reason) => Outcome::Ignored(reason),
        Applied::Refused(reason) => Outcome::Refused(reason),
        Applied::Waits(reason) => Outcome::Waits(reason),
        Applied::Needs(_) => Outcome::Waits("not_to_be_had"),
        Applied::NotMine => Outcome::Ignored("not_heard"),
    }
}

/// Ask the domains, in their order, until one knows what to do.
pub async fn hear(node: &Node, tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    for hears in node.hears(heard.meaning) {
        match (hears.run)(tx, heard).await? {
            Applied::NotMine => {}
            applied => return Ok(applied),
        }
    }
    Ok(Applied::NotMine)
}

/// Whether nothing is taken from its author any more.
async fn unwelcome(node: &Node, row: &Row, author: &AuthorRow) -> Result<Option<Outcome>> {
    Ok(if author.is_local {
        Some(Outcome::Refused("local_actor"))
    } else if author.is_deleted {
        Some(Outcome::Ignored("actor_gone"))
    } else if author.is_suspended {
        Some(Outcome::Refused("suspended"))
    } else if policy::is_blocked(node, &row.host).await? {
        Some(Outcome::Refused("blocked"))
    } else {
        None
    })
}

/// What an activity means once what it names was fetched.
fn fetched(activity: &Value, uri: &str, speaker: Speaker<'_>, known: &Known) -> Option<Read> {
    if known.missing.contains(uri) {
        return Some(Read::Ignore("object_not_to_be_had"));
    }
    let object = known.objects.get(uri)?;
    if !trust::owns(speaker.uri, object) {
        return Some(Read::Refuse("attribution_mismatch"));
    }
    let is_new = vocab::kind(activity) == Some("Create");
    Some(meaning::own(is_new, object, speaker))
}

impl Batch {
    /// What a row says; none when that is no JSON.
    pub fn document(&mut self, row: &Row) -> Option<Arc<Value>> {
        if let Some(document) = self.documents.get(&row.id) {
            return Some(document.clone());
        }
        let document = Arc::new(serde_json::from_str::<Value>(&row.body).ok()?);
        self.documents.insert(row.id, document.clone());
        Some(document)
    }

    fn bury(&mut self, uri: &str, actor: &str) {
        self.gone.insert(uri.to_owned(), Some(actor.to_owned()));
        self.buried.push((uri.to_owned(), actor.to_owned()));
    }

    /// Whether the activity or what it brings was taken back already by the same actor; nobody else's word counts.
    fn is_gone(&self, uri: &str, objects: &[Value], actor: &str) -> bool {
        let is_gone = |uri: &str| {
            let by = self.gone.get(uri);
            by.is_some_and(|by| by.as_deref() == Some(actor))
        };
        is_gone(uri)
            || objects
                .iter()
                .filter(|object| object.is_object() && vocab::kind(object) != Some("Tombstone"))
                .filter_map(vocab::id)
                .any(is_gone)
    }

    /// Remember what is gone now.
    fn remember(&mut self, meaning: Meaning, activity: &Value, actor: &str) {
        let gone = match meaning {
            Meaning::ObjectDeleted
            | Meaning::FollowUndone
            | Meaning::LikeUndone
            | Meaning::AnnounceUndone
            | Meaning::BlockUndone => activity.get("object").and_then(vocab::id),
            _ => None,
        };
        if let Some(uri) = gone.map(str::to_owned) {
            self.bury(&uri, actor);
        }
    }
}
