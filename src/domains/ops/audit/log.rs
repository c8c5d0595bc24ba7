//! The log and its seals as the database has them, a seal at a time, so that a log of any size is read in little memory.
//! Every function works with the hub's rights and is told whose rows it may give.

use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::chain::{Row, Seal, hash_of};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// Where the seals ended when reading began; what is sealed meanwhile is for the next time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Until {
    pub number: i64,
    upto: String,
}

/// A seal with its line and the lines of its rows as they are now.
pub struct Sealed {
    pub seal: Seal,
    pub line: String,
    /// In the order in which they were written.
    pub rows: Vec<(Row, String)>,
}

/// Most rows that are read at once where no seal says how many.
const PAGE: i64 = 5_000;

/// The rows of one owner, or those that are nobody's.
fn of<T>(statement: &mut Statement<T>, column: &str, owner: Option<Uuid>) {
    match owner {
        Some(owner) => statement
            .sql(format!("{column} = "))
            .bind(Bind::Uuid(owner)),
        None => statement.sql(format!("{column} is null")),
    };
}

/// Where the seals end now.
pub async fn until(tx: &mut Tx) -> Result<Until> {
    let rows: Vec<(i64, String)> = tx
        .load(Statement::<(BigInt, Text)>::new(
            "select number, upto::text from hub.audit_seals order by number desc limit 1",
        ))
        .await?;
    let (number, upto) = rows.into_iter().next().unwrap_or((0, "0".to_owned()));
    Ok(Until { number, upto })
}

/// Everybody who has rows or seals.
pub async fn owners(tx: &mut Tx) -> Result<Vec<Option<Uuid>>> {
    // One step of an index per owner, however many rows each has.
    tx.load(Statement::<Nullable<SqlUuid>>::new(
        "with recursive found as (
            (select a.owner_id from public.audit_log a where a.owner_id is not null order by a.owner_id limit 1)
            union all
            select (select a.owner_id from public.audit_log a where a.owner_id > f.owner_id order by a.owner_id limit 1)
            from found f where f.owner_id is not null)
        select owner_id from (
            select f.owner_id from found f where f.owner_id is not null
            union select s.owner_id from hub.audit_seals s
            union select null where exists (select from public.audit_log a where a.owner_id is null)) whose
        order by owner_id nulls first",
    ))
    .await
}

/// How many seals there are to read.
pub async fn count(tx: &mut Tx, owner: Option<Uuid>, until: &Until) -> Result<u64> {
    let mut select =
        Statement::<BigInt>::new("select count(*) from hub.audit_seals where number <= ");
    select.bind(Bind::Int(until.number));
    if owner.is_some() {
        select.sql(" and ");
        of(&mut select, "owner_id", owner);
    }
    let counts: Vec<i64> = tx.load(select).await?;
    Ok(counts
        .first()
        .map_or(0, |count| u64::try_from(*count).unwrap_or(0)))
}

/// The owner's next seal after the one of this number, with its rows, and whatever else stands among them.
pub async fn next(
    tx: &mut Tx,
    owner: Option<Uuid>,
    after: i64,
    until: &Until,
    strays: &[Uuid],
) -> Result<Option<Sealed>> {
    let mut select = Statement::<(BigInt, Text)>::new(
        "select s.number, hub.audit_seal_line(s) from hub.audit_seals s where ",
    );
    of(&mut select, "s.owner_id", owner);
    select
        .sql(" and s.number > ")
        .bind(Bind::Int(after))
        .sql(" and s.number <= ")
        .bind(Bind::Int(until.number))
        .sql(" order by s.number limit 1");
    let found: Vec<(i64, String)> = tx.load(select).await?;
    let Some((number, line)) = found.into_iter().next() else {
        return Ok(None);
    };
    let seal: Seal = serde_json::from_str(&line).map_err(Error::broken)?;

    let mut select = Statement::<(SqlUuid, Text)>::new(
        "select a.id, hub.audit_line(a) from public.audit_log a
        where a.id = any (array(select unnest(s.ids) from hub.audit_seals s where s.number = ",
    );
    select.bind(Bind::Int(number)).sql("))");
    if !strays.is_empty() {
        let strays = strays.iter().map(|id| Some(id.to_string())).collect();
        select
            .sql(" or a.id = any (")
            .bind(Bind::Texts(strays))
            .sql("::uuid[]) and a.tx < (select s.upto from hub.audit_seals s where s.number = ")
            .bind(Bind::Int(number))
            .sql(")");
    }
    select.sql(" order by a.tx, a.id");
    let rows: Vec<(Uuid, String)> = tx.load(select).await?;
    let rows = rows
        .into_iter()
        .map(|(id, line)| {
            let row = Row {
                id,
                hash: hash_of(&line),
                line: None,
            };
            (row, line)
        })
        .collect();
    Ok(Some(Sealed { seal, line, rows }))
}

/// Rows that are under no seal although everything of their time is sealed: the first of them.
pub async fn strays(tx: &mut Tx, owner: Option<Uuid>, until: &Until) -> Result<Vec<Uuid>> {
    let mut select = Statement::<SqlUuid>::new("select a.id from public.audit_log a where ");
    of(&mut select, "a.owner_id", owner);
    // A restored dump counts its transactions anew: until it is sealed there, nothing can be said.
    select
        .sql(" and a.tx < ")
        .text(until.upto.clone())
        .sql("::xid8 and pg_snapshot_xmin(pg_current_snapshot()) >= ")
        .text(until.upto.clone())
        .sql("::xid8 and not exists (select from (select unnest(s.ids) as id from hub.audit_seals s where ");
    of(&mut select, "s.owner_id", owner);
    select.sql(") done where done.id = a.id) order by a.tx, a.id limit 100");
    tx.load(select).await
}

/// The lines of rows that are under no seal yet, after this one.
pub async fn waiting(
    tx: &mut Tx,
    owner: Option<Uuid>,
    until: &Until,
    after: Option<Uuid>,
) -> Result<Vec<(Uuid, String)>> {
    let mut select = Statement::<(SqlUuid, Text)>::new(
        "select a.id, hub.audit_line(a) from public.audit_log a where ",
    );
    of(&mut select, "a.owner_id", owner);
    select.sql(" and not exists (select from (select unnest(s.ids) as id from hub.audit_seals s where s.number <= ");
    select.bind(Bind::Int(until.number)).sql(" and ");
    of(&mut select, "s.owner_id", owner);
    select.sql(") done where done.id = a.id)");
    if let Some(after) = after {
        select
            .sql(" and (a.tx, a.id) > (select b.tx, b.id from public.audit_log b where b.id = ")
            .bind(Bind::Uuid(after))
            .sql(")");
    }
    select.sql(" order by a.tx, a.id limit ");
    select.bind(Bind::Int(PAGE));
    tx.load(select).await
}

/// How many rows are under no seal yet.
pub async fn count_waiting(tx: &mut Tx, owner: Option<Uuid>, until: &Until) -> Result<u64> {
    let mut select =
        Statement::<BigInt>::new("select count(*) from public.audit_log a where a.tx >= ");
    select.text(until.upto.clone()).sql("::xid8 and ");
    of(&mut select, "a.owner_id", owner);
    let counts: Vec<i64> = tx.load(select).await?;
    Ok(counts
        .first()
        .map_or(0, |count| u64::try_from(*count).unwrap_or(0)))
}

/// Seal what is committed, at most about as many rows as one round takes; how many there were.
pub async fn seal(tx: &mut Tx) -> Result<u64> {
    let counts: Vec<i64> = tx
        .load(Statement::<BigInt>::new("select hub.seal_audit()"))
        .await?;
    Ok(counts
        .first()
        .map_or(0, |count| u64::try_from(*count).unwrap_or(0)))
}

/// The heads of an owner's seals after the one of this number.
pub async fn seals(
    tx: &mut Tx,
    owner: Option<Uuid>,
    after: i64,
    until: &Until,
) -> Result<Vec<serde_json::Value>> {
    let mut select = Statement::<Text>::new(
        "select json_build_object('number', s.number, 'seal', s.place, 'sealed_at', hub.audit_time(s.sealed_at),
            'first', s.first, 'last', s.last, 'rows', cardinality(s.ids), 'prev_hash', encode(s.prev_hash, 'hex'),
            'hash', encode(s.hash, 'hex'))::text
        from hub.audit_seals s where ",
    );
    of(&mut select, "s.owner_id", owner);
    select
        .sql(" and s.number > ")
        .bind(Bind::Int(after))
        .sql(" and s.number <= ")
        .bind(Bind::Int(until.number))
        .sql(" order by s.number limit ")
        .bind(Bind::Int(PAGE));
    let lines: Vec<String> = tx.load(select).await?;
    lines
        .iter()
        .map(|line| serde_json::from_str(line).map_err(Error::broken))
        .collect()
}
