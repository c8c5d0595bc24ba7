//! Threats that the database itself must withstand, each test named after its row of docs/SECURITY.md: other people's rows,
//! owners and links, views and definer functions, logins that row security would not bind, histories that don't change.

use made_open::base::{Caller, Error};
use made_open::db::{Db, check};
use serde_json::{Value, json};

use crate::catalogue::{Table, one, texts};
use crate::expect_none;
use crate::rows::{Sql, Values, World, insertion, sql_of};
use crate::scopes::Scopes;
use crate::stage::{Cast, Stage, found};
use crate::support::TestDatabase;
use crate::support::database::connect;

/// What a refusal looks like from outside, with the id in question left out.
fn told(error: &Error, id: &str) -> String {
    let told = error.told().unwrap_or_else(|| panic!("{error}"));
    format!(
        "{} {} {:?} {:?}",
        told.code, told.message, told.details, told.hint
    )
    .replace(id, "ID")
}

fn caller(cast: &Cast, role: &str) -> Caller {
    cast.actors
        .iter()
        .find(|actor| actor.role == role)
        .unwrap()
        .caller
        .clone()
}

/// Two owners with a row of every table.
async fn two_worlds<'a>(stage: &'a Stage, cast: &Cast) -> [World<'a>; 2] {
    let scopes = Scopes::read();
    let mut worlds = [stage.world(&cast.first), stage.world(&cast.second)];
    for world in &mut worlds {
        found(world).await;
        for table in stage.catalogue.tables.keys() {
            if !world.parents.contains_key(table) {
                let said = scopes.expected(table).remove(0).row;
                let row = world.make_or_change(table, &said).await;
                world.parents.insert(table.clone(), row);
            }
        }
    }
    worlds
}

/// The tables whose rows are one owner's.
fn owned(stage: &Stage) -> impl Iterator<Item = (&Table, &str)> {
    stage.catalogue.tables.values().filter_map(|table| {
        let kind = table.kind.as_ref()?;
        let column = kind.owner_column.as_deref()?;
        (kind.scope == "owner").then_some((table, column))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s_122_another_owners_rows_are_not_there() {
    let stage = Stage::new().await;
    let cast = stage.cast().await;
    let worlds = two_worlds(&stage, &cast).await;
    let owner = &worlds[0].names["owner"];
    let mut problems = Vec::new();
    for role in ["stranger", "non_member"] {
        let stranger = caller(&cast, role);
        for (table, column) in owned(&stage) {
            let name = &table.name;
            let Some(row) = worlds[0].parents.get(name) else {
                continue;
            };
            let id = row["id"].as_str().unwrap();
            let same =
                format!("select md5(to_jsonb(t)::text) from public.{name} t where id = '{id}'");
            let before = stage.reads(&Caller::Hub, &same).await.unwrap();
            let public = stage
                .reads(
                    &Caller::Hub,
                    &format!("select public_when from hub.kinds where name = '{name}'"),
                )
                .await
                .unwrap();
            for sql in [
                format!("select id::text from public.{name} where {column} = '{owner}'"),
                format!("select id::text from public.{name} where id = '{id}'"),
            ] {
                let seen = stage.reads(&stranger, &sql).await;
                let seen = match seen {
                    Err(error) if error.is("42501") => 0,
                    other => other.unwrap().len(),
                };
                if seen > 0 && public == [None] {
                    problems.push(format!("{role}: {sql} gives {seen} rows"));
                }
            }
            for sql in [
                format!("update public.{name} set id = id where id = '{id}'"),
                format!("update public.{name} set {column} = {column} where id = '{id}'"),
                format!("delete from public.{name} where id = '{id}'"),
                format!("delete from public.{name} where {column} = '{owner}'"),
            ] {
                match stage.touches(&stranger, &sql).await {
                    Ok(0) => {}
                    Err(error) if error.is("42501") => {}
                    other => problems.push(format!("{role}: {sql}: {other:?}")),
                }
            }
            if stage.reads(&Caller::Hub, &same).await.unwrap() != before {
                problems.push(format!("{role} changed {name}"));
            }
        }
    }
    expect_none(&problems);
}

/// The columns that default to the caller: whose row it is, who made it.
fn callers_columns(stage: &Stage) -> impl Iterator<Item = (&Table, &str)> {
    stage.catalogue.tables.values().flat_map(|table| {
        let columns = table.columns.iter();
        columns
            .filter(|column| column.default.as_deref() == Some("auth.uid()"))
            .map(move |column| (table, column.name.as_str()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s_123_nobody_writes_in_another_name() {
    // What its owner may give away.
    const HANDED_OVER: [&str; 2] = ["daos.owner_id", "workspaces.owner_user_id"];
    let stage = Stage::new().await;
    let cast = stage.cast().await;
    let mut worlds = two_worlds(&stage, &cast).await;
    let owner = caller(&cast, "owner");
    let world = &mut worlds[0];
    let mut problems = Vec::new();
    for (table, column) in callers_columns(&stage) {
        let name = &table.name;
        let described = table.column(column).unwrap();
        if described.insertable {
            // The newcomer can be named by everybody, so no link check stands before the policy.
            let mut row = Values::new();
            row.insert(column.to_owned(), json!("@newcomer"));
            let values = writable(table, world.values(name, &row).await);
            match stage.touches(&owner, &insertion(name, &values)).await {
                Err(error) if error.is("42501") || error.is("23503") || error.is("23514") => {}
                other => problems.push(format!(
                    "{name}: inserted with another's {column}: {other:?}"
                )),
            }
        }
        let Some(id) = world.parents.get(name).map(|row| row["id"].clone()) else {
            continue;
        };
        if described.updatable && !HANDED_OVER.contains(&format!("{name}.{column}").as_str()) {
            let newcomer = &world.names["newcomer"];
            let sql = format!(
                "update public.{name} set {column} = '{newcomer}' where id = '{}'",
                id.as_str().unwrap()
            );
            match stage.touches(&owner, &sql).await {
                Ok(0) => {}
                Err(error) if error.is("42501") || error.is("23503") || error.is("23514") => {}
                other => problems.push(format!("{name}: {column} given away: {other:?}")),
            }
        }
    }
    expect_none(&problems);
}

/// Only what a client may say.
fn writable(table: &Table, mut values: Sql) -> Sql {
    values.retain(|name, _| table.column(name).is_some_and(|column| column.insertable));
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn s_124_what_the_hub_says_no_client_writes() {
    let stage = Stage::new().await;
    let mut problems = Vec::new();
    for table in stage.catalogue.tables.values() {
        for column in &table.columns {
            let name = column.name.as_str();
            let hubs = matches!(
                name,
                "created_at"
                    | "updated_at"
                    | "federated_ap_id"
                    | "votes_yes"
                    | "votes_no"
                    | "votes_abstain"
                    | "quorum_reached"
                    | "treasury_credits"
                    | "vault_keys"
                    | "origin_actor_id"
                    | "is_admin"
                    | "is_super_admin"
                    | "encrypted_password"
                    | "replies_count"
                    | "likes_count"
                    | "message_count"
                    | "total_tokens_used"
                    | "total_executions"
            );
            if (hubs || column.generated) && (column.insertable || column.updatable) {
                problems.push(format!("{}.{name} is the client's", table.name));
            }
            if name == "id" && column.updatable {
                problems.push(format!("{}.id may be changed", table.name));
            }
        }
    }
    expect_none(&problems);
}

/// A column that leads to another row, and how an id is written in it.
struct LinkColumn {
    column: String,
    parent: String,
    /// For links to any kind: the column that names the kind.
    kind: Option<String>,
}

fn link_columns(table: &Table) -> Vec<LinkColumn> {
    let mut found = Vec::new();
    for link in &table.links {
        let column = link.columns.last().unwrap().clone();
        found.push(LinkColumn {
            column,
            parent: link.parent.clone(),
            kind: None,
        });
    }
    let described = table.kind.as_ref().unwrap().links.as_object().unwrap();
    for (column, target) in described {
        let (parent, kind) = match target {
            Value::String(parent) => (parent.clone(), None),
            other => (
                "persons".to_owned(),
                Some(other["kind"].as_str().unwrap().to_owned()),
            ),
        };
        found.push(LinkColumn {
            column: column.clone(),
            parent,
            kind,
        });
    }
    found
}

impl LinkColumn {
    /// What to write so that the column leads to this row.
    fn leading_to(&self, table: &Table, id: &str) -> Sql {
        let sql = match table.column(&self.column).unwrap().sql_type.as_str() {
            "uuid[]" => format!("'{{{id}}}'"),
            "jsonb" => format!("'[\"{id}\"]'"),
            _ => format!("'{id}'"),
        };
        let mut values = Sql::from([(self.column.clone(), sql)]);
        if let Some(kind) = &self.kind {
            let word = match table.listed(kind) {
                Some(words) if !words.contains(&self.parent) => words[0].clone(),
                _ => self.parent.clone(),
            };
            values.insert(kind.clone(), format!("'{word}'"));
        }
        values
    }
}

/// What the foreign owner's row shares in unique keys with the link, as far as a client may say it.
fn rival(table: &Table, link: &LinkColumn, foreign: Option<&Values>) -> Sql {
    let Some(foreign) = foreign else {
        return Sql::new();
    };
    let others = link_columns(table);
    let places: Vec<&String> = table
        .links
        .iter()
        .flat_map(|link| &link.columns)
        .chain(others.iter().map(|link| &link.column))
        .collect();
    let keys = table
        .uniques
        .iter()
        .filter(|unique| unique.contains(&link.column));
    keys.flatten()
        .filter(|column| **column != link.column && !places.contains(column))
        .filter(|column| table.column(column).is_some_and(|column| column.insertable))
        .map(|column| (column.clone(), sql_of(&foreign[column])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s_125_a_foreign_row_as_parent_is_as_good_as_none() {
    let stage = Stage::new().await;
    let cast = stage.cast().await;
    let mut worlds = two_worlds(&stage, &cast).await;
    let owner = caller(&cast, "owner");
    let admin = caller(&cast, "tenant_admin");
    let mut problems = Vec::new();
    let mut tried = 0;
    for table in stage.catalogue.tables.values() {
        let name = &table.name;
        let kind = table.kind.as_ref().unwrap();
        // Rows of a tenant are its admin's to write.
        let who = if kind.scope == "tenant" {
            &admin
        } else {
            &owner
        };
        for link in link_columns(table) {
            let column = table.column(&link.column).unwrap();
            let own = kind.owner_column.as_ref() == Some(&link.column);
            if own || link.parent == "ap_actors" || link.parent == "vault_secrets" {
                continue;
            }
            let Some(foreign) = worlds[1]
                .parents
                .get(&link.parent)
                .map(|row| row["id"].clone())
            else {
                continue;
            };
            let foreign = foreign.as_str().unwrap().to_owned();
            let seen = stage
                .reads(
                    who,
                    &format!(
                        "select id::text from public.{} where id = '{foreign}'",
                        link.parent
                    ),
                )
                .await;
            if seen.is_ok_and(|rows| !rows.is_empty()) {
                continue;
            }
            let random = uuid::Uuid::now_v7().to_string();
            let mut ways: Vec<(&str, Vec<String>)> = Vec::new();
            if column.insertable {
                let mut both = Vec::new();
                let mut row = writable(table, worlds[0].values(name, &Values::new()).await);
                // A key that the foreign row has already must not answer instead of the link.
                row.extend(rival(table, &link, worlds[1].parents.get(name)));
                for id in [&foreign, &random] {
                    row.extend(link.leading_to(table, id));
                    both.push(insertion(name, &row));
                }
                ways.push(("insert", both));
            }
            if column.updatable
                && let Some(row) = worlds[0].parents.get(name)
            {
                let mine = row["id"].as_str().unwrap();
                let both = [&foreign, &random].map(|id| {
                    let sets: Vec<String> = link
                        .leading_to(table, id)
                        .into_iter()
                        .map(|(column, value)| format!("\"{column}\" = {value}"))
                        .collect();
                    format!(
                        "update public.{name} set {} where id = '{mine}'",
                        sets.join(", ")
                    )
                });
                ways.push(("update", both.to_vec()));
            }
            for (way, both) in ways {
                tried += 1;
                let answers = [
                    stage
                        .touches(who, &both[0])
                        .await
                        .map_err(|error| told(&error, &foreign)),
                    stage
                        .touches(who, &both[1])
                        .await
                        .map_err(|error| told(&error, &random)),
                ];
                let refused = matches!(&answers[0], Err(_) | Ok(0));
                if !refused || answers[0] != answers[1] {
                    problems.push(format!(
                        "{way} of {name}.{}: {answers:?} [{}]",
                        link.column, both[0]
                    ));
                }
            }
        }
    }
    expect_none(&problems);
    assert!(tried > 150, "only {tried} links were tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_127_nothing_goes_around_row_security() {
    let database = TestDatabase::new().await;
    let problems = texts(
        &database.admin().await,
        "select problem from (
            select 'view ' || c.oid::regclass || ' runs as its owner' as problem from pg_class c
                where c.relkind = 'v' and c.relnamespace::regnamespace::text in ('public', 'hub', 'auth')
                and not coalesce(c.reloptions, '{}') && '{security_invoker=true,security_invoker=on}'::text[]
            union all
            select 'materialized view ' || c.oid::regclass from pg_class c
                where c.relkind = 'm' and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
            union all
            select 'partition ' || c.oid::regclass || ' without row security' from pg_class c
                where c.relispartition and c.relkind = 'r' and not (c.relrowsecurity and c.relforcerowsecurity)
            union all
            select 'definer function ' || p.oid::regprocedure || ' does not pin search_path' from pg_proc p
                where p.prosecdef and p.pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
                and not exists (select from unnest(p.proconfig) s where s like 'search_path=%')
            union all
            select 'definer function ' || p.oid::regprocedure || ' belongs to ' || p.proowner::regrole from pg_proc p
                where p.prosecdef and p.pronamespace::regnamespace::text in ('public', 'hub', 'auth')
                and p.proowner::regrole::text <> 'made_open_owner'
            union all
            select 'function ' || p.oid::regprocedure || ' may be run by everybody' from pg_proc p
                where p.pronamespace::regnamespace::text in ('hub', 'auth')
                and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
            union all
            select r.rolname || ' may truncate ' || c.oid::regclass from pg_class c,
                (select unnest('{anon,authenticated,service_role,made_open}'::name[]) as rolname) r
                where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text in ('public', 'hub', 'auth')
                and has_table_privilege(r.rolname, c.oid, 'truncate')
            union all
            select r.rolname || ' may add triggers to ' || c.oid::regclass from pg_class c,
                (select unnest('{anon,authenticated,service_role,made_open}'::name[]) as rolname) r
                where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text in ('public', 'hub', 'auth')
                and (has_table_privilege(r.rolname, c.oid, 'trigger') or has_table_privilege(r.rolname, c.oid, 'references'))
            union all
            select r.rolname || ' may make things in ' || n.nspname from pg_namespace n,
                (select unnest('{anon,authenticated,service_role,made_open}'::name[]) as rolname) r
                where n.nspname in ('public', 'hub', 'auth') and has_schema_privilege(r.rolname, n.oid, 'create')
            union all
            select r.rolname || ' may use sequence ' || c.oid::regclass from pg_class c,
                (select unnest('{anon,authenticated,made_open}'::name[]) as rolname) r
                where c.relkind = 'S' and c.relnamespace::regnamespace::text in ('public', 'hub', 'auth')
                and has_sequence_privilege(r.rolname, c.oid, 'usage, select, update')
            union all
            select 'the login may touch ' || c.oid::regclass from pg_class c
                where c.relkind in ('r', 'p', 'v') and c.relnamespace::regnamespace::text in ('public', 'hub', 'auth')
                and has_table_privilege('made_open', c.oid, 'select, insert, update, delete')
            union all
            select 'clients may read ' || c.oid::regclass from pg_class c,
                (select unnest('{anon,authenticated}'::name[]) as rolname) r
                where c.relkind in ('r', 'p', 'v') and c.relnamespace::regnamespace::text in ('hub', 'auth')
                and has_table_privilege(r.rolname, c.oid, 'select, insert, update, delete')
            union all
            select 'policy ' || p.policyname || ' of ' || p.tablename || ' is for everybody' from pg_policies p
                where p.roles && '{public}'::name[]
        ) found order by problem",
    )
    .await;
    expect_none(&problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_127_truncate_and_copy_are_refused() {
    let stage = Stage::new().await;
    for sql in [
        "truncate public.persons",
        "copy public.users to stdout",
        "copy public.persons to program 'true'",
        "alter table public.persons disable row level security",
        "set local row_security = off; select id from public.persons",
        "drop policy client_read on public.persons",
    ] {
        let (_, session) = stage.account("someone", None).await;
        let refused = stage.act(&session, sql).await;
        assert!(
            refused.as_ref().is_err_and(|error| error.is("42501")),
            "{sql}: {refused:?}"
        );
    }
}

/// A login of its own, so that sabotage hurts no other test of the server.
async fn login(database: &TestDatabase, manners: &str) -> (String, Db) {
    let name = format!("login_{}", uuid::Uuid::new_v4().simple());
    database
        .admin()
        .await
        .batch_execute(&format!(
            "create role {name} login password 'only-in-tests' {manners};
             grant anon, authenticated, service_role, made_open_owner to {name};
             grant connect on database {} to {name}",
            database.name
        ))
        .await
        .unwrap();
    let url = database.url().replace("made_open:", &format!("{name}:"));
    (name, Db::open(&url, 1).unwrap())
}

async fn forget(database: &TestDatabase, login: &str) {
    database
        .admin()
        .await
        .batch_execute(&format!(
            "select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = '{login}';
             drop owned by {login}; drop role {login}"
        ))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s_128_an_unsafe_login_is_refused() {
    let database = TestDatabase::new().await;
    let good = Db::open(&database.url(), 1).unwrap();
    expect_none(&check::problems(&good).await.unwrap());
    for (manners, complaint) in [
        ("noinherit superuser", "is a superuser"),
        ("noinherit bypassrls", "bypasses row security"),
        ("noinherit createrole", "may create roles"),
        ("inherit", "inherits the rights of its roles"),
    ] {
        let (name, db) = login(&database, manners).await;
        let problems = check::problems(&db).await.unwrap();
        let told = problems
            .iter()
            .any(|problem| problem.contains(&name) && problem.contains(complaint));
        assert!(told, "{manners}: {problems:?}");
        assert!(check::refuse_unless_safe(&db).await.is_err());
        drop(db);
        forget(&database, &name).await;
    }
    let (name, db) = login(&database, "noinherit").await;
    expect_none(&check::problems(&db).await.unwrap());
    let admin = database.admin().await;
    admin
        .batch_execute(&format!(
            "grant create on schema hub to {name}; alter table hub.settings owner to {name}"
        ))
        .await
        .unwrap();
    let problems = check::problems(&db).await.unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("owns hub.settings")),
        "{problems:?}"
    );
    admin
        .batch_execute("alter table hub.settings owner to made_open_owner")
        .await
        .unwrap();
    drop(db);
    forget(&database, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_128_an_unguarded_table_is_refused() {
    for (sabotage, complaint) in [
        ("alter table public.persons no force row level security", "table persons is not held"),
        ("alter table public.persons disable row level security", "table persons is not held"),
        (
            "do $$ declare p record; begin for p in select policyname from pg_policies where tablename = 'persons' loop
             execute format('drop policy %I on public.persons', p.policyname); end loop; end $$",
            "table persons has no policy",
        ),
        ("create table public.forgotten (id uuid primary key)", "table forgotten of schema public"),
        (
            "insert into hub.kinds select (jsonb_populate_record(k, '{\"name\": \"vanished\"}')).* from hub.kinds k where name = 'persons'",
            "table vanished is not held",
        ),
    ] {
        let database = TestDatabase::new().await;
        database.admin().await.batch_execute(sabotage).await.unwrap();
        let db = Db::open(&database.url(), 1).unwrap();
        let problems = check::problems(&db).await.unwrap();
        assert!(problems.iter().any(|problem| problem.contains(complaint)), "{sabotage}: {problems:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_130_without_settings_nobody_sees_anything() {
    let stage = Stage::new().await;
    let cast = stage.cast().await;
    let worlds = two_worlds(&stage, &cast).await;
    drop(worlds);
    let login = stage.database.login().await;
    let mut problems = Vec::new();
    // The first time they are absent; after a transaction had them they read ''.
    for state in ["absent", "empty"] {
        for table in stage.catalogue.tables.values() {
            let kind = table.kind.as_ref().unwrap();
            let public = stage
                .reads(
                    &Caller::Hub,
                    &format!(
                        "select public_when from hub.kinds where name = '{}'",
                        table.name
                    ),
                )
                .await
                .unwrap();
            for role in ["anon", "authenticated"] {
                let sql = format!(
                    "select count(*)::text from (select id from public.{}) rows",
                    table.name
                );
                login.batch_execute("begin").await.unwrap();
                login
                    .batch_execute(&format!("set local role {role}"))
                    .await
                    .unwrap();
                let seen = login.simple_query(&sql).await;
                login.batch_execute("rollback").await.unwrap();
                match seen {
                    Err(error) if error.code().is_some_and(|code| code.code() == "42501") => {}
                    Err(error) => {
                        problems.push(format!("{state}, {role}: {}: {error}", table.name))
                    }
                    Ok(rows) => {
                        let count = rows.iter().find_map(|row| match row {
                            tokio_postgres::SimpleQueryMessage::Row(row) => {
                                row.get(0).map(str::to_owned)
                            }
                            _ => None,
                        });
                        let open = public != [None]
                            || (kind.scope == "catalogue" && role == "authenticated");
                        // A room that is public is read by whoever is signed in.
                        let open = open || table.name == "chat_channels";
                        if !open && count.as_deref() != Some("0") {
                            problems.push(format!(
                                "{state}, {role}: {} gives {count:?} rows",
                                table.name
                            ));
                        }
                    }
                }
            }
        }
        login
            .batch_execute(
                "begin; select set_config(name, '', true) from unnest('{request.jwt.claims,request.jwt.claim.sub,
                 request.jwt.claim.role,request.jwt.claim.tenant_id,request.jwt.claim.user_role}'::text[]) name; commit",
            )
            .await
            .unwrap();
    }
    expect_none(&problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_130_a_login_that_entered_nothing_may_do_nothing() {
    let stage = Stage::new().await;
    let login = stage.database.login().await;
    for table in stage.catalogue.tables.keys() {
        for sql in [
            format!("select id from public.{table}"),
            format!("delete from public.{table}"),
        ] {
            let refused = login.batch_execute(&sql).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_134_history_stays_as_it_is() {
    let stage = Stage::new().await;
    let cast = stage.cast().await;
    let mut world = stage.world(&cast.first);
    found(&mut world).await;
    let id = |row: &Values| row["id"].as_str().unwrap().to_owned();
    let audit = id(&world.make("audit_log", &Values::new()).await);
    let vote = id(&world.make("votes", &Values::new()).await);
    let entry = id(&world.make("ledger_entries", &Values::new()).await);
    let journal = one(texts(
        &stage.database.admin().await,
        &format!("select id::text from hub.journal where row_id = '{vote}' and verb = 'insert'"),
    )
    .await);
    let mut problems = Vec::new();
    for (table, id, column) in [
        ("public.audit_log", &audit, "outcome"),
        ("public.votes", &vote, "choice"),
        ("public.ledger_entries", &entry, "amount"),
        ("hub.journal", &journal, "verb"),
    ] {
        let changes = [
            format!("update {table} set {column} = {column} where id = '{id}'"),
            format!("delete from {table} where id = '{id}'"),
        ];
        for sql in &changes {
            for actor in &cast.actors {
                match stage.touches(&actor.caller, sql).await {
                    Err(error) if error.is("42501") => {}
                    other => problems.push(format!("{}: {sql}: {other:?}", actor.role)),
                }
            }
            // A ballot outlives its voter's account without his name, which the hub takes off it.
            if table != "public.votes" {
                match stage.touches(&Caller::Hub, sql).await {
                    Err(error) if error.is("42501") => {}
                    other => problems.push(format!("the hub: {sql}: {other:?}")),
                }
                let owner = connect(&stage.database.admin_url()).await;
                owner
                    .batch_execute("begin; set local role made_open_owner")
                    .await
                    .unwrap();
                match owner.execute(sql, &[]).await {
                    Ok(0) => {}
                    Err(error) if error.code().is_some_and(|code| code.code() == "42501") => {}
                    other => problems.push(format!("the owner of the schema: {sql}: {other:?}")),
                }
                owner.batch_execute("rollback").await.unwrap();
                let root = stage.database.admin().await;
                root.batch_execute("begin; set local lock_timeout = '5s'")
                    .await
                    .unwrap();
                match root.execute(sql, &[]).await {
                    Err(error) if error.code().is_some_and(|code| code.code() == "42501") => {}
                    other => problems.push(format!("a superuser: {sql}: {other:?}")),
                }
            }
        }
        let root = stage.database.admin().await;
        if table != "public.votes"
            && root
                .batch_execute(&format!("truncate {table}"))
                .await
                .is_ok()
        {
            problems.push(format!("a superuser truncates {table}"));
        }
    }
    expect_none(&problems);
    // Its time is the database's.
    for (table, column) in [
        ("audit_log", "occurred_at"),
        ("votes", "cast_at"),
        ("ledger_entries", "booked_at"),
    ] {
        let column = stage.catalogue.table(table).column(column).unwrap();
        assert!(!column.insertable && !column.updatable, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_in_the_journal_with_who_did_it() {
    let stage = Stage::new().await;
    let (person, session) = stage.account("writer", None).await;
    let id = uuid::Uuid::now_v7();
    for sql in [
        format!("insert into public.persons (id, name) values ('{id}', 'Ada')"),
        format!("update public.persons set name = 'Ada L.', notes = 'met' where id = '{id}'"),
        format!("delete from public.persons where id = '{id}'"),
    ] {
        assert_eq!(stage.touches(&session, &sql).await.unwrap(), 1);
    }
    let kept = texts(
        &stage.database.admin().await,
        &format!(
            "select concat_ws(' ', verb, kind, owner_id, actor_id, role, changed::text)
             from hub.journal where row_id = '{id}' order by id"
        ),
    )
    .await;
    assert_eq!(
        kept,
        [
            format!("insert persons {person} {person} authenticated"),
            format!("update persons {person} {person} authenticated {{name,notes}}"),
            format!("delete persons {person} {person} authenticated"),
        ]
    );
}
