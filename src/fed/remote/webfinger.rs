//! Names of people elsewhere: `user@host` asked of WebFinger, and confirmed in both directions. The name that is shown is
//! the one that the actor's own server gives him, never the one that somebody asked for (S-49).

use serde_json::Value;

use super::actors::{self, Actor, Told};
use super::fetch::{self, Wanted};
use super::{Unreached, objects};
use crate::fed::{trust, vocab};
use crate::net::http::Budget;
use crate::node::Node;

/// What a link to an actor may call itself.
const TYPES: &[&str] = &[
    "application/activity+json",
    "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
];

/// The longest name of a user.
const LONGEST: usize = 100;

/// Whom `user@host` stands for: looked up, fetched, and kept with the name that is confirmed.
pub async fn handle(node: &Node, named: &str, budget: &Budget) -> Result<Actor, Unreached> {
    let (user, host) = split(named).ok_or(Unreached::Refused("bad_handle"))?;
    let found = ask(node, user, host, budget).await?;
    let signer = fetch::signer(node, None).await;
    let fetched = objects::fetch(
        node,
        &found.actor,
        Wanted::Activity,
        signer.as_deref(),
        budget,
    )
    .await?;
    let told = Told::read(fetched.document.value()).map_err(Unreached::Refused)?;
    let confirmed = if told.host == host && is_same_user(&told, user) {
        Some(format!(
            "{}@{host}",
            told.preferred_username.as_deref().unwrap_or(user)
        ))
    } else {
        confirmed(node, &told, budget).await?
    };
    actors::keep(node, &told, fetched.document.text(), confirmed.as_deref()).await
}

/// The name that an actor's own server confirms: it must lead to him, and where it belongs to another domain, that one must
/// lead to him as well. None where it does not.
pub async fn confirmed(
    node: &Node,
    told: &Told,
    budget: &Budget,
) -> Result<Option<String>, Unreached> {
    let Some(user) = &told.preferred_username else {
        return Ok(None);
    };
    let own = match ask(node, user, &told.host, budget).await {
        Ok(own) => own,
        Err(why) if why.is_passing() => return Err(why),
        Err(_) => return Ok(None),
    };
    if own.actor != told.uri {
        return Ok(None);
    }
    let Some((user, host)) = split(&own.subject) else {
        return Ok(None);
    };
    if host == told.host {
        return Ok(is_same_user(told, user).then(|| format!("{user}@{host}")));
    }
    match ask(node, user, host, budget).await {
        Ok(other) if other.actor == told.uri => Ok(Some(format!("{user}@{host}"))),
        Ok(_) => Ok(None),
        Err(why) if why.is_passing() => Err(why),
        Err(_) => Ok(None),
    }
}

fn is_same_user(told: &Told, user: &str) -> bool {
    told.preferred_username
        .as_deref()
        .is_some_and(|own| own.to_lowercase() == user.to_lowercase())
}

/// An answer of WebFinger.
struct Found {
    /// `user@host`, as the server itself says it.
    subject: String,
    actor: String,
}

async fn ask(node: &Node, user: &str, host: &str, budget: &Budget) -> Result<Found, Unreached> {
    let resource: String =
        url::form_urlencoded::byte_serialize(format!("acct:{user}@{host}").as_bytes()).collect();
    let path = format!("{host}/.well-known/webfinger?resource={resource}");
    let mut address = format!("https://{path}");
    // Peers of a test speak plain http, and only then is it read at all.
    if node.config.allow_private_peers {
        address = format!("http://{path}");
    }
    let fetched = fetch::document(node, &address, Wanted::Jrd, None, budget).await?;
    read(fetched.document.value()).ok_or(Unreached::Refused("webfinger"))
}

fn read(answer: &Value) -> Option<Found> {
    let subject = answer.get("subject").and_then(Value::as_str)?;
    let subject = subject.strip_prefix("acct:")?;
    split(subject)?;
    let text = |link: &Value, name: &str| link.get(name).and_then(Value::as_str).map(str::to_owned);
    let links = vocab::many(answer.get("links")?);
    let actor = links
        .iter()
        .take(50)
        .filter(|link| text(link, "rel").as_deref() == Some("self"))
        .filter(|link| text(link, "type").is_some_and(|kind| is_type(&kind)))
        .find_map(|link| text(link, "href"))?;
    trust::origin(&actor)?;
    Some(Found {
        subject: subject.to_owned(),
        actor,
    })
}

fn is_type(kind: &str) -> bool {
    let bare = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    TYPES.iter().any(|known| bare(known) == bare(kind))
}

/// User and host of `@user@host`, `user@host` or `acct:user@host`; the host as lanes and limits know it.
pub fn split(named: &str) -> Option<(&str, &str)> {
    let bare = named.strip_prefix("acct:").unwrap_or(named);
    let bare = bare.strip_prefix('@').unwrap_or(bare);
    let (user, host) = bare.split_once('@')?;
    let is_user = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+');
    let is_host = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':' | '_')
    };
    let fits = (1..=LONGEST).contains(&user.chars().count())
        && user.chars().all(is_user)
        && !host.is_empty()
        && host.len() <= 253
        && host.chars().all(is_host);
    fits.then_some((user, host))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_a_user_and_a_host() {
        for (text, expected) in [
            ("@ann@masto.example", Some(("ann", "masto.example"))),
            ("ann@masto.example", Some(("ann", "masto.example"))),
            (
                "acct:ann@masto.example:8443",
                Some(("ann", "masto.example:8443")),
            ),
            ("ann", None),
            ("@ann@", None),
            ("@@masto.example", None),
            ("ann@evil.example/x?y", None),
            ("ann@evil.example#a", None),
            ("a b@masto.example", None),
            ("ann@masto.example@evil.example", None),
            ("ann&x=1@masto.example", None),
            ("ann\u{202e}@masto.example", None),
            ("ann@мasto.example", None),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn s_49_only_a_link_to_an_activity_is_an_actor() {
        let answer = |links| json!({ "subject": "acct:ann@masto.example", "links": links });
        let own = json!({ "rel": "self", "type": "application/activity+json", "href": "https://masto.example/users/ann" });
        assert!(read(&answer(json!([own]))).is_some());
        for links in [
            json!([{ "rel": "self", "type": "text/html", "href": "https://masto.example/@ann" }]),
            json!([{ "rel": "self", "href": "https://masto.example/users/ann" }]),
            json!([{ "rel": "profile", "type": "application/activity+json", "href": "https://masto.example/users/ann" }]),
            json!([{ "rel": "self", "type": "application/activity+json", "href": "javascript:alert(1)" }]),
            json!([]),
            json!("x"),
        ] {
            assert!(read(&answer(links.clone())).is_none(), "{links}");
        }
        assert!(
            read(&json!({ "subject": "https://masto.example/users/ann", "links": [own] }))
                .is_none()
        );
        assert!(read(&json!({ "links": [own] })).is_none());
    }
}
