//! Sockets around generic writes. A domain plugs functions in; nothing here knows which.

use std::future::Future;
use std::pin::Pin;

use super::ask::Rows;
use super::plan::Verb;
use crate::base::Result;
use crate::db::Tx;

/// What a socket's function returns.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// May rewrite the rows of an insert or an update before they are written.
pub type Before = for<'a> fn(&'a mut Tx, Verb, Rows) -> Later<'a, Rows>;

/// Is told the ids of the rows that were written.
pub type After = for<'a> fn(&'a mut Tx, Verb, &'a [String]) -> Later<'a, ()>;

/// What happens around the generic writes of one kind.
#[derive(Clone, Copy)]
pub struct Hook {
    /// The table's name.
    pub kind: &'static str,
    pub before: Option<Before>,
    pub after: Option<After>,
}

/// All hooks of the hub.
#[derive(Clone, Default)]
pub struct Hooks(pub Vec<Hook>);

impl Hooks {
    /// All of these.
    pub fn new<'a>(hooks: impl IntoIterator<Item = &'a Hook>) -> Self {
        Self(hooks.into_iter().copied().collect())
    }

    /// The hooks of a kind of this hub; tables of other schemas have none.
    pub fn of<'h>(&'h self, schema: &str, table: &str) -> impl Iterator<Item = &'h Hook> {
        let is_hub = schema == "public";
        self.0
            .iter()
            .filter(move |hook| is_hub && hook.kind == table)
    }
}
