//! The tree of what is read: columns, embedded tables, conditions, orders, pages.

use super::types::castable;
use super::{Condition, Embedded, Limits, Node, Output, Place, Sorted, What};
use crate::base::Result;
use crate::kinds::ask::{Ask, Embed, Field, Filter, Is, Item, Logic, Operand, Order, Test};
use crate::kinds::{Cardinality, Column, Kinds, Role, Table, refusal};

/// What planning needs to know.
pub struct Planner<'k> {
    pub kinds: &'k Kinds,
    pub limits: Limits<'k>,
    pub role: Role,
}

impl<'k> Planner<'k> {
    /// The whole tree. Without `shows`, nothing is answered and so nothing is read.
    pub fn read(&self, ask: &Ask, table: &'k Table, shows: bool) -> Result<Node<'k>> {
        let mut numbers = 0;
        let mut root = match (&ask.select, shows) {
            (_, false) => self.node(table, &[], 0, &mut numbers)?,
            (None, true) => self.node(table, &[Item::Star], 0, &mut numbers)?,
            (Some(items), true) => self.node(table, items, 0, &mut numbers)?,
        };

        for (path, logic) in &ask.filters {
            // Of a write, conditions on the root say which rows are written.
            if !path.is_empty() || ask.method.reads() {
                let node = find(&mut root, path)?;
                let condition = self.condition(node.table, &node.embeds, logic)?;
                node.conditions.push(condition);
            }
        }
        for (path, orders) in &ask.orders {
            if path.is_empty() && !shows {
                continue;
            }
            let node = find(&mut root, path)?;
            let sorted = orders
                .iter()
                .map(|order| self.sorted(node.table, &node.embeds, order))
                .collect::<Result<Vec<_>>>()?;
            node.orders = sorted;
        }
        for (path, window) in &ask.windows {
            if path.is_empty() && !ask.method.reads() {
                continue;
            }
            let node = find(&mut root, path)?;
            node.offset = window.offset;
            node.limit = window.limit.unwrap_or(u64::MAX).min(node.limit);
        }
        Ok(root)
    }

    fn node(
        &self,
        table: &'k Table,
        items: &[Item],
        depth: usize,
        numbers: &mut usize,
    ) -> Result<Node<'k>> {
        if depth > self.limits.max_depth {
            return Err(refusal::too_deep(self.limits.max_depth));
        }
        let number = *numbers;
        *numbers += 1;
        let mut node = Node {
            number,
            table,
            outputs: Vec::new(),
            embeds: Vec::new(),
            conditions: Vec::new(),
            orders: Vec::new(),
            limit: u64::from(self.limits.max_rows),
            offset: 0,
        };
        if !items.is_empty() && table.readable(self.role).next().is_none() {
            return Err(refusal::no_right(table, self.role));
        }
        for item in items {
            match item {
                Item::Star => node.outputs.extend(table.readable(self.role).map(plain)),
                // An old way to say `count()`, which clients still use.
                Item::Field { field, alias, .. }
                    if items.len() == 1
                        && field.name == "count"
                        && field.path.is_empty()
                        && table.column("count").is_none() =>
                {
                    let name = alias.clone().unwrap_or_else(|| "count".to_owned());
                    node.outputs.push(rows(name, None));
                }
                Item::CountAll { cast, alias } => {
                    if !self.limits.aggregates {
                        return Err(refusal::no_aggregates());
                    }
                    let name = alias.clone().unwrap_or_else(|| "count".to_owned());
                    node.outputs.push(rows(name, known_type(cast)?));
                }
                Item::Field {
                    field,
                    cast,
                    alias,
                    aggregate,
                } => {
                    if aggregate.is_some() && !self.limits.aggregates {
                        return Err(refusal::no_aggregates());
                    }
                    let name = match (alias, aggregate) {
                        (Some(alias), _) => alias.clone(),
                        (None, Some(aggregate)) => aggregate.function.name().to_owned(),
                        (None, None) => shown_as(field),
                    };
                    let mut aggregate = aggregate.clone();
                    if let Some(aggregate) = &mut aggregate {
                        aggregate.cast = known_type(&aggregate.cast)?;
                    }
                    node.outputs.push(Output {
                        what: What::Place(self.place(table, field)?),
                        cast: known_type(cast)?,
                        aggregate,
                        name,
                    });
                }
                Item::Embed(embed) => {
                    let embedded = self.embed(table, embed, depth + 1, numbers)?;
                    node.embeds.push(embedded);
                }
            }
        }
        Ok(node)
    }

    fn embed(
        &self,
        origin: &'k Table,
        embed: &Embed,
        depth: usize,
        numbers: &mut usize,
    ) -> Result<Embedded<'k>> {
        let (relation, target) = self.relation(origin, &embed.relation, embed.hint.as_deref())?;
        if target.readable(self.role).next().is_none() {
            return Err(refusal::no_right(target, self.role));
        }
        let node = self.node(target, &embed.items, depth, numbers)?;
        let to_one = matches!(
            relation.cardinality,
            Cardinality::ManyToOne | Cardinality::OneToOne
        );
        if embed.spread && !to_one && node.is_grouped() {
            return Err(refusal::not_implemented(
                "Aggregates are not implemented for one-to-many or many-to-many spreads.",
            ));
        }
        Ok(Embedded {
            silent: node.outputs.is_empty() && node.embeds.iter().all(|inner| inner.silent),
            name: embed
                .alias
                .clone()
                .unwrap_or_else(|| embed.relation.clone()),
            target: embed.relation.clone(),
            inner: embed.inner == Some(true),
            spread: embed.spread,
            relation,
            to_one,
            node,
        })
    }

    /// A column that this role may read.
    pub fn column(&self, table: &'k Table, name: &str) -> Result<&'k Column> {
        match table.column(name) {
            Some(column) if column.select.has(self.role) => Ok(column),
            // To ask for something of a table that is closed is refused as such, whatever is asked for.
            _ if table.readable(self.role).next().is_none() => {
                Err(refusal::no_right(table, self.role))
            }
            _ => Err(refusal::no_column(table, name, self.role)),
        }
    }

    fn place(&self, table: &'k Table, field: &Field) -> Result<Place<'k>> {
        let column = self.column(table, &field.name)?;
        Ok(Place {
            column: &column.name,
            sql_type: &column.sql_type,
            path: field.path.clone(),
        })
    }

    /// A condition on rows of a table with these embeds.
    pub fn condition(
        &self,
        table: &'k Table,
        embeds: &[Embedded<'k>],
        logic: &Logic,
    ) -> Result<Condition<'k>> {
        match logic {
            Logic::Tree {
                negated,
                any,
                terms,
            } => Ok(Condition::Tree {
                negated: *negated,
                any: *any,
                terms: terms
                    .iter()
                    .map(|term| self.condition(table, embeds, term))
                    .collect::<Result<_>>()?,
            }),
            Logic::Filter(Filter {
                field,
                negated,
                test,
            }) => {
                if let Some(place) = position(embeds, &field.name)
                    && field.path.is_empty()
                {
                    return match test {
                        Test::Is(Is::Null) => Ok(Condition::Embed {
                            place,
                            there: *negated,
                        }),
                        Test::Is(Is::NotNull) => Ok(Condition::Embed {
                            place,
                            there: !*negated,
                        }),
                        _ if table.column(&field.name).is_none() => {
                            Err(refusal::bad_operator_on_embed(&field.name))
                        }
                        _ => self.test(table, field, *negated, test),
                    };
                }
                self.test(table, field, *negated, test)
            }
        }
    }

    fn test(
        &self,
        table: &'k Table,
        field: &Field,
        negated: bool,
        test: &Test,
    ) -> Result<Condition<'k>> {
        Ok(Condition::Test {
            place: self.place(table, field)?,
            negated,
            test: test.clone(),
        })
    }

    pub fn sorted(
        &self,
        table: &'k Table,
        embeds: &[Embedded<'k>],
        order: &Order,
    ) -> Result<Sorted<'k>> {
        let (embed, place) = match &order.relation {
            None => (None, self.place(table, &order.field)?),
            Some(name) => {
                let place = position(embeds, name).ok_or_else(|| refusal::not_embedded(name))?;
                let embed = embeds
                    .get(place)
                    .ok_or_else(|| refusal::not_embedded(name))?;
                if !embed.to_one {
                    return Err(refusal::order_not_to_one(&table.name, name));
                }
                (Some(place), self.place(embed.node.table, &order.field)?)
            }
        };
        Ok(Sorted {
            embed,
            place,
            descending: order.descending,
            nulls_first: order.nulls_first,
        })
    }
}

fn position(embeds: &[Embedded<'_>], name: &str) -> Option<usize> {
    let named = embeds.iter().position(|embed| embed.name == name);
    named.or_else(|| embeds.iter().position(|embed| embed.target == name))
}

fn find<'n, 'k>(root: &'n mut Node<'k>, path: &[String]) -> Result<&'n mut Node<'k>> {
    let mut node = root;
    for name in path {
        let place = position(&node.embeds, name).ok_or_else(|| refusal::not_embedded(name))?;
        node = match node.embeds.get_mut(place) {
            Some(embed) => &mut embed.node,
            None => return Err(refusal::not_embedded(name)),
        };
    }
    Ok(node)
}

fn plain(column: &Column) -> Output<'_> {
    Output {
        what: What::Place(Place {
            column: &column.name,
            sql_type: &column.sql_type,
            path: Vec::new(),
        }),
        cast: None,
        aggregate: None,
        name: column.name.clone(),
    }
}

fn rows<'k>(name: String, cast: Option<String>) -> Output<'k> {
    Output {
        what: What::Rows,
        cast,
        aggregate: None,
        name,
    }
}

fn known_type(cast: &Option<String>) -> Result<Option<String>> {
    match cast {
        None => Ok(None),
        Some(name) => match castable(name) {
            Some(known) => Ok(Some(known.to_owned())),
            None => Err(refusal::no_type(name)),
        },
    }
}

/// A JSON path is shown under its last key.
fn shown_as(field: &Field) -> String {
    let key = field.path.iter().rev().find_map(|step| match &step.to {
        Operand::Key(key) => Some(key.clone()),
        Operand::Index(_) => None,
    });
    key.unwrap_or_else(|| field.name.clone())
}
