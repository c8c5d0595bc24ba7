//! `/rest/v1/<table>`: any table of the served schemas, in PostgREST's dialect. One handler for all of them.

use actix_web::http::{Method as HttpMethod, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::rpc;
use crate::base::error::Told;
use crate::base::{Caller, Error, Result};
use crate::kinds::ask::{Headers, Method, Request};
use crate::kinds::rows::{self, Response};
use crate::kinds::{Role, describe, refusal};
use crate::node::Node;
use crate::web::{gate, reply, watch, who};

/// The routes of this door.
pub fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/rest/v1", web::get().to(openapi))
        .route("/rest/v1/", web::get().to(openapi))
        .route("/rest/v1/", web::head().to(openapi))
        .route("/rest/v1/rpc/{name:.*}", web::to(rpc::act))
        .route("/rest/v1/{table:.*}", web::to(table));
}

/// Read or write rows of a table.
pub async fn table(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let (done, role) = match who::asks(&request, &node) {
        Ok((caller, role)) => (serve(&node, &request, payload, &caller, role).await, role),
        Err(error) => (Err(error), Role::Anon),
    };
    match done {
        Ok(mut response) => {
            watch::note(&request, response.by_role.take());
            answer(response)
        }
        Err(error) => refused(&error, role),
    }
}

async fn serve(
    node: &Node,
    request: &HttpRequest,
    payload: web::Payload,
    caller: &Caller,
    role: Role,
) -> Result<Response> {
    let method = match *request.method() {
        HttpMethod::GET => Method::Get,
        HttpMethod::HEAD => Method::Head,
        HttpMethod::POST => Method::Post,
        HttpMethod::PATCH => Method::Patch,
        HttpMethod::DELETE => Method::Delete,
        HttpMethod::PUT => Method::Put,
        ref other => {
            return Err(Error::Invalid(Box::new(
                Told::new("PGRST117", format!("Unsupported HTTP method: {other}")).status(405),
            )));
        }
    };
    let body = gate::body(payload, node.config.body_limit).await?;
    let table = percent_decoded(
        request
            .uri()
            .path()
            .strip_prefix("/rest/v1/")
            .unwrap_or_default(),
    )?;
    let prefer = joined(request, "prefer");
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let kinds = node.kinds();
    rows::serve(
        &node.db,
        &kinds,
        &node.limits(),
        &node.hooks,
        caller,
        role,
        Request {
            method,
            table: &table,
            query: request.uri().query().unwrap_or_default(),
            headers: Headers {
                accept: text("accept"),
                prefer: prefer.as_deref(),
                range: text("range"),
                range_unit: text("range-unit"),
                content_type: text("content-type"),
                accept_profile: text("accept-profile"),
                content_profile: text("content-profile"),
                if_match: text("if-match"),
            },
            body: &body,
        },
    )
    .await
}

/// What the caller may see, as OpenAPI.
pub async fn openapi(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    match who::asks(&request, &node) {
        Ok((_, role)) => {
            let schema = request
                .headers()
                .get("accept-profile")
                .and_then(|value| value.to_str().ok())
                .or(node.config.rest_schemas.first().map(String::as_str))
                .unwrap_or("public");
            if !node.config.rest_schemas.iter().any(|known| known == schema) {
                return refused(
                    &Error::Invalid(Box::new(
                        Told::new("PGRST106", format!("Invalid schema: {schema}"))
                            .hint(format!(
                                "Only the following schemas are exposed: {}",
                                node.config.rest_schemas.join(", ")
                            ))
                            .status(406),
                    )),
                    role,
                );
            }
            HttpResponse::Ok()
                .content_type("application/openapi+json")
                .json(describe::openapi(
                    &node.kinds(),
                    schema,
                    node.actions(),
                    role,
                    node.config.public_url.as_ref(),
                ))
        }
        Err(error) => refused(&error, Role::Anon),
    }
}

/// An answer of the generic machinery as an HTTP answer.
pub fn answer(response: Response) -> HttpResponse {
    let mut answer = HttpResponse::build(reply::code(response.status));
    for (name, value) in response.headers {
        answer.insert_header((name, value));
    }
    answer.body(response.body)
}

/// An error in this door's shape.
pub fn refused(error: &Error, role: Role) -> HttpResponse {
    reply::log(error);
    let (status, body) = refusal::render(error, role);
    let mut answer = HttpResponse::build(reply::code(status));
    answer.content_type("application/json; charset=utf-8");
    if status == 401 {
        answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    if let Some(wait) = error.retry_after() {
        answer.insert_header((header::RETRY_AFTER, wait.as_secs().to_string()));
    }
    if let Some(told) = error.told() {
        // An answer to HEAD has no body: clients read the code here.
        answer.insert_header(("Proxy-Status", format!("PostgREST; error={}", told.code)));
    }
    answer.body(body)
}

/// A header that may come several times, as one list.
fn joined(request: &HttpRequest, name: &str) -> Option<String> {
    let values: Vec<&str> = request
        .headers()
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// A path segment with its percent signs read; what is no text names no table.
pub fn percent_decoded(segment: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err(no_such_path(segment)),
        }
    }
    String::from_utf8(bytes).map_err(|_| no_such_path(segment))
}

fn no_such_path(segment: &str) -> Error {
    Error::Invalid(Box::new(
        Told::new(
            "PGRST125",
            format!("Invalid path specified in request URL: {segment}"),
        )
        .status(404),
    ))
}
