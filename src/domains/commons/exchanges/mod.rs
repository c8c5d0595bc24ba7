//! Exchanges: an offer to do what somebody declared, its acceptance, and what both say of how it went. One row on each hub
//! that has a party of it; what was signed stands behind it, word by word, and says how it stands.

pub mod answer;
pub mod bargain;
pub mod confirm;
pub mod counter;
pub mod effects;
pub mod expire;
pub mod hear;
pub mod hear_offers;
pub mod hear_receipts;
pub mod money;
pub mod propose;
pub mod show;
pub mod state;
pub mod subject;
pub mod wire;
pub mod written;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use self::bargain::Bargain;
use self::state::{Evidence, Said, Side, Verdict};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{self, Local};

/// The row of an exchange, as far as the hub moves it.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    pub id: Uuid,
    pub owner_id: Uuid,
    pub status: String,
    pub offer_user_id: Option<Uuid>,
    pub need_user_id: Option<Uuid>,
    pub counterparty_actor_id: Option<Uuid>,
    pub offer_decl_id: Option<Uuid>,
    pub need_decl_id: Option<Uuid>,
    pub listing_id: Option<Uuid>,
    pub exchange_type: Option<String>,
    pub notes: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    pub progress: Option<String>,
}

/// What stands behind it: a row of `hub.deals`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Kept {
    pub exchange_id: Uuid,
    pub proposer_id: Uuid,
    pub asker_id: Uuid,
    /// `listings` or `declarations`.
    pub subject_kind: String,
    pub subject_id: Uuid,
    pub subject_uri: String,
    /// The pair it belongs to, where there are two declarations.
    pub offer_link: Option<String>,
    pub need_link: Option<String>,
    pub context: String,
    /// The terms that were answered, as they are on the wire, and the bargain: {terms, bargain}.
    pub terms: Value,
    /// Who pays hours: `proposer` or `asker`.
    pub payer: Option<String>,
    pub community: Option<String>,
    pub offer_uri: String,
    pub offer: String,
    pub offered_at: DateTime<Utc>,
    pub counters: Option<String>,
    pub counter: Option<Value>,
    pub accept_uri: Option<String>,
    pub agreement_uri: Option<String>,
    pub agreement: Option<String>,
    pub agreement_now: Option<String>,
    pub agreement_version: i64,
    pub is_reserved: bool,
    pub is_bound: bool,
    pub is_held: bool,
    pub is_booked: bool,
}

/// A party, wherever it lives.
#[derive(Clone, Debug, Deserialize)]
pub struct Party {
    pub id: Uuid,
    pub uri: String,
    /// What it stands for here; none for everybody elsewhere.
    pub kind: Option<String>,
    pub row_id: Option<Uuid>,
}

impl Party {
    /// Whether it is one of this hub.
    pub fn is_local(&self) -> bool {
        self.kind.is_some()
    }
}

/// An exchange under its lock.
#[derive(Clone, Debug)]
pub struct Deal {
    pub row: Row,
    pub kept: Kept,
    pub evidence: Evidence,
    pub proposer: Party,
    pub asker: Party,
}

impl Deal {
    /// One of the two.
    pub fn party(&self, side: Side) -> &Party {
        match side {
            Side::Proposer => &self.proposer,
            Side::Asker => &self.asker,
        }
    }

    /// What is given for what.
    pub fn bargain(&self) -> Result<Bargain> {
        let bargain = self.kept.terms.get("bargain").unwrap_or(&Value::Null);
        Bargain::read(bargain).map_err(|why| Error::broken(anyhow::anyhow!(why)))
    }

    /// Whether who declared it gives.
    pub fn proposer_gives(&self) -> bool {
        self.kept.terms.get("proposer_gives") == Some(&Value::Bool(true))
    }

    /// Who gives the primary.
    pub fn giver(&self) -> Side {
        match self.proposer_gives() {
            true => Side::Proposer,
            false => Side::Asker,
        }
    }

    /// Which side a party that is known by its actor is.
    pub fn side_of(&self, actor: Uuid) -> Option<Side> {
        [Side::Proposer, Side::Asker]
            .into_iter()
            .find(|side| self.party(*side).id == actor)
    }

    /// On whose side the owner of the row is: who asked, if he lives here.
    pub fn own_side(&self) -> Side {
        match self.asker.is_local() {
            true => Side::Asker,
            false => Side::Proposer,
        }
    }

    /// The account here that stands behind a side, if it is an account's.
    pub fn user(&self, side: Side) -> Option<Uuid> {
        match side == self.giver() {
            true => self.row.offer_user_id,
            false => self.row.need_user_id,
        }
    }
}

#[derive(Deserialize)]
struct Locked {
    row: Row,
    deal: Kept,
    documents: Vec<Filed>,
}

#[derive(Deserialize)]
struct Filed {
    uri: String,
    is_proposers: bool,
    version: i64,
    verdict: Verdict,
}

/// An exchange with its locks, whoever asks: what it is about is locked first, then itself.
pub async fn locked(tx: &mut Tx, id: Uuid) -> Result<Option<Deal>> {
    let mut lock = Statement::<Nullable<Jsonb>>::new("select hub.lock_deal(");
    lock.bind(Bind::Uuid(id)).sql(")");
    let rows: Vec<Option<Value>> = tx.as_hub(async |tx| tx.load(lock.clone()).await).await?;
    let Some(found) = rows.into_iter().flatten().next() else {
        return Ok(None);
    };
    let found: Locked = serde_json::from_value(found).map_err(Error::broken)?;
    let mut evidence = Evidence::default();
    for filed in found.documents {
        let side = match filed.is_proposers {
            true => Side::Proposer,
            false => Side::Asker,
        };
        let said = Said {
            version: filed.version,
            uri: filed.uri,
            verdict: filed.verdict,
        };
        evidence.take(side, said);
    }
    let proposer = party(tx, found.deal.proposer_id).await?;
    let asker = party(tx, found.deal.asker_id).await?;
    Ok(Some(Deal {
        row: found.row,
        kept: found.deal,
        evidence,
        proposer,
        asker,
    }))
}

/// An actor as a party, also one that is gone.
pub async fn party(tx: &mut Tx, id: Uuid) -> Result<Party> {
    let mut select = Statement::<Jsonb>::new(
        "select jsonb_build_object('id', a.id, 'uri', a.uri, 'kind', a.kind, 'row_id', a.row_id) from public.ap_actors a where a.id = ",
    );
    select.bind(Bind::Uuid(id));
    let rows: Vec<Value> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let row = rows
        .into_iter()
        .next()
        .ok_or_else(|| Error::missing("actor.not_found", "The other side is gone."))?;
    serde_json::from_value(row).map_err(Error::broken)
}

/// By which of its addresses an exchange is looked for.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    Offer(&'a str),
    Agreement(&'a str),
}

/// An exchange by an address of it, with its locks.
pub async fn by_uri(tx: &mut Tx, by: By<'_>) -> Result<Option<Deal>> {
    let (column, uri) = match by {
        By::Offer(uri) => ("offer_uri", uri),
        By::Agreement(uri) => ("agreement_uri", uri),
    };
    let mut select = Statement::<SqlUuid>::new(format!(
        "select exchange_id from hub.deals where {column} = "
    ));
    select.text(uri);
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    match ids.into_iter().next() {
        Some(id) => locked(tx, id).await,
        None => Ok(None),
    }
}

/// An exchange that the caller has a part in, his side of it, and the actor that he speaks for. Anything else is not there
/// for him.
pub async fn mine(tx: &mut Tx, id: Uuid) -> Result<(Deal, Side, Local)> {
    let missing = || Error::missing("exchange.not_found", "There is no such exchange.");
    let person = tx
        .person()
        .await?
        .ok_or_else(|| Error::sign_in("actor.sign_in", "Sign in to exchange with others."))?;
    let deal = locked(tx, id).await?.ok_or_else(missing)?;
    for side in [Side::Proposer, Side::Asker] {
        let party = deal.party(side).clone();
        if party.is_local() && actors::spoken_for(tx, person, party.id).await? {
            let me = actors::by_id(tx, party.id)
                .await?
                .filter(|actor| !actor.is_gone() && actor.suspended_at.is_none())
                .ok_or_else(|| {
                    Error::forbidden(
                        "actor.suspended",
                        "This actor says nothing to others at the moment.",
                    )
                })?;
            return Ok((deal, side, me));
        }
    }
    Err(missing())
}

/// Keep what stands behind an exchange as it is now.
pub async fn keep(tx: &mut Tx, kept: &Kept) -> Result<()> {
    let kept = serde_json::to_value(kept).map_err(Error::broken)?;
    let mut save = Statement::<Nullable<Text>>::new("select hub.keep_deal(");
    save.text(kept.to_string()).sql("::jsonb)::text");
    tx.as_hub(async |tx| tx.load::<_, Option<String>>(save.clone()).await.map(drop))
        .await
}

/// Keep columns of the row of an exchange.
pub async fn set(tx: &mut Tx, id: Uuid, columns: Value) -> Result<()> {
    let mut set = Statement::<Nullable<Text>>::new("select hub.set_exchange(");
    set.bind(Bind::Uuid(id))
        .sql(", ")
        .text(columns.to_string())
        .sql("::jsonb)::text");
    tx.as_hub(async |tx| tx.load::<_, Option<String>>(set.clone()).await.map(drop))
        .await
}

/// Bring an exchange to a state, and tell those of this hub.
pub async fn enter(tx: &mut Tx, deal: &mut Deal, status: &str, more: Value) -> Result<()> {
    let mut columns = json!({ "status": status });
    if let (Some(columns), Value::Object(more)) = (columns.as_object_mut(), more) {
        columns.extend(more);
    }
    set(tx, deal.row.id, columns).await?;
    let is_news = deal.row.status != status;
    deal.row.status = status.to_owned();
    if is_news {
        tell(tx, deal, status).await?;
    }
    Ok(())
}

/// Those of this hub who have a part in it hear of it.
pub async fn tell(tx: &mut Tx, deal: &Deal, what: &str) -> Result<()> {
    let word = format!("exchange.{what}");
    for owner in [deal.row.offer_user_id, deal.row.need_user_id]
        .into_iter()
        .flatten()
    {
        let event = crate::events::Event {
            word: &word,
            kind: "exchanges",
            row: deal.row.id,
            owner: Some(owner),
        };
        crate::events::emit(tx, event).await?;
    }
    Ok(())
}

/// An exchange as an action answers with it.
pub fn shown(deal: &Deal) -> Value {
    json!({
        "id": deal.row.id,
        "status": deal.row.status,
        "offer": deal.kept.offer_uri,
        "agreement": deal.kept.agreement_uri,
        "subject": deal.kept.subject_uri,
        "proposer": deal.proposer.uri,
        "asker": deal.asker.uri,
    })
}

/// A refusal of R30 for somebody who waits for the answer.
pub fn refused(reason: &'static str) -> Error {
    let (code, words) = (format!("exchange.{reason}"), bargain::words(reason));
    match reason {
        "wrong_unit" | "wrong_quantity" | "own_listing" => Error::invalid(code, words),
        _ => Error::conflict(code, words),
    }
}
