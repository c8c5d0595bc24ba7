//! What the audit log is told of requests: through which door they came, which were refused, and who read others' rows by
//! what he is in the hub. It decides nothing and keeps no answer waiting.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};
use serde_json::{Map, json};
use uuid::Uuid;

use super::{gate, who};
use crate::base::{Caller, door};
use crate::kinds::rows::Seen;
use crate::node::Node;
use crate::node::witness::{Sight, Who};

/// Stand around every request.
pub async fn pass(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let door = door_of(request.path());
    let response = door::through(door, next.call(request)).await?;
    let request = response.request();
    let is_denied = matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    let seen = request.extensions_mut().remove::<Seen>();
    if (is_denied || seen.is_some())
        && let Some(node) = request.app_data::<web::Data<Node>>()
    {
        let session = match who::asks(request, node) {
            Ok((Caller::Session(session), _)) => Some(session),
            _ => None,
        };
        let whom = match session {
            Some(session) => Who::Session(session),
            None => Who::Address(gate::address(request)),
        };
        let sight = match seen {
            Some(seen) if !is_denied => read_by_role(session, door, seen),
            _ => denied(node, &response, session, door),
        };
        node.witness.saw(whom, sight);
    }
    Ok(response)
}

/// What a path's door is called in the log.
fn door_of(path: &str) -> &'static str {
    let doors = [
        ("/rest/v1/rpc/", "rpc"),
        ("/rest/", "rest"),
        ("/auth/", "auth"),
        ("/api/", "api"),
    ];
    doors
        .iter()
        .find(|(start, _)| path.starts_with(start))
        .map_or("page", |(_, door)| door)
}

fn denied(
    node: &Node,
    response: &ServiceResponse<impl MessageBody>,
    session: Option<Uuid>,
    door: &'static str,
) -> Sight {
    let request = response.request();
    let mut metadata = Map::new();
    metadata.insert("status".to_owned(), response.status().as_u16().into());
    metadata.insert("method".to_owned(), request.method().as_str().into());
    let code = response
        .headers()
        .get("Proxy-Status")
        .and_then(|said| said.to_str().ok())
        .and_then(|said| said.split_once("error="));
    if let Some((_, code)) = code {
        metadata.insert("code".to_owned(), code.into());
    }
    Sight {
        session,
        door,
        action: action_of(request.method(), door),
        resource: resource_of(node, request.path(), request.match_pattern(), door),
        is_denied: true,
        metadata,
    }
}

fn read_by_role(session: Option<Uuid>, door: &'static str, seen: Seen) -> Sight {
    let mut metadata = Map::new();
    metadata.insert("tables".to_owned(), json!(seen.tables));
    metadata.insert("filters".to_owned(), json!(seen.filters));
    Sight {
        session,
        door,
        action: "read",
        resource: seen.tables.into_iter().next().unwrap_or_default(),
        is_denied: false,
        metadata,
    }
}

fn action_of(method: &Method, door: &str) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "read",
        Method::DELETE => "delete",
        Method::POST if door != "rest" => "execute",
        _ => "write",
    }
}

/// What was asked for, in the hub's own words: a name that a stranger made up is not repeated.
fn resource_of(node: &Node, path: &str, pattern: Option<String>, door: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let known = match door {
        "rest" => node
            .kinds()
            .schemas
            .values()
            .any(|tables| tables.contains_key(name))
            .then(|| name.to_owned()),
        "rpc" => node.action(name).map(|action| action.name()),
        _ => pattern.filter(|pattern| !pattern.contains(".*")),
    };
    known.unwrap_or_else(|| "unknown".to_owned())
}

/// Leave what was read by role with the request, for the log.
pub fn note(request: &impl HttpMessage, seen: Option<Seen>) {
    if let Some(seen) = seen {
        request.extensions_mut().insert(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_and_verbs_have_words_of_the_log() {
        assert_eq!(door_of("/rest/v1/persons"), "rest");
        assert_eq!(door_of("/rest/v1/rpc/kinds_add"), "rpc");
        assert_eq!(door_of("/auth/v1/user"), "auth");
        assert_eq!(door_of("/first"), "page");
        assert_eq!(action_of(&Method::POST, "rest"), "write");
        assert_eq!(action_of(&Method::POST, "rpc"), "execute");
        assert_eq!(action_of(&Method::DELETE, "rest"), "delete");
        assert_eq!(action_of(&Method::HEAD, "auth"), "read");
        assert_eq!(action_of(&Method::PUT, "auth"), "write");
    }
}
