//! The command line.

pub mod database_run;
