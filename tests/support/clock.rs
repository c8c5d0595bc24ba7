//! A clock that a test moves and real processes obey: what the database of one test calls now, and what a process preloaded
//! with the library that lies about the time reads. No row is touched, so that whatever waits for days really waits for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::TestDatabase;

/// In one database the words for now become functions of the test's. They are put in place of the server's own, whose new
/// names only these use; whatever was made with the old ones before, defaults and policies, is made again.
const MOVABLE: &str = "
    create schema test_clock;
    create table test_clock.ahead (by interval not null);
    insert into test_clock.ahead values ('0');
    grant usage on schema test_clock to public;
    grant select on test_clock.ahead to public;
    create temporary table kept as
        select d.adrelid::regclass::text as place, a.attname as name, pg_get_expr(d.adbin, d.adrelid) as said
        from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        where a.attgenerated = '' and pg_get_expr(d.adbin, d.adrelid) ~ '(now|clock_timestamp)\\(\\)';
    alter function pg_catalog.now() rename to real_now;
    alter function pg_catalog.clock_timestamp() rename to real_clock_timestamp;
    create function pg_catalog.now() returns timestamptz language plpgsql stable parallel safe as
        $$ begin return pg_catalog.real_now() + (select a.by from test_clock.ahead a); end $$;
    create function pg_catalog.clock_timestamp() returns timestamptz language plpgsql volatile parallel safe as
        $$ begin return pg_catalog.real_clock_timestamp() + (select a.by from test_clock.ahead a); end $$;
    do $$
    declare
        it record;
    begin
        for it in select * from kept loop
            execute format('alter table %s alter column %I set default %s', it.place, it.name, it.said);
        end loop;
    end $$;
    drop table kept;
    select hub.apply_kinds()";

/// Of one database and the processes started with its settings.
#[derive(Clone)]
pub struct Clock {
    offset: PathBuf,
}

impl Clock {
    /// Put it into a database that no process uses yet.
    pub async fn put_into(database: &TestDatabase, data_dir: &Path) -> Self {
        database.admin().await.batch_execute(MOVABLE).await.unwrap();
        let offset = data_dir.join("offset");
        std::fs::write(&offset, "+0\n").unwrap();
        Self { offset }
    }

    /// What a process is started with that is to obey it. Time it measures, as against time it tells, is not moved.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", library()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.offset.to_str().unwrap().to_owned(),
            ),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Let so much time pass at once, in words of the database: `3 days`.
    pub async fn passes(&self, database: &TestDatabase, interval: &str) {
        let ahead: i64 = database
            .admin()
            .await
            .query_one(
                "update test_clock.ahead set by = by + $1::text::interval returning extract(epoch from by)::bigint",
                &[&interval],
            )
            .await
            .unwrap()
            .get(0);
        std::fs::write(&self.offset, format!("+{ahead}\n")).unwrap();
    }
}

/// The preloaded library that lies about the time, where Debian's `faketime` puts it.
pub fn library() -> String {
    let said = Command::new("faketime")
        .args(["-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
        .expect("scripts/test installs faketime");
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}
