//! `/metrics` for Prometheus: requests, the pool, the database, jobs, this process. Answers while the database is away too.
//!
//! On the main port it asks who wants to know: a service key, or this machine itself as long as no public address is set.
//! A proxy on this machine makes everybody look like this machine, so with a public address only the key counts.

use std::net::TcpListener;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::dev::Server;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::gate::peer;
use super::gate::route::Class;
use crate::base::config::{self, Config};
use crate::base::secret::token_hash;
use crate::base::{Caller, Error, Result};
use crate::fed::deliver;
use crate::jobs::figures;
use crate::kinds::Role;
use crate::node::Node;
use crate::web::{reply, who};

/// What the database was asked is not asked again so soon.
const FRESH: Duration = Duration::from_secs(5);

/// How long a scrape waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a key that was good still is while the database can't be asked.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Upper edges of the histogram's buckets in seconds.
const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

static SINCE: LazyLock<Instant> = LazyLock::new(Instant::now);

static HANDLE: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let recorder = PrometheusBuilder::new()
        .set_buckets(BUCKETS)
        .expect("the list is not empty")
        .build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!(event = "figures_counted_elsewhere");
    }
    handle
});

/// When the database was asked last, and the last key that was good.
static ASKED: LazyLock<tokio::sync::Mutex<Option<Instant>>> = LazyLock::new(Default::default);
static GOOD_KEY: Mutex<Option<(Vec<u8>, Instant)>> = Mutex::new(None);

/// Begin to count.
pub fn begin() {
    LazyLock::force(&SINCE);
    LazyLock::force(&HANDLE);
}

/// Count a request.
pub fn request(class: Class, status: u16, took: Duration) {
    counter!("made_open_requests_total", "class" => class.name(), "status" => status.to_string())
        .increment(1);
    histogram!("made_open_request_seconds", "class" => class.name()).record(took.as_secs_f64());
}

/// Once in a while: what was measured is put into its buckets, or it would pile up where nobody scrapes.
pub fn tidy() {
    HANDLE.run_upkeep();
}

/// The figures, for those who may see them.
pub async fn show(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    match may_see(&node, &request).await {
        Ok(()) => figures_of(&node).await,
        Err(error) => reply::problem(&error),
    }
}

/// The figures on a port of their own, for whoever reaches it.
async fn show_all(node: web::Data<Node>) -> HttpResponse {
    figures_of(&node).await
}

/// A server for the figures alone.
pub fn server(node: web::Data<Node>, listener: TcpListener) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(node.clone())
            .route("/metrics", web::get().to(show_all))
    })
    .workers(1)
    .client_request_timeout(Duration::from_secs(10))
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

async fn may_see(node: &Node, request: &HttpRequest) -> Result<()> {
    if is_this_machine(&node.config, request) {
        return Ok(());
    }
    let no = || {
        Error::sign_in(
            "metrics.key_needed",
            "The figures are for service keys; MADE_OPEN_METRICS_BIND moves them to a port of their own.",
        )
    };
    let (Caller::Session(session), Role::Service) = who::asks(request, node)? else {
        return Err(no());
    };
    let shown = who::token(request)?.map(token_hash).ok_or_else(no)?;
    let caller = Caller::Session(session);
    let entered = node.probe.read(&caller, async |_| Ok(()));
    match tokio::time::timeout(PATIENCE, entered).await {
        Ok(Ok(())) => {
            *GOOD_KEY.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((shown, Instant::now()));
            Ok(())
        }
        Ok(Err(error)) if !error.is_transient() => Err(error),
        _ => {
            let good = GOOD_KEY.lock().unwrap_or_else(PoisonError::into_inner);
            match &*good {
                Some((key, at)) if *key == shown && at.elapsed() < REMEMBERED => Ok(()),
                _ => Err(Error::busy(
                    "The database can't say whether this key is good.",
                )),
            }
        }
    }
}

fn is_this_machine(config: &Config, request: &HttpRequest) -> bool {
    let is_private = config.public_url.as_ref().is_none_or(config::is_local);
    is_private
        && !peer::was_forwarded(request.headers())
        && peer::address(request).is_some_and(|address| address.is_loopback())
}

async fn figures_of(node: &Node) -> HttpResponse {
    of_the_process();
    let (lent, most, waiting) = node.db.pool_use();
    gauge!("made_open_database_connections", "state" => "lent").set(lent as f64);
    gauge!("made_open_database_connections", "state" => "most").set(most as f64);
    gauge!("made_open_database_waiting").set(waiting as f64);
    of_the_database(node).await;
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(HANDLE.render())
}

/// Asked over the probe's connection, and not by everybody at once.
async fn of_the_database(node: &Node) {
    let mut asked = ASKED.lock().await;
    if asked.is_some_and(|at| at.elapsed() < FRESH) {
        return;
    }
    let counting = async {
        let jobs = figures::figures(&node.probe).await?;
        Ok::<_, Error>((jobs, deliver::figures::figures(&node.probe).await?))
    };
    let counted = if node.is_open() {
        tokio::time::timeout(PATIENCE, counting)
            .await
            .ok()
            .and_then(Result::ok)
    } else {
        None
    };
    *asked = Some(Instant::now());
    gauge!("made_open_database_up").set(if counted.is_some() { 1.0 } else { 0.0 });
    let (jobs, deliveries) = counted.unwrap_or_default();
    for (queue, state, count) in jobs {
        gauge!("made_open_jobs", "queue" => queue, "state" => state).set(count as f64);
    }
    for (state, count) in deliveries {
        gauge!("made_open_deliveries", "state" => state).set(count as f64);
    }
}

fn of_the_process() {
    gauge!("made_open_uptime_seconds").set(SINCE.elapsed().as_secs_f64());
    gauge!("made_open_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .and_then(|kilobytes| kilobytes.trim().parse::<f64>().ok());
    if let Some(kilobytes) = resident {
        gauge!("process_resident_memory_bytes").set(kilobytes * 1024.0);
    }
}
