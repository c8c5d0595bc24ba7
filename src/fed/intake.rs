//! Where what came in is kept before its sender is told so: requests that come at the same time are written together, by
//! one statement in one transaction, and each is answered when that is durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::sql_types::Text;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Db, Statement, Tx};
use crate::fed::signature::Scheme;
use crate::node::Node;

/// How many writes may be under way. One: while it waits for the disk, all that comes gathers for the next, and the fewer
/// statements there are, the less each activity costs.
const FLIGHTS: usize = 1;

/// How long a flight waits at most until as many have come as the one before it carried: of few connections a fast disk makes
/// many small flights, and each costs as much as a large one.
const GATHERS: Duration = Duration::from_millis(2);

/// How many activities one statement writes.
const MOST: usize = 256;

/// How its author is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By the signature of its own request, of this scheme.
    Signature(Scheme),
    Proof,
    Origin,
    Feed,
}

impl Via {
    /// As `ap_received.via` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature(_) => "signature",
            Self::Proof => "proof",
            Self::Origin => "origin",
            Self::Feed => "feed",
        }
    }
}

/// An activity whose author is known.
#[derive(Clone, Debug)]
pub struct Taken {
    pub uri: String,
    pub actor_uri: String,
    pub host: String,
    pub kind: String,
    pub object_uri: Option<String>,
    pub body: String,
    pub via: Via,
    pub recipient: Option<Uuid>,
}

/// What waits to be written, and who is told when there is news.
#[derive(Default)]
pub struct Intake {
    waiting: Mutex<Waiting>,
    news: Notify,
    /// As many wait as the last flight carried.
    enough: Notify,
    /// How many were kept since the hub started.
    kept: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    taken: Vec<(Taken, oneshot::Sender<Result<()>>)>,
    flights: usize,
    /// How many the last flight carried.
    last: usize,
}

impl Intake {
    /// The intake of this process.
    pub fn of(node: &Node) -> Arc<Self> {
        node.part(|_| Self::default())
    }

    /// Keep an activity; done once it is durable. One that is there already is not kept twice.
    pub async fn keep(self: &Arc<Self>, db: &Db, taken: Taken) -> Result<()> {
        let (told, hears) = oneshot::channel();
        let begins = {
            let mut waiting = self.lock();
            waiting.taken.push((taken, told));
            if waiting.taken.len() == waiting.last {
                self.enough.notify_one();
            }
            let begins = waiting.flights < FLIGHTS;
            waiting.flights += usize::from(begins);
            begins
        };
        if begins {
            tokio::task::spawn_local(self.clone().fly(db.clone()));
        }
        match hears.await {
            Ok(kept) => kept,
            // The flight panicked or its runtime is ending: nothing is known of the row, so the peer is to come again.
            Err(_) => Err(Error::busy("What came could not be written down.")),
        }
    }

    /// Comes true when something new waits to be applied.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// How many were kept since the hub started.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Say that something waits.
    pub fn wake(&self) {
        self.news.notify_one();
    }

    /// Write until nothing waits.
    async fn fly(self: Arc<Self>, db: Db) {
        let mut landing = Landing {
            intake: &self,
            is_done: false,
        };
        loop {
            drop(tokio::time::timeout(GATHERS, self.gathered()).await);
            let batch: Vec<_> = {
                let mut waiting = self.lock();
                if waiting.taken.is_empty() {
                    waiting.flights -= 1;
                    landing.is_done = true;
                    return;
                }
                let most = waiting.taken.len().min(MOST);
                waiting.last = most;
                waiting.taken.drain(..most).collect()
            };
            let (taken, told): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let kept = write(&db, taken).await;
            if kept.is_ok() {
                self.kept.fetch_add(told.len() as u64, Ordering::Relaxed);
            }
            self.wake();
            for told in told {
                let answer = match &kept {
                    Ok(()) => Ok(()),
                    Err(error) => Err(again(error)),
                };
                drop(told.send(answer));
            }
        }
    }

    /// As many wait as the last flight carried.
    async fn gathered(&self) {
        loop {
            let enough = self.enough.notified();
            let is_enough = {
                let waiting = self.lock();
                waiting.taken.len() >= waiting.last
            };
            if is_enough {
                return;
            }
            enough.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However a flight ends, another may begin.
struct Landing<'a> {
    intake: &'a Intake,
    is_done: bool,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.intake.lock().flights -= 1;
        }
    }
}

/// What everybody of a flight is told when it failed: the same.
fn again(error: &Error) -> Error {
    match error {
        Error::Broken(..) => {
            tracing::error!(event = "inbox_not_written", cause = %error);
            Error::busy("What came could not be written down.")
        }
        Error::Busy(told, wait) => Error::Busy(told.clone(), *wait),
        other => {
            tracing::error!(event = "inbox_not_written", cause = %other);
            Error::busy("What came could not be written down.")
        }
    }
}

async fn write(db: &Db, taken: Vec<Taken>) -> Result<()> {
    Tx::once(db, &Caller::Hub, insert(taken))
        .await
        .map(|ids: Vec<String>| drop(ids))
}

/// Keep an activity within a transaction that does more.
pub async fn keep_in(tx: &mut Tx, taken: Taken) -> Result<bool> {
    let ids: Vec<String> = tx.load(insert(vec![taken])).await?;
    Ok(!ids.is_empty())
}

fn insert(taken: Vec<Taken>) -> Statement<Text> {
    let mut columns: [Vec<Option<String>>; 8] = Default::default();
    let [
        uris,
        actors,
        hosts,
        kinds,
        objects,
        bodies,
        vias,
        recipients,
    ] = &mut columns;
    for one in taken {
        uris.push(Some(one.uri));
        actors.push(Some(one.actor_uri));
        hosts.push(Some(one.host));
        kinds.push(Some(one.kind));
        objects.push(one.object_uri);
        bodies.push(Some(one.body));
        vias.push(Some(one.via.name().to_owned()));
        recipients.push(one.recipient.map(|id| id.to_string()));
    }
    let mut insert = Statement::<Text>::new(
        "insert into public.ap_received (uri, actor_uri, host, type, object_uri, body, via, recipient) \
         select n.uri, n.actor_uri, n.host, n.type, n.object_uri, n.body, n.via, n.recipient::uuid from unnest(",
    );
    let mut first = true;
    for column in columns {
        if !std::mem::take(&mut first) {
            insert.sql(", ");
        }
        insert.bind(Bind::Texts(column)).sql("::text[]");
    }
    insert.sql(
        ") as n (uri, actor_uri, host, type, object_uri, body, via, recipient) \
         on conflict (uri) do nothing returning id::text",
    );
    insert
}
