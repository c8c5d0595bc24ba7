//! Who is asking. Rights are not decided here: the database looks them up when the caller enters a transaction.

use uuid::Uuid;

/// On whose behalf a transaction runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody we know.
    Anonymous,
    /// The holder of a session, a person's or a service's; what it may do is read from its row each time.
    Session(Uuid),
    /// An actor of another server, known by a signature: his row of `ap_actors` and his address. He reads what row
    /// security lets actors read, and never has the hub's rights.
    Remote(Remote),
    /// The hub itself: sign-up, jobs, start-up.
    Hub,
    /// The hub on behalf of an account, with that account's rights and no more. Made by jobs, never by a door.
    For(Behalf),
}

/// An actor of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub id: Uuid,
    pub uri: String,
}

/// For whom the hub acts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behalf {
    pub account: Uuid,
    pub cause: Option<Cause>,
}

/// What led to a change that no person made by himself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cause {
    /// The chain it belongs to.
    pub correlation: String,
    /// How many rules stand between the change and a person.
    pub depth: i32,
}

/// The database roles a request can take on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Anon,
    Authenticated,
    Service,
}
