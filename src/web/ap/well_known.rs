//! Where others begin: WebFinger, host-meta, NodeInfo and the published context.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::base::config::Signup;
use crate::base::{Caller, Error};
use crate::fed::{discovery, vocab};
use crate::node::Node;
use crate::web::reply;

/// What WebFinger is asked.
#[derive(Deserialize)]
pub struct Asked {
    resource: Option<String>,
}

/// `/.well-known/webfinger?resource=…`.
pub async fn webfinger(node: web::Data<Node>, asked: web::Query<Asked>) -> HttpResponse {
    let Some(resource) = asked.resource.clone() else {
        return reply::problem(&invalid());
    };
    let found = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            discovery::webfinger(tx, &resource).await
        })
        .await;
    match found {
        Ok(Some(told)) => open("application/jrd+json", told.to_string()),
        Ok(None) => reply::problem(&Error::missing(
            "webfinger.nobody",
            "Nobody here is known by that name.",
        )),
        Err(error) => reply::problem(&error),
    }
}

fn invalid() -> Error {
    let told = crate::base::error::Told::new(
        "webfinger.no_resource",
        "Say whom you look for: ?resource=acct:name@host",
    );
    Error::Invalid(Box::new(told.status(400)))
}

/// `/.well-known/host-meta`.
pub async fn host_meta(node: web::Data<Node>) -> HttpResponse {
    match node.db.hub().base() {
        Ok(base) => open("application/xrd+xml", discovery::host_meta(&base)),
        Err(error) => reply::problem(&error),
    }
}

/// `/.well-known/host-meta.json`.
pub async fn host_meta_json(node: web::Data<Node>) -> HttpResponse {
    match node.db.hub().base() {
        Ok(base) => open(
            "application/jrd+json",
            discovery::host_meta_json(&base).to_string(),
        ),
        Err(error) => reply::problem(&error),
    }
}

/// `/.well-known/nodeinfo`.
pub async fn nodeinfo_links(node: web::Data<Node>) -> HttpResponse {
    match node.db.hub().base() {
        Ok(base) => open(
            "application/json",
            discovery::nodeinfo_links(&base).to_string(),
        ),
        Err(error) => reply::problem(&error),
    }
}

/// `/nodeinfo/2.0` and `/nodeinfo/2.1`.
pub async fn nodeinfo(node: web::Data<Node>, version: web::Path<String>) -> HttpResponse {
    let version = version.into_inner();
    if !matches!(version.as_str(), "2.0" | "2.1") {
        return reply::problem(&Error::missing(
            "nodeinfo.no_such_version",
            "There are versions 2.0 and 2.1.",
        ));
    }
    let opens = node.config.signup != Signup::Closed;
    let told = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            discovery::nodeinfo(tx, &version, opens).await
        })
        .await;
    match told {
        Ok(told) => open(
            &format!(
                "application/json; profile=\"http://nodeinfo.diaspora.software/ns/schema/{version}#\""
            ),
            told.to_string(),
        ),
        Err(error) => reply::problem(&error),
    }
}

/// `/ns/hub/v1`: the context that all documents carry inline.
pub async fn context() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/ld+json")
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(vocab::context_document().to_string())
}

fn open(kind: &str, body: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind.to_owned())
        .insert_header((header::CACHE_CONTROL, "max-age=60"))
        .body(body)
}
