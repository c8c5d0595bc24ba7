//! Running a hub: kinds that plugins bring. Rules, audit and retention follow.

pub mod plugins;
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
    ],
    jobs: &[job!(retention::ForgetAnswers)],
    crons: &[Cron {
        name: "forget_answers",
        schedule: "17 * * * *",
        job: "ops.forget_answers",
    }],
    ..Domain::EMPTY
};
