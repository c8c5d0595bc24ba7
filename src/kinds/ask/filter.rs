//! Conditions: `column=op.value`, and the trees of `and=` and `or=`.

use super::cursor::{Cursor, Read, whole};
use super::{Field, Filter, Fts, Is, Logic, MOST_TERMS, Op, Path, Quantifier, Test};
use crate::base::Result;

/// How deep a tree may go.
const DEEPEST: usize = 50;

const OPERATORS: [(&str, Op); 19] = [
    ("eq", Op::Eq),
    ("neq", Op::Neq),
    ("gt", Op::Gt),
    ("gte", Op::Gte),
    ("lt", Op::Lt),
    ("lte", Op::Lte),
    ("like", Op::Like),
    ("ilike", Op::Ilike),
    ("match", Op::Match),
    ("imatch", Op::Imatch),
    ("cs", Op::Cs),
    ("cd", Op::Cd),
    ("ov", Op::Ov),
    ("sl", Op::Sl),
    ("sr", Op::Sr),
    ("nxr", Op::Nxr),
    ("nxl", Op::Nxl),
    ("adj", Op::Adj),
    ("isdistinct", Op::IsDistinct),
];

const FULL_TEXT: [(&str, Fts); 4] = [
    ("fts", Fts::Query),
    ("plfts", Fts::Plain),
    ("phfts", Fts::Phrase),
    ("wfts", Fts::Web),
];

const IS: [(&str, Is); 5] = [
    ("not_null", Is::NotNull),
    ("null", Is::Null),
    ("true", Is::True),
    ("false", Is::False),
    ("unknown", Is::Unknown),
];

impl Op {
    /// Its name in a URL.
    pub fn name(self) -> &'static str {
        named(&OPERATORS, self)
    }

    fn takes_quantifier(self) -> bool {
        use Op::*;
        matches!(
            self,
            Eq | Gt | Gte | Lt | Lte | Like | Ilike | Match | Imatch
        )
    }
}

impl Fts {
    /// Its name in a URL.
    pub fn name(self) -> &'static str {
        named(&FULL_TEXT, self)
    }
}

impl Is {
    /// Its name in a URL.
    pub fn name(self) -> &'static str {
        named(&IS, self)
    }
}

fn named<T: Copy + PartialEq>(list: &[(&'static str, T)], wanted: T) -> &'static str {
    list.iter()
        .find(|(_, it)| *it == wanted)
        .map(|(name, _)| *name)
        .unwrap_or_default()
}

/// `author.name=eq.x`.
pub fn filter(key: &str, value: &str) -> Result<(Path, Logic)> {
    let (path, field) = whole(key, "tree path", |cursor| {
        let mut names = vec![cursor.name()?];
        while cursor.eat(".") {
            names.push(cursor.name()?);
        }
        let steps = cursor.json_path()?;
        let name = names.pop().unwrap_or_default();
        Ok((names, Field { name, path: steps }))
    })?;
    let (negated, test) = whole(value, "filter", |cursor| operation(cursor, false))?;
    Ok((
        path,
        Logic::Filter(Filter {
            field,
            negated,
            test,
        }),
    ))
}

/// `author.not.or=(a.eq.1,and(b.gt.2,c.is.null))`.
pub fn tree(key: &str, value: &str, terms: &mut usize) -> Result<(Path, Logic)> {
    let mut names = super::order::names(key, "logic path")?;
    let word = names.pop().unwrap_or_default();
    let not = names.len();
    names.retain(|name| name != "not");
    let begin = if names.len() < not { "not." } else { "" };
    let text = format!("{begin}{word}{value}");

    let mut cursor = Cursor::new(&text);
    if !value.trim_start().starts_with('(') {
        cursor.eat(begin);
        cursor.eat(&word);
        return Err(cursor.stop("\"(\"").tell("logic tree", value, &text));
    }
    let logic = logic(&mut cursor, terms, DEEPEST)
        .and_then(|read| cursor.end("end of input").map(|()| read))
        .map_err(|stop| stop.tell("logic tree", value, &text))?;
    Ok((names, logic))
}

fn logic(cursor: &mut Cursor<'_>, terms: &mut usize, left: usize) -> Read<Logic> {
    *terms += 1;
    if left == 0 || *terms > MOST_TERMS {
        return Err(cursor.fail("too many conditions".to_owned()));
    }
    cursor.blanks();
    let mut ahead = cursor.clone();
    let negated = ahead.eat("not.");
    let any = match (ahead.eat("and"), ahead.rest()) {
        (true, _) => Some(false),
        (false, rest) if rest.starts_with("or") => ahead.eat("or").then_some(true),
        _ => None,
    };
    ahead.blanks();
    if let Some(any) = any
        && ahead.eat("(")
    {
        *cursor = ahead;
        let mut inner = vec![logic(cursor, terms, left - 1)?];
        cursor.blanks();
        while cursor.eat(",") {
            inner.push(logic(cursor, terms, left - 1)?);
            cursor.blanks();
        }
        cursor.expect(")")?;
        cursor.blanks();
        return Ok(Logic::Tree {
            negated,
            any,
            terms: inner,
        });
    }

    if matches!(cursor.peek(), None | Some('(' | ')')) {
        return Err(cursor.stop(
            "field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)",
        ));
    }
    let field = cursor.field()?;
    if !cursor.eat(".") {
        return Err(cursor.stop("\"->>\", \"->\", delimiter (.)"));
    }
    let (negated, test) = operation(cursor, true)?;
    Ok(Logic::Filter(Filter {
        field,
        negated,
        test,
    }))
}

/// `not.op.value`; inside a tree the value ends at a comma or a parenthesis.
fn operation(cursor: &mut Cursor<'_>, in_tree: bool) -> Read<(bool, Test)> {
    let negated = cursor.eat("not.");
    let begin = cursor.clone();
    let word = cursor.take_while(|c| c.is_ascii_alphabetic() || c == '_');
    let unknown = || {
        let rest = begin.rest();
        match rest.split_once('.') {
            Some((word, _)) if !word.is_empty() && !word.contains([',', ')']) => {
                let mut at = begin.clone();
                at.eat(word);
                at.eat(".");
                at.fail(format!("unknown single value operator {word}"))
            }
            _ if negated => begin.stop("operator (eq, gt, ...)"),
            _ => begin.stop("\"not\" or operator (eq, gt, ...)"),
        }
    };

    if word == "in" && cursor.eat(".") {
        return Ok((negated, Test::In(list(cursor)?)));
    }
    if word == "is" && cursor.eat(".") {
        return Ok((negated, Test::Is(is(cursor)?)));
    }
    if let Some((_, kind)) = FULL_TEXT.iter().find(|(name, _)| *name == word) {
        let language = match cursor.eat("(") {
            true => {
                let language = cursor.identifier()?;
                cursor.expect(")")?;
                Some(language)
            }
            false => None,
        };
        if !cursor.eat(".") {
            return Err(unknown());
        }
        return Ok((
            negated,
            Test::Fts {
                kind: *kind,
                language,
                value: value(cursor, in_tree)?,
            },
        ));
    }
    let Some((_, op)) = OPERATORS.iter().find(|(name, _)| *name == word) else {
        return Err(unknown());
    };
    let quantifier = match op.takes_quantifier() {
        true if cursor.eat("(any)") => Some(Quantifier::Any),
        true if cursor.eat("(all)") => Some(Quantifier::All),
        _ => None,
    };
    if !cursor.eat(".") {
        return Err(unknown());
    }
    Ok((
        negated,
        Test::Op {
            op: *op,
            quantifier,
            value: value(cursor, in_tree)?,
        },
    ))
}

fn is(cursor: &mut Cursor<'_>) -> Read<Is> {
    let begin = cursor.clone();
    let word = cursor.take_while(|c| c.is_ascii_alphabetic() || c == '_');
    match IS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        Some((_, is)) => Ok(*is),
        None => Err(begin.stop("isVal: (null, not_null, true, false, unknown)")),
    }
}

fn list(cursor: &mut Cursor<'_>) -> Read<Vec<String>> {
    cursor.blanks();
    cursor.expect("(")?;
    cursor.blanks();
    let mut elements = Vec::new();
    loop {
        elements.push(element(cursor));
        if !cursor.eat(",") {
            break;
        }
    }
    cursor.expect(")")?;
    cursor.blanks();
    if elements.iter().all(String::is_empty) && elements.len() == 1 {
        elements.clear();
    }
    Ok(elements)
}

fn element(cursor: &mut Cursor<'_>) -> String {
    if cursor.peek() == Some('"') {
        let mut ahead = cursor.clone();
        if let Ok(text) = ahead.quoted()
            && matches!(ahead.peek(), None | Some(',' | ')'))
        {
            *cursor = ahead;
            return text;
        }
    }
    cursor.take_while(|c| c != ',' && c != ')').to_owned()
}

fn value(cursor: &mut Cursor<'_>, in_tree: bool) -> Read<String> {
    if !in_tree {
        return Ok(cursor.take_rest().to_owned());
    }
    if cursor.peek() == Some('{') {
        let mut ahead = cursor.clone();
        ahead.eat("{");
        let inner = ahead.take_while(|c| c != '{' && c != '}');
        if ahead.eat("}") {
            *cursor = ahead;
            return Ok(format!("{{{inner}}}"));
        }
    }
    Ok(element(cursor))
}
