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

mod answers;
mod comments;
mod crossings;
mod daos;
mod declarations;
mod exchange_faults;
mod exchange_forgeries;
mod exchange_rows;
mod exchanges;
mod exports;
mod fedify_votes;
mod golden;
mod journeys;
mod listings;
mod market_shapes;
mod orders;
mod partition;
mod proposals;
mod receipts;
mod recount;
mod reputation;
mod trade;
mod trade_reactions;
mod treasury;
mod treasury_away;
mod votes;
