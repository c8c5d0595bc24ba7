//! Kinds that plugins bring at run time. A description of columns becomes a table like any other; every name, type
//! and default is checked here, and nothing of the description reaches SQL except quoted.

use diesel::sql_types::{Bool, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::error::Told;
use crate::base::{Error, Result};
use crate::db::statement::{literal, quoted};
use crate::db::{Statement, Tx};

/// A kind as a plugin describes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The table's name.
    pub name: String,
    /// Who brings it, such as `io.example.venues`.
    pub plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// owner | tenant | catalogue.
    #[serde(default = "owner")]
    pub scope: String,
    /// The column shown as title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Columns that are searched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// A JSON-LD type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsonld: Option<String>,
    /// Rows whose column has this value can be read by everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_when: Option<PublicWhen>,
    pub columns: Vec<Column>,
}

/// When a row is public.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PublicWhen {
    pub column: String,
    pub equals: Value,
}

/// A column as a plugin describes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub sql_type: String,
    #[serde(default)]
    pub required: bool,
    /// No two rows of one owner (of one tenant, of the catalogue) have the same.
    #[serde(default)]
    pub unique: bool,
    #[serde(default)]
    pub hidden: bool,
    #[serde(default)]
    pub read_only: bool,
    /// A JSON value, or `{"function": "now"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The only values it may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The kind a uuid column links to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The input of `kinds_add`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// A [`Description`], read here so that what does not fit is told like everything else that is wrong with it.
    kind: Value,
}

/// Nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The lock under which kinds are added, one at a time; the number means nothing.
const TURN: i64 = 0x6b69_6e64;

const TYPES: &[&str] = &[
    "text",
    "integer",
    "bigint",
    "smallint",
    "numeric",
    "real",
    "double precision",
    "boolean",
    "date",
    "time",
    "timestamptz",
    "uuid",
    "jsonb",
    "point",
    "vector",
    "text[]",
    "integer[]",
    "uuid[]",
];

/// Columns that every kind has by itself (MO-88).
const OWN_COLUMNS: &[&str] = &[
    "id",
    "owner_id",
    "tenant_id",
    "sources",
    "created_at",
    "updated_at",
];

fn owner() -> String {
    "owner".to_owned()
}

/// Add a kind (MO-87..89). Only a developer may.
pub async fn add(tx: &mut Tx, input: Add) -> Result<Value> {
    let kind: Description = serde_json::from_value(input.kind).map_err(|error| {
        wrong(
            "kind",
            format!("This is no description of a kind: {error}."),
        )
    })?;
    let statements = ddl(&kind)?;
    if !super::is_operator(tx).await? {
        return Err(Error::forbidden(
            "42501",
            "Only a developer may add a kind.",
        ));
    }
    // Two who add at once take turns, so that the second is told what the first has done.
    tx.script(&format!("select pg_advisory_xact_lock({TURN})"))
        .await?;
    let taken: Vec<bool> = tx
        .load({
            let mut taken = Statement::<Bool>::new("select to_regclass(");
            taken
                .text(format!("public.{}", quoted(&kind.name)))
                .sql(") is not null or to_regtype(")
                .text(format!("public.{}", quoted(&kind.name)))
                .sql(") is not null");
            taken
        })
        .await?;
    if taken == [true] {
        return Err(Error::conflict(
            "42P07",
            format!("There is already something called {}.", kind.name),
        ));
    }
    for parent in kind
        .columns
        .iter()
        .filter_map(|column| column.references.as_ref())
    {
        let known: Vec<bool> = tx
            .load({
                let mut known =
                    Statement::<Bool>::new("select exists (select from hub.kinds where name = ");
                known.text(parent.clone()).sql(")");
                known
            })
            .await?;
        if known != [true] {
            return Err(wrong(
                "references",
                format!("There is no kind called {parent}."),
            ));
        }
    }

    tx.script("set local role made_open_owner").await?;
    for statement in &statements {
        tx.script(statement).await?;
    }
    tx.script("set local role service_role").await?;
    let mut row =
        Statement::new("insert into public.plugin_schemas (plugin_id, name, definition) values (");
    row.text(kind.plugin.clone())
        .sql(", ")
        .text(kind.name.clone())
        .sql(", ")
        .text(serde_json::to_string(&kind).map_err(Error::broken)?)
        .sql("::jsonb)");
    tx.run(row).await?;
    Ok(json!({ "name": kind.name, "columns": kind.columns.len() }))
}

/// Every kind with its columns, as the registry has them.
pub async fn list(tx: &mut Tx, _: Nothing) -> Result<Value> {
    let rows: Vec<String> = tx
        .load(Statement::<Text>::new(
            "select json_build_object('name', c.relname, 'columns', json_agg(a.attname order by a.attnum))::text \
             from hub.kinds k join pg_class c on c.oid = to_regclass(format('public.%I', k.name)) \
             join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
             where has_column_privilege(c.oid, a.attnum, 'select') group by c.relname order by c.relname",
        ))
        .await?;
    rows.iter()
        .map(|row| serde_json::from_str(row).map_err(Error::broken))
        .collect::<Result<Vec<Value>>>()
        .map(Value::Array)
}

/// The statements that make the table and register it. Pure, so that what is refused can be tested without a database.
pub fn ddl(kind: &Description) -> Result<Vec<String>> {
    check_name("name", &kind.name)?;
    if kind.plugin.is_empty()
        || kind.plugin.len() > 200
        || kind.plugin.chars().any(char::is_control)
    {
        return Err(wrong("plugin", "A plugin's name has 1 to 200 characters."));
    }
    if !["owner", "tenant", "catalogue"].contains(&kind.scope.as_str()) {
        return Err(wrong(
            "scope",
            "A plugin's kind has the scope owner, tenant or catalogue.",
        ));
    }
    if kind.columns.is_empty() || kind.columns.len() > 200 {
        return Err(wrong("columns", "A kind has 1 to 200 columns of its own."));
    }
    let mut names = Vec::new();
    let table = format!("public.{}", quoted(&kind.name));
    let mut lines = vec!["id uuid primary key default hub.uuid_v7()".to_owned()];
    let whose = match kind.scope.as_str() {
        "owner" => {
            lines.push("owner_id uuid not null default auth.uid() references public.users (id) on delete cascade".to_owned());
            Some("owner_id")
        }
        "tenant" => {
            lines.push("tenant_id uuid not null default auth.tenant_id() references public.tenants (id) on delete cascade".to_owned());
            Some("tenant_id")
        }
        _ => None,
    };
    let mut comments = Vec::new();
    // PostgreSQL names the indexes: names made of two others can meet those of another table.
    let mut indexes: Vec<String> = whose
        .iter()
        .map(|whose| format!("create index on {table} ({whose})"))
        .collect();
    for column in &kind.columns {
        check_name("columns.name", &column.name)?;
        if OWN_COLUMNS.contains(&column.name.as_str()) || names.contains(&column.name) {
            return Err(wrong(
                "columns.name",
                format!("The column {} is there already.", column.name),
            ));
        }
        names.push(column.name.clone());
        lines.push(column_line(kind, column)?);
        if column.unique {
            // Among the rows of one owner: whether another has such a row is nobody else's business.
            let whose = whose.map(|whose| format!("{whose}, ")).unwrap_or_default();
            lines.push(format!("unique ({whose}{})", quoted(&column.name)));
        }
        if column.references.is_some() {
            indexes.push(format!(
                "create index on {table} ({})",
                quoted(&column.name)
            ));
        }
        if let Some(text) = &column.description {
            comments.push(format!(
                "comment on column {table}.{} is {}",
                quoted(&column.name),
                plain(text)?
            ));
        }
    }
    lines.push("sources jsonb not null default '[]'".to_owned());
    lines.push("created_at timestamptz not null default now()".to_owned());
    lines.push("updated_at timestamptz not null default now()".to_owned());

    let known = |name: &String| -> Result<()> {
        if names.contains(name) {
            Ok(())
        } else {
            Err(wrong(
                "columns",
                format!("There is no column {name} in the description."),
            ))
        }
    };
    kind.title.iter().try_for_each(known)?;
    kind.text.iter().try_for_each(known)?;
    let public_when = match &kind.public_when {
        None => "null".to_owned(),
        Some(when) => {
            known(&when.column)?;
            let column = kind
                .columns
                .iter()
                .find(|column| column.name == when.column)
                .ok_or_else(|| wrong("public_when", "There is no such column."))?;
            let value = value_literal("public_when.equals", &when.equals, &column.sql_type)?;
            literal(&format!("{} = {value}", quoted(&when.column)))
        }
    };
    let list = |chosen: Vec<&String>| -> String {
        if chosen.is_empty() {
            "'{}'::text[]".to_owned()
        } else {
            let items: Vec<String> = chosen.into_iter().map(|name| literal(name)).collect();
            format!("array[{}]", items.join(", "))
        }
    };
    let hidden = list(
        kind.columns
            .iter()
            .filter(|c| c.hidden)
            .map(|c| &c.name)
            .collect(),
    );
    let read_only = list(
        kind.columns
            .iter()
            .filter(|c| c.read_only)
            .map(|c| &c.name)
            .collect(),
    );

    let mut statements = vec![format!(
        "create table {table} (\n    {}\n)",
        lines.join(",\n    ")
    )];
    if let Some(text) = &kind.description {
        statements.push(format!("comment on table {table} is {}", plain(text)?));
    }
    statements.extend(comments);
    statements.extend(indexes);
    statements.push(format!(
        "select hub.register_kind({}, domain => 'plugin', scope => {}, public_when => {public_when}, title => {}, \
         text_columns => {}, hidden => {hidden}, read_only => {read_only}, jsonld => {}, plugin => {})",
        literal(&kind.name),
        literal(&kind.scope),
        kind.title.as_deref().map_or("null".to_owned(), literal),
        list(kind.text.iter().collect()),
        match &kind.jsonld {
            None => "null".to_owned(),
            Some(text) => plain(text)?,
        },
        literal(&kind.plugin),
    ));
    statements.push(format!("select hub.apply_kind({})", literal(&kind.name)));
    Ok(statements)
}

fn column_line(kind: &Description, column: &Column) -> Result<String> {
    if !TYPES.contains(&column.sql_type.as_str()) {
        return Err(wrong(
            "columns.type",
            format!(
                "{} is not a type a kind can have; there are {}.",
                column.sql_type,
                TYPES.join(", ")
            ),
        ));
    }
    let mut line = format!("{} {}", quoted(&column.name), column.sql_type);
    if column.required {
        line.push_str(" not null");
    }
    if let Some(default) = &column.default {
        let value = match default.get("function").and_then(Value::as_str) {
            Some("now") if matches!(column.sql_type.as_str(), "timestamptz" | "date") => {
                "now()".to_owned()
            }
            Some("uuid") if column.sql_type == "uuid" => "hub.uuid_v7()".to_owned(),
            Some("caller") if column.sql_type == "uuid" => "auth.uid()".to_owned(),
            Some(other) if column.sql_type != "jsonb" => {
                return Err(wrong(
                    "columns.default",
                    format!("{other} is no function that fits {}.", column.sql_type),
                ));
            }
            _ => value_literal("columns.default", default, &column.sql_type)?,
        };
        line.push_str(&format!(" default {value}"));
    }
    if !column.values.is_empty() {
        if column.sql_type != "text" || column.values.len() > 500 {
            return Err(wrong(
                "columns.values",
                "Only a text column lists values, at most 500.",
            ));
        }
        let values = column
            .values
            .iter()
            .map(|value| plain(value))
            .collect::<Result<Vec<_>>>()?;
        line.push_str(&format!(
            " constraint {} check ({} in ({}))",
            quoted(&short(&kind.name, &column.name, "listed")),
            quoted(&column.name),
            values.join(", ")
        ));
    }
    if let Some(parent) = &column.references {
        check_name("columns.references", parent)?;
        if column.sql_type != "uuid" {
            return Err(wrong(
                "columns.references",
                "Only a uuid column links to another kind.",
            ));
        }
        let rule = if column.required {
            "cascade"
        } else {
            "set null"
        };
        line.push_str(&format!(
            " references public.{} (id) on delete {rule}",
            quoted(parent)
        ));
    }
    Ok(line)
}

/// A JSON value as a literal of a type; the database still checks that it is one.
fn value_literal(field: &str, value: &Value, sql_type: &str) -> Result<String> {
    let fits = match (sql_type, value) {
        (_, Value::Null) => return Ok("null".to_owned()),
        ("jsonb", _) => true,
        ("boolean", Value::Bool(_)) => true,
        ("integer" | "bigint" | "smallint", Value::Number(n)) => n.is_i64(),
        ("numeric" | "real" | "double precision", Value::Number(_)) => true,
        (
            "text" | "date" | "time" | "timestamptz" | "uuid" | "point" | "vector",
            Value::String(_),
        ) => true,
        ("text[]" | "integer[]" | "uuid[]", Value::Array(items)) => {
            let inner = sql_type.trim_end_matches("[]");
            let items = items
                .iter()
                .map(|item| value_literal(field, item, inner))
                .collect::<Result<Vec<_>>>()?;
            return Ok(format!("array[{}]::{sql_type}", items.join(", ")));
        }
        _ => false,
    };
    if !fits {
        return Err(wrong(
            field,
            format!("{value} is no value of the type {sql_type}."),
        ));
    }
    let text = match value {
        Value::String(text) if sql_type != "jsonb" => text.clone(),
        other => other.to_string(),
    };
    Ok(format!("{}::{sql_type}", plain(&text)?))
}

fn check_name(field: &str, name: &str) -> Result<()> {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|first| first.is_ascii_lowercase());
    if !starts
        || name.len() > 50
        || !chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        || name.starts_with("pg_")
        || name.starts_with("hub_")
    {
        return Err(wrong(
            field,
            "A name has 1 to 50 small letters, digits and underscores, begins with a letter, and not with pg_ or hub_.",
        ));
    }
    Ok(())
}

/// Text as a literal; what PostgreSQL's text cannot hold is refused.
fn plain(text: &str) -> Result<String> {
    if text.contains('\0') || text.len() > 10_000 {
        return Err(wrong("text", "A text has at most 10,000 bytes and no NUL."));
    }
    Ok(literal(text))
}

/// A constraint's name within PostgreSQL's 63 bytes.
fn short(table: &str, column: &str, suffix: &str) -> String {
    let full = format!("{table}_{column}_{suffix}");
    if full.len() <= 63 {
        return full;
    }
    let keep = |name: &str| name.chars().take(26).collect::<String>();
    format!("{}_{}_{suffix}", keep(table), keep(column))
}

fn wrong(field: &str, message: impl Into<String>) -> Error {
    Error::Invalid(Box::new(
        Told::new("kind.invalid", message)
            .details(json!({ "field": field }))
            .status(422),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(change: impl FnOnce(&mut Value)) -> Result<Vec<String>> {
        let mut value = json!({
            "name": "venues", "plugin": "io.example.venues", "title": "name",
            "columns": [
                {"name": "name", "type": "text", "required": true},
                {"name": "kind", "type": "text", "values": ["bar", "it's"], "default": "bar"},
                {"name": "host", "type": "uuid", "references": "persons"}
            ]
        });
        change(&mut value);
        ddl(&serde_json::from_value(value).map_err(|e| wrong("json", e.to_string()))?)
    }

    #[test]
    fn a_description_becomes_a_table() {
        let statements = described(|_| ()).unwrap();
        assert!(statements[0].contains("\"kind\" text default 'bar'::text"));
        assert!(statements[0].contains("check (\"kind\" in ('bar', 'it''s'))"));
    }

    #[test]
    fn nothing_of_it_becomes_sql() {
        for name in [
            "a; drop table users",
            "Users",
            "\"x\"",
            "pg_x",
            "",
            "é",
            "a b",
        ] {
            assert!(described(|v| v["name"] = json!(name)).is_err(), "{name}");
            assert!(
                described(|v| v["columns"][0]["name"] = json!(name)).is_err(),
                "{name}"
            );
            assert!(
                described(|v| v["columns"][2]["references"] = json!(name)).is_err(),
                "{name}"
            );
        }
        for sql_type in [
            "text; drop",
            "serial",
            "regclass",
            "text default now()",
            "hub.kinds",
        ] {
            assert!(
                described(|v| v["columns"][0]["type"] = json!(sql_type)).is_err(),
                "{sql_type}"
            );
        }
        let sly =
            described(|v| v["columns"][0]["default"] = json!("'); drop table users; --")).unwrap();
        assert!(sly[0].contains("default '''); drop table users; --'::text"));
        let slash = described(|v| v["columns"][0]["default"] = json!("\\'; drop")).unwrap();
        assert!(slash[0].contains("default E'\\\\''; drop'::text"));
        assert!(described(|v| v["columns"][0]["default"] = json!(1)).is_err());
        assert!(described(|v| v["columns"][0]["name"] = json!("owner_id")).is_err());
        assert!(described(|v| v["title"] = json!("nope")).is_err());
        assert!(described(|v| v["more"] = json!(1)).is_err());
    }
}
