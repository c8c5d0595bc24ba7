//! What tests share: a database of their own, cloned from a migrated template, and the real binary running on it.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "each test binary uses its part; a test that panics has said what is wrong"
)]

pub mod clock;
pub mod database;
pub mod fedify;
pub mod hub;
pub mod hubs;
pub mod linked;
pub mod mail;
pub mod peer;
pub mod people;
pub mod server;

pub use database::TestDatabase;
pub use hub::TestHub;
