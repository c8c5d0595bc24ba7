//! From a result to an answer, for the hub's own doors: JSON or a problem document (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use crate::base::{Error, Result};
use crate::web::gate;

/// What was done, as JSON.
pub fn json<T: Serialize>(status: u16, done: Result<T>) -> HttpResponse {
    match done {
        Ok(done) => HttpResponse::build(code(status)).json(done),
        Err(error) => problem(&error),
    }
}

/// An error as a problem document.
pub fn problem(error: &Error) -> HttpResponse {
    log(error);
    let status = error.status();
    let mut answer = HttpResponse::build(code(status));
    answer.content_type("application/problem+json");
    if let Some(wait) = error.retry_after() {
        answer.insert_header(("Retry-After", wait.as_secs().to_string()));
    }
    let body = match error.told() {
        Some(told) => json!({
            "type": "about:blank", "status": status, "title": told.message, "code": told.code,
            "details": told.details, "hint": told.hint,
        }),
        None => json!({
            "type": "about:blank", "status": status, "title": "Something went wrong on our side.", "code": "broken",
        }),
    };
    answer.json(body)
}

/// Log what is our fault, once, where it leaves the hub.
pub fn log(error: &Error) {
    if let Error::Broken(..) = error {
        tracing::error!(event = "broken", cause = %error);
    }
}

/// The status, or 500 for a number that is none.
pub fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// No such path.
pub async fn nothing_here(request: HttpRequest) -> HttpResponse {
    let error = Error::missing(
        "path.unknown",
        format!("There is nothing at {}.", request.path()),
    );
    gate::shape::refuse(&request, gate::route::door(request.path()), &error)
}
