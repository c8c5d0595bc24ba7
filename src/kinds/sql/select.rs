//! The tree of what is read, as one select with lateral joins.

use std::fmt::Write as _;

use super::filter;
use super::shape::linked_data;
use crate::db::Statement;
use crate::db::statement::quoted;
use crate::kinds::ask::AggregateFunction;
use crate::kinds::plan::{Condition, Embedded, Node, Place, Plan, Sorted, What, is_numeric};

/// Where a node's rows come from.
#[derive(Clone, Copy)]
pub enum From<'p, 'k> {
    /// Its table.
    Root,
    /// What was just written.
    Written,
    /// Its table, as far as it belongs to a row of the node above.
    Below {
        embed: &'p Embedded<'k>,
        above: &'p Node<'k>,
    },
}

/// A column of a select.
pub struct Shown {
    sql: Statement,
    pub name: String,
    is_aggregate: bool,
    /// An aggregate that is taken further up.
    pending: Option<Pending>,
    pub is_number: bool,
}

#[derive(Clone)]
struct Pending {
    function: AggregateFunction,
    cast: Option<String>,
    name: String,
}

/// The rows of a node.
pub fn select<T>(sql: &mut Statement<T>, node: &Node<'_>, from: From<'_, '_>, plan: &Plan<'_>) {
    let hoists = matches!(from, From::Below { embed, .. } if embed.spread && embed.to_one);
    let columns = shown(node, hoists);
    let is_grouped = columns.iter().any(|column| column.is_aggregate);
    let mut grouped = String::new();

    sql.sql("select ");
    let mut first = true;
    if !matches!(from, From::Below { .. }) {
        first = !linked_data(sql, node, plan);
    }
    for (place, column) in columns.into_iter().enumerate() {
        if !first {
            sql.sql(", ");
        }
        first = false;
        if !column.is_aggregate {
            let comma = if grouped.is_empty() { "" } else { ", " };
            let _ = write!(grouped, "{comma}{}", place + 1);
        }
        sql.append(column.sql).sql(" as ").name(&column.name);
    }
    if let From::Below { embed, above } = from {
        for (number, place) in sorts_above(embed, above) {
            sql.sql(if first { "" } else { ", " });
            first = false;
            filter::place(sql, &alias(node.number), place);
            sql.sql(format!(" as _o{number}"));
        }
    }
    source(sql, node, from);
    for embed in &node.embeds {
        join(sql, embed, node, plan);
    }
    conditions(sql, node, from, |sql, condition| {
        filter::condition(sql, &alias(node.number), node, condition, false);
    });
    if is_grouped && !grouped.is_empty() {
        sql.sql(" group by ").sql(grouped);
    }
    orders(sql, node, &node.orders);
    window(sql, node.limit, node.offset);
}

/// The rows of a node before any page is cut, with nothing in them.
pub fn counted<T>(sql: &mut Statement<T>, node: &Node<'_>) {
    there(sql, node, From::Root);
}

/// Whether there are rows below: what stands in `exists`.
pub fn there<T>(sql: &mut Statement<T>, node: &Node<'_>, from: From<'_, '_>) {
    sql.sql("select 1");
    source(sql, node, from);
    let mut any = conditions(sql, node, from, |sql, condition| {
        filter::condition(sql, &alias(node.number), node, condition, true);
    });
    for embed in node.embeds.iter().filter(|embed| embed.inner) {
        sql.sql(if any {
            " and exists ("
        } else {
            " where exists ("
        });
        let from = From::Below { embed, above: node };
        there(sql, &embed.node, from);
        sql.sql(")");
        any = true;
    }
}

/// The alias of a node's table.
pub fn alias(number: usize) -> String {
    format!("_{number}")
}

fn source<T>(sql: &mut Statement<T>, node: &Node<'_>, from: From<'_, '_>) {
    match from {
        From::Written => {
            sql.sql(format!(" from _w as _{}", node.number));
        }
        From::Root | From::Below { .. } => {
            sql.sql(format!(
                " from {}.{} as _{}",
                quoted(&node.table.schema),
                quoted(&node.table.name),
                node.number
            ));
        }
    }
    if let From::Below { embed, .. } = from
        && let Some(between) = &embed.relation.junction
    {
        sql.sql(format!(
            ", {}.{} as _m{}",
            quoted(&between.schema),
            quoted(&between.table),
            node.number
        ));
    }
}

/// `where …`; whether there was any.
fn conditions<T>(
    sql: &mut Statement<T>,
    node: &Node<'_>,
    from: From<'_, '_>,
    mut write: impl FnMut(&mut Statement<T>, &Condition<'_>),
) -> bool {
    let mut word = " where ";
    if let From::Below { embed, above } = from {
        let relation = embed.relation;
        let mut equal = |left: String, right: String| {
            sql.sql(word).sql(left).sql(" = ").sql(right);
            word = " and ";
        };
        let at = |alias: String, column: &str| format!("{alias}.{}", quoted(column));
        let (above, own) = (alias(above.number), alias(node.number));
        match &relation.junction {
            None => {
                for (from, to) in relation.columns.iter().zip(&relation.target_columns) {
                    equal(at(own.clone(), to), at(above.clone(), from));
                }
            }
            Some(between) => {
                let middle = format!("_m{}", node.number);
                for (from, to) in relation.columns.iter().zip(&between.columns1) {
                    equal(at(middle.clone(), to), at(above.clone(), from));
                }
                for (from, to) in between.columns2.iter().zip(&relation.target_columns) {
                    equal(at(own.clone(), to), at(middle.clone(), from));
                }
            }
        }
    }
    for condition in &node.conditions {
        sql.sql(word);
        write(sql, condition);
        word = " and ";
    }
    word == " and "
}

fn join<'k, T>(sql: &mut Statement<T>, embed: &Embedded<'k>, above: &Node<'k>, plan: &Plan<'_>) {
    let number = embed.node.number;
    let from = From::Below { embed, above };
    sql.sql(match embed.inner {
        true => " join lateral (",
        false => " left join lateral (",
    });
    let there = match (embed.to_one, embed.spread) {
        (true, _) => {
            select(sql, &embed.node, from, plan);
            None
        }
        (false, false) => {
            sql.sql("select json_agg(_e) as _a from (");
            select(sql, &embed.node, from, plan);
            sql.sql(") _e");
            Some(format!("_j{number}._a is not null"))
        }
        (false, true) => {
            sql.sql("select count(*) > 0 as _a");
            for column in shown(&embed.node, false) {
                let name = quoted(&column.name);
                sql.sql(format!(", json_agg(_e.{name}) as {name}"));
            }
            sql.sql(" from (");
            select(sql, &embed.node, from, plan);
            sql.sql(") _e");
            Some(format!("_j{number}._a"))
        }
    };
    let on = match there {
        Some(there) if embed.inner => there,
        _ => "true".to_owned(),
    };
    sql.sql(format!(") _j{number} on {on}"));
}

/// The places of an embed that the node above is sorted by, with the number of the term.
fn sorts_above<'p, 'k>(
    embed: &'p Embedded<'k>,
    above: &'p Node<'k>,
) -> impl Iterator<Item = (usize, &'p Place<'k>)> {
    above
        .orders
        .iter()
        .enumerate()
        .filter_map(|(number, order)| {
            let sorted_by = above.embeds.get(order.embed?)?;
            (sorted_by.node.number == embed.node.number).then_some((number, &order.place))
        })
}

/// The columns of a node. With `hoists`, its aggregates are left to the node above.
pub fn shown(node: &Node<'_>, hoists: bool) -> Vec<Shown> {
    let mut columns = Vec::with_capacity(node.outputs.len() + node.embeds.len());
    for (place, output) in node.outputs.iter().enumerate() {
        let mut value = Statement::default();
        let (mut is_number, aggregate) = match &output.what {
            What::Place(place) => {
                filter::place(&mut value, &alias(node.number), place);
                let plain = place.path.is_empty() && output.cast.is_none();
                let aggregate = output
                    .aggregate
                    .as_ref()
                    .map(|aggregate| (aggregate.function, aggregate.cast.clone()));
                (plain && is_numeric(place.sql_type), aggregate)
            }
            What::Rows => (true, Some((AggregateFunction::Count, output.cast.clone()))),
        };
        if let (Some(cast), What::Place(_)) = (&output.cast, &output.what) {
            value = cast_to(value, cast);
        }
        let (mut name, mut is_aggregate, mut pending) = (output.name.clone(), false, None);
        if let Some((function, cast)) = aggregate {
            is_number = cast.is_none();
            if hoists {
                if value.is_empty() {
                    value.sql("1");
                }
                pending = Some(Pending {
                    function,
                    cast,
                    name,
                });
                name = format!("_h{}_{place}", node.number);
            } else {
                is_aggregate = true;
                value = aggregated(function, cast.as_deref(), value);
            }
        }
        columns.push(Shown {
            sql: value,
            name,
            is_aggregate,
            pending,
            is_number,
        });
    }

    let is_grouped = node.is_grouped();
    for embed in node.embeds.iter().filter(|embed| !embed.silent) {
        let number = embed.node.number;
        let plain = |sql: String, name: String| Shown {
            sql: Statement::new(sql),
            name,
            is_aggregate: false,
            pending: None,
            is_number: false,
        };
        match (embed.spread, embed.to_one) {
            (false, true) => {
                let how = if is_grouped {
                    "to_jsonb"
                } else {
                    "row_to_json"
                };
                let row = match sorts_above(embed, node).next() {
                    None => format!("_j{number}.*"),
                    // What the rows are sorted by is there and not to be shown.
                    Some(_) => {
                        let names: Vec<String> = shown(&embed.node, false)
                            .iter()
                            .map(|column| format!("_j{number}.{}", quoted(&column.name)))
                            .collect();
                        format!(
                            "(select _r from (select {}) _r where _j{number} is distinct from null)",
                            names.join(", ")
                        )
                    }
                };
                columns.push(plain(format!("{how}({row})"), embed.name.clone()));
            }
            (false, false) => {
                let cast = if is_grouped { "::jsonb" } else { "" };
                columns.push(plain(
                    format!("coalesce(_j{number}._a, '[]'){cast}"),
                    embed.name.clone(),
                ));
            }
            (true, false) => {
                for inner in shown(&embed.node, false) {
                    let name = quoted(&inner.name);
                    columns.push(plain(
                        format!("coalesce(_j{number}.{name}, '[]')"),
                        inner.name,
                    ));
                }
            }
            (true, true) => {
                for inner in shown(&embed.node, true) {
                    let sql = Statement::new(format!("_j{number}.{}", quoted(&inner.name)));
                    columns.push(match inner.pending {
                        Some(pending) if !hoists => Shown {
                            sql: aggregated(pending.function, pending.cast.as_deref(), sql),
                            name: pending.name,
                            is_aggregate: true,
                            pending: None,
                            is_number: inner.is_number,
                        },
                        pending => Shown {
                            sql,
                            name: inner.name,
                            is_aggregate: false,
                            pending,
                            is_number: inner.is_number,
                        },
                    });
                }
            }
        }
    }
    columns
}

fn aggregated(function: AggregateFunction, cast: Option<&str>, value: Statement) -> Statement {
    let mut sql = Statement::new(format!("{}(", function.name()));
    match value.is_empty() {
        true => sql.sql("*"),
        false => sql.append(value),
    };
    sql.sql(")");
    match cast {
        Some(cast) => cast_to(sql, cast),
        None => sql,
    }
}

fn cast_to(value: Statement, to: &str) -> Statement {
    let mut sql = Statement::new("cast(");
    sql.append(value).sql(" as ").sql(to).sql(")");
    sql
}

/// `order by …`.
pub fn orders<T>(sql: &mut Statement<T>, node: &Node<'_>, orders: &[Sorted<'_>]) {
    let mut word = " order by ";
    for (number, order) in orders.iter().enumerate() {
        sql.sql(word);
        word = ", ";
        match order.embed.and_then(|place| node.embeds.get(place)) {
            Some(embed) => {
                sql.sql(format!("_j{}._o{number}", embed.node.number));
            }
            None => filter::place(sql, &alias(node.number), &order.place),
        }
        sql.sql(match order.descending {
            Some(true) => " desc",
            Some(false) => " asc",
            None => "",
        });
        sql.sql(match order.nulls_first {
            Some(true) => " nulls first",
            Some(false) => " nulls last",
            None => "",
        });
    }
}

/// `limit … offset …`. A limit is text, so that the planner sees it; an offset changes with every page.
pub fn window<T>(sql: &mut Statement<T>, limit: u64, offset: u64) {
    if limit != u64::MAX {
        sql.sql(format!(" limit {limit}"));
    }
    if offset > 0 {
        sql.sql(" offset ");
        sql.bind(crate::db::Bind::Int(
            i64::try_from(offset).unwrap_or(i64::MAX),
        ));
    }
}
