//! Bring the schema up: migrations in order, then the replaceable SQL when its text changed, then every kind anew.
//! One session at a time, under the owner's role.

use std::time::Duration;

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::Text;
use diesel_async::{
    AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::Statement;

/// All migrations of this binary.
const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The replaceable SQL, in the order it is applied.
const REPLACEABLE: &[(&str, &str)] = &[
    ("10_callers", include_str!("hub/10_callers.sql")),
    ("20_rows", include_str!("hub/20_rows.sql")),
    ("30_kinds", include_str!("hub/30_kinds.sql")),
    ("50_identity", include_str!("hub/50_identity.sql")),
    ("50_machinery", include_str!("hub/50_machinery.sql")),
    ("50_vault", include_str!("hub/50_vault.sql")),
    ("50_actors", include_str!("hub/50_actors.sql")),
    ("50_graph", include_str!("hub/50_graph.sql")),
    ("50_social", include_str!("hub/50_social.sql")),
    ("50_blocks", include_str!("hub/50_blocks.sql")),
    ("50_comms", include_str!("hub/50_comms.sql")),
    ("50_market", include_str!("hub/50_market.sql")),
    ("50_commons", include_str!("hub/50_commons.sql")),
    ("50_governance", include_str!("hub/50_governance.sql")),
    ("50_work", include_str!("hub/50_work.sql")),
    ("50_billing", include_str!("hub/50_billing.sql")),
    ("50_fed_inbox", include_str!("hub/50_fed_inbox.sql")),
    ("50_federation", include_str!("hub/50_federation.sql")),
    ("50_feed", include_str!("hub/50_feed.sql")),
    ("50_agents", include_str!("hub/50_agents.sql")),
    ("50_ops", include_str!("hub/50_ops.sql")),
    ("55_moderation", include_str!("hub/55_moderation.sql")),
    ("57_commons", include_str!("hub/57_commons.sql")),
    ("56_market", include_str!("hub/56_market.sql")),
    ("57_ledger", include_str!("hub/57_ledger.sql")),
    ("57_reputation", include_str!("hub/57_reputation.sql")),
    ("58_governance", include_str!("hub/58_governance.sql")),
    ("90_grants", include_str!("hub/90_grants.sql")),
];

/// Only one process migrates at a time; the number means nothing.
const LOCK: i64 = 0x6d61_6465_6f70_656e;

/// What there was to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Names of the migrations that ran.
    pub migrations: Vec<String>,
    /// Whether the replaceable SQL and the kinds were applied.
    pub replaced: bool,
}

/// The digest of everything that `up` would bring.
pub fn digest() -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for name in names() {
        context.update(name.as_bytes());
    }
    for (name, text) in REPLACEABLE {
        context.update(name.as_bytes());
        context.update(text.as_bytes());
    }
    context
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The names of this binary's migrations in order.
pub fn names() -> Vec<String> {
    let migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().unwrap_or_default();
    let mut names: Vec<String> = migrations
        .iter()
        .map(|migration| migration.name().to_string())
        .collect();
    names.sort();
    names
}

/// Those of this binary's migrations that are not among the versions that ran.
pub fn missing_from(ran: &[String]) -> Vec<String> {
    let mut names = names();
    names.retain(|name| !ran.contains(&version_of(name)));
    names
}

/// The digest that the database was brought to, if any.
pub async fn applied(url: &str) -> anyhow::Result<Option<String>> {
    let mut conn = owner(url).await?;
    let known: Vec<String> =
        Statement::<Text>::new("select coalesce(to_regclass('hub.versions')::text, '') as value")
            .load(&mut conn)
            .await?;
    if known.iter().all(String::is_empty) {
        return Ok(None);
    }
    let rows: Vec<String> =
        Statement::<Text>::new("select value from hub.versions where name = 'digest'")
            .load(&mut conn)
            .await?;
    Ok(rows.into_iter().next())
}

/// Bring the schema up. Safe to call from several processes at once, and again after a kill at any point.
pub async fn up(url: &str) -> anyhow::Result<Done> {
    let mut conn = owner(url).await?;
    conn.batch_execute(&format!(
        "set lock_timeout = '120s'; select pg_advisory_lock({LOCK}); set lock_timeout = '20s'"
    ))
    .await
    .context("another process is migrating this database")?;
    refuse_newer(&mut conn).await?;

    let (mut conn, ran) = harness(conn, |harness| {
        harness
            .run_pending_migrations(MIGRATIONS)
            .map(|ran| ran.iter().map(ToString::to_string).collect())
            .map_err(|error| anyhow::anyhow!("a migration failed: {error}"))
    })
    .await?;
    let mut done = Done {
        migrations: ran,
        replaced: false,
    };

    let now = digest();
    let before: Vec<String> =
        Statement::<Text>::new("select value from hub.versions where name = 'digest'")
            .load(&mut conn)
            .await?;
    if !before.contains(&now) {
        replace(&mut conn, &now).await?;
        done.replaced = true;
    }
    Ok(done)
}

/// Take the whole schema down again; tests prove with it that every down works.
pub async fn down(url: &str) -> anyhow::Result<()> {
    let mut conn = owner(url).await?;
    let dropped = include_str!("hub/drop.sql");
    conn.batch_execute(dropped).await?;
    harness(conn, |harness| {
        harness
            .revert_all_migrations(MIGRATIONS)
            .map(|_| ())
            .map_err(|error| anyhow::anyhow!("a migration could not be taken back: {error}"))
    })
    .await?;
    Ok(())
}

async fn replace(conn: &mut AsyncPgConnection, digest: &str) -> anyhow::Result<()> {
    conn.batch_execute("begin").await?;
    for (name, text) in REPLACEABLE {
        conn.batch_execute(text)
            .await
            .with_context(|| format!("src/db/hub/{name}.sql"))?;
    }
    conn.batch_execute("select hub.apply_kinds()").await?;
    let mut noted =
        Statement::<()>::new("insert into hub.versions (name, value) values ('digest', ");
    noted
        .text(digest)
        .sql(") on conflict (name) do update set value = excluded.value, updated_at = now()");
    noted.execute(conn).await?;
    conn.batch_execute("commit").await?;
    Ok(())
}

/// An older binary must not write into a newer schema.
async fn refuse_newer(conn: &mut AsyncPgConnection) -> anyhow::Result<()> {
    let known: Vec<String> = Statement::<Text>::new(
        "select coalesce(to_regclass('public.__diesel_schema_migrations')::text, '') as value",
    )
    .load(conn)
    .await?;
    if known.iter().all(String::is_empty) {
        return Ok(());
    }
    let rows: Vec<String> =
        Statement::<Text>::new("select version as value from public.__diesel_schema_migrations")
            .load(conn)
            .await?;
    let mine: Vec<String> = names().iter().map(|name| version_of(name)).collect();
    if let Some(newer) = rows.iter().find(|version| !mine.contains(version)) {
        bail!(
            "this database was brought up by a newer made-open (it knows migration {}); use that version or a later one",
            newer
        );
    }
    Ok(())
}

/// The part of a folder's name that the table of migrations keeps.
fn version_of(name: &str) -> String {
    name.split('_').next().unwrap_or(name).replace('-', "")
}

async fn owner(url: &str) -> anyhow::Result<AsyncPgConnection> {
    let mut conn = AsyncPgConnection::establish(url)
        .await
        .context("cannot reach the database")?;
    conn.batch_execute("set role made_open_owner")
        .await
        .context(
            "the login is not a member of made_open_owner: run made-open database bootstrap",
        )?;
    Ok(conn)
}

/// Diesel's harness blocks, so it gets a thread on which that hurts nobody.
async fn harness<T: Send + 'static>(
    conn: AsyncPgConnection,
    work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> anyhow::Result<T>
    + Send
    + 'static,
) -> anyhow::Result<(AsyncPgConnection, T)> {
    let handle = tokio::runtime::Handle::current();
    if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread {
        let mut harness = AsyncMigrationHarness::new(conn);
        let done = tokio::task::block_in_place(|| work(&mut harness))?;
        return Ok((harness.into_inner(), done));
    }
    anyhow::bail!("migrations need the multi-threaded runtime")
}

/// How long a start waits for a database that is not there yet, between two tries.
pub fn back_off(attempt: u32) -> Duration {
    Duration::from_millis(250u64.saturating_mul(1 << attempt.min(8))).min(Duration::from_secs(60))
}
