//! Whether the process lives and whether it can serve.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::node::Node;

/// The process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// The database answers too, and nobody has asked the hub to stop.
pub async fn ready(node: web::Data<Node>) -> HttpResponse {
    if node.is_stopping() {
        return HttpResponse::ServiceUnavailable().json(json!({ "status": "stopping" }));
    }
    match node.database_answers().await {
        Ok(()) => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Err(_) => HttpResponse::ServiceUnavailable()
            .insert_header(("Retry-After", "5"))
            .json(json!({ "status": "waiting for the database" })),
    }
}
