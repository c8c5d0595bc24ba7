//! Whose a post is: by the signature of its request, by a proof in it, or, for what others pass on, by asking its origin
//! later. A signature of a JSON-LD document is never an authority (S-19).

use std::sync::Arc;

use diesel::sql_types::Text;

use super::checks::Checked;
use super::{Posted, Recipient, Refusal, Stop, origin};
use crate::base::{Caller, Result, clock};
use crate::db::{Statement, Tx};
use crate::fed::crypto::PublicKey;
use crate::fed::intake::Via;
use crate::fed::remote::keys::{self, Known};
use crate::fed::remote::{FETCHES, Unreached};
use crate::fed::signature::{self, Claim};
use crate::fed::{policy, proof, trust};
use crate::net::http::Budget;
use crate::node::Node;

/// What one post may make the hub fetch before it is answered: a key, its owner, and both again if the key is new.
const BEFORE_THE_ANSWER: u32 = 6;

/// What is addressed to one server alone and passed on by nobody.
const NOT_PASSED_ON: &[&str] = &[
    "Accept",
    "Block",
    "Flag",
    "Follow",
    "Invite",
    "Join",
    "Leave",
    "Move",
    "Offer",
    "QuoteRequest",
    "Reject",
];

/// By what its author is known, or why he is not.
pub(super) async fn known(
    node: &Node,
    posted: &Posted<'_>,
    checked: &Checked,
    recipient: Recipient,
) -> Result<Via, Stop> {
    let budget = Budget::new(BEFORE_THE_ANSWER.min(FETCHES));
    let has_proof = checked.document.value().get("proof").is_some();
    let url = node.db.hub().address()?;
    let claim = signature::read(&posted.head, Some(posted.body), url, clock::now());
    let refusal = match claim {
        Ok(Some(claim)) => {
            let owner = claim.key_id.split('#').next().unwrap_or_default();
            // A proof of somebody else's tells more than the signature of whoever passes it on.
            if has_proof && !trust::same_origin(owner, &checked.actor) {
                return by_proof(node, checked, &budget).await;
            }
            match signed(node, checked, &claim, &budget).await {
                Ok(by) if by.owner == checked.actor => {
                    return allowed(&by).map(|()| Via::Signature(claim.scheme));
                }
                Ok(by) if has_proof => {
                    allowed(&by)?;
                    return by_proof(node, checked, &budget).await;
                }
                Ok(by) => {
                    allowed(&by)?;
                    return Err(passed_on(node, checked, &by, recipient));
                }
                Err(Stop::Refuse(refusal))
                    if refusal.status == 401 || (refusal.status == 503 && has_proof) =>
                {
                    refusal
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(None) => Refusal::new(401, "unsigned"),
        Err(flaw) => Refusal::new(flaw.status(), flaw.reason()),
    };
    if !has_proof || !matches!(refusal.status, 401 | 503) {
        return Err(refusal.into());
    }
    match by_proof(node, checked, &budget).await {
        // Nobody can say yet whether the signature fits: that word is kinder than the proof's.
        Err(Stop::Refuse(_)) if refusal.status == 503 => Err(refusal.into()),
        told => told,
    }
}

/// Who signed the request.
async fn signed(
    node: &Node,
    checked: &Checked,
    claim: &Claim,
    budget: &Budget,
) -> Result<Arc<Known>, Stop> {
    let origin = trust::origin(&claim.key_id).ok_or(Refusal::new(401, "key_id"))?;
    if origin.host_key() != checked.host && policy::is_blocked(node, &origin.host_key()).await? {
        return Err(Refusal::new(403, "blocked").into());
    }
    if policy::is_ours(node, &claim.key_id) {
        return Err(Refusal::new(401, "key_owner_mismatch").into());
    }
    let by = find(node, checked, &claim.key_id, budget).await?;
    if claim.verify(&by.key) {
        return Ok(by);
    }
    let refusal = claim.refusal();
    if refusal != signature::Flaw::Invalid {
        return Err(Refusal::new(refusal.status(), refusal.reason()).into());
    }
    let is_it = |key: &PublicKey| claim.verify(key);
    match with_new_key(node, &claim.key_id, &by, is_it, budget).await? {
        Some(by) => Ok(by),
        None => Err(Refusal::new(401, "signature_invalid").into()),
    }
}

/// A key; where it takes asking a server, what was seen before is not worth it.
async fn find(
    node: &Node,
    checked: &Checked,
    key_id: &str,
    budget: &Budget,
) -> Result<Arc<Known>, Stop> {
    match Box::pin(keys::find(node, key_id, budget)).await {
        Ok(by) => Ok(by),
        // It may have come before, while its sender was still there.
        Err(why) if is_kept(node, &checked.id).await? => {
            tracing::debug!(event = "inbox_seen", reason = why.reason());
            Err(Stop::Seen)
        }
        Err(why) => Err(why.into()),
    }
}

/// Look for a new key of the same owner, once in a while.
async fn with_new_key(
    node: &Node,
    key_id: &str,
    by: &Known,
    is_it: impl Fn(&PublicKey) -> bool,
    budget: &Budget,
) -> Result<Option<Arc<Known>>, Stop> {
    match Box::pin(keys::anew(node, key_id, by, budget)).await {
        Ok(found) => Ok(found.filter(|by| is_it(&by.key))),
        Err(Unreached::Down(wait)) => Err(Refusal::later("key_looked_at_lately", wait).into()),
        Err(why) => Err(why.into()),
    }
}

/// By the proof that the activity's own actor has put into it.
async fn by_proof(node: &Node, checked: &Checked, budget: &Budget) -> Result<Via, Stop> {
    let by = proven(node, checked, budget).await?;
    allowed(&by)?;
    Ok(Via::Proof)
}

async fn proven(node: &Node, checked: &Checked, budget: &Budget) -> Result<Arc<Known>, Stop> {
    let bad = |reason| Stop::Refuse(Refusal::new(401, reason));
    let proof = proof::read(checked.document.value())
        .map_err(|flaw| bad(flaw.reason()))?
        .ok_or(bad("proof_unknown"))?;
    if proof.is_over(clock::now()) {
        return Err(bad("proof_expired"));
    }
    // Whoever made it answers for the actor's server; nobody else is even asked.
    if !trust::same_origin(&proof.verification_method, &checked.actor) {
        return Err(bad("proof_owner_mismatch"));
    }
    let by = find(node, checked, &proof.verification_method, budget).await?;
    if by.owner != checked.actor {
        return Err(bad("proof_owner_mismatch"));
    }
    if proof.verify(&by.key) {
        return Ok(by);
    }
    let is_it = |key: &PublicKey| proof.verify(key);
    with_new_key(node, &proof.verification_method, &by, is_it, budget)
        .await?
        .filter(|by| by.owner == checked.actor)
        .ok_or(bad("proof_invalid"))
}

/// Whether a document was proved by its actor; for what comes inside something else.
pub async fn is_proven(node: &Node, checked: &Checked, budget: &Budget) -> Result<bool, Unreached> {
    match proven(node, checked, budget).await {
        Ok(by) => Ok(!by.is_deleted && !by.is_suspended),
        Err(Stop::Refuse(refusal)) if refusal.status == 503 => {
            Err(Unreached::Down(refusal.wait.unwrap_or_default()))
        }
        Err(_) => Ok(false),
    }
}

fn allowed(by: &Known) -> Result<(), Stop> {
    if by.is_suspended {
        return Err(Stop::Drop("suspended"));
    }
    if by.is_deleted {
        return Err(Stop::Drop("actor_gone"));
    }
    Ok(())
}

/// Signed well, but by somebody else, and without a proof: its origin is asked after the answer was given.
fn passed_on(node: &Node, checked: &Checked, by: &Known, recipient: Recipient) -> Stop {
    if NOT_PASSED_ON.contains(&checked.kind.as_str()) {
        return Refusal::new(401, "key_owner_mismatch").into();
    }
    origin::ask_later(node, checked, recipient);
    tracing::debug!(event = "inbox_passed_on", by = %by.owner, activity_id = %checked.id);
    Stop::Later
}

/// Whether an activity of this id was kept before.
async fn is_kept(node: &Node, id: &str) -> Result<bool> {
    let mut ask = Statement::<Text>::new("select uri from public.ap_received where uri = ");
    ask.text(id);
    let found: Vec<String> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    Ok(!found.is_empty())
}
