//! A declaration as it is said to other servers, and theirs as the row it becomes (CONTRACT section 6). Pure.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Declaration;
use crate::base::amount::scale;
use crate::base::text;
use crate::domains::market::terms::{ANY_RECIPROCITY, Purpose, TIME_CREDIT, Terms, unit_of};
use crate::domains::social::posts::read::addressed;
use crate::domains::social::posts::text::tag_url;
use crate::fed::actors::{Local, time};
use crate::fed::vocab::{self, PUBLIC};

/// Longest texts that are kept, in bytes.
const LONGEST: usize = 100_000;
const LONGEST_URI: usize = 2_000;

/// A declaration as an object, without its context.
pub fn object(it: &Declaration, author: &Local, base: &str) -> Result<Value, &'static str> {
    let uri = it.federated_ap_id.as_deref().ok_or("no_id")?;
    let terms = it.terms()?;
    let mut told = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    };
    let content = content(it, &terms);
    say("type", json!("Note"));
    say("id", json!(uri));
    say("attributedTo", json!(author.uri));
    say("url", json!(it.url));
    say("name", json!(titled(it)));
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
    say("to", json!([PUBLIC]));
    say("cc", json!([author.followers()]));
    say("sensitive", json!(false));
    let tags: Vec<Value> = hashtags(it)
        .iter()
        .map(|tag| json!({ "type": "Hashtag", "name": format!("#{tag}"), "href": tag_url(base, tag) }))
        .collect();
    if !tags.is_empty() {
        say("tag", Value::Array(tags));
    }
    if let Some(place) = it
        .location_pref
        .as_deref()
        .filter(|place| !place.is_empty())
    {
        say("location", json!({ "type": "Place", "name": place }));
    }
    for (name, value) in terms.to_wire(uri) {
        say(&name, value);
    }
    for part in ["replies", "likes", "shares"] {
        say(part, json!(format!("{uri}/{part}")));
    }
    say("mo:kind", json!("mo:Declaration"));
    say("mo:declarationType", json!(it.decl_type));
    say("mo:exchangeMode", json!(mode(it)));
    say("mo:status", json!(status(&it.status)));
    say("mo:category", json!(it.category));
    if !it.skills.is_empty() {
        say("mo:skills", json!(it.skills));
    }
    say("mo:availability", json!(it.availability));
    say("mo:expires", json!(it.expires_at.map(time)));
    say("mo:community", json!(it.community));
    say("mo:version", json!(it.version));
    Ok(Value::Object(told))
}

/// Its tags and skills as hashtags, each once.
fn hashtags(it: &Declaration) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for tag in it.tags.iter().chain(&it.skills) {
        let tag: String = tag
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '_')
            .take(100)
            .collect();
        let is_new = !all
            .iter()
            .any(|known| known.to_lowercase() == tag.to_lowercase());
        if !tag.is_empty() && is_new {
            all.push(tag);
        }
    }
    all
}

/// How it is exchanged.
pub fn mode(it: &Declaration) -> &str {
    it.exchange_type.as_deref().unwrap_or("gift")
}

fn status(own: &str) -> &str {
    match own {
        "active" => "open",
        other => other,
    }
}

fn described(it: &Declaration) -> Option<&str> {
    it.description
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn kind_word(it: &Declaration) -> &'static str {
    match it.decl_type.as_str() {
        "need" => "Need",
        "willing_to_do" => "Willing to do",
        _ => "Offer",
    }
}

/// Titles say what kind of thing it is, since few readers show more.
fn titled(it: &Declaration) -> String {
    let title: String = it.title.trim().chars().take(180).collect();
    match it.decl_type.as_str() {
        "need" if !title.to_lowercase().starts_with("need") => format!("Need: {title}"),
        "willing_to_do" if !title.to_lowercase().starts_with("willing") => {
            format!("Willing to do: {title}")
        }
        _ => title,
    }
}

fn content(it: &Declaration, terms: &Terms) -> String {
    let mut line = vec![kind_word(it).to_owned(), mode(it).replace('_', " ")];
    if let Some(quantity) = &terms.primary.quantity
        && let Some(value) = quantity.value
    {
        let unit = match quantity.unit.as_str() {
            "one" => String::new(),
            unit if value == crate::base::amount::Amount::whole(1) => format!(" {unit}"),
            unit => format!(" {unit}s"),
        };
        line.push(format!("{value}{unit}"));
    }
    if let (Some(price), "monetary") = (&terms.reciprocal, mode(it))
        && let Some(value) = price.quantity.as_ref().and_then(|price| price.value)
    {
        let currency = it.price_currency.as_deref().unwrap_or("EUR");
        line.push(format!(
            "{} {currency}",
            value.to_scale(scale(currency) as usize)
        ));
    }
    line.extend(it.location_pref.clone().filter(|place| !place.is_empty()));
    line.push(status(&it.status).to_owned());
    let description = described(it).map(text::html).unwrap_or_default();
    format!(
        "<p><strong>{}</strong><br>{}</p>{description}",
        text::escaped(&titled(it)),
        text::escaped(&line.join(" · ")),
    )
}

/// A declaration of another server as `hub.take_declaration` takes it, but for who says so.
pub fn read(object: &Value, now: DateTime<Utc>) -> Result<Value, &'static str> {
    let uri = vocab::id(object).ok_or("no_id")?;
    if uri.len() > LONGEST_URI {
        return Err("id_too_long");
    }
    let said = |name: &str| {
        object
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let word = |name: &str| said(name).map(text::name).filter(|text| !text.is_empty());
    let date = |name: &str| {
        let date = DateTime::parse_from_rfc3339(said(name)?).ok()?;
        let date = date.with_timezone(&Utc);
        (date.timestamp() > 0 && date.timestamp() < 4_102_444_800).then_some(date)
    };
    let terms = Terms::read(object)?;
    let addressed = addressed(object);
    if !matches!(addressed.visibility, "public" | "unlisted") {
        return Err("not_public");
    }
    let html = text::clean(said("content").unwrap_or_default());
    if html.len() > LONGEST {
        return Err("too_long");
    }
    let title = word("name").ok_or("empty")?;
    let decl_type = match (said("mo:declarationType"), &terms.purpose) {
        (Some("willing_to_do"), Purpose::Offer) => "willing_to_do",
        (_, Purpose::Offer) => "offer",
        (_, Purpose::Request) => "need",
    };
    let currency = terms
        .reciprocal
        .as_ref()
        .and_then(|asked| asked.conforms_to.as_deref());
    let mode = match currency {
        None if terms.reciprocal.is_none() => "gift",
        Some(TIME_CREDIT) => "time_banking",
        Some(ANY_RECIPROCITY) | None => "reciprocal",
        Some(_) => "monetary",
    };
    let status = match said("mo:status") {
        None | Some("open" | "active") => "active",
        Some(known @ ("matched" | "fulfilled" | "withdrawn" | "expired")) => known,
        Some(_) => "withdrawn",
    };
    let list = |name: &str| -> Vec<String> {
        vocab::strings(object.get(name).unwrap_or(&Value::Null))
            .into_iter()
            .take(50)
            .map(|one| text::name(one).chars().take(100).collect())
            .filter(|one: &String| !one.is_empty())
            .collect()
    };
    let tags: Vec<String> = vocab::many(object.get("tag").unwrap_or(&Value::Null))
        .iter()
        .take(50)
        .filter(|tag| vocab::kind(tag) == Some("Hashtag"))
        .filter_map(|tag| tag.get("name").and_then(Value::as_str))
        .map(|tag| {
            text::name(tag.trim_start_matches('#'))
                .chars()
                .take(100)
                .collect()
        })
        .collect();
    let quantity = terms.primary.quantity.as_ref();
    let price = terms
        .reciprocal
        .as_ref()
        .and_then(|asked| asked.quantity.as_ref());
    let published = date("published")
        .unwrap_or(now)
        .min(now + chrono::TimeDelta::minutes(5));
    let updated = date("updated").unwrap_or(published).max(published);
    let description = said("source")
        .map(str::to_owned)
        .or_else(|| {
            let source = object.get("source")?;
            let is_markdown = source.get("mediaType")?.as_str()? == "text/markdown";
            is_markdown.then(|| source.get("content")?.as_str().map(str::to_owned))?
        })
        .unwrap_or_else(|| text::plain(&html));
    Ok(json!({
        "federated_ap_id": uri,
        "decl_type": decl_type,
        "category": word("mo:category"),
        "title": title,
        "description": text::excerpt(&description, 50_000),
        "content_html": html,
        "exchange_type": mode,
        "location_pref": object.get("location").and_then(|place| vocab::many(place).first()?.get("name")?.as_str()).map(text::name),
        "status": status,
        "expires_at": date("mo:expires").or_else(|| date("endTime")),
        "skills": list("mo:skills"),
        "tags": tags,
        "availability": word("mo:availability"),
        "quantity": quantity.and_then(|quantity| quantity.value).filter(|value| !value.is_zero()).map(|value| value.to_string()),
        "unit": quantity.map(|quantity| quantity.unit.clone()).filter(|unit| is_unit(unit)),
        "price_amount": price.and_then(|price| price.value).map(|value| value.to_string()),
        "price_currency": match mode {
            "time_banking" => Some("TIME".to_owned()),
            "monetary" => currency.and_then(unit_of),
            _ => None,
        },
        "language": object.get("contentMap").and_then(Value::as_object).and_then(|map| map.keys().next()).filter(|tag| text::is_language(tag)),
        "url": vocab::many(object.get("url").unwrap_or(&Value::Null)).iter().filter_map(vocab::id)
            .find(|url| url.starts_with("http") && url.len() <= LONGEST_URI),
        "published_at": published,
        "version": object.get("mo:version").and_then(Value::as_i64).filter(|version| *version > 0)
            .unwrap_or_else(|| updated.timestamp_millis()),
        "audience": addressed.audience,
        "raw": object,
    }))
}

fn is_unit(unit: &str) -> bool {
    unit.len() <= 40
        && unit.starts_with(|c: char| c.is_ascii_alphabetic())
        && unit
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}
