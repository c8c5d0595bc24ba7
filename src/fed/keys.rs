//! The keys of local actors: made when first needed, kept in the vault, parsed once per process, changed by rotation.
//! What signs right now is read from the table each time, so a rotation in another process is seen at once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::sql_types::{Bool, Nullable, Text, Uuid as SqlUuid};
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
            let key = opened(tx, &kept).await?;
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

async fn load(tx: &mut Tx, actors: &[Uuid]) -> Result<Vec<Kept>> {
    type Row = (SqlUuid, SqlUuid, Text, Text, Text, SqlUuid, Bool);
    let mut select = Statement::<Row>::new(
        "select k.id, a.id, a.uri, k.key_uri, k.algorithm, k.secret_id, k.created_at < now() \
         from public.ap_keys k join public.ap_actors a on a.id = k.actor_id \
         where a.kind is not null and k.retired_at is null and k.secret_id is not null and k.actor_id = any (",
    );
    let ids = actors.iter().map(|id| Some(id.to_string())).collect();
    select
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
