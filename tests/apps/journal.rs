//! Readers of the journal: nothing that commits late is skipped, two hubs hear each change once, and what one reaction
//! can't bear holds up nobody else, nor itself for ever.

use std::time::{Duration, Instant};

use made_open::base::config::{self, Flags};
use made_open::base::{Caller, Error};
use made_open::db::{Bind, Db, Statement, Tx};
use made_open::events::{self, Event, react};
use made_open::kinds::verbs::Later;
use made_open::net::Net;
use made_open::node::Node;
use made_open::node::domain::Domain;
use made_open::node::work::{Change, Reaction};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::TestDatabase;

const LISTENING: &[Domain] = &[Domain {
    name: "listening",
    reactions: &[Reaction {
        name: "test.hears",
        to: hears,
    }],
    ..Domain::EMPTY
}];

const FRAGILE: &[Domain] = &[Domain {
    name: "fragile",
    reactions: &[
        Reaction {
            name: "test.fragile",
            to: breaks,
        },
        Reaction {
            name: "test.hears",
            to: hears,
        },
    ],
    ..Domain::EMPTY
}];

fn hears<'a>(tx: &'a mut Tx, changes: &'a [Change]) -> Later<'a, ()> {
    Box::pin(write_down(tx, "hears", changes))
}

fn breaks<'a>(tx: &'a mut Tx, changes: &'a [Change]) -> Later<'a, ()> {
    Box::pin(async move {
        write_down(tx, "fragile", changes).await?;
        for change in changes.iter().filter(|change| change.kind == "persons") {
            match name_of(tx, change.row).await?.as_str() {
                "refused" => return Err(Error::invalid("test.refused", "never")),
                "panics" => panic!("as it was told to"),
                _ => {}
            }
        }
        Ok(())
    })
}

async fn write_down(tx: &mut Tx, who: &str, changes: &[Change]) -> made_open::base::Result<()> {
    for change in changes.iter().filter(|change| change.kind == "persons") {
        let mut insert = Statement::new("insert into public.heard (who, name, row_id) values (");
        insert
            .text(who)
            .sql(", ")
            .text(change.name())
            .sql(", ")
            .bind(Bind::Uuid(change.row))
            .sql(")");
        tx.run(insert).await?;
    }
    Ok(())
}

async fn name_of(tx: &mut Tx, row: Uuid) -> made_open::base::Result<String> {
    let mut select =
        Statement::<diesel::sql_types::Text>::new("select name from public.persons where id = ");
    select.bind(Bind::Uuid(row));
    let names: Vec<String> = tx.load(select).await?;
    Ok(names.into_iter().next().unwrap_or_default())
}

/// A hub in this process, without doors.
fn node(database: &TestDatabase, domains: &'static [Domain]) -> Node {
    let flags = Flags {
        data_dir: Some(std::env::temp_dir()),
        database_url: Some(database.url()),
        ..Flags::default()
    };
    let config = config::load(&flags).unwrap();
    let open = |size| Db::open(&database.url(), size).unwrap();
    let net = Net::new(&config).unwrap();
    Node::new(config, open(4), open(1), net, domains)
}

/// A database with somebody in it, and a place where reactions write down what they hear.
async fn stage() -> (TestDatabase, Client, Uuid) {
    let database = TestDatabase::new().await;
    let admin = database.admin().await;
    admin
        .batch_execute(
            "create table public.heard (n serial, who text, name text, row_id uuid);
             grant all on public.heard, public.heard_n_seq to service_role",
        )
        .await
        .unwrap();
    let row = admin
        .query_one(
            "insert into users (email) values ('a@example.org') returning id::text",
            &[],
        )
        .await
        .unwrap();
    (database, admin, id(&row, 0))
}

fn id(row: &tokio_postgres::Row, column: usize) -> Uuid {
    row.get::<_, String>(column).parse().unwrap()
}

async fn add(client: &Client, owner: Uuid, name: &str) -> Uuid {
    let row = client
        .query_one(
            "insert into persons (owner_id, name) values ($1::text::uuid, $2) returning id::text",
            &[&owner.to_string(), &name],
        )
        .await
        .unwrap();
    id(&row, 0)
}

async fn heard(admin: &Client, who: &str) -> Vec<Uuid> {
    let rows = admin
        .query(
            "select row_id::text from heard where who = $1 order by n",
            &[&who],
        )
        .await
        .unwrap();
    rows.iter().map(|row| id(row, 0)).collect()
}

/// Transactions are numbers, and as many digits as they have they are read in their order, each once.
#[tokio::test]
async fn a_number_with_a_digit_more_comes_after_those_with_less() {
    let (database, admin, _) = stage().await;
    let node = node(&database, LISTENING);
    react::catch_up(&node).await.unwrap();
    let mut written = Vec::new();
    for number in [98, 99, 100, 101, 1000] {
        let row = Uuid::now_v7();
        admin
            .execute(
                "insert into hub.journal (tx, kind, verb, row_id, role)
                 values ($1::text::xid8, 'persons', 'insert', $2::text::uuid, 'service_role')",
                &[&number.to_string(), &row.to_string()],
            )
            .await
            .unwrap();
        written.push(row);
    }
    admin
        .batch_execute("update hub.readers set last_tx = '97' where name = 'test.hears'")
        .await
        .unwrap();

    react::catch_up(&node).await.unwrap();
    assert_eq!(heard(&admin, "hears").await, written);
}

/// What a reader has come to and what it heard more than once, for whoever looks for the cause.
async fn where_readers_stand(admin: &Client) -> String {
    let row = admin
        .query_one(
            "select json_build_object(
                'readers', (select json_agg(r) from hub.readers r),
                'snapshot', pg_current_snapshot()::text,
                'last', (select json_agg(j) from (select tx, id, verb, row_id, at from hub.journal order by tx desc, id desc limit 3) j),
                'open', (select json_agg(a) from (select datname, state, backend_xid, xact_start, left(query, 200) as query
                    from pg_stat_activity where backend_xid is not null) a),
                'twice', (select json_agg(t) from (
                    select h.n, h.name, j.tx, j.id, j.verb, j.at from heard h join hub.journal j on j.row_id = h.row_id
                    where h.row_id in (select row_id from heard group by row_id having count(*) > 1) order by h.n) t))::text",
            &[],
        )
        .await
        .unwrap();
    row.get(0)
}

/// Wait until so many were heard; transactions of other tests on the same server may hide them for a while.
async fn until_heard(admin: &Client, who: &str, count: usize) -> Vec<Uuid> {
    let begun = Instant::now();
    loop {
        let found = heard(admin, who).await;
        if found.len() >= count || begun.elapsed() > Duration::from_secs(40) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_change_that_commits_late_is_not_skipped() {
    let (database, admin, owner) = stage().await;
    let node = node(&database, LISTENING);
    assert_eq!(react::catch_up(&node).await.unwrap(), 0);

    let slow = database.admin().await;
    slow.batch_execute("begin").await.unwrap();
    let first = add(&slow, owner, "begun first").await;
    let second = add(&admin, owner, "committed first").await;
    for _ in 0..3 {
        react::catch_up(&node).await.unwrap();
        assert!(
            heard(&admin, "hears").await.is_empty(),
            "one could still come before it"
        );
    }

    slow.batch_execute("commit").await.unwrap();
    let begun = Instant::now();
    while heard(&admin, "hears").await.len() < 2 && begun.elapsed() < Duration::from_secs(30) {
        react::catch_up(&node).await.unwrap();
    }
    assert_eq!(heard(&admin, "hears").await, [first, second]);
}

#[tokio::test]
async fn two_hubs_on_one_database_hear_each_change_once() {
    let (database, admin, owner) = stage().await;
    let (one, other) = (node(&database, LISTENING), node(&database, LISTENING));
    react::catch_up(&one).await.unwrap();

    let url = database.url();
    let story = async {
        let writers = (0..4).map(|writer| {
            let database = &database;
            async move {
                let client = database.admin().await;
                for n in 0..60 {
                    add(&client, owner, &format!("{writer}/{n}")).await;
                }
            }
        });
        futures_util::future::join_all(writers).await;
        until_heard(&admin, "hears", 240).await;
        // Were any heard twice, the second time would come now.
        tokio::time::sleep(Duration::from_millis(700)).await;
        heard(&admin, "hears").await
    };
    let heard = tokio::select! {
        () = react::follow(&one, &url) => unreachable!("nobody told it to stop"),
        () = react::follow(&other, &url) => unreachable!("nobody told it to stop"),
        heard = story => heard,
    };
    let distinct: std::collections::HashSet<_> = heard.iter().collect();
    assert_eq!(
        (heard.len(), distinct.len()),
        (240, 240),
        "{}",
        where_readers_stand(&admin).await
    );
}

#[tokio::test]
async fn s_157_what_a_reaction_cannot_bear_is_skipped_and_holds_up_nobody_else() {
    let (database, admin, owner) = stage().await;
    let node = node(&database, FRAGILE);
    react::catch_up(&node).await.unwrap();

    let url = database.url();
    let story = async {
        let mut added = Vec::new();
        for name in ["a", "refused", "b", "panics", "c"] {
            added.push(add(&admin, owner, name).await);
        }
        let by_the_other = until_heard(&admin, "hears", 5).await;
        let so_far = skipped(&admin).await;
        let by_the_fragile = until_heard(&admin, "fragile", 3).await;
        (added, by_the_other, so_far, by_the_fragile)
    };
    let (added, by_the_other, so_far, by_the_fragile) = tokio::select! {
        () = react::follow(&node, &url) => unreachable!("nobody told it to stop"),
        told = story => told,
    };
    assert_eq!(by_the_other, added);
    assert!(so_far.0 < 2, "the other did not wait for it: {so_far:?}");
    assert_eq!(by_the_fragile, [added[0], added[2], added[4]]);
    assert_eq!(skipped(&admin).await, (2, 0));
}

/// How many changes the fragile one has left out, and how often it failed at the next.
async fn skipped(admin: &Client) -> (i64, i32) {
    let said = "select skipped, failures from hub.readers where name = 'test.fragile'";
    let row = admin.query_one(said, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn following_ends_when_the_hub_stops() {
    let (database, _, _) = stage().await;
    let node = node(&database, LISTENING);
    node.stop_soon();
    let url = database.url();
    tokio::time::timeout(Duration::from_secs(5), react::follow(&node, &url))
        .await
        .unwrap();
}

/// A journal that was restored from another server has transactions with higher numbers than this one's.
#[tokio::test]
async fn a_restored_journal_goes_on_from_now() {
    let (database, admin, owner) = stage().await;
    let node = node(&database, LISTENING);
    react::catch_up(&node).await.unwrap();
    admin
        .batch_execute("update hub.readers set last_tx = '900000000000' where name = 'test.hears'")
        .await
        .unwrap();
    react::catch_up(&node).await.unwrap();
    let new = add(&admin, owner, "after the move").await;
    let begun = Instant::now();
    while heard(&admin, "hears").await.is_empty() && begun.elapsed() < Duration::from_secs(30) {
        react::catch_up(&node).await.unwrap();
    }
    assert_eq!(heard(&admin, "hears").await, [new]);
}

#[tokio::test]
async fn a_domains_word_is_heard_with_the_change_it_belongs_to() {
    let (database, admin, owner) = stage().await;
    let node = node(&database, LISTENING);
    react::catch_up(&node).await.unwrap();
    let row = Uuid::now_v7();
    let said = |word: &'static str| {
        let node = &node;
        async move {
            let event = Event {
                word,
                kind: "persons",
                row,
                owner: Some(owner),
            };
            node.db
                .write(&Caller::Hub, async |tx| {
                    events::emit(tx, event.clone()).await
                })
                .await
        }
    };
    said("person.met").await.unwrap();
    assert!(
        said("persons.insert").await.is_err(),
        "a word is no plain change"
    );
    let begun = Instant::now();
    let names = loop {
        react::catch_up(&node).await.unwrap();
        let rows = admin
            .query("select name, row_id::text from heard", &[])
            .await
            .unwrap();
        if !rows.is_empty() || begun.elapsed() > Duration::from_secs(30) {
            break rows;
        }
    };
    assert_eq!(names.len(), 1);
    assert_eq!(
        (names[0].get::<_, String>(0), id(&names[0], 1)),
        ("person.met".to_owned(), row)
    );

    // Nobody else may say such a word, and the words of plain changes are the triggers'.
    let login = database.login().await;
    for role in ["anon", "authenticated"] {
        let call = format!(
            "begin; set local role {role}; select hub.emit('person.met', 'persons', '{row}', null)"
        );
        assert!(login.batch_execute(&call).await.is_err(), "{role}");
        login.batch_execute("rollback").await.unwrap();
    }
    let forged = "insert into hub.journal (kind, verb, row_id, role) values ('persons', 'x.insert', hub.uuid_v7(), 'x')";
    assert!(admin.batch_execute(forged).await.is_err());
}
