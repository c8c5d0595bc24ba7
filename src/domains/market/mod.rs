//! What is offered for a price: listings of this hub and of others.

pub mod terms;

use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "market",
    actions: &[],
    hooks: &[],
    shows: &[],
    jobs: &[],
    crons: &[],
    reactions: &[],
    hears: &[],
};
