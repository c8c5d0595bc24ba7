//! DAOs between hubs: who asks, who is asked, who is let in and who goes, and what others see of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Peers, proved_by};

/// A DAO and its actor's address.
pub struct Dao {
    pub id: String,
    pub uri: String,
}

/// Found a DAO as somebody; more columns may be given.
pub async fn found(hub: &Hub, who: &Member, name: &str, more: Value) -> Dao {
    let mut row = json!({ "name": name, "slug": name.to_lowercase() });
    row.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let row = who.person.adds(&hub.hub, "daos", row).await;
    let id = row["id"].as_str().unwrap().to_owned();
    let uri = hub
        .until("the DAO is an actor", async || {
            hub.text(&format!(
                "select uri from ap_actors where kind = 'dao' and row_id = '{id}'"
            ))
            .await
        })
        .await;
    Dao { id, uri }
}

/// Credits are issued to a DAO, under a key of their own.
pub async fn has_in_treasury(hub: &Hub, dao: &Dao, credits: u32, key: &str) {
    let issue = format!(
        "select hub.ledger_issue('dao', '{}', 'CREDIT', {credits}, '{key}', null)",
        dao.id
    );
    let admin = hub.hub.database.admin().await;
    admin.batch_execute(&issue).await.unwrap();
}

/// How many belong to a DAO with this role.
pub fn members(dao: &Dao, role: &str) -> String {
    format!(
        "select count(*) from dao_members where dao_id = '{}' and role = '{role}'",
        dao.id
    )
}

/// Somebody of another hub asks to join and is let in by the founder.
pub async fn joins(home: &Hub, steward: &Member, dao: &Dao, away: &Hub, who: &Member) {
    away.rpc(
        &who.person,
        "daos_join",
        json!({ "actor": dao.uri, "message": "I repair bikes." }),
    )
    .await;
    let asked = format!(
        "select a.id::text from dao_applications a join ap_actors o on o.id = a.actor_id where a.dao_id = '{}' \
         and a.state = 'pending' and o.uri = '{}'",
        dao.id, who.actor
    );
    let asked = home
        .until("the application is there", async || home.text(&asked).await)
        .await;
    home.rpc(&steward.person, "daos_admit", json!({ "id": asked }))
        .await;
    away.counts(&belongs(who, dao), 1).await;
}

/// Whether somebody knows himself to belong to a DAO elsewhere.
pub fn belongs(who: &Member, dao: &Dao) -> String {
    format!(
        "select count(*) from dao_members m join daos d on d.id = m.dao_id where m.user_id = '{}' and d.federated_ap_id = '{}'",
        who.person.id, dao.uri
    )
}

#[tokio::test]
async fn a_dao_says_how_it_decides_and_who_belongs_to_it() {
    let hubs = Hub::start_all(&["a"]).await;
    let hub = &hubs[0];
    let ann = hub.member("ann").await;
    let dao = found(
        hub,
        &ann,
        "Bikes",
        json!({ "quorum_pct": 25, "pass_threshold": 50, "description": "Repair coop." }),
    )
    .await;
    hub.counts(&members(&dao, "owner"), 1).await;

    let told = hub.ask(&dao.uri).await.json();
    assert_eq!(told["mo:kind"], "mo:DAO");
    assert_eq!(told["type"], "Group");
    assert_eq!(told["mo:governance"]["mo:quorum"], "0.25");
    assert_eq!(told["mo:governance"]["mo:threshold"], "0.5");
    assert_eq!(told["mo:governance"]["mo:membership"], "approval");
    assert_eq!(told["mo:members"], format!("{}/members", dao.uri));
    let page = hub
        .ask(&format!("{}/members?page=true", dao.uri))
        .await
        .json();
    assert_eq!(page["orderedItems"], json!([ann.actor]));
    let page = hub
        .ask(&format!("{}/affiliations?page=true", dao.uri))
        .await
        .json();
    assert_eq!(page["orderedItems"][0]["relationship"], "admin");
    assert_eq!(page["orderedItems"][0]["mo:votingWeight"], "1");
    // Each stands alone, under an address of its own.
    let affiliation = &page["orderedItems"][0];
    assert!(is_proved(hub, affiliation, &dao).await, "{affiliation}");
    let alone = hub.ask(affiliation["id"].as_str().unwrap()).await;
    assert_eq!((alone.status, &alone.json()), (200, affiliation));
    // What is hidden stays so under that address too.
    let gone = format!("{}/ap/relationships/{}", hub.public, uuid::Uuid::now_v7());
    assert_eq!(hub.ask(&gone).await.status, 404);
    let moderators = hub.ask(&format!("{}/moderators", dao.uri)).await.json();
    assert_eq!(moderators["orderedItems"], json!([ann.actor]));
    assert_eq!(hub.ask(&format!("{}/secrets", dao.uri)).await.status, 404);
    // A hidden one is nobody's to see.
    let hidden = ann
        .person
        .adds(
            &hub.hub,
            "daos",
            json!({ "name": "Cellar", "is_public": false }),
        )
        .await;
    assert!(
        hub.text(&format!(
            "select uri from ap_actors where row_id = '{}'",
            hidden["id"].as_str().unwrap()
        ))
        .await
        .is_none()
    );
}

#[tokio::test]
async fn a_dao_is_joined_from_another_hub_and_left_again() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let ann = home.member("ann").await;
    let bob = away.member("bob").await;
    let dao = found(home, &ann, "Bikes", json!({})).await;
    joins(home, &ann, &dao, away, &bob).await;
    home.counts(&members(&dao, "member"), 1).await;
    let page = home
        .ask(&format!("{}/members?page=true", dao.uri))
        .await
        .json();
    assert_eq!(page["orderedItems"][0], json!(bob.actor));

    // The row of the DAO elsewhere is not bob's to change.
    let row = away
        .text(&format!(
            "select id::text from daos where federated_ap_id = '{}'",
            dao.uri
        ))
        .await
        .unwrap();
    let answer = bob
        .person
        .ask(
            &away.hub,
            Method::PATCH,
            &format!("/rest/v1/daos?id=eq.{row}"),
        )
        .json(&json!({ "name": "Mine" }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success() || answer.status().is_client_error());
    assert_eq!(
        away.text(&format!("select name from daos where id = '{row}'"))
            .await
            .as_deref(),
        Some("Bikes")
    );

    away.rpc(&bob.person, "daos_leave", json!({ "id": row }))
        .await;
    home.counts(&members(&dao, "member"), 0).await;
    away.counts(&belongs(&bob, &dao), 0).await;
}

#[tokio::test]
async fn a_dao_asks_in_and_sends_away() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let ann = home.member("ann").await;
    let bob = away.member("bob").await;
    let cat = away.member("cat").await;
    let dao = found(home, &ann, "Bikes", json!({ "membership": "invite" })).await;

    // Nobody asks where nobody may.
    away.rpc(&cat.person, "daos_join", json!({ "actor": dao.uri }))
        .await;
    let state = format!(
        "select count(*) from dao_applications where user_id = '{}' and state = 'rejected'",
        cat.person.id
    );
    away.counts(&state, 1).await;

    home.rpc(
        &ann.person,
        "daos_invite",
        json!({ "id": dao.id, "actor": bob.actor, "role": "admin" }),
    )
    .await;
    let invited = format!(
        "select count(*) from dao_applications where user_id = '{}' and direction = 'invite' and state = 'pending'",
        bob.person.id
    );
    away.counts(&invited, 1).await;
    home.counts(&members(&dao, "admin"), 0).await;
    away.rpc(&bob.person, "daos_join", json!({ "actor": dao.uri }))
        .await;
    home.counts(&members(&dao, "admin"), 1).await;
    away.counts(&belongs(&bob, &dao), 1).await;

    // Who is no officer changes nothing.
    let dan = home.member("dan").await;
    let (status, _) = home
        .tries(
            &dan.person,
            "daos_remove",
            json!({ "id": dao.id, "actor": bob.actor }),
        )
        .await;
    assert_eq!(status, 403);
    home.rpc(
        &ann.person,
        "daos_remove",
        json!({ "id": dao.id, "actor": bob.actor }),
    )
    .await;
    home.counts(&members(&dao, "admin"), 0).await;
    away.counts(&belongs(&bob, &dao), 0).await;
    // The founder cannot be sent away, not even by himself.
    let (status, told) = home
        .tries(&ann.person, "daos_leave", json!({ "id": dao.id }))
        .await;
    assert_eq!(status, 409, "{told}");
}

#[tokio::test]
async fn an_open_dao_is_joined_at_once() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let ann = home.member("ann").await;
    let bob = away.member("bob").await;
    let dan = home.member("dan").await;
    let dao = found(home, &ann, "Bikes", json!({ "membership": "open" })).await;
    away.rpc(&bob.person, "daos_join", json!({ "actor": dao.uri }))
        .await;
    away.counts(&belongs(&bob, &dao), 1).await;
    let said = home
        .rpc(&dan.person, "daos_join", json!({ "id": dao.id }))
        .await;
    assert_eq!(said["state"], "accepted");
    home.counts(&members(&dao, "member"), 2).await;
}

#[tokio::test]
async fn s_43_only_officers_say_who_belongs() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let dao = found(&hub, &ann, "Bikes", json!({ "membership": "open" })).await;
    let peer = peers.peer("p1.peer.test");
    let (mel, ned) = (peer.person("mel"), peer.person("ned"));
    let join = mel.activity("Join", json!({ "object": dao.uri }));
    assert_eq!(mel.send(&hub.shared_inbox(), &join).await.status, 202);
    hub.counts(&members(&dao, "member"), 1).await;

    // Neither a member nor a stranger adds or removes, whoever's collection he names.
    for who in [&mel, &ned] {
        for (kind, object) in [
            ("Add", &ned.id),
            ("Remove", &mel.id),
            ("Remove", &ann.actor),
        ] {
            let said = who.activity(
                kind,
                json!({ "object": object, "target": format!("{}/members", dao.uri) }),
            );
            assert_eq!(who.send(&hub.shared_inbox(), &said).await.status, 202);
            crate::votes::ended(&hub, said["id"].as_str().unwrap()).await;
        }
    }
    hub.counts(&members(&dao, "member"), 1).await;
    hub.counts(&members(&dao, "owner"), 1).await;
    let denied =
        "select count(*) from audit_log where outcome = 'denied' and resource_type = 'dao_members'";
    hub.counts(denied, 6).await;
}

#[tokio::test]
async fn a_user_of_another_make_asks_by_letter() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let dao = found(&hub, &ann, "Bikes", json!({})).await;
    let peer = peers.peer("p1.peer.test");
    let mel = peer.person("mel");
    let note = mel.note("!join", &[&dao.uri], json!({}));
    let letter = mel.activity("Create", json!({ "object": note, "to": [dao.uri] }));
    assert_eq!(mel.send(&hub.shared_inbox(), &letter).await.status, 202);
    let waiting = format!(
        "select id::text from dao_applications where dao_id = '{}' and state = 'pending' and message like '%!join%'",
        dao.id
    );
    let asked = hub
        .until("the letter waits for a steward", async || {
            hub.text(&waiting).await
        })
        .await;
    let answer = peer.wait("Create", 1).await.remove(0).json;
    assert_eq!(answer["object"]["tag"][0]["href"], mel.id);
    assert_eq!(answer["to"], json!([mel.id]));
    // A steward sees the queue, others do not.
    let queue = ann
        .person
        .reads(&hub.hub, "/rest/v1/dao_applications")
        .await;
    assert_eq!(queue.as_array().unwrap().len(), 1);
    let dan = hub.member("dan").await;
    let queue = dan
        .person
        .reads(&hub.hub, "/rest/v1/dao_applications")
        .await;
    assert_eq!(queue, json!([]));
    hub.rpc(&ann.person, "daos_admit", json!({ "id": asked }))
        .await;
    hub.counts(&members(&dao, "member"), 1).await;
    peer.wait("Create", 2).await;
}

/// Whether an activity stands by itself, by the key of a DAO.
pub async fn is_proved(hub: &Hub, document: &Value, dao: &Dao) -> bool {
    let actor = hub.ask(&dao.uri).await.json();
    let key = actor["assertionMethod"][0]["publicKeyMultibase"]
        .as_str()
        .unwrap()
        .to_owned();
    proved_by(document, &key)
}
