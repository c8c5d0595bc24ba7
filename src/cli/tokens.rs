//! `made-open token …`: keys for apps and programs. A key is printed once, when it is made.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{note, print, print_json};
use crate::domains::identity::tokens;
use crate::node::Node;

/// Keys.
#[derive(Subcommand)]
pub enum Token {
    /// The public key that apps name beside the hub's address
    #[command(after_help = "Example: made-open token anon --json")]
    Anon(Anon),
    /// Make a key for a program that acts for the hub; it is shown this once
    #[command(
        after_help = "Example: made-open token create --role service_role --name \"nightly import\""
    )]
    Create(Create),
    /// The keys of programs that stand, without the keys
    #[command(after_help = "Example: made-open token list --json")]
    List(List),
    /// Revoke a key, or end a session, by its id
    #[command(after_help = "Example: made-open token revoke 0e37df36-f698-4e5c-8f10-6b5c3e0f6c6e")]
    Revoke(Revoke),
}

/// How to print the public key.
#[derive(Args)]
pub struct Anon {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The key to make.
#[derive(Args)]
pub struct Create {
    /// The database role that its requests take
    #[arg(long)]
    role: KeyRole,
    /// What it is for
    #[arg(long)]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The roles that a key can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum KeyRole {
    /// Every row of every table.
    ServiceRole,
}

/// How to print the keys.
#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The key to revoke.
#[derive(Args)]
pub struct Revoke {
    /// Its id, as token create and token list say it
    id: Uuid,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Token {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::Anon(anon) => {
                let token = tokens::anon_key(node)?;
                if anon.json {
                    return print_json(&json!({ "token": token }));
                }
                print(&token)
            }
            Self::Create(create) => create.run(node).await,
            Self::List(list) => list.run(node).await,
            Self::Revoke(revoke) => revoke.run(node).await,
        }
    }
}

impl Create {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let KeyRole::ServiceRole = self.role;
        let (session, token) = tokens::service_key(node, self.name.clone()).await?;
        if self.json {
            return print_json(&json!({ "id": session, "role": "service_role", "token": token }));
        }
        note("This key reads and writes everything and is shown this once:");
        print(&token)
    }
}

impl List {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let keys = tokens::keys(node).await?;
        if self.json {
            let keys: Vec<Value> = keys
                .iter()
                .map(|key| {
                    json!({ "id": key.id, "name": key.name, "role": key.role, "created_at": key.created_at })
                })
                .collect();
            return print_json(&json!(keys));
        }
        for key in keys {
            let name = key.name.as_deref().unwrap_or("(no name)");
            print(&format!(
                "{}  {}  {}  {name}",
                key.id,
                key.role,
                key.created_at.format("%Y-%m-%d"),
            ))?;
        }
        Ok(())
    }
}

impl Revoke {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        tokens::revoke(node, self.id).await?;
        if self.json {
            return print_json(&json!({ "id": self.id }));
        }
        note("Revoked.");
        Ok(())
    }
}
