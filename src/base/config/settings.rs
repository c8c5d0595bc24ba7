//! The words of every setting, once: `made-open config docs` and `config show` are made from this table.

use figment::Figment;
use serde_json::{Value, json};

use super::{Flags, sources};

/// One setting as people read of it.
pub struct Setting {
    /// Its name in `made-open.toml`.
    pub name: &'static str,
    /// What it is about, as a heading.
    pub group: &'static str,
    /// What may stand there.
    pub form: &'static str,
    /// What holds without it, where the built-in value can't be read off by itself.
    pub otherwise: Option<&'static str>,
    /// Whether its value is never shown and may be read from the file that `…_FILE` names.
    pub is_secret: bool,
    /// What it does, in full sentences.
    pub about: &'static str,
}

const fn plain(
    group: &'static str,
    name: &'static str,
    form: &'static str,
    about: &'static str,
) -> Setting {
    Setting {
        name,
        group,
        form,
        otherwise: None,
        is_secret: false,
        about,
    }
}

const PLACE: &str = "Where it runs";
const DATABASE: &str = "Database";
const TABLES: &str = "The table door";
const ACCOUNTS: &str = "Accounts";
const VAULT: &str = "The vault";
const JOBS: &str = "Jobs";
const PEERS: &str = "Other hubs";
const MAIL: &str = "Mail";
const LIMITS: &str = "Limits";
const SEEING: &str = "Logs and figures";

/// All settings, in the order in which they are read about.
pub const SETTINGS: &[Setting] = &[
    plain(PLACE, "bind", "address:port", "Where the hub listens."),
    Setting {
        otherwise: Some("the address of `bind`"),
        ..plain(
            PLACE,
            "public_url",
            "http(s) address",
            "The address others reach the hub by. Links in letters are formed from it, and with https the hub asks browsers \
             to stay with TLS.",
        )
    },
    Setting {
        otherwise: Some("`/var/lib/made-open` as root, else `data`"),
        ..plain(
            PLACE,
            "data_dir",
            "path",
            "Where the hub keeps its files: the embedded database, keys, mail that has no server.",
        )
    },
    plain(
        PLACE,
        "disk_reserve",
        "bytes",
        "With less room than this in the data directory `/readyz` says no and `doctor` warns.",
    ),
    Setting {
        otherwise: Some("none"),
        ..plain(
            PLACE,
            "trusted_proxies",
            "addresses and networks, comma-separated",
            "Reverse proxies in front of the hub. Only from them `X-Forwarded-For` says who asks and `X-Request-Id` is \
             taken over; from everybody else both are ignored.",
        )
    },
    Setting {
        is_secret: true,
        otherwise: Some("the embedded database"),
        ..plain(
            DATABASE,
            "database_url",
            "postgresql:// address",
            "A PostgreSQL 15 or later with pgvector, prepared with `made-open database bootstrap`.",
        )
    },
    plain(
        DATABASE,
        "database_pool",
        "number",
        "Connections that requests share.",
    ),
    plain(
        TABLES,
        "rest_schemas",
        "names, comma-separated",
        "Schemas that `/rest/v1` serves; the first one is the default.",
    ),
    plain(
        TABLES,
        "rest_aggregates",
        "on or off",
        "Whether `/rest/v1` computes sums and the like for clients.",
    ),
    plain(
        TABLES,
        "rest_max_rows",
        "number",
        "The most rows one answer holds.",
    ),
    plain(
        TABLES,
        "rest_max_depth",
        "number",
        "How deep related tables may be embedded.",
    ),
    plain(
        TABLES,
        "body_limit",
        "bytes",
        "The longest request body that is read.",
    ),
    plain(
        ACCOUNTS,
        "signup",
        "closed, invite, approval or open",
        "Who may make an account.",
    ),
    plain(
        ACCOUNTS,
        "autoconfirm",
        "on or off",
        "On: a sign-up needs no confirmation by e-mail.",
    ),
    plain(
        ACCOUNTS,
        "access_token_seconds",
        "seconds",
        "How long an access token lives.",
    ),
    Setting {
        otherwise: Some("none"),
        ..plain(
            ACCOUNTS,
            "redirect_urls",
            "addresses, comma-separated",
            "Where links in letters may send people back to, beside the hub itself.",
        )
    },
    plain(
        ACCOUNTS,
        "reauthenticate",
        "on or off",
        "On: whoever changes his password in a session older than a day needs a code from a letter.",
    ),
    Setting {
        otherwise: Some("`vault.key` in the data directory, made at the first start"),
        ..plain(
            VAULT,
            "secret_key_file",
            "path",
            "The file with the vault's keys, readable for the hub alone. Keep a copy elsewhere: no backup of the database \
             opens a secret without it.",
        )
    },
    Setting {
        is_secret: true,
        otherwise: Some("the file"),
        ..plain(
            VAULT,
            "secret_key",
            "keys",
            "The vault's keys themselves, where no file is to be had. A file is better: variables show in `/proc`.",
        )
    },
    plain(
        JOBS,
        "jobs_width",
        "number",
        "How many jobs of one queue run at the same time in this process.",
    ),
    plain(
        JOBS,
        "jobs_pool",
        "number",
        "Connections that jobs share, beside those of requests.",
    ),
    plain(
        JOBS,
        "jobs_lease_seconds",
        "seconds",
        "How long a job stays with a process that has stopped saying that it works on it.",
    ),
    plain(
        PEERS,
        "deliveries_per_host",
        "number",
        "How many deliveries are under way to one other server at a time. Who answers slowly or has just failed gets one.",
    ),
    plain(
        PEERS,
        "deliveries_width",
        "number",
        "How many deliveries of this process are under way at a time; slow servers never have more than half of them.",
    ),
    plain(
        PEERS,
        "allow_private_peers",
        "on or off",
        "On: peers may be on this machine (127.0.0.0/8, ::1), speak plain http and have a port in their addresses; nothing \
         else private becomes reachable. For tests alone: whoever may name an address would reach this machine's other \
         programs through the hub.",
    ),
    Setting {
        otherwise: Some("none"),
        ..plain(
            PEERS,
            "test_resolve",
            "name=address, comma-separated",
            "Addresses of peers by name, like `a.hub.test=127.0.0.1`, for tests. Without `allow_private_peers` it is ignored.",
        )
    },
    plain(
        PEERS,
        "federation_mode",
        "open, allowlist or off",
        "With whom the hub federates: with every server that is not blocked, only with those that the operator has allowed, \
         or with none.",
    ),
    Setting {
        otherwise: Some("the host of `public_url`"),
        ..plain(
            PEERS,
            "handle_domain",
            "domain",
            "What stands behind the `@` of everybody's handle. Its web server must pass `/.well-known/webfinger` on to the hub; \
             everything else stays at `public_url`. Best decided before others know the hub.",
        )
    },
    plain(
        PEERS,
        "authorized_fetch",
        "on or off",
        "On: other servers must sign even to read what is public, so that blocked ones read nothing. Off: blocking a server \
         does not keep it from reading what everybody may read.",
    ),
    Setting {
        is_secret: true,
        otherwise: Some("letters become files in the data directory, below `mail`"),
        ..plain(
            MAIL,
            "smtp_url",
            "smtp(s):// address",
            "The server that mail leaves by, like `smtps://user:password@mail.example`.",
        )
    },
    plain(
        MAIL,
        "mail_from",
        "mail address",
        "Whom the hub's letters come from.",
    ),
    plain(
        LIMITS,
        "limits",
        "on or off",
        "Off for load tests only: nobody is slowed down.",
    ),
    plain(
        LIMITS,
        "limit_sign_in",
        "rate",
        "Signing up and in, recovering, confirming and codes, per address (IPv6: per /64).",
    ),
    plain(
        LIMITS,
        "limit_mail",
        "rate",
        "Requests that send a letter, per address it would go to, whoever asks.",
    ),
    plain(
        LIMITS,
        "limit_read",
        "rate",
        "Reading by GET and HEAD, per session, else per address.",
    ),
    plain(
        LIMITS,
        "limit_write",
        "rate",
        "Everything that may change something, per session, else per address.",
    ),
    plain(
        LIMITS,
        "limit_pages",
        "rate",
        "Pages for people and paths that are not there, per address.",
    ),
    plain(
        LIMITS,
        "limit_inbox",
        "rate",
        "Activities of one peer, counted once their signature has proved good.",
    ),
    plain(
        LIMITS,
        "limit_inbox_burst",
        "number",
        "How many of a peer's activities may come at once.",
    ),
    plain(
        LIMITS,
        "limit_inbox_unverified",
        "rate",
        "What comes into inboxes and proves to be nobody's, per address (IPv6: per /64); beyond it the address waits.",
    ),
    plain(
        LIMITS,
        "limit_key_fetches",
        "rate",
        "How often what comes in may make the hub ask one host for keys and actors that it does not know yet.",
    ),
    plain(
        LIMITS,
        "limit_follows",
        "rate",
        "How often one actor, of this hub or another, may ask to follow.",
    ),
    plain(
        LIMITS,
        "limit_reports",
        "rate",
        "How often one actor, of this hub or another, may report.",
    ),
    plain(
        LIMITS,
        "limit_offers",
        "rate",
        "How often one actor, of this hub or another, may offer an exchange.",
    ),
    plain(
        LIMITS,
        "limit_votes",
        "rate",
        "How often one actor, of this hub or another, may vote.",
    ),
    plain(
        LIMITS,
        "time_credit_limit",
        "hours",
        "How many hours an account of the time bank may owe where no DAO says otherwise.",
    ),
    plain(
        LIMITS,
        "peer_credit_limit",
        "hours",
        "How many hours the people of one other hub may owe together before nothing more is accepted from there.",
    ),
    plain(
        SEEING,
        "log_format",
        "json or text",
        "How log lines are written.",
    ),
    plain(
        SEEING,
        "log_requests",
        "on or off",
        "On: one line for every request. Off: only for slow ones and for those that failed on our side.",
    ),
    plain(
        SEEING,
        "log_slow_ms",
        "milliseconds",
        "From this on a request is slow.",
    ),
    Setting {
        otherwise: Some("`/metrics` is on the main port"),
        ..plain(
            SEEING,
            "metrics_bind",
            "address:port",
            "Moves `/metrics` to a port of its own, which asks nobody who he is: keep it away from strangers. On the main \
             port it answers service keys, and this machine itself as long as `public_url` is not set to another name.",
        )
    },
];

impl Setting {
    /// Its name in the environment.
    pub fn variable(&self) -> String {
        let name = self.name.to_ascii_uppercase();
        match self.name {
            "database_url" | "smtp_url" => name,
            _ => format!("MADE_OPEN_{name}"),
        }
    }

    /// The variable that names a file with its value.
    pub fn file_variable(&self) -> Option<String> {
        let name = format!("{}_file", self.name);
        let is_a_setting = SETTINGS.iter().any(|setting| setting.name == name);
        (self.is_secret && !is_a_setting).then(|| format!("{}_FILE", self.variable()))
    }

    fn built_in(&self, defaults: &Value) -> String {
        match (self.otherwise, defaults.get(self.name)) {
            (Some(told), _) => told.to_owned(),
            (None, Some(Value::Bool(on))) => if *on { "`on`" } else { "`off`" }.to_owned(),
            (None, Some(Value::String(text))) => format!("`{text}`"),
            (None, Some(value)) => format!("`{value}`"),
            (None, None) => "none".to_owned(),
        }
    }
}

/// The reference page as values, one per setting.
pub fn described() -> Vec<Value> {
    let defaults = serde_json::to_value(super::defaults()).unwrap_or_default();
    SETTINGS
        .iter()
        .map(|setting| {
            serde_json::json!({
                "name": setting.name, "group": setting.group, "variable": setting.variable(),
                "file_variable": setting.file_variable(), "value": setting.form,
                "built_in": setting.built_in(&defaults), "about": setting.about,
            })
        })
        .collect()
}

/// The reference page.
pub fn page() -> String {
    let defaults = serde_json::to_value(super::defaults()).unwrap_or_default();
    let mut page = String::from(
        "# Settings\n\n\
         Written by `made-open config docs`; change `src/base/config/settings.rs` instead.\n\n\
         Built-in values, then `made-open.toml` in the data directory (or where `MADE_OPEN_CONFIG` says), then the environment, \
         then flags: the later one wins.\n\
         A name that nobody knows is an error.\n\
         A secret may also be read from a file that its `…_FILE` variable names.\n\
         `made-open config show` prints what holds and where each value came from, `made-open config check` tries them.\n",
    );
    let mut group = "";
    for setting in SETTINGS {
        if setting.group != group {
            group = setting.group;
            page.push_str(&format!(
                "\n## {group}\n\n| setting | environment | value | built in | |\n|---|---|---|---|---|\n"
            ));
        }
        let file = setting
            .file_variable()
            .map(|name| format!(" or `{name}`"))
            .unwrap_or_default();
        page.push_str(&format!(
            "| `{}` | `{}`{file} | {} | {} | {} |\n",
            setting.name,
            setting.variable(),
            setting.form,
            setting.built_in(&defaults),
            setting.about
        ));
    }
    page.push_str(
        "\nRates are written like `600/min`, `10/5min` or `5/h` (units s, min, h, d).\n\
         `RUST_LOG` filters log lines, `NO_COLOR` takes the colours away.\n",
    );
    page
}

/// Every setting as it holds, with where it came from. Secrets only say that they are there.
pub fn shown(flags: &Flags) -> anyhow::Result<Vec<Value>> {
    let sources = sources(flags)?;
    Ok(SETTINGS
        .iter()
        .map(|setting| {
            let value = sources
                .find_value(setting.name)
                .ok()
                .and_then(|value| serde_json::to_value(value).ok());
            let value = match value {
                Some(_) if setting.is_secret => Some(json!("[secret]")),
                value => value,
            };
            json!({ "name": setting.name, "value": value, "from": origin(&sources, setting) })
        })
        .collect())
}

fn origin(sources: &Figment, setting: &Setting) -> String {
    let Some(metadata) = sources.find_metadata(setting.name) else {
        return "not set".to_owned();
    };
    match (&metadata.source, &*metadata.name) {
        (Some(figment::Source::File(path)), _) => path.display().to_string(),
        (_, name) if name.contains("environment") => setting.variable(),
        (_, name) if name.contains("Flags") => {
            format!("--{}", setting.name.replace('_', "-"))
        }
        (_, super::FROM_FILE) => setting.file_variable().unwrap_or_default(),
        _ => "built in".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::config::Config;

    /// The names that the settings themselves know, as they say when they meet one they don't.
    fn known() -> BTreeSet<String> {
        let asked = Figment::from(figment::providers::Serialized::defaults(
            json!({ "no_such_setting": 1 }),
        ));
        let refused = asked.extract::<Config>().unwrap_err();
        let names = refused.into_iter().find_map(|error| match error.kind {
            figment::error::Kind::UnknownField(_, expected) => Some(expected),
            _ => None,
        });
        names
            .unwrap()
            .iter()
            .map(|name| (*name).to_owned())
            .collect()
    }

    #[test]
    fn every_setting_is_explained_and_nothing_else_is() {
        let told: BTreeSet<String> = SETTINGS.iter().map(|s| s.name.to_owned()).collect();
        assert_eq!(told, known());
        assert_eq!(told.len(), SETTINGS.len(), "a name stands there twice");
        for setting in SETTINGS {
            assert!(setting.about.ends_with('.'), "{}", setting.name);
        }
    }

    #[test]
    fn the_page_in_docs_is_the_one_that_is_made() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == page(),
            "write it anew: made-open config docs > docs/CONFIG.md"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let flags = Flags {
            database_url: Some("postgresql://me:hunter2@db/hub".to_owned()),
            ..Flags::default()
        };
        let shown = serde_json::to_string(&shown(&flags).unwrap()).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("--database-url"), "{shown}");
        assert!(shown.contains("[secret]"), "{shown}");
    }
}
