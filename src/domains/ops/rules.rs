//! Rules: when something happens to somebody's rows and his conditions hold, what he asked for becomes jobs. A rule sees
//! what its owner sees and may do what he may do. Rules that set each other off end after a few, and everything they did or
//! did not do is in `rule_runs`.

pub mod actions;
pub mod apply;
pub mod conditions;

use diesel::sql_types::{Array, Jsonb, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::conditions::Wrong;
use crate::base::error::Told;
use crate::base::{Error, Result};
use crate::db::statement::quoted;
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Order};
use crate::kinds::ask::Rows;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::Later;
use crate::node::work::Change;

/// How many events a rule waits for, and how long their names are.
const MOST_TRIGGERS: (usize, usize) = (50, 200);

/// Before a rule is written: what could not run is refused, with the place of what is wrong.
pub fn check(_: &mut Tx, _: Verb, rows: Rows) -> Later<'_, Rows> {
    Box::pin(async move {
        for row in &rows {
            check_row(row).map_err(refused)?;
        }
        Ok(rows)
    })
}

fn check_row(row: &Map<String, Value>) -> Result<(), Wrong> {
    if let Some(types) = row.get("trigger_event_types").and_then(Value::as_array) {
        let (most, longest) = MOST_TRIGGERS;
        let is_long = |name: &Value| name.as_str().is_some_and(|name| name.len() > longest);
        if types.len() > most || types.iter().any(is_long) {
            let why = format!("at most {most} names of at most {longest} bytes");
            return Err(Wrong::at("trigger_event_types", why));
        }
    }
    if let Some(tree) = row.get("condition_ast").filter(|tree| !tree.is_null()) {
        conditions::read(tree)?;
    }
    match row.get("actions") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(list)) if list.len() <= actions::MOST => list
            .iter()
            .enumerate()
            .try_for_each(|(i, action)| actions::check(action, &format!("actions[{i}]"))),
        Some(_) => Err(Wrong::at(
            "actions",
            format!("expected a list of at most {} actions", actions::MOST),
        )),
    }
}

fn refused(wrong: Wrong) -> Error {
    let message = format!("{}: {}.", wrong.path, wrong.why);
    Error::Invalid(Box::new(
        Told::new("rules.invalid", message)
            .details(json!({ "path": wrong.path, "why": wrong.why }))
            .status(422),
    ))
}

/// What follows from changes: those that somebody's rules wait for are looked at by a job of their own.
pub fn react<'a>(tx: &'a mut Tx, changes: &'a [Change]) -> Later<'a, ()> {
    Box::pin(async move {
        let ids: Vec<Option<String>> = changes
            .iter()
            .filter(|change| change.owner.is_some())
            .map(|change| Some(change.id.to_string()))
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut select = Statement::<SqlUuid>::new(
            "select j.id from hub.journal j where exists (select from public.rules r where r.owner_id = j.owner_id \
             and r.enabled and hub.waits_for(r.trigger_event_types, j.kind, j.verb)) and j.id = any (",
        );
        select.bind(Bind::Texts(ids)).sql("::uuid[])");
        let awaited: Vec<Uuid> = tx.load(select).await?;
        for change in changes.iter().filter(|change| awaited.contains(&change.id)) {
            let event = change.id.to_string();
            let order = Order {
                owner: change.owner,
                key: Some(format!("rules/{event}")),
                correlation: change.correlation.clone().or(Some(event.clone())),
                triggered_by: Some(event),
                ..Order::default()
            };
            jobs::enqueue(tx, &apply::ApplyRules { event: change.id }, order).await?;
        }
        Ok(())
    })
}

/// A rule as it is applied.
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    #[serde(default)]
    pub id: Uuid,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub trigger_event_types: Vec<String>,
    #[serde(default = "empty")]
    pub condition_ast: Value,
    #[serde(default)]
    pub actions: Vec<Value>,
}

fn empty() -> Value {
    Value::Object(Map::new())
}

/// What becomes of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub matched: bool,
    pub error: Option<String>,
    /// The actions, filled in.
    pub actions: Vec<Value>,
}

/// How many rules may stand between a change and the person who began.
pub const DEEPEST: i32 = 5;

/// Decide a rule by what it sees.
pub fn decide(rule: &Rule, event: Value, row: Option<Value>) -> Decision {
    let depth = event.get("depth").and_then(Value::as_i64).unwrap_or(0);
    let seen = json!({ "row": row, "event": event, "rule": { "id": rule.id, "name": rule.name } });
    let said = |wrong: Wrong| Some(format!("rules.invalid: {}: {}", wrong.path, wrong.why));
    let mut decision = Decision {
        matched: false,
        error: None,
        actions: Vec::new(),
    };
    if depth >= i64::from(DEEPEST) {
        decision.error = Some(format!(
            "rules.too_deep: {DEEPEST} rules have set each other off; it ends here"
        ));
        return decision;
    }
    match conditions::read(&rule.condition_ast) {
        Ok(condition) => decision.matched = condition.holds(&seen),
        Err(wrong) => decision.error = said(wrong),
    }
    if decision.matched {
        let filled: Result<Vec<Value>, Wrong> = rule
            .actions
            .iter()
            .take(actions::MOST)
            .enumerate()
            .map(|(i, action)| actions::fill(action, &seen, &format!("actions[{i}]")))
            .collect();
        match filled {
            Ok(filled) => decision.actions = filled,
            Err(wrong) => decision.error = said(wrong),
        }
    }
    decision
}

/// A row as the caller sees it: the columns that he may read, where a policy shows him the row.
pub async fn row_as_seen(tx: &mut Tx, kind: &str, id: Uuid) -> Result<Option<Value>> {
    let mut columns = Statement::<Text>::new(
        "select a.attname::text from pg_attribute a where a.attnum > 0 and not a.attisdropped \
         and has_column_privilege(a.attrelid, a.attnum, 'select') and a.attrelid = (select c.oid from pg_class c \
         join hub.kinds k on k.name = c.relname where c.relnamespace = 'public'::regnamespace and k.name = ",
    );
    columns.text(kind).sql(") order by a.attnum");
    let columns: Vec<String> = tx.load(columns).await?;
    if !columns.iter().any(|column| column == "id") {
        return Ok(None);
    }
    let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    let mut select = Statement::<Jsonb>::new(format!(
        "select to_jsonb(r) from (select {} from public.{} where id = ",
        columns.join(", "),
        quoted(kind)
    ));
    select.bind(Bind::Uuid(id)).sql(") r");
    Ok(tx.load(select).await?.into_iter().next())
}

/// The input of `rules_try`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// A rule that is not written yet …
    rule: Option<Value>,
    /// … or one that is.
    rule_id: Option<Uuid>,
    /// The id of something that happened, or a name such as `tasks.insert`, or an object with name and changed.
    event: Option<Value>,
    /// The row to try it with; otherwise the event's.
    row: Option<Value>,
}

/// Say what a rule would do, and do nothing.
pub async fn try_out(tx: &mut Tx, input: Try) -> Result<Value> {
    let rule = rule_to_try(tx, input.rule, input.rule_id).await?;
    let (event, row) = event_to_try(tx, input.event.unwrap_or(Value::Null)).await?;
    let row = input.row.or(row);

    let name = event.get("name").and_then(Value::as_str);
    let waits = name.is_none_or(|name| waits_for(&rule.trigger_event_types, name));
    let decision = decide(&rule, event, row);

    Ok(json!({
        "waits_for_it": waits,
        "matched": decision.matched,
        "would_run": waits && decision.matched && decision.error.is_none(),
        "actions": decision.actions,
        "error": decision.error,
    }))
}

async fn rule_to_try(tx: &mut Tx, rule: Option<Value>, id: Option<Uuid>) -> Result<Rule> {
    let wrong = |why: String| refused(Wrong::at("rule", why));
    match (rule, id) {
        (Some(rule), None) => {
            let row = rule
                .as_object()
                .ok_or_else(|| wrong("a rule is an object".to_owned()))?;
            check_row(row).map_err(refused)?;
            serde_json::from_value(rule).map_err(|error| wrong(error.to_string()))
        }
        (None, Some(id)) => {
            let mut select = Statement::<(SqlUuid, Text, Array<Text>, Jsonb, Jsonb)>::new(
                "select id, name, trigger_event_types, condition_ast, to_jsonb(actions) from public.rules where id = ",
            );
            select.bind(Bind::Uuid(id));
            let rows: Vec<(Uuid, String, Vec<String>, Value, Value)> = tx.load(select).await?;
            rows.into_iter()
                .next()
                .map(read_rule)
                .ok_or_else(|| Error::missing("rules.not_found", "There is no such rule."))
        }
        _ => Err(wrong("give either rule or rule_id".to_owned())),
    }
}

/// A rule from its row.
fn read_rule(row: (Uuid, String, Vec<String>, Value, Value)) -> Rule {
    let (id, name, trigger_event_types, condition_ast, actions) = row;
    Rule {
        id,
        name,
        trigger_event_types,
        condition_ast,
        actions: match actions {
            Value::Array(actions) => actions,
            _ => Vec::new(),
        },
    }
}

async fn event_to_try(tx: &mut Tx, event: Value) -> Result<(Value, Option<Value>)> {
    let wrong = || {
        let why = "expected an id, a name such as tasks.insert, or an object with name and changed";
        refused(Wrong::at("event", why))
    };
    match event {
        Value::Null => Ok((empty(), None)),
        Value::String(text) => match text.parse::<Uuid>() {
            Ok(id) => event_of_caller(tx, id).await,
            Err(_) => Ok((named(&text, Value::Array(Vec::new())), None)),
        },
        Value::Object(object) => {
            let name = object
                .get("name")
                .and_then(Value::as_str)
                .ok_or_else(wrong)?;
            let changed = object.get("changed").cloned().unwrap_or_else(|| json!([]));
            Ok((named(name, changed), None))
        }
        _ => Err(wrong()),
    }
}

fn named(name: &str, changed: Value) -> Value {
    let (kind, verb) = match name.rsplit_once('.') {
        Some((kind, verb @ ("insert" | "update" | "delete"))) => (kind, verb),
        _ => ("", name),
    };
    json!({ "name": name, "kind": kind, "verb": verb, "changed": changed, "depth": 0 })
}

/// Something that happened to a row of the caller's, with the row as he sees it now.
async fn event_of_caller(tx: &mut Tx, id: Uuid) -> Result<(Value, Option<Value>)> {
    let missing = || Error::missing("rules.no_event", "There is no such event.");
    let person = tx.person().await?.ok_or_else(missing)?;
    let (change, owner) = tx
        .as_hub(async |tx| apply::load_change(tx, id).await)
        .await?
        .ok_or_else(missing)?;
    if owner != person {
        return Err(missing());
    }
    let row = row_as_seen(tx, &change.kind, change.row).await?;
    Ok((apply::event(&change), row))
}

/// Whether one of these names means this event; `tasks.*` means all of a kind.
fn waits_for(types: &[String], name: &str) -> bool {
    types.iter().any(|waited| match waited.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('.') && prefix.len() > 1 => name.starts_with(prefix),
        _ => waited == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_waited_for() {
        let types: Vec<String> = [
            "tasks.insert",
            "notes.*",
            "*",
            ".*",
            "communication.CallStarted",
        ]
        .map(str::to_owned)
        .to_vec();
        for name in ["tasks.insert", "notes.delete", "communication.CallStarted"] {
            assert!(waits_for(&types, name), "{name}");
        }
        for name in ["tasks.update", "notesx.insert", "notes", "anything.insert"] {
            assert!(!waits_for(&types, name), "{name}");
        }
    }

    #[test]
    fn a_rule_that_is_wrong_fails_by_itself() {
        let rule = |condition: Value, actions: Value| Rule {
            condition_ast: condition,
            actions: actions.as_array().cloned().unwrap_or_default(),
            ..serde_json::from_value(json!({})).unwrap()
        };
        let event = named("tasks.insert", json!([]));
        let broken = decide(&rule(json!({"op": "like"}), json!([])), event.clone(), None);
        assert!(
            !broken.matched
                && broken
                    .error
                    .unwrap()
                    .starts_with("rules.invalid: condition_ast.")
        );
        let broken = decide(
            &rule(json!({}), json!([{"type": "shell"}])),
            event.clone(),
            None,
        );
        assert!(broken.matched && broken.actions.is_empty());
        assert_eq!(
            broken.error.unwrap(),
            "rules.invalid: actions[0].type: expected one of notify, email, create, act"
        );
        let mut deep = event;
        deep["depth"] = json!(DEEPEST);
        let ended = decide(&rule(json!({}), json!([])), deep, None);
        assert!(!ended.matched && ended.error.unwrap().starts_with("rules.too_deep"));
    }
}
