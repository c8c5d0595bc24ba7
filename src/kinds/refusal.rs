//! Everything the table door refuses, in PostgREST's words: codes, messages, details, hints, statuses.

use serde_json::{Value, json};

use super::{Kinds, Role, Table};
use crate::base::Error;
use crate::base::error::Told;

fn refuse(status: u16, told: Told) -> Error {
    let told = Box::new(told.status(status));
    match status {
        401 => Error::SignIn(told),
        403 => Error::Forbidden(told),
        404 => Error::Missing(told),
        409 => Error::Conflict(told),
        _ => Error::Invalid(told),
    }
}

fn with_hint(told: Told, hint: Option<String>) -> Told {
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// The status and the body that the door answers an error with. What is refused for lack of rights is, to somebody
/// who is not signed in, a reason to sign in.
pub fn render(error: &Error, role: Role) -> (u16, String) {
    let Some(told) = error.told() else {
        let body = json!({
            "code": "PGRSTX00",
            "message": "The hub could not do this because of a fault of its own.",
            "details": null,
            "hint": null,
        });
        return (500, body.to_string());
    };
    let body = json!({
        "code": told.code,
        "message": told.message,
        "details": told.details,
        "hint": told.hint,
    });
    (status(error, told, role), body.to_string())
}

fn status(error: &Error, told: &Told, role: Role) -> u16 {
    if let Some(status) = told.status {
        return status;
    }
    match (&*told.code, error) {
        ("42501", _) if role == Role::Anon => 401,
        ("42P01" | "42883", _) => 404,
        ("23503" | "23505" | "23P01", _) => 409,
        (_, Error::Invalid(_)) => 400,
        _ => error.status(),
    }
}

/// The query string cannot be read at all.
pub fn unreadable_query(why: &str) -> Error {
    refuse(400, Told::new("PGRST100", why))
}

/// More conditions than anybody needs.
pub fn too_many_terms() -> Error {
    refuse(
        400,
        Told::new("PGRST100", "The request holds too many conditions"),
    )
}

/// A limit or an offset that is no number.
pub fn not_a_number(what: &str, text: &str) -> Error {
    refuse(
        400,
        Told::new(
            "PGRST100",
            format!("\"failed to parse {what} ({text})\" (line 1, column 1)"),
        )
        .details("expecting a number"),
    )
}

/// A limit or an offset below zero.
pub fn negative(what: &str) -> Error {
    let (status, details) = match what {
        "limit" => (416, "Limit should be greater than or equal to zero."),
        _ => (400, "Offset should be greater than or equal to zero."),
    };
    refuse(
        status,
        Told::new("PGRST103", "Requested range not satisfiable").details(details),
    )
}

/// A range that ends before it begins.
pub fn range_upside_down() -> Error {
    refuse(
        416,
        Told::new("PGRST103", "Requested range not satisfiable").details(
            "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
        ),
    )
}

/// A range that begins past the last row.
pub fn out_of_range(offset: u64, total: i64) -> Error {
    refuse(
        416,
        Told::new("PGRST103", "Requested range not satisfiable").details(format!(
            "An offset of {offset} was requested, but there are only {total} rows."
        )),
    )
}

/// Preferences nobody knows, given with `handling=strict`.
pub fn invalid_preferences(unknown: &[&str]) -> Error {
    refuse(
        400,
        Told::new("PGRST122", "Invalid preferences given with handling=strict")
            .details(format!("Invalid preferences: {}", unknown.join(", "))),
    )
}

/// None of the forms asked for can be had.
pub fn not_acceptable(accept: &str) -> Error {
    let list: Vec<&str> = accept.split(',').map(str::trim).collect();
    refuse(
        406,
        Told::new(
            "PGRST107",
            format!(
                "None of these media types are available: {}",
                list.join(", ")
            ),
        ),
    )
}

/// The body cannot be read.
pub fn bad_body(why: String) -> Error {
    refuse(400, Told::new("PGRST102", why))
}

/// A schema that is not served.
pub fn no_schema(name: &str, served: &[String]) -> Error {
    refuse(
        406,
        Told::new("PGRST106", format!("Invalid schema: {name}")).hint(format!(
            "Only the following schemas are exposed: {}",
            served.join(", ")
        )),
    )
}

/// No such table, for anybody or for this role.
pub fn no_table(kinds: &Kinds, schema: &str, name: &str, role: Role) -> Error {
    let known = kinds.schemas.get(schema).into_iter().flatten();
    let visible = known
        .filter(|(_, table)| table.is_visible_to(role))
        .map(|(name, _)| name.as_str());
    let hint = closest(name, visible, 0.6)
        .map(|near| format!("Perhaps you meant the table '{schema}.{near}'"));
    let told = Told::new(
        "PGRST205",
        format!("Could not find the table '{schema}.{name}' in the schema cache"),
    );
    refuse(404, with_hint(told, hint))
}

/// No such column to read.
pub fn no_column(table: &Table, name: &str, role: Role) -> Error {
    let readable = table.readable(role).map(|column| column.name.as_str());
    let hint = closest_column(name, readable).map(|near| {
        format!(
            "Perhaps you meant to reference the column \"{}.{near}\".",
            table.name
        )
    });
    let told = Told::new(
        "42703",
        format!("column {}.{name} does not exist", table.name),
    );
    refuse(400, with_hint(told, hint))
}

/// No such column to write.
pub fn no_column_to_write(table: &Table, name: &str) -> Error {
    refuse(
        400,
        Told::new(
            "PGRST204",
            format!(
                "Could not find the '{name}' column of '{}' in the schema cache",
                table.name
            ),
        ),
    )
}

/// A column that this role may not write.
pub fn read_only_column(table: &Table, name: &str, role: Role) -> Error {
    let status = if role == Role::Anon { 401 } else { 403 };
    refuse(
        status,
        Told::new(
            "42501",
            format!(
                "permission denied for column \"{name}\" of table {}",
                table.name
            ),
        ),
    )
}

/// A column that the database fills in itself.
pub fn generated_column(name: &str, inserts: bool) -> Error {
    let message = match inserts {
        true => format!("cannot insert a non-DEFAULT value into column \"{name}\""),
        false => format!("column \"{name}\" can only be updated to DEFAULT"),
    };
    refuse(
        400,
        Told::new("428C9", message).details(format!("Column \"{name}\" is a generated column.")),
    )
}

/// A path that leads nowhere.
pub fn no_path() -> Error {
    refuse(
        404,
        Told::new("PGRST125", "Invalid path specified in request URL"),
    )
}

/// A table with which this role may not do this.
pub fn no_right(table: &Table, role: Role) -> Error {
    let status = if role == Role::Anon { 401 } else { 403 };
    let what = if table.is_view { "view" } else { "table" };
    refuse(
        status,
        Told::new(
            "42501",
            format!("permission denied for {what} {}", table.name),
        ),
    )
}

/// A type that cannot be cast to, for anybody.
pub fn no_type(name: &str) -> Error {
    refuse(
        400,
        Told::new("42704", format!("type \"{name}\" does not exist")),
    )
}

/// Nothing leads from one table to the other.
pub fn no_relation(origin: &Table, target: &str, hint: Option<&str>) -> Error {
    let using = hint
        .map(|hint| format!("' using the hint '{hint}"))
        .unwrap_or_default();
    let near = closest(
        target,
        origin.relations.iter().map(|rel| rel.target.as_str()),
        0.33,
    )
    .filter(|near| *near != target)
    .map(|near| format!("Perhaps you meant '{near}' instead of '{target}'."));
    let told = Told::new(
        "PGRST200",
        format!(
            "Could not find a relationship between '{}' and '{target}' in the schema cache",
            origin.name
        ),
    )
    .details(format!(
        "Searched for a foreign key relationship between '{}' and '{target}{using}' in the schema '{}', but no matches were found.",
        origin.name, origin.schema
    ));
    refuse(400, with_hint(told, near))
}

/// Several ways lead from one table to the other. `ways` are what each is, and the word that chooses it.
pub fn ambiguous(origin: &str, target: &str, ways: Vec<(Value, String)>) -> Error {
    let words: Vec<String> = ways.iter().map(|(_, word)| format!("'{word}'")).collect();
    let details: Vec<Value> = ways.into_iter().map(|(way, _)| way).collect();
    refuse(
        300,
        Told::new(
            "PGRST201",
            format!(
                "Could not embed because more than one relationship was found for '{origin}' and '{target}'"
            ),
        )
        .details(details)
        .hint(format!(
            "Try changing '{target}' to one of the following: {}. Find the desired relationship in the 'details' key.",
            words.join(", ")
        )),
    )
}

/// Embedding goes deeper than this hub allows.
pub fn too_deep(depth: usize) -> Error {
    refuse(
        400,
        Told::new(
            "PGRST100",
            format!("Related tables can be embedded to a depth of {depth}"),
        ),
    )
}

/// A filter or an order on something that is not embedded.
pub fn not_embedded(name: &str) -> Error {
    refuse(
        400,
        Told::new(
            "PGRST108",
            format!("'{name}' is not an embedded resource in this request"),
        )
        .hint(format!(
            "Verify that '{name}' is included in the 'select' query parameter."
        )),
    )
}

/// An order by a column of a resource that has several rows.
pub fn order_not_to_one(origin: &str, target: &str) -> Error {
    refuse(
        400,
        Told::new(
            "PGRST118",
            format!("A related order on '{target}' is not possible"),
        )
        .details(format!(
            "'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
        )),
    )
}

/// Embedded resources can be asked only whether they are there.
pub fn bad_operator_on_embed(name: &str) -> Error {
    refuse(
        400,
        Told::new(
            "PGRST120",
            format!("Bad operator on the '{name}' embedded resource"),
        )
        .details("Only is null or not is null filters are allowed on embedded resources"),
    )
}

/// Aggregates are off.
pub fn no_aggregates() -> Error {
    refuse(
        400,
        Told::new("PGRST123", "Use of aggregate functions is not allowed"),
    )
}

/// Something of the dialect that is not served.
pub fn not_implemented(details: &str) -> Error {
    refuse(
        400,
        Told::new("PGRST127", "Feature not implemented").details(details),
    )
}

/// One row was asked for and there are more, or none.
pub fn not_single(rows: i64) -> Error {
    refuse(
        406,
        Told::new(
            "PGRST116",
            "Cannot coerce the result to a single JSON object",
        )
        .details(format!("The result contains {rows} rows")),
    )
}

/// More rows touched than the client would allow.
pub fn too_many_affected(rows: i64) -> Error {
    refuse(
        400,
        Told::new(
            "PGRST124",
            "Query result exceeds max-affected preference constraint",
        )
        .details(format!("The query affects {rows} rows")),
    )
}

/// A change of every row there is.
pub fn no_filter(verb: &str) -> Error {
    refuse(
        400,
        Told::new("21000", format!("{verb} requires a WHERE clause")),
    )
}

/// PUT names a row by its whole key and nothing else.
pub fn put_filters() -> Error {
    refuse(
        405,
        Told::new(
            "PGRST105",
            "Filters must include all and only primary key columns with 'eq' operators",
        ),
    )
}

/// PUT has no use for pages.
pub fn put_window() -> Error {
    refuse(
        400,
        Told::new(
            "PGRST114",
            "limit/offset querystring parameters are not allowed for PUT",
        ),
    )
}

/// PUT names one row and sends another.
pub fn put_mismatch() -> Error {
    refuse(
        400,
        Told::new(
            "PGRST115",
            "Payload values do not match URL in primary key column(s)",
        ),
    )
}

fn closest<'a>(
    wanted: &str,
    among: impl Iterator<Item = &'a str>,
    at_least: f64,
) -> Option<&'a str> {
    among
        .map(|name| (strsim::normalized_levenshtein(wanted, name), name))
        .filter(|(score, _)| *score >= at_least)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// As PostgreSQL itself suggests columns: at most three changes, at most half the name.
fn closest_column<'a>(wanted: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    among
        .map(|name| (strsim::levenshtein(wanted, name), name))
        .filter(|(changes, name)| *changes <= 3 && *changes <= name.chars().count() / 2)
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, name)| name)
}
