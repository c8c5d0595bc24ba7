//! The Made Open hub, room by room in import order.
#![forbid(unsafe_code)]

pub mod cli;
pub mod db;
