//! A listing as it is said to other servers (CONTRACT section 5). Pure.

use serde_json::{Map, Value, json};

use super::Listing;
use crate::base::amount::scale;
use crate::base::text;
use crate::domains::social::posts::text::tag_url;
use crate::fed::actors::{Local, time};
use crate::fed::vocab::PUBLIC;

/// How many images come first (Mastodon shows no more).
const IMAGES: usize = 4;

/// Titles that all readers show.
const LONGEST_TITLE: usize = 200;

const ACTIVITY_JSON: &str =
    "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"";

/// A listing as an object, without its context.
pub fn object(it: &Listing, author: &Local, base: &str) -> Result<Value, &'static str> {
    let uri = it.federated_ap_id.as_deref().ok_or("no_id")?;
    let mut told = common(it, author, base)?;
    let mut say = |name: &str, value: Value| told.insert(name.to_owned(), value);
    say("type", json!("Note"));
    say("id", json!(uri));
    say("sensitive", json!(false));
    let mut attachments: Vec<Value> = it.photos.iter().filter_map(photo).take(IMAGES).collect();
    attachments.push(json!({
        "type": "Link", "name": "Offer details (FEP-0837)", "mediaType": ACTIVITY_JSON, "href": format!("{uri}/proposal"),
        "rel": ["payment", "https://w3id.org/valueflows/ont/vf#Proposal"],
    }));
    say("attachment", Value::Array(attachments));
    for (name, value) in it.terms()?.to_wire(uri) {
        say(&name, value);
    }
    for part in ["replies", "likes", "shares"] {
        say(part, json!(format!("{uri}/{part}")));
    }
    Ok(Value::Object(told))
}

/// The same as a proposal and nothing else, for readers that drop what a note does not have.
pub fn proposal(it: &Listing, author: &Local, base: &str) -> Result<Value, &'static str> {
    let uri = format!("{}/proposal", it.federated_ap_id.as_deref().ok_or("no_id")?);
    let mut told = common(it, author, base)?;
    told.insert("type".to_owned(), json!("Proposal"));
    told.insert("id".to_owned(), json!(uri));
    told.extend(it.terms()?.to_wire(&uri));
    Ok(Value::Object(told))
}

/// To whom it is said.
pub fn audience(it: &Listing, author: &Local) -> (Vec<String>, Vec<String>) {
    let (public, followers) = (PUBLIC.to_owned(), author.followers());
    match it.visibility.as_deref() {
        Some("followers") => (vec![followers], Vec::new()),
        Some("unlisted") => (vec![followers], vec![public]),
        // What is not shown any more is said to whoever saw it, without a word more than that.
        _ => (vec![public], vec![followers]),
    }
}

fn common(it: &Listing, author: &Local, base: &str) -> Result<Map<String, Value>, &'static str> {
    let mut told = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    };
    let content = content(it)?;
    let (to, cc) = audience(it, author);
    say("attributedTo", json!(author.uri));
    say("url", json!(it.url));
    say("name", json!(title(it)));
    say("content", json!(content));
    if let Some(language) = it.language.as_deref().filter(|tag| text::is_language(tag)) {
        say("contentMap", json!({ language: content }));
    }
    if let Some(description) = described(it) {
        say(
            "source",
            json!({ "content": description, "mediaType": "text/markdown" }),
        );
    }
    say("published", json!(time(it.published_at)));
    say("updated", json!(time(it.as_of())));
    say("to", json!(to));
    if !cc.is_empty() {
        say("cc", json!(cc));
    }
    let tags = tags(it, base);
    if !tags.is_empty() {
        say("tag", Value::Array(tags));
    }
    say("location", place(it));
    say("mo:kind", json!("mo:Listing"));
    say("mo:listingType", json!(it.listing_type));
    say("mo:priceType", json!(it.price_kind()));
    if let Some((price, currency)) = priced(it)? {
        say("mo:price", json!(price));
        say("mo:currency", json!(currency));
    }
    say(
        "mo:status",
        json!(if it.status == "paused" {
            "withdrawn"
        } else {
            &it.status
        }),
    );
    say("mo:condition", json!(it.condition));
    say("mo:category", json!(it.category));
    if !it.fulfilment.is_empty() {
        say("mo:fulfilment", json!(it.fulfilment));
    }
    say("mo:license", json!(it.license));
    say("mo:format", json!(it.format));
    say("mo:schemaURI", json!(it.schema_uri));
    say("mo:expires", json!(it.expires_at.map(time)));
    say("mo:community", json!(it.community));
    say("mo:version", json!(it.version));
    Ok(told)
}

/// The price with all its digits, and its currency; none of what is free.
fn priced(it: &Listing) -> Result<Option<(String, String)>, &'static str> {
    let kind = it.price_kind();
    let Some(price) = it.price_amount.as_deref().filter(|_| kind != "free") else {
        return Ok(None);
    };
    let currency = match kind {
        "time_credit" => "TIME",
        _ => it.price_currency.as_deref().unwrap_or("USD"),
    };
    let price: crate::base::Amount = price.parse().map_err(|_| "wrong_quantity")?;
    Ok(Some((
        price.to_scale(scale(currency) as usize),
        currency.to_owned(),
    )))
}

fn title(it: &Listing) -> String {
    it.title.trim().chars().take(LONGEST_TITLE).collect()
}

fn described(it: &Listing) -> Option<&str> {
    it.description
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn content(it: &Listing) -> Result<String, &'static str> {
    let priced = priced(it)?.map(|(price, currency)| match it.price_kind() {
        "time_credit" => format!(
            "{} hours",
            price.trim_end_matches('0').trim_end_matches('.')
        ),
        "hourly" => format!("{price} {currency} per hour"),
        "negotiable" => format!("{price} {currency}, negotiable"),
        _ => format!("{price} {currency}"),
    });
    let line = [
        Some("Offer".to_owned()),
        priced.or_else(|| {
            Some(
                if it.price_kind() == "free" {
                    "free"
                } else {
                    "negotiable"
                }
                .to_owned(),
            )
        }),
        it.place_name
            .clone()
            .or_else(|| it.location_pref.clone())
            .filter(|place| !place.trim().is_empty()),
        Some(
            match it.status.as_str() {
                "active" => "available",
                "paused" => "withdrawn",
                other => other,
            }
            .to_owned(),
        ),
    ];
    let line: Vec<String> = line.into_iter().flatten().collect();
    let tags: Vec<String> = names(it).map(|tag| format!("#{tag}")).collect();
    let tags = if tags.is_empty() {
        String::new()
    } else {
        format!("<p>{}</p>", text::escaped(&tags.join(" ")))
    };
    Ok(format!(
        "<p><strong>{}</strong><br>{}</p>{}{tags}",
        text::escaped(&title(it)),
        text::escaped(&line.join(" · ")),
        described(it).map(text::html).unwrap_or_default().trim_end(),
    ))
}

fn names(it: &Listing) -> impl Iterator<Item = String> {
    let tags = it.tags.iter().flatten().map(|tag| {
        tag.trim()
            .trim_start_matches('#')
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '_')
            .take(100)
            .collect::<String>()
    });
    tags.filter(|tag| !tag.is_empty()).take(50)
}

fn tags(it: &Listing, base: &str) -> Vec<Value> {
    names(it)
        .map(|tag| json!({ "type": "Hashtag", "name": format!("#{tag}"), "href": tag_url(base, &tag) }))
        .collect()
}

/// Only here may a number be broken (R7).
fn place(it: &Listing) -> Value {
    let name = it
        .place_name
        .as_deref()
        .or(it.location_pref.as_deref())
        .filter(|name| !name.trim().is_empty());
    if name.is_none() && it.latitude.is_none() {
        return Value::Null;
    }
    let mut place = Map::new();
    let mut say = |key: &str, value: Value| place.insert(key.to_owned(), value);
    say("type", json!("Place"));
    if let Some(name) = name {
        say("name", json!(name));
    }
    if let (Some(latitude), Some(longitude)) = (it.latitude, it.longitude) {
        say("latitude", json!(latitude));
        say("longitude", json!(longitude));
        if let Some(radius) = it.place_radius_m {
            say("radius", json!(radius));
            say("units", json!("m"));
        }
    }
    Value::Object(place)
}

fn photo(one: &Value) -> Option<Value> {
    let said = |name: &str| {
        one.get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let url =
        said("url").filter(|url| url.starts_with("https://") || url.starts_with("http://"))?;
    let mut image = Map::new();
    let mut say = |key: &str, value: Value| image.insert(key.to_owned(), value);
    say("type", json!("Image"));
    say(
        "mediaType",
        json!(
            said("media_type")
                .or_else(|| said("mediaType"))
                .unwrap_or("image/jpeg")
        ),
    );
    say("url", json!(url));
    if let Some(name) = said("name") {
        say("name", json!(name));
    }
    for size in ["width", "height"] {
        if let Some(pixels) = one.get(size).and_then(Value::as_u64) {
            say(size, json!(pixels));
        }
    }
    if let Some(blurhash) = said("blurhash") {
        say("blurhash", json!(blurhash));
    }
    Some(Value::Object(image))
}
