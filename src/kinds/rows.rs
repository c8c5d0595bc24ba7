//! The table door without HTTP: a request in, rows out. Understand, plan, run in one statement, answer.

use serde_json::Value;

pub use super::ask::{Headers, Method, Request};

use super::ask::{self, Body, Count, Handling, Prefer, Resolution, Return, Shape};
use super::plan::{self, Limits, Plan, Verb};
use super::sql::{self, Answer, Answered};
use super::verbs::{Hook, Hooks};
use super::{Kinds, Role, refusal, version};
use crate::base::{Caller, Error, Result};
use crate::db::error::is_collision;
use crate::db::{Db, Tx, once};

/// What the door answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// What was read, where the caller may have read it by what he is and not because it is his.
    pub by_role: Option<Seen>,
}

/// Tables that were read, and the columns by which rows were chosen; never what they were compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The table asked for comes first.
    pub tables: Vec<String>,
    pub filters: Vec<String>,
}

/// Answer one request on behalf of a caller who has this role.
pub async fn serve(
    db: &Db,
    kinds: &Kinds,
    limits: &Limits<'_>,
    hooks: &Hooks,
    caller: &Caller,
    role: Role,
    request: Request<'_>,
) -> Result<Response> {
    let narrowed = version::narrowed(&request);
    let ask = ask::parse(Request {
        query: narrowed.as_deref().unwrap_or(request.query),
        ..request
    })?;
    let mut plan = plan::plan(ask, kinds, limits, role)?;
    let hooks: Vec<Hook> = match plan.write {
        Some(_) => hooks
            .of(&plan.table.schema, &plan.table.name)
            .copied()
            .collect(),
        None => Vec::new(),
    };

    let answered = run(db, &mut plan, &hooks, caller).await?;

    if version::is_conditional(&request) && answered.1 == 0 {
        return Err(version::moved_on());
    }
    match plan.write {
        None => {
            let by_role = seen_by_role(&plan, role);
            read_answer(&plan, answered, role).map(|response| Response {
                by_role,
                ..response
            })
        }
        Some(_) => Ok(write_answer(&plan, answered)),
    }
}

/// A program's key reads everything by what it is; people only where the registry lets their role see more.
fn seen_by_role(plan: &Plan<'_>, role: Role) -> Option<Seen> {
    let mut seen = Seen::default();
    note_node(&plan.read, role, &mut seen);
    (!seen.tables.is_empty()).then_some(seen)
}

fn note_node(node: &plan::Node<'_>, role: Role, seen: &mut Seen) {
    let is_by_role = match role {
        Role::Anon => false,
        Role::Authenticated => node.table.kind.as_ref().is_some_and(|kind| kind.by_role),
        Role::Service => true,
    };
    if is_by_role && !seen.tables.contains(&node.table.name) {
        seen.tables.push(node.table.name.clone());
    }
    note_conditions(&node.conditions, &mut seen.filters);
    for embed in &node.embeds {
        note_node(&embed.node, role, seen);
    }
}

fn note_conditions(conditions: &[plan::Condition<'_>], filters: &mut Vec<String>) {
    for condition in conditions {
        match condition {
            plan::Condition::Test { place, .. } => {
                if !filters.iter().any(|known| known == place.column) {
                    filters.push(place.column.to_owned());
                }
            }
            plan::Condition::Tree { terms, .. } => note_conditions(terms, filters),
            plan::Condition::Embed { .. } => {}
        }
    }
}

async fn run(db: &Db, plan: &mut Plan<'_>, hooks: &[Hook], caller: &Caller) -> Result<Answered> {
    if let Some(how @ (Count::Planned | Count::Estimated)) = plan.count
        && plan.write.is_none()
    {
        return run_with_expected_count(db, plan, how, caller).await;
    }
    if plan.prefer.rollback == Some(true) && plan.write.is_some() {
        let mut tx = Tx::begin(db, caller).await?;
        let tried = write_checked(&mut tx, plan, hooks).await;
        tx.roll_back().await?;
        return tried;
    }
    if hooks.is_empty() && !needs_check(plan) && once::asked().is_none() {
        match Tx::once(db, caller, sql::statement(plan, false)).await {
            Err(error) if is_collision(&error) => {}
            done => return done.and_then(only),
        }
    }
    db.write(caller, async |tx| write_checked(tx, plan, hooks).await)
        .await
}

fn only(rows: Vec<Answered>) -> Result<Answered> {
    rows.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the statement gave no row")))
}

async fn run_with_expected_count(
    db: &Db,
    plan: &mut Plan<'_>,
    how: Count,
    caller: &Caller,
) -> Result<Answered> {
    let most = i64::from(plan.max_rows);
    db.read(caller, async |tx| {
        let told: Vec<Value> = tx.load(sql::expected(plan)).await?;
        let expected = told
            .first()
            .and_then(|told| told.pointer("/0/Plan/Plan Rows"))
            .and_then(Value::as_f64)
            .map(|rows| rows as i64);
        // An estimate is worth having only where counting would be long.
        let is_enough = how == Count::Planned || expected.is_some_and(|rows| rows > most);
        plan.count = (!is_enough).then_some(Count::Exact);
        let rows = tx
            .load::<Answer, Answered>(sql::statement(plan, false))
            .await?;
        let mut answered = only(rows)?;
        plan.count = Some(how);
        if is_enough {
            answered.0 = expected;
        }
        Ok(answered)
    })
    .await
}

/// Whether the rows touched must be looked at before the change is made true.
fn needs_check(plan: &Plan<'_>) -> bool {
    plan.write.is_some()
        && (plan.shape.is_single() || plan.method == Method::Put || most_affected(plan).is_some())
}

fn most_affected(plan: &Plan<'_>) -> Option<i64> {
    let is_strict = plan.prefer.handling == Some(Handling::Strict);
    match plan.method {
        Method::Patch | Method::Delete if is_strict => plan
            .prefer
            .max_affected
            .map(|most| i64::try_from(most).unwrap_or(i64::MAX)),
        _ => None,
    }
}

async fn write_checked(tx: &mut Tx, plan: &mut Plan<'_>, hooks: &[Hook]) -> Result<Answered> {
    let original = plan.write.as_ref().map(|write| write.body.clone());
    let tells_ids = hooks.iter().any(|hook| hook.after.is_some());
    let written = hooked_statement(tx, plan, hooks, tells_ids).await;
    // The next try begins with what the caller sent, not with what a hook made of it.
    if let (Some(write), Some(original)) = (&mut plan.write, original) {
        write.body = original;
    }
    let answered = written?;

    let rows = answered.1;
    if plan.method == Method::Put && rows != 1 {
        return Err(refusal::put_mismatch());
    }
    if let Some(most) = most_affected(plan)
        && rows > most
    {
        return Err(refusal::too_many_affected(rows));
    }
    if plan.shape.is_single() && rows != 1 {
        return Err(refusal::not_single(rows));
    }

    if let (true, Some(write)) = (tells_ids, &plan.write) {
        let ids: Vec<String> = match &answered.4 {
            Some(ids) => serde_json::from_str(ids).map_err(Error::broken)?,
            None => Vec::new(),
        };
        for after in hooks.iter().filter_map(|hook| hook.after) {
            after(tx, write.verb, &ids).await?;
        }
    }
    Ok(answered)
}

async fn hooked_statement(
    tx: &mut Tx,
    plan: &mut Plan<'_>,
    hooks: &[Hook],
    tells_ids: bool,
) -> Result<Answered> {
    let table = plan.table;
    if let Some(write) = plan.write.as_mut().filter(|w| w.verb != Verb::Delete) {
        let befores: Vec<_> = hooks.iter().filter_map(|hook| hook.before).collect();
        if !befores.is_empty() {
            let mut rows = ask::read_rows(&write.body)?;
            for before in befores {
                rows = before(tx, write.verb, rows).await?;
            }
            let body = Body::of_rows(&rows)?;
            for added in body.keys.iter().filter(|k| !write.body.keys.contains(k)) {
                let known = write.columns.iter().any(|column| column.name == *added);
                if let (false, Some(column)) = (known, table.column(added)) {
                    write.columns.push(column);
                }
            }
            write.body = body;
        }
    }
    only(tx.load(sql::statement(plan, tells_ids)).await?)
}

fn read_answer(plan: &Plan<'_>, answered: Answered, role: Role) -> Result<Response> {
    let (total, page, body, _, _) = answered;
    let offset = plan.read.offset;
    let from = i64::try_from(offset).unwrap_or(i64::MAX);
    if let Some(all) = total.filter(|all| from > *all) {
        let (status, body) = refusal::render(&refusal::out_of_range(offset, all), role);
        let content_type = Shape::Array.content_type().to_owned();
        return Ok(Response {
            status,
            headers: vec![
                ("Content-Range", content_range(1, 0, total)),
                ("Content-Type", content_type),
            ],
            body: if plan.method == Method::Head {
                String::new()
            } else {
                body
            },
            by_role: None,
        });
    }
    if plan.shape.is_single() && page != 1 {
        return Err(refusal::not_single(page));
    }

    let status = match total {
        Some(total) if page < total => 206,
        _ => 200,
    };
    let mut headers = vec![("Content-Range", content_range(from, from + page - 1, total))];
    shown_headers(plan, &mut headers);
    if plan.shape.is_single()
        && let Some(tag) = body.as_deref().and_then(version::tag)
    {
        headers.push(("ETag", tag));
    }
    let prefer = Prefer {
        count: plan.prefer.count,
        rollback: plan.prefer.rollback,
        handling: plan.prefer.handling,
        ..Prefer::default()
    };
    applied(&prefer, &mut headers);
    Ok(Response {
        status,
        headers,
        body: shown_body(plan, body),
        by_role: None,
    })
}

fn write_answer(plan: &Plan<'_>, answered: Answered) -> Response {
    let (old, rows, body, location, _) = answered;
    let full = plan.prefer.returns == Some(Return::Representation);
    let total = matches!(plan.prefer.count, Some(Count::Exact | Count::Estimated)).then_some(rows);
    let is_new = rows > old.unwrap_or(0);
    let mut headers = Vec::new();

    let status = match plan.method {
        Method::Put if !full => 204,
        Method::Put if is_new => 201,
        Method::Put => 200,
        Method::Post => {
            if let Some(location) = location
                .filter(|_| rows == 1)
                .and_then(|key| location_of(plan, &key))
            {
                headers.push(("Location", location));
            }
            headers.push(("Content-Range", content_range(1, 0, total)));
            match (plan.prefer.resolution, is_new) {
                (Some(Resolution::Merge), false) => 200,
                _ => 201,
            }
        }
        Method::Patch => {
            headers.push(("Content-Range", content_range(0, rows - 1, total)));
            if full { 200 } else { 204 }
        }
        _ => {
            headers.push(("Content-Range", content_range(1, 0, total)));
            if full { 200 } else { 204 }
        }
    };
    let mut prefer = plan.prefer.clone();
    match plan.method {
        Method::Post => prefer.max_affected = None,
        Method::Put => {
            (prefer.max_affected, prefer.missing, prefer.resolution) = (None, None, None);
        }
        Method::Patch => prefer.resolution = None,
        _ => (prefer.missing, prefer.resolution) = (None, None),
    }
    if full {
        shown_headers(plan, &mut headers);
    }
    applied(&prefer, &mut headers);
    Response {
        status,
        headers,
        body: if full {
            shown_body(plan, body)
        } else {
            String::new()
        },
        by_role: None,
    }
}

fn shown_headers(plan: &Plan<'_>, headers: &mut Vec<(&'static str, String)>) {
    headers.push(("Content-Type", plan.shape.content_type().to_owned()));
    if let Some(schema) = plan.named_schema {
        headers.push(("Content-Profile", schema.to_owned()));
    }
}

fn shown_body(plan: &Plan<'_>, body: Option<String>) -> String {
    match (plan.method, plan.shape) {
        (Method::Head, _) => String::new(),
        (_, Shape::Csv) => format!("{}\n{}", sql::csv_header(plan), body.unwrap_or_default()),
        _ => body.unwrap_or_default(),
    }
}

fn content_range(from: i64, to: i64, total: Option<i64>) -> String {
    let total_text = match total {
        Some(total) => total.to_string(),
        None => "*".to_owned(),
    };
    match total != Some(0) && from <= to {
        true => format!("{from}-{to}/{total_text}"),
        false => format!("*/{total_text}"),
    }
}

fn location_of(plan: &Plan<'_>, key: &str) -> Option<String> {
    let values: Vec<Option<String>> = serde_json::from_str(key).ok()?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in plan.key.iter().zip(values) {
        match value {
            Some(value) => query.append_pair(name, &format!("eq.{value}")),
            None => query.append_pair(name, "is.null"),
        };
    }
    Some(format!("/{}?{}", plan.table.name, query.finish()))
}

/// Say which wishes were met, in PostgREST's order.
fn applied(prefer: &Prefer, headers: &mut Vec<(&'static str, String)>) {
    let mut words: Vec<String> = Vec::new();
    let mut say = |word: Option<&str>| words.extend(word.map(str::to_owned));
    say(prefer.resolution.map(|resolution| match resolution {
        Resolution::Merge => "resolution=merge-duplicates",
        Resolution::Ignore => "resolution=ignore-duplicates",
    }));
    say(prefer.missing.map(|missing| match missing {
        ask::Missing::Default => "missing=default",
        ask::Missing::Null => "missing=null",
    }));
    say(prefer.returns.map(|returns| match returns {
        Return::Representation => "return=representation",
        Return::Minimal => "return=minimal",
        Return::HeadersOnly => "return=headers-only",
    }));
    say(prefer.count.map(|count| match count {
        Count::Exact => "count=exact",
        Count::Planned => "count=planned",
        Count::Estimated => "count=estimated",
    }));
    say(prefer.rollback.map(|rollback| match rollback {
        true => "tx=rollback",
        false => "tx=commit",
    }));
    say(prefer.handling.map(|handling| match handling {
        Handling::Strict => "handling=strict",
        Handling::Lenient => "handling=lenient",
    }));
    if let (Some(Handling::Strict), Some(most)) = (prefer.handling, prefer.max_affected) {
        words.push(format!("max-affected={most}"));
    }
    if !words.is_empty() {
        headers.push(("Preference-Applied", words.join(", ")));
    }
}
