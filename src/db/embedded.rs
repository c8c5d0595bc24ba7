//! The database without a database: a PostgreSQL of the hub's own, in its data directory, on a private socket.
//!
//! It is a real server with fsync on, started as a child and stopped with the hub, however the hub ends. What is in
//! the database (roles, extension, tables) is made elsewhere, over `admin_url`.

mod account;
#[cfg(postgres_archive)]
mod archive;
mod binaries;
mod cluster;
mod launch;
mod place;
mod server;

use std::fmt::Write;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use account::Account;
use binaries::Binaries;
use cluster::{Running, SUPERUSER};
use launch::Launcher;
pub use launch::{LAUNCH_ARG, launch_if_asked};
use place::{PORT, Place};

/// The login the hub uses for everything but the bootstrap, and its database.
const APP: &str = "made_open";
const ADMIN_PASSWORD: &str = "postgres.password";
const APP_PASSWORD: &str = "made_open.password";

/// A running server: ours, which stops when this is dropped, or that of another process.
pub struct Embedded {
    socket_dir: PathBuf,
    admin_password: String,
    app_password: String,
    pid: u32,
    child: Option<Child>,
    /// Given back last, when the server has stopped.
    _lock: Option<File>,
}

impl Embedded {
    /// Starts the server on a data directory, making everything that is missing, and returns once it takes connections.
    ///
    /// Call it on the main thread and outside any async runtime: the server ends with the thread that started it.
    ///
    /// # Errors
    /// When another process uses the directory, when there is no PostgreSQL that fits, or with the server's own words.
    pub fn start(data_dir: &Path, say: &dyn Fn(&str)) -> anyhow::Result<Embedded> {
        let executable = std::env::current_exe().context("cannot tell where this program is")?;
        Embedded::start_with(data_dir, executable, say)
    }

    /// The same with another executable to launch through, one that calls [`launch_if_asked`].
    pub fn start_with(
        data_dir: &Path,
        executable: PathBuf,
        say: &dyn Fn(&str),
    ) -> anyhow::Result<Embedded> {
        let place = Place::make(data_dir)?;
        let lock = place.lock()?;
        let account = Account::for_server(&place.cluster())?;
        place.open_to(&account, say)?;
        let socket_dir = place.socket_dir(&account)?;
        let launcher = Launcher {
            executable,
            account,
            dir: place.dir().to_owned(),
        };
        cluster::free(&place.cluster(), &socket_dir, say)?;

        let made_by = cluster::version(&place.cluster())?;
        let binaries = Binaries::find(&place, &launcher, made_by, say)?;
        let admin_password = if made_by.is_some() {
            place.password(ADMIN_PASSWORD)?
        } else {
            say("Making a new database");
            let password = place.password_or_new(ADMIN_PASSWORD)?;
            cluster::make(&place, &binaries, &launcher, &password)?;
            password
        };
        let app_password = place.password_or_new(APP_PASSWORD)?;

        let child = server::start(&place, &binaries, &launcher, &socket_dir, say)?;
        Ok(Embedded {
            socket_dir,
            admin_password,
            app_password,
            pid: child.id(),
            child: Some(child),
            _lock: Some(lock),
        })
    }

    /// The server that another process runs on this data directory, or nothing if none does.
    ///
    /// # Errors
    /// When that process has the directory but its server doesn't become ready, or its files are not ours to read.
    pub fn attach(data_dir: &Path) -> anyhow::Result<Option<Embedded>> {
        if !data_dir.exists() {
            return Ok(None);
        }
        let place = Place::at(data_dir)?;
        let until = Instant::now() + Duration::from_secs(30);
        while place.is_taken()? {
            // A file without a living process is one that the other is about to replace.
            let running = Running::read(&place.cluster()).unwrap_or_default();
            if let Some(running) =
                running.filter(|it| it.ready && server::answers_in(&it.socket_dir))
            {
                return Ok(Some(Embedded {
                    admin_password: place.password(ADMIN_PASSWORD)?,
                    app_password: place.password(APP_PASSWORD)?,
                    socket_dir: running.socket_dir,
                    pid: running.pid.unsigned_abs(),
                    child: None,
                    _lock: None,
                }));
            }
            if Instant::now() > until {
                bail!(
                    "another made-open uses {} but its database doesn't answer",
                    place.dir().display()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(None)
    }

    /// Address of a database for the superuser.
    pub fn admin_url(&self, db: &str) -> String {
        self.url(SUPERUSER, &self.admin_password, db)
    }

    /// Address of the hub's database for the hub's login. Both exist once the bootstrap ran.
    pub fn app_url(&self) -> String {
        self.url(APP, &self.app_password, APP)
    }

    /// The password the bootstrap has to give to the hub's login; letters and digits only.
    pub fn app_password(&self) -> &str {
        &self.app_password
    }

    /// Where the socket is.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How the server ended, if it did; of another process's server we are not told.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Stops the server, if it is ours, and gives the data directory back.
    ///
    /// # Errors
    /// When it could not be stopped or did not end well.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let status = server::stop(&mut child)?;
        if !status.success() {
            bail!("PostgreSQL ended with {status}");
        }
        Ok(())
    }

    fn url(&self, user: &str, password: &str, db: &str) -> String {
        let host = encoded(self.socket_dir.as_os_str().as_bytes());
        let db = encoded(db.as_bytes());
        format!("postgresql://{user}:{password}@{host}:{PORT}/{db}")
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nobody is left to be told.
            let _ = server::stop(&mut child);
        }
    }
}

/// Where the carried PostgreSQL comes from and under which licences it is.
pub fn licences() -> &'static str {
    include_str!("embedded/licences.txt")
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back_by_the_driver() {
        let embedded = Embedded {
            socket_dir: "/srv/my hub/ü/socket".into(),
            admin_password: "abc".into(),
            app_password: "def".into(),
            pid: 1,
            child: None,
            _lock: None,
        };
        let config: tokio_postgres::Config = embedded.admin_url("a b").parse().unwrap();
        assert_eq!(config.get_user(), Some("postgres"));
        assert_eq!(config.get_password(), Some(&b"abc"[..]));
        assert_eq!(config.get_dbname(), Some("a b"));
        assert_eq!(
            config.get_hosts(),
            [tokio_postgres::config::Host::Unix(
                "/srv/my hub/ü/socket".into()
            )]
        );
        let config: tokio_postgres::Config = embedded.app_url().parse().unwrap();
        assert_eq!(
            (config.get_user(), config.get_dbname()),
            (Some(APP), Some(APP))
        );
    }
}
