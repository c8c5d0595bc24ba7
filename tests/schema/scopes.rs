//! The expected outcomes of the matrix, as tests/contract/scopes.toml has them: written by hand, never derived from the
//! registry, so that the two can disagree.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::rows::Values;
use crate::stage::ROLES;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    group: BTreeMap<String, Vec<String>>,
    pattern: BTreeMap<String, Verbs>,
    pub table: BTreeMap<String, Case>,
}

/// Who may do what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verbs {
    select: Option<Vec<String>>,
    insert: Option<Vec<String>>,
    update: Option<Vec<String>>,
    delete: Option<Vec<String>>,
}

/// A table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pattern: String,
    /// What makes the row such a row.
    #[serde(default)]
    row: Values,
    /// The column that an update writes, where the first one that may be written is no good.
    pub update_column: Option<String>,
    select: Option<Vec<String>>,
    insert: Option<Vec<String>>,
    update: Option<Vec<String>>,
    delete: Option<Vec<String>>,
    /// Other rows of the table, for which other outcomes hold.
    #[serde(default)]
    also: Vec<Variant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    name: String,
    row: Values,
    select: Option<Vec<String>>,
    insert: Option<Vec<String>>,
    update: Option<Vec<String>>,
    delete: Option<Vec<String>>,
}

/// One kind of row of a table with its outcomes.
pub struct Expected {
    pub name: String,
    pub row: Values,
    /// Whether it is the table's ordinary row.
    pub ordinary: bool,
    /// Roles by verb.
    pub may: BTreeMap<&'static str, Vec<String>>,
}

/// The verbs of the matrix.
pub const VERBS: [&str; 4] = ["select", "insert", "update", "delete"];

impl Scopes {
    /// Read the file.
    pub fn read() -> Self {
        toml::from_str(&crate::read("tests/contract/scopes.toml")).unwrap()
    }

    /// The kinds of rows of a table.
    pub fn expected(&self, table: &str) -> Vec<Expected> {
        let case = &self.table[table];
        let pattern = self
            .pattern
            .get(&case.pattern)
            .unwrap_or_else(|| panic!("{table}: there is no pattern {}", case.pattern));
        let base = [
            over(&case.select, &pattern.select),
            over(&case.insert, &pattern.insert),
            over(&case.update, &pattern.update),
            over(&case.delete, &pattern.delete),
        ];
        let mut all = vec![Expected {
            name: table.to_owned(),
            row: case.row.clone(),
            ordinary: true,
            may: self.roles(table, base.clone()),
        }];
        for variant in &case.also {
            let mut row = case.row.clone();
            row.extend(variant.row.clone());
            let verbs = [
                over(&variant.select, &base[0]),
                over(&variant.insert, &base[1]),
                over(&variant.update, &base[2]),
                over(&variant.delete, &base[3]),
            ];
            all.push(Expected {
                name: format!("{table} ({})", variant.name),
                row,
                ordinary: false,
                may: self.roles(table, verbs),
            });
        }
        all
    }

    fn roles(
        &self,
        table: &str,
        verbs: [Option<Vec<String>>; 4],
    ) -> BTreeMap<&'static str, Vec<String>> {
        VERBS
            .into_iter()
            .zip(verbs)
            .map(|(verb, words)| {
                let words =
                    words.unwrap_or_else(|| panic!("{table}: nothing is said about {verb}"));
                let roles: Vec<String> = words
                    .iter()
                    .flat_map(|word| {
                        self.group
                            .get(word)
                            .cloned()
                            .unwrap_or_else(|| vec![word.clone()])
                    })
                    .collect();
                for role in &roles {
                    assert!(
                        ROLES.contains(&role.as_str()),
                        "{table}: nobody is called {role}"
                    );
                }
                (verb, roles)
            })
            .collect()
    }
}

fn over(own: &Option<Vec<String>>, inherited: &Option<Vec<String>>) -> Option<Vec<String>> {
    own.as_ref().or(inherited.as_ref()).cloned()
}
