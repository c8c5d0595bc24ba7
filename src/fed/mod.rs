//! Federation: what goes over the wire to other hubs and to the fediverse, and what comes from there.
//!
//! The pure half needs no network, database or clock: `crypto` keys · `signature` signed requests · `proof` signed
//! documents · `trust` who may say what about which object · `document` strict reading · `vocab` words and context.
//! Outwards: `keys` of local actors · `outbox` what they say · `deliver` to whom it goes · `hosts` other servers ·
//! `dead_letters` what was given up.

pub mod actors;
pub mod collections;
pub mod crypto;
pub mod dead_letters;
pub mod deliver;
pub mod discovery;
pub mod document;
pub mod hosts;
pub mod keys;
pub mod outbox;
pub mod proof;
pub mod signature;
pub mod trust;
pub mod vocab;
