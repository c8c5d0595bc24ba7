//! The embedded database as a process: how it starts and ends, also when it is not asked politely.
//!
//! Run as root these tests also cover the change of user; as an ordinary user they are about that user alone.

mod hub;

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hub::{Dir, Hub, NOBODY, connect, is_gone, one};
use made_open::db::embedded::Embedded;
use rustix::process::{Signal, kill_process};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn starts_from_nothing_and_again() {
    let dir = Dir::new("start");
    assert!(Embedded::attach(&dir.data()).unwrap().is_none());

    let hub = Hub::start(&dir);
    println!("cold start: {:?}", hub.took);
    one(&hub.url, "create extension vector").await;
    let distance = "select '[1,0]'::vector(2) <=> '[1,0]'::vector(2)";
    assert_eq!(one(&hub.url, distance).await, "0");
    for (setting, value) in [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
    ] {
        assert_eq!(
            one(&hub.url, &format!("show {setting}")).await,
            value,
            "{setting}"
        );
    }
    let collation = "select datcollate from pg_database where datname = current_database()";
    assert_eq!(one(&hub.url, collation).await, "C.UTF-8");
    one(&hub.url, "create table kept as select 41 + 1 as n").await;
    hub.stop();
    assert!(dir.log().trim().ends_with("database system is shut down"));

    let mut hub = Hub::start(&dir);
    println!("warm start: {:?}", hub.took);
    assert_eq!(one(&hub.url, "select n from kept").await, "42");
    drop(hub.child.stdin.take());
    hub.ends_well();
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let dir = Dir::new("private");
    let hub = Hub::start(&dir);

    for secret in ["postgres.password", "made_open.password", "postgres.log"] {
        let mode = fs::metadata(dir.data().join(secret)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    for closed in ["cluster", "socket"] {
        let mode = fs::metadata(dir.data().join(closed)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700, "{closed}");
    }
    let mut config: tokio_postgres::Config = hub.url.parse().unwrap();
    config.password("wrong");
    assert!(config.connect(tokio_postgres::NoTls).await.is_err());
    let postmaster = dir.postmaster().as_raw_nonzero();
    let environment = fs::read(format!("/proc/{postmaster}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(!environment.contains("PATH=/"), "{environment}");
    if is_root() {
        let owner = fs::metadata(format!("/proc/{postmaster}")).unwrap().uid();
        assert_ne!(owner, 0);
    }
    hub.stop();
}

#[tokio::test]
async fn another_process_finds_the_server() {
    let dir = Dir::new("attach");
    let hub = Hub::start(&dir);

    let mut found = Embedded::attach(&dir.data()).unwrap().unwrap();
    assert_eq!(found.admin_url("postgres"), hub.url);
    assert_eq!(one(&found.admin_url("template1"), "select 1").await, "1");
    assert_eq!(
        i32::try_from(found.pid()).unwrap(),
        dir.postmaster().as_raw_nonzero().get()
    );
    assert!(found.exited().is_none());

    // What the bootstrap will do, shortened.
    let login = format!(
        "create role made_open login password '{}'",
        found.app_password()
    );
    one(&hub.url, &login).await;
    one(&hub.url, "create database made_open").await;
    assert_eq!(
        one(&found.app_url(), "select current_user").await,
        "made_open"
    );

    found.stop().unwrap();
    assert_eq!(one(&hub.url, "select 2").await, "2");
    hub.stop();
    assert!(Embedded::attach(&dir.data()).unwrap().is_none());
}

#[tokio::test]
async fn runs_as_an_ordinary_user() {
    if !is_root() {
        // Then every other test has shown it.
        return;
    }
    let dir = Dir::new("nobody");
    let hub = Hub::start_as(&dir, NOBODY);
    println!("cold start as nobody: {:?}", hub.took);
    one(&hub.url, "create extension vector").await;
    hub.stop();

    let hub = Hub::start_as(&dir, NOBODY);
    println!("warm start as nobody: {:?}", hub.took);
    let postmaster = dir.postmaster();
    hub.kill();
    assert!(is_gone(postmaster));

    // Root goes on with whom the files belong to.
    let hub = Hub::start(&dir);
    assert_eq!(fs::metadata(dir.cluster()).unwrap().uid(), NOBODY);
    assert_eq!(
        one(
            &hub.url,
            "select count(*) from pg_extension where extname = 'vector'"
        )
        .await,
        "1"
    );
    hub.stop();
}

#[tokio::test]
async fn two_cannot_share_a_directory() {
    let dir = Dir::new("two");
    let first = Hub::start(&dir);

    let said = Hub::try_start(dir.data(), None).err().unwrap();
    assert!(said.contains("in use by another made-open"), "{said}");

    assert_eq!(one(&first.url, "select 1").await, "1");
    first.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loses_nothing_when_everything_is_killed() {
    let dir = Dir::new("crash");
    let mut hub = Hub::start(&dir);
    one(
        &hub.url,
        "create table acknowledged (id bigint primary key)",
    )
    .await;

    for round in 0..2 {
        let last = Arc::new(AtomicI64::new(-1));
        let client = connect(&hub.url).await;
        let from: i64 = one(
            &hub.url,
            "select coalesce(max(id), 0) + 1 from acknowledged",
        )
        .await
        .parse()
        .unwrap();
        let told = last.clone();
        let writer = tokio::spawn(async move {
            for id in from.. {
                let insert = format!("insert into acknowledged values ({id})");
                if client.batch_execute(&insert).await.is_err() {
                    break;
                }
                told.store(id, Ordering::SeqCst);
            }
        });
        while last.load(Ordering::SeqCst) < from + 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        // The hub last: otherwise the server would begin to shut down cleanly.
        let postmaster = dir.postmaster();
        let processes = dir.server_processes();
        assert!(processes.len() > 3);
        kill_process(postmaster, Signal::KILL).unwrap();
        for process in processes {
            let _ = kill_process(process, Signal::KILL);
        }
        hub.kill();
        writer.await.unwrap();
        assert!(is_gone(postmaster));

        hub = Hub::start(&dir);
        println!("start after a crash: {:?}", hub.took);
        assert!(dir.log().contains("automatic recovery in progress"));
        let last = last.load(Ordering::SeqCst);
        let missing = format!(
            "select count(*) from generate_series(1, {last}) id where id not in (select id from acknowledged)"
        );
        assert_eq!(
            one(&hub.url, &missing).await,
            "0",
            "round {round}, up to {last}"
        );
    }
    hub.stop();
}

#[tokio::test]
async fn the_server_follows_a_killed_hub() {
    let dir = Dir::new("follow");
    let hub = Hub::start(&dir);
    let postmaster = dir.postmaster();
    hub.kill();
    assert!(is_gone(postmaster));
    assert!(dir.log().trim().ends_with("database system is shut down"));

    // The next one doesn't have to wait until somebody looked: it waits itself.
    let hub = Hub::start(&dir);
    let client = connect(&hub.url).await;
    one(&hub.url, "create table busy (id int)").await;
    hub.kill();
    let hub = Hub::start(&dir);
    assert_eq!(one(&hub.url, "select count(*) from busy").await, "0");
    assert!(client.batch_execute("select 1").await.is_err());
    hub.stop();
}

#[tokio::test]
async fn waits_for_a_server_whose_hub_is_gone() {
    let dir = Dir::new("orphan");
    let hub = Hub::start(&dir);
    let orphan = dir.postmaster();
    // Without its checkpointer the server can't end.
    let is_checkpointer = |process: &rustix::process::Pid| {
        let path = format!("/proc/{}/cmdline", process.as_raw_nonzero());
        fs::read_to_string(path).is_ok_and(|name| name.contains("checkpointer"))
    };
    let mut processes = dir.server_processes().into_iter();
    let checkpointer = processes.find(is_checkpointer).unwrap();
    kill_process(checkpointer, Signal::STOP).unwrap();
    hub.kill();
    let waker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        kill_process(checkpointer, Signal::CONT).unwrap();
    });

    let hub = Hub::start(&dir);
    assert!(hub.took > Duration::from_secs(1));
    assert_ne!(dir.postmaster(), orphan);
    waker.join().unwrap();
    hub.stop();
}

#[tokio::test]
async fn a_number_that_was_given_again_does_not_stop_the_start() {
    let dir = Dir::new("stale");
    Hub::start(&dir).stop();
    let owner = fs::metadata(dir.cluster()).unwrap().uid();
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    if is_root() {
        sleep.uid(owner);
    }
    let mut other = sleep.spawn().unwrap();
    let cluster = dir.cluster();
    let stale = format!("{}\n{}\n1700000000\n5432\n", other.id(), cluster.display());
    let file = cluster.join("postmaster.pid");
    fs::write(&file, stale).unwrap();
    std::os::unix::fs::chown(&file, Some(owner), None).unwrap();

    let hub = Hub::start(&dir);
    assert_eq!(one(&hub.url, "select 1").await, "1");
    hub.stop();

    assert!(
        other.try_wait().unwrap().is_none(),
        "it was not ours to end"
    );
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn a_long_path_has_its_socket_elsewhere() {
    let dir = Dir::new(&"long".repeat(25));
    let hub = Hub::start(&dir);
    let found = Embedded::attach(&dir.data()).unwrap().unwrap();
    assert!(!found.socket_dir().starts_with(&dir.0));
    assert_eq!(one(&found.admin_url("postgres"), "select 1").await, "1");
    hub.stop();
    fs::remove_dir_all(found.socket_dir()).unwrap();
}

#[test]
fn says_what_to_do_about_another_version() {
    let dir = Dir::new("version");
    fs::create_dir_all(dir.cluster()).unwrap();
    fs::write(dir.cluster().join("PG_VERSION"), "9\n").unwrap();
    let said = Hub::try_start(dir.data(), None).err().unwrap();
    assert!(said.contains("made by PostgreSQL 9"), "{said}");
    assert!(said.contains("pg_dump"), "{said}");
}

#[test]
fn says_what_to_do_about_a_closed_directory() {
    if !is_root() {
        return;
    }
    let dir = Dir::new("closed");
    let home = dir.0.join("home");
    fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
    let said = Hub::try_start(home.join("data"), None).err().unwrap();
    assert!(said.contains("name another data directory"), "{said}");
    // A directory that was made for the hub alone is opened as far as needed, and not further.
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();
    fs::DirBuilder::new()
        .mode(0o700)
        .create(dir.data())
        .unwrap();
    Hub::start(&dir).stop();
    assert_eq!(fs::metadata(dir.data()).unwrap().mode() & 0o777, 0o701);
}
