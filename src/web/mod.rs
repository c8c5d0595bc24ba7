//! The HTTP doors. No rules here: a door finds out who asks, calls one function, and says the answer in its dialect.

pub mod ap;
pub mod gate;
pub mod health;
pub mod hub;
pub mod metrics;
pub mod pages;
pub mod reply;
pub mod supabase;
pub mod watch;
pub mod who;

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use crate::node::Node;

/// How long running requests may take to finish once the hub was asked to stop.
const LAST_ORDERS: u64 = 10;

/// Every route of the hub.
pub fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/livez", web::get().to(health::alive))
        .route("/readyz", web::get().to(health::ready))
        .route("/metrics", web::get().to(metrics::show))
        .route("/openapi.json", web::get().to(supabase::rest::openapi))
        .route("/", web::get().to(pages::home))
        .route("/first", web::get().to(pages::first_form))
        .route("/first", web::post().to(pages::first_account))
        .route("/@{handle}", web::get().to(pages::seen::profile))
        .route("/posts/{id}", web::get().to(pages::seen::post))
        .route("/listings/{id}", web::get().to(pages::seen::listing))
        .route(
            "/declarations/{id}",
            web::get().to(pages::seen::declaration),
        )
        .route("/interact", web::get().to(pages::seen::interact))
        .route("/api/kinds", web::post().to(hub::kinds::add))
        .route("/api/kinds", web::get().to(hub::kinds::list))
        .configure(ap::routes)
        .configure(supabase::auth_admin::routes)
        .configure(supabase::auth_factors::routes)
        .configure(supabase::auth::routes)
        .configure(supabase::rest::routes)
        .default_service(web::to(reply::nothing_here));
}

/// A server on a listener; it stops on the signals that `cli::serve` handles.
pub fn server(
    node: web::Data<Node>,
    gate: web::Data<gate::Gate>,
    shelf: web::Data<ap::shelf::Shelf>,
    listener: TcpListener,
    workers: usize,
) -> std::io::Result<Server> {
    metrics::begin();
    health::begin();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(node.clone())
            .app_data(gate.clone())
            .app_data(shelf.clone())
            .wrap(from_fn(gate::pass))
            .wrap(from_fn(watch::pass))
            .configure(routes)
    })
    .workers(workers)
    .client_request_timeout(Duration::from_secs(10))
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(LAST_ORDERS)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}
