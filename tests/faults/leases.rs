//! Leases against a model: whatever two processes do in whatever order, with leases that end at any moment, a job is
//! one process's at a time, a word of who lost it changes nothing, tries are counted, and no job is lost.

use std::collections::HashMap;
use std::time::Duration;

use made_open::db::Db;
use made_open::jobs::queue::{self, Claimed, Outcome};
use made_open::jobs::{Attempt, Lane};
use proptest::prelude::*;
use uuid::Uuid;

use crate::support::TestDatabase;

const TRIES: i32 = 3;

#[derive(Clone, Debug)]
enum Move {
    Claim(usize, usize),
    Say(usize, usize, Word),
    Extend(usize),
    /// All leases end now.
    Pass,
    TakeBack,
    /// What waits for its next try is due.
    Due,
    /// One of those that may kill their process.
    ClaimSuspect(usize),
    Revive,
}

#[derive(Clone, Copy, Debug)]
enum Word {
    Done,
    Again,
    Dead,
    Returned,
}

impl Word {
    fn outcome(self) -> Outcome {
        match self {
            Self::Done => Outcome::Done,
            Self::Again => Outcome::Again(Duration::from_secs(60), "again".to_owned()),
            Self::Dead => Outcome::Dead("dead".to_owned()),
            Self::Returned => Outcome::Returned,
        }
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let word = prop_oneof![
        Just(Word::Done),
        Just(Word::Again),
        Just(Word::Dead),
        Just(Word::Returned)
    ];
    let step = prop_oneof![
        4 => (0..2usize, 1..4usize).prop_map(|(who, most)| Move::Claim(who, most)),
        5 => (0..2usize, 0..8usize, word).prop_map(|(who, which, word)| Move::Say(who, which, word)),
        2 => (0..2usize).prop_map(Move::Extend),
        2 => Just(Move::Pass),
        3 => Just(Move::TakeBack),
        3 => Just(Move::Due),
        3 => (0..2usize).prop_map(Move::ClaimSuspect),
        1 => Just(Move::Revive),
    ];
    proptest::collection::vec(step, 5..40)
}

/// What must be true of a job.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    status: &'static str,
    attempts: i32,
    holder: Option<usize>,
    is_over: bool,
    is_due: bool,
    is_suspect: bool,
}

const JOBS: usize = 4;
const LEASE: Duration = Duration::from_secs(600);
const NAMES: [&str; 2] = ["first", "second"];

async fn claim(
    db: &Db,
    model: &mut HashMap<Uuid, Row>,
    beliefs: &mut [Vec<Attempt>; 2],
    who: usize,
    from: queue::From,
    most: usize,
) {
    let is_suspect = from == queue::From::Suspects;
    let due = model
        .values()
        .filter(|row| row.status == "enqueued" && row.is_due && row.is_suspect == is_suspect)
        .count();
    let claimed: Vec<Claimed> = queue::claim(db, NAMES[who], from, most, LEASE)
        .await
        .unwrap();
    assert_eq!(claimed.len(), due.min(most));
    for claimed in claimed {
        let row = model.get_mut(&claimed.attempt.job).unwrap();
        assert_eq!(
            (row.status, row.is_due, row.is_suspect),
            ("enqueued", true, is_suspect)
        );
        (row.status, row.attempts, row.holder, row.is_over) =
            ("running", row.attempts + 1, Some(who), false);
        assert_eq!(claimed.attempt.number, row.attempts);
        beliefs[who].push(claimed.attempt);
    }
}

async fn play(db: &Db, admin: &tokio_postgres::Client, moves: &[Move]) {
    admin
        .batch_execute("delete from job_records")
        .await
        .unwrap();
    let mut model: HashMap<Uuid, Row> = HashMap::new();
    for _ in 0..JOBS {
        let id: Uuid = admin
            .query_one("insert into job_records (job_type, queue, max_attempts) values ('x', 'realtime', $1) returning id::text", &[&TRIES])
            .await
            .unwrap()
            .get::<_, String>(0)
            .parse()
            .unwrap();
        let row = Row {
            status: "enqueued",
            attempts: 0,
            holder: None,
            is_over: false,
            is_due: true,
            is_suspect: false,
        };
        model.insert(id, row);
    }
    // What each process believes to hold, also what it lost long ago.
    let mut beliefs: [Vec<Attempt>; 2] = Default::default();
    for step in moves {
        match step {
            Move::Claim(who, most) => {
                let from = queue::From::Lane(Lane::Realtime);
                claim(db, &mut model, &mut beliefs, *who, from, *most).await;
            }
            Move::ClaimSuspect(who) => {
                claim(db, &mut model, &mut beliefs, *who, queue::From::Suspects, 1).await;
            }
            Move::Say(who, which, word) => {
                let count = beliefs[*who].len();
                if count == 0 {
                    continue;
                }
                let attempt = beliefs[*who][which % count].clone();
                let row = model.get_mut(&attempt.job).unwrap();
                let holds = row.status == "running"
                    && row.holder == Some(*who)
                    && row.attempts == attempt.number;
                let settled = queue::settle(db, NAMES[*who], &[(attempt.clone(), word.outcome())])
                    .await
                    .unwrap();
                assert_eq!(settled.contains(&attempt.job), holds);
                if holds {
                    row.holder = None;
                    row.is_suspect = false;
                    match word {
                        Word::Done => row.status = "completed",
                        Word::Dead => row.status = "dead",
                        Word::Returned => {
                            (row.status, row.attempts, row.is_due) =
                                ("enqueued", row.attempts - 1, true)
                        }
                        Word::Again if row.attempts >= TRIES => row.status = "dead",
                        Word::Again => (row.status, row.is_due) = ("enqueued", false),
                    }
                }
            }
            Move::Extend(who) => {
                let held: Vec<(Uuid, i32)> =
                    beliefs[*who].iter().map(|a| (a.job, a.number)).collect();
                let kept = queue::extend(db, NAMES[*who], &held, LEASE).await.unwrap();
                for (job, row) in &mut model {
                    let holds = row.status == "running" && row.holder == Some(*who);
                    assert_eq!(kept.contains(job), holds);
                    row.is_over &= !holds;
                }
            }
            Move::Pass => {
                admin.batch_execute("update job_records set leased_until = now() - interval '1 second' where status = 'running'").await.unwrap();
                model
                    .values_mut()
                    .filter(|row| row.status == "running")
                    .for_each(|row| row.is_over = true);
            }
            Move::TakeBack => {
                let over = model
                    .values()
                    .filter(|row| row.status == "running" && row.is_over)
                    .count();
                assert_eq!(queue::take_back(db).await.unwrap(), over);
                for row in model
                    .values_mut()
                    .filter(|row| row.status == "running" && row.is_over)
                {
                    (row.holder, row.is_due, row.is_suspect) = (None, true, true);
                    row.status = if row.attempts >= TRIES {
                        "dead"
                    } else {
                        "enqueued"
                    };
                }
            }
            Move::Due => {
                admin.batch_execute("update job_records set scheduled_for = now() - interval '1 second' where status = 'enqueued'").await.unwrap();
                model
                    .values_mut()
                    .filter(|row| row.status == "enqueued")
                    .for_each(|row| row.is_due = true);
            }
            Move::Revive => {
                db.write(&made_open::base::Caller::Hub, async |tx| {
                    queue::revive_all(tx).await
                })
                .await
                .unwrap();
                for row in model.values_mut().filter(|row| row.status == "dead") {
                    (row.status, row.attempts, row.is_due) = ("enqueued", 0, true);
                    row.is_suspect = false;
                }
            }
        }
    }
    for row in admin
        .query(
            "select id::text, status, attempts, leased_by from job_records",
            &[],
        )
        .await
        .unwrap()
    {
        let expected = &model[&row.get::<_, String>(0).parse::<Uuid>().unwrap()];
        assert_eq!(row.get::<_, &str>(1), expected.status);
        assert_eq!(row.get::<_, i32>(2), expected.attempts);
        assert_eq!(
            row.get::<_, Option<&str>>(3),
            expected.holder.map(|who| NAMES[who])
        );
        assert!(expected.attempts <= TRIES);
    }
}

#[test]
fn leases_hold_whatever_happens_in_whatever_order() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (database, db, admin) = runtime.block_on(async {
        let database = TestDatabase::new().await;
        let db = Db::open(&database.url(), 2).unwrap();
        let admin = database.admin().await;
        (database, db, admin)
    });
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    proptest!(config, |(moves in moves())| {
        runtime.block_on(play(&db, &admin, &moves));
    });
    drop(database);
}
