//! What every request passes: a request id, the headers that every answer carries, cross-origin rules, body limits.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;

use crate::base::error::Told;
use crate::base::{Error, Result};
use crate::node::Node;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Stand around every request.
pub async fn pass(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let open_to_all = ["/rest/", "/auth/"]
        .iter()
        .any(|door| request.path().starts_with(door));
    let is_page = !open_to_all && !request.path().starts_with("/api/");
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let asked_headers = request
        .headers()
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .cloned();

    let is_waiting = request.path() != "/livez"
        && request
            .app_data::<web::Data<Node>>()
            .is_some_and(|node| !node.is_open());

    let mut response = if is_waiting {
        let starting = HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "5"))
            .json(serde_json::json!({
                "code": "starting", "message": "The hub waits for its database.", "details": null, "hint": null,
            }));
        request.into_response(starting)
    } else if open_to_all && is_preflight {
        request
            .into_response(HttpResponse::NoContent().finish())
            .map_into_boxed_body()
    } else {
        next.call(request).await?.map_into_boxed_body()
    };

    let headers = response.headers_mut();
    let id = uuid::Uuid::now_v7().to_string();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if open_to_all {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, ETag, Location, Server, \
                 Preference-Applied, Retry-After, X-Request-Id, X-Supabase-Api-Version, Proxy-Status",
            ),
        );
        if is_preflight {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"),
            );
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                asked_headers.unwrap_or(HeaderValue::from_static(
                    "authorization, apikey, content-type, prefer",
                )),
            );
            headers.insert(
                header::ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from_static("86400"),
            );
        }
    }
    if is_page {
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
                 frame-ancestors 'none'",
            ),
        );
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
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
