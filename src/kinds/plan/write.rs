//! What is written, where, and what becomes of rows whose key is there already.

use super::read::Planner;
use super::{Condition, Sorted};
use crate::base::Result;
use crate::kinds::ask::{Ask, Body, Filter, Logic, Method, Missing, Op, Resolution, Test, Window};
use crate::kinds::{Column, Role, Table, refusal};

/// A write.
#[derive(Debug)]
pub struct Write<'k> {
    pub verb: Verb,
    pub columns: Vec<&'k Column>,
    pub body: Body,
    /// Which rows; for PUT, which row the body must be.
    pub conditions: Vec<Condition<'k>>,
    pub conflict: Option<Conflict<'k>>,
    /// What is not sent becomes the default.
    pub defaults: bool,
    /// Only some of the rows that match, in this order.
    pub window: Option<(Window, Vec<Sorted<'k>>)>,
    has_conflict_target: bool,
}

/// What is done to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Insert,
    Update,
    Delete,
}

/// What becomes of rows whose key is there already.
#[derive(Debug)]
pub struct Conflict<'k> {
    pub on: Vec<&'k Column>,
    /// The columns that are overwritten; none means that the row stays as it is.
    pub overwrite: Vec<&'k str>,
    /// Whether it is a merge, so that it counts how many rows were new.
    pub merges: bool,
}

impl Write<'_> {
    /// Whether the request could have said what to do about rows that are there already.
    pub fn has_conflict_target(&self) -> bool {
        self.has_conflict_target
    }
}

impl<'k> Planner<'k> {
    /// The write of a request.
    pub fn write(&self, ask: Ask, table: &'k Table) -> Result<Write<'k>> {
        let (verb, roles) = match ask.method {
            Method::Post | Method::Put => (Verb::Insert, table.insert),
            Method::Patch => (Verb::Update, table.update),
            _ => (Verb::Delete, table.delete),
        };
        if !roles.has(self.role) {
            return Err(refusal::no_right(table, self.role));
        }

        let body = ask.body.clone().unwrap_or_else(|| Body {
            json: String::new(),
            is_array: false,
            rows: 0,
            keys: Vec::new(),
        });
        let named = match ask.method {
            Method::Put => None,
            _ => ask.columns.as_ref(),
        };
        let columns = match verb {
            Verb::Delete => Vec::new(),
            _ => self.writable(table, named.unwrap_or(&body.keys), verb)?,
        };
        let target = match &ask.on_conflict {
            Some(names) => names,
            None => &table.primary_key,
        };
        let mut write = Write {
            verb,
            body,
            conditions: Vec::new(),
            conflict: None,
            defaults: ask.prefer.missing == Some(Missing::Default) && ask.method != Method::Put,
            window: None,
            has_conflict_target: verb == Verb::Insert && !target.is_empty(),
            columns,
        };

        match ask.method {
            Method::Post => {
                if let (Some(resolution), false) = (ask.prefer.resolution, target.is_empty()) {
                    write.conflict =
                        Some(self.conflict(table, target, resolution, &write.columns)?);
                }
            }
            Method::Put => {
                self.check_put(&ask, table)?;
                let key = &table.primary_key;
                write.conflict =
                    Some(self.conflict(table, key, Resolution::Merge, &write.columns)?);
                write.conditions = self.conditions(&ask, table)?;
            }
            _ => {
                write.conditions = self.conditions(&ask, table)?;
                if write.conditions.is_empty() {
                    let verb = if verb == Verb::Update {
                        "UPDATE"
                    } else {
                        "DELETE"
                    };
                    return Err(refusal::no_filter(verb));
                }
                write.window = self.window(&ask, table)?;
            }
        }
        Ok(write)
    }

    fn conditions(&self, ask: &Ask, table: &'k Table) -> Result<Vec<Condition<'k>>> {
        ask.filters
            .iter()
            .filter(|(path, _)| path.is_empty())
            .map(|(_, logic)| self.condition(table, &[], logic))
            .collect()
    }

    fn writable(&self, table: &'k Table, names: &[String], verb: Verb) -> Result<Vec<&'k Column>> {
        names
            .iter()
            .map(|name| match table.column(name) {
                Some(column) if column.takes(verb, self.role) => Ok(column),
                Some(column) if column.is_generated && column.is_granted(verb, self.role) => {
                    Err(refusal::generated_column(name, verb == Verb::Insert))
                }
                // What is hidden from a role is not there for it.
                Some(column) if column.select.has(self.role) || self.sees_writes(column) => {
                    Err(refusal::read_only_column(table, name, self.role))
                }
                _ => Err(refusal::no_column_to_write(table, name)),
            })
            .collect()
    }

    fn sees_writes(&self, column: &Column) -> bool {
        column.insert.has(self.role) || column.update.has(self.role)
    }

    fn conflict(
        &self,
        table: &'k Table,
        target: &[String],
        resolution: Resolution,
        columns: &[&'k Column],
    ) -> Result<Conflict<'k>> {
        let on: Vec<&Column> = target
            .iter()
            .map(|name| self.column(table, name))
            .collect::<Result<_>>()?;
        let merges = resolution == Resolution::Merge;
        let overwrite = columns
            .iter()
            .filter(|column| merges && column.takes(Verb::Update, self.role))
            .map(|column| column.name.as_str())
            .filter(|name| !target.iter().any(|key| key == name))
            .collect();
        Ok(Conflict {
            on,
            overwrite,
            merges,
        })
    }

    fn check_put(&self, ask: &Ask, table: &Table) -> Result<()> {
        if ask.windows.iter().any(|(path, _)| path.is_empty()) {
            return Err(refusal::put_window());
        }
        let mut named = Vec::new();
        for (path, logic) in &ask.filters {
            match logic {
                Logic::Filter(Filter {
                    field,
                    negated: false,
                    test:
                        Test::Op {
                            op: Op::Eq,
                            quantifier: None,
                            ..
                        },
                }) if path.is_empty() && field.path.is_empty() => named.push(&field.name),
                _ => return Err(refusal::put_filters()),
            }
        }
        named.sort();
        named.dedup();
        let mut key: Vec<&String> = table.primary_key.iter().collect();
        key.sort();
        match named == key && !key.is_empty() {
            true => Ok(()),
            false => Err(refusal::put_filters()),
        }
    }

    /// `limit` on a change: only so many of the rows that match, found by their key.
    fn window(&self, ask: &Ask, table: &'k Table) -> Result<Option<(Window, Vec<Sorted<'k>>)>> {
        let Some((_, window)) = ask.windows.iter().find(|(path, _)| path.is_empty()) else {
            return Ok(None);
        };
        if table.primary_key.is_empty() {
            return Err(refusal::not_implemented(
                "limit and offset need a table with a primary key.",
            ));
        }
        for name in &table.primary_key {
            self.column(table, name)?;
        }
        let orders = ask
            .orders
            .iter()
            .filter(|(path, _)| path.is_empty())
            .flat_map(|(_, orders)| orders)
            .map(|order| self.sorted(table, &[], order))
            .collect::<Result<_>>()?;
        Ok(Some((*window, orders)))
    }
}

impl Column {
    /// Whether this role may give it a value.
    fn takes(&self, verb: Verb, role: Role) -> bool {
        !self.is_generated && self.is_granted(verb, role)
    }

    fn is_granted(&self, verb: Verb, role: Role) -> bool {
        match verb {
            Verb::Insert => self.insert.has(role),
            Verb::Update => self.update.has(role),
            Verb::Delete => false,
        }
    }
}
