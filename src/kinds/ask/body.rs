//! The rows of a write: JSON, CSV or a form, checked for what PostgreSQL could not hold. JSON goes on as it came;
//! the database reads it, so nothing is lost in between.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::base::Result;
use crate::kinds::refusal;

/// How deep a value may be nested.
const DEEPEST: usize = 100;

/// What was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// JSON: an array of objects, or one object.
    pub json: String,
    pub is_array: bool,
    pub rows: usize,
    /// The keys of the rows, sorted.
    pub keys: Vec<String>,
}

/// Rows as values, for hooks.
pub type Rows = Vec<Map<String, Value>>;

/// Read a body. With `fixed`, the columns were named in the URL and the keys may differ from row to row.
pub fn body(bytes: &[u8], content_type: Option<&str>, fixed: bool) -> Result<Body> {
    let kind = content_type.unwrap_or("application/json");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refusal::bad_body("The body is not UTF-8".to_owned()))?;
    match kind.to_ascii_lowercase().as_str() {
        "" | "application/json" | "*/*" | "application/ld+json" => json(text, fixed),
        "application/vnd.pgrst.object+json" | "application/vnd.pgrst.array+json" => {
            json(text, fixed)
        }
        "text/csv" => json(&from_csv(text)?, fixed),
        "application/x-www-form-urlencoded" => json(&from_form(text), fixed),
        other => Err(refusal::bad_body(format!(
            "Content-Type not acceptable: {other}"
        ))),
    }
}

/// The rows of a body as values.
pub fn read_rows(body: &Body) -> Result<Rows> {
    let read = match body.is_array {
        true => serde_json::from_str(&body.json),
        false => serde_json::from_str(&body.json).map(|row| vec![row]),
    };
    read.map_err(|_| empty_or_invalid())
}

impl Body {
    /// A body made of rows.
    pub fn of_rows(rows: &Rows) -> Result<Self> {
        let json = serde_json::to_string(rows).map_err(crate::base::Error::broken)?;
        let keys: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
        Ok(Self {
            keys: keys.into_iter().cloned().collect(),
            rows: rows.len(),
            is_array: true,
            json,
        })
    }
}

fn empty_or_invalid() -> crate::base::Error {
    refusal::bad_body("Empty or invalid json".to_owned())
}

fn json(text: &str, fixed: bool) -> Result<Body> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut found = Found {
        fixed,
        ..Found::default()
    };
    let read = Top(&mut found)
        .deserialize(&mut reader)
        .and_then(|()| reader.end());
    match (read, found.why.take()) {
        (Ok(()), _) => {}
        (Err(_), Some(why)) => return Err(refusal::bad_body(why.into_owned())),
        (Err(_), None) => return Err(empty_or_invalid()),
    }
    Ok(Body {
        json: text.to_owned(),
        is_array: found.is_array,
        rows: found.rows,
        keys: found.keys.unwrap_or_default().into_iter().collect(),
    })
}

fn from_csv(text: &str) -> Result<String> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let wrong = |_| refusal::bad_body("All lines must have same number of fields".to_owned());
    let names = reader.headers().map_err(wrong)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let row: Map<String, Value> = names
            .iter()
            .zip(record.iter())
            .map(|(name, cell)| {
                let value = match cell {
                    "NULL" => Value::Null,
                    text => Value::String(text.to_owned()),
                };
                (name.to_owned(), value)
            })
            .collect();
        if row.len() != names.len() {
            return Err(refusal::bad_body("A column is named twice".to_owned()));
        }
        rows.push(Value::Object(row));
    }
    Ok(Value::Array(rows).to_string())
}

fn from_form(text: &str) -> String {
    let row: Map<String, Value> = url::form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    Value::Object(row).to_string()
}

#[derive(Default)]
struct Found {
    fixed: bool,
    is_array: bool,
    rows: usize,
    keys: Option<BTreeSet<String>>,
    why: Option<Cow<'static, str>>,
}

/// The whole body: an object, or an array of them.
struct Top<'f>(&'f mut Found);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Row(self.0).visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        self.0.is_array = true;
        while rows.next_element_seed(Row(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// One row.
struct Row<'f>(&'f mut Found);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let found = self.0;
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            if let Some(why) = unsound(value.get()) {
                return Err(refuse(&mut found.why, why));
            }
            if key.contains('\0') {
                return Err(refuse(&mut found.why, NUL));
            }
            if keys.contains(&key) {
                let why = format!("The key \"{key}\" stands twice in one object");
                return Err(refuse(&mut found.why, why));
            }
            keys.insert(key);
        }
        found.rows += 1;
        match &mut found.keys {
            None => found.keys = Some(keys),
            Some(known) if found.fixed => known.extend(keys),
            Some(known) if *known != keys => {
                return Err(refuse(&mut found.why, "All object keys must match"));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.no_row())
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.no_row())
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.no_row())
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.no_row())
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.no_row())
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Err(self.no_row())
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(self.no_row())
    }
}

impl Row<'_> {
    fn no_row<E: de::Error>(self) -> E {
        refuse(&mut self.0.why, "All object keys must match")
    }
}

const NUL: &str = "A NUL character (\\u0000) cannot be stored";
const HALF: &str = "Half of a surrogate pair cannot be stored";

fn refuse<E: de::Error>(
    place: &mut Option<Cow<'static, str>>,
    why: impl Into<Cow<'static, str>>,
) -> E {
    *place = Some(why.into());
    E::custom("refused")
}

/// Whether PostgreSQL can hold a value: nesting, NUL characters, halves of surrogate pairs. What is a number stays
/// as it is, however many digits it has.
fn unsound(raw: &str) -> Option<&'static str> {
    let mut bytes = raw.bytes();
    let (mut depth, mut in_text, mut half) = (0_usize, false, false);
    while let Some(byte) = bytes.next() {
        let escaped = in_text && byte == b'\\';
        let unit = match escaped.then(|| bytes.next()).flatten() {
            Some(b'u') => bytes.by_ref().take(4).fold(0_u32, |unit, digit| {
                unit * 16 + char::from(digit).to_digit(16).unwrap_or_default()
            }),
            _ => u32::from(b' '),
        };
        if half != (0xDC00..0xE000).contains(&unit) {
            return Some(HALF);
        }
        half = (0xD800..0xDC00).contains(&unit);
        match byte {
            _ if escaped => {}
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if unit == 0 {
            return Some(NUL);
        }
        if depth > DEEPEST {
            return Some("The JSON is nested too deeply");
        }
    }
    None
}
