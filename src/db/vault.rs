//! The table of sealed secrets, for every room that keeps one. Nothing here decides who may: a domain's action does.
//! Works with the hub's rights for the moment of the statement, whoever's transaction it is in.
//!
//! Which keys may seal stands in the database as well, as keychecks: while a secret is being kept under a key, that
//! key's keycheck is locked, so a rotation cannot retire the key under somebody's hands.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use diesel::sql_types::{Bool, Bytea, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::{Bind, Statement, Tx};
use crate::base::error::Told;
use crate::base::keyring::{Envelope, Keyring, Unopened};
use crate::base::secret::Secret;
use crate::base::{Error, Result};

/// A secret to keep.
#[derive(Clone, Debug, Default)]
pub struct New<'a> {
    /// Whose it is; none: the hub's own.
    pub owner: Option<Uuid>,
    /// Unique per owner, where there is one.
    pub name: Option<&'a str>,
    pub description: Option<&'a str>,
    /// What it is for, such as `key_store.api_key`; a secret opens only for that.
    pub purpose: &'a str,
}

/// The longest secret in bytes.
pub const LONGEST: usize = 64 * 1024;

/// How the settings call a key's keycheck.
const KEYCHECK: &str = "vault_keycheck/";

/// The lock under which the first keys are made known; the number means nothing.
const TURN: i64 = 0x7661_756c;

/// Keep a secret; its id is what other tables hold.
pub async fn keep(tx: &mut Tx, new: New<'_>, secret: &Secret) -> Result<Uuid> {
    if secret.reveal().len() > LONGEST {
        let why = format!("A secret has at most {LONGEST} bytes.");
        return Err(Error::invalid("vault.too_long", why));
    }
    let ring = keyring(tx)?;
    let key_id = sealing_key(tx, &ring).await?;
    let id = Uuid::now_v7();
    let envelope = ring
        .seal_under(
            &key_id,
            secret.reveal().as_bytes(),
            &bound_to(id, new.owner, new.purpose),
        )
        .map_err(shut)?;
    let mut insert = Statement::new(
        "insert into public.vault_secrets (id, owner_id, name, description, purpose, key_id, wrapped_key, sealed) values (",
    );
    insert.bind(Bind::Uuid(id)).sql(", ");
    match new.owner {
        Some(owner) => insert.bind(Bind::Uuid(owner)),
        None => insert.sql("null"),
    };
    insert
        .sql(", ")
        .bind(Bind::Text(new.name.map(str::to_owned)))
        .sql(", ")
        .bind(Bind::Text(new.description.map(str::to_owned)))
        .sql(", ")
        .text(new.purpose)
        .sql(", ")
        .text(envelope.key_id)
        .sql(", ")
        .bind(Bind::Bytes(envelope.wrapped_key))
        .sql(", ")
        .bind(Bind::Bytes(envelope.sealed))
        .sql(")");
    tx.as_hub(async |tx| tx.run(insert.clone()).await).await?;
    Ok(id)
}

/// Open a secret for the purpose it was kept for. `vault.not_found` when there is none such. Each time is audited.
pub async fn open(tx: &mut Tx, id: Uuid, purpose: &str) -> Result<Secret> {
    let (mut owner, mut envelope) = find(tx, id, purpose).await?;
    let ring = keyring(tx)?;
    let mut opened = ring.open(&envelope, &bound_to(id, owner, purpose));
    if opened.is_err() {
        // The key may have come since, and a rotation may have wrapped the secret anew meanwhile.
        ring.reread();
        (owner, envelope) = find(tx, id, purpose).await?;
        opened = ring.open(&envelope, &bound_to(id, owner, purpose));
    }
    let plain = match opened {
        Ok(plain) => plain,
        Err(Unopened::Damaged) => {
            let checks = keychecks(tx).await?;
            let check = checks.iter().find(|check| check.key_id == envelope.key_id);
            let why = check.and_then(|check| ring.verify(check).err());
            return Err(shut(why.unwrap_or(Unopened::Damaged)));
        }
        Err(why) => return Err(shut(why)),
    };
    let text = String::from_utf8(plain.to_vec())
        .map_err(|_| Error::broken(anyhow::anyhow!("a secret of the vault is not text")))?;
    note_opened(tx, id, owner, purpose).await?;
    Ok(Secret::new(text))
}

/// Forget secrets; those that are not there are no error.
pub async fn forget(tx: &mut Tx, ids: &[Uuid]) -> Result<usize> {
    let mut delete = Statement::new("delete from public.vault_secrets where id = any (");
    let ids = ids.iter().map(|id| Some(id.to_string())).collect();
    delete.bind(Bind::Texts(ids)).sql("::uuid[])");
    tx.as_hub(async |tx| tx.run(delete.clone()).await).await
}

/// What an envelope of this secret is bound to.
pub fn bound_to(id: Uuid, owner: Option<Uuid>, purpose: &str) -> String {
    let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
    format!("vault_secrets/{id}/{owner}/{purpose}/1")
}

/// The hub's keys, or a refusal that names what is wrong.
pub fn keyring(tx: &Tx) -> Result<Arc<Keyring>> {
    tx.hub()
        .keyring()
        .cloned()
        .ok_or_else(|| shut(Unopened::NoKey("at all".to_owned())))
}

/// The newest key that the database knows, proven to be the right one. Its keycheck stays locked until the end of
/// the transaction: a rotation that retires the key waits, and sees what was sealed with it.
async fn sealing_key(tx: &mut Tx, ring: &Keyring) -> Result<String> {
    for is_last in [false, true] {
        let mut checks = locked_keychecks(tx).await?;
        if checks.is_empty() && ring.newest().is_some() {
            register_first(tx, ring).await?;
            checks = locked_keychecks(tx).await?;
        }
        for id in ring.ids().iter().rev() {
            if let Some(check) = checks.iter().find(|check| check.key_id == *id) {
                ring.verify(check).map_err(shut)?;
                return Ok(id.clone());
            }
        }
        if is_last {
            let needed = checks.last().map(|check| check.key_id.clone());
            let none = Unopened::NoKey(needed.unwrap_or_else(|| "at all".to_owned()));
            return Err(shut(ring.closed().unwrap_or(none)));
        }
        ring.reread();
    }
    Err(shut(Unopened::NoKey("at all".to_owned())))
}

/// Make the keys of a hub whose database knows none yet known. Who comes second finds them known.
pub async fn register_first(tx: &mut Tx, ring: &Keyring) -> Result<()> {
    tx.script(&format!("select pg_advisory_xact_lock({TURN})"))
        .await?;
    if !keychecks(tx).await?.is_empty() {
        return Ok(());
    }
    for id in ring.ids() {
        register(tx, ring, &id).await?;
    }
    Ok(())
}

/// Make a key known: from now on it may seal.
pub async fn register(tx: &mut Tx, ring: &Keyring, key_id: &str) -> Result<()> {
    let check = ring.keycheck(key_id).map_err(shut)?;
    let told = serde_json::json!({
        "wrapped_key": BASE64.encode(&check.wrapped_key),
        "sealed": BASE64.encode(&check.sealed),
    });
    let mut insert = Statement::new("insert into hub.settings (name, value) values (");
    insert
        .text(format!("{KEYCHECK}{key_id}"))
        .sql(", ")
        .text(told.to_string())
        .sql("::jsonb) on conflict (name) do nothing");
    tx.as_hub(async |tx| tx.run(insert.clone()).await.map(drop))
        .await
}

/// Let a key seal nothing any more, provided that no secret needs it. Waits for those who are sealing with it.
pub async fn retire(tx: &mut Tx, key_id: &str) -> Result<bool> {
    let mut delete = Statement::new("delete from hub.settings where name = ");
    delete.text(format!("{KEYCHECK}{key_id}"));
    let mut needed =
        Statement::<Bool>::new("select exists (select from public.vault_secrets where key_id = ");
    needed.text(key_id).sql(")");
    let needed: Vec<bool> = tx
        .as_hub(async |tx| {
            tx.run(delete.clone()).await?;
            tx.load(needed.clone()).await
        })
        .await?;
    Ok(needed == [false])
}

/// The keychecks of all keys that the database knows, in the order they became known.
pub async fn keychecks(tx: &mut Tx) -> Result<Vec<Envelope>> {
    load_keychecks(tx, "").await
}

async fn locked_keychecks(tx: &mut Tx) -> Result<Vec<Envelope>> {
    load_keychecks(tx, " for key share").await
}

async fn load_keychecks(tx: &mut Tx, lock: &str) -> Result<Vec<Envelope>> {
    type Row = (Text, Nullable<Text>, Nullable<Text>);
    let mut select = Statement::<Row>::new(
        "select name, value ->> 'wrapped_key', value ->> 'sealed' from hub.settings where name like ",
    );
    select
        .text(format!("{KEYCHECK}%"))
        .sql(" order by updated_at, name")
        .sql(lock);
    let rows: Vec<(String, Option<String>, Option<String>)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let bytes = |text: Option<String>| BASE64.decode(text.unwrap_or_default()).unwrap_or_default();
    Ok(rows
        .into_iter()
        .filter_map(|(name, wrapped_key, sealed)| {
            Some(Envelope {
                key_id: name.strip_prefix(KEYCHECK)?.to_owned(),
                wrapped_key: bytes(wrapped_key),
                sealed: bytes(sealed),
            })
        })
        .collect())
}

/// Owner, key, data key under it, secret under that.
type Kept = (Option<Uuid>, String, Vec<u8>, Vec<u8>);

async fn find(tx: &mut Tx, id: Uuid, purpose: &str) -> Result<(Option<Uuid>, Envelope)> {
    type Row = (Nullable<SqlUuid>, Text, Bytea, Bytea);
    let mut select = Statement::<Row>::new(
        "select owner_id, key_id, wrapped_key, sealed from public.vault_secrets where id = ",
    );
    select
        .bind(Bind::Uuid(id))
        .sql(" and purpose is not distinct from ")
        .text(purpose);
    let rows: Vec<Kept> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let (owner, key_id, wrapped_key, sealed) = rows
        .into_iter()
        .next()
        .ok_or_else(|| Error::missing("vault.not_found", "There is no such secret."))?;
    let envelope = Envelope {
        key_id,
        wrapped_key,
        sealed,
    };
    Ok((owner, envelope))
}

/// Who opened which secret and what for; never what it says.
async fn note_opened(tx: &mut Tx, id: Uuid, owner: Option<Uuid>, purpose: &str) -> Result<()> {
    // Once a minute is enough here: the audit log has every time, and readers must not queue for one row.
    let mut note = Statement::new(
        "update public.vault_secrets set last_opened_at = now() \
         where (last_opened_at is null or last_opened_at < now() - interval '1 minute') and id = ",
    );
    note.bind(Bind::Uuid(id));
    let mut audit = Statement::new(
        "insert into public.audit_log (actor_type, actor_id, action, resource_type, outcome, resource_id, metadata, owner_id) \
         select case when auth.uid() is not null then 'user' when auth.jwt() ->> 'session_id' is not null then 'service' \
         else 'system' end, coalesce(auth.uid()::text, auth.jwt() ->> 'session_id', 'hub'), 'read', 'vault_secrets', \
         'allowed', ",
    );
    audit
        .text(id.to_string())
        .sql(", jsonb_build_object('purpose', ")
        .text(purpose)
        .sql("::text), ");
    match owner {
        Some(owner) => audit.bind(Bind::Uuid(owner)),
        None => audit.sql("null"),
    };
    tx.as_hub(async |tx| {
        tx.run(note.clone()).await?;
        tx.run(audit.clone()).await.map(drop)
    })
    .await
}

/// A vault that does not open is the operator's to mend; everything else of the hub goes on.
pub fn shut(why: Unopened) -> Error {
    let (code, hint) = match &why {
        Unopened::NoKey(_) => (
            "vault.no_key",
            "The operator puts the key back; made-open vault check says which one.",
        ),
        Unopened::WrongKey(_) => (
            "vault.wrong_key",
            "The operator puts the right key back; made-open vault check says which one.",
        ),
        Unopened::Exposed(_) => (
            "vault.key_exposed",
            "The operator runs chmod 600 on the key file.",
        ),
        Unopened::Misfit(_) => (
            "vault.key_unusable",
            "The operator mends the key file; made-open vault check says what is wrong with it.",
        ),
        Unopened::Damaged => (
            "vault.unreadable",
            "Enter the secret again; the operator can ask made-open vault check.",
        ),
    };
    tracing::error!(event = "vault_shut", reason = code, cause = %why);
    // Where the keys lie is not for clients.
    let message = match &why {
        Unopened::Exposed(_) => "The vault is shut: others could read its keys.".to_owned(),
        Unopened::Misfit(_) => "The vault is shut: its keys cannot be read.".to_owned(),
        Unopened::Damaged => format!("This secret cannot be read: {why}."),
        _ => format!("The vault is shut: {why}."),
    };
    let told = Box::new(Told::new(code, message).hint(hint));
    match why {
        Unopened::Damaged => Error::Conflict(told),
        _ => Error::Busy(told, std::time::Duration::from_secs(60)),
    }
}
