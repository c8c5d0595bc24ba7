//! What supabase-js speaks: tables and verbs under /rest/v1, accounts under /auth/v1.

pub mod auth;
pub mod auth_admin;
pub mod auth_factors;
pub mod rest;
pub mod rpc;
