//! A proposal as it is said to other servers, and what a DAO elsewhere says as the row it becomes (CONTRACT section 9). Pure.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::ballots::CHOICES;
use super::daos::Dao;
use super::proposals::Proposal;
use super::tally::Weight;
use crate::base::{Amount, text};
use crate::domains::social::actors::Known;
use crate::fed::actors::{Local, time};
use crate::fed::vocab::{self, PUBLIC};

/// Longest descriptions that are taken, in bytes.
const LONGEST: usize = 100_000;
const LONGEST_URI: usize = 2_000;

/// How it is decided, written down when the vote is opened. `eligible` is how many may vote and with what weight together.
pub fn rules(dao: &Dao, eligible: i64, weight: &str, at: DateTime<Utc>) -> Value {
    let share = |percent: Option<i64>| {
        let parts = i128::from(percent.unwrap_or(51).clamp(0, 100)) * 100;
        Weight::of_parts(parts).to_string()
    };
    let is_even = weight == eligible.to_string();
    json!({
        "mo:method": "single_choice",
        "mo:quorum": share(dao.quorum_pct),
        "mo:quorumBase": "members",
        "mo:threshold": share(dao.pass_threshold),
        "mo:thresholdBase": dao.threshold_base,
        "mo:weighting": if is_even { "one_member_one_vote" } else { "weighted" },
        "mo:electorate": "members",
        "mo:eligibleVoters": eligible,
        "mo:eligibleWeight": weight,
        "mo:snapshotAt": time(at),
        "mo:ballot": dao.ballot,
        "mo:changeVote": dao.change_vote,
    })
}

/// A proposal of a DAO of this hub.
pub fn write(proposal: &Proposal, dao: &Local, proposer: Option<&Known>, base: &str) -> Value {
    let uri = proposal.federated_ap_id.clone().unwrap_or_default();
    let rules = proposal.rules.clone().unwrap_or_else(|| json!({}));
    let tally = proposal.tally.clone().unwrap_or_else(|| json!({}));
    let number = proposal.number.unwrap_or(1);
    let opened = proposal.opened();
    let closes = proposal.voting_closes_at.unwrap_or(opened);
    let is_hidden = proposal.status == "active" && rules.get("mo:ballot") == Some(&json!("secret"));

    let html = content(proposal, number, &rules, proposer, closes);
    let mut cc = vec![dao.followers()];
    cc.extend(proposer.map(|proposer| proposer.uri.clone()));
    let mut told = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    };
    say("type", json!("Question"));
    say("id", json!(uri));
    say("attributedTo", json!(dao.uri));
    say("audience", json!(dao.uri));
    say("url", json!(proposal.page(base)));
    say("name", json!(format!("#{number} {}", proposal.title)));
    say("content", json!(html));
    say("contentMap", json!({ "en": html }));
    say(
        "source",
        json!(
            proposal
                .description
                .as_ref()
                .map(|description| json!({ "content": description, "mediaType": "text/markdown" }))
        ),
    );
    if let Some(proposer) = proposer {
        say(
            "tag",
            json!([{ "type": "Mention", "href": proposer.uri, "name": proposer.address() }]),
        );
    }
    say("published", json!(time(opened)));
    say("updated", json!(time(proposal.as_of())));
    say("endTime", json!(time(closes)));
    if !matches!(proposal.status.as_str(), "draft" | "active") {
        let ended = match proposal.status.as_str() {
            "cancelled" => proposal.as_of().min(closes),
            _ => closes,
        };
        say("closed", json!(time(ended)));
    }
    let voters = tally.get("mo:voters").cloned().unwrap_or_else(|| json!(0));
    say("votersCount", voters);
    say("oneOf", options(proposal, &tally, is_hidden));
    say("to", json!([PUBLIC]));
    say("cc", json!(cc));
    say("replies", json!(format!("{uri}/replies")));
    say(
        "context",
        json!(format!("{base}/ap/contexts/{}", proposal.id)),
    );
    say("mo:kind", json!("mo:DaoProposal"));
    say("mo:dao", json!(dao.uri));
    say("mo:number", json!(number));
    say(
        "mo:proposer",
        json!(proposer.map(|proposer| proposer.uri.as_str())),
    );
    say("mo:status", json!(proposal.status));
    say("mo:startTime", json!(time(opened)));
    if rules.get("mo:ballot") != Some(&json!("secret")) {
        say("mo:ballots", json!(format!("{uri}/ballots")));
    }
    say("mo:rules", rules);
    say(
        "mo:tally",
        match is_hidden {
            true => json!({ "mo:voters": tally.get("mo:voters") }),
            false => tally,
        },
    );
    say("mo:ballotsDigest", json!(proposal.ballots_digest));
    say("mo:executionError", json!(proposal.execution_error));
    say("mo:version", json!(proposal.version));
    Value::Object(told)
}

fn content(
    proposal: &Proposal,
    number: i64,
    rules: &Value,
    proposer: Option<&Known>,
    closes: DateTime<Utc>,
) -> String {
    let percent = |name: &str| {
        let share = rules.get(name).and_then(Value::as_str).unwrap_or("0");
        let parts = share.parse::<Amount>().unwrap_or_default().parts();
        format!("{} %", Weight::of_parts(i128::from(parts) * 100))
    };
    let by = match proposer {
        Some(proposer) => {
            let name = proposer.address();
            let short = name
                .trim_start_matches('@')
                .split('@')
                .next()
                .unwrap_or_default()
                .to_owned();
            format!("by @{} · ", text::escaped(&short))
        }
        None => String::new(),
    };
    let of = match rules.get("mo:thresholdBase").and_then(Value::as_str) {
        Some("cast") => " of all ballots",
        Some("electorate") => " of all members",
        _ => "",
    };
    let secrecy = match rules.get("mo:ballot").and_then(Value::as_str) {
        Some("secret") => "ballots are secret",
        _ => "ballots are public",
    };
    let head = format!(
        "<p><strong>Proposal #{number}: {}</strong><br>{by}members vote until {} UTC · quorum {} · passes at {}{of} if yes outnumbers no · {secrecy}</p>",
        text::escaped(&proposal.title),
        closes.format("%-d %b %H:%M"),
        percent("mo:quorum"),
        percent("mo:threshold"),
    );
    let body = text::html(proposal.description.as_deref().unwrap_or_default());
    format!("{head}{body}")
}

/// The options with how often they were chosen: by weight where that is a whole number, else by voters.
fn options(proposal: &Proposal, tally: &Value, is_hidden: bool) -> Value {
    let voters = [
        proposal.votes_yes,
        proposal.votes_no,
        proposal.votes_abstain,
    ];
    let options = CHOICES.iter().zip(voters).map(|((choice, name), voters)| {
        let weight = tally
            .get(format!("mo:{choice}"))
            .and_then(Value::as_str)
            .and_then(|weight| weight.parse::<i64>().ok());
        let mut option = json!({ "type": "Note", "name": name, "mo:choice": choice });
        if let (false, Some(option)) = (is_hidden, option.as_object_mut()) {
            let total = weight.unwrap_or(voters);
            option.insert(
                "replies".to_owned(),
                json!({ "type": "Collection", "totalItems": total }),
            );
        }
        option
    });
    options.collect()
}

/// What a member elsewhere would have a DAO ask: no id, nothing decided yet.
pub fn draft(proposal: &Proposal, dao: &str) -> Value {
    let mut draft = json!({
        "type": "Question",
        "name": proposal.title,
        "content": text::html(proposal.description.as_deref().unwrap_or(&proposal.title)),
        "oneOf": CHOICES.iter().map(|(choice, name)| json!({ "type": "Note", "name": name, "mo:choice": choice })).collect::<Vec<_>>(),
        "mo:kind": "mo:DaoProposal",
        "mo:dao": dao,
        "mo:status": "draft",
    });
    if let (Some(description), Some(draft)) = (&proposal.description, draft.as_object_mut()) {
        draft.insert(
            "source".to_owned(),
            json!({ "content": description, "mediaType": "text/markdown" }),
        );
    }
    draft
}

/// Title and description of a question that somebody would have asked here.
pub fn offered(object: &Value) -> Result<(String, Option<String>), &'static str> {
    let title = said(object, "name").map(text::name).unwrap_or_default();
    if title.trim().is_empty() {
        return Err("no_title");
    }
    let description = description(object);
    if title.len() > 500
        || description
            .as_ref()
            .is_some_and(|text| text.len() > LONGEST)
    {
        return Err("too_long");
    }
    Ok((title, description))
}

/// A proposal of a DAO elsewhere as `hub.take_proposal` takes it, but for who says so.
pub fn read(object: &Value) -> Result<Value, &'static str> {
    let uri = vocab::id(object).ok_or("no_id")?;
    if uri.len() > LONGEST_URI {
        return Err("id_too_long");
    }
    let (name, description) = offered(object)?;
    let number = object.get("mo:number").and_then(Value::as_i64);
    let number = number.filter(|number| (1..=i64::from(i32::MAX)).contains(number));
    let title = match number {
        Some(number) => name
            .strip_prefix(&format!("#{number} "))
            .unwrap_or(&name)
            .to_owned(),
        None => name.clone(),
    };
    let status = said(object, "mo:status").ok_or("no_status")?;
    if !matches!(
        status,
        "active" | "passed" | "rejected" | "quorum_failed" | "cancelled" | "executed"
    ) {
        return Err("unknown_status");
    }
    let date = |name: &str| {
        said(object, name)
            .and_then(|date| DateTime::parse_from_rfc3339(date).ok())
            .map(|date| date.with_timezone(&Utc))
    };
    let opens = date("mo:startTime")
        .or(date("published"))
        .ok_or("no_start")?;
    let closes = date("endTime").filter(|end| *end > opens).ok_or("no_end")?;
    let version = object
        .get("mo:version")
        .and_then(Value::as_i64)
        .filter(|version| *version > 0)
        .ok_or("no_version")?;
    let tally = object.get("mo:tally").cloned().unwrap_or_else(|| json!({}));
    let total = |choice: &str| {
        let options = object.get("oneOf").and_then(Value::as_array);
        let option = options
            .into_iter()
            .flatten()
            .find(|option| option.get("mo:choice").and_then(Value::as_str) == Some(choice));
        option
            .and_then(|option| option.get("replies")?.get("totalItems")?.as_i64())
            .filter(|total| (0..=i64::from(i32::MAX)).contains(total))
            .unwrap_or_default()
    };
    Ok(json!({
        "uri": uri,
        "title": title,
        "description": description,
        "status": status,
        "number": number,
        "opens": opens,
        "closes": closes,
        "rules": object.get("mo:rules").filter(|rules| rules.is_object()).cloned().unwrap_or_else(|| json!({})),
        "tally": tally,
        "yes": total("yes"),
        "no": total("no"),
        "abstain": total("abstain"),
        "quorum": tally.get("mo:quorumMet").and_then(Value::as_bool),
        "digest": said(object, "mo:ballotsDigest").map(|text| text::excerpt(text, 200)),
        "execution_error": said(object, "mo:executionError").map(|text| text::excerpt(text, 1_000)),
        "version": version,
    }))
}

fn description(object: &Value) -> Option<String> {
    let source = object
        .get("source")
        .filter(|source| source.get("mediaType").and_then(Value::as_str) == Some("text/markdown"))
        .and_then(|source| said(source, "content"));
    match source {
        Some(source) => Some(source.to_owned()),
        None => said(object, "content")
            .map(|html| text::plain(&text::clean(html)))
            .filter(|text| !text.is_empty()),
    }
}

fn said<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}
