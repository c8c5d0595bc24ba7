//! `made-open doctor`: what is wrong with a set-up, in plain words, and how to mend it. Looks only: it starts no database
//! and changes nothing, and it works when the database is down.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{open, print, print_json};
use crate::base::clock;
use crate::base::config::{self, Config};
use crate::db::embedded::Embedded;
use crate::db::look::{self, Look};
use crate::db::{Db, check, pool};
use crate::domains::vault::keys::Place;
use crate::net::mail::Mail;
use crate::net::reach;

/// How far the database's clock may be from ours.
const APART: TimeDelta = TimeDelta::seconds(5);

/// The same for a clock that we know by the second, from far away.
const FAR_APART: TimeDelta = TimeDelta::seconds(30);

/// Examine this set-up.
#[derive(Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// It does not work, or not safely.
    Error,
    /// It will not work for long, or not for everybody.
    Warning,
    /// Good to know.
    Note,
}

/// Something found.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    severity: Severity,
    what: String,
    mend: String,
}

fn error(name: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
    finding(Severity::Error, name, what, mend)
}

fn warning(name: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
    finding(Severity::Warning, name, what, mend)
}

fn finding(
    severity: Severity,
    name: &'static str,
    what: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    Finding {
        name,
        severity,
        what: what.into(),
        mend: mend.into(),
    }
}

impl Doctor {
    /// Look at everything, say what was found; what is wrong makes it fail.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let findings = open::runtime()?.block_on(examine(config));
        let wrong = findings
            .iter()
            .filter(|finding| finding.severity != Severity::Note)
            .count();

        if self.json {
            print_json(&json!({ "fine": wrong == 0, "findings": findings }))?;
        } else {
            for finding in &findings {
                let word = match finding.severity {
                    Severity::Error => "WRONG",
                    Severity::Warning => "Mind",
                    Severity::Note => "Note",
                };
                print(&format!(
                    "{word}: {} ({})\n  {}",
                    finding.what, finding.name, finding.mend
                ))?;
            }
            if wrong == 0 {
                print("Nothing is wrong.")?;
            }
        }
        match wrong {
            0 => Ok(()),
            1 => anyhow::bail!("one thing is wrong"),
            more => anyhow::bail!("{more} things are wrong"),
        }
    }
}

async fn examine(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let look = match address(config) {
        Ok(Some(url)) => the_database(&url, &mut found).await,
        Ok(None) => {
            found.push(finding(
                Severity::Note,
                "database.not_running",
                "The embedded database does not run, so nobody looked into it.",
                "Ask again while the hub serves.",
            ));
            None
        }
        Err(cause) => {
            found.push(error(
                "database.unreachable",
                format!("The embedded database can't be found: {cause:#}."),
                "Look into postgres.log in the data directory, and whether this user may read that directory.",
            ));
            None
        }
    };
    the_disk(config, &mut found);
    the_key(config, look.as_ref(), &mut found);
    the_address(config, &mut found).await;
    the_mail(config, &mut found).await;
    found
}

/// The database's address, without starting one.
fn address(config: &Config) -> anyhow::Result<Option<String>> {
    if let Some(url) = &config.database_url {
        return Ok(Some(url.reveal().to_owned()));
    }
    let data_dir = config::absolute(&config.data_dir)?;
    if !data_dir.exists() {
        return Ok(None);
    }
    Ok(Embedded::attach(&data_dir)?.map(|running| running.app_url()))
}

async fn the_database(url: &str, found: &mut Vec<Finding>) -> Option<Look> {
    let look = match look::look(url).await {
        Ok(look) => look,
        Err(cause) if pool::was_refused(&cause) => {
            found.push(error(
                "database.refuses",
                format!("The database is there, but does not let the hub in: {cause:#}."),
                "Check the login and its password in DATABASE_URL, and that `made-open database bootstrap --print` was run there.",
            ));
            return None;
        }
        Err(cause) => {
            found.push(error(
                "database.unreachable",
                format!("The database can't be reached: {cause:#}."),
                "Start it, and check host and port in DATABASE_URL and what stands between.",
            ));
            return None;
        }
    };
    if look.version < 15 {
        found.push(error(
            "database.old",
            format!("The database is PostgreSQL {}.", look.version),
            "Use PostgreSQL 15 or later.",
        ));
    }
    if !look.has_vector {
        found.push(error(
            "database.no_vector",
            "The extension vector is not in the hub's database.",
            "Install pgvector on the server, then run `create extension vector` in the hub's database as superuser.",
        ));
    }
    if let Some(what) = look
        .now
        .and_then(|now| clocks("database's", now, clock::now(), APART))
    {
        found.push(error("clock.off", what, SET_THE_CLOCK));
    }
    if !look.has_roles {
        found.push(error(
            "database.no_roles",
            "The roles of the hub are not there, or its login is not a member of them.",
            "Run what `made-open database bootstrap --print` prints, as superuser.",
        ));
    } else if !look.pending.is_empty() || !look.is_current {
        found.push(error(
            "database.pending_migrations",
            match look.pending.len() {
                0 => "Functions and policies are not those of this version.".to_owned(),
                some => format!("{some} migrations were not run."),
            },
            "Run `made-open migrate`, or let `made-open serve` do it.",
        ));
    }
    powers(url, &look, found).await;
    if look.dead_jobs > 0 {
        found.push(warning(
            "jobs.dead",
            format!(
                "{} jobs failed too often and were given up.",
                look.dead_jobs
            ),
            "See why with `made-open job list`, then `made-open job retry`.",
        ));
    }
    Some(look)
}

/// Whether row security binds the hub there.
async fn powers(url: &str, look: &Look, found: &mut Vec<Finding>) {
    let mut problems = look.powers.clone();
    if problems.is_empty() && look.has_roles && look.is_current {
        problems = match Db::open(url, 1) {
            Ok(db) => check::problems(&db)
                .await
                .unwrap_or_else(|cause| vec![format!("it can't be told: {cause}")]),
            Err(cause) => vec![format!("it can't be told: {cause}")],
        };
    }
    if !problems.is_empty() {
        found.push(error(
            "database.too_powerful",
            format!(
                "Row security would not bind the hub on this database: {}.",
                problems.join("; ")
            ),
            "Let DATABASE_URL name the login made_open, as `made-open database bootstrap --print` makes it; \
             never a superuser.",
        ));
    }
}

const SET_THE_CLOCK: &str =
    "Let both machines follow a time server; tokens and signatures of the future are refused.";

fn clocks(
    whose: &str,
    theirs: DateTime<Utc>,
    ours: DateTime<Utc>,
    apart: TimeDelta,
) -> Option<String> {
    let ahead = theirs - ours;
    (ahead.abs() > apart).then(|| {
        let side = if ahead > TimeDelta::zero() {
            "ahead of"
        } else {
            "behind"
        };
        format!(
            "The {whose} clock is {} s {side} this machine's.",
            ahead.num_seconds().abs()
        )
    })
}

fn the_disk(config: &Config, found: &mut Vec<Finding>) {
    if let Some(free) = config::free_space(&config.data_dir)
        && free < config.disk_reserve
    {
        found.push(error(
            "disk.low",
            format!(
                "Only {} MiB are free in {}.",
                free / (1024 * 1024),
                config.data_dir.display()
            ),
            "Make room, or move the data directory; below MADE_OPEN_DISK_RESERVE the hub says that it is not ready.",
        ));
    }
}

/// The master key of the vault: looked at by path and mode only.
fn the_key(config: &Config, look: Option<&Look>, found: &mut Vec<Finding>) {
    let (Place::File(path) | Place::Credential(path)) = Place::of(config) else {
        return;
    };
    match mode(&path) {
        Some(mode) if mode & 0o077 != 0 => found.push(error(
            "vault.key_open",
            format!("Others may read the master key {} (mode {:o}).", path.display(), mode & 0o7777),
            format!("Run `chmod 600 {}`, and think of who may have read it: `made-open vault rotate`.", path.display()),
        )),
        Some(_) => {}
        None if look.is_some_and(|look| look.sealed_secrets > 0) => found.push(error(
            "vault.key_missing",
            format!("The database holds sealed secrets, but the master key {} is not there.", path.display()),
            "Bring the key back from where you keep it; without it these secrets have to be entered again.",
        )),
        None => {}
    }
}

fn mode(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.permissions().mode())
}

async fn the_address(config: &Config, found: &mut Vec<Finding>) {
    let Some(url) = &config.public_url else {
        return;
    };
    if url.scheme() == "http" && !config::is_local(url) {
        found.push(error(
            "address.plain",
            format!("{url} is reached without TLS: passwords and tokens travel in clear."),
            "Put a proxy with a certificate in front, and let MADE_OPEN_PUBLIC_URL begin with https.",
        ));
    }
    match reach::reach(url, "/livez").await {
        Ok(reached) => {
            if let Some(status) = reached.status
                && !(200..400).contains(&status)
            {
                found.push(error(
                    "address.wrong",
                    format!("{url} answers, but with {status} where the hub would say 200."),
                    "Let the proxy pass every path on to the hub, and check that MADE_OPEN_PUBLIC_URL is this hub's.",
                ));
            }
            let off = reached
                .date
                .and_then(|theirs| clocks("public address's", theirs, clock::now(), FAR_APART));
            if let Some(what) = off {
                found.push(error("clock.off", what, SET_THE_CLOCK));
            }
        }
        Err(cause) => found.push(error(
            "address.unreachable",
            format!("{url} can't be reached from here: {cause:#}."),
            "Start the hub; then check the name, the proxy and the firewall. Links in letters lead there.",
        )),
    }
}

async fn the_mail(config: &Config, found: &mut Vec<Finding>) {
    let tried = match Mail::new(config) {
        Ok(mail) if mail.is_by_smtp() => mail.answers().await,
        Ok(_) => {
            found.push(finding(
                Severity::Note,
                "mail.in_files",
                "There is no mail server: letters become files in the data directory.",
                "Set SMTP_URL where people should get them.",
            ));
            Ok(())
        }
        Err(cause) => Err(cause),
    };
    if let Err(cause) = tried {
        found.push(error(
            "mail.unreachable",
            format!("The mail server can't be used: {cause:#}."),
            "Check SMTP_URL, then `made-open mail test --to` your own address.",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_named() {
        let now = clock::now();
        assert_eq!(clocks("x", now + TimeDelta::seconds(4), now, APART), None);
        let ahead = clocks("database's", now + TimeDelta::seconds(90), now, APART).unwrap();
        assert!(ahead.contains("90 s ahead"), "{ahead}");
        let behind = clocks("database's", now - TimeDelta::seconds(90), now, APART).unwrap();
        assert!(behind.contains("90 s behind"), "{behind}");
    }
}
