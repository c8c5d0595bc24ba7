//! What runs by itself: one process at a time, the holder of a lease, enqueues what is due. A job per due time and no
//! more, whoever holds the lease: the row of the schedule is locked and the job's key names the time.

use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use diesel::sql_types::{Text, Timestamptz};

use super::queue::BY_CLOCK;
use super::{Order, enqueue_named};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Db, Statement, Tx};
use crate::node::Node;

/// How often the clock is looked at.
pub const EVERY: Duration = Duration::from_secs(5);

const LEASE: Duration = Duration::from_secs(30);
const NAME: &str = "cron";

/// Be the one who looks at the clock, or know that somebody else is.
pub async fn lead(db: &Db, holder: &str) -> Result<bool> {
    lease(db, NAME, holder, LEASE).await
}

/// Take or keep a lease of this name; no while another holds it.
pub async fn lease(db: &Db, name: &str, holder: &str, lasts: Duration) -> Result<bool> {
    let mut take = Statement::<Text>::new("insert into hub.leases (name, holder, until) values (");
    take.text(name)
        .sql(", ")
        .text(holder)
        .sql(format!(
            ", now() + interval '{} seconds') on conflict (name) do update set holder = excluded.holder, \
             until = excluded.until where leases.holder = excluded.holder or leases.until < now() returning holder",
            lasts.as_secs()
        ));
    let rows: Vec<String> = Tx::once(db, &Caller::Hub, take).await?;
    Ok(!rows.is_empty())
}

/// Give a lease back, so that another need not wait for its end.
pub async fn give_back(db: &Db, holder: &str) -> Result<()> {
    let mut delete = Statement::new("delete from hub.leases where holder = ");
    delete.text(holder);
    db.write(&Caller::Hub, async |tx| tx.run(delete.clone()).await)
        .await
        .map(|_| ())
}

/// Enqueue what is due by the database's clock. What was due several times while nobody looked runs once.
pub async fn tick(node: &Node) -> Result<usize> {
    node.db
        .write(&Caller::Hub, async |tx| {
            note_schedules(node, tx).await?;
            let due = Statement::<(Text, Timestamptz, Timestamptz)>::new(
                "select name, due_at, now() from hub.cron_due where due_at <= now() order by due_at \
                 for update skip locked",
            );
            let due: Vec<(String, DateTime<Utc>, DateTime<Utc>)> = tx.load(due).await?;
            let mut enqueued = 0;
            for (name, due_at, now) in due {
                let Some(cron) = node.crons().find(|cron| cron.name == name) else {
                    continue;
                };
                let job = node.jobs().find(|job| job.key == cron.job).ok_or_else(|| {
                    Error::broken(anyhow::anyhow!("{name} names no job: {}", cron.job))
                })?;
                let order = Order {
                    key: Some(format!("{BY_CLOCK}{name}:{}", due_at.timestamp())),
                    correlation: Some(format!("{BY_CLOCK}{name}")),
                    ..Order::default()
                };
                let payload = serde_json::json!({});
                enqueue_named(tx, job.key, job.lane, job.tries, payload, order).await?;
                let mut next = Statement::new("update hub.cron_due set due_at = ");
                next.bind(Bind::Time(next_after(cron.schedule, &now)?))
                    .sql(" where name = ")
                    .text(name);
                tx.run(next).await?;
                enqueued += 1;
            }
            Ok(enqueued)
        })
        .await
}

/// Schedules that are new or were changed by a release begin now.
async fn note_schedules(node: &Node, tx: &mut Tx) -> Result<()> {
    let known: Vec<(String, String)> = tx
        .load(Statement::<(Text, Text)>::new(
            "select name, schedule from hub.cron_due",
        ))
        .await?;
    let times: Vec<DateTime<Utc>> = tx
        .load(Statement::<Timestamptz>::new("select now()"))
        .await?;
    let Some(now) = times.first() else {
        return Ok(());
    };
    for cron in node.crons() {
        let is_known = known
            .iter()
            .any(|(name, schedule)| name == cron.name && schedule == cron.schedule);
        if is_known {
            continue;
        }
        let mut note = Statement::new("insert into hub.cron_due (name, schedule, due_at) values (");
        note.text(cron.name)
            .sql(", ")
            .text(cron.schedule)
            .sql(", ")
            .bind(Bind::Time(next_after(cron.schedule, now)?))
            .sql(") on conflict (name) do update set schedule = excluded.schedule, due_at = excluded.due_at");
        tx.run(note).await?;
    }
    Ok(())
}

/// The next time that a schedule of five fields names, in the zone of `after`. Local times that a change of the clock
/// skips or repeats are handled as cron does: a job at a fixed time runs once.
pub fn next_after<Z: TimeZone>(schedule: &str, after: &DateTime<Z>) -> Result<DateTime<Utc>> {
    let wrong = |why: &dyn std::fmt::Display| {
        Error::invalid("cron.schedule", format!("This is no schedule: {why}"))
    };
    // Nothing sensible is longer, and parsing must stay cheap.
    if schedule.len() > 100 || !schedule.is_ascii() {
        return Err(wrong(&"it is too long or holds odd characters"));
    }
    let cron: croner::Cron = schedule.parse().map_err(|error| wrong(&error))?;
    let next = cron
        .find_next_occurrence(after, false)
        .map_err(|_| wrong(&"it never comes"))?;
    Ok(next.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;

    fn next(schedule: &str, zone: Tz, after: &str) -> String {
        let after = after.parse::<DateTime<Utc>>().unwrap().with_timezone(&zone);
        next_after(schedule, &after)
            .unwrap()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    #[test]
    fn schedules_keep_to_local_time_over_changes_of_the_clock() {
        let berlin = Tz::Europe__Berlin;
        // Winter to summer: seven o'clock is an hour earlier in UTC from then on.
        assert_eq!(
            next("0 7 * * *", berlin, "2026-03-28T06:00:00Z"),
            "2026-03-29T05:00:00Z"
        );
        assert_eq!(
            next("0 7 * * *", berlin, "2026-03-29T05:00:00Z"),
            "2026-03-30T05:00:00Z"
        );
        // Summer to winter.
        assert_eq!(
            next("0 7 * * *", berlin, "2026-10-24T05:00:00Z"),
            "2026-10-25T06:00:00Z"
        );
        // Half an hour's change, and none.
        assert_eq!(
            next(
                "0 7 * * *",
                Tz::Australia__Lord_Howe,
                "2026-04-04T00:00:00Z"
            ),
            "2026-04-04T20:30:00Z"
        );
        assert_eq!(
            next("0 7 * * *", Tz::UTC, "2026-03-28T07:00:00Z"),
            "2026-03-29T07:00:00Z"
        );
    }

    #[test]
    fn a_time_that_is_skipped_or_repeated_comes_once_a_day() {
        let berlin = Tz::Europe__Berlin;
        // 02:30 does not exist on 29 March and exists twice on 25 October 2026.
        for (from, until) in [
            ("2026-03-27T12:00:00Z", "2026-03-31T12:00:00Z"),
            ("2026-10-23T12:00:00Z", "2026-10-27T12:00:00Z"),
        ] {
            let mut at = from.parse::<DateTime<Utc>>().unwrap();
            let until = until.parse::<DateTime<Utc>>().unwrap();
            let mut times = Vec::new();
            loop {
                at = next_after("30 2 * * *", &at.with_timezone(&berlin)).unwrap();
                if at > until {
                    break;
                }
                times.push(at);
            }
            assert_eq!(times.len(), 4, "{times:?}");
            assert!(
                times.windows(2).all(|pair| {
                    let apart = pair[1] - pair[0];
                    (22..=26).contains(&apart.num_hours())
                }),
                "{times:?}"
            );
        }
    }

    #[test]
    fn every_quarter_of_an_hour_has_no_gap_and_no_double_over_a_change() {
        let berlin = Tz::Europe__Berlin;
        for start in ["2026-03-28T23:00:00Z", "2026-10-24T22:00:00Z"] {
            let mut at = start.parse::<DateTime<Utc>>().unwrap();
            for _ in 0..40 {
                let next = next_after("*/15 * * * *", &at.with_timezone(&berlin)).unwrap();
                assert_eq!((next - at).num_minutes(), 15, "{at}");
                at = next;
            }
        }
    }

    #[test]
    fn hostile_schedules_are_refused() {
        let long = "1,".repeat(200);
        for wrong in [
            "",
            "*",
            "61 * * * *",
            "* * * * * * * *",
            "0 0 30 2 *",
            "a b c d e",
            "\u{202e} * * * *",
            "*/0 * * * *",
            &long,
        ] {
            assert!(
                next_after(wrong, &Utc.timestamp_opt(0, 0).unwrap()).is_err(),
                "{wrong}"
            );
        }
    }
}
