//! Refuse to serve on a database whose row security would not bind the hub (S-128).

use anyhow::bail;
use diesel::sql_types::Text;

use super::{Db, Statement};
use crate::base::Caller;

/// Everything that would make row security a decoration, in one list.
const PROBLEMS: &str = "
    select problem from (
        select 'the login ' || session_user || ' is a superuser' as problem
            from pg_roles where rolname = session_user and rolsuper
        union all
        select 'the login ' || session_user || ' bypasses row security' from pg_roles
            where rolname = session_user and rolbypassrls
        union all
        select 'the login ' || session_user || ' may create roles' from pg_roles
            where rolname = session_user and rolcreaterole
        union all
        select 'the login ' || session_user || ' inherits the rights of its roles' from pg_roles
            where rolname = session_user and rolinherit
        union all
        select 'the login ' || session_user || ' owns ' || c.oid::regclass::text from pg_class c
            join pg_roles r on r.oid = c.relowner where r.rolname = session_user
        union all
        select 'role ' || rolname || ' bypasses row security' from pg_roles
            where rolname in ('anon', 'authenticated', 'service_role', 'made_open_owner')
                and (rolsuper or rolbypassrls or rolcreaterole)
        union all
        select 'table ' || k.name || ' is not held by row security' from hub.kinds k
            left join pg_class c on c.oid = to_regclass(format('public.%I', k.name))
            where c.oid is null or not c.relrowsecurity or not c.relforcerowsecurity
        union all
        select 'table ' || k.name || ' has no policy' from hub.kinds k
            where not exists (select from pg_policies p where p.schemaname = 'public' and p.tablename = k.name)
        union all
        select 'table ' || c.relname || ' of schema public is no registered kind' from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                and c.relname <> '__diesel_schema_migrations'
                and not exists (select from hub.kinds k where k.name = c.relname)
    ) found order by problem limit 20";

/// Read the list; empty means the hub may serve.
pub async fn problems(db: &Db) -> crate::base::Result<Vec<String>> {
    db.read(&Caller::Hub, async |tx| {
        tx.load::<Text, String>(Statement::new(PROBLEMS)).await
    })
    .await
}

/// Refuse unless the list is empty.
pub async fn refuse_unless_safe(db: &Db) -> anyhow::Result<()> {
    let problems = problems(db).await?;
    if !problems.is_empty() {
        bail!(
            "this database is not safe to serve from:\n  {}",
            problems.join("\n  ")
        );
    }
    Ok(())
}
