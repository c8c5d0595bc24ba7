//! `/export/{name}.jsonld`: what everybody may read of this hub, as the objects that other servers get, a page at a time. The
//! domains say what is in it.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use uuid::Uuid;

use super::objects;
use super::shelf::Rendered;
use crate::base::{Caller, Error};
use crate::fed::{actors, vocab};
use crate::node::Node;
use crate::node::incoming::{Part, Wanted};
use crate::web::reply;

const JSON_LD: &str = "application/ld+json";

/// One of the exports.
pub async fn read(
    node: web::Data<Node>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let missing = || Error::missing("export.not_found", "There is no such export.");
    let part = name
        .strip_suffix(".jsonld")
        .and_then(|name| node.shows(&format!("export/{name}"))?.part);
    let Some(part) = part else {
        return reply::problem(&missing());
    };
    let wanted = objects::wanted(&request);
    let as_graph = request
        .query_string()
        .split('&')
        .any(|word| word == "as=graph");
    let told = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            let base = actors::base(tx)?;
            let found = part(tx, Uuid::nil(), &name, wanted.clone()).await?;
            let found = found.ok_or_else(missing)?;
            Ok(said(&base, &name, found, &wanted, as_graph))
        })
        .await;
    match told {
        Ok(told) => {
            let mut answer =
                objects::rendered(&request, &Rendered::new(200, told.to_string()), true);
            let kind = HeaderValue::from_static(JSON_LD);
            if answer.status() == 200 {
                answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            answer
        }
        Err(error) => reply::problem(&error),
    }
}

/// As one collection, or its page; or as a graph for those who only load it.
fn said(base: &str, name: &str, part: Part, wanted: &Wanted, as_graph: bool) -> Value {
    let uri = format!("{base}/export/{name}");
    let context = json!(format!("{base}/ns/hub/v1"));
    // The items are read in the context of the whole, but for those that need more words.
    let items: Vec<Value> = part
        .items
        .into_iter()
        .map(|mut item| {
            if let Some(item) = item.as_object_mut()
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
        Wanted::Count => json!({
            "@context": context, "type": "OrderedCollection", "id": uri, "totalItems": part.total,
            "first": format!("{uri}?page=true{more}"),
        }),
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
