//! The keys of local actors: made when first needed, kept in the vault, parsed once per process, changed by rotation.
//! What signs right now is read from the table each time, so a rotation in another process is seen at once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Uuid as SqlUuid};
use moka::sync::Cache;
use uuid::Uuid;

use super::crypto::{Algorithm, PrivateKey};
use crate::base::secret::Secret;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx, vault};

/// What the vault keeps the private halves for.
const PURPOSE: &str = "ap_keys.private";

/// Parsed keys by their row, of rows that are committed.
static PARSED: LazyLock<Cache<Uuid, PrivateKey>> = LazyLock::new(|| {
    Cache::builder()
        .max_capacity(10_000)
        .time_to_idle(Duration::from_secs(3600))
        .build()
});

/// Who speaks, and with what: RSA signs requests, Ed25519 signs documents.
#[derive(Clone, Debug)]
pub struct Signer {
    pub actor_uri: String,
    pub rsa_id: String,
    pub rsa: PrivateKey,
    pub ed25519_id: String,
    pub ed25519: PrivateKey,
}

/// A key that signs, as its row has it.
struct Kept {
    id: Uuid,
    actor: Uuid,
    actor_uri: String,
    key_uri: String,
    algorithm: Algorithm,
    secret: Uuid,
    /// Whether its row was there before this transaction.
    is_settled: bool,
}

/// The present keys of a local actor; made now if it has none.
pub async fn signer(tx: &mut Tx, actor: Uuid) -> Result<Arc<Signer>> {
    if let Some(signer) = signers(tx, &[actor]).await?.remove(&actor) {
        return Ok(signer);
    }
    make_first(tx, actor).await?;
    signers(tx, &[actor])
        .await?
        .remove(&actor)
        .ok_or_else(|| Error::broken(anyhow::anyhow!("an actor of this hub has no keys")))
}

/// The present keys of those of these actors that have some.
pub async fn signers(tx: &mut Tx, actors: &[Uuid]) -> Result<HashMap<Uuid, Arc<Signer>>> {
    let mut by_actor: HashMap<Uuid, Vec<Kept>> = HashMap::new();
    for kept in load(tx, actors).await? {
        by_actor.entry(kept.actor).or_default().push(kept);
    }
    let mut signers = HashMap::new();
    for (actor, keys) in by_actor {
        let mut found: [Option<(String, PrivateKey)>; 2] = [None, None];
        let mut actor_uri = String::new();
        for kept in keys {
            let key = match opened(tx, &kept).await {
                Ok(key) => key,
                // One damaged secret keeps one actor silent and nobody else.
                Err(Error::Conflict(why) | Error::Missing(why)) => {
                    tracing::error!(event = "key_not_opened", %actor, reason = %why.code);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let [rsa, ed25519] = &mut found;
            let place = match kept.algorithm {
                Algorithm::Rsa => rsa,
                Algorithm::Ed25519 => ed25519,
            };
            actor_uri = kept.actor_uri;
            *place = Some((kept.key_uri, key));
        }
        if let [Some((rsa_id, rsa)), Some((ed25519_id, ed25519))] = found {
            let signer = Signer {
                actor_uri,
                rsa_id,
                rsa,
                ed25519_id,
                ed25519,
            };
            signers.insert(actor, Arc::new(signer));
        }
    }
    Ok(signers)
}

/// Keys that have just been replaced.
#[derive(Clone, Debug)]
pub struct Retired {
    pub signer: Arc<Signer>,
    /// The row of the RSA key.
    pub rsa_key: Uuid,
}

/// Give an actor new keys. Afterwards the caller says `Update` of the actor by `outbox::publish_by` with what this gives:
/// it is signed with the old keys, everything later with the new ones. What the old ones have proved stays provable (R8).
pub async fn rotate(tx: &mut Tx, actor: Uuid) -> Result<Retired> {
    let old = signer(tx, actor).await?;
    let uri = locked(tx, actor).await?;
    let kept = load(tx, &[actor]).await?;
    let rsa_key = kept
        .iter()
        .find(|kept| kept.key_uri == old.rsa_id)
        .map(|kept| kept.id)
        .ok_or_else(|| Error::conflict("keys.moved", "The keys were changed meanwhile."))?;

    let mut retire = Statement::new(
        "update public.ap_keys set retired_at = now() where retired_at is null and actor_id = ",
    );
    retire.bind(Bind::Uuid(actor));
    tx.as_hub(async |tx| tx.run(retire.clone()).await).await?;
    for (algorithm, name) in [
        (Algorithm::Rsa, "main-key"),
        (Algorithm::Ed25519, "ed25519-key"),
    ] {
        let number = numbers(tx, actor, algorithm).await? + 1;
        keep(tx, actor, algorithm, &format!("{uri}#{name}-{number}")).await?;
    }
    Ok(Retired {
        signer: old,
        rsa_key,
    })
}

/// How many keys of a kind an actor has had.
async fn numbers(tx: &mut Tx, actor: Uuid, algorithm: Algorithm) -> Result<i64> {
    let mut count =
        Statement::<BigInt>::new("select count(*) from public.ap_keys where actor_id = ");
    count
        .bind(Bind::Uuid(actor))
        .sql(" and algorithm = ")
        .text(name_of(algorithm));
    let counts: Vec<i64> = tx.as_hub(async |tx| tx.load(count.clone()).await).await?;
    Ok(counts.into_iter().sum())
}

/// The public half of a key, as an actor's document shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub key_uri: String,
    pub algorithm: Algorithm,
    /// RSA as PEM, Ed25519 as Multikey.
    pub public_key: String,
    pub is_retired: bool,
}

/// The public keys of a local actor: the present ones first, and those retired within 90 days that proofs may name.
/// Made now if it has none.
pub async fn shown(tx: &mut Tx, actor: Uuid) -> Result<Vec<Shown>> {
    let mut shown = load_shown(tx, actor).await?;
    if shown.is_empty() {
        signer(tx, actor).await?;
        shown = load_shown(tx, actor).await?;
    }
    Ok(shown)
}

async fn load_shown(tx: &mut Tx, actor: Uuid) -> Result<Vec<Shown>> {
    let mut select = Statement::<(Text, Text, Text, Bool)>::new(
        "select key_uri, algorithm, public_key, retired_at is not null from public.ap_keys where actor_id = ",
    );
    select.bind(Bind::Uuid(actor)).sql(
        " and (retired_at is null or algorithm = 'ed25519' and retired_at > now() - interval '90 days') \
         order by retired_at desc nulls first, created_at, id",
    );
    let rows: Vec<(String, String, String, bool)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows
        .into_iter()
        .map(|(key_uri, algorithm, public_key, is_retired)| Shown {
            key_uri,
            algorithm: algorithm_of(&algorithm),
            public_key,
            is_retired,
        })
        .collect())
}

/// A retired RSA key that something still waits to be signed with; none if its secret is gone.
pub async fn retired(tx: &mut Tx, key: Uuid) -> Result<Option<(String, PrivateKey)>> {
    let mut kept = load_where(tx, "k.id = ", &[key]).await?;
    let Some(kept) = kept.pop() else {
        return Ok(None);
    };
    let key = opened(tx, &kept).await?;
    Ok(Some((kept.key_uri, key)))
}

/// Forget the private halves of keys that were retired so long ago that nothing can wait for them.
pub async fn forget_retired(tx: &mut Tx) -> Result<usize> {
    let select = Statement::<SqlUuid>::new(
        "select secret_id from public.ap_keys where secret_id is not null and retired_at < now() - interval '15 days' \
         limit 1000",
    );
    let secrets: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    match secrets.is_empty() {
        true => Ok(0),
        false => vault::forget(tx, &secrets).await,
    }
}

async fn load(tx: &mut Tx, actors: &[Uuid]) -> Result<Vec<Kept>> {
    load_where(tx, "k.retired_at is null and k.actor_id = ", actors).await
}

async fn load_where(tx: &mut Tx, what: &str, ids: &[Uuid]) -> Result<Vec<Kept>> {
    type Row = (SqlUuid, SqlUuid, Text, Text, Text, SqlUuid, Bool);
    let mut select = Statement::<Row>::new(
        "select k.id, a.id, a.uri, k.key_uri, k.algorithm, k.secret_id, k.created_at < now() \
         from public.ap_keys k join public.ap_actors a on a.id = k.actor_id \
         where a.kind is not null and k.secret_id is not null and ",
    );
    let ids = ids.iter().map(|id| Some(id.to_string())).collect();
    select
        .sql(what)
        .sql("any (")
        .bind(Bind::Texts(ids))
        .sql("::uuid[]) order by k.created_at, k.id");
    type Found = (Uuid, Uuid, String, String, String, Uuid, bool);
    let rows: Vec<Found> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows
        .into_iter()
        .map(
            |(id, actor, actor_uri, key_uri, algorithm, secret, is_settled)| Kept {
                id,
                actor,
                actor_uri,
                key_uri,
                algorithm: algorithm_of(&algorithm),
                secret,
                is_settled,
            },
        )
        .collect())
}

async fn opened(tx: &mut Tx, kept: &Kept) -> Result<PrivateKey> {
    if let Some(key) = PARSED.get(&kept.id) {
        return Ok(key);
    }
    let secret = vault::open(tx, kept.secret, PURPOSE).await?;
    let unread = || Error::broken(anyhow::anyhow!("a kept key cannot be read"));
    let der = zeroize::Zeroizing::new(STANDARD.decode(secret.reveal()).map_err(|_| unread())?);
    let key = PrivateKey::from_pkcs8(kept.algorithm, &der).map_err(|_| unread())?;
    if kept.is_settled {
        PARSED.insert(kept.id, key.clone());
    }
    Ok(key)
}

/// Give an actor of this hub its first keys. Of two who want to, the second finds them made.
async fn make_first(tx: &mut Tx, actor: Uuid) -> Result<()> {
    let uri = locked(tx, actor).await?;
    if !load(tx, &[actor]).await?.is_empty() {
        return Ok(());
    }
    keep(tx, actor, Algorithm::Rsa, &format!("{uri}#main-key")).await?;
    keep(tx, actor, Algorithm::Ed25519, &format!("{uri}#ed25519-key")).await
}

/// The address of a local actor, whose row is this transaction's from now on.
async fn locked(tx: &mut Tx, actor: Uuid) -> Result<String> {
    let mut lock = Statement::<Nullable<Text>>::new(
        "select uri from public.ap_actors where kind is not null and deleted_at is null and id = ",
    );
    lock.bind(Bind::Uuid(actor)).sql(" for no key update");
    let uris: Vec<Option<String>> = tx.as_hub(async |tx| tx.load(lock.clone()).await).await?;
    uris.into_iter()
        .flatten()
        .next()
        .ok_or_else(|| Error::missing("actor.not_found", "There is no such actor of this hub."))
}

/// Make a key and keep it.
async fn keep(tx: &mut Tx, actor: Uuid, algorithm: Algorithm, key_uri: &str) -> Result<()> {
    let key = PrivateKey::generate(algorithm)?;
    let public = match key.public().to_multibase() {
        Some(multibase) => multibase,
        None => key.public().to_pem(),
    };
    let new = vault::New {
        purpose: PURPOSE,
        ..vault::New::default()
    };
    let secret = Secret::new(STANDARD.encode(key.to_pkcs8().as_slice()));
    let secret = vault::keep(tx, new, &secret).await?;
    let mut insert = Statement::new(
        "insert into public.ap_keys (actor_id, key_uri, algorithm, public_key, secret_id) values (",
    );
    insert
        .bind(Bind::Uuid(actor))
        .sql(", ")
        .text(key_uri)
        .sql(", ")
        .text(name_of(algorithm))
        .sql(", ")
        .text(public)
        .sql(", ")
        .bind(Bind::Uuid(secret))
        .sql(")");
    tx.as_hub(async |tx| tx.run(insert.clone()).await.map(drop))
        .await
}

fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rsa => "rsa",
        Algorithm::Ed25519 => "ed25519",
    }
}

fn algorithm_of(name: &str) -> Algorithm {
    match name {
        "rsa" => Algorithm::Rsa,
        _ => Algorithm::Ed25519,
    }
}
