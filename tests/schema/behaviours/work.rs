//! Tasks, phases, the ontology, chats with a model; invoices and subscriptions.

use made_open::base::Caller;
use serde_json::json;

use super::Scene;
use crate::rows::Values;
use crate::stage::object;

#[tokio::test(flavor = "multi_thread")]
async fn bo_14_done_stamps_its_time_and_no_task_waits_for_itself() {
    let scene = Scene::new().await;
    scene
        .does("insert into tasks (title, status) values ('a', 'todo'), ('b', 'pending')")
        .await;
    let waiting =
        "select count(*)::text from tasks where status = 'pending' and completed_at is null";
    assert_eq!(scene.tells(waiting).await, "2");
    scene
        .does("update tasks set status = 'done' where title = 'a'")
        .await;
    let stamped = "select (completed_at is not null)::text from tasks where title = 'a'";
    assert_eq!(scene.tells(stamped).await, "true");
    scene
        .does("update tasks set status = 'in_progress' where title = 'a'")
        .await;
    assert_eq!(scene.tells(stamped).await, "false");
    let after = |one: &str, other: &str| {
        format!(
            "update tasks set dependencies = array(select id from tasks where title = '{other}') where title = '{one}'"
        )
    };
    scene.does(&after("a", "b")).await;
    scene
        .refuses(&after("b", "a"), "tasks_dependencies_has_no_cycle")
        .await;
    scene
        .refuses(
            "insert into tasks (title, task_type) values ('c', 'recurring')",
            "tasks_recurring_has_pattern",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_15_a_phase_ends_after_it_starts_and_has_a_task_once() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    let phase = world.make("phases", &Values::new()).await;
    let task = world.make("tasks", &Values::new()).await;
    scene
        .refuses(
            "update phases set end_date = start_date - interval '1 day'",
            "phases_end_date_fits",
        )
        .await;
    let insert = format!(
        "insert into phase_tasks (phase_id, task_id, \"order\") values ({}, {}, 1)",
        phase["id"], task["id"]
    )
    .replace('"', "'");
    let insert = insert.replace("'order'", "\"order\"");
    scene.does(&insert).await;
    scene
        .refuses(&insert, "phase_tasks_phase_id_task_id_key")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_19_states_follow_the_template_of_their_type() {
    let scene = Scene::new().await;
    let project = scene
        .adds(
            &scene.me,
            "insert into onto_projects (name, type_key) values ('house', 'free')",
        )
        .await;
    scene
        .lets(
            &Caller::Hub,
            "insert into onto_templates (kind, type_key, name, states, initial_state, transitions, default_props)
             values ('plan', 'strict', 'Strict', '{draft,live,over}', 'draft', '{\"draft\": [\"live\"], \"live\": [\"over\"]}', '{}')",
        )
        .await;
    scene
        .does(&format!("insert into onto_plans (project_id, name, type_key) values ('{project}', 'p', 'strict')"))
        .await;
    assert_eq!(
        scene.tells("select state_key from onto_plans").await,
        "draft"
    );
    scene
        .refuses(
            "update onto_plans set state_key = 'over'",
            "onto_plans_state_key_follows_template",
        )
        .await;
    scene
        .refuses(
            "update onto_plans set state_key = 'lost'",
            "onto_plans_state_key_follows_template",
        )
        .await;
    scene.does("update onto_plans set state_key = 'live'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_20_edges_stay_within_their_project() {
    let scene = Scene::new().await;
    scene
        .does(
            "insert into onto_projects (name, type_key) values ('house', 'free'), ('boat', 'free')",
        )
        .await;
    scene
        .does("insert into onto_tasks (project_id, title, type_key) select id, name, 'free' from onto_projects")
        .await;
    let edge = |from: &str, to: &str| {
        format!(
            "insert into onto_edges (project_id, src_kind, src_id, rel, dst_kind, dst_id)
             select p.id, 'task', a.id, 'blocks', 'task', b.id from onto_projects p, onto_tasks a, onto_tasks b
             where p.name = 'house' and a.title = '{from}' and b.title = '{to}'"
        )
    };
    scene.refuses(&edge("house", "boat"), "23503").await;
    scene.does(&edge("house", "house")).await;
    scene
        .does("delete from onto_tasks where title = 'house'")
        .await;
    assert_eq!(
        scene.tells("select count(*)::text from onto_edges").await,
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_22_founding_a_project_makes_the_founder_its_owner_and_bo_25_viewers_only_read() {
    let scene = Scene::new().await;
    let (grace, her) = scene.other("grace").await;
    let project = scene
        .adds(
            &scene.me,
            "insert into onto_projects (name, type_key) values ('house', 'free')",
        )
        .await;
    let role =
        format!("select m.role_key from onto_project_members m where m.project_id = '{project}'");
    assert_eq!(scene.tells(&role).await, "owner");
    let card = scene
        .adds(
            &scene.me,
            &format!("insert into onto_actors (user_id, name) values ('{grace}', 'Grace')"),
        )
        .await;
    scene
        .does(&format!("insert into onto_project_members (project_id, actor_id, role_key) values ('{project}', '{card}', 'viewer')"))
        .await;
    assert_eq!(
        scene.shows(&her, "select name from onto_projects").await,
        "house"
    );
    scene
        .denies(
            &her,
            &format!("insert into onto_goals (project_id, name) values ('{project}', 'roof')"),
            "42501",
        )
        .await;
    let refused = "update onto_projects set name = 'hers'";
    assert_eq!(scene.stage.touches(&her, refused).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_30_a_chat_session_counts_its_messages_and_tokens() {
    let scene = Scene::new().await;
    scene
        .does("insert into chat_sessions (title) values ('talk')")
        .await;
    scene
        .does("insert into chat_messages (session_id, role, content, prompt_tokens, completion_tokens)
            select id, 'user', 'hi', 3, 4 from chat_sessions union all select id, 'assistant', 'ho', 5, null from chat_sessions")
        .await;
    let counted = "select concat_ws(' ', message_count, total_tokens_used) from chat_sessions";
    assert_eq!(scene.tells(counted).await, "2 12");
    scene
        .does("delete from chat_messages where role = 'user'")
        .await;
    assert_eq!(scene.tells(counted).await, "1 5");
    scene
        .refuses("update chat_sessions set message_count = 0", "42501")
        .await;
    scene
        .refuses(
            "update chat_messages set role = 'king'",
            "chat_messages_role_listed",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_35_a_days_usage_is_the_sum_of_its_calls() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    for cost in ["0.25", "0.50"] {
        let call = json!({"total_tokens": 10, "total_cost_usd": cost, "status": "success"});
        world.make("llm_usage_logs", object(&call)).await;
    }
    let sums = "select concat_ws(' ', total_requests, total_tokens, total_cost_usd) from llm_usage_summary";
    assert_eq!(scene.tells(sums).await, "2 20 0.75");
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_49_amounts_are_not_negative_and_a_percentage_ends_at_a_hundred() {
    let scene = Scene::new().await;
    let code = |kind: &str, value: i32| {
        format!(
            "insert into discount_codes (code, discount_type, discount_value) values ('{kind}{value}', '{kind}', {value})"
        )
    };
    let hub = Caller::Hub;
    scene.lets(&hub, &code("percent", 100)).await;
    scene.lets(&hub, &code("fixed", 101)).await;
    scene
        .denies(
            &hub,
            &code("percent", 101),
            "discount_codes_discount_value_fits",
        )
        .await;
    scene
        .denies(
            &hub,
            &code("fixed", -1),
            "discount_codes_discount_value_fits",
        )
        .await;
    scene
        .denies(&hub, "insert into subscription_plans (name, stripe_price_id, price_cents) values ('a', 'p', -1)", "subscription_plans_price_cents_fits")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_50_one_payment_method_is_the_default_and_accounts_follow_their_subscription() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    for _ in 0..2 {
        world
            .make("payment_methods", object(&json!({"is_default": true})))
            .await;
    }
    let defaults = "select count(*)::text from payment_methods where is_default";
    assert_eq!(scene.tells(defaults).await, "1");
    world
        .make(
            "customer_subscriptions",
            object(&json!({"status": "past_due", "stripe_customer_id": "cus_1"})),
        )
        .await;
    let told = "select concat_ws(' ', subscription_status, stripe_customer_id) from users";
    assert_eq!(scene.tells(told).await, "past_due cus_1");
}
