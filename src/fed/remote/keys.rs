//! Keys by their ids: from memory, from the database, else from the server that the id names. One look-up per key at a
//! time, few per host, and what was not to be had is not asked for again at once (R8, S-12, S-148).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use moka::Expiry;
use moka::future::Cache;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::actors::{self, Told};
use super::fetch::{self, Wanted};
use super::{Unreached, objects};
use crate::base::config::Config;
use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::crypto::{KeyFlaw, PublicKey};
use crate::fed::{trust, vocab};
use crate::net::http::Budget;
use crate::node::Node;

/// How long a key is believed without another look into the database: another process may have learned better.
const FRESH: Duration = Duration::from_secs(10);

/// How long what is no key stays none, what is gone stays gone, and who did not answer is left alone.
const NONE: Duration = Duration::from_secs(5 * 60);
const GONE: Duration = Duration::from_secs(60 * 60);
const DOWN: Duration = Duration::from_secs(30);
const CROWDED: Duration = Duration::from_secs(1);

/// How long nobody asks the database again whether an actor's key may be fetched anew, once it has said no.
const REFUSED: Duration = Duration::from_secs(1);

/// How many keys are remembered, good ones and others.
const MOST: u64 = 20_000;

/// How many keys are fetched at the same time, whoever asks.
const AT_ONCE: usize = 50;

/// A key, and whose it is.
#[derive(Clone, Debug)]
pub struct Known {
    pub key: PublicKey,
    pub owner: String,
    pub actor: Uuid,
    pub is_suspended: bool,
    pub is_deleted: bool,
    /// Whether it was fetched for this very question.
    is_new: bool,
}

#[derive(Clone)]
enum Found {
    Known(Arc<Known>),
    Not(Unreached),
}

/// What a process remembers of keys, and how it is kept from asking too much.
pub struct Keys {
    found: Cache<String, Found>,
    parsed: Cache<String, PublicKey>,
    /// Actors whose keys were looked at not long ago.
    looked_at: Cache<Uuid, ()>,
    fetching: Semaphore,
    by_host: Option<RateLimiter<String, DashMapStateStore<String>, DefaultClock>>,
}

struct Lasts;

impl Expiry<String, Found> for Lasts {
    fn expire_after_create(&self, _: &String, found: &Found, _: Instant) -> Option<Duration> {
        Some(match found {
            Found::Known(_) => FRESH,
            Found::Not(Unreached::Gone) => GONE,
            Found::Not(Unreached::Down(_)) => DOWN,
            Found::Not(Unreached::Busy | Unreached::Spent) => CROWDED,
            Found::Not(_) => NONE,
        })
    }
}

impl Keys {
    fn new(config: &Config) -> Self {
        let rate = config.limit_key_fetches;
        let each = Duration::from_secs(rate.seconds.into()) / rate.count.max(1);
        let burst = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(each).map(|quota| quota.allow_burst(burst));
        Self {
            found: Cache::builder()
                .max_capacity(MOST)
                .expire_after(Lasts)
                .build(),
            parsed: Cache::builder().max_capacity(MOST).build(),
            looked_at: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(REFUSED)
                .build(),
            fetching: Semaphore::new(AT_ONCE),
            by_host: quota.filter(|_| config.limits).map(RateLimiter::keyed),
        }
    }

    /// What a process remembers.
    pub fn of(node: &Node) -> Arc<Self> {
        node.part(Self::new)
    }

    /// Whether strangers may make the hub ask this host once more.
    pub fn may_ask(&self, host: &str) -> bool {
        let Some(by_host) = &self.by_host else {
            return true;
        };
        if by_host.len() as u64 > MOST {
            by_host.retain_recent();
        }
        by_host.check_key(&host.to_owned()).is_ok()
    }

    async fn parse(&self, text: &str) -> Result<PublicKey, KeyFlaw> {
        if let Some(key) = self.parsed.get(text).await {
            return Ok(key);
        }
        let key = match text.starts_with('z') {
            true => PublicKey::from_multibase(text),
            false => PublicKey::from_pem(text),
        }?;
        self.parsed.insert(text.to_owned(), key.clone()).await;
        Ok(key)
    }
}

/// A key by its id.
pub async fn find(node: &Node, key_id: &str, budget: &Budget) -> Result<Arc<Known>, Unreached> {
    let keys = Keys::of(node);
    // New is a key only for whoever fetched it; those who find it in the cache later may have to ask again.
    let was_fetched = AtomicBool::new(false);
    let looked = keys.found.get_with_by_ref(key_id, async {
        match look(node, &keys, key_id, budget).await {
            Ok(known) => {
                was_fetched.store(known.is_new, Ordering::Relaxed);
                Found::Known(Arc::new(Known {
                    is_new: false,
                    ..known
                }))
            }
            Err(why) => Found::Not(why),
        }
    });
    match Box::pin(looked).await {
        Found::Known(known) if was_fetched.load(Ordering::Relaxed) => Ok(Arc::new(Known {
            is_new: true,
            ..(*known).clone()
        })),
        Found::Known(known) => Ok(known),
        Found::Not(why) => Err(why),
    }
}

/// The key of an actor whose signature did not fit: he may have a new one. Asked once in five minutes per actor; in between
/// nobody can say, so that the sender is asked to come again (R8).
pub async fn anew(
    node: &Node,
    key_id: &str,
    known: &Known,
    budget: &Budget,
) -> Result<Option<Arc<Known>>, Unreached> {
    if known.is_new {
        return Ok(None);
    }
    let keys = Keys::of(node);
    if keys.looked_at.contains_key(&known.actor) {
        return Err(Unreached::Down(NONE));
    }
    let mut turn = Statement::<SqlUuid>::new(
        "update public.ap_actors set keys_looked_at = now() where kind is null \
         and (keys_looked_at is null or keys_looked_at < now() - interval '5 minutes') and id = ",
    );
    turn.bind(Bind::Uuid(known.actor)).sql(" returning id");
    let ours: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, turn).await?;
    if ours.is_empty() {
        keys.looked_at.insert(known.actor, ()).await;
        return Err(Unreached::Down(NONE));
    }
    let fetched = fetched(node, &keys, key_id, budget).await;
    keys.found.invalidate(key_id).await;
    match fetched {
        Ok(fetched) if fetched.key == known.key => Ok(None),
        Ok(fetched) => Ok(Some(Arc::new(fetched))),
        Err(why) if why.is_passing() => Err(why),
        Err(_) => Ok(None),
    }
}

async fn look(node: &Node, keys: &Keys, key_id: &str, budget: &Budget) -> Result<Known, Unreached> {
    match kept(node, keys, key_id).await? {
        Some(known) => Ok(known),
        None => fetched(node, keys, key_id, budget).await,
    }
}

/// As the database has it.
async fn kept(node: &Node, keys: &Keys, key_id: &str) -> Result<Option<Known>, Unreached> {
    type Row = (Text, Text, SqlUuid, Bool, Bool);
    let mut ask = Statement::<Row>::new(
        "select k.public_key, a.uri, a.id, a.suspended_at is not null, a.deleted_at is not null \
         from public.ap_keys k join public.ap_actors a on a.id = k.actor_id where k.key_uri = ",
    );
    ask.text(key_id);
    let found: Vec<(String, String, Uuid, bool, bool)> =
        Tx::once(&node.db, &Caller::Hub, ask).await?;
    let Some((text, owner, actor, is_suspended, is_deleted)) = found.into_iter().next() else {
        return Ok(None);
    };
    let key = keys
        .parse(&text)
        .await
        .map_err(|flaw| Unreached::Refused(flaw.reason()))?;
    Ok(Some(Known {
        key,
        owner,
        actor,
        is_suspended,
        is_deleted,
        is_new: false,
    }))
}

/// As its server has it: on the actor himself, or alone with its owner's name, who must then show it as well.
async fn fetched(
    node: &Node,
    keys: &Keys,
    key_id: &str,
    budget: &Budget,
) -> Result<Known, Unreached> {
    let origin = trust::origin(key_id).ok_or(Unreached::Refused("key_id"))?;
    if !keys.may_ask(&origin.host_key()) {
        return Err(Unreached::Busy);
    }
    let Ok(_permit) = keys.fetching.try_acquire() else {
        return Err(Unreached::Busy);
    };
    let signer = fetch::signer(node, None).await;
    let at = fetch::document(node, key_id, Wanted::Activity, signer.as_deref(), budget).await?;
    let document = at.document.value();
    let is_whole = Told::read(document).is_ok()
        && at
            .document
            .id()
            .is_some_and(|id| url::Url::parse(id).is_ok_and(|id| id.as_str() == at.url.as_str()));

    let (told, text) = if is_whole {
        (
            Told::read(document).map_err(Unreached::Refused)?,
            at.document.text().to_owned(),
        )
    } else {
        let owner = owner_of(document, key_id).ok_or(Unreached::Refused("key_without_owner"))?;
        if !trust::same_origin(owner, key_id) {
            return Err(Unreached::Refused("key_owner_mismatch"));
        }
        let whole =
            objects::fetch(node, owner, Wanted::Activity, signer.as_deref(), budget).await?;
        (
            Told::read(whole.document.value()).map_err(Unreached::Refused)?,
            whole.document.text().to_owned(),
        )
    };
    let shown = told.keys.iter().find(|key| key.uri == key_id);
    let key = shown
        .map(|told| told.key.clone())
        .ok_or_else(|| Unreached::Refused(why_not_shown(&text, key_id)))?;
    let actor = actors::keep(node, &told, &text, None).await?;
    Ok(Known {
        key,
        owner: actor.uri,
        actor: actor.id,
        is_suspended: actor.is_suspended,
        is_deleted: actor.is_deleted,
        is_new: true,
    })
}

/// Who a key says that it belongs to: a key alone, or the stub of an actor around it (`GoToSocial`).
fn owner_of<'a>(document: &'a Value, key_id: &str) -> Option<&'a str> {
    let named = |key: &'a Value| {
        let is_it = key.get("id").and_then(Value::as_str) == Some(key_id);
        let owner = key.get("owner").or_else(|| key.get("controller"));
        owner.filter(|_| is_it).and_then(vocab::id)
    };
    ["publicKey", "assertionMethod"]
        .into_iter()
        .filter_map(|name| document.get(name))
        .flat_map(vocab::many)
        .chain([document])
        .find_map(named)
}

/// Whether an actor shows the key at all, in a form that is refused.
fn why_not_shown(text: &str, key_id: &str) -> &'static str {
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return "key_owner_mismatch";
    };
    let flaw = ["publicKey", "assertionMethod"]
        .into_iter()
        .filter_map(|name| document.get(name))
        .flat_map(vocab::many)
        .filter(|key| key.get("id").and_then(Value::as_str) == Some(key_id))
        .find_map(|key| {
            let text = |name: &str| key.get(name).and_then(Value::as_str);
            match (text("publicKeyPem"), text("publicKeyMultibase")) {
                (Some(pem), _) => PublicKey::from_pem(pem).err(),
                (None, Some(multibase)) => PublicKey::from_multibase(multibase).err(),
                (None, None) => None,
            }
        });
    flaw.map_or("key_owner_mismatch", KeyFlaw::reason)
}
