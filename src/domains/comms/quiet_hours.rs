//! When somebody wants to be left alone: hours of the clock on his wall, which a change to or from summer time moves,
//! skips or repeats. Pure; whatever people wrote as their zone, there is an answer.

use chrono::{DateTime, Duration, NaiveTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// Hours of the wall clock; an end before the start is on the next day, an end at the start means no hours at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    pub start: NaiveTime,
    pub end: NaiveTime,
}

impl Hours {
    /// Whether this time of the day lies within.
    pub fn hold(&self, time: NaiveTime) -> bool {
        if self.start <= self.end {
            self.start <= time && time < self.end
        } else {
            self.start <= time || time < self.end
        }
    }
}

/// The zone of this name. An unknown one is UTC, and that is noted.
pub fn zone(name: Option<&str>) -> Tz {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
        return Tz::UTC;
    };
    known_zone(name).unwrap_or_else(|| {
        let name: String = name.chars().take(64).collect();
        tracing::warn!(event = "zone_unknown", name, taken = "UTC");
        Tz::UTC
    })
}

/// The zone of this name, if there is one.
pub fn known_zone(name: &str) -> Option<Tz> {
    if name.len() > 64 {
        return None;
    }
    name.parse().ok()
}

/// The first moment from `now` on that lies outside the hours.
pub fn next_allowed(now: DateTime<Utc>, zone: Tz, hours: Hours) -> DateTime<Utc> {
    let mut at = now;
    // Each round ends the hours or passes one change of the offset; no zone has more than two within a day.
    for _ in 0..8 {
        let wall = at.with_timezone(&zone).time();
        if !hours.hold(wall) {
            return at;
        }
        let mut left = hours.end.signed_duration_since(wall);
        if left <= Duration::zero() {
            left += Duration::days(1);
        }
        let ended = at + left;
        match first_change(at, ended, zone) {
            None => return ended,
            Some(change) => at = change,
        }
    }
    at
}

/// The first second in `(from, to]` at which the zone's offset is another than at `from`.
fn first_change(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| {
        zone.offset_from_utc_datetime(&at.naive_utc())
            .fix()
            .local_minus_utc()
    };
    let before = offset(from);
    // By the hour first: two changes within one would have to cancel each other.
    let mut low = from;
    let mut high = loop {
        let next = (low + Duration::hours(1)).min(to);
        if offset(next) != before {
            break next;
        }
        if next >= to {
            return None;
        }
        low = next;
    };
    while high - low > Duration::seconds(1) {
        let middle = low + (high - low) / 2;
        if offset(middle) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Zones change on the full second.
    Some(
        high.with_nanosecond(0)
            .filter(|full| *full > from && offset(*full) != before)
            .unwrap_or(high),
    )
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;

    const ZONES: &[&str] = &[
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Tehran",
        "Asia/Kathmandu",
        "Antarctica/Troll",
        "Pacific/Apia",
        "Europe/London",
        "Asia/Beirut",
    ];

    fn time(text: &str) -> NaiveTime {
        text.parse().unwrap()
    }

    fn hours(start: &str, end: &str) -> Hours {
        Hours {
            start: time(start),
            end: time(end),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_night_before_and_after_the_clock_moves() {
        let night = hours("22:00:00", "07:00:00");
        let cases = [
            // An ordinary night, over midnight.
            (
                "Europe/Berlin",
                night,
                "2026-01-10T23:30:00Z",
                "2026-01-11T06:00:00Z",
            ),
            (
                "Europe/Berlin",
                night,
                "2026-01-10T12:00:00Z",
                "2026-01-10T12:00:00Z",
            ),
            // The night is an hour shorter, and an hour longer.
            (
                "Europe/Berlin",
                night,
                "2026-03-28T22:00:00Z",
                "2026-03-29T05:00:00Z",
            ),
            (
                "Europe/Berlin",
                night,
                "2026-10-24T22:00:00Z",
                "2026-10-25T06:00:00Z",
            ),
            // The end does not exist that day: 02:30 is skipped, so 03:00 it is.
            (
                "Europe/Berlin",
                hours("22:00:00", "02:30:00"),
                "2026-03-28T22:00:00Z",
                "2026-03-29T01:00:00Z",
            ),
            // The end comes twice: the first time counts, and within the second pass the second.
            (
                "Europe/Berlin",
                hours("22:00:00", "02:30:00"),
                "2026-10-24T22:00:00Z",
                "2026-10-25T00:30:00Z",
            ),
            (
                "Europe/Berlin",
                hours("22:00:00", "02:30:00"),
                "2026-10-25T01:10:00Z",
                "2026-10-25T01:30:00Z",
            ),
            // The whole hours are skipped with the gap.
            (
                "Europe/Berlin",
                hours("02:00:00", "03:00:00"),
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:00:00Z",
            ),
            // Half an hour only.
            (
                "Australia/Lord_Howe",
                hours("22:00:00", "02:15:00"),
                "2026-10-03T14:00:00Z",
                "2026-10-03T15:30:00Z",
            ),
            // Midnight itself is skipped.
            (
                "America/Sao_Paulo",
                hours("23:00:00", "00:30:00"),
                "2018-11-04T02:30:00Z",
                "2018-11-04T03:00:00Z",
            ),
            // A whole day is skipped.
            (
                "Pacific/Apia",
                hours("22:00:00", "07:00:00"),
                "2011-12-30T08:30:00Z",
                "2011-12-30T17:00:00Z",
            ),
            // An end at the start is no quiet at all.
            (
                "Asia/Kathmandu",
                hours("08:00:00", "08:00:00"),
                "2026-05-05T02:15:00Z",
                "2026-05-05T02:15:00Z",
            ),
        ];
        for (name, hours, now, then) in cases {
            let next = next_allowed(at(now), zone(Some(name)), hours);
            assert_eq!(next, at(then), "{name} {hours:?} {now}");
        }
    }

    #[test]
    fn hostile_zones_are_utc() {
        let long = "Europe/".repeat(10_000);
        for name in [
            "",
            " ",
            "Nowhere/City",
            "../../etc/passwd",
            "UTC; drop",
            "\0",
            "é",
            long.as_str(),
            "GMT+99",
        ] {
            assert_eq!(zone(Some(name)), Tz::UTC);
        }
        assert_eq!(zone(None), Tz::UTC);
        assert_eq!(zone(Some(" Europe/Berlin ")), Tz::Europe__Berlin);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// It is never early, never within the hours, and nothing before it was allowed.
        #[test]
        fn the_first_moment_outside_the_hours(
            name in prop::sample::select(ZONES),
            // Years with many odd changes, by the minute.
            minute in 0i64..(25 * 365 * 24 * 60),
            start in 0u32..1440,
            end in 0u32..1440,
        ) {
            let zone = zone(Some(name));
            let begin = NaiveDate::from_ymd_opt(2005, 1, 1).unwrap().and_time(NaiveTime::MIN).and_utc();
            let now = begin + Duration::minutes(minute);
            let clock = |minutes: u32| NaiveTime::from_num_seconds_from_midnight_opt(minutes * 60, 0).unwrap();
            let hours = Hours { start: clock(start), end: clock(end) };
            let next = next_allowed(now, zone, hours);
            prop_assert!(next >= now);
            prop_assert!(next - now <= Duration::hours(49));
            prop_assert!(!hours.hold(next.with_timezone(&zone).time()));
            let mut before = now;
            while before < next {
                prop_assert!(hours.hold(before.with_timezone(&zone).time()), "{before} was allowed already");
                before += Duration::minutes(1);
            }
        }

        /// The days on which clocks move, minute by minute.
        #[test]
        fn around_a_change(
            name in prop::sample::select(&["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Beirut"][..]),
            year in 2015i32..2035,
            month in prop::sample::select(&[3u32, 4, 9, 10, 11][..]),
            minute in 0i64..(31 * 24 * 60),
            end in 0u32..300,
        ) {
            let zone = zone(Some(name));
            let now = NaiveDate::from_ymd_opt(year, month, 1).unwrap().and_time(NaiveTime::MIN).and_utc() + Duration::minutes(minute);
            let hours = Hours { start: time("21:00:00"), end: NaiveTime::from_num_seconds_from_midnight_opt(end * 60, 0).unwrap() };
            let next = next_allowed(now, zone, hours);
            prop_assert!(!hours.hold(next.with_timezone(&zone).time()));
            if next > now {
                prop_assert!(hours.hold((next - Duration::seconds(1)).with_timezone(&zone).time()));
            }
        }
    }
}
