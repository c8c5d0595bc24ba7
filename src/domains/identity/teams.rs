//! How an account sees its teams: where they stand on the canvas, and the lines between them (AG-45..47).

use diesel::sql_types::{Bool, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// The input of `save_team_canvas_layout`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveLayout {
    p_user_id: Uuid,
    #[serde(default)]
    p_workspace_id: Option<Uuid>,
    #[serde(default)]
    p_positions: Option<Value>,
    #[serde(default)]
    p_connections: Option<Value>,
    #[serde(default)]
    p_view_settings: Option<Value>,
}

/// Save the caller's layout for a workspace, or beside all workspaces: there is one of each. Its id comes back.
pub async fn save_layout(tx: &mut Tx, input: SaveLayout) -> Result<Uuid> {
    check_caller(tx, input.p_user_id, "save_team_canvas_layout").await?;
    if let Some(workspace) = input.p_workspace_id
        && !exists(tx, "workspaces where id = ", workspace).await?
    {
        return Err(Error::missing(
            "workspace.not_found",
            "There is no such workspace.",
        ));
    }
    let json = |value: Option<Value>| Bind::Text(value.map(|value| value.to_string()));
    let mut write = Statement::<SqlUuid>::new(
        "insert into public.team_canvas_layouts (workspace_id, positions, connections, view_settings) values (",
    );
    write
        .bind(Bind::Text(input.p_workspace_id.map(|id| id.to_string())))
        .sql("::uuid, ")
        .bind(json(input.p_positions))
        .sql("::jsonb, ")
        .bind(json(input.p_connections))
        .sql("::jsonb, ")
        .bind(json(input.p_view_settings))
        .sql(
            "::jsonb) on conflict (user_id, workspace_id) do update set positions = excluded.positions, \
             connections = excluded.connections, view_settings = excluded.view_settings returning id",
        );
    written(tx.load(write).await?)
}

/// The input of `create_team_connection`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    p_from_team_id: Uuid,
    p_to_team_id: Uuid,
    #[serde(default)]
    p_connection_type: Option<String>,
    p_created_by_user_id: Uuid,
}

/// Draw a line between two teams of the caller. Its id comes back.
pub async fn connect(tx: &mut Tx, input: Connect) -> Result<Uuid> {
    check_caller(tx, input.p_created_by_user_id, "create_team_connection").await?;
    for team in [input.p_from_team_id, input.p_to_team_id] {
        if !exists(tx, "teams where owner_user_id = auth.uid() and id = ", team).await? {
            return Err(Error::missing("team.not_found", "There is no such team."));
        }
    }
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.team_connections (from_team_id, to_team_id, connection_type) values (",
    );
    insert
        .bind(Bind::Uuid(input.p_from_team_id))
        .sql(", ")
        .bind(Bind::Uuid(input.p_to_team_id))
        .sql(", ")
        .bind(Bind::Text(input.p_connection_type))
        .sql(") returning id");
    written(tx.load(insert).await?)
}

/// Nobody acts in another's name, whether there is such a person or not.
async fn check_caller(tx: &mut Tx, named: Uuid, function: &str) -> Result<()> {
    if tx.person().await? == Some(named) {
        return Ok(());
    }
    let why = format!("permission denied for function {function}");
    Err(Error::forbidden("42501", why))
}

async fn exists(tx: &mut Tx, rows: &str, id: Uuid) -> Result<bool> {
    let mut found = Statement::<Bool>::new(format!("select exists (select from public.{rows}"));
    found.bind(Bind::Uuid(id)).sql(")");
    let found: Vec<bool> = tx.load(found).await?;
    Ok(found == [true])
}

fn written(ids: Vec<Uuid>) -> Result<Uuid> {
    ids.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the row was not written")))
}
