//! Who is told what, how and when: notifications over the channels somebody wants, his quiet hours, his daily brief.

pub mod brief;
pub mod notify;
pub mod quiet_hours;

use crate::job;
use crate::node::domain::Domain;
use crate::node::work::Cron;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "comms",
    jobs: &[
        job!(notify::Deliver),
        job!(brief::FindDue),
        job!(brief::WriteBrief),
    ],
    crons: &[Cron {
        name: "comms.daily_brief",
        schedule: "*/15 * * * *",
        job: "comms.daily_brief",
    }],
    ..Domain::EMPTY
};
