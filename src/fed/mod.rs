//! Federation: what goes over the wire to other hubs and to the fediverse, and what comes from there.
//!
//! The pure half needs no network, database or clock: `crypto` keys · `signature` signed requests · `proof` signed
//! documents · `trust` who may say what about which object · `document` strict reading · `vocab` words and context.

pub mod actors;
pub mod changes;
pub mod collections;
pub mod crypto;
pub mod deliver;
pub mod discovery;
pub mod document;
pub mod keys;
pub mod outbox;
pub mod proof;
pub mod readers;
pub mod signature;
pub mod trust;
pub mod vocab;
