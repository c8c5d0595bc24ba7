//! Posts: what people of this hub say to others, and what others say to them. Own posts go out when their rows change,
//! others' come in as rows; both are shown to whoever may read them.

pub mod audience;
pub mod hear;
pub mod publish;
pub mod quotes;
pub mod read;
pub mod show;
pub mod text;
pub mod wire;

use chrono::{DateTime, Utc};
use diesel::sql_types::Nullable;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::base::Result;
use crate::db::{Bind, Statement, Tx};

/// A row of `posts`.
#[derive(Clone, Debug, Deserialize)]
pub struct Post {
    pub id: Uuid,
    pub owner_id: Option<Uuid>,
    pub origin_actor_id: Option<Uuid>,
    pub author_actor_id: Option<Uuid>,
    #[serde(rename = "type")]
    pub of_type: String,
    pub title: Option<String>,
    pub content: String,
    pub summary: Option<String>,
    pub language: Option<String>,
    pub sensitive: bool,
    pub attachments: Vec<Value>,
    pub tags: Vec<String>,
    pub visibility: String,
    pub recipients: Vec<String>,
    pub in_reply_to: Option<String>,
    pub in_reply_to_id: Option<Uuid>,
    pub context: Option<String>,
    pub url: Option<String>,
    pub version: i64,
    pub published_at: DateTime<Utc>,
    pub edited_at: Option<DateTime<Utc>>,
    pub sent_at: Option<DateTime<Utc>>,
    pub federated_ap_id: Option<String>,
}

impl Post {
    /// Whether everybody may read it.
    pub fn is_public(&self) -> bool {
        matches!(self.visibility.as_str(), "public" | "unlisted")
    }

    /// When it was as it is now: the version of a changed post is the time of the change, and each is later than the last.
    pub fn as_of(&self) -> DateTime<Utc> {
        crate::fed::actors::as_of(self.version, self.published_at)
    }
}

const ROW: &str = "select to_jsonb(p) - 'raw' - 'content_html' from public.posts p where ";

/// A post by its row, whoever asks.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Post>> {
    let mut select = Statement::new(ROW);
    select.sql("p.id = ").bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// A post that the caller may read, by its address or its id.
pub async fn seen(tx: &mut Tx, named: &str) -> Result<Option<Post>> {
    // Row security speaks: what he cannot read is not there. Not all columns are his to read.
    let mut ask = Statement::<Nullable<diesel::sql_types::Uuid>>::new(
        "select p.id from public.posts p where ",
    );
    match named.parse::<Uuid>() {
        Ok(id) => ask.sql("p.id = ").bind(Bind::Uuid(id)),
        Err(_) => ask.sql("p.federated_ap_id = ").text(named),
    };
    let ids: Vec<Option<Uuid>> = tx.load(ask).await?;
    match ids.into_iter().flatten().next() {
        Some(id) => by_id(tx, id).await,
        None => Ok(None),
    }
}
