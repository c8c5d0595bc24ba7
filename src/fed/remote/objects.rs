//! Objects of other servers, believed only where their id is what was asked (S-54, S-55).

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::Unreached;
use super::fetch::{self, Fetched, Wanted};
use crate::fed::keys::Signer;
use crate::fed::trust;
use crate::net::http::Budget;
use crate::node::Node;

/// An object as its own server shows it to whoever is meant: public ones to the instance actor, others to the local actor
/// whom they are addressed to (R16).
pub async fn object(
    node: &Node,
    uri: &str,
    signed_by: Option<Uuid>,
    budget: &Budget,
) -> Result<Value, Unreached> {
    let signer = fetch::signer(node, signed_by).await;
    let fetched = fetch(node, uri, Wanted::Activity, signer.as_deref(), budget).await?;
    Ok(fetched.document.into_value())
}

/// Fetch what calls itself by the address that it came from; once more from its own id where that is on the same host.
pub async fn fetch(
    node: &Node,
    uri: &str,
    wanted: Wanted,
    signer: Option<&Signer>,
    budget: &Budget,
) -> Result<Fetched, Unreached> {
    let fetched = fetch::document(node, uri, wanted, signer, budget).await?;
    let id = fetched.document.id().ok_or(Unreached::Refused("no_id"))?;
    if is_address(id, &fetched.url) {
        return Ok(fetched);
    }
    if !trust::same_origin(id, fetched.url.as_str()) {
        return Err(Unreached::Refused("id_elsewhere"));
    }
    let id = id.to_owned();
    let again = fetch::document(node, &id, wanted, signer, budget).await?;
    match again.document.id() {
        Some(own) if is_address(own, &again.url) => Ok(again),
        _ => Err(Unreached::Refused("id_mismatch")),
    }
}

/// Whether an id is the address, but for its fragment.
fn is_address(id: &str, address: &Url) -> bool {
    if trust::origin(id).is_none() {
        return false;
    }
    Url::parse(id).is_ok_and(|mut id| {
        id.set_fragment(None);
        id == *address
    })
}
