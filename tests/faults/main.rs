//! Faults and attacks on the running binary, each test named after its row of the threat and fault tables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that panics has said what is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod clocks;
mod crash;
mod jobs;
mod leases;
mod outages;
mod upgrade;
mod vault_keys;
