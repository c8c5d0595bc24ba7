//! `made-open kind …`: list the kinds, add one from a file.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{print, print_json};
use crate::base::Caller;
use crate::kinds::{Kinds, Role, Table};
use crate::node::Node;

/// Kinds.
#[derive(Subcommand)]
pub enum Kind {
    /// Every kind with its table, domain, scope and columns
    #[command(after_help = "Example: made-open kind list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a kind from a JSON description of its columns
    #[command(
        after_help = "Example: made-open kind add venues.json\n\nvenues.json: \
        {\"name\": \"venues\", \"plugin\": \"io.example.venues\", \"title\": \"name\",\n  \
        \"columns\": [{\"name\": \"name\", \"type\": \"text\", \"required\": true}]}"
    )]
    Add {
        /// The description
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Kind {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::List { json } => list(&node.kinds(), *json),
            Self::Add { file, json } => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                let described: Value = serde_json::from_str(&text)
                    .with_context(|| format!("{} is not JSON", file.display()))?;
                let done = node
                    .act(&Caller::Hub, "kinds_add", json!({ "kind": described }))
                    .await?;
                if *json {
                    return print_json(&done);
                }
                print(&format!(
                    "added {}",
                    done.get("name").and_then(Value::as_str).unwrap_or_default()
                ))
            }
        }
    }
}

fn list(kinds: &Kinds, as_json: bool) -> anyhow::Result<()> {
    let tables = kinds.schemas.values().flat_map(|tables| tables.values());
    let tables: Vec<&Table> = tables.filter(|table| table.kind.is_some()).collect();
    if as_json {
        return print_json(&tables.iter().map(|table| described(table)).collect());
    }
    for table in tables {
        let Some(kind) = &table.kind else { continue };
        print(&format!(
            "{:32} {:12} {}",
            table.name, kind.domain, kind.scope
        ))?;
    }
    Ok(())
}

fn described(table: &Table) -> Value {
    let kind = table.kind.as_ref();
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.sql_type,
                "hidden": !column.select.has(Role::Authenticated),
                "read_only": !column.insert.has(Role::Authenticated) && !column.update.has(Role::Authenticated),
            })
        })
        .collect();
    json!({
        "name": table.name,
        "schema": table.schema,
        "table": table.name,
        "domain": kind.map(|kind| &kind.domain),
        "scope": kind.map(|kind| &kind.scope),
        "plugin": kind.and_then(|kind| kind.plugin.as_ref()),
        "columns": columns,
    })
}
