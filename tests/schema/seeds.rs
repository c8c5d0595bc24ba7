//! The seed documents against the live catalogue, column by column: everything they name is there under its own name, or
//! docs/model/renames.json says where it went and why. An entry that nothing needs is as wrong as one that is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::catalogue::{Catalogue, Column, Table, texts};
use crate::rows::{Values, World};
use crate::stage::{Stage, found};
use crate::support::TestDatabase;
use crate::{expect_none, read};

/// Tables that no seed defines but what they say needs.
const UNNAMED: [&str; 26] = [
    "ap_activities",
    "ap_actors",
    "ap_deliveries",
    "ap_domains",
    "ap_hosts",
    "ap_inboxes",
    "ap_keys",
    "ap_received",
    "ap_tombstones",
    "blocks",
    "follows",
    "integrations",
    "ledger_accounts",
    "ledger_entries",
    "mutes",
    "onto_templates",
    "plugin_schemas",
    "post_audience",
    "posts",
    "reactions",
    "relationships",
    "reports",
    "reputation_credentials",
    "rule_runs",
    "vault_secrets",
    "votes",
];

/// Names that vanished when tables were merged.
const VIEWS: [&str; 5] = [
    "microdao_members",
    "microdaos",
    "queue_jobs",
    "user_oauth_connections",
    "vector_store",
];

#[derive(Deserialize)]
struct Seeds {
    systems: Vec<System>,
}

#[derive(Deserialize)]
struct System {
    id: String,
    tables: Vec<SeedTable>,
}

#[derive(Deserialize)]
struct SeedTable {
    name: String,
    columns: Vec<SeedColumn>,
    unique: Vec<Vec<String>>,
    indexes: Vec<SeedIndex>,
}

#[derive(Deserialize)]
struct SeedColumn {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    nullable: Option<bool>,
    default: Option<String>,
    references: Option<String>,
    /// What the name alone tells; an entry may say where it leads.
    implied_references: Option<String>,
    values: Option<Vec<String>>,
    note: Option<String>,
    #[serde(default)]
    values_open: bool,
    #[serde(default)]
    primary_key: bool,
    #[serde(default)]
    wildcard: bool,
}

#[derive(Deserialize)]
struct SeedIndex {
    columns: Vec<String>,
    unique: bool,
    name: Option<String>,
    r#where: Option<String>,
}

#[derive(Deserialize)]
struct Rename {
    to: Option<String>,
    why: String,
}

/// The three files, and which entries were of use.
struct Model {
    seeds: Seeds,
    mapping: BTreeMap<String, String>,
    renames: BTreeMap<String, Rename>,
    used: BTreeSet<String>,
    problems: Vec<String>,
}

impl Model {
    fn read() -> Self {
        let json = |name: &str| read(&format!("docs/model/{name}.json"));
        Self {
            seeds: serde_json::from_str(&json("seed-schema")).unwrap(),
            mapping: serde_json::from_str(&json("seed-mapping")).unwrap(),
            renames: serde_json::from_str(&json("renames")).unwrap(),
            used: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// All that differs from the live catalogue without an entry, and all entries that explain nothing.
    fn compare(mut self, catalogue: &Catalogue) -> Vec<String> {
        let seeds = std::mem::replace(
            &mut self.seeds,
            Seeds {
                systems: Vec::new(),
            },
        );
        for (seed, table) in &self.mapping {
            if !catalogue.tables.contains_key(table) {
                self.problems.push(format!("{seed} has no table {table}"));
            }
        }
        for name in UNNAMED {
            if !catalogue.tables.contains_key(name) {
                self.problems.push(format!("there is no table {name}"));
            }
        }
        for system in &seeds.systems {
            for table in &system.tables {
                self.compare_table(catalogue, &system.id, table);
            }
        }
        for (key, entry) in &self.renames {
            if !self.used.contains(key) && !key.contains('=') {
                self.problems
                    .push(format!("renames.json: {key} explains nothing"));
            }
            if entry.why.trim().len() < 8 {
                self.problems
                    .push(format!("renames.json: {key} gives no reason"));
            }
        }
        self.problems
    }

    fn compare_table(&mut self, catalogue: &Catalogue, system: &str, seed: &SeedTable) {
        let of_seed = format!("{system}.{}", seed.name);
        let Some(home) = self.mapping.get(&of_seed) else {
            self.problems
                .push(format!("{of_seed} is not in seed-mapping.json"));
            return;
        };
        let Some(table) = catalogue.tables.get(home) else {
            return;
        };
        let merged = self.mapping.values().filter(|other| *other == home).count() > 1;
        let mut keys = Vec::new();
        for column in &seed.columns {
            if column.primary_key && column.name != "id" {
                keys.push(column.name.clone());
            }
            if let Some((table, live)) = self.find(catalogue, &of_seed, table, column) {
                let key = format!("{of_seed}.{}", column.name);
                self.compare_column(system, &key, table, live, column, merged);
            }
        }
        let mut uniques = seed.unique.clone();
        if !keys.is_empty() {
            uniques.push(keys);
        }
        for unique in &uniques {
            self.compare_unique(&of_seed, table, unique);
        }
        for index in &seed.indexes {
            self.compare_index(&of_seed, table, index);
        }
    }

    /// Where a column lives now; nothing when it is gone, as an entry says, or missing, which is a problem.
    fn find<'a>(
        &mut self,
        catalogue: &'a Catalogue,
        of_seed: &str,
        table: &'a Table,
        column: &SeedColumn,
    ) -> Option<(&'a Table, &'a Column)> {
        let key = format!("{of_seed}.{}", column.name);
        if let Some(entry) = self.renames.get(&key) {
            self.used.insert(key.clone());
            let to = entry.to.clone()?;
            let mut places = Vec::new();
            for place in to.split(',').map(str::trim) {
                let found = place.split_once('.').and_then(|(table, column)| {
                    let table = catalogue.tables.get(table)?;
                    Some((table, table.column(column)?))
                });
                match found {
                    Some(found) => places.push(found),
                    None => self
                        .problems
                        .push(format!("{key} should be {place}, which does not exist")),
                }
            }
            if table.column(&column.name).is_some()
                && to == format!("{}.{}", table.name, column.name)
            {
                self.problems
                    .push(format!("renames.json: {key} is under its own name"));
            }
            return if places.len() == 1 {
                places.pop()
            } else {
                None
            };
        }
        if column.wildcard {
            self.problems.push(format!(
                "{key} stands for several columns: name them in renames.json"
            ));
            return None;
        }
        let live = table.column(&column.name);
        if live.is_none() {
            self.problems
                .push(format!("{key} is not in {}", table.name));
        }
        live.map(|live| (table, live))
    }

    fn compare_column(
        &mut self,
        system: &str,
        key: &str,
        table: &Table,
        live: &Column,
        seed: &SeedColumn,
        merged: bool,
    ) {
        let here = format!("{}.{}", table.name, live.name);
        let own = belongs_to_caller(table, live);

        let types = accepted_types(system, seed);
        let fits = types.iter().any(|accepted| *accepted == live.sql_type);
        self.judge(key, "type", !fits, !fits, || {
            format!(
                "{key} is {} there, {} here",
                types.join(" or "),
                live.sql_type
            )
        });

        let wanted = seed
            .default
            .as_deref()
            .map(plain_default)
            .filter(|text| text != "null");
        let has = live.default.as_deref().map(plain_default);
        let same = match (&wanted, &has) {
            (None, None) => true,
            (Some(wanted), Some(has)) => {
                wanted == has
                    || (wanted == "gen_random_uuid()"
                        && has == "hub.uuid_v7()"
                        && !live.name.contains("key"))
            }
            _ => false,
        };
        let tolerated = has.as_deref().is_some_and(|has| {
            has == "auth.uid()" || has == "auth.tenant_id()" || (wanted.is_none() && has != "null")
        });
        self.judge(key, "default", !same, !same && !tolerated, || {
            format!("{key} defaults to {wanted:?} there, {here} to {has:?}")
        });

        if let Some(nullable) = seed.nullable {
            let differs = nullable == live.required;
            let stamps = matches!(live.name.as_str(), "created_at" | "updated_at");
            let tolerated = stamps || own || (merged && !nullable);
            self.judge(key, "nullable", differs, differs && !tolerated, || {
                format!(
                    "{key} is nullable: {nullable} there, {} here",
                    !live.required
                )
            });
        }

        if let Some(values) = &seed.values {
            let listed = table.listed(&live.name);
            let mut differs = Vec::new();
            match &listed {
                Some(listed) => {
                    for value in values.iter().filter(|value| !listed.contains(value)) {
                        let word = format!("{key}={value}");
                        if self.renames.contains_key(&word) {
                            self.used.insert(word);
                        } else {
                            differs.push(format!("{here} does not take {value}"));
                        }
                    }
                }
                None if !seed.values_open => differs.push(format!("{here} takes anything")),
                None => {}
            }
            let wrong = !differs.is_empty();
            let more = listed.is_some_and(|listed| listed.len() > values.len());
            self.judge(key, "values", wrong || more, wrong, || {
                format!("{key}: {}", differs.join(", "))
            });
        }

        if let Some(references) = seed
            .references
            .as_ref()
            .or(seed.implied_references.as_ref())
        {
            let parent = references.rsplit_once('.').map_or("", |(parent, _)| parent);
            let parent = self.mapping.get(&format!("{system}.{parent}")).cloned();
            let held = table.links.iter().any(|link| {
                link.columns.contains(&live.name) && Some(&link.parent) == parent.as_ref()
            });
            let held = held || (live.name == "id" && parent.as_deref() == Some(&table.name));
            let said = seed.references.is_some();
            self.judge(key, "references", !held, !held && said, || {
                format!("{key} references {references}, {here} does not reference {parent:?}")
            });
        }
    }

    fn compare_unique(&mut self, of_seed: &str, table: &Table, columns: &[String]) {
        let here: BTreeSet<String> = columns
            .iter()
            .map(|name| self.home(of_seed, name))
            .collect();
        let held = table
            .uniques
            .iter()
            .any(|unique| unique.iter().cloned().collect::<BTreeSet<_>>() == here);
        let keys: Vec<String> = columns
            .iter()
            .map(|name| format!("{of_seed}.{name}"))
            .collect();
        let key = keys
            .iter()
            .find(|key| self.renames.contains_key(&format!("{key}#unique")))
            .unwrap_or(&keys[0])
            .clone();
        self.judge(&key, "unique", !held, !held, || {
            format!(
                "{of_seed} is unique by {columns:?}, {} is not by {here:?}",
                table.name
            )
        });
    }

    fn compare_index(&mut self, of_seed: &str, table: &Table, seed: &SeedIndex) {
        if let Some(name) = &seed.name {
            let found = table.indexes.iter().find(|index| &index.name == name);
            match found {
                None => self
                    .problems
                    .push(format!("{} has no index {name}", table.name)),
                Some(index) => {
                    if seed.r#where.is_some() != index.partial {
                        self.problems
                            .push(format!("{name} is partial: {}", index.partial));
                    }
                }
            }
        }
        if let Some(class) = seed.columns[0].strip_prefix("embedding ") {
            if !table
                .indexes
                .iter()
                .any(|index| index.definition.contains(class))
            {
                self.problems
                    .push(format!("{} has no index by {class}", table.name));
            }
            return;
        }
        let here: Vec<Option<String>> = seed
            .columns
            .iter()
            .map(|name| Some(self.home(of_seed, name.trim_end_matches(" DESC"))))
            .collect();
        // The columns of a unique one may stand in any order.
        let led = table.indexes.iter().any(|index| {
            let leads: BTreeSet<_> = index.columns.iter().take(here.len()).collect();
            index.columns.starts_with(&here) || (seed.unique && leads == here.iter().collect())
        });
        if !led {
            self.problems.push(format!(
                "{of_seed} has an index by {:?}, {} has none by {here:?}",
                seed.columns, table.name
            ));
        }
    }

    /// The name of a seed's column in its table here.
    fn home(&self, of_seed: &str, column: &str) -> String {
        self.renames
            .get(&format!("{of_seed}.{column}"))
            .and_then(|entry| entry.to.as_deref())
            .and_then(|to| to.split_once('.'))
            .map_or_else(|| column.to_owned(), |(_, column)| column.to_owned())
    }

    /// Note a difference: an entry may explain it, and must where it is not tolerated anyway.
    fn judge(
        &mut self,
        key: &str,
        what: &str,
        differs: bool,
        must: bool,
        say: impl FnOnce() -> String,
    ) {
        let entry = format!("{key}#{what}");
        if self.renames.contains_key(&entry) {
            if differs {
                self.used.insert(entry);
            }
        } else if must {
            self.problems.push(say());
        }
    }
}

/// Whether a column says whose row it is.
fn belongs_to_caller(table: &Table, column: &Column) -> bool {
    column.default.as_deref() == Some("auth.uid()")
        || column.default.as_deref() == Some("auth.tenant_id()")
        || table
            .kind
            .as_ref()
            .and_then(|kind| kind.owner_column.as_ref())
            == Some(&column.name)
}

/// The types that a seed's word for one allows.
fn accepted_types(system: &str, column: &SeedColumn) -> Vec<&'static str> {
    let name = column.name.as_str();
    let word = column.type_name.to_lowercase();
    if system == "buildos" {
        let note = column.note.as_deref().unwrap_or_default().to_lowercase();
        let is_time = name.ends_with("_at")
            || [" date", " time", "timestamp", "date ", "time "]
                .iter()
                .any(|hint| {
                    format!(" {note} ").contains(&format!("{hint} ")) || note == hint.trim()
                })
            || name.ends_with("_date")
            || name == "date"
            || name.ends_with("_start")
            || name.ends_with("_end");
        let is_id = column.primary_key || name.ends_with("_id") || name.ends_with("_by");
        return match word.as_str() {
            // Foreign systems' ids are text, our own uuids: a reference decides, an `_id` alone does not.
            "string" if column.references.is_some() || name == "id" => vec!["uuid"],
            "string" if is_id => vec!["uuid", "text"],
            "string" if is_time => vec!["timestamp with time zone"],
            "string" => vec!["text"],
            "number" if name.contains("cost") => vec!["numeric"],
            "number" => vec!["integer"],
            "boolean" => vec!["boolean"],
            "json" => vec!["jsonb"],
            "string[]" => vec!["text[]"],
            "number[]" => vec!["integer[]"],
            "unknown" => vec!["unknown"],
            other => panic!("{name} is of type {other}"),
        };
    }
    match word.as_str() {
        "uuid" => vec!["uuid"],
        "text" | "string" | "character varying" => vec!["text"],
        "jsonb" => vec!["jsonb"],
        "jsonb[]" => vec!["jsonb[]"],
        "text[]" => vec!["text[]"],
        "uuid[]" => vec!["uuid[]"],
        "bool" | "boolean" => vec!["boolean"],
        "int" | "integer" => vec!["integer"],
        "bigint" => vec!["bigint"],
        "smallint" => vec!["smallint"],
        "float4" => vec!["real"],
        "float8" => vec!["double precision"],
        "numeric(12,2)" => vec!["numeric(12,2)"],
        "numeric(18,4)" => vec!["numeric(18,4)"],
        "date" => vec!["date"],
        "point" => vec!["point"],
        "timestamptz" | "timestamp" | "timestamp with time zone" => {
            vec!["timestamp with time zone"]
        }
        "vector(1536)" => vec!["vector(1536)"],
        // Lists of words are text with a check, never types of their own.
        "account_tool_installation_status_enum"
        | "assignment_type"
        | "credential_type"
        | "datastore_type"
        | "message_type"
        | "processing_log_status"
        | "processing_status"
        | "provider_type"
        | "task_status"
        | "task_step_status"
        | "task_type"
        | "team_connection_type"
        | "workspace_member_role" => vec!["text"],
        other => panic!("{name} is of type {other}"),
    }
}

/// A default without its casts.
fn plain_default(text: &str) -> String {
    let mut plain = text.trim().to_lowercase();
    for cast in [
        "::text[]",
        "::text",
        "::jsonb",
        "::integer",
        "::numeric",
        "::bigint",
        "::real",
        "::double precision",
        "::jsonb[]",
        "::integer[]",
        "::uuid[]",
    ] {
        plain = plain.replace(cast, "");
    }
    let plain =
        plain.trim_matches(['(', ')']).to_owned() + if plain.ends_with("()") { "()" } else { "" };
    match plain.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => plain,
    }
}

async fn problems_of(database: &TestDatabase) -> Vec<String> {
    let client = database.admin().await;
    Model::read().compare(&Catalogue::read(&client).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_of_the_seeds_is_here_or_accounted_for() {
    let database = TestDatabase::new().await;
    expect_none(&problems_of(&database).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_comparison_sees_every_kind_of_loss() {
    let losses = [
        ("alter table persons drop column birthday", "made-open.persons.birthday"),
        ("alter table persons alter column birthday type text", "made-open.persons.birthday is date"),
        ("alter table locations alter column radius_meters drop default", "made-open.locations.radius_meters defaults"),
        ("alter table events alter column title drop not null", "made-open.events.title is nullable"),
        ("alter table locations drop constraint locations_type_listed", "made-open.locations.type"),
        (
            "alter table locations drop constraint locations_type_listed;
             alter table locations add constraint locations_type_listed check (type in ('home', 'work'))",
            "does not take venue",
        ),
        ("alter table devices drop constraint devices_device_token_key", "made-open.devices is unique"),
        ("alter table licenses drop constraint licenses_license_key_key cascade", "org-hierarchy.licenses is unique"),
        ("alter table contact_notes drop constraint contact_notes_owner_id_person_id_fkey", "made-open.contact_notes.person_id references"),
        ("drop index idx_agents_user_id", "idx_agents_user_id"),
        ("drop table contact_notes cascade", "has no table contact_notes"),
    ];
    let database = TestDatabase::new().await;
    let mut client = database.admin().await;
    for (loss, complaint) in losses {
        let tx = client.transaction().await.unwrap();
        tx.batch_execute(loss).await.unwrap();
        let catalogue = Catalogue::read(tx.client()).await;
        let problems = Model::read().compare(&catalogue);
        assert!(
            problems.iter().any(|problem| problem.contains(complaint)),
            "nobody missed anything after: {loss}\n{problems:?}"
        );
        tx.rollback().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_explains_nothing_is_a_problem() {
    let database = TestDatabase::new().await;
    let catalogue = Catalogue::read(&database.admin().await).await;
    let entry = |to: &str| Rename {
        to: Some(to.to_owned()),
        why: "because it was so".to_owned(),
    };
    for (key, to) in [
        ("made-open.persons.name#type", "persons.name"),
        ("made-open.persons.nickname", "persons.name"),
        ("made-open.persons.name", "persons.name"),
        ("made-open.persons.birthday", "persons.born"),
    ] {
        let mut model = Model::read();
        model.renames.insert(key.to_owned(), entry(to));
        let problems = model.compare(&catalogue);
        assert!(
            problems.iter().any(|problem| problem.contains(key)),
            "{key}: {problems:?}"
        );
    }
}

/// `system.table.column=word` is accepted and stored as another word: each one is tried.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_words_are_taken_and_stored_as_ours() {
    let stage = Stage::new().await;
    let cast = stage.cast().await;
    let mut world = stage.world(&cast.first);
    found(&mut world).await;
    let mut problems = Vec::new();
    for (key, entry) in Model::read().renames {
        let Some((column, word)) = key.split_once('=') else {
            continue;
        };
        let Some((place, ours)) = entry.to.as_deref().and_then(|to| to.split_once('=')) else {
            problems.push(format!("{key} names no word"));
            continue;
        };
        let (table, target) = place.split_once('.').unwrap();
        let _ = column;
        if let Err(problem) = takes(&mut world, table, target, word, ours).await {
            problems.push(format!("{key}: {problem}"));
        }
    }
    expect_none(&problems);
}

async fn takes(
    world: &mut World<'_>,
    table: &str,
    column: &str,
    word: &str,
    ours: &str,
) -> Result<(), String> {
    let mut row = Values::new();
    row.insert(column.to_owned(), Value::String(word.to_owned()));
    // A word for a kind of row goes with a row of that kind.
    if let Some(link) = match column {
        "src_kind" => Some("src_id"),
        "dst_kind" => Some("dst_id"),
        "entity_type" => Some("entity_id"),
        _ => None,
    } && world.catalogue.table(table).column(link).is_some()
        && world.catalogue.tables.contains_key(ours)
    {
        row.insert(link.to_owned(), Value::String(format!("@{ours}")));
    }
    let stored = world
        .try_make(table, &row)
        .await
        .map_err(|error| error.to_string())?;
    if stored[column] == ours {
        Ok(())
    } else {
        Err(format!("stored as {}", stored[column]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_a_kind_with_an_id_and_indexed_links() {
    let database = TestDatabase::new().await;
    let client = database.admin().await;
    let catalogue = Catalogue::read(&client).await;
    let mut problems = Vec::new();
    for table in catalogue.tables.values() {
        let name = &table.name;
        if table.kind.is_none() {
            problems.push(format!("{name} is no registered kind"));
        }
        let id = table.column("id").is_some_and(|id| id.sql_type == "uuid");
        if !id || !table.uniques.contains(&vec!["id".to_owned()]) {
            problems.push(format!("{name} has no id uuid as its primary key"));
        }
        for column in ["created_at", "updated_at"] {
            let append_only = table.kind.as_ref().is_some_and(|kind| kind.append_only);
            let there = table.column(column).is_some_and(|column| {
                column.required && column.default.as_deref() == Some("now()")
            });
            let none_needed = append_only && column == "updated_at";
            if !there && !none_needed {
                problems.push(format!("{name} has no {column}"));
            }
        }
        for link in &table.links {
            let led = table.indexes.iter().any(|index| {
                let leads: BTreeSet<&String> = index
                    .columns
                    .iter()
                    .take(link.columns.len())
                    .flatten()
                    .collect();
                let whole = leads == link.columns.iter().collect();
                let last =
                    link.columns.len() > 1 && index.columns[0].as_ref() == link.columns.last();
                !index.partial && (whole || last)
            });
            if !led {
                problems.push(format!("{name}: no index begins with {:?}", link.columns));
            }
        }
    }
    for kind in texts(&client, "select name from hub.kinds order by name").await {
        if !catalogue.tables.contains_key(&kind) {
            problems.push(format!("{kind} is registered and no table"));
        }
    }
    let types = texts(
        &client,
        "select typname from pg_type where typtype = 'e' and typnamespace = 'public'::regnamespace",
    )
    .await;
    for name in types {
        problems.push(format!("{name} is an enum type"));
    }
    expect_none(&problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_vanished_are_views() {
    let database = TestDatabase::new().await;
    let views = texts(
        &database.admin().await,
        "select viewname from pg_views where schemaname = 'public' order by viewname",
    )
    .await;
    for name in VIEWS {
        assert!(
            views.iter().any(|view| view == name),
            "{name} is no view: {views:?}"
        );
    }
}
