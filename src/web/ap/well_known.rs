//! Where others begin: WebFinger, host-meta, NodeInfo, the published context, and the page behind a profile's address.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::objects;
use crate::base::config::Signup;
use crate::base::{Caller, Error, Result, text};
use crate::fed::{actors, discovery, vocab};
use crate::node::Node;
use crate::web::{pages, reply};

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
    match base(&node) {
        Ok(base) => open("application/xrd+xml", discovery::host_meta(&base)),
        Err(error) => reply::problem(&error),
    }
}

/// `/.well-known/host-meta.json`.
pub async fn host_meta_json(node: web::Data<Node>) -> HttpResponse {
    match base(&node) {
        Ok(base) => open(
            "application/jrd+json",
            discovery::host_meta_json(&base).to_string(),
        ),
        Err(error) => reply::problem(&error),
    }
}

/// `/.well-known/nodeinfo`.
pub async fn nodeinfo_links(node: web::Data<Node>) -> HttpResponse {
    match base(&node) {
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

/// `/@handle`: the page of an actor, or its document for whoever asks for that.
pub async fn profile(
    node: web::Data<Node>,
    request: HttpRequest,
    handle: web::Path<String>,
) -> HttpResponse {
    let handle = handle.into_inner();
    let found = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            let Some(actor) = actors::by_handle(tx, &handle).await? else {
                return Ok(None);
            };
            let address = actor.address(&actors::domain(tx)?);
            Ok(Some((actor, address)))
        })
        .await;
    let (actor, address) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return pages::refusal(&nobody()),
        Err(error) => return pages::refusal(&error),
    };
    if objects::wants_activity(&request, false) {
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, actor.uri))
            .insert_header((header::VARY, "Accept"))
            .finish();
    }
    if actor.is_gone() || !actor.is_shown || actor.suspended_at.is_some() {
        return pages::refusal(&nobody());
    }
    let name = actor.name.as_deref().unwrap_or(&actor.handle);
    let about = actor.summary.as_deref().map(text::html).unwrap_or_default();
    pages::page(
        200,
        name,
        &format!(
            "<p>@{}</p>\n{about}\n<p>Search for this address on your own server to follow.</p>",
            text::escaped(&address)
        ),
    )
}

fn nobody() -> Error {
    Error::missing("actor.not_found", "Nobody here is known by that name.")
}

fn base(node: &Node) -> Result<String> {
    let url = node
        .db
        .hub()
        .public_url()
        .ok_or_else(|| Error::busy("The hub does not know its own address yet."))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn open(kind: &str, body: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind.to_owned())
        .insert_header((header::CACHE_CONTROL, "max-age=60"))
        .body(body)
}
