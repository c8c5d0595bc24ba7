//! Inserts, updates and deletes as a CTE named `_w`, and what is answered of the rows they touched.

use super::select::{self, From};
use super::{filter, shape};
use crate::db::Statement;
use crate::db::statement::{literal, quoted};
use crate::kinds::Column;
use crate::kinds::ask::Return;
use crate::kinds::plan::{Condition, Plan, Verb, What, Write};

/// The whole statement of a write.
pub fn statement<T>(sql: &mut Statement<T>, plan: &Plan<'_>, ids: bool) {
    let Some(write) = &plan.write else {
        return;
    };
    let located = plan.prefer.returns == Some(Return::HeadersOnly)
        && write.verb == Verb::Insert
        && !plan.key.is_empty();
    let returned = returned(plan, located, ids);
    let counts_old = counts_old(write);
    let drawn = drawn(write);

    sql.sql("with ");
    if counts_old || drawn.is_some() {
        sql.sql("_b as (select * from ");
        rows(sql, write);
        sql.sql("), ");
    }
    if let Some(drawn) = drawn {
        // Two inserts: with the number that was sent, and with the one that the table draws.
        for (name, left_out) in [("_w1", None), ("_w2", Some(drawn))] {
            sql.sql(format!("{name} as ("));
            let not = if left_out.is_none() { "not " } else { "" };
            insert(sql, plan, write, true, left_out, |sql| {
                sql.sql(format!(" where _b.{} is {not}null", quoted(drawn)));
            });
            returning(sql, &returned, "");
            sql.sql("), ");
        }
    }
    sql.sql("_w as (");
    match write.verb {
        // Nothing to set: nothing is changed.
        Verb::Update if write.columns.is_empty() => {
            let names = list(&returned, "_0.");
            sql.sql(format!(
                "select {names} from {} as _0 where false",
                target(plan)
            ));
        }
        Verb::Insert if drawn.is_some() => {
            sql.sql("select * from _w1 union all select * from _w2");
        }
        Verb::Insert => insert(sql, plan, write, counts_old, None, |sql| {
            filter::all(sql, "_b", &plan.read, &write.conditions);
        }),
        Verb::Update => update(sql, plan, write),
        Verb::Delete => {
            sql.sql(format!("delete from {} as _0", target(plan)));
            chosen(sql, plan, write);
        }
    }
    let prefix = match write.verb {
        Verb::Insert => "",
        _ => "_0.",
    };
    let is_select = write.verb == Verb::Update && write.columns.is_empty() || drawn.is_some();
    if !is_select {
        returning(sql, &returned, prefix);
    }
    sql.sql(") select ");

    match (&write.conflict, counts_old) {
        (Some(conflict), true) => {
            let same: Vec<String> = conflict
                .on
                .iter()
                .map(|column| quoted(&column.name))
                .map(|name| format!("_b.{name} = _o.{name}"))
                .collect();
            sql.sql(format!(
                "(select count(*) from {} as _o where exists (select 1 from _b where {}))",
                target(plan),
                same.join(" and ")
            ));
        }
        _ => {
            sql.sql("null::bigint");
        }
    }
    sql.sql(", count(*), ");
    match plan.shows_rows() {
        true => shape::body(sql, plan),
        false => {
            sql.sql("null::text");
        }
    }
    match located {
        true => {
            let key: Vec<String> = plan
                .key
                .iter()
                .map(|name| format!("_w.{}::text", quoted(name)))
                .collect();
            sql.sql(format!(
                ", (select json_build_array({})::text from _w limit 1)",
                key.join(", ")
            ))
        }
        false => sql.sql(", null::text"),
    };
    match (ids, plan.key.first()) {
        (true, Some(id)) => sql.sql(format!(
            ", (select json_agg(_w.{}::text)::text from _w)",
            quoted(id)
        )),
        _ => sql.sql(", null::text"),
    };
    match plan.shows_rows() {
        true => {
            sql.sql(" from (");
            select::select(sql, &plan.read, From::Written, plan);
            sql.sql(") _t");
        }
        false => {
            sql.sql(" from _w");
        }
    }
}

fn returning<T>(sql: &mut Statement<T>, names: &[&str], prefix: &str) {
    sql.sql(" returning ");
    match names.is_empty() {
        true => sql.sql("1 as _1"),
        false => sql.sql(list(names, prefix)),
    };
}

/// A column that the table may number by itself. A plain default can be written into a select, an identity cannot;
/// of a whole number that must be there and has no default, nothing else makes sense when it is not sent.
fn drawn<'p>(write: &'p Write<'_>) -> Option<&'p str> {
    let is_drawn = |column: &&&Column| {
        column.default.is_none()
            && !column.nullable
            && matches!(column.sql_type.as_str(), "smallint" | "integer" | "bigint")
    };
    let defaults = write.verb == Verb::Insert && write.defaults && write.columns.len() > 1;
    let mut drawn = write.columns.iter().filter(is_drawn);
    let first = drawn.next().filter(|_| defaults)?;
    Some(&first.name)
}

fn target(plan: &Plan<'_>) -> String {
    format!(
        "{}.{}",
        quoted(&plan.table.schema),
        quoted(&plan.table.name)
    )
}

fn list(names: &[&str], prefix: &str) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("{prefix}{}", quoted(name)))
        .collect();
    names.join(", ")
}

/// The columns of the written rows that anything further on needs; all of them readable.
fn returned<'p>(plan: &'p Plan<'_>, located: bool, ids: bool) -> Vec<&'p str> {
    let mut names: Vec<&str> = Vec::new();
    if plan.shows_rows() {
        let node = &plan.read;
        names.extend(node.outputs.iter().filter_map(|output| match &output.what {
            What::Place(place) => Some(place.column),
            What::Rows => None,
        }));
        let orders = node.orders.iter().filter(|order| order.embed.is_none());
        names.extend(orders.map(|order| order.place.column));
        for embed in &node.embeds {
            names.extend(embed.relation.columns.iter().map(String::as_str));
        }
        for condition in &node.conditions {
            used(condition, &mut names);
        }
        names.extend(&plan.key);
    }
    if located || ids {
        names.extend(&plan.key);
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    names
}

fn used<'p>(condition: &'p Condition<'_>, names: &mut Vec<&'p str>) {
    match condition {
        Condition::Test { place, .. } => names.push(place.column),
        Condition::Tree { terms, .. } => terms.iter().for_each(|term| used(term, names)),
        Condition::Embed { .. } => {}
    }
}

/// Whether a merge can tell new rows from those that were there.
fn counts_old(write: &Write<'_>) -> bool {
    write.conflict.as_ref().is_some_and(|conflict| {
        conflict.merges
            && conflict
                .on
                .iter()
                .all(|key| write.columns.iter().any(|column| column.name == key.name))
    })
}

fn insert<T>(
    sql: &mut Statement<T>,
    plan: &Plan<'_>,
    write: &Write<'_>,
    has_rows: bool,
    left_out: Option<&str>,
    which: impl Fn(&mut Statement<T>),
) {
    let names: Vec<&str> = write
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| left_out != Some(name))
        .collect();
    sql.sql(format!("insert into {}", target(plan)));
    if !names.is_empty() {
        sql.sql(format!(" ({})", list(&names, "")));
    }
    sql.sql(format!(" select {} from ", list(&names, "_b.")));
    match has_rows {
        true => {
            sql.sql("_b");
        }
        false => rows(sql, write),
    }
    which(sql);
    if let Some(conflict) = &write.conflict {
        let on: Vec<&str> = conflict.on.iter().map(|c| c.name.as_str()).collect();
        sql.sql(format!(" on conflict ({}) do ", list(&on, "")));
        match conflict.overwrite.is_empty() {
            true => sql.sql("nothing"),
            false => {
                let set: Vec<String> = conflict
                    .overwrite
                    .iter()
                    .map(|name| quoted(name))
                    .map(|name| format!("{name} = excluded.{name}"))
                    .collect();
                sql.sql(format!("update set {}", set.join(", ")))
            }
        };
    }
}

fn update<T>(sql: &mut Statement<T>, plan: &Plan<'_>, write: &Write<'_>) {
    sql.sql(format!("update {} as _0 set ", target(plan)));
    let set: Vec<String> = write
        .columns
        .iter()
        .map(|column| quoted(&column.name))
        .map(|name| format!("{name} = _b.{name}"))
        .collect();
    sql.sql(set.join(", ")).sql(" from (select * from ");
    rows(sql, write);
    sql.sql(" limit 1) _b");
    chosen(sql, plan, write);
}

/// Which rows are changed.
fn chosen<T>(sql: &mut Statement<T>, plan: &Plan<'_>, write: &Write<'_>) {
    let Some((window, orders)) = &write.window else {
        return filter::all(sql, "_0", &plan.read, &write.conditions);
    };
    let key: Vec<&str> = plan.table.primary_key.iter().map(String::as_str).collect();
    let key = list(&key, "_0.");
    sql.sql(format!(
        " where ({key}) in (select {key} from {} as _0",
        target(plan)
    ));
    filter::all(sql, "_0", &plan.read, &write.conditions);
    select::orders(sql, &plan.read, orders);
    let limit = window.limit.unwrap_or(i64::MAX as u64);
    select::window(sql, limit, window.offset);
    sql.sql(")");
}

/// The rows of the body as a table named `_b`.
fn rows<T>(sql: &mut Statement<T>, write: &Write<'_>) {
    let body = write.body.json.as_str();
    let typed: Vec<String> = write
        .columns
        .iter()
        .map(|column| format!("{} {}", quoted(&column.name), column.sql_type))
        .collect();
    let typed = typed.join(", ");
    if write.columns.is_empty() {
        // Rows that say nothing: as many as there are, all of defaults.
        match write.body.is_array {
            true => {
                sql.sql("(select from json_array_elements(").text(body);
                sql.sql("::json)) _b");
            }
            false => {
                sql.sql("(select) _b");
            }
        }
    } else if write.defaults {
        let values: Vec<String> = write
            .columns
            .iter()
            .map(|column| or_default(column))
            .collect();
        sql.sql(format!("(select {} from ", values.join(", ")));
        match write.body.is_array {
            true => sql
                .sql("json_array_elements(")
                .text(body)
                .sql("::json) as _x(_e)"),
            false => sql.sql("(select ").text(body).sql("::json) as _x(_e)"),
        };
        sql.sql(format!(
            ", lateral json_to_record(_x._e) as _r({typed})) _b"
        ));
    } else {
        sql.sql(match write.body.is_array {
            true => "json_to_recordset(",
            false => "json_to_record(",
        });
        sql.text(body).sql(format!("::json) as _b({typed})"));
    }
}

fn or_default(column: &Column) -> String {
    let name = quoted(&column.name);
    match &column.default {
        None => format!("_r.{name}"),
        Some(default) => format!(
            "case when _x._e->{} is null then ({default})::{} else _r.{name} end as {name}",
            literal(&column.name),
            column.sql_type
        ),
    }
}
