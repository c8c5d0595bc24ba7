//! Proposals: offered from another hub, called off, asked in secret, decided with delegated voices; and what DAOIP-2 tells.

use serde_json::{Value, json};

use crate::daos::{Dao, found, joins};
use crate::support::hubs::Hub;
use crate::support::peer::Peers;
use crate::votes::{asks, click, comes_to, sends, time_passes};

#[tokio::test]
async fn a_member_elsewhere_has_the_dao_ask() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let ann = home.member("ann").await;
    let bob = away.member("bob").await;
    let dao = found(home, &ann, "Bikes", json!({})).await;
    joins(home, &ann, &dao, away, &bob).await;
    let mirror = away
        .text(&format!(
            "select id::text from daos where federated_ap_id = '{}'",
            dao.uri
        ))
        .await
        .unwrap();

    let draft = bob
        .person
        .adds(
            &away.hub,
            "proposals",
            json!({ "dao_id": mirror, "title": "Buy a pump", "description": "A **good** one." }),
        )
        .await;
    let said = away
        .rpc(&bob.person, "proposals_open", json!({ "id": draft["id"] }))
        .await;
    assert_eq!(said["state"], "offered");
    let asked = home
        .until("the DAO asks it", async || {
            home.text("select federated_ap_id from proposals where status = 'active' and title = 'Buy a pump' and number = 1").await
        })
        .await;
    let question = home.ask(&asked).await.json();
    assert_eq!(question["attributedTo"], json!(dao.uri));
    assert_eq!(question["mo:proposer"], json!(bob.actor));
    assert!(
        question["content"]
            .as_str()
            .unwrap()
            .contains("<strong>good</strong>")
    );
    // There is one row of it there, and no draft any more.
    away.counts(
        &format!(
            "select count(*) from proposals where federated_ap_id = '{asked}' and status = 'active'"
        ),
        1,
    )
    .await;
    away.counts("select count(*) from proposals", 1).await;
    // It is the DAO's: nobody there calls it off.
    let id = away.text("select id::text from proposals").await.unwrap();
    let (status, _) = away
        .tries(&bob.person, "proposals_cancel", json!({ "id": id }))
        .await;
    assert_eq!(status, 403);

    home.rpc(
        &ann.person,
        "proposals_cancel",
        json!({ "id": home.text("select id::text from proposals").await.unwrap() }),
    )
    .await;
    away.counts(
        "select count(*) from proposals where status = 'cancelled'",
        1,
    )
    .await;
    let (status, _) = away
        .tries(
            &bob.person,
            "votes_cast",
            json!({ "proposal": asked, "choice": "yes" }),
        )
        .await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn s_26_what_a_dao_asks_is_changed_by_nobody_else() {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let bob = hub.member("bob").await;
    let (one, two) = (peers.peer("p1.peer.test"), peers.peer("p2.peer.test"));
    let group = one.actor(
        "Group",
        "coop",
        crate::support::peer::Keys::fresh(),
        json!({ "mo:kind": "mo:DAO" }),
    );
    let (mel, eve) = (one.person("mel"), two.person("eve"));
    hub.rpc(&bob.person, "follows_request", json!({ "actor": group.id }))
        .await;
    let follow = one.wait("Follow", 1).await.remove(0).json;
    let accept = group.activity("Accept", json!({ "object": follow, "to": [bob.actor] }));
    assert_eq!(sends(&hub, &group, &accept).await, "done");

    let uri = format!("{}/proposals/1", one.origin());
    let question = |by: &str, title: &str, version: i64| {
        json!({ "id": uri, "type": "Question", "attributedTo": by, "name": format!("#1 {title}"), "content": "<p>x</p>",
            "published": "2026-11-20T12:00:00Z", "updated": "2026-11-20T12:00:00Z", "endTime": "2099-11-27T12:00:00Z",
            "to": ["https://www.w3.org/ns/activitystreams#Public"],
            "oneOf": [{ "type": "Note", "name": "Yes", "mo:choice": "yes", "replies": { "type": "Collection", "totalItems": 3 } }],
            "mo:kind": "mo:DaoProposal", "mo:dao": by, "mo:number": 1, "mo:status": "active", "mo:startTime": "2026-11-20T12:00:00Z",
            "mo:rules": { "mo:changeVote": true }, "mo:tally": { "mo:yes": "3" }, "mo:version": version })
    };
    let create = group.activity(
        "Create",
        json!({ "object": question(&group.id, "Paint", 5) }),
    );
    assert_eq!(sends(&hub, &group, &create).await, "done");
    let row = format!("select p::text from proposals p where federated_ap_id = '{uri}'");
    let before = hub.text(&row).await.unwrap();
    assert!(before.contains("Paint"));
    // Another of the same server, another of another server, and the DAO itself with an older word.
    for (who, object) in [
        (&mel, question(&mel.id, "Forged", 9)),
        (&mel, question(&group.id, "Forged", 9)),
        (&eve, question(&eve.id, "Forged", 9)),
        (&eve, question(&group.id, "Forged", 9)),
        (&group, question(&group.id, "Older", 4)),
    ] {
        let update = who.activity("Update", json!({ "object": object }));
        let state = sends(&hub, who, &update).await;
        assert!(
            state.starts_with("refused") || state.starts_with("ignored"),
            "{state}"
        );
        assert_eq!(hub.text(&row).await.unwrap(), before, "{state}");
    }
    let update = group.activity(
        "Update",
        json!({ "object": question(&group.id, "Paint it blue", 6) }),
    );
    assert_eq!(sends(&hub, &group, &update).await, "done");
    assert!(hub.text(&row).await.unwrap().contains("Paint it blue"));
}

#[tokio::test]
async fn secret_ballots_stay_secret() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let dan = hub.member("dan").await;
    let dao = found(
        &hub,
        &ann,
        "Bikes",
        json!({ "membership": "open", "ballot": "secret" }),
    )
    .await;
    hub.rpc(&dan.person, "daos_join", json!({ "id": dao.id }))
        .await;
    let mel = peers.peer("p1.peer.test").person("mel");
    sends(
        &hub,
        &mel,
        &mel.activity("Join", json!({ "object": dao.uri })),
    )
    .await;
    let asked = asks(&hub, &ann, &dao, "Elect Dan", json!({})).await;
    let uri = asked["uri"].as_str().unwrap();
    for (who, choice) in [(&ann, "yes"), (&dan, "no")] {
        hub.rpc(
            &who.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": choice }),
        )
        .await;
    }
    assert_eq!(
        sends(&hub, &mel, &click(&mel, uri, &dao.uri, "Yes")).await,
        "done"
    );
    let question = hub.ask(uri).await.json();
    assert!(question["oneOf"][0].get("replies").is_none(), "{question}");
    assert!(question.get("mo:ballots").is_none());
    assert_eq!(
        question["mo:tally"],
        json!({ "mo:voters": 2 })
            .as_object()
            .map(|it| json!(it))
            .unwrap(),
        "{question}"
    );
    assert_eq!(hub.ask(&format!("{uri}/ballots")).await.status, 404);
    // Each sees his own ballot and no other.
    let own = ann.person.reads(&hub.hub, "/rest/v1/votes").await;
    assert_eq!(own.as_array().unwrap().len(), 1);
    assert_eq!(own[0]["choice"], "yes");
    time_passes(&hub, &asked).await;
    comes_to(&hub, &asked, "passed").await;
    let question = hub.ask(uri).await.json();
    assert_eq!(question["oneOf"][0]["replies"]["totalItems"], 2);
    assert!(question.get("mo:ballotsDigest").is_none());
}

#[tokio::test]
async fn voices_are_given_and_weigh_what_they_weigh() {
    let hubs = Hub::start_all(&["a"]).await;
    let hub = &hubs[0];
    let ann = hub.member("ann").await;
    let dan = hub.member("dan").await;
    let eve = hub.member("eve").await;
    let fay = hub.member("fay").await;
    let dao = found(hub, &ann, "Bikes", json!({ "membership": "open" })).await;
    for who in [&dan, &eve, &fay] {
        hub.rpc(&who.person, "daos_join", json!({ "id": dao.id }))
            .await;
    }
    hub.rpc(
        &ann.person,
        "daos_admit",
        json!({ "dao": dao.id, "actor": dan.actor, "weight": "2.5" }),
    )
    .await;
    let (status, _) = hub
        .tries(
            &dan.person,
            "daos_admit",
            json!({ "dao": dao.id, "actor": dan.actor, "weight": "100" }),
        )
        .await;
    assert_eq!(status, 403);
    // Eve to Dan, Fay to Eve: one hop, so Fay's voice is not heard unless Eve speaks herself; Dan's own ballot counts.
    hub.rpc(
        &eve.person,
        "votes_delegate",
        json!({ "dao": dao.id, "to": dan.person.id }),
    )
    .await;
    hub.rpc(
        &fay.person,
        "votes_delegate",
        json!({ "dao": dao.id, "to": eve.person.id }),
    )
    .await;
    let asked = asks(hub, &ann, &dao, "Paint it", json!({})).await;
    assert_eq!(asked["rules"]["mo:weighting"], "weighted");
    assert_eq!(asked["rules"]["mo:eligibleWeight"], "5.5");
    hub.rpc(
        &dan.person,
        "votes_cast",
        json!({ "proposal": asked["id"], "choice": "yes" }),
    )
    .await;
    time_passes(hub, &asked).await;
    let row = comes_to(hub, &asked, "passed").await;
    assert_eq!(row["tally"]["mo:yes"], "3.5");
    assert_eq!(row["tally"]["mo:voters"], 2);
    assert_eq!(row["tally"]["mo:turnout"], "0.6363");
    let ballots = hub
        .ask(&format!(
            "{}/ballots?page=true",
            asked["uri"].as_str().unwrap()
        ))
        .await
        .json();
    assert_eq!(ballots["orderedItems"][0]["object"]["mo:delegated"], true);
    assert!(!ballots["orderedItems"][0].to_string().contains(&eve.actor));
}

#[tokio::test]
async fn a_dao_tells_itself_in_the_words_of_daoip_2() {
    let hubs = Hub::start_all(&["a"]).await;
    let hub = &hubs[0];
    let ann = hub.member("ann").await;
    let dao: Dao = found(
        hub,
        &ann,
        "Bikes",
        json!({ "description": "Repair coop.", "bylaws": "Be kind." }),
    )
    .await;
    let asked = asks(hub, &ann, &dao, "Buy, sell; repair", json!({})).await;
    hub.rpc(
        &ann.person,
        "votes_cast",
        json!({ "proposal": asked["id"], "choice": "yes" }),
    )
    .await;
    let get = async |name: &str| hub.ask(&format!("/dao/bikes/{name}")).await;
    let told = get("daoip2.json").await;
    assert_eq!(told.header("content-type"), Some("application/ld+json"));
    let told = told.json();
    assert_eq!(told["type"], "DAO");
    assert_eq!(told["@context"], "http://www.daostar.org/schemas");
    assert_eq!(
        told["membersURI"],
        format!("{}/dao/bikes/members.json", hub.public)
    );
    assert_eq!(
        get("members.json").await.json()["members"][0]["id"],
        json!(ann.actor)
    );
    let proposal = get("proposals.json").await.json()["proposals"][0].clone();
    assert_eq!(
        (&proposal["id"], &proposal["status"]),
        (&asked["uri"], &json!("active"))
    );
    assert_eq!(
        get("activity.json").await.json()["activities"][0]["member"]["id"],
        json!(ann.actor)
    );
    assert!(get("governance.md").await.body.contains("Be kind."));
    let calendar = get("deadlines.ics").await.body;
    assert!(
        calendar.contains("SUMMARY:Voting ends: #1 Buy\\, sell\\; repair\r\n"),
        "{calendar}"
    );
    time_passes(hub, &asked).await;
    comes_to(hub, &asked, "passed").await;
    let feed = get("decisions.atom").await.body;
    assert!(feed.contains("#1 Buy, sell; repair: passed"), "{feed}");
    assert_eq!(get("nothing.json").await.status, 404);
    assert_eq!(hub.ask("/dao/nobody/daoip2.json").await.status, 404);
    let page = hub.ask(proposal["contentURI"].as_str().unwrap()).await;
    assert_eq!(page.status, 303, "servers are led to the document");
    let _: Value = hub.ask(page.header("location").unwrap()).await.json();
}
