//! What every request passes: who asks and how often, a request id, a log line, the headers that every answer carries,
//! keys that make a request count once, body limits, and a net under panics.

pub mod headers;
mod idempotency;
pub mod limits;
pub mod peer;
pub mod route;
pub mod shape;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use tracing::Instrument;

use crate::base::error::Told;
use crate::base::{Caller, Error, Result};
use crate::kinds::Role;
use crate::node::Node;
use crate::web::{metrics, reply, who};
use headers::Asked;
use limits::{Limits, Standing};
pub use peer::address;
use route::{Class, Door};

/// No body that names a letter's address is longer.
const LONGEST_LETTER: usize = 64 * 1024;

/// What all workers of the server share.
pub struct Gate {
    limits: Option<Limits>,
}

impl Gate {
    /// As the settings of the hub say.
    pub fn new(node: &Node) -> Self {
        Self {
            limits: Limits::new(&node.config),
        }
    }

    /// Take one from the bucket of a peer whose signature has proved good.
    pub fn take_peer(&self, host: &str) -> Result<()> {
        match &self.limits {
            Some(limits) => limits.take_peer(host).map(drop).map_err(limits::too_often),
            None => Ok(()),
        }
    }

    /// Note that something posted from this address proved to be nobody's.
    pub fn was_unverified(&self, address: Option<IpAddr>) {
        if let Some(limits) = &self.limits {
            limits.was_unverified(address);
        }
    }

    /// Once in a while: forget who has not come for long.
    pub fn tidy(&self) {
        if let Some(limits) = &self.limits {
            limits.tidy();
        }
        metrics::tidy();
    }
}

/// What is known of a request before any door has seen it.
struct Visit {
    door: Door,
    class: Class,
    /// The pattern of its route.
    route: Option<String>,
    address: Option<IpAddr>,
    /// Who shows what the hub has signed; nobody when what he shows is worth nothing.
    caller: Option<Caller>,
    role: Role,
    id: String,
}

impl Visit {
    fn of(request: &ServiceRequest) -> Self {
        let route = request.match_pattern();
        let renews =
            route.as_deref() == Some("/auth/v1/token") && grant(request) == "refresh_token";
        let asks = request
            .app_data::<web::Data<Node>>()
            .and_then(|node| who::asks(request.request(), node).ok());
        let (caller, role) = asks.map_or((None, Role::Anon), |(caller, role)| (Some(caller), role));
        Self {
            door: route::door(request.path()),
            class: route::class(route.as_deref(), request.method(), renews),
            route,
            address: peer::address(request.request()),
            caller,
            role,
            id: peer::request_id(request.request()),
        }
    }

    /// What a log line says of the caller.
    fn caller_class(&self) -> &'static str {
        match (&self.caller, self.role) {
            (None, _) => "unknown",
            (Some(Caller::Session(_)), Role::Service) => "service",
            (Some(Caller::Session(_)), _) => "session",
            (Some(_), _) => "anonymous",
        }
    }
}

/// The way of signing in that is asked for, read as the door reads it.
fn grant(request: &ServiceRequest) -> String {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(key, _)| key == "grant_type")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// Stand around every request.
pub async fn pass(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let visit = Visit::of(&request);
    let node = request.app_data::<web::Data<Node>>().cloned();
    let is_tls = node.as_ref().is_some_and(|node| {
        let url = node.config.public_url.as_ref();
        url.is_some_and(|url| url.scheme() == "https")
    });
    let asked = Asked::of(visit.door, request.method(), request.headers(), is_tls);
    let method = request.method().clone();
    let span = tracing::error_span!(
        "request",
        id = %visit.id,
        peer = visit.address.map(tracing::field::display),
    );

    let mut standing = None;
    let passed = {
        let answering = through(request, next, &visit, &asked, &mut standing);
        AssertUnwindSafe(answering.instrument(span.clone()))
            .catch_unwind()
            .await
    };

    let took = started.elapsed();
    match passed {
        Ok(response) => {
            let mut response = response?;
            headers::put(response.headers_mut(), &asked, &visit.id, standing);
            let status = response.status().as_u16();
            span.in_scope(|| {
                note(
                    node.as_ref().map(web::Data::get_ref),
                    &visit,
                    &method,
                    status,
                    took,
                )
            });
            Ok(response)
        }
        Err(panic) => {
            span.in_scope(|| {
                tracing::error!(event = "panicked", cause = said_in(&*panic));
                note(
                    node.as_ref().map(web::Data::get_ref),
                    &visit,
                    &method,
                    500,
                    took,
                );
            });
            let error = Error::broken(anyhow::anyhow!("a panic, told above"));
            let mut response = reply::problem(&error);
            headers::put(response.headers_mut(), &asked, &visit.id, standing);
            Err(InternalError::from_response("a panic", response).into())
        }
    }
}

async fn through(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    visit: &Visit,
    asked: &Asked,
    standing: &mut Option<Standing>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let is_waiting = visit.class != Class::Probe
        && request
            .app_data::<web::Data<Node>>()
            .is_some_and(|node| !node.is_open());
    if is_waiting {
        return Ok(request.into_response(starting()));
    }
    if asked.is_open_to_all() && asked.is_preflight {
        return Ok(request.into_response(HttpResponse::NoContent().finish()));
    }
    match within_limits(&mut request, visit).await {
        Ok(now) => *standing = now,
        Err((now, error)) => {
            *standing = now;
            let refused = shape::refuse(request.request(), visit.door, &error);
            return Ok(request.into_response(refused));
        }
    }
    if visit.class != Class::Inbox && idempotency::is_asked(&request, visit.door) {
        return idempotency::answer(request, next, visit).await;
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Take one from the asker's bucket, and one from that of the address a letter would go to.
async fn within_limits(
    request: &mut ServiceRequest,
    visit: &Visit,
) -> Result<Option<Standing>, (Option<Standing>, Error)> {
    let gate = request.app_data::<web::Data<Gate>>().cloned();
    let Some(limits) = gate.as_ref().and_then(|gate| gate.limits.as_ref()) else {
        return Ok(None);
    };
    let refused = |standing| (Some(standing), limits::too_often(standing));
    if visit.class == Class::Inbox {
        return limits
            .may_post(visit.address)
            .map(|()| None)
            .map_err(refused);
    }
    let standing = limits
        .take(visit.class, visit.caller.as_ref(), visit.address)
        .map_err(refused)?;
    if route::sends_letter(visit.route.as_deref(), request.method()) {
        let bytes = idempotency::taken_body(request, LONGEST_LETTER)
            .await
            .map_err(|error| (Some(standing), error))?;
        let to = serde_json::from_slice::<Addressed>(&bytes).ok();
        idempotency::put_back(request, bytes);
        if let Some(to) = to.and_then(|to| to.email) {
            limits.take_letter(&to).map_err(refused)?;
        }
    }
    Ok(Some(standing))
}

#[derive(Deserialize)]
struct Addressed {
    email: Option<String>,
}

fn starting() -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .insert_header((header::RETRY_AFTER, "5"))
        .json(serde_json::json!({
            "code": "starting", "message": "The hub waits for its database.", "details": null, "hint": null,
        }))
}

/// Count the request, and say a line where the settings want one. Never what was asked: values, tokens and bodies stay out.
fn note(
    node: Option<&Node>,
    visit: &Visit,
    method: &actix_web::http::Method,
    status: u16,
    took: Duration,
) {
    metrics::request(visit.class, status, took);
    let Some(config) = node.map(|node| &node.config) else {
        return;
    };
    let route = visit.route.as_deref().unwrap_or("none");
    let caller = visit.caller_class();
    let ms = took.as_millis() as u64;
    // The door is closed on purpose while the hub starts: that is no fault worth a line each.
    let is_failed = status >= 500 && node.is_some_and(Node::is_open);
    if is_failed || ms >= config.log_slow_ms {
        tracing::warn!(event = "request", %method, route, status, ms, caller);
    } else if config.log_requests {
        tracing::info!(event = "request", %method, route, status, ms, caller);
    }
}

fn said_in(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("something that is no text")
}

/// Read a body of at most `limit` bytes.
pub async fn body(mut payload: web::Payload, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::invalid("bad_body", "The body broke off."))?;
        if bytes.len() + chunk.len() > limit {
            return Err(Error::Invalid(Box::new(
                Told::new(
                    "PGRST102",
                    format!("The body is longer than {limit} bytes."),
                )
                .status(413),
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::{App, test};

    use super::*;

    async fn broken() -> HttpResponse {
        panic!("what was in memory")
    }

    #[actix_web::test]
    async fn a_panic_is_an_answer_and_tells_nothing() {
        let app = test::init_service(
            App::new()
                .wrap(from_fn(pass))
                .route("/broken", web::get().to(broken)),
        )
        .await;
        let request = test::TestRequest::with_uri("/broken").to_request();
        let refused = test::try_call_service(&app, request).await.unwrap_err();
        let answer = refused.error_response();
        assert_eq!(answer.status(), 500);
        for name in [
            "content-security-policy",
            "x-request-id",
            "x-content-type-options",
        ] {
            assert!(answer.headers().contains_key(name), "{name}");
        }
        let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("memory"));
    }
}
