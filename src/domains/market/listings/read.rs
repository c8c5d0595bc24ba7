//! A listing of another server as the row it becomes: a hub's, any proposal of FEP-0837, and the spellings of Flohmarkt and of
//! Bonfire. Pure; whatever a peer sends, there is a row or a word for why not.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::base::amount::Amount;
use crate::base::text;
use crate::domains::market::terms::{Intent, TIME_CREDIT, Terms, unit_of};
use crate::domains::social::posts::read::addressed;
use crate::fed::vocab;

/// Longest texts that are kept, in bytes.
const LONGEST: usize = 100_000;
const LONGEST_URI: usize = 2_000;
const MOST: usize = 50;

/// Prices that fit the column; dearer or finer ones stand in the terms alone.
const DEAREST: Amount = Amount::whole(9_999_999_999);

/// A listing as `hub.take_listing` takes it, but for who says so.
pub fn listing(object: &Value, now: DateTime<Utc>) -> Result<Value, &'static str> {
    let uri = vocab::id(object)
        .filter(|uri| uri.len() <= LONGEST_URI)
        .ok_or("no_id")?;
    let said = Said(object);
    let addressed = addressed(object);
    if addressed.visibility == "direct" {
        return Err("not_public");
    }
    let terms = terms(object)?;
    let html = text::clean(
        said.text("content")
            .or_else(|| said.text("summary"))
            .unwrap_or_default(),
    );
    if html.len() > LONGEST {
        return Err("too_long");
    }
    let flohmarkt = object.get("flohmarkt:data").filter(|data| data.is_object());
    let title = said
        .word("name")
        .or_else(|| flohmarkt.and_then(|data| Said(data).word("name")))
        .or_else(|| Some(text::excerpt(&text::plain(&html), 100)).filter(|title| !title.is_empty()))
        .ok_or("empty")?;
    let description = said
        .markdown()
        .or_else(|| flohmarkt.and_then(|data| Said(data).text("description").map(str::to_owned)));
    let price = match (&terms, flohmarkt) {
        (Some(terms), _) => price(terms, &said)?,
        (None, Some(data)) => free_text_price(Said(data).text("price").unwrap_or_default()),
        (None, None) => Price::default(),
    };
    let primary = terms.as_ref().map(|terms| &terms.primary);
    let left = primary
        .and_then(|primary| {
            primary
                .available
                .or_else(|| primary.quantity.as_ref()?.value)
        })
        .filter(|left| !left.is_zero());
    let published = said
        .date("published")
        .unwrap_or(now)
        .min(now + chrono::TimeDelta::minutes(5));
    let updated = said.date("updated").unwrap_or(published).max(published);
    let place = object
        .get("location")
        .and_then(|place| vocab::many(place).first());
    let at = |name: &str, bound: f64| {
        place?
            .get(name)?
            .as_f64()
            .filter(|number| number.abs() <= bound)
    };
    let (latitude, longitude) = match (at("latitude", 90.0), at("longitude", 180.0)) {
        (Some(latitude), Some(longitude)) => (Some(latitude), Some(longitude)),
        _ => (None, None),
    };
    Ok(json!({
        "federated_ap_id": uri,
        "listing_type": said.one_of("mo:listingType", &["data_product", "service", "physical", "digital"])
            .unwrap_or(if primary.is_some_and(|primary| primary.action == "deliverService") { "service" } else { "physical" }),
        "title": title,
        "description": text::excerpt(&description.unwrap_or_else(|| text::plain(&html)), 50_000),
        "content_html": html,
        "price_amount": price.amount.map(|amount| amount.to_string()),
        "price_currency": price.currency,
        "price_type": price.kind,
        "tags": said.tags(),
        "location_pref": place.and_then(|place| Said(place).word("name")),
        "place_name": place.and_then(|place| Said(place).word("name")),
        "latitude": latitude,
        "longitude": longitude,
        "place_radius_m": at("radius", 20_000_000.0).filter(|radius| *radius >= 0.0).map(|radius| radius as i64),
        "visibility": addressed.visibility,
        "status": match said.text("mo:status") {
            None => "active",
            Some(known @ ("active" | "reserved" | "sold" | "expired" | "withdrawn")) => known,
            // What we do not understand is not for sale.
            Some(_) => "withdrawn",
        },
        "expires_at": said.date("mo:expires").or_else(|| said.date("endTime")),
        "category": said.word("mo:category"),
        "language": object.get("contentMap").and_then(Value::as_object).and_then(|map| map.keys().next())
            .filter(|tag| (2..=35).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')),
        "photos": said.photos(),
        "condition": said.one_of("mo:condition", &["new", "like_new", "used", "refurbished", "for_parts"]),
        "fulfilment": said.words("mo:fulfilment"),
        "quantity": left.unwrap_or(Amount::whole(1)).to_string(),
        "minimum": primary.and_then(|primary| primary.minimum).filter(|least| !least.is_zero()).unwrap_or(Amount::whole(1)).to_string(),
        "resource_uri": primary.and_then(|primary| primary.conforms_to.as_deref()),
        "license": said.word("mo:license"),
        "format": said.word("mo:format"),
        "schema_uri": said.text("mo:schemaURI").filter(|uri| uri.starts_with("http") && uri.len() <= LONGEST_URI),
        "url": vocab::many(object.get("url").unwrap_or(&Value::Null)).iter().filter_map(vocab::id)
            .find(|url| url.starts_with("http") && url.len() <= LONGEST_URI),
        "published_at": published,
        "version": object.get("mo:version").and_then(Value::as_i64).filter(|version| *version > 0)
            .unwrap_or_else(|| updated.timestamp_millis()),
        "audience": addressed.audience,
        "raw": object,
    }))
}

/// The terms, where they are said in words that can be answered. Who speaks the common language has to speak it well.
fn terms(object: &Value) -> Result<Option<Terms>, &'static str> {
    let is_of_others = vocab::kind(object).is_some_and(|kind| kind.starts_with("ValueFlows:"))
        || object.get("flohmarkt:data").is_some();
    match Terms::read(object) {
        Ok(terms) => Ok(Some(terms)),
        Err(_) if is_of_others => Ok(None),
        Err(reason) => Err(reason),
    }
}

#[derive(Default)]
struct Price {
    kind: Option<&'static str>,
    amount: Option<Amount>,
    currency: Option<String>,
}

fn price(terms: &Terms, said: &Said<'_>) -> Result<Price, &'static str> {
    let asked = said
        .text("mo:price")
        .map(str::parse::<Amount>)
        .transpose()
        .map_err(|_| "wrong_price")?;
    let Some(reciprocal) = &terms.reciprocal else {
        return Ok(Price {
            kind: Some("free"),
            ..Price::default()
        });
    };
    let value = value_of(reciprocal).or(asked);
    let unit = reciprocal.conforms_to.as_deref().and_then(unit_of);
    let is_hourly = terms
        .primary
        .quantity
        .as_ref()
        .is_some_and(|quantity| quantity.unit == "hour")
        && terms.unit_based == Some(true);
    let kind = match reciprocal.conforms_to.as_deref() {
        Some(TIME_CREDIT) => "time_credit",
        _ if value_of(reciprocal).is_none() => "negotiable",
        _ if is_hourly => "hourly",
        _ => "fixed",
    };
    Ok(Price {
        kind: Some(kind),
        amount: value.filter(|value| *value <= DEAREST && value.fits_scale(2)),
        currency: unit.or_else(|| {
            let code = said.text("mo:currency")?;
            ((3..=12).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase()))
                .then(|| code.to_owned())
        }),
    })
}

fn value_of(intent: &Intent) -> Option<Amount> {
    intent.quantity.as_ref()?.value
}

/// A price as people write it, such as "30.00 EUR" or "30,50 €".
fn free_text_price(text: &str) -> Price {
    let number: String = text
        .chars()
        .filter(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
        .collect();
    let amount: Option<Amount> = number.replace(',', ".").parse().ok();
    let currency = match text {
        _ if text.contains('€') => Some("EUR"),
        _ if text.contains('$') => Some("USD"),
        _ if text.contains('£') => Some("GBP"),
        _ => text
            .split_whitespace()
            .find(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase())),
    };
    match (
        amount.filter(|amount| *amount <= DEAREST && amount.fits_scale(2)),
        currency,
    ) {
        (Some(amount), Some(currency)) => Price {
            kind: Some("fixed"),
            amount: Some(amount),
            currency: Some(currency.to_owned()),
        },
        _ => Price {
            kind: Some("negotiable"),
            ..Price::default()
        },
    }
}

/// What an object says, by name.
struct Said<'o>(&'o Value);

impl<'o> Said<'o> {
    fn text(&self, name: &str) -> Option<&'o str> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    fn word(&self, name: &str) -> Option<String> {
        self.text(name)
            .map(text::name)
            .filter(|text| !text.is_empty())
    }

    fn one_of(&self, name: &str, known: &[&'static str]) -> Option<&'static str> {
        let said = self.text(name)?;
        known.iter().find(|word| **word == said).copied()
    }

    fn date(&self, name: &str) -> Option<DateTime<Utc>> {
        let date = DateTime::parse_from_rfc3339(self.text(name)?)
            .ok()?
            .with_timezone(&Utc);
        (date.timestamp() > 0 && date.timestamp() < 4_102_444_800).then_some(date)
    }

    fn words(&self, name: &str) -> Vec<String> {
        let list = vocab::strings(self.0.get(name).unwrap_or(&Value::Null));
        list.into_iter()
            .take(MOST)
            .map(text::name)
            .filter(|word| !word.is_empty())
            .collect()
    }

    /// The text as it was written.
    fn markdown(&self) -> Option<String> {
        let source = Said(self.0.get("source")?);
        (source.text("mediaType")? == "text/markdown")
            .then(|| source.text("content").map(str::to_owned))?
    }

    fn tags(&self) -> Vec<String> {
        let tags = vocab::many(self.0.get("tag").unwrap_or(&Value::Null))
            .iter()
            .take(MOST);
        tags.filter(|tag| vocab::kind(tag) == Some("Hashtag"))
            .filter_map(|tag| Said(tag).text("name"))
            .map(|tag| text::name(tag.trim_start_matches('#')))
            .filter(|tag| !tag.is_empty())
            .collect()
    }

    fn photos(&self) -> Vec<Value> {
        let all = ["attachment", "image"]
            .into_iter()
            .flat_map(|name| vocab::many(self.0.get(name).unwrap_or(&Value::Null)));
        let images = all.filter(|one| {
            let is_image = Said(one)
                .text("mediaType")
                .is_some_and(|kind| kind.starts_with("image/"));
            is_image || vocab::kind(one) == Some("Image")
        });
        images
            .filter_map(|one| {
                let url = one.get("url").and_then(|url| vocab::many(url).first()).and_then(vocab::id)?;
                let said = Said(one);
                (url.starts_with("http") && url.len() <= LONGEST_URI).then(|| {
                    json!({ "url": url, "media_type": said.text("mediaType"), "name": said.word("name"),
                        "width": one.get("width").and_then(Value::as_u64), "height": one.get("height").and_then(Value::as_u64),
                        "blurhash": said.text("blurhash").filter(|hash| hash.len() <= 200) })
                })
            })
            .take(MOST)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    fn note(more: Value) -> Value {
        let mut note = json!({ "id": "https://x.example/1", "type": "Note", "attributedTo": "https://x.example/u", "name": "Bike",
            "content": "<p>Bike</p>", "to": [vocab::PUBLIC], "published": "2026-11-20T12:00:00Z" });
        note.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        note
    }

    fn read(more: Value) -> Result<Value, &'static str> {
        listing(&note(more), clock::now())
    }

    fn terms(reciprocal: Value) -> Value {
        json!({ "purpose": "offer", "unitBased": false, "reciprocal": reciprocal,
            "publishes": { "type": "Intent", "action": "transfer", "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "1" } } })
    }

    #[test]
    fn a_price_is_read_from_the_terms() {
        let euro = json!({ "action": "transfer", "resourceConformsTo": "https://www.wikidata.org/wiki/Q4916",
            "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "30.00" } });
        let row = read(terms(euro)).unwrap();
        assert_eq!(
            (
                row["price_type"].as_str(),
                row["price_amount"].as_str(),
                row["price_currency"].as_str()
            ),
            (Some("fixed"), Some("30"), Some("EUR"))
        );
        assert_eq!(row["listing_type"], "physical");
        let free = read(terms(Value::Null)).unwrap();
        assert_eq!(
            (free["price_type"].as_str(), free["price_amount"].as_str()),
            (Some("free"), None)
        );
    }

    #[test]
    fn what_others_write_is_a_listing() {
        let flea = read(json!({ "flohmarkt:data": { "price": "30,50 €", "name": "Old bike", "description": "Rust" } })).unwrap();
        assert_eq!(
            (
                flea["price_amount"].as_str(),
                flea["price_currency"].as_str()
            ),
            (Some("30.5"), Some("EUR"))
        );
        let bonfire = read(json!({ "type": "ValueFlows:Proposal", "publishes": [{ "type": "ValueFlows:Intent",
            "action": "https://w3id.org/valueflows#transfer", "resourceQuantity": { "hasUnit": "om2:one", "hasNumericalValue": 1.5 } }] }))
        .unwrap();
        assert_eq!(bonfire["price_type"], Value::Null);
    }

    #[test]
    fn s_41_what_is_refused() {
        let wrong = |value: Value| json!({ "resourceConformsTo": "https://www.wikidata.org/wiki/Q4916", "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": value } });
        for value in [json!("-30"), json!("1e9"), json!(30.5), json!("30.00001")] {
            assert_eq!(read(terms(wrong(value))), Err("wrong_quantity"));
        }
        let mut priced = terms(wrong(json!("1")));
        priced["mo:price"] = json!("-1");
        assert_eq!(read(priced), Err("wrong_price"));
        let mut direct = terms(Value::Null);
        direct["to"] = json!(["https://hub.example/ap/actors/1"]);
        assert_eq!(read(direct), Err("not_public"));
        assert_eq!(read(json!({ "purpose": "offer" })), Err("no_intent"));
    }
}
