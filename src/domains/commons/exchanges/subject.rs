//! What is answered by an offer: a listing or a declaration, of this hub or of another.

use serde_json::Value;
use uuid::Uuid;

use crate::base::{Result, clock};
use crate::db::Tx;
use crate::domains::commons::declarations::{self, Declaration};
use crate::domains::market::listings::{self, Listing};
use crate::domains::market::terms::Terms;
use crate::domains::social::actors as people;

/// What somebody may answer.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `listings` or `declarations`.
    pub kind: &'static str,
    pub id: Uuid,
    pub uri: String,
    pub terms: Terms,
    /// Whose it is, if he has an account here.
    pub owner: Option<Uuid>,
    /// Who declared it.
    pub actor: Uuid,
    pub is_open: bool,
    /// How it is exchanged, in words of a row.
    pub mode: String,
    pub community: Option<String>,
}

impl Subject {
    /// Whether it stands in an exchange as what is offered.
    pub fn offers(&self) -> bool {
        super::bargain::proposer_gives(&self.terms)
    }
}

/// By which name, and for whom, it is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Named<'a> {
    /// What the caller may read, by id or address.
    Seen(&'static str, &'a str),
    /// Of this hub, by address, whoever asks.
    Own(&'a str),
}

/// Look for it.
pub async fn find(tx: &mut Tx, named: Named<'_>) -> Result<Option<Subject>> {
    match named {
        Named::Seen("declarations", name) => match declarations::seen(tx, name).await? {
            Some(it) => of_declaration(tx, it).await,
            None => Ok(None),
        },
        Named::Seen(_, name) => match listings::seen(tx, name).await? {
            Some(it) => of_listing(tx, it).await,
            None => Ok(None),
        },
        Named::Own(uri) => match declarations::by_uri(tx, uri).await? {
            Some(it) if it.owner_id.is_some() => of_declaration(tx, it).await,
            Some(_) => Ok(None),
            None => match listings::by_uri(tx, uri).await? {
                Some(it) if it.owner_id.is_some() => of_listing(tx, it).await,
                _ => Ok(None),
            },
        },
    }
}

async fn of_declaration(tx: &mut Tx, it: Declaration) -> Result<Option<Subject>> {
    let Ok(terms) = it.terms() else {
        return Ok(None);
    };
    let actor = match (it.owner_id, it.origin_actor_id) {
        (Some(owner), _) => people::author(tx, owner, it.author_actor_id)
            .await?
            .map(|author| author.id),
        (None, origin) => origin,
    };
    let (Some(actor), Some(uri)) = (actor, it.federated_ap_id.clone()) else {
        return Ok(None);
    };
    Ok(Some(Subject {
        kind: "declarations",
        id: it.id,
        uri,
        terms,
        owner: it.owner_id,
        actor,
        is_open: it.is_open(clock::now()),
        mode: declarations::wire::mode(&it).to_owned(),
        community: community(&it.raw, &it.community),
    }))
}

/// A listing as something that may be answered.
async fn of_listing(tx: &mut Tx, it: Listing) -> Result<Option<Subject>> {
    let Ok(terms) = it.terms() else {
        return Ok(None);
    };
    let actor = match (it.owner_id, it.origin_actor_id) {
        (Some(owner), _) => people::author(tx, owner, it.author_actor_id)
            .await?
            .map(|author| author.id),
        (None, origin) => origin,
    };
    let (Some(actor), Some(uri)) = (actor, it.federated_ap_id.clone()) else {
        return Ok(None);
    };
    let mode = match (it.price_kind(), &terms.reciprocal) {
        ("time_credit", _) => "time_banking",
        (_, None) => "gift",
        _ => "monetary",
    };
    Ok(Some(Subject {
        kind: "listings",
        id: it.id,
        uri,
        terms,
        owner: it.owner_id,
        actor,
        is_open: it.is_open(clock::now()),
        mode: mode.to_owned(),
        community: community(&it.raw, &it.community),
    }))
}

/// Whose limit of credit applies; of what came from elsewhere as it says itself.
fn community(raw: &Option<Value>, own: &Option<String>) -> Option<String> {
    match raw {
        Some(raw) => raw.get("mo:community")?.as_str().map(str::to_owned),
        None => own.clone(),
    }
}
