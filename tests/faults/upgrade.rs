//! a database of an earlier release, with rows, is brought up in one go and loses nothing.
//! `tests/fixtures/dumps/` keeps one dump per release.

use std::io::Write;
use std::process::{Command, Stdio};

use made_open::db::{Db, check, migrate};

use crate::support::TestDatabase;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_33_every_release_can_be_brought_up() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dumps");
    let mut dumps: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "sql"))
        .collect();
    dumps.sort();
    assert!(!dumps.is_empty(), "no release has a dump");
    for dump in dumps {
        let database = TestDatabase::empty().await;
        let mut psql = Command::new("psql")
            .args([
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                &database.admin_url(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("psql, from Debian's postgresql-client");
        psql.stdin
            .take()
            .unwrap()
            .write_all(&std::fs::read(&dump).unwrap())
            .unwrap();
        assert!(psql.wait().unwrap().success(), "{}", dump.display());

        let admin = database.admin().await;
        let before = counts(&admin).await;
        assert!(
            before.iter().filter(|(_, rows)| *rows > 0).count() > 100,
            "{} holds too few rows",
            dump.display()
        );
        migrate::up(&database.url()).await.unwrap();
        for (table, rows) in &before {
            let after: i64 = admin
                .query_one(&format!("select count(*) from public.{table}"), &[])
                .await
                .unwrap()
                .get(0);
            assert_eq!(after, *rows, "{table} of {}", dump.display());
        }
        let db = Db::open(&database.url(), 2).unwrap();
        assert_eq!(check::problems(&db).await.unwrap(), Vec::<String>::new());
        assert_eq!(
            migrate::up(&database.url()).await.unwrap(),
            migrate::Done::default(),
            "the second run finds nothing to do"
        );
    }
}

async fn counts(admin: &tokio_postgres::Client) -> Vec<(String, i64)> {
    let mut counted = Vec::new();
    for row in admin
        .query("select name from hub.kinds order by name", &[])
        .await
        .unwrap()
    {
        let table: String = row.get(0);
        let rows: i64 = admin
            .query_one(&format!("select count(*) from public.{table}"), &[])
            .await
            .unwrap()
            .get(0);
        counted.push((table, rows));
    }
    counted
}
