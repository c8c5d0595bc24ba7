//! PostgreSQL's programs: those carried inside this executable, else those installed on the machine.
//!
//! Where neither is to be had, the error says what can be done.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::launch::{Launcher, NOT_LAUNCHED};
use super::place::Place;

/// The oldest server the hub's SQL is written for.
const OLDEST: u32 = 15;

/// A directory with `postgres` and `initdb` that run here.
#[derive(Debug)]
pub(super) struct Binaries {
    pub bin: PathBuf,
    pub major: u32,
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Finds programs that run under the launcher's account and fit the cluster, if there is one already.
    pub fn find(
        place: &Place,
        launcher: &Launcher,
        cluster: Option<u32>,
        say: &dyn Fn(&str),
    ) -> anyhow::Result<Binaries> {
        let mut troubles = Vec::new();
        match carried(place, say) {
            Some(Ok(bin)) => match Binaries::try_at(bin, launcher) {
                Ok(found) if fits(&found, cluster) => return Ok(found),
                Ok(found) => troubles.push(format!("this executable carries {}", found.major)),
                // Another PostgreSQL would run, but not reach its data either.
                Err(cause) if cause.is::<OutOfReach>() => return Err(cause),
                Err(cause) => troubles.push(format!("the carried one doesn't run: {cause:#}")),
            },
            Some(Err(cause)) => return Err(cause),
            None => troubles.push("this executable carries none".to_owned()),
        }

        let mut installed: Vec<Binaries> = Vec::new();
        for bin in installed_dirs() {
            match Binaries::try_at(bin.clone(), launcher) {
                Ok(found) if !has_vector(&found) => {
                    troubles.push(format!("{} has no pgvector", bin.display()));
                }
                Ok(found) if found.major < OLDEST || !fits(&found, cluster) => {
                    troubles.push(format!("{} is {}", bin.display(), found.major));
                }
                Ok(found) => installed.push(found),
                Err(cause) if cause.is::<OutOfReach>() => return Err(cause),
                Err(cause) => troubles.push(format!("{cause:#}")),
            }
        }
        if let Some(newest) = installed.into_iter().max_by_key(|found| found.major) {
            say(&format!("Using the PostgreSQL in {}", newest.bin.display()));
            return Ok(newest);
        }

        let troubles = troubles.join("; ");
        match cluster {
            Some(had) => bail!(
                "the database in {} was made by PostgreSQL {had}, and there is none of that version here ({troubles}). \
                 To move it: run the hub that made it, save it with pg_dump, move the directory `cluster` away, start \
                 this hub and restore. Or install PostgreSQL {had} with pgvector.",
                place.cluster().display()
            ),
            None => bail!(
                "there is no PostgreSQL to run ({troubles}). Set DATABASE_URL to a PostgreSQL {OLDEST} or newer with \
                 pgvector, or install both on this machine."
            ),
        }
    }

    /// Runs the server just to have its version: that shows a closed directory, a mount without execution or a
    /// missing library at once and with the system's own words.
    fn try_at(bin: PathBuf, launcher: &Launcher) -> anyhow::Result<Binaries> {
        let postgres = bin.join("postgres");
        let ran = launcher
            .command(&postgres)
            .arg("-V")
            .output()
            .with_context(|| format!("cannot start {}", launcher.executable.display()))?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
            let said = format!("{}: {said}", postgres.display());
            let refused =
                ran.status.code() == Some(NOT_LAUNCHED) && said.contains("Permission denied");
            // An installed one that is closed to the account says nothing about the data directory.
            if refused && (said.contains("cannot enter") || bin.starts_with(&launcher.dir)) {
                return Err(anyhow!(said).context(OutOfReach(launcher.account.name.clone())));
            }
            bail!(said);
        }

        let said = String::from_utf8_lossy(&ran.stdout);
        let major =
            major_in(&said).with_context(|| format!("{} says {said:?}", postgres.display()))?;
        Ok(Binaries { bin, major })
    }
}

/// The account that has to run PostgreSQL may not even enter the place.
#[derive(Debug, thiserror::Error)]
#[error(
    "PostgreSQL runs as {0}, who must be able to reach the data directory and run programs in it: \
     name another data directory, such as /var/lib/made-open"
)]
struct OutOfReach(String);

fn fits(found: &Binaries, cluster: Option<u32>) -> bool {
    cluster.is_none_or(|major| major == found.major)
}

#[cfg(postgres_archive)]
fn carried(place: &Place, say: &dyn Fn(&str)) -> Option<anyhow::Result<PathBuf>> {
    Some(super::archive::unpacked(place, say))
}

#[cfg(not(postgres_archive))]
fn carried(_place: &Place, _say: &dyn Fn(&str)) -> Option<anyhow::Result<PathBuf>> {
    None
}

/// `postgres (PostgreSQL) 16.14 (Debian …)`, and `18beta1` too.
fn major_in(said: &str) -> Option<u32> {
    let version = said.split(") ").nth(1)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The usual places of distributions and whatever is in PATH, each by its real name.
#[expect(
    clippy::disallowed_methods,
    reason = "PATH is where programs lie, not a setting of the hub"
)]
fn installed_dirs() -> BTreeSet<PathBuf> {
    let mut dirs: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    dirs.push("/usr/local/pgsql/bin".into());
    // Debian and SUSE have one directory a version, Red Hat one name a version.
    for (base, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/usr/lib", "postgresql"),
    ] {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                dirs.push(entry.path().join("bin"));
            }
        }
    }
    dirs.into_iter()
        .filter(|dir| dir.join("initdb").exists())
        .filter_map(|dir| dir.join("postgres").canonicalize().ok())
        .filter_map(|postgres| postgres.parent().map(Path::to_owned))
        .filter(|dir| dir.join("initdb").exists())
        .collect()
}

/// Whether pgvector lies in that version's share directory.
fn has_vector(found: &Binaries) -> bool {
    let root = found.bin.parent().unwrap_or(&found.bin);
    let shares = [
        root.join("share"),
        root.join("share/postgresql"),
        root.join("share/pgsql"),
        PathBuf::from(format!("/usr/share/postgresql/{}", found.major)),
        PathBuf::from(format!("/usr/share/postgresql{}", found.major)),
        PathBuf::from("/usr/share/pgsql"),
    ];
    shares
        .iter()
        .any(|share| share.join("extension/vector.control").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(major_in("postgres (PostgreSQL) 16.14\n"), Some(16));
        let debian = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(major_in(debian), Some(15));
        assert_eq!(major_in("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_in("busybox"), None);
    }
}
