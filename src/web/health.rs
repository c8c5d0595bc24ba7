//! Whether the process lives and whether it can serve.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::base::{Result, clock, config};
use crate::db::look;
use crate::node::Node;

/// When this process began; a schema that changed later was brought up by another.
static SINCE: std::sync::LazyLock<DateTime<Utc>> = std::sync::LazyLock::new(clock::now);

/// Note the time of the start.
pub fn begin() {
    std::sync::LazyLock::force(&SINCE);
}

/// The process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// The database answers too, its schema is ours, there is room on the disk, and nobody has asked the hub to stop.
pub async fn ready(node: web::Data<Node>) -> HttpResponse {
    let not = |status: &str| {
        HttpResponse::ServiceUnavailable()
            .insert_header(("Retry-After", "5"))
            .json(json!({ "status": status }))
    };
    if node.is_stopping() {
        return HttpResponse::ServiceUnavailable().json(json!({ "status": "stopping" }));
    }
    if !node.is_open() {
        return not("starting");
    }
    match schema(&node).await {
        Ok(true) => {}
        Ok(false) => return not("the schema is not up to date"),
        Err(_) => return not("waiting for the database"),
    }
    match config::free_space(&node.config.data_dir) {
        Some(free) if free < node.config.disk_reserve => not("the disk is full"),
        _ => HttpResponse::Ok().json(json!({ "status": "ready" })),
    }
}

async fn schema(node: &Node) -> Result<bool> {
    look::is_schema_current(&node.probe, *SINCE).await
}
