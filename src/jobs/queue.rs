//! The rows of `job_records` as the runner moves them: claimed, finished, tried again, buried, returned, taken back
//! from the dead. All times are the database's, so that no process's clock matters. What a process says of a
//! job counts only while it holds it: same holder, same attempt.

use std::time::Duration;

use diesel::sql_types::{Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::{Attempt, Lane};
use crate::base::secret::random;
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Db, Statement, Tx};

/// What `correlation_id` begins with where a job was started by the clock.
pub const BY_CLOCK: &str = "cron:";

/// A job that is this process's for the moment.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub key: String,
    pub payload: Value,
    pub attempt: Attempt,
}

/// Where to claim from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// What this lane holds.
    Lane(Lane),
    /// What may have killed its process: of any lane, to be run one at a time, so that it takes no other with it.
    Suspects,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done,
    /// Try again after this long, if tries are left.
    Again(Duration, String),
    /// Nobody should try again.
    Dead(String),
    /// It was not the job's doing: as if it had not been tried.
    Returned,
}

/// One try and how it ended.
pub type Ended = (Attempt, Outcome);

/// Take up to `most` jobs that are due. Their attempts are counted now, before they run.
///
/// They are the holder's for as long as `lease`, then it must have said another word.
pub async fn claim(
    db: &Db,
    holder: &str,
    from: From,
    most: usize,
    lease: Duration,
) -> Result<Vec<Claimed>> {
    type Row = (
        SqlUuid,
        Text,
        Jsonb,
        Integer,
        Nullable<SqlUuid>,
        Nullable<Text>,
        Nullable<Text>,
    );
    let mut claim = Statement::<Row>::new(
        "with due as (select id from public.job_records where status = 'enqueued' and ",
    );
    match from {
        From::Lane(lane) => claim.sql("lost = 0 and queue = ").text(lane.name()),
        From::Suspects => claim.sql("lost > 0"),
    };
    claim
        .sql(" and scheduled_for <= now() order by scheduled_for, id limit ")
        .bind(Bind::Int(i64::try_from(most).unwrap_or(1)))
        .sql(
            " for update skip locked) update public.job_records j set status = 'running', \
             attempts = coalesce(j.attempts, 0) + 1, started_at = now(), leased_by = ",
        )
        .text(holder)
        .sql(", leased_until = now() + ")
        .append(seconds(lease))
        .sql(
            " from due where j.id = due.id returning j.id, j.job_type, j.payload, j.attempts, j.owner_id, \
             j.correlation_id, j.triggered_by_event_id",
        );
    type Found = (
        Uuid,
        String,
        Value,
        i32,
        Option<Uuid>,
        Option<String>,
        Option<String>,
    );
    let rows: Vec<Found> = Tx::once(db, &Caller::Hub, claim).await?;
    Ok(rows
        .into_iter()
        .map(
            |(job, key, payload, number, owner, correlation, triggered_by)| Claimed {
                key,
                payload,
                attempt: Attempt {
                    job,
                    number,
                    owner,
                    correlation,
                    triggered_by,
                },
            },
        )
        .collect())
}

/// Write down how tries ended. Gives the jobs that were still this holder's; of the others, somebody else decides.
pub async fn settle(db: &Db, holder: &str, ended: &[Ended]) -> Result<Vec<Uuid>> {
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let by_clock: Vec<&Ended> = ended
        .iter()
        .filter(|(attempt, _)| cron_name(attempt).is_some())
        .collect();
    if by_clock.is_empty() {
        return Tx::once(db, &Caller::Hub, settling(holder, ended)).await;
    }
    db.write(&Caller::Hub, async |tx| {
        let settled: Vec<Uuid> = tx.load(settling(holder, ended)).await?;
        for (attempt, outcome) in by_clock.iter().filter(|(a, _)| settled.contains(&a.job)) {
            log_cron(tx, attempt, outcome).await?;
        }
        Ok(settled)
    })
    .await
}

fn settling(holder: &str, ended: &[Ended]) -> Statement<SqlUuid> {
    let each = |of: fn(&Ended) -> Option<String>| Bind::Texts(ended.iter().map(of).collect());
    let mut settle = Statement::new(
        "with told as (select id::uuid as id, attempt::int as attempt, word, wait::float8 as wait, error from unnest(",
    );
    settle
        .bind(each(|(attempt, _)| Some(attempt.job.to_string())))
        .sql(", ")
        .bind(each(|(attempt, _)| Some(attempt.number.to_string())))
        .sql(", ")
        .bind(each(|(_, outcome)| Some(outcome.word().to_owned())))
        .sql(", ")
        .bind(each(|(_, outcome)| Some(outcome.wait().as_secs_f64().to_string())))
        .sql(", ")
        .bind(each(|(_, outcome)| outcome.error().map(str::to_owned)))
        .sql(
            ") t(id, attempt, word, wait, error)) update public.job_records j set \
             status = case told.word when 'done' then 'completed' when 'returned' then 'enqueued' when 'dead' then 'dead' \
               else case when j.attempts >= coalesce(j.max_attempts, 10) then 'dead' else 'enqueued' end end, \
             attempts = case told.word when 'returned' then j.attempts - 1 else j.attempts end, \
             completed_at = case told.word when 'done' then now() end, \
             last_error = case told.word when 'returned' then j.last_error else told.error end, \
             scheduled_for = case told.word when 'again' then now() + told.wait * interval '1 second' else j.scheduled_for end, \
             leased_by = null, leased_until = null, lost = 0 \
             from told where j.id = told.id and j.attempts = told.attempt and j.status = 'running' and j.leased_by = ",
        )
        .text(holder)
        .sql(" returning j.id");
    settle
}

async fn log_cron(tx: &mut Tx, attempt: &Attempt, outcome: &Outcome) -> Result<()> {
    let (Some(name), true) = (cron_name(attempt), *outcome != Outcome::Returned) else {
        return Ok(());
    };
    let mut log =
        Statement::new("insert into public.cron_logs (job_name, status, error_message) values (");
    log.text(name)
        .sql(", ")
        .text(if *outcome == Outcome::Done {
            "success"
        } else {
            "error"
        })
        .sql(", ")
        .bind(Bind::Text(outcome.error().map(str::to_owned)))
        .sql(")");
    tx.run(log).await.map(|_| ())
}

fn cron_name(attempt: &Attempt) -> Option<&str> {
    attempt.correlation.as_deref()?.strip_prefix(BY_CLOCK)
}

/// Say that these tries are still under way. Gives those that are still this holder's.
pub async fn extend(
    db: &Db,
    holder: &str,
    running: &[(Uuid, i32)],
    lease: Duration,
) -> Result<Vec<Uuid>> {
    let mut extend =
        Statement::<SqlUuid>::new("update public.job_records j set leased_until = now() + ");
    extend
        .append(seconds(lease))
        .sql(" from unnest(")
        .bind(Bind::Texts(
            running.iter().map(|(id, _)| Some(id.to_string())).collect(),
        ))
        .sql(", ")
        .bind(Bind::Texts(
            running
                .iter()
                .map(|(_, attempt)| Some(attempt.to_string()))
                .collect(),
        ))
        .sql(") t(id, attempt) where j.id = t.id::uuid and j.attempts = t.attempt::int and j.status = 'running' and j.leased_by = ")
        .text(holder)
        .sql(" returning j.id");
    Tx::once(db, &Caller::Hub, extend).await
}

/// Take jobs back whose holder has not said a word in time: to be tried again, alone, or dead when no try is left.
pub async fn take_back(db: &Db) -> Result<usize> {
    let back = Statement::<SqlUuid>::new(
        "with lost as (select id from public.job_records where status = 'running' and leased_until < now() \
         order by leased_until limit 500 for update skip locked) update public.job_records j set \
         status = case when j.attempts >= coalesce(j.max_attempts, 10) then 'dead' else 'enqueued' end, \
         scheduled_for = now(), lost = j.lost + 1, \
         last_error = 'The process that ran it went away or was too slow.', leased_by = null, leased_until = null \
         from lost where j.id = lost.id returning j.id",
    );
    let rows: Vec<Uuid> = Tx::once(db, &Caller::Hub, back).await?;
    Ok(rows.len())
}

/// Dead jobs, or those in another state, the latest first.
pub async fn list(tx: &mut Tx, status: &str, most: i64) -> Result<Vec<Value>> {
    let mut list = Statement::<Jsonb>::new(
        "select jsonb_build_object('id', id, 'job_type', job_type, 'queue', queue, 'status', status, \
         'attempts', attempts, 'max_attempts', max_attempts, 'last_error', last_error, 'owner_id', owner_id, \
         'scheduled_for', scheduled_for, 'updated_at', updated_at) from public.job_records where status = ",
    );
    list.text(status)
        .sql(" order by updated_at desc, id limit ")
        .bind(Bind::Int(most));
    tx.load(list).await
}

/// Enqueue a dead job again, with all its tries.
pub async fn revive(tx: &mut Tx, job: Uuid) -> Result<()> {
    let mut revive = Statement::new(
        "update public.job_records set status = 'enqueued', attempts = 0, lost = 0, scheduled_for = now() \
         where status = 'dead' and id = ",
    );
    revive.bind(Bind::Uuid(job));
    if tx.run(revive).await? == 0 {
        return Err(Error::missing(
            "job.not_dead",
            "There is no dead job with this id.",
        ));
    }
    Ok(())
}

/// Enqueue all dead jobs again; how many there were.
pub async fn revive_all(tx: &mut Tx) -> Result<usize> {
    tx.run(Statement::new(
        "update public.job_records set status = 'enqueued', attempts = 0, lost = 0, scheduled_for = now() \
         where status = 'dead'",
    ))
    .await
}

/// Forget jobs that were done a week ago and dead ones that nobody looked at for a month; how many, at most 10,000 at once.
pub async fn prune(tx: &mut Tx) -> Result<usize> {
    tx.run(Statement::new(
        "delete from public.job_records where id in (select id from public.job_records \
         where (status = 'completed' and completed_at < now() - interval '7 days') \
            or (status = 'dead' and updated_at < now() - interval '30 days') limit 10000)",
    ))
    .await
}

/// How long to wait after the `number`th try: 15 s, doubled each time up to 6 h, a quarter more or less.
pub fn back_off(number: i32) -> Duration {
    let doublings = u32::try_from(number.clamp(1, 12) - 1).unwrap_or(0);
    let wait = Duration::from_secs(15)
        .saturating_mul(1 << doublings)
        .min(Duration::from_secs(6 * 3600));
    let [byte] = random::<1>();
    wait.mul_f64(0.75 + f64::from(byte) / 510.0)
}

impl Outcome {
    /// What an error means for the job: who was told to wait waits, who can't be helped is buried.
    pub fn of(number: i32, done: Result<()>) -> Self {
        let Err(error) = done else { return Self::Done };
        let said = match error.told() {
            Some(told) => format!("{} ({})", told.message, told.code),
            None => {
                // The cause is for the log; the row may be read by its owner.
                let id = Uuid::now_v7();
                tracing::error!(event = "job_broken", error = %id, cause = %error);
                format!("Something went wrong on our side ({id}).")
            }
        };
        match error.retry_after() {
            Some(wait) => Self::Again(back_off(number).max(wait), said),
            None if error.is_transient() => Self::Again(back_off(number), said),
            None => Self::Dead(said),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Again(..) => "again",
            Self::Dead(_) => "dead",
            Self::Returned => "returned",
        }
    }

    fn wait(&self) -> Duration {
        match self {
            Self::Again(wait, _) => *wait,
            _ => Duration::ZERO,
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::Again(_, error) | Self::Dead(error) => Some(error),
            _ => None,
        }
    }
}

fn seconds(duration: Duration) -> Statement {
    Statement::new(format!("interval '{} seconds'", duration.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        for (number, least, most) in [
            (1, 11, 19),
            (2, 22, 38),
            (5, 180, 300),
            (100, 16_200, 27_000),
        ] {
            for _ in 0..50 {
                let wait = back_off(number).as_secs();
                assert!((least..=most).contains(&wait), "{number}: {wait}");
            }
        }
        assert!(back_off(i32::MIN) >= Duration::from_secs(11));
    }

    #[test]
    fn errors_decide_by_their_remedy() {
        assert_eq!(Outcome::of(1, Ok(())), Outcome::Done);
        let buried = Outcome::of(1, Err(Error::invalid("x", "No.")));
        assert_eq!(buried, Outcome::Dead("No. (x)".to_owned()));
        assert!(matches!(
            Outcome::of(1, Err(Error::busy("Later."))),
            Outcome::Again(..)
        ));
        let slow = Error::TooMuch(
            Box::new(crate::base::error::Told::new("slow", "Slow down.")),
            Duration::from_secs(7200),
        );
        let Outcome::Again(wait, _) = Outcome::of(1, Err(slow)) else {
            panic!("tried again")
        };
        assert!(wait >= Duration::from_secs(7200));
        let Outcome::Again(_, said) = Outcome::of(1, Err(Error::broken(anyhow::anyhow!("secret"))))
        else {
            panic!("tried again")
        };
        assert!(!said.contains("secret"));
    }
}
