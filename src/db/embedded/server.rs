//! One running `postgres`: started, awaited until it answers, and stopped.
//!
//! Knows nothing of what is in the database.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::binaries::Binaries;
use super::cluster::SUPERUSER;
use super::launch::Launcher;
use super::place::{PORT, Place};

/// How long connections that are open get when the server stops.
const PATIENCE: Duration = Duration::from_secs(20);
/// The socket appears before recovery begins, so this has nothing to do with the size of the database.
const UNTIL_SOCKET: Duration = Duration::from_secs(120);
/// A log that is larger at the start becomes the previous one.
const LARGEST_LOG: u64 = 16 << 20;

/// Starts the server and returns once it takes connections. Must be called on the main thread: the kernel ties the
/// child to the thread that made it.
pub(super) fn start(
    place: &Place,
    binaries: &Binaries,
    launcher: &Launcher,
    socket_dir: &Path,
    say: &dyn Fn(&str),
) -> anyhow::Result<Child> {
    let path = place.log();
    if path.metadata().is_ok_and(|found| found.len() > LARGEST_LOG) {
        fs::rename(&path, place.join("postgres.log.1"))?;
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let log_end = log.metadata()?.len();

    let mut postgres = launcher.command(&binaries.program("postgres"));
    postgres
        .arg("-D")
        .arg(place.cluster())
        .arg("-k")
        .arg(socket_dir)
        .args(["-p", &PORT.to_string()])
        .stdout(log.try_clone()?)
        .stderr(log);
    for setting in [
        "listen_addresses=",
        "fsync=on",
        "max_connections=200",
        "shared_buffers=128MB",
        "timezone=UTC",
        "log_timezone=UTC",
    ] {
        postgres.args(["-c", setting]);
    }
    if cfg!(target_os = "linux") {
        postgres.args(["-c", "recovery_init_sync_method=syncfs"]);
    }
    let mut child = postgres.spawn().context("cannot start PostgreSQL")?;

    let ready = wait_until_ready(&mut child, socket_dir, say);
    if let Err(cause) = ready {
        let _ = stop(&mut child);
        let said = tail(&path, log_end);
        return Err(cause.context(format!(
            "PostgreSQL did not start; its log ends with:\n{said}\n"
        )));
    }
    Ok(child)
}

/// Lets running statements be cancelled and everything be written; after a while insists.
pub(super) fn stop(child: &mut Child) -> anyhow::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.context("not a process")?;
    for (signal, patience) in [
        (Signal::INT, PATIENCE),
        (Signal::QUIT, Duration::from_secs(5)),
    ] {
        // Asked first: a number that was waited for may belong to somebody else.
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        kill_process(pid, signal).context("cannot stop PostgreSQL")?;
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    child.kill().context("cannot kill PostgreSQL")?;
    Ok(child.wait()?)
}

/// Whether a server takes connections on the socket in that directory.
pub(super) fn answers_in(socket_dir: &Path) -> bool {
    answers(&socket_dir.join(format!(".s.PGSQL.{PORT}")))
}

fn wait_until_ready(
    child: &mut Child,
    socket_dir: &Path,
    say: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let socket = socket_dir.join(format!(".s.PGSQL.{PORT}"));
    let begun = Instant::now();
    let mut next_word = Duration::from_secs(5);
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        if answers(&socket) {
            return Ok(());
        }
        let waited = begun.elapsed();
        if waited > UNTIL_SOCKET && !socket.exists() {
            bail!(
                "it made no socket within {} seconds",
                UNTIL_SOCKET.as_secs()
            );
        }
        if waited > next_word {
            // Recovery of a large database may take minutes; stopping it would only begin it anew.
            say(&format!(
                "PostgreSQL is still starting ({} s)",
                waited.as_secs()
            ));
            next_word *= 2;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the server wants to know who we are, instead of saying that it is starting up (57P03).
fn answers(socket: &Path) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&startup_packet())?;
        let mut reply = [0; 512];
        let length = stream.read(&mut reply)?;
        let reply = reply.get(..length).unwrap_or_default();
        Ok(is_ready(reply))
    };
    ask().unwrap_or(false)
}

/// Length, protocol 3.0, then names and values.
fn startup_packet() -> Vec<u8> {
    let words = format!("user\0{SUPERUSER}\0database\0{SUPERUSER}\0\0");
    let length = u32::try_from(words.len() + 8).unwrap_or_default();
    let mut packet = length.to_be_bytes().to_vec();
    packet.extend(196_608_u32.to_be_bytes());
    packet.extend(words.as_bytes());
    packet
}

/// `R` asks for the password; an error other than "starting up" also comes from a server that works.
fn is_ready(reply: &[u8]) -> bool {
    match reply.first() {
        Some(b'R') => true,
        Some(b'E') => !reply.windows(7).any(|field| field == b"C57P03\0"),
        _ => false,
    }
}

fn tail(log: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(end.saturating_sub(4096))))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_starting_up_from_ready() {
        assert!(is_ready(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"));
        assert!(!is_ready(
            b"E\0\0\0\x40SFATAL\0VFATAL\0C57P03\0Mstarting up\0\0"
        ));
        assert!(is_ready(
            b"E\0\0\0\x40SFATAL\0VFATAL\0C53300\0Mtoo many\0\0"
        ));
        assert!(!is_ready(b""));
    }

    #[test]
    fn the_packet_knows_its_length() {
        let packet = startup_packet();
        assert_eq!(
            u32::from_be_bytes(packet[..4].try_into().unwrap()) as usize,
            packet.len()
        );
    }
}
