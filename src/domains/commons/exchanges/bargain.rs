//! What is given for what: the two commitments of an agreement, and whether they fit what was declared (FEP-0837, R23 to R30).
//! Pure.

use serde_json::{Map, Value, json};

use crate::base::amount::{Amount, scale};
use crate::domains::market::terms::{Intent, Purpose, Quantity, TIME_CREDIT, Terms, unit_of};
use crate::fed::vocab;

/// One side of a bargain.
#[derive(Clone, Debug, PartialEq)]
pub struct Commitment {
    /// The intent it answers.
    pub satisfies: String,
    pub unit: String,
    /// None only where what is given in return is left open.
    pub value: Option<Amount>,
}

/// What is given for what.
#[derive(Clone, Debug, PartialEq)]
pub struct Bargain {
    pub primary: Commitment,
    pub reciprocal: Option<Commitment>,
}

/// Longest id of an intent.
const LONGEST: usize = 2_000;

impl Commitment {
    fn read(value: &Value) -> Result<Self, &'static str> {
        if vocab::kind(value) != Some("Commitment") {
            return Err("wrong_quantity");
        }
        let satisfies = value
            .get("satisfies")
            .and_then(vocab::id)
            .filter(|id| id.len() <= LONGEST)
            .ok_or("wrong_quantity")?;
        let quantity = value.get("resourceQuantity").ok_or("wrong_quantity")?;
        let unit = quantity
            .get("hasUnit")
            .and_then(Value::as_str)
            .filter(|unit| !unit.is_empty() && unit.len() <= 200)
            .ok_or("wrong_unit")?;
        let value = match quantity.get("hasNumericalValue") {
            None => None,
            Some(Value::String(text)) => {
                Some(text.parse::<Amount>().map_err(|_| "wrong_quantity")?)
            }
            Some(_) => return Err("wrong_quantity"),
        };
        Ok(Self {
            satisfies: satisfies.to_owned(),
            unit: unit.to_owned(),
            value,
        })
    }

    /// As it stands in an offer.
    pub fn to_wire(&self, digits: Option<usize>) -> Value {
        json!({ "type": "Commitment", "satisfies": self.satisfies, "resourceQuantity": self.quantity(digits) })
    }

    /// Its amount with its unit.
    pub fn quantity(&self, digits: Option<usize>) -> Value {
        let mut quantity = Map::new();
        quantity.insert("hasUnit".to_owned(), json!(self.unit));
        if let Some(value) = self.value {
            let text = digits.map_or_else(|| value.to_string(), |digits| value.to_scale(digits));
            quantity.insert("hasNumericalValue".to_owned(), json!(text));
        }
        Value::Object(quantity)
    }

    /// Whether another says the same, its numbers compared as numbers.
    fn is(&self, other: &Self) -> bool {
        (base_of(&self.satisfies), &self.unit, self.value)
            == (base_of(&other.satisfies), &other.unit, other.value)
    }
}

/// An intent is named by its declaration's address or by that of its typed form.
fn base_of(satisfies: &str) -> (&str, &str) {
    let (place, fragment) = satisfies.split_once('#').unwrap_or((satisfies, ""));
    (place.strip_suffix("/proposal").unwrap_or(place), fragment)
}

impl Bargain {
    /// From an agreement, or from a counter of one.
    pub fn read(agreement: &Value) -> Result<Self, &'static str> {
        let primary = agreement.get("stipulates").ok_or("wrong_quantity")?;
        Ok(Self {
            primary: Commitment::read(primary)?,
            reciprocal: agreement
                .get("stipulatesReciprocal")
                .map(Commitment::read)
                .transpose()?,
        })
    }

    /// What was answered: the address before the fragment of the primary intent.
    pub fn subject(&self) -> &str {
        base_of(&self.primary.satisfies).0
    }

    /// Whether another says the same.
    pub fn is(&self, other: &Self) -> bool {
        let is_same = match (&self.reciprocal, &other.reciprocal) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other),
            _ => false,
        };
        is_same && self.primary.is(&other.primary)
    }

    /// Both, as they stand in an offer.
    pub fn to_wire(&self, terms: &Terms) -> Map<String, Value> {
        let mut told = Map::new();
        told.insert("stipulates".to_owned(), self.primary.to_wire(None));
        if let Some(reciprocal) = &self.reciprocal {
            let digits = price_digits(terms);
            told.insert(
                "stipulatesReciprocal".to_owned(),
                reciprocal.to_wire(digits),
            );
        }
        told
    }
}

/// How prices of these terms are written.
pub fn price_digits(terms: &Terms) -> Option<usize> {
    let currency = unit_of(terms.reciprocal.as_ref()?.conforms_to.as_deref()?)?;
    (currency != "TIME").then(|| scale(&currency) as usize)
}

/// Whether hours are given in return: those are booked.
pub fn is_time(terms: &Terms) -> bool {
    terms
        .reciprocal
        .as_ref()
        .is_some_and(|asked| asked.conforms_to.as_deref() == Some(TIME_CREDIT))
}

/// Whether who declared it gives the primary (R24).
pub fn proposer_gives(terms: &Terms) -> bool {
    matches!(terms.purpose, Purpose::Offer)
}

/// What somebody who answers says by default: as much as was declared.
pub fn usual(
    terms: &Terms,
    uri: &str,
    quantity: Option<Amount>,
    price: Option<Amount>,
) -> Result<Bargain, &'static str> {
    let (unit, declared) = amount_of(&terms.primary);
    let value = quantity
        .or(declared)
        .or(terms.primary.minimum)
        .unwrap_or(Amount::whole(1));
    let reciprocal = match &terms.reciprocal {
        None if price.is_some() => return Err("wrong_quantity"),
        None => None,
        Some(asked) => {
            let (unit, each) = amount_of(asked);
            let due = match (price, each, declared, terms.unit_based) {
                (Some(price), ..) => Some(price),
                // Where no amount is declared, the price is that of one.
                (None, Some(each), declared, Some(true)) => {
                    let declared = declared.unwrap_or(Amount::whole(1));
                    let times = value.multiple_of(declared).ok_or("wrong_quantity")?;
                    Some(each.times(times).ok_or("wrong_quantity")?)
                }
                // Hours for hours.
                (None, None, ..) if is_time(terms) && terms.primary_unit() == "hour" => Some(value),
                (None, each, ..) => each,
            };
            Some(Commitment {
                satisfies: format!("{uri}#reciprocal"),
                unit,
                value: due,
            })
        }
    };
    Ok(Bargain {
        primary: Commitment {
            satisfies: format!("{uri}#primary"),
            unit,
            value: Some(value),
        },
        reciprocal,
    })
}

/// The unit of an intent, and its amount if it names one.
fn amount_of(intent: &Intent) -> (String, Option<Amount>) {
    match &intent.quantity {
        Some(Quantity { unit, value }) => (unit.clone(), *value),
        None => ("one".to_owned(), None),
    }
}

/// The unit of what is given.
trait PrimaryUnit {
    fn primary_unit(&self) -> &str;
}

impl PrimaryUnit for Terms {
    fn primary_unit(&self) -> &str {
        self.primary
            .quantity
            .as_ref()
            .map_or("one", |quantity| &quantity.unit)
    }
}

/// Whether a bargain fits what was declared; the word says why not. Where it is what the owner himself proposed last, the
/// amounts need not be those that he declared (R28).
pub fn fits(
    terms: &Terms,
    uri: &str,
    bargain: &Bargain,
    is_his_own: bool,
) -> Result<(), &'static str> {
    let (unit, declared) = amount_of(&terms.primary);
    let value = bargain
        .primary
        .value
        .filter(|value| !value.is_zero())
        .ok_or("wrong_quantity")?;
    if base_of(&bargain.primary.satisfies) != (uri, "primary") {
        return Err("wrong_quantity");
    }
    if bargain.primary.unit != unit {
        return Err("wrong_unit");
    }
    if !value.fits_scale(if unit == "hour" { 2 } else { 4 }) {
        return Err("wrong_quantity");
    }
    let asked = match (&terms.reciprocal, &bargain.reciprocal) {
        (None, None) => None,
        (Some(asked), Some(given)) => Some((asked, given)),
        _ => return Err("wrong_quantity"),
    };
    if let Some((asked, given)) = asked {
        price_fits(terms, uri, asked, given)?;
    }
    if terms
        .primary
        .available
        .is_some_and(|available| value > available)
    {
        return Err("over_stock");
    }
    if terms
        .primary
        .minimum
        .is_some_and(|minimum| value < minimum && !is_his_own)
    {
        return Err("wrong_quantity");
    }
    if is_his_own {
        return Ok(());
    }

    let price = asked.and_then(|(asked, given)| Some((amount_of(asked).1?, given.value?)));
    match terms.unit_based {
        // What was declared, neither more nor less.
        Some(false) => {
            let is_all = declared.is_none_or(|declared| declared == value);
            let is_due = price.is_none_or(|(due, given)| due == given);
            match is_all && is_due {
                true => Ok(()),
                false => Err("wrong_quantity"),
            }
        }
        // So many times what was declared.
        Some(true) => {
            let declared = declared.unwrap_or(Amount::whole(1));
            let times = value.multiple_of(declared).ok_or("wrong_quantity")?;
            let is_due = price.is_none_or(|(due, given)| due.times(times) == Some(given));
            match is_due {
                true => Ok(()),
                false => Err("wrong_quantity"),
            }
        }
        None => Ok(()),
    }
}

fn price_fits(
    terms: &Terms,
    uri: &str,
    asked: &Intent,
    given: &Commitment,
) -> Result<(), &'static str> {
    let (unit, due) = amount_of(asked);
    if base_of(&given.satisfies) != (uri, "reciprocal") {
        return Err("wrong_quantity");
    }
    if given.unit != unit || (is_time(terms) && unit != "hour") {
        return Err("wrong_unit");
    }
    let currency = asked.conforms_to.as_deref().and_then(unit_of);
    let is_counted = is_time(terms) || due.is_some() || currency.is_some();
    match given.value {
        // What is given in return may be left open only where nothing was named.
        None if is_counted => Err("wrong_quantity"),
        None => Ok(()),
        Some(value) if value.is_zero() => Err("wrong_quantity"),
        Some(value) => {
            let digits = match (is_time(terms), &currency) {
                (true, _) => 2,
                (false, Some(currency)) => scale(currency),
                (false, None) => 4,
            };
            match value.fits_scale(digits) {
                true => Ok(()),
                false => Err("wrong_quantity"),
            }
        }
    }
}

/// A reason of refusal in words (R30).
pub fn words(reason: &str) -> &'static str {
    match reason {
        "not_active" => "It is not offered any more.",
        "wrong_unit" => "The unit is not the one that was declared.",
        "wrong_quantity" => "The amounts are not those that were declared.",
        "over_stock" => "There is not so much of it.",
        "expired" => "The time for it is over.",
        "own_listing" => "Nobody makes an exchange with himself.",
        "not_party" => "You have no part in it.",
        "stale" => "Something newer was said already.",
        "withdrawn" => "It was withdrawn.",
        "already_accepted" => "It was accepted already.",
        "superseded" => "Another offer for the same stands.",
        "forged" => "It is not what was signed.",
        "other_terms" => "Only on other terms.",
        "too_often" => "That was too often for now.",
        _ => "No, thank you.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "https://hub.example/ap/listings/1";

    fn intent(unit: &str, value: Option<&str>, conforms_to: Option<&str>) -> Intent {
        Intent {
            action: "transfer".to_owned(),
            conforms_to: conforms_to.map(str::to_owned),
            quantity: Some(Quantity {
                unit: unit.to_owned(),
                value: value.map(|value| value.parse().unwrap()),
            }),
            available: None,
            minimum: None,
        }
    }

    fn terms(unit_based: Option<bool>) -> Terms {
        Terms {
            purpose: Purpose::Offer,
            unit_based,
            primary: intent("hour", Some("1"), None),
            reciprocal: Some(intent(
                "one",
                Some("30.00"),
                Some("https://www.wikidata.org/wiki/Q4916"),
            )),
        }
    }

    fn bargain(value: &str, price: Option<&str>) -> Bargain {
        let amount = |text: &str| text.parse().ok();
        Bargain {
            primary: Commitment {
                satisfies: format!("{URI}#primary"),
                unit: "hour".to_owned(),
                value: amount(value),
            },
            reciprocal: price.map(|price| Commitment {
                satisfies: format!("{URI}/proposal#reciprocal"),
                unit: "one".to_owned(),
                value: amount(price),
            }),
        }
    }

    #[test]
    fn what_was_declared_is_answered_by_as_much() {
        let fixed = terms(Some(false));
        for (value, price, expected) in [
            ("1", Some("30"), Ok(())),
            ("1.00", Some("30.0"), Ok(())),
            ("2", Some("60"), Err("wrong_quantity")),
            ("1", Some("29.99"), Err("wrong_quantity")),
            ("1", Some("30.001"), Err("wrong_quantity")),
            ("0", Some("30"), Err("wrong_quantity")),
            ("1", None, Err("wrong_quantity")),
        ] {
            let found = fits(&fixed, URI, &bargain(value, price), false);
            assert_eq!(found, expected, "{value} {price:?}");
        }
        // What the owner named himself is fine, but neither nothing nor more digits than there are.
        assert_eq!(fits(&fixed, URI, &bargain("1", Some("25")), true), Ok(()));
        assert!(fits(&fixed, URI, &bargain("1", Some("25.001")), true).is_err());
    }

    #[test]
    fn by_the_unit_it_is_so_many_times_as_much() {
        let hourly = terms(Some(true));
        assert_eq!(fits(&hourly, URI, &bargain("3", Some("90")), false), Ok(()));
        for (value, price) in [("1.5", "45"), ("3", "89"), ("3", "30")] {
            let found = fits(&hourly, URI, &bargain(value, Some(price)), false);
            assert_eq!(found, Err("wrong_quantity"), "{value} {price}");
        }
        let usual = usual(&hourly, URI, "4".parse().ok(), None).unwrap();
        assert!(usual.is(&bargain("4", Some("120"))));
    }

    #[test]
    fn units_stock_and_other_intents() {
        let mut free = terms(None);
        assert_eq!(
            fits(&free, URI, &bargain("7.25", Some("11.50")), false),
            Ok(())
        );
        free.primary.available = "2".parse().ok();
        assert_eq!(
            fits(&free, URI, &bargain("3", Some("1")), false),
            Err("over_stock")
        );
        let mut other = bargain("1", Some("1"));
        other.primary.unit = "kilogram".to_owned();
        assert_eq!(fits(&free, URI, &other, false), Err("wrong_unit"));
        let mut other = bargain("1", Some("1"));
        other.primary.satisfies = format!("{URI}#reciprocal");
        assert!(fits(&free, URI, &other, false).is_err());
        assert!(
            fits(
                &free,
                "https://hub.example/ap/listings/2",
                &bargain("1", Some("1")),
                false
            )
            .is_err()
        );
    }

    #[test]
    fn what_is_no_amount_is_no_commitment() {
        for value in [
            json!(1),
            json!("-1"),
            json!("1e3"),
            json!("1.00001"),
            json!(""),
        ] {
            let agreement = json!({ "stipulates": { "type": "Commitment", "satisfies": "x#primary",
                "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": value } } });
            assert!(Bargain::read(&agreement).is_err(), "{value}");
        }
    }
}
