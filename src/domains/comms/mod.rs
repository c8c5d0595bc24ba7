//! Who is told what, how and when: notifications over the channels somebody wants, his quiet hours, his daily brief; and what
//! people write to each other, here and on other servers.

pub mod brief;
pub mod news;
pub mod notify;
pub mod quiet_hours;
pub mod threads;
pub mod wire;

use crate::domains::social::posts::publish;
use crate::kinds::verbs::Hook;
use crate::node::domain::Domain;
use crate::node::work::{Cron, Reaction};
use crate::{hears, job, shows};

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
    hooks: &[
        Hook {
            kind: "messages",
            before: Some(publish::before),
            after: Some(threads::after_messages),
        },
        Hook {
            kind: "posts",
            before: None,
            after: Some(threads::after_posts),
        },
    ],
    reactions: &[Reaction {
        name: "comms.news",
        to: news::react,
    }],
    hears: &[
        hears!(MessageCreated => threads::on_message),
        hears!(MessageUpdated => threads::on_message),
        hears!(ObjectDeleted => threads::on_deleted),
    ],
    shows: &[shows!("messages" => threads::show)],
    ..Domain::EMPTY
};
