//! Collections of other servers, page after page until there is enough: never more than so many pages and items, never a
//! page twice, whatever they say of their size (S-81).

use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::Unreached;
use super::fetch::{self, Wanted};
use crate::fed::{trust, vocab};
use crate::net::http::Budget;
use crate::node::Node;

/// The most pages and items that are read.
pub const MOST_PAGES: usize = 10;
pub const MOST_ITEMS: usize = 1_000;

/// The items of a collection, as they stand there: ids or objects, to be believed as any embedded object is.
pub async fn items(
    node: &Node,
    uri: &str,
    signed_by: Option<Uuid>,
    budget: &Budget,
) -> Result<Vec<Value>, Unreached> {
    let signer = fetch::signer(node, signed_by).await;
    let mut visited = HashSet::new();
    let mut items = Vec::new();
    let mut next = Some(Ok(uri.to_owned()));
    let mut pages = 0;
    while let Some(place) = next.take() {
        let page = match place {
            Ok(address) => {
                if pages >= MOST_PAGES || !visited.insert(address.clone()) {
                    break;
                }
                pages += 1;
                let fetched =
                    fetch::document(node, &address, Wanted::Activity, signer.as_deref(), budget)
                        .await;
                match fetched {
                    Ok(fetched) => fetched.document.into_value(),
                    // What was read so far is still true.
                    Err(_) if pages > 1 => break,
                    Err(why) => return Err(why),
                }
            }
            Err(embedded) => embedded,
        };
        if !is_collection(&page) {
            return Err(Unreached::Refused("not_a_collection"));
        }
        take(&page, &mut items);
        if items.len() >= MOST_ITEMS {
            break;
        }
        next = follow(&page, uri);
    }
    items.truncate(MOST_ITEMS);
    Ok(items)
}

fn is_collection(page: &Value) -> bool {
    matches!(
        vocab::kind(page),
        Some("Collection" | "OrderedCollection" | "CollectionPage" | "OrderedCollectionPage")
    )
}

fn take(page: &Value, items: &mut Vec<Value>) {
    for name in ["orderedItems", "items"] {
        let found = vocab::many(page.get(name).unwrap_or(&Value::Null));
        let room = MOST_ITEMS.saturating_sub(items.len());
        items.extend(found.iter().take(room).cloned());
    }
}

/// Where it goes on: the first page of a collection, the next one of a page; on the same server, or nowhere.
fn follow(page: &Value, of: &str) -> Option<Result<String, Value>> {
    let next = page.get("next").or_else(|| page.get("first"))?;
    match next {
        Value::String(address) if trust::same_origin(address, of) => Some(Ok(address.clone())),
        Value::Object(inside) => match inside.get("id").and_then(Value::as_str) {
            // An embedded page is read where it stands, once; its own next one is an address.
            _ if inside.contains_key("orderedItems") || inside.contains_key("items") => {
                let mut inside = inside.clone();
                inside.shift_remove("first");
                if inside.get("next").is_some_and(Value::is_object) {
                    inside.shift_remove("next");
                }
                Some(Err(Value::Object(inside)))
            }
            Some(address) if trust::same_origin(address, of) => Some(Ok(address.to_owned())),
            _ => None,
        },
        _ => None,
    }
}
