//! `made-open receipt …`: whether a receipt of an exchange fits together, and whose keys signed it. Needs neither a hub nor a
//! network.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{exit, note, print, print_json};
use crate::domains::commons::receipts::{self, Proved};
use crate::fed::crypto::PublicKey;
use crate::fed::document::Document;

/// Receipts of exchanges.
#[derive(Subcommand)]
pub enum Receipt {
    /// Check offer, agreement and documents against each other and against the parties' keys; exit code 1 when it does not hold
    #[command(after_help = "Example: made-open receipt verify receipt.json\n\
        Example: made-open receipt verify receipt.json --trust https://hub.example/ap/actors/0193a1=z6Mk…")]
    Verify(Verify),
}

/// What to verify.
#[derive(Args)]
pub struct Verify {
    /// The receipt, as the action receipts_file gives it
    file: PathBuf,
    /// A party's key that is known from elsewhere; the one in the file then counts for nothing
    #[arg(long, value_name = "ACTOR=KEY")]
    trust: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Receipt {
    /// Do it.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let Self::Verify(verify) = self;
        verify.run()
    }
}

impl Verify {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let mut pinned = HashMap::new();
        for pair in &self.trust {
            let (actor, key) = pair
                .rsplit_once('=')
                .ok_or_else(|| exit::usage("--trust takes ACTOR=KEY"))?;
            if PublicKey::from_multibase(key).is_err() {
                return Err(exit::usage(format!("{key} is not a key in multibase")));
            }
            pinned.insert(actor.to_owned(), key.to_owned());
        }
        let bytes = std::fs::read(&self.file)
            .with_context(|| format!("cannot read {}", self.file.display()))?;
        let receipt = Document::read(&bytes)
            .map_err(|flaw| anyhow::anyhow!("{}: {flaw}", self.file.display()))?;

        match receipts::verify(receipt.value(), &pinned) {
            Ok(proved) => {
                self.say(&proved)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(wrong) if self.json => {
                print_json(&json!({ "valid": false, "part": wrong.part, "reason": wrong.reason }))?;
                Ok(ExitCode::FAILURE)
            }
            Err(wrong) => {
                note(&format!("It does not hold: {wrong}."));
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn say(&self, proved: &Proved) -> anyhow::Result<()> {
        if self.json {
            return print_json(&json!({
                "valid": true, "agreement": proved.agreement, "state": proved.state, "shows": proved.shows,
                "parties": proved.parties,
            }));
        }
        print(&format!("{} is {}", proved.agreement, proved.state))?;
        for party in &proved.parties {
            let whence = match party.is_pinned {
                true => "the key you trust",
                false => "the key in the file",
            };
            print(&format!(
                "{} signed with {whence}: {}",
                party.actor, party.key
            ))?;
        }
        note(match proved.shows {
            "identity" => "It holds together, and those whom you named signed it.",
            _ => "It holds together. Whose keys these are only --trust can show.",
        });
        Ok(())
    }
}
