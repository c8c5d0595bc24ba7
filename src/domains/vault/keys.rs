//! Where the vault's keys lie: a file, a systemd credential, or at last a variable. Read, made at the first start, and
//! written anew by a rotation; never replaced otherwise.
//!
//! One key per line, `id base64`, oldest first; `#` begins a remark. A line that is only base64 gets a name of itself.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::base::config::{self, Config};
use crate::base::keyring::{Key, Keyring, Keys, Unopened};
use crate::base::secret::{random, token_hash};
use crate::base::{Caller, Result, clock};
use crate::db::{Db, vault};

/// What systemd calls the credential.
const CREDENTIAL: &str = "made-open-vault-key";

/// No key file is longer than this.
const LONGEST_FILE: u64 = 256 * 1024;

/// Where the keys of a hub lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of the hub's own; a rotation writes it.
    File(PathBuf),
    /// What systemd handed over; only the operator changes it.
    Credential(PathBuf),
    /// The variable, with what it says.
    Variable(Zeroizing<String>),
}

impl Place {
    /// Where the settings say; what is there at the moment decides between the defaults.
    pub fn of(config: &Config) -> Self {
        if let Some(named) = &config.secret_key_file {
            return Self::File(named.clone());
        }
        if let Some(handed) = config::credentials_dir().map(|dir| dir.join(CREDENTIAL))
            && handed.exists()
        {
            return Self::Credential(handed);
        }
        let own = config.data_dir.join("vault.key");
        match &config.secret_key {
            Some(text) if !own.exists() => Self::Variable(Zeroizing::new(text.reveal().to_owned())),
            _ => Self::File(own),
        }
    }

    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) | Self::Credential(path) => path.display().to_string(),
            Self::Variable(_) => "MADE_OPEN_SECRET_KEY".to_owned(),
        }
    }

    /// The keys that lie there.
    pub fn read(&self) -> Result<Keys, Unopened> {
        let text = match self {
            Self::File(path) => read_file(path, true)?,
            // systemd guards its directory itself, and may let the file's owner be root.
            Self::Credential(path) => read_file(path, false)?,
            Self::Variable(text) => text.clone(),
        };
        parse(&text).map_err(|why| Unopened::Misfit(format!("{}: {why}", self.name())))
    }

    /// Write these keys in the place of what is there: whoever reads meanwhile sees the old file or the new one.
    pub fn write(&self, keys: &[(String, Key)]) -> anyhow::Result<()> {
        let Self::File(path) = self else {
            bail!(
                "the keys come from {}, which made-open cannot write",
                self.name()
            );
        };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let beside = path.with_extension("key.new");
        drop(std::fs::remove_file(&beside));
        let done = put(&beside, keys)
            .and_then(|()| std::fs::rename(&beside, path).map_err(Into::into))
            .and_then(|()| sync_directory(path));
        if done.is_err() {
            drop(std::fs::remove_file(&beside));
        }
        done.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Make a first key where there is none. False when something is there already.
    fn make(&self) -> anyhow::Result<bool> {
        let Self::File(path) = self else {
            return Ok(false);
        };
        if path.exists() {
            return Ok(false);
        }
        self.write(&[fresh()])?;
        Ok(true)
    }

    /// Only one process at a time may change what lies there.
    pub fn lock(&self) -> anyhow::Result<Option<File>> {
        let Self::File(path) = self else {
            return Ok(None);
        };
        let lock = path.with_extension("key.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => bail!("another rotation is under way"),
            Err(TryLockError::Error(cause)) => {
                Err(cause).with_context(|| format!("cannot lock {}", lock.display()))
            }
        }
    }
}

/// The keys of a hub, read now and whenever one is unknown.
pub fn ring(config: &Config) -> Keyring {
    let config = config.clone();
    Keyring::from_source(Box::new(move || Place::of(&config).read()))
}

/// A new key with a name that no other has.
pub fn fresh() -> (String, Key) {
    let [a, b, c] = random::<3>();
    let day = clock::now().format("%Y%m%d");
    (
        format!("k{day}-{a:02x}{b:02x}{c:02x}"),
        Zeroizing::new(random()),
    )
}

/// At the start of a hub: make the first key where the database knows none yet, and make it known there. What is
/// wrong with the keys otherwise is told and hinders nothing else.
pub async fn settle(db: &Db, config: &Config) -> Result<Option<Unopened>> {
    let place = Place::of(config);
    db.write(&Caller::Hub, async |tx| {
        let ring = vault::keyring(tx)?;
        let checks = vault::keychecks(tx).await?;
        if checks.is_empty() {
            match place.make() {
                Ok(true) => ring.reread(),
                Ok(false) => {}
                Err(cause) => return Ok(Some(Unopened::Misfit(format!("{cause:#}")))),
            }
            if let Some(why) = ring.closed() {
                return Ok(Some(why));
            }
            vault::register_first(tx, &ring).await?;
        }
        if let Some(why) = ring.closed() {
            return Ok(Some(why));
        }
        let checks = vault::keychecks(tx).await?;
        let known = checks
            .iter()
            .rev()
            .find(|check| ring.ids().contains(&check.key_id));
        Ok(match (known, checks.last()) {
            (Some(check), _) => ring.verify(check).err(),
            (None, Some(needed)) => Some(Unopened::NoKey(needed.key_id.clone())),
            (None, None) => Some(Unopened::NoKey("at all".to_owned())),
        })
    })
    .await
}

fn put(path: &Path, keys: &[(String, Key)]) -> anyhow::Result<()> {
    let mut text = Zeroizing::new(String::from(
        "# The keys of this hub's vault, oldest first. Without them its secrets cannot be read.\n\
         # Keep a copy apart from the database's backups. Changed by: made-open vault rotate\n",
    ));
    for (id, key) in keys {
        let key = Zeroizing::new(BASE64.encode(key.as_slice()));
        text.push_str(&format!("{id} {}\n", key.as_str()));
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    // The mask of the process may only have taken rights away; none are added.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

fn sync_directory(path: &Path) -> anyhow::Result<()> {
    let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    Ok(File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?)
}

fn read_file(path: &Path, is_own: bool) -> Result<Zeroizing<String>, Unopened> {
    let misfit = |cause: std::io::Error| Unopened::Misfit(format!("{}: {cause}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Err(Unopened::NoKey("at all".to_owned()));
        }
        Err(cause) => return Err(misfit(cause)),
    };
    let about = file.metadata().map_err(misfit)?;
    let own = [rustix::process::geteuid().as_raw(), 0];
    if is_own && (about.mode() & 0o077 != 0 || !own.contains(&about.uid())) {
        return Err(Unopened::Exposed(format!(
            "others than the hub can read or own {0}: chmod 600 {0}",
            path.display()
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_FILE)
        .read_to_string(&mut text)
        .map_err(misfit)?;
    Ok(text)
}

/// What is wrong is told by its number, never by what it says.
fn parse(text: &str) -> Result<Keys, String> {
    let mut keys = Keys::new();
    let mut known = BTreeSet::new();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    // A variable cannot hold lines everywhere: a comma serves too.
    let lines = lines.flat_map(|line| line.split(',')).map(str::trim);
    for (at, line) in lines.filter(|line| !line.is_empty()).enumerate() {
        let (id, encoded) = match line.split_once(char::is_whitespace) {
            Some((id, encoded)) => (Some(id), encoded.trim()),
            None => (None, line),
        };
        let key = decode(encoded)
            .ok_or_else(|| format!("key {} is not `id base64-of-32-bytes`", at + 1))?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => named(&key),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if id.len() > 64 || !id.chars().all(is_name) {
            return Err(format!("key {} has no fit name", at + 1));
        }
        if !known.insert(id.clone()) {
            return Err(format!("key {} has the name of another", at + 1));
        }
        keys.push((id, key));
    }
    match keys.is_empty() {
        true => Err("there is no key in it".to_owned()),
        false => Ok(keys),
    }
}

fn decode(encoded: &str) -> Option<Key> {
    let bytes = [&BASE64, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD]
        .into_iter()
        .find_map(|alphabet| alphabet.decode(encoded).ok())
        .map(Zeroizing::new)?;
    let bytes: [u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(bytes))
}

/// A name made of a key that came without one; it gives nothing of the key away.
fn named(key: &Key) -> String {
    let hash = token_hash(&BASE64.encode(key.as_slice()));
    let begin: String = hash.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("k-{begin}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8) -> String {
        BASE64.encode([byte; 32])
    }

    #[test]
    fn keys_are_lines_oldest_first() {
        let text = format!(
            "# a remark, with a comma\n\nold {}\r\nnew\t{}\n",
            line(1),
            line(2)
        );
        let keys = parse(&text).unwrap();
        let ids: Vec<&str> = keys.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["old", "new"]);
        assert_eq!(keys[1].1.as_slice(), [2; 32]);
        let bare = parse(&line(3)).unwrap();
        assert_eq!(bare, parse(&format!(" {} ", line(3))).unwrap());
        assert_eq!(
            parse(&format!("a {},b {}", line(1), line(2)))
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn what_is_no_key_is_told_without_saying_it() {
        for wrong in [
            String::new(),
            "# nothing".to_owned(),
            "a c2hvcnQ=".to_owned(),
            format!("a {0} {0}", line(1)),
            format!("a/b {}", line(1)),
            format!("a {0}\na {0}", line(1)),
            format!("{} {}", "x".repeat(65), line(1)),
        ] {
            let why = parse(&wrong).unwrap_err();
            assert!(!why.contains("c2hv") && !why.contains(&line(1)), "{why}");
        }
    }

    #[test]
    fn a_file_is_made_once_private_and_read_only_while_it_is() {
        let dir = std::env::temp_dir().join(format!("mo-keys-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("vault.key");
        let place = Place::File(path.clone());
        assert_eq!(
            place.read(),
            Err(Unopened::NoKey("at all".to_owned())),
            "there is none yet"
        );
        assert!(place.make().unwrap());
        let keys = place.read().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!place.make().unwrap(), "never replaced");
        assert_eq!(place.read().unwrap(), keys);

        for mode in [0o640, 0o604, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let why = place.read().unwrap_err();
            assert!(matches!(&why, Unopened::Exposed(say) if say.contains("chmod 600")));
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(place.read().unwrap(), keys);

        let both: Keys = keys.iter().cloned().chain([fresh()]).collect();
        place.write(&both).unwrap();
        assert_eq!(place.read().unwrap(), both);
        let held = place.lock().unwrap();
        assert!(place.lock().is_err(), "one at a time");
        drop(held);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
