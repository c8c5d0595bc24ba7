//! `made-open database run`: the embedded database alone, for maintenance and tests, without the hub.
//!
//! Says `ready <address>` on standard output and stops on SIGTERM, SIGINT or when standard input ends.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::fs::{FileType, fstat};
use tokio::signal::unix::{SignalKind, signal};

use crate::db::embedded::Embedded;

/// Runs the database of that data directory until told to stop. The address it prints is the superuser's.
///
/// # Errors
/// When the database doesn't start, ends by itself or doesn't stop cleanly.
pub fn run(data_dir: &Path) -> anyhow::Result<()> {
    let mut embedded = Embedded::start(data_dir, &|line| eprintln!("{line}"))?;
    // Only now: the server has to be a child of the main thread, and no other thread may exist before it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;

    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (at_end, mut end) = tokio::sync::mpsc::channel::<()>(1);
        // A thread that nobody waits for: reading can't be interrupted.
        std::thread::spawn(move || {
            let mut ignored = [0; 256];
            if !has_an_end() {
                return std::mem::forget(at_end);
            }
            while std::io::stdin()
                .read(&mut ignored)
                .is_ok_and(|read| read > 0)
            {}
            drop(at_end);
        });

        let mut out = std::io::stdout();
        writeln!(out, "ready {}", embedded.admin_url("postgres"))?;
        out.flush()?;

        let mut look = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(None),
                _ = interrupt.recv() => return Ok(None),
                _ = end.recv() => return Ok(None),
                _ = look.tick() => if let Some(status) = embedded.exited() {
                    return anyhow::Ok(Some(status));
                },
            }
        }
    })?;

    if let Some(status) = ended {
        anyhow::bail!(
            "PostgreSQL ended by itself with {status}; see {}",
            data_dir.join("postgres.log").display()
        );
    }
    embedded.stop().context("the database did not stop cleanly")
}

/// Whether standard input is something whose end means that somebody is gone: a pipe, a socket or a terminal.
/// A job in the background has `/dev/null` there, which ends at once and means nothing.
fn has_an_end() -> bool {
    let input = std::io::stdin();
    input.is_terminal()
        || fstat(&input).is_ok_and(|is| {
            matches!(
                FileType::from_raw_mode(is.st_mode),
                FileType::Fifo | FileType::Socket
            )
        })
}
