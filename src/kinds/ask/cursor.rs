//! A place in a text, and the few words all grammars of the door share: names, quoted values, JSON paths.
//! Errors are told as PostgREST tells them: which text, which column, what stood there, what could have.

use super::{Field, Operand, Step};
use crate::base::{Error, Result, error::Told};

/// A place in a text.
#[derive(Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Why reading stopped, and where.
#[derive(Debug)]
pub struct Stop {
    at: usize,
    details: String,
}

/// What the small grammars return.
pub type Read<T> = std::result::Result<T, Stop>;

impl Stop {
    /// Tell it as the door does. `what` is what was being read, `shown` its text.
    pub fn tell(self, what: &str, shown: &str, text: &str) -> Error {
        let column = text.get(..self.at).unwrap_or(text).chars().count() + 1;
        Error::Invalid(Box::new(
            Told::new(
                "PGRST100",
                format!("\"failed to parse {what} ({shown})\" (line 1, column {column})"),
            )
            .details(self.details)
            .status(400),
        ))
    }
}

/// Read all of `text` with `grammar`, or tell why not.
pub fn whole<T>(text: &str, what: &str, grammar: impl Fn(&mut Cursor<'_>) -> Read<T>) -> Result<T> {
    let mut cursor = Cursor::new(text);
    grammar(&mut cursor)
        .and_then(|read| cursor.end("end of input").map(|()| read))
        .map_err(|stop| stop.tell(what, text, text))
}

impl<'a> Cursor<'a> {
    /// The beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character, not read yet.
    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Read all the rest.
    pub fn take_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.at = self.text.len();
        rest
    }

    /// Read while the characters fit.
    pub fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Read this text, if it comes next.
    pub fn eat(&mut self, text: &str) -> bool {
        let eaten = self.rest().starts_with(text);
        if eaten {
            self.at += text.len();
        }
        eaten
    }

    /// Read this text, which must come next.
    pub fn expect(&mut self, text: &str) -> Read<()> {
        match self.eat(text) {
            true => Ok(()),
            false => Err(self.stop(&format!("\"{text}\""))),
        }
    }

    /// Pass over blanks.
    pub fn blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// Nothing may be left.
    pub fn end(&self, expecting: &str) -> Read<()> {
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(self.stop(expecting)),
        }
    }

    /// Stop here: this stands here, that was expected.
    pub fn stop(&self, expecting: &str) -> Stop {
        let found = match self.peek() {
            Some('"') => "'\"'".to_owned(),
            Some(c) => format!("\"{c}\""),
            None => "end of input".to_owned(),
        };
        self.fail(format!("unexpected {found} expecting {expecting}"))
    }

    /// Stop here with a sentence of one's own.
    pub fn fail(&self, details: String) -> Stop {
        Stop {
            at: self.at,
            details,
        }
    }

    /// A name: letters, digits, `_`, `$`, blanks and inner dashes, or anything in double quotes.
    pub fn name(&mut self) -> Read<String> {
        self.blanks();
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let begin = self.at;
        loop {
            let word = self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$'));
            if word.is_empty() {
                return Err(self.stop("field name (* or [a..z0..9_$])"));
            }
            let mut ahead = self.clone();
            if ahead.eat("-") && ahead.peek() != Some('>') {
                *self = ahead;
            } else {
                break;
            }
        }
        let name = self.text.get(begin..self.at).unwrap_or_default().trim();
        match name.is_empty() {
            true => Err(self.stop("field name (* or [a..z0..9_$])")),
            false => Ok(name.to_owned()),
        }
    }

    /// Text in double quotes, with backslashes before what would end it.
    pub fn quoted(&mut self) -> Read<String> {
        self.expect("\"")?;
        let mut read = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((place, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += place + 1;
                    return Ok(read);
                }
                '\\' => match chars.next() {
                    Some((_, next)) => read.push(next),
                    None => break,
                },
                other => read.push(other),
            }
        }
        self.at = self.text.len();
        Err(self.stop("'\"'"))
    }

    /// A name as types and languages have: letters, digits, `_`, `$`, blanks.
    pub fn identifier(&mut self) -> Read<String> {
        let word = self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$'));
        match word.trim() {
            "" => Err(self.stop("letter or digit")),
            name => Ok(name.to_owned()),
        }
    }

    /// A column with its JSON path.
    pub fn field(&mut self) -> Read<Field> {
        let name = self.name()?;
        let path = self.json_path()?;
        self.blanks();
        Ok(Field { name, path })
    }

    /// `->key->0->>key`.
    pub fn json_path(&mut self) -> Read<Vec<Step>> {
        let mut path = Vec::new();
        loop {
            let as_text = if self.eat("->>") {
                true
            } else if self.eat("->") {
                false
            } else {
                return Ok(path);
            };
            path.push(Step {
                as_text,
                to: self.operand()?,
            });
        }
    }

    fn operand(&mut self) -> Read<Operand> {
        let mut ahead = self.clone();
        let negative = ahead.eat("-");
        let digits = ahead.take_while(|c| c.is_ascii_digit());
        let ends = ahead.rest().is_empty()
            || ["->", "::", ".", ",", ")", " "]
                .iter()
                .any(|end| ahead.rest().starts_with(end));
        if !digits.is_empty() && ends {
            *self = ahead;
            let index: i64 = digits.parse().unwrap_or(i64::MAX);
            let index = if negative { -index } else { index };
            let index = index.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            return Ok(Operand::Index(i32::try_from(index).unwrap_or_default()));
        }
        if negative {
            return Err(ahead.stop("digit"));
        }
        Ok(Operand::Key(self.name()?))
    }
}
