//! Running a hub: kinds that plugins bring, the audit log. Rules and retention follow.

pub mod audit;
pub mod plugins;

use crate::node::domain::Domain;
use crate::node::work::Cron;
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
    ],
    jobs: &[job!(audit::SealAudit)],
    crons: &[Cron {
        name: "seal_audit",
        schedule: "*/5 * * * *",
        job: "ops.seal_audit",
    }],
    ..Domain::EMPTY
};
