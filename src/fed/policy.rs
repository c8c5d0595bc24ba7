//! With whom the hub federates: the operator's mode, and the rules for domains. Asked wherever something comes in or goes
//! out, so it is remembered for a few seconds; another process's change holds here as soon as those are over.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use diesel::sql_types::{Nullable, Text};
use moka::future::Cache;
use url::Url;

use super::trust;
use crate::base::config::FederationMode;
use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// How long a rule is remembered.
const KEPT: Duration = Duration::from_secs(3);

/// How many hosts are remembered.
const MOST: u64 = 10_000;

/// What holds for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing in particular.
    Open,
    /// Only followers hear of it, and its media stay where they are.
    Limit,
    /// Its media stay where they are.
    RejectMedia,
    /// Its reports are not taken.
    RejectReports,
    /// Nothing is taken from it and nothing sent.
    Block,
}

struct Known(Cache<String, Policy>);

/// What holds for a host, written as `trust::host_key` writes it.
pub async fn of(node: &Node, host: &str) -> Result<Policy> {
    let told = of_all(node, HashSet::from([host.to_owned()])).await?;
    Ok(told.get(host).copied().unwrap_or(Policy::Block))
}

/// What holds for several hosts, asked for at once.
pub async fn of_all(node: &Node, hosts: HashSet<String>) -> Result<HashMap<String, Policy>> {
    let mode = node.config.federation_mode;
    if mode == FederationMode::Off {
        return Ok(hosts
            .into_iter()
            .map(|host| (host, Policy::Block))
            .collect());
    }
    let known = node.part(|_| {
        Known(
            Cache::builder()
                .max_capacity(MOST)
                .time_to_live(KEPT)
                .build(),
        )
    });
    let mut told = HashMap::with_capacity(hosts.len());
    let mut unknown = Vec::new();
    for host in hosts {
        match known.0.get(&host).await {
            Some(policy) => drop(told.insert(host, policy)),
            None => unknown.push(Some(host)),
        }
    }
    if unknown.is_empty() {
        return Ok(told);
    }
    let mut ask = Statement::<(Text, Nullable<Text>)>::new(
        "select h, (hub.host_policy(h)).policy from unnest(",
    );
    ask.bind(Bind::Texts(unknown)).sql("::text[]) h");
    let rows: Vec<(String, Option<String>)> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    for (host, rule) in rows {
        let policy = read(mode, rule.as_deref());
        known.0.insert(host.clone(), policy).await;
        told.insert(host, policy);
    }
    Ok(told)
}

/// Whether nothing is taken from a host and nothing sent.
pub async fn is_blocked(node: &Node, host: &str) -> Result<bool> {
    Ok(of(node, host).await? == Policy::Block)
}

fn read(mode: FederationMode, told: Option<&str>) -> Policy {
    match (mode, told) {
        (FederationMode::Off, _) | (_, Some("block")) => Policy::Block,
        (FederationMode::Allowlist, None) => Policy::Block,
        (_, Some("limit")) => Policy::Limit,
        (_, Some("reject_media")) => Policy::RejectMedia,
        (_, Some("reject_reports")) => Policy::RejectReports,
        (_, _) => Policy::Open,
    }
}

/// A domain as rules name it, out of what a person or a list writes: lower case, punycode, no dot at its end, a port only
/// where one was named; a leading `*.` says what holds anyhow. None for what is no domain.
pub fn domain_of(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = text.strip_prefix("*.").unwrap_or(text);
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || "/\\?#@*<>\"'%,".contains(c);
    if bare.is_empty() || bare.len() > 300 || bare.chars().any(is_odd) {
        return None;
    }
    let url = Url::parse(&format!("https://{bare}/")).ok()?;
    let name = trust::host_key(&url);
    let labels = url.domain().map(|name| name.trim_end_matches('.'));
    let is_fine = match labels {
        // A rule for a whole top-level domain is more often a slip than meant.
        Some(name) => name.contains('.') && name.split('.').all(|label| !label.is_empty()),
        None => url.host().is_some(),
    };
    (is_fine && !name.is_empty() && name.len() <= 253).then_some(name)
}

/// Whether an address or id is this hub's own.
pub fn is_ours(node: &Node, id: &str) -> bool {
    let ours = node.db.hub().public_url().and_then(trust::Origin::of);
    ours.is_some() && trust::origin(id) == ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read_as_rules_name_them() {
        for (text, domain) in [
            ("evil.example", Some("evil.example")),
            (" EVIL.Example. ", Some("evil.example")),
            ("*.evil.example", Some("evil.example")),
            ("böse.example", Some("xn--bse-sna.example")),
            ("evil.example:8443", Some("evil.example:8443")),
            ("evil.example:443", Some("evil.example")),
            ("203.0.113.5", Some("203.0.113.5")),
            ("evil", None),
            ("", None),
            ("ev*l.example", None),
            ("https://evil.example", None),
            ("evil.example/path", None),
            ("a@evil.example", None),
            ("evil..example", None),
            ("=cmd()", None),
        ] {
            assert_eq!(domain_of(text).as_deref(), domain, "{text:?}");
        }
    }

    #[test]
    fn a_rule_blocks_and_a_list_lets_in_only_whom_it_names() {
        use FederationMode::{Allowlist, Off, Open};
        for (mode, told, policy) in [
            (Open, None, Policy::Open),
            (Open, Some("allow"), Policy::Open),
            (Open, Some("limit"), Policy::Limit),
            (Open, Some("block"), Policy::Block),
            (Allowlist, None, Policy::Block),
            (Allowlist, Some("allow"), Policy::Open),
            (Allowlist, Some("reject_media"), Policy::RejectMedia),
            (Allowlist, Some("block"), Policy::Block),
            (Off, Some("allow"), Policy::Block),
        ] {
            assert_eq!(read(mode, told), policy, "{mode:?} {told:?}");
        }
    }
}
