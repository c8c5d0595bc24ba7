//! Behaviour, domain by domain in reading order: a domain may call those before it and reacts to none of them here.

pub mod comms;
pub mod identity;
pub mod ops;

use crate::node::domain::Domain;

/// Every domain of the hub.
pub const ALL: &[Domain] = &[identity::DOMAIN, comms::DOMAIN, ops::DOMAIN];
