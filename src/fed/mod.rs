//! Federation: what goes over the wire to other hubs and to the fediverse, and what comes from there.
//!
//! The pure half needs no network, database or clock: `crypto` keys · `signature` signed requests · `proof` signed
//! documents (`vouch` with keys that are known here) · `trust` who may say what about which object · `document` strict reading · `vocab` words and context ·
//! `meaning` what an activity is about. Whoever is ours: `actors` · `collections` · `discovery`. Outwards: `keys` of local
//! actors · `outbox` what they say · `deliver` to whom it goes · `hosts` other servers · `dead_letters` what was given up.
//! Inwards: `policy` with whom · `remote` whatever is fetched · `inbox` what comes in, up to its author · `intake` where it
//! is kept · `apply` what follows from it.

pub mod actors;
pub mod adapter;
pub mod apply;
pub mod changes;
pub mod collections;
pub mod crypto;
pub mod dead_letters;
pub mod deliver;
pub mod discovery;
pub mod document;
pub mod followers_sync;
pub mod hosts;
pub mod inbox;
pub mod intake;
pub mod keys;
pub mod meaning;
pub mod outbox;
pub mod policy;
pub mod proof;
pub mod readers;
pub mod remote;
pub mod signature;
pub mod trust;
pub mod vocab;
pub mod vouch;
