//! A database server of a test's own, to be killed, frozen and filled.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::hub::BINARY;

/// A server started by `made-open database run`.
pub struct Server {
    pub data_dir: PathBuf,
    pub admin: String,
    process: Child,
}

/// A fresh directory that PostgreSQL's user can reach.
pub fn fresh_dir(name: &str) -> PathBuf {
    let dir = PathBuf::from(format!("/tmp/mo-{name}-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

impl Server {
    /// Start on a fresh directory.
    pub fn start(name: &str) -> Self {
        Self::start_in(fresh_dir(name))
    }

    /// Start on a directory, new or used before.
    pub fn start_in(data_dir: PathBuf) -> Self {
        let (process, admin) = run(&data_dir);
        Self {
            data_dir,
            admin,
            process,
        }
    }

    /// Kill the server and what started it, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(pid) = postmaster(&self.data_dir) {
            kill("QUIT", pid);
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }

    /// Whether it was killed and not started again.
    pub fn is_dead(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Start it again on the same data.
    pub fn restart(&mut self) {
        let (process, admin) = run(&self.data_dir);
        self.process = process;
        assert_eq!(admin, self.admin, "the address stays");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill("TERM", self.process.id());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.data_dir));
    }
}

fn run(data_dir: &Path) -> (Child, String) {
    let mut process = Command::new(BINARY)
        .args(["database", "run", "--data-dir"])
        .arg(data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(process.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ready ").map(str::to_owned))
        .expect("the server says that it is ready");
    (process, said)
}

/// The process number of the server of a data directory, while it runs.
pub fn postmaster(data_dir: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(data_dir.join("cluster/postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok()
}

/// Send a signal; a process that is gone already is no matter.
pub fn kill(signal: &str, pid: u32) {
    drop(
        Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .stderr(Stdio::null())
            .status(),
    );
}
