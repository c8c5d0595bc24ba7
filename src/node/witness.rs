//! What the doors saw and the audit log is to keep although no change of a row tells it: refusals, and reads by somebody
//! who may read others' rows. Sampled, so that nobody fills the disk, and handed on without keeping an answer waiting;
//! `domains::ops` writes it down.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use uuid::Uuid;

/// The span over which callers are sampled.
pub const SPAN: Duration = Duration::from_secs(60);

/// How many refusals of one caller are kept in a span.
pub const PER_CALLER: u32 = 10;

/// … of all who show no session, who can have any number of addresses …
const OF_STRANGERS: u32 = 100;

/// … and of all sessions together.
const OF_SESSIONS: u32 = 300;

/// How many may wait to be written; what comes beyond that is counted as left out.
const WAITING: usize = 1_000;

/// How many callers are remembered.
const REMEMBERED: usize = 10_000;

/// Who was seen. An address is only told apart from others here; it is not written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Session(Uuid),
    Address(Option<IpAddr>),
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    pub session: Option<Uuid>,
    pub door: &'static str,
    /// read | write | delete | execute.
    pub action: &'static str,
    /// The table or verb.
    pub resource: String,
    pub is_denied: bool,
    pub metadata: Map<String, Value>,
}

/// Samples what is seen and hands it on.
pub struct Witness {
    sender: Mutex<Option<Sender<Sight>>>,
    receiver: Mutex<Option<Receiver<Sight>>>,
    sampled: Mutex<Sampled>,
}

#[derive(Default)]
struct Sampled {
    callers: HashMap<(Who, Option<String>), Window>,
    strangers: Option<Window>,
    sessions: Option<Window>,
}

/// How often somebody was seen since when, and how often since the last time that was kept.
#[derive(Clone, Copy)]
struct Window {
    since: Instant,
    kept: u32,
    left_out: u64,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            kept: 0,
            left_out: 0,
        }
    }

    /// Whether one more may be kept.
    fn admits(&mut self, most: u32, now: Instant) -> bool {
        if now.duration_since(self.since) >= SPAN {
            self.since = now;
            self.kept = 0;
        }
        self.kept < most
    }

    /// How many were left out before this one, which is kept.
    fn keep(&mut self) -> u64 {
        self.kept += 1;
        std::mem::take(&mut self.left_out)
    }
}

impl Sampled {
    /// How many were left out before this one, of this caller and of all of his sort; none when this one is left out too.
    fn take(&mut self, who: Who, about: Option<String>, now: Instant) -> Option<(u64, u64)> {
        let (all, most) = match who {
            Who::Address(_) => (&mut self.strangers, OF_STRANGERS),
            Who::Session(_) => (&mut self.sessions, OF_SESSIONS),
        };
        let all = all.get_or_insert_with(|| Window::new(now));
        let key = (who.coarse(), about);
        // Nobody new is remembered once there was enough of his sort: memory is bounded, and a flood costs nothing.
        let may_more = all.admits(most, now);
        if !may_more && !self.callers.contains_key(&key) {
            all.left_out += 1;
            return None;
        }
        if self.callers.len() >= REMEMBERED {
            self.callers
                .retain(|_, window| now.duration_since(window.since) < SPAN);
        }
        // A read is kept once for a table and span, a refusal as often as its caller may.
        let each = if key.1.is_some() { 1 } else { PER_CALLER };
        let one = self.callers.entry(key).or_insert_with(|| Window::new(now));
        if !one.admits(each, now) {
            one.left_out += 1;
            return None;
        }
        if !may_more {
            all.left_out += 1;
            return None;
        }
        Some((one.keep(), all.keep()))
    }
}

impl Who {
    /// Whoever has one address of a network of version 6 has all of its /64.
    fn coarse(self) -> Self {
        match self {
            Self::Address(Some(IpAddr::V6(address))) if address.to_ipv4_mapped().is_none() => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self::Address(Some(IpAddr::V6(network.into())))
            }
            other => other,
        }
    }
}

impl Default for Witness {
    fn default() -> Self {
        let (sender, receiver) = channel(WAITING);
        Self {
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
            sampled: Mutex::default(),
        }
    }
}

impl Witness {
    /// Keep what was seen, unless there was enough of it. Never waits.
    pub fn saw(&self, who: Who, mut sight: Sight) {
        let about = (!sight.is_denied).then(|| sight.resource.clone());
        let taken = self.sampled().take(who, about, Instant::now());
        let Some((of_caller, of_all)) = taken else {
            return;
        };
        for (name, left_out) in [("left_out", of_caller), ("left_out_of_all", of_all)] {
            if left_out > 0 {
                sight.metadata.insert(name.to_owned(), left_out.into());
            }
        }
        let sent = match &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(sender) => sender.try_send(sight).is_ok(),
            None => false,
        };
        if !sent {
            let lost = 1 + of_caller + of_all;
            let mut sampled = self.sampled();
            sampled
                .strangers
                .get_or_insert_with(|| Window::new(Instant::now()))
                .left_out += lost;
        }
    }

    /// What comes to be written down; there is one who writes.
    pub fn sights(&self) -> Option<Receiver<Sight>> {
        self.receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Nothing more will be seen: whoever writes comes to an end once all is written.
    pub fn close(&self) {
        self.sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn sampled(&self) -> std::sync::MutexGuard<'_, Sampled> {
        self.sampled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Who {
        Who::Address(Some(IpAddr::from([192, 0, 2, n])))
    }

    #[test]
    fn a_caller_is_kept_ten_times_a_minute_and_what_was_left_out_is_told_by_the_next() {
        let mut sampled = Sampled::default();
        let now = Instant::now();
        let kept = (0..25)
            .filter(|_| sampled.take(address(1), None, now).is_some())
            .count();
        assert_eq!(kept, PER_CALLER as usize);
        assert_eq!(sampled.take(address(2), None, now), Some((0, 0)));
        assert_eq!(sampled.take(address(1), None, now + SPAN), Some((15, 0)));
        assert_eq!(sampled.take(address(1), None, now + SPAN), Some((0, 0)));
    }

    #[test]
    fn any_number_of_addresses_gets_no_further_than_all_of_them_together() {
        let mut sampled = Sampled::default();
        let now = Instant::now();
        let kept = (0..=u16::MAX)
            .filter(|n| {
                let [high, low] = n.to_be_bytes();
                let who = Who::Address(Some(IpAddr::from([10, 0, high, low])));
                sampled.take(who, None, now).is_some()
            })
            .count();
        assert_eq!(kept, OF_STRANGERS as usize);
        assert!(sampled.callers.len() <= REMEMBERED);
        // A session is not drowned out by strangers.
        let session = Who::Session(Uuid::nil());
        assert!(sampled.take(session, None, now).is_some());
    }

    #[test]
    fn one_network_of_version_six_is_one_caller() {
        let mut sampled = Sampled::default();
        let now = Instant::now();
        let kept = (0..30u16)
            .filter(|n| {
                let who = Who::Address(Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, *n])));
                sampled.take(who, None, now).is_some()
            })
            .count();
        assert_eq!(kept, PER_CALLER as usize);
    }

    #[test]
    fn a_read_is_kept_once_for_a_table() {
        let mut sampled = Sampled::default();
        let now = Instant::now();
        let session = Who::Session(Uuid::nil());
        let mut reads = |table: &str| {
            sampled
                .take(session.clone(), Some(table.to_owned()), now)
                .is_some()
        };
        assert!(reads("users"));
        assert!(!reads("users"));
        assert!(reads("reports"));
    }

    #[tokio::test]
    async fn a_full_queue_keeps_nobody_waiting_and_is_told() {
        let witness = Witness::default();
        let mut sights = witness.sights().unwrap();
        assert!(witness.sights().is_none());
        let sight = |n: usize| Sight {
            session: Some(Uuid::from_u128(n as u128)),
            door: "rest",
            action: "read",
            resource: "persons".to_owned(),
            is_denied: true,
            metadata: Map::new(),
        };
        for n in 0..WAITING + 500 {
            let who = Who::Session(Uuid::from_u128(n as u128));
            witness.sampled().sessions = None;
            witness.saw(who, sight(n));
        }
        witness.close();
        let mut kept = 0;
        while sights.recv().await.is_some() {
            kept += 1;
        }
        assert_eq!(kept, WAITING);
        assert_eq!(witness.sampled().strangers.unwrap().left_out, 500);
    }
}
