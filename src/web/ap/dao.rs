//! `/dao/{slug}/…`: what a public DAO tells those who list DAOs, and the page behind a proposal's address.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::objects;
use super::shelf::Rendered;
use crate::base::{Caller, Error, text};
use crate::domains::governance::daoip2::{self, Sheet};
use crate::domains::governance::{daos, show};
use crate::node::Node;
use crate::node::incoming::Shown;
use crate::web::{pages, reply};

fn missing() -> Error {
    Error::missing("object.not_found", "There is nothing here.")
}

/// `/dao/{slug}`: its profile.
pub async fn dao(node: web::Data<Node>, slug: web::Path<String>) -> HttpResponse {
    let found = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            match daos::public_by_slug(tx, &slug).await? {
                Some(dao) => daos::page(tx, &dao).await,
                None => Ok(None),
            }
        })
        .await;
    match found {
        Ok(Some(page)) => HttpResponse::Found()
            .insert_header((header::LOCATION, page))
            .finish(),
        Ok(None) => pages::refusal(&missing()),
        Err(error) => pages::refusal(&error),
    }
}

/// `/dao/{slug}/{sheet}`.
pub async fn sheet(
    node: web::Data<Node>,
    request: HttpRequest,
    place: web::Path<(String, String)>,
) -> HttpResponse {
    let (slug, name) = place.into_inner();
    let Some(sheet) = Sheet::named(&name) else {
        return reply::problem(&missing());
    };
    let told = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            daoip2::sheet(tx, &slug, sheet).await
        })
        .await;
    match told {
        Ok(Some(told)) => cached(&request, sheet.media_type(), told),
        Ok(None) => reply::problem(&missing()),
        Err(error) => reply::problem(&error),
    }
}

fn cached(request: &HttpRequest, media_type: &'static str, body: String) -> HttpResponse {
    let ready = Rendered::new(200, body);
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == ready.etag));
    let mut answer = match known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    answer
        .insert_header((header::ETAG, ready.etag.clone()))
        .insert_header((header::CACHE_CONTROL, "public, max-age=60"));
    match known {
        true => answer.finish(),
        false => answer.content_type(media_type).body(ready.body),
    }
}

/// `/dao/{slug}/proposals/{number}`: a page for people, the document for servers.
pub async fn proposal(
    node: web::Data<Node>,
    request: HttpRequest,
    place: web::Path<(String, i32)>,
) -> HttpResponse {
    let (slug, number) = place.into_inner();
    let shown = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            show::by_number(tx, &slug, number).await
        })
        .await;
    let object = match shown {
        Ok(Some(Shown::Object { object, .. })) => object,
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
    let tally = |name: &str| {
        let tally = object.get("mo:tally").and_then(|tally| tally.get(name));
        tally.and_then(Value::as_str).unwrap_or("0").to_owned()
    };
    let body = format!(
        "{}\n<p>{}: {} yes, {} no, {} abstain</p>\n<p><a href=\"{}\">The DAO</a></p>",
        text::clean(said("content")),
        text::escaped(said("mo:status")),
        text::escaped(&tally("mo:yes")),
        text::escaped(&tally("mo:no")),
        text::escaped(&tally("mo:abstain")),
        text::escaped(said("attributedTo"))
    );
    pages::page(200, &pages::escaped(said("name")), &body)
}
