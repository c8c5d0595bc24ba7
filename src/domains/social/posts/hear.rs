//! Posts of other servers as they come in: new, changed, gone. What is kept and what is not is decided in one statement.

use diesel::sql_types::{Integer, Text};
use serde_json::{Value, json};

use super::read;
use crate::base::{Result, clock};
use crate::db::{Statement, Tx};
use crate::domains::social::{foreign, groups};
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming, Meaning};

/// Somebody has said something.
pub async fn on_post(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let post = match as_row(heard) {
        Ok(post) => post,
        Err(reason) => return Ok(Applied::Refused(reason)),
    };

    let mut take = Statement::<Text>::new("select hub.take_post(");
    take.text(post.to_string()).sql("::jsonb)");
    let verdicts: Vec<String> = tx.as_hub(async |tx| tx.load(take).await).await?;

    let verdict = verdicts.into_iter().next().unwrap_or_default();
    let applied = applied(&verdict, is_fetched(heard));
    if applied == Applied::Done && !is_fetched(heard) {
        groups::pass_on(tx, heard).await?;
    }
    Ok(applied)
}

/// Many have said something new. What is there already and what a group passes on are heard one by one.
pub async fn on_posts(tx: &mut Tx, heard: &[Incoming]) -> Result<Vec<Option<Applied>>> {
    let mut all = vec![None; heard.len()];
    let mut rows = Vec::with_capacity(heard.len());
    for (nth, (heard, applied)) in heard.iter().zip(&mut all).enumerate() {
        if groups::are_named(tx, heard)? {
            continue;
        }
        match as_row(heard) {
            Ok(Value::Object(mut row)) => {
                row.insert("nth".to_owned(), json!(nth));
                rows.push(Value::Object(row));
            }
            Ok(_) => {}
            Err(reason) => *applied = Some(Applied::Refused(reason)),
        }
    }

    let mut take = Statement::<(Integer, Text)>::new("select nth, verdict from hub.take_posts(");
    take.text(Value::Array(rows).to_string()).sql("::jsonb)");
    let verdicts: Vec<(i32, String)> = tx.load(take).await?;

    for (nth, verdict) in verdicts {
        let nth = usize::try_from(nth).unwrap_or(usize::MAX);
        if let (Some(one), Some(heard)) = (all.get_mut(nth), heard.get(nth))
            && verdict != "known"
        {
            *one = Some(applied(&verdict, is_fetched(heard)));
        }
    }
    Ok(all)
}

/// What was asked for comes by itself, without an activity around it.
fn is_fetched(heard: &Incoming) -> bool {
    Some(heard.uri.as_str()) == vocab::id(&heard.object)
}

/// What was said as `hub.take_post` takes it.
fn as_row(heard: &Incoming) -> std::result::Result<Value, &'static str> {
    let mut post = read::post(&heard.object, clock::now())?;
    let is_update = heard.meaning == Meaning::PostUpdated;
    let is_fetched = is_fetched(heard);
    if let Some(post) = post.as_object_mut() {
        let by = order(is_fetched, is_update, &heard.uri);
        post.insert("author".to_owned(), json!(heard.author.id));
        post.insert("is_fetched".to_owned(), json!(is_fetched));
        post.insert("by".to_owned(), json!(by));
    }
    Ok(post)
}

fn applied(verdict: &str, is_fetched: bool) -> Applied {
    match verdict {
        "new" | "changed" => Applied::Done,
        "repeated" => Applied::Repeated,
        // Who asked for it has it, newer than what is shown.
        "older" if is_fetched => Applied::Repeated,
        "older" => Applied::Ignored("older"),
        "not_wanted" => Applied::Ignored("not_wanted"),
        "deleted" => Applied::Ignored("deleted"),
        "local_object" => Applied::Refused("local_object"),
        "not_owner" => Applied::Refused("not_owner"),
        _ => Applied::Refused("blocked"),
    }
}

/// Which of two words about one object of the same time is the later one: what is changed comes after what is new, and of
/// two alike the one with the greater id.
fn order(is_fetched: bool, is_update: bool, uri: &str) -> String {
    let rank = match (is_fetched, is_update) {
        (true, _) => 'b',
        (false, false) => 'a',
        (false, true) => 'c',
    };
    format!("{rank} {uri}")
}

/// Something is gone: a post, if it is one of the author's.
pub async fn on_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    if let Some(ended) = foreign::may_delete(tx, heard, "posts").await? {
        return Ok(ended);
    }
    groups::pass_on(tx, heard).await?;
    foreign::delete(tx, heard, "posts").await
}

/// The author himself is gone, and everything he said with him; nobody follows him, and he nobody.
pub async fn on_author_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    foreign::forget_author(tx, heard, "follows", "actor_id").await?;
    foreign::forget_author(tx, heard, "reactions", "actor_id").await?;
    foreign::forget_author(tx, heard, "posts", "origin_actor_id").await
}
