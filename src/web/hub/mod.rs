//! The hub's own door: what neither supabase-js nor the fediverse knows.

pub mod kinds;
