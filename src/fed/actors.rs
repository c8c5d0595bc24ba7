//! The hub's own actors as others see them: their rows, their documents and the node's own. What stands behind an actor
//! and when it is shown is the domains' to say.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Jsonb, Nullable, Text};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::crypto::Algorithm;
use super::vocab::{self, HUB, RFC9421};
use super::{adapter, keys};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// A local actor.
#[derive(Clone, Debug, Deserialize)]
pub struct Local {
    pub id: Uuid,
    pub uri: String,
    /// user, tenant, agent, dao, channel or node.
    pub kind: String,
    pub row_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    #[serde(rename = "type")]
    pub of_type: String,
    #[serde(rename = "preferred_username")]
    pub handle: String,
    pub host: String,
    pub name: Option<String>,
    pub summary: Option<String>,
    pub icon_url: Option<String>,
    pub url: Option<String>,
    pub properties: Vec<Property>,
    #[serde(rename = "manually_approves_followers")]
    pub is_locked: bool,
    pub hides_followers: bool,
    pub discoverable: bool,
    pub indexable: bool,
    pub also_known_as: Vec<String>,
    pub moved_to: Option<String>,
    pub published_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
    pub suspended_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// Who runs an agent, as an actor.
    pub operator: Option<String>,
    /// Whether what stands behind it is shown at the moment.
    pub is_shown: bool,
}

/// A line of a profile.
#[derive(Clone, Debug, Deserialize)]
pub struct Property {
    pub name: String,
    pub value: String,
}

const ROW: &str = "select to_jsonb(a) - 'document' || jsonb_build_object('operator', \
     (select o.uri from public.agents g join public.ap_actors o on o.kind = 'user' and o.row_id = g.user_id \
      where a.kind = 'agent' and g.id = a.row_id), 'is_shown', a.kind = 'node' or coalesce((select s.is_there and \
      (s.is_public or a.kind in ('tenant', 'agent')) from hub.actor_subject(a.kind, a.row_id) s), false)) \
     from public.ap_actors a where a.kind is not null and ";

impl Local {
    /// Its followers' collection.
    pub fn followers(&self) -> String {
        format!("{}/followers", self.uri)
    }

    /// Its name with the hub's, as people write it after the `@`.
    pub fn address(&self, domain: &str) -> String {
        format!("{}@{domain}", self.handle)
    }

    /// Whether nobody may see it any more.
    pub fn is_gone(&self) -> bool {
        self.deleted_at.is_some()
    }
}

/// The hub's address, which all ids begin with.
pub fn base(tx: &Tx) -> Result<String> {
    tx.hub().base()
}

/// Host and port of an address, as `acct:` names and lanes have it.
pub fn authority(url: &Url) -> String {
    super::trust::host_key(url)
}

/// The domain of the hub's handles.
pub fn domain(tx: &Tx) -> Result<String> {
    if let Some(domain) = tx.hub().handle_domain() {
        return Ok(domain.to_owned());
    }
    Ok(authority(tx.hub().address()?))
}

/// A local actor by its id.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Local>> {
    let mut select = Statement::new(ROW);
    select.sql("a.id = ").bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// A local actor by its name, whatever its letters' size.
pub async fn by_handle(tx: &mut Tx, handle: &str) -> Result<Option<Local>> {
    let mut select = Statement::new(ROW);
    select
        .sql("lower(a.preferred_username) = lower(")
        .text(handle)
        .sql(") order by a.deleted_at is not null limit 1");
    tx.hub_one(select).await
}

/// A local actor by its address.
pub async fn by_uri(tx: &mut Tx, uri: &str) -> Result<Option<Local>> {
    let mut select = Statement::new(ROW);
    select.sql("a.uri = ").text(uri);
    tx.hub_one(select).await
}

/// The actor that stands for a row.
pub async fn of_row(tx: &mut Tx, kind: &str, row: Uuid) -> Result<Option<Local>> {
    let mut select = Statement::new(ROW);
    select
        .sql("a.kind = ")
        .text(kind)
        .sql(" and a.row_id = ")
        .bind(Bind::Uuid(row));
    tx.hub_one(select).await
}

/// The actor of the node itself, made when it is first asked for.
pub async fn node(tx: &mut Tx) -> Result<Local> {
    let mut select = Statement::new(ROW);
    select.sql("a.kind = 'node'");
    if let Some(node) = tx.hub_one(select.clone()).await? {
        return Ok(node);
    }
    let base = base(tx)?;
    let host = base.split("://").nth(1).unwrap_or_default().to_lowercase();
    let mut insert = Statement::new(
        "insert into public.ap_actors (uri, type, preferred_username, host, name, url, inbox_url, shared_inbox_url, outbox_url, \
         kind, published_at) select b || '/ap/actor', 'Application', h, h, h, b || '/', b || '/ap/actor/inbox', b || '/ap/inbox', \
         b || '/ap/actor/outbox', 'node', now() from (values (",
    );
    insert
        .text(&base)
        .sql("::text, ")
        .text(&host)
        .sql("::text)) v (b, h) on conflict do nothing");
    tx.as_hub(async |tx| tx.run(insert.clone()).await).await?;
    tx.hub_one(select)
        .await?
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the node has no actor")))
}

/// What an actor's address answers with.
pub async fn document(tx: &mut Tx, actor: &Local) -> Result<Value> {
    let keys = keys::shown(tx, actor.id).await?;
    let domain = domain(tx)?;
    let base = base(tx)?;
    let mut document = write(actor, &keys, &domain, &base)?;
    // Rows to the right say what they have beside.
    if let (Some(told), Some(row)) = (document.as_object_mut(), actor.row_id) {
        let mut more = Statement::<Nullable<Jsonb>>::new("select hub.actor_words(");
        more.text(&actor.kind)
            .sql(", ")
            .bind(Bind::Uuid(row))
            .sql(", ")
            .text(&actor.uri)
            .sql(")");
        let more: Option<Map<String, Value>> = tx.hub_one(more).await?;
        told.extend(more.unwrap_or_default());
    }
    Ok(document)
}

fn write(actor: &Local, keys: &[keys::Shown], domain: &str, base: &str) -> Result<Value> {
    let uri = &actor.uri;
    let own = |part: &str| Value::String(format!("{uri}/{part}"));
    let mut told = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    };
    say("@context", vocab::actor_context().clone());
    say("type", json!(actor.of_type));
    say("id", json!(uri));
    say("preferredUsername", json!(actor.handle));
    say("webfinger", json!(actor.address(domain)));
    say(
        "name",
        json!(actor.name.as_deref().unwrap_or(&actor.handle)),
    );
    say(
        "summary",
        json!(
            actor
                .summary
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(crate::base::text::html)
        ),
    );
    say("url", json!(actor.url));
    say("inbox", own("inbox"));
    say("outbox", own("outbox"));
    say("followers", own("followers"));
    say("following", own("following"));
    if actor.kind != "node" {
        say("featured", own("featured"));
    }
    if actor.of_type == "Group" {
        say("attributedTo", own("moderators"));
    }
    say(
        "endpoints",
        json!({ "sharedInbox": format!("{base}/ap/inbox") }),
    );
    say("manuallyApprovesFollowers", json!(actor.is_locked));
    say("discoverable", json!(actor.discoverable));
    say("indexable", json!(actor.indexable));
    say("published", json!(actor.published_at.map(time)));
    say("updated", json!(time(actor.updated_at)));
    if !actor.also_known_as.is_empty() {
        say("alsoKnownAs", json!(actor.also_known_as));
    }
    say("movedTo", json!(actor.moved_to));
    if let Some(icon) = actor
        .icon_url
        .as_deref()
        .filter(|url| url.starts_with("http"))
    {
        say(
            "icon",
            json!({ "type": "Image", "mediaType": media_type(icon), "url": icon }),
        );
    }
    if !actor.properties.is_empty() {
        let lines: Vec<Value> = actor
            .properties
            .iter()
            .map(|line| {
                json!({
                    "type": "PropertyValue",
                    "name": line.name,
                    "value": crate::base::text::inline(&line.value),
                })
            })
            .collect();
        say("attachment", Value::Array(lines));
    }
    if let Some(rsa) = keys
        .iter()
        .find(|key| key.algorithm == Algorithm::Rsa && !key.is_retired)
    {
        say(
            "publicKey",
            adapter::public_key(&rsa.key_uri, uri, &rsa.public_key)?,
        );
    }
    let methods: Vec<Value> = keys
        .iter()
        .filter(|key| key.algorithm == Algorithm::Ed25519)
        .map(|key| {
            json!({ "id": key.key_uri, "type": "Multikey", "controller": uri, "publicKeyMultibase": key.public_key })
        })
        .collect();
    say("assertionMethod", Value::Array(methods));
    let implements = json!([
        { "type": "Link", "href": HUB, "name": "Hub contract v1" },
        { "type": "Link", "href": RFC9421, "name": "RFC-9421" },
    ]);
    if actor.kind == "node" {
        say("implements", implements);
        say("mo:kind", json!("mo:Node"));
        say("mo:changes", json!(format!("{base}/ap/changes")));
    } else {
        say(
            "generator",
            json!({ "type": "Application", "implements": implements }),
        );
        say(
            "mo:kind",
            json!(match actor.kind.as_str() {
                "tenant" => "mo:Organization",
                "agent" => "mo:Agent",
                "dao" => "mo:DAO",
                "channel" => "mo:Channel",
                _ => "mo:Person",
            }),
        );
        if actor.kind == "agent" {
            say("mo:operator", json!(actor.operator));
        }
        if actor.kind != "channel" {
            say("mo:listings", own("listings"));
            say("mo:declarations", own("declarations"));
        }
    }
    say("mo:version", json!(actor.version));
    Ok(Value::Object(told))
}

/// What a deleted actor's or object's address answers with.
pub fn tombstone(uri: &str, former_type: Option<&str>, deleted: DateTime<Utc>) -> Result<Value> {
    adapter::tombstone(uri, former_type, &time(deleted))
}

/// A time as the wire has it.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        .replace(".000Z", "Z")
}

/// When a row was as it is now: the version of a changed one is the time of the change, and each is later than the last.
pub fn as_of(version: i64, published_at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(version)
        .filter(|at| *at > published_at)
        .unwrap_or(published_at)
}

fn media_type(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    match path
        .rsplit('.')
        .next()
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("avif") => "image/avif",
        Some("svg") => "image/svg+xml",
        _ => "image/png",
    }
}

/// Whether a person may speak for an actor of this hub.
pub async fn spoken_for(tx: &mut Tx, person: Uuid, actor: Uuid) -> Result<bool> {
    let mut ask = Statement::<Bool>::new("select hub.speaks_for(");
    ask.bind(Bind::Uuid(person))
        .sql(", ")
        .bind(Bind::Uuid(actor))
        .sql(")");
    let told: Vec<bool> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(told == [true])
}

/// Who runs a group, as actors.
pub async fn officers(tx: &mut Tx, group: &Local) -> Result<Vec<String>> {
    let Some(row) = group.row_id else {
        return Ok(Vec::new());
    };
    let mut select = Statement::<Text>::new("select a.uri from hub.who_runs(");
    select
        .text(&group.kind)
        .sql(", ")
        .bind(Bind::Uuid(row))
        .sql(
            ") r join public.ap_actors a on a.id = r.actor or (a.kind = 'user' and a.row_id = r.account) \
             where a.deleted_at is null group by a.id, a.uri order by a.id limit 100",
        );
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}
