//! Versions of single rows: an entity tag made of the time of the last change, and changes that hold only for the
//! version that was read (S-137).

use serde_json::Value;

use super::ask::{Method, Request};
use crate::base::Error;
use crate::base::error::Told;

/// The column that says when a row was changed last.
const CHANGED: &str = "updated_at";

/// The query of a change that holds only for one version; nothing when the request names none.
pub fn narrowed(request: &Request<'_>) -> Option<String> {
    let wanted = request.headers.if_match?;
    // Without a filter of its own the change stays unbounded, and is refused as such.
    if !is_change(request.method) || request.query.is_empty() || wanted.trim() == "*" {
        return None;
    }
    let at = wanted.trim().trim_start_matches("W/").trim_matches('"');
    let filter = url::form_urlencoded::Serializer::new(String::new())
        .append_pair(CHANGED, &format!("eq.{at}"))
        .finish();
    Some(format!("{}&{filter}", request.query))
}

/// Whether the request wants to change one version only.
pub fn is_conditional(request: &Request<'_>) -> bool {
    request.headers.if_match.is_some() && is_change(request.method)
}

/// The tag of a row that is shown by itself, when the time of its last change is part of what is shown.
pub fn tag(row: &str) -> Option<String> {
    let row: Value = serde_json::from_str(row).ok()?;
    let at = row.get(CHANGED)?.as_str()?;
    Some(format!("\"{at}\""))
}

/// The version that was read is not there any more.
pub fn moved_on() -> Error {
    Error::Stale(Box::new(
        Told::new(
            "row.stale",
            "The row was changed since it was read, or is not there",
        )
        .hint("Read it again, then send the change with the new ETag in If-Match"),
    ))
}

fn is_change(method: Method) -> bool {
    matches!(method, Method::Patch | Method::Delete)
}
