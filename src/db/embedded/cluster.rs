//! The cluster's files: made once, checked at every start, and freed of what a hub that was killed left behind.
//!
//! Everything here needs the data directory's lock.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::binaries::Binaries;
use super::launch::Launcher;
use super::place::{PORT, Place, make_private, sync_dir, sync_tree, write_secret};

/// The superuser of every cluster made here.
pub(super) const SUPERUSER: &str = "postgres";
/// How long a server gets to stop by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// The major version that made the cluster, if there is one.
pub(super) fn version(cluster: &Path) -> anyhow::Result<Option<u32>> {
    let path = cluster.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let major = text.trim().parse();
            Ok(Some(major.with_context(|| {
                format!("{} doesn't hold a version", path.display())
            })?))
        }
        Err(cause) if cause.kind() == ErrorKind::NotFound && !cluster.exists() => Ok(None),
        Err(cause) => Err(cause).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Makes a cluster whose superuser has that password. One that isn't complete never gets the final name.
pub(super) fn make(
    place: &Place,
    binaries: &Binaries,
    launcher: &Launcher,
    password: &str,
) -> anyhow::Result<()> {
    let new = place.join("cluster.new");
    let pwfile = place.join("cluster.password");
    match fs::remove_dir_all(&new) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            return Err(cause).with_context(|| format!("cannot remove {}", new.display()));
        }
        _ => {}
    }
    make_private(&new, &launcher.account)?;
    write_secret(&pwfile, password)?;
    launcher.account.own(&pwfile)?;

    let mut initdb = launcher.command(&binaries.program("initdb"));
    initdb
        .arg("-D")
        .arg(&new)
        .args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8"])
        .args(["--locale=C.UTF-8", "--data-checksums", "--no-instructions"])
        .arg("--pwfile")
        .arg(&pwfile);
    if binaries.major >= 17 {
        initdb.args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
    }
    if cfg!(target_os = "linux") {
        // One sync of everything follows.
        initdb.arg("--no-sync");
    }
    let ran = initdb.output();
    let _ = fs::remove_file(&pwfile);
    let ran = ran.context("cannot start initdb")?;
    if !ran.status.success() {
        bail!(
            "initdb could not make the database (as {}): {}",
            launcher.account.name,
            String::from_utf8_lossy(&ran.stderr).trim()
        );
    }

    sync_tree(&new)?;
    fs::rename(&new, place.cluster()).context("cannot name the new database")?;
    sync_dir(place.dir())
}

/// Ends processes of a hub that was killed and removes a `postmaster.pid` that would stop the next start.
///
/// As long as one of them lives the file stays, for it is what keeps two servers off one cluster. It only goes
/// when its number by now belongs to an unrelated process (in a container numbers repeat); all else
/// PostgreSQL settles itself.
pub(super) fn free(cluster: &Path, socket_dir: &Path, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let file = cluster.join("postmaster.pid");
    let Some(postmaster) = Running::read(cluster)?.and_then(|running| Pid::from_raw(running.pid))
    else {
        return Ok(());
    };

    let mut left = processes_of(cluster);
    if !left.is_empty() {
        say("Waiting for PostgreSQL of a hub that was killed");
        if left.contains(&postmaster) {
            signal(&[postmaster], Signal::INT);
        } else {
            signal(&left, Signal::TERM);
        }
        left = wait_for_end(cluster, PATIENCE);
        for last in [Signal::QUIT, Signal::KILL] {
            signal(&left, last);
            left = wait_for_end(cluster, Duration::from_secs(5));
        }
        if let Some(pid) = left.first() {
            bail!("process {pid} still uses {}", cluster.display());
        }
    }

    if file.exists() && is_alive(postmaster) {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        let _ = fs::remove_file(socket_dir.join(format!(".s.PGSQL.{PORT}.lock")));
    }
    Ok(())
}

/// What a running server wrote about itself into `postmaster.pid`.
pub(super) struct Running {
    pub pid: i32,
    pub socket_dir: PathBuf,
    pub ready: bool,
}

impl Running {
    pub fn read(cluster: &Path) -> anyhow::Result<Option<Running>> {
        let path = cluster.join("postmaster.pid");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Running::parse(&text)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Lines: process, cluster, start, port, socket directory, TCP address, shared memory, state.
    fn parse(text: &str) -> Option<Running> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Running {
            pid: lines.first()?.parse().ok()?,
            socket_dir: lines.get(4).copied().unwrap_or_default().into(),
            ready: lines.get(7) == Some(&"ready"),
        })
    }
}

/// Every process of a server on that cluster: they all work in its directory.
fn processes_of(cluster: &Path) -> Vec<Pid> {
    let is_server = |process: &Path| {
        let exe = fs::read_link(process.join("exe")).ok()?;
        let cwd = fs::read_link(process.join("cwd")).ok()?;
        let name = exe.file_name()?.to_str()?;
        // The kernel adds " (deleted)" when the file was replaced.
        Some(cwd == cluster && name.split(' ').next() == Some("postgres"))
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| is_server(&entry.path()) == Some(true))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}

fn wait_for_end(cluster: &Path, patience: Duration) -> Vec<Pid> {
    let until = Instant::now() + patience;
    loop {
        let left = processes_of(cluster);
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        // One that is gone meanwhile is what we want.
        let _ = kill_process(*process, signal);
    }
}

fn is_alive(process: Pid) -> bool {
    test_kill_process(process).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_server_says_about_itself() {
        let text = "4711\n/d/cluster\n1700000000\n5432\n/d/socket\n\n  12 34\nready   \n";
        let running = Running::parse(text).unwrap();
        assert_eq!((running.pid, running.ready), (4711, true));
        assert_eq!(running.socket_dir, Path::new("/d/socket"));
        assert!(!Running::parse("4711\n/d/cluster\n").unwrap().ready);
        assert!(Running::parse("").is_none());
    }
}
