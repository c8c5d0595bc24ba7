//! `made-open migrate` and `made-open database …`: the schema, the roles, the embedded server.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{database_run, exit, note, open, print, print_json};
use crate::base::config::{self, Config};
use crate::db::{Db, bootstrap, check, look, migrate};

/// Bring the schema up.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Migrate {
    #[command(subcommand)]
    what: Option<What>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Questions about the schema.
#[derive(Subcommand)]
enum What {
    /// Say which migrations were run and which were not
    #[command(after_help = "Example: made-open migrate status --json")]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fail when there is something to migrate
    #[command(after_help = "Example: made-open migrate check")]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// The database.
#[derive(Subcommand)]
pub enum Database {
    /// Print the statements that a superuser runs once on a server of his own
    Bootstrap(Bootstrap),
    /// Say whether row security binds the hub on this database
    #[command(after_help = "Example: made-open database check --json")]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run only the embedded database, until standard input ends or a signal comes
    #[command(after_help = "Example: made-open database run --data-dir ./data")]
    Run,
}

/// Print the statements of the bootstrap.
#[derive(Args)]
#[command(after_help = "Example: made-open database bootstrap --print | psql -U postgres")]
pub struct Bootstrap {
    /// Print them (there is no other way: the hub never works as superuser)
    #[arg(long, required = true)]
    print: bool,
    /// The database's name
    #[arg(long, default_value = "made_open")]
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Bootstrap {
    /// Print the statements.
    pub fn run(&self) -> anyhow::Result<()> {
        let script = bootstrap::script(&self.name);
        if self.json {
            return print_json(&json!({ "database": self.name, "script": script }));
        }
        print(&script)
    }
}

impl Migrate {
    /// Migrate, and say what was done.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        match self.what {
            Some(What::Status { json }) => return schema(config, json, false),
            Some(What::Check { json }) => return schema(config, json, true),
            None => {}
        }
        let done = open::with_database(config, async |found| open::bring_up(found, &note).await)?;
        if self.json {
            return print_json(
                &json!({ "migrations": done.migrations, "replaced": done.replaced }),
            );
        }
        print(&format!(
            "{} migrations, functions and policies {}",
            done.migrations.len(),
            if done.replaced {
                "applied"
            } else {
                "as they were"
            }
        ))
    }
}

impl Database {
    /// Do it.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Bootstrap(bootstrap) => bootstrap.run(),
            Self::Run => database_run::run(&config::absolute(&config.data_dir)?),
            Self::Check { json } => check(config, *json),
        }
    }
}

/// What is there of the schema; `is_check` makes what is missing a failure.
fn schema(config: &Config, as_json: bool, is_check: bool) -> anyhow::Result<()> {
    let found = open::with_database(config, async |found| look::look(&found.url).await)?;
    let applied: Vec<String> = migrate::names()
        .into_iter()
        .filter(|name| !found.pending.contains(name))
        .collect();
    let is_current = found.pending.is_empty() && found.is_current;
    if as_json {
        print_json(&json!({
            "current": is_current, "applied": applied, "pending": found.pending, "functions_current": found.is_current,
        }))?;
    } else {
        for name in &applied {
            print(&format!("applied  {name}"))?;
        }
        for name in &found.pending {
            print(&format!("pending  {name}"))?;
        }
        print(if found.is_current {
            "functions and policies are those of this version"
        } else {
            "functions and policies are not those of this version"
        })?;
    }
    if is_check && !is_current {
        bail!("the schema is not up to date; run made-open migrate");
    }
    Ok(())
}

fn check(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let problems = open::with_database(config, async |found| {
        let db = Db::open(&found.url, 1)?;
        Ok(check::problems(&db).await?)
    })?;
    if as_json {
        print_json(&json!({ "safe": problems.is_empty(), "problems": problems }))?;
    } else if problems.is_empty() {
        print("Row security binds the hub on this database.")?;
    }
    if !problems.is_empty() {
        return Err(exit::refused(format!(
            "not safe to serve from:\n  {}",
            problems.join("\n  ")
        )));
    }
    Ok(())
}
