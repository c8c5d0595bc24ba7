//! What happened. Plain changes of rows are written into `hub.journal` by trigger; a domain adds its own words for what
//! a change of columns does not tell. Readers follow the journal in order and miss nothing that commits late.

pub mod react;

use diesel::sql_types::Uuid as SqlUuid;
use uuid::Uuid;

pub use crate::node::work::{Change, Reaction};

use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// Something that happened, in a domain's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// `noun.past`, such as `exchange.accepted`.
    pub word: &'a str,
    /// The kind and the row it happened to.
    pub kind: &'a str,
    pub row: Uuid,
    /// Whose it is; his rules hear of it.
    pub owner: Option<Uuid>,
}

/// Say that something happened, in the transaction in which it did. Who asked is noted as with every change.
pub async fn emit(tx: &mut Tx, event: Event<'_>) -> Result<Uuid> {
    if !is_word(event.word) {
        return Err(Error::broken(anyhow::anyhow!(
            "{:?} is no word for an event",
            event.word
        )));
    }
    let mut insert = Statement::<SqlUuid>::new("select hub.emit(");
    insert
        .text(event.word)
        .sql(", ")
        .text(event.kind)
        .sql(", ")
        .bind(Bind::Uuid(event.row))
        .sql(", ")
        .bind(Bind::Text(event.owner.map(|owner| owner.to_string())))
        .sql("::uuid)");
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(insert.clone()).await).await?;
    ids.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the journal gave no id")))
}

/// Whether a domain may say this: two to four names with dots between, and none that a plain change has.
fn is_word(word: &str) -> bool {
    let mut parts = word.split('.');
    let noun = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let is_name = |name: &str| {
        name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    is_name(noun)
        && !noun.contains(|c: char| c.is_ascii_uppercase())
        && (1..=3).contains(&rest.len())
        && rest.iter().all(|name| is_name(name))
        && !matches!(rest.last(), Some(&("insert" | "update" | "delete")))
}

#[cfg(test)]
mod tests {
    use super::is_word;

    #[test]
    fn a_word_is_not_taken_for_a_plain_change() {
        for word in [
            "exchange.accepted",
            "communication.CallStarted",
            "a.b.c.d",
            "noun.past_2",
        ] {
            assert!(is_word(word), "{word}");
        }
        for word in [
            "",
            "accepted",
            "Exchange.accepted",
            "tasks.insert",
            "tasks.done.update",
            "a.",
            ".a",
            "a..b",
            "a.b.c.d.e",
            "a.b c",
            "a.1b",
            "a.é",
            "a.b\n",
        ] {
            assert!(!is_word(word), "{word}");
        }
    }
}
