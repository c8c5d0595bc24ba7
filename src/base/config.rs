//! Every setting of the hub: built-in defaults, then `made-open.toml`, then the environment, then flags.
//! Nothing else reads the environment.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signup {
    /// Nobody by himself; the operator adds accounts.
    Closed,
    /// Holders of an invitation.
    Invite,
    /// Everybody, but an operator lets each in.
    Approval,
    /// Everybody.
    Open,
}

/// All settings. In the file they are called as here, in the environment `MADE_OPEN_` and the name in capitals.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on (`MADE_OPEN_BIND`).
    pub bind: String,
    /// The address others reach the hub by (`MADE_OPEN_PUBLIC_URL`).
    pub public_url: Option<url::Url>,
    /// Where the hub keeps its files (`MADE_OPEN_DATA_DIR`).
    pub data_dir: PathBuf,
    /// A PostgreSQL 15 or later with pgvector; without it the embedded one runs (`DATABASE_URL`).
    pub database_url: Option<Secret>,
    /// Connections the hub holds to the database (`MADE_OPEN_DATABASE_POOL`).
    pub database_pool: usize,
    /// Schemas the table door serves, the first being the default (`MADE_OPEN_REST_SCHEMAS`, comma-separated).
    #[serde(deserialize_with = "comma_separated")]
    pub rest_schemas: Vec<String>,
    /// Whether the table door computes sums and the like for clients (`MADE_OPEN_REST_AGGREGATES`).
    #[serde(deserialize_with = "on_or_off")]
    pub rest_aggregates: bool,
    /// The most rows one answer holds (`MADE_OPEN_REST_MAX_ROWS`).
    pub rest_max_rows: u32,
    /// How deep related tables may be embedded (`MADE_OPEN_REST_MAX_DEPTH`).
    pub rest_max_depth: usize,
    /// The longest request body in bytes (`MADE_OPEN_BODY_LIMIT`).
    pub body_limit: usize,
    /// closed | invite | approval | open (`MADE_OPEN_SIGNUP`).
    pub signup: Signup,
    /// on skips the e-mail step of a sign-up (`MADE_OPEN_AUTOCONFIRM`).
    #[serde(deserialize_with = "on_or_off")]
    pub autoconfirm: bool,
    /// Seconds an access token lives (`MADE_OPEN_ACCESS_TOKEN_SECONDS`).
    pub access_token_seconds: u32,
    /// Where mail may send people back to beside the hub itself (`MADE_OPEN_REDIRECT_URLS`, comma-separated).
    #[serde(deserialize_with = "addresses")]
    pub redirect_urls: Vec<url::Url>,
    /// on asks for a mailed code before a password is changed in a session older than a day
    /// (`MADE_OPEN_REAUTHENTICATE`).
    #[serde(deserialize_with = "on_or_off")]
    pub reauthenticate: bool,
    /// How many jobs of each queue this process runs side by side (`MADE_OPEN_JOBS_WIDTH`).
    pub jobs_width: usize,
    /// Connections to the database that jobs have for themselves (`MADE_OPEN_JOBS_POOL`).
    pub jobs_pool: usize,
    /// After how many seconds without a word from the process that runs a job another takes it
    /// (`MADE_OPEN_JOBS_LEASE_SECONDS`).
    pub jobs_lease_seconds: u32,
    /// Where mail goes out; without it mail is written into files in the data directory (`SMTP_URL`).
    pub smtp_url: Option<Secret>,
    /// Whom mail of the hub comes from (`MADE_OPEN_MAIL_FROM`).
    pub mail_from: String,
    /// json | text (`MADE_OPEN_LOG_FORMAT`).
    pub log_format: String,
    /// on | off, off for load tests only (`MADE_OPEN_LIMITS`).
    #[serde(deserialize_with = "on_or_off")]
    pub limits: bool,
}

#[derive(Serialize)]
struct Defaults {
    bind: &'static str,
    data_dir: PathBuf,
    database_pool: usize,
    rest_schemas: &'static str,
    rest_aggregates: bool,
    rest_max_rows: u32,
    rest_max_depth: usize,
    body_limit: usize,
    signup: Signup,
    autoconfirm: bool,
    access_token_seconds: u32,
    redirect_urls: &'static str,
    reauthenticate: bool,
    jobs_width: usize,
    jobs_pool: usize,
    jobs_lease_seconds: u32,
    mail_from: &'static str,
    log_format: &'static str,
    limits: bool,
}

/// Settings given as flags; they win over everything else.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
}

/// Variables with our prefix that are not settings of a running hub: those of the build and of the tests.
fn is_setting(key: &str) -> bool {
    key != "config" && !key.starts_with("postgres_") && !key.starts_with("test_")
}

/// Read all settings.
pub fn load(flags: &Flags) -> anyhow::Result<Config> {
    let defaults = Defaults {
        bind: "127.0.0.1:3000",
        data_dir: default_data_dir(),
        database_pool: 8,
        rest_schemas: "public",
        rest_aggregates: false,
        rest_max_rows: 1000,
        rest_max_depth: 8,
        body_limit: 8 * 1024 * 1024,
        signup: Signup::Closed,
        autoconfirm: false,
        access_token_seconds: 3600,
        redirect_urls: "",
        reauthenticate: false,
        jobs_width: 16,
        jobs_pool: 4,
        jobs_lease_seconds: 30,
        mail_from: "Made Open <hub@localhost>",
        log_format: "text",
        limits: true,
    };
    let environment = Env::prefixed("MADE_OPEN_")
        .filter(|key| is_setting(&key.as_str().to_ascii_lowercase()))
        .lowercase(true);
    let plain = Env::raw()
        .only(&["DATABASE_URL", "SMTP_URL"])
        .lowercase(true);

    // The file may lie in the data directory, which environment and flags may move.
    let without_file = Figment::from(Serialized::defaults(&defaults))
        .merge(environment.clone())
        .merge(Serialized::defaults(flags));
    let data_dir: PathBuf = without_file.extract_inner("data_dir").context("data_dir")?;
    let file = match env_path("MADE_OPEN_CONFIG") {
        Some(named) if !named.is_file() => {
            bail!("MADE_OPEN_CONFIG names no file: {}", named.display())
        }
        Some(named) => named,
        None => data_dir.join("made-open.toml"),
    };

    let config: Config = Figment::from(Serialized::defaults(&defaults))
        .merge(Toml::file(&file))
        .merge(plain)
        .merge(environment)
        .merge(Serialized::defaults(flags))
        .extract()
        .map_err(|error| anyhow::anyhow!("{}", explain(error)))?;
    if config.rest_schemas.is_empty()
        || config.rest_schemas.iter().any(|name| {
            name == "hub"
                || name == "auth"
                || name.starts_with("pg_")
                || name == "information_schema"
        })
    {
        bail!(
            "rest_schemas must name at least one schema, and none of hub, auth, pg_…, information_schema"
        );
    }
    Ok(config)
}

/// Where a hub keeps its files unless told otherwise: PostgreSQL never runs as root and must reach them.
pub fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/lib/made-open")
    } else {
        PathBuf::from("data")
    }
}

/// Make a relative data directory absolute, so that a child process finds it.
pub fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot resolve {}", path.display()))
}

/// The filter for log lines (`RUST_LOG`), else a quiet one.
pub fn log_filter() -> String {
    env_text("RUST_LOG").unwrap_or_else(|| "info,tokio_postgres=warn,actix_server=warn".to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn env_text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn env_path(name: &str) -> Option<PathBuf> {
    env_text(name).map(PathBuf::from)
}

fn explain(errors: figment::Error) -> String {
    errors
        .into_iter()
        .map(|error| {
            let mut line = error.to_string();
            if let figment::error::Kind::UnknownField(name, expected) = &error.kind {
                let nearest = expected
                    .iter()
                    .max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
                if let Some(nearest) = nearest {
                    line = format!("unknown setting {name}; did you mean {nearest}?");
                }
            }
            line
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn comma_separated<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Text(String),
        List(Vec<String>),
    }
    Ok(match Given::deserialize(from)? {
        Given::Text(text) => text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect(),
        Given::List(list) => list,
    })
}

fn addresses<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<url::Url>, D::Error> {
    comma_separated(from)?
        .into_iter()
        .map(|text| {
            url::Url::parse(&text)
                .ok()
                .filter(url::Url::has_host)
                .ok_or_else(|| {
                    serde::de::Error::custom(format!(
                        "expected addresses like https://app.example, found {text}"
                    ))
                })
        })
        .collect()
}

fn on_or_off<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Bool(bool),
        Text(String),
    }
    match Given::deserialize(from)? {
        Given::Bool(on) => Ok(on),
        Given::Text(text) if text == "on" => Ok(true),
        Given::Text(text) if text == "off" => Ok(false),
        Given::Text(text) => Err(serde::de::Error::custom(format!(
            "expected on or off, found {text}"
        ))),
    }
}
