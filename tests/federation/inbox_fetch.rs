//! What is fetched because of what comes in, or because somebody asks: believed only from where it belongs, and never more
//! than one thing is worth.

use reqwest::Method;
use serde_json::{Value, json};

use super::inbox::{ended, rig};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{ACTIVITY, Answer, Keys, PUBLIC, Peer, Peers};

async fn looks_up(hub: &Hub, who: &Member, query: &str) -> (u16, Value) {
    hub.tries(&who.person, "actors_resolve", json!({ "query": query }))
        .await
}

#[tokio::test]
async fn s_49_a_name_is_confirmed_in_both_directions() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let (one, two) = (peers.peer("p1.peer.test"), peers.peer("p2.peer.test"));
    let handle =
        |uri: &str| format!("select coalesce(handle, 'none') from ap_actors where uri = '{uri}'");

    let (status, found) = looks_up(&hub, &bob, &format!("@ann@{}", one.host)).await;
    assert_eq!((status, &found["uri"]), (200, &json!(ann.id)), "{found}");
    assert_eq!(
        hub.text(&handle(&ann.id)).await,
        Some(format!("ann@{}", one.host))
    );
    let asked = one.received().len();
    looks_up(&hub, &bob, &format!("ann@{}", one.host)).await;
    assert_eq!(one.received().len(), asked, "what is known costs nothing");

    // Another server claims somebody: the name that is shown is not its to give.
    let eve = two.person("eve");
    let lie = json!({ "subject": format!("acct:boss@{}", one.host), "links": [{ "rel": "self", "type": ACTIVITY, "href": eve.id }] });
    let jrd = || {
        Answer::status(200)
            .header("Content-Type", "application/jrd+json")
            .text(lie.to_string())
    };
    two.serve_as(
        &format!(
            "/.well-known/webfinger?resource=acct%3Aboss%40{}",
            two.host.replace(':', "%3A")
        ),
        jrd(),
    );
    two.serve_as(
        &format!(
            "/.well-known/webfinger?resource=acct%3Aeve%40{}",
            two.host.replace(':', "%3A")
        ),
        jrd(),
    );
    let (status, found) = looks_up(&hub, &bob, &format!("@boss@{}", two.host)).await;
    assert!(status == 200 || status == 404, "{status} {found}");
    assert_eq!(hub.text(&handle(&eve.id)).await.as_deref(), Some("none"));

    // Nobody without a session makes the hub ask.
    let before = two.received().len();
    let told = hub
        .hub
        .ask(Method::POST, "/rest/v1/rpc/actors_resolve")
        .json(&json!({ "query": format!("@other@{}", two.host) }))
        .send()
        .await
        .unwrap();
    assert_eq!(told.status(), 401);
    assert_eq!(two.received().len(), before);
}

#[tokio::test]
async fn s_52_s_54_s_55_a_document_is_what_its_server_says_at_its_own_address() {
    let (hub, bob, peers, _) = rig(&[]).await;
    let (one, two) = (peers.peer("p1.peer.test"), peers.peer("p2.peer.test"));
    let person = |peer: &Peer, name: &str| {
        peer.actor("Person", name, Keys::fresh(), json!({}))
            .document
    };
    let serve = |peer: &Peer, path: &str, kind: &str, document: &Value| {
        peer.serve_as(
            path,
            Answer::status(200)
                .header("Content-Type", kind)
                .text(document.to_string()),
        )
    };
    // S-52
    for (n, kind) in [
        "text/plain",
        "application/json",
        "image/png",
        "application/ld+json",
    ]
    .into_iter()
    .enumerate()
    {
        let mut document = person(&one, &format!("typed{n}"));
        document["id"] = json!(format!("{}/files/{n}", one.origin()));
        let at = serve(&one, &format!("/files/{n}"), kind, &document);
        let (status, told) = looks_up(&hub, &bob, &at).await;
        assert!((400..500).contains(&status), "{kind}: {status} {told}");
    }
    // S-54: another id on the same server is looked at there; nothing else is.
    let ann = person(&one, "ann");
    let alias = serve(&one, "/@ann", ACTIVITY, &ann);
    assert_eq!(
        looks_up(&hub, &bob, &alias).await.0,
        404,
        "known by its id, not by this address"
    );
    let known = format!(
        "select count(*) from ap_actors where uri = '{}'",
        ann["id"].as_str().unwrap()
    );
    assert_eq!(hub.count(&known).await, 1);
    // S-55: an open redirect to somebody who says that he is from there.
    let mut forged = person(&two, "mallory");
    forged["id"] = json!(format!("{}/users/boss", one.origin()));
    let evil = serve(&two, "/forged", ACTIVITY, &forged);
    let open = one.serve_as("/out", Answer::redirect(evil.clone()));
    for at in [open, evil] {
        let (status, told) = looks_up(&hub, &bob, &at).await;
        assert!((400..500).contains(&status), "{at}: {status} {told}");
    }
    // S-68, S-69: one hop is followed, not two.
    let carl = person(&one, "carl");
    let near = one.serve_as("/near", Answer::redirect("/users/carl"));
    one.serve_as("/far", Answer::redirect("/near"));
    let far = format!("{}/far", one.origin());
    assert!(looks_up(&hub, &bob, &far).await.0 >= 400);
    looks_up(&hub, &bob, &near).await;
    let known = |who: &Value| {
        format!(
            "select count(*) from ap_actors where uri = '{}'",
            who["id"].as_str().unwrap()
        )
    };
    assert_eq!(hub.count(&known(&carl)).await, 1);
    let bogus = format!(
        "select count(*) from ap_actors where uri = '{}/users/boss'",
        one.origin()
    );
    assert_eq!(hub.count(&bogus).await, 0);
}

#[tokio::test]
async fn s_82_one_activity_is_worth_so_many_requests() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let two = peers.peer("p2.peer.test");
    // A chain of notes, each answering the next, by ever new people.
    for n in 0..60 {
        let who = two.person(&format!("n{n}"));
        let note = json!({ "@context": "https://www.w3.org/ns/activitystreams", "id": format!("{}/chain/{n}", two.origin()), "type": "Note",
            "attributedTo": who.id, "content": "<p>deeper</p>", "to": [PUBLIC], "published": "2026-11-26T12:00:00Z",
            "inReplyTo": format!("{}/chain/{}", two.origin(), n + 1) });
        two.serve(&format!("/chain/{n}"), &note);
    }
    two.forget();
    let note = ann.note(
        "<p>first</p>",
        &[PUBLIC, &bob.actor],
        json!({ "inReplyTo": format!("{}/chain/0", two.origin()) }),
    );
    let create = ann.create(&note);
    assert_eq!(ann.send(&hub.shared_inbox(), &create).await.status, 202);
    let id = create["id"].as_str().unwrap();
    hub.until("it was looked at", async || {
        super::inbox::state(&hub, id)
            .await
            .filter(|state| state != "waiting" && state != "waiting:fetching")
    })
    .await;
    let asked = two.received().len();
    assert!(asked <= 20, "{asked}");
}

#[tokio::test]
async fn an_object_that_is_only_named_is_fetched() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let note = ann.note(
        "<p>by name</p>",
        &[PUBLIC, &bob.actor],
        json!({ "tag": [{ "type": "Mention", "href": bob.actor, "name": "@bob" }] }),
    );
    let create = ann.activity(
        "Create",
        json!({ "object": note["id"], "to": [PUBLIC, bob.actor] }),
    );
    assert_eq!(ann.send(&hub.shared_inbox(), &create).await.status, 202);
    let came = ended(&hub, create["id"].as_str().unwrap()).await;
    assert_eq!(came, "done");
    let path = note["id"]
        .as_str()
        .unwrap()
        .strip_prefix(&ann.peer.origin())
        .unwrap()
        .to_owned();
    let asked = peers.peer("p1.peer.test").received();
    let get = asked
        .iter()
        .find(|it| it.path == path)
        .expect("it was fetched");
    assert!(get.scheme().is_some(), "fetches are signed");

    let none = ann.activity(
        "Create",
        json!({ "object": format!("{}/notes/none", ann.peer.origin()) }),
    );
    assert_eq!(ann.send(&hub.shared_inbox(), &none).await.status, 202);
    assert_eq!(
        ended(&hub, none["id"].as_str().unwrap()).await,
        "ignored:object_not_to_be_had"
    );
}

#[tokio::test]
async fn s_148_strangers_cost_little_and_wait_when_they_come_too_often() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start(
        "in",
        &peers.resolve(),
        &[
            ("MADE_OPEN_LIMITS", "on"),
            ("MADE_OPEN_LIMIT_SIGN_IN", "1000/min"),
            ("MADE_OPEN_LIMIT_INBOX_UNVERIFIED", "30/min"),
            ("MADE_OPEN_LIMIT_KEY_FETCHES", "5/min"),
            ("MADE_OPEN_LIMIT_INBOX", "3/h"),
            ("MADE_OPEN_LIMIT_INBOX_BURST", "3"),
        ],
    )
    .await;
    let bob = hub.member("bob").await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    // A good one has its own limit.
    for n in 0..5 {
        let told = ann
            .send(
                &hub.shared_inbox(),
                &ann.activity("Follow", json!({ "object": bob.actor })),
            )
            .await;
        assert_eq!(told.status, if n < 3 { 202 } else { 429 }, "{n} {told:?}");
        assert_eq!(told.header("retry-after").is_some(), n >= 3);
    }
    peer.forget();
    let mut seen = std::collections::BTreeMap::new();
    for n in 0..40 {
        let mut stranger = ann.clone();
        stranger.id = format!("{}/users/s{n}", peer.origin());
        stranger.key_id = format!("{}#main-key", stranger.id);
        let told = stranger
            .send(
                &hub.shared_inbox(),
                &stranger.activity("Follow", json!({ "object": bob.actor })),
            )
            .await;
        *seen.entry(told.status).or_insert(0) += 1;
    }
    let fetches = peer
        .received()
        .iter()
        .filter(|it| it.method == "GET")
        .count();
    assert!(fetches <= 5, "{fetches} {seen:?}");
    assert!(
        seen.keys().all(|status| [401, 429, 503].contains(status)),
        "{seen:?}"
    );
    assert_eq!(hub.count("select count(*) from ap_received").await, 3);
}

#[tokio::test]
async fn a_blocked_server_is_refused_and_an_allowlist_names_who_comes() {
    let (mut hub, bob, peers, ann) = rig(&[]).await;
    let admin = hub.hub.database.admin().await;
    let block = "insert into ap_domains (domain, policy) values ('peer.test', 'block')";
    admin.batch_execute(block).await.unwrap();
    let follow = || ann.activity("Follow", json!({ "object": bob.actor }));
    let told = ann.send(&hub.shared_inbox(), &follow()).await;
    assert_eq!(
        (told.status, &told.json()["code"]),
        (403, &json!("blocked"))
    );
    assert!(
        peers.peer("p1.peer.test").received().is_empty(),
        "nobody there is asked"
    );

    admin
        .batch_execute("update ap_domains set policy = 'allow', domain = 'p1.peer.test'")
        .await
        .unwrap();
    hub.set("MADE_OPEN_FEDERATION_MODE", "allowlist");
    hub.restart();
    assert_eq!(ann.send(&hub.shared_inbox(), &follow()).await.status, 202);
    let eve = peers.peer("p2.peer.test").person("eve");
    let told = eve
        .send(
            &hub.shared_inbox(),
            &eve.activity("Follow", json!({ "object": bob.actor })),
        )
        .await;
    assert_eq!(told.status, 403);
    assert_eq!(hub.count("select count(*) from ap_received").await, 1);
}
