//! The rows of deliveries as the deliverer moves them: claimed with their host, settled in groups, put off.
//! All times are the database's; what a process says counts only while it holds the host.

use std::collections::HashMap;
use std::time::Duration;

use diesel::sql_types::{BigInt, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::{Caller, Result};
use crate::db::{Bind, Db, Statement, Tx};
use crate::fed::signature::Scheme;
use crate::net::http::Bytes;

/// A delivery that is due, with what is known of its host.
#[derive(Clone, Debug)]
pub struct Due {
    pub id: Uuid,
    pub activity: Uuid,
    pub actor: Uuid,
    pub key: Option<Uuid>,
    pub host: String,
    pub inbox: String,
    pub lane: String,
    pub seq: i64,
    pub attempts: i32,
    pub is_late: bool,
    /// What waits before it in its lane.
    pub behind: Option<Uuid>,
    pub scheme: Option<Scheme>,
    pub failures: i32,
    /// How long its host is ours, if nothing more is said.
    pub lease_left: Duration,
}

impl Due {
    /// What is written of it when it is not sent.
    pub fn unsent(&self, word: Word, why: &str) -> Told {
        Told {
            id: self.id,
            host: self.host.clone(),
            word,
            status: None,
            why: Some(why.to_owned()),
        }
    }
}

/// How much is taken at once.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub hosts: i64,
    pub per_host: i64,
}

/// Take hosts and what is due there, leaving out what is held already and hosts that have enough.
pub async fn claim(
    tx: &mut Tx,
    holder: &str,
    lease: Duration,
    held: &[Uuid],
    full: &[String],
    most: Most,
) -> Result<Vec<Due>> {
    type Row = (
        SqlUuid,
        SqlUuid,
        SqlUuid,
        Nullable<SqlUuid>,
        Text,
        Text,
        Text,
        BigInt,
        Integer,
        Bool,
        Nullable<SqlUuid>,
        Text,
        Integer,
        Double,
    );
    let mut claim = Statement::<Row>::new(
        "select id, activity_id, actor_id, key_id, host, inbox_url, lane, seq, attempts, is_late, behind, scheme, failures, lease_left \
         from hub.claim_deliveries(",
    );
    claim
        .text(holder)
        .sql(", ")
        .bind(Bind::Int(i64::try_from(lease.as_secs()).unwrap_or(60)))
        .sql(" * interval '1 second', ")
        .bind(uuids(held))
        .sql("::uuid[], ")
        .bind(Bind::Texts(full.iter().cloned().map(Some).collect()))
        .sql(", ")
        .bind(Bind::Int(most.hosts))
        .sql("::int, ")
        .bind(Bind::Int(most.per_host))
        .sql("::int)");
    let rows: Vec<Columns> = tx.load(claim).await?;
    Ok(rows.into_iter().map(Due::from).collect())
}

type Columns = (
    Uuid,
    Uuid,
    Uuid,
    Option<Uuid>,
    String,
    String,
    String,
    i64,
    i32,
    bool,
    Option<Uuid>,
    String,
    i32,
    f64,
);

impl From<Columns> for Due {
    fn from(row: Columns) -> Self {
        let (
            id,
            activity,
            actor,
            key,
            host,
            inbox,
            lane,
            seq,
            attempts,
            is_late,
            behind,
            scheme,
            failures,
            lease_left,
        ) = row;
        Self {
            id,
            activity,
            actor,
            key,
            host,
            inbox,
            lane,
            seq,
            attempts,
            is_late,
            behind,
            scheme: scheme_of(&scheme),
            failures,
            lease_left: Duration::try_from_secs_f64(lease_left).unwrap_or_default(),
        }
    }
}

/// The bytes of activities.
pub async fn bodies(tx: &mut Tx, activities: &[Uuid]) -> Result<HashMap<Uuid, Bytes>> {
    if activities.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = Statement::<(SqlUuid, Text)>::new(
        "select id, body from public.ap_activities where id = any (",
    );
    select.bind(uuids(activities)).sql("::uuid[])");
    let rows: Vec<(Uuid, String)> = tx.load(select).await?;
    Ok(rows
        .into_iter()
        .map(|(id, body)| (id, Bytes::from(body)))
        .collect())
}

/// The head of our feed: the newest activity that no transaction under way can come before (R15).
pub async fn head(tx: &mut Tx) -> Result<Option<i64>> {
    let select = Statement::<BigInt>::new(
        "select seq from public.ap_activities where tx < pg_snapshot_xmin(pg_current_snapshot()) \
         order by seq desc limit 1",
    );
    let rows: Vec<i64> = tx.load(select).await?;
    Ok(rows.into_iter().next())
}

/// Deliveries that wait for others of their lane are not due before those.
pub async fn postpone(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    let mut postpone = Statement::<BigInt>::new("select hub.postpone_deliveries(");
    postpone.bind(uuids(ids)).sql("::uuid[])");
    let _: Vec<i64> = tx.load(postpone).await?;
    Ok(())
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub id: Uuid,
    pub host: String,
    pub word: Word,
    pub status: Option<u16>,
    pub why: Option<String>,
}

/// What is written down of a try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    Done,
    Dead,
    /// Nobody wants it sent any more.
    Dropped,
    /// It and its lane wait this long.
    Again(Duration),
    /// It waits with its host.
    Later,
    /// The inbox is gone: looked at again after this long.
    Gone(Duration),
    /// The inbox was not there: looked at again after this long.
    Refused(Duration),
}

/// What tries say of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    pub state: State,
    /// The scheme it turned out to read.
    pub learned: Option<Scheme>,
}

/// Whether a host is there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum State {
    /// Nothing new.
    #[default]
    Same,
    /// It answers.
    Up,
    /// It does not: so many failures more, and nothing is tried for this long.
    Down(i32, Duration),
}

/// Write down how tries ended; gives the hosts that were still this holder's.
pub async fn settle(
    db: &Db,
    holder: &str,
    told: &[Told],
    health: &HashMap<String, Health>,
) -> Result<Vec<String>> {
    let told: Vec<Value> = told.iter().map(Told::to_json).collect();
    let health: Vec<Value> = health
        .iter()
        .map(|(host, health)| health.to_json(host))
        .collect();
    let mut settle = Statement::<Text>::new("select hub.settle_deliveries(");
    settle
        .text(holder)
        .sql(", ")
        .text(Value::Array(told).to_string())
        .sql("::jsonb, ")
        .text(Value::Array(health).to_string())
        .sql("::jsonb)");
    Tx::once(db, &Caller::Hub, settle).await
}

/// Say that these hosts are still held; gives those that are.
pub async fn extend(
    db: &Db,
    holder: &str,
    hosts: &[String],
    lease: Duration,
) -> Result<Vec<String>> {
    let mut extend = Statement::<Text>::new("update public.ap_hosts set leased_until = now() + ");
    extend
        .bind(Bind::Int(i64::try_from(lease.as_secs()).unwrap_or(60)))
        .sql(" * interval '1 second' where leased_by = ")
        .text(holder)
        .sql(" and host = any (")
        .bind(Bind::Texts(hosts.iter().cloned().map(Some).collect()))
        .sql(") returning host");
    Tx::once(db, &Caller::Hub, extend).await
}

/// Give all hosts back.
pub async fn release(db: &Db, holder: &str) -> Result<()> {
    let mut release = Statement::<Text>::new(
        "update public.ap_hosts set leased_by = null, leased_until = null where leased_by = ",
    );
    release.text(holder).sql(" returning host");
    let _: Vec<String> = Tx::once(db, &Caller::Hub, release).await?;
    Ok(())
}

fn uuids(ids: &[Uuid]) -> Bind {
    Bind::Texts(ids.iter().map(|id| Some(id.to_string())).collect())
}

fn scheme_of(name: &str) -> Option<Scheme> {
    match name {
        "cavage" => Some(Scheme::Cavage),
        "rfc9421" => Some(Scheme::Rfc9421),
        _ => None,
    }
}

fn name_of(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Cavage => "cavage",
        Scheme::Rfc9421 => "rfc9421",
    }
}

impl Told {
    fn to_json(&self) -> Value {
        let (word, wait) = match self.word {
            Word::Done => ("done", Duration::ZERO),
            Word::Dead => ("dead", Duration::ZERO),
            Word::Dropped => ("dropped", Duration::ZERO),
            Word::Later => ("later", Duration::ZERO),
            Word::Again(wait) => ("again", wait),
            Word::Gone(wait) => ("gone", wait),
            Word::Refused(wait) => ("refused", wait),
        };
        json!({
            "id": self.id, "word": word, "wait": wait.as_secs_f64(), "status": self.status, "error": self.why,
        })
    }
}

impl Health {
    fn to_json(&self, host: &str) -> Value {
        let (word, weight, wait) = match self.state {
            State::Same => ("same", 0, Duration::ZERO),
            State::Up => ("up", 0, Duration::ZERO),
            State::Down(weight, wait) => ("down", weight, wait),
        };
        json!({
            "host": host, "word": word, "wait": wait.as_secs_f64(), "weight": weight,
            "scheme": self.learned.map(name_of),
        })
    }
}
