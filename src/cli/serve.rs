//! `made-open serve`: start the database, bring it up, open the doors, stop everything cleanly.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{exit, log, note, open};
use crate::base::Error;
use crate::base::config::Config;
use crate::db::embedded::Embedded;
use crate::db::{check, migrate, pool};
use crate::domains::identity::{accounts, deletion};
use crate::domains::ops::audit::attempts;
use crate::domains::social::{actors, moderation};
use crate::domains::vault::{keys, sealing};
use crate::events;
use crate::fed::apply::Applier;
use crate::fed::changes::{self, catch_up};
use crate::fed::deliver::Deliverer;
use crate::jobs::runner::Runner;
use crate::node::Node;
use crate::web as doors;

/// Connections for applying what other servers say: one for the many that need nothing else, the others for the rest.
const APPLYING: usize = 4;
/// Connections of the deliverer: it reads and writes by turns.
const DELIVERY_POOL: usize = 2;

/// Serve the hub.
#[derive(Args, Default)]
#[command(
    after_help = "Example: made-open serve --bind 0.0.0.0:3000 --public-url https://hub.example"
)]
pub struct Serve {
    /// Refuse to start when the schema is not up to date, instead of migrating
    #[arg(long)]
    no_migrate: bool,
}

/// Serve until told to stop.
pub fn run(config: &Config, serve: &Serve) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&config.bind)
        .with_context(|| format!("cannot listen on {}", config.bind))?;
    let address = listener.local_addr()?;
    let mut found = open::database(config, &note)?;
    if found.embedded.is_some() && !found.started_here {
        bail!(
            "another hub already runs on {}; stop it first, or choose another data directory",
            config.data_dir.display()
        );
    }
    harden();
    let runtime = open::runtime()?;
    let node = open::node(config, &found.url)?;
    let served = runtime.block_on(async {
        let mut ends = Ends::listen()?;
        let mut config = config.clone();
        if config.public_url.is_some() {
            note(&format!("Listening on http://{address}"));
        } else {
            config.public_url = url::Url::parse(&format!("http://{address}")).ok();
            if let Some(url) = &config.public_url {
                node.db.hub().set_public_url(url.clone());
            }
        }
        let gate = web::Data::new(doors::gate::Gate::new(&node));
        let shelf = web::Data::new(doors::ap::shelf::Shelf::new());
        let figures = figures_apart(&node)?;
        let server = doors::server(
            web::Data::from(node.clone()),
            gate.clone(),
            shelf.clone(),
            listener,
            workers(),
        )?;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        let mut auditing = std::pin::pin!(attempts::write_down(&node));
        let ready = tokio::select! {
            ready = make_ready(&node, &found, serve) => ready,
            () = ends.told_to_stop() => {
                handle.stop(false).await;
                return Ok(());
            }
            () = tidy_up(&gate) => Ok(()),
        };
        if let Err(error) = ready {
            handle.stop(false).await;
            return Err(error);
        }
        let workers = start_workers(&node, &found.url)?;
        let applier = start_applier(&node, &found.url)?;
        let deliverer = start_deliverer(&node, &found.url)?;
        let cord = workers.cord();
        welcome(&node, &config).await?;

        let ended = tokio::select! {
            () = ends.told_to_stop() => None,
            status = ended(found.embedded.as_mut()) => Some(status),
            () = follow_catalogue(&node, &found.url) => None,
            () = events::react::follow(&node, &found.url) => None,
            () = shelf.follow(&found.url) => None,
            () = catch_up::follow(&node) => None,
            () = &mut auditing => None,
            hung_up = reload_on_hangup(&node) => hung_up.map(|()| None)?,
            () = tidy_up(&gate) => None,
        };
        node.stop_soon();
        if let Some(status) = ended {
            handle.stop(false).await;
            cord.pull();
            // Their threads end before the runtime does; there is nothing left to write down.
            let ends = async { tokio::join!(applier.stop(), deliverer.stop()) };
            drop(tokio::time::timeout(Duration::from_secs(1), ends).await);
            bail!("the database ended by itself ({status}); its log is postgres.log in the data directory");
        }
        note("Stopping: finishing what is under way …");
        tokio::select! {
            ((), (), (), ()) = async { tokio::join!(handle.stop(true), workers.stop(), applier.stop(), deliverer.stop()) } => drop(serving.await),
            () = ends.told_to_stop() => {
                note("Stopping at once.");
                cord.pull();
            }
        }
        // What was seen up to the last answer is still written down.
        node.witness.close();
        drop(tokio::time::timeout(Duration::from_secs(5), auditing).await);
        if let Some(figures) = figures {
            figures.stop(false).await;
        }
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    if let Some(embedded) = found.embedded {
        embedded.stop()?;
    }
    if served.is_ok() {
        note("Stopped.");
    }
    served
}

/// The jobs run over connections of their own.
fn start_workers(node: &Node, url: &str) -> anyhow::Result<Runner> {
    let db = node.db.for_jobs(url, node.config.jobs_pool)?;
    Ok(Runner::start(Arc::new(node.beside(db)), url.to_owned()))
}

/// So does what applies the activities of other servers.
fn start_applier(node: &Node, url: &str) -> anyhow::Result<Applier> {
    let db = node.db.for_applying(url, APPLYING)?;
    Ok(Applier::start(Arc::new(node.beside(db)), url.to_owned()))
}

/// Deliveries leave over connections of their own, so that a crowd of jobs does not hold them up.
fn start_deliverer(node: &Node, url: &str) -> anyhow::Result<Deliverer> {
    let db = node.db.for_jobs(url, DELIVERY_POOL)?;
    Ok(Deliverer::start(Arc::new(node.beside(db)), url.to_owned()))
}

/// Keep what the process knows out of core dumps and from other processes of the same user. The database's server was
/// started before and is a process of its own.
fn harden() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(cause) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(event = "may_be_dumped", cause = %cause);
    }
}

/// Wait for the database, bring it up, check that it is safe, read the catalogue. The process is live meanwhile.
async fn make_ready(node: &Node, found: &open::Found, serve: &Serve) -> anyhow::Result<()> {
    wait_for_database(&found.url).await?;
    if serve.no_migrate {
        if migrate::applied(&found.url).await?.as_deref() != Some(migrate::digest().as_str()) {
            bail!(
                "the schema is not up to date; run made-open migrate, or serve without --no-migrate"
            );
        }
    } else {
        open::bring_up(found, &note).await?;
    }
    check::refuse_unless_safe(&node.db)
        .await
        .map_err(|error| match error.is::<Error>() {
            true => error,
            false => exit::refused(format!("{error:#}")),
        })?;
    match keys::settle(&node.db, &node.config).await? {
        None => drop(sealing::catch_up(&node.db).await?),
        Some(why) => {
            tracing::error!(event = "vault_shut", cause = %why);
            note(&format!(
                "The vault is shut: {why}. Everything else serves; made-open vault check says more."
            ));
        }
    }
    node.open().await?;
    changes::go_on(node).await?;
    deletion::at_start(node).await?;
    moderation::settle_mode(node).await?;
    actors::at_start(node).await?;
    crate::domains::governance::closing::begin();
    Ok(())
}

/// The figures on a port of their own, where the settings want one.
fn figures_apart(node: &Arc<Node>) -> anyhow::Result<Option<ServerHandle>> {
    let Some(bind) = &node.config.metrics_bind else {
        return Ok(None);
    };
    let listener = TcpListener::bind(bind).with_context(|| format!("cannot listen on {bind}"))?;
    note(&format!(
        "Figures: http://{}/metrics",
        listener.local_addr()?
    ));
    let server = doors::metrics::server(web::Data::from(node.clone()), listener)?;
    let handle = server.handle();
    tokio::spawn(server);
    Ok(Some(handle))
}

/// Every now and then, what piles up is put away and what was not said is summed up.
async fn tidy_up(gate: &doors::gate::Gate) {
    let mut now = tokio::time::interval(Duration::from_secs(5));
    loop {
        now.tick().await;
        gate.tidy();
        log::tell_repeated();
    }
}

/// The database may start later than the hub.
async fn wait_for_database(url: &str) -> anyhow::Result<()> {
    let config: tokio_postgres::Config =
        url.parse().context("the database address cannot be read")?;
    let mut attempt = 0;
    loop {
        match pool::connect(&config).await {
            Ok(_) => return Ok(()),
            // The server is there and says no: waiting does not help, and for an embedded one it is not set up yet.
            Err(error) if pool::was_refused(&error) => return Ok(()),
            Err(error) => {
                let wait = migrate::back_off(attempt);
                tracing::warn!(event = "waiting_for_database", cause = %error, seconds = wait.as_secs_f32());
                tokio::time::sleep(wait).await;
                attempt += 1;
            }
        }
    }
}

/// Read the catalogue again whenever somebody changed it, in this process or another.
async fn follow_catalogue(node: &Node, url: &str) {
    pool::on_news(url, "hub_catalog", async || {
        if let Err(error) = node.reload_kinds().await {
            tracing::warn!(event = "catalogue_not_read", cause = %error);
        }
    })
    .await;
}

async fn welcome(node: &Node, config: &Config) -> anyhow::Result<()> {
    let address = config
        .public_url
        .as_ref()
        .map(|url| url.as_str().trim_end_matches('/').to_owned())
        .unwrap_or_default();
    if let Some(token) = accounts::first_link(&node.db).await? {
        note(&format!(
            "No account yet. Make the first one here (the link works once):\n  {address}/first?token={token}"
        ));
    }
    note(&format!("Ready: open {address}/"));
    Ok(())
}

/// The signals that end a hub. Listened to from the start, so that none is lost between two waits.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn told_to_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// SIGHUP: read again what can change while the hub runs.
async fn reload_on_hangup(node: &Node) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        if let Some(ring) = node.db.hub().keyring() {
            ring.reread();
        }
        match node.reload_kinds().await {
            Ok(()) => note("Read the catalogue again."),
            Err(error) => tracing::warn!(event = "catalogue_not_read", cause = %error),
        }
    }
    Ok(())
}

/// The embedded server's end, should it come by itself.
async fn ended(embedded: Option<&mut Embedded>) -> std::process::ExitStatus {
    let Some(embedded) = embedded else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Some(status) = embedded.exited() {
            return status;
        }
    }
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
