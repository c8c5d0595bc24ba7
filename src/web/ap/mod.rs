//! The door for other servers: ActivityPub. No rules here; what comes in is judged by `fed::inbox`.

pub mod inbox;

use actix_web::web;

/// Where other servers post.
pub fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/ap/inbox", web::post().to(inbox::shared))
        .route("/ap/actors/{id}/inbox", web::post().to(inbox::of_actor))
        .route("/ap/groups/{id}/inbox", web::post().to(inbox::of_actor));
}
