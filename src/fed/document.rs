//! A document from outside, read strictly once: after this, every reader sees the same values (S-22, R11).
//! The exact text is kept, because proofs and re-announcements need it; the values are derived from it here and nowhere else.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::vocab;

/// No document is longer.
pub const LONGEST: usize = 1024 * 1024;

/// No document is nested deeper.
const DEEPEST: usize = 64;

/// No document has more values: each of them costs many times the two bytes that it may have on the wire (S-80).
const MOST_VALUES: usize = 100_000;

/// Keys of the top level that decide who says what: spelled once, and in no other way besides.
const DECIDING: [&str; 4] = ["actor", "id", "object", "type"];

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More bytes than any document may have.
    #[error("the document is too long")]
    TooLong,
    /// Not JSON.
    #[error("the document is not JSON")]
    NotJson,
    /// JSON, but not an object.
    #[error("the document is not an object")]
    NotAnObject,
    /// Nested too deep.
    #[error("the document is nested too deep")]
    TooDeep,
    /// Too many values.
    #[error("the document has too many values")]
    TooMany,
    /// A key that comes twice, or in two spellings.
    #[error("a key of the document comes twice")]
    DoubledKey,
    /// Text with a NUL, which PostgreSQL cannot keep.
    #[error("the document has text with a NUL")]
    Nul,
}

impl Malformed {
    /// The word for the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::TooDeep => "too_deep",
            Self::TooMany => "too_many_values",
            Self::DoubledKey => "doubled_key",
            Self::Nul => "nul_in_text",
        }
    }

    /// The status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLong => 413,
            _ => 400,
        }
    }
}

/// A document that was read: its text and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    text: String,
    value: Value,
}

impl Document {
    /// Read a document, or say why not.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed::NotJson)?;

        let mut strict = Strict {
            depth: 0,
            values: 0,
            flaw: None,
        };
        let mut parser = serde_json::Deserializer::from_str(text);
        let value = (&mut strict)
            .deserialize(&mut parser)
            .and_then(|value| parser.end().map(|()| value));
        // What the parser says is about its own limits; what was found first is in `flaw`.
        let value = value.map_err(|_| strict.flaw.unwrap_or(Malformed::NotJson))?;
        let Value::Object(top) = &value else {
            return Err(Malformed::NotAnObject);
        };
        if has_other_spellings(top) {
            return Err(Malformed::DoubledKey);
        }
        Ok(Self {
            text: text.to_owned(),
            value,
        })
    }

    /// The text exactly as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What it says, without the text.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// Its id.
    pub fn id(&self) -> Option<&str> {
        self.value
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
    }

    /// The id of who acts: the only one, or none.
    pub fn actor(&self) -> Option<&str> {
        match vocab::many(self.value.get("actor")?) {
            [actor] => vocab::id(actor),
            _ => None,
        }
    }

    /// Its type.
    pub fn kind(&self) -> Option<&str> {
        vocab::kind(&self.value)
    }

    /// What is acted upon.
    pub fn object(&self) -> Option<&Value> {
        self.value.get("object")
    }
}

/// Whether one of the deciding keys is there in two spellings.
fn has_other_spellings(top: &Map<String, Value>) -> bool {
    DECIDING.iter().any(|key| {
        top.keys()
            .filter(|own| {
                let plain = own.strip_prefix('@').unwrap_or(own);
                plain == *key || plain.to_lowercase() == *key
            })
            .count()
            > 1
    })
}

/// Builds values and stops at the first thing that two readers could read differently.
struct Strict {
    depth: usize,
    values: usize,
    flaw: Option<Malformed>,
}

impl Strict {
    fn stop<T, E: serde::de::Error>(&mut self, flaw: Malformed) -> Result<T, E> {
        self.flaw.get_or_insert(flaw);
        Err(E::custom(flaw))
    }

    fn text<E: serde::de::Error>(&mut self, text: String) -> Result<String, E> {
        if text.contains('\0') {
            return self.stop(Malformed::Nul);
        }
        Ok(text)
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.stop(Malformed::TooDeep);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return self.stop(Malformed::TooMany);
        }
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => self.stop(Malformed::NotJson),
        }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(value.to_owned()).map(Value::String)
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.text(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(&mut *self)? {
            values.push(value);
        }
        self.depth -= 1;
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let key = self.text(key)?;
            if object.contains_key(&key) {
                return self.stop(Malformed::DoubledKey);
            }
            let value = entries.next_value_seed(&mut *self)?;
            object.insert(key, value);
        }
        self.depth -= 1;
        let twice =
            |bare: &str, marked: &str| object.contains_key(bare) && object.contains_key(marked);
        if twice("id", "@id") || twice("type", "@type") {
            return self.stop(Malformed::DoubledKey);
        }
        Ok(Value::Object(object))
    }
}
