//! Who asks to read: the actor of another server whose key signed the request, if nothing is held against him.

use uuid::Uuid;

use super::remote::keys::{self, Known};
use super::signature::{self, Claim, Flaw, Head};
use super::{adapter, policy, trust};
use crate::base::{Result, clock};
use crate::net::http::Budget;
use crate::node::Node;

/// What one question may make the hub fetch: a key and its owner, and both again if the key is new.
const FETCHES: u32 = 6;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Nobody who is known; the word says why.
    Nobody(&'static str),
    /// An actor of another server.
    Actor { id: Uuid, uri: String },
    /// Known, and not welcome: suspended, deleted, or of a server that is blocked.
    Unwanted,
}

/// Find out who signed a request.
pub async fn read(node: &Node, head: &Head<'_>) -> Result<Reader> {
    let public_url = node.db.hub().address()?;
    let claim = match signature::read(head, None, public_url, clock::now()) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Ok(Reader::Nobody("unsigned")),
        Err(flaw) => return Ok(Reader::Nobody(flaw.reason())),
    };
    let Some(origin) = trust::origin(&claim.key_id) else {
        return Ok(Reader::Nobody("key_id"));
    };
    // The hub's own actors read here with a session, and nobody borrows their keys.
    if policy::is_ours(node, &claim.key_id) {
        return Ok(Reader::Nobody("local_key"));
    }
    if policy::is_blocked(node, &origin.host_key()).await? {
        return Ok(Reader::Unwanted);
    }

    let budget = Budget::new(FETCHES);
    let known = match Box::pin(keys::find(node, &claim.key_id, &budget)).await {
        Ok(known) => known,
        Err(why) => return Ok(Reader::Nobody(why.reason())),
    };
    if !is_signed_by(node, &claim, &known, &budget).await {
        return Ok(Reader::Nobody(claim.refusal().reason()));
    }
    if known.is_suspended || known.is_deleted {
        return Ok(Reader::Unwanted);
    }
    Ok(Reader::Actor {
        id: known.actor,
        uri: known.owner.clone(),
    })
}

/// Whether the key fits, or a newer one of the same actor does.
async fn is_signed_by(node: &Node, claim: &Claim, known: &Known, budget: &Budget) -> bool {
    if claim.verify(&known.key) {
        return true;
    }
    if claim.refusal() != Flaw::Invalid {
        return false;
    }
    match Box::pin(keys::anew(node, &claim.key_id, known, budget)).await {
        Ok(Some(anew)) => anew.owner == known.owner && claim.verify(&anew.key),
        Ok(None) | Err(_) => false,
    }
}

/// The server that an actor speaks for as a whole: its own actor does so, and only a hub's. None for everybody else.
pub async fn hub_of(node: &Node, actor: &str) -> Result<Option<String>> {
    let stored = adapter::stored(node, actor).await?;
    Ok(stored
        .filter(|stored| stored.is_node)
        .map(|stored| stored.host))
}
