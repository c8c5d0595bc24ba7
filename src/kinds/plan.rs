//! What will be done: an [`Ask`] held against the registry. Every table, column, relation and type that reaches SQL
//! was found here first; what is not there, or not for this role, is refused with a hint.

mod read;
mod relate;
mod types;
mod write;

pub use types::{base_type, is_jsonish, is_numeric, is_textual};
pub use write::{Conflict, Verb, Write};

use super::ask::{
    self, AggregateFunction, Ask, Count, Method, Prefer, Resolution, Return, Shape, Step, Test,
};
use super::{Kinds, Relation, Role, Table, refusal};
use crate::base::Result;

/// What the operator set.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The served schemas, the default one first.
    pub schemas: &'a [String],
    pub max_rows: u32,
    pub max_depth: usize,
    pub aggregates: bool,
}

/// Everything that SQL is made from.
#[derive(Debug)]
pub struct Plan<'k> {
    pub method: Method,
    pub table: &'k Table,
    /// What is read; of a write, what is answered.
    pub read: Node<'k>,
    pub write: Option<Write<'k>>,
    pub shape: Shape,
    pub prefer: Prefer,
    /// How rows are counted beyond the page.
    pub count: Option<Count>,
    /// The schema to name in the answer, when there are several.
    pub named_schema: Option<&'k str>,
    /// Columns that name a written row, when this role may read them.
    pub key: Vec<&'k str>,
    pub max_rows: u32,
}

/// A table in the tree of what is read.
#[derive(Debug)]
pub struct Node<'k> {
    /// Its alias is made of this number.
    pub number: usize,
    pub table: &'k Table,
    pub outputs: Vec<Output<'k>>,
    pub embeds: Vec<Embedded<'k>>,
    pub conditions: Vec<Condition<'k>>,
    pub orders: Vec<Sorted<'k>>,
    pub limit: u64,
    pub offset: u64,
}

/// A table below another.
#[derive(Debug)]
pub struct Embedded<'k> {
    pub node: Node<'k>,
    pub relation: &'k Relation,
    /// What it is called in the answer.
    pub name: String,
    /// What it is called in the request.
    pub target: String,
    pub to_one: bool,
    pub inner: bool,
    pub spread: bool,
    /// Nothing of it is shown; it only filters.
    pub silent: bool,
}

/// A column, or something inside it.
#[derive(Clone, Debug)]
pub struct Place<'k> {
    pub column: &'k str,
    pub sql_type: &'k str,
    pub path: Vec<Step>,
}

/// Something shown.
#[derive(Clone, Debug)]
pub struct Output<'k> {
    pub what: What<'k>,
    pub cast: Option<String>,
    pub aggregate: Option<ask::Aggregate>,
    pub name: String,
}

/// What is shown.
#[derive(Clone, Debug)]
pub enum What<'k> {
    Place(Place<'k>),
    /// `count(*)`.
    Rows,
}

/// A condition on rows of one node.
#[derive(Debug)]
pub enum Condition<'k> {
    Test {
        place: Place<'k>,
        negated: bool,
        test: Test,
    },
    Tree {
        negated: bool,
        any: bool,
        terms: Vec<Condition<'k>>,
    },
    /// Whether the embed of this position has rows.
    Embed { place: usize, there: bool },
}

/// One term of an order.
#[derive(Debug)]
pub struct Sorted<'k> {
    /// The position of the embed whose column it is.
    pub embed: Option<usize>,
    pub place: Place<'k>,
    pub descending: Option<bool>,
    pub nulls_first: Option<bool>,
}

impl Output<'_> {
    /// Whether it is one value for many rows.
    pub fn is_aggregate(&self) -> bool {
        self.aggregate.is_some() || matches!(self.what, What::Rows)
    }
}

impl Node<'_> {
    /// Whether rows are grouped.
    pub fn is_grouped(&self) -> bool {
        self.outputs.iter().any(Output::is_aggregate)
            || self.embeds.iter().any(|embed| !embed.hoisted().is_empty())
    }
}

impl<'k> Embedded<'k> {
    /// The aggregates of a spread: they are taken over the rows of the table above.
    pub fn hoisted(&self) -> Vec<&Output<'k>> {
        if !self.spread || !self.to_one {
            return Vec::new();
        }
        let own = self.node.outputs.iter().filter(|o| o.is_aggregate());
        own.chain(self.node.embeds.iter().flat_map(Embedded::hoisted))
            .collect()
    }
}

impl AggregateFunction {
    /// Its name in SQL and, unless there is an alias, in the answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

impl Plan<'_> {
    /// Whether the written rows are answered.
    pub fn shows_rows(&self) -> bool {
        self.write.is_none() || self.prefer.returns == Some(Return::Representation)
    }
}

/// Hold a request against the registry.
pub fn plan<'k>(ask: Ask, kinds: &'k Kinds, limits: &Limits<'k>, role: Role) -> Result<Plan<'k>> {
    let table = table(&ask, kinds, limits, role)?;
    let schema = table.schema.as_str();
    let planner = read::Planner {
        kinds,
        limits: *limits,
        role,
    };

    let shows = ask.method.reads() || ask.prefer.returns == Some(Return::Representation);
    let read = planner.read(&ask, table, shows)?;
    let key: Vec<&str> = match table
        .primary_key
        .iter()
        .map(|name| planner.column(table, name))
        .collect::<Result<Vec<_>>>()
    {
        Ok(columns) => columns.iter().map(|c| c.name.as_str()).collect(),
        Err(_) => Vec::new(),
    };
    let count = match ask.prefer.count {
        Some(Count::Planned | Count::Estimated)
            if !table.kind.as_ref().is_some_and(|kind| kind.is_public) =>
        {
            Some(Count::Exact)
        }
        other => other,
    };

    let mut plan = Plan {
        method: ask.method,
        table,
        read,
        write: None,
        shape: ask.shape,
        prefer: ask.prefer.clone(),
        count,
        named_schema: (limits.schemas.len() > 1).then_some(schema),
        key,
        max_rows: limits.max_rows,
    };
    if !ask.method.reads() {
        plan.write = Some(planner.write(ask, table)?);
        let keyed = plan.write.as_ref().is_some_and(Write::has_conflict_target);
        if !keyed {
            plan.prefer.resolution = None::<Resolution>;
        }
    }
    Ok(plan)
}

fn table<'k>(ask: &Ask, kinds: &'k Kinds, limits: &Limits<'k>, role: Role) -> Result<&'k Table> {
    let default = limits.schemas.first().map_or("public", String::as_str);
    let schema = match &ask.schema {
        None => default,
        Some(named) => match limits.schemas.iter().find(|served| *served == named) {
            Some(served) => served,
            None => return Err(refusal::no_schema(named, limits.schemas)),
        },
    };
    match kinds.table(schema, &ask.table) {
        Some(table) if table.is_served() => Ok(table),
        _ if ask.table.contains('/') => Err(refusal::no_path()),
        _ => Err(refusal::no_table(kinds, schema, &ask.table, role)),
    }
}

impl Table {
    /// Whether any door shows it at all.
    pub fn is_served(&self) -> bool {
        self.kind
            .as_ref()
            .is_none_or(|kind| kind.scope != "service")
    }

    /// Whether this role may do anything with it.
    pub fn is_visible_to(&self, role: Role) -> bool {
        self.is_served()
            && [self.select, self.insert, self.update, self.delete]
                .iter()
                .any(|roles| roles.has(role))
    }
}
