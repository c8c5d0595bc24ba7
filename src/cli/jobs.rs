//! `made-open job …`: the jobs that died, and trying them again.

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{note, print, print_json};
use crate::base::Caller;
use crate::jobs::queue;
use crate::node::Node;

/// Jobs.
#[derive(Subcommand)]
pub enum Job {
    /// The latest jobs in one state, the dead ones unless another is named
    #[command(after_help = "Example: made-open job list --status running --json")]
    List {
        /// enqueued, running, completed, failed or dead
        #[arg(long, default_value = "dead")]
        status: String,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Enqueue dead jobs again, with all their tries
    #[command(
        after_help = "Example: made-open job retry 0197b0a2-…\nExample: made-open job retry --all"
    )]
    Retry {
        /// The job
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<Uuid>,
        /// All dead jobs
        #[arg(long)]
        all: bool,
        /// Say how many it would be, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Job {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::List {
                status,
                limit,
                json,
            } => list(node, status, *limit, *json).await,
            Self::Retry {
                id, dry_run, json, ..
            } => retry(node, *id, *dry_run, *json).await,
        }
    }
}

async fn list(node: &Node, status: &str, limit: i64, as_json: bool) -> anyhow::Result<()> {
    let input = json!({ "status": status, "limit": limit });
    let jobs = node.act(&Caller::Hub, "job_records_list", input).await?;
    if as_json {
        return print_json(&jobs);
    }
    for job in jobs.as_array().into_iter().flatten() {
        let text = |name: &str| job.get(name).map_or_else(String::new, shown);
        print(&format!(
            "{}  {:28} {:11} {:>2} of {:>2}  {}  {}",
            text("id"),
            text("job_type"),
            text("queue"),
            text("attempts"),
            text("max_attempts"),
            text("updated_at"),
            text("last_error")
        ))?;
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

async fn retry(node: &Node, id: Option<Uuid>, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let done = node
        .db
        .write(&Caller::Hub, async |tx| match (id, dry_run) {
            (_, true) => {
                let dead = queue::list(tx, "dead", 100_000).await?;
                let is_meant = |job: &&Value| {
                    id.is_none_or(|id| {
                        job.get("id").and_then(Value::as_str) == Some(&id.to_string())
                    })
                };
                Ok(dead.iter().filter(is_meant).count())
            }
            (Some(id), false) => queue::revive(tx, id).await.map(|()| 1),
            (None, false) => queue::revive_all(tx).await,
        })
        .await?;
    if as_json {
        return print_json(&json!({ "retried": done, "dry_run": dry_run }));
    }
    let verb = if dry_run { "would be" } else { "are" };
    note(&format!("{done} jobs {verb} enqueued again."));
    Ok(())
}
