//! Find the database that a command is meant for: the one named, the running hub's, or the embedded one started for
//! the moment.

use std::sync::Arc;

use anyhow::Context;

use super::note;
use crate::base::Amount;
use crate::base::Hub;
use crate::base::config::{self, Config};
use crate::base::hub::{ActorLimits, CreditLimits};
use crate::db::embedded::Embedded;
use crate::db::{Db, bootstrap, migrate};
use crate::domains;
use crate::domains::vault::keys;
use crate::fed::remote;
use crate::net::Net;
use crate::node::Node;

/// The database of a command.
pub struct Found {
    /// The login's address.
    pub url: String,
    /// The embedded server, when there is one.
    pub embedded: Option<Embedded>,
    /// Whether this process started it.
    pub started_here: bool,
}

/// Find the database. Must run on the main thread before any other exists: the embedded server dies with the
/// thread that started it.
pub fn database(config: &Config, say: &dyn Fn(&str)) -> anyhow::Result<Found> {
    if let Some(url) = &config.database_url {
        return Ok(Found {
            url: url.reveal().to_owned(),
            embedded: None,
            started_here: false,
        });
    }
    let data_dir = config::absolute(&config.data_dir)?;
    if let Some(running) = Embedded::attach(&data_dir)? {
        return Ok(Found {
            url: running.app_url(),
            embedded: Some(running),
            started_here: false,
        });
    }
    let embedded = Embedded::start(&data_dir, say)?;
    Ok(Found {
        url: embedded.app_url(),
        embedded: Some(embedded),
        started_here: true,
    })
}

/// Threads for everything asynchronous that is not a web worker.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Roles and schema of an embedded database; of a named one only the schema.
pub async fn bring_up(found: &Found, say: &dyn Fn(&str)) -> anyhow::Result<migrate::Done> {
    if let Some(embedded) = &found.embedded
        && found.started_here
        && !bootstrap::is_done(&found.url).await
    {
        say("Setting up roles and database …");
        bootstrap::run(
            |database| embedded.admin_url(database),
            "made_open",
            Some(embedded.app_password()),
        )
        .await?;
    }
    if migrate::applied(&found.url).await?.as_deref() != Some(migrate::digest().as_str()) {
        say("Bringing the schema up …");
    }
    migrate::up(&found.url).await
}

/// Run a command that needs a hub's machinery, then stop what was started for it.
pub fn with_node(
    config: &Config,
    work: impl AsyncFnOnce(&Node) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_database(config, async |found| {
        bring_up(found, &|_| ()).await?;
        let node = node(config, &found.url)?;
        node.open().await?;
        work(&node).await
    })
}

/// Run a command that needs the database, then stop what was started for it.
pub fn with_database<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Found) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let found = database(config, &note)?;
    let runtime = runtime()?;
    let done = runtime.block_on(work(&found));
    drop(runtime);
    if let Some(embedded) = found.embedded
        && found.started_here
    {
        embedded.stop()?;
    }
    done
}

/// The machinery over a database's address; nothing is connected yet.
pub fn node(config: &Config, url: &str) -> anyhow::Result<Arc<Node>> {
    let hub = Arc::new(Hub::default());
    if let Some(url) = &config.public_url {
        hub.set_public_url(url.clone());
    }
    if config.limits {
        hub.set_actor_limits(ActorLimits {
            follows: config.limit_follows,
            reports: config.limit_reports,
            offers: config.limit_offers,
            votes: config.limit_votes,
        });
    }
    hub.set_credit_limits(CreditLimits {
        account: Amount::whole(config.time_credit_limit.into()),
        peer: Amount::whole(config.peer_credit_limit.into()),
    });
    if let Some(domain) = &config.handle_domain {
        hub.set_handle_domain(domain.to_lowercase());
    }
    hub.set_keyring(Arc::new(keys::ring(config)));
    let db = Db::of(hub.clone(), url, config.database_pool)?;
    let probe = Db::of(hub, url, 1)?;
    let net = Net::new(config)?;
    let node = Node::new(config.clone(), db, probe, net, domains::ALL);
    node.look_up.get_or_init(|| remote::look_up);
    Ok(Arc::new(node))
}
