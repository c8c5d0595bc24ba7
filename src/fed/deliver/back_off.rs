//! How long to wait before another try, and what a peer's `Retry-After` says about it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::base::secret::random;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// The waits after one failure, two, and so on; the last one holds for all further ones.
const STEPS: [u64; 7] = [
    MINUTE,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
];

/// The longest and the shortest wait that a peer may ask for.
const LONGEST: Duration = Duration::from_secs(24 * HOUR);
const SHORTEST: Duration = Duration::from_secs(5);

/// How long to wait after the `failures`th failure in a row; up to a tenth more, so that not everybody comes at once.
pub fn after(failures: i32) -> Duration {
    let step = usize::try_from(failures.max(1) - 1).unwrap_or(0);
    let last = STEPS.len() - 1;
    let wait = STEPS.get(step.min(last)).copied().unwrap_or(24 * HOUR);
    jittered(Duration::from_secs(wait))
}

/// Up to a tenth more.
fn jittered(wait: Duration) -> Duration {
    let [byte] = random::<1>();
    wait.mul_f64(1.0 + f64::from(byte) / 2550.0)
}

/// What a peer asks for, in seconds or as a date. Nonsense is no answer, and nobody may send us away for longer than a day.
pub fn asked_for(retry_after: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = retry_after.trim_ascii();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let until = DateTime::parse_from_rfc2822(text).ok()?;
        until
            .with_timezone(&Utc)
            .signed_duration_since(now)
            .to_std()
            .unwrap_or_default()
    };
    Some(jittered(wait.clamp(SHORTEST, LONGEST)).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_day_and_scatter() {
        for (failures, least, most) in [
            (i32::MIN, 60, 66),
            (1, 60, 66),
            (2, 300, 330),
            (5, 21_600, 23_760),
            (7, 86_400, 95_040),
            (i32::MAX, 86_400, 95_040),
        ] {
            for _ in 0..50 {
                let wait = after(failures).as_secs();
                assert!((least..=most).contains(&wait), "{failures}: {wait}");
            }
        }
        let waits: std::collections::HashSet<_> = (0..50).map(|_| after(5)).collect();
        assert!(waits.len() > 5);
    }

    #[test]
    fn r_15_a_peer_is_obeyed_within_reason() {
        let now: DateTime<Utc> = "2026-11-26T12:00:00Z".parse().unwrap();
        for (said, least, most) in [
            ("120", 120, 132),
            (" 120 ", 120, 132),
            ("0", 5, 6),
            ("Thu, 26 Nov 2026 12:02:00 GMT", 120, 132),
            ("Thu, 26 Nov 2026 11:00:00 GMT", 5, 6),
            ("Thu, 26 Nov 2099 12:00:00 GMT", 86_400, 86_400),
            ("1000000000", 86_400, 86_400),
            ("99999999999999999999999999999999", 86_400, 86_400),
        ] {
            let wait = asked_for(said, now).unwrap().as_secs();
            assert!((least..=most).contains(&wait), "{said}: {wait}");
        }
        for nonsense in [
            "",
            "soon",
            "-5",
            "1.5",
            "1e3",
            "120 120",
            "Thu, 99 Nov 2026",
        ] {
            assert_eq!(asked_for(nonsense, now), None, "{nonsense}");
        }
    }
}
