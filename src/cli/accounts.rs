//! `made-open user …` and `made-open token …`: accounts and keys as the operator makes them. A secret is read from
//! standard input and printed once, never taken from an argument.

use std::io::Read;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{note, print, print_json};
use crate::domains::identity::accounts::{self, Role};
use crate::domains::identity::{passwords, tokens};
use crate::node::Node;

/// Accounts.
#[derive(Subcommand)]
pub enum User {
    /// Make an account; the first one is the hub's developer
    #[command(
        after_help = "Example: made-open user add \"Ada Lovelace\" --email ada@example.org --role admin\n\
        Example: made-open user add bruno --email bruno@example.org --password-stdin < password.txt"
    )]
    Add(Add),
    /// Let an account in that waits for approval or for a mail
    #[command(after_help = "Example: made-open user approve --email ada@example.org")]
    Approve(Approve),
    /// Invite somebody; what is printed is sent along with the sign-up as data.invitation
    #[command(after_help = "Example: made-open user invite --email ada@example.org")]
    Invite(Invite),
}

/// The account to make.
#[derive(Args)]
pub struct Add {
    /// What others call this person
    name: String,
    /// The address to sign in with
    #[arg(long)]
    email: String,
    /// Read the password from standard input; without this a random one is made and printed once
    #[arg(long)]
    password_stdin: bool,
    /// What the account may do in its tenant [default: user; developer for the first account]
    #[arg(long)]
    role: Option<Role>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The account to let in.
#[derive(Args)]
pub struct Approve {
    /// Its address
    #[arg(long)]
    email: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The invitation to make.
#[derive(Args)]
pub struct Invite {
    /// The only address that may use it
    #[arg(long)]
    email: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

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

impl User {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(node).await,
            Self::Approve(approve) => approve.run(node).await,
            Self::Invite(invite) => invite.run(node).await,
        }
    }
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
        }
    }
}

impl Add {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let given = self.password_stdin.then(from_stdin).transpose()?;
        let is_random = given.is_none();
        let password = given.unwrap_or_else(passwords::random_password);
        let (account, role) =
            accounts::add(&node.db, &self.name, &self.email, &password, self.role).await?;

        if self.json {
            // A password that was given is not said again.
            return print_json(&json!({
                "id": account.id, "email": account.email, "name": self.name.trim(), "role": role,
                "password": is_random.then_some(password),
            }));
        }
        note(&format!(
            "Made the account {} ({}).",
            account.email, account.id
        ));
        if is_random {
            note("Its password, shown this once:");
            return print(&password);
        }
        Ok(())
    }
}

impl Approve {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let account = accounts::approve(&node.db, &self.email).await?;
        if self.json {
            return print_json(&json!({ "id": account.id, "email": account.email }));
        }
        note(&format!("{} may sign in.", account.email));
        Ok(())
    }
}

impl Invite {
    async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let token = accounts::invite(&node.db, self.email.as_deref()).await?;
        if self.json {
            return print_json(&json!({ "invitation": token }));
        }
        print(&token)
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

/// One line, or a text without a line end; a password may begin or end with a space.
fn from_stdin() -> anyhow::Result<String> {
    const LONGEST: u64 = 8 * 1024;
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .context("cannot read the password from standard input")?;
    let password = text.strip_suffix('\n').map_or(text.as_str(), |line| {
        line.strip_suffix('\r').unwrap_or(line)
    });
    if password.is_empty() {
        bail!("no password on standard input");
    }
    Ok(password.to_owned())
}
