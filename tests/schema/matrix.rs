//! Who may do what to which row: every table, four verbs, eight callers, rows of two owners. The outcomes that are
//! expected stand in tests/contract/scopes.toml.

use std::collections::BTreeSet;

use made_open::db::{Statement, Tx};

use crate::catalogue::Table;
use crate::expect_none;
use crate::rows::{Sql, insertion};
use crate::scopes::{Expected, Scopes, VERBS};
use crate::stage::{Actor, Stage, found};

/// What came of an attempt.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    /// It went through without meeting the row.
    Nothing,
    Refused,
    Odd(String),
}

/// One owner's row of a table, and one that somebody would put beside it.
struct Target {
    id: String,
    beside: Sql,
    owner: String,
    tenant: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_has_a_case_and_every_case_a_table() {
    let stage = Stage::new().await;
    let cases: BTreeSet<String> = Scopes::read().table.into_keys().collect();
    let tables: BTreeSet<String> = stage.catalogue.tables.keys().cloned().collect();
    let mut problems = Vec::new();
    for table in tables.difference(&cases) {
        problems.push(format!("{table} has no case in tests/contract/scopes.toml"));
    }
    for case in cases.difference(&tables) {
        problems.push(format!("{case} is no table"));
    }
    expect_none(&problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_every_caller_on_every_table() {
    let stage = Stage::new().await;
    expect_none(&problems(&stage, |_| true).await);
}

/// The matrix itself must notice when a policy lets somebody in or keeps somebody out.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_policy_shows() {
    let stage = Stage::new().await;
    let sabotage = "
        create policy leak on public.persons for select to authenticated using (auth.app_role() = 'developer');
        drop policy client_update on public.projects;
        drop policy client_insert on public.locations;
        create policy leak on public.locations for insert to authenticated with check (true);
        alter table public.events no force row level security;
        alter table public.events disable row level security";
    stage
        .database
        .admin()
        .await
        .batch_execute(sabotage)
        .await
        .unwrap();
    let problems = problems(&stage, |table| {
        ["persons", "projects", "locations", "events", "notes"].contains(&table)
    })
    .await;
    for (table, verb, who) in [
        ("persons", "select", "developer is refused: Done"),
        ("projects", "update", "owner is allowed: Nothing"),
        ("locations", "insert", "stranger is refused: Done"),
        ("events", "select", "stranger is refused: Done"),
        ("events", "insert", "stranger is refused: Done"),
        ("events", "update", "tenant_admin is refused: Done"),
        ("events", "delete", "non_member is refused: Done"),
    ] {
        let told = problems.iter().any(|problem| {
            problem.starts_with(&format!("{table}: {verb} ")) && problem.contains(who)
        });
        assert!(told, "{table} {verb} {who}: {problems:#?}");
    }
    assert!(
        !problems.iter().any(|problem| problem.starts_with("notes")),
        "{problems:#?}"
    );
}

/// What came out otherwise than tests/contract/scopes.toml has it.
async fn problems(stage: &Stage, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let scopes = Scopes::read();
    let cast = stage.cast().await;
    let mut worlds = [stage.world(&cast.first), stage.world(&cast.second)];
    for world in &mut worlds {
        found(world).await;
    }
    let mut problems = Vec::new();
    for (name, table) in &stage.catalogue.tables {
        let Some(case) = scopes.table.get(name).filter(|_| wanted(name)) else {
            continue;
        };
        let column = case
            .update_column
            .clone()
            .unwrap_or_else(|| some_column(table));
        let all = scopes.expected(name);
        // What no client does to any row of the table is not even granted.
        let granted: BTreeSet<&str> = VERBS
            .into_iter()
            .filter(|verb| all.iter().any(|one| !one.may[verb].is_empty()))
            .collect();
        for expected in &all {
            let mut targets = Vec::new();
            for world in &mut worlds {
                let keeps = matches!(name.as_str(), "users" | "tenants" | "user_profile")
                    || table.kind.as_ref().unwrap().member_column.as_deref() == Some("id");
                let row = if keeps && expected.ordinary {
                    world.parent(name).await
                } else {
                    world.make_or_change(name, &expected.row).await
                };
                if expected.ordinary {
                    world
                        .parents
                        .entry(name.clone())
                        .or_insert_with(|| row.clone());
                }
                let mut beside = expected.row.clone();
                if keeps {
                    beside.remove("id");
                }
                targets.push(Target {
                    id: row["id"].as_str().unwrap().to_owned(),
                    beside: world.values(name, &beside).await,
                    owner: world.names["owner"].clone(),
                    tenant: world.names["tenant"].clone(),
                });
            }
            for actor in &cast.actors {
                ask(
                    stage,
                    table,
                    &column,
                    &granted,
                    expected,
                    actor,
                    &targets,
                    &mut problems,
                )
                .await;
            }
        }
    }
    problems
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that an attempt is about"
)]
/// Let one caller try all verbs on both rows, each attempt undone.
async fn ask(
    stage: &Stage,
    table: &Table,
    column: &str,
    granted: &BTreeSet<&str>,
    expected: &Expected,
    actor: &Actor,
    targets: &[Target],
    problems: &mut Vec<String>,
) {
    let mut tx = Tx::begin(&stage.db, &actor.caller).await.unwrap();
    for (which, target) in ["the first owner's", "the second owner's"]
        .into_iter()
        .zip(targets)
    {
        let relation = match which {
            "the first owner's" => actor.role,
            _ => mirrored(actor.role),
        };
        for verb in VERBS {
            let sql = match verb {
                "select" => format!(
                    "select id from public.{} where id = '{}'",
                    table.name, target.id
                ),
                "insert" => insertion(&table.name, &said_by(actor, table, target)),
                "update" => format!(
                    "update public.{} set \"{column}\" = \"{column}\" where id = '{}'",
                    table.name, target.id
                ),
                _ => format!(
                    "delete from public.{} where id = '{}'",
                    table.name, target.id
                ),
            };
            let outcome = attempt(&mut tx, verb, &sql).await;
            let may = &expected.may[verb];
            let allowed = may.iter().any(|role| role == relation);
            let right = if allowed {
                outcome == Outcome::Done
            } else if !granted.contains(verb) && verb != "select" {
                outcome == Outcome::Refused
            } else {
                matches!(outcome, Outcome::Nothing | Outcome::Refused)
            };
            if !right {
                problems.push(format!(
                    "{}: {verb} of {which} row by {} {}: {outcome:?} [{sql}]",
                    expected.name,
                    actor.role,
                    if allowed { "is allowed" } else { "is refused" },
                ));
            }
        }
    }
    tx.roll_back().await.unwrap();
}

/// What somebody is to the rows of the second owner.
fn mirrored(role: &str) -> &str {
    match role {
        "anon" | "developer" => role,
        "non_member" => "member",
        _ => "stranger",
    }
}

/// A row beside another one, as this caller would send it: what defaults to himself he leaves out.
fn said_by(actor: &Actor, table: &Table, target: &Target) -> Sql {
    let kind = table.kind.as_ref().unwrap();
    let some = table.columns.iter().any(|column| column.insertable);
    target
        .beside
        .iter()
        .filter(|(name, _)| {
            let column = table.column(name).unwrap();
            let place = kind.scope == "owner" && kind.owner_column.as_ref() == Some(name);
            let left_out = match column.default.as_deref() {
                Some("auth.uid()") => !place || actor.user.as_ref() == Some(&target.owner),
                Some("auth.tenant_id()") => actor.tenant.as_ref() == Some(&target.tenant),
                // The hub's own word stands in the row for what a client may not say.
                Some(_) => some && !column.insertable,
                None => some && !column.insertable && !column.required,
            };
            !left_out
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

async fn attempt(tx: &mut Tx, verb: &str, sql: &str) -> Outcome {
    tx.script("savepoint attempt").await.unwrap();
    let answer = tx.run(Statement::new(sql)).await;
    tx.script("rollback to attempt").await.unwrap();
    match answer {
        Ok(0) => Outcome::Nothing,
        Ok(1) => Outcome::Done,
        Ok(rows) => Outcome::Odd(format!("{rows} rows")),
        Err(error) if error.is("42501") => Outcome::Refused,
        // A link to what the caller can't see; what he may do is not refused so.
        Err(error) if verb == "insert" && error.is("23503") => Outcome::Refused,
        // A state that no client begins with.
        Err(error)
            if verb == "insert" && error.is("23514") && error.to_string().contains("_steps") =>
        {
            Outcome::Refused
        }
        // Policies speak before unique keys, and before the links that hold a row back.
        Err(error) if verb == "insert" && error.is("23505") => Outcome::Done,
        Err(error) if verb == "delete" && (error.is("23503") || error.is("23514")) => Outcome::Done,
        Err(error) => Outcome::Odd(error.to_string()),
    }
}

/// A column that an update may set to itself without meaning anything by it.
fn some_column(table: &Table) -> String {
    let kind = table.kind.as_ref().unwrap();
    let places: Vec<&str> = table
        .links
        .iter()
        .flat_map(|link| link.columns.iter().map(String::as_str))
        .chain(kind.owner_column.as_deref())
        .chain(kind.member_column.as_deref())
        .collect();
    let plain = |name: &str| {
        table
            .column(name)
            .is_some_and(|column| column.readable && column.updatable)
    };
    if let Some(title) = kind.title.as_deref().filter(|title| plain(title)) {
        return title.to_owned();
    }
    let free = table
        .columns
        .iter()
        .find(|column| plain(&column.name) && !places.contains(&column.name.as_str()));
    free.or_else(|| table.columns.iter().find(|column| plain(&column.name)))
        .map_or_else(|| "id".to_owned(), |column| column.name.clone())
}
