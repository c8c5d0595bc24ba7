//! `made-open federation …`: how it stands with other servers, and trying again what was given up.

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{exit, federation_blocks, note, print, print_json};
use crate::base::Caller;
use crate::fed::dead_letters::{self, Which};
use crate::fed::hosts;
use crate::node::Node;

/// Other servers.
#[derive(Subcommand)]
pub enum Federation {
    /// Servers for which something waits, that do not answer, or that refused something
    #[command(
        after_help = "Example: made-open federation status\nExample: made-open federation status peer.example --json"
    )]
    Status {
        /// This server only
        host: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try deliveries again that were given up, with all their tries
    #[command(
        after_help = "Example: made-open federation retry 0197b0a2-…\nExample: made-open federation retry --host peer.example --dry-run"
    )]
    Retry {
        /// The delivery
        #[arg(required_unless_present_any = ["host", "all"], conflicts_with_all = ["host", "all"])]
        id: Option<Uuid>,
        /// All that go to this server
        #[arg(long, conflicts_with = "all")]
        host: Option<String>,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Say how many it would be, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Block a domain with its sub-domains, or hold something else of it
    #[command(
        after_help = "Example: made-open federation block evil.example --comment spam --yes\nExample: made-open federation block evil.example --lift --yes --json"
    )]
    Block(federation_blocks::Block),
    /// Take over a list of domains, as servers hand them to each other (CSV)
    #[command(
        after_help = "Example: made-open federation import-blocks blocks.csv --dry-run\nExample: made-open federation import-blocks - --yes --json < blocks.csv"
    )]
    ImportBlocks(federation_blocks::Import),
    /// Print what is held of other domains as such a list
    #[command(after_help = "Example: made-open federation export-blocks --out blocks.csv")]
    ExportBlocks(federation_blocks::Export),
}

impl Federation {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::Status { host, limit, json } => {
                status(node, host.as_deref(), *limit, *json).await
            }
            Self::Retry {
                id,
                host,
                dry_run,
                json,
                ..
            } => {
                let which = match (id, host) {
                    (Some(id), _) => Which::One(*id),
                    (None, Some(host)) => Which::Host(host),
                    (None, None) => Which::All,
                };
                retry(node, &which, *dry_run, *json).await
            }
            Self::Block(block) => block.run(node).await,
            Self::ImportBlocks(import) => import.run(node).await,
            Self::ExportBlocks(export) => export.run(node).await,
        }
    }
}

async fn status(node: &Node, host: Option<&str>, limit: i64, as_json: bool) -> anyhow::Result<()> {
    let hosts = node
        .db
        .read(&Caller::Hub, async |tx| {
            hosts::status(tx, host, limit).await
        })
        .await?;
    if as_json {
        return print_json(&json!({ "hosts": hosts }));
    }
    if hosts.is_empty() {
        note(match host {
            Some(_) => "Nothing was ever sent to this server.",
            None => "Nothing waits, and every server that was asked last has answered.",
        });
    }
    for host in &hosts {
        let text = |name: &str| host.get(name).map_or_else(String::new, shown);
        print(&format!(
            "{:40}  {:6}  {:>7} waiting  {:>6} dead  {:>3} failures  {}",
            text("host"),
            text("state"),
            text("waiting"),
            text("dead"),
            text("failures"),
            match text("retry_at") {
                at if at.is_empty() => text("last_ok_at"),
                at => format!("tried again {at}"),
            },
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

async fn retry(node: &Node, which: &Which<'_>, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let count = node
        .db
        .write(&Caller::Hub, async |tx| match dry_run {
            true => dead_letters::count(tx, which).await,
            false => dead_letters::revive(tx, which).await,
        })
        .await?;
    if count == 0 {
        return Err(exit::nothing_to_do("No such delivery was given up."));
    }
    if as_json {
        return print_json(&json!({ "retried": count, "dry_run": dry_run }));
    }
    let verb = if dry_run { "would be" } else { "are" };
    note(&format!("{count} deliveries {verb} tried again."));
    Ok(())
}
