//! `made-open federation block|import-blocks|export-blocks`: rules for domains from the command line, one by one or as
//! lists in the form that servers hand to each other. What it would do is said before it is done.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{exit, note, print, print_json};
use crate::base::Caller;
use crate::domains::social::moderation::lists::{self, Change, Line};
use crate::domains::social::moderation::{self, POLICIES, SetPolicy};
use crate::fed::policy;
use crate::node::Node;

/// Whom to block, or what else to hold of a domain.
#[derive(Args)]
pub struct Block {
    /// The domain; its sub-domains are covered too
    domain: String,
    /// What to hold of it
    #[arg(long, default_value = "block", value_parser = clap::builder::PossibleValuesParser::new(POLICIES))]
    policy: String,
    /// Hold nothing of it any more
    #[arg(long, conflicts_with_all = ["policy", "comment", "private_comment", "expires_at"])]
    lift: bool,
    /// Why, for everybody
    #[arg(long)]
    comment: Option<String>,
    /// Why, for operators
    #[arg(long)]
    private_comment: Option<String>,
    /// Until when, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
    /// Say what it would touch, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A list to read.
#[derive(Args)]
pub struct Import {
    /// The list; - is standard input
    file: PathBuf,
    /// Leave out what cannot be read instead of refusing the whole list
    #[arg(long)]
    skip_invalid: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A list to write.
#[derive(Args)]
pub struct Export {
    /// Into this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Block {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let domain = policy::domain_of(&self.domain)
            .ok_or_else(|| exit::usage(format!("{:?} is no domain", self.domain)))?;
        let touches = node
            .db
            .read(&Caller::Hub, async |tx| {
                moderation::touches(tx, &domain).await
            })
            .await?;
        let held = if self.lift { "none" } else { &self.policy };
        if self.dry_run {
            let told =
                json!({ "domain": domain, "policy": held, "touches": touches, "dry_run": true });
            return told_of(&told, self.json);
        }
        note(&format!("{domain}: {held}; it touches {touches}"));
        agreed(self.yes)?;

        let input = match self.lift {
            true => json!({ "domain": domain }),
            false => json!({
                "domain": domain, "policy": self.policy, "comment": self.comment,
                "private_comment": self.private_comment, "expires_at": self.expires_at,
            }),
        };
        let action = match self.lift {
            true => "hosts_clear_policy",
            false => "hosts_set_policy",
        };
        node.act(&Caller::Hub, action, input).await?;
        let told =
            json!({ "domain": domain, "policy": held, "touches": touches, "dry_run": false });
        told_of(&told, self.json)
    }
}

fn told_of(told: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return print_json(told);
    }
    let text = |name: &str| told.get(name).map(Value::to_string).unwrap_or_default();
    print(&format!(
        "{} {} {}",
        text("domain").trim_matches('"'),
        text("policy").trim_matches('"'),
        text("touches")
    ))
}

impl Import {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let text = read(&self.file)?;
        let lines = lists::read(&text)
            .map_err(|why| exit::usage(format!("the list cannot be read: {why}")))?;
        let here = node
            .db
            .read(&Caller::Hub, async |tx| moderation::rules(tx).await)
            .await?;
        let changes = lists::compare(&lines, &here);
        let invalid: Vec<&Line> = lines.iter().filter(|line| line.wrong.is_some()).collect();
        for line in &invalid {
            note(&format!(
                "line {}: {}",
                line.number,
                line.wrong.as_deref().unwrap_or_default()
            ));
        }
        for line in lines.iter().filter(|line| line.note.is_some()) {
            note(&format!(
                "line {}: {}",
                line.number,
                line.note.as_deref().unwrap_or_default()
            ));
        }
        let told = |applied: bool| {
            json!({
                "changes": changes, "unchanged": lines.len() - changes.len() - invalid.len(),
                "invalid": invalid.iter().map(|line| json!({ "line": line.number, "reason": line.wrong })).collect::<Vec<_>>(),
                "dry_run": self.dry_run, "applied": applied,
            })
        };
        if self.dry_run {
            return self.tell(&changes, &told(false));
        }
        if !invalid.is_empty() && !self.skip_invalid {
            return Err(exit::usage(format!(
                "{} lines cannot be read, the first is line {}; --skip-invalid leaves them out",
                invalid.len(),
                invalid.first().map_or(0, |line| line.number)
            )));
        }
        if changes.is_empty() {
            return Err(exit::nothing_to_do(
                "Everything in the list is held already.",
            ));
        }
        note(&format!("{} domains change.", changes.len()));
        agreed(self.yes)?;
        // All of it or nothing.
        node.db
            .write(&Caller::Hub, async |tx| {
                for change in &changes {
                    let input = SetPolicy {
                        domain: change.domain.clone(),
                        policy: change.to.clone(),
                        comment: change.comment.clone(),
                        ..SetPolicy::default()
                    };
                    moderation::set_policy(tx, input).await?;
                }
                Ok(())
            })
            .await?;
        self.tell(&changes, &told(true))
    }

    fn tell(&self, changes: &[Change], told: &Value) -> anyhow::Result<()> {
        if self.json {
            return print_json(told);
        }
        for change in changes {
            print(&format!(
                "{}: {} -> {}",
                change.domain,
                change.from.as_deref().unwrap_or("none"),
                change.to
            ))?;
        }
        Ok(())
    }
}

impl Export {
    /// Do it.
    pub async fn run(&self, node: &Node) -> anyhow::Result<()> {
        let rules = node
            .db
            .read(&Caller::Hub, async |tx| moderation::rules(tx).await)
            .await?;
        let text = lists::write(&rules)?;
        match (&self.out, self.json) {
            (Some(path), _) => std::fs::File::create(path)?.write_all(text.as_bytes())?,
            (None, true) => {}
            (None, false) => print(&text)?,
        }
        if self.json {
            return print_json(&json!({ "rules": rules.len(), "csv": text, "out": self.out }));
        }
        note(&format!("{} rules.", rules.len()));
        Ok(())
    }
}

/// The longest list that is read.
const LONGEST: u64 = 32 * 1024 * 1024;

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?
            .take(LONGEST)
            .read_to_string(&mut text)?;
    }
    Ok(text)
}

/// Ask where somebody can answer; without a terminal nobody is asked and --yes must have been said.
fn agreed(is_agreed: bool) -> anyhow::Result<()> {
    if is_agreed {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(exit::usage("there is no terminal to ask at: say --yes"));
    }
    note("Do it? [y/N]");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(exit::nothing_to_do("Nothing was changed.")),
    }
}
