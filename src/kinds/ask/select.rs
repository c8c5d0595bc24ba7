//! `select=`, `columns=` and `on_conflict=`.

use super::cursor::{Cursor, Read, whole};
use super::{Aggregate, AggregateFunction, Embed, Item};
use crate::base::Result;

/// How deep parentheses may go before the text is refused unread. The depth that is served is set elsewhere.
const DEEPEST: usize = 50;

/// `select=`; nothing said is as good as not asked.
pub fn select(text: &str) -> Result<Option<Vec<Item>>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    whole(text, "select parameter", |cursor| items(cursor, DEEPEST)).map(Some)
}

/// A list of names.
pub fn names(text: &str, what: &str) -> Result<Vec<String>> {
    whole(text, what, |cursor| {
        let mut names: Vec<String> = Vec::new();
        loop {
            let name = cursor.name()?;
            if !names.contains(&name) {
                names.push(name);
            }
            cursor.blanks();
            if !cursor.eat(",") {
                return Ok(names);
            }
        }
    })
}

fn items(cursor: &mut Cursor<'_>, left: usize) -> Read<Vec<Item>> {
    if left == 0 {
        return Err(cursor.fail("too many levels of parentheses".to_owned()));
    }
    let mut items = Vec::new();
    loop {
        cursor.blanks();
        items.push(item(cursor, left)?);
        cursor.blanks();
        if !cursor.eat(",") {
            return Ok(items);
        }
    }
}

fn item(cursor: &mut Cursor<'_>, left: usize) -> Read<Item> {
    if cursor.eat("...") {
        let relation = cursor.name()?;
        return embed(cursor, relation, None, true, left).map(Item::Embed);
    }
    if cursor.eat("*") {
        return Ok(Item::Star);
    }

    let mut name = cursor.name()?;
    let mut alias = None;
    let mut ahead = cursor.clone();
    if ahead.eat(":") && ahead.peek() != Some(':') {
        *cursor = ahead;
        alias = Some(name);
        name = cursor.name()?;
    }
    if name == "count" && cursor.eat("()") {
        let cast = cast(cursor)?;
        return Ok(Item::CountAll { cast, alias });
    }
    if matches!(cursor.peek(), Some('!' | '(')) {
        return embed(cursor, name, alias, false, left).map(Item::Embed);
    }

    let path = cursor.json_path()?;
    cursor.blanks();
    let cast_before = cast(cursor)?;
    let aggregate = match cursor.eat(".") {
        true => Some(aggregate(cursor)?),
        false => None,
    };
    if !matches!(cursor.peek(), None | Some(',' | ')')) {
        return Err(cursor.stop(
            "letter, digit, \"-\", \"->>\", \"->\", \"::\", \".\", \")\", \",\" or end of input",
        ));
    }
    Ok(Item::Field {
        field: super::Field { name, path },
        cast: cast_before,
        alias,
        aggregate,
    })
}

fn cast(cursor: &mut Cursor<'_>) -> Read<Option<String>> {
    match cursor.eat("::") {
        true => cursor.identifier().map(Some),
        false => Ok(None),
    }
}

fn aggregate(cursor: &mut Cursor<'_>) -> Read<Aggregate> {
    let function = [
        ("sum()", AggregateFunction::Sum),
        ("avg()", AggregateFunction::Avg),
        ("count()", AggregateFunction::Count),
        ("max()", AggregateFunction::Max),
        ("min()", AggregateFunction::Min),
    ]
    .into_iter()
    .find(|(word, _)| cursor.eat(word));
    match function {
        Some((_, function)) => Ok(Aggregate {
            function,
            cast: cast(cursor)?,
        }),
        None => Err(cursor.stop("\"sum()\", \"avg()\", \"count()\", \"max()\" or \"min()\"")),
    }
}

fn embed(
    cursor: &mut Cursor<'_>,
    relation: String,
    alias: Option<String>,
    spread: bool,
    left: usize,
) -> Read<Embed> {
    let (mut hint, mut inner) = (None, None);
    for _ in 0..2 {
        if !cursor.eat("!") {
            break;
        }
        match cursor.name()? {
            word if word == "inner" && inner.is_none() => inner = Some(true),
            word if word == "left" && inner.is_none() => inner = Some(false),
            word => hint = hint.or(Some(word)),
        }
    }
    cursor.expect("(")?;
    cursor.blanks();
    let items = match cursor.peek() {
        Some(')') => Vec::new(),
        _ => items(cursor, left - 1)?,
    };
    cursor.expect(")")?;
    Ok(Embed {
        relation,
        alias,
        hint,
        inner,
        spread,
        items,
    })
}
