//! The commands of `made-open user` that look at accounts and shut them: list, ban, passwd, restore.

use clap::Args;
use serde_json::{Value, json};

use super::accounts::from_stdin;
use super::{note, print, print_json};
use crate::base::Caller;
use crate::domains::identity::administration::{self, Changes};
use crate::domains::identity::{deletion, passwords};
use crate::node::Node;

/// How to print the accounts.
#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Whom to shut out.
#[derive(Args)]
pub struct Ban {
    /// The account's address
    #[arg(long)]
    email: String,
    /// For how long, such as 24h or 30m [default: for good]
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "lift")]
    duration: Option<String>,
    /// Let the account in again
    #[arg(long)]
    lift: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Whose password to set.
#[derive(Args)]
pub struct Passwd {
    /// The account's address
    #[arg(long)]
    email: String,
    /// Read the password from standard input; without this a random one is made and printed once
    #[arg(long)]
    password_stdin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Whom to let back.
#[derive(Args)]
pub struct Restore {
    /// The account's address
    #[arg(long)]
    email: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let listed = administration::everybody(node).await?;
        if self.json {
            return print_json(&json!(listed.iter().map(shown).collect::<Vec<_>>()));
        }
        for one in listed {
            let state = match (&one.closed_at, one.is_banned, one.is_confirmed) {
                (Some(_), ..) => "  closed",
                (None, true, _) => "  banned",
                (None, false, false) => "  unconfirmed",
                (None, false, true) => "",
            };
            print(&format!(
                "{}  {:<9}  {}{state}",
                one.id,
                one.role.as_deref().unwrap_or("-"),
                one.email,
            ))?;
        }
        Ok(())
    }
}

fn shown(one: &administration::Listed) -> Value {
    json!({
        "id": one.id, "email": one.email, "name": one.name, "role": one.role, "tenant": one.tenant,
        "confirmed": one.is_confirmed, "banned": one.is_banned, "closed_at": one.closed_at,
        "second_factor": one.has_factor, "created_at": one.created_at, "last_sign_in_at": one.last_sign_in_at,
    })
}

impl Ban {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let ban = match (&self.duration, self.lift) {
            (_, true) => administration::Ban::Lifted,
            (Some(duration), false) => administration::Ban::read(duration)?,
            (None, false) => administration::Ban::FOREVER,
        };
        let account = administration::by_address(node, &self.email).await?;
        let changes = Changes {
            ban: Some(ban),
            ..Changes::default()
        };
        let account = administration::change(node, &Caller::Hub, account.id, changes).await?;
        let until = administration::banned_until(&account);
        if self.json {
            return print_json(
                &json!({ "id": account.id, "email": account.email, "banned_until": until }),
            );
        }
        match until {
            Some(until) => note(&format!("{} is out until {until}.", account.email)),
            None => note(&format!("{} may sign in.", account.email)),
        }
        Ok(())
    }
}

impl Passwd {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let given = self.password_stdin.then(from_stdin).transpose()?;
        let is_random = given.is_none();
        let password = given.unwrap_or_else(passwords::random_password);
        let account = administration::by_address(node, &self.email).await?;
        let changes = Changes {
            password: Some(password.clone()),
            ..Changes::default()
        };
        administration::change(node, &Caller::Hub, account.id, changes).await?;
        if self.json {
            // A password that was given is not said again.
            return print_json(&json!({
                "id": account.id, "email": account.email, "password": is_random.then_some(password),
            }));
        }
        note(&format!(
            "{} has a new password; all its sessions are over.",
            account.email
        ));
        if is_random {
            note("The password, shown this once:");
            return print(&password);
        }
        Ok(())
    }
}

impl Restore {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let id = deletion::reopen(node, &self.email).await?;
        if self.json {
            return print_json(&json!({ "id": id, "email": self.email.trim().to_lowercase() }));
        }
        note(&format!("{} may sign in again.", self.email));
        Ok(())
    }
}
