//! `/rest/v1/rpc/<kind>_<verb>`: the one handler for every verb. POST calls it; GET too when it changes nothing.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use super::rest::{percent_decoded, refused};
use crate::base::error::Told;
use crate::base::{Caller, Error, Result};
use crate::kinds::Role;
use crate::kinds::actions::Action;
use crate::node::Node;
use crate::web::{gate, who};

/// Call a verb.
pub async fn act(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let (done, role) = match who::asks(&request, &node) {
        Ok((caller, role)) => (run(&node, &request, payload, &caller).await, role),
        Err(error) => (Err(error), Role::Anon),
    };
    match done {
        Ok(value) => HttpResponse::Ok()
            .content_type("application/json; charset=utf-8")
            .json(value),
        Err(error) => refused(&error, role),
    }
}

async fn run(
    node: &Node,
    request: &HttpRequest,
    payload: web::Payload,
    caller: &Caller,
) -> Result<Value> {
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) {
        return Err(Error::Invalid(Box::new(
            Told::new(
                "PGRST101",
                format!("Cannot use the {} method on RPC", request.method()),
            )
            .status(405),
        )));
    }
    let name = percent_decoded(
        request
            .uri()
            .path()
            .strip_prefix("/rest/v1/rpc/")
            .unwrap_or_default(),
    )?;
    let action = node.action(&name).ok_or_else(|| unknown(node, &name))?;
    let input = match *request.method() {
        Method::POST => {
            let body = gate::body(payload, node.config.body_limit).await?;
            if body.is_empty() {
                Value::Object(Map::new())
            } else {
                serde_json::from_slice(&body).map_err(|_| {
                    Error::Invalid(Box::new(
                        Told::new("PGRST102", "Empty or invalid json").status(400),
                    ))
                })?
            }
        }
        Method::GET | Method::HEAD if action.reads_only => {
            from_query(action, request.uri().query().unwrap_or_default())?
        }
        _ => {
            return Err(Error::Invalid(Box::new(
                Told::new(
                    "PGRST101",
                    "Only the POST verb can call an action that changes something",
                )
                .status(405),
            )));
        }
    };
    if !input.is_object() {
        return Err(Error::Invalid(Box::new(
            Told::new("PGRST102", "The arguments of an action are one JSON object").status(400),
        )));
    }
    node.perform(caller, action, input).await
}

/// Arguments of a GET are text; those that are not text in the action are read as JSON.
fn from_query(action: &Action, query: &str) -> Result<Value> {
    let mut input = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let is_text = action
            .arguments
            .iter()
            .any(|(argument, sql_type)| *argument == name && matches!(*sql_type, "text" | "uuid"));
        let value = if is_text {
            Value::String(value.into_owned())
        } else {
            serde_json::from_str(&value).unwrap_or_else(|_| Value::String(value.into_owned()))
        };
        input.insert(name.into_owned(), value);
    }
    Ok(Value::Object(input))
}

fn unknown(node: &Node, name: &str) -> Error {
    let nearest = node
        .actions()
        .map(Action::name)
        .map(|known| (strsim::jaro_winkler(&known, name), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let mut told = Told::new(
        "PGRST202",
        format!("Could not find the function public.{name} in the schema cache"),
    )
    .details(format!(
        "Searched for the function public.{name}, but no matches were found in the schema cache."
    ))
    .status(404);
    if let Some((_, known)) = nearest {
        told = told.hint(format!(
            "Perhaps you meant to call the function public.{known}"
        ));
    }
    Error::Missing(Box::new(told))
}
