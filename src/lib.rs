//! The Made Open hub, room by room in import order: a room may use those above it, never those below.
//!
//! `base` words everyone uses · `net` the way out of the process · `db` PostgreSQL · `kinds` the registry and everything
//! generic over rows · `node` the plug board · `jobs` later, reliably · `events` what happened · `fed` other hubs and the fediverse ·
//! `domains` behaviour · `web` and `cli` the doors.
//! docs/ARCHITECTURE.md has the map and the walkthroughs.
#![forbid(unsafe_code)]

pub mod base;
pub mod cli;
pub mod db;
pub mod domains;
pub mod events;
pub mod fed;
pub mod jobs;
pub mod kinds;
pub mod net;
pub mod node;
pub mod web;
