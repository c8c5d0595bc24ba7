//! `POST /ap/inbox` and the inboxes of actors: 202 for what is kept or need not come again, a problem document otherwise.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use serde_json::json;

use super::who;
use crate::domains::social::sync;
use crate::fed::document::LONGEST;
use crate::fed::inbox::{self, Posted, Refusal, Verdict};
use crate::fed::intake::Via;
use crate::fed::signature::ACCEPT_SIGNATURE;
use crate::node::Node;
use crate::web::gate::{self, Gate};
use crate::web::reply;

/// The inbox that all actors share.
pub async fn shared(
    request: HttpRequest,
    payload: web::Payload,
    node: web::Data<Node>,
    gate: web::Data<Gate>,
) -> HttpResponse {
    Box::pin(take(&request, payload, &node, &gate, None)).await
}

/// An actor's own inbox.
pub async fn of_actor(
    request: HttpRequest,
    payload: web::Payload,
    node: web::Data<Node>,
    gate: web::Data<Gate>,
) -> HttpResponse {
    let path = request.path().trim_end_matches("/inbox").to_owned();
    let base = node.db.hub().base();
    let actor = base.ok().map(|base| format!("{base}{path}"));
    Box::pin(take(&request, payload, &node, &gate, actor)).await
}

async fn take(
    request: &HttpRequest,
    payload: web::Payload,
    node: &Node,
    gate: &Gate,
    inbox_of: Option<String>,
) -> HttpResponse {
    let body = match read(payload).await {
        Ok(body) => body,
        Err(refusal) => return refused(&refusal),
    };
    let headers = who::headers(request);
    let posted = Posted {
        head: who::head(request, &headers),
        body: &body,
        inbox_of: inbox_of.as_deref(),
    };

    match inbox::examine(node, &posted).await {
        Verdict::Take(taken) => {
            if let Err(error) = gate.take_peer(&taken.host) {
                inbox::say_too_often(&taken);
                return reply::problem(&error);
            }
            let actor = matches!(taken.via, Via::Signature(_)).then(|| taken.actor_uri.clone());
            match inbox::keep(node, *taken).await {
                Ok(()) => {
                    if let Some(actor) = actor {
                        hinted(node, &actor, &headers).await;
                    }
                    HttpResponse::Accepted().finish()
                }
                Err(error) => reply::problem(&error),
            }
        }
        Verdict::Seen | Verdict::Drop => HttpResponse::Accepted().finish(),
        Verdict::Refuse(refusal) => {
            if refusal.is_unverified() {
                gate.was_unverified(gate::address(request));
            }
            refused(&refusal)
        }
    }
}

/// What stands beside the activity in headers of a request that its author signed.
async fn hinted(node: &Node, actor: &str, headers: &[(String, String)]) {
    let header = |name: &str| {
        let (_, value) = headers.iter().find(|(known, _)| known == name)?;
        Some(value.as_str())
    };
    let (head, followers) = (
        header("mo-changes-head"),
        header("collection-synchronization"),
    );
    if head.is_some() || followers.is_some() {
        sync::heard(node, actor, head, followers).await;
    }
}

/// The body, as long as no longer one is read by anybody.
async fn read(mut payload: web::Payload) -> Result<web::Bytes, Refusal> {
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(400, "broken_off"))?;
        if body.len() + chunk.len() > LONGEST {
            return Err(Refusal::new(413, "too_long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A refusal as a problem document (FEP-c180).
fn refused(refusal: &Refusal) -> HttpResponse {
    let mut answer = HttpResponse::build(reply::code(refusal.status));
    answer.content_type("application/problem+json");
    if refusal.status == 401 {
        answer.insert_header(("Accept-Signature", ACCEPT_SIGNATURE));
    }
    if let Some(wait) = refusal.wait {
        let seconds = wait.max(Duration::from_secs(1)).as_secs();
        answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    let title = match refusal.status {
        400 => "This is no activity that can be read.",
        401 => "It is not known that this activity is its actor's.",
        403 => "Nothing is taken from there.",
        404 => "There is no such inbox.",
        413 => "The activity is too long.",
        415 => "Activities come as application/activity+json, not encoded in any other way.",
        _ => "It can't be told at the moment whose this is.",
    };
    answer.json(json!({
        "type": "about:blank", "status": refusal.status, "title": title, "code": refusal.reason,
    }))
}
