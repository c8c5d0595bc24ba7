//! Running a hub: kinds that plugins bring. Jobs that died, and what is forgotten when.

pub mod plugins;
pub mod queue;
pub mod retention;

use crate::node::domain::Domain;
use crate::node::work::Cron;
use crate::{action, job};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "ops",
    actions: &[
        action!("kinds"."add", "Add a kind from a description of its columns; for developers.", ["kind": "jsonb"] => plugins::add),
        action!(reads "kinds"."list", "Every kind that the caller may see.", [] => plugins::list),
        action!("job_records"."list", "Jobs of everybody in one state, dead unless another is named; for developers.", ["status": "text", "limit": "integer"] => queue::list),
        action!("job_records"."retry", "Try a dead job again.", ["id": "uuid"] => queue::retry),
    ],
    jobs: &[
        job!(queue::Prune),
        job!(queue::Nothing),
        job!(retention::ForgetAnswers),
    ],
    crons: &[
        Cron {
            name: "prune",
            schedule: "17 3 * * *",
            job: "ops.prune",
        },
        Cron {
            name: "forget_answers",
            schedule: "41 * * * *",
            job: "ops.forget_answers",
        },
    ],
    ..Domain::EMPTY
};
