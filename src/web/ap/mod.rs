//! The `activitypub` door: what other servers read here and say to us. It finds out who asks, calls one function and says
//! the answer; every rule stands in `fed` and in the domains.

pub mod changes;
pub mod dao;
pub mod exports;
pub mod inbox;
pub mod objects;
pub mod shelf;
pub mod well_known;
pub mod who;

use actix_web::web;

/// Every route of this door.
pub fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/ap/inbox", web::post().to(inbox::shared))
        .route("/ap/actors/{id}/inbox", web::post().to(inbox::of_actor))
        .route("/ap/groups/{id}/inbox", web::post().to(inbox::of_actor))
        .route(
            "/.well-known/webfinger",
            web::get().to(well_known::webfinger),
        )
        .route(
            "/.well-known/host-meta",
            web::get().to(well_known::host_meta),
        )
        .route(
            "/.well-known/host-meta.json",
            web::get().to(well_known::host_meta_json),
        )
        .route(
            "/.well-known/nodeinfo",
            web::get().to(well_known::nodeinfo_links),
        )
        .route("/nodeinfo/{version}", web::get().to(well_known::nodeinfo))
        .route("/ns/hub/v1", web::get().to(well_known::context))
        .service(objects::reads("/dao/{slug}", dao::dao))
        .service(objects::reads("/dao/{slug}/{sheet}", dao::sheet))
        .service(objects::reads(
            "/dao/{slug}/proposals/{number}",
            dao::proposal,
        ))
        .service(objects::reads("/export/{name}", exports::read))
        .service(objects::reads("/ap/changes", changes::read))
        .service(objects::reads("/ap/actor", objects::node))
        .service(objects::reads("/ap/actor/{collection}", objects::of_node))
        .service(objects::reads("/ap/{path}/{id}", objects::one))
        .service(objects::reads(
            "/ap/{path}/{id}/{collection}",
            objects::part,
        ));
}
