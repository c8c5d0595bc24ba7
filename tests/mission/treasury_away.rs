//! What a DAO gives to a member of another hub is booked there once; and who is struck off its roll by hand is told.

use serde_json::{Value, json};

use super::daos::{belongs, found, has_in_treasury, joins};
use super::votes::{asks, comes_to, time_passes};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Peers};

/// What somebody has of credits.
fn credits(who: &Member) -> String {
    format!(
        "select coalesce(sum(balance), 0)::bigint from ledger_accounts where unit = 'CREDIT' and owner_id = '{}'",
        who.person.id
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_treasury_gives_to_a_member_of_another_hub() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let (ann, bob) = (home.member("ann").await, away.member("bob").await);
    let dao = found(
        home,
        &ann,
        "Bikes",
        json!({ "quorum_pct": 25, "pass_threshold": 50 }),
    )
    .await;
    joins(home, &ann, &dao, away, &bob).await;
    has_in_treasury(home, &dao, 100, "issue:test").await;

    let pay = json!({ "action": "transfer", "to": bob.handle, "amount": "30", "memo": "Tools" });
    let asked = asks(
        home,
        &ann,
        &dao,
        "Pay Bob",
        json!({ "action_payload": pay }),
    )
    .await;
    home.rpc(
        &ann.person,
        "votes_cast",
        json!({ "proposal": asked["id"], "choice": "yes" }),
    )
    .await;
    time_passes(home, &asked).await;
    comes_to(home, &asked, "executed").await;
    away.counts(&credits(&bob), 30).await;
    // He sees it as his own, with the DAO on the other side, and the books of both hubs say the same.
    let mine = away.rpc(&bob.person, "ledger_mine", json!({})).await;
    assert!(mine.to_string().contains("30"), "{mine}");
    let agreement = format!(
        "{}/ap/transfers/{}",
        home.public,
        asked["id"].as_str().unwrap()
    );
    let memo = format!(
        "select count(*) from ledger_entries where agreement = '{agreement}' and memo = 'Tools'"
    );
    for hub in [home, away] {
        assert_eq!(hub.count(&memo).await, 2, "{}", hub.host);
        hub.counts("select sum(amount)::bigint from ledger_entries where agreement like '%/ap/transfers/%'", 0).await;
    }
    let line = format!(
        "select balance::bigint from ledger_accounts where peer_host = '{}' and unit = 'CREDIT'",
        home.host
    );
    assert_eq!(away.count(&line).await, -30);
    let told = format!(
        "select count(*) from hub.journal where verb = 'transfer.received' and owner_id = '{}'",
        bob.person.id
    );
    assert_eq!(away.count(&told).await, 1);

    // Said again, by whatever way, it is not given again.
    let admin = home.hub.database.admin().await;
    admin
        .batch_execute(&format!("update ap_deliveries set state = 'waiting', next_at = now(), ended_at = null where activity_id in \
            (select id from ap_activities where object_uri = '{agreement}')"))
        .await
        .unwrap();
    home.counts(
        "select count(*) from ap_deliveries where state = 'waiting'",
        0,
    )
    .await;
    away.counts(
        "select count(*) from ap_received where state = 'waiting'",
        0,
    )
    .await;
    assert_eq!(away.count(&credits(&bob)).await, 30);
}

async fn sends(hub: &Hub, from: &Actor, activity: &Value) -> String {
    let told = from.send(&hub.shared_inbox(), activity).await;
    assert_eq!(told.status, 202, "{}", told.body);
    super::votes::ended(hub, activity["id"].as_str().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_credits_by_saying_so() {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let (bob, carol) = (hub.member("bob").await, hub.member("carol").await);
    let peer = peers.peer("p1.peer.test");
    let coop = peer.actor(
        "Group",
        "coop",
        crate::support::peer::Keys::fresh(),
        json!({}),
    );
    let mallory = peers.peer("p2.peer.test").person("mallory");
    for who in [&coop, &mallory] {
        hub.rpc(&bob.person, "actors_resolve", json!({ "query": who.id }))
            .await;
    }
    // Bob belongs to the coop, as it would be after he has joined.
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "insert into dao_members (dao_id, user_id, role) select hub.keep_dao(a.id), '{}', 'member' from ap_actors a where a.uri = '{}'",
            bob.person.id, coop.id
        ))
        .await
        .unwrap();
    let context = made_open::fed::vocab::context();
    let document = |n: u32, more: Value| -> Value {
        let mut document = json!({
            "@context": context, "type": "Document", "id": format!("{}/transfers/{n}", peer.origin()), "attributedTo": coop.id,
            "name": "Pay Bob", "content": "<p>5 CREDIT</p>", "published": "2026-11-20T12:00:00Z", "to": [bob.actor],
            "mo:kind": "mo:EconomicEvent", "action": "transfer", "provider": coop.id, "receiver": bob.actor,
            "resourceQuantity": { "hasUnit": "CREDIT", "hasNumericalValue": "5" },
        });
        document
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        document
    };
    let create = |from: &Actor, object: &Value| {
        from.activity(
            "Create",
            json!({ "@context": context, "object": object, "to": [bob.actor] }),
        )
    };
    let amount = |unit: &str, value: Value| json!({ "resourceQuantity": { "hasUnit": unit, "hasNumericalValue": value } });
    for (n, (more, reason)) in [
        (json!({ "receiver": carol.actor }), "not_party"),
        (json!({ "receiver": mallory.id }), "not_party"),
        (json!({ "receiver": null }), "not_party"),
        (json!({ "provider": mallory.id }), "forged"),
        (json!({ "action": "produce" }), "not_party"),
        (amount("TIME", json!("5")), "wrong_unit"),
        (amount("CREDIT", json!("-5")), "wrong_quantity"),
        (amount("CREDIT", json!("0")), "wrong_quantity"),
        (amount("CREDIT", json!(5)), "wrong_quantity"),
        (amount("CREDIT", json!("1e9")), "wrong_quantity"),
        (amount("CREDIT", json!("99999999999999")), "declined"),
    ]
    .into_iter()
    .enumerate()
    {
        let object = coop.proved(&document(u32::try_from(n).unwrap(), more.clone()));
        let said = create(&coop, &object);
        let came = sends(&hub, &coop, &said).await;
        assert_eq!(came, "done", "{more}");
        // It is told once, by whatever activity it comes again.
        let refused = peer.wait("Reject", n + 1).await;
        let refused = refused
            .iter()
            .find(|it| it.json["object"] == said["id"])
            .unwrap_or_else(|| panic!("{more}: not told"));
        assert_eq!(refused.json["mo:reason"], reason, "{more}");
        assert!(refused.json["content"].as_str().unwrap().len() > 10);
        assert_eq!(refused.json["to"], json!([coop.id]));
        let came = sends(&hub, &coop, &create(&coop, &object)).await;
        assert!(came.starts_with("ignored"), "{more}: {came}");
    }
    assert_eq!(peer.taken("Reject").len(), 11);
    // What was refused stays refused, though it could be taken now.
    let carols = coop.proved(&document(0, json!({ "receiver": carol.actor })));
    let joins = format!(
        "insert into dao_members (dao_id, user_id, role) select dao_id, '{}', 'member' from dao_members",
        carol.person.id
    );
    admin.batch_execute(&joins).await.unwrap();
    let came = sends(&hub, &coop, &create(&coop, &carols)).await;
    assert!(came.starts_with("ignored"), "{came}");
    // Without the DAO's own proof, with another's, or said by somebody who is no DAO.
    for (from, object) in [
        (&coop, document(50, json!({}))),
        (&coop, mallory.proved(&document(51, json!({})))),
        (&mallory, coop.proved(&document(52, json!({})))),
        (
            &mallory,
            mallory.proved(&document(
                53,
                json!({ "attributedTo": mallory.id, "provider": mallory.id }),
            )),
        ),
    ] {
        let told = from.send(&hub.shared_inbox(), &create(from, &object)).await;
        assert!(told.status < 500, "{}", told.body);
    }
    hub.counts(
        "select count(*) from ap_received where state = 'waiting'",
        0,
    )
    .await;
    for query in [
        "select count(*) from ledger_entries",
        "select count(*) from ledger_accounts where balance <> 0",
    ] {
        assert_eq!(hub.count(query).await, 0, "{query}");
    }

    let object = coop.proved(&document(60, json!({})));
    for expected in ["done", "repeated", "repeated"] {
        let came = sends(&hub, &coop, &create(&coop, &object)).await;
        assert_eq!(came, expected);
    }
    assert_eq!(hub.count(&credits(&bob)).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_hub_refuses_is_back_in_the_treasury() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let (ann, bob) = (home.member("ann").await, away.member("bob").await);
    let dao = found(
        home,
        &ann,
        "Bikes",
        json!({ "quorum_pct": 25, "pass_threshold": 50 }),
    )
    .await;
    let admin = home.hub.database.admin().await;
    has_in_treasury(home, &dao, 100, "issue:test").await;
    home.rpc(
        &ann.person,
        "actors_resolve",
        json!({ "query": bob.handle }),
    )
    .await;

    // Bob belongs to nothing.
    let pay = json!({ "action": "transfer", "to": bob.handle, "amount": "30", "memo": "Tools" });
    let asked = asks(
        home,
        &ann,
        &dao,
        "Pay Bob",
        json!({ "action_payload": pay }),
    )
    .await;
    let id = asked["id"].as_str().unwrap();
    home.rpc(
        &ann.person,
        "votes_cast",
        json!({ "proposal": id, "choice": "yes" }),
    )
    .await;
    time_passes(home, &asked).await;
    let treasury = format!(
        "select coalesce(sum(balance), 0)::bigint from ledger_accounts where unit = 'CREDIT' and dao_id = '{}'",
        dao.id
    );
    let told = format!(
        "select count(*) from hub.journal where verb = 'proposal.not_executed' and row_id = '{id}'"
    );
    home.counts(&told, 1).await;
    let row = comes_to(home, &asked, "passed").await;
    let why = row["execution_error"].as_str().unwrap();
    assert!(
        why.contains(&away.host) && why.contains("not_party"),
        "{why}"
    );
    assert_eq!(row["executed_at"], Value::Null);
    assert_eq!(home.count(&treasury).await, 100);
    let question = home.ask(asked["uri"].as_str().unwrap()).await.json();
    assert_eq!(question["mo:status"], "passed");
    assert_eq!(question["mo:executionError"], why);
    for query in [
        "select count(*) from ledger_entries",
        "select count(*) from ledger_accounts where balance <> 0",
    ] {
        assert_eq!(away.count(query).await, 0, "{query}");
    }
    let said = "select count(*) from ap_activities where type = 'Reject'";
    assert_eq!(away.count(said).await, 1);
    let reject = away
        .text("select body from ap_activities where type = 'Reject'")
        .await
        .unwrap();
    let reject: Value = serde_json::from_str(&reject).unwrap();
    assert_eq!(reject["actor"], json!(bob.actor));
    assert_eq!(reject["mo:reason"], "not_party");

    // Now he does, and who runs the DAO tries again.
    joins(home, &ann, &dao, away, &bob).await;
    home.rpc(&ann.person, "proposals_execute", json!({ "id": id }))
        .await;
    away.counts(&credits(&bob), 30).await;
    let row = comes_to(home, &asked, "executed").await;
    assert_eq!(row["execution_error"], Value::Null);
    assert_eq!(home.count(&treasury).await, 70);
    // The old word, said again, is not taken.
    admin
        .batch_execute(
            "update ap_deliveries set state = 'waiting', next_at = now(), ended_at = null where activity_id in \
             (select id from ap_activities where object_uri like '%/ap/transfers/%')",
        )
        .await
        .unwrap();
    home.counts(
        "select count(*) from ap_deliveries where state = 'waiting'",
        0,
    )
    .await;
    away.counts(
        "select count(*) from ap_received where state = 'waiting'",
        0,
    )
    .await;
    assert_eq!(away.count(&credits(&bob)).await, 30);
    assert_eq!(away.count(said).await, 1);
    assert_eq!(
        home.count("select sum(amount)::bigint from ledger_entries")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_back_what_another_was_given() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let peer = peers.peer("p1.peer.test");
    let (bob, mallory) = (peer.person("bob"), peer.person("mallory"));
    for who in [&bob, &mallory] {
        hub.rpc(&ann.person, "actors_resolve", json!({ "query": who.id }))
            .await;
    }
    let dao = found(
        &hub,
        &ann,
        "Bikes",
        json!({ "quorum_pct": 25, "pass_threshold": 50 }),
    )
    .await;
    has_in_treasury(&hub, &dao, 100, "issue:test").await;
    let pay = json!({ "action": "transfer", "to": bob.id, "amount": "30" });
    let asked = asks(
        &hub,
        &ann,
        &dao,
        "Pay Bob",
        json!({ "action_payload": pay }),
    )
    .await;
    hub.rpc(
        &ann.person,
        "votes_cast",
        json!({ "proposal": asked["id"], "choice": "yes" }),
    )
    .await;
    time_passes(&hub, &asked).await;
    comes_to(&hub, &asked, "executed").await;
    let given = hub
        .until("it is said", async || {
            let said = peer.taken("Create");
            let given = said
                .iter()
                .find(|it| it.json["object"]["type"] == "Document");
            given.map(|it| it.json["id"].clone())
        })
        .await;
    let treasury = format!(
        "select sum(balance)::bigint from ledger_accounts where unit = 'CREDIT' and dao_id = '{}'",
        dao.id
    );

    let no = |who: &Actor, of: &Value, reason: &str| {
        who.activity(
            "Reject",
            json!({ "object": of, "to": [dao.uri], "content": "<script>no</script>", "mo:reason": reason }),
        )
    };
    let came = sends(&hub, &mallory, &no(&mallory, &given, "not_party")).await;
    assert!(came.starts_with("refused"), "{came}");
    assert_eq!(hub.count(&treasury).await, 70);
    for (n, expected) in ["done", "repeated", "repeated"].into_iter().enumerate() {
        let came = sends(&hub, &bob, &no(&bob, &given, "<b>you owe me</b>")).await;
        assert_eq!(came, expected, "{n}");
        assert_eq!(hub.count(&treasury).await, 100, "{n}");
    }
    // His words don't stand in what the DAO says.
    let row = comes_to(&hub, &asked, "passed").await;
    let why = row["execution_error"].as_str().unwrap();
    assert!(
        why.contains("declined") && !why.contains('<') && !why.contains("owe"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_struck_off_by_hand_is_told() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let (ann, dan) = (home.member("ann").await, home.member("dan").await);
    let (bob, fan) = (away.member("bob").await, away.member("fan").await);
    let dao = found(home, &ann, "Bikes", json!({})).await;
    joins(home, &ann, &dao, away, &bob).await;
    home.rpc(&dan.person, "daos_join", json!({ "id": dao.id }))
        .await;
    let row = async |of: &str| -> Value {
        let query = format!(
            "select to_jsonb(m)::text from dao_members m left join ap_actors a on a.id = m.actor_id \
            where m.dao_id = '{}' and (a.uri = '{of}' or m.user_id::text = '{of}')",
            dao.id
        );
        let row = home.until(of, async || home.text(&query).await).await;
        serde_json::from_str(&row).unwrap()
    };
    let bobs = row(&bob.actor).await;
    away.follows(&fan, &dao.uri).await;

    // Who may not do it does not, and nothing is said.
    home.deletes(&dan, "dao_members", &bobs).await;
    assert_eq!(
        home.count("select count(*) from ap_activities where type = 'Remove'")
            .await,
        0
    );
    away.counts(&belongs(&bob, &dao), 1).await;

    home.deletes(&ann, "dao_members", &bobs).await;
    away.counts(&belongs(&bob, &dao), 0).await;
    let said = "select count(*) from ap_activities where type = 'Remove'";
    assert_eq!(home.count(said).await, 1);
    let body = home
        .text("select body from ap_activities where type = 'Remove'")
        .await
        .unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["actor"], &body["object"], &body["target"]),
        (
            &json!(dao.uri),
            &json!(bob.actor),
            &json!(format!("{}/members", dao.uri))
        )
    );
    assert!(
        body["cc"].as_array().unwrap().contains(&json!(bob.actor)),
        "{body}"
    );

    // By the action it is said once.
    joins_again(home, &ann, &dao.id, away, &bob, &dao.uri).await;
    home.rpc(
        &ann.person,
        "daos_remove",
        json!({ "id": dao.id, "actor": bob.handle }),
    )
    .await;
    away.counts(&belongs(&bob, &dao), 0).await;
    assert_eq!(home.count(said).await, 2);
}

async fn joins_again(home: &Hub, steward: &Member, dao: &str, away: &Hub, who: &Member, uri: &str) {
    away.rpc(
        &who.person,
        "daos_join",
        json!({ "actor": uri, "message": "Again" }),
    )
    .await;
    let asked = format!(
        "select id::text from dao_applications where dao_id = '{dao}' and state = 'pending' and actor_id is not null"
    );
    let asked = home
        .until("he asks again", async || home.text(&asked).await)
        .await;
    home.rpc(&steward.person, "daos_admit", json!({ "id": asked }))
        .await;
    let query = format!(
        "select count(*) from dao_members m join daos d on d.id = m.dao_id where m.user_id = '{}' and d.federated_ap_id = '{uri}'",
        who.person.id
    );
    away.counts(&query, 1).await;
}
