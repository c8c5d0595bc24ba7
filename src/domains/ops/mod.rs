//! Running a hub: kinds that plugins bring, people's rules, the audit log. Jobs that died, and what is forgotten when.

pub mod audit;
pub mod plugins;
pub mod queue;
pub mod retention;
pub mod rules;
pub mod written_times;

use diesel::sql_types::Bool;

use crate::base::Result;
use crate::db::{Statement, Tx};
use crate::fed::deliver::PruneDeliveries;
use crate::kinds::verbs::Hook;
use crate::node::domain::Domain;
use crate::node::work::{Cron, Reaction};
use crate::{action, job};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "ops",
    actions: &[
        action!("kinds"."add", "Add a kind from a description of its columns; for developers.", ["kind": "jsonb"] => plugins::add),
        action!(reads "kinds"."list", "Every kind that the caller may see.", [] => plugins::list),
        action!(reads "audit_log"."export", "One's own audit log with its seals as lines, a page at a time.", ["after": "bigint"] => audit::export_own),
        action!(reads "audit_log"."seals", "The seals over one's own audit log.", ["after": "bigint"] => audit::seals_own),
        action!(reads "audit_log"."verify", "Hold one's own audit log against its seals.", [] => audit::verify_own),
        action!("job_records"."list", "Jobs of everybody in one state, dead unless another is named; for developers.", ["status": "text", "limit": "integer"] => queue::list),
        action!("job_records"."retry", "Try a dead job again.", ["id": "uuid"] => queue::retry),
        action!(reads "rules"."try", "Say what a rule would do about an event or a row, and do nothing.", ["rule": "jsonb", "rule_id": "uuid", "event": "jsonb", "row": "jsonb"] => rules::try_out),
    ],
    hooks: &[
        Hook {
            kind: "rules",
            before: Some(rules::check),
            after: None,
        },
        Hook {
            kind: "users",
            before: Some(written_times::check_zone),
            after: None,
        },
        Hook {
            kind: "user_settings",
            before: Some(written_times::check_zone),
            after: None,
        },
        Hook {
            kind: "agent_tasks",
            before: Some(written_times::check_schedule),
            after: None,
        },
    ],
    jobs: &[
        job!(audit::SealAudit),
        job!(queue::Prune),
        job!(queue::Nothing),
        job!(PruneDeliveries),
        job!(retention::ForgetAnswers),
        job!(rules::apply::ApplyRules),
        job!(rules::apply::RuleAction),
        job!(rules::apply::ForgetRuns),
    ],
    crons: &[
        Cron {
            name: "seal_audit",
            schedule: "*/5 * * * *",
            job: "ops.seal_audit",
        },
        Cron {
            name: "prune",
            schedule: "17 3 * * *",
            job: "ops.prune",
        },
        Cron {
            name: "prune_deliveries",
            schedule: "23 * * * *",
            job: "fed.prune_deliveries",
        },
        Cron {
            name: "forget_answers",
            schedule: "41 * * * *",
            job: "ops.forget_answers",
        },
        Cron {
            name: "forget_rule_runs",
            schedule: "41 3 * * *",
            job: "ops.forget_rule_runs",
        },
    ],
    reactions: &[Reaction {
        name: "ops.rules",
        to: rules::react,
    }],
    ..Domain::EMPTY
};

/// Whether the caller runs the hub: the hub itself, a service's key, or a developer.
async fn is_operator(tx: &mut Tx) -> Result<bool> {
    let may: Vec<bool> = tx
        .load(Statement::<Bool>::new(
            "select current_setting('role') = 'service_role' or coalesce(auth.app_role() = 'developer', false)",
        ))
        .await?;
    Ok(may == [true])
}
