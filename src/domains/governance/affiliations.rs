//! Who belongs to a public DAO and as what, as documents that stand alone: each has an address and the DAO's own proof
//! (CONTRACT section 4, R6).

use chrono::{DateTime, Utc};
use diesel::sql_types::{Jsonb, Nullable};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::daos::{self, Dao};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{self, Local, time};
use crate::fed::{collections, keys, proof, vocab};
use crate::node::incoming::{Part, Shown, Wanted};

/// How one member belongs to a DAO.
#[derive(Debug, Deserialize)]
struct Affiliation {
    id: Uuid,
    dao: Uuid,
    subject: String,
    role: String,
    weight: String,
    since: DateTime<Utc>,
    as_of: DateTime<Utc>,
}

const ROW: &str = "jsonb_build_object('id', x.id, 'dao', x.dao_id, 'subject', a.uri, 'role', x.role, \
     'weight', trim_scale(x.voting_weight)::text, 'since', x.created_at, 'as_of', x.updated_at)";

const FROM: &str = "public.dao_members x join public.ap_actors a on a.deleted_at is null and \
     (a.id = x.actor_id or (a.kind = 'user' and a.row_id = x.user_id)) where ";

/// How everybody belongs to a DAO, the newest first.
pub async fn all(tx: &mut Tx, dao: &Dao, voice: &Local, wanted: Wanted) -> Result<Part> {
    let from = format!("{FROM}x.dao_id = ");
    let said = format!("{ROW}::text");
    let mut part = collections::listed(tx, &from, Some(Bind::Uuid(dao.id)), &said, wanted).await?;
    let signer = match part.items.is_empty() {
        true => return Ok(part),
        false => keys::signer(tx, voice.id).await?,
    };
    let base = actors::base(tx)?;
    for item in &mut part.items {
        let row = item.as_str().unwrap_or_default();
        let row = serde_json::from_str(row).map_err(Error::broken)?;
        *item = document(&row, voice, &base, &signer)?;
    }
    Ok(part)
}

/// How one member belongs to a public DAO of this hub.
pub async fn affiliation(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let mut select = Statement::<Nullable<Jsonb>>::new(format!("select {ROW} from {FROM}x.id = "));
    select.bind(Bind::Uuid(id)).sql(" limit 1");
    let Some(row) = tx.hub_one::<Affiliation>(select).await? else {
        return Ok(None);
    };
    let dao = daos::by_id(tx, row.dao).await?;
    let Some(dao) = dao.filter(|dao| dao.is_public() && !dao.is_elsewhere()) else {
        return Ok(None);
    };
    let Some(voice) = daos::voice(tx, &dao).await? else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let signer = keys::signer(tx, voice.id).await?;
    Ok(Some(Shown::Object {
        object: document(&row, &voice, &base, &signer)?,
        is_public: true,
    }))
}

fn document(row: &Affiliation, voice: &Local, base: &str, signer: &keys::Signer) -> Result<Value> {
    let (relationship, role) = match row.role.as_str() {
        "owner" | "admin" => ("admin", "steward"),
        other => (other, other),
    };
    let mut told = json!({
        "@context": vocab::context(),
        "type": "Relationship",
        "id": format!("{base}/ap/relationships/{}", row.id),
        "attributedTo": voice.uri,
        "subject": row.subject,
        "object": voice.uri,
        "relationship": relationship,
        "mo:role": role,
        "mo:votingWeight": row.weight,
        "published": time(row.since),
        "updated": time(row.as_of),
    });
    proof::prove(&mut told, &signer.ed25519_id, &signer.ed25519, row.as_of)?;
    Ok(told)
}
