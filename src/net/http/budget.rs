//! How much may be fetched because of one thing a peer sent: a ring of documents or redirects ends here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A number of fetches; clones spend from the same one.
#[derive(Clone, Debug)]
pub struct Budget(Arc<AtomicU32>);

/// Nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more would have to be fetched than one thing is worth")]
pub struct Spent;

impl Spent {
    /// The word for logs.
    pub fn reason(self) -> &'static str {
        "budget_spent"
    }
}

impl Budget {
    /// So many fetches.
    pub fn new(fetches: u32) -> Self {
        Self(Arc::new(AtomicU32::new(fetches)))
    }

    /// Take one, before fetching.
    pub fn spend(&self) -> Result<(), Spent> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .map(drop)
            .map_err(|_| Spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_and_nothing_comes_after_the_last() {
        let budget = Budget::new(20);
        let spent: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let budget = budget.clone();
                    scope.spawn(move || (0..10).filter(|_| budget.spend().is_ok()).count())
                })
                .collect();
            threads.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(spent, 20);
        assert_eq!(budget.spend(), Err(Spent));
        assert_eq!(Budget::new(0).spend(), Err(Spent));
    }
}
