//! Documents that everybody may read, ready to be sent: those of the hub's actors. A change in any process empties the
//! shelf; it is filled again as it is asked for.

use std::time::Duration;

use actix_web::web::Bytes;
use moka::sync::Cache;

use crate::base::text;
use crate::db::pool;

/// How many documents are kept.
const MOST: u64 = 10_000;

/// A document as it is sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub status: u16,
    pub body: Bytes,
    pub etag: String,
}

impl Rendered {
    /// A document with the tag of what it says.
    pub fn new(status: u16, body: String) -> Self {
        Self {
            status,
            etag: format!("\"{}\"", text::tag(&body)),
            body: Bytes::from(body),
        }
    }
}

/// The documents of this process.
pub struct Shelf {
    documents: Cache<String, Rendered>,
}

impl Shelf {
    /// An empty one. What nobody told us of is read anew after a minute.
    pub fn new() -> Self {
        Self {
            documents: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(Duration::from_secs(60))
                .build(),
        }
    }

    /// What is kept under a path.
    pub fn get(&self, path: &str) -> Option<Rendered> {
        self.documents.get(path)
    }

    /// Keep it.
    pub fn put(&self, path: &str, document: Rendered) {
        self.documents.insert(path.to_owned(), document);
    }

    /// Empty the shelf whenever an actor of the hub is not as it was, in this process or another.
    pub async fn follow(&self, url: &str) {
        pool::on_news(url, "hub_actors", async || self.documents.invalidate_all()).await;
    }
}

impl Default for Shelf {
    fn default() -> Self {
        Self::new()
    }
}
