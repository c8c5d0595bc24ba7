//! What a caller may see, as an OpenAPI 3.1 document made from the catalogue and the list of verbs.

use serde_json::{Map, Value, json};

use super::actions::Action;
use super::{Column, Kinds, Role, Table};

/// The document for one schema and one role.
pub fn openapi(
    kinds: &Kinds,
    schema: &str,
    actions: impl Iterator<Item = &'static Action>,
    role: Role,
    public_url: Option<&url::Url>,
) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let tables = kinds
        .schemas
        .get(schema)
        .into_iter()
        .flat_map(|tables| tables.values());
    for table in tables.filter(|table| is_visible(table, role)) {
        paths.insert(format!("/{}", table.name), path(table, role));
        schemas.insert(table.name.clone(), row_schema(table, role));
    }
    for action in actions {
        paths.insert(format!("/rpc/{}", action.name()), call(action));
    }
    let server = public_url.map_or("/rest/v1".to_owned(), |url| {
        format!("{}/rest/v1", url.as_str().trim_end_matches('/'))
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "made-open",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Tables of this hub in PostgREST's dialect, and its actions.",
            "license": { "name": "AGPL-3.0-only", "identifier": "AGPL-3.0-only" },
        },
        "servers": [{ "url": server }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
        },
        "security": [{}, { "bearer": [] }],
    })
}

/// Whether a role may do anything with a table through a door.
pub fn is_visible(table: &Table, role: Role) -> bool {
    let served = table
        .kind
        .as_ref()
        .is_none_or(|kind| kind.scope != "service");
    served
        && (table.select.has(role)
            || table.insert.has(role)
            || table.update.has(role)
            || table.delete.has(role))
}

fn path(table: &Table, role: Role) -> Value {
    let mut verbs = Map::new();
    let about = table.comment.clone().unwrap_or_default();
    let tags = json!([table
        .kind
        .as_ref()
        .map_or(&table.schema, |kind| &kind.domain)]);
    let reference = json!({ "$ref": format!("#/components/schemas/{}", table.name) });
    let rows = json!({ "application/json": { "schema": { "type": "array", "items": reference } } });
    let filters: Vec<Value> = table
        .readable(role)
        .map(|column| {
            json!({
                "name": column.name, "in": "query", "required": false,
                "description": column.comment.clone().unwrap_or_else(|| "A filter such as eq.value".to_owned()),
                "schema": { "type": "string" },
            })
        })
        .collect();
    let shaped = |names: &[&str]| -> Vec<Value> {
        names
            .iter()
            .map(|name| json!({ "name": name, "in": "query", "required": false, "schema": { "type": "string" } }))
            .collect()
    };
    let with = |mut list: Vec<Value>, more: &[&str]| {
        list.extend(shaped(more));
        list
    };
    if table.select.has(role) {
        verbs.insert("get".to_owned(), json!({
            "tags": tags, "summary": about,
            "parameters": with(filters.clone(), &["select", "order", "limit", "offset", "or", "and"]),
            "responses": { "200": { "description": "Rows", "content": rows }, "206": { "description": "Some of the rows" } },
        }));
    }
    if table.insert.has(role) {
        verbs.insert(
            "post".to_owned(),
            json!({
                "tags": tags, "summary": about,
                "parameters": shaped(&["select", "columns", "on_conflict"]),
                "requestBody": { "content": { "application/json": { "schema": reference } } },
                "responses": { "201": { "description": "Created" } },
            }),
        );
    }
    if table.update.has(role) {
        verbs.insert(
            "patch".to_owned(),
            json!({
                "tags": tags, "summary": about, "parameters": filters,
                "requestBody": { "content": { "application/json": { "schema": reference } } },
                "responses": { "204": { "description": "Changed" } },
            }),
        );
    }
    if table.delete.has(role) {
        verbs.insert(
            "delete".to_owned(),
            json!({
                "tags": tags, "summary": about, "parameters": filters,
                "responses": { "204": { "description": "Deleted" } },
            }),
        );
    }
    Value::Object(verbs)
}

fn row_schema(table: &Table, role: Role) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for column in &table.columns {
        let reads = column.select.has(role);
        let writes = column.insert.has(role) || column.update.has(role);
        if !reads && !writes {
            continue;
        }
        let mut described = type_schema(&column.sql_type);
        if let Some(described) = described.as_object_mut() {
            described.insert("x-sql-type".to_owned(), json!(column.sql_type));
            if let Some(comment) = &column.comment {
                described.insert("description".to_owned(), json!(comment));
            }
            if !column.listed.is_empty() {
                described.insert("enum".to_owned(), json!(column.listed));
            }
            if !writes {
                described.insert("readOnly".to_owned(), json!(true));
            }
            if !reads {
                described.insert("writeOnly".to_owned(), json!(true));
            }
            if let Some(relation) = link_of(table, column) {
                described.insert("x-references".to_owned(), json!(relation));
            }
        }
        if !column.nullable && column.default.is_none() && writes {
            required.push(column.name.clone());
        }
        properties.insert(column.name.clone(), described);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if let Some(schema) = schema.as_object_mut() {
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if let Some(comment) = &table.comment {
            schema.insert("description".to_owned(), json!(comment));
        }
        if let Some(kind) = &table.kind {
            schema.insert("x-jsonld-type".to_owned(), json!(kind.jsonld));
        }
    }
    schema
}

fn link_of(table: &Table, column: &Column) -> Option<String> {
    table
        .relations
        .iter()
        .find(|relation| {
            relation.junction.is_none()
                && relation.columns == [column.name.clone()]
                && relation.cardinality != super::Cardinality::OneToMany
        })
        .map(|relation| format!("{}.{}", relation.target, relation.target_columns.join(",")))
}

/// A JSON Schema for an SQL type.
pub fn type_schema(sql_type: &str) -> Value {
    if let Some(inner) = sql_type.strip_suffix("[]") {
        return json!({ "type": "array", "items": type_schema(inner) });
    }
    let base = sql_type.split('(').next().unwrap_or(sql_type);
    match base {
        "uuid" => json!({ "type": "string", "format": "uuid" }),
        "smallint" | "integer" | "bigint" => json!({ "type": "integer" }),
        "numeric" | "real" | "double precision" => json!({ "type": "number" }),
        "boolean" => json!({ "type": "boolean" }),
        "date" => json!({ "type": "string", "format": "date" }),
        "timestamp with time zone" | "timestamp without time zone" => {
            json!({ "type": "string", "format": "date-time" })
        }
        "json" | "jsonb" => json!({}),
        _ => json!({ "type": "string" }),
    }
}

fn call(action: &Action) -> Value {
    let properties: Map<String, Value> = action
        .arguments
        .iter()
        .map(|(name, sql_type)| ((*name).to_owned(), type_schema(sql_type)))
        .collect();
    let answers = json!({ "200": { "description": "Done" } });
    let mut verbs = Map::new();
    verbs.insert("post".to_owned(), json!({
        "tags": [action.kind], "summary": action.about,
        "requestBody": { "content": { "application/json": { "schema": { "type": "object", "properties": properties } } } },
        "responses": answers,
    }));
    if action.reads_only {
        verbs.insert(
            "get".to_owned(),
            json!({ "tags": [action.kind], "summary": action.about, "responses": answers }),
        );
    }
    Value::Object(verbs)
}
