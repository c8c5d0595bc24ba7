//! One document of another server: asked for by a signed GET, one redirect followed by hand, and taken only as what its
//! server says that it is (S-52, S-54, S-55, S-68, S-69).

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use url::Url;
use uuid::Uuid;

use super::{LATER, Unreached};
use crate::base::{Caller, clock};
use crate::fed::document::{Document, LONGEST};
use crate::fed::keys::{self, Signer};
use crate::fed::signature::{self, Scheme};
use crate::fed::{actors, policy, trust};
use crate::net::http::{Budget, DEADLINE, Method, Reply, Request};
use crate::node::Node;

/// What objects and actors are asked for as.
const ACCEPT: &str = "application/activity+json, application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"";

/// What WebFinger is asked for as.
const ACCEPT_JRD: &str = "application/jrd+json, application/json";

const PROFILE: &str = "https://www.w3.org/ns/activitystreams";

/// How long a server that did not answer is left alone.
const AWAY: Duration = Duration::from_secs(30);

/// Longest that a peer's `Retry-After` counts.
const LONGEST_WAIT: u64 = 60 * 60;

/// What came, and from which address in the end.
#[derive(Debug)]
pub struct Fetched {
    pub url: Url,
    pub document: Document,
}

/// What a document may call itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An object or actor.
    Activity,
    /// An answer of WebFinger.
    Jrd,
}

/// Servers that did not answer a moment ago.
struct Away(Cache<String, ()>);

/// Fetch a document. What it says of itself is not compared with where it came from; `objects` does that.
pub async fn document(
    node: &Node,
    address: &str,
    wanted: Wanted,
    signer: Option<&Signer>,
    budget: &Budget,
) -> Result<Fetched, Unreached> {
    let mut url = node.net.peers.read(address)?;
    url.set_fragment(None);
    let mut hops = 0;
    loop {
        let reply = ask(node, &url, wanted, signer, budget).await?;
        match reply.status {
            200..=299 => {
                if !is_what_was_asked(reply.header("content-type").unwrap_or_default(), wanted) {
                    return Err(Unreached::Refused("content_type"));
                }
                let document = Document::read(&reply.body)
                    .map_err(|malformed| Unreached::Refused(malformed.reason()))?;
                return Ok(Fetched { url, document });
            }
            301 | 302 | 303 | 307 | 308 if hops == 0 => {
                let to = reply.header("location").ok_or(Unreached::Missing)?;
                url = node.net.peers.hop(&url, to)?;
                url.set_fragment(None);
                hops += 1;
            }
            301 | 302 | 303 | 307 | 308 => return Err(Unreached::Refused("too_many_redirects")),
            410 => return Err(Unreached::Gone),
            408 | 425 | 429 | 500..=599 => return Err(Unreached::Down(wait_of(&reply))),
            _ => return Err(Unreached::Missing),
        }
    }
}

/// Ask one address; whoever wants it signed otherwise is asked once more (R4).
async fn ask(
    node: &Node,
    url: &Url,
    wanted: Wanted,
    signer: Option<&Signer>,
    budget: &Budget,
) -> Result<Reply, Unreached> {
    let host = trust::host_key(url);
    if policy::is_ours(node, url.as_str()) {
        return Err(Unreached::Refused("local"));
    }
    if policy::is_blocked(node, &host).await? {
        return Err(Unreached::Blocked);
    }
    let away = node.part(|_| {
        Away(
            Cache::builder()
                .max_capacity(10_000)
                .time_to_live(AWAY)
                .build(),
        )
    });
    if away.0.get(&host).await.is_some() {
        return Err(Unreached::Down(AWAY));
    }

    let mut reply = send(node, url, wanted, Scheme::Cavage, signer, budget).await;
    if signer.is_some() && reply.as_ref().is_ok_and(|reply| reply.status == 401) {
        reply = send(node, url, wanted, Scheme::Rfc9421, signer, budget).await;
    }
    if let Err(Unreached::Down(_)) = reply {
        away.0.insert(host, ()).await;
    }
    reply
}

async fn send(
    node: &Node,
    url: &Url,
    wanted: Wanted,
    scheme: Scheme,
    signer: Option<&Signer>,
    budget: &Budget,
) -> Result<Reply, Unreached> {
    budget.spend()?;
    let accept = match wanted {
        Wanted::Activity => ACCEPT,
        Wanted::Jrd => ACCEPT_JRD,
    };
    let mut headers = vec![("accept".to_owned(), accept.to_owned())];
    if let Some(signer) = signer
        && wanted == Wanted::Activity
    {
        headers.extend(signature::sign(
            scheme,
            "GET",
            url,
            None,
            &signer.rsa_id,
            &signer.rsa,
            clock::now(),
        ));
    }
    let request = Request {
        method: Method::Get,
        url,
        headers,
        body: None,
        max_bytes: LONGEST,
        deadline: DEADLINE,
    };
    Ok(Box::pin(node.net.peers.send(request)).await?)
}

/// Whether a content type is one that its server gives to nothing but this (S-52).
fn is_what_was_asked(content_type: &str, wanted: Wanted) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    match (wanted, kind.as_str()) {
        (Wanted::Activity, "application/activity+json")
        | (Wanted::Jrd, "application/jrd+json" | "application/json") => true,
        (Wanted::Activity, "application/ld+json") => parts.any(|part| {
            let Some((name, value)) = part.split_once('=') else {
                return false;
            };
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("profile")
                && value.split_ascii_whitespace().any(|one| one == PROFILE)
        }),
        _ => false,
    }
}

fn wait_of(reply: &Reply) -> Duration {
    reply
        .header("retry-after")
        .and_then(|text| text.trim().parse().ok())
        .map_or(LATER, |seconds: u64| {
            Duration::from_secs(seconds.clamp(1, LONGEST_WAIT))
        })
}

struct Signers(Cache<Option<Uuid>, Arc<Signer>>);

/// Who asks: the local actor whom something is addressed to, else the instance actor (R16). Where there is no key, as while
/// the vault is shut, the question goes unsigned.
pub async fn signer(node: &Node, signed_by: Option<Uuid>) -> Option<Arc<Signer>> {
    let known = node.part(|_| {
        Signers(
            Cache::builder()
                .max_capacity(1_000)
                .time_to_live(Duration::from_secs(30))
                .build(),
        )
    });
    if let Some(signer) = known.0.get(&signed_by).await {
        return Some(signer);
    }
    let found = node
        .db
        .write(&Caller::Hub, async |tx| {
            let actor = match signed_by {
                Some(actor) => actor,
                None => actors::node(tx).await?.id,
            };
            keys::signer(tx, actor).await
        })
        .await;
    match found {
        Ok(signer) => {
            known.0.insert(signed_by, signer.clone()).await;
            Some(signer)
        }
        Err(error) => {
            tracing::warn!(event = "fetched_unsigned", cause = %error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_52_only_two_types_are_activities() {
        for (text, is) in [
            ("application/activity+json", true),
            ("application/activity+json; charset=utf-8", true),
            ("Application/Activity+JSON", true),
            (
                "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
                true,
            ),
            (
                "application/ld+json; charset=utf-8; profile=\"https://www.w3.org/ns/activitystreams https://x.example\"",
                true,
            ),
            ("application/ld+json", false),
            ("application/ld+json; profile=\"https://x.example\"", false),
            ("application/json", false),
            ("text/plain", false),
            ("text/html", false),
            ("image/png", false),
            ("", false),
            ("application/activity+jsonx", false),
        ] {
            assert_eq!(is_what_was_asked(text, Wanted::Activity), is, "{text}");
        }
        assert!(is_what_was_asked("application/jrd+json", Wanted::Jrd));
        assert!(!is_what_was_asked("text/html", Wanted::Jrd));
    }
}
