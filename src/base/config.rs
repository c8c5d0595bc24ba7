//! Every setting of the hub: built-in defaults, then `made-open.toml`, then the environment, then flags.
//! Nothing else reads the environment.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use super::secret::Secret;

mod rate;
mod settings;

pub use rate::{Network, Rate, of_one_peer};
pub use settings::{SETTINGS, described, page, shown};

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

/// With whom the hub federates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FederationMode {
    /// With every server that is not blocked.
    Open,
    /// Only with servers that the operator has named.
    Allowlist,
    /// With nobody.
    Off,
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
    /// The file with the vault's keys; `vault.key` in the data directory, made at the first start
    /// (`MADE_OPEN_SECRET_KEY_FILE`).
    pub secret_key_file: Option<PathBuf>,
    /// The vault's keys themselves, where no file is to be had; a file is better, because variables show in `/proc`
    /// (`MADE_OPEN_SECRET_KEY`).
    pub secret_key: Option<Secret>,
    /// After how many seconds without a word from the process that runs a job another takes it
    /// (`MADE_OPEN_JOBS_LEASE_SECONDS`).
    pub jobs_lease_seconds: u32,
    /// How many deliveries are under way to one other server at a time (`MADE_OPEN_DELIVERIES_PER_HOST`).
    pub deliveries_per_host: usize,
    /// How many deliveries of this process are under way at a time (`MADE_OPEN_DELIVERIES_WIDTH`).
    pub deliveries_width: usize,
    /// on lets the hub talk to peers on this machine, for tests (`MADE_OPEN_ALLOW_PRIVATE_PEERS`).
    #[serde(deserialize_with = "on_or_off")]
    pub allow_private_peers: bool,
    /// Addresses of peers by name, which only `allow_private_peers` makes count (`MADE_OPEN_TEST_RESOLVE`).
    #[serde(default, deserialize_with = "named_addresses")]
    pub test_resolve: Vec<(String, IpAddr)>,
    /// The domain of handles, where it is not the address's own (`MADE_OPEN_HANDLE_DOMAIN`).
    pub handle_domain: Option<String>,
    /// on asks every server for a signature before it reads anything but the hub's own actor
    /// (`MADE_OPEN_AUTHORIZED_FETCH`).
    #[serde(deserialize_with = "on_or_off")]
    pub authorized_fetch: bool,
    /// open | allowlist | off (`MADE_OPEN_FEDERATION_MODE`).
    pub federation_mode: FederationMode,
    /// Where mail goes out; without it mail is written into files in the data directory (`SMTP_URL`).
    pub smtp_url: Option<Secret>,
    /// Whom mail of the hub comes from (`MADE_OPEN_MAIL_FROM`).
    pub mail_from: String,
    /// json | text (`MADE_OPEN_LOG_FORMAT`).
    pub log_format: String,
    /// on | off: a line for every request, or only for slow and failed ones (`MADE_OPEN_LOG_REQUESTS`).
    #[serde(deserialize_with = "on_or_off")]
    pub log_requests: bool,
    /// From how many milliseconds on a request is slow (`MADE_OPEN_LOG_SLOW_MS`).
    pub log_slow_ms: u64,
    /// A port of its own for `/metrics` (`MADE_OPEN_METRICS_BIND`).
    pub metrics_bind: Option<String>,
    /// Room in the data directory below which the hub is not ready (`MADE_OPEN_DISK_RESERVE`).
    pub disk_reserve: u64,
    /// Whose `X-Forwarded-For` and `X-Request-Id` count (`MADE_OPEN_TRUSTED_PROXIES`).
    #[serde(default, deserialize_with = "networks")]
    pub trusted_proxies: Vec<Network>,
    /// on | off, off for load tests only (`MADE_OPEN_LIMITS`).
    #[serde(deserialize_with = "on_or_off")]
    pub limits: bool,
    /// How often one address may sign up, in, recover or confirm (`MADE_OPEN_LIMIT_SIGN_IN`).
    pub limit_sign_in: Rate,
    /// How many letters one address may be sent on request (`MADE_OPEN_LIMIT_MAIL`).
    pub limit_mail: Rate,
    /// How often one may read (`MADE_OPEN_LIMIT_READ`).
    pub limit_read: Rate,
    /// How often one may write (`MADE_OPEN_LIMIT_WRITE`).
    pub limit_write: Rate,
    /// How often one address may ask for pages (`MADE_OPEN_LIMIT_PAGES`).
    pub limit_pages: Rate,
    /// How many activities one peer may send, once it is known that they are its own (`MADE_OPEN_LIMIT_INBOX`).
    pub limit_inbox: Rate,
    /// How many of them may come at once (`MADE_OPEN_LIMIT_INBOX_BURST`).
    pub limit_inbox_burst: u32,
    /// How often one address may knock with what proves to be nobody's (`MADE_OPEN_LIMIT_INBOX_UNVERIFIED`).
    pub limit_inbox_unverified: Rate,
    /// How often strangers may make the hub ask one host for a key (`MADE_OPEN_LIMIT_KEY_FETCHES`).
    pub limit_key_fetches: Rate,
    /// How often one actor may ask to follow (`MADE_OPEN_LIMIT_FOLLOWS`).
    pub limit_follows: Rate,
    /// How often one actor may report (`MADE_OPEN_LIMIT_REPORTS`).
    pub limit_reports: Rate,
    /// How often one actor may offer an exchange (`MADE_OPEN_LIMIT_OFFERS`).
    pub limit_offers: Rate,
    /// How often one actor may vote (`MADE_OPEN_LIMIT_VOTES`).
    pub limit_votes: Rate,
    /// How many hours an account may owe where no DAO says otherwise (`MADE_OPEN_TIME_CREDIT_LIMIT`).
    pub time_credit_limit: u32,
    /// How many hours the people of one other hub may owe together (`MADE_OPEN_PEER_CREDIT_LIMIT`).
    pub peer_credit_limit: u32,
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
    deliveries_per_host: usize,
    deliveries_width: usize,
    allow_private_peers: bool,
    authorized_fetch: bool,
    federation_mode: FederationMode,
    mail_from: &'static str,
    log_format: &'static str,
    log_requests: bool,
    log_slow_ms: u64,
    disk_reserve: u64,
    limits: bool,
    limit_sign_in: &'static str,
    limit_mail: &'static str,
    limit_read: &'static str,
    limit_write: &'static str,
    limit_pages: &'static str,
    limit_inbox: &'static str,
    limit_inbox_burst: u32,
    limit_inbox_unverified: &'static str,
    limit_key_fetches: &'static str,
    limit_follows: &'static str,
    limit_reports: &'static str,
    limit_offers: &'static str,
    limit_votes: &'static str,
    time_credit_limit: u32,
    peer_credit_limit: u32,
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
    let is_file = SETTINGS.iter().any(|setting| {
        setting.file_variable().is_some()
            && key
                .strip_suffix("_file")
                .is_some_and(|key| key == setting.name)
    });
    let is_of_tests = key.starts_with("test_") && key != "test_resolve";
    key != "config" && !is_file && !key.starts_with("postgres_") && !is_of_tests
}

/// What holds when nobody says otherwise.
fn defaults() -> Defaults {
    Defaults {
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
        deliveries_per_host: 4,
        deliveries_width: 256,
        allow_private_peers: false,
        authorized_fetch: false,
        federation_mode: FederationMode::Open,
        mail_from: "Made Open <hub@localhost>",
        log_format: "text",
        log_requests: false,
        log_slow_ms: 1000,
        disk_reserve: 64 * 1024 * 1024,
        limits: true,
        limit_sign_in: "10/5min",
        limit_mail: "5/h",
        limit_read: "6000/min",
        limit_write: "600/min",
        limit_pages: "120/min",
        limit_inbox: "6000/min",
        limit_inbox_burst: 3000,
        limit_inbox_unverified: "120/min",
        limit_key_fetches: "30/min",
        limit_follows: "60/h",
        limit_reports: "30/h",
        limit_offers: "30/h",
        limit_votes: "60/h",
        time_credit_limit: 20,
        peer_credit_limit: 100,
    }
}

/// Every source of settings, the later ones winning.
fn sources(flags: &Flags) -> anyhow::Result<Figment> {
    let defaults = defaults();
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

    Ok(Figment::from(Serialized::defaults(&defaults))
        .merge(Toml::file(&file))
        .merge(secrets_in_files()?)
        .merge(plain)
        .merge(environment)
        .merge(Serialized::defaults(flags)))
}

/// The name that values from `…_FILE` carry.
const FROM_FILE: &str = "files of secrets";

/// Secrets that lie in files which the environment names.
fn secrets_in_files() -> anyhow::Result<Figment> {
    let mut found = serde_json::Map::new();
    for setting in SETTINGS {
        let Some(variable) = setting.file_variable() else {
            continue;
        };
        let Some(path) = env_path(&variable) else {
            continue;
        };
        if env_text(&setting.variable()).is_some() {
            bail!("{variable} and {} are both set", setting.variable());
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{variable}: cannot read {}", path.display()))?;
        found.insert(setting.name.to_owned(), text.trim().into());
    }
    Ok(Figment::from(InFiles(found)))
}

struct InFiles(serde_json::Map<String, serde_json::Value>);

impl figment::Provider for InFiles {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(FROM_FILE)
    }

    fn data(
        &self,
    ) -> Result<figment::value::Map<figment::Profile, figment::value::Dict>, figment::Error> {
        Serialized::defaults(&self.0).data()
    }
}

/// Read all settings.
pub fn load(flags: &Flags) -> anyhow::Result<Config> {
    let config: Config = sources(flags)?
        .extract()
        .map_err(|error| anyhow::anyhow!("{}", explain(error)))?;
    if !["json", "text"].contains(&config.log_format.as_str()) {
        bail!("log_format must be json or text, not {}", config.log_format);
    }
    if let Some(url) = &config.public_url
        && !(["http", "https"].contains(&url.scheme()) && url.has_host())
    {
        bail!("public_url must begin with http:// or https:// and name a host");
    }
    if let Some(domain) = &config.handle_domain
        && !is_domain(domain)
    {
        bail!("handle_domain must be a domain name like example.org");
    }
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

/// Whether this is what stands behind the `@` of a handle: a host, with a port only where tests need one.
fn is_domain(text: &str) -> bool {
    url::Url::parse(&format!("https://{text}/")).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let whole = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        whole == text.to_lowercase() && url.path() == "/"
    })
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

/// Whether an address names this machine only.
pub fn is_local(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Bytes that are free where a path lies, or where it would; nothing when that can't be told.
pub fn free_space(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|part| part.exists())?;
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let told = rustix::fs::statvfs(there).ok()?;
    Some(told.f_bavail.saturating_mul(told.f_frsize))
}

/// The filter for log lines (`RUST_LOG`), else a quiet one, or one that tells more of the hub itself.
pub fn log_filter(is_verbose: bool) -> String {
    let level = if is_verbose { "made_open=debug," } else { "" };
    env_text("RUST_LOG")
        .unwrap_or_else(|| format!("{level}info,tokio_postgres=warn,actix_server=warn"))
}

/// Whether whoever looks wants no colours.
pub fn no_color() -> bool {
    env_text("NO_COLOR").is_some()
}

/// Where systemd puts what `LoadCredential=` names (`CREDENTIALS_DIRECTORY`).
pub fn credentials_dir() -> Option<PathBuf> {
    env_path("CREDENTIALS_DIRECTORY")
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

fn networks<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Network>, D::Error> {
    comma_separated(from)?
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
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

fn named_addresses<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Vec<(String, IpAddr)>, D::Error> {
    comma_separated(from)?
        .into_iter()
        .map(|text| {
            let named = text.split_once('=').and_then(|(name, address)| {
                Some((
                    name.trim().to_ascii_lowercase(),
                    address.trim().parse().ok()?,
                ))
            });
            named.ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "expected names and addresses like a.hub.test=127.0.0.1, found {text}"
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
