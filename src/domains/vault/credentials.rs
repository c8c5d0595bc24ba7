//! Credentials for connectors and connections to providers: their secrets come in by an action, go into the vault, and
//! are never told again. The rows keep references (AG-17, AG-18).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Nullable, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sealing;
use super::secrets::{RESERVED, denied};
use crate::base::secret::Secret;
use crate::base::{Error, Result};
use crate::db::vault::{self, New};
use crate::db::{Bind, Statement, Tx};

/// What the secrets of credentials are for.
const PURPOSE: &str = "user_credentials.vault_keys";

/// The most secrets of one credential.
const MOST: usize = 20;

/// The input of `user_credentials_store`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    credential_type: String,
    secrets: BTreeMap<String, Secret>,
    #[serde(default)]
    display_info: Option<String>,
}

/// Store a credential of the caller. Its secrets replace those that it had.
pub async fn store(tx: &mut Tx, input: Store) -> Result<Value> {
    let Some(owner) = tx.person().await? else {
        return Err(denied("user_credentials_store"));
    };
    check_secrets(&input)?;
    let prefix = format!("{RESERVED}{}:", input.credential_type);
    let names: Vec<String> = input
        .secrets
        .keys()
        .map(|key| format!("{prefix}{key}"))
        .collect();

    let mut old = Statement::new("delete from public.vault_secrets where owner_id = ");
    old.bind(Bind::Uuid(owner))
        .sql(" and purpose = ")
        .text(PURPOSE)
        .sql(" and starts_with(name, ")
        .text(prefix)
        .sql(")");
    tx.as_hub(async |tx| tx.run(old.clone()).await).await?;
    for (name, secret) in names.iter().zip(input.secrets.values()) {
        let new = New {
            owner: Some(owner),
            name: Some(name),
            description: None,
            purpose: PURPOSE,
        };
        vault::keep(tx, new, secret).await?;
    }

    type Row = (SqlUuid, Nullable<Text>, Array<Text>);
    let mut row = Statement::<Row>::new(
        "insert into public.user_credentials as c (owner_id, credential_type, display_info, vault_keys) values (",
    );
    row.bind(Bind::Uuid(owner))
        .sql(", ")
        .text(input.credential_type.clone())
        .sql(", ")
        .bind(Bind::Text(input.display_info.clone()))
        .sql(", ")
        .bind(Bind::Texts(names.into_iter().map(Some).collect()))
        .sql(
            ") on conflict (owner_id, credential_type) do update set vault_keys = excluded.vault_keys, is_active = true, \
             display_info = coalesce(excluded.display_info, c.display_info) returning id, display_info, vault_keys",
        );
    let rows: Vec<(Uuid, Option<String>, Vec<String>)> =
        tx.as_hub(async |tx| tx.load(row.clone()).await).await?;
    let (id, display_info, vault_keys) = rows
        .into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the credential was not written")))?;
    Ok(json!({
        "id": id, "credential_type": input.credential_type, "display_info": display_info, "vault_keys": vault_keys,
    }))
}

fn check_secrets(input: &Store) -> Result<()> {
    let is_name = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        (1..=64).contains(&name.len()) && name.chars().all(fits)
    };
    if input.secrets.is_empty() || input.secrets.len() > MOST {
        let why = format!("A credential has 1 to {MOST} secrets.");
        return Err(Error::invalid("credential.secrets", why));
    }
    if !input.secrets.keys().all(|name| is_name(name)) {
        let why = "A secret is called by letters, digits, and _ - . only.";
        return Err(Error::invalid("credential.secret_name", why));
    }
    // What is shown never comes from what is secret.
    let shown = input.display_info.as_deref().unwrap_or_default();
    let is_shown = |secret: &Secret| !secret.reveal().is_empty() && shown.contains(secret.reveal());
    if input.secrets.values().any(is_shown) {
        let why = "display_info is shown: it must hold nothing of the secrets.";
        return Err(Error::invalid("credential.display_info", why));
    }
    Ok(())
}

/// The input of `user_credentials_remove`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    credential_type: String,
}

/// Remove a credential of the caller with its secrets.
pub async fn remove(tx: &mut Tx, input: Remove) -> Result<bool> {
    if tx.person().await?.is_none() {
        return Err(denied("user_credentials_remove"));
    }
    let mut delete = Statement::new("delete from public.user_credentials where credential_type = ");
    delete.text(input.credential_type);
    match tx.run(delete).await? {
        0 => Err(Error::missing(
            "credential.not_found",
            "There is no such credential.",
        )),
        _ => Ok(true),
    }
}

/// The input of `user_integration_credentials_connect`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// The connection to renew; none makes one.
    #[serde(default)]
    id: Option<Uuid>,
    service_provider_id: Uuid,
    credential_type: String,
    access_token: Secret,
    #[serde(default)]
    refresh_token: Option<Secret>,
    #[serde(default)]
    connection_name: Option<String>,
    #[serde(default)]
    connection_metadata: Option<Value>,
    #[serde(default)]
    scopes_granted: Option<Vec<String>>,
    #[serde(default)]
    token_expires_at: Option<DateTime<Utc>>,
}

/// Connect the caller with a provider, or renew a connection: the tokens go into the vault. Its id comes back.
pub async fn connect(tx: &mut Tx, mut input: Connect) -> Result<Uuid> {
    let Some(owner) = tx.person().await? else {
        return Err(denied("user_integration_credentials_connect"));
    };
    let kind = "user_integration_credentials";
    let access = keep_token(
        tx,
        owner,
        &format!("{kind}.vault_access_token_id"),
        &input.access_token,
    )
    .await?;
    let refresh = match &input.refresh_token {
        Some(token) => {
            Some(keep_token(tx, owner, &format!("{kind}.vault_refresh_token_id"), token).await?)
        }
        None => None,
    };
    if let Some(metadata) = &mut input.connection_metadata {
        let purpose = format!("{kind}.connection_metadata");
        sealing::within(tx, Some(owner), &purpose, metadata).await?;
    }

    let scopes = input
        .scopes_granted
        .as_ref()
        .map(|scopes| json!(scopes).to_string());
    let metadata = input.connection_metadata.as_ref().map(Value::to_string);
    let values: [(&str, Option<String>, &str); 8] = [
        (
            "service_provider_id",
            Some(input.service_provider_id.to_string()),
            "uuid",
        ),
        (
            "credential_type",
            Some(input.credential_type.clone()),
            "text",
        ),
        ("connection_name", input.connection_name.clone(), "text"),
        ("connection_metadata", metadata, "jsonb"),
        ("scopes_granted", scopes, "jsonb"),
        (
            "token_expires_at",
            input.token_expires_at.map(|at| at.to_rfc3339()),
            "timestamptz",
        ),
        ("vault_access_token_id", Some(access.to_string()), "text"),
        (
            "vault_refresh_token_id",
            refresh.map(|id| id.to_string()),
            "text",
        ),
    ];
    // What was not said stays as it was; a status that a failed renewal left is over.
    let given = values.into_iter().filter(|(_, value, _)| value.is_some());
    let (mut names, mut given_values) = (Vec::new(), Vec::new());
    for (name, value, sql_type) in given {
        names.push(name);
        given_values.push((value, sql_type));
    }
    let mut write = match input.id {
        None => {
            let names = names.join(", ");
            Statement::<SqlUuid>::new(format!(
                "insert into public.user_integration_credentials ({names}) values ("
            ))
        }
        Some(_) => {
            let names = names.join(", ");
            Statement::<SqlUuid>::new(format!(
                "update public.user_integration_credentials set connection_status = 'active', ({names}) = row("
            ))
        }
    };
    for (at, (value, sql_type)) in given_values.into_iter().enumerate() {
        write.sql(if at == 0 { "" } else { ", " });
        write.bind(Bind::Text(value)).sql(format!("::{sql_type}"));
    }
    write.sql(")");
    if let Some(id) = input.id {
        write.sql(" where id = ").bind(Bind::Uuid(id));
    }
    write.sql(" returning id");
    let ids: Vec<Uuid> = tx.load(write).await?;
    ids.into_iter()
        .next()
        .ok_or_else(|| Error::missing("connection.not_found", "There is no such connection."))
}

async fn keep_token(tx: &mut Tx, owner: Uuid, purpose: &str, token: &Secret) -> Result<Uuid> {
    let new = New {
        owner: Some(owner),
        purpose,
        ..New::default()
    };
    vault::keep(tx, new, token).await
}
