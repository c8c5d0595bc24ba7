//! PostgreSQL.

pub mod embedded;
