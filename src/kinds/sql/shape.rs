//! The form of the answer: JSON array, one object, CSV, JSON-LD. PostgreSQL writes it.

use super::select::shown;
use crate::db::Statement;
use crate::db::statement::{literal, quoted};
use crate::kinds::ask::{Method, Shape};
use crate::kinds::plan::{Node, Plan};

/// What the terms of the rows mean.
const CONTEXT: &str = r#"{"mo": "https://made-open.org/ns#", "schema": "https://schema.org/", "as": "https://www.w3.org/ns/activitystreams#", "@vocab": "https://made-open.org/ns#"}"#;

/// The body, made of the rows called `_t`.
pub fn body<T>(sql: &mut Statement<T>, plan: &Plan<'_>) {
    if plan.method == Method::Head {
        sql.sql("null::text");
        return;
    }
    match plan.shape {
        Shape::Array => sql.sql("coalesce(json_agg(_t), '[]')::text"),
        Shape::ArrayStripped => sql.sql("coalesce(json_strip_nulls(json_agg(_t)), '[]')::text"),
        Shape::Object => sql.sql("(json_agg(_t)->0)::text"),
        Shape::ObjectStripped => sql.sql("(json_strip_nulls(json_agg(_t))->0)::text"),
        Shape::JsonLd => sql.sql(format!(
            "json_build_object('@context', {}::json, '@graph', coalesce(json_agg(_t), '[]'))::text",
            literal(CONTEXT)
        )),
        Shape::Csv => {
            sql.sql("coalesce(string_agg(concat_ws(','");
            for column in shown(&plan.read, false) {
                sql.sql(", ").sql(cell(&column.name, column.is_number));
            }
            sql.sql("), E'\\n'), '')")
        }
    };
}

/// Who a row is in the linked data graph, in front of its columns; whether anything was said.
pub fn linked_data<T>(sql: &mut Statement<T>, node: &Node<'_>, plan: &Plan<'_>) -> bool {
    let (Shape::JsonLd, Some(kind)) = (plan.shape, &node.table.kind) else {
        return false;
    };
    if node.is_grouped() {
        return false;
    }
    sql.sql(format!("{} as \"@type\"", literal(&kind.jsonld)));
    if plan.key == ["id"] {
        sql.sql(format!(", 'urn:uuid:' || _{}.id as \"@id\"", node.number));
    }
    true
}

/// The first line of a CSV.
pub fn csv_header(plan: &Plan<'_>) -> String {
    let names: Vec<String> = shown(&plan.read, false)
        .iter()
        .map(|column| {
            let guarded = match column.name.starts_with(DANGEROUS) {
                true => format!("'{}", column.name),
                false => column.name.clone(),
            };
            match guarded.contains([',', '"', '\n', '\r']) {
                true => format!("\"{}\"", guarded.replace('"', "\"\"")),
                false => guarded,
            }
        })
        .collect();
    names.join(",")
}

/// What a spreadsheet would take for a formula (S-143).
const DANGEROUS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn cell(name: &str, is_number: bool) -> String {
    let column = format!("_t.{}", quoted(name));
    if is_number {
        return format!("coalesce({column}::text, '')");
    }
    let text = format!("format('%s', {column})");
    let guarded = format!("case when {text} ~ '^[-=+@\\t\\r]' then '''' || {text} else {text} end");
    format!(
        "case when {column} is null then '' \
         when {text} = '' or {text} ~ '[,\"()\\\\\\s]' then '\"' || replace({guarded}, '\"', '\"\"') || '\"' \
         else {guarded} end"
    )
}
