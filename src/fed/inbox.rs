//! What other servers post, up to the point where its author is known (CONTRACT section 11). Everything that costs nothing
//! comes before everything that costs something, and nothing is kept of what is refused.

mod author;
mod checks;
mod origin;

use std::time::Duration;

use moka::future::Cache;
use uuid::Uuid;

use super::hosts;
use super::intake::{Intake, Taken, Via};
use super::remote::Unreached;
use super::signature::Head;
use crate::base::Result;
use crate::node::Node;

pub use author::is_proven;
pub use checks::Checked;
pub use origin::inside;

/// What was posted.
#[derive(Clone, Copy, Debug)]
pub struct Posted<'a> {
    pub head: Head<'a>,
    pub body: &'a [u8],
    /// The address of the inbox, when it is an actor's own.
    pub inbox_of: Option<&'a str>,
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Verdict {
    /// Keep it.
    Take(Box<Taken>),
    /// It is there already.
    Seen,
    /// Say that it was taken, and forget it: nothing could follow from it, and nobody should send it again.
    Drop,
    /// Refuse it.
    Refuse(Refusal),
}

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// The word for the log.
    pub reason: &'static str,
    pub wait: Option<Duration>,
}

impl Refusal {
    /// With this status, for this reason.
    pub fn new(status: u16, reason: &'static str) -> Self {
        Self {
            status,
            reason,
            wait: None,
        }
    }

    /// The sender is to come again: nobody can say now whether it is his.
    pub fn later(reason: &'static str, wait: Duration) -> Self {
        Self {
            status: 503,
            reason,
            wait: Some(wait),
        }
    }

    /// Whether it proved to be nobody's, which only so many strangers may try.
    pub fn is_unverified(&self) -> bool {
        match self.status {
            403 => false,
            503 => self.reason != "busy",
            _ => true,
        }
    }
}

/// How a look that costs something ended.
#[derive(Debug)]
enum Stop {
    Seen,
    Drop(&'static str),
    /// Its origin is asked beside the answer.
    Later,
    Refuse(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<crate::base::Error> for Stop {
    fn from(error: crate::base::Error) -> Self {
        let wait = error.retry_after().unwrap_or(Duration::from_secs(5));
        if matches!(error, crate::base::Error::Broken(..)) {
            tracing::error!(event = "inbox_broken", cause = %error);
        }
        Self::Refuse(Refusal::later("busy", wait))
    }
}

/// Ids that were kept durably, so that what comes again costs nothing.
struct SeenIds(Cache<String, ()>);

fn seen(node: &Node) -> std::sync::Arc<SeenIds> {
    node.part(|_| {
        SeenIds(
            Cache::builder()
                .max_capacity(50_000)
                .time_to_live(Duration::from_secs(60 * 60))
                .build(),
        )
    })
}

/// Look at what was posted: whose is it, and is it wanted?
pub async fn examine(node: &Node, posted: &Posted<'_>) -> Verdict {
    let mut about = About::default();
    let stop = match Box::pin(judged(node, posted, &mut about)).await {
        Ok(taken) => return Verdict::Take(Box::new(taken)),
        Err(stop) => stop,
    };
    match stop {
        Stop::Seen => Verdict::Seen,
        Stop::Later => Verdict::Drop,
        Stop::Drop(reason) => {
            about.say("inbox_dropped", reason);
            Verdict::Drop
        }
        Stop::Refuse(refusal) => {
            about.say("inbox_refused", refusal.reason);
            Verdict::Refuse(refusal)
        }
    }
}

/// Keep it, durably, before its sender is told so.
pub async fn keep(node: &Node, taken: Taken) -> Result<()> {
    let (uri, host, via) = (taken.uri.clone(), taken.host.clone(), taken.via);
    Intake::of(node).keep(&node.db, taken).await?;
    seen(node).0.insert(uri, ()).await;
    if let Via::Signature(scheme) = via
        && let Err(error) = hosts::heard_from(&node.db, &host, scheme).await
    {
        tracing::debug!(event = "host_not_revived", cause = %error);
    }
    Ok(())
}

/// Whose and what it is, as far as it is known, for the one line in the log.
#[derive(Default)]
struct About {
    host: String,
    id: String,
}

impl About {
    fn say(&self, event: &'static str, reason: &'static str) {
        let id = crate::base::text::name(&self.id);
        tracing::warn!(event, reason, peer_domain = %self.host, activity_id = %id);
    }
}

/// Note that a peer sends more than it may.
pub fn say_too_often(taken: &Taken) {
    About {
        host: taken.host.clone(),
        id: taken.uri.clone(),
    }
    .say("inbox_refused", "too_often");
}

async fn judged(
    node: &Node,
    posted: &Posted<'_>,
    about: &mut About,
) -> std::result::Result<Taken, Stop> {
    let checked = Checked::read(posted)?;
    about.host.clone_from(&checked.host);
    about.id.clone_from(&checked.id);
    checked.is_wanted(node).await?;
    let recipient = checks::recipient(node, posted).await?;
    if seen(node).0.get(&checked.id).await.is_some() {
        return Err(Stop::Seen);
    }
    if checked.deletes_its_actor() && !checks::is_known(node, &checked.actor).await? {
        return Err(Stop::Drop("unknown_actor_deleted"));
    }
    let via = author::known(node, posted, &checked, recipient).await?;
    Ok(checked.taken(via, recipient))
}

impl From<Unreached> for Stop {
    fn from(why: Unreached) -> Self {
        match why {
            Unreached::Gone => Self::Drop("actor_gone"),
            Unreached::Blocked => Self::Refuse(Refusal::new(403, "blocked")),
            Unreached::Down(wait) => Self::Refuse(Refusal::later("key_not_to_be_had", wait)),
            Unreached::Busy | Unreached::Spent => {
                Self::Refuse(Refusal::later("busy", Duration::from_secs(5)))
            }
            Unreached::Missing => Self::Refuse(Refusal::new(401, "no_such_key")),
            Unreached::Refused(reason) => Self::Refuse(Refusal::new(401, reason)),
        }
    }
}

/// A recipient of what was posted, by the id of his row.
type Recipient = Option<Uuid>;
