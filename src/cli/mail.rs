//! `made-open mail test`: send one letter the way the hub would.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{open, print, print_json};
use crate::base::config::Config;
use crate::net::mail::{Letter, Mail};

/// Mail.
#[derive(Subcommand)]
pub enum Command {
    /// Send a letter the way the hub would
    #[command(after_help = "Example: made-open mail test --to ada@example.org")]
    Test(Test),
}

/// The letter to send.
#[derive(Args)]
pub struct Test {
    /// Whom to
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Do it. Needs no database.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let Self::Test(test) = self;
        let letter = Letter {
            to: test.to.clone(),
            subject: "A letter from your hub".to_owned(),
            text: "Somebody at the hub's command line asked for this letter, to see whether mail arrives.\n\
                   It did.\n"
                .to_owned(),
        };
        let is_by_smtp = open::runtime()?.block_on(async {
            let mail = Mail::new(config)?;
            mail.send(&letter).await?;
            anyhow::Ok(mail.is_by_smtp())
        })?;
        let files = config.data_dir.join("mail");
        let way = if is_by_smtp { "smtp" } else { "file" };
        if test.json {
            let place = (!is_by_smtp).then_some(&files);
            return print_json(&json!({ "to": test.to, "way": way, "directory": place }));
        }
        match way {
            "smtp" => print("The mail server has taken the letter."),
            _ => print(&format!(
                "No SMTP_URL is set: the letter is a file in {}.",
                files.display()
            )),
        }
    }
}
