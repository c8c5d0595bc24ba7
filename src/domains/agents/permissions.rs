//! Which connections of its owner an agent may use, and for what (AG-39..41). Only the owner of both says so; another's
//! agent, connection or permission is answered like one that is not there.

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// The input of `grant_agent_integration_permission`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    p_agent_id: Uuid,
    p_connection_id: Uuid,
    #[serde(default)]
    p_allowed_scopes: Option<Vec<String>>,
    #[serde(default)]
    p_permission_level: Option<String>,
}

/// Let an agent use a connection; said again, it replaces what was allowed. The permission's id comes back.
pub async fn grant(tx: &mut Tx, input: Grant) -> Result<Uuid> {
    check_agent(tx, input.p_agent_id).await?;
    if !is_own(tx, "user_integration_credentials", input.p_connection_id).await? {
        return Err(Error::missing(
            "connection.not_found",
            "There is no such connection.",
        ));
    }
    let scopes = serde_json::to_string(&input.p_allowed_scopes.unwrap_or_default())
        .map_err(Error::broken)?;
    let mut write = Statement::<SqlUuid>::new(
        "insert into public.agent_integration_permissions as p (agent_id, connection_id, allowed_scopes, permission_level) values (",
    );
    write
        .bind(Bind::Uuid(input.p_agent_id))
        .sql(", ")
        .bind(Bind::Uuid(input.p_connection_id))
        .sql(", ")
        .text(scopes)
        .sql("::jsonb, coalesce(")
        .bind(Bind::Text(input.p_permission_level))
        .sql(
            ", 'custom')) on conflict (agent_id, connection_id) do update set allowed_scopes = excluded.allowed_scopes, \
             permission_level = excluded.permission_level, is_active = true returning id",
        );
    let ids: Vec<Uuid> = tx.load(write).await?;
    ids.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the permission was not written")))
}

/// The input of `revoke_agent_integration_permission`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    p_permission_id: Uuid,
}

/// Take a permission back.
pub async fn revoke(tx: &mut Tx, input: Revoke) -> Result<bool> {
    let mut delete = Statement::new(
        "delete from public.agent_integration_permissions where owner_id = auth.uid() and id = ",
    );
    delete.bind(Bind::Uuid(input.p_permission_id));
    match tx.run(delete).await? {
        0 => Err(Error::missing(
            "permission.not_found",
            "There is no such permission.",
        )),
        _ => Ok(true),
    }
}

/// The input of `get_agent_integration_permissions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Get {
    p_agent_id: Uuid,
}

/// What an agent of the caller may use, in the order it was granted.
pub async fn get(tx: &mut Tx, input: Get) -> Result<Value> {
    check_agent(tx, input.p_agent_id).await?;
    let mut select = Statement::<Text>::new(
        "select coalesce(json_agg(json_build_object('permission_id', p.id, 'agent_id', p.agent_id, \
         'connection_id', p.connection_id, 'connection_name', c.connection_name, 'connection_status', c.connection_status, \
         'provider_name', s.name, 'provider_display_name', s.display_name, 'allowed_scopes', p.allowed_scopes, \
         'permission_level', p.permission_level, 'is_active', p.is_active, 'created_at', p.created_at) \
         order by p.created_at, p.id), '[]')::text \
         from public.agent_integration_permissions p \
         join public.user_integration_credentials c on c.user_id = p.owner_id and c.id = p.connection_id \
         left join public.service_providers s on s.id = c.service_provider_id \
         where p.owner_id = auth.uid() and p.agent_id = ",
    );
    select.bind(Bind::Uuid(input.p_agent_id));
    let told: Vec<String> = tx.load(select).await?;
    let told = told.into_iter().next().unwrap_or_default();
    serde_json::from_str(&told).map_err(Error::broken)
}

async fn check_agent(tx: &mut Tx, agent: Uuid) -> Result<()> {
    match is_own(tx, "agents", agent).await? {
        true => Ok(()),
        false => Err(Error::missing("agent.not_found", "There is no such agent.")),
    }
}

/// Whether a row of a table whose owner is `user_id` is the caller's. Being allowed to see it is not enough.
async fn is_own(tx: &mut Tx, table: &str, id: Uuid) -> Result<bool> {
    let mut own = Statement::<Bool>::new(format!(
        "select exists (select from public.{table} where user_id = auth.uid() and id = "
    ));
    own.bind(Bind::Uuid(id)).sql(")");
    let own: Vec<bool> = tx.load(own).await?;
    Ok(own == [true])
}
