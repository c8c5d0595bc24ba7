//! Migrations go up, down and up again, survive a kill in the middle, and take turns.

use std::time::Duration;

use made_open::db::migrate;

use crate::catalogue::{one, texts};
use crate::support::TestDatabase;

/// Everything that makes a schema, one line a thing, without ids of the moment.
const DUMP: &str = "
select line from (
    select 'table ' || c.oid::regclass || ' ' || c.relkind::text || ' ' || pg_get_userbyid(c.relowner)
        || ' ' || c.relrowsecurity::text || ' ' || c.relforcerowsecurity::text || ' ' || coalesce(array_to_string(c.reloptions, ','), '') as line
        from pg_class c where c.relnamespace::regnamespace::text in ('public', 'hub', 'auth') and c.relkind in ('r', 'p', 'v', 'm', 'S')
    union all
    select 'column ' || c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text
        || ' ' || a.attgenerated::text || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
        || ' ' || coalesce((select string_agg(x::text, ',' order by x::text) from unnest(a.attacl) x), '')
        || ' ' || coalesce(col_description(c.oid, a.attnum), '')
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relnamespace::regnamespace::text in ('public', 'hub', 'auth') and c.relkind in ('r', 'p', 'v')
    union all
    select 'constraint ' || k.conrelid::regclass || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
        from pg_constraint k where k.connamespace::regnamespace::text in ('public', 'hub', 'auth')
    union all
    select 'index ' || pg_get_indexdef(i.indexrelid)
        from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace::regnamespace::text in ('public', 'hub', 'auth')
    union all
    select 'policy ' || p.schemaname || '.' || p.tablename || ' ' || p.policyname || ' ' || p.cmd || ' ' || p.roles::text
        || ' ' || coalesce(p.qual, '') || ' ' || coalesce(p.with_check, '')
        from pg_policies p
    union all
    select 'trigger ' || t.tgrelid::regclass || ' ' || pg_get_triggerdef(t.oid) from pg_trigger t where not t.tgisinternal
    union all
    select 'function ' || p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid))
        || ' ' || coalesce((select string_agg(x::text, ',' order by x::text) from unnest(p.proacl) x), '')
        from pg_proc p where p.pronamespace::regnamespace::text in ('public', 'hub', 'auth') and p.prokind = 'f'
        and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    union all
    select 'view ' || c.oid::regclass || ' ' || md5(pg_get_viewdef(c.oid))
        from pg_class c where c.relnamespace::regnamespace::text in ('public', 'hub', 'auth') and c.relkind = 'v'
    union all
    select 'grants ' || c.oid::regclass || ' ' || coalesce((select string_agg(x::text, ',' order by x::text) from unnest(c.relacl) x), '')
        from pg_class c where c.relnamespace::regnamespace::text in ('public', 'hub', 'auth') and c.relkind in ('r', 'p', 'v', 'S')
    union all
    select 'schema ' || n.nspname || ' ' || coalesce((select string_agg(x::text, ',' order by x::text) from unnest(n.nspacl) x), '')
        from pg_namespace n where n.nspname in ('public', 'hub', 'auth')
    union all
    select 'comment ' || c.oid::regclass || ' ' || obj_description(c.oid, 'pg_class')
        from pg_class c where c.relnamespace::regnamespace::text in ('public', 'hub', 'auth') and obj_description(c.oid, 'pg_class') is not null
    union all
    select 'kind ' || (to_jsonb(k) - 'created_at')::text from hub.kinds k
) lines order by line";

/// What is left when everything was taken down.
const LEFT: &str = "
select what from (
    select 'schema ' || nspname as what from pg_namespace where nspname in ('hub', 'auth')
    union all
    select 'table ' || relname from pg_class where relnamespace = 'public'::regnamespace
        and relkind in ('r', 'p', 'v', 'm', 'S') and relname <> '__diesel_schema_migrations'
    union all
    select 'function ' || oid::regprocedure from pg_proc p where pronamespace = 'public'::regnamespace
        and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    union all
    select 'type ' || typname from pg_type t where typnamespace = 'public'::regnamespace and typrelid = 0 and typelem = 0
        and not exists (select from pg_depend d where d.objid = t.oid and d.deptype = 'e')
) left_over order by what";

async fn dump(database: &TestDatabase) -> Vec<String> {
    texts(&database.admin().await, DUMP).await
}

/// What one has and the other has not.
#[track_caller]
fn expect_same(before: &[String], after: &[String]) {
    let only = |left: &[String], right: &[String]| -> Vec<String> {
        left.iter()
            .filter(|line| !right.contains(line))
            .take(20)
            .cloned()
            .collect()
    };
    let (gone, came) = (only(before, after), only(after, before));
    assert!(
        gone.is_empty() && came.is_empty(),
        "gone: {gone:#?}\nnew: {came:#?}"
    );
    assert!(
        before.len() > 1000,
        "the dump is not whole: {} lines",
        before.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn up_down_up_leaves_the_same_dump() {
    let database = TestDatabase::new().await;
    let before = dump(&database).await;
    migrate::down(&database.url()).await.unwrap();
    let left = texts(&database.admin().await, LEFT).await;
    assert!(left.is_empty(), "left over: {left:#?}");
    let done = migrate::up(&database.url()).await.unwrap();
    assert_eq!(done.migrations.len(), migrate::names().len());
    expect_same(&before, &dump(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_34_run_twice_does_nothing_the_second_time() {
    let database = TestDatabase::new().await;
    let before = dump(&database).await;
    assert_eq!(
        migrate::up(&database.url()).await.unwrap(),
        migrate::Done::default()
    );
    expect_same(&before, &dump(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_34_two_at_once_take_turns() {
    let database = TestDatabase::empty().await;
    let url = database.url();
    let (first, second) = tokio::join!(
        tokio::spawn({
            let url = url.clone();
            async move { migrate::up(&url).await }
        }),
        tokio::spawn({
            let url = url.clone();
            async move { migrate::up(&url).await }
        }),
    );
    let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());
    let all = migrate::names().len();
    let mut ran = [first.migrations.len(), second.migrations.len()];
    ran.sort_unstable();
    assert_eq!(ran, [0, all], "one of them did it all");
    assert!(first.replaced != second.replaced);
    let whole = TestDatabase::new().await;
    expect_same(&dump(&whole).await, &dump(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_34_killed_in_the_middle_it_goes_on_where_it_was() {
    let database = TestDatabase::empty().await;
    let mut interrupted = 0;
    // Later each time, so that the kill meets different migrations and the replaceable half.
    for wait in [60, 120, 200, 320, 500, 800] {
        let url = database.url();
        let migrating = tokio::spawn(async move { migrate::up(&url).await });
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let killed = texts(
            &database.admin().await,
            "select pg_terminate_backend(pid, 5000)::text from pg_stat_activity
             where datname = current_database() and usename = 'made_open'",
        )
        .await;
        if !killed.is_empty() && migrating.await.unwrap().is_err() {
            interrupted += 1;
        }
    }
    assert!(interrupted >= 1, "no kill came in time");
    migrate::up(&database.url()).await.unwrap();
    let whole = TestDatabase::new().await;
    expect_same(&dump(&whole).await, &dump(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn r_34_a_migration_waits_for_the_lock_of_another() {
    let database = TestDatabase::empty().await;
    let url = database.url();
    let migrating = {
        let url = url.clone();
        tokio::spawn(async move { migrate::up(&url).await })
    };
    // Whoever holds the schema's lock is seen in pg_locks; the second one queues behind it and fails nowhere.
    let second = tokio::spawn(async move { migrate::up(&url).await });
    let waiting = async {
        let admin = database.admin().await;
        for _ in 0..200 {
            let count = one(texts(
                &admin,
                "select count(*)::text from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database())",
            )
            .await);
            if count == "1" {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    };
    assert!(waiting.await, "nobody waited");
    migrating.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}
