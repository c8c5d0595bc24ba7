//! Agents: what they may use and what they do by themselves. Whoever owns an agent or a task decides about it.

pub mod permissions;
pub mod tasks;

use crate::action;
use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "agents",
    actions: &[
        action!("agent_integration_permissions"."grant" as "grant_agent_integration_permission", "Let an agent of the caller use one of his connections.",
            ["p_agent_id": "uuid", "p_connection_id": "uuid", "p_allowed_scopes": "text[]", "p_permission_level": "text"] => permissions::grant),
        action!("agent_integration_permissions"."revoke" as "revoke_agent_integration_permission", "Take a permission of an agent back.",
            ["p_permission_id": "uuid"] => permissions::revoke),
        action!(reads "agent_integration_permissions"."get" as "get_agent_integration_permissions", "Which connections an agent of the caller may use, and for what.",
            ["p_agent_id": "uuid"] => permissions::get),
        action!("task_steps"."create" as "create_task_step", "Add a step to an agent's task; the step's id comes back.",
            ["p_task_id": "uuid", "p_step_order": "integer", "p_step_name": "text", "p_instructions": "text"] => tasks::create_step),
        action!("task_steps"."update" as "update_task_step", "Change a step of an agent's task.",
            ["p_step_id": "uuid", "p_step_name": "text", "p_instructions": "text", "p_include_previous_context": "boolean"] => tasks::update_step),
        action!("task_steps"."delete" as "delete_task_step", "Delete a step of an agent's task; those after it move up.",
            ["p_step_id": "uuid"] => tasks::delete_step),
    ],
    ..Domain::EMPTY
};
