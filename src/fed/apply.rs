//! What follows from what came in: waiting activities are claimed in order, many in one transaction, each applied in the
//! transaction in which its state moves. A loop of its own beside requests and jobs.

mod batch;
mod effects;
mod one;
mod rows;
mod slow;

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::LocalSet;
use uuid::Uuid;

use super::intake::Intake;
use crate::base::door;
use crate::db::pool;
use crate::node::Node;

pub use one::hear;

/// Without news, how often waiting rows are looked for.
const POLL: Duration = Duration::from_secs(1);

/// How long more is waited for once something has come: what comes together costs less.
const GATHERS: Duration = Duration::from_millis(10);

/// When so many come in that time, storing them goes first, since their senders wait for that and for nothing else; what
/// follows from them is begun at the latest when so long has passed.
const MANY: u64 = 5;
const HOLDS: Duration = Duration::from_secs(3);

/// How long the database is left alone when it does not answer.
const AWAY: Duration = Duration::from_secs(2);

/// How long each is done by itself after many together have panicked.
const SINGLY: Duration = Duration::from_secs(60);

/// How many activities that need something from elsewhere are worked at side by side.
const SLOW: usize = 16;

/// How often what is over is thrown away.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The running loop.
pub struct Applier {
    stop: watch::Sender<bool>,
    wake: Arc<Intake>,
    thread: std::thread::JoinHandle<()>,
}

impl Applier {
    /// Start it; `url` is where news from other processes are heard.
    pub fn start(node: Arc<Node>, url: String) -> Self {
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let wake = Intake::of(&node);
        let handle = tokio::runtime::Handle::current();
        let thread = std::thread::spawn(move || {
            let work = LocalSet::new();
            handle.block_on(work.run_until(door::through("activitypub", run(node, url, stopped))));
        });
        Self { stop, wake, thread }
    }

    /// Finish the batch under way, then stop.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.wake.wake();
        let joined = tokio::task::spawn_blocking(move || drop(self.thread.join()));
        drop(tokio::time::timeout(Duration::from_secs(10), joined).await);
    }
}

/// What the loop and the activities that take longer share.
struct Shared {
    node: Arc<Node>,
    room: Arc<Semaphore>,
    /// Rows that are being worked at beside the loop.
    slow: std::cell::RefCell<HashSet<Uuid>>,
    /// When many together have panicked: for a while each is done by itself, so that the one that does it is marked.
    singly_since: std::cell::Cell<Option<tokio::time::Instant>>,
    done: Notify,
}

async fn run(node: Arc<Node>, url: String, mut stop: watch::Receiver<bool>) {
    let shared = Rc::new(Shared {
        node: node.clone(),
        room: Arc::new(Semaphore::new(SLOW)),
        slow: std::cell::RefCell::default(),
        singly_since: std::cell::Cell::default(),
        done: Notify::new(),
    });
    let intake = Intake::of(&node);
    let listening = listen(&url, &intake);
    let working = async {
        let mut swept = tokio::time::Instant::now();
        while !*stop.borrow() {
            let is_more_likely = match batch::next(&shared).await {
                Ok(is_full) => is_full,
                Err(error) => {
                    tracing::warn!(event = "inbox_not_applied", cause = %error);
                    tokio::time::sleep(AWAY).await;
                    true
                }
            };
            if swept.elapsed() > SWEEP {
                swept = tokio::time::Instant::now();
                if let Err(error) = rows::sweep(&node).await {
                    tracing::warn!(event = "inbox_not_swept", cause = %error);
                }
            }
            if is_more_likely {
                continue;
            }
            tokio::select! {
                () = intake.news() => lull(&intake, &stop).await,
                () = shared.done.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                _ = stop.changed() => {}
            }
        }
    };
    tokio::select! {
        () = working => {}
        () = listening => {}
    }
}

/// Until no more than a few come, or it has been waited for long enough.
async fn lull(intake: &Intake, stop: &watch::Receiver<bool>) {
    let began = tokio::time::Instant::now();
    loop {
        let before = intake.kept();
        tokio::time::sleep(GATHERS).await;
        if intake.kept() - before < MANY || began.elapsed() > HOLDS || *stop.borrow() {
            return;
        }
    }
}

/// News from other processes and from the command line.
async fn listen(url: &str, intake: &Intake) {
    pool::on_news(url, "hub_received", async || intake.wake()).await;
}
