//! The workers: per lane a thread that claims jobs and runs them side by side, one for what may kill its process, and
//! one beside them that keeps leases alive, takes back what the dead have left, and looks at the clock. Stops gracefully: what runs is finished
//! or returned.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet, LocalSet};
use uuid::Uuid;

use super::queue::{self, Claimed, Ended, From, Outcome};
use super::{Attempt, JobEntry, Lane, cron};
use crate::base::{Error, Result, door};
use crate::db::pool;
use crate::node::Node;

/// Without news, how often the queue is looked at.
const POLL: Duration = Duration::from_secs(2);

/// How long what runs may take to finish once the hub was asked to stop.
const LAST_ORDERS: Duration = Duration::from_secs(9);

/// How long the queue is left alone when the database does not answer.
const AWAY: Duration = Duration::from_secs(2);

/// Running workers.
pub struct Runner {
    shared: Arc<Shared>,
    lanes: Vec<std::thread::JoinHandle<()>>,
    keeper: std::thread::JoinHandle<()>,
}

struct Shared {
    node: Arc<Node>,
    /// Names this process in leases; another start is another holder.
    holder: String,
    width: usize,
    /// How long a job is ours without another word; renewed four times as often.
    lease: Duration,
    wake: [Notify; 4],
    stop: watch::Sender<bool>,
    /// Nothing is waited for any more: threads end where they are.
    over: watch::Sender<bool>,
    running: Mutex<HashMap<Uuid, Running>>,
    /// How many have not come to their end.
    threads: AtomicUsize,
}

/// A try under way.
struct Running {
    attempt: i32,
    /// After this the lease is not renewed any more.
    until: Instant,
    abort: AbortHandle,
}

impl Runner {
    /// Start the workers; `url` is where news of the queue is heard.
    pub fn start(node: Arc<Node>, url: String) -> Self {
        let shared = Arc::new(Shared {
            width: node.config.jobs_width.max(1),
            lease: Duration::from_secs(node.config.jobs_lease_seconds.max(1).into()),
            node,
            holder: format!("{}-{}", std::process::id(), Uuid::new_v4().simple()),
            wake: Default::default(),
            stop: watch::Sender::new(false),
            over: watch::Sender::new(false),
            running: Mutex::default(),
            threads: AtomicUsize::new(Lane::ALL.len() + 2),
        });
        let handle = tokio::runtime::Handle::current();
        let lanes = Lane::ALL
            .into_iter()
            .map(From::Lane)
            .chain([From::Suspects])
            .map(|from| {
                let (shared, handle) = (shared.clone(), handle.clone());
                std::thread::spawn(move || {
                    let over = shared.is_over();
                    let work = LocalSet::new();
                    handle.block_on(async {
                        tokio::select! {
                            () = work.run_until(shared.clone().work(from)) => {}
                            () = over => {}
                        }
                    });
                    shared.threads.fetch_sub(1, Ordering::Release);
                })
            })
            .collect();
        let keeper = {
            let shared = shared.clone();
            std::thread::spawn(move || {
                handle.block_on(async {
                    tokio::select! {
                        () = shared.keep(url) => {}
                        () = shared.is_over() => {}
                    }
                });
                shared.threads.fetch_sub(1, Ordering::Release);
            })
        };
        Self {
            shared,
            lanes,
            keeper,
        }
    }

    /// What ends it at once, for whoever can't wait.
    pub fn cord(&self) -> Cord {
        Cord(self.shared.clone())
    }

    /// Claim nothing more, finish or return what runs.
    pub async fn stop(self) {
        self.shared.stop.send_replace(true);
        for wake in &self.shared.wake {
            wake.notify_waiters();
            wake.notify_one();
        }
        let (lanes, keeper, shared) = (self.lanes, self.keeper, self.shared.clone());
        let joined = tokio::task::spawn_blocking(move || {
            for lane in lanes {
                drop(lane.join());
            }
            shared.over.send_replace(true);
            drop(keeper.join());
        });
        // A job that blocks its thread can't be waited for: its lease will end.
        drop(tokio::time::timeout(LAST_ORDERS + Duration::from_secs(3), joined).await);
        if let Err(error) = cron::give_back(&self.shared.node.db, &self.shared.holder).await {
            tracing::debug!(event = "lease_not_given_back", cause = %error);
        }
    }
}

/// What ends the workers at once.
pub struct Cord(Arc<Shared>);

impl Cord {
    /// As when the database is gone: what runs is dropped, and its leases will end.
    pub fn pull(&self) {
        self.0.stop.send_replace(true);
        self.0.over.send_replace(true);
        let began = Instant::now();
        // A thread that is blocked by its job is left behind.
        while self.0.threads.load(Ordering::Acquire) > 0 && began.elapsed() < Duration::from_secs(1)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Shared {
    /// Comes true when nothing is waited for any more.
    fn is_over(&self) -> impl Future<Output = ()> + use<> {
        let mut over = self.over.subscribe();
        async move {
            drop(over.wait_for(|is_over| *is_over).await);
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    fn wake(&self, from: From) -> &Notify {
        let [realtime, interactive, background, suspects] = &self.wake;
        match from {
            From::Lane(Lane::Realtime) => realtime,
            From::Lane(Lane::Interactive) => interactive,
            From::Lane(Lane::Background) => background,
            From::Suspects => suspects,
        }
    }

    /// One lane, until told to stop.
    async fn work(self: Arc<Self>, from: From) {
        let width = match from {
            From::Lane(_) => self.width,
            From::Suspects => 1,
        };
        let mut under_way: JoinSet<Ended> = JoinSet::new();
        let mut ended: Vec<Ended> = Vec::new();
        while !self.is_stopping() {
            let free = width.saturating_sub(under_way.len());
            let claimed = match free {
                0 => Ok(Vec::new()),
                free => queue::claim(&self.node.db, &self.holder, from, free, self.lease).await,
            };
            let is_more_likely = match claimed {
                Ok(claimed) => {
                    let is_full = free > 0 && claimed.len() == free;
                    for claimed in claimed {
                        self.begin(&mut under_way, claimed);
                    }
                    is_full
                }
                Err(error) => {
                    tracing::warn!(event = "queue_not_read", ?from, cause = %error);
                    tokio::time::sleep(AWAY).await;
                    false
                }
            };
            if under_way.is_empty() && !is_more_likely {
                let mut stop = self.stop.subscribe();
                tokio::select! {
                    () = self.wake(from).notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    _ = stop.changed() => {}
                }
                continue;
            }
            tokio::select! {
                done = under_way.join_next_with_id(), if !under_way.is_empty() => self.note(done, &mut ended),
                () = self.wake(from).notified(), if free > 0 => {}
                () = tokio::time::sleep(POLL) => {}
            }
            // Those that ended in the same moment are written down together.
            while let Some(done) = under_way.try_join_next_with_id() {
                self.note(Some(done), &mut ended);
            }
            self.settle(&mut ended).await;
        }
        self.finish(under_way, ended).await;
    }

    /// The hub stops: wait a little, then return the rest to the queue.
    async fn finish(&self, mut under_way: JoinSet<Ended>, mut ended: Vec<Ended>) {
        let deadline = tokio::time::sleep(LAST_ORDERS);
        tokio::pin!(deadline);
        while !under_way.is_empty() {
            tokio::select! {
                done = under_way.join_next_with_id() => self.note(done, &mut ended),
                () = &mut deadline => break,
            }
            self.settle(&mut ended).await;
        }
        under_way.abort_all();
        while let Some(done) = under_way.join_next_with_id().await {
            self.note(Some(done), &mut ended);
        }
        self.settle(&mut ended).await;
    }

    fn begin(self: &Arc<Self>, under_way: &mut JoinSet<Ended>, claimed: Claimed) {
        let attempt = claimed.attempt.clone();
        let entry = self.node.jobs().find(|job| job.key == claimed.key).copied();
        let longest = entry.map_or(self.lease, |entry| entry.longest);
        let node = self.node.clone();
        let abort = under_way.spawn_local(async move {
            let outcome = door::through("job", run(&node, entry, &claimed)).await;
            (claimed.attempt, outcome)
        });
        self.running().insert(
            attempt.job,
            Running {
                attempt: attempt.number,
                until: Instant::now() + longest,
                abort,
            },
        );
    }

    fn note(
        &self,
        done: Option<std::result::Result<(tokio::task::Id, Ended), tokio::task::JoinError>>,
        ended: &mut Vec<Ended>,
    ) {
        match done {
            None => {}
            Some(Ok((_, (attempt, outcome)))) => {
                if !self.still_holds(attempt.job) {
                    return;
                }
                if outcome != Outcome::Done {
                    tracing::warn!(event = "job_failed", job = %attempt.job, attempt = attempt.number, ?outcome);
                }
                ended.push((attempt, outcome));
            }
            Some(Err(error)) => {
                let mut running = self.running();
                let Some(job) = running
                    .iter()
                    .find(|(_, running)| running.abort.id() == error.id())
                    .map(|(job, _)| *job)
                else {
                    return;
                };
                let Some(was) = running.remove(&job) else {
                    return;
                };
                drop(running);
                let outcome = if error.is_panic() {
                    tracing::error!(event = "job_panicked", %job);
                    Outcome::Again(queue::back_off(was.attempt), "The job panicked.".to_owned())
                } else {
                    Outcome::Returned
                };
                let attempt = Attempt {
                    job,
                    number: was.attempt,
                    owner: None,
                    correlation: None,
                    triggered_by: None,
                };
                ended.push((attempt, outcome));
            }
        }
    }

    /// Forget that it runs; no when the lease was lost meanwhile.
    fn still_holds(&self, job: Uuid) -> bool {
        self.running().remove(&job).is_some()
    }

    async fn settle(&self, ended: &mut Vec<Ended>) {
        // While the database is away the outcomes are kept; leases that end meanwhile mean that a job runs again.
        for _ in 0..5 {
            match queue::settle(&self.node.db, &self.holder, ended).await {
                Ok(settled) => {
                    for (attempt, _) in ended.iter().filter(|(a, _)| !settled.contains(&a.job)) {
                        tracing::warn!(event = "lease_lost", job = %attempt.job, attempt = attempt.number);
                    }
                    break;
                }
                Err(error) => {
                    tracing::warn!(event = "outcome_not_written", cause = %error);
                    if self.is_stopping() {
                        break;
                    }
                    tokio::time::sleep(AWAY).await;
                }
            }
        }
        ended.clear();
    }

    /// Leases, the dead's jobs, the clock, news of the queue.
    async fn keep(&self, url: String) {
        let listening = self.listen(&url);
        let renewing = async {
            loop {
                tokio::time::sleep(self.lease / 4).await;
                self.renew().await;
            }
        };
        let sweeping = async {
            loop {
                if let Err(error) = self.sweep().await {
                    tracing::warn!(event = "clock_not_looked_at", cause = %error);
                }
                tokio::time::sleep(cron::EVERY.min(self.lease / 2)).await;
            }
        };
        tokio::join!(listening, renewing, sweeping);
    }

    async fn listen(&self, url: &str) {
        pool::on_news(url, "hub_jobs", async || {
            for wake in &self.wake {
                wake.notify_one();
            }
        })
        .await;
    }

    async fn renew(&self) {
        let now = Instant::now();
        let held: Vec<(Uuid, i32)> = self
            .running()
            .iter()
            .filter(|(_, running)| running.until > now)
            .map(|(job, running)| (*job, running.attempt))
            .collect();
        if held.is_empty() {
            return;
        }
        match queue::extend(&self.node.db, &self.holder, &held, self.lease).await {
            Ok(kept) => {
                let mut running = self.running();
                for (job, _) in held.iter().filter(|(job, _)| !kept.contains(job)) {
                    if let Some(lost) = running.remove(job) {
                        tracing::warn!(event = "lease_lost", %job, attempt = lost.attempt);
                        lost.abort.abort();
                    }
                }
            }
            Err(error) => tracing::warn!(event = "lease_not_renewed", cause = %error),
        }
    }

    async fn sweep(&self) -> Result<()> {
        let taken = queue::take_back(&self.node.db).await?;
        if taken > 0 {
            tracing::warn!(event = "jobs_taken_back", taken);
        }
        if cron::lead(&self.node.db, &self.holder).await? {
            cron::tick(&self.node).await?;
        }
        Ok(())
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(node: &Node, entry: Option<JobEntry>, claimed: &Claimed) -> Outcome {
    let number = claimed.attempt.number;
    let Some(entry) = entry else {
        let unknown = format!("This version of the hub knows no job {}.", claimed.key);
        return Outcome::Again(queue::back_off(number), unknown);
    };
    let running = (entry.run)(node, claimed.payload.clone(), &claimed.attempt);
    match tokio::time::timeout(entry.longest, running).await {
        Ok(done) => Outcome::of(number, done),
        Err(_) => Outcome::of(
            number,
            Err(Error::busy(format!(
                "It took longer than {} s.",
                entry.longest.as_secs()
            ))),
        ),
    }
}
