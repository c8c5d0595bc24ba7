//! Deliveries leave: a thread that takes hosts with something due, sends a few letters to each at a time, and writes down
//! in groups what became of them. Several processes share the work; a host is one's at a time.
//!
//! `lanes` what is in our hands · `rows` what is in the tables · `send` one exchange · `back_off` waits.

pub mod back_off;
pub mod figures;
mod lanes;
mod prune;
mod rows;
mod send;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use moka::sync::Cache;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, LocalSet};
use url::Url;
use uuid::Uuid;

pub use self::prune::PruneDeliveries;

use self::lanes::{Lanes, Width};
use self::rows::{Due, Health, Told, Word};
use self::send::{Answer, Letter};
use super::keys::{self, Signer};
use super::policy::{self, Policy};
use super::{outbox, trust};
use crate::base::{Caller, Result};
use crate::db::pool;
use crate::net::http::Bytes;
use crate::node::Node;

/// Without news, how often it is looked for what has become due.
const POLL: Duration = Duration::from_secs(2);

/// However much news there is, how often it is looked.
const BREATH: Duration = Duration::from_millis(25);

/// How long an ended letter waits for others to be written down with it, and with how many.
const TOGETHER: Duration = Duration::from_millis(40);
const ENOUGH: usize = 200;

/// How long the tables are left alone when the database does not answer.
const AWAY: Duration = Duration::from_secs(2);

/// How long what is under way may take once the hub was asked to stop; a request has ten seconds.
const LAST_ORDERS: Duration = Duration::from_secs(8);

/// How many bytes of bodies are remembered.
const REMEMBERED: u64 = 32 * 1024 * 1024;

/// The deliverer of this process.
pub struct Deliverer {
    shared: Arc<Shared>,
    thread: std::thread::JoinHandle<()>,
}

struct Shared {
    node: Arc<Node>,
    /// Names this process in leases; another start is another holder.
    holder: String,
    lease: Duration,
    width: Width,
    wake: Notify,
    stop: watch::Sender<bool>,
    bodies: Cache<Uuid, Bytes>,
}

/// A letter and how it ended.
type Landed = (Letter, Answer);

impl Deliverer {
    /// Start to deliver; `url` is where news of the outbox is heard.
    pub fn start(node: Arc<Node>, url: String) -> Self {
        let shared = Arc::new(Shared {
            lease: Duration::from_secs(u64::from(node.config.jobs_lease_seconds.max(3))),
            width: Width {
                per_host: node.config.deliveries_per_host.max(1),
                total: node.config.deliveries_width.max(2),
            },
            node,
            holder: format!("{}-{}", std::process::id(), Uuid::new_v4().simple()),
            wake: Notify::new(),
            stop: watch::Sender::new(false),
            bodies: Cache::builder()
                .weigher(|_, body: &Bytes| u32::try_from(body.len()).unwrap_or(u32::MAX))
                .max_capacity(REMEMBERED)
                .build(),
        });
        let handle = tokio::runtime::Handle::current();
        let thread = {
            let shared = shared.clone();
            std::thread::spawn(move || {
                let local = LocalSet::new();
                handle.block_on(local.run_until(async {
                    let mut stop = shared.stop.subscribe();
                    tokio::select! {
                        () = shared.listen(&url) => {}
                        () = shared.work() => {}
                        () = async {
                            drop(stop.wait_for(|is_over| *is_over).await);
                            tokio::time::sleep(LAST_ORDERS + AWAY).await;
                        } => {}
                    }
                }));
            })
        };
        Self { shared, thread }
    }

    /// Take nothing more, wait for what is under way, give the hosts back.
    pub async fn stop(self) {
        self.shared.stop.send_replace(true);
        self.shared.wake.notify_one();
        let joined = tokio::task::spawn_blocking(move || drop(self.thread.join()));
        drop(tokio::time::timeout(LAST_ORDERS + AWAY + AWAY, joined).await);
        if let Err(error) = rows::release(&self.shared.node.db, &self.shared.holder).await {
            tracing::debug!(event = "lease_not_given_back", cause = %error);
        }
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    async fn listen(&self, url: &str) {
        pool::on_news(url, outbox::NEWS, async || self.wake.notify_one()).await;
    }

    /// Until told to stop.
    async fn work(&self) {
        let mut lanes = Lanes::new(self.width);
        let mut under_way: JoinSet<Landed> = JoinSet::new();
        let mut ended: Vec<Told> = Vec::new();
        let mut health: HashMap<String, Health> = HashMap::new();
        let mut looks = true;
        let (mut looked, mut renewed) = (Instant::now(), Instant::now());
        let mut first_ended: Option<Instant> = None;
        loop {
            if !self.is_stopping() {
                if (looks || lanes.is_hungry()) && lanes.has_room() {
                    (looks, looked) = (false, Instant::now());
                    if let Err(error) = self.look(&mut lanes, &mut ended).await {
                        tracing::warn!(event = "deliveries_not_read", cause = %error);
                        tokio::time::sleep(AWAY).await;
                        looks = true;
                    }
                }
                let letters = lanes.take();
                let rules = self.rules(&letters).await;
                for letter in letters {
                    let node = self.node.clone();
                    let unwanted = unwanted(&rules, &letter);
                    under_way.spawn(async move {
                        if let Some(answer) = unwanted {
                            return (letter, answer);
                        }
                        let sent = send::send(&node.net.peers, &letter);
                        let answer = AssertUnwindSafe(sent).catch_unwind().await;
                        (letter, answer.unwrap_or_else(|_| Answer::panicked()))
                    });
                }
            } else if under_way.is_empty() {
                break;
            }

            let pause = match first_ended {
                Some(first) => TOGETHER.saturating_sub(first.elapsed()),
                None => POLL,
            };
            tokio::select! {
                Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                    note(&mut lanes, &mut ended, &mut health, done);
                }
                () = self.wake.notified() => {
                    looks = true;
                    tokio::time::sleep(BREATH.saturating_sub(looked.elapsed())).await;
                }
                () = tokio::time::sleep(pause) => {}
            }
            while let Some(done) = under_way.try_join_next() {
                note(&mut lanes, &mut ended, &mut health, done);
            }
            looks |= looked.elapsed() >= POLL;
            if !ended.is_empty() {
                let first = *first_ended.get_or_insert_with(Instant::now);
                if ended.len() >= ENOUGH || under_way.is_empty() || first.elapsed() >= TOGETHER {
                    self.settle(&mut lanes, &mut ended, &mut health).await;
                    first_ended = None;
                }
            }
            if renewed.elapsed() >= self.lease / 4 {
                renewed = Instant::now();
                self.renew(&mut lanes).await;
                lanes.tidy();
            }
        }
        self.settle(&mut lanes, &mut ended, &mut health).await;
    }

    /// What holds for the servers of these letters; none while that is not to be had.
    async fn rules(&self, letters: &[Letter]) -> Option<HashMap<String, Policy>> {
        if letters.is_empty() {
            return Some(HashMap::new());
        }
        let hosts = letters.iter().flat_map(hosts_of).collect();
        match policy::of_all(&self.node, hosts).await {
            Ok(rules) => Some(rules),
            Err(error) => {
                tracing::warn!(event = "rules_not_read", cause = %error);
                None
            }
        }
    }

    /// Take what is due; what of it ended before it was sent is told.
    async fn look(&self, lanes: &mut Lanes, ended: &mut Vec<Told>) -> Result<()> {
        let most = rows::Most {
            hosts: i64::try_from(self.width.total).unwrap_or(256),
            per_host: i64::try_from(self.width.per_host * 4).unwrap_or(16),
        };
        lanes.looking();
        let (held, full) = (lanes.held(), lanes.full());
        let asked = Instant::now();
        let found = self
            .node
            .db
            .write(&Caller::Hub, async |tx| {
                let due = rows::claim(tx, &self.holder, self.lease, &held, &full, most).await?;
                if due.is_empty() {
                    return Ok(None);
                }
                let mut counts: HashMap<String, i64> = HashMap::new();
                for due in &due {
                    *counts.entry(due.host.clone()).or_default() += 1;
                }
                let (due, behind) = in_order(due, &held);
                if !behind.is_empty() {
                    rows::postpone(tx, &behind).await?;
                }
                let unknown = distinct(due.iter().map(|due| due.activity));
                let unknown: Vec<Uuid> = unknown
                    .into_iter()
                    .filter(|id| !self.bodies.contains_key(id))
                    .collect();
                let bodies = rows::bodies(tx, &unknown).await?;
                let signers = keys::signers(tx, &distinct(due.iter().map(|due| due.actor))).await?;
                let mut earlier = HashMap::new();
                for key in distinct(due.iter().filter_map(|due| due.key)) {
                    if let Some(found) = keys::retired(tx, key).await? {
                        earlier.insert(key, found);
                    }
                }
                let head = rows::head(tx).await?;
                Ok(Some((due, bodies, signers, earlier, head, counts)))
            })
            .await?;
        let Some((due, mut bodies, signers, earlier, head, counts)) = found else {
            return Ok(());
        };

        for (id, body) in &bodies {
            self.bodies.insert(*id, body.clone());
        }
        for due in due {
            lanes.hold(&due.host, asked + due.lease_left, due.failures, due.scheme);
            let body = match bodies.get(&due.activity) {
                Some(body) => Some(body.clone()),
                None => self.bodies.get(&due.activity),
            };
            let (Some(body), Some(signer)) = (body, signers.get(&due.actor)) else {
                ended.push(due.unsent(Word::Again(back_off::after(due.attempts + 1)), "no_key"));
                continue;
            };
            if due.is_late {
                ended.push(due.unsent(Word::Dead, "not delivered within 14 days"));
                continue;
            }
            bodies.entry(due.activity).or_insert_with(|| body.clone());
            let earlier = due.key.and_then(|key| earlier.get(&key)).map(|(id, key)| {
                let mut old = Signer::clone(signer);
                (old.rsa_id, old.rsa) = (id.clone(), key.clone());
                Arc::new(old)
            });
            lanes.put(Letter {
                id: due.id,
                activity: due.activity,
                host: due.host,
                inbox: due.inbox,
                lane: due.lane,
                attempts: due.attempts,
                scheme: due.scheme,
                body,
                signer: signer.clone(),
                earlier,
                head,
            });
        }
        for (host, _) in counts.iter().filter(|(_, count)| **count >= most.per_host) {
            lanes.has_more(host);
        }
        Ok(())
    }

    async fn settle(
        &self,
        lanes: &mut Lanes,
        ended: &mut Vec<Told>,
        health: &mut HashMap<String, Health>,
    ) {
        if ended.is_empty() {
            return;
        }
        for told in ended.iter() {
            health.entry(told.host.clone()).or_default();
        }
        // While the database is away the outcomes are kept; a lease that ends meanwhile means that a letter is sent again.
        for _ in 0..5 {
            match rows::settle(&self.node.db, &self.holder, ended, health).await {
                Ok(mine) => {
                    let mine: HashSet<&str> = mine.iter().map(String::as_str).collect();
                    for host in health.keys().filter(|host| !mine.contains(host.as_str())) {
                        tracing::warn!(event = "lease_lost", peer_domain = host);
                        lanes.lost(host);
                    }
                    break;
                }
                Err(error) => {
                    tracing::warn!(event = "outcome_not_written", cause = %error);
                    tokio::time::sleep(AWAY).await;
                }
            }
        }
        for told in ended.drain(..) {
            lanes.settled(&told.id, &told.host);
        }
        health.clear();
    }

    async fn renew(&self, lanes: &mut Lanes) {
        let hosts = lanes.in_use();
        if hosts.is_empty() {
            return;
        }
        let until = Instant::now() + self.lease;
        match rows::extend(&self.node.db, &self.holder, &hosts, self.lease).await {
            Ok(kept) => {
                for host in &hosts {
                    match kept.contains(host) {
                        true => lanes.renewed(host, until),
                        false => {
                            tracing::warn!(event = "lease_lost", peer_domain = host);
                            lanes.lost(host);
                        }
                    }
                }
            }
            Err(error) => tracing::warn!(event = "lease_not_renewed", cause = %error),
        }
    }
}

/// The server a letter goes to, and that of its inbox if it is another.
fn hosts_of(letter: &Letter) -> impl Iterator<Item = String> {
    let other = Url::parse(&letter.inbox).ok().as_ref().map(trust::host_key);
    let other = other.filter(|host| *host != letter.host);
    [Some(letter.host.clone()), other].into_iter().flatten()
}

/// Why a letter is not sent: its server was blocked since it was written.
fn unwanted(rules: &Option<HashMap<String, Policy>>, letter: &Letter) -> Option<Answer> {
    let Some(rules) = rules else {
        return Some(Answer::unsent("the rules are not to be had"));
    };
    let is_blocked = |host: String| rules.get(&host).is_none_or(|rule| *rule == Policy::Block);
    hosts_of(letter).any(is_blocked).then(Answer::unwanted)
}

/// What may be sent in this order, and what must wait for others of its lane that are not at hand.
fn in_order(due: Vec<Due>, held: &[Uuid]) -> (Vec<Due>, Vec<Uuid>) {
    let mut at_hand: HashSet<Uuid> = held.iter().copied().collect();
    let mut behind = Vec::new();
    let mut first = Vec::new();
    let mut due = due;
    due.sort_by_key(|due| due.seq);
    for due in due {
        match due.behind {
            Some(before) if !at_hand.contains(&before) => behind.push(due.id),
            _ => {
                at_hand.insert(due.id);
                first.push(due);
            }
        }
    }
    (first, behind)
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let ids: HashSet<Uuid> = ids.collect();
    ids.into_iter().collect()
}

fn note(
    lanes: &mut Lanes,
    ended: &mut Vec<Told>,
    health: &mut HashMap<String, Health>,
    done: std::result::Result<Landed, tokio::task::JoinError>,
) {
    let Ok((letter, answer)) = done else {
        return;
    };
    let told = lanes.landed(
        &letter,
        &answer,
        health.entry(letter.host.clone()).or_default(),
    );
    figures::sent(told.word, answer.took);
    if told.word != Word::Done {
        tracing::warn!(
            event = "delivery_failed",
            reason = told.why.as_deref().unwrap_or_default(),
            peer_domain = letter.host,
            activity_id = %letter.activity,
            attempt = letter.attempts + 1,
            word = ?told.word,
        );
    }
    ended.push(told);
}
