//! Blocks and mutes between people (S-154), across servers and within one.

use reqwest::Method;
use serde_json::json;

use super::{followed_by, rig};
use crate::inbox::ended;
use crate::reading::acquaint;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Answer, PUBLIC};
use crate::support::people::Person;

#[tokio::test]
async fn s_154_a_block_ends_everything_between_two() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    followed_by(&hub, &ann, &bob).await;
    peer.wait("Accept", 1).await;
    hub.rpc(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    peer.wait("Follow", 1).await;

    let block = hub
        .rpc(
            &bob.person,
            "blocks_set",
            json!({ "actor": ann.id, "reason": "for me alone" }),
        )
        .await;
    hub.counts("select count(*) from follows", 0).await;
    let said = peer.wait("Block", 1).await;
    let said = &said[0].json;
    assert_eq!(
        (&said["actor"], &said["object"], &said["to"]),
        (&json!(bob.actor), &json!(ann.id), &json!([ann.id]))
    );
    assert!(!said.to_string().contains("for me alone"), "{said}");
    assert!(said.get("cc").is_none());
    // Said twice it is one block.
    let again = hub
        .rpc(&bob.person, "blocks_set", json!({ "actor": ann.id }))
        .await;
    assert_eq!(again["id"], block["id"]);

    // She cannot follow again, and he does not follow her by mistake.
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    ann.send(&hub.shared_inbox(), &follow).await;
    ended(&hub, follow["id"].as_str().unwrap()).await;
    hub.counts("select count(*) from follows", 0).await;
    let (status, refused) = hub
        .tries(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (403, Some("follow.blocked"))
    );
    hub.counts("select count(*) from ap_activities where type = 'Block'", 1)
        .await;
    let hears = format!(
        "select hub.hears_of('{}', a.id)::int::bigint from ap_actors a where a.uri = '{}'",
        bob.person.id, ann.id
    );
    assert_eq!(hub.count(&hears).await, 0);

    hub.rpc(&bob.person, "blocks_undo", json!({ "id": block["id"] }))
        .await;
    // The follow that the block ended was taken back before.
    let mut wanted = 1;
    let undone = loop {
        let undone = peer.wait("Undo", wanted).await;
        let found = undone
            .iter()
            .find(|undo| undo.json["object"]["type"] == "Block");
        match found {
            Some(found) => break found.clone(),
            None => wanted = undone.len() + 1,
        }
    };
    assert_eq!(undone.json["object"]["id"], said["id"]);
    assert_eq!(hub.count(&hears).await, 1);
    let (status, _) = hub
        .tries(&bob.person, "blocks_undo", json!({ "id": block["id"] }))
        .await;
    assert_eq!(status, 404);
    followed_by(&hub, &ann, &bob).await;
}

#[tokio::test]
async fn a_block_written_as_a_row_is_a_block() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    followed_by(&hub, &ann, &bob).await;
    let id = hub
        .text(&format!(
            "select id::text from ap_actors where uri = '{}'",
            ann.id
        ))
        .await
        .unwrap();

    let row = bob
        .person
        .adds(&hub.hub, "blocks", json!({ "actor_id": id }))
        .await;
    peer.wait("Block", 1).await;
    hub.counts("select count(*) from follows", 0).await;
    // Nobody takes another's block back.
    let carla = hub.member("carla").await;
    let (status, _) = hub
        .tries(&carla.person, "blocks_undo", json!({ "id": row["id"] }))
        .await;
    assert_eq!(status, 404);
    hub.deletes(&carla, "blocks", &row).await;
    hub.counts("select count(*) from blocks", 1).await;
    hub.deletes(&bob, "blocks", &row).await;
    hub.until("she is told", async || {
        peer.taken("Undo")
            .iter()
            .any(|undo| undo.json["object"]["type"] == "Block")
            .then_some(())
    })
    .await;
    hub.counts("select count(*) from hub.ended_blocks", 0).await;

    // Within the hub nothing is sent, and follows end as well.
    hub.follows(&carla, &bob.handle).await;
    hub.rpc(&bob.person, "blocks_set", json!({ "actor": carla.handle }))
        .await;
    hub.counts("select count(*) from follows", 0).await;
    let (status, _) = hub
        .tries(
            &carla.person,
            "follows_request",
            json!({ "actor": bob.handle }),
        )
        .await;
    assert_eq!(status, 403);
    let (status, _) = hub
        .tries(&bob.person, "blocks_set", json!({ "actor": bob.handle }))
        .await;
    assert_eq!(status, 400);
    hub.counts("select count(*) from ap_activities where type = 'Block'", 1)
        .await;
    // Whom one has blocked is nobody else's business.
    let seen = carla.person.reads(&hub.hub, "/rest/v1/blocks").await;
    assert_eq!(seen, json!([]));
}

#[tokio::test]
async fn who_is_blocked_elsewhere_sends_nothing_there_any_more() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test", "p2.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    let eve = peers.peer("p2.peer.test").person("eve");
    followed_by(&hub, &ann, &bob).await;
    followed_by(&hub, &eve, &bob).await;
    peer.wait("Accept", 1).await;
    hub.rpc(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;

    // S-43: what somebody says of others or of a group counts for nothing here.
    let carla = hub.member("carla").await;
    for block in [
        eve.activity("Block", json!({ "object": ann.id })),
        eve.activity(
            "Block",
            json!({ "object": carla.actor, "target": bob.actor }),
        ),
        eve.activity(
            "Block",
            json!({ "object": format!("{}/ap/actor", hub.public) }),
        ),
        eve.activity(
            "Block",
            json!({ "object": format!("{}/ap/actors/none", hub.public) }),
        ),
    ] {
        eve.send(&hub.shared_inbox(), &block).await;
        let ended = ended(&hub, block["id"].as_str().unwrap()).await;
        assert!(
            ended.starts_with("ignored") || ended.starts_with("refused"),
            "{ended}: {block}"
        );
    }
    hub.counts("select count(*) from hub.blocked_by", 0).await;
    hub.counts("select count(*) from follows where direction = 'in'", 2)
        .await;

    let block = ann.activity("Block", json!({ "object": bob.actor, "to": [bob.actor] }));
    ann.send(&hub.shared_inbox(), &block).await;
    assert_eq!(ended(&hub, block["id"].as_str().unwrap()).await, "done");
    hub.counts("select count(*) from follows where direction = 'in'", 1)
        .await;
    hub.counts("select count(*) from follows where direction = 'out'", 0)
        .await;
    let (status, _) = hub
        .tries(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    assert_eq!(status, 403);
    // He is not told by any row that he can read.
    let seen = bob.person.reads(&hub.hub, "/rest/v1/blocks").await;
    assert_eq!(seen, json!([]));

    // Only she takes it back.
    let undo = |who: &crate::support::peer::Actor| who.activity("Undo", json!({ "object": block }));
    let forged = undo(&eve);
    eve.send(&hub.shared_inbox(), &forged).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    hub.counts("select count(*) from hub.blocked_by", 1).await;
    let good = undo(&ann);
    ann.send(&hub.shared_inbox(), &good).await;
    assert_eq!(ended(&hub, good["id"].as_str().unwrap()).await, "done");
    hub.counts("select count(*) from hub.blocked_by", 0).await;
    followed_by(&hub, &ann, &bob).await;
}

#[tokio::test]
async fn who_is_muted_is_not_heard_and_never_learns_of_it() {
    let (hub, bob, _, peers) = rig(&["p1.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    followed_by(&hub, &ann, &bob).await;
    peer.wait("Accept", 1).await;
    peer.forget();
    let hears = format!(
        "select hub.hears_of('{}', a.id)::int::bigint from ap_actors a where a.uri = '{}'",
        bob.person.id, ann.id
    );
    let mute = hub
        .rpc(&bob.person, "mutes_set", json!({ "actor": ann.id }))
        .await;
    assert_eq!(hub.count(&hears).await, 0);
    hub.counts("select count(*) from follows where direction = 'in'", 1)
        .await;
    let again =
        json!({ "actor": ann.id, "expires_at": chrono::Utc::now() + chrono::TimeDelta::hours(1) });
    assert_eq!(
        hub.rpc(&bob.person, "mutes_set", again).await["id"],
        mute["id"]
    );
    hub.rpc(&bob.person, "mutes_undo", json!({ "id": mute["id"] }))
        .await;
    assert_eq!(hub.count(&hears).await, 1);

    let path = "/rest/v1/mutes";
    let id = hub
        .text(&format!(
            "select id::text from ap_actors where uri = '{}'",
            ann.id
        ))
        .await
        .unwrap();
    bob.person
        .adds(
            &hub.hub,
            "mutes",
            json!({ "actor_id": id, "expires_at": "2020-01-01T00:00:00Z" }),
        )
        .await;
    assert_eq!(hub.count(&hears).await, 1, "its time is over");
    let gone = bob
        .person
        .ask(
            &hub.hub,
            Method::DELETE,
            &format!("{path}?actor_id=eq.{id}"),
        )
        .send()
        .await
        .unwrap();
    assert!(gone.status().is_success());
    assert_eq!(peer.posts().len(), 0, "{:?}", peer.posts());
}

#[tokio::test]
async fn s_152_what_is_in_hand_already_is_not_sent_after_a_block() {
    let (hub, bob, founder, peers) = rig(&["evil.test", "fine.test"], &[]).await;
    let evil = peers.peer("evil.test");
    let (mallory, ann) = (
        evil.person("mallory"),
        peers.peer("fine.test").person("ann"),
    );
    followed_by(&hub, &mallory, &bob).await;
    followed_by(&hub, &ann, &bob).await;
    evil.wait("Accept", 1).await;
    // Whoever takes his time has many letters wait for him in the memory of the process.
    evil.plan([Answer::status(202).after(std::time::Duration::from_millis(3_500))]);
    for n in 0..30 {
        hub.posts(&bob, json!({ "content": format!("News {n}") }))
            .await;
    }
    evil.wait("Create", 1).await;
    let rule = json!({ "domain": "evil.test", "policy": "block" });
    hub.rpc(&founder, "hosts_set_policy", rule).await;
    let at_the_block = evil.posts().len();

    // What was on its way arrives; nothing else does.
    tokio::time::sleep(std::time::Duration::from_secs(14)).await;
    let came = evil.posts().len() - at_the_block;
    assert!(came <= 2, "{came} came after the block");
    hub.counts(
        "select count(*) from ap_deliveries where host like 'evil%' and state = 'waiting'",
        0,
    )
    .await;
    peers.peer("fine.test").wait("Create", 30).await;
}

/// Whether somebody reads a post of this content; nobody in particular is a stranger.
async fn reads(hub: &Hub, by: Option<&Person>, word: &str) -> bool {
    let path = format!("/rest/v1/posts?content=like.*{word}*&select=id");
    let rows: serde_json::Value = match by {
        Some(person) => person.reads(&hub.hub, &path).await,
        None => hub.hub.get(&path).await.json().await.unwrap(),
    };
    !rows.as_array().unwrap().is_empty()
}

/// Somebody elsewhere says or passes on something, and it is dealt with.
async fn says(hub: &Hub, who: &Actor, activity: &serde_json::Value) -> String {
    let told = who.send(&hub.shared_inbox(), activity).await;
    assert_eq!(told.status, 202, "{told:?}");
    ended(hub, activity["id"].as_str().unwrap()).await
}

/// What somebody may read of those two, and of whom it reached him.
struct Thread {
    hub: Hub,
    bob: Member,
    dave: Member,
    eve: Actor,
    carla: Member,
}

impl Thread {
    /// Bob and dave follow ann. She passes on what eve and carla say, quotes eve, and both answer in her thread.
    async fn set() -> (Self, crate::support::peer::Peers) {
        let (hub, bob, _, peers) = rig(&["p1.peer.test", "p2.peer.test"], &[]).await;
        let (carla, dave) = (hub.member("carla").await, hub.member("dave").await);
        let ann = peers.peer("p1.peer.test").person("ann");
        let eve = peers.peer("p2.peer.test").person("eve");
        for who in [&ann, &eve] {
            acquaint(&hub, who).await;
        }
        hub.hub
            .database
            .admin()
            .await
            .execute(
                "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
                 select l.row_id, l.id, r.id, 'out', 'accepted', now() from ap_actors l, ap_actors r where l.uri in ($1, $2) and r.uri = $3",
                &[&bob.actor, &dave.actor, &ann.id],
            )
            .await
            .unwrap();

        let root = ann.note("<p>annsthread</p>", &[PUBLIC], json!({}));
        assert_eq!(says(&hub, &ann, &ann.create(&root)).await, "done");
        let passed_on = eve.note("<p>evepassedon</p>", &[PUBLIC], json!({}));
        let own = hub
            .posts(&carla, json!({ "content": "carlapassedon" }))
            .await;
        for uri in [passed_on["id"].clone(), json!(hub.url_of(&own).await)] {
            let boost = ann.activity("Announce", json!({ "object": uri, "to": [PUBLIC] }));
            assert_eq!(says(&hub, &ann, &boost).await, "done");
        }
        let quoting = ann.note(
            "<p>annquoteseve</p>",
            &[PUBLIC],
            json!({ "quote": passed_on["id"], "quoteUrl": passed_on["id"] }),
        );
        assert_eq!(says(&hub, &ann, &ann.create(&quoting)).await, "done");
        // What answers somebody of this hub is kept.
        let ours = hub
            .posts(
                &bob,
                json!({ "content": "bobanswers", "in_reply_to": root["id"] }),
            )
            .await;
        let answer = eve.note(
            "<p>eveanswers</p>",
            &[PUBLIC],
            json!({ "inReplyTo": hub.url_of(&ours).await }),
        );
        assert_eq!(says(&hub, &eve, &eve.create(&answer)).await, "done");
        hub.posts(
            &carla,
            json!({ "content": "carlaanswers", "in_reply_to": root["id"] }),
        )
        .await;
        let all = Self {
            hub,
            bob,
            dave,
            eve,
            carla,
        };
        (all, peers)
    }

    /// How many of the things passed on somebody sees as such.
    async fn passed_on(&self, who: &Member) -> usize {
        let path = "/rest/v1/reactions?type=eq.announce&direction=eq.in&select=id";
        let rows = who.person.reads(&self.hub.hub, path).await;
        rows.as_array().unwrap().len()
    }
}

const OF_THE_BLOCKED: [&str; 4] = ["evepassedon", "eveanswers", "carlapassedon", "carlaanswers"];
const OF_OTHERS: [&str; 3] = ["annsthread", "annquoteseve", "bobanswers"];

#[tokio::test]
async fn s_154_a_block_holds_whoever_passes_it_on() {
    let (at, _peers) = Thread::set().await;
    let (hub, bob, dave) = (&at.hub, &at.bob, &at.dave);
    for word in OF_THE_BLOCKED.iter().chain(&OF_OTHERS) {
        assert!(reads(hub, Some(&bob.person), word).await, "{word}");
    }
    // That carla was passed on is hers to know.
    assert_eq!(at.passed_on(bob).await, 1);

    let mut blocks = Vec::new();
    for whom in [&at.eve.id, &at.carla.handle] {
        let block = hub
            .rpc(&bob.person, "blocks_set", json!({ "actor": whom }))
            .await;
        blocks.push(block["id"].clone());
    }
    for word in OF_THE_BLOCKED {
        assert!(!reads(hub, Some(&bob.person), word).await, "{word} is read");
        // Nobody else is kept from it.
        assert!(reads(hub, Some(&dave.person), word).await, "{word}");
        assert!(reads(hub, None, word).await, "{word}");
    }
    for word in OF_OTHERS {
        assert!(reads(hub, Some(&bob.person), word).await, "{word}");
    }
    assert!(reads(hub, Some(&at.carla.person), "carlapassedon").await);
    assert_eq!(at.passed_on(bob).await, 0);
    assert_eq!(at.passed_on(dave).await, 1);

    // What comes now does not reach him either.
    let late = hub
        .posts(&at.carla, json!({ "content": "carlalate" }))
        .await;
    hub.url_of(&late).await;
    assert!(!reads(hub, Some(&bob.person), "carlalate").await);
    let (status, told) = hub
        .tries(
            &bob.person,
            "reactions_announce",
            json!({ "object": late["id"] }),
        )
        .await;
    assert!((400..500).contains(&status), "{status} {told}");

    // He may still complain of what he no longer reads, with its text; of what he never could read he may not.
    let report = json!({ "object": late["id"], "reason": "it goes on" });
    hub.rpc(&bob.person, "reports_file", report).await;
    let kept = "select count(*) from reports where snapshot::text like '%carlalate%' and cardinality(objects) = 1";
    assert_eq!(hub.count(kept).await, 1);
    let secret =
        json!({ "content": "carlasecret", "visibility": "direct", "recipients": [dave.handle] });
    let secret = hub.posts(&at.carla, secret).await;
    let (status, _) = hub
        .tries(
            &bob.person,
            "reports_file",
            json!({ "object": secret["id"] }),
        )
        .await;
    assert_eq!(status, 404);

    for id in blocks {
        hub.rpc(&bob.person, "blocks_undo", json!({ "id": id }))
            .await;
    }
    for word in OF_THE_BLOCKED {
        assert!(reads(hub, Some(&bob.person), word).await, "{word}");
    }
    assert_eq!(at.passed_on(bob).await, 1);
}

/// His agents speak for him; the groups he belongs to do not.
#[tokio::test]
async fn s_154_a_block_covers_the_agents_of_the_blocked() {
    let (hub, bob, _, _peers) = rig(&[], &[]).await;
    let carla = hub.member("carla").await;
    let agent = json!({ "name": "Carlas helper" });
    let agent = carla.person.adds(&hub.hub, "agents", agent).await;
    let dao = json!({ "name": "Bike Coop", "slug": "bikecoop" });
    let dao = carla.person.adds(&hub.hub, "daos", dao).await;
    let admin = hub.hub.database.admin().await;
    for (kind, row, word) in [("agent", &agent, "saidbyagent"), ("dao", &dao, "saidbydao")] {
        let row = row["id"].as_str().unwrap();
        admin
            .execute(
                "with them as (insert into ap_actors as a (uri, type, host, inbox_url, kind, row_id) \
                 values ('https://hub.example/' || $1::text, 'Service', 'hub.example', 'https://hub.example/in', $1, $2::text::uuid) \
                 on conflict (row_id, kind) where kind is not null do update set kind = a.kind returning id) \
                 insert into posts (owner_id, author_actor_id, content) select $3::text::uuid, id, $4 from them",
                &[&kind, &row, &carla.person.id.to_string(), &word],
            )
            .await
            .unwrap();
        assert!(reads(&hub, Some(&bob.person), word).await, "{word}");
    }

    hub.rpc(&bob.person, "blocks_set", json!({ "actor": carla.handle }))
        .await;
    assert!(!reads(&hub, Some(&bob.person), "saidbyagent").await);
    assert!(reads(&hub, Some(&bob.person), "saidbydao").await);
    assert!(reads(&hub, Some(&carla.person), "saidbyagent").await);
}

/// The blocked are looked up once for a statement, however many posts it goes through.
#[tokio::test]
async fn s_154_what_a_block_costs_does_not_grow_with_the_posts() {
    let (hub, bob, _, _peers) = rig(&[], &[]).await;
    let carla = hub.member("carla").await;
    hub.rpc(&bob.person, "blocks_set", json!({ "actor": carla.handle }))
        .await;
    let mut admin = hub.hub.database.admin().await;
    let statement = admin.transaction().await.unwrap();
    statement
        .batch_execute(&format!(
            "insert into posts (owner_id, content) select row_id, 'said ' || n \
                 from ap_actors, generate_series(1, 500) n where uri in ('{}', '{}');
             set local track_functions = 'all';
             set local role authenticated;
             set local request.jwt.claim.sub = '{}'",
            bob.actor, carla.actor, bob.person.id
        ))
        .await
        .unwrap();
    for (table, expected) in [("posts", 500_i64), ("reactions", 0)] {
        let query = format!("select count(*) from public.{table}");
        let found: i64 = statement.query_one(&query, &[]).await.unwrap().get(0);
        assert_eq!(found, expected, "{table}");
    }
    statement.batch_execute("reset role").await.unwrap();
    let calls: i64 = statement
        .query_one(
            "select coalesce(sum(calls), 0)::bigint from pg_stat_xact_user_functions where funcname = 'blocked_authors'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(calls, 1);
}
