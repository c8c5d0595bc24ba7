//! Actors of other servers: read from their documents, cleaned (S-50), and kept with their keys.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Nullable, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fetch::{self, Wanted};
use super::{Unreached, objects};
use crate::base::{Caller, Result, text};
use crate::db::{Statement, Tx};
use crate::fed::crypto::{Algorithm, PublicKey};
use crate::fed::{trust, vocab};
use crate::net::http::Budget;
use crate::node::Node;

/// The longest name that is shown, and the longest text about somebody, in characters.
const LONGEST_NAME: usize = 200;
const LONGEST_SUMMARY: usize = 20_000;

/// Of keys, lines of a profile and other names, so many count.
const MOST_KEYS: usize = 8;
const MOST_LINES: usize = 16;
const MOST_ALIASES: usize = 20;

/// The longest document that is kept as it came.
const LONGEST_KEPT: usize = 64 * 1024;

/// An actor as this hub knows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub id: Uuid,
    pub uri: String,
    pub host: String,
    /// Stands for somebody here.
    pub is_local: bool,
    pub is_suspended: bool,
    pub is_deleted: bool,
    /// Only his followers are to hear of him.
    pub is_silenced: bool,
}

/// A key that an actor shows.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyTold {
    pub uri: String,
    pub key: PublicKey,
}

/// An actor as his document tells, cleaned.
#[derive(Clone, Debug)]
pub struct Told {
    pub uri: String,
    pub kind: String,
    pub preferred_username: Option<String>,
    pub host: String,
    pub keys: Vec<KeyTold>,
    row: Value,
}

impl Told {
    /// Read an actor's document; a word says why it is none. Whether it comes from where its id says is not looked at here.
    pub fn read(document: &Value) -> Result<Self, &'static str> {
        let kind = vocab::kind(document)
            .filter(|kind| vocab::is_actor(kind))
            .ok_or("not_an_actor")?;
        let uri = document
            .get("id")
            .and_then(Value::as_str)
            .ok_or("actor_without_id")?;
        let origin = trust::origin(uri).ok_or("actor_without_id")?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let address = |name: &str| text(name).filter(|url| trust::origin(url).is_some());
        // What decides who may read something is only believed on the actor's own server.
        let own = |name: &str| address(name).filter(|url| trust::same_origin(url, uri));
        let inbox = address("inbox").ok_or("actor_without_inbox")?;
        let shared_inbox = document
            .pointer("/endpoints/sharedInbox")
            .and_then(Value::as_str)
            .filter(|url| trust::same_origin(url, inbox));
        let preferred_username = text("preferredUsername").and_then(username);
        let keys = keys(document, uri);
        let pem = document.pointer("/publicKey/publicKeyPem");

        let row = json!({
            "uri": uri,
            "type": kind,
            "preferred_username": preferred_username,
            "host": origin.host_key(),
            "name": text("name").map(|name| text::short_name(name, LONGEST_NAME)),
            "summary": text("summary").map(|summary| clean_html(summary, LONGEST_SUMMARY)),
            "icon_url": picture(document.get("icon")),
            "url": page(document.get("url")),
            "inbox_url": inbox,
            "shared_inbox_url": shared_inbox,
            "outbox_url": own("outbox"),
            "followers_url": own("followers"),
            "following_url": own("following"),
            "featured_url": own("featured"),
            "properties": lines(document.get("attachment")),
            "manually_approves_followers": document.get("manuallyApprovesFollowers").and_then(Value::as_bool),
            "discoverable": document.get("discoverable").and_then(Value::as_bool),
            "indexable": document.get("indexable").and_then(Value::as_bool),
            "also_known_as": aliases(document.get("alsoKnownAs")),
            "moved_to": address("movedTo"),
            "published_at": time(text("published")),
            "version": version(document),
            "public_key_id": document.pointer("/publicKey/id").and_then(Value::as_str),
            "public_key_pem": pem.and_then(Value::as_str).filter(|pem| pem.len() < 8192),
            "is_hub": is_hub(document),
        });
        Ok(Self {
            uri: uri.to_owned(),
            kind: kind.to_owned(),
            preferred_username,
            host: origin.host_key(),
            keys,
            row,
        })
    }

    /// Keep him, within a transaction of the hub's. None if he is local, has deleted himself or is known better.
    pub async fn keep(
        &self,
        tx: &mut Tx,
        document: &str,
        handle: Option<&str>,
        is_fetched: bool,
    ) -> Result<Option<Uuid>> {
        let mut row = self.row.clone();
        if let Some(row) = row.as_object_mut() {
            let short = (document.len() <= LONGEST_KEPT).then_some(document);
            row.insert("document".to_owned(), short.into());
            row.insert("handle".to_owned(), handle.into());
            row.insert("is_fetched".to_owned(), is_fetched.into());
        }
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|told| match told.key.algorithm() {
                Algorithm::Rsa => {
                    json!({ "uri": told.uri, "algorithm": "rsa", "key": told.key.to_pem() })
                }
                Algorithm::Ed25519 => {
                    json!({ "uri": told.uri, "algorithm": "ed25519", "key": told.key.to_multibase() })
                }
            })
            .collect();
        let mut learn = Statement::<Nullable<SqlUuid>>::new("select hub.learn_actor(");
        learn
            .text(row.to_string())
            .sql("::jsonb, ")
            .text(Value::Array(keys).to_string())
            .sql("::jsonb)");
        let ids: Vec<Option<Uuid>> = tx.load(learn).await?;
        Ok(ids.into_iter().flatten().next())
    }
}

/// An actor: known, or fetched and kept.
pub async fn actor(node: &Node, uri: &str, budget: &Budget) -> Result<Actor, Unreached> {
    match known(node, uri).await? {
        Some(actor) => Ok(actor),
        None => anew(node, uri, None, budget).await,
    }
}

/// An actor, fetched whether he is known or not; with a handle if one was confirmed.
pub async fn anew(
    node: &Node,
    uri: &str,
    handle: Option<&str>,
    budget: &Budget,
) -> Result<Actor, Unreached> {
    let signer = fetch::signer(node, None).await;
    let fetched = match objects::fetch(node, uri, Wanted::Activity, signer.as_deref(), budget).await
    {
        Err(Unreached::Gone) => {
            is_gone(node, uri).await?;
            return Err(Unreached::Gone);
        }
        fetched => fetched?,
    };
    let told = Told::read(fetched.document.value()).map_err(Unreached::Refused)?;
    keep(node, &told, fetched.document.text(), handle).await
}

/// Keep an actor that was fetched just now.
pub async fn keep(
    node: &Node,
    told: &Told,
    document: &str,
    handle: Option<&str>,
) -> Result<Actor, Unreached> {
    let kept = node
        .db
        .write(&Caller::Hub, async |tx| {
            told.keep(tx, document, handle, true).await
        })
        .await?;
    match known(node, &told.uri).await? {
        Some(actor) if kept.is_some() || actor.is_deleted => Ok(actor),
        Some(_) => Err(Unreached::Refused("local")),
        None => Err(Unreached::Busy),
    }
}

/// What is known of an actor.
pub async fn known(node: &Node, uri: &str) -> Result<Option<Actor>> {
    type Row = (SqlUuid, Text, Text, Bool, Bool, Bool, Bool);
    let mut ask = Statement::<Row>::new(
        "select id, uri, host, kind is not null, suspended_at is not null, deleted_at is not null, \
         silenced_at is not null from public.ap_actors where uri = ",
    );
    ask.text(uri);
    type Found = (Uuid, String, String, bool, bool, bool, bool);
    let found: Vec<Found> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    Ok(found.into_iter().next().map(
        |(id, uri, host, is_local, is_suspended, is_deleted, is_silenced)| Actor {
            id,
            uri,
            host,
            is_local,
            is_suspended,
            is_deleted,
            is_silenced,
        },
    ))
}

/// His server says that he is gone for good.
async fn is_gone(node: &Node, uri: &str) -> Result<()> {
    let mut gone = Statement::<SqlUuid>::new(
        "update public.ap_actors set deleted_at = now() where kind is null and deleted_at is null and uri = ",
    );
    gone.text(uri).sql(" returning id");
    let _: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, gone).await?;
    Ok(())
}

/// The keys that a document shows and its actor says are his. One that cannot be read is as good as none (S-14).
fn keys(document: &Value, uri: &str) -> Vec<KeyTold> {
    let mut keys = Vec::new();
    let named = |key: &Value, owner: &str| {
        let owner = key.get(owner).and_then(vocab::id)?;
        let id = key.get("id").and_then(Value::as_str)?;
        (owner == uri && trust::same_origin(id, uri)).then(|| id.to_owned())
    };
    for key in vocab::many(document.get("publicKey").unwrap_or(&Value::Null)) {
        let pem = key.get("publicKeyPem").and_then(Value::as_str);
        if let (Some(id), Some(Ok(parsed))) = (named(key, "owner"), pem.map(PublicKey::from_pem)) {
            keys.push(KeyTold {
                uri: id,
                key: parsed,
            });
        }
    }
    for key in vocab::many(document.get("assertionMethod").unwrap_or(&Value::Null)) {
        let text = key.get("publicKeyMultibase").and_then(Value::as_str);
        let is_multikey = vocab::kind(key) == Some("Multikey");
        if let (true, Some(id), Some(Ok(parsed))) = (
            is_multikey,
            named(key, "controller"),
            text.map(PublicKey::from_multibase),
        ) {
            keys.push(KeyTold {
                uri: id,
                key: parsed,
            });
        }
    }
    keys.truncate(MOST_KEYS);
    keys
}

/// HTML of others with nothing in it that acts or is loaded from elsewhere (S-98), and no more of it than is kept.
fn clean_html(html: &str, longest: usize) -> String {
    let cut: String = html.chars().take(longest).collect();
    text::clean(&cut)
}

fn username(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~');
    ((1..=100).contains(&name.chars().count()) && name.chars().all(is_plain))
        .then(|| name.to_owned())
}

/// The first address of something that is one or many, as text or link.
fn page(value: Option<&Value>) -> Option<String> {
    vocab::many(value?)
        .iter()
        .filter_map(vocab::id)
        .find(|url| trust::origin(url).is_some() && url.len() < 2048)
        .map(str::to_owned)
}

fn picture(icon: Option<&Value>) -> Option<String> {
    let icon = vocab::many(icon?).first()?;
    match icon.get("url") {
        Some(url) => page(Some(url)),
        None => page(Some(icon)),
    }
}

fn lines(attachment: Option<&Value>) -> Value {
    let lines = vocab::many(attachment.unwrap_or(&Value::Null));
    let line = |line: &Value| {
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        (vocab::kind(line) == Some("PropertyValue")).then_some(())?;
        Some(
            json!({ "name": text::short_name(text("name")?, 100), "value": clean_html(text("value")?, 2000) }),
        )
    };
    lines.iter().filter_map(line).take(MOST_LINES).collect()
}

fn aliases(value: Option<&Value>) -> Vec<String> {
    vocab::ids(value.unwrap_or(&Value::Null))
        .into_iter()
        .filter(|id| trust::origin(id).is_some())
        .take(MOST_ALIASES)
        .map(str::to_owned)
        .collect()
}

/// Between hubs `mo:version`, elsewhere when it was last changed (R15).
fn version(document: &Value) -> Option<i64> {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let told = document.get("mo:version").and_then(Value::as_i64);
    let changed = time(text("updated")).map(|at| at.timestamp_millis());
    told.or(changed).filter(|version| *version > 0)
}

fn time(text: Option<&str>) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text?)
        .ok()?
        .with_timezone(&Utc);
    // What PostgreSQL and people take for a date.
    (at.timestamp() > 0 && at.timestamp() < 32_503_680_000).then_some(at)
}

/// Whether it says that it speaks the hub's vocabulary (rule 10 and R19 of the contract).
fn is_hub(document: &Value) -> bool {
    [
        document.get("implements"),
        document.pointer("/generator/implements"),
    ]
    .into_iter()
    .flatten()
    .flat_map(vocab::ids)
    .any(|id| id == vocab::HUB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_50_names_are_what_they_look_like() {
        assert_eq!(
            clean_html("<p onclick=x>a<script>b</script></p>", 200),
            "<p>a</p>"
        );
        assert_eq!(username("al ice"), None);
        assert_eq!(username("alice@evil.example"), None);
        assert_eq!(username("ali\u{202e}ce"), None);
        assert_eq!(username("alice_1.x-y"), Some("alice_1.x-y".to_owned()));
    }

    #[test]
    fn s_84_hostile_html_costs_little() {
        let began = std::time::Instant::now();
        clean_html(&"<!--".repeat(100_000), usize::MAX);
        clean_html(&"<b".repeat(100_000), usize::MAX);
        text::short_name(&"@a".repeat(500_000), 200);
        assert!(
            began.elapsed() < std::time::Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn s_98_nothing_in_a_profile_is_loaded_from_elsewhere() {
        let bad = "<p>Hi <img src=\"https://spy.example/1.png\"><b style=\"background:url(//spy.example)\">you</b></p>\
                   <video src=\"https://spy.example/2\"></video><a href=\"https://ok.example\">x</a>";
        let told = Told::read(&json!({
            "id": "https://spy.example/users/a", "type": "Person", "inbox": "https://spy.example/users/a/inbox",
            "name": "A\u{202e}nn \u{1f469}\u{200d}\u{1f4bb}", "summary": bad,
            "attachment": [{ "type": "PropertyValue", "name": "Home", "value": bad }],
        }))
        .unwrap();
        assert_eq!(told.row["name"], "Ann \u{1f469}\u{200d}\u{1f4bb}");
        for html in [&told.row["summary"], &told.row["properties"][0]["value"]] {
            let html = html.as_str().unwrap();
            assert!(
                html.contains("Hi ") && html.contains("https://ok.example"),
                "{html}"
            );
            for sign in ["spy.example", "<img", "<video", "style"] {
                assert!(!html.contains(sign), "{html}");
            }
        }
    }
}
