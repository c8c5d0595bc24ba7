//! `made-open user …`: accounts as the operator makes, shows and closes them. A secret is read from standard input and
//! printed once, never taken from an argument.

use std::io::Read;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::users::{Ban, List, Passwd, Restore};
use super::{note, print, print_json};
use crate::domains::identity::accounts::{self, Role};
use crate::domains::identity::passwords;
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
    /// Every account with its role
    #[command(after_help = "Example: made-open user list --json")]
    List(List),
    /// Shut an account out; its sessions end at once
    #[command(
        after_help = "Example: made-open user ban --email ada@example.org --for 24h\n\
        Example: made-open user ban --email ada@example.org --lift"
    )]
    Ban(Ban),
    /// Set an account's password; its sessions end
    #[command(
        after_help = "Example: made-open user passwd --email ada@example.org --password-stdin < password.txt"
    )]
    Passwd(Passwd),
    /// Open an account again whose holder deleted it less than a week ago
    #[command(after_help = "Example: made-open user restore --email ada@example.org")]
    Restore(Restore),
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

impl User {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(node).await,
            Self::Approve(approve) => approve.run(node).await,
            Self::Invite(invite) => invite.run(node).await,
            Self::List(list) => list.run(node).await,
            Self::Ban(ban) => ban.run(node).await,
            Self::Passwd(passwd) => passwd.run(node).await,
            Self::Restore(restore) => restore.run(node).await,
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

/// One line, or a text without a line end; a password may begin or end with a space.
pub fn from_stdin() -> anyhow::Result<String> {
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
