//! `made-open tenant …`: the organizations of the hub.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{note, print, print_json};
use crate::domains::identity::tenants;
use crate::node::Node;

/// Organizations.
#[derive(Subcommand)]
pub enum Tenant {
    /// Make an organization
    #[command(
        after_help = "Example: made-open tenant add \"Linden school\" --admin ada@example.org"
    )]
    Add(Add),
    /// Every organization and how many people it has
    #[command(after_help = "Example: made-open tenant list --json")]
    List(List),
}

/// The organization to make.
#[derive(Args)]
pub struct Add {
    /// Its name
    name: String,
    /// An account that moves into it and becomes its admin
    #[arg(long, value_name = "EMAIL")]
    admin: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How to print the organizations.
#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Tenant {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(node).await,
            Self::List(list) => list.run(node).await,
        }
    }
}

impl Add {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let id = tenants::add(&node.db, &self.name, self.admin.as_deref()).await?;
        if self.json {
            return print_json(&json!({ "id": id, "name": self.name.trim() }));
        }
        note(&format!(
            "Made the organization {} ({id}).",
            self.name.trim()
        ));
        Ok(())
    }
}

impl List {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let tenants = tenants::list(&node.db).await?;
        if self.json {
            let tenants: Vec<Value> = tenants
                .iter()
                .map(|tenant| {
                    json!({ "id": tenant.id, "name": tenant.name, "people": tenant.people, "created_at": tenant.created_at })
                })
                .collect();
            return print_json(&json!(tenants));
        }
        for tenant in tenants {
            print(&format!(
                "{}  {:>5}  {}",
                tenant.id, tenant.people, tenant.name
            ))?;
        }
        Ok(())
    }
}
