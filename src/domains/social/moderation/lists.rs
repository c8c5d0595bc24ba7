//! Block lists as servers hand them to each other: CSV with the columns `#domain,#severity,#reject_media,#reject_reports,
//! #public_comment,#obfuscate`. A wrong line is named by its number; what a spreadsheet would take for a formula is not
//! written as one (S-143).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::base::{Error, Result};
use crate::fed::policy;

const COLUMNS: [&str; 6] = [
    "#domain",
    "#severity",
    "#reject_media",
    "#reject_reports",
    "#public_comment",
    "#obfuscate",
];

/// A line of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// As an editor counts them.
    pub number: u64,
    pub domain: String,
    /// What is to be held; none where the line asks for nothing.
    pub policy: Option<&'static str>,
    pub comment: Option<String>,
    /// Why it cannot be read.
    pub wrong: Option<String>,
    /// What of it is not kept.
    pub note: Option<String>,
}

/// What a list changes of one domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub domain: String,
    pub from: Option<String>,
    pub to: String,
    pub comment: Option<String>,
}

/// Read a list. With or without the line of names; without it the first column is the domain and all are blocked.
pub fn read(text: &str) -> std::result::Result<Vec<Line>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut names: Option<Vec<String>> = None;
    let mut lines = Vec::new();
    for (at, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let number = record.position().map_or(0, csv::Position::line);
        let first = record.get(0).unwrap_or_default();
        let is_header = at == 0 && first.trim_start_matches('#').eq_ignore_ascii_case("domain");
        if is_header {
            let lower = |name: &str| name.trim_start_matches('#').to_ascii_lowercase();
            names = Some(record.iter().map(lower).collect());
            continue;
        }
        if first.is_empty() && record.iter().all(str::is_empty) {
            continue;
        }
        lines.push(read_line(number, &record, names.as_deref()));
    }
    Ok(lines)
}

fn read_line(number: u64, record: &csv::StringRecord, names: Option<&[String]>) -> Line {
    let cell = |name: &str| {
        let at = match names {
            Some(names) => names.iter().position(|known| known == name)?,
            None if name == "domain" => 0,
            None => return None,
        };
        record.get(at).map(plain).filter(|cell| !cell.is_empty())
    };
    let wrong = |why: String| Line {
        number,
        wrong: Some(why),
        ..Line::default()
    };
    let Some(domain) = cell("domain") else {
        return wrong("there is no domain".to_owned());
    };
    let Some(domain) = policy::domain_of(&domain) else {
        return wrong(format!("{domain:?} is no domain"));
    };
    let is_so = |name: &str| match cell(name).as_deref().map(str::to_ascii_lowercase) {
        None => Ok(false),
        Some(word) => match word.as_str() {
            "true" | "t" | "1" | "yes" => Ok(true),
            "false" | "f" | "0" | "no" => Ok(false),
            other => Err(format!("{name} is true or false, not {other:?}")),
        },
    };
    let (media, reports) = match (is_so("reject_media"), is_so("reject_reports")) {
        (Ok(media), Ok(reports)) => (media, reports),
        (Err(why), _) | (_, Err(why)) => return wrong(why),
    };
    let severity = cell("severity").map(|word| word.to_ascii_lowercase());
    let policy = match (severity.as_deref(), media, reports) {
        (None | Some("suspend" | "block"), _, _) => Some("block"),
        (Some("silence" | "limit"), _, _) => Some("limit"),
        (Some("noop" | "none"), true, _) | (Some("reject_media"), _, _) => Some("reject_media"),
        (Some("noop" | "none"), false, true) | (Some("reject_reports"), _, _) => {
            Some("reject_reports")
        }
        (Some("allow"), _, _) => Some("allow"),
        (Some("noop" | "none"), false, false) => None,
        (Some(other), _, _) => {
            return wrong(format!(
                "severity is suspend, silence or noop, not {other:?}"
            ));
        }
    };
    let loses_reports = reports && matches!(policy, Some("limit" | "reject_media"));
    Line {
        number,
        domain,
        policy,
        comment: cell("public_comment").map(|text| text.chars().take(1000).collect()),
        wrong: None,
        note: if policy.is_none() {
            Some("it asks for nothing and is left out".to_owned())
        } else {
            loses_reports.then(|| "reject_reports is not kept beside the other rule".to_owned())
        },
    }
}

/// A cell without what guards it against spreadsheets.
fn plain(cell: &str) -> String {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest.to_owned(),
        _ => cell.to_owned(),
    }
}

fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// What a list changes of what is here; of several lines of one domain the last counts.
pub fn compare(lines: &[Line], here: &[Value]) -> Vec<Change> {
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let known: BTreeMap<String, String> = here
        .iter()
        .filter_map(|row| text(row, "domain").zip(text(row, "policy")))
        .collect();
    let mut wanted = BTreeMap::new();
    for line in lines.iter().filter(|line| line.wrong.is_none()) {
        if let Some(policy) = line.policy {
            wanted.insert(line.domain.clone(), (policy, line.comment.clone()));
        }
    }
    wanted
        .into_iter()
        .filter(|(domain, (policy, _))| known.get(domain).map(String::as_str) != Some(policy))
        .map(|(domain, (policy, comment))| Change {
            from: known.get(&domain).cloned(),
            domain,
            to: policy.to_owned(),
            comment,
        })
        .collect()
}

/// Rules as a list. What only allows is not part of it.
pub fn write(rules: &[Value]) -> Result<String> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(Error::broken)?;
    for rule in rules {
        let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default();
        let (severity, media, reports) = match text("policy") {
            "block" => ("suspend", "true", "true"),
            "limit" => ("silence", "true", "false"),
            "reject_media" => ("noop", "true", "false"),
            "reject_reports" => ("noop", "false", "true"),
            _ => continue,
        };
        let comment = guarded(text("comment"));
        let domain = guarded(text("domain"));
        let line = [&domain, severity, media, reports, &comment, "false"];
        writer.write_record(line).map_err(Error::broken)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::broken(anyhow::anyhow!("{error}")))?;
    String::from_utf8(bytes).map_err(Error::broken)
}

/// A cell that no spreadsheet runs.
fn guarded(cell: &str) -> String {
    match is_formula(cell) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIST: &str = "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\n\
        Evil.Example.,suspend,true,true,\"spam, and worse\",false\n\
        loud.example,silence,false,false,,false\n\
        media.example,noop,true,false,,false\n\
        bad*.example,suspend,,,,true\n\
        odd.example,maybe,,,,\n\
        fine.example,noop,false,false,,\n\
        böse.example,suspend,perhaps,,,\n";

    #[test]
    fn a_list_is_read_line_by_line() {
        let lines = read(LIST).unwrap();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line.number,
                    line.domain.as_str(),
                    line.policy,
                    line.wrong.is_some(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (2, "evil.example", Some("block"), false),
                (3, "loud.example", Some("limit"), false),
                (4, "media.example", Some("reject_media"), false),
                (5, "", None, true),
                (6, "", None, true),
                (7, "fine.example", None, false),
                (8, "", None, true),
            ]
        );
        assert_eq!(lines[0].comment.as_deref(), Some("spam, and worse"));
        // A plain list of names.
        let plain = read("\u{feff}one.example\n\ntwo.example\n").unwrap();
        assert!(plain.iter().all(|line| line.policy == Some("block")));
        assert_eq!(plain.len(), 2);
    }

    #[test]
    fn a_list_is_compared_with_what_is_held() {
        let here = [
            json!({ "domain": "evil.example", "policy": "block" }),
            json!({ "domain": "loud.example", "policy": "block" }),
        ];
        let changes = compare(&read(LIST).unwrap(), &here);
        let told: Vec<_> = changes
            .iter()
            .map(|c| (c.domain.as_str(), c.from.as_deref(), c.to.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("loud.example", Some("block"), "limit"),
                ("media.example", None, "reject_media"),
            ]
        );
    }

    #[test]
    fn s_143_no_cell_is_a_formula_and_the_round_trip_keeps_the_data() {
        let nasty = "=cmd|'/c calc'!A0";
        let rules = [
            json!({ "domain": "evil.example", "policy": "block", "comment": nasty }),
            json!({ "domain": "loud.example", "policy": "limit", "comment": "two\nlines, \"quoted\"" }),
            json!({ "domain": "media.example", "policy": "reject_media", "comment": "@SUM(1)" }),
            json!({ "domain": "quiet.example", "policy": "reject_reports", "comment": null }),
            json!({ "domain": "friend.example", "policy": "allow", "comment": null }),
        ];
        let text = write(&rules).unwrap();
        for record in csv::Reader::from_reader(text.as_bytes()).records() {
            for cell in record.unwrap().iter() {
                assert!(!is_formula(cell), "{cell:?}");
            }
        }
        let lines = read(&text).unwrap();
        let back: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line.domain.as_str(),
                    line.policy.unwrap(),
                    line.comment.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            back,
            [
                ("evil.example", "block", Some(nasty)),
                ("loud.example", "limit", Some("two\nlines, \"quoted\"")),
                ("media.example", "reject_media", Some("@SUM(1)")),
                ("quiet.example", "reject_reports", None),
            ]
        );
        assert_eq!(compare(&lines, &rules), []);
    }
}
