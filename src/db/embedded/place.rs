//! The data directory: what lies where in it, its one lock, its passwords and where the socket goes.
//!
//! Nothing here knows how PostgreSQL is started.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::account::{Account, is_root};

/// The part of a socket's file name that PostgreSQL chooses; no TCP port is ever opened.
pub(super) const PORT: u16 = 5432;
/// Socket addresses end at 107 bytes; some room is left for the lock file beside it.
const LONGEST_SOCKET: usize = 100;

/// A data directory that exists, by its real path.
pub(super) struct Place {
    dir: PathBuf,
}

impl Place {
    /// Makes the directory if need be: for nobody else, except that root's server has to get through it.
    pub fn make(data_dir: &Path) -> anyhow::Result<Place> {
        let mode = if is_root() { 0o711 } else { 0o700 };
        if !data_dir.exists() {
            if let Some(parent) = data_dir.parent() {
                fs::create_dir_all(parent)
                    .with_context(|| format!("cannot make {}", parent.display()))?;
            }
            match DirBuilder::new().mode(mode).create(data_dir) {
                Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
                    return Err(cause)
                        .with_context(|| format!("cannot make {}", data_dir.display()));
                }
                _ => {}
            }
        }
        Place::at(data_dir)
    }

    /// The directory as it is.
    pub fn at(data_dir: &Path) -> anyhow::Result<Place> {
        let dir = data_dir
            .canonicalize()
            .with_context(|| format!("cannot open the data directory {}", data_dir.display()))?;
        Ok(Place { dir })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn cluster(&self) -> PathBuf {
        self.dir.join("cluster")
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Lets the server's account pass through the directory, which may have been made for us alone.
    pub fn open_to(&self, account: &Account, say: &dyn Fn(&str)) -> anyhow::Result<()> {
        let found = self.dir.metadata()?;
        let mode = found.mode();
        let passes = if found.uid() == account.uid {
            mode & 0o100
        } else if found.gid() == account.gid {
            mode & 0o010
        } else {
            mode & 0o001
        };
        if is_root() && passes == 0 && found.uid() == 0 {
            let through = if found.gid() == account.gid {
                0o011
            } else {
                0o001
            };
            fs::set_permissions(&self.dir, Permissions::from_mode((mode & 0o7777) | through))?;
            say(&format!(
                "PostgreSQL runs as {}, so {} may now be passed through (not listed) by others",
                account.name,
                self.dir.display()
            ));
        }
        Ok(())
    }

    /// Takes the directory for this process until the file is closed, however the process ends.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock(&self) -> anyhow::Result<File> {
        let path = self.lock_file();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        // A command that only asks whether a hub runs holds the lock for an instant.
        let until = Instant::now() + Duration::from_secs(1);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(TryLockError::WouldBlock) => bail!(
                    "{} is in use by another made-open; stop it, or name another data directory",
                    self.dir.display()
                ),
                Err(TryLockError::Error(cause)) => {
                    return Err(cause).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
    }

    /// Whether a process has the directory's lock.
    pub fn is_taken(&self) -> anyhow::Result<bool> {
        let path = self.lock_file();
        let file = match File::open(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.with_context(|| format!("cannot open {}", path.display()))?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(cause)) => {
                Err(cause).with_context(|| format!("cannot ask for {}", path.display()))
            }
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.dir.join("postgres.lock")
    }

    /// A password kept beside the cluster.
    pub fn password(&self, name: &str) -> anyhow::Result<String> {
        let path = self.dir.join(name);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read the password in {}", path.display()))?;
        let text = text.trim();
        // It goes into addresses and statements as it is.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            bail!("{} doesn't hold a password", path.display());
        }
        Ok(text.to_owned())
    }

    /// The same, made up when there is none yet.
    pub fn password_or_new(&self, name: &str) -> anyhow::Result<String> {
        let path = self.dir.join(name);
        if !path.exists() {
            let mut random = [0; 24];
            aws_lc_rs::rand::fill(&mut random).context("the system gave no random numbers")?;
            let new = self.dir.join(format!("{name}.new"));
            write_secret(&new, &hex(&random))?;
            fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))?;
            sync_dir(&self.dir)?;
        }
        self.password(name)
    }

    /// Makes and returns the directory of the socket: in the data directory, or elsewhere if that path is too long.
    pub fn socket_dir(&self, account: &Account) -> anyhow::Result<PathBuf> {
        let near = self.dir.join("socket");
        if fits(&near) {
            make_private(&near, account)?;
            return Ok(near);
        }

        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.dir.as_os_str().as_bytes());
        let mark: String = hex(digest.as_ref()).chars().take(16).collect();
        let run = if is_root() {
            PathBuf::from("/run")
        } else {
            PathBuf::from(format!("/run/user/{}", account.uid))
        };
        let tmp = PathBuf::from("/tmp");
        let mut last = None;
        for base in [run, tmp] {
            let dir = base.join(format!("made-open-{mark}"));
            match make_private(&dir, account) {
                Ok(()) => return Ok(dir),
                Err(cause) => last = Some(cause),
            }
        }
        Err(last.context("no place for the socket")?)
    }
}

/// Writes a new file that nobody else can read, and has it on the disk when this returns.
pub(super) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let _ = fs::remove_file(path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Has the names in a directory on the disk.
pub(super) fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .with_context(|| format!("cannot sync {}", dir.display()))
}

/// Has everything under a fresh directory on the disk with one call; thousands of single ones take seconds.
pub(super) fn sync_tree(dir: &Path) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    File::open(dir)
        .and_then(|dir| Ok(rustix::fs::syncfs(&dir)?))
        .with_context(|| format!("cannot sync {}", dir.display()))?;
    sync_dir(dir)
}

/// A directory for the account alone.
pub(super) fn make_private(dir: &Path, account: &Account) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return account.own(dir),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
        Err(cause) => {
            return Err(cause).with_context(|| format!("cannot make {}", dir.display()));
        }
    }

    // In /tmp somebody else may have been faster.
    let found = fs::symlink_metadata(dir)?;
    let ours = found.uid() == account.uid || found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_dir() || !ours {
        bail!("{} is not a directory of {}", dir.display(), account.name);
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    account.own(dir)
}

fn fits(dir: &Path) -> bool {
    let name = format!("/.s.PGSQL.{PORT}");
    dir.as_os_str().len() + name.len() <= LONGEST_SOCKET
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_directories_get_their_socket_elsewhere() {
        assert!(fits(Path::new("/var/lib/made-open/socket")));
        assert!(!fits(&PathBuf::from(format!("/{}", "d".repeat(90)))));
    }
}
