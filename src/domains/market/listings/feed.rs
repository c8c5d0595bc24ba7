//! The newest listings of this hub that everybody may read, as an Atom feed (RFC 4287).

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};

use crate::base::{Result, text};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{self, time};

/// How many entries it has.
const RECENT: i64 = 50;

/// A listing in the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    uri: String,
    page: Option<String>,
    title: String,
    content: Option<String>,
    author: String,
    author_uri: String,
    published: DateTime<Utc>,
    updated: DateTime<Utc>,
}

/// The feed as it is now.
pub async fn newest(tx: &mut Tx) -> Result<String> {
    type Row = (
        Text,
        Nullable<Text>,
        Text,
        Nullable<Text>,
        Text,
        Text,
        Timestamptz,
        BigInt,
    );
    type Found = (
        String,
        Option<String>,
        String,
        Option<String>,
        String,
        String,
        DateTime<Utc>,
        i64,
    );
    let base = actors::base(tx)?;
    let mut select = Statement::<Row>::new(
        "select x.federated_ap_id, x.url, x.title, x.description, coalesce(a.name, a.preferred_username), a.uri, x.published_at, x.version \
         from public.listings x join public.ap_actors a on case when x.author_actor_id is null \
         then a.kind = 'user' and a.row_id = x.owner_id else a.id = x.author_actor_id end \
         where x.sent_at is not null and x.federated_ap_id is not null and x.visibility = 'public' and x.status = 'active' \
         and x.hidden_at is null and a.deleted_at is null and a.suspended_at is null \
         and x.owner_id not in (select hub.closed_accounts()) order by x.published_at desc, x.id desc limit ",
    );
    select.bind(Bind::Int(RECENT));
    let rows: Vec<Found> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let entries = rows.into_iter().map(
        |(uri, page, title, content, author, author_uri, published, version)| Entry {
            uri,
            page,
            title,
            content,
            author,
            author_uri,
            published,
            updated: actors::as_of(version, published),
        },
    );
    Ok(atom(&base, &entries.collect::<Vec<_>>()))
}

fn atom(base: &str, entries: &[Entry]) -> String {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    let newest = entries.iter().map(|entry| entry.updated).max();
    let mut feed = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n<id>{0}/export/listings.atom</id>\n\
         <title>{1}: listings</title>\n<updated>{2}</updated>\n<link rel=\"self\" href=\"{0}/export/listings.atom\"/>\n\
         <link rel=\"alternate\" type=\"application/ld+json\" href=\"{0}/export/listings.jsonld\"/>\n",
        written(base),
        written(host),
        time(newest.unwrap_or_default()),
    );
    for entry in entries {
        let content = entry.content.as_deref().unwrap_or_default();
        feed += &format!(
            "<entry><id>{0}</id><title>{1}</title><published>{2}</published><updated>{3}</updated><link rel=\"alternate\" href=\"{4}\"/>\
             <author><name>{5}</name><uri>{6}</uri></author><content type=\"html\">{7}</content></entry>\n",
            written(&entry.uri),
            written(&entry.title),
            time(entry.published),
            time(entry.updated),
            written(entry.page.as_deref().unwrap_or(&entry.uri)),
            written(&entry.author),
            written(&entry.author_uri),
            written(&text::html(content)),
        );
    }
    feed + "</feed>\n"
}

/// A text as XML can have it: some characters it cannot even name.
fn written(text: &str) -> String {
    let clean: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect();
    text::escaped(&clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_seller_writes_stays_text() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let entry = Entry {
            uri: "https://hub.example/ap/listings/1".into(),
            page: None,
            title: "</title><script>\u{1}\u{ffff}&".into(),
            content: Some("*rust*]]> <script>alert(1)</script>".into()),
            author: "\"Ann\"".into(),
            author_uri: "https://hub.example/ap/actors/1".into(),
            published: at,
            updated: at,
        };
        let feed = atom("https://hub.example", &[entry]);
        assert!(
            !feed.contains("<script") && !feed.contains("alert(1)</script"),
            "{feed}"
        );
        assert!(
            feed.contains("<title>&lt;/title&gt;&lt;script&gt;&amp;</title>"),
            "{feed}"
        );
        assert!(feed.contains("&lt;em&gt;rust&lt;/em&gt;"), "{feed}");
    }
}
