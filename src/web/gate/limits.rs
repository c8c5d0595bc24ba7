//! How often somebody may ask, by class of route: token buckets in the memory of this process, of which there are never
//! more than a certain number, whoever comes.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::route::Class;
use crate::base::config::{Config, Rate, of_one_peer};
use crate::base::error::Told;
use crate::base::{Caller, Error};

/// How many askers one class remembers. Beyond it strangers share buckets, by chance, until there is room again.
const MOST: usize = 100_000;

/// How many buckets strangers share then.
const CROWDS: u64 = 4096;

/// How often it is looked whether there are too many.
const LOOK_EVERY: u64 = 256;

/// Everybody's buckets.
pub struct Limits {
    hasher: RandomState,
    probe: Buckets,
    sign_in: Buckets,
    mail: Buckets,
    read: Buckets,
    write: Buckets,
    pages: Buckets,
    inbox: Buckets,
    unverified: Buckets,
    held: Held,
}

/// Addresses that have sent so much that proved to be nobody's that they must wait.
#[derive(Default)]
struct Held {
    until: Mutex<HashMap<u64, Instant>>,
    /// Whether there are any: almost never, and then nobody takes the lock.
    any: AtomicBool,
}

struct Buckets {
    rate: Rate,
    limiter: RateLimiter<u64, DashMapStateStore<u64>, DefaultClock, StateInformationMiddleware>,
    asked: AtomicU64,
    crowded: AtomicBool,
}

/// Where an asker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: u32,
    pub remaining: u32,
    /// Seconds until everything is there again; when refused, until the next one is.
    pub reset: u64,
}

impl Limits {
    /// As the settings say; nothing when they are off.
    pub fn new(config: &Config) -> Option<Self> {
        config.limits.then(|| Self {
            hasher: RandomState::new(),
            probe: Buckets::new(config.limit_read),
            sign_in: Buckets::new(config.limit_sign_in),
            mail: Buckets::new(config.limit_mail),
            read: Buckets::new(config.limit_read),
            write: Buckets::new(config.limit_write),
            pages: Buckets::new(config.limit_pages),
            inbox: Buckets::with_burst(config.limit_inbox, config.limit_inbox_burst),
            unverified: Buckets::new(config.limit_inbox_unverified),
            held: Held::default(),
        })
    }

    /// Take one from the asker's bucket. A session counts for itself once its token was verified; everybody else,
    /// whatever he shows, by his address.
    pub fn take(
        &self,
        class: Class,
        caller: Option<&Caller>,
        address: Option<IpAddr>,
    ) -> Result<Standing, Standing> {
        let by_session = matches!(class, Class::Read | Class::Write);
        let key = match caller {
            Some(Caller::Session(session)) if by_session => self.hash(("session", session)),
            _ => self.hash(("address", address.map(of_one_peer))),
        };
        self.of(class).take(key)
    }

    /// Take one from the bucket of a letter's address.
    pub fn take_letter(&self, to: &str) -> Result<Standing, Standing> {
        let to = to.trim().to_lowercase();
        self.mail.take(self.hash(("letter", to)))
    }

    /// Take one from the bucket of a peer whose signature has proved good.
    pub fn take_peer(&self, host: &str) -> Result<Standing, Standing> {
        self.inbox.take(self.hash(("host", host)))
    }

    /// Note that something from this address proved to be nobody's.
    pub fn was_unverified(&self, address: Option<IpAddr>) {
        let key = self.hash(("address", address.map(of_one_peer)));
        if let Err(standing) = self.unverified.take(key) {
            self.held.hold(key, Duration::from_secs(standing.reset));
        }
    }

    /// Whether this address may post at all just now.
    pub fn may_post(&self, address: Option<IpAddr>) -> Result<(), Standing> {
        if !self.held.any.load(Ordering::Relaxed) {
            return Ok(());
        }
        let key = self.hash(("address", address.map(of_one_peer)));
        match self.held.left(key) {
            None => Ok(()),
            Some(left) => Err(Standing {
                limit: self.unverified.rate.count,
                remaining: 0,
                reset: left.as_millis().div_ceil(1000).max(1) as u64,
            }),
        }
    }

    /// Forget those who have not asked for so long that their bucket is full.
    pub fn tidy(&self) {
        for buckets in [
            &self.probe,
            &self.sign_in,
            &self.mail,
            &self.read,
            &self.write,
            &self.pages,
            &self.inbox,
            &self.unverified,
        ] {
            buckets.tidy();
        }
        self.held.tidy();
    }

    fn of(&self, class: Class) -> &Buckets {
        match class {
            Class::Probe => &self.probe,
            Class::SignIn => &self.sign_in,
            Class::Read => &self.read,
            Class::Write => &self.write,
            Class::Page => &self.pages,
            Class::Inbox => &self.unverified,
        }
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }
}

impl Held {
    fn hold(&self, key: u64, wait: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() < MOST {
            until.insert(key, Instant::now() + wait);
            self.any.store(true, Ordering::Relaxed);
        }
    }

    fn left(&self, key: u64) -> Option<Duration> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.get(&key)?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn tidy(&self) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        until.retain(|_, end| *end > now);
        self.any.store(!until.is_empty(), Ordering::Relaxed);
    }
}

impl Buckets {
    fn new(rate: Rate) -> Self {
        Self::with_burst(rate, rate.count)
    }

    /// So many over time, and so many of them at once.
    fn with_burst(rate: Rate, burst: u32) -> Self {
        let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
        let each = Duration::from_secs(u64::from(rate.seconds)) / count.get();
        let quota = Quota::with_period(each.max(Duration::from_nanos(1)))
            .expect("a period longer than nothing")
            .allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        Self {
            rate,
            limiter: RateLimiter::dashmap(quota).with_middleware(),
            asked: AtomicU64::new(0),
            crowded: AtomicBool::new(false),
        }
    }

    fn take(&self, key: u64) -> Result<Standing, Standing> {
        if self
            .asked
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(LOOK_EVERY)
            && self.limiter.len() >= MOST
        {
            self.tidy();
        }
        let key = if self.crowded.load(Ordering::Relaxed) {
            key % CROWDS
        } else {
            key
        };
        let limit = self.rate.count;
        match self.limiter.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = u64::from(limit.saturating_sub(remaining));
                Ok(Standing {
                    limit,
                    remaining,
                    reset: (used * u64::from(self.rate.seconds)).div_ceil(u64::from(limit)),
                })
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                Err(Standing {
                    limit,
                    remaining: 0,
                    reset: wait.as_millis().div_ceil(1000).max(1) as u64,
                })
            }
        }
    }

    fn tidy(&self) {
        self.limiter.retain_recent();
        let is_crowded = self.limiter.len() >= MOST;
        self.crowded.store(is_crowded, Ordering::Relaxed);
    }
}

/// The refusal of somebody who asks too often; each door says it in its own words.
pub fn too_often(standing: Standing) -> Error {
    let wait = Duration::from_secs(standing.reset);
    let told = Told::new(
        "over_request_rate_limit",
        format!("Too many requests; try again in {} s.", standing.reset),
    );
    Error::TooMuch(Box::new(told), wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(rate: &str) -> Buckets {
        Buckets::new(rate.parse().unwrap())
    }

    #[test]
    fn a_bucket_counts_down_and_refuses() {
        let buckets = buckets("3/h");
        let left: Vec<u32> = (0..3).map(|_| buckets.take(1).unwrap().remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = buckets.take(1).unwrap_err();
        assert_eq!((refused.limit, refused.remaining), (3, 0));
        assert!((1..=1200).contains(&refused.reset), "{refused:?}");
        assert!(buckets.take(2).is_ok(), "somebody else has his own");
    }

    #[test]
    fn however_many_come_the_memory_is_bounded() {
        let buckets = buckets("2/h");
        let mut hash: u64 = 1;
        for _ in 0..MOST * 2 {
            hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let _ = buckets.take(hash);
        }
        let most = MOST + CROWDS as usize + LOOK_EVERY as usize;
        assert!(buckets.limiter.len() <= most, "{}", buckets.limiter.len());
        // Strangers that come now share what is there: they are limited, not let through.
        assert!((0..100).any(|_| buckets.take(hash).is_err()));
    }

    #[test]
    fn an_address_that_posts_what_is_nobodys_waits_and_others_do_not() {
        let config = crate::base::config::load(&crate::base::config::Flags::default()).unwrap();
        let limits = Limits::new(&config).unwrap();
        let (bad, good) = (
            Some("192.0.2.1".parse().unwrap()),
            Some("192.0.2.2".parse().unwrap()),
        );
        for _ in 0..config.limit_inbox_unverified.count {
            limits.was_unverified(bad);
            assert!(limits.may_post(bad).is_ok());
        }
        limits.was_unverified(bad);
        assert!(limits.may_post(bad).is_err());
        assert!(limits.may_post(good).is_ok());
    }

    #[test]
    fn a_full_bucket_is_forgotten() {
        let buckets = buckets("1000/s");
        for key in 0..1000 {
            buckets.take(key).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
        buckets.tidy();
        assert_eq!(buckets.limiter.len(), 0);
    }
}
