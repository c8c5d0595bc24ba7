//! `/export/{name}.jsonld`: what everybody may read of this hub, as the objects that other servers get, a page at a time. The
//! domains say what is in it; what is only its reader's own is under `export/own`, and needs a token. `/export/listings.atom`
//! is the newest of it as a feed.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use uuid::Uuid;

use super::objects;
use super::shelf::Rendered;
use crate::base::{Caller, Error, Result};
use crate::domains::market::listings::feed;
use crate::fed::{actors, vocab};
use crate::node::Node;
use crate::node::incoming::{Part, ShowPart, Wanted};
use crate::web::{reply, who};

const JSON_LD: &str = "application/ld+json";
/// The one export that is a feed as well.
const FED: &str = "listings";
const ATOM: &str = "application/atom+xml; charset=utf-8";

/// One of the exports.
pub async fn read(
    node: web::Data<Node>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    match name.rsplit_once('.') {
        Some((name, "jsonld")) => {
            let told = collection(&node, &request, name).await;
            answer(&request, told, JSON_LD)
        }
        Some((FED, "atom")) => {
            let told = node.db.read(&Caller::Anonymous, feed::newest).await;
            answer(&request, told.map(|feed| (feed, true)), ATOM)
        }
        _ => reply::problem(&missing()),
    }
}

fn missing() -> Error {
    Error::missing("export.not_found", "There is no such export.")
}

/// What is asked for of an export, and whether everybody may have it.
async fn collection(node: &Node, request: &HttpRequest, name: &str) -> Result<(String, bool)> {
    let shown = |path: String| -> Option<ShowPart> { node.shows(&path)?.part };
    let (part, caller) = match shown(format!("export/{name}")) {
        Some(part) => (part, Caller::Anonymous),
        None => {
            let own = shown(format!("export/own/{name}")).ok_or_else(missing)?;
            (own, who::asks(request, node)?.0)
        }
    };
    let is_open = caller == Caller::Anonymous;
    let wanted = objects::wanted(request);
    let as_graph = request
        .query_string()
        .split('&')
        .any(|word| word == "as=graph");
    let told = node
        .db
        .read(&caller, async |tx| {
            let base = actors::base(tx)?;
            let found = part(tx, Uuid::nil(), name, wanted.clone()).await?;
            let found = found.ok_or_else(missing)?;
            Ok(said(&base, name, found, &wanted, as_graph))
        })
        .await?;
    Ok((told.to_string(), is_open))
}

fn answer(request: &HttpRequest, told: Result<(String, bool)>, kind: &'static str) -> HttpResponse {
    match told {
        Ok((told, is_open)) => {
            let mut answer = objects::rendered(request, &Rendered::new(200, told), is_open);
            if answer.status() == 200 {
                let kind = HeaderValue::from_static(kind);
                answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            answer
        }
        Err(error) => {
            let mut answer = reply::problem(&error);
            let never = HeaderValue::from_static("no-store");
            answer.headers_mut().insert(header::CACHE_CONTROL, never);
            answer
        }
    }
}

/// As one collection, or its page; or as a graph for those who only load it.
fn said(base: &str, name: &str, part: Part, wanted: &Wanted, as_graph: bool) -> Value {
    let uri = format!("{base}/export/{name}.jsonld");
    let context = json!(format!("{base}/ns/hub/v1"));
    // The items are read in the context of the whole, but for those that need more words, and what was signed stays whole.
    let items: Vec<Value> = part
        .items
        .into_iter()
        .map(|mut item| {
            if let Some(item) = item.as_object_mut()
                && !item.contains_key("proof")
                && item.get("@context") == Some(vocab::context())
            {
                item.shift_remove("@context");
            }
            item
        })
        .collect();
    let more = if as_graph { "&as=graph" } else { "" };
    let at = |cursor: &str| format!("{uri}?page=true&after={cursor}{more}");
    match wanted {
        Wanted::Count => {
            let mut whole = json!({
                "@context": context, "type": "OrderedCollection", "id": uri, "totalItems": part.total,
                "first": format!("{uri}?page=true{more}"),
            });
            if let (FED, Some(whole)) = (name, whole.as_object_mut()) {
                let feed = json!({
                    "type": "Link", "mediaType": "application/atom+xml", "rel": "alternate", "href": format!("{base}/export/{name}.atom"),
                });
                whole.insert("url".to_owned(), feed);
            }
            whole
        }
        Wanted::Page(_) if as_graph => json!({ "@context": context, "@graph": items }),
        Wanted::Page(after) => {
            let id = after
                .as_deref()
                .map_or_else(|| format!("{uri}?page=true"), at);
            let mut page = json!({
                "@context": context, "type": "OrderedCollectionPage", "id": id, "partOf": uri, "totalItems": part.total,
                "orderedItems": items,
            });
            if let (Some(next), Some(page)) = (part.next, page.as_object_mut()) {
                page.insert("next".to_owned(), json!(at(&next)));
            }
            page
        }
    }
}
