//! Agents, teams, workspaces, what they may use.

use made_open::base::Caller;
use serde_json::json;

use super::Scene;
use crate::rows::Values;
use crate::stage::object;

#[tokio::test(flavor = "multi_thread")]
async fn ag_5_an_agent_has_its_defaults() {
    let scene = Scene::new().await;
    scene
        .does("insert into agents (name) values ('Sofia')")
        .await;
    let defaults =
        "select concat_ws(' ', context_window_size, max_tokens, is_active, kind) from agents";
    assert_eq!(scene.tells(defaults).await, "4000 1000 t assistant");
    scene
        .refuses("update agents set max_tokens = 0", "agents_max_tokens_fits")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_8_an_agent_is_allowed_no_more_than_the_connection_was_granted() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    let connection = world
        .make(
            "user_integration_credentials",
            object(&json!({"scopes_granted": ["read"]})),
        )
        .await;
    let agent = scene
        .adds(&scene.me, "insert into agents (name) values ('Sofia')")
        .await;
    let insert = |scopes: &str| {
        format!(
            "insert into agent_integration_permissions (agent_id, connection_id, allowed_scopes) values ('{agent}', '{}', '{scopes}')",
            connection["id"].as_str().unwrap()
        )
    };
    scene
        .refuses(
            &insert("[\"read\", \"write\"]"),
            "agent_integration_permissions_allowed_scopes_granted",
        )
        .await;
    scene.does(&insert("[\"read\"]")).await;
    assert_eq!(
        scene
            .tells("select permission_level from agent_integration_permissions")
            .await,
        "custom"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_9_founding_a_team_and_ag_11_a_workspace_makes_the_founder_a_member() {
    let scene = Scene::new().await;
    let team = scene
        .adds(&scene.me, "insert into teams (name) values ('crew')")
        .await;
    let role = format!(
        "select team_role from team_members where team_id = '{team}' and user_id = '{}'",
        scene.id
    );
    assert_eq!(scene.tells(&role).await, "owner");
    let workspace = scene
        .adds(&scene.me, "insert into workspaces (name) values ('desk')")
        .await;
    let role = format!(
        "select role from workspace_members where workspace_id = '{workspace}' and user_id = '{}'",
        scene.id
    );
    assert_eq!(scene.tells(&role).await, "owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_12_a_workspace_member_is_a_user_an_agent_or_a_team() {
    let scene = Scene::new().await;
    let (grace, _) = scene.other("grace").await;
    let workspace = scene
        .adds(&scene.me, "insert into workspaces (name) values ('desk')")
        .await;
    let team = scene
        .adds(&scene.me, "insert into teams (name) values ('crew')")
        .await;
    let insert = |columns: &str, said: &str| {
        format!(
            "insert into workspace_members (workspace_id, {columns}) values ('{workspace}', {said})"
        )
    };
    scene
        .refuses(
            &insert("user_id, team_id", &format!("'{grace}', '{team}'")),
            "workspace_members_has_one_member",
        )
        .await;
    scene
        .refuses(
            &insert("role", "'member'"),
            "workspace_members_has_one_member",
        )
        .await;
    scene.does(&insert("team_id", &format!("'{team}'"))).await;
    scene
        .refuses(
            &insert("team_id", &format!("'{team}'")),
            "workspace_members_workspace_id_team_id_key",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_18_the_old_token_columns_stay_empty() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    world
        .make("user_integration_credentials", &Values::new())
        .await;
    for column in ["encrypted_access_token", "encrypted_refresh_token"] {
        let sql = format!("update user_integration_credentials set {column} = 'x'");
        scene.refuses(&sql, "42501").await;
        scene
            .denies(
                &Caller::Hub,
                &sql,
                &format!("user_integration_credentials_{column}_empty"),
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_31_a_document_counts_the_agents_it_was_given_to() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    let media = world.make("media_library", &Values::new()).await;
    let media = media["id"].as_str().unwrap();
    scene
        .does("insert into agents (name) values ('Sofia'), ('Node')")
        .await;
    scene
        .does(&format!("insert into agent_media_assignments (agent_id, media_id) select id, '{media}' from agents"))
        .await;
    let count = "select assigned_agents_count::text from media_library";
    assert_eq!(scene.tells(count).await, "2");
    scene.does("delete from agents where name = 'Node'").await;
    assert_eq!(scene.tells(count).await, "1");
    scene
        .refuses(
            "update media_library set assigned_agents_count = 7",
            "42501",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_36_steps_are_counted_and_a_task_ends_at_its_last_run() {
    let scene = Scene::new().await;
    let agent = scene
        .adds(&scene.me, "insert into agents (name) values ('Sofia')")
        .await;
    let task = scene
        .adds(&scene.me, &format!("insert into agent_tasks (agent_id, name, max_executions) values ('{agent}', 'report', 1)"))
        .await;
    let insert = |order: i32| {
        format!("insert into task_steps (task_id, step_order) values ('{task}', {order})")
    };
    scene.does(&insert(1)).await;
    scene.does(&insert(2)).await;
    scene
        .refuses(&insert(2), "task_steps_task_id_step_order_key")
        .await;
    assert_eq!(
        scene
            .tells("select step_count::text from agent_tasks")
            .await,
        "2"
    );
    scene
        .refuses("update agent_tasks set total_executions = 0", "42501")
        .await;
    scene
        .lets(
            &Caller::Hub,
            "update agent_tasks set total_executions = total_executions + 1",
        )
        .await;
    assert_eq!(
        scene.tells("select status from agent_tasks").await,
        "completed"
    );
}
