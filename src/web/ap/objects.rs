//! `/ap/…`: actors, their collections, activities and objects, for those who may read them. What is not theirs is answered
//! like what is not there; what is gone says so.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{Handler, HttpRequest, HttpResponse, Resource, Responder, web};
use serde_json::{Value, json};
use uuid::Uuid;

use super::shelf::{Rendered, Shelf};
use crate::base::{Caller, Error, Result};
use crate::db::Tx;
use crate::fed::actors::{self, Local};
use crate::fed::collections::{self, Page};
use crate::node::Node;
use crate::node::incoming::{Part, Shown, Wanted};
use crate::web::{pages, reply};

/// What other servers say they speak.
const ACTIVITY: &str = "application/activity+json";

/// A route that is read, by GET or HEAD.
pub fn reads<F, Args>(path: &str, read: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(read.clone()))
        .route(web::head().to(read))
}

/// What a read came to.
enum Found {
    /// Everybody may have it.
    Open(Value),
    /// Only who asked may.
    Closed(Value),
    Gone(Value),
    /// A person is led to the page.
    Nothing,
}

/// Whether the asker wants what servers read. Under `/ap` that is so unless a page is asked for (R21).
pub fn wants_activity(request: &HttpRequest, otherwise: bool) -> bool {
    let mut best = (0.0_f32, otherwise);
    let accepted = request.headers().get_all(header::ACCEPT);
    let parts = accepted
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','));
    for part in parts {
        let mut words = part.split(';').map(str::trim);
        let kind = words.next().unwrap_or_default().to_ascii_lowercase();
        let weight = words
            .filter_map(|word| word.strip_prefix("q="))
            .find_map(|q| q.parse::<f32>().ok())
            .unwrap_or(1.0);
        let is_activity = match kind.as_str() {
            "application/activity+json" | "application/ld+json" | "application/json" => true,
            "text/html" | "application/xhtml+xml" => false,
            "*/*" | "application/*" => otherwise,
            _ => continue,
        };
        if weight > best.0 {
            best = (weight, is_activity);
        }
    }
    best.1
}

/// `/ap/actor`: the node itself. Readable for everybody always, or nobody could check a signature of ours.
pub async fn node(
    node: web::Data<Node>,
    shelf: web::Data<Shelf>,
    request: HttpRequest,
) -> HttpResponse {
    if let Some(ready) = shelf.get(request.path()) {
        return rendered(&request, &ready, true);
    }
    let found = node
        .db
        .write(&Caller::Anonymous, async |tx| {
            let actor = actors::node(tx).await?;
            actors::document(tx, &actor).await.map(Found::Open)
        })
        .await;
    answer(&request, Some(&shelf), found)
}

/// `/ap/actor/{collection}`.
pub async fn of_node(
    node: web::Data<Node>,
    request: HttpRequest,
    collection: web::Path<String>,
) -> HttpResponse {
    if let Err(error) = super::who::asks(&node, &request).await {
        return super::who::refused(&error);
    }
    let collection = collection.into_inner();
    let wanted = wanted(&request);
    let found = node
        .db
        .write(&Caller::Anonymous, async |tx| {
            let actor = actors::node(tx).await?;
            collected(tx, &actor, &collection, wanted.clone()).await
        })
        .await;
    answer(&request, None, found)
}

/// `/ap/{path}/{id}`: an actor, an activity, or whatever a domain shows there.
pub async fn one(
    node: web::Data<Node>,
    shelf: web::Data<Shelf>,
    request: HttpRequest,
    place: web::Path<(String, String)>,
) -> HttpResponse {
    let (path, id) = place.into_inner();
    let is_actor = matches!(path.as_str(), "actors" | "groups");
    // What everybody may read needs no look at who asks, unless the hub wants one for everything; a page is for people.
    let is_checked = match is_actor {
        true => node.config.authorized_fetch && wants_activity(&request, true),
        false => true,
    };
    let caller = match is_checked {
        true => match super::who::asks(&node, &request).await {
            Ok(caller) => caller,
            Err(error) => return super::who::refused(&error),
        },
        false => Caller::Anonymous,
    };
    if is_actor && let Some(ready) = shelf.get(request.path()) {
        if ready.status == 200 && !wants_activity(&request, true) {
            return to_page(&ready);
        }
        return rendered(&request, &ready, true);
    }
    let Ok(id) = id.parse::<Uuid>() else {
        return answer(&request, None, Ok(Found::Nothing));
    };
    let found = match is_actor {
        true => actor(&node, id, request.path()).await,
        false => object(&node, &caller, &path, id, request.path()).await,
    };
    answer(&request, is_actor.then_some(shelf.get_ref()), found)
}

async fn actor(node: &Node, id: Uuid, path: &str) -> Result<Found> {
    node.db
        .write(&Caller::Anonymous, async |tx| {
            let Some(actor) = actors::by_id(tx, id).await? else {
                return Ok(Found::Nothing);
            };
            let here = format!("{}{path}", actors::base(tx)?);
            if actor.is_gone() && actor.uri == here {
                let at = actor.deleted_at.unwrap_or(actor.updated_at);
                let stone = actors::tombstone(&actor.uri, Some(&actor.of_type), at)?;
                return Ok(Found::Gone(stone));
            }
            if actor.uri != here || !is_readable(&actor) {
                return Ok(Found::Nothing);
            }
            actors::document(tx, &actor).await.map(Found::Open)
        })
        .await
}

async fn object(node: &Node, caller: &Caller, path: &str, id: Uuid, place: &str) -> Result<Found> {
    node.db
        .read(caller, async |tx| {
            let uri = format!("{}{place}", actors::base(tx)?);
            if path == "activities" {
                let reader = match caller {
                    Caller::Remote(remote) => Some(remote.id),
                    _ => None,
                };
                let Some((body, is_public)) = collections::activity(tx, &uri, reader).await? else {
                    return Ok(Found::Nothing);
                };
                let told = serde_json::from_str(&body).map_err(Error::broken)?;
                return Ok(match is_public {
                    true => Found::Open(told),
                    false => Found::Closed(told),
                });
            }
            let Some(shows) = node.shows(path) else {
                return Ok(Found::Nothing);
            };
            match (shows.show)(tx, id).await? {
                Some(Shown::Object {
                    object,
                    is_public: true,
                }) => Ok(Found::Open(object)),
                Some(Shown::Object { object, .. }) => Ok(Found::Closed(object)),
                Some(Shown::Gone(stone)) => Ok(Found::Gone(stone)),
                None => Ok(match collections::tombstone(tx, &uri).await? {
                    Some(stone) => Found::Gone(stone),
                    None => Found::Nothing,
                }),
            }
        })
        .await
}

/// Whether an actor of the hub is shown to others.
fn is_readable(actor: &Local) -> bool {
    !actor.is_gone() && actor.is_shown && actor.suspended_at.is_none()
}

/// `/ap/{path}/{id}/{collection}`.
pub async fn part(
    node: web::Data<Node>,
    request: HttpRequest,
    place: web::Path<(String, String, String)>,
) -> HttpResponse {
    let (path, id, collection) = place.into_inner();
    let caller = match super::who::asks(&node, &request).await {
        Ok(caller) => caller,
        Err(error) => return super::who::refused(&error),
    };
    let Ok(id) = id.parse::<Uuid>() else {
        return answer(&request, None, Ok(Found::Nothing));
    };
    let wanted = wanted(&request);
    let here = format!("/ap/{path}/{id}");
    let found = node
        .db
        .read(&caller, async |tx| {
            if matches!(path.as_str(), "actors" | "groups") {
                let actor = actors::by_id(tx, id).await?;
                let here = format!("{}{here}", actors::base(tx)?);
                return match actor {
                    Some(actor) if actor.uri == here && is_readable(&actor) => {
                        match collected(tx, &actor, &collection, wanted.clone()).await? {
                            Found::Nothing => {
                                of_domains(&node, tx, &actor, &path, &collection, wanted.clone())
                                    .await
                            }
                            found => Ok(found),
                        }
                    }
                    _ => Ok(Found::Nothing),
                };
            }
            // Some things are shown in another form as well, under an address of its own.
            if let Some(form) = node.shows(&format!("{path}/{collection}")) {
                return Ok(match (form.show)(tx, id).await? {
                    Some(Shown::Object {
                        object,
                        is_public: true,
                    }) => Found::Open(object),
                    Some(Shown::Object { object, .. }) => Found::Closed(object),
                    Some(Shown::Gone(stone)) => Found::Gone(stone),
                    None => Found::Nothing,
                });
            }
            let shows = node.shows(&path);
            let Some((shows, part)) = shows.and_then(|shows| Some((shows, shows.part?))) else {
                return Ok(Found::Nothing);
            };
            let Some(Shown::Object { object, is_public }) = (shows.show)(tx, id).await? else {
                return Ok(Found::Nothing);
            };
            let Some(part) = part(tx, id, &collection, wanted.clone()).await? else {
                return Ok(Found::Nothing);
            };
            let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
            let uri = format!("{}/{collection}", text("id"));
            let told = said(&uri, text("attributedTo"), part, wanted.clone());
            Ok(match is_public {
                true => Found::Open(told),
                false => Found::Closed(told),
            })
        })
        .await;
    answer(&request, None, found)
}

/// What the domains collect of an actor: what it sells, declares and so on.
async fn of_domains(
    node: &Node,
    tx: &mut Tx,
    actor: &Local,
    path: &str,
    collection: &str,
    wanted: Wanted,
) -> Result<Found> {
    for part in node.all_shows(path).filter_map(|shows| shows.part) {
        if let Some(part) = part(tx, actor.id, collection, wanted.clone()).await? {
            let uri = format!("{}/{collection}", actor.uri);
            return Ok(Found::Open(said(&uri, &actor.uri, part, wanted)));
        }
    }
    Ok(Found::Nothing)
}

fn said(uri: &str, owner: &str, part: Part, wanted: Wanted) -> Value {
    match wanted {
        Wanted::Count => collections::whole(uri, owner, part.total, true),
        Wanted::Page(after) => collections::page(
            uri,
            owner,
            after.as_deref(),
            Page {
                items: part.items,
                next: part.next,
            },
        ),
    }
}

/// What every actor has.
async fn collected(tx: &mut Tx, actor: &Local, collection: &str, wanted: Wanted) -> Result<Found> {
    let uri = format!("{}/{collection}", actor.uri);
    let owner = actor.uri.as_str();
    let told = match (collection, wanted) {
        // What came in is nobody else's to read.
        ("inbox", _) => collections::whole(&uri, owner, 0, true),
        ("outbox", Wanted::Count) => {
            collections::whole(&uri, owner, collections::count_said(tx, actor).await?, true)
        }
        ("outbox", Wanted::Page(after)) => {
            let page = collections::said(tx, actor, after.as_deref()).await?;
            collections::page(&uri, owner, after.as_deref(), page)
        }
        ("followers" | "following", wanted) => {
            let direction = if collection == "followers" {
                "in"
            } else {
                "out"
            };
            match wanted {
                Wanted::Count => {
                    let total = collections::count_follows(tx, actor.id, direction).await?;
                    collections::whole(&uri, owner, total, !actor.hides_followers)
                }
                Wanted::Page(_) if actor.hides_followers => return Ok(Found::Nothing),
                Wanted::Page(after) => {
                    let page =
                        collections::follows(tx, actor.id, direction, after.as_deref()).await?;
                    collections::page(&uri, owner, after.as_deref(), page)
                }
            }
        }
        ("featured", _) if actor.kind != "node" => collections::whole(&uri, owner, 0, true),
        ("moderators", Wanted::Count) if actor.of_type == "Group" => {
            let moderators = moderators(tx, actor).await?;
            json!({
                "@context": crate::fed::vocab::context(), "type": "OrderedCollection", "id": uri, "attributedTo": owner,
                "totalItems": moderators.len(), "orderedItems": moderators,
            })
        }
        _ => return Ok(Found::Nothing),
    };
    Ok(Found::Open(told))
}

async fn moderators(tx: &mut Tx, actor: &Local) -> Result<Vec<String>> {
    actors::officers(tx, actor).await
}

/// How much of a collection is asked for.
pub fn wanted(request: &HttpRequest) -> Wanted {
    let mut page = false;
    let mut after = None;
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        match &*name {
            "page" => page = true,
            "after" => after = Some(value.into_owned()),
            _ => {}
        }
    }
    match page {
        true => Wanted::Page(after),
        false => Wanted::Count,
    }
}

fn answer(request: &HttpRequest, shelf: Option<&Shelf>, found: Result<Found>) -> HttpResponse {
    match found {
        Ok(Found::Open(told)) => {
            let ready = Rendered::new(200, told.to_string());
            if let Some(shelf) = shelf {
                shelf.put(request.path(), ready.clone());
            }
            if !wants_activity(request, true) && told.get("url").is_some_and(Value::is_string) {
                return to_page(&ready);
            }
            rendered(request, &ready, true)
        }
        Ok(Found::Closed(told)) => rendered(request, &Rendered::new(200, told.to_string()), false),
        Ok(Found::Gone(stone)) => {
            let ready = Rendered::new(410, stone.to_string());
            rendered(request, &ready, true)
        }
        Ok(Found::Nothing) => nothing(request),
        Err(error) => reply::problem(&error),
    }
}

/// What is not there and what is not theirs, in the same words.
fn nothing(request: &HttpRequest) -> HttpResponse {
    let error = Error::missing("object.not_found", "There is nothing here.");
    let mut answer = match wants_activity(request, true) {
        true => reply::problem(&error),
        false => pages::refusal(&error),
    };
    answer
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept, Signature"));
    answer
}

/// A person is shown the page, not the document.
fn to_page(ready: &Rendered) -> HttpResponse {
    let told: Value = serde_json::from_slice(&ready.body).unwrap_or_default();
    let page = told.get("url").and_then(Value::as_str).unwrap_or("/");
    HttpResponse::Found()
        .insert_header((header::LOCATION, page))
        .insert_header((header::VARY, "Accept, Signature"))
        .finish()
}

/// Whether the hub shows what is public only to those who sign, so that no cache in between may pass it on.
fn is_for_signers(request: &HttpRequest) -> bool {
    let node = request.app_data::<web::Data<Node>>();
    node.is_some_and(|node| node.config.authorized_fetch) && request.path() != "/ap/actor"
}

/// An answer with its tag, or that it is still the same.
pub fn rendered(request: &HttpRequest, ready: &Rendered, is_open: bool) -> HttpResponse {
    let is_known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| {
            tags.split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == ready.etag || tag == "*")
        });
    let mut answer = match is_known && ready.status == 200 {
        true => HttpResponse::NotModified(),
        false => HttpResponse::build(reply::code(ready.status)),
    };
    answer
        .insert_header((header::VARY, "Accept, Signature"))
        .insert_header((
            header::CACHE_CONTROL,
            if is_open && !is_for_signers(request) {
                "max-age=60"
            } else {
                "private, no-store"
            },
        ))
        .insert_header((header::ETAG, ready.etag.as_str()));
    if is_known && ready.status == 200 {
        return answer.finish();
    }
    answer.content_type(ACTIVITY).body(ready.body.clone())
}
