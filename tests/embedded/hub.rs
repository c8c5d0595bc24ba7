//! A `made-open database run` in a directory of its own, and ways to treat it badly.
//!
//! No test of the database's content; only what the tests beside it need.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has said what is wrong"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The account `nobody` of practically every system.
pub const NOBODY: u32 = 65534;

/// A directory that goes when the test ends well.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("mo-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        Dir(dir)
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub fn cluster(&self) -> PathBuf {
        self.data().join("cluster")
    }

    pub fn postmaster(&self) -> Pid {
        let text = fs::read_to_string(self.cluster().join("postmaster.pid")).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap()).unwrap()
    }

    /// Every process of the server.
    pub fn server_processes(&self) -> Vec<Pid> {
        let cluster = self.cluster().canonicalize().unwrap();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == cluster))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(Pid::from_raw)
            .collect()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.data().join("postgres.log")).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// The process, once it is ready.
pub struct Hub {
    pub child: Child,
    pub url: String,
    pub took: Duration,
}

impl Hub {
    pub fn start(dir: &Dir) -> Hub {
        Hub::try_start(dir.data(), None).unwrap()
    }

    /// As somebody else, with an executable that they can reach.
    pub fn start_as(dir: &Dir, uid: u32) -> Hub {
        let executable = dir.0.join("made-open");
        if !executable.exists() {
            fs::copy(env!("CARGO_BIN_EXE_made-open"), &executable).unwrap();
            fs::create_dir(dir.data()).unwrap();
            chown(dir.data(), Some(uid), Some(uid)).unwrap();
        }
        Hub::try_start(dir.data(), Some((&executable, uid))).unwrap()
    }

    /// Everything it said, if it did not become ready.
    pub fn try_start(data: PathBuf, other: Option<(&Path, u32)>) -> Result<Hub, String> {
        let mut command = match other {
            None => Command::new(env!("CARGO_BIN_EXE_made-open")),
            Some((executable, uid)) => {
                let mut command = Command::new(executable);
                command.uid(uid).gid(uid);
                command
            }
        };
        let begun = Instant::now();
        let mut child = command
            .args(["database", "run", "--data-dir"])
            .arg(data)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        match line.trim().strip_prefix("ready ") {
            Some(url) => Ok(Hub {
                child,
                url: url.to_owned(),
                took: begun.elapsed(),
            }),
            None => {
                let mut said = String::new();
                let mut err = child.stderr.take().unwrap();
                err.read_to_string(&mut said).unwrap();
                assert!(!child.wait().unwrap().success());
                Err(said)
            }
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// SIGTERM, and everything has to end well.
    pub fn stop(mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.ends_well();
    }

    pub fn ends_well(&mut self) {
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        let mut err = self.child.stderr.take().unwrap();
        err.read_to_string(&mut said).unwrap();
        assert!(status.success(), "{status}: {said}");
    }

    /// kill -9 of the process alone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Whether a process ends soon.
pub fn is_gone(process: Pid) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    let path = format!("/proc/{}", process.as_raw_nonzero());
    while Path::new(&path).exists() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// The first column of the first row.
pub async fn one(url: &str, sql: &str) -> String {
    let client = connect(url).await;
    let messages = client.simple_query(sql).await.unwrap();
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap_or_default().to_owned()
}
