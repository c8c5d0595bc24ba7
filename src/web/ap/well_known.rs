//! Where others begin: WebFinger, host-meta, NodeInfo, the published context, and the page behind a profile's address.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::objects;
use crate::base::config::Signup;
use crate::base::{Caller, Error, Result, text};
use crate::fed::{actors, discovery, vocab};
use crate::node::Node;
use crate::node::incoming::Shown;
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
        &pages::escaped(name),
        &format!(
            "<p>@{}</p>\n{about}\n<p>Search for this address on your own server to follow.</p>",
            text::escaped(&address)
        ),
    )
}

/// `/posts/{id}`: the page of a public post, or its document for whoever asks for that.
pub async fn post(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let missing = || Error::missing("object.not_found", "There is nothing here.");
    let (Some(shows), Ok(id)) = (node.shows("posts"), id.parse::<Uuid>()) else {
        return pages::refusal(&missing());
    };
    let shown = node
        .db
        .read(&Caller::Anonymous, async |tx| (shows.show)(tx, id).await)
        .await;
    let object = match shown {
        Ok(Some(Shown::Object {
            object,
            is_public: true,
        })) => object,
        Ok(_) => return pages::refusal(&missing()),
        Err(error) => return pages::refusal(&error),
    };
    let said = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    if objects::wants_activity(&request, false) {
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, said("id")))
            .insert_header((header::VARY, "Accept"))
            .finish();
    }
    let title = match said("name") {
        "" => "A post",
        name => name,
    };
    // What a text says was cleaned when it was rendered; it is cleaned once more where it is shown.
    pages::page(
        200,
        &pages::escaped(title),
        &format!(
            "{}\n<p><a href=\"{}\">Its author</a></p>",
            text::clean(said("content")),
            text::escaped(said("attributedTo"))
        ),
    )
}

/// What somebody wants to answer or follow from here.
#[derive(Deserialize)]
pub struct Interaction {
    #[serde(default)]
    uri: String,
}

/// `/interact?uri=…`: where other servers send a person of this hub who wants to follow or answer somebody there.
pub async fn interact(asked: web::Query<Interaction>) -> HttpResponse {
    pages::page(
        200,
        "Follow or answer from this hub",
        &format!(
            "<p>Look this address up in the app that you use with this hub:</p>\n<p><code>{}</code></p>",
            text::escaped(&asked.uri)
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
