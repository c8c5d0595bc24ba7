//! A row in every kind, and from them the dump that a release leaves for the upgrade tests of later ones:
//! `MADE_OPEN_TEST_WRITE_DUMP=FILE scripts/test -E 'test(every_kind_holds_a_row)'` writes it.

#![allow(
    clippy::disallowed_methods,
    reason = "a test that writes a file where it is told"
)]

use std::process::Command;

use crate::expect_none;
use crate::scopes::Scopes;
use crate::stage::{Stage, found};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_holds_a_row() {
    let stage = Stage::new().await;
    let scopes = Scopes::read();
    let cast = stage.cast().await;
    for names in [&cast.first, &cast.second] {
        let mut world = stage.world(names);
        found(&mut world).await;
        for name in stage.catalogue.tables.keys() {
            let is_there = ["users", "tenants", "user_profile"].contains(&name.as_str())
                || world.parents.contains_key(name);
            // The first case of a table is its ordinary row.
            if let (false, Some(case)) = (is_there, scopes.expected(name).first()) {
                let row = world.make_or_change(name, &case.row).await;
                world.parents.entry(name.clone()).or_insert(row);
            }
        }
    }
    let admin = stage.database.admin().await;
    let mut empty = Vec::new();
    for name in stage.catalogue.tables.keys() {
        let rows: i64 = admin
            .query_one(&format!("select count(*) from public.{name}"), &[])
            .await
            .unwrap()
            .get(0);
        if rows == 0 {
            empty.push(format!("{name} holds no row"));
        }
    }
    expect_none(&empty);

    if let Ok(file) = std::env::var("MADE_OPEN_TEST_WRITE_DUMP") {
        let dumped = Command::new("pg_dump")
            .args(["--no-sync", "--file", &file, &stage.database.admin_url()])
            .status()
            .expect("pg_dump, of the server's version or later");
        assert!(dumped.success());
    }
}
