//! Keys of actors: RSA signs requests, Ed25519 signs documents.
//! Foreign keys are read strictly (S-14) and only here; a parsed key is cheap to clone, so keep it instead of its text.

#[cfg(test)]
pub mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaKeyPair, RsaParameters,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::base::{Error, Result};

/// No key in PEM is longer; an RSA key of 4096 bits has about 800 bytes.
const LONGEST_PEM: usize = 8 * 1024;

/// How many bits an RSA key may have: fewer can be broken, more only cost time.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// The multicodec number of an Ed25519 public key, as varint.
const ED25519_CODEC: [u8; 2] = [0xed, 0x01];

/// An Ed25519 key as `SubjectPublicKeyInfo` is this and 32 bytes.
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The y coordinates of the points of small order, in every spelling: a signature under such a key fits many messages.
const SMALL_ORDER: [[u8; 32]; 7] = [
    y(0x00, 0x00, 0x00),
    y(0x01, 0x00, 0x00),
    y(0xec, 0xff, 0x7f),
    y(0xed, 0xff, 0x7f),
    y(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn y(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// What a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS#1 v1.5 padding: what the fediverse signs requests with.
    Rsa,
    /// Ed25519: what signs documents.
    Ed25519,
}

/// With which hash an RSA signature was made; Ed25519 has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// The usual one.
    Sha256,
    /// Seen with `hs2019`.
    Sha512,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFlaw {
    /// More text than any key has.
    #[error("the key is too long")]
    TooLong,
    /// Not PEM or Multikey as it should be, or something around it.
    #[error("the key cannot be read")]
    Encoding,
    /// Neither RSA nor Ed25519.
    #[error("the key is of a kind that is not supported")]
    Kind,
    /// Too small, too large, or of a form that proves nothing.
    #[error("the key is too weak or too large")]
    Strength,
}

impl KeyFlaw {
    /// The word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "key_too_long",
            Self::Encoding => "key_encoding",
            Self::Kind => "key_kind",
            Self::Strength => "key_strength",
        }
    }
}

/// A public key that was read and found good.
#[derive(Clone)]
pub struct PublicKey(Arc<Public>);

struct Public {
    algorithm: Algorithm,
    /// As `SubjectPublicKeyInfo`.
    der: Vec<u8>,
    parsed: ParsedPublicKey,
    /// The same RSA key with the other hash, once somebody asks for it.
    sha512: OnceLock<Option<ParsedPublicKey>>,
}

impl PublicKey {
    /// Read a key in PEM: `SubjectPublicKeyInfo` (RSA, Ed25519) or PKCS#1 (RSA), and nothing else in the text.
    pub fn from_pem(pem: &str) -> Result<Self, KeyFlaw> {
        if pem.len() > LONGEST_PEM {
            return Err(KeyFlaw::TooLong);
        }
        if let Some(der) = unwrapped(pem, "PUBLIC KEY")? {
            return match der.strip_prefix(&ED25519_SPKI) {
                Some(bytes) => Self::ed25519(bytes),
                None => Self::rsa(&der, true),
            };
        }
        match unwrapped(pem, "RSA PUBLIC KEY")? {
            Some(der) => Self::rsa(&der, false),
            None => Err(KeyFlaw::Encoding),
        }
    }

    /// Read an Ed25519 key in the form of Multikey: `z6Mk…`.
    pub fn from_multibase(text: &str) -> Result<Self, KeyFlaw> {
        if text.len() > 64 {
            return Err(KeyFlaw::TooLong);
        }
        let coded = text.strip_prefix('z').ok_or(KeyFlaw::Encoding)?;
        let bytes = bs58::decode(coded)
            .into_vec()
            .map_err(|_| KeyFlaw::Encoding)?;
        let key = bytes.strip_prefix(&ED25519_CODEC).ok_or(KeyFlaw::Kind)?;
        Self::ed25519(key)
    }

    fn ed25519(bytes: &[u8]) -> Result<Self, KeyFlaw> {
        let mut point: [u8; 32] = bytes.try_into().map_err(|_| KeyFlaw::Encoding)?;
        let parsed =
            ParsedPublicKey::new(&signature::ED25519, point).map_err(|_| KeyFlaw::Encoding)?;
        let der = [&ED25519_SPKI[..], bytes].concat();

        // The highest bit is the sign of x, which the order does not depend on.
        point[31] &= 0x7f;
        if SMALL_ORDER.contains(&point) {
            return Err(KeyFlaw::Strength);
        }
        Ok(Self::new(Algorithm::Ed25519, der, parsed))
    }

    fn rsa(given: &[u8], spki: bool) -> Result<Self, KeyFlaw> {
        let key = aws_lc_rs::rsa::PublicKey::from_der(given).map_err(|_| KeyFlaw::Kind)?;
        let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| KeyFlaw::Encoding)?;
        // Written again it must be the same: nothing behind it, no second spelling.
        let same = if spki { der.as_ref() } else { key.as_ref() };
        if same != given {
            return Err(KeyFlaw::Encoding);
        }
        let bits =
            RsaParameters::public_modulus_len(key.as_ref()).map_err(|_| KeyFlaw::Encoding)?;
        if !RSA_BITS.contains(&bits) {
            return Err(KeyFlaw::Strength);
        }
        let parsed = ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key.as_ref())
            .map_err(|_| KeyFlaw::Encoding)?;
        Ok(Self::new(Algorithm::Rsa, der.as_ref().to_vec(), parsed))
    }

    fn new(algorithm: Algorithm, der: Vec<u8>, parsed: ParsedPublicKey) -> Self {
        Self(Arc::new(Public {
            algorithm,
            der,
            parsed,
            sha512: OnceLock::new(),
        }))
    }

    /// The key as PEM, `SubjectPublicKeyInfo`.
    pub fn to_pem(&self) -> String {
        let coded = STANDARD.encode(&self.0.der);
        let mut pem = String::with_capacity(coded.len() + coded.len() / 64 + 64);
        pem.push_str("-----BEGIN PUBLIC KEY-----\n");
        let mut rest = coded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }

    /// The key as Multikey, if it is one that signs documents.
    pub fn to_multibase(&self) -> Option<String> {
        let bytes = self.0.der.strip_prefix(&ED25519_SPKI)?;
        let coded = bs58::encode([&ED25519_CODEC[..], bytes].concat()).into_string();
        Some(format!("z{coded}"))
    }

    /// What the key can do.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The same for two keys only if they are the same key: SHA-256 over the key, in hex.
    pub fn fingerprint(&self) -> String {
        digest::digest(&digest::SHA256, &self.0.der)
            .as_ref()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                hex.push_str(&format!("{byte:02x}"));
                hex
            })
    }

    /// Whether the owner of this key signed the message.
    pub fn verify(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let parsed = match (self.0.algorithm, hash) {
            (Algorithm::Rsa, Hash::Sha512) => self
                .0
                .sha512
                .get_or_init(|| {
                    ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA512, &self.0.der).ok()
                })
                .as_ref(),
            _ => Some(&self.0.parsed),
        };
        parsed.is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.0.algorithm, self.fingerprint())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for PublicKey {}

/// What is between the two lines of PEM with this label; none if the text begins otherwise.
fn unwrapped(pem: &str, label: &str) -> Result<Option<Vec<u8>>, KeyFlaw> {
    let inside = pem
        .trim_ascii()
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.strip_prefix(label))
        .and_then(|rest| rest.strip_prefix("-----"));
    let Some(inside) = inside else {
        return Ok(None);
    };
    let coded: String = inside
        .strip_suffix("-----")
        .and_then(|rest| rest.strip_suffix(label))
        .and_then(|rest| rest.strip_suffix("-----END "))
        .ok_or(KeyFlaw::Encoding)?
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    STANDARD
        .decode(coded)
        .map(Some)
        .map_err(|_| KeyFlaw::Encoding)
}

/// A private key of one of our actors. It never prints itself.
#[derive(Clone)]
pub struct PrivateKey(Arc<Private>);

struct Private {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// A fresh key: RSA of 2048 bits, or Ed25519.
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        let broken = |_| Error::broken(anyhow::anyhow!("no key could be made"));
        let pair = match algorithm {
            Algorithm::Rsa => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(broken)?),
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(broken)?),
        };
        Self::new(pair).map_err(Error::broken)
    }

    /// A key that was kept.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyFlaw> {
        let pair = match algorithm {
            Algorithm::Rsa => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa),
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed25519),
        };
        Self::new(pair.map_err(|_| KeyFlaw::Encoding)?)
    }

    fn new(pair: Pair) -> Result<Self, KeyFlaw> {
        let public = match &pair {
            Pair::Rsa(pair) => PublicKey::rsa(pair.public_key().as_ref(), false)?,
            Pair::Ed25519(pair) => PublicKey::ed25519(pair.public_key().as_ref())?,
        };
        Ok(Self(Arc::new(Private { pair, public })))
    }

    /// The key to keep; seal it before it goes anywhere.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let der: Result<Pkcs8V1Der<'_>, _> = match &self.0.pair {
            Pair::Rsa(pair) => pair.as_der(),
            Pair::Ed25519(pair) => pair.as_der(),
        };
        let der = der.expect("a key that was read can be written");
        Zeroizing::new(der.as_ref().to_vec())
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// Sign a message: PKCS#1 v1.5 over SHA-256, or Ed25519.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = &signature::RSA_PKCS1_SHA256;
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .expect("a whole RSA key signs");
                signature
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[secret] of {:?}", self.0.public)
    }
}
