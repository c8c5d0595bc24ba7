//! The table of sealed secrets, for every room that keeps one. Nothing here decides who may: a domain's action does.
//! Works with the hub's rights for the moment of the statement, whoever's transaction it is in.

use diesel::sql_types::{Bytea, Nullable, Text, Uuid as SqlUuid};
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

/// Keep a secret; its id is what other tables hold.
pub async fn keep(tx: &mut Tx, new: New<'_>, secret: &Secret) -> Result<Uuid> {
    let id = Uuid::now_v7();
    let envelope = keyring(tx)?
        .seal(
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

/// Open a secret for the purpose it was kept for. `vault.not_found` when there is none such.
pub async fn open(tx: &mut Tx, id: Uuid, purpose: &str) -> Result<Secret> {
    let (owner, envelope) = find(tx, id, purpose).await?;
    let plain = keyring(tx)?
        .open(&envelope, &bound_to(id, owner, purpose))
        .map_err(shut)?;
    let text = String::from_utf8(plain.to_vec())
        .map_err(|_| Error::broken(anyhow::anyhow!("a secret of the vault is not text")))?;
    let mut note =
        Statement::new("update public.vault_secrets set last_opened_at = now() where id = ");
    note.bind(Bind::Uuid(id));
    tx.as_hub(async |tx| tx.run(note.clone()).await).await?;
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
pub fn keyring(tx: &Tx) -> Result<std::sync::Arc<Keyring>> {
    tx.hub()
        .keyring()
        .cloned()
        .ok_or_else(|| shut(Unopened::NoKey("at all".to_owned())))
}

async fn find(tx: &mut Tx, id: Uuid, purpose: &str) -> Result<(Option<Uuid>, Envelope)> {
    type Row = (Nullable<SqlUuid>, Text, Bytea, Bytea);
    let mut select = Statement::<Row>::new(
        "select owner_id, key_id, wrapped_key, sealed from public.vault_secrets where id = ",
    );
    select
        .bind(Bind::Uuid(id))
        .sql(" and purpose is not distinct from ")
        .text(purpose);
    let rows: Vec<(Option<Uuid>, String, Vec<u8>, Vec<u8>)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
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

/// A vault that does not open is the operator's to mend; everything else of the hub goes on.
pub fn shut(why: Unopened) -> Error {
    let (code, hint) = match why {
        Unopened::NoKey(_) => (
            "vault.no_key",
            "The operator puts the key back; made-open vault check says which one.",
        ),
        Unopened::Damaged => (
            "vault.unreadable",
            "Enter the secret again; the operator can ask made-open vault check.",
        ),
    };
    tracing::error!(event = "vault_shut", reason = code, cause = %why);
    Error::Busy(
        Box::new(Told::new(code, format!("This secret cannot be read: {why}.")).hint(hint)),
        std::time::Duration::from_secs(60),
    )
}
