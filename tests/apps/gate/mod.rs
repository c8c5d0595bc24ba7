//! What every request passes: limits, headers, ids and log lines, figures, keys that make a request count once.

mod headers;
mod keys;
mod limits;
mod watching;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::TestDatabase;
use crate::support::hub::command;

/// A hub whose log is kept, on a database that others own.
pub struct Heard {
    pub url: String,
    pub lines: Arc<Mutex<Vec<String>>>,
    process: Child,
    data_dir: std::path::PathBuf,
}

impl Heard {
    /// Start one, and wait until it is ready.
    pub fn start(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let data_dir = std::env::temp_dir().join(format!("made-open-heard-{name}"));
        std::fs::create_dir_all(&data_dir).unwrap();
        let mut process = command(database_url, &data_dir)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (kept, said) = (lines.clone(), process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                eprintln!("hub: {line}");
                kept.lock().unwrap().push(line);
            }
        });
        let mut heard = Self {
            url: String::new(),
            lines,
            process,
            data_dir,
        };
        let ready = heard.said("Ready: open ");
        let listens = heard
            .lines
            .lock()
            .unwrap()
            .iter()
            .find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned));
        heard.url = listens.unwrap_or(ready).trim_end_matches('/').to_owned();
        heard
    }

    /// The rest of a line that begins so, as soon as it is there.
    pub fn said(&self, beginning: &str) -> String {
        let since = Instant::now();
        loop {
            let found = self
                .lines
                .lock()
                .unwrap()
                .iter()
                .find_map(|line| line.strip_prefix(beginning).map(str::to_owned));
            if let Some(found) = found {
                return found;
            }
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "never said: {beginning}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The log's lines of JSON.
    pub fn log(&self) -> Vec<Value> {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.data_dir));
    }
}

/// A way to a database that can be cut.
pub struct Cut {
    pub url: String,
    is_cut: tokio::sync::watch::Sender<bool>,
}

impl Cut {
    /// A port of this machine that leads to the database.
    pub async fn before(database: &TestDatabase) -> Self {
        let config: tokio_postgres::Config = database.url().parse().unwrap();
        let tokio_postgres::config::Host::Unix(directory) = config.get_hosts()[0].clone() else {
            panic!("the test server listens on a socket");
        };
        let socket = directory.join(format!(".s.PGSQL.{}", config.get_ports()[0]));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_cut, watched) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            loop {
                let (mut outside, _) = listener.accept().await.unwrap();
                let (socket, mut watched) = (socket.clone(), watched.clone());
                if *watched.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut inside = tokio::net::UnixStream::connect(socket).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut outside, &mut inside) => {}
                        _ = watched.wait_for(|is_cut| *is_cut) => {}
                    }
                });
            }
        });
        let password = String::from_utf8(config.get_password().unwrap().to_vec()).unwrap();
        Self {
            url: format!(
                "postgresql://made_open:{password}@127.0.0.1:{port}/{}",
                database.name
            ),
            is_cut,
        }
    }

    /// Nothing gets through, or everything again.
    pub fn set(&self, is_cut: bool) {
        self.is_cut.send(is_cut).unwrap();
    }
}
