//! The decisions of a DAO as a feed and its deadlines as a calendar.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use uuid::Uuid;

use super::daos::Dao;
use crate::base::{Result, text};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{Local, time};

/// How many entries a feed or a calendar has.
const RECENT: i64 = 50;

/// A proposal in a feed or a calendar.
pub struct Entry {
    id: Uuid,
    uri: String,
    number: i64,
    title: String,
    status: String,
    closes: DateTime<Utc>,
    changed: DateTime<Utc>,
    summary: String,
}

pub async fn decided(tx: &mut Tx, dao: &Dao) -> Result<Vec<Entry>> {
    entries(tx, dao, "p.status not in ('draft', 'active')").await
}

pub async fn open(tx: &mut Tx, dao: &Dao) -> Result<Vec<Entry>> {
    entries(tx, dao, "p.status = 'active'").await
}

async fn entries(tx: &mut Tx, dao: &Dao, which: &str) -> Result<Vec<Entry>> {
    type Row = (
        diesel::sql_types::Uuid,
        Text,
        BigInt,
        Text,
        Text,
        Timestamptz,
        Timestamptz,
        Nullable<Text>,
    );
    let mut select = Statement::<Row>::new(format!(
        "select p.id, p.federated_ap_id, p.number::bigint, p.title, p.status, p.voting_closes_at, to_timestamp(p.version / 1000.0), \
         concat(p.tally ->> 'mo:yes', ' yes, ', p.tally ->> 'mo:no', ' no, ', p.tally ->> 'mo:abstain', ' abstain') \
         from public.proposals p where {which} and p.federated_ap_id is not null and p.number is not null \
         and p.voting_closes_at is not null and p.dao_id = "
    ));
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" order by p.number desc limit ")
        .bind(Bind::Int(RECENT));
    type Found = (
        Uuid,
        String,
        i64,
        String,
        String,
        DateTime<Utc>,
        DateTime<Utc>,
        Option<String>,
    );
    let rows: Vec<Found> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows
        .into_iter()
        .map(
            |(id, uri, number, title, status, closes, changed, summary)| Entry {
                id,
                uri,
                number,
                title,
                status,
                closes,
                changed,
                summary: summary.unwrap_or_default(),
            },
        )
        .collect())
}

pub fn atom(dao: &Dao, voice: &Local, here: &str, entries: &[Entry]) -> String {
    let escaped = text::escaped;
    let newest = entries.iter().map(|entry| entry.changed).max();
    let updated = time(newest.unwrap_or(voice.updated_at));
    let mut feed = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n<id>{0}/decisions.atom</id>\n\
         <title>{1}: decisions</title>\n<updated>{updated}</updated>\n<link rel=\"self\" href=\"{0}/decisions.atom\"/>\n\
         <author><name>{1}</name><uri>{2}</uri></author>\n",
        escaped(here),
        escaped(&dao.name),
        escaped(&voice.uri),
    );
    for entry in entries {
        feed += &format!(
            "<entry><id>{0}</id><title>#{1} {2}: {3}</title><updated>{4}</updated><link href=\"{5}/proposals/{1}\"/>\
             <summary>{6}</summary></entry>\n",
            escaped(&entry.uri),
            entry.number,
            escaped(&entry.title),
            entry.status.replace('_', " "),
            time(entry.changed),
            escaped(here),
            escaped(&entry.summary),
        );
    }
    feed + "</feed>\n"
}

pub fn calendar(dao: &Dao, here: &str, entries: &[Entry]) -> String {
    let mut lines = vec![
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//made-open//votes//EN".to_owned(),
        format!("X-WR-CALNAME:{}", ical(&dao.name)),
    ];
    for entry in entries {
        let at = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
        lines.extend([
            "BEGIN:VEVENT".to_owned(),
            format!("UID:{}@votes", entry.id),
            format!("DTSTAMP:{}", at(entry.changed)),
            format!("DTSTART:{}", at(entry.closes)),
            format!(
                "SUMMARY:{}",
                ical(&format!("Voting ends: #{} {}", entry.number, entry.title))
            ),
            format!("URL:{here}/proposals/{}", entry.number),
            "END:VEVENT".to_owned(),
        ]);
    }
    lines.push("END:VCALENDAR".to_owned());
    lines.iter().map(|line| folded(line)).collect::<String>()
}

/// A text as a calendar writes it (RFC 5545, 3.3.11).
fn ical(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .map(|c| match c {
            '\\' | ';' | ',' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

/// A line of at most 75 bytes, and what is over on lines that begin with a space (RFC 5545, 3.1).
fn folded(line: &str) -> String {
    let mut out = String::new();
    let mut room = 75;
    for c in line.chars() {
        if c.len_utf8() > room {
            out += "\r\n ";
            room = 74;
        }
        room -= c.len_utf8();
        out.push(c);
    }
    out + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_calendar_are_short_and_whole() {
        let long = format!("SUMMARY:{}", "ж".repeat(100));
        let out = folded(&long);
        assert!(out.split("\r\n").all(|line| line.len() <= 75), "{out}");
        assert_eq!(out.replace("\r\n ", "").trim_end(), long);
        assert_eq!(ical("a,b;c\\d\ne\r"), "a\\,b\\;c\\\\d\\ne");
    }
}
