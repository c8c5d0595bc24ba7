//! Behaviour, domain by domain in reading order: a domain may call those before it and reacts to none of them here.

pub mod agents;
pub mod billing;
pub mod commons;
pub mod comms;
pub mod governance;
pub mod identity;
pub mod market;
pub mod ops;
pub mod social;
pub mod vault;

use crate::node::domain::Domain;

/// Every domain of the hub.
pub const ALL: &[Domain] = &[
    identity::DOMAIN,
    vault::DOMAIN,
    social::DOMAIN,
    comms::DOMAIN,
    market::DOMAIN,
    commons::DOMAIN,
    governance::DOMAIN,
    billing::DOMAIN,
    agents::DOMAIN,
    ops::DOMAIN,
];
