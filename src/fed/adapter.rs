//! The one place that knows the federation crate: its traits for the actors that are stored here, so that an id of the crate is
//! looked up in the database first, and its types for keys and tombstones. It never goes out by itself: whatever is not stored
//! is fetched by `remote`, with the hub's own client and checks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use activitypub_federation::config::{Data, FederationConfig, UrlVerifier};
use activitypub_federation::error::Error as CrateError;
use activitypub_federation::fetch::object_id::ObjectId;
use activitypub_federation::protocol::public_key::PublicKey;
use activitypub_federation::protocol::tombstone::Tombstone;
use activitypub_federation::protocol::verification::verify_domains_match;
use activitypub_federation::traits::{Actor, Object};
use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;
use uuid::Uuid;

use super::remote::{self, Unreached};
use super::trust;
use crate::base::{Caller, Error, Result};
use crate::db::{Db, Statement, Tx};
use crate::net::http::{self, Budget};
use crate::node::Node;

/// A future of the crate's traits.
type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An actor as its row has it, wherever it lives.
#[derive(Clone, Debug)]
pub struct Stored {
    pub row: Uuid,
    pub host: String,
    /// Whether it is its server's own actor, and that server a hub.
    pub is_node: bool,
    id: Url,
    inbox: Url,
    shared_inbox: Option<Url>,
    public_key_pem: String,
    document: String,
    deleted_at: Option<DateTime<Utc>>,
    refreshed_at: Option<DateTime<Utc>>,
}

type Sql = (
    SqlUuid,
    Text,
    Bool,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
);
type Found = (
    Uuid,
    String,
    bool,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
);

async fn look(db: &Db, uri: &str) -> Result<Option<Stored>> {
    let mut ask = Statement::<Sql>::new(
        "select a.id, a.host, coalesce(a.kind = 'node', false) or hub.is_node_document(a.type, a.document), a.uri, a.inbox_url, a.shared_inbox_url, \
         (select k.public_key from public.ap_keys k where k.actor_id = a.id and k.algorithm = 'rsa' and k.retired_at is null \
         order by k.created_at desc limit 1), a.document, a.deleted_at, a.last_fetched_at from public.ap_actors a where a.uri = ",
    );
    ask.text(uri);
    let rows: Vec<Found> = Tx::once(db, &Caller::Hub, ask).await?;
    rows.into_iter().next().map(read).transpose()
}

/// The same on a thread of its own: the crate wants a future that may go to any thread, and ours may not.
async fn looked(db: Db, uri: String) -> std::result::Result<Option<Stored>, CrateError> {
    let here = tokio::runtime::Handle::current();
    match tokio::task::spawn_blocking(move || here.block_on(look(&db, &uri))).await {
        Ok(found) => found.map_err(told),
        Err(ended) => Err(CrateError::Other(ended.to_string())),
    }
}

fn read(found: Found) -> Result<Stored> {
    let (row, host, is_node, uri, inbox, shared, pem, document, deleted_at, refreshed_at) = found;
    let id = Url::parse(&uri).map_err(Error::broken)?;
    let url = |text: Option<String>| text.and_then(|text| Url::parse(&text).ok());
    Ok(Stored {
        row,
        host,
        is_node,
        inbox: url(inbox).unwrap_or_else(|| id.clone()),
        shared_inbox: url(shared),
        public_key_pem: pem.unwrap_or_default(),
        document: document.unwrap_or_default(),
        id,
        deleted_at,
        refreshed_at,
    })
}

impl Object for Stored {
    type DataType = Db;
    type Kind = Value;
    type Error = CrateError;

    fn id(&self) -> &Url {
        &self.id
    }

    fn last_refreshed_at(&self) -> Option<DateTime<Utc>> {
        self.refreshed_at
    }

    fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    fn read_from_id<'life0, 'async_trait>(
        object_id: Url,
        data: &'life0 Data<Self::DataType>,
    ) -> Later<'async_trait, std::result::Result<Option<Self>, Self::Error>>
    where
        'life0: 'async_trait,
    {
        Box::pin(looked(data.app_data().clone(), object_id.into()))
    }

    fn into_json<'life0, 'async_trait>(
        self,
        _: &'life0 Data<Self::DataType>,
    ) -> Later<'async_trait, std::result::Result<Self::Kind, Self::Error>>
    where
        'life0: 'async_trait,
    {
        Box::pin(async move {
            serde_json::from_str(&self.document)
                .map_err(|error| CrateError::Other(error.to_string()))
        })
    }

    fn verify<'life0, 'life1, 'life2, 'async_trait>(
        json: &'life0 Self::Kind,
        expected: &'life1 Url,
        _: &'life2 Data<Self::DataType>,
    ) -> Later<'async_trait, std::result::Result<(), Self::Error>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
    {
        Box::pin(async move {
            let id = json.get("id").and_then(Value::as_str).unwrap_or_default();
            let url = Url::parse(id).map_err(|_| CrateError::NotFound)?;
            // The crate compares names; the hub scheme and port as well.
            verify_domains_match(&url, expected)?;
            match trust::same_origin(id, expected.as_str()) {
                true => Ok(()),
                false => Err(CrateError::UrlVerificationError("another origin")),
            }
        })
    }

    fn from_json<'life0, 'async_trait>(
        json: Self::Kind,
        data: &'life0 Data<Self::DataType>,
    ) -> Later<'async_trait, std::result::Result<Self, Self::Error>>
    where
        'life0: 'async_trait,
    {
        Box::pin(async move {
            let id = json.get("id").and_then(Value::as_str).unwrap_or_default();
            // Only `remote` writes what comes from elsewhere; here it is there already or it is not.
            let found = looked(data.app_data().clone(), id.to_owned()).await?;
            found.ok_or(CrateError::NotFound)
        })
    }
}

impl Actor for Stored {
    fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// The vault gives no key to the crate: it signs nothing.
    fn private_key_pem(&self) -> Option<String> {
        None
    }

    fn inbox(&self) -> Url {
        self.inbox.clone()
    }

    fn shared_inbox(&self) -> Option<Url> {
        self.shared_inbox.clone()
    }
}

fn told(error: Error) -> CrateError {
    tracing::warn!(event = "adapter_failed", cause = %error);
    CrateError::Other("the database is not to be had".to_owned())
}

/// Refuses every address: the crate's own client, which knows nothing of the hub's rules, is not to be used.
#[derive(Clone)]
struct Nowhere;

impl UrlVerifier for Nowhere {
    fn verify<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _: &'life1 Url,
    ) -> Later<'async_trait, std::result::Result<(), CrateError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        let refused = CrateError::UrlVerificationError("the hub fetches by itself");
        Box::pin(std::future::ready(Err(refused)))
    }
}

struct Config(OnceCell<FederationConfig<Db>>);

async fn config(node: &Node) -> Result<Data<Db>> {
    let kept: Arc<Config> = node.part(|_| Config(OnceCell::new()));
    let made = kept.0.get_or_try_init(async || {
        let url = node.db.hub().address()?;
        // The crate makes a client of its own first, which nobody uses: without a provider it would end the process.
        http::provide();
        FederationConfig::builder()
            .domain(trust::host_key(url))
            .app_data(node.db.clone())
            .url_verifier(Box::new(Nowhere))
            .http_fetch_limit(0)
            .build()
            .await
            .map_err(Error::broken)
    });
    Ok(made.await?.to_request_data())
}

/// An actor by its id, as it is stored.
pub async fn stored(node: &Node, id: &str) -> Result<Option<Stored>> {
    let data = config(node).await?;
    let Ok(id) = ObjectId::<Stored>::parse(id) else {
        return Ok(None);
    };
    match id.dereference_local(&data).await {
        Ok(stored) => Ok(Some(stored)),
        Err(CrateError::NotFound) => Ok(None),
        Err(error) => Err(Error::broken(anyhow::anyhow!("{error}"))),
    }
}

/// An actor by its id: as it is stored, else as its server shows it to the hub's own client.
pub async fn resolved(
    node: &Node,
    id: &str,
    budget: &Budget,
) -> std::result::Result<Stored, Unreached> {
    if let Some(stored) = stored(node, id).await? {
        return Ok(stored);
    }
    let fetched = remote::actor(node, id, budget).await?;
    stored(node, &fetched.uri).await?.ok_or(Unreached::Missing)
}

/// A key as actors show it.
pub fn public_key(id: &str, owner: &str, pem: &str) -> Result<Value> {
    let key = PublicKey {
        id: id.to_owned(),
        owner: Url::parse(owner).map_err(Error::broken)?,
        public_key_pem: pem.to_owned(),
    };
    serde_json::to_value(key).map_err(Error::broken)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stone<'a> {
    #[serde(rename = "@context")]
    context: &'a str,
    #[serde(flatten)]
    stone: Tombstone,
    #[serde(skip_serializing_if = "Option::is_none")]
    former_type: Option<&'a str>,
    deleted: &'a str,
}

/// What is left of something deleted.
pub fn tombstone(id: &str, former_type: Option<&str>, deleted: &str) -> Result<Value> {
    let stone = Stone {
        context: super::vocab::ACTIVITYSTREAMS,
        stone: Tombstone::new(Url::parse(id).map_err(Error::broken)?),
        former_type,
        deleted,
    };
    serde_json::to_value(stone).map_err(Error::broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_and_tombstones_have_the_form_of_the_wire() {
        let key = public_key("https://a.example/1#main-key", "https://a.example/1", "PEM").unwrap();
        assert_eq!(
            key,
            json!({ "id": "https://a.example/1#main-key", "owner": "https://a.example/1", "publicKeyPem": "PEM" })
        );
        let stone = tombstone("https://a.example/1", Some("Note"), "2026-11-20T12:00:00Z").unwrap();
        assert_eq!(
            stone,
            json!({
                "@context": "https://www.w3.org/ns/activitystreams", "type": "Tombstone", "id": "https://a.example/1",
                "formerType": "Note", "deleted": "2026-11-20T12:00:00Z",
            })
        );
        assert!(tombstone("not an id", None, "").is_err());
    }

    #[tokio::test]
    async fn the_crate_is_let_out_nowhere() {
        for url in [
            "https://example.org/",
            "http://127.0.0.1/",
            "https://[::1]/",
        ] {
            assert!(Nowhere.verify(&Url::parse(url).unwrap()).await.is_err());
        }
    }
}
