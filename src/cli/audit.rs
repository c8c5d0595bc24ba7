//! `made-open audit …`: seal the audit log, export it, hold it against its seals. An exported file is verified without
//! any database.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use uuid::Uuid;

use super::{note, open, print, print_json};
use crate::base::config::Config;
use crate::domains::ops::audit::chain::Report;
use crate::domains::ops::audit::{self, file};

/// The audit log.
#[derive(Subcommand)]
pub enum Audit {
    /// Hold the log against its seals and name the first row that is wrong; exit code 1 when one is
    #[command(after_help = "Example: made-open audit verify\n\
        Example: made-open audit verify --file export.jsonl --known 9f86d081884c7d65…")]
    Verify(Verify),
    /// Write the log and its seals as JSON lines
    #[command(after_help = "Example: made-open audit export --out export.jsonl")]
    Export(Export),
    /// Seal what is committed now, instead of within some minutes
    #[command(after_help = "Example: made-open audit seal --json")]
    Seal {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to verify.
#[derive(Args)]
pub struct Verify {
    /// Only the log of this account
    #[arg(long, value_name = "ID")]
    owner: Option<Uuid>,
    /// An exported file instead of the database
    #[arg(long)]
    file: Option<PathBuf>,
    /// The hash of a seal that was kept from an earlier time: it must still be in the chain
    #[arg(long, value_name = "HASH")]
    known: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What to export.
#[derive(Args)]
pub struct Export {
    /// Only the log of this account
    #[arg(long, value_name = "ID")]
    owner: Option<Uuid>,
    /// The file to write, instead of standard output
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON about what was written; only together with --out
    #[arg(long, requires = "out")]
    json: bool,
}

impl Audit {
    /// The exit code, when this is a command that needs neither settings nor a database.
    pub fn without_hub(&self) -> Option<anyhow::Result<ExitCode>> {
        match self {
            Self::Verify(verify) => verify
                .file
                .as_ref()
                .map(|file| verify.say(&verify.of_file(file)?)),
            _ => None,
        }
    }

    /// Do it.
    pub fn run(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        open::with_node(config, async |node| match self {
            Self::Verify(verify) => {
                let bar = progress("seals");
                let known = verify.known.clone();
                let report = audit::verify(node, verify.owner, known, shown(&bar)).await?;
                bar.finish_and_clear();
                code = verify.say(&report)?;
                Ok(())
            }
            Self::Export(export) => export.write(node).await,
            Self::Seal { json } => {
                let rows = audit::seal(node).await?;
                if *json {
                    return print_json(&json!({ "rows": rows }));
                }
                print(&format!("sealed {rows} rows"))
            }
        })?;
        Ok(code)
    }
}

impl Verify {
    fn of_file(&self, path: &Path) -> anyhow::Result<Report> {
        let opened = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let bar = progress("bytes");
        bar.set_length(opened.metadata().map_or(0, |about| about.len()));
        let lines = BufReader::new(opened);
        let report = file::verify(lines, self.owner, self.known.clone(), |read| bar.inc(read))
            .with_context(|| format!("cannot read {}", path.display()))?;
        bar.finish_and_clear();
        Ok(report)
    }

    fn say(&self, report: &Report) -> anyhow::Result<ExitCode> {
        if self.json {
            print_json(&serde_json::to_value(report)?)?;
        } else {
            for (owner, hash) in &report.heads {
                print(&format!("{owner} {hash}"))?;
            }
            note(&format!(
                "{} rows under {} seals hold; {} rows wait for theirs.",
                report.rows, report.seals, report.waiting
            ));
        }
        match &report.bad {
            Some(bad) => {
                note(&format!("The chain is broken: {bad}."));
                Ok(ExitCode::from(1))
            }
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

impl Export {
    async fn write(&self, node: &crate::node::Node) -> anyhow::Result<()> {
        let bar = progress("seals");
        let Some(path) = &self.out else {
            let mut out = BufWriter::new(std::io::stdout());
            audit::export(node, self.owner, &mut out, shown(&bar)).await?;
            return Ok(out.flush()?);
        };
        let made = private(path)?;
        let mut out = BufWriter::new(made);
        let rows = audit::export(node, self.owner, &mut out, shown(&bar)).await?;
        out.into_inner()?.sync_all()?;
        bar.finish_and_clear();
        if self.json {
            return print_json(&json!({ "rows": rows, "file": path }));
        }
        note(&format!("Wrote {rows} rows to {}.", path.display()));
        Ok(())
    }
}

/// A new file that only its owner reads: the log says who did what.
fn private(path: &Path) -> anyhow::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

fn shown(bar: &ProgressBar) -> impl FnMut(u64, u64) + use<'_> {
    |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    }
}
