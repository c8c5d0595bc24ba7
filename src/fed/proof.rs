//! Integrity proofs of documents (FEP-8b32, `eddsa-jcs-2022`): whoever passes a document on need not be trusted.
//! Whose key it is, and whether that one owns the document, is the caller's question.

#[cfg(test)]
mod tests;

use aws_lc_rs::digest;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Number, Value, json};

use super::crypto::{Algorithm, Hash, PrivateKey, PublicKey};
use crate::base::{Error, Result};

/// What we sign with, and the name that an older peer gives to the same.
const SUITES: [&str; 2] = ["eddsa-jcs-2022", "jcs-eddsa-2022"];

const TYPE: &str = "DataIntegrityProof";

/// The largest whole number that every reader of JSON takes for itself.
const LARGEST: u64 = (1 << 53) - 1;

/// No key's id is longer.
const LONGEST_KEY_ID: usize = 2 * 1024;

/// Of so many proofs on one document the one that we can read is looked for.
const MOST_PROOFS: usize = 8;

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not what a proof looks like.
    #[error("the proof cannot be read")]
    Malformed,
    /// A proof for something else than saying so.
    #[error("the proof is for another purpose")]
    Purpose,
    /// The proof was made in another context.
    #[error("the context of the proof is not the document's")]
    Context,
    /// A number that two readers may take for different ones.
    #[error("the document has a number that cannot be signed")]
    Number,
}

impl Flaw {
    /// The word for the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed => "proof_malformed",
            Self::Purpose => "proof_purpose",
            Self::Context => "proof_context",
            Self::Number => "proof_number",
        }
    }
}

/// A proof that was read; worth nothing until it is verified with the owner's key.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The id of the key.
    pub verification_method: String,
    /// When it was made, as the signer says.
    pub created: Option<DateTime<Utc>>,
    /// Until when it counts, if it says so.
    pub expires: Option<DateTime<Utc>>,
    /// What may have been signed.
    messages: Vec<[u8; 64]>,
    signature: [u8; 64],
}

impl Proven {
    /// Whether the document was signed with this key.
    pub fn verify(&self, key: &PublicKey) -> bool {
        key.algorithm() == Algorithm::Ed25519
            && self
                .messages
                .iter()
                .any(|message| key.verify(Hash::Sha256, message, &self.signature))
    }

    /// Whether the signer's word is over.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|end| end < now)
    }
}

/// Sign a document: adds `proof`, in place of one that is there.
pub fn prove(
    document: &mut Value,
    verification_method: &str,
    key: &PrivateKey,
    now: DateTime<Utc>,
) -> Result<()> {
    let unfit = |what: &str| Error::broken(anyhow::anyhow!("cannot prove a document: {what}"));
    if key.public().algorithm() != Algorithm::Ed25519 {
        return Err(unfit("the key is not Ed25519"));
    }
    if !numbers_fit(document, false, true) {
        return Err(unfit("a number that not everybody reads the same"));
    }
    let Some(object) = document.as_object_mut() else {
        return Err(unfit("not an object"));
    };
    object.shift_remove("proof");
    let Some(context) = object.get("@context") else {
        return Err(unfit("no context"));
    };

    let mut proof = Map::new();
    for (name, value) in [
        ("type", json!(TYPE)),
        ("cryptosuite", json!(SUITES[0])),
        (
            "created",
            json!(now.to_rfc3339_opts(SecondsFormat::Secs, true)),
        ),
        ("proofPurpose", json!("assertionMethod")),
        ("verificationMethod", json!(verification_method)),
        ("@context", context.clone()),
    ] {
        proof.insert(name.to_owned(), value);
    }
    let own = hash(&proof).map_err(Error::broken)?;
    let whole = hash(&*object).map_err(Error::broken)?;
    let signature = bs58::encode(key.sign(&message(&own, &whole))).into_string();
    proof.insert("proofValue".to_owned(), json!(format!("z{signature}")));
    object.insert("proof".to_owned(), Value::Object(proof));
    Ok(())
}

/// The canonical text of a document, which hashes are made of.
pub fn canonical(document: &Value) -> Result<String> {
    serde_jcs::to_string(document).map_err(Error::broken)
}

/// A hash as the wire has it: `z…`.
pub fn multibase(hash: &[u8]) -> String {
    format!("z{}", bs58::encode(hash).into_string())
}

/// Read the proof of a document; none if it has none that we know.
pub fn read(document: &Value) -> Result<Option<Proven>, Flaw> {
    let Some(object) = document.as_object() else {
        return Ok(None);
    };
    let Some(proof) = object.get("proof").and_then(known) else {
        return Ok(None);
    };
    let text = |name: &str| proof.get(name).and_then(Value::as_str);
    let time = |name: &str| match proof.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
            .map(|time| Some(time.with_timezone(&Utc)))
            .ok_or(Flaw::Malformed),
    };

    if text("proofPurpose") != Some("assertionMethod") {
        return Err(Flaw::Purpose);
    }
    let verification_method = text("verificationMethod").ok_or(Flaw::Malformed)?;
    if verification_method.len() > LONGEST_KEY_ID
        || verification_method.chars().any(char::is_control)
    {
        return Err(Flaw::Malformed);
    }
    let signature = signature(text("proofValue").ok_or(Flaw::Malformed)?)?;
    let (created, expires) = (time("created")?, time("expires")?);
    if !numbers_fit(document, true, true) {
        return Err(Flaw::Number);
    }

    Ok(Some(Proven {
        verification_method: verification_method.to_owned(),
        created,
        expires,
        messages: messages(object, proof)?,
        signature,
    }))
}

/// The proof that we can read, among one or several.
fn known(proofs: &Value) -> Option<&Map<String, Value>> {
    super::vocab::many(proofs)
        .iter()
        .take(MOST_PROOFS)
        .filter_map(Value::as_object)
        .find(|proof| {
            let is = |name: &str, values: &[&str]| {
                proof
                    .get(name)
                    .and_then(Value::as_str)
                    .is_some_and(|value| values.contains(&value))
            };
            is("type", &[TYPE]) && is("cryptosuite", &SUITES)
        })
}

/// 64 bytes in base58, as `z…`.
fn signature(text: &str) -> Result<[u8; 64], Flaw> {
    let coded = text.strip_prefix('z').ok_or(Flaw::Malformed)?;
    if coded.len() > 100 {
        return Err(Flaw::Malformed);
    }
    bs58::decode(coded)
        .into_vec()
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Flaw::Malformed)
}

/// What may have been signed (R5): the proof as it came, or with the document's context if it has none of its own;
/// and the document without proof, also without an older signature beside it.
fn messages(
    object: &Map<String, Value>,
    proof: &Map<String, Value>,
) -> Result<Vec<[u8; 64]>, Flaw> {
    let context = object.get("@context");
    let mut proof = proof.clone();
    proof.shift_remove("proofValue");
    let mut document = object.clone();
    document.shift_remove("proof");

    let mut proofs = vec![hashed(&proof)?];
    let mut documents = Vec::with_capacity(3);
    match (proof.get("@context"), context) {
        (None, Some(context)) => {
            let mut with_context = proof.clone();
            with_context.insert("@context".to_owned(), context.clone());
            proofs.push(hashed(&with_context)?);
        }
        (None, None) => {}
        (Some(own), Some(context)) if own == context => {}
        (Some(own), Some(context)) if begins(context, own) => {
            // Whoever added to the context later did not sign that: it is read as it was signed.
            let mut as_signed = document.clone();
            as_signed.insert("@context".to_owned(), own.clone());
            as_signed.shift_remove("signature");
            documents.push(hashed(&as_signed)?);
        }
        _ => return Err(Flaw::Context),
    }
    let older = document.contains_key("signature");
    documents.push(hashed(&document)?);
    if older {
        document.shift_remove("signature");
        documents.push(hashed(&document)?);
    }

    Ok(proofs
        .iter()
        .flat_map(|proof| {
            documents
                .iter()
                .map(move |document| message(proof, document))
        })
        .collect())
}

/// Whether one context begins with the other.
fn begins(whole: &Value, with: &Value) -> bool {
    super::vocab::many(whole).starts_with(super::vocab::many(with))
}

fn message(proof: &[u8; 32], document: &[u8; 32]) -> [u8; 64] {
    let mut both = [0; 64];
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(proof);
    second.copy_from_slice(document);
    both
}

fn hash(value: &impl serde::Serialize) -> serde_json::Result<[u8; 32]> {
    let canonical = serde_jcs::to_vec(value)?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, &canonical).as_ref());
    Ok(hash)
}

fn hashed(value: &Map<String, Value>) -> Result<[u8; 32], Flaw> {
    hash(value).map_err(|_| Flaw::Malformed)
}

/// Whether all numbers can be signed: none so large that its canonical form is another's too, and (of our own)
/// fractions only in places (R7). The document's proof is not looked at.
fn numbers_fit(value: &Value, fractions: bool, top: bool) -> bool {
    match value {
        Value::Number(number) => whole(number).unwrap_or(fractions),
        Value::Array(values) => values.iter().all(|one| numbers_fit(one, fractions, false)),
        Value::Object(object) => {
            let inside = fractions || object.get("type").is_some_and(|kind| kind == "Place");
            object
                .iter()
                .filter(|(key, _)| !(top && *key == "proof"))
                .all(|(_, one)| numbers_fit(one, inside, false))
        }
        _ => true,
    }
}

/// Whether a whole number is small enough; none for a fraction.
fn whole(number: &Number) -> Option<bool> {
    let size = number.as_u64().or(number.as_i64().map(i64::unsigned_abs))?;
    Some(size <= LARGEST)
}
