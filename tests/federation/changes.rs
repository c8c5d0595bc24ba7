//! The changes feed: who reads it, what stands in it and in which order, and what a hub that was down has afterwards.

use std::time::Duration;

use serde_json::{Value, json};

use super::reading::{acquaint, forged, node_of, said};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, PUBLIC, Peers, Told};

/// A hub with somebody on it, and a scripted hub that reads its feed.
struct Read {
    hub: Hub,
    alice: Member,
    reader: Actor,
    peers: Peers,
}

impl Read {
    async fn start() -> Self {
        let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
        let hub = Hub::start("a", &peers.resolve(), &[]).await;
        let alice = hub.member("alice").await;
        let reader = node_of(&peers, "p1.peer.test");
        acquaint(&hub, &reader).await;
        // What was said while the actor was made is not what these tests are about.
        let admin = hub.hub.database.admin().await;
        admin
            .execute("delete from ap_activities", &[])
            .await
            .unwrap();
        Self {
            hub,
            alice,
            reader,
            peers,
        }
    }

    fn url(&self, query: &str) -> String {
        format!("{}/ap/changes{query}", self.hub.public)
    }

    async fn page(&self, query: &str) -> Value {
        let told = self.reader.get(&self.url(query)).await;
        assert_eq!(told.status, 200, "{query}: {told:?}");
        told.json()
    }

    async fn run(&self, sql: &str) {
        let admin = self.hub.hub.database.admin().await;
        admin.batch_execute(sql).await.unwrap();
    }

    async fn follower(&self, name: &str, host: &str) -> Actor {
        let fan = self.peers.peer(host).person(name);
        acquaint(&self.hub, &fan).await;
        self.run(&format!(
            "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
             select l.row_id, l.id, r.id, 'in', 'accepted', now() from ap_actors l, ap_actors r where l.uri = '{}' and r.uri = '{}'",
            self.alice.actor, fan.id
        ))
        .await;
        fan
    }
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["orderedItems"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn only_a_hubs_own_actor_reads_the_feed() {
    let read = Read::start().await;
    said(&read.hub, &read.alice, &[PUBLIC], true).await;
    let url = read.url("");
    let person = read.peers.peer("p1.peer.test").person("ann");
    // An actor that only calls itself a server's own.
    let keys = crate::support::peer::Keys::fresh();
    let pretender = read
        .peers
        .peer("p2.peer.test")
        .actor("Application", "bot", keys, json!({}));
    for actor in [&person, &pretender] {
        acquaint(&read.hub, actor).await;
    }
    let status = |told: Told| told.status;
    assert_eq!(status(read.reader.get(&url).await), 200);
    assert_eq!(status(read.hub.ask("/ap/changes").await), 401);
    assert_eq!(status(person.get(&url).await), 403);
    assert_eq!(status(pretender.get(&url).await), 403);
    assert_eq!(status(forged(&read.reader).get(&url).await), 401);
    for odd in [
        "?after=x",
        "?limit=x",
        "?after=1e3",
        "?after=99999999999999999999",
    ] {
        assert_eq!(status(read.reader.get(&read.url(odd)).await), 400, "{odd}");
    }
    read.run("insert into ap_domains (domain, policy) values ('peer.test', 'block')")
        .await;
    assert_eq!(status(read.reader.get(&url).await), 403);
}

#[tokio::test]
async fn the_feed_is_in_order_and_byte_by_byte_what_was_sent() {
    let read = Read::start().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.push(said(&read.hub, &read.alice, &[PUBLIC], true).await);
    }
    let page = read.page("?after=0&limit=3").await;
    assert_eq!(page["type"], "OrderedCollectionPage");
    assert_eq!(page["partOf"], json!(read.url("")));
    assert_eq!(
        page["attributedTo"],
        json!(format!("{}/ap/actor", read.hub.public))
    );
    assert_eq!(ids(&page), expected[..3]);
    let head = page["mo:head"].as_i64().unwrap();
    let next = page["next"].as_str().unwrap().to_owned();
    let second = read.reader.get(&next).await.json();
    assert_eq!(ids(&second), expected[3..]);
    assert!(second.get("next").is_none(), "{second}");
    let last = read.page(&format!("?after={head}")).await;
    assert!(ids(&last).is_empty());
    assert_eq!(last["mo:head"], head);

    let told = read.reader.get(&read.url("?after=0")).await;
    let admin = read.hub.hub.database.admin().await;
    for row in admin
        .query("select body from ap_activities", &[])
        .await
        .unwrap()
    {
        let body: String = row.get(0);
        assert!(told.body.contains(&body), "{body}");
    }
}

#[tokio::test]
async fn r15_nothing_is_served_that_an_open_transaction_may_still_come_before() {
    let read = Read::start().await;
    let first = said(&read.hub, &read.alice, &[PUBLIC], true).await;
    let admin = read.hub.hub.database.admin().await;
    // A slow writer has a place already, and is not done.
    admin
        .batch_execute(&format!(
            "begin; insert into ap_activities (uri, actor_id, type, body, is_public) select '{0}/ap/activities/slow', id, 'Create', \
             '{{\"id\":\"{0}/ap/activities/slow\"}}', true from ap_actors where uri = '{1}'",
            read.hub.public, read.alice.actor
        ))
        .await
        .unwrap();
    let after = said(&read.hub, &read.alice, &[PUBLIC], true).await;
    let page = read.page("?after=0").await;
    assert_eq!(
        ids(&page),
        [first.clone()],
        "what came later waits for the slow one"
    );
    let head = page["mo:head"].as_i64().unwrap();
    admin.batch_execute("commit").await.unwrap();
    let page = read.page(&format!("?after={head}")).await;
    let slow = format!("{}/ap/activities/slow", read.hub.public);
    assert_eq!(ids(&page), [slow, after]);
}

#[tokio::test]
async fn the_feed_has_what_is_for_that_host_and_nothing_else() {
    let read = Read::start().await;
    let followers = format!("{}/followers", read.alice.actor);
    let before = said(&read.hub, &read.alice, &[&followers], false).await;
    let fan = read.follower("fan", "p1.peer.test").await;
    let fan_elsewhere = read.follower("fan", "p2.peer.test").await;
    let public = said(&read.hub, &read.alice, &[PUBLIC], true).await;
    let for_followers = said(&read.hub, &read.alice, &[&followers], false).await;
    let direct = said(&read.hub, &read.alice, &[&fan.id], false).await;
    let elsewhere = said(&read.hub, &read.alice, &[&fan_elsewhere.id], false).await;
    read.run(&format!(
        "update ap_activities set is_private = true, hosts = array['p1.peer.test'] where uri = '{direct}'; \
         update ap_activities set is_private = true, hosts = array['p2.peer.test'] where uri = '{elsewhere}'"
    ))
    .await;
    read.run(&format!(
        "update ap_activities set hosts = array['{}'] where uri = '{direct}'; update ap_activities set hosts = array['{}'] where uri = '{elsewhere}'",
        read.reader.peer.host, fan_elsewhere.peer.host
    ))
    .await;
    let deleted = said(&read.hub, &read.alice, &[PUBLIC], true).await;
    read.run(&format!(
        "insert into ap_tombstones (uri, is_local) select object_uri, true from ap_activities where uri = '{deleted}'"
    ))
    .await;
    assert_eq!(
        ids(&read.page("").await),
        [public.clone(), for_followers, direct.clone()],
        "before the follow: {before}"
    );

    // Nobody there follows any more: what was for followers is not shown, also where it had been sent.
    read.run("delete from follows where direction = 'in'").await;
    assert_eq!(ids(&read.page("").await), [public, direct.clone()]);
    read.run("update ap_actors set suspended_at = now() where kind = 'user'")
        .await;
    assert!(ids(&read.page("").await).is_empty());
}

#[tokio::test]
async fn beyond_its_head_and_before_its_beginning_the_feed_is_gone() {
    let read = Read::start().await;
    for _ in 0..3 {
        said(&read.hub, &read.alice, &[PUBLIC], true).await;
    }
    let head = read.page("?after=0").await["mo:head"].as_i64().unwrap();
    let beyond = read
        .reader
        .get(&read.url(&format!("?after={}", head + 1000)))
        .await;
    assert_eq!(beyond.status, 410, "{beyond:?}");

    // A hub that is older than what it keeps.
    read.run("update ap_actors set created_at = now() - interval '100 days' where kind = 'node'")
        .await;
    read.hub.ask("/ap/actor").await;
    read.run("update ap_actors set created_at = now() - interval '100 days' where kind = 'node'")
        .await;
    read.run(&format!("delete from ap_activities where seq < {head}"))
        .await;
    assert_eq!(read.reader.get(&read.url("?after=0")).await.status, 410);
    assert_eq!(
        ids(&read.page(&format!("?after={}", head - 1)).await).len(),
        1
    );
    tokio::time::sleep(Duration::from_millis(10)).await;
    read.run("delete from ap_activities").await;
    assert!(ids(&read.page(&format!("?after={head}")).await).is_empty());
    assert_eq!(read.reader.get(&read.url("?after=0")).await.status, 410);
}
