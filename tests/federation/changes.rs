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
        // Whatever else runs on this server holds the feed back for a moment.
        let open = "select count(*) from ap_activities where tx >= pg_snapshot_xmin(pg_current_snapshot())";
        self.hub.counts(open, 0).await;
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
    // Another process's rule holds here within seconds.
    read.hub
        .until("the rule holds", async || {
            (read.reader.get(&url).await.status == 403).then_some(())
        })
        .await;
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
    read.page("?after=0").await;
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
    let page = read.reader.get(&read.url("?after=0")).await.json();
    assert_eq!(
        ids(&page),
        std::slice::from_ref(&first),
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

/// Two hubs: bruno of b follows alice of a, and b has begun to read a's feed.
async fn pair() -> (Hub, Hub, Member, Member) {
    let [a, b] = Hub::start_all(&["a", "b"]).await.try_into().ok().unwrap();
    let (alice, bruno) = (a.member("alice").await, b.member("bruno").await);
    b.follows(&bruno, &alice.handle).await;
    b.counts(
        "select count(*) from ap_hosts where is_hub and cursor_in is not null",
        1,
    )
    .await;
    (a, b, alice, bruno)
}

/// Nothing of what a said is on its way any more.
async fn forget_deliveries(hub: &Hub) {
    let admin = hub.hub.database.admin().await;
    admin
        .execute("delete from ap_deliveries", &[])
        .await
        .unwrap();
}

async fn posts_here(hub: &Hub, word: &str) -> i64 {
    hub.count(&format!(
        "select count(*) from posts where content like '%{word}%' and origin_actor_id is not null"
    ))
    .await
}

#[tokio::test]
async fn a_hub_that_was_down_has_everything_once_after_it_starts() {
    let (a, mut b, alice, bruno) = pair().await;
    let before = a
        .posts(&alice, json!({ "content": "before the night" }))
        .await;
    b.reads_post(&bruno, "before").await;
    b.kill();

    let kept = a.posts(&alice, json!({ "content": "in the night" })).await;
    a.changes(
        &alice,
        "posts",
        &kept,
        json!({ "content": "in the night, changed" }),
    )
    .await;
    let gone = a
        .posts(&alice, json!({ "content": "in the night and gone" }))
        .await;
    a.deletes(&alice, "posts", &gone).await;
    a.changes(
        &alice,
        "posts",
        &before,
        json!({ "content": "before, and changed in the night" }),
    )
    .await;
    a.posts(
        &alice,
        json!({ "content": "in the night for friends", "visibility": "followers" }),
    )
    .await;
    a.counts("select count(*) from ap_activities where type in ('Create', 'Update', 'Delete') and object_uri like '%/ap/posts/%'", 7).await;
    forget_deliveries(&a).await;

    b.restart();
    b.reads_post(&bruno, "in the night, changed").await;
    b.reads_post(&bruno, "before, and changed").await;
    b.reads_post(&bruno, "for friends").await;
    b.counts(
        "select count(*) from ap_received where state = 'waiting'",
        0,
    )
    .await;
    assert_eq!(posts_here(&b, "night").await, 3);
    assert_eq!(posts_here(&b, "gone").await, 0);
    let twice = "select count(*) from (select federated_ap_id from posts group by 1 having count(*) > 1 and federated_ap_id is not null) t";
    assert_eq!(b.count(twice).await, 0);
    assert!(
        b.count("select count(*) from ap_received where via = 'feed'")
            .await
            >= 4
    );

    // What comes again by any way changes nothing.
    let admin = b.hub.database.admin().await;
    admin
        .execute(
            "update ap_hosts set cursor_in = 0, cursor_at = null where is_hub",
            &[],
        )
        .await
        .unwrap();
    b.counts(
        "select count(*) from ap_hosts where is_hub and cursor_in > 0",
        1,
    )
    .await;
    assert_eq!(posts_here(&b, "night").await, 3);
    assert_eq!(b.count(twice).await, 0);
}

#[tokio::test]
async fn a_head_that_came_with_a_delivery_closes_a_gap() {
    let (a, b, alice, bruno) = pair().await;
    b.cut_off();
    a.posts(&alice, json!({ "content": "unheard of" })).await;
    a.counts(
        "select count(*) from ap_activities where type = 'Create'",
        1,
    )
    .await;
    forget_deliveries(&a).await;
    b.reconnect();
    a.hurry().await;
    a.posts(&alice, json!({ "content": "heard of" })).await;
    b.reads_post(&bruno, "heard of").await;
    b.counts(
        "select count(*) from ap_hosts where is_hub and head_seen > cursor_in",
        1,
    )
    .await;
    // As if the few minutes were over that a hub waits before it asks.
    let admin = b.hub.database.admin().await;
    admin
        .execute(
            "update ap_hosts set cursor_at = now() - interval '11 minutes' where is_hub",
            &[],
        )
        .await
        .unwrap();
    b.reads_post(&bruno, "unheard of").await;
}

#[tokio::test]
async fn where_the_feed_is_gone_the_collections_are_looked_through() {
    let (a, mut b, alice, bruno) = pair().await;
    b.kill();
    a.posts(&alice, json!({ "content": "only in the outbox" }))
        .await;
    a.counts(
        "select count(*) from ap_activities where type = 'Create'",
        1,
    )
    .await;
    forget_deliveries(&a).await;
    let admin = b.hub.database.admin().await;
    // From a time that a does not remember, as after a restored backup.
    admin
        .execute(
            "update ap_hosts set cursor_in = 9000000000000000 where is_hub",
            &[],
        )
        .await
        .unwrap();
    b.restart();
    b.reads_post(&bruno, "only in the outbox").await;
    b.counts(
        "select count(*) from ap_hosts where is_hub and cursor_in < 9000000000000000",
        1,
    )
    .await;
}

#[tokio::test]
async fn r_37_what_is_changed_after_a_restored_backup_is_newer_than_what_peers_have() {
    let (a, b, alice, bruno) = pair().await;
    let post = a.posts(&alice, json!({ "content": "as of Monday" })).await;
    b.reads_post(&bruno, "as of Monday").await;
    a.changes(
        &alice,
        "posts",
        &post,
        json!({ "content": "as of Tuesday" }),
    )
    .await;
    b.reads_post(&bruno, "as of Tuesday").await;

    let admin = a.hub.database.admin().await;
    admin
        .batch_execute(
            "set session_replication_role = replica; \
             update posts set content = 'as of Monday', version = 1, edited_at = null where owner_id is not null; \
             delete from ap_activities where type = 'Update'",
        )
        .await
        .unwrap();
    a.changes(
        &alice,
        "posts",
        &post,
        json!({ "content": "as of Wednesday" }),
    )
    .await;
    b.reads_post(&bruno, "as of Wednesday").await;
    assert_eq!(posts_here(&b, "as of").await, 1);
}

#[tokio::test]
async fn r_37_a_restored_hub_that_passes_its_readers_cursor_is_read_in_full() {
    let (mut a, mut b, alice, bruno) = pair().await;
    a.posts(&alice, json!({ "content": "kept" })).await;
    b.reads_post(&bruno, "kept").await;
    a.counts(
        "select count(*) from ap_deliveries where state = 'waiting'",
        0,
    )
    .await;
    a.kill();
    let backup = a.hub.database.back_up().await;
    a.restart();

    // Lost at a, known to b, whose cursor is beyond all of it.
    for n in 0..3 {
        a.posts(&alice, json!({ "content": format!("lost {n}") }))
            .await;
    }
    for n in 0..3 {
        b.reads_post(&bruno, &format!("lost {n}")).await;
    }
    let head = a.count("select max(seq) from ap_activities").await;
    let admin = b.hub.database.admin().await;
    let read_now = "update ap_hosts set cursor_at = null where is_hub";
    b.until("all of it is read", async || {
        admin.batch_execute(read_now).await.unwrap();
        let cursor = b.count("select cursor_in from ap_hosts where is_hub").await;
        (cursor >= head).then_some(())
    })
    .await;
    drop(admin);

    a.kill();
    b.kill();
    a.hub.database.restore(&backup).await;
    a.restart();
    a.counts("select count(*) from posts where content like 'lost%'", 0)
        .await;
    for n in 0..6 {
        a.posts(&alice, json!({ "content": format!("new {n}") }))
            .await;
    }
    a.counts("select count(*) from ap_activities x join posts p on p.federated_ap_id = x.object_uri where p.content like 'new%'", 6)
        .await;
    assert!(
        a.count("select min(x.seq) from ap_activities x join posts p on p.federated_ap_id = x.object_uri where p.content like 'new%'")
            .await
            > head,
        "a number of the feed is given twice"
    );
    forget_deliveries(&a).await;
    b.restart();
    for n in 0..6 {
        b.reads_post(&bruno, &format!("new {n}")).await;
    }
}

/// A scripted hub with a feed, which a real one reads.
struct Fed {
    hub: Hub,
    /// What serves them; it ends when it is dropped.
    _peers: Peers,
    ann: Actor,
    node: Actor,
}

impl Fed {
    async fn start() -> Self {
        let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
        let hub = Hub::start("a", &peers.resolve(), &[]).await;
        let alice = hub.member("alice").await;
        let node = node_of(&peers, "p1.peer.test");
        node.peer.serve("/ap/actor", &node.document);
        let ann = peers.peer("p1.peer.test").actor(
            "Person",
            "ann",
            crate::support::peer::Keys::fresh(),
            json!({ "generator": { "type": "Application", "implements": [{ "type": "Link", "href": "https://w3id.org/made-open/hub/v1", "name": "x" }] } }),
        );
        acquaint(&hub, &ann).await;
        acquaint(&hub, &node).await;
        let admin = hub.hub.database.admin().await;
        admin
            .execute(
                "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
                 select l.row_id, l.id, r.id, 'out', 'accepted', now() from ap_actors l, ap_actors r where l.uri = $1 and r.uri = $2",
                &[&alice.actor, &ann.id],
            )
            .await
            .unwrap();
        admin
            .execute(
                "insert into ap_hosts (host, is_hub, changes_url, cursor_in, cursor_at) values ($1, true, $2, 10, now()) \
                 on conflict (host) do update set is_hub = true, changes_url = excluded.changes_url, cursor_in = 10, cursor_at = now()",
                &[&node.peer.host, &format!("{}/ap/changes", node.peer.origin())],
            )
            .await
            .unwrap();
        Self {
            hub,
            _peers: peers,
            ann,
            node,
        }
    }

    /// A page at a place of the feed.
    fn page(&self, after: i64, items: &[Value], more: Value) {
        let mut page = json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "OrderedCollectionPage", "id": format!("{}/ap/changes?after={after}", self.node.peer.origin()), "orderedItems": items });
        page.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.node
            .peer
            .serve(&format!("/ap/changes?after={after}&limit=50"), &page);
    }

    async fn read(&self) {
        let admin = self.hub.hub.database.admin().await;
        admin
            .execute("update ap_hosts set cursor_at = null where is_hub", &[])
            .await
            .unwrap();
        self.hub
            .counts(
                "select count(*) from ap_hosts where is_hub and cursor_at is null",
                0,
            )
            .await;
        tokio::time::sleep(Duration::from_millis(800)).await;
    }

    async fn cursor(&self) -> i64 {
        self.hub
            .count("select cursor_in from ap_hosts where is_hub")
            .await
    }
}

#[tokio::test]
async fn what_is_not_proved_by_its_author_is_nothing_in_a_feed() {
    let fed = Fed::start().await;
    let note = |text: &str| fed.ann.create(&fed.ann.note(text, &[PUBLIC], json!({})));
    let good = fed.ann.proved(&note("good"));
    let mut changed = fed.ann.proved(&note("as it was"));
    changed["object"]["content"] = json!("changed on the way");
    // Proved by the feed's own hub, in another's name; and of another server altogether.
    let mut by_node = fed.node.proved(&note("in another's name"));
    by_node["actor"] = json!(fed.ann.id);
    let peers = Peers::start(&["p9.peer.test"]);
    let stranger = peers.peer("p9.peer.test").person("stranger");
    acquaint(&fed.hub, &stranger).await;
    let foreign =
        stranger.proved(&stranger.create(&stranger.note("foreign", &[PUBLIC], json!({}))));
    let items = [
        note("unproved"),
        changed,
        by_node,
        foreign,
        json!("x"),
        json!({ "type": "Create" }),
        good.clone(),
    ];
    fed.page(10, &items, json!({ "mo:head": 17 }));
    fed.read().await;
    fed.hub.counts("select count(*) from ap_received", 1).await;
    let kept = fed
        .hub
        .text("select uri from ap_received where via = 'feed'")
        .await;
    assert_eq!(kept.as_deref(), good["id"].as_str());
    assert_eq!(fed.cursor().await, 17);
}

#[tokio::test]
async fn r15_a_head_behind_what_was_read_leads_to_the_collections() {
    let fed = Fed::start().await;
    // Told with a delivery: the feed of this hub is not as far as it was read, so it is another one.
    let hello = fed
        .ann
        .create(&fed.ann.note("<p>hello</p>", &[PUBLIC], json!({})));
    let (body, inbox) = (hello.to_string(), fed.hub.shared_inbox());
    let mut request = crate::support::peer::client()
        .post(&inbox)
        .header("Content-Type", "application/activity+json")
        .header("Mo-Changes-Head", "4")
        .body(body.clone());
    let scheme = crate::support::peer::Scheme::Cavage;
    for (name, value) in fed
        .ann
        .signed(scheme, "POST", &inbox, Some(body.as_bytes()))
    {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), 202);
    fed.hub
        .counts("select count(*) from ap_hosts where head_seen = 4", 1)
        .await;

    let missed = fed.ann.proved(
        &fed.ann
            .create(&fed.ann.note("missed", &[PUBLIC], json!({}))),
    );
    let peer = &fed.node.peer;
    peer.serve_as(
        "/ap/changes?after=10&limit=50",
        crate::support::peer::Answer::status(410),
    );
    let page = |items: &[Value]| json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "OrderedCollectionPage", "orderedItems": items, "mo:head": 4 });
    peer.serve("/ap/changes?after=0&limit=0", &page(&[]));
    let outbox = fed.ann.document["outbox"].as_str().unwrap().to_owned();
    let path = outbox.strip_prefix(&peer.origin()).unwrap();
    let admin = fed.hub.hub.database.admin().await;
    let has_outbox = "update ap_actors set outbox_url = $1 where uri = $2";
    admin
        .execute(has_outbox, &[&outbox, &fed.ann.id])
        .await
        .unwrap();
    let first = format!("{outbox}?page=true");
    peer.serve(path, &json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "OrderedCollection", "id": outbox, "first": first }));
    peer.serve(&format!("{path}?page=true"), &json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "OrderedCollectionPage", "id": first, "orderedItems": [missed] }));
    admin
        .batch_execute("update ap_hosts set cursor_at = now() - interval '11 minutes' where is_hub")
        .await
        .unwrap();
    fed.hub
        .counts(
            "select count(*) from ap_received where via = 'feed' and state = 'done'",
            1,
        )
        .await;
    assert_eq!(fed.cursor().await, 4);
    fed.hub
        .counts(
            "select count(*) from ap_hosts where is_hub and head_seen is null",
            1,
        )
        .await;
}

#[tokio::test]
async fn a_feed_that_leads_nowhere_is_not_followed() {
    let fed = Fed::start().await;
    let origin = fed.node.peer.origin();
    for next in [
        format!("{origin}/ap/changes?after=10"),
        format!("{origin}/ap/changes?after=3"),
        "http://p2.peer.test:1/ap/changes?after=20".to_owned(),
        format!("{origin}/ap/changes?after=x"),
        "nonsense".to_owned(),
    ] {
        fed.page(10, &[], json!({ "mo:head": 100, "next": next }));
        fed.node.peer.forget();
        fed.read().await;
        assert_eq!(fed.cursor().await, 10, "{next}");
        let asked = fed.node.peer.received();
        assert!(asked.len() <= 2, "{next}: {}", asked.len());
    }
    // Without a head nobody knows where to go on.
    fed.page(10, &[], json!({}));
    fed.read().await;
    assert_eq!(fed.cursor().await, 10);
}

#[tokio::test]
async fn followers_are_compared_when_a_digest_says_so() {
    let peers = Peers::start(&["p1.peer.test"]);
    let peer = peers.peer("p1.peer.test");
    peer.plan([crate::support::peer::Answer::status(202)]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let (alice, bob, carl) = (
        hub.member("alice").await,
        hub.member("bob").await,
        hub.member("carl").await,
    );
    let ann = peer.person("ann");
    acquaint(&hub, &ann).await;
    let followers = format!("{}/followers", ann.id);
    let admin = hub.hub.database.admin().await;
    admin
        .execute(
            "update ap_actors set followers_url = $1 where uri = $2",
            &[&followers, &ann.id],
        )
        .await
        .unwrap();
    for who in [&alice, &bob] {
        admin
            .execute(
                "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
                 select l.row_id, l.id, r.id, 'out', 'accepted', now() - interval '1 day' from ap_actors l, ap_actors r where l.uri = $1 and r.uri = $2",
                &[&who.actor, &ann.id],
            )
            .await
            .unwrap();
    }
    let url = format!("{}/followers_synchronization", ann.id);
    let send = async |who: &Actor, followers: &str, digest: &str, list: &str| {
        let note = who.create(&who.note("<p>hello</p>", &[followers], json!({})));
        let body = note.to_string();
        let inbox = hub.shared_inbox();
        let mut request = crate::support::peer::client()
            .post(&inbox)
            .header("Content-Type", "application/activity+json")
            .body(body.clone());
        let scheme = crate::support::peer::Scheme::Cavage;
        for (name, value) in who.signed(scheme, "POST", &inbox, Some(body.as_bytes())) {
            request = request.header(name, value);
        }
        let header = format!("collectionId=\"{followers}\", url=\"{list}\", digest=\"{digest}\"");
        let request = request.header("Collection-Synchronization", header);
        assert_eq!(request.send().await.unwrap().status(), 202);
    };
    let ours = "select count(*) from follows where direction = 'out'";

    // A digest that fits makes nobody ask; ben has the same followers here.
    let ben = peer.person("ben");
    acquaint(&hub, &ben).await;
    let of_ben = format!("{}/followers", ben.id);
    admin
        .execute(
            "update ap_actors set followers_url = $1 where uri = $2",
            &[&of_ben, &ben.id],
        )
        .await
        .unwrap();
    let fits = made_open::fed::followers_sync::digest_of([]);
    send(&ben, &of_ben, &fits, &format!("{}/list", ben.id)).await;
    let zero = "0".repeat(64);
    send(&ben, &of_ben, &zero, "http://elsewhere.peer.test/list").await;
    let jobs = "select count(*) from job_records where job_type = 'social.followers_sync'";
    assert_eq!(hub.count(jobs).await, 0);

    // The other side knows alice, does not know bob any more, and believes in carl, who never asked.
    let list = json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "OrderedCollection", "id": url, "orderedItems": [alice.actor, carl.actor, format!("{}/ap/actors/nobody", hub.public), "https://other.example/u/1"] });
    peer.serve("/users/ann/followers_synchronization", &list);
    send(&ann, &followers, &"1".repeat(64), &url).await;

    hub.counts(ours, 1).await;
    let left = hub.text("select l.uri from follows f join ap_actors l on l.id = f.local_actor_id where f.direction = 'out'").await;
    assert_eq!(left.as_deref(), Some(alice.actor.as_str()));
    let undone = peer.wait("Undo", 1).await.remove(0);
    assert_eq!(undone.json["actor"], json!(carl.actor));
    assert_eq!(undone.json["object"]["object"], json!(ann.id));
    assert_eq!(peer.taken("Undo").len(), 1);
}
