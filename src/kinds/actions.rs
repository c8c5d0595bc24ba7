//! Sockets for verbs: what a domain plugs in so that every door can call it.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use crate::base::Result;
use crate::db::Tx;
use crate::db::audit::{self, Note};

/// A verb of a kind, reachable from every door as `<kind>_<verb>`.
#[derive(Clone, Copy)]
pub struct Action {
    /// The kind it belongs to.
    pub kind: &'static str,
    /// The verb itself.
    pub verb: &'static str,
    /// The name its seed gave it, when it has one of its own.
    pub seed_name: Option<&'static str>,
    /// Changes nothing, so that GET may call it too.
    pub reads_only: bool,
    /// One sentence for people.
    pub about: &'static str,
    /// Names of the arguments with their SQL types, for descriptions and for GET.
    pub arguments: &'static [(&'static str, &'static str)],
    /// The argument (or the place within one, as a JSON pointer) that may name an actor or an object elsewhere: it is looked up before the transaction opens.
    pub looks_up: Option<&'static str>,
    /// The behaviour.
    pub run: for<'a> fn(&'a mut Tx, Value) -> Running<'a>,
}

/// A behaviour under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Value>> + 'a>>;

impl Action {
    /// The same verb, whose argument may name something elsewhere.
    pub const fn looking_up(self, argument: &'static str) -> Self {
        Self {
            looks_up: Some(argument),
            ..self
        }
    }

    /// Do it, and note in the audit log that it was done where it may have changed something (MO-56).
    pub async fn perform(&self, tx: &mut Tx, input: Value) -> Result<Value> {
        let done = (self.run)(tx, input).await?;
        if !self.reads_only {
            let name = self.name();
            let executed = Note {
                action: "execute",
                resource: &name,
                id: None,
                owner: None,
                metadata: Value::Object(serde_json::Map::new()),
            };
            audit::note(tx, executed).await?;
        }
        Ok(done)
    }

    /// What the doors call it.
    pub fn name(&self) -> String {
        match self.seed_name {
            Some(name) => name.to_owned(),
            None => format!("{}_{}", self.kind, self.verb),
        }
    }

    /// Whether a door's caller means this one.
    pub fn is_called(&self, name: &str) -> bool {
        self.seed_name == Some(name)
            || name
                .strip_prefix(self.kind)
                .and_then(|rest| rest.strip_prefix('_'))
                == Some(self.verb)
    }
}
