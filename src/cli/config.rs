//! `made-open config …`: the settings as they hold, whether they can be used, and the page about them.

use std::net::ToSocketAddrs;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{exit, print, print_json};
use crate::base::config::{self, Config, Flags};
use crate::net::mail::Mail;

/// Settings.
#[derive(Subcommand)]
pub enum Command {
    /// Every setting as it holds, and where it came from; secrets are not shown
    #[command(after_help = "Example: made-open config show --json")]
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try all settings, without starting anything
    #[command(after_help = "Example: made-open config check")]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the reference page of all settings, in Markdown
    #[command(after_help = "Example: made-open config docs > docs/CONFIG.md")]
    Docs {
        /// Print JSON: an object per setting
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Do it. Needs no hub and no database.
    pub fn run(&self, flags: &Flags) -> anyhow::Result<()> {
        match self {
            Self::Show { json } => show(flags, *json),
            Self::Check { json } => check(flags, *json),
            Self::Docs { json: true } => print_json(&Value::Array(config::described())),
            Self::Docs { json: false } => print(&config::page()),
        }
    }
}

fn show(flags: &Flags, as_json: bool) -> anyhow::Result<()> {
    let shown = config::shown(flags)?;
    if as_json {
        return print_json(&Value::Array(shown));
    }
    for setting in &shown {
        let text = |name: &str| match setting.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        };
        print(&format!(
            "{:24} {:36} {}",
            text("name"),
            text("value"),
            text("from")
        ))?;
    }
    Ok(())
}

fn check(flags: &Flags, as_json: bool) -> anyhow::Result<()> {
    let config = config::load(flags).map_err(|error| exit::usage(format!("{error:#}")))?;
    let problems = problems(&config);
    if as_json {
        print_json(&json!({ "usable": problems.is_empty(), "problems": problems }))?;
    } else if problems.is_empty() {
        print("All settings can be used.")?;
    }
    if !problems.is_empty() {
        anyhow::bail!("these settings can't be used:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// What can be read but not used.
fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let mut binds = vec![("bind", &config.bind)];
    binds.extend(
        config
            .metrics_bind
            .as_ref()
            .map(|bind| ("metrics_bind", bind)),
    );
    for (name, bind) in binds {
        if let Err(error) = bind.to_socket_addrs() {
            problems.push(format!("{name}: {bind} is no address and port ({error})"));
        }
    }
    if let Some(url) = &config.database_url
        && url.reveal().parse::<tokio_postgres::Config>().is_err()
    {
        problems.push(
            "database_url: not an address like postgresql://made_open:password@host/made_open"
                .to_owned(),
        );
    }
    if let Err(error) = Mail::new(config) {
        problems.push(format!("mail: {error:#}"));
    }
    for (name, number) in [
        ("database_pool", config.database_pool as u64),
        ("rest_max_rows", u64::from(config.rest_max_rows)),
        ("body_limit", config.body_limit as u64),
        (
            "access_token_seconds",
            u64::from(config.access_token_seconds),
        ),
    ] {
        if number == 0 {
            problems.push(format!("{name}: must be more than 0"));
        }
    }
    problems
}
