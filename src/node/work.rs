//! Sockets for what happens later: jobs, what runs by itself, and what follows from a change. Domains plug functions
//! in through their manifest; how they are run is not known here.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::Node;
use crate::base::Result;
use crate::db::Tx;
use crate::kinds::verbs::Later;

/// A queue of jobs; each has workers of its own, so that slow ones keep nobody else waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Somebody waits for it.
    Realtime,
    /// Somebody will look for it soon.
    Interactive,
    /// Nobody waits.
    Background,
}

impl Lane {
    /// All of them, most urgent first.
    pub const ALL: [Self; 3] = [Self::Realtime, Self::Interactive, Self::Background];

    /// As `job_records.queue` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::Interactive => "interactive",
            Self::Background => "background",
        }
    }
}

/// One try at a job.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub job: Uuid,
    /// From 1; counted before the job runs.
    pub number: i32,
    /// For whom the job works; none for the hub's own.
    pub owner: Option<Uuid>,
    pub correlation: Option<String>,
    pub triggered_by: Option<String>,
}

/// Work for later. Delivered at least once, so it must bear to be done twice.
pub trait Job: Serialize + DeserializeOwned + 'static {
    /// Its name in `job_records.job_type`.
    const KEY: &'static str;
    /// Where it waits.
    const LANE: Lane = Lane::Background;
    /// How often it is tried.
    const TRIES: i32 = 10;
    /// How long one try may take.
    const LONGEST: Duration = Duration::from_secs(300);

    /// Do it. An error that is not transient is not tried again.
    fn run(&self, node: &Node, attempt: &Attempt) -> impl Future<Output = Result<()>>;
}

/// A job as a manifest lists it.
#[derive(Clone, Copy)]
pub struct JobEntry {
    pub key: &'static str,
    pub lane: Lane,
    pub tries: i32,
    pub longest: Duration,
    pub run: for<'a> fn(&'a Node, Value, &'a Attempt) -> RunningJob<'a>,
}

/// A job under way.
pub type RunningJob<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Something that runs by itself.
#[derive(Clone, Copy)]
pub struct Cron {
    /// Its name in `cron_logs.job_name`.
    pub name: &'static str,
    /// Minute, hour, day of the month, month, day of the week; in UTC.
    pub schedule: &'static str,
    /// The job that it enqueues, with an empty payload.
    pub job: &'static str,
}

/// A row that changed, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub id: Uuid,
    pub kind: String,
    /// insert | update | delete, or the word of a domain such as `exchange.accepted`.
    pub verb: String,
    pub row: Uuid,
    pub owner: Option<Uuid>,
    pub actor: Option<Uuid>,
    pub changed: Vec<String>,
    /// The chain of rules it belongs to, and how many of them stand between it and a person.
    pub correlation: Option<String>,
    pub depth: i32,
    pub at: chrono::DateTime<chrono::Utc>,
}

impl Change {
    /// What rules call it: `tasks.insert`, or a domain's word as it is.
    pub fn name(&self) -> String {
        match self.verb.contains('.') {
            true => self.verb.clone(),
            false => format!("{}.{}", self.kind, self.verb),
        }
    }
}

/// What a domain does about changes. Told of each at least once, in the order of the journal, with the hub's rights;
/// slow things are enqueued.
#[derive(Clone, Copy)]
pub struct Reaction {
    pub name: &'static str,
    pub to: for<'a> fn(&'a mut Tx, &'a [Change]) -> Later<'a, ()>,
}
