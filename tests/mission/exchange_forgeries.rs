//! Whatever a peer sends: what is not right changes nothing, the reason is told once, and only the parties' own signed words
//! move an exchange.

use serde_json::{Value, json};

use super::trade::{id, stands};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, PUBLIC, Peers};

/// A hub with alice; carol, who follows the rules or not, and mallory elsewhere.
struct Scene {
    hub: Hub,
    alice: Member,
    _peers: Peers,
    carol: Actor,
    mallory: Actor,
}

impl Scene {
    async fn set() -> Self {
        let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
        let hub = Hub::start("trade", &peers.resolve(), &[]).await;
        let alice = hub.member("alice").await;
        let carol = peers.peer("p1.peer.test").person("carol");
        let mallory = peers.peer("p2.peer.test").person("mallory");
        Self {
            hub,
            alice,
            _peers: peers,
            carol,
            mallory,
        }
    }

    /// Alice declares something.
    async fn declares(&self, row: Value) -> String {
        let row = self
            .alice
            .person
            .adds(&self.hub.hub, "declarations", row)
            .await;
        row["federated_ap_id"].as_str().unwrap().to_owned()
    }

    /// Somebody sends something; what became of it.
    async fn tells(&self, who: &Actor, activity: &Value) -> String {
        let told = who.send(&self.hub.shared_inbox(), activity).await;
        assert_eq!(told.status, 202, "{}", told.body);
        let uri = activity["id"].as_str().unwrap();
        let query = format!(
            "select state || ' ' || coalesce(reason, '') from ap_received where uri = '{uri}' and state <> 'waiting'"
        );
        self.hub
            .until("it is heard", async || self.hub.text(&query).await)
            .await
            .trim()
            .to_owned()
    }

    /// Why somebody's activity was refused, as he was told.
    async fn reason(&self, who: &Actor, of: &Value) -> String {
        self.hub
            .until("a refusal", async || {
                let said = who.peer.taken("Reject");
                said.iter()
                    .find(|said| said.json["object"] == of["id"])
                    .map(|said| said.json["mo:reason"].as_str().unwrap().to_owned())
            })
            .await
    }

    fn offer(&self, who: &Actor, uri: &str, hours: &str, price: Option<&str>) -> Value {
        let amount = |value: &str| json!({ "hasUnit": "hour", "hasNumericalValue": value });
        let mut agreement = json!({ "type": "Agreement", "mo:kind": "mo:Exchange", "mo:offer": uri,
            "stipulates": { "type": "Commitment", "satisfies": format!("{uri}#primary"), "resourceQuantity": amount(hours) } });
        if let Some(price) = price {
            agreement["stipulatesReciprocal"] = json!({ "type": "Commitment", "satisfies": format!("{uri}#reciprocal"),
                "resourceQuantity": amount(price) });
        }
        who.proved(&who.activity(
            "Offer",
            json!({ "to": [self.alice.actor], "object": agreement, "content": "<p>Please</p>" }),
        ))
    }

    async fn exchanges(&self) -> i64 {
        self.hub.count("select count(*) from exchanges").await
    }
}

fn lesson(title: &str) -> Value {
    json!({ "decl_type": "offer", "title": title, "exchange_type": "time_banking", "quantity": 2, "unit": "hour" })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_offer_leaves_no_row_and_is_answered_once() {
    let scene = Scene::set().await;
    let uri = scene.declares(lesson("A lesson")).await;
    let over = scene.declares(lesson("Over")).await;
    let query = format!("/rest/v1/declarations?federated_ap_id=eq.{over}");
    let over_row = scene.alice.person.reads(&scene.hub.hub, &query).await;
    scene
        .hub
        .changes(
            &scene.alice,
            "declarations",
            &over_row[0],
            json!({ "status": "withdrawn" }),
        )
        .await;

    let fine = |price| scene.offer(&scene.carol, &uri, "2", price);
    let with = |pointer: &str, value: Value| {
        let mut offer = fine(Some("2"));
        *offer.pointer_mut(pointer).unwrap() = value;
        scene.carol.proved(&offer)
    };
    let amount = "/object/stipulates/resourceQuantity/hasNumericalValue";
    let mut late = fine(Some("2"));
    late["object"]["mo:expires"] = json!("2020-01-01T00:00:00Z");
    let mut own = fine(Some("2"));
    own["object"]["mo:expires"] = json!("soon");
    for (offer, reason) in [
        (fine(None), "wrong_quantity"),
        (fine(Some("1")), "wrong_quantity"),
        (with(amount, json!("-2")), "wrong_quantity"),
        (with(amount, json!("0")), "wrong_quantity"),
        (with(amount, json!("2.00001")), "wrong_quantity"),
        (with(amount, json!("1e1")), "wrong_quantity"),
        (with(amount, json!(2)), "wrong_quantity"),
        (
            with(amount, json!("99999999999999999999")),
            "wrong_quantity",
        ),
        (
            with(
                "/object/stipulates/resourceQuantity/hasUnit",
                json!("kilogram"),
            ),
            "wrong_unit",
        ),
        (
            with(
                "/object/stipulatesReciprocal/resourceQuantity/hasUnit",
                json!("one"),
            ),
            "wrong_unit",
        ),
        (
            with(
                "/object/stipulates/satisfies",
                json!(format!("{uri}#reciprocal")),
            ),
            "wrong_quantity",
        ),
        (
            with(
                "/object/stipulates/satisfies",
                json!(format!(
                    "{}/ap/declarations/{}#primary",
                    scene.hub.public,
                    uuid::Uuid::now_v7()
                )),
            ),
            "not_active",
        ),
        (
            scene.offer(&scene.carol, &over, "2", Some("2")),
            "not_active",
        ),
        (scene.carol.proved(&late), "expired"),
        (scene.carol.proved(&own), "expired"),
    ] {
        let came = scene.tells(&scene.carol, &offer).await;
        assert_eq!(came, "done", "{offer}");
        assert_eq!(scene.reason(&scene.carol, &offer).await, reason, "{offer}");
        assert_eq!(scene.exchanges().await, 0, "{offer}");
        // The same once more is the same once.
        let told = scene.carol.send(&scene.hub.shared_inbox(), &offer).await;
        assert_eq!(told.status, 202);
    }
    let said = scene.carol.peer.taken("Reject");
    let mut objects: Vec<String> = said
        .iter()
        .map(|it| it.json["object"].to_string())
        .collect();
    objects.sort();
    let all = objects.len();
    objects.dedup();
    assert_eq!((all, objects.len()), (15, 15), "each is answered once");
    for it in &said {
        assert!(!it.json["content"].as_str().unwrap().is_empty(), "in words");
    }

    // S-152, S-154: whoever is blocked gets no further.
    scene
        .hub
        .rpc(
            &scene.alice.person,
            "blocks_set",
            json!({ "actor": scene.carol.id }),
        )
        .await;
    let offer = fine(Some("2"));
    scene.tells(&scene.carol, &offer).await;
    assert_eq!(scene.exchanges().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_parties_own_signed_words_move_an_exchange() {
    let scene = Scene::set().await;
    let (hub, carol, mallory) = (&scene.hub, &scene.carol, &scene.mallory);
    let uri = scene.declares(lesson("A lesson")).await;
    let offer = scene.offer(carol, &uri, "2", Some("2"));
    assert_eq!(scene.tells(carol, &offer).await, "done");
    let hers = super::trade::arrived(hub, offer["id"].as_str().unwrap()).await;

    // Somebody else takes it back: nothing.
    let undo = mallory.activity("Undo", json!({ "to": [scene.alice.actor], "object": { "type": "Offer", "id": offer["id"], "actor": mallory.id } }));
    scene.tells(mallory, &undo).await;
    stands(hub, &hers, "proposed").await;

    hub.rpc(
        &scene.alice.person,
        "exchanges_accept",
        json!({ "id": hers }),
    )
    .await;
    let accept = carol.peer.wait("Accept", 1).await.remove(0).json;
    assert_eq!(accept["object"], offer["id"]);
    let agreement = &accept["result"];
    assert_eq!(agreement["mo:status"], "accepted");
    assert_eq!(
        agreement["stipulates"]["provider"],
        json!(scene.alice.actor)
    );
    assert_eq!(agreement["stipulates"]["receiver"], json!(carol.id));
    assert_eq!(
        agreement["stipulatesReciprocal"]["provider"],
        json!(carol.id)
    );
    assert!(agreement["proof"]["proofValue"].is_string(), "{agreement}");
    // The two read it, and nobody else.
    let address = agreement["id"].as_str().unwrap();
    assert_eq!(carol.get(address).await.status, 200);
    assert_eq!(mallory.get(address).await.status, 404);
    assert_eq!(hub.ask(address).await.status, 404);

    let receipt = |who: &Actor, change: &dyn Fn(&mut Value)| {
        let mut document = json!({
            "@context": "https://www.w3.org/ns/activitystreams", "type": "Document",
            "id": format!("{}/receipts/{}", who.peer.origin(), uuid::Uuid::now_v7()),
            "attributedTo": who.id, "context": address, "to": [scene.alice.actor], "mo:kind": "mo:EconomicEvent",
            "fulfills": [format!("{address}#primary"), format!("{address}#reciprocal")], "action": "deliverService",
            "provider": scene.alice.actor, "receiver": carol.id,
            "resourceQuantity": { "hasUnit": "hour", "hasNumericalValue": "2" }, "mo:verdict": "fulfilled", "mo:version": 2,
        });
        change(&mut document);
        document
    };
    let sends = async |who: &Actor, document: Value| {
        let create = who.activity(
            "Create",
            json!({ "to": [scene.alice.actor], "object": document }),
        );
        let came = scene.tells(who, &create).await;
        (came, create)
    };
    let same = |_: &mut Value| {};
    // Not by a party; not its own proof; not about all of it; not of it at all.
    let (came, _) = sends(mallory, mallory.proved(&receipt(mallory, &same))).await;
    assert_eq!(came, "refused not_party");
    let mut forged = carol.proved(&receipt(carol, &same));
    forged["mo:verdict"] = json!("cancelled");
    let others = mallory.proved(&receipt(carol, &same));
    for document in [
        receipt(carol, &same),
        forged,
        others,
        carol.proved(&receipt(carol, &|it| {
            it["fulfills"] = json!([format!("{address}#primary")])
        })),
        carol.proved(&receipt(carol, &|it| {
            it["resourceQuantity"]["hasNumericalValue"] = json!("1")
        })),
        carol.proved(&receipt(carol, &|it| it["provider"] = json!(mallory.id))),
        carol.proved(&receipt(carol, &|it| it["mo:verdict"] = json!("whatever"))),
        carol.proved(&receipt(carol, &|it| it["mo:version"] = json!(0))),
        carol.proved(&receipt(carol, &|it| it["mo:version"] = json!(-1))),
    ] {
        let (came, create) = sends(carol, document).await;
        assert_eq!(came, "done", "{create}");
        assert_eq!(scene.reason(carol, &create).await, "forged", "{create}");
    }
    let (came, _) = sends(
        carol,
        carol.proved(&receipt(carol, &|it| {
            it["context"] = json!(format!("{}/agreements/1", carol.peer.origin()))
        })),
    )
    .await;
    assert_eq!(came, "refused not_party");
    stands(hub, &hers, "accepted").await;
    hub.counts("select count(*) from hub.deal_documents", 0)
        .await;

    // Somebody else writes the agreement anew: nothing.
    let mut theirs = agreement.clone();
    theirs["mo:status"] = json!("cancelled");
    theirs["id"] = json!(format!("{}/agreements/2", carol.peer.origin()));
    theirs["attributedTo"] = json!(carol.id);
    let update = carol.activity(
        "Update",
        json!({ "to": [scene.alice.actor], "object": carol.proved(&theirs) }),
    );
    assert_eq!(scene.tells(carol, &update).await, "refused not_party");

    // Her word: she disputes; an older word of hers changes nothing and she is told.
    let (came, _) = sends(
        carol,
        carol.proved(&receipt(carol, &|it| it["mo:verdict"] = json!("disputed"))),
    )
    .await;
    assert_eq!(came, "done");
    stands(hub, &hers, "disputed").await;
    let (_, create) = sends(
        carol,
        carol.proved(&receipt(carol, &|it| {
            it["mo:verdict"] = json!("cancelled");
            it["mo:version"] = json!(1);
        })),
    )
    .await;
    assert_eq!(scene.reason(carol, &create).await, "stale");
    stands(hub, &hers, "disputed").await;
    let (came, _) = sends(
        carol,
        carol.proved(&receipt(carol, &|it| it["mo:version"] = json!(3))),
    )
    .await;
    assert_eq!(came, "done");
    stands(hub, &hers, "in_progress").await;
    hub.rpc(
        &scene.alice.person,
        "exchanges_confirm",
        json!({ "id": hers, "verdict": "fulfilled" }),
    )
    .await;
    stands(hub, &hers, "completed").await;
    hub.counts("select count(*) from ledger_entries", 2).await;
    // Over is over.
    let (_, _) = sends(
        carol,
        carol.proved(&receipt(carol, &|it| {
            it["mo:verdict"] = json!("cancelled");
            it["mo:version"] = json!(9);
        })),
    )
    .await;
    stands(hub, &hers, "completed").await;
    hub.counts("select count(*) from ledger_entries", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_binds_only_as_it_was_offered() {
    let scene = Scene::set().await;
    let (hub, carol, mallory) = (&scene.hub, &scene.carol, &scene.mallory);
    // Carol offers bread for nothing, to everybody and to alice.
    let place = format!("{}/declarations/1", carol.peer.origin());
    let note = json!({
        "type": "Note", "id": place, "attributedTo": carol.id, "name": "Bread", "content": "<p>Bread</p>",
        "published": "2026-11-20T12:00:00Z", "updated": "2026-11-20T12:00:00Z", "to": [PUBLIC], "cc": [scene.alice.actor],
        "purpose": "offer", "unitBased": false, "mo:kind": "mo:Declaration", "mo:declarationType": "offer", "mo:status": "open",
        "mo:skills": ["baking"], "mo:version": 3,
        "publishes": { "type": "Intent", "id": format!("{place}#primary"), "action": "transfer", "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "1" } },
    });
    let create = carol.activity(
        "Create",
        json!({ "to": [PUBLIC], "cc": [scene.alice.actor], "object": note }),
    );
    assert_eq!(scene.tells(carol, &create).await, "done");
    let row = scene
        .alice
        .person
        .reads(
            &hub.hub,
            &format!("/rest/v1/declarations?federated_ap_id=eq.{place}"),
        )
        .await;
    assert_eq!(
        (&row[0]["title"], &row[0]["exchange_type"]),
        (&json!("Bread"), &json!("gift"))
    );
    assert_eq!(row[0]["skills"], json!(["baking"]));

    // S-26: nobody else changes it, and it is read only here.
    let stored = format!("select d::text from declarations d where federated_ap_id = '{place}'");
    let bytes = hub.text(&stored).await;
    for who in [mallory, carol] {
        let mut other = note.clone();
        other["name"] = json!("Stones");
        other["attributedTo"] = json!(mallory.id);
        let update = who.activity("Update", json!({ "to": [PUBLIC], "object": other }));
        scene.tells(who, &update).await;
        let mut older = note.clone();
        (older["name"], older["mo:version"]) = (json!("Old bread"), json!(2));
        let update = carol.activity("Update", json!({ "to": [PUBLIC], "object": older }));
        assert_eq!(scene.tells(carol, &update).await, "ignored older");
    }
    assert_eq!(hub.text(&stored).await, bytes);
    let patch = scene
        .alice
        .person
        .ask(
            &hub.hub,
            reqwest::Method::PATCH,
            &format!("/rest/v1/declarations?federated_ap_id=eq.{place}"),
        )
        .json(&json!({ "title": "Mine" }))
        .send()
        .await
        .unwrap();
    drop(patch);
    assert_eq!(hub.text(&stored).await, bytes, "a remote row is read only");

    let made = hub
        .rpc(
            &scene.alice.person,
            "exchanges_propose",
            json!({ "declaration": place, "terms": "Today?" }),
        )
        .await;
    let his = id(&made);
    let offer = carol.peer.wait("Offer", 1).await.remove(0).json;
    assert_eq!(offer["to"], json!([carol.id]), "to the other party only");
    assert_eq!(offer["object"]["mo:terms"], "Today?");
    let agreement = |who: &Actor, change: &dyn Fn(&mut Value)| {
        let uri = format!("{}/agreements/{}", who.peer.origin(), uuid::Uuid::now_v7());
        let mut it = json!({
            "@context": "https://www.w3.org/ns/activitystreams", "type": "Agreement", "id": uri, "attributedTo": who.id,
            "published": chrono::Utc::now().to_rfc3339(), "to": [scene.alice.actor], "mo:offer": place, "mo:offerActivity": offer["id"],
            "mo:version": 1, "mo:status": "accepted",
            "stipulates": { "id": format!("{uri}#primary"), "type": "Commitment", "satisfies": format!("{place}#primary"),
                "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "1" }, "provider": carol.id, "receiver": scene.alice.actor },
        });
        change(&mut it);
        it
    };
    let accepts = |who: &Actor, result: Value| {
        who.activity(
            "Accept",
            json!({ "to": [scene.alice.actor], "object": offer["id"], "result": result }),
        )
    };
    let same = |_: &mut Value| {};
    let accept = accepts(mallory, mallory.proved(&agreement(mallory, &same)));
    assert_eq!(scene.tells(mallory, &accept).await, "refused not_addressee");
    for result in [
        agreement(carol, &same),
        mallory.proved(&agreement(carol, &same)),
        carol.proved(&agreement(mallory, &same)),
        carol.proved(&agreement(carol, &|it| {
            it["stipulates"]["resourceQuantity"]["hasNumericalValue"] = json!("2")
        })),
        carol.proved(&agreement(carol, &|it| {
            it["stipulates"]["receiver"] = json!(mallory.id)
        })),
        carol.proved(&agreement(carol, &|it| {
            it["mo:offerActivity"] = json!("https://elsewhere.example/1")
        })),
        carol.proved(&agreement(carol, &|it| {
            it["mo:need"] = json!("https://elsewhere.example/1")
        })),
    ] {
        let accept = accepts(carol, result);
        assert_eq!(scene.tells(carol, &accept).await, "done");
        assert_eq!(scene.reason(carol, &accept).await, "forged", "{accept}");
    }
    stands(hub, &his, "proposed").await;
    let right = carol.proved(&agreement(carol, &same));
    assert_eq!(
        scene.tells(carol, &accepts(carol, right.clone())).await,
        "done"
    );
    stands(hub, &his, "accepted").await;
    assert_eq!(scene.tells(carol, &accepts(carol, right)).await, "repeated");
    let second = accepts(carol, carol.proved(&agreement(carol, &same)));
    scene.tells(carol, &second).await;
    assert_eq!(scene.reason(carol, &second).await, "already_accepted");
    stands(hub, &his, "accepted").await;
}
