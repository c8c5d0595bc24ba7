//! The conditions of a rule: a tree of all, any and not over comparisons of a field with a value. Pure and bounded:
//! whatever was written, reading it costs little and never fails otherwise than by saying what is wrong and where.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value};

/// How deep a tree may be, how many nodes it may have, how many values a list, how many steps a field.
const DEEPEST: usize = 16;
const MOST: usize = 200;
const LONGEST_LIST: usize = 500;
const MOST_STEPS: usize = 10;

/// A tree that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Test { field: Field, op: Op, value: Value },
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Contains,
    Exists,
    Changed,
}

impl Op {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 10] = [
        ("eq", Self::Eq),
        ("neq", Self::Neq),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("in", Self::In),
        ("contains", Self::Contains),
        ("exists", Self::Exists),
        ("changed", Self::Changed),
    ];
}

/// A place in what a rule sees: `row.title`, `event.name`; without `row` or `event` in front a column of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Vec<String>);

impl Field {
    /// Read a field of a condition.
    pub fn read(text: &str) -> Option<Self> {
        let (root, _) = text.split_once('.').unwrap_or((text, ""));
        match root {
            "row" | "event" => Self::rooted(text),
            _ => Self::rooted(&format!("row.{text}")),
        }
    }

    /// Read a place that says where it begins.
    pub fn rooted(text: &str) -> Option<Self> {
        let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_fine = steps.len() >= 2
            && steps.len() <= MOST_STEPS
            && steps
                .iter()
                .all(|step| !step.is_empty() && step.len() <= 100);
        is_fine.then_some(Self(steps))
    }

    /// What stands there; nothing stands like null.
    pub fn of<'v>(&self, seen: &'v Value) -> Option<&'v Value> {
        self.0
            .iter()
            .try_fold(seen, |value, step| match value {
                Value::Object(object) => object.get(step),
                Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                _ => None,
            })
            .filter(|value| !value.is_null())
    }

    fn column(&self) -> Option<&str> {
        match self.0.as_slice() {
            [root, column, ..] if root == "row" => Some(column),
            _ => None,
        }
    }
}

/// What is wrong with something that was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub path: String,
    pub why: String,
}

impl Wrong {
    /// Something wrong at this place.
    pub fn at(path: &str, why: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}

/// Read a tree; an empty one always holds.
pub fn read(tree: &Value) -> Result<Condition, Wrong> {
    let mut nodes = 0;
    match tree {
        Value::Object(object) if object.is_empty() => Ok(Condition::All(Vec::new())),
        tree => node(tree, "condition_ast", 1, &mut nodes),
    }
}

fn node(tree: &Value, path: &str, depth: usize, nodes: &mut usize) -> Result<Condition, Wrong> {
    *nodes += 1;
    if depth > DEEPEST {
        return Err(Wrong::at(path, format!("a tree is at most {DEEPEST} deep")));
    }
    if *nodes > MOST {
        return Err(Wrong::at(path, format!("a tree has at most {MOST} nodes")));
    }
    let Value::Object(object) = tree else {
        return Err(Wrong::at(path, "a condition is an object"));
    };
    let many = |key: &str, nodes: &mut usize| -> Result<Vec<Condition>, Wrong> {
        let path = format!("{path}.{key}");
        let Some(Value::Array(items)) = object.get(key) else {
            return Err(Wrong::at(&path, "expected a list of conditions"));
        };
        items
            .iter()
            .enumerate()
            .map(|(i, item)| node(item, &format!("{path}[{i}]"), depth + 1, nodes))
            .collect()
    };
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    match keys.as_slice() {
        ["all"] => many("all", nodes).map(Condition::All),
        ["any"] => many("any", nodes).map(Condition::Any),
        ["not"] => {
            let inner = object.get("not").unwrap_or(&Value::Null);
            node(inner, &format!("{path}.not"), depth + 1, nodes)
                .map(|inner| Condition::Not(Box::new(inner)))
        }
        _ => test(object, path),
    }
}

fn test(object: &Map<String, Value>, path: &str) -> Result<Condition, Wrong> {
    if let Some(key) = object
        .keys()
        .find(|key| !matches!(key.as_str(), "field" | "op" | "value"))
    {
        let key: String = key.chars().take(60).collect();
        return Err(Wrong::at(
            path,
            format!(
                "{key:?} is not known here; a condition has all, any or not alone, or field, op and value"
            ),
        ));
    }
    let at = |name: &str| format!("{path}.{name}");
    let field = object
        .get("field")
        .and_then(Value::as_str)
        .and_then(Field::read)
        .ok_or_else(|| {
            Wrong::at(
                &at("field"),
                "expected a field such as row.title or event.name",
            )
        })?;
    let said = object.get("op").and_then(Value::as_str);
    let Some((_, op)) = Op::ALL.into_iter().find(|(name, _)| Some(*name) == said) else {
        let names: Vec<_> = Op::ALL.iter().map(|(name, _)| *name).collect();
        return Err(Wrong::at(
            &at("op"),
            format!("expected one of {}", names.join(", ")),
        ));
    };
    let value = object.get("value").cloned();
    let value = match (op, value) {
        (Op::Exists | Op::Changed, None) => Value::Bool(true),
        (Op::Exists | Op::Changed, Some(Value::Bool(is))) => Value::Bool(is),
        (Op::Exists | Op::Changed, Some(_)) => {
            return Err(Wrong::at(
                &at("value"),
                "expected true or false, or nothing",
            ));
        }
        (Op::In, Some(Value::Array(list))) if list.len() <= LONGEST_LIST => Value::Array(list),
        (Op::In, _) => {
            let why = format!("expected a list of at most {LONGEST_LIST} values");
            return Err(Wrong::at(&at("value"), why));
        }
        (_, Some(value @ (Value::Object(_) | Value::Array(_))))
            if !matches!(op, Op::Eq | Op::Neq | Op::Contains) =>
        {
            let why = format!(
                "{} has no greater and no less",
                if value.is_array() {
                    "a list"
                } else {
                    "an object"
                }
            );
            return Err(Wrong::at(&at("value"), why));
        }
        (_, Some(value)) => value,
        (_, None) => return Err(Wrong::at(&at("value"), "expected a value")),
    };
    if op == Op::Changed && field.column().is_none() {
        return Err(Wrong::at(
            &at("field"),
            "only a column of the row can change",
        ));
    }
    Ok(Condition::Test { field, op, value })
}

impl Condition {
    /// Whether it holds for what a rule sees: `{"row": …, "event": {"name", "verb", "kind", "changed", …}}`.
    pub fn holds(&self, seen: &Value) -> bool {
        match self {
            Self::All(all) => all.iter().all(|inner| inner.holds(seen)),
            Self::Any(any) => any.iter().any(|inner| inner.holds(seen)),
            Self::Not(inner) => !inner.holds(seen),
            Self::Test { field, op, value } => compare(field, *op, value, seen),
        }
    }
}

fn compare(field: &Field, op: Op, value: &Value, seen: &Value) -> bool {
    let found = field.of(seen);
    let order = || found.and_then(|found| ordered(found, value));
    match op {
        Op::Eq => same(found.unwrap_or(&Value::Null), value),
        Op::Neq => !same(found.unwrap_or(&Value::Null), value),
        Op::Gt => order() == Some(Ordering::Greater),
        Op::Gte => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        Op::Lt => order() == Some(Ordering::Less),
        Op::Lte => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        Op::In => value.as_array().is_some_and(|list| {
            list.iter()
                .any(|item| same(found.unwrap_or(&Value::Null), item))
        }),
        Op::Contains => found.is_some_and(|found| holds_within(found, value)),
        Op::Exists => value.as_bool() == Some(found.is_some()),
        Op::Changed => value.as_bool() == Some(has_changed(field, seen)),
    }
}

/// Equal as people mean it: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => ordered(a, b) == Some(Ordering::Equal),
        _ => a == b,
    }
}

/// Numbers by size, moments by time, other texts by their characters; what can't be compared has no order.
fn ordered(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => match (moment(a), moment(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => Some(a.cmp(b)),
        },
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn moment(text: &str) -> Option<DateTime<chrono::Utc>> {
    if text.len() > 40 || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match text.parse::<DateTime<chrono::FixedOffset>>() {
        Ok(at) => Some(at.to_utc()),
        Err(_) => Some(
            text.parse::<NaiveDate>()
                .ok()?
                .and_hms_opt(0, 0, 0)?
                .and_utc(),
        ),
    }
}

fn holds_within(found: &Value, value: &Value) -> bool {
    match (found, value) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), Value::Array(parts)) => parts
            .iter()
            .all(|part| items.iter().any(|item| same(item, part))),
        (Value::Array(items), part) => items.iter().any(|item| same(item, part)),
        (Value::Object(object), Value::String(key)) => object.contains_key(key),
        _ => false,
    }
}

/// An update names the columns it changed; in a new row everything that is there is new.
fn has_changed(field: &Field, seen: &Value) -> bool {
    let verb = seen.pointer("/event/verb").and_then(Value::as_str);
    match verb {
        Some("insert") => field.of(seen).is_some(),
        _ => seen
            .pointer("/event/changed")
            .and_then(Value::as_array)
            .is_some_and(|changed| changed.iter().any(|name| name.as_str() == field.column())),
    }
}

#[cfg(test)]
mod tests;
