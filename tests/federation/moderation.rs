//! Moderation of federation through running hubs: rules for domains on every way in and out (S-151..S-153), and what
//! operators hold of single actors.

use serde_json::{Value, json};

use crate::inbox::ended;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Answer, Keys, PUBLIC, Peers};
use crate::support::people::Person;

#[path = "moderation_people.rs"]
mod people;
#[path = "moderation_reports.rs"]
mod reports;

/// How long other processes may remember a rule.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(5);

/// The hub's developer: its first account.
pub async fn operator(hub: &Hub) -> Person {
    let answer = hub
        .hub
        .ask(reqwest::Method::POST, "/auth/v1/token?grant_type=password")
        .json(&json!({ "email": "founder@example.org", "password": "founder walks the dog" }))
        .send()
        .await
        .unwrap();
    let body: Value = answer.json().await.unwrap();
    Person {
        id: body["user"]["id"].as_str().unwrap().parse().unwrap(),
        name: "founder".to_owned(),
        token: body["access_token"].as_str().unwrap().to_owned(),
        refresh: body["refresh_token"].as_str().unwrap().to_owned(),
    }
}

/// A hub with somebody on it, and peers of these names.
pub async fn rig(names: &[&str], settings: &[(&str, &str)]) -> (Hub, Member, Person, Peers) {
    let peers = Peers::start(names);
    let hub = Hub::start("m", &peers.resolve(), settings).await;
    let bob = hub.member("bob").await;
    let founder = operator(&hub).await;
    (hub, bob, founder, peers)
}

/// Somebody at a peer follows somebody here.
pub async fn followed_by(hub: &Hub, who: &Actor, whom: &Member) {
    let follow = who.activity("Follow", json!({ "object": whom.actor }));
    let told = who.send(&hub.shared_inbox(), &follow).await;
    assert_eq!(told.status, 202, "{told:?}");
    let ended = ended(hub, follow["id"].as_str().unwrap()).await;
    assert_eq!(ended, "done");
}

/// A post from elsewhere, as it lies in the database.
pub async fn stored_post(hub: &Hub, author: &Actor, word: &str) {
    let admin = hub.hub.database.admin().await;
    admin
        .execute(
            "insert into posts (owner_id, origin_actor_id, content, visibility, federated_ap_id, attachments) \
             select null, a.id, $2, 'public', $3, '[{\"type\":\"Image\",\"url\":\"https://media.example/a.png\"}]' \
             from ap_actors a where a.uri = $1",
            &[&author.id, &word, &format!("{}/notes/{word}", author.peer.origin())],
        )
        .await
        .unwrap();
}

/// Whether anybody, signed in or not, reads a post.
async fn is_read(hub: &Hub, by: Option<&Person>, word: &str) -> bool {
    let path = format!("/rest/v1/posts?content=eq.{word}&select=id");
    let rows: Value = match by {
        Some(person) => person.reads(&hub.hub, &path).await,
        None => hub.hub.get(&path).await.json().await.unwrap(),
    };
    !rows.as_array().unwrap().is_empty()
}

async fn hold(hub: &Hub, founder: &Person, domain: &str, policy: &str) {
    let input = json!({ "domain": domain, "policy": policy });
    hub.rpc(founder, "hosts_set_policy", input).await;
    tokio::time::sleep(REMEMBERED).await;
}

#[tokio::test]
async fn s_151_a_blocked_domain_is_blocked_on_every_way() {
    let names = [
        "evil.test",
        "sub.evil.test",
        "xn--bse-sna.test",
        "fine.test",
        "notevil.test",
    ];
    let (hub, bob, founder, peers) = rig(&names, &[]).await;
    let fine = peers.peer("fine.test").person("ann");
    followed_by(&hub, &fine, &bob).await;
    let other = peers.peer("notevil.test").person("otto");

    // In whatever spelling.
    hub.rpc(
        &founder,
        "hosts_set_policy",
        json!({ "domain": "EVIL.Test.", "policy": "block" }),
    )
    .await;
    hold(&hub, &founder, "böse.test", "block").await;
    let rules = hub.rpc(&founder, "hosts_list", json!({})).await;
    let domains: Vec<&str> = rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["domain"].as_str().unwrap())
        .collect();
    assert_eq!(domains, ["evil.test", "xn--bse-sna.test"]);

    let blocked: Vec<Actor> = names[..3]
        .iter()
        .map(|name| peers.peer(name).person("mallory"))
        .collect();
    let quiet = |peers: &Peers| {
        for name in &names[..3] {
            let got = peers.peer(name).received();
            assert!(got.is_empty(), "{name} was asked: {got:?}");
        }
    };
    let port = peers.port;

    // Inbox: refused without a row, and nobody is asked for a key.
    for mallory in &blocked {
        let follow = mallory.activity("Follow", json!({ "object": bob.actor }));
        let told = mallory.send(&hub.shared_inbox(), &follow).await;
        assert_eq!(told.status, 403, "{told:?}");
        peers
            .peer(mallory.peer.host.split(':').next().unwrap())
            .forget();
    }
    // The key of another's activity lies there; an actor there with other letters, a dot at the end, another port.
    for actor in [
        format!("http://EVIL.test:{port}/users/mallory"),
        format!("http://sub.evil.test.:{port}/users/mallory"),
        format!("http://Sub.Evil.Test:{port}/users/mallory"),
        "http://evil.test:81/users/mallory".to_owned(),
        format!("http://böse.test:{port}/users/mallory"),
    ] {
        let mut follow = blocked[0].activity("Follow", json!({ "object": bob.actor }));
        follow["id"] = json!(format!("{actor}/f"));
        follow["actor"] = json!(actor);
        let told = blocked[0].send(&hub.shared_inbox(), &follow).await;
        assert!((400..500).contains(&told.status), "{actor}: {told:?}");
    }
    hub.counts("select count(*) from ap_received where host like '%evil.test%' and host not like 'notevil%'", 0).await;

    // Fetch, WebFinger and search.
    for query in [
        format!("http://evil.test:{port}/users/mallory"),
        format!("http://SUB.evil.test:{port}/users/mallory"),
        format!("http://sub.evil.test.:{port}/users/mallory"),
        format!("http://böse.test:{port}/users/mallory"),
        format!("@mallory@evil.test:{port}"),
        format!("@mallory@Sub.Evil.Test:{port}"),
        format!("acct:mallory@xn--bse-sna.test:{port}"),
    ] {
        let (status, told) = hub
            .tries(&bob.person, "actors_resolve", json!({ "query": query }))
            .await;
        assert!((400..500).contains(&status), "{query}: {status} {told}");
        let (status, _) = hub
            .tries(&bob.person, "follows_request", json!({ "actor": query }))
            .await;
        assert!((400..500).contains(&status), "{query}: {status}");
    }
    // By a redirect of an honest server.
    let way = peers
        .peer("fine.test")
        .serve_as("/away", Answer::redirect(&blocked[1].id));
    let (status, _) = hub
        .tries(&bob.person, "actors_resolve", json!({ "query": way }))
        .await;
    assert!((400..500).contains(&status), "{status}");
    // By what an honest actor passes on.
    let note = blocked[0].note("bad", &[PUBLIC], json!({}));
    let announce = fine.activity(
        "Announce",
        json!({ "object": note["id"], "to": [PUBLIC], "cc": [bob.actor] }),
    );
    assert_eq!(fine.send(&hub.shared_inbox(), &announce).await.status, 202);
    ended_somehow(&hub, announce["id"].as_str().unwrap()).await;
    quiet(&peers);
    hub.counts(
        "select count(*) from posts where federated_ap_id like '%evil.test%'",
        0,
    )
    .await;

    // An honest actor whose inbox lies there gets nothing there.
    let sly = peers.peer("fine.test").actor(
        "Person",
        "sly",
        Keys::fresh(),
        json!({ "inbox": format!("http://SUB.evil.test.:{port}/inbox"), "endpoints": null }),
    );
    let follow = sly.activity("Follow", json!({ "object": bob.actor }));
    sly.send(&hub.shared_inbox(), &follow).await;
    ended_somehow(&hub, follow["id"].as_str().unwrap()).await;
    hub.rpc(
        &bob.person,
        "actors_update",
        json!({ "changes": { "summary": "Still here" } }),
    )
    .await;
    peers.peer("fine.test").wait("Update", 1).await;
    quiet(&peers);
    hub.counts("select count(*) from ap_deliveries where host like '%evil.test%' and state in ('waiting', 'done')", 0).await;

    // A name that only ends alike is another's.
    followed_by(&hub, &other, &bob).await;
}

/// Wait until an activity is dealt with or was never kept.
async fn ended_somehow(hub: &Hub, id: &str) {
    hub.until("it is dealt with", async || {
        let waiting = format!("select count(*) from ap_received where uri = '{id}' and state = 'waiting' and attempts = 0");
        (hub.count(&waiting).await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn s_152_a_block_reaches_back_and_its_end_restores() {
    let (hub, bob, founder, peers) = rig(&["evil.test", "fine.test"], &[]).await;
    let mallory = peers.peer("evil.test").person("mallory");
    let ann = peers.peer("fine.test").person("ann");
    followed_by(&hub, &mallory, &bob).await;
    followed_by(&hub, &ann, &bob).await;
    stored_post(&hub, &mallory, "bad").await;
    stored_post(&hub, &ann, "good").await;
    // Something waits for a server that does not take it, and something of it waits to be applied.
    peers.peer("evil.test").wait("Accept", 1).await;
    peers.peer("evil.test").plan([Answer::status(503)]);
    hub.rpc(
        &bob.person,
        "actors_update",
        json!({ "changes": { "summary": "New" } }),
    )
    .await;
    hub.counts(
        "select count(*) from ap_deliveries where host like 'evil%' and state = 'waiting'",
        1,
    )
    .await;
    let admin = hub.hub.database.admin().await;
    admin
        .execute(
            "insert into ap_received (uri, actor_uri, host, type, body, next_at) select a.uri || '#x', a.uri, a.host, 'Like', '{}', \
             now() + interval '1 hour' from ap_actors a where a.uri = $1",
            &[&mallory.id],
        )
        .await
        .unwrap();
    assert!(is_read(&hub, None, "bad").await && is_read(&hub, Some(&bob.person), "bad").await);

    let input = json!({ "domain": "evil.test", "policy": "block", "comment": "spam" });
    let (status, _) = hub
        .tries(&bob.person, "hosts_set_policy", input.clone())
        .await;
    assert_eq!(status, 403, "only operators decide");
    hub.rpc(&founder, "hosts_set_policy", input).await;

    hub.counts(
        "select count(*) from ap_deliveries where host like 'evil%' and state = 'waiting'",
        0,
    )
    .await;
    hub.counts(
        "select count(*) from ap_deliveries where host like 'evil%' and state = 'dropped'",
        1,
    )
    .await;
    hub.counts("select count(*) from follows f join ap_actors a on a.id = f.actor_id where a.host like 'evil%'", 0).await;
    hub.counts("select count(*) from follows f join ap_actors a on a.id = f.actor_id where a.host like 'fine%'", 1).await;
    hub.counts("select count(*) from ap_received where host like 'evil%' and state = 'waiting' and reason = 'blocked' and next_at > now() + interval '1 year'", 1).await;
    hub.counts("select count(*) from posts where content = 'bad' and hidden_at is not null and attachments = '[]'", 1).await;
    hub.counts("select count(*) from audit_log where resource_type = 'ap_domains' and metadata ->> 'policy' = 'block'", 1).await;
    for reader in [None, Some(&bob.person), Some(&founder)] {
        assert!(!is_read(&hub, reader, "bad").await);
        assert!(is_read(&hub, reader, "good").await);
    }
    // What comes later is hidden as well.
    stored_post(&hub, &mallory, "late").await;
    assert!(!is_read(&hub, None, "late").await);

    hub.rpc(
        &founder,
        "hosts_clear_policy",
        json!({ "domain": "Evil.Test" }),
    )
    .await;
    hub.counts("select count(*) from posts where content in ('bad', 'late') and hidden_at is null and jsonb_array_length(attachments) = 1", 2).await;
    hub.counts(
        "select count(*) from ap_received where host like 'evil%' and reason = 'blocked'",
        0,
    )
    .await;
    assert!(is_read(&hub, None, "bad").await);
    let (status, _) = hub
        .tries(
            &founder,
            "hosts_clear_policy",
            json!({ "domain": "evil.test" }),
        )
        .await;
    assert_eq!(status, 404);

    // A rule whose time is over is as good as none, and rows follow.
    let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(3);
    hub.rpc(
        &founder,
        "hosts_set_policy",
        json!({ "domain": "evil.test", "policy": "block", "expires_at": soon }),
    )
    .await;
    hub.counts(
        "select count(*) from posts where content = 'bad' and hidden_at is not null",
        1,
    )
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    hub.counts(
        "select count(*) from ap_domains d where (hub.host_policy('evil.test')).policy is not null",
        0,
    )
    .await;
    admin
        .batch_execute("insert into job_records (job_type, queue, payload, max_attempts, scheduled_for) values ('social.expire', 'background', '{}', 3, now())")
        .await
        .unwrap();
    hub.counts(
        "select count(*) from posts where content = 'bad' and hidden_at is null",
        1,
    )
    .await;
    hub.counts("select count(*) from ap_domains", 0).await;
}

#[tokio::test]
async fn limited_and_silenced_are_heard_by_their_followers_only() {
    let (hub, bob, founder, peers) = rig(&["loud.test"], &[]).await;
    let carla = hub.member("carla").await;
    let lou = peers.peer("loud.test").person("lou");
    followed_by(&hub, &lou, &bob).await;
    stored_post(&hub, &lou, "noise").await;
    let admin = hub.hub.database.admin().await;
    admin
        .execute(
            "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
             select m.row_id, m.id, a.id, 'out', 'accepted', now() from ap_actors m, ap_actors a where m.uri = $1 and a.uri = $2",
            &[&carla.actor, &lou.id],
        )
        .await
        .unwrap();

    hub.rpc(
        &founder,
        "hosts_set_policy",
        json!({ "domain": "loud.test", "policy": "limit" }),
    )
    .await;
    hub.counts(
        "select count(*) from posts where content = 'noise' and hidden_at is not null",
        1,
    )
    .await;
    assert!(!is_read(&hub, None, "noise").await);
    assert!(!is_read(&hub, Some(&bob.person), "noise").await);
    assert!(
        is_read(&hub, Some(&carla.person), "noise").await,
        "who follows him hears him"
    );
    hub.counts(
        "select count(*) from posts where content = 'noise' and attachments = '[]'",
        1,
    )
    .await;
    // What comes meanwhile is held to the same.
    let says = async |word: &str| {
        let public = "https://www.w3.org/ns/activitystreams#Public";
        let note = json!({
            "id": format!("{}/notes/{word}", lou.peer.origin()), "type": "Note", "attributedTo": lou.id, "content": word, "to": [public],
            "attachment": [{ "type": "Image", "mediaType": "image/png", "url": "https://media.example/a.png" }],
        });
        let create = lou.activity("Create", json!({ "object": note, "to": [public] }));
        let told = lou.send(&hub.shared_inbox(), &create).await;
        assert_eq!(told.status, 202, "{told:?}");
        assert_eq!(ended(&hub, create["id"].as_str().unwrap()).await, "done");
    };
    says("fresh").await;
    hub.counts("select count(*) from posts where federated_ap_id like '%/fresh' and hidden_at is not null and attachments = '[]' and jsonb_array_length(held_attachments) = 1", 1).await;

    hub.rpc(
        &founder,
        "hosts_set_policy",
        json!({ "domain": "loud.test", "policy": "reject_media" }),
    )
    .await;
    hub.counts("select count(*) from posts where content = 'noise' and hidden_at is null and attachments = '[]'", 1).await;
    says("bare").await;
    hub.counts("select count(*) from posts where federated_ap_id like '%/bare' and hidden_at is null and attachments = '[]' and jsonb_array_length(held_attachments) = 1", 1).await;
    hub.rpc(
        &founder,
        "hosts_clear_policy",
        json!({ "domain": "loud.test" }),
    )
    .await;
    hub.counts("select count(*) from posts where content = 'noise' and jsonb_array_length(attachments) = 1", 1).await;

    // The same for one actor.
    let (status, _) = hub
        .tries(&bob.person, "actors_silence", json!({ "actor": lou.id }))
        .await;
    assert_eq!(status, 403);
    hub.rpc(&founder, "actors_silence", json!({ "actor": lou.id }))
        .await;
    hub.counts(
        "select count(*) from posts where content = 'noise' and hidden_at is not null",
        1,
    )
    .await;
    assert!(
        !is_read(&hub, None, "noise").await && is_read(&hub, Some(&carla.person), "noise").await
    );
    hub.rpc(&founder, "actors_restore", json!({ "actor": lou.id }))
        .await;
    hub.counts(
        "select count(*) from posts where content = 'noise' and hidden_at is null",
        1,
    )
    .await;
}

#[tokio::test]
async fn who_is_suspended_says_nothing_and_hears_nothing() {
    let (hub, bob, founder, peers) = rig(&["p1.peer.test"], &[]).await;
    let ann = peers.peer("p1.peer.test").person("ann");
    followed_by(&hub, &ann, &bob).await;
    stored_post(&hub, &ann, "said").await;

    hub.rpc(&founder, "actors_suspend", json!({ "actor": ann.id }))
        .await;
    hub.counts("select count(*) from follows where direction = 'in'", 0)
        .await;
    assert!(!is_read(&hub, Some(&bob.person), "said").await);
    peers.peer("p1.peer.test").forget();
    hub.rpc(
        &bob.person,
        "actors_update",
        json!({ "changes": { "summary": "New" } }),
    )
    .await;
    let (status, _) = hub
        .tries(&bob.person, "follows_request", json!({ "actor": ann.id }))
        .await;
    assert!((400..500).contains(&status));
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    ann.send(&hub.shared_inbox(), &follow).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    hub.counts("select count(*) from follows where direction = 'in'", 0)
        .await;
    assert_eq!(peers.peer("p1.peer.test").posts().len(), 0);
    hub.rpc(&founder, "actors_restore", json!({ "actor": ann.id }))
        .await;
    hub.until("it is read again", async || {
        is_read(&hub, Some(&bob.person), "said").await.then_some(())
    })
    .await;

    // Somebody of this hub: logged out at once, hidden, and there again afterwards.
    let post = json!({ "content": "mine", "visibility": "public" });
    bob.person.adds(&hub.hub, "posts", post).await;
    let (status, _) = hub
        .tries(
            &founder,
            "actors_suspend",
            json!({ "actor": format!("{}/ap/actor", hub.public) }),
        )
        .await;
    assert!(
        status == 404 || status == 409,
        "nobody suspends the hub: {status}"
    );
    hub.rpc(&founder, "actors_suspend", json!({ "actor": bob.handle }))
        .await;
    let answer = bob
        .person
        .ask(&hub.hub, reqwest::Method::GET, "/rest/v1/posts")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401, "his session is over");
    hub.until("he is hidden", async || {
        (!is_read(&hub, None, "mine").await).then_some(())
    })
    .await;
    hub.until("his document too", async || {
        (hub.ask(&bob.actor).await.status == 404).then_some(())
    })
    .await;
    hub.rpc(&founder, "actors_restore", json!({ "actor": bob.actor }))
        .await;
    hub.until("he is back", async || {
        is_read(&hub, None, "mine").await.then_some(())
    })
    .await;
    hub.until("his document too", async || {
        (hub.ask(&bob.actor).await.status == 200).then_some(())
    })
    .await;
    hub.counts(
        "select count(*) from users where banned_until is not null",
        0,
    )
    .await;
}

#[tokio::test]
async fn s_153_where_only_named_servers_take_part_nobody_else_is_even_asked() {
    let mode = [("MADE_OPEN_FEDERATION_MODE", "allowlist")];
    let (hub, bob, founder, peers) = rig(&["friend.test", "stranger.test"], &mode).await;
    let ann = peers.peer("friend.test").person("ann");
    let stranger = peers.peer("stranger.test").person("sid");

    for who in [&ann, &stranger] {
        let follow = who.activity("Follow", json!({ "object": bob.actor }));
        let told = who.send(&hub.shared_inbox(), &follow).await;
        assert_eq!(told.status, 403, "{told:?}");
        for query in [who.id.clone(), format!("@{}@{}", who.name, who.peer.host)] {
            let (status, _) = hub
                .tries(&bob.person, "actors_resolve", json!({ "query": query }))
                .await;
            assert!((400..500).contains(&status), "{query}: {status}");
        }
        assert!(who.peer.received().is_empty(), "{:?}", who.peer.received());
    }
    hub.counts("select count(*) from ap_received", 0).await;

    hold(&hub, &founder, "friend.test", "allow").await;
    followed_by(&hub, &ann, &bob).await;
    ann.peer.wait("Accept", 1).await;
    hub.rpc(&bob.person, "actors_resolve", json!({ "query": ann.id }))
        .await;
    let told = stranger
        .send(
            &hub.shared_inbox(),
            &stranger.activity("Follow", json!({ "object": bob.actor })),
        )
        .await;
    assert_eq!(told.status, 403);

    // Not named any more: cut off again.
    hub.rpc(
        &founder,
        "hosts_clear_policy",
        json!({ "domain": "friend.test" }),
    )
    .await;
    hub.counts("select count(*) from follows", 0).await;
}

#[tokio::test]
async fn lists_of_domains_come_in_and_go_out() {
    let (hub, _bob, founder, peers) = rig(&["evil.test"], &[]).await;
    let said = |arguments: &[&str], input: Option<&str>| -> Value {
        let said = hub.hub.cli(arguments, input).unwrap();
        serde_json::from_str(&said).unwrap()
    };
    let list = "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\n\
        Evil.Test,suspend,true,true,\"=1+1\",false\nloud.test,silence,false,false,,false\n***,suspend,,,,\n";
    let dry = said(
        &["federation", "import-blocks", "-", "--dry-run", "--json"],
        Some(list),
    );
    assert_eq!(dry["changes"].as_array().unwrap().len(), 2, "{dry}");
    assert_eq!(dry["invalid"][0]["line"], 4, "{dry}");
    hub.counts("select count(*) from ap_domains", 0).await;
    // A wrong line stops the whole list, and without a terminal nobody is asked.
    for arguments in [
        vec!["federation", "import-blocks", "-", "--yes", "--json"],
        vec![
            "federation",
            "import-blocks",
            "-",
            "--skip-invalid",
            "--json",
        ],
    ] {
        let refused = hub.hub.cli(&arguments, Some(list)).unwrap_err();
        assert!(refused.contains("exit status: 2"), "{refused}");
    }
    hub.counts("select count(*) from ap_domains", 0).await;
    let done = said(
        &[
            "federation",
            "import-blocks",
            "-",
            "--skip-invalid",
            "--yes",
            "--json",
        ],
        Some(list),
    );
    assert_eq!(done["applied"], true, "{done}");
    let again = hub
        .hub
        .cli(
            &[
                "federation",
                "import-blocks",
                "-",
                "--skip-invalid",
                "--yes",
            ],
            Some(list),
        )
        .unwrap_err();
    assert!(again.contains("exit status: 3"), "{again}");

    let rules = hub.rpc(&founder, "hosts_list", json!({})).await;
    assert_eq!(rules[0]["policy"], "block");
    assert_eq!(rules[0]["comment"], "=1+1");
    let out = said(&["federation", "export-blocks", "--json"], None);
    let csv = out["csv"].as_str().unwrap();
    assert!(
        csv.contains("evil.test,suspend,true,true,'=1+1,false"),
        "{csv}"
    );

    let one = said(
        &[
            "federation",
            "block",
            "EVIL.test",
            "--lift",
            "--yes",
            "--json",
        ],
        None,
    );
    assert_eq!(one["domain"], "evil.test");
    let missing = hub
        .hub
        .cli(
            &["federation", "block", "evil.test", "--lift", "--yes"],
            None,
        )
        .unwrap_err();
    assert!(missing.contains("exit status: 1"), "{missing}");
    let odd = hub
        .hub
        .cli(&["federation", "block", "not a domain", "--yes"], None)
        .unwrap_err();
    assert!(odd.contains("exit status: 2"), "{odd}");

    // The hub does not block itself.
    let (status, _) = hub
        .tries(
            &founder,
            "hosts_set_policy",
            json!({ "domain": "hub.test", "policy": "block" }),
        )
        .await;
    assert_eq!(status, 409);
    drop(peers);
}

#[tokio::test]
async fn pictures_of_a_server_whose_media_are_refused_are_not_shown() {
    let (hub, bob, founder, peers) = rig(&["gaudy.test"], &[]).await;
    let gil = peers.peer("gaudy.test").person("gil");
    followed_by(&hub, &gil, &bob).await;
    let shows = async |picture: &str, minute: u32| {
        let mut document = gil.document.clone();
        document["icon"] = json!({ "type": "Image", "url": picture });
        document["updated"] = json!(format!("2026-11-26T10:{minute:02}:00Z"));
        let update = gil.activity("Update", json!({ "object": document, "to": [bob.actor] }));
        let told = gil.send(&hub.shared_inbox(), &update).await;
        assert_eq!(told.status, 202, "{told:?}");
        assert_eq!(ended(&hub, update["id"].as_str().unwrap()).await, "done");
    };
    let shown = async |picture: &str, count: i64| {
        let query = format!(
            "select count(*) from ap_actors where uri = '{}' and coalesce(icon_url, '') = '{picture}'",
            gil.id
        );
        hub.counts(&query, count).await;
    };
    shows("https://gaudy.test/1.png", 1).await;
    shown("https://gaudy.test/1.png", 1).await;

    hold(&hub, &founder, "gaudy.test", "reject_media").await;
    shown("", 1).await;
    shows("https://gaudy.test/2.png", 2).await;
    shown("", 1).await;
    let path = "/rest/v1/ap_actors?select=*&host=like.gaudy.test*";
    let rows = founder.reads(&hub.hub, path).await;
    assert!(!rows.to_string().contains(".png"), "{rows}");

    hub.rpc(
        &founder,
        "hosts_clear_policy",
        json!({ "domain": "gaudy.test" }),
    )
    .await;
    shown("https://gaudy.test/2.png", 1).await;
}
