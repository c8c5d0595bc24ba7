//! What a rule does: tell its owner, write a row, call a verb. Descriptions are checked when they are written, filled
//! with what happened when the rule matches, and carried out later as the owner, with his rights and no more.

use serde_json::{Map, Value};

use super::conditions::{Field, Wrong};
use crate::base::caller::{Behalf, Cause, Role};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::comms::notify::{self, Channel, News};
use crate::jobs::Attempt;
use crate::kinds::rows::{self, Headers, Method, Request};
use crate::node::Node;

/// How many actions a rule has, how long a text may become, how much all of one action may hold.
pub const MOST: usize = 10;
const LONGEST_TEXT: usize = 10_000;
const LARGEST: usize = 64 * 1024;
const DEEPEST: usize = 12;

/// The sorts of action, with the keys they have beside `type`: needed, then possible.
const SORTS: [(&str, &[&str], &[&str]); 4] = [
    ("notify", &["title"], &["message", "priority", "action_url"]),
    ("email", &["subject"], &["message"]),
    ("create", &["kind", "row"], &[]),
    ("act", &["name"], &["arguments"]),
];

/// Whether this describes an action; what is wrong otherwise, and where.
pub fn check(action: &Value, path: &str) -> Result<(), Wrong> {
    let Value::Object(action) = action else {
        return Err(Wrong::at(path, "an action is an object with a type"));
    };
    let at = |key: &str| format!("{path}.{}", key.chars().take(60).collect::<String>());
    let sort = action.get("type").and_then(Value::as_str);
    let Some((sort, needed, possible)) = SORTS.iter().find(|(name, ..)| Some(*name) == sort) else {
        let names: Vec<_> = SORTS.iter().map(|(name, ..)| *name).collect();
        return Err(Wrong::at(
            &at("type"),
            format!("expected one of {}", names.join(", ")),
        ));
    };
    for key in *needed {
        if !action.contains_key(*key) {
            return Err(Wrong::at(&at(key), format!("{sort} needs it")));
        }
    }
    for (key, value) in action {
        let key = key.as_str();
        if key != "type" && !needed.contains(&key) && !possible.contains(&key) {
            return Err(Wrong::at(
                &at(key),
                format!("{sort} has nothing of this name"),
            ));
        }
        match key {
            "row" | "arguments" if !value.is_object() => {
                return Err(Wrong::at(&at(key), "expected an object"));
            }
            "row" | "arguments" => {}
            "kind" | "name" if !value.as_str().is_some_and(is_plain_name) => {
                return Err(Wrong::at(
                    &at(key),
                    "expected a name of small letters, digits and underscores",
                ));
            }
            _ if !value.is_string() => return Err(Wrong::at(&at(key), "expected a text")),
            _ => {}
        }
        check_places(value, &at(key), 1)?;
    }
    if Value::Object(action.clone()).to_string().len() > LARGEST {
        return Err(Wrong::at(
            path,
            format!("an action holds at most {LARGEST} bytes"),
        ));
    }
    Ok(())
}

fn is_plain_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn check_places(value: &Value, path: &str, depth: usize) -> Result<(), Wrong> {
    if depth > DEEPEST {
        return Err(Wrong::at(path, format!("at most {DEEPEST} deep")));
    }
    match value {
        Value::String(text) => pieces(text).map(|_| ()).map_err(|why| Wrong::at(path, why)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| check_places(item, &format!("{path}[{i}]"), depth + 1)),
        Value::Object(object) => object
            .values()
            .try_for_each(|item| check_places(item, path, depth + 1)),
        _ => Ok(()),
    }
}

/// A text with its places: `Bought: {{row.title}}`.
enum Piece<'t> {
    Text(&'t str),
    Place(Field),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (place, after) = behind
            .split_once("}}")
            .ok_or("a place that begins with {{ ends with }}")?;
        let place = place.trim();
        let root = place.split('.').next().unwrap_or_default();
        let field = Field::rooted(place)
            .filter(|_| matches!(root, "row" | "event" | "rule"))
            .ok_or("a place is like {{row.title}}, {{event.name}} or {{rule.name}}")?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Place(field));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The action with its places filled in. What is filled in is never read for places again.
pub fn fill(action: &Value, seen: &Value, path: &str) -> Result<Value, Wrong> {
    check(action, path)?;
    let filled = filled(action, seen).map_err(|why| Wrong::at(path, why))?;
    match filled.to_string().len() {
        size if size <= LARGEST => Ok(filled),
        _ => Err(Wrong::at(
            path,
            format!("filled in it holds more than {LARGEST} bytes"),
        )),
    }
}

fn filled(value: &Value, seen: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => {
            let pieces = pieces(text)?;
            // A place by itself keeps what it is: a number stays one.
            if let [Piece::Place(field)] = pieces.as_slice() {
                return Ok(field.of(seen).cloned().unwrap_or(Value::Null));
            }
            let mut whole = String::new();
            for piece in &pieces {
                match piece {
                    Piece::Text(text) => whole.push_str(text),
                    Piece::Place(field) => match field.of(seen) {
                        Some(Value::String(text)) => whole.push_str(text),
                        Some(other) => whole.push_str(&other.to_string()),
                        None => {}
                    },
                }
                if whole.len() > LARGEST {
                    return Err(format!("filled in it holds more than {LARGEST} bytes"));
                }
            }
            Value::String(notify::cut(&whole, LONGEST_TEXT))
        }
        Value::Array(items) => items
            .iter()
            .map(|item| filled(item, seen))
            .collect::<Result<_, _>>()?,
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, item)| Ok((key.clone(), filled(item, seen)?)))
                .collect::<Result<Map<_, _>, String>>()?,
        ),
        other => other.clone(),
    })
}

/// Carry an action out, as its owner.
pub async fn perform(node: &Node, attempt: &Attempt, action: &Value, cause: &Cause) -> Result<()> {
    let account = attempt
        .owner
        .ok_or_else(|| Error::invalid("rules.no_owner", "A rule's action works for somebody."))?;
    let caller = Caller::For(Behalf {
        account,
        cause: Some(cause.clone()),
    });
    let text = |key: &str| match action.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let news = News {
        target: account,
        event_type: "rule.matched".to_owned(),
        source: "rules".to_owned(),
        message: text("message"),
        cause: Some(cause.clone()),
        ..News::default()
    };
    match action.get("type").and_then(Value::as_str) {
        Some("notify") => {
            let optional = |key: &str| Some(text(key)).filter(|text| !text.is_empty());
            let news = News {
                title: text("title"),
                priority: optional("priority"),
                action_url: optional("action_url"),
                ..news
            };
            tell(node, &caller, attempt, news).await
        }
        Some("email") => {
            let news = News {
                title: text("subject"),
                channels: Some(vec![Channel::Email]),
                ..news
            };
            tell(node, &caller, attempt, news).await
        }
        Some("create") => create(node, &caller, attempt, &text("kind"), action.get("row")).await,
        Some("act") => {
            act(
                node,
                &caller,
                attempt,
                &text("name"),
                action.get("arguments"),
            )
            .await
        }
        _ => Err(Error::invalid(
            "rules.action",
            "This is no action of a rule.",
        )),
    }
}

async fn tell(node: &Node, caller: &Caller, attempt: &Attempt, news: News) -> Result<()> {
    let done = node
        .db
        .write(caller, async |tx| {
            notify::tell(tx, news.clone()).await?;
            once(tx, attempt).await
        })
        .await;
    unless_done_before(done)
}

async fn act(
    node: &Node,
    caller: &Caller,
    attempt: &Attempt,
    name: &str,
    arguments: Option<&Value>,
) -> Result<()> {
    let action = node
        .action(name)
        .ok_or_else(|| Error::missing("action.unknown", format!("There is no action {name}.")))?;
    let arguments = arguments
        .cloned()
        .unwrap_or_else(|| Value::Object(Map::new()));
    let done = node
        .db
        .write(caller, async |tx| {
            action.perform(tx, arguments.clone()).await?;
            once(tx, attempt).await
        })
        .await;
    unless_done_before(done)
}

/// A row through the table door, so that hooks, defaults and refusals are those of every other row. Its id is the job's:
/// done twice it is still one row.
async fn create(
    node: &Node,
    caller: &Caller,
    attempt: &Attempt,
    kind: &str,
    row: Option<&Value>,
) -> Result<()> {
    let mut row = row.and_then(Value::as_object).cloned().unwrap_or_default();
    row.entry("id")
        .or_insert_with(|| Value::String(attempt.job.to_string()));
    let body = Value::Object(row).to_string();
    let request = Request {
        method: Method::Post,
        table: kind,
        query: "",
        headers: Headers {
            prefer: Some("return=minimal,resolution=ignore-duplicates"),
            content_type: Some("application/json"),
            ..Headers::default()
        },
        body: body.as_bytes(),
    };
    let kinds = node.kinds();
    rows::serve(
        &node.db,
        &kinds,
        &node.limits(),
        &node.hooks,
        caller,
        Role::Authenticated,
        request,
    )
    .await
    .map(|_| ())
}

const DONE: &str = "rules.done_before";

/// Note in the same transaction that it was done, so that a job whose process died afterwards does it no second time.
async fn once(tx: &mut Tx, attempt: &Attempt) -> Result<()> {
    let mut note = Statement::new(
        "update public.job_records set result = '{\"done\": true}' where result is null and id = ",
    );
    note.bind(Bind::Uuid(attempt.job));
    match tx.as_hub(async |tx| tx.run(note.clone()).await).await? {
        0 => Err(Error::conflict(DONE, "This was done before.")),
        _ => Ok(()),
    }
}

fn unless_done_before(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.is(DONE) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen() -> Value {
        json!({
            "row": {"title": "Eggs {{row.secret}}", "secret": "s3", "n": 3, "tags": ["a"], "nothing": null},
            "event": {"name": "tasks.insert"}, "rule": {"name": "Shopping"}
        })
    }

    fn filled(action: Value) -> Value {
        fill(&action, &seen(), "actions[0]").unwrap()
    }

    #[test]
    fn places_are_filled_once() {
        let told = filled(json!({
            "type": "notify", "title": "{{rule.name}}: {{ row.title }}!", "message": "{{row.n}} {{row.tags}}{{row.nothing}}{{row.gone}}"
        }));
        assert_eq!(told["title"], "Shopping: Eggs {{row.secret}}!");
        assert_eq!(told["message"], "3 [\"a\"]");
        let row = filled(
            json!({"type": "create", "kind": "tasks", "row": {"title": "{{row.title}}", "n": "{{row.n}}", "x": ["{{event.name}}", 1]}}),
        );
        assert_eq!(
            row["row"],
            json!({"title": "Eggs {{row.secret}}", "n": 3, "x": ["tasks.insert", 1]})
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let cases = [
            (json!("notify"), "actions[0]"),
            (json!({}), "actions[0].type"),
            (json!({"type": "shell", "command": "id"}), "actions[0].type"),
            (json!({"type": "notify"}), "actions[0].title"),
            (json!({"type": "notify", "title": 1}), "actions[0].title"),
            (
                json!({"type": "notify", "title": "{{row.title"}),
                "actions[0].title",
            ),
            (
                json!({"type": "notify", "title": "{{secret}}"}),
                "actions[0].title",
            ),
            (
                json!({"type": "notify", "title": "{{env.PATH}}"}),
                "actions[0].title",
            ),
            (
                json!({"type": "email", "subject": "x", "to": "a@b.example"}),
                "actions[0].to",
            ),
            (
                json!({"type": "create", "kind": "Tasks; drop", "row": {}}),
                "actions[0].kind",
            ),
            (
                json!({"type": "create", "kind": "tasks", "row": []}),
                "actions[0].row",
            ),
            (
                json!({"type": "create", "kind": "tasks", "row": {"a": ["{{"]}}),
                "actions[0].row[0]",
            ),
            (
                json!({"type": "act", "name": "{{row.title}}"}),
                "actions[0].name",
            ),
            (
                json!({"type": "act", "name": "kinds_list", "arguments": "x"}),
                "actions[0].arguments",
            ),
        ];
        for (action, path) in cases {
            assert_eq!(
                check(&action, "actions[0]").unwrap_err().path,
                path,
                "{action}"
            );
        }
    }

    #[test]
    fn what_is_filled_in_has_bounds() {
        let mut seen = seen();
        seen["row"]["title"] = Value::String("x".repeat(40_000));
        let many = "{{row.title}}".repeat(50);
        let action = json!({"type": "notify", "title": many});
        assert!(fill(&action, &seen, "actions[0]").is_err());
        let action = json!({"type": "notify", "title": " {{row.title}}"});
        let told = fill(&action, &seen, "actions[0]").unwrap();
        assert_eq!(
            told["title"].as_str().unwrap().chars().count(),
            LONGEST_TEXT + 1
        );
    }
}
