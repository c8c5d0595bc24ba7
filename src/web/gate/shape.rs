//! A refusal of the gate, in the shape of the door that was knocked at.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

use super::route::Door;
use crate::base::Error;
use crate::kinds::Role;
use crate::web::supabase::{auth, rest};
use crate::web::{pages, reply};

/// An error as this door says it.
pub fn refuse(request: &HttpRequest, door: Door, error: &Error) -> HttpResponse {
    match door {
        Door::Rest => rest::refused(error, Role::Anon),
        Door::Auth => auth::refused(request, error),
        Door::Api | Door::Wire => reply::problem(error),
        Door::Page if wants_page(request) => pages::refusal(error),
        Door::Page => reply::problem(error),
    }
}

/// Whether a browser asks, which shows pages to people.
pub fn wants_page(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}
