//! Whether a document stands by itself: its own proof, by a key of its owner that this hub knows. Keys that were rotated
//! away still vouch for what was signed with them.

use diesel::sql_types::Text;
use serde_json::Value;

use super::crypto::PublicKey;
use super::{proof, trust};
use crate::base::{Result, clock};
use crate::db::{Statement, Tx};

/// What a document's own proof is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// It is the owner's word; signed with this key.
    Yes(String),
    /// It carries no proof that anybody here reads.
    NoProof,
    /// It carries one that is not the owner's, or not of this document; the word says why.
    No(&'static str),
    /// The key is not known here; whoever looks at the owner anew may learn it.
    UnknownKey,
}

/// Look at the proof of a document that says to be `owner`'s.
pub async fn vouched(tx: &mut Tx, document: &Value, owner: &str) -> Result<Vouched> {
    let proven = match proof::read(document) {
        Ok(Some(proven)) => proven,
        Ok(None) => return Ok(Vouched::NoProof),
        Err(flaw) => return Ok(Vouched::No(flaw.reason())),
    };
    if !trust::same_origin(&proven.verification_method, owner) {
        return Ok(Vouched::No("proof_not_owner"));
    }
    if proven.is_over(clock::now()) {
        return Ok(Vouched::No("proof_expired"));
    }
    let mut select = Statement::<(Text, Text)>::new(
        "select k.public_key, a.uri from public.ap_keys k join public.ap_actors a on a.id = k.actor_id \
         where k.algorithm = 'ed25519' and k.key_uri = ",
    );
    select.text(&proven.verification_method);
    let rows: Vec<(String, String)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some((key, of)) = rows.into_iter().next() else {
        return Ok(Vouched::UnknownKey);
    };
    if of != owner {
        return Ok(Vouched::No("proof_not_owner"));
    }
    let Ok(key) = PublicKey::from_multibase(&key) else {
        return Ok(Vouched::No("proof_key"));
    };
    Ok(match proven.verify(&key) {
        true => Vouched::Yes(proven.verification_method),
        false => Vouched::No("proof_wrong"),
    })
}
