//! The manifest of a domain, and the few macros that turn a typed async function into a plain entry of it.

use crate::kinds::actions::Action;
use crate::kinds::verbs::Hook;
use crate::node::incoming::{Hears, Shows};
use crate::node::work::{Cron, JobEntry, Reaction};

/// What a domain plugs into the machinery.
#[derive(Clone, Copy)]
pub struct Domain {
    /// Its name, as the registry has it.
    pub name: &'static str,
    /// Its verbs.
    pub actions: &'static [Action],
    /// What it does around generic writes.
    pub hooks: &'static [Hook],
    /// What it does later.
    pub jobs: &'static [JobEntry],
    /// What it does by itself.
    pub crons: &'static [Cron],
    /// What it does about changes.
    pub reactions: &'static [Reaction],
    /// What it does about activities of other servers.
    pub hears: &'static [Hears],
    /// What it shows to other servers.
    pub shows: &'static [Shows],
}

impl Domain {
    /// A domain that plugs nothing in, to begin a manifest with.
    pub const EMPTY: Self = Self {
        name: "",
        actions: &[],
        hooks: &[],
        jobs: &[],
        crons: &[],
        reactions: &[],
        hears: &[],
        shows: &[],
    };
}

/// An entry for a job: `job!(mails::SendMail)`.
#[macro_export]
macro_rules! job {
    ($job:ty) => {
        $crate::node::work::JobEntry {
            key: <$job as $crate::node::work::Job>::KEY,
            lane: <$job as $crate::node::work::Job>::LANE,
            tries: <$job as $crate::node::work::Job>::TRIES,
            longest: <$job as $crate::node::work::Job>::LONGEST,
            run: |node, payload, attempt| {
                Box::pin(async move {
                    let job: $job = $crate::node::domain::input(payload)?;
                    $crate::node::work::Job::run(&job, node, attempt).await
                })
            },
        }
    };
}

/// An entry for a verb: `action!("kinds"."add", "One sentence.", (arguments) => plugins::add)`.
/// The function takes the transaction and its typed input and gives anything that serialises.
#[macro_export]
macro_rules! action {
    ($kind:literal . $verb:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::action!(@ $kind, $verb, false, $about, [$($name : $type),*] => $run)
    };
    (reads $kind:literal . $verb:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::action!(@ $kind, $verb, true, $about, [$($name : $type),*] => $run)
    };
    ($kind:literal . $verb:literal as $seed:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::kinds::actions::Action {
            seed_name: Some($seed),
            ..$crate::action!(@ $kind, $verb, false, $about, [$($name : $type),*] => $run)
        }
    };
    (reads $kind:literal . $verb:literal as $seed:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::kinds::actions::Action {
            seed_name: Some($seed),
            ..$crate::action!(@ $kind, $verb, true, $about, [$($name : $type),*] => $run)
        }
    };
    (@ $kind:literal, $verb:literal, $reads:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::kinds::actions::Action {
            kind: $kind,
            verb: $verb,
            seed_name: None,
            reads_only: $reads,
            about: $about,
            arguments: &[$(($name, $type)),*],
            looks_up: None,
            run: |tx, input| Box::pin(async move {
                let input = $crate::node::domain::input(input)?;
                let done = $run(tx, input).await?;
                serde_json::to_value(done).map_err($crate::base::Error::broken)
            }),
        }
    };
}

/// Read a verb's typed input.
pub fn input<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> crate::base::Result<T> {
    serde_json::from_value(value).map_err(|error| {
        crate::base::Error::Invalid(Box::new(
            crate::base::error::Told::new("22023", format!("The arguments do not fit: {error}"))
                .status(400),
        ))
    })
}
