//! SQL text with its values beside it, so that text of the hub and values of strangers never meet.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex};

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Nullable};

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    Text(Option<String>),
    Texts(Vec<Option<String>>),
    Uuid(uuid::Uuid),
    Int(i64),
    Bytes(Vec<u8>),
    Time(chrono::DateTime<chrono::Utc>),
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Sql(String),
    Bind(Bind),
}

/// A statement that answers with rows of the SQL type `T`.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement<T = ()> {
    pieces: Vec<Piece>,
    /// Whether the driver may keep it prepared.
    kept: bool,
    answers: std::marker::PhantomData<T>,
}

impl<T> Default for Statement<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            kept: false,
            answers: std::marker::PhantomData,
        }
    }
}

impl<T> Statement<T> {
    /// A statement that begins with this text.
    pub fn new(sql: impl AsRef<str>) -> Self {
        let mut statement = Self::default();
        statement.sql(sql);
        statement
    }

    /// Go on with text of the hub's own.
    pub fn sql(&mut self, sql: impl AsRef<str>) -> &mut Self {
        match self.pieces.last_mut() {
            Some(Piece::Sql(text)) => text.push_str(sql.as_ref()),
            _ => self.pieces.push(Piece::Sql(sql.as_ref().to_owned())),
        }
        self
    }

    /// Go on with a value.
    pub fn bind(&mut self, bind: Bind) -> &mut Self {
        self.pieces.push(Piece::Bind(bind));
        self
    }

    /// Go on with a value of text.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.bind(Bind::Text(Some(text.into())))
    }

    /// Go on with a name, quoted.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.sql(quoted(name))
    }

    /// Go on with another statement's text and values.
    pub fn append<U>(&mut self, other: Statement<U>) -> &mut Self {
        for piece in other.pieces {
            match piece {
                Piece::Sql(text) => self.sql(text),
                Piece::Bind(bind) => self.bind(bind),
            };
        }
        self
    }

    /// The same statement, answering with rows of another type.
    pub fn answering<U>(self) -> Statement<U> {
        Statement {
            pieces: self.pieces,
            kept: self.kept,
            answers: std::marker::PhantomData,
        }
    }

    /// Whether nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Its text with numbered places, for tests and plans.
    pub fn to_text(&self) -> String {
        let mut number = 0;
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Sql(text) => text.clone(),
                Piece::Bind(_) => {
                    number += 1;
                    format!("${number}")
                }
            })
            .collect()
    }

    /// Its values in order.
    pub fn binds(&self) -> Vec<&Bind> {
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Bind(bind) => Some(bind),
                Piece::Sql(_) => None,
            })
            .collect()
    }

    /// Note that it is about to run: a shape that has come before is kept prepared from now on.
    pub fn about_to_run(&mut self) {
        self.kept = is_familiar(self.shape());
    }

    /// Whether the driver may keep it prepared.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// What two statements of the same text share.
    pub fn shape(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for piece in &self.pieces {
            match piece {
                Piece::Sql(text) => text.hash(&mut hasher),
                Piece::Bind(bind) => std::mem::discriminant(bind).hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}

/// A name as SQL writes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text as SQL writes it. For definitions, where no value can be bound.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

impl<T> QueryFragment<Pg> for Statement<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if !self.kept {
            out.unsafe_to_cache_prepared();
        }
        for piece in &self.pieces {
            match piece {
                Piece::Sql(text) => out.push_sql(text),
                Piece::Bind(Bind::Text(text)) => {
                    out.push_bind_param::<Nullable<sql_types::Text>, _>(text)?
                }
                Piece::Bind(Bind::Texts(texts)) => {
                    out.push_bind_param::<sql_types::Array<Nullable<sql_types::Text>>, _>(texts)?
                }
                Piece::Bind(Bind::Uuid(id)) => out.push_bind_param::<sql_types::Uuid, _>(id)?,
                Piece::Bind(Bind::Int(number)) => {
                    out.push_bind_param::<sql_types::BigInt, _>(number)?
                }
                Piece::Bind(Bind::Bytes(bytes)) => {
                    out.push_bind_param::<sql_types::Binary, _>(bytes)?
                }
                Piece::Bind(Bind::Time(time)) => {
                    out.push_bind_param::<sql_types::Timestamptz, _>(time)?
                }
            }
        }
        Ok(())
    }
}

impl<T: 'static> QueryId for Statement<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for Statement<T> {
    type SqlType = T;
}

/// How many shapes may be kept prepared; each costs some kilobytes on every connection.
const FAMILIAR_SHAPES: usize = 400;

#[derive(Default)]
struct Familiar {
    seen: HashMap<u64, bool>,
    epoch: u64,
}

static FAMILIAR: LazyLock<Mutex<Familiar>> = LazyLock::new(Mutex::default);

/// Which generation of prepared statements is current. Connections of an older one are closed when they come back:
/// the driver's cache never forgets by itself, and anybody can invent shapes.
pub fn epoch() -> u64 {
    FAMILIAR.lock().unwrap_or_else(|p| p.into_inner()).epoch
}

/// Whether a shape has come before and so is worth preparing for good. The first time only notes it.
fn is_familiar(shape: u64) -> bool {
    let mut familiar = FAMILIAR.lock().unwrap_or_else(|p| p.into_inner());
    if let Some(again) = familiar.seen.get_mut(&shape) {
        *again = true;
        return true;
    }
    if familiar.seen.len() >= FAMILIAR_SHAPES {
        familiar.seen.retain(|_, again| *again);
        if familiar.seen.len() >= FAMILIAR_SHAPES / 2 {
            familiar.seen.clear();
            familiar.epoch += 1;
        }
    }
    familiar.seen.insert(shape, false);
    false
}
