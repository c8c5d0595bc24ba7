//! From the name of an embedded resource to the one relation that is meant.

use serde_json::{Value, json};

use super::read::Planner;
use crate::base::Result;
use crate::kinds::{Cardinality, Relation, Table, refusal};

impl<'k> Planner<'k> {
    /// The relation that a name, and perhaps a hint, stand for.
    pub fn relation(
        &self,
        origin: &'k Table,
        target: &str,
        hint: Option<&str>,
    ) -> Result<(&'k Relation, &'k Table)> {
        let mut found: Vec<(&Relation, &Table)> = origin
            .relations
            .iter()
            .filter_map(|relation| {
                let to = self
                    .kinds
                    .table(&relation.target_schema, &relation.target)?;
                let served = to.is_served() && self.limits.schemas.contains(&to.schema);
                (served
                    && meant(origin, relation, to, target, hint)
                    && self.usable(origin, relation, to))
                .then_some((relation, to))
            })
            .collect();
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(refusal::no_relation(origin, target, hint)),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                found.push(last);
                let ways = found
                    .iter()
                    .map(|(relation, _)| (described(origin, relation), choosing(relation)))
                    .collect();
                Err(refusal::ambiguous(&origin.name, target, ways))
            }
        }
    }

    /// Whether this role may read the columns that lead there. If not, the way is not there for it.
    fn usable(&self, origin: &Table, relation: &Relation, to: &Table) -> bool {
        let all = |table: &Table, names: &[String]| {
            names.iter().all(|name| {
                table
                    .column(name)
                    .is_some_and(|column| column.select.has(self.role))
            })
        };
        let ends = all(origin, &relation.columns) && all(to, &relation.target_columns);
        match &relation.junction {
            None => ends,
            Some(between) => {
                ends && self
                    .kinds
                    .table(&between.schema, &between.table)
                    .is_some_and(|table| {
                        all(table, &between.columns1) && all(table, &between.columns2)
                    })
            }
        }
    }
}

fn meant(
    origin: &Table,
    relation: &Relation,
    to: &Table,
    target: &str,
    hint: Option<&str>,
) -> bool {
    let single = |columns: &[String], name: &str| {
        relation.junction.is_none() && matches!(columns, [only] if only == name)
    };
    let by_name = relation.target == target;
    let to_itself = to.schema == origin.schema && to.name == origin.name;
    let through = |name: &str| {
        relation
            .junction
            .as_ref()
            .is_some_and(|between| between.table == name)
    };
    match (to_itself, hint) {
        // One key, two directions: the name of the table means its children, the name of the column its parent.
        (true, None) => {
            by_name && relation.cardinality == Cardinality::OneToMany
                || single(&relation.columns, target)
                    && relation.cardinality == Cardinality::ManyToOne
        }
        (true, Some(hint)) => {
            by_name
                && (relation.cardinality == Cardinality::OneToMany
                    && (single(&relation.target_columns, hint) || relation.constraint == hint)
                    || through(hint))
        }
        (false, None) => {
            by_name
                || !to.is_view
                    && (relation.junction.is_none() && relation.constraint == target
                        || single(&relation.columns, target))
        }
        (false, Some(hint)) => {
            by_name
                && (relation.junction.is_none() && relation.constraint == hint
                    || single(&relation.columns, hint)
                    || single(&relation.target_columns, hint)
                    || through(hint))
        }
    }
}

fn described(origin: &Table, relation: &Relation) -> Value {
    let embedding = format!("{} with {}", origin.name, relation.target);
    let list = |columns: &[String]| format!("({})", columns.join(", "));
    let (cardinality, way) = match (&relation.junction, relation.cardinality) {
        (Some(between), _) => (
            "many-to-many",
            format!(
                "{} using {}{} and {}{}",
                between.table,
                between.constraint1,
                list(&between.columns1),
                between.constraint2,
                list(&between.columns2)
            ),
        ),
        (None, cardinality) => (
            match cardinality {
                Cardinality::ManyToOne => "many-to-one",
                Cardinality::OneToOne => "one-to-one",
                _ => "one-to-many",
            },
            format!(
                "{} using {}{} and {}{}",
                relation.constraint,
                origin.name,
                list(&relation.columns),
                relation.target,
                list(&relation.target_columns)
            ),
        ),
    };
    json!({"cardinality": cardinality, "embedding": embedding, "relationship": way})
}

fn choosing(relation: &Relation) -> String {
    let word = match &relation.junction {
        Some(between) => &between.table,
        None => &relation.constraint,
    };
    format!("{}!{word}", relation.target)
}
