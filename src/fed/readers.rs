//! Who asks to read: the actor of another server whose key signed the request, if nothing is held against him.

use std::sync::LazyLock;
use std::time::Duration;

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use moka::sync::Cache;
use uuid::Uuid;

use super::crypto::PublicKey;
use super::signature::{self, Head};
use crate::base::{Caller, Error, Result, clock};
use crate::db::{Statement, Tx};
use crate::node::Node;

/// Keys by their text, since reading one costs more than looking it up.
static PARSED: LazyLock<Cache<String, PublicKey>> = LazyLock::new(|| {
    Cache::builder()
        .max_capacity(10_000)
        .time_to_idle(Duration::from_secs(3600))
        .build()
});

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Nobody who is known; the word says why.
    Nobody(&'static str),
    /// An actor of another server.
    Actor {
        id: Uuid,
        uri: String,
        host: String,
        /// Whether it speaks for a whole hub: its server's own actor, by its document.
        is_node: bool,
    },
    /// Known, and not welcome: suspended, deleted, or of a server that is blocked.
    Unwanted,
}

/// Find out who signed a request.
pub async fn read(node: &Node, head: &Head<'_>) -> Result<Reader> {
    let public_url = node
        .db
        .hub()
        .public_url()
        .ok_or_else(|| Error::busy("The hub is still starting."))?;
    let claim = match signature::read(head, None, public_url, clock::now()) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Ok(Reader::Nobody("unsigned")),
        Err(flaw) => return Ok(Reader::Nobody(flaw.reason())),
    };
    let Some(known) = key(node, &claim.key_id).await? else {
        return Ok(Reader::Nobody("key_unknown"));
    };
    if !claim.verify(&known.key) {
        return Ok(Reader::Nobody(claim.refusal().reason()));
    }
    if known.is_unwanted {
        return Ok(Reader::Unwanted);
    }
    Ok(Reader::Actor {
        id: known.id,
        uri: known.uri,
        host: known.host,
        is_node: known.is_node,
    })
}

struct Known {
    key: PublicKey,
    id: Uuid,
    uri: String,
    host: String,
    is_unwanted: bool,
    is_node: bool,
}

async fn key(node: &Node, key_id: &str) -> Result<Option<Known>> {
    type Row = (Text, SqlUuid, Text, Text, Bool, Bool);
    let mut ask = Statement::<Row>::new(
        "select k.public_key, a.id, a.uri, a.host, a.suspended_at is not null or a.deleted_at is not null \
         or coalesce((hub.host_policy(a.host)).policy, '') = 'block', hub.is_node_document(a.type, a.document) \
         from public.ap_keys k join public.ap_actors a on a.id = k.actor_id where a.kind is null and k.key_uri = ",
    );
    ask.text(key_id);
    type Found = (String, Uuid, String, String, bool, bool);
    let rows: Vec<Found> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    let Some((text, id, uri, host, is_unwanted, is_node)) = rows.into_iter().next() else {
        return Ok(None);
    };
    Ok(parsed(&text).map(|key| Known {
        key,
        id,
        uri,
        host,
        is_unwanted,
        is_node,
    }))
}

fn parsed(text: &str) -> Option<PublicKey> {
    if let Some(key) = PARSED.get(text) {
        return Some(key);
    }
    let key = match text.starts_with('z') {
        true => PublicKey::from_multibase(text),
        false => PublicKey::from_pem(text),
    }
    .ok()?;
    PARSED.insert(text.to_owned(), key.clone());
    Some(key)
}
