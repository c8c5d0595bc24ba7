//! The keys that wrap the vault's data keys, and the envelopes made with them. Pure: where keys lie is not known here.
//!
//! One random data key per secret; the secret is sealed under it, the data key under a master key. Both are bound to
//! where the secret belongs, so that a ciphertext copied to another row or owner does not open. A keycheck is a known
//! text sealed with a key: it tells a wrong key of the right name from damage.

use std::collections::BTreeMap;
use std::sync::RwLock;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::secret::random;

/// Bytes of a key and of a nonce.
const KEY: usize = 32;
const NONCE: usize = 24;

/// What every keycheck says.
const KNOWN: &[u8] = b"made-open vault";

/// A key of 256 bits that forgets itself when dropped.
pub type Key = Zeroizing<[u8; KEY]>;

/// Keys with their ids, oldest first.
pub type Keys = Vec<(String, Key)>;

/// Where keys are read again from.
pub type Source = Box<dyn Fn() -> Result<Keys, Unopened> + Send + Sync>;

/// Master keys by id, in the order they came: the last one wraps, all unwrap.
#[derive(Default)]
pub struct Keyring {
    held: RwLock<Held>,
    source: Option<Source>,
}

#[derive(Clone, Default)]
struct Held {
    by_id: BTreeMap<String, Key>,
    order: Vec<String>,
    /// Why there are none, where that is known.
    closed: Option<Unopened>,
}

/// A sealed secret as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub key_id: String,
    /// The data key under the master key, its nonce in front.
    pub wrapped_key: Vec<u8>,
    /// The secret under the data key, its nonce in front.
    pub sealed: Vec<u8>,
}

/// Why an envelope does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// No key, or not the one that wrapped it.
    #[error("the vault has no key {0}")]
    NoKey(String),
    /// A key of this name, but not the one that the database knows.
    #[error("the vault's key {0} is not the one that sealed its secrets")]
    WrongKey(String),
    /// Others can read the keys.
    #[error("{0}")]
    Exposed(String),
    /// What should hold keys holds something else.
    #[error("{0}")]
    Misfit(String),
    /// Right key, but the bytes or what they are bound to were changed.
    #[error("the secret is damaged, or was moved from where it belongs")]
    Damaged,
}

impl Keyring {
    /// Keys with their ids, oldest first.
    pub fn new(keys: impl IntoIterator<Item = (String, Key)>) -> Self {
        let ring = Self::default();
        ring.replace(keys);
        ring
    }

    /// The keys that a source gives, now and whenever they are read again.
    pub fn from_source(source: Source) -> Self {
        let ring = Self {
            held: RwLock::default(),
            source: Some(source),
        };
        ring.reread();
        ring
    }

    /// Take these keys from now on, oldest first.
    pub fn replace(&self, keys: impl IntoIterator<Item = (String, Key)>) {
        let mut fresh = Held::default();
        for (id, key) in keys {
            fresh.order.retain(|known| *known != id);
            fresh.order.push(id.clone());
            fresh.by_id.insert(id, key);
        }
        self.hold(fresh);
    }

    /// Read the keys again where they come from. What cannot be read closes the vault.
    pub fn reread(&self) {
        match self.source.as_ref().map(|source| source()) {
            Some(Ok(keys)) => self.replace(keys),
            Some(Err(why)) => self.hold(Held {
                closed: Some(why),
                ..Held::default()
            }),
            None => {}
        }
    }

    /// Why there are no keys, where that is known.
    pub fn closed(&self) -> Option<Unopened> {
        self.held().closed.clone()
    }

    /// The key that wraps.
    pub fn newest(&self) -> Option<String> {
        self.held().order.last().cloned()
    }

    /// Ids of all keys, oldest first.
    pub fn ids(&self) -> Vec<String> {
        self.held().order.clone()
    }

    /// Seal a secret that belongs where `bound_to` says, under the newest key.
    pub fn seal(&self, secret: &[u8], bound_to: &str) -> Result<Envelope, Unopened> {
        let newest = self.newest().ok_or_else(|| self.without("at all"))?;
        self.seal_under(&newest, secret, bound_to)
    }

    /// The same under a key of one's choice.
    pub fn seal_under(
        &self,
        key_id: &str,
        secret: &[u8],
        bound_to: &str,
    ) -> Result<Envelope, Unopened> {
        let data_key: Key = Zeroizing::new(random());
        let sealed = encrypt(&data_key, secret, bound_to)?;
        Ok(Envelope {
            wrapped_key: self.wrap(key_id, &data_key, bound_to)?,
            key_id: key_id.to_owned(),
            sealed,
        })
    }

    /// The known text sealed with a key.
    pub fn keycheck(&self, key_id: &str) -> Result<Envelope, Unopened> {
        self.seal_under(key_id, KNOWN, &keycheck_place(key_id))
    }

    /// Whether the key of this name is the one that made the keycheck.
    pub fn verify(&self, check: &Envelope) -> Result<(), Unopened> {
        match self.open(check, &keycheck_place(&check.key_id)) {
            Ok(known) if known.as_slice() == KNOWN => Ok(()),
            Ok(_) | Err(Unopened::Damaged) => Err(Unopened::WrongKey(check.key_id.clone())),
            Err(why) => Err(why),
        }
    }

    /// Open a secret where it belongs.
    pub fn open(
        &self,
        envelope: &Envelope,
        bound_to: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let data_key = self.unwrap(&envelope.key_id, &envelope.wrapped_key, bound_to)?;
        decrypt(&data_key, &envelope.sealed, bound_to)
    }

    /// The same data key under another master key. The secret itself is not touched.
    pub fn rewrap(
        &self,
        (key_id, wrapped_key): (&str, &[u8]),
        bound_to: &str,
        under: &str,
    ) -> Result<Vec<u8>, Unopened> {
        let data_key = self.unwrap(key_id, wrapped_key, bound_to)?;
        self.wrap(under, &data_key, bound_to)
    }

    fn wrap(&self, id: &str, data_key: &Key, bound_to: &str) -> Result<Vec<u8>, Unopened> {
        let held = self.held();
        let key = held.by_id.get(id).ok_or_else(|| self.without(id))?;
        encrypt(key, data_key.as_slice(), &format!("{id} {bound_to}"))
    }

    fn unwrap(&self, id: &str, wrapped_key: &[u8], bound_to: &str) -> Result<Key, Unopened> {
        let held = self.held();
        let key = held.by_id.get(id).ok_or_else(|| self.without(id))?;
        let data_key = decrypt(key, wrapped_key, &format!("{id} {bound_to}"))?;
        let data_key: [u8; KEY] = data_key
            .as_slice()
            .try_into()
            .map_err(|_| Unopened::Damaged)?;
        Ok(Zeroizing::new(data_key))
    }

    fn without(&self, id: &str) -> Unopened {
        self.closed()
            .unwrap_or_else(|| Unopened::NoKey(id.to_owned()))
    }

    fn hold(&self, fresh: Held) {
        *self.held.write().unwrap_or_else(|p| p.into_inner()) = fresh;
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(|p| p.into_inner()).clone()
    }
}

fn keycheck_place(key_id: &str) -> String {
    format!("keycheck/{key_id}")
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Keyring").field(&self.ids()).finish()
    }
}

fn encrypt(key: &Key, plain: &[u8], bound_to: &str) -> Result<Vec<u8>, Unopened> {
    let nonce: [u8; NONCE] = random();
    let cipher =
        XChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_| Unopened::Damaged)?;
    let payload = Payload {
        msg: plain,
        aad: bound_to.as_bytes(),
    };
    let mut sealed = nonce.to_vec();
    sealed.extend(
        cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Unopened::Damaged)?,
    );
    Ok(sealed)
}

fn decrypt(key: &Key, sealed: &[u8], bound_to: &str) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let (nonce, msg) = sealed
        .split_first_chunk::<NONCE>()
        .ok_or(Unopened::Damaged)?;
    let cipher =
        XChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_| Unopened::Damaged)?;
    let payload = Payload {
        msg,
        aad: bound_to.as_bytes(),
    };
    cipher
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| Unopened::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(ids: &[&str]) -> Keyring {
        Keyring::new(ids.iter().map(|id| {
            let byte = id.bytes().next().unwrap();
            ((*id).to_owned(), Zeroizing::new([byte; KEY]))
        }))
    }

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs() {
        let ring = ring(&["a"]);
        let envelope = ring.seal(b"hush", "row 1 of ada").unwrap();
        assert_eq!(
            ring.open(&envelope, "row 1 of ada").unwrap().as_slice(),
            b"hush"
        );
        assert_eq!(ring.open(&envelope, "row 1 of bob"), Err(Unopened::Damaged));
        for at in 0..envelope.sealed.len() {
            let mut bent = envelope.clone();
            bent.sealed[at] ^= 1;
            assert_eq!(ring.open(&bent, "row 1 of ada"), Err(Unopened::Damaged));
        }
        let mut short = envelope.clone();
        short.wrapped_key.truncate(10);
        assert_eq!(ring.open(&short, "row 1 of ada"), Err(Unopened::Damaged));
    }

    #[test]
    fn old_keys_unwrap_and_the_newest_wraps() {
        let old = ring(&["a"]);
        let both = ring(&["a", "b"]);
        let new = ring(&["b"]);
        let envelope = old.seal(b"hush", "here").unwrap();
        assert_eq!(
            new.open(&envelope, "here"),
            Err(Unopened::NoKey("a".to_owned()))
        );
        let wrapped = (envelope.key_id.as_str(), envelope.wrapped_key.as_slice());
        let again = Envelope {
            key_id: "b".to_owned(),
            wrapped_key: both.rewrap(wrapped, "here", "b").unwrap(),
            sealed: envelope.sealed.clone(),
        };
        assert_eq!(new.open(&again, "here").unwrap().as_slice(), b"hush");
        assert_eq!(both.rewrap(wrapped, "there", "b"), Err(Unopened::Damaged));
        assert_eq!(both.newest().unwrap(), "b");
        assert!(Keyring::default().seal(b"hush", "here").is_err());
    }

    #[test]
    fn a_wrong_key_of_the_right_name_is_told_from_a_missing_one() {
        let envelope = ring(&["a"]).seal(b"hush", "here").unwrap();
        let wrong = Keyring::new([("a".to_owned(), Zeroizing::new([9; KEY]))]);
        assert_eq!(wrong.open(&envelope, "here"), Err(Unopened::Damaged));
        let check = ring(&["a"]).keycheck("a").unwrap();
        assert_eq!(ring(&["a", "b"]).verify(&check), Ok(()));
        assert_eq!(
            wrong.verify(&check),
            Err(Unopened::WrongKey("a".to_owned()))
        );
        let none = Err(Unopened::NoKey("a".to_owned()));
        assert_eq!(ring(&["b"]).verify(&check), none);
        assert!(!format!("{wrong:?}").contains('9'));
    }

    #[test]
    fn a_source_is_read_again_and_may_close_the_vault() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let key = |id: &str| (id.to_owned(), Zeroizing::new([7; KEY]));
        let ring = Keyring::from_source(Box::new(move || {
            match TIMES.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(vec![key("a")]),
                1 => Err(Unopened::Exposed("open to all".to_owned())),
                _ => Ok(vec![key("a"), key("b")]),
            }
        }));
        let envelope = ring.seal(b"hush", "here").unwrap();
        ring.reread();
        let shut = Err(Unopened::Exposed("open to all".to_owned()));
        assert_eq!(ring.open(&envelope, "here").map(drop), shut);
        assert_eq!(ring.seal(b"hush", "here").map(drop), shut);
        ring.reread();
        assert_eq!(ring.ids(), ["a", "b"]);
        assert!(ring.open(&envelope, "here").is_ok());
    }
}
