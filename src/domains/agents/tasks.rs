//! The steps of what agents do by themselves (AG-42..44, AG-47). Steps keep their numbers without a gap when one goes;
//! how many there are is counted by `50_agents.sql`.

use diesel::sql_types::{Integer, Uuid as SqlUuid};
use serde::Deserialize;
use uuid::Uuid;

use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// The input of `create_task_step`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateStep {
    p_task_id: Uuid,
    p_step_order: i32,
    #[serde(default)]
    p_step_name: Option<String>,
    #[serde(default)]
    p_instructions: Option<String>,
}

/// Add a step to a task of the caller; a number that is taken is a conflict. The step's id comes back.
pub async fn create_step(tx: &mut Tx, input: CreateStep) -> Result<Uuid> {
    lock_task(tx, input.p_task_id)
        .await?
        .ok_or_else(|| Error::missing("task.not_found", "There is no such task."))?;
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.task_steps (task_id, step_order, step_name, instructions) values (",
    );
    insert
        .bind(Bind::Uuid(input.p_task_id))
        .sql(", ")
        .bind(Bind::Int(i64::from(input.p_step_order)))
        .sql("::int, ")
        .bind(Bind::Text(input.p_step_name))
        .sql(", ")
        .bind(Bind::Text(input.p_instructions))
        .sql(") returning id");
    let ids: Vec<Uuid> = tx.load(insert).await?;
    ids.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the step was not written")))
}

/// The input of `update_task_step`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateStep {
    p_step_id: Uuid,
    #[serde(default)]
    p_step_name: Option<String>,
    #[serde(default)]
    p_instructions: Option<String>,
    #[serde(default)]
    p_include_previous_context: Option<bool>,
}

/// Change a step of the caller; what is not said stays.
pub async fn update_step(tx: &mut Tx, input: UpdateStep) -> Result<bool> {
    let mut update = Statement::new("update public.task_steps set step_name = coalesce(");
    update
        .bind(Bind::Text(input.p_step_name))
        .sql(", step_name), instructions = coalesce(")
        .bind(Bind::Text(input.p_instructions))
        .sql(", instructions), include_previous_context = coalesce(")
        .bind(Bind::Text(
            input.p_include_previous_context.map(|on| on.to_string()),
        ))
        .sql("::boolean, include_previous_context) where owner_id = auth.uid() and id = ")
        .bind(Bind::Uuid(input.p_step_id));
    match tx.run(update).await? {
        0 => Err(no_step()),
        _ => Ok(true),
    }
}

/// The input of `delete_task_step`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteStep {
    p_step_id: Uuid,
}

/// Delete a step of the caller; those after it move up.
pub async fn delete_step(tx: &mut Tx, input: DeleteStep) -> Result<bool> {
    let mut task = Statement::<SqlUuid>::new(
        "select task_id from public.task_steps where owner_id = auth.uid() and id = ",
    );
    task.bind(Bind::Uuid(input.p_step_id));
    let task: Vec<Uuid> = tx.load(task).await?;
    let task = task.into_iter().next().ok_or_else(no_step)?;
    // Two who delete steps of one task take turns, so that the numbers are those of what is left.
    lock_task(tx, task).await?.ok_or_else(no_step)?;

    let mut delete = Statement::<Integer>::new(
        "delete from public.task_steps where owner_id = auth.uid() and id = ",
    );
    delete
        .bind(Bind::Uuid(input.p_step_id))
        .sql(" returning step_order");
    let deleted: Vec<i32> = tx.load(delete).await?;
    let order = deleted.into_iter().next().ok_or_else(no_step)?;
    let mut renumber = Statement::new(
        "update public.task_steps set step_order = step_order - 1 where owner_id = auth.uid() and task_id = ",
    );
    renumber
        .bind(Bind::Uuid(task))
        .sql(" and step_order > ")
        .bind(Bind::Int(i64::from(order)));
    tx.run(renumber).await?;
    Ok(true)
}

async fn lock_task(tx: &mut Tx, task: Uuid) -> Result<Option<Uuid>> {
    let mut lock = Statement::<SqlUuid>::new(
        "select id from public.agent_tasks where user_id = auth.uid() and id = ",
    );
    lock.bind(Bind::Uuid(task)).sql(" for no key update");
    let found: Vec<Uuid> = tx.load(lock).await?;
    Ok(found.into_iter().next())
}

fn no_step() -> Error {
    Error::missing("step.not_found", "There is no such step.")
}
