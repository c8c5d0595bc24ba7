//! `GET /ap/changes`: the feed for hubs that were away, read by a hub's own actor with its signature and by nobody else.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::who;
use crate::base::{Caller, Error};
use crate::fed::changes::{self, Page};
use crate::fed::readers::{self, Reader};
use crate::node::Node;
use crate::web::reply;

/// From where on, and how much.
#[derive(Deserialize)]
pub struct Asked {
    after: Option<i64>,
    limit: Option<i64>,
}

/// A page of the feed.
pub async fn read(
    node: web::Data<Node>,
    request: HttpRequest,
    asked: Result<web::Query<Asked>, actix_web::Error>,
) -> HttpResponse {
    let Ok(asked) = asked else {
        let told = crate::base::error::Told::new(
            "changes.bad_place",
            "after and limit are whole numbers.",
        );
        return reply::problem(&Error::Invalid(Box::new(told.status(400))));
    };
    let host = match who::reader(&node, &request).await {
        Ok(Reader::Actor { uri, .. }) => match readers::hub_of(&node, &uri).await {
            Ok(Some(host)) => host,
            Ok(None) => return who::refused(&not_a_hub()),
            Err(error) => return reply::problem(&error),
        },
        Ok(Reader::Unwanted) => return who::refused(&who::unwanted()),
        Ok(Reader::Nobody(reason)) => return who::refused(&who::unsigned(reason)),
        Err(error) => return reply::problem(&error),
    };
    let after = asked.after.unwrap_or_default().max(0);
    let limit = asked.limit.unwrap_or(changes::MOST);
    let page = node
        .db
        .read(&Caller::Anonymous, async |tx| {
            changes::page(tx, &host, after, limit).await
        })
        .await;
    match page {
        Ok(Page::Here(body)) => HttpResponse::Ok()
            .content_type("application/activity+json")
            .insert_header((header::CACHE_CONTROL, "private, no-store"))
            .insert_header((header::VARY, "Accept, Signature"))
            .body(body),
        Ok(Page::Gone) => reply::problem(&gone()),
        Err(error) => reply::problem(&error),
    }
}

fn not_a_hub() -> Error {
    Error::forbidden(
        "changes.not_a_hub",
        "Only a hub's own actor reads the feed.",
    )
}

fn gone() -> Error {
    let told = crate::base::error::Told::new(
        "changes.gone",
        "The feed can't be read on from there; look at the collections and begin at its head.",
    );
    Error::Missing(Box::new(told.status(410)))
}
