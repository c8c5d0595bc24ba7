//! The schema and its row security, tried at the level of SQL: what the seeds documented, who may do what to which row,
//! what the rules of the data hold against, and that migrations go up, down and survive a kill.
//! Needs a database server and no hub, so it runs on every PostgreSQL that the hub supports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stdout,
    reason = "a test that panics has said what is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod behaviours;
mod catalogue;
mod ledger;
mod matrix;
mod migrations;
mod release;
mod rows;
mod scopes;
mod security;
mod seeds;
mod stage;

use std::path::Path;

/// The text of a file of the project.
pub fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fail with everything that is wrong, one thing a line.
#[track_caller]
pub fn expect_none(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{} problem(s):\n  {}",
        problems.len(),
        problems.join("\n  ")
    );
}
