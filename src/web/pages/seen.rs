//! Pages of what other servers see as documents: an actor, a post, a listing, a declaration, and the place where a person of this hub is sent who wants
//! to follow or answer somebody elsewhere. Whoever asks for the document is shown the way to it.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{escaped, page, refusal};
use crate::base::{Caller, Error, text};
use crate::fed::actors;
use crate::node::Node;
use crate::node::incoming::Shown;
use crate::web::ap::objects::wants_activity;

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
        Ok(None) => return refusal(&nobody()),
        Err(error) => return refusal(&error),
    };
    if wants_activity(&request, false) {
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, actor.uri))
            .insert_header((header::VARY, "Accept"))
            .finish();
    }
    if actor.is_gone() || !actor.is_shown || actor.suspended_at.is_some() {
        return refusal(&nobody());
    }
    let name = actor.name.as_deref().unwrap_or(&actor.handle);
    let about = actor.summary.as_deref().map(text::html).unwrap_or_default();
    page(
        200,
        &escaped(name),
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
    object(&node, &request, "posts", &id).await
}

/// `/listings/{id}`.
pub async fn listing(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    object(&node, &request, "listings", &id).await
}

/// `/declarations/{id}`.
pub async fn declaration(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    object(&node, &request, "declarations", &id).await
}

async fn object(node: &Node, request: &HttpRequest, path: &str, id: &str) -> HttpResponse {
    let missing = || Error::missing("object.not_found", "There is nothing here.");
    let (Some(shows), Ok(id)) = (node.shows(path), id.parse::<Uuid>()) else {
        return refusal(&missing());
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
        Ok(_) => return refusal(&missing()),
        Err(error) => return refusal(&error),
    };
    let said = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    if wants_activity(request, false) {
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
    page(
        200,
        &escaped(title),
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
    page(
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
