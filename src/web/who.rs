//! From the headers of a request to its caller. A token only proves a session; what it may do is read from its row.

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::base::{Caller, Error, Result};
use crate::kinds::Role;
use crate::node::Node;

/// The caller, and the database role that he will take on.
pub fn asks(request: &HttpRequest, node: &Node) -> Result<(Caller, Role)> {
    match token(request)? {
        Some(token) => node.signer()?.caller(token),
        None => Ok((Caller::Anonymous, Role::Anon)),
    }
}

/// The bearer token; `apikey` counts when there is no other.
pub fn token(request: &HttpRequest) -> Result<Option<&str>> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = given.next() else {
        return match request.headers().get("apikey") {
            Some(key) => key.to_str().map(Some).map_err(|_| unreadable()),
            None => Ok(None),
        };
    };
    if given.next().is_some() {
        return Err(unreadable());
    }
    let value = value.to_str().map_err(|_| unreadable())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        None if value.eq_ignore_ascii_case("bearer") => Err(unreadable()),
        _ => Ok(None),
    }
}

fn unreadable() -> Error {
    Error::sign_in("PGRST301", "The Authorization header cannot be read.")
}
