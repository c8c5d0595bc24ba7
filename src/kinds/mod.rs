//! The registry as the hub sees it: tables, columns, relations, and who may touch which column. Read from the
//! system catalogue and `hub.kinds`; nothing here knows what any particular kind means.

pub mod actions;
pub mod ask;
pub mod catalog;
pub mod describe;
pub mod plan;
pub mod refusal;
pub mod rows;
pub mod sql;
pub mod verbs;
pub mod version;

use std::collections::{BTreeMap, HashMap};

pub use crate::base::caller::Role;

/// A set of [`Role`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(pub u8);

impl Roles {
    /// Whether the role is in the set.
    pub fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

/// Everything the doors serve, as of one moment.
#[derive(Debug, Default)]
pub struct Kinds {
    /// Tables and views by schema, then name.
    pub schemas: HashMap<String, BTreeMap<String, Table>>,
}

/// A table or view.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub comment: Option<String>,
    pub is_view: bool,
    /// Its registry row, when it is a kind of the hub.
    pub kind: Option<Kind>,
    /// In the order of the table.
    pub columns: Vec<Column>,
    /// Column names.
    pub primary_key: Vec<String>,
    pub relations: Vec<Relation>,
    pub select: Roles,
    pub insert: Roles,
    pub update: Roles,
    pub delete: Roles,
}

/// What the registry adds to a table.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    pub domain: String,
    pub scope: String,
    pub owner_column: Option<String>,
    pub title: Option<String>,
    pub text_columns: Vec<String>,
    pub jsonld: String,
    /// Readable without signing in, at least some rows.
    pub is_public: bool,
    pub append_only: bool,
    /// Some read rows of others here by what they are in the hub: a developer, an admin.
    pub by_role: bool,
    pub plugin: Option<String>,
}

/// A column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    pub name: String,
    /// As `format_type` writes it, ready to be cast to: `uuid`, `text[]`, `numeric(12,2)`.
    pub sql_type: String,
    pub nullable: bool,
    /// The default as SQL, if any.
    pub default: Option<String>,
    pub is_generated: bool,
    pub comment: Option<String>,
    /// The values a check lists, if it lists them.
    pub listed: Vec<String>,
    pub select: Roles,
    pub insert: Roles,
    pub update: Roles,
}

/// A way from one table to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// Name of the constraint; of both, comma-separated, for many-to-many.
    pub constraint: String,
    pub cardinality: Cardinality,
    /// Columns of this table.
    pub columns: Vec<String>,
    pub target_schema: String,
    pub target: String,
    /// Columns of the target.
    pub target_columns: Vec<String>,
    /// The table between, for many-to-many.
    pub junction: Option<Junction>,
}

/// How many rows stand on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// A link of this table.
    ManyToOne,
    /// A link of the other table.
    OneToMany,
    /// A link of either that is unique.
    OneToOne,
    /// Through a table between.
    ManyToMany,
}

/// The table between two others.
#[derive(Clone, Debug, PartialEq)]
pub struct Junction {
    pub schema: String,
    pub table: String,
    pub constraint1: String,
    pub constraint2: String,
    /// Columns of the junction that point here.
    pub columns1: Vec<String>,
    /// Columns of the junction that point to the target.
    pub columns2: Vec<String>,
}

impl Kinds {
    /// A table of a schema.
    pub fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        self.schemas.get(schema)?.get(name)
    }
}

impl Table {
    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns a role may read, in order.
    pub fn readable(&self, role: Role) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(move |column| column.select.has(role))
    }
}
