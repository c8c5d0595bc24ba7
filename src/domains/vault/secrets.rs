//! Secrets by themselves: kept by whoever has one, opened by services only, listed as lost to those who must enter them
//! again (AG-37, AG-38). How they are sealed is `base::keyring`, where they lie `db::vault`.

use diesel::sql_types::{Bool, Nullable, Text};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::sealing::{self, SEALED};
use crate::base::secret::Secret;
use crate::base::{Error, Result};
use crate::db::vault::{self, New};
use crate::db::{Bind, Statement, Tx};

/// What a secret is for that was kept by itself.
pub const BY_ITSELF: &str = "vault_secrets.secret";

/// Names that begin so belong to the credentials of [`super::credentials`].
pub const RESERVED: &str = "credential:";

/// What services may open beside the sealed columns. What the hub keeps for itself, such as the seeds of second
/// factors and the keys of actors, is not for them.
const FOR_SERVICES: [&str; 4] = [
    BY_ITSELF,
    "user_credentials.vault_keys",
    "user_integration_credentials.vault_access_token_id",
    "user_integration_credentials.vault_refresh_token_id",
];

/// The input of `create_vault_secret`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    p_secret: Secret,
    #[serde(default)]
    p_name: Option<String>,
    #[serde(default)]
    p_description: Option<String>,
}

/// Keep a secret of the caller; a service's belongs to the hub. Its vault id comes back.
pub async fn create(tx: &mut Tx, input: Create) -> Result<Uuid> {
    let owner = tx.person().await?;
    if owner.is_none() && !is_service(tx).await? {
        return Err(denied("create_vault_secret"));
    }
    let name = input.p_name.filter(|name| !name.is_empty());
    if name.as_ref().is_some_and(|name| name.starts_with(RESERVED)) {
        let why = format!("Names that begin with {RESERVED} belong to credentials.");
        return Err(Error::invalid("vault.name_reserved", why));
    }
    let new = New {
        owner,
        name: name.as_deref(),
        description: input.p_description.as_deref(),
        purpose: BY_ITSELF,
    };
    vault::keep(tx, new, &input.p_secret).await
}

/// The input of `vault_decrypt`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decrypt {
    vault_id: String,
}

/// What a secret says, to a service. Everybody else is refused before anything is looked up.
pub async fn decrypt(tx: &mut Tx, input: Decrypt) -> Result<String> {
    if !is_service(tx).await? {
        return Err(denied("vault_decrypt"));
    }
    let unknown = || Error::missing("vault.not_found", "There is no such secret.");
    let id: Uuid = input.vault_id.parse().map_err(|_| unknown())?;
    let purpose = purpose_of(tx, id).await?.ok_or_else(unknown)?;
    if !is_for_services(&purpose) {
        return Err(unknown());
    }
    let secret = vault::open(tx, id, &purpose).await?;
    Ok(secret.reveal().to_owned())
}

/// Nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The caller's secrets that no key opens any more, with the rows that name them: what he has to enter again.
pub async fn unreadable(tx: &mut Tx, _: Nothing) -> Result<Value> {
    let Some(person) = tx.person().await? else {
        return Err(denied("vault_secrets_unreadable"));
    };
    let mut select = Statement::<Text>::new(
        "select coalesce(jsonb_agg(jsonb_build_object('kind', p.kind, 'column', p.col, 'name', v.name, \
         'rows', case when p.kind = any (",
    );
    let kinds = SEALED.iter().map(|sealed| Some(sealed.kind.to_owned()));
    select
        .bind(Bind::Texts(kinds.collect()))
        .sql(
            ") then array(select hub.secret_rows(v.id, v.owner_id, p.kind, array[p.col])) else '{}' end, \
             'unreadable_at', v.unreadable_at) order by v.unreadable_at, v.id), '[]')::text \
             from public.vault_secrets v, lateral (select split_part(v.purpose, '.', 1) as kind, \
             split_part(v.purpose, '.', 2) as col) p where v.unreadable_at is not null and v.owner_id = ",
        )
        .bind(Bind::Uuid(person));
    let told: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let told = told.into_iter().next().unwrap_or_default();
    serde_json::from_str(&told).map_err(Error::broken)
}

/// Whether the caller is a service or the hub itself.
pub async fn is_service(tx: &mut Tx) -> Result<bool> {
    let role: Vec<bool> = tx
        .load(Statement::<Bool>::new(
            "select current_setting('role') = 'service_role' and auth.uid() is null",
        ))
        .await?;
    Ok(role == [true])
}

/// The refusal that a function gives to those it is not for, whatever they asked about.
pub fn denied(function: &str) -> Error {
    Error::forbidden(
        "42501",
        format!("permission denied for function {function}"),
    )
}

fn is_for_services(purpose: &str) -> bool {
    let is_sealed = |sealed: &sealing::Sealed| {
        let rest = purpose
            .strip_prefix(sealed.kind)
            .and_then(|rest| rest.strip_prefix('.'));
        let mut columns = sealed.columns.iter();
        columns.any(|(column, _)| Some(*column) == rest)
    };
    FOR_SERVICES.contains(&purpose) || SEALED.iter().any(is_sealed)
}

async fn purpose_of(tx: &mut Tx, id: Uuid) -> Result<Option<String>> {
    let mut select =
        Statement::<Nullable<Text>>::new("select purpose from public.vault_secrets where id = ");
    select.bind(Bind::Uuid(id));
    let found: Vec<Option<String>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(found.into_iter().flatten().next())
}
