//! Zones and schedules that people write are looked at when they write them: a wrong one is refused by name then, not
//! found by a job at night. Reading them costs little, whatever they hold.

use serde_json::{Value, json};

use crate::base::error::Told;
use crate::base::{Error, Result, clock};
use crate::db::Tx;
use crate::domains::comms::quiet_hours::known_zone;
use crate::jobs::cron;
use crate::kinds::ask::Rows;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::Later;

/// Before a row with a timezone is written.
pub fn check_zone(_: &mut Tx, _: Verb, rows: Rows) -> Later<'_, Rows> {
    Box::pin(async move {
        for row in &rows {
            zone_of(row.get("timezone"))?;
        }
        Ok(rows)
    })
}

/// Before a task of an agent is written.
pub fn check_schedule(_: &mut Tx, _: Verb, rows: Rows) -> Later<'_, Rows> {
    Box::pin(async move {
        for row in &rows {
            let zone = zone_of(row.get("timezone"))?;
            schedule(row.get("cron_expression"), zone)?;
        }
        Ok(rows)
    })
}

fn zone_of(value: Option<&Value>) -> Result<chrono_tz::Tz> {
    match value {
        None | Some(Value::Null) => Ok(chrono_tz::Tz::UTC),
        Some(Value::String(name)) => known_zone(name).ok_or_else(|| no_zone(name)),
        Some(other) => Err(no_zone(&other.to_string())),
    }
}

fn no_zone(name: &str) -> Error {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let nearest = chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| (strsim::jaro(zone.name(), &shown), zone.name()))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8);
    let mut told = Told::new(
        "timezone.unknown",
        format!("There is no time zone {shown:?}."),
    )
    .details(json!({ "field": "timezone" }))
    .status(422);
    told = told.hint(match nearest {
        Some((_, nearest)) => format!("Did you mean {nearest}?"),
        None => "A zone is called like Europe/Berlin.".to_owned(),
    });
    Error::Invalid(Box::new(told))
}

fn schedule(value: Option<&Value>, zone: chrono_tz::Tz) -> Result<()> {
    let wrong = |why: String| {
        Error::Invalid(Box::new(
            Told::new("cron.schedule", why)
                .details(json!({ "field": "cron_expression" }))
                .hint("Five fields: minute, hour, day of the month, month, day of the week.")
                .status(422),
        ))
    };
    match value {
        None | Some(Value::Null) => Ok(()),
        // Seconds and years are nobody's business here: what runs every second is an attack.
        Some(Value::String(text)) if text.split_whitespace().take(6).count() == 5 => {
            let now = clock::now().with_timezone(&zone);
            cron::next_after(text, &now).map(|_| ()).map_err(|error| {
                wrong(
                    error
                        .told()
                        .map(|told| told.message.clone())
                        .unwrap_or_default(),
                )
            })
        }
        Some(_) => Err(wrong("This is no schedule of five fields.".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_name() {
        for name in [
            "Europe/Berlin",
            "UTC",
            "America/Argentina/Ushuaia",
            "Etc/GMT+5",
        ] {
            assert!(zone_of(Some(&json!(name))).is_ok(), "{name}");
        }
        assert!(zone_of(None).is_ok() && zone_of(Some(&Value::Null)).is_ok());
        let long = "Europe/".repeat(100_000);
        for name in [
            "",
            "Mars/Olympus",
            "europe/berlin\0",
            "../../etc/localtime",
            "UTC'; drop table users",
            &long,
        ] {
            let error = zone_of(Some(&json!(name))).unwrap_err();
            assert!(
                error.is("timezone.unknown") && error.status() == 422,
                "{name}"
            );
        }
        let told = zone_of(Some(&json!("Europe/Berlim"))).unwrap_err();
        assert_eq!(
            told.told().unwrap().hint.as_deref(),
            Some("Did you mean Europe/Berlin?")
        );
        assert!(zone_of(Some(&json!(7))).is_err());
    }

    #[test]
    fn schedules_have_five_fields_and_come_some_day() {
        let check = |text: &str| schedule(Some(&json!(text)), chrono_tz::Tz::Europe__Berlin);
        for text in [
            "*/5 * * * *",
            "0 7 * * MON-FRI",
            "30 2 29 2 *",
            "0 0 1,15 * *",
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
        let long = format!("{} * * * *", "0,".repeat(50_000));
        let begun = std::time::Instant::now();
        for text in [
            "",
            "* * * * * *",
            "* * * *",
            "99 * * * *",
            "0 0 31 2 *",
            "@every 1s",
            "é * * * *",
            "*/0 * * * *",
            &long,
        ] {
            let error = check(text).unwrap_err();
            assert!(error.is("cron.schedule") && error.status() == 422, "{text}");
        }
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }
}
