//! Whatever is fetched from other servers: actors and their keys, objects, collections, and names looked up by WebFinger.
//! Every fetch spends from a budget, goes to nobody who is blocked, and is believed only about what its server answers for.

pub mod actors;
pub mod fetch;
pub mod keys;
pub mod look;
pub mod objects;
pub mod webfinger;

pub use actors::{Actor, actor};
pub use look::look_up;
pub use objects::object;
pub use webfinger::handle;

use std::time::Duration;

use crate::base::Error;
use crate::net::http::{Failure, Refused, Spent};

/// The most that is fetched because of one thing (S-82).
pub const FETCHES: u32 = 20;

/// When it is worth trying again, where the peer says nothing.
pub const LATER: Duration = Duration::from_secs(60);

/// Why something of another server is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// Its server says that it is gone for good.
    #[error("it is gone")]
    Gone,
    /// Its server does not have it, or does not show it to us.
    #[error("it is not there")]
    Missing,
    /// What came is not to be believed; the word says why.
    #[error("what came is not to be believed: {0}")]
    Refused(&'static str),
    /// The server does not answer at the moment.
    #[error("its server does not answer")]
    Down(Duration),
    /// More would have to be fetched than one thing is worth.
    #[error("it would take too many requests")]
    Spent,
    /// The hub has nothing to do with that server.
    #[error("its server is blocked")]
    Blocked,
    /// The hub's own database is not to be had.
    #[error("the hub is busy")]
    Busy,
}

impl Unreached {
    /// The word for logs and rows.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Missing => "missing",
            Self::Refused(reason) => reason,
            Self::Down(_) => "host_down",
            Self::Spent => "budget_spent",
            Self::Blocked => "blocked",
            Self::Busy => "busy",
        }
    }

    /// Whether trying again later may end otherwise.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Down(_) | Self::Busy)
    }
}

impl From<Spent> for Unreached {
    fn from(_: Spent) -> Self {
        Self::Spent
    }
}

impl From<Refused> for Unreached {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.reason())
    }
}

impl From<Failure> for Unreached {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(Refused::BlockedAddress) => Self::Refused("blocked_address"),
            Failure::Refused(refused) => refused.into(),
            Failure::TooLarge => Self::Refused("too_large"),
            _ => Self::Down(LATER),
        }
    }
}

impl From<Error> for Unreached {
    fn from(error: Error) -> Self {
        tracing::warn!(event = "remote_not_kept", cause = %error);
        Self::Busy
    }
}

/// For whom somebody waits: what he is told.
impl From<Unreached> for Error {
    fn from(unreached: Unreached) -> Self {
        match unreached {
            Unreached::Gone | Unreached::Missing => Self::missing(
                "remote.missing",
                "That is not there, or its server does not show it.",
            ),
            Unreached::Refused(reason) => Self::invalid(
                "remote.refused",
                format!("What that server says is not to be believed ({reason})."),
            ),
            Unreached::Down(_) | Unreached::Busy => {
                Self::busy("That server does not answer at the moment.")
            }
            Unreached::Spent => Self::invalid(
                "remote.too_far",
                "Finding that would take too many requests.",
            ),
            Unreached::Blocked => Self::forbidden(
                "remote.blocked",
                "This hub has nothing to do with that server.",
            ),
        }
    }
}
