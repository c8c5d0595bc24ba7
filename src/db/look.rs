//! What a database says of itself, for probes and for whoever mends a set-up: needs no schema, changes nothing.

use anyhow::Context;
use chrono::{DateTime, Utc};
use diesel::sql_types::Bool;

use super::{Bind, Db, Statement, migrate, pool};
use crate::base::{Caller, Result};

/// A database as a login finds it.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Its clock.
    pub now: Option<DateTime<Utc>>,
    /// PostgreSQL's major version.
    pub version: i32,
    pub has_vector: bool,
    /// Whether the roles of the bootstrap are there and the login may become them.
    pub has_roles: bool,
    /// What the login may do that no login of a hub should.
    pub powers: Vec<String>,
    /// Migrations of this binary that were not run.
    pub pending: Vec<String>,
    /// Whether functions and policies are those of this binary.
    pub is_current: bool,
    pub dead_jobs: i64,
    pub sealed_secrets: i64,
}

/// Look at a database over a connection of its own.
pub async fn look(url: &str) -> anyhow::Result<Look> {
    let config = url.parse().context("the database address cannot be read")?;
    let (client, _) = pool::connect(&config).await?;
    let first = client
        .query_one(
            "select extract(epoch from clock_timestamp())::float8, current_setting('server_version_num')::int / 10000, \
             exists (select from pg_extension where extname = 'vector'), \
             (select array_remove(array[case when rolsuper then session_user || ' is a superuser' end, \
                case when rolbypassrls then session_user || ' bypasses row security' end, \
                case when rolcreaterole then session_user || ' may create roles' end], null) \
                from pg_roles where rolname = session_user), \
             coalesce((select bool_and(pg_has_role(session_user, oid, 'member')) and count(*) = 4 from pg_roles \
                where rolname in ('made_open_owner', 'anon', 'authenticated', 'service_role')), false)",
            &[],
        )
        .await?;
    let mut found = Look {
        now: DateTime::from_timestamp_millis((first.try_get::<_, f64>(0)? * 1000.0) as i64),
        version: first.try_get(1)?,
        has_vector: first.try_get(2)?,
        powers: first.try_get(3)?,
        has_roles: first.try_get(4)?,
        ..Look::default()
    };
    if !found.has_roles {
        found.pending = migrate::names();
        return Ok(found);
    }
    client.batch_execute("set role made_open_owner").await?;
    let there = client
        .query_one(
            "select to_regclass('public.__diesel_schema_migrations') is not null, to_regclass('hub.versions') is not null, \
             to_regclass('public.job_records') is not null, to_regclass('public.vault_secrets') is not null",
            &[],
        )
        .await?;
    let there: Vec<bool> = (0..4).map(|n| there.try_get(n)).collect::<Result<_, _>>()?;
    let mut ran = Vec::new();
    if there.first() == Some(&true) {
        let rows = client
            .query("select version from public.__diesel_schema_migrations", &[])
            .await?;
        ran = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<String>, _>>()?;
    }
    found.pending = migrate::missing_from(&ran);
    if there.get(1) == Some(&true) {
        let rows = client
            .query("select value from hub.versions where name = 'digest'", &[])
            .await?;
        let digest: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?;
        found.is_current = digest.as_deref() == Some(&migrate::digest());
    }
    // Rows are held by row security even for their owner; the hub's own role sees them.
    client.batch_execute("set role service_role").await?;
    if there.get(2) == Some(&true) && found.is_current {
        let row = client
            .query_one(
                "select count(*) from public.job_records where status = 'dead'",
                &[],
            )
            .await?;
        found.dead_jobs = row.try_get(0)?;
    }
    if there.get(3) == Some(&true) && found.is_current {
        let row = client
            .query_one("select count(*) from public.vault_secrets", &[])
            .await?;
        found.sealed_secrets = row.try_get(0)?;
    }
    Ok(found)
}

/// Whether the schema is the one that this process knows, or one that a later version brought up beside it.
pub async fn is_schema_current(db: &Db, since: DateTime<Utc>) -> Result<bool> {
    let found: Vec<bool> = db
        .read(&Caller::Hub, async |tx| {
            let mut ask = Statement::<Bool>::new("select value = ");
            ask.text(migrate::digest())
                .sql(" or updated_at > ")
                .bind(Bind::Time(since))
                .sql(" from hub.versions where name = 'digest'");
            tx.load(ask).await
        })
        .await?;
    Ok(found.first() == Some(&true))
}
