//! What people offer each other and need from each other, the exchanges that come of it, and the books they are kept in.

use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "commons",
    actions: &[],
    hooks: &[],
    shows: &[],
    jobs: &[],
    crons: &[],
    reactions: &[],
    hears: &[],
};
