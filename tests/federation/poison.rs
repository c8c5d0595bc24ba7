//! What breaks on our side while it is applied (S-157): it is tried so often and no more, and keeps nothing else waiting. A
//! domain of the test's own panics; in a whole hub a trigger of the database fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use made_open::base::Result;
use made_open::base::config::{self, Flags};
use made_open::base::hub::Hub as Place;
use made_open::db::{Db, Statement, Tx};
use made_open::fed::apply::Applier;
use made_open::hears;
use made_open::net::Net;
use made_open::node::Node;
use made_open::node::domain::Domain;
use made_open::node::incoming::{Applied, Incoming};
use serde_json::json;
use tokio_postgres::Client;

use super::inbox::{ended, rig, state};
use crate::support::TestDatabase;
use crate::support::peer::PUBLIC;

/// Takes posts, and panics over some.
async fn on_post(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let content = heard.said("content").unwrap_or_default().to_owned();
    let mut note = Statement::<()>::new("insert into probe.took (content) values (");
    note.text(content.as_str()).sql(")");
    tx.as_hub(async |tx| tx.run(note.clone()).await).await?;
    assert!(!content.contains("poison"), "as it should");
    Ok(Applied::Done)
}

const DOMAINS: &[Domain] = &[Domain {
    name: "test",
    hears: &[hears!(PostCreated => on_post)],
    ..Domain::EMPTY
}];

fn node(url: &str) -> Arc<Node> {
    let flags = Flags {
        data_dir: Some(std::env::temp_dir()),
        database_url: Some(url.to_owned()),
        public_url: Some("https://hub.example".to_owned()),
        ..Flags::default()
    };
    let config = config::load(&flags).unwrap();
    let place = Arc::new(Place::default());
    place.set_public_url("https://hub.example".parse().unwrap());
    let db = Db::of(place, url, 4).unwrap();
    let probe = Db::open(url, 1).unwrap();
    let net = Net::new(&config).unwrap();
    Arc::new(Node::new(config, db, probe, net, DOMAINS))
}

async fn until(admin: &Client, query: &str, expected: i64) {
    let began = Instant::now();
    loop {
        let found: i64 = admin.query_one(query, &[]).await.unwrap().get(0);
        if found == expected {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(40),
            "{found} instead of {expected}: {query}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// So many posts of somebody elsewhere as they were kept, one of which is poison.
async fn kept(admin: &Client, from: i32, count: i32, poison: i32) {
    admin
        .execute(
            "insert into ap_received (uri, actor_uri, host, type, object_uri, body) \
             select 'https://p.example/a/' || n, 'https://p.example/u', 'p.example', 'Create', 'https://p.example/n/' || n, \
               jsonb_build_object('type', 'Create', 'id', 'https://p.example/a/' || n, 'actor', 'https://p.example/u', 'object', \
                 jsonb_build_object('type', 'Note', 'id', 'https://p.example/n/' || n, 'attributedTo', 'https://p.example/u', \
                   'content', case when n = $3 then 'poison' else 'good' end, 'to', jsonb_build_array($4::text)), \
                 'to', jsonb_build_array($4::text))::text \
             from generate_series($1::int, $1 + $2 - 1) n order by n",
            &[&from, &count, &poison, &PUBLIC],
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_157_an_activity_over_which_a_domain_panics_holds_up_nobody_else() {
    let database = TestDatabase::new().await;
    let admin = database.admin().await;
    admin
        .batch_execute(
            "create schema probe; create table probe.took (content text); grant usage on schema probe to service_role; \
             grant insert on probe.took to service_role; \
             insert into ap_actors (uri, type, preferred_username, host, inbox_url) \
             values ('https://p.example/u', 'Person', 'u', 'p.example', 'https://p.example/u/inbox')",
        )
        .await
        .unwrap();
    kept(&admin, 0, 30, 11).await;
    let applier = Applier::start(node(&database.url()), database.url());

    // Whatever came before it and after it is done, each once; what it wrote before it panicked is not there.
    until(
        &admin,
        "select count(*) from ap_received where state = 'done'",
        29,
    )
    .await;
    until(&admin, "select count(*) from probe.took", 29).await;
    let poison = "select count(*) from ap_received where uri = 'https://p.example/a/11' and ";
    until(
        &admin,
        &format!("{poison} state = 'waiting' and attempts = 1 and next_at > now()"),
        1,
    )
    .await;

    // It is tried again, though not for ever, and what comes meanwhile does not wait.
    for round in 2..=8 {
        kept(&admin, round * 100, 5, -1).await;
        admin
            .batch_execute("update ap_received set next_at = now() where state = 'waiting'")
            .await
            .unwrap();
        until(&admin, &format!("{poison} attempts = {round}"), 1).await;
        until(
            &admin,
            "select count(*) from ap_received where state = 'done'",
            i64::from(29 + (round - 1) * 5),
        )
        .await;
    }
    until(
        &admin,
        &format!("{poison} state = 'dead' and reason like '%panicked%' and ended_at is not null"),
        1,
    )
    .await;
    until(&admin, "select count(*) from probe.took", 29 + 35).await;
    applier.stop().await;
}

#[tokio::test]
async fn s_157_what_the_database_cannot_bear_is_given_up_after_its_tries() {
    let (hub, bob, _peers, ann) = rig(&[]).await;
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(
            "create function public.poisoned() returns trigger language plpgsql as $$ begin \
               if new.body like '%poison%' then perform 1 / (length(new.body) - length(new.body)); end if; return new; end $$; \
             create trigger poisoned before insert on messages for each row execute function public.poisoned()",
        )
        .await
        .unwrap();
    let sends = async |content: &str| {
        let note = ann.note(content, &[&bob.actor], json!({}));
        let create = ann.create(&note);
        let told = ann.send(&hub.shared_inbox(), &create).await;
        assert_eq!(told.status, 202, "{told:?}");
        create["id"].as_str().unwrap().to_owned()
    };
    let poison = sends("<p>poison</p>").await;
    for n in 0..5 {
        let good = sends(&format!("<p>good {n}</p>")).await;
        assert_eq!(ended(&hub, &good).await, "done");
    }
    hub.until("it is given up", async || {
        hub.hurry().await;
        state(&hub, &poison)
            .await
            .filter(|state| state.starts_with("dead"))
    })
    .await;
    hub.counts("select count(*) from messages", 5).await;
    let tries = format!("select attempts::bigint from ap_received where uri = '{poison}'");
    assert_eq!(hub.count(&tries).await, 8);
    assert_eq!(hub.hub.get("/livez").await.status(), 200);

    // The operators see it, and it can be tried again once its cause is mended.
    admin
        .batch_execute(
            "drop trigger poisoned on messages; \
             update ap_received set state = 'waiting', attempts = 0, next_at = now(), ended_at = null where state = 'dead'",
        )
        .await
        .unwrap();
    hub.counts("select count(*) from messages", 6).await;
}

#[tokio::test]
async fn s_157_what_takes_the_database_too_long_holds_up_nobody_else() {
    let (hub, bob, _peers, ann) = rig(&[]).await;
    let admin = hub.hub.database.admin().await;
    // Some text at which an expression runs for ever.
    admin
        .batch_execute(
            "create function public.poisoned() returns trigger language plpgsql as $$ begin \
               if new.body like '%poison%' then perform pg_sleep(600); end if; return new; end $$; \
             create trigger poisoned before insert on messages for each row execute function public.poisoned()",
        )
        .await
        .unwrap();
    let sends = async |content: &str| {
        let note = ann.note(content, &[&bob.actor], json!({}));
        let create = ann.create(&note);
        let told = ann.send(&hub.shared_inbox(), &create).await;
        assert_eq!(told.status, 202, "{told:?}");
        create["id"].as_str().unwrap().to_owned()
    };
    let poison = sends("<p>poison</p>").await;
    let good = sends("<p>good</p>").await;
    let began = Instant::now();
    while state(&hub, &good).await.as_deref() != Some("done") {
        assert!(began.elapsed() < Duration::from_secs(120), "it waits");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let waits = state(&hub, &poison).await.unwrap();
    assert!(waits.starts_with("waiting"), "{waits}");
    let tries = format!("select attempts::bigint from ap_received where uri = '{poison}'");
    assert_eq!(hub.count(&tries).await, 1, "it counts as a try");
}
