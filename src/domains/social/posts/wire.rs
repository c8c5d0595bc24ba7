//! A post as it is said to other servers. Pure: what is in it and to whom was decided before.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Post;
use super::audience::Audience;
use super::text::{self, Link, Marked, Piece};
use crate::fed::actors::time;
use crate::fed::vocab::PUBLIC;

/// How many images come first (Mastodon shows no more).
const IMAGES: usize = 4;

/// A post as an object, without its context: whoever stands it alone adds that.
pub fn note(post: &Post, author: &str, audience: &Audience, base: &str) -> Value {
    let uri = post.federated_ap_id.as_deref().unwrap_or_default();
    let mut told = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    };
    let marked = text::marked(&post.content);
    let content = content(post, &marked, audience, base);
    say("type", json!(post.of_type));
    say("id", json!(uri));
    say("attributedTo", json!(author));
    if post.of_type != "Note" {
        // Of a note some take the name for a warning, and others for a vote.
        say("name", json!(title(post)));
    }
    say("content", json!(content));
    if let Some(language) = post
        .language
        .as_deref()
        .filter(|tag| crate::base::text::is_language(tag))
    {
        say("contentMap", json!({ language: content }));
    }
    if !post.content.trim().is_empty() {
        say(
            "source",
            json!({ "content": post.content, "mediaType": "text/markdown" }),
        );
    }
    say(
        "summary",
        json!(
            post.summary
                .as_deref()
                .filter(|text| !text.trim().is_empty())
                .map(crate::base::text::escaped)
        ),
    );
    say(
        "sensitive",
        json!(
            post.sensitive
                || post
                    .summary
                    .as_deref()
                    .is_some_and(|text| !text.trim().is_empty())
        ),
    );
    say(
        "inReplyTo",
        json!(
            post.in_reply_to
                .as_deref()
                .filter(|uri| uri.contains("://"))
        ),
    );
    let is_direct = post.visibility == "direct";
    let thread = is_direct.then(|| format!("{base}/ap/contexts/{}", post.id));
    say("context", json!(post.context.clone().or(thread)));
    if !is_direct {
        say("url", json!(post.url));
    }
    say("published", json!(time(post.published_at)));
    say("updated", json!(time(post.as_of())));
    say("to", json!(audience.to));
    say("cc", json!(audience.cc));
    say("tag", Value::Array(tags(post, &marked, audience, base)));
    let attachments = attachments(&post.attachments);
    if !attachments.is_empty() {
        say("attachment", Value::Array(attachments));
    }
    if is_direct {
        // What is only for some is a message, in the shape of one (CONTRACT section 8).
        say("directMessage", json!(true));
        say("mo:kind", json!("mo:Message"));
    } else {
        for part in ["replies", "likes", "shares"] {
            say(part, json!(format!("{uri}/{part}")));
        }
    }
    if !is_direct {
        let quoters = if post.is_public() { PUBLIC } else { author };
        say(
            "interactionPolicy",
            json!({ "canQuote": { "automaticApproval": [quoters] } }),
        );
    }
    say("mo:version", json!(post.version));
    Value::Object(told)
}

/// Something to show for a title, since some kinds need one.
fn title(post: &Post) -> Option<String> {
    let given = post
        .title
        .as_deref()
        .map(str::trim)
        .filter(|title| !title.is_empty());
    given.map(str::to_owned).or_else(|| {
        let line = post
            .content
            .lines()
            .map(|line| line.trim_start_matches(['#', ' ']))
            .find(|line| !line.is_empty());
        line.map(|line| crate::base::text::excerpt(line, 100))
    })
}

fn content(post: &Post, marked: &Marked, audience: &Audience, base: &str) -> String {
    let links: HashMap<String, Link> = audience
        .mentions
        .iter()
        .flat_map(|mention| {
            let link = Link {
                href: mention.href.clone(),
                shown: mention.short(),
            };
            mention
                .written
                .iter()
                .map(move |written| (written.clone(), link.clone()))
        })
        .collect();
    let mut html = String::new();
    if let (Some(title), "Note") = (
        post.title
            .as_deref()
            .filter(|title| !title.trim().is_empty()),
        post.of_type.as_str(),
    ) {
        html.push_str(&format!(
            "<p><strong>{}</strong></p>",
            crate::base::text::escaped(title.trim())
        ));
    }
    html.push_str(&marked.html(&links, base));
    // Without content others take it for a vote, or for nothing at all.
    if html.trim().is_empty() {
        html.push_str("<p></p>");
    }
    html
}

fn tags(post: &Post, marked: &Marked, audience: &Audience, base: &str) -> Vec<Value> {
    let mut told: Vec<Value> = audience
        .mentions
        .iter()
        .map(|mention| json!({ "type": "Mention", "href": mention.uri, "name": mention.name }))
        .collect();
    for tag in all_tags(post, marked) {
        told.push(json!({ "type": "Hashtag", "href": text::tag_url(base, &tag), "name": format!("#{tag}") }));
    }
    told
}

/// Hashtags of the text and of the row, each once.
fn all_tags(post: &Post, marked: &Marked) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let written = marked.pieces.iter().filter_map(|piece| match piece {
        Piece::Tag(tag) => Some(tag.as_str()),
        Piece::Mention(_) => None,
    });
    let given = post
        .tags
        .iter()
        .map(|tag| tag.trim().trim_start_matches('#'));
    for tag in written.chain(given) {
        let tag: String = tag
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '_')
            .take(100)
            .collect();
        if !tag.is_empty()
            && !all
                .iter()
                .any(|known| known.to_lowercase() == tag.to_lowercase())
        {
            all.push(tag);
        }
    }
    all
}

/// Images first, then other files, then links; and nothing that a strict reader would choke on.
fn attachments(given: &[Value]) -> Vec<Value> {
    let (mut images, mut files, mut links) = (Vec::new(), Vec::new(), Vec::new());
    for one in given {
        let text = |name: &str| {
            one.get(name)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let Some(url) = text("url")
            .or_else(|| text("href"))
            .filter(|url| is_web(url))
        else {
            continue;
        };
        let media_type = text("mediaType").or_else(|| text("media_type"));
        let mut told = Map::new();
        let mut say = |name: &str, value: Value| {
            if !value.is_null() {
                told.insert(name.to_owned(), value);
            }
        };
        let kind = match (text("type"), media_type) {
            (Some("Link"), _) => "Link",
            (Some(kind @ ("Image" | "Video" | "Audio")), _) => kind,
            (_, Some(kind)) if kind.starts_with("image/") => "Image",
            (_, Some(kind)) if kind.starts_with("video/") => "Video",
            (_, Some(kind)) if kind.starts_with("audio/") => "Audio",
            _ => "Document",
        };
        say("type", json!(kind));
        say(if kind == "Link" { "href" } else { "url" }, json!(url));
        say("mediaType", json!(media_type));
        say("name", json!(text("name")));
        for size in ["width", "height"] {
            say(size, json!(one.get(size).and_then(Value::as_u64)));
        }
        say("blurhash", json!(text("blurhash")));
        match kind {
            "Image" if images.len() < IMAGES => images.push(Value::Object(told)),
            "Link" => links.push(Value::Object(told)),
            _ => files.push(Value::Object(told)),
        }
    }
    images.into_iter().chain(files).chain(links).collect()
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

#[cfg(test)]
mod tests;
