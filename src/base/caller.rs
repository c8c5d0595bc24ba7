//! Who is asking. Rights are not decided here: the database looks them up when the caller enters a transaction.

use uuid::Uuid;

/// On whose behalf a transaction runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody we know.
    Anonymous,
    /// The holder of a session, a person's or a service's; what it may do is read from its row each time.
    Session(Uuid),
    /// The hub itself: sign-up, jobs, start-up.
    Hub,
}

/// The database roles a request can take on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Anon,
    Authenticated,
    Service,
}
