//! Trade and governance across hubs: listings, declarations, exchanges, DAOs, each between real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that panics has said what is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod daos;
mod orders;
mod proposals;
mod recount;
mod reputation;
mod treasury;
mod votes;
