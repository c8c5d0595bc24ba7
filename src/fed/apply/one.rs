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
use crate::node::incoming::{Applied, Author, Incoming, Meaning};

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

/// Apply one activity as a step of the transaction.
pub async fn apply(
    node: &Node,
    tx: &mut Tx,
    row: &Row,
    batch: &mut Batch,
    known: &Known,
) -> Result<Came> {
    let Some(author) = &row.author else {
        return Ok(Came::Needs(row.actor_uri.clone()));
    };
    if let Some(ended) = unwelcome(node, row, author).await? {
        return Ok(Came::Ended(ended));
    }
    let activity: Value = match serde_json::from_str(&row.body) {
        Ok(activity) => activity,
        Err(_) => return Ok(Came::Ended(Outcome::Refused("not_json"))),
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
            None => return Ok(Came::Fetch(uri, row.recipient)),
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
        Read::Ignore(reason) => return Ok(Came::Ended(Outcome::Ignored(reason))),
        Read::Refuse(reason) => return Ok(Came::Ended(Outcome::Refused(reason))),
        Read::Fetch(_) | Read::UndoesById(_) => {
            return Ok(Came::Ended(Outcome::Ignored("object_not_to_be_had")));
        }
    };
    if batch.is_gone(&row.uri, &objects, &row.actor_uri) {
        return Ok(Came::Ended(Outcome::Ignored("deleted")));
    }

    let caller = Caller::Remote(Remote {
        id: author.id,
        uri: row.actor_uri.clone(),
    });
    let activity = Arc::new(activity);
    let mut heard = objects.into_iter().map(|object| Incoming {
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
    // Whether a group is listened to at all is asked before anything is looked up because of it.
    let only_asks = meaning == Meaning::PassedOn && known.inside.is_none();
    let before = tx.caller().clone();
    tx.step().await?;
    if batch.entered != Some(author.id) {
        tx.enter_as(&caller).await?;
        batch.entered = Some(author.id);
    }
    let came = step(node, tx, &mut heard, known).await;
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
        Err(Error::Busy(..)) => came,
        Err(error) => Ok(Came::Ended(Outcome::Failed(error.to_string()))),
        came => came,
    }
}

/// Everything that is done about it, in the author's name.
async fn step(
    node: &Node,
    tx: &mut Tx,
    heard: &mut impl Iterator<Item = Incoming>,
    known: &Known,
) -> Result<Came> {
    let mut all = Outcome::Repeated;
    for heard in heard {
        let worked = async {
            if let Some(stop) = effects::before(node, tx, &heard).await? {
                return Ok(stop);
            }
            hear(node, tx, &heard).await
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
            Applied::Done => Outcome::Done,
            Applied::Repeated => Outcome::Repeated,
            Applied::Ignored(reason) => Outcome::Ignored(reason),
            Applied::Refused(reason) => Outcome::Refused(reason),
            Applied::Waits(reason) => Outcome::Waits(reason),
            Applied::NotMine => Outcome::Ignored("not_heard"),
        };
        let is_good = matches!(
            ended,
            Outcome::Done | Outcome::Repeated | Outcome::Ignored("not_heard")
        );
        if !is_good {
            return Ok(Came::Ended(ended));
        }
        let ended = match effects::after(tx, &heard, known).await? {
            true => Outcome::Done,
            false => ended,
        };
        if all == Outcome::Repeated || ended == Outcome::Done {
            all = ended;
        }
    }
    Ok(Came::Ended(all))
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
