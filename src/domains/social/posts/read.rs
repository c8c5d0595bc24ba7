//! An object of another server as the row it becomes. Pure; whatever a peer sends, there is a row or a reason why not.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::base::text;
use crate::fed::vocab::{self, is_public};

/// Longest texts that are kept, in bytes.
const LONGEST: usize = 500_000;
/// Longest addresses.
const LONGEST_URI: usize = 2_000;
/// How many of each list.
const MOST: usize = 50;
/// How many options a poll may have.
const OPTIONS: usize = 100;

/// Whom an object is addressed to, as far as that decides who may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    pub visibility: &'static str,
    /// Everybody it names, public and followers' collections left out.
    pub audience: Vec<String>,
}

/// Who may read an object. It is its author who says so: what its activity says besides counts for nothing.
pub fn addressed(object: &Value) -> Addressed {
    let list = |name: &str| vocab::ids(object.get(name).unwrap_or(&Value::Null));
    let (to, cc) = (list("to"), list("cc"));
    let all = || to.iter().chain(&cc);
    let is_collection = |id: &str| id.ends_with("/followers");
    let visibility = if to.iter().any(|id| is_public(id)) {
        "public"
    } else if cc.iter().any(|id| is_public(id)) {
        "unlisted"
    } else if all().any(|id| is_collection(id)) {
        "followers"
    } else {
        "direct"
    };
    let mut audience: Vec<String> = Vec::new();
    let group = list("audience");
    for id in all().chain(&group) {
        let is_new = !is_public(id)
            && !is_collection(id)
            && id.len() <= LONGEST_URI
            && !audience.iter().any(|known| known == id);
        if is_new && audience.len() < 1000 {
            audience.push((*id).to_owned());
        }
    }
    Addressed {
        visibility,
        audience,
    }
}

/// A post as `hub.take_post` takes it, but for who says so.
pub fn post(object: &Value, now: DateTime<Utc>) -> Result<Value, &'static str> {
    let uri = vocab::id(object).ok_or("no_id")?;
    if uri.len() > LONGEST_URI {
        return Err("id_too_long");
    }
    let kind = vocab::kind(object).ok_or("no_type")?;
    let addressed = addressed(object);
    let html = content(object);
    let plain = text::plain(&html);
    if html.len() > LONGEST {
        return Err("too_long");
    }
    let own_type = match kind {
        "Article" | "Page" | "Document" => "Article",
        "Event" => "Event",
        "Question" => "Question",
        _ => "Note",
    };
    let title = said(object, "name")
        .map(text::name)
        .filter(|title| !title.is_empty());
    let attachments = attachments(object, kind);
    if plain.is_empty() && title.is_none() && attachments.is_empty() {
        return Err("empty");
    }
    let is_warned = own_type == "Note" || own_type == "Question";
    let summary = said(object, "summary").filter(|_| is_warned);
    let published = date(object, "published")
        .unwrap_or(now)
        .min(now + chrono::TimeDelta::minutes(5));
    let updated = date(object, "updated").unwrap_or(published).max(published);
    let version = object
        .get("mo:version")
        .and_then(Value::as_i64)
        .filter(|version| *version > 0);
    Ok(json!({
        "uri": uri,
        "type": own_type,
        "title": title,
        "content": plain,
        "content_html": html,
        "summary": summary.map(|text| text::excerpt(&text::plain(text), 5_000)).filter(|text| !text.is_empty()),
        "language": language(object),
        "sensitive": object.get("sensitive").and_then(Value::as_bool).unwrap_or(false),
        "attachments": attachments,
        "tags": tags(object),
        "visibility": addressed.visibility,
        "audience": addressed.audience,
        "in_reply_to": object.get("inReplyTo").and_then(|to| vocab::many(to).first()).and_then(vocab::id).filter(|uri| uri.len() <= LONGEST_URI),
        "context": address(object, "context").or_else(|| address(object, "conversation")),
        "url": url(object),
        "version": version,
        "by_version": version.is_some(),
        "published": published,
        "updated": updated,
        "poll": poll(object),
        "raw": object,
    }))
}

/// A property that is text.
fn said<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object
        .get(name)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn address<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object
        .get(name)
        .and_then(vocab::id)
        .filter(|uri| uri.len() <= LONGEST_URI)
}

/// What it says, as safe HTML. Of kinds that carry what they are about elsewhere, its summary too.
fn content(object: &Value) -> String {
    let first = object
        .get("contentMap")
        .and_then(Value::as_object)
        .and_then(|map| map.values().find_map(Value::as_str));
    let given = said(object, "content").or(first).unwrap_or_default();
    let is_plain = object.get("mediaType").and_then(Value::as_str) == Some("text/markdown");
    let mut html = if is_plain {
        text::html(given)
    } else {
        text::clean(given)
    };
    let is_warned = matches!(vocab::kind(object), Some("Note" | "Question"));
    if let Some(summary) = said(object, "summary").filter(|_| !is_warned && html.is_empty()) {
        html = text::clean(summary);
    }
    html
}

fn language(object: &Value) -> Option<&str> {
    let map = object
        .get("contentMap")
        .and_then(Value::as_object)
        .and_then(|map| map.keys().next())
        .map(String::as_str);
    let tag = map.or_else(|| said(object, "inLanguage")).or_else(|| {
        object
            .pointer("/language/identifier")
            .and_then(Value::as_str)
    });
    tag.filter(|tag| {
        (2..=35).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

fn date(object: &Value, name: &str) -> Option<DateTime<Utc>> {
    let text = object.get(name)?.as_str()?;
    let date = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    // Dates that no calendar has are none.
    (date.timestamp() > 0 && date.timestamp() < 4_102_444_800).then_some(date)
}

fn url(object: &Value) -> Option<&str> {
    let many = vocab::many(object.get("url").unwrap_or(&Value::Null));
    many.iter().filter_map(vocab::id).find(|url| is_web(url))
}

fn is_web(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://")) && url.len() <= LONGEST_URI
}

fn tags(object: &Value) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in vocab::many(object.get("tag").unwrap_or(&Value::Null))
        .iter()
        .take(200)
    {
        if vocab::kind(tag) != Some("Hashtag") {
            continue;
        }
        let name = said(tag, "name")
            .unwrap_or_default()
            .trim_start_matches('#');
        let name = text::short_name(name, 100);
        if !name.is_empty() && !tags.contains(&name) && tags.len() < MOST {
            tags.push(name);
        }
    }
    tags
}

/// What is attached, and of a picture or a film what it is itself.
fn attachments(object: &Value, kind: &str) -> Vec<Value> {
    let attached = vocab::many(object.get("attachment").unwrap_or(&Value::Null));
    let mut found: Vec<Value> = attached.iter().filter_map(attachment).take(MOST).collect();
    if matches!(kind, "Image" | "Video" | "Audio" | "Document")
        && let Some(url) = url(object)
    {
        found.insert(
            0,
            json!({ "type": kind, "url": url, "mediaType": said(object, "mediaType") }),
        );
    }
    if let Some(image) = object.get("image").and_then(attachment) {
        found.push(image);
    }
    found
}

fn attachment(one: &Value) -> Option<Value> {
    let kind = vocab::kind(one)?;
    let url = url(one).or_else(|| {
        one.get("href")
            .and_then(Value::as_str)
            .filter(|url| is_web(url))
    })?;
    let media_type = said(one, "mediaType").filter(|kind| kind.len() <= 100);
    let is_image = kind == "Image" || media_type.is_some_and(|kind| kind.starts_with("image/"));
    let mut told = json!({ "type": if is_image { "Image" } else { kind }, "url": url });
    if let Some(told) = told.as_object_mut() {
        let name = said(one, "name").or_else(|| said(one, "summary"));
        let name = name.map(|name| text::excerpt(&text::plain(name), 2_000));
        for (key, value) in [
            ("mediaType", json!(media_type)),
            ("name", json!(name)),
            ("width", json!(one.get("width").and_then(Value::as_u64))),
            ("height", json!(one.get("height").and_then(Value::as_u64))),
            (
                "blurhash",
                json!(said(one, "blurhash").filter(|hash| hash.len() <= 200)),
            ),
        ] {
            if !value.is_null() {
                told.insert(key.to_owned(), value);
            }
        }
    }
    Some(told)
}

/// A poll with its counts; none where an option has no name.
fn poll(object: &Value) -> Option<Value> {
    if vocab::kind(object) != Some("Question") {
        return None;
    }
    let (options, multiple) = match (object.get("oneOf"), object.get("anyOf")) {
        (Some(options), _) => (options, false),
        (None, Some(options)) => (options, true),
        (None, None) => return None,
    };
    let options: Vec<Value> = vocab::many(options)
        .iter()
        .take(OPTIONS)
        .filter_map(|option| {
            let name = text::name(said(option, "name")?);
            let votes = option
                .pointer("/replies/totalItems")
                .and_then(Value::as_u64);
            Some(json!({ "name": name, "votes": votes }))
        })
        .collect();
    let closed = date(object, "closed");
    let closes = closed.or_else(|| date(object, "endTime"));
    (!options.is_empty()).then(|| {
        json!({
            "options": options,
            "multiple": multiple,
            "closes_at": closes,
            "closed": closed.is_some() || object.get("closed").and_then(Value::as_bool).unwrap_or(false),
            "voters": object.get("votersCount").and_then(Value::as_u64),
        })
    })
}

#[cfg(test)]
mod tests;
