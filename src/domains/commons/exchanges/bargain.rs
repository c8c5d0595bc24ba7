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
mod tests;
