//! DAOs: who belongs to them, what they put to the vote, how the votes are counted and what follows.

use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "governance",
    actions: &[],
    hooks: &[],
    shows: &[],
    jobs: &[],
    crons: &[],
    reactions: &[],
    hears: &[],
};
