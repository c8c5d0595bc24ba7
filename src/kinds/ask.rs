//! What a request to the table door asks for: URL, headers and body in PostgREST's dialect → [`Ask`].
//! Pure grammar; whether the tables and columns exist is decided in `plan`.

mod body;
mod cursor;
mod filter;
mod order;
mod prefer;
pub mod say;
mod select;
#[cfg(test)]
mod tests;

pub use body::{Body, Rows, read_rows};
pub use prefer::{Count, Handling, Missing, Prefer, Resolution, Return, Shape};

use super::refusal;
use crate::base::Result;

/// Longest query string that is read at all.
const LONGEST_QUERY: usize = 1 << 20;
/// How many conditions one request may hold.
const MOST_TERMS: usize = 2_000;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Patch,
    Delete,
    Put,
}

impl Method {
    /// Whether rows are only read.
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// The headers that mean something at this door.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    pub accept: Option<&'a str>,
    /// All `Prefer` headers, joined with commas.
    pub prefer: Option<&'a str>,
    pub range: Option<&'a str>,
    pub range_unit: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub accept_profile: Option<&'a str>,
    pub content_profile: Option<&'a str>,
    /// The version that a change is meant for.
    pub if_match: Option<&'a str>,
}

/// A request, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: Method,
    pub table: &'a str,
    /// Raw, still percent-encoded, without the question mark.
    pub query: &'a str,
    pub headers: Headers<'a>,
    pub body: &'a [u8],
}

/// Names of embedded resources, from the root down; empty for the root.
pub type Path = Vec<String>;

/// A request, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    pub method: Method,
    pub schema: Option<String>,
    pub table: String,
    /// `None` when nothing was said about columns.
    pub select: Option<Vec<Item>>,
    pub filters: Vec<(Path, Logic)>,
    pub orders: Vec<(Path, Vec<Order>)>,
    pub windows: Vec<(Path, Window)>,
    pub columns: Option<Vec<String>>,
    pub on_conflict: Option<Vec<String>>,
    pub prefer: Prefer,
    pub shape: Shape,
    pub body: Option<Body>,
}

/// Something selected.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Star,
    Field {
        field: Field,
        cast: Option<String>,
        alias: Option<String>,
        aggregate: Option<Aggregate>,
    },
    /// `count()`.
    CountAll {
        cast: Option<String>,
        alias: Option<String>,
    },
    Embed(Embed),
}

/// A related table inside a select.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed {
    pub relation: String,
    pub alias: Option<String>,
    pub hint: Option<String>,
    /// `Some(true)` for `!inner`, `Some(false)` for `!left`.
    pub inner: Option<bool>,
    pub spread: bool,
    pub items: Vec<Item>,
}

/// An aggregate over a column, and what its result is cast to.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub function: AggregateFunction,
    pub cast: Option<String>,
}

/// The aggregates that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateFunction {
    Sum,
    Avg,
    Count,
    Max,
    Min,
}

/// A column, or something inside a JSON column.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub path: Vec<Step>,
}

/// One arrow of a JSON path.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `->>` rather than `->`.
    pub as_text: bool,
    pub to: Operand,
}

/// Where an arrow points.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Key(String),
    Index(i32),
}

/// A condition or a tree of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Logic {
    Filter(Filter),
    Tree {
        negated: bool,
        any: bool,
        terms: Vec<Logic>,
    },
}

/// One condition on one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub field: Field,
    pub negated: bool,
    pub test: Test,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Op {
        op: Op,
        quantifier: Option<Quantifier>,
        value: String,
    },
    Fts {
        kind: Fts,
        language: Option<String>,
        value: String,
    },
    In(Vec<String>),
    Is(Is),
}

/// The operators that take one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    Like,
    Ilike,
    Match,
    Imatch,
    Cs,
    Cd,
    Ov,
    Sl,
    Sr,
    Nxr,
    Nxl,
    Adj,
    IsDistinct,
}

/// `(any)` or `(all)` of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    Any,
    All,
}

/// The full-text operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fts {
    Query,
    Plain,
    Phrase,
    Web,
}

/// What `is` can be followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

/// One term of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The embedded resource whose column it is, if not this one's own.
    pub relation: Option<String>,
    pub field: Field,
    pub descending: Option<bool>,
    pub nulls_first: Option<bool>,
}

/// Which of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub limit: Option<u64>,
    pub offset: u64,
}

/// Understand a request.
pub fn parse(request: Request<'_>) -> Result<Ask> {
    let Request {
        method, headers, ..
    } = request;
    let mut ask = Ask {
        method,
        schema: match method.reads() {
            true => headers.accept_profile,
            false => headers.content_profile,
        }
        .map(str::to_owned),
        table: request.table.to_owned(),
        select: None,
        filters: Vec::new(),
        orders: Vec::new(),
        windows: Vec::new(),
        columns: None,
        on_conflict: None,
        prefer: Prefer::default(),
        shape: Shape::default(),
        body: None,
    };
    let mut terms = 0;

    for (key, value) in pairs(request.query)? {
        let last = key.rsplit('.').next().unwrap_or_default();
        match (key.as_str(), last) {
            // As with PostgREST, the first of several wins.
            ("select", _) => {
                if ask.select.is_none() {
                    ask.select = select::select(&value)?;
                }
            }
            ("columns", _) => {
                if ask.columns.is_none() {
                    ask.columns = Some(select::names(&value, "columns parameter")?);
                }
            }
            ("on_conflict", _) => {
                if ask.on_conflict.is_none() {
                    ask.on_conflict = Some(select::names(&value, "on_conflict parameter")?);
                }
            }
            (_, "order") => ask.orders.push((order::path(&key)?, order::order(&value)?)),
            (_, "limit") => {
                let limit = order::number(&value, "limit")?;
                order::window(&mut ask.windows, order::path(&key)?, |window| {
                    window.limit = Some(limit)
                });
            }
            (_, "offset") => {
                let offset = order::number(&value, "offset")?;
                order::window(&mut ask.windows, order::path(&key)?, |window| {
                    window.offset = offset
                });
            }
            (_, "and" | "or") => ask.filters.push(filter::tree(&key, &value, &mut terms)?),
            _ => {
                terms += 1;
                ask.filters.push(filter::filter(&key, &value)?);
            }
        }
        if terms > MOST_TERMS {
            return Err(refusal::too_many_terms());
        }
    }
    if method == Method::Get {
        prefer::range(headers, &mut ask.windows)?;
    }
    ask.prefer = prefer::prefer(headers.prefer.unwrap_or_default())?;
    ask.shape = prefer::accept(headers.accept)?;
    if matches!(method, Method::Post | Method::Patch | Method::Put) {
        let fixed = ask.columns.is_some() && method != Method::Put;
        ask.body = Some(body::body(request.body, headers.content_type, fixed)?);
    }

    Ok(ask)
}

/// The parameters of a query string, decoded; those without `=` mean nothing.
fn pairs(query: &str) -> Result<Vec<(String, String)>> {
    if query.len() > LONGEST_QUERY {
        return Err(refusal::unreadable_query("The query string is too long"));
    }
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| Ok((decode(key)?, decode(value)?)))
        .collect()
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let hex = |byte: Option<u8>| byte.and_then(|b| (b as char).to_digit(16));
                match (hex(ahead.next()), hex(ahead.next())) {
                    (Some(high), Some(low)) => {
                        bytes.push((high * 16 + low) as u8);
                        rest = ahead;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            other => bytes.push(other),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) => Err(refusal::unreadable_query(
            "The query string holds a NUL character",
        )),
        Err(_) => Err(refusal::unreadable_query("The query string is not UTF-8")),
    }
}
