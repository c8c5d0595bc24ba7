//! `made-open vault …`: give the vault a new key, and say whether its secrets open. No secret is ever printed.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::{note, open, print, print_json};
use crate::base::config::Config;
use crate::db::Db;
use crate::domains::vault::keys::Place;
use crate::domains::vault::rotation::{self, Done};
use crate::domains::vault::state::{self, State};

/// The vault.
#[derive(Subcommand)]
pub enum Vault {
    /// Add a key, wrap every secret anew with it, and remove the keys that nothing needs any more
    #[command(
        after_help = "Example: made-open vault rotate --json\n\nStopped half-way, it goes on where it was when run again. \
        A running hub notices the new key by itself."
    )]
    Rotate {
        /// Begin afresh without the keys that are lost: their secrets are marked as unreadable, not deleted
        #[arg(long)]
        new_key: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say which keys are there, which secrets need which, and what does not open
    #[command(after_help = "Example: made-open vault check --json")]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Vault {
    /// Do it.
    pub fn run(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let place = Place::of(config);
        open::with_database(config, async |found| {
            open::bring_up(found, &|_| ()).await?;
            let db = Db::open(&found.url, 2)?;
            match self {
                Self::Rotate { new_key, json } => {
                    let progress = Progress::new("wrapping secrets anew");
                    let mut tell = |done, all| progress.show(done, all);
                    let done = rotation::rotate(&db, &place, *new_key, &mut tell).await?;
                    progress.end();
                    rotated(&place, &done, *json)?;
                    let is_well = done.unexpected == 0;
                    Ok(ExitCode::from(u8::from(!is_well)))
                }
                Self::Check { json } => {
                    let progress = Progress::new("trying secrets");
                    let state =
                        state::check(&db, &place, |done, all| progress.show(done, all)).await?;
                    progress.end();
                    checked(&state, *json)?;
                    Ok(ExitCode::from(u8::from(!state.is_well())))
                }
            }
        })
    }
}

fn rotated(place: &Place, done: &Done, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return print_json(&serde_json::to_value(done)?);
    }
    let began = if done.is_new {
        "New key"
    } else {
        "Went on with key"
    };
    print(&format!(
        "{began} {}: {} secrets wrapped anew.",
        done.key, done.rewrapped
    ))?;
    if !done.removed.is_empty() {
        let what = match place {
            Place::File(_) => "Removed",
            _ => "Nothing needs these any more, so you may remove them",
        };
        print(&format!("{what}: {}", done.removed.join(", ")))?;
    }
    if done.unreadable > 0 {
        print(&format!(
            "{} secrets cannot be read; they need: {}. Nothing was deleted. made-open vault check lists them.",
            done.unreadable,
            done.still_needed.join(", ")
        ))?;
    }
    if matches!(place, Place::File(_)) {
        print(&format!(
            "Keep a copy of {} apart from the database's backups.",
            place.name()
        ))?;
    }
    Ok(())
}

fn checked(state: &State, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let mut told = serde_json::to_value(state)?;
        if let Some(told) = told.as_object_mut() {
            told.insert("well".to_owned(), state.is_well().into());
        }
        return print_json(&told);
    }
    print(&format!("Keys: {}", state.place))?;
    if let Some(why) = &state.shut {
        print(&format!("  {why}"))?;
    }
    for key in &state.keys {
        let seals = if key.seals { ", seals" } else { "" };
        print(&format!(
            "  {} {}{seals}: {} secrets",
            key.id, key.state, key.secrets
        ))?;
    }
    for secret in &state.unreadable {
        let purpose = secret.purpose.as_deref().unwrap_or_default();
        let owner = secret
            .owner
            .map_or("the hub".to_owned(), |owner| owner.to_string());
        print(&format!(
            "  cannot be read: {} ({purpose}, of {owner}): {}",
            secret.id, secret.why
        ))?;
    }
    print(if state.is_well() {
        "Every secret opens."
    } else {
        "The vault is not well. Put the missing key back; or begin afresh: made-open vault rotate --new-key"
    })
}

/// How far a long piece of work is: a bar on a terminal, else a line now and then.
struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    last: std::cell::Cell<u64>,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
            let bar = ProgressBar::new(0).with_message(what);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            bar,
            what,
            last: std::cell::Cell::new(0),
        }
    }

    fn show(&self, done: u64, all: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(all);
                bar.set_position(done);
            }
            None if done >= self.last.get() + 5_000 => {
                self.last.set(done);
                note(&format!("{}: {done} of {all}", self.what));
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
