//! The plug board: what every door and job is handed. Types and sockets only, no logic of any domain.

pub mod domain;
pub mod incoming;
pub mod witness;
pub mod work;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use serde_json::Value;

use crate::base::config::Config;
use crate::base::token::Signer;
use crate::base::{Caller, Error, Result};
use crate::db::{Db, settings};
use crate::kinds::actions::Action;
use crate::kinds::plan::Limits;
use crate::kinds::verbs::Hooks;
use crate::kinds::{Kinds, catalog};
use crate::net::Net;
use domain::Domain;
use incoming::{Hears, Meaning, Shows};
use witness::Witness;
use work::{Cron, JobEntry, Reaction};

/// A running hub.
pub struct Node {
    pub config: Config,
    pub db: Db,
    /// For probes only, so that a full pool does not make the hub look dead.
    pub probe: Db,
    pub net: Arc<Net>,
    signer: Arc<OnceLock<Signer>>,
    pub hooks: Hooks,
    /// What the doors saw and the audit log is to keep.
    pub witness: Arc<Witness>,
    domains: &'static [Domain],
    kinds: Arc<RwLock<Arc<Kinds>>>,
    stopping: Arc<AtomicBool>,
    parts: Parts,
    /// How something elsewhere is looked up for a caller who waits; federation plugs it in.
    pub look_up: OnceLock<LookUp>,
}

/// What rooms after this one keep for as long as the process lives, one of each type.
type Parts = Arc<RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>;

/// Learn who or what a name of another server stands for: `@user@host`, or the address of an actor or an object. What is
/// known already costs nothing.
pub type LookUp = for<'a> fn(&'a Node, &'a Caller, &'a str) -> Looking<'a>;

/// A look-up under way.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

impl Node {
    /// A hub over a database; closed until [`Node::open`] was called.
    pub fn new(config: Config, db: Db, probe: Db, net: Net, domains: &'static [Domain]) -> Self {
        Self {
            config,
            db,
            probe,
            net: Arc::new(net),
            signer: Arc::default(),
            hooks: Hooks(
                domains
                    .iter()
                    .flat_map(|domain| domain.hooks)
                    .copied()
                    .collect(),
            ),
            witness: Arc::default(),
            domains,
            kinds: Arc::default(),
            stopping: Arc::default(),
            parts: Arc::default(),
            look_up: OnceLock::new(),
        }
    }

    /// The same hub over connections of its own, so that jobs and requests do not wait for each other's.
    pub fn beside(&self, db: Db) -> Self {
        Self {
            config: self.config.clone(),
            db,
            probe: self.probe.clone(),
            net: self.net.clone(),
            signer: self.signer.clone(),
            hooks: self.hooks.clone(),
            witness: self.witness.clone(),
            domains: self.domains,
            kinds: self.kinds.clone(),
            stopping: self.stopping.clone(),
            parts: self.parts.clone(),
            look_up: self.look_up.clone(),
        }
    }

    /// Read the keys and the catalogue of a database whose schema is in place.
    pub async fn open(&self) -> Result<()> {
        self.reload_kinds().await?;
        let signer = Signer::new(settings::secret(&self.db, "jwt_secret").await?);
        self.signer.get_or_init(|| signer);
        Ok(())
    }

    /// Whether the hub can serve.
    pub fn is_open(&self) -> bool {
        self.signer.get().is_some()
    }

    /// What a room keeps in memory beside the hub, such as caches; made when it is first asked for.
    pub fn part<T: Send + Sync + 'static>(&self, make: impl FnOnce(&Config) -> T) -> Arc<T> {
        let key = TypeId::of::<T>();
        let found = {
            let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
            parts.get(&key).cloned()
        };
        let part = found.unwrap_or_else(|| {
            let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
            parts
                .entry(key)
                .or_insert_with(|| Arc::new(make(&self.config)))
                .clone()
        });
        part.downcast().expect("kept under its own type")
    }

    /// What signs and reads tokens.
    pub fn signer(&self) -> Result<&Signer> {
        self.signer
            .get()
            .ok_or_else(|| Error::busy("The hub is still starting."))
    }

    /// The catalogue as of now.
    pub fn kinds(&self) -> Arc<Kinds> {
        self.kinds
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Read the catalogue again.
    pub async fn reload_kinds(&self) -> Result<()> {
        let fresh = Arc::new(catalog::load(&self.db, &self.config.rest_schemas).await?);
        *self.kinds.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// What the table door allows.
    pub fn limits(&self) -> Limits<'_> {
        Limits {
            schemas: &self.config.rest_schemas,
            max_rows: self.config.rest_max_rows,
            max_depth: self.config.rest_max_depth,
            aggregates: self.config.rest_aggregates,
        }
    }

    /// Every verb of every domain.
    pub fn actions(&self) -> impl Iterator<Item = &'static Action> + Clone + use<> {
        self.domains.iter().flat_map(|domain| domain.actions)
    }

    /// The verb of this name.
    pub fn action(&self, name: &str) -> Option<&'static Action> {
        self.actions().find(|action| action.is_called(name))
    }

    /// Every job of every domain.
    pub fn jobs(&self) -> impl Iterator<Item = &'static JobEntry> + use<> {
        self.domains.iter().flat_map(|domain| domain.jobs)
    }

    /// What runs by itself.
    pub fn crons(&self) -> impl Iterator<Item = &'static Cron> + use<> {
        self.domains.iter().flat_map(|domain| domain.crons)
    }

    /// What follows from changes.
    pub fn reactions(&self) -> impl Iterator<Item = &'static Reaction> + use<> {
        self.domains.iter().flat_map(|domain| domain.reactions)
    }

    /// Who hears activities of this meaning, in the order of the domains.
    pub fn hears(&self, meaning: Meaning) -> impl Iterator<Item = &'static Hears> + use<> {
        self.domains
            .iter()
            .flat_map(|domain| domain.hears)
            .filter(move |hears| hears.meaning == meaning)
    }

    /// Who shows what is behind this part of an address.
    pub fn shows(&self, path: &str) -> Option<&'static Shows> {
        self.all_shows(path).next()
    }

    /// Everything that is shown there, each domain's part.
    pub fn all_shows<'a>(
        &self,
        path: &'a str,
    ) -> impl Iterator<Item = &'static Shows> + use<'_, 'a> {
        self.domains
            .iter()
            .flat_map(|domain| domain.shows)
            .filter(move |shows| shows.path == path)
    }

    /// Call a verb by name.
    pub async fn act(&self, caller: &Caller, name: &str, input: Value) -> Result<Value> {
        let action = self.action(name).ok_or_else(|| {
            Error::missing("action.unknown", format!("There is no action {name}."))
        })?;
        self.perform(caller, action, input).await
    }

    /// Run a verb in a transaction of its own; what it names elsewhere is looked up before.
    pub async fn perform(&self, caller: &Caller, action: &Action, input: Value) -> Result<Value> {
        let named = action.looks_up.and_then(|names| {
            names
                .split('|')
                .find_map(|name| match name.starts_with('/') {
                    true => input.pointer(name),
                    false => input.get(name),
                })
                .filter(|named| !named.is_null())
        });
        if let (Some(named), Some(look_up)) = (named.and_then(Value::as_str), self.look_up.get()) {
            look_up(self, caller, named).await?;
        }
        self.db
            .write(caller, async |tx| action.perform(tx, input.clone()).await)
            .await
    }

    /// Whether the database answers, asked over a connection that requests do not use.
    pub async fn database_answers(&self) -> Result<()> {
        self.probe.answers().await
    }

    /// Say that the hub is about to stop: it is not ready any more.
    pub fn stop_soon(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the hub was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
