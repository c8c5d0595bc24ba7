//! Posts of other servers as they come in: new, changed, gone. What is kept and what is not is decided in one statement.

use diesel::sql_types::Text;
use serde_json::{Value, json};

use super::read;
use crate::base::{Result, clock};
use crate::db::{Statement, Tx};
use crate::domains::social::{foreign, groups};
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming, Meaning};

/// Somebody has said something.
pub async fn on_post(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let mut post = match read::post(&heard.object, clock::now()) {
        Ok(post) => post,
        Err(reason) => return Ok(Applied::Refused(reason)),
    };
    let uri = vocab::id(&heard.object).unwrap_or_default();
    // What was asked for comes by itself, without an activity around it.
    let is_fetched = heard.uri == uri;
    let is_update = heard.meaning == Meaning::PostUpdated;
    if let Some(post) = post.as_object_mut() {
        post.insert("author".to_owned(), json!(heard.author.id));
        post.insert("is_fetched".to_owned(), json!(is_fetched));
        post.insert(
            "by".to_owned(),
            json!(order(is_fetched, is_update, &heard.uri)),
        );
    }

    let verdict = take(tx, &post).await?;

    let applied = match verdict.as_str() {
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
    };
    if applied == Applied::Done && !is_fetched {
        groups::pass_on(tx, heard).await?;
    }
    Ok(applied)
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

async fn take(tx: &mut Tx, post: &Value) -> Result<String> {
    let mut take = Statement::<Text>::new("select verdict from hub.take_post(");
    take.text(post.to_string()).sql("::jsonb)");
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(take.clone()).await).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

/// Something is gone: a post, if it is one of the author's.
pub async fn on_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    if let Some(ended) = foreign::may_delete(tx, heard, "posts").await? {
        return Ok(ended);
    }
    groups::pass_on(tx, heard).await?;
    foreign::delete(tx, heard, "posts").await
}

/// The author himself is gone, and everything he said with him.
pub async fn on_author_deleted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    foreign::forget_author(tx, heard, "reactions", "actor_id").await?;
    foreign::forget_author(tx, heard, "posts", "origin_actor_id").await
}
