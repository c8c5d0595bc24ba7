//! Jobs under faults: processes that freeze, die and fight for the same rows, jobs that panic, hang and kill. The
//! runner is the real one, in processes of its own; only the jobs are the tests'.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use made_open::base::config::{self, Flags};
use made_open::base::{Caller, Error, Hub, Result};
use made_open::db::{Bind, Db, Statement};
use made_open::job;
use made_open::jobs::runner::Runner;
use made_open::jobs::{Attempt, Cron, Job, Lane, Order, enqueue, queue};
use made_open::net::Net;
use made_open::node::Node;
use made_open::node::domain::Domain;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::TestDatabase;
use crate::support::server::kill;

const WORKER: &str = "MADE_OPEN_TEST_WORKER";

/// What the tests' jobs do.
#[derive(Debug, Serialize, Deserialize)]
enum Deed {
    Nothing,
    Sleep(u64),
    /// Longer than the lease at first, then refused; fine the second time.
    FailLateOnce(u64),
    Panic,
    Abort,
    WaitForEver,
    BlockTheThread(u64),
    Refuse,
    Busy,
}

/// A job of the tests; each try is a row of `probe.ran`.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    deed: Deed,
}

impl Job for Task {
    const KEY: &'static str = "test.task";
    const LANE: Lane = Lane::Interactive;
    const TRIES: i32 = 3;
    const LONGEST: Duration = Duration::from_secs(12);

    async fn run(&self, node: &Node, attempt: &Attempt) -> Result<()> {
        let note = |word: &'static str| {
            let mut note = Statement::new("insert into probe.ran (job, attempt, word) values (");
            note.bind(Bind::Uuid(attempt.job))
                .sql(", ")
                .bind(Bind::Int(attempt.number.into()))
                .sql(", ")
                .text(word)
                .sql(")");
            note
        };
        let begin = note("begin");
        node.db
            .write(&Caller::Hub, async |tx| tx.run(begin.clone()).await)
            .await?;
        let ms = Duration::from_millis;
        match &self.deed {
            Deed::Nothing => {}
            Deed::Sleep(long) => tokio::time::sleep(ms(*long)).await,
            Deed::FailLateOnce(long) if attempt.number == 1 => {
                tokio::time::sleep(ms(*long)).await;
                return Err(Error::busy("late"));
            }
            Deed::FailLateOnce(_) => {}
            Deed::Panic => panic!("as it should"),
            Deed::Abort => std::process::abort(),
            Deed::WaitForEver => std::future::pending().await,
            Deed::BlockTheThread(long) if attempt.number == 1 => std::thread::sleep(ms(*long)),
            Deed::BlockTheThread(_) => {}
            Deed::Refuse => return Err(Error::invalid("test.no", "Never.")),
            Deed::Busy => return Err(Error::busy("Not now.")),
        }
        let end = note("end");
        node.db
            .write(&Caller::Hub, async |tx| tx.run(end.clone()).await)
            .await
            .map(|_| ())
    }
}

/// The same with a short patience.
#[derive(Debug, Serialize, Deserialize)]
struct Short {
    deed: Deed,
}

impl Job for Short {
    const KEY: &'static str = "test.short";
    const TRIES: i32 = 2;
    const LONGEST: Duration = Duration::from_secs(1);

    async fn run(&self, _: &Node, attempt: &Attempt) -> Result<()> {
        match &self.deed {
            Deed::WaitForEver => std::future::pending().await,
            Deed::BlockTheThread(long) if attempt.number == 1 => {
                std::thread::sleep(Duration::from_millis(*long));
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Tick {}

impl Job for Tick {
    const KEY: &'static str = "test.tick";

    async fn run(&self, _: &Node, _: &Attempt) -> Result<()> {
        Ok(())
    }
}

const DOMAINS: &[Domain] = &[Domain {
    name: "test",
    jobs: &[job!(Task), job!(Short), job!(Tick)],
    crons: &[Cron {
        name: "tick",
        schedule: "0 0 1 1 *",
        job: "test.tick",
    }],
    ..Domain::EMPTY
}];

fn node(url: &str) -> Arc<Node> {
    let flags = Flags {
        data_dir: Some(std::env::temp_dir()),
        database_url: Some(url.to_owned()),
        ..Flags::default()
    };
    let mut config = config::load(&flags).unwrap();
    config.jobs_lease_seconds = 2;
    let db = Db::of(Arc::new(Hub::default()), url, 6).unwrap();
    let probe = Db::open(url, 1).unwrap();
    let net = Net::new(&config).unwrap();
    Arc::new(Node::new(config, db, probe, net, DOMAINS))
}

/// When this process was started as a worker: work until killed.
async fn work_if_asked() {
    if let Some(url) = std::env::var(WORKER).ok().filter(|url| !url.is_empty()) {
        let _runner = Runner::start(node(&url), url.clone());
        std::future::pending::<()>().await;
    }
}

/// A worker in a process of its own: this test binary once more, with the test that begins with `work_if_asked`.
struct Worker(Child);

impl Worker {
    fn start(stage: &Stage) -> Self {
        let test = "jobs::r_29_two_processes_run_no_job_twice_and_the_clock_strikes_once";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(WORKER, stage.database.url())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, name: &str) {
        kill(name, self.0.id());
    }

    fn is_gone(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A database, the means to enqueue and to look.
struct Stage {
    database: TestDatabase,
    node: Arc<Node>,
    admin: Client,
}

impl Stage {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let admin = database.admin().await;
        admin
            .batch_execute(
                "create schema probe; create table probe.ran (job uuid, attempt int, word text, at timestamptz default clock_timestamp()); \
                 grant usage on schema probe to service_role; grant insert, select on probe.ran to service_role",
            )
            .await
            .unwrap();
        let node = node(&database.url());
        Self {
            database,
            node,
            admin,
        }
    }

    async fn enqueue<J: Job>(&self, job: &J) -> Uuid {
        self.node
            .db
            .write(&Caller::Hub, async |tx| {
                enqueue(tx, job, Order::default()).await
            })
            .await
            .unwrap()
            .unwrap()
    }

    async fn status(&self, job: Uuid) -> (String, i32, Option<String>) {
        let row = self
            .admin
            .query_one(
                "select status, attempts, last_error from job_records where id = $1::text::uuid",
                &[&job.to_string()],
            )
            .await
            .unwrap();
        (row.get(0), row.get(1), row.get(2))
    }

    async fn count(&self, sql: &str) -> i64 {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Wait until this counts so many.
    async fn until(&self, sql: &str, wanted: i64) {
        let began = Instant::now();
        loop {
            let counted = self.count(sql).await;
            if counted == wanted {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{sql}: {counted}, not {wanted}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is to be tried again need not be waited for.
    async fn hurry(&self) {
        self.admin
            .batch_execute("update job_records set scheduled_for = now() where status = 'enqueued'")
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_29_two_processes_run_no_job_twice_and_the_clock_strikes_once() {
    work_if_asked().await;
    let stage = Stage::new().await;
    for _ in 0..300 {
        stage
            .enqueue(&Task {
                deed: Deed::Sleep(15),
            })
            .await;
    }
    let (_a, _b) = (Worker::start(&stage), Worker::start(&stage));
    stage
        .until(
            "select count(*) from job_records where status = 'completed'",
            300,
        )
        .await;
    let twice = "select count(*) from (select job from probe.ran where word = 'begin' group by job having count(*) <> 1) t";
    assert_eq!(stage.count(twice).await, 0);
    let holders = "select count(*) from job_records where attempts <> 1 or leased_by is not null";
    assert_eq!(stage.count(holders).await, 0);

    // Each looks at the clock; one of them enqueues.
    stage
        .until("select count(*) from hub.cron_due where name = 'tick'", 1)
        .await;
    for round in 1..=3 {
        // Another due time each round: what was due at the same second runs once.
        let due = format!(
            "update hub.cron_due set due_at = now() - interval '{} seconds'",
            round * 100
        );
        stage.admin.batch_execute(&due).await.unwrap();
        stage
            .until(
                "select count(*) from cron_logs where job_name = 'tick' and status = 'success'",
                round,
            )
            .await;
    }
    let ticks = "select count(*) from job_records where job_type = 'test.tick'";
    assert_eq!(stage.count(ticks).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_30_a_process_frozen_longer_than_its_lease_says_nothing_that_counts() {
    let stage = Stage::new().await;
    let job = stage
        .enqueue(&Task {
            deed: Deed::FailLateOnce(4000),
        })
        .await;
    let frozen = Worker::start(&stage);
    stage
        .until("select count(*) from probe.ran where attempt = 1", 1)
        .await;
    frozen.signal("STOP");
    let _other = Worker::start(&stage);
    stage
        .until(
            "select count(*) from job_records where status = 'enqueued' or attempts = 2",
            1,
        )
        .await;
    stage.hurry().await;
    stage
        .until(
            "select count(*) from job_records where status = 'completed'",
            1,
        )
        .await;
    frozen.signal("CONT");
    // It wakes, finds its try failed, and would enqueue the job again if its word counted.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(stage.status(job).await, ("completed".to_owned(), 2, None));
    let ran = "select count(*) from probe.ran where word = 'begin'";
    assert_eq!(stage.count(ran).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_31_a_job_that_waits_for_ever_or_blocks_its_thread_is_tried_again() {
    let stage = Stage::new().await;
    let waits = stage
        .enqueue(&Short {
            deed: Deed::WaitForEver,
        })
        .await;
    let blocked = stage
        .enqueue(&Short {
            deed: Deed::BlockTheThread(60_000),
        })
        .await;
    let _a = Worker::start(&stage);
    // Blocked with the thread that should notice: the lease ends, and somebody else takes both.
    stage
        .until(
            "select count(*) from job_records where leased_by is null and last_error is not null",
            2,
        )
        .await;
    let _b = Worker::start(&stage);
    stage.hurry().await;
    stage
        .until(
            "select count(*) from job_records where status in ('completed', 'dead')",
            2,
        )
        .await;
    assert_eq!(stage.status(blocked).await.0, "completed");
    let (status, attempts, error) = stage.status(waits).await;
    assert_eq!((status.as_str(), attempts), ("dead", 2));
    assert!(error.unwrap().contains("longer than 1 s"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_32_a_job_that_kills_its_process_dies_and_its_neighbours_do_not() {
    let stage = Stage::new().await;
    let poison = stage.enqueue(&Task { deed: Deed::Abort }).await;
    let mut neighbours = Vec::new();
    for _ in 0..5 {
        neighbours.push(
            stage
                .enqueue(&Task {
                    deed: Deed::Sleep(400),
                })
                .await,
        );
    }
    let mut worker = Worker::start(&stage);
    let mut deaths = 0;
    let began = Instant::now();
    while stage.status(poison).await.0 != "dead" {
        if worker.is_gone() {
            deaths += 1;
            worker = Worker::start(&stage);
        }
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "{:?}",
            stage.status(poison).await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((stage.status(poison).await.1, deaths), (3, 3));
    stage
        .until(
            "select count(*) from job_records where status = 'completed'",
            5,
        )
        .await;
    assert!(!worker.is_gone());

    // A panic takes nothing else with it.
    let panics = stage.enqueue(&Task { deed: Deed::Panic }).await;
    for _ in 0..3 {
        stage.until("select count(*) from job_records where status = 'enqueued' and last_error is not null or status = 'dead' and last_error like '%panicked%'", 1).await;
        stage.hurry().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stage
        .until("select count(*) from job_records where status = 'dead'", 2)
        .await;
    assert_eq!(stage.status(panics).await.1, 3);
    let fine = stage
        .enqueue(&Task {
            deed: Deed::Nothing,
        })
        .await;
    stage
        .until(
            "select count(*) from job_records where status = 'completed'",
            6,
        )
        .await;
    assert_eq!(stage.status(fine).await.1, 1);
    assert!(!worker.is_gone());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_is_stopped_finishes_what_is_short_and_returns_the_rest() {
    let stage = Stage::new().await;
    let short = stage
        .enqueue(&Task {
            deed: Deed::Sleep(1500),
        })
        .await;
    let long = stage
        .enqueue(&Task {
            deed: Deed::Sleep(11_500),
        })
        .await;
    let runner = Runner::start(stage.node.clone(), stage.database.url());
    stage
        .until("select count(*) from probe.ran where word = 'begin'", 2)
        .await;
    let began = Instant::now();
    runner.stop().await;
    assert!(began.elapsed() < Duration::from_secs(12));
    assert_eq!(stage.status(short).await, ("completed".to_owned(), 1, None));
    assert_eq!(stage.status(long).await, ("enqueued".to_owned(), 0, None));
    assert_eq!(stage.count("select count(*) from hub.leases").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_tried_again_is_dead_at_once_and_the_rest_waits_its_turn() {
    let stage = Stage::new().await;
    let refused = stage.enqueue(&Task { deed: Deed::Refuse }).await;
    let busy = stage.enqueue(&Task { deed: Deed::Busy }).await;
    let (db, order) = (
        &stage.node.db,
        Order {
            key: Some("once".to_owned()),
            ..Order::default()
        },
    );
    let twice = db
        .write(&Caller::Hub, async |tx| {
            let task = Task {
                deed: Deed::Nothing,
            };
            let first = enqueue(tx, &task, order.clone()).await?;
            let second = enqueue(tx, &task, order.clone()).await?;
            Ok((first.is_some(), second.is_some()))
        })
        .await
        .unwrap();
    assert_eq!(twice, (true, false));
    let undone: Result<()> = db
        .write(&Caller::Hub, async |tx| {
            enqueue(
                tx,
                &Task {
                    deed: Deed::Nothing,
                },
                Order::default(),
            )
            .await?;
            Err(Error::invalid("test.undo", "Undo."))
        })
        .await;
    assert!(undone.is_err());
    let runner = Runner::start(stage.node.clone(), stage.database.url());
    stage
        .until(
            "select count(*) from job_records where status in ('dead', 'completed')",
            2,
        )
        .await;
    stage
        .until("select count(*) from job_records where last_error like 'Not now.%' and scheduled_for > now() + interval '4 seconds'", 1)
        .await;
    assert_eq!(stage.count("select count(*) from job_records").await, 3);
    assert_eq!(
        stage.status(refused).await,
        ("dead".to_owned(), 1, Some("Never. (test.no)".to_owned()))
    );
    assert_eq!(stage.status(busy).await.1, 1);
    // Retried by hand it has all its tries again.
    db.write(&Caller::Hub, async |tx| queue::revive(tx, refused).await)
        .await
        .unwrap();
    stage
        .until(
            "select count(*) from job_records where status = 'dead' and attempts = 1",
            1,
        )
        .await;
    let again = db
        .write(&Caller::Hub, async |tx| queue::revive(tx, busy).await)
        .await;
    assert!(again.unwrap_err().is("job.not_dead"));
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_28_a_claim_reads_no_row_but_those_it_takes() {
    let stage = Stage::new().await;
    stage
        .admin
        .batch_execute(
            "insert into job_records (job_type, queue, status, attempts) select 'test.task', 'interactive', 'dead', 10 from generate_series(1, 60000); \
             insert into job_records (job_type, queue, scheduled_for) select 'test.task', 'interactive', now() + interval '1 day' from generate_series(1, 20000); \
             insert into job_records (job_type, queue, payload) select 'test.task', 'interactive', '{\"deed\": \"Nothing\"}' from generate_series(1, 40); \
             analyze job_records",
        )
        .await
        .unwrap();
    let plan: Vec<String> = stage
        .admin
        .query(
            "explain (analyze, timing off, costs off) select id from public.job_records where status = 'enqueued' and lost = 0 and queue = 'interactive' \
             and scheduled_for <= now() order by scheduled_for, id limit 16 for update skip locked",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("job_records_due_idx")
            && !plan.contains("Seq Scan")
            && !plan.contains("Sort"),
        "{plan}"
    );
    let claimed = queue::claim(
        &stage.node.db,
        "me",
        queue::From::Lane(Lane::Interactive),
        16,
        Duration::from_secs(5),
    )
    .await
    .unwrap();
    assert_eq!(claimed.len(), 16);

    // What nobody needs any more goes, the rest stays.
    stage
        .admin
        .batch_execute(
            "alter table job_records disable trigger all; \
             update job_records set updated_at = now() - interval '31 days' where id in (select id from job_records where status = 'dead' limit 15000); \
             alter table job_records enable trigger all",
        )
        .await
        .unwrap();
    let mut gone = 0;
    loop {
        let now = stage
            .node
            .db
            .write(&Caller::Hub, async |tx| queue::prune(tx).await)
            .await
            .unwrap();
        gone += now;
        if now == 0 {
            break;
        }
    }
    assert_eq!(gone, 15_000);
}
