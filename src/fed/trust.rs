//! Who may say what: origins, owners, and which embedded copies are believed (FEP-fe34).
//! Compared are whole ids and whole origins, never hosts or beginnings of text; the database's part is the caller's.

#[cfg(test)]
mod tests;

use serde_json::Value;
use url::{Host, Url};

use super::vocab;

/// Scheme, host and port: what one server answers for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of a URL that was read.
    pub fn of(url: &Url) -> Option<Self> {
        if !["https", "http"].contains(&url.scheme()) {
            return None;
        }
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: bare_host(url)?,
            port: url.port_or_known_default()?,
        })
    }

    /// Host and port as `host_key` writes them.
    pub fn host_key(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("https", 443) | ("http", 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

/// The origin of an id. None for what is not plainly a web address: other schemes, user names, and characters
/// that readers of URLs take differently (S-76).
pub fn origin(id: &str) -> Option<Origin> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if id.chars().any(odd) {
        return None;
    }
    let (scheme, rest) = id.split_once("://")?;
    if !["https", "http"].contains(&scheme) || rest.starts_with('/') {
        return None;
    }
    Origin::of(&Url::parse(id).ok()?)
}

/// Whether one server answers for both; never for what has no origin.
pub fn same_origin(one: &str, other: &str) -> bool {
    match (origin(one), origin(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// The name that lanes, limits and blocks go by: host in lower case and punycode, no dot at the end, the port only
/// where it is not the scheme's own.
pub fn host_key(url: &Url) -> String {
    let host = bare_host(url).unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

fn bare_host(url: &Url) -> Option<String> {
    let host = match url.host()? {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
        address => address.to_string(),
    };
    (!host.is_empty() && !host.ends_with('.')).then_some(host)
}

/// Who owns an object. An activity is its actor's; an actor is its own (R21); a key is its controller's; everything
/// else belongs to whom it is attributed to, and to its actor if it is attributed to nobody. Of several the first.
pub fn owner(object: &Value) -> Option<&str> {
    let named = |key: &str| {
        let first = vocab::many(object.get(key)?).first()?;
        vocab::id(first)
    };
    if vocab::is_activity(object) {
        return named("actor");
    }
    match vocab::kind(object) {
        Some(kind) if vocab::is_actor(kind) => named("id"),
        Some("Multikey" | "Key" | "CryptographicKey") => named("controller").or(named("owner")),
        _ => named("attributedTo").or(named("actor")),
    }
}

/// Whether an object is this actor's: he owns it, and his server answers for its id.
pub fn owns(actor: &str, object: &Value) -> bool {
    owner(object) == Some(actor) && vocab::id(object).is_some_and(|id| same_origin(id, actor))
}

/// Whether an activity's id is its one actor's server's to give (R10), whatever its type.
pub fn own_id(activity: &Value) -> bool {
    let text = |key: &str| activity.get(key).map(vocab::many);
    match (text("id"), text("actor")) {
        (Some([Value::String(id)]), Some([actor])) => {
            vocab::id(actor).is_some_and(|actor| same_origin(id, actor))
        }
        _ => false,
    }
}

/// How far an embedded copy of an object is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedded {
    /// The actor's own, from his server: believe it.
    Trusted,
    /// Another server answers for it: its own proof or a fetch decides.
    Foreign,
    /// The same server, but another owner or none (S-25): its own proof or a fetch decides.
    OtherOwner,
    /// It has no id, so that it is a part of what it is in.
    Anonymous,
}

/// Whether a copy that `actor` sends inside his own activity is to be believed.
pub fn embedded(object: &Value, actor: &str) -> Embedded {
    let Some(inside) = object.as_object() else {
        return Embedded::Foreign;
    };
    let id = match inside.get("id").or_else(|| inside.get("@id")) {
        None | Some(Value::Null) => return Embedded::Anonymous,
        Some(Value::String(id)) => id,
        Some(_) => return Embedded::Foreign,
    };
    // A fragment of the actor's own document, such as a key.
    let part = id.split_once('#').is_some_and(|(whole, _)| whole == actor);
    if !same_origin(id, actor) {
        Embedded::Foreign
    } else if owner(object) == Some(actor) || (part && owner(object).is_none()) {
        Embedded::Trusted
    } else {
        Embedded::OtherOwner
    }
}

/// Whether `actor` may take back this activity: only who did it (S-35).
pub fn may_undo(actor: &str, inner: &Value) -> bool {
    vocab::is_activity(inner) && owner(inner) == Some(actor)
}

/// Whether `actor` may accept or reject this activity: only whom it asks, and nobody his own question.
pub fn may_answer(actor: &str, inner: &Value) -> bool {
    let named = |key: &str| {
        inner
            .get(key)
            .is_some_and(|value| vocab::ids(value).contains(&actor))
    };
    let asked = match vocab::kind(inner) {
        Some("Follow" | "Join") => named("object"),
        Some("Invite") => named("target") || named("object"),
        Some("Offer" | "Create" | "QuoteRequest") => named("to") || named("target"),
        _ => false,
    };
    asked && owner(inner) != Some(actor)
}
