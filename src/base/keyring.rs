//! The keys that wrap the vault's data keys, and the envelopes made with them. Pure: where keys lie is not known here.
//!
//! One random data key per secret; the secret is sealed under it, the data key under a master key. Both are bound to
//! where the secret belongs, so that a ciphertext copied to another row or owner does not open.

use std::collections::BTreeMap;
use std::sync::RwLock;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::secret::random;

/// Bytes of a key and of a nonce.
const KEY: usize = 32;
const NONCE: usize = 24;

/// A key of 256 bits that forgets itself when dropped.
pub type Key = Zeroizing<[u8; KEY]>;

/// Master keys by id, in the order they came: the last one wraps, all unwrap.
#[derive(Default)]
pub struct Keyring(RwLock<Keys>);

#[derive(Clone, Default)]
struct Keys {
    by_id: BTreeMap<String, Key>,
    newest: Option<String>,
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

    /// Take these keys from now on, oldest first.
    pub fn replace(&self, keys: impl IntoIterator<Item = (String, Key)>) {
        let mut fresh = Keys::default();
        for (id, key) in keys {
            fresh.newest = Some(id.clone());
            fresh.by_id.insert(id, key);
        }
        *self.0.write().unwrap_or_else(|p| p.into_inner()) = fresh;
    }

    /// The key that wraps.
    pub fn newest(&self) -> Option<String> {
        self.keys().newest.clone()
    }

    /// Ids of all keys.
    pub fn ids(&self) -> Vec<String> {
        self.keys().by_id.keys().cloned().collect()
    }

    /// Seal a secret that belongs where `bound_to` says.
    pub fn seal(&self, secret: &[u8], bound_to: &str) -> Result<Envelope, Unopened> {
        let data_key: Key = Zeroizing::new(random());
        let sealed = encrypt(&data_key, secret, bound_to)?;
        self.wrap(&data_key, bound_to)
            .map(|(key_id, wrapped_key)| Envelope {
                key_id,
                wrapped_key,
                sealed,
            })
    }

    /// Open a secret where it belongs.
    pub fn open(
        &self,
        envelope: &Envelope,
        bound_to: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let data_key = self.unwrap(envelope, bound_to)?;
        decrypt(&data_key, &envelope.sealed, bound_to)
    }

    /// The same secret with its data key under the newest master key.
    pub fn rewrap(&self, envelope: &Envelope, bound_to: &str) -> Result<Envelope, Unopened> {
        let data_key = self.unwrap(envelope, bound_to)?;
        let (key_id, wrapped_key) = self.wrap(&data_key, bound_to)?;
        Ok(Envelope {
            key_id,
            wrapped_key,
            sealed: envelope.sealed.clone(),
        })
    }

    fn wrap(&self, data_key: &Key, bound_to: &str) -> Result<(String, Vec<u8>), Unopened> {
        let keys = self.keys();
        let none = || Unopened::NoKey("at all".to_owned());
        let id = keys.newest.as_ref().ok_or_else(none)?;
        let key = keys.by_id.get(id).ok_or_else(none)?;
        let wrapped = encrypt(key, data_key.as_slice(), &format!("{id} {bound_to}"))?;
        Ok((id.clone(), wrapped))
    }

    fn unwrap(&self, envelope: &Envelope, bound_to: &str) -> Result<Key, Unopened> {
        let keys = self.keys();
        let id = &envelope.key_id;
        let key = keys
            .by_id
            .get(id)
            .ok_or_else(|| Unopened::NoKey(id.clone()))?;
        let data_key = decrypt(key, &envelope.wrapped_key, &format!("{id} {bound_to}"))?;
        let data_key: [u8; KEY] = data_key
            .as_slice()
            .try_into()
            .map_err(|_| Unopened::Damaged)?;
        Ok(Zeroizing::new(data_key))
    }

    fn keys(&self) -> std::sync::RwLockReadGuard<'_, Keys> {
        self.0.read().unwrap_or_else(|p| p.into_inner())
    }
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
        let again = both.rewrap(&envelope, "here").unwrap();
        assert_eq!(
            (again.key_id.as_str(), &again.sealed),
            ("b", &envelope.sealed)
        );
        assert_eq!(new.open(&again, "here").unwrap().as_slice(), b"hush");
        assert!(Keyring::default().seal(b"hush", "here").is_err());
    }

    #[test]
    fn a_wrong_key_of_the_right_name_is_told_from_a_missing_one() {
        let envelope = ring(&["a"]).seal(b"hush", "here").unwrap();
        let wrong = Keyring::new([("a".to_owned(), Zeroizing::new([9; KEY]))]);
        assert_eq!(wrong.open(&envelope, "here"), Err(Unopened::Damaged));
        assert!(!format!("{wrong:?}").contains('9'));
    }
}
