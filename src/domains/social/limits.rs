//! How often an actor may do what bothers others: ask to follow, report, offer, vote. Counted per actor, wherever he lives, in the
//! memory of this process (R17).

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use uuid::Uuid;

use crate::base::config::Rate;
use crate::base::error::Told;
use crate::base::{Error, Result};
use crate::db::Tx;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    Follow,
    Report,
    Offer,
    Vote,
}

/// When the count began, and how many there were since.
type Count = Arc<Mutex<(Instant, u32)>>;

/// How many actors are remembered, and for how long at most.
static COUNTS: LazyLock<Cache<(Deed, Uuid), Count>> = LazyLock::new(|| {
    Cache::builder()
        .max_capacity(100_000)
        .time_to_idle(Duration::from_secs(24 * 3600))
        .build()
});

/// Whether this actor may do it once more; else how long he has to wait.
pub fn take(tx: &Tx, deed: Deed, actor: Uuid) -> Result<(), Duration> {
    let Some(limits) = tx.hub().actor_limits() else {
        return Ok(());
    };
    let rate = match deed {
        Deed::Follow => limits.follows,
        Deed::Report => limits.reports,
        Deed::Offer => limits.offers,
        Deed::Vote => limits.votes,
    };
    let count = COUNTS.get_with((deed, actor), || Arc::new(Mutex::new((Instant::now(), 0))));
    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
    one_more(&mut count, rate, Instant::now())
}

fn one_more(count: &mut (Instant, u32), rate: Rate, now: Instant) -> Result<(), Duration> {
    let period = Duration::from_secs(u64::from(rate.seconds));
    let passed = now.saturating_duration_since(count.0);
    if passed >= period {
        *count = (now, 0);
    }
    if count.1 >= rate.count {
        return Err(period.saturating_sub(passed));
    }
    count.1 += 1;
    Ok(())
}

/// The same for somebody who waits for the answer.
pub fn take_or_refuse(tx: &Tx, deed: Deed, actor: Uuid) -> Result<()> {
    take(tx, deed, actor).map_err(|wait| {
        let told = Told::new(
            "actor.too_often",
            "That was too often for now: try again later.",
        );
        Error::TooMuch(Box::new(told), wait)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_so_long() {
        let rate = Rate {
            count: 2,
            seconds: 10,
        };
        let start = Instant::now();
        let mut count = (start, 0);
        assert!(one_more(&mut count, rate, start).is_ok());
        assert!(one_more(&mut count, rate, start + Duration::from_secs(1)).is_ok());
        let wait = one_more(&mut count, rate, start + Duration::from_secs(4));
        assert_eq!(wait, Err(Duration::from_secs(6)));
        assert!(one_more(&mut count, rate, start + Duration::from_secs(10)).is_ok());
        assert!(one_more(&mut count, rate, start + Duration::from_secs(11)).is_ok());
        assert!(one_more(&mut count, rate, start + Duration::from_secs(12)).is_err());
    }
}
