//! `order=`, `limit=`, `offset=`, and the paths in front of them.

use super::cursor::{Cursor, Read, whole};
use super::{Order, Path, Window};
use crate::base::Result;
use crate::kinds::refusal;

/// The names of a dotted key.
pub fn names(key: &str, what: &str) -> Result<Vec<String>> {
    whole(key, what, |cursor| {
        let mut names = vec![cursor.name()?];
        while cursor.eat(".") {
            names.push(cursor.name()?);
        }
        Ok(names)
    })
}

/// The path in front of the last word of a key.
pub fn path(key: &str) -> Result<Path> {
    let mut names = names(key, "tree path")?;
    names.pop();
    Ok(names)
}

/// Change the window of a path, made if there is none yet.
pub fn window(windows: &mut Vec<(Path, Window)>, path: Path, change: impl FnOnce(&mut Window)) {
    match windows.iter_mut().find(|(known, _)| *known == path) {
        Some((_, window)) => change(window),
        None => {
            let mut window = Window::default();
            change(&mut window);
            windows.push((path, window));
        }
    }
}

/// A limit or an offset.
pub fn number(text: &str, what: &str) -> Result<u64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refusal::not_a_number(what, text));
    }
    if negative {
        return Err(refusal::negative(what));
    }
    // What does not fit is more than anybody has.
    Ok(digits
        .parse()
        .unwrap_or(i64::MAX as u64)
        .min(i64::MAX as u64))
}

/// `a.desc.nullslast,author(name)`.
pub fn order(text: &str) -> Result<Vec<Order>> {
    whole(text, "order", |cursor| {
        let mut orders = vec![term(cursor)?];
        while cursor.eat(",") {
            orders.push(term(cursor)?);
        }
        Ok(orders)
    })
}

fn term(cursor: &mut Cursor<'_>) -> Read<Order> {
    let mut field = cursor.field()?;
    let mut relation = None;
    if field.path.is_empty() && cursor.eat("(") {
        relation = Some(field.name);
        field = cursor.field()?;
        cursor.expect(")")?;
    }
    let descending = match () {
        () if cursor.eat(".asc") => Some(false),
        () if cursor.eat(".desc") => Some(true),
        () => None,
    };
    let nulls_first = match () {
        () if cursor.eat(".nullsfirst") => Some(true),
        () if cursor.eat(".nullslast") => Some(false),
        () => None,
    };
    cursor.blanks();
    match cursor.peek() {
        None | Some(',') => Ok(Order {
            relation,
            field,
            descending,
            nulls_first,
        }),
        Some('.') => {
            cursor.eat(".");
            Err(cursor.stop(match (descending, nulls_first) {
                (None, None) => "\"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"",
                _ => "\"nullsfirst\" or \"nullslast\"",
            }))
        }
        Some(_) => Err(cursor.stop("delimiter (.), \",\" or end of input")),
    }
}
