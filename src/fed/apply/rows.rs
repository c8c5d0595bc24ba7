//! The rows of `ap_received` as the loop moves them: claimed in order, settled together, thrown away when they are old.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// How many activities one transaction applies.
pub const MOST: i64 = 100;

/// How often what fails on our side is tried before it is dead (S-157).
const TRIES: i32 = 8;

/// How long something may wait for what it speaks of.
const PARKED: TimeDelta = TimeDelta::hours(24);

/// A lock that is held while a batch is applied: order is kept across processes.
const TURN: i64 = 7_310_001;

/// A waiting activity and what is known of its author.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: Uuid,
    pub uri: String,
    pub actor_uri: String,
    pub host: String,
    pub body: String,
    pub via: String,
    pub recipient: Option<Uuid>,
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
    pub author: Option<Author>,
}

/// The author's row.
#[derive(Clone, Debug)]
pub struct Author {
    pub id: Uuid,
    pub is_local: bool,
    pub is_suspended: bool,
    pub is_deleted: bool,
    pub is_silenced: bool,
    pub is_group: bool,
    pub followers_url: Option<String>,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Repeated,
    Ignored(&'static str),
    Refused(&'static str),
    /// What it speaks of may still come.
    Waits(&'static str),
    /// Something failed on our side.
    Failed(String),
    /// Something has to be fetched first; the row stays as it is meanwhile.
    Slow,
}

type Sql = (
    SqlUuid,
    Text,
    Text,
    Text,
    Text,
    Text,
    Nullable<SqlUuid>,
    Integer,
    Timestamptz,
    Nullable<SqlUuid>,
    Bool,
    Bool,
    Bool,
    Bool,
    Bool,
    Nullable<Text>,
);
type Found = (
    Uuid,
    String,
    String,
    String,
    String,
    String,
    Option<Uuid>,
    i32,
    DateTime<Utc>,
    Option<Uuid>,
    bool,
    bool,
    bool,
    bool,
    bool,
    Option<String>,
);

const COLUMNS: &str = "r.id, r.uri, r.actor_uri, r.host, r.body, r.via, r.recipient, r.attempts, r.created_at, a.id, \
     a.kind is not null, a.suspended_at is not null, a.deleted_at is not null, a.silenced_at is not null, \
     coalesce(a.type, '') = 'Group', a.followers_url";

/// Take what is due, in the order in which it came; nothing while another process is at it.
pub async fn claim(tx: &mut Tx) -> Result<Vec<Row>> {
    let mut claim =
        Statement::<Sql>::new("with turn as materialized (select pg_try_advisory_xact_lock(");
    claim
        .bind(Bind::Int(TURN))
        .sql(
            ") as is_ours), due as materialized (select r.* from public.ap_received r \
             where r.state = 'waiting' and r.next_at <= now() and (select is_ours from turn) \
             order by r.next_at, r.id limit ",
        )
        .bind(Bind::Int(MOST))
        .sql(format!(
            " for update skip locked) select {COLUMNS} from due r left join public.ap_actors a on a.uri = r.actor_uri \
             order by r.next_at, r.id"
        ));
    let found: Vec<Found> = tx.load(claim).await?;
    Ok(found.into_iter().map(row).collect())
}

/// One waiting activity by its id, whether it is due or not; none while somebody else has it.
pub async fn claim_one(tx: &mut Tx, id: Uuid) -> Result<Option<Row>> {
    let mut claim = Statement::<Sql>::new(
        "with due as materialized (select r.* from public.ap_received r where r.state = 'waiting' and r.id = ",
    );
    claim.bind(Bind::Uuid(id)).sql(format!(
        " for update skip locked) select {COLUMNS} from due r left join public.ap_actors a on a.uri = r.actor_uri"
    ));
    let found: Vec<Found> = tx.load(claim).await?;
    Ok(found.into_iter().next().map(row))
}

fn row(found: Found) -> Row {
    let (id, uri, actor_uri, host, body, via, recipient, attempts, created_at, author, ..) = found;
    let (is_local, is_suspended, is_deleted, is_silenced, is_group, followers_url) =
        (found.10, found.11, found.12, found.13, found.14, found.15);
    Row {
        id,
        uri,
        actor_uri,
        host,
        body,
        via,
        recipient,
        attempts,
        created_at,
        author: author.map(|id| Author {
            id,
            is_local,
            is_suspended,
            is_deleted,
            is_silenced,
            is_group,
            followers_url,
        }),
    }
}

/// Write down how tries ended, all by one statement. The transaction is the hub's again.
pub async fn settle(tx: &mut Tx, ended: &[(&Row, Outcome)], now: DateTime<Utc>) -> Result<()> {
    let mut columns: [Vec<Option<String>>; 5] = Default::default();
    let [ids, states, reasons, tries, waits] = &mut columns;
    for (row, outcome) in ended {
        let told = told(row, outcome, now);
        if let Some(reason) = told.log {
            tracing::warn!(event = "activity_not_applied", reason, peer_domain = %row.host, activity_id = %row.uri,
                state = told.state);
        }
        ids.push(Some(row.id.to_string()));
        states.push(Some(told.state.to_owned()));
        reasons.push(told.reason);
        tries.push(Some(told.attempts.to_string()));
        waits.push(told.wait.map(|seconds| seconds.to_string()));
    }
    if ids.is_empty() {
        return Ok(());
    }
    let mut settle = Statement::<()>::new(
        "update public.ap_received r set state = n.state, reason = n.reason, attempts = n.attempts::int, \
         next_at = coalesce(now() + n.wait::float8 * interval '1 second', r.next_at), \
         ended_at = case when n.state <> 'waiting' then now() end from unnest(",
    );
    let mut is_first = true;
    for column in columns {
        if !std::mem::take(&mut is_first) {
            settle.sql(", ");
        }
        settle.bind(Bind::Texts(column)).sql("::text[]");
    }
    settle.sql(") as n (id, state, reason, attempts, wait) where r.id = n.id::uuid");
    tx.run(settle).await.map(drop)
}

struct Settled<'a> {
    state: &'static str,
    reason: Option<String>,
    attempts: i32,
    wait: Option<i64>,
    /// What is worth a line.
    log: Option<&'a str>,
}

fn told<'a>(row: &Row, outcome: &'a Outcome, now: DateTime<Utc>) -> Settled<'a> {
    let ended = |state, reason: Option<&'a str>, log| Settled {
        state,
        reason: reason.map(str::to_owned),
        attempts: row.attempts + 1,
        wait: None,
        log,
    };
    let again = |reason: &'a str, wait| Settled {
        state: "waiting",
        reason: Some(reason.to_owned()),
        attempts: row.attempts + 1,
        wait: Some(wait),
        log: None,
    };
    match outcome {
        Outcome::Done => ended("done", None, None),
        Outcome::Repeated => ended("repeated", None, None),
        Outcome::Ignored(reason) => ended("ignored", Some(reason), None),
        Outcome::Refused(reason) => ended("refused", Some(reason), Some(reason)),
        Outcome::Waits(reason) if now - row.created_at > PARKED => {
            ended("ignored", Some(reason), None)
        }
        Outcome::Waits(reason) => again(reason, parked(row.attempts)),
        Outcome::Failed(why) if row.attempts + 1 >= TRIES => ended("dead", Some(why), Some(why)),
        Outcome::Failed(why) => Settled {
            log: Some(why),
            ..again(why, back_off(row.attempts))
        },
        // Nobody else looks at it before this one can have come to its end.
        Outcome::Slow => Settled {
            state: "waiting",
            reason: row_reason(row),
            attempts: row.attempts,
            wait: Some(180),
            log: None,
        },
    }
}

fn row_reason(_: &Row) -> Option<String> {
    Some("fetching".to_owned())
}

/// Seconds until what failed is tried again.
fn back_off(attempts: i32) -> i64 {
    match attempts {
        0 => 2,
        1 => 10,
        2 => 60,
        3 => 300,
        4 => 1800,
        _ => 3600,
    }
}

/// Seconds until it is looked whether what is spoken of has come.
fn parked(attempts: i32) -> i64 {
    match attempts {
        0 | 1 => 2,
        2 | 3 => 10,
        4..=6 => 60,
        7..=12 => 600,
        _ => 3600,
    }
}

/// What is gone of these; with who said so.
pub async fn tombstones(
    tx: &mut Tx,
    uris: Vec<Option<String>>,
) -> Result<Vec<(String, Option<String>)>> {
    let mut ask = Statement::<(Text, Nullable<Text>)>::new(
        "select uri, actor_uri from public.ap_tombstones where uri = any(",
    );
    ask.bind(Bind::Texts(uris)).sql(")");
    tx.load(ask).await
}

/// Remember what is gone, so that what comes late is not taken for new (S-34).
pub async fn bury(tx: &mut Tx, gone: &[(String, String)]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let (uris, actors) = gone
        .iter()
        .map(|(uri, actor)| (Some(uri.clone()), Some(actor.clone())))
        .unzip();
    let mut bury = Statement::<()>::new(
        "insert into public.ap_tombstones (uri, actor_uri) select distinct on (n.uri) n.uri, n.actor from unnest(",
    );
    bury.bind(Bind::Texts(uris))
        .sql("::text[], ")
        .bind(Bind::Texts(actors))
        .sql("::text[]) as n (uri, actor) on conflict (uri) do nothing");
    tx.run(bury).await.map(drop)
}

/// Throw away what ended long ago. Ids are kept far longer than a signature counts, so nothing comes twice (S-17).
pub async fn sweep(node: &Node) -> Result<()> {
    node.db
        .write(&Caller::Hub, async |tx| {
            tx.run(Statement::new(
                "delete from public.ap_received where state <> 'waiting' and created_at < now() - interval '30 days'",
            ))
            .await?;
            tx.run(Statement::new(
                "delete from public.ap_tombstones where not is_local and created_at < now() - interval '30 days'",
            ))
            .await
        })
        .await
        .map(drop)
}
