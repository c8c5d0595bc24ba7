//! Federation, tried against real peers: Fedify, a hostile sender, peers by script, and other hubs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that panics has said what is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod activitypub_testing;
mod actors;
mod announces;
mod changes;
mod contexts;
mod crashes;
mod days;
mod delivery;
mod discovery;
mod endless;
mod fedify;
mod golden;
mod golden_inbound;
mod golden_social;
mod golden_sync;
mod golden_votes;
mod hostile;
mod inbox;
mod inbox_fetch;
mod inbox_owners;
mod inbox_signatures;
mod leaving;
mod moderation;
mod moves;
mod names;
mod peers_payloads;
mod poison;
mod posts;
mod posts_private;
mod reading;
mod rig;
mod ssrf;
mod two_hubs;
