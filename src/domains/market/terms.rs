//! What is given and what is asked for it, as FEP-0837 says it, both ways. Pure; whoever wrote the document, there are terms
//! or a word for why not (R23, R30).

use serde_json::{Map, Value, json};

use crate::base::amount::Amount;
use crate::fed::vocab;

/// What stands for hours of the time bank.
pub const TIME_CREDIT: &str = "https://w3id.org/made-open/hub/v1#TimeCredit";

/// What stands for anything in return.
pub const ANY_RECIPROCITY: &str = "https://w3id.org/made-open/hub/v1#AnyReciprocity";

const WIKIDATA: &str = "https://www.wikidata.org/wiki/";
const CURRENCY: &str = "https://w3id.org/made-open/hub/v1#currency-";

/// Currencies that have an entry of their own.
const CURRENCIES: [(&str, &str); 20] = [
    ("EUR", "Q4916"),
    ("USD", "Q4917"),
    ("GBP", "Q25224"),
    ("CHF", "Q25344"),
    ("JPY", "Q8146"),
    ("CAD", "Q1104069"),
    ("AUD", "Q259502"),
    ("NZD", "Q1472704"),
    ("SEK", "Q122922"),
    ("NOK", "Q132643"),
    ("DKK", "Q25417"),
    ("PLN", "Q123213"),
    ("CZK", "Q131016"),
    ("HUF", "Q47190"),
    ("RON", "Q131645"),
    ("UAH", "Q81893"),
    ("INR", "Q80524"),
    ("BRL", "Q173117"),
    ("CNY", "Q39099"),
    ("MXN", "Q4730"),
];

/// Whether the author gives or seeks the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Offer,
    Request,
}

/// So much of a unit; without a value as much as one likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantity {
    pub unit: String,
    pub value: Option<Amount>,
}

/// One side of a deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub action: String,
    /// What it is, as an address.
    pub conforms_to: Option<String>,
    pub quantity: Option<Quantity>,
    pub available: Option<Amount>,
    pub minimum: Option<Amount>,
}

/// What somebody proposes to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub purpose: Purpose,
    /// Multiples of it, or just so; without a word about it any quantity.
    pub unit_based: Option<bool>,
    pub primary: Intent,
    pub reciprocal: Option<Intent>,
}

/// Which side of a proposal a commitment satisfies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Primary,
    Reciprocal,
}

impl Quantity {
    /// As it stands in a document, with as many digits as its unit's prices have.
    pub fn to_wire(&self, digits: usize) -> Value {
        match self.value {
            Some(value) => {
                json!({ "hasUnit": self.unit, "hasNumericalValue": value.to_scale(digits) })
            }
            None => json!({ "hasUnit": self.unit }),
        }
    }

    /// As somebody wrote it. Text, as everybody should; a whole number of those who do not.
    pub fn read(measure: &Value) -> Result<Self, &'static str> {
        let unit = get(measure, "hasUnit")
            .and_then(Value::as_str)
            .map(bare)
            .filter(|unit| (1..=100).contains(&unit.len()));
        let value = match get(measure, "hasNumericalValue") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.parse().map_err(|_| "wrong_quantity")?),
            Some(Value::Number(number)) => {
                let whole = number.as_i64().or_else(|| whole_of(number.as_f64()));
                let text = whole
                    .map(|whole| whole.to_string())
                    .ok_or("wrong_quantity")?;
                Some(text.parse().map_err(|_| "wrong_quantity")?)
            }
            Some(_) => return Err("wrong_quantity"),
        };
        Ok(Self {
            unit: unit.ok_or("wrong_unit")?.to_owned(),
            value,
        })
    }
}

impl Intent {
    fn to_wire(&self, id: &str) -> Value {
        let digits = self
            .conforms_to
            .as_deref()
            .and_then(unit_of)
            .map_or(0, |unit| crate::base::amount::scale(&unit) as usize);
        // Hours and pieces are written as they are; prices with all their digits.
        let digits = if self.conforms_to.as_deref() == Some(TIME_CREDIT) {
            0
        } else {
            digits
        };
        let mut told = Map::new();
        let mut say = |name: &str, value: Value| told.insert(name.to_owned(), value);
        say("type", json!("Intent"));
        say("id", json!(id));
        say("action", json!(self.action));
        if let Some(conforms_to) = &self.conforms_to {
            say("resourceConformsTo", json!(conforms_to));
        }
        let Some(quantity) = &self.quantity else {
            return Value::Object(told);
        };
        say("resourceQuantity", quantity.to_wire(digits));
        for (name, value) in [
            ("availableQuantity", self.available),
            ("minimumQuantity", self.minimum),
        ] {
            if value.is_some() {
                say(
                    name,
                    Quantity {
                        unit: quantity.unit.clone(),
                        value,
                    }
                    .to_wire(0),
                );
            }
        }
        Value::Object(told)
    }

    fn read(intent: &Value) -> Result<Self, &'static str> {
        let quantity = |name: &str| get(intent, name).map(Quantity::read).transpose();
        let main = quantity("resourceQuantity")?;
        let same_unit = |other: Option<Quantity>| match (other, &main) {
            (Some(other), Some(main)) if other.unit != main.unit => Err("wrong_unit"),
            (other, _) => Ok(other.and_then(|other| other.value)),
        };
        let action = get(intent, "action")
            .and_then(Value::as_str)
            .unwrap_or("transfer");
        Ok(Self {
            action: action
                .rsplit(['#', '/', ':'])
                .next()
                .filter(|action| (1..=50).contains(&action.len()))
                .ok_or("wrong_action")?
                .to_owned(),
            conforms_to: get(intent, "resourceConformsTo")
                .and_then(vocab::id)
                .filter(|uri| uri.len() <= 2_000)
                .map(str::to_owned),
            available: same_unit(quantity("availableQuantity")?)?,
            minimum: same_unit(quantity("minimumQuantity")?)?,
            quantity: main,
        })
    }
}

impl Terms {
    /// The properties of a document under this address.
    pub fn to_wire(&self, uri: &str) -> Map<String, Value> {
        let mut told = Map::new();
        let purpose = match self.purpose {
            Purpose::Offer => "offer",
            Purpose::Request => "request",
        };
        told.insert("purpose".to_owned(), json!(purpose));
        if let Some(unit_based) = self.unit_based {
            told.insert("unitBased".to_owned(), json!(unit_based));
        }
        told.insert(
            "publishes".to_owned(),
            self.primary.to_wire(&format!("{uri}#primary")),
        );
        if let Some(reciprocal) = &self.reciprocal {
            told.insert(
                "reciprocal".to_owned(),
                reciprocal.to_wire(&format!("{uri}#reciprocal")),
            );
        }
        told
    }

    /// What a document says.
    pub fn read(object: &Value) -> Result<Self, &'static str> {
        let purpose = match get(object, "purpose").and_then(Value::as_str) {
            Some("offer") => Purpose::Offer,
            Some("request") => Purpose::Request,
            _ => return Err("no_purpose"),
        };
        let one = |name: &str| {
            get(object, name)
                .and_then(|value| vocab::many(value).first())
                .filter(|value| value.is_object())
        };
        Ok(Self {
            purpose,
            unit_based: get(object, "unitBased").and_then(Value::as_bool),
            primary: Intent::read(one("publishes").ok_or("no_intent")?)?,
            reciprocal: one("reciprocal").map(Intent::read).transpose()?,
        })
    }
}

/// Which side of the proposal at this address an id names: with either base of fragments.
pub fn side_of(proposal: &str, id: &str) -> Option<Side> {
    let rest = id.strip_prefix(proposal)?;
    match rest.strip_prefix("/proposal").unwrap_or(rest) {
        "#primary" => Some(Side::Primary),
        "#reciprocal" => Some(Side::Reciprocal),
        _ => None,
    }
}

/// The address that stands for a currency, or for hours.
pub fn currency_uri(code: &str) -> String {
    match CURRENCIES.iter().find(|(known, _)| *known == code) {
        _ if code == "TIME" => TIME_CREDIT.to_owned(),
        Some((_, entry)) => format!("{WIKIDATA}{entry}"),
        None => format!("{CURRENCY}{code}"),
    }
}

/// The currency that an address stands for, or TIME.
pub fn unit_of(uri: &str) -> Option<String> {
    if uri == TIME_CREDIT {
        return Some("TIME".to_owned());
    }
    let uri = uri
        .replacen("http://www.wikidata.org/entity/", WIKIDATA, 1)
        .replacen("https://www.wikidata.org/entity/", WIKIDATA, 1);
    if let Some(entry) = uri.strip_prefix(WIKIDATA) {
        let known = CURRENCIES.iter().find(|(_, known)| *known == entry);
        return known.map(|(code, _)| (*code).to_owned());
    }
    let code = uri.strip_prefix(CURRENCY)?;
    let fits = (3..=12).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase());
    fits.then(|| code.to_owned())
}

/// A property by its bare name or with one of the prefixes that others write.
fn get<'o>(object: &'o Value, name: &str) -> Option<&'o Value> {
    let found = ["", "vf:", "ValueFlows:", "om2:"]
        .iter()
        .find_map(|prefix| match *prefix {
            "" => object.get(name),
            prefix => object.get(format!("{prefix}{name}")),
        });
    found.filter(|value| !value.is_null())
}

/// The name of a unit without what others write before it.
fn bare(unit: &str) -> &str {
    unit.rsplit(['#', '/', ':']).next().unwrap_or(unit)
}

fn whole_of(number: Option<f64>) -> Option<i64> {
    // Beyond this two numbers may look alike.
    number
        .filter(|number| number.fract() == 0.0 && number.abs() < 9e14)
        .map(|number| number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Value {
        json!({
            "purpose": "offer", "unitBased": false,
            "publishes": { "type": "Intent", "id": "https://hub.example/ap/listings/1#primary", "action": "transfer",
                "resourceConformsTo": "https://www.wikidata.org/wiki/Q11442",
                "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "1" },
                "availableQuantity": { "hasUnit": "one", "hasNumericalValue": "1" },
                "minimumQuantity": { "hasUnit": "one", "hasNumericalValue": "1" } },
            "reciprocal": { "type": "Intent", "id": "https://hub.example/ap/listings/1#reciprocal", "action": "transfer",
                "resourceConformsTo": "https://www.wikidata.org/wiki/Q4916",
                "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "30.00" } },
        })
    }

    #[test]
    fn what_is_read_is_said_again_word_for_word() {
        let terms = Terms::read(&listing()).unwrap();
        assert_eq!(
            terms
                .reciprocal
                .as_ref()
                .unwrap()
                .quantity
                .as_ref()
                .unwrap()
                .value,
            Some(Amount::whole(30))
        );
        assert_eq!(
            Value::Object(terms.to_wire("https://hub.example/ap/listings/1")),
            listing()
        );
    }

    #[test]
    fn other_spellings_mean_the_same() {
        let other = json!({
            "purpose": "request",
            "vf:publishes": { "vf:action": "https://w3id.org/valueflows#deliverService",
                "vf:resourceQuantity": { "om2:hasUnit": "om2:hour", "om2:hasNumericalValue": 2.0 } },
        });
        let terms = Terms::read(&other).unwrap();
        assert_eq!((terms.purpose, terms.unit_based), (Purpose::Request, None));
        assert_eq!(terms.primary.action, "deliverService");
        assert_eq!(
            terms.primary.quantity,
            Some(Quantity {
                unit: "hour".to_owned(),
                value: Some(Amount::whole(2))
            })
        );
    }

    #[test]
    fn what_is_no_proposal() {
        let changed = |pointer: &str, value: Value| {
            let mut object = listing();
            *object.pointer_mut(pointer).unwrap() = value;
            Terms::read(&object)
        };
        assert_eq!(changed("/purpose", json!("gift")), Err("no_purpose"));
        assert_eq!(changed("/publishes", Value::Null), Err("no_intent"));
        for value in [
            json!("-1"),
            json!("1.00001"),
            json!("1e3"),
            json!(1.5),
            json!(true),
            json!(""),
        ] {
            assert_eq!(
                changed("/reciprocal/resourceQuantity/hasNumericalValue", value),
                Err("wrong_quantity")
            );
        }
        assert_eq!(
            changed("/publishes/availableQuantity/hasUnit", json!("kilogram")),
            Err("wrong_unit")
        );
        assert_eq!(
            changed("/publishes/resourceQuantity/hasUnit", json!("")),
            Err("wrong_unit")
        );
    }

    #[test]
    fn each_base_of_fragments_is_known() {
        let listing = "https://hub.example/ap/listings/1";
        assert_eq!(
            side_of(listing, "https://hub.example/ap/listings/1#primary"),
            Some(Side::Primary)
        );
        assert_eq!(
            side_of(
                listing,
                "https://hub.example/ap/listings/1/proposal#reciprocal"
            ),
            Some(Side::Reciprocal)
        );
        assert_eq!(
            side_of(listing, "https://hub.example/ap/listings/12#primary"),
            None
        );
        assert_eq!(side_of(listing, "https://x.example/#primary"), None);
    }

    #[test]
    fn currencies_have_addresses() {
        for code in ["EUR", "USD", "TIME", "ABC"] {
            assert_eq!(unit_of(&currency_uri(code)).as_deref(), Some(code));
        }
        assert_eq!(
            unit_of("http://www.wikidata.org/entity/Q4916").as_deref(),
            Some("EUR")
        );
        assert_eq!(unit_of("https://www.wikidata.org/wiki/Q11442"), None);
    }
}
