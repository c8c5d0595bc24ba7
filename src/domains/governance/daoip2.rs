//! A public DAO in the words of DAOIP-2, for whoever lists and compares DAOs: itself, its members, its proposals, what was
//! done and by what rules; its decisions as a feed and its deadlines as a calendar.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use serde_json::{Value, json};
use uuid::Uuid;

use super::daos::{self, Dao};
use crate::base::{Result, text};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{self, Local, time};

const CONTEXT: &str = "http://www.daostar.org/schemas";
/// How much of each list is told.
const MOST: i64 = 10_000;
/// How many entries a feed or a calendar has.
const RECENT: i64 = 50;

/// What is asked for, by the last part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sheet {
    Dao,
    Members,
    Proposals,
    Activity,
    Governance,
    Decisions,
    Deadlines,
}

impl Sheet {
    /// By the name in its address.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "daoip2.json" => Self::Dao,
            "members.json" => Self::Members,
            "proposals.json" => Self::Proposals,
            "activity.json" => Self::Activity,
            "governance.md" => Self::Governance,
            "decisions.atom" => Self::Decisions,
            "deadlines.ics" => Self::Deadlines,
            _ => return None,
        })
    }

    /// In which form it is.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Governance => "text/markdown; charset=utf-8",
            Self::Decisions => "application/atom+xml; charset=utf-8",
            Self::Deadlines => "text/calendar; charset=utf-8",
            _ => "application/ld+json",
        }
    }
}

/// A sheet of a DAO; none where there is no such DAO for everybody.
pub async fn sheet(tx: &mut Tx, slug: &str, sheet: Sheet) -> Result<Option<String>> {
    let Some(dao) = daos::public_by_slug(tx, slug).await? else {
        return Ok(None);
    };
    let Some(voice) = actors::of_row(tx, "dao", dao.id)
        .await?
        .filter(|voice| voice.is_shown && !voice.is_gone() && voice.suspended_at.is_none())
    else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let here = format!(
        "{base}/dao/{}",
        dao.slug.clone().unwrap_or_else(|| dao.id.to_string())
    );
    Ok(Some(match sheet {
        Sheet::Dao => about(&dao, &here).to_string(),
        Sheet::Members => members(tx, &dao).await?.to_string(),
        Sheet::Proposals => proposals(tx, &dao, &here).await?.to_string(),
        Sheet::Activity => activity(tx, &dao).await?.to_string(),
        Sheet::Governance => governance(&dao),
        Sheet::Decisions => atom(&dao, &voice, &here, &decided(tx, &dao).await?),
        Sheet::Deadlines => calendar(&dao, &here, &open(tx, &dao).await?),
    }))
}

fn about(dao: &Dao, here: &str) -> Value {
    json!({
        "@context": CONTEXT,
        "type": "DAO",
        "name": dao.name,
        "description": dao.description.as_deref().unwrap_or_default(),
        "membersURI": format!("{here}/members.json"),
        "proposalsURI": format!("{here}/proposals.json"),
        "activityLogURI": format!("{here}/activity.json"),
        "governanceURI": format!("{here}/governance.md"),
    })
}

async fn members(tx: &mut Tx, dao: &Dao) -> Result<Value> {
    let mut select = Statement::<Text>::new(
        "select a.uri from public.dao_members m join public.ap_actors a on a.deleted_at is null \
         and (a.id = m.actor_id or (a.kind = 'user' and a.row_id = m.user_id)) where m.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" order by m.id limit ")
        .bind(Bind::Int(MOST));
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let members: Vec<Value> = rows
        .into_iter()
        .map(|uri| json!({ "type": "Member", "id": uri }))
        .collect();
    Ok(json!({ "@context": CONTEXT, "type": "DAO", "name": dao.name, "members": members }))
}

async fn proposals(tx: &mut Tx, dao: &Dao, here: &str) -> Result<Value> {
    let mut select = Statement::<(Text, Text, Text, BigInt)>::new(
        "select p.federated_ap_id, p.title, p.status, p.number::bigint from public.proposals p \
         where p.federated_ap_id is not null and p.number is not null and p.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" order by p.number desc limit ")
        .bind(Bind::Int(MOST));
    let rows: Vec<(String, String, String, i64)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let proposals: Vec<Value> = rows
        .into_iter()
        .map(|(uri, title, status, number)| {
            let page = format!("{here}/proposals/{number}");
            json!({
                "type": "proposal", "id": uri, "name": title, "contentURI": page,
                "discussionURI": format!("{page}#replies"), "status": status,
            })
        })
        .collect();
    Ok(json!({ "@context": CONTEXT, "type": "DAO", "name": dao.name, "proposals": proposals }))
}

async fn activity(tx: &mut Tx, dao: &Dao) -> Result<Value> {
    // What a voter has signed is his to be seen with; pseudonyms and secret ballots are nobody's activity.
    let mut select = Statement::<(Text, Text, Text, Text)>::new(
        "select v.federated_ap_id, p.federated_ap_id, a.uri, 'vote' from public.votes v join public.proposals p on p.id = v.proposal_id \
         join public.ap_actors a on a.deleted_at is null and (a.id = v.actor_id or (a.kind = 'user' and a.row_id = v.user_id)) \
         where v.is_open and v.attestation = 'proof' and v.federated_ap_id is not null and p.federated_ap_id is not null \
         and p.rules ->> 'mo:ballot' is distinct from 'secret' and p.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" order by v.id desc limit ")
        .bind(Bind::Int(MOST));
    let rows: Vec<(String, String, String, String)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let activities: Vec<Value> = rows
        .into_iter()
        .map(|(uri, proposal, member, kind)| {
            json!({
                "id": uri, "type": "activity", "activity": { "type": kind, "proposal": proposal },
                "member": { "type": "Member", "id": member },
            })
        })
        .collect();
    Ok(json!({ "@context": CONTEXT, "type": "DAO", "name": dao.name, "activities": activities }))
}

fn governance(dao: &Dao) -> String {
    let percent = |value: Option<i64>| value.unwrap_or(51);
    let of = match dao.threshold_base.as_str() {
        "cast" => "all ballots",
        "electorate" => "all members",
        _ => "yes and no",
    };
    let joined = match dao.membership.as_str() {
        "open" => "Whoever wants to joins.",
        "invite" => "Whoever is asked joins.",
        _ => "Whoever asks is let in or not by the stewards.",
    };
    let ballots = match dao.ballot.as_str() {
        "secret" => "Ballots are secret.",
        _ => "Ballots are public.",
    };
    let changed = match dao.change_vote {
        true => "A ballot can be replaced while the vote is open.",
        false => "A ballot stands as it was cast first.",
    };
    format!(
        "# How {} decides\n\n- A vote takes {} hours.\n- At least {} % of the members must vote.\n\
         - It passes at {} % of {of}, if yes outnumbers no.\n- {ballots}\n- {changed}\n- {joined}\n{}",
        dao.name.replace(['\n', '\r'], " "),
        dao.voting_period_h.unwrap_or(168),
        percent(dao.quorum_pct),
        percent(dao.pass_threshold),
        dao.bylaws
            .as_ref()
            .map(|bylaws| format!("\n## Bylaws\n\n{bylaws}\n"))
            .unwrap_or_default(),
    )
}

/// A proposal in a feed or a calendar.
struct Entry {
    id: Uuid,
    uri: String,
    number: i64,
    title: String,
    status: String,
    closes: DateTime<Utc>,
    changed: DateTime<Utc>,
    summary: String,
}

async fn decided(tx: &mut Tx, dao: &Dao) -> Result<Vec<Entry>> {
    entries(tx, dao, "p.status not in ('draft', 'active')").await
}

async fn open(tx: &mut Tx, dao: &Dao) -> Result<Vec<Entry>> {
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

fn atom(dao: &Dao, voice: &Local, here: &str, entries: &[Entry]) -> String {
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

fn calendar(dao: &Dao, here: &str, entries: &[Entry]) -> String {
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

    #[test]
    fn each_sheet_has_one_name() {
        assert_eq!(Sheet::named("daoip2.json"), Some(Sheet::Dao));
        assert_eq!(Sheet::named("secrets.json"), None);
    }
}
