//! `Idempotency-Key` on POST: a request that comes again with its key has no second effect and gets the first answer.
//! `/auth` is left out, because its answers are secrets; pages have forms that work once by themselves.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderName;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

use super::route::Door;
use super::{Visit, body, shape};
use crate::base::config::of_one_peer;
use crate::base::error::Told;
use crate::base::{Caller, Error, Result};
use crate::db::once::{Answer, Once};
use crate::node::Node;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 255;

/// Headers that are part of an answer; all others are made anew.
const KEPT: &[&str] = &[
    "content-type",
    "content-range",
    "content-profile",
    "location",
    "etag",
    "preference-applied",
    "proxy-status",
];

/// Headers that make a request another one.
const TELLING: &[&str] = &[
    "content-type",
    "content-profile",
    "accept",
    "accept-profile",
    "prefer",
];

/// Whether a request carries a key that counts.
pub fn is_asked(request: &ServiceRequest, door: Door) -> bool {
    *request.method() == Method::POST
        && matches!(door, Door::Rest | Door::Api)
        && request.headers().contains_key(KEY)
}

/// Answer a request with a key.
pub async fn answer(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    visit: &Visit,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(node) = request.app_data::<web::Data<Node>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    // Who can't be told from others is refused by the door.
    let Some(caller) = visit.caller.clone() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let once = match read(&mut request, &node, &caller, visit).await {
        Ok(once) => once,
        Err(error) => return Ok(refused(request, visit, &error)),
    };

    let response = once.around(next.call(request)).await?;

    let (request, response) = response.into_parts();
    let response = match settled(&once, &node, &caller, response).await {
        Ok(response) => response,
        Err(error) => shape::refuse(&request, visit.door, &error),
    };
    Ok(ServiceResponse::new(request, response))
}

/// The key with everything that makes the request what it is; the body is put back for the door.
async fn read(
    request: &mut ServiceRequest,
    node: &Node,
    caller: &Caller,
    visit: &Visit,
) -> Result<Arc<Once>> {
    let key = key(request)?;
    let otherwise = match caller {
        Caller::Session(session) => format!("session {session}"),
        _ => format!(
            "network {}",
            visit
                .address
                .map_or_else(String::new, |address| of_one_peer(address).to_string())
        ),
    };
    let bytes = taken_body(request, node.config.body_limit).await?;
    let mut parts: Vec<&[u8]> = vec![
        request.path().as_bytes(),
        request.query_string().as_bytes(),
        &bytes,
    ];
    for name in TELLING {
        for value in request.headers().get_all(*name) {
            parts.push(name.as_bytes());
            parts.push(value.as_bytes());
        }
    }
    let once = Once::new(&key, otherwise, &parts);
    put_back(request, bytes);
    Ok(once)
}

/// Take the body out of a request.
pub(super) async fn taken_body(request: &mut ServiceRequest, limit: usize) -> Result<Vec<u8>> {
    let payload = request
        .extract::<web::Payload>()
        .await
        .map_err(|error| Error::broken(anyhow::anyhow!("no payload: {error}")))?;
    body(payload, limit).await
}

/// Give the door the body that was looked at.
pub(super) fn put_back(request: &mut ServiceRequest, bytes: Vec<u8>) {
    let whole = futures_util::stream::iter([Ok(web::Bytes::from(bytes))]);
    request.set_payload(Payload::Stream {
        payload: Box::pin(whole),
    });
}

fn key(request: &ServiceRequest) -> Result<String> {
    let wrong = || {
        Error::Invalid(Box::new(
            Told::new(
                "idempotency.bad_key",
                format!("An Idempotency-Key is one word of 1 to {LONGEST_KEY} plain characters."),
            )
            .status(400),
        ))
    };
    let mut given = request.headers().get_all(KEY);
    let key = given
        .next()
        .filter(|_| given.next().is_none())
        .and_then(|value| value.to_str().ok())
        .ok_or_else(wrong)?;
    // The standard writes it as a quoted string; many clients leave the quotes out.
    let key = key
        .strip_prefix('"')
        .and_then(|key| key.strip_suffix('"'))
        .unwrap_or(key);
    if !(1..=LONGEST_KEY).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong());
    }
    Ok(key.to_owned())
}

/// Decide with the door's answer in hand: say an earlier one again, keep this one with its effect, or keep nothing.
async fn settled(
    once: &Once,
    node: &Node,
    caller: &Caller,
    response: HttpResponse<impl MessageBody + 'static>,
) -> Result<HttpResponse> {
    if let Some(kept) = once.told_before() {
        return Ok(kept.map_or_else(|| response.map_into_boxed_body(), |kept| again(&kept)));
    }
    if once.is_refused() {
        return Ok(response.map_into_boxed_body());
    }
    let (answer, response) = read_answer(response).await?;
    match answer.status {
        200..=399 => once.commit(&answer).await?,
        // The same words would be said again: keep them, so that another request can't take the key meanwhile.
        400..=499 if !matches!(answer.status, 401 | 408 | 413 | 429) => {
            once.undo().await?;
            if let Err(refusal) = once.keep_refusal(&node.db, caller, &answer).await {
                return match once.told_before() {
                    Some(Some(kept)) => Ok(again(&kept)),
                    _ => Err(refusal),
                };
            }
        }
        _ => once.undo().await?,
    }
    Ok(response)
}

async fn read_answer(
    response: HttpResponse<impl MessageBody + 'static>,
) -> Result<(Answer, HttpResponse)> {
    let (head, body) = response.into_parts();
    let body = to_bytes(body)
        .await
        .map_err(|_| Error::broken(anyhow::anyhow!("an answer could not be read")))?;
    let headers = KEPT
        .iter()
        .filter_map(|name| {
            let value = head.headers().get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), value.to_owned()))
        })
        .collect();
    let answer = Answer {
        status: head.status().as_u16(),
        headers,
        body: body.to_vec(),
    };
    Ok((answer, head.set_body(BoxBody::new(body))))
}

fn again(kept: &Answer) -> HttpResponse {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    for (name, value) in &kept.headers {
        answer.insert_header((name.as_str(), value.as_str()));
    }
    answer.insert_header((REPLAYED, "true"));
    answer.body(kept.body.clone())
}

fn refused(request: ServiceRequest, visit: &Visit, error: &Error) -> ServiceResponse<BoxBody> {
    let response = shape::refuse(request.request(), visit.door, error);
    request.into_response(response)
}
