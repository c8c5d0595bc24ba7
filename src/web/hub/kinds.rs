//! `/api/kinds`: plugins bring kinds, everybody may list what he can see.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::base::error::Told;
use crate::base::{Error, Result};
use crate::node::Node;
use crate::web::{gate, reply, who};

/// Add a kind from its description.
pub async fn add(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let added = add_described(&node, &request, payload).await;
    reply::json(201, added)
}

async fn add_described(node: &Node, request: &HttpRequest, payload: web::Payload) -> Result<Value> {
    let (caller, _) = who::asks(request, node)?;
    let body = gate::body(payload, node.config.body_limit).await?;
    let described: Value = serde_json::from_slice(&body).map_err(|error| {
        Error::Invalid(Box::new(
            Told::new(
                "body.not_json",
                format!("The description is not JSON: {error}"),
            )
            .status(400),
        ))
    })?;
    let done = node
        .act(&caller, "kinds_add", json!({ "kind": described }))
        .await?;
    // The next request may already ask for it.
    node.reload_kinds().await?;
    Ok(done)
}

/// Every kind with the columns that the caller may see.
pub async fn list(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let (caller, _) = who::asks(&request, &node)?;
        node.act(&caller, "kinds_list", json!({})).await
    }
    .await;
    reply::json(200, listed)
}
