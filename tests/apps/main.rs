//! The hub as apps, newcomers and operators meet it: the real clients, the first day, an operator's own schema, commands.
//! What each status and header must be is in tests/contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has said what is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod administration;
mod audit;
mod audit_seals;
mod auth;
mod auth_attacks;
mod auth_smtp;
mod auth_statements;
mod clients;
mod commands;
mod dead_letters;
mod deletion;
mod doctor;
mod every_verb;
mod factors;
mod first_day;
mod gate;
mod journal;
mod kinds_at_run_time;
mod manners;
mod notifications;
mod operators_schema;
mod rules;
mod tenants;
mod vault;
mod widening;
