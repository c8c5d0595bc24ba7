//! Listings in the shapes of other makes, posted by a peer with signatures of its own: they become rows, are answered in words
//! that their servers understand, and nobody but their authors changes them or shows them to more people.

use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, PUBLIC, Peers, Scheme};

/// A hub with somebody who follows the first person of a peer.
async fn market(peers: &Peers, name: &str) -> (Hub, Member, Actor) {
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let alice = hub.member("alice").await;
    let who = peers.peer("p1.peer.test").person(name);
    follows(&hub, &alice, &who).await;
    (hub, alice, who)
}

async fn follows(hub: &Hub, who: &Member, whom: &Actor) {
    let asked = json!({ "actor": whom.id });
    hub.rpc(&who.person, "follows_request", asked).await;
    let follow = whom.peer.wait("Follow", 1).await.remove(0).json;
    let accept = whom.activity("Accept", json!({ "object": follow, "to": [who.actor] }));
    assert_eq!(whom.send(&hub.shared_inbox(), &accept).await.status, 202);
    let query = "select count(*) from follows where direction = 'out' and state = 'accepted'";
    hub.counts(query, 1).await;
}

/// Post something and wait until the hub is done with it; what came of it.
async fn said(hub: &Hub, from: &Actor, scheme: Scheme, activity: &Value) -> String {
    let told = from
        .send_by(scheme, &hub.shared_inbox(), activity.to_string())
        .await;
    // A copy of what is known already, and what is nobody's business here, is answered like anything else.
    assert_eq!(told.status, 202, "{}", told.body);
    let id = activity["id"].as_str().unwrap();
    let waiting =
        format!("select count(*) from ap_received where uri = '{id}' and state = 'waiting'");
    hub.counts(&waiting, 0).await;
    let state =
        format!("select state || coalesce(': ' || reason, '') from ap_received where uri = '{id}'");
    hub.text(&state).await.unwrap_or_default()
}

async fn row(hub: &Hub, uri: &str) -> Value {
    let query = format!("select to_jsonb(l)::text from listings l where federated_ap_id = '{uri}'");
    let row = hub
        .until(&format!("{uri} is there"), async || hub.text(&query).await)
        .await;
    serde_json::from_str(&row).unwrap()
}

fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What Mitra says and expects: PEERS.md 1.2.
#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_of_mitra_is_subscribed_to() {
    let peers = Peers::start(&["p1.peer.test"]);
    let (hub, alice, petra) = market(&peers, "petra").await;
    let uri = format!("{}/proposals/monero:1", petra.id);
    let context = json!([
        "https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1", "https://w3id.org/security/data-integrity/v1",
        { "vf": "https://w3id.org/valueflows/", "Proposal": "vf:Proposal", "Intent": "vf:Intent", "purpose": "vf:purpose",
          "publishes": "vf:publishes", "reciprocal": "vf:reciprocal", "unitBased": "vf:unitBased", "action": "vf:action",
          "resourceConformsTo": { "@id": "vf:resourceConformsTo", "@type": "@id" }, "resourceQuantity": "vf:resourceQuantity",
          "hasUnit": "vf:hasUnit", "hasNumericalValue": "vf:hasNumericalValue", "Agreement": "vf:Agreement", "Commitment": "vf:Commitment",
          "stipulates": "vf:stipulates", "stipulatesReciprocal": "vf:stipulatesReciprocal",
          "satisfies": { "@id": "vf:satisfies", "@type": "@id" } }
    ]);
    let proposal = json!({
        "type": "Proposal", "id": uri, "attributedTo": petra.id, "name": "Pay for a month", "purpose": "offer",
        "publishes": { "type": "Intent", "id": format!("{uri}#primary"), "action": "deliverService",
            "resourceConformsTo": "https://www.wikidata.org/wiki/Q29485", "resourceQuantity": { "hasUnit": "second" },
            "provider": petra.id },
        "reciprocal": { "type": "Intent", "id": format!("{uri}#reciprocal"), "action": "transfer",
            "resourceConformsTo": "https://www.wikidata.org/wiki/Q22661306",
            "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "20000" }, "receiver": petra.id },
        "unitBased": true, "to": PUBLIC, "published": now(),
    });
    let create = petra.activity(
        "Create",
        json!({ "@context": context, "object": proposal, "to": PUBLIC }),
    );
    let came = said(&hub, &petra, Scheme::Rfc9421, &petra.proved(&create)).await;
    let listing = row(&hub, &uri).await;
    assert_eq!(listing["title"], "Pay for a month", "{came}");
    assert_eq!(
        (&listing["listing_type"], &listing["price_amount"]),
        (&json!("service"), &json!(20000.0))
    );

    // It is answered as its strict reader wants it: one address, the same unit, numbers as texts.
    let asked = json!({ "listing": uri, "quantity": "2592000" });
    let made = hub.rpc(&alice.person, "exchanges_propose", asked).await;
    let offer = petra.peer.wait("Offer", 1).await.remove(0).json;
    assert_eq!(offer["id"], made["offer"]);
    assert_eq!(
        (&offer["actor"], &offer["object"]["type"]),
        (&json!(alice.actor), &json!("Agreement"))
    );
    for (part, intent, unit) in [
        ("stipulates", "primary", "second"),
        ("stipulatesReciprocal", "reciprocal", "one"),
    ] {
        let commitment = &offer["object"][part];
        assert_eq!(commitment["type"], "Commitment", "{offer}");
        assert_eq!(
            commitment["satisfies"],
            format!("{uri}#{intent}"),
            "{offer}"
        );
        assert_eq!(commitment["resourceQuantity"]["hasUnit"], unit, "{offer}");
        let value = commitment["resourceQuantity"]["hasNumericalValue"].as_str();
        assert!(
            value.is_some_and(|value| value.parse::<f64>().is_ok()),
            "{offer}"
        );
    }
    assert_eq!(
        offer["object"]["stipulates"]["resourceQuantity"]["hasNumericalValue"],
        "2592000"
    );

    // It is accepted, and then it is paid.
    let agreement = format!("{}/objects/agreements/1", petra.peer.origin());
    let mut agreed = json!({
        "type": "Agreement", "id": agreement, "attributedTo": petra.id,
        "stipulates": offer["object"]["stipulates"], "stipulatesReciprocal": offer["object"]["stipulatesReciprocal"],
        "url": { "type": "Link", "href": "monero:1", "rel": "payment" }, "preview": { "type": "Note", "name": "Open" },
    });
    agreed["stipulates"]["id"] = json!(format!("{agreement}#primary"));
    agreed["stipulatesReciprocal"]["id"] = json!(format!("{agreement}#reciprocal"));
    let accept = petra.activity(
        "Accept",
        json!({ "@context": context, "object": offer["id"], "result": agreed, "to": alice.actor }),
    );
    let came = said(&hub, &petra, Scheme::Rfc9421, &petra.proved(&accept)).await;
    let id = made["id"].as_str().unwrap();
    let stands =
        format!("select status || coalesce(': ' || progress, '') from exchanges where id = '{id}'");
    // An agreement that does not stand by itself could be shown to nobody later: it binds nobody, and petra is told.
    assert_eq!(
        hub.text(&stands).await.as_deref(),
        Some("proposed"),
        "{came}"
    );
    let told = petra.peer.wait("Reject", 1).await.remove(0).json;
    assert_eq!(
        (&told["object"], &told["mo:reason"]),
        (&accept["id"], &json!("forged")),
        "{told}"
    );

    // One that says between whom it is, of which offer, and is signed, does; and then it is paid.
    let words = json!({
        "@context": made_open::fed::vocab::context(), "published": now(), "to": alice.actor, "mo:offerActivity": offer["id"],
        "mo:offer": offer["object"]["mo:offer"], "mo:version": 1,
    });
    agreed
        .as_object_mut()
        .unwrap()
        .extend(words.as_object().unwrap().clone());
    for (part, provider, receiver) in [
        ("stipulates", &petra.id, &alice.actor),
        ("stipulatesReciprocal", &alice.actor, &petra.id),
    ] {
        agreed[part]["provider"] = json!(provider);
        agreed[part]["receiver"] = json!(receiver);
    }
    let result = petra.proved(&agreed);
    let accept = petra.activity(
        "Accept",
        json!({ "@context": made_open::fed::vocab::context(), "object": offer["id"], "result": result, "to": alice.actor }),
    );
    let came = said(&hub, &petra, Scheme::Rfc9421, &petra.proved(&accept)).await;
    assert_eq!(
        hub.text(&stands).await.as_deref(),
        Some("accepted"),
        "{came}"
    );
    agreed["preview"]["name"] = json!("Paid");
    agreed["mo:version"] = json!(2);
    let update = petra.activity(
        "Update",
        json!({ "@context": made_open::fed::vocab::context(), "object": petra.proved(&agreed), "to": alice.actor }),
    );
    let came = said(&hub, &petra, Scheme::Rfc9421, &petra.proved(&update)).await;
    assert_eq!(
        hub.text(&stands).await.as_deref(),
        Some("accepted: Paid"),
        "{came}"
    );
}

/// What Flohmarkt says and expects: a note with its own data, and an answer that goes to one alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_flohmarkt_is_asked_for() {
    let peers = Peers::start(&["p1.peer.test"]);
    let (hub, alice, flo) = market(&peers, "flo").await;
    let uri = format!("{}/items/ab12", flo.id);
    let item = json!({
        "id": uri, "type": "Note", "attributedTo": flo.id, "summary": null, "inReplyTo": null, "published": now(),
        "url": format!("{}/~flo/ab12", flo.peer.origin()), "to": [PUBLIC], "cc": [format!("{}/followers", flo.id)], "sensitive": false,
        "content": "Old lamp <br> Works, <b>needs</b> a bulb <script>alert(1)</script>",
        "attachment": [{ "type": "Document", "mediaType": "image/jpeg", "url": format!("{}/images/ab12.jpg", flo.peer.origin()), "name": "" }],
        "tag": [{ "type": "Hashtag", "href": format!("{}/tags/lamp", flo.peer.origin()), "name": "#lamp" }], "replies": {},
        "flohmarkt:data": { "price": "10 € or a cake", "name": "Old lamp", "description": "Works, needs a bulb", "original_id": "ab12",
            "coordinates": { "lat": 52.52, "lng": 13.405 } },
    });
    let create = flo.activity(
        "Create",
        json!({ "object": item, "to": [PUBLIC], "cc": [format!("{}/followers", flo.id)] }),
    );
    let came = said(&hub, &flo, Scheme::Cavage, &create).await;
    let listing = row(&hub, &uri).await;
    assert_eq!(listing["title"], "Old lamp", "{came}");
    assert_eq!(
        (&listing["price_amount"], &listing["price_currency"]),
        (&json!(10.0), &json!("EUR"))
    );
    assert_eq!(
        listing["photos"][0]["url"],
        format!("{}/images/ab12.jpg", flo.peer.origin())
    );
    assert_eq!(listing["tags"], json!(["lamp"]));
    assert!(
        !listing
            .to_string()
            .replace(&listing["raw"].to_string(), "")
            .contains("<script")
    );

    // It knows no offers, so that none is sent; who wants it writes to its seller.
    let (status, why) = hub
        .tries(
            &alice.person,
            "exchanges_propose",
            json!({ "listing": uri }),
        )
        .await;
    assert!(
        (400..500).contains(&status) && why["message"].is_string(),
        "{status} {why}"
    );
    let asked = json!({ "content": "Is it still there?", "visibility": "direct", "recipients": [flo.id], "in_reply_to": uri });
    hub.posts(&alice, asked).await;
    let question = flo.peer.wait("Create", 1).await.remove(0).json;
    assert_eq!(question["object"]["inReplyTo"], uri);
    assert_eq!(
        (&question["to"], &question["object"]["to"]),
        (&json!([flo.id]), &json!([flo.id]))
    );
    assert!(
        question["object"]["cc"]
            .as_array()
            .is_none_or(Vec::is_empty),
        "{question}"
    );
    let answer = flo.note(
        "<p>Yes, come over</p>",
        &[&alice.actor],
        json!({ "inReplyTo": question["object"]["id"], "tag": [{ "type": "Mention", "href": alice.actor, "name": alice.handle }] }),
    );
    said(&hub, &flo, Scheme::Cavage, &flo.create(&answer)).await;
    let heard = format!(
        "select count(*) from messages where owner_id = '{}' and body like '%come over%'",
        alice.person.id
    );
    hub.counts(&heard, 1).await;

    // Sold there is gone.
    let gone = flo.activity(
        "Delete",
        json!({ "object": { "type": "Tombstone", "id": uri }, "to": [PUBLIC] }),
    );
    said(&hub, &flo, Scheme::Cavage, &gone).await;
    hub.counts(
        &format!("select count(*) from listings where federated_ap_id = '{uri}'"),
        0,
    )
    .await;
}

/// What Bonfire says: words with a prefix, numbers that are none, agents inside.
#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_of_bonfire_is_asked_for() {
    let peers = Peers::start(&["p1.peer.test"]);
    let (hub, alice, bonny) = market(&peers, "bonny").await;
    let uri = format!("{}/pub/objects/4", bonny.peer.origin());
    let proposal = json!({
        "id": uri, "type": "ValueFlows:Proposal", "attributedTo": bonny.id, "name": "Bread for work", "summary": "A loaf for an hour",
        "unitBased": true, "published": now(), "to": [PUBLIC],
        "publishes": [{ "type": "ValueFlows:Intent", "action": "https://w3id.org/valueflows#transfer",
            "availableQuantity": { "type": "om2:Measure", "om2:hasUnit": "one", "om2:hasNumericalValue": 4.5 },
            "provider": { "id": bonny.id, "type": "Person" } }],
    });
    let create = bonny.activity("Create", json!({ "object": proposal, "to": [PUBLIC] }));
    let came = said(&hub, &bonny, Scheme::Rfc9421, &create).await;
    let listing = row(&hub, &uri).await;
    assert_eq!(
        (
            &listing["title"],
            &listing["status"],
            &listing["visibility"]
        ),
        (&json!("Bread for work"), &json!("active"), &json!("public")),
        "{came}"
    );
    assert_eq!(listing["description"], "A loaf for an hour");
    let asked = json!({ "content": "An hour on Monday?", "visibility": "direct", "recipients": [bonny.id], "in_reply_to": uri });
    hub.posts(&alice, asked).await;
    let question = bonny.peer.wait("Create", 1).await.remove(0).json;
    assert_eq!(
        (&question["object"]["inReplyTo"], &question["to"]),
        (&json!(uri), &json!([bonny.id]))
    );

    // Whatever else is in it: no row, or one that can be shown; never trouble.
    for (n, (name, value)) in [
        ("publishes", json!([])),
        ("publishes", json!("https://elsewhere.example/1")),
        ("publishes", json!([{ "type": "ValueFlows:Intent", "availableQuantity": { "om2:hasNumericalValue": 1e300 } }])),
        ("publishes", json!([{ "type": "ValueFlows:Intent", "resourceQuantity": { "hasNumericalValue": -1 } }])),
        ("name", json!(["a", "b"])),
        ("to", json!([])),
        ("published", json!("soon")),
        ("attributedTo", json!([bonny.id, "https://elsewhere.example/2"])),
    ]
    .into_iter()
    .enumerate()
    {
        let mut odd = proposal.clone();
        odd["id"] = json!(format!("{}/pub/objects/odd{n}", bonny.peer.origin()));
        odd[name] = value;
        let create = bonny.activity("Create", json!({ "object": odd, "to": [PUBLIC] }));
        let came = said(&hub, &bonny, Scheme::Rfc9421, &create).await;
        assert!(!came.starts_with("dead"), "{name}: {came}");
    }
    let shown = alice.person.reads(&hub.hub, "/rest/v1/listings").await;
    assert!(!shown.as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn s_26_nobody_else_changes_or_deletes_a_listing() {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
    let (hub, alice, petra) = market(&peers, "petra").await;
    let neighbour = petra.peer.person("neighbour");
    let mallory = peers.peer("p2.peer.test").person("mallory");
    let note = petra.note("<p>A kite</p>", &[PUBLIC], kite());
    let uri = note["id"].as_str().unwrap().to_owned();
    said(&hub, &petra, Scheme::Cavage, &petra.create(&note)).await;
    let theirs = row(&hub, &uri).await;
    let own = json!({ "listing_type": "physical", "title": "A lamp", "status": "active", "price_type": "free" });
    let own = alice.person.adds(&hub.hub, "listings", own).await;
    let own_uri = own["federated_ap_id"].as_str().unwrap().to_owned();
    let ours = row(&hub, &own_uri).await;

    for (from, what) in [(&mallory, "elsewhere"), (&neighbour, "next door")] {
        for (uri, before) in [(&uri, &theirs), (&own_uri, &ours)] {
            let mut forged = note.clone();
            forged["id"] = json!(uri);
            forged["name"] = json!("Pay to mallory");
            forged["mo:version"] = json!(9_000_000_000_000_i64);
            let mut as_his = forged.clone();
            as_his["attributedTo"] = json!(from.id);
            let mut as_proposal = as_his.clone();
            as_proposal["type"] = json!("Proposal");
            let stone = json!({ "type": "Tombstone", "id": uri });
            for (kind, object) in [
                ("Update", &forged),
                ("Update", &as_his),
                ("Update", &as_proposal),
                ("Create", &forged),
                ("Create", &as_his),
                ("Delete", &stone),
                ("Delete", &json!(uri)),
            ] {
                let activity = from.activity(kind, json!({ "object": object, "to": [PUBLIC] }));
                for activity in [from.proved(&activity), activity.clone()] {
                    let told = from.send(&hub.shared_inbox(), &activity).await;
                    assert!(
                        told.status < 500,
                        "{what} {kind}: {} {}",
                        told.status,
                        told.body
                    );
                    let id = activity["id"].as_str().unwrap();
                    let waits = format!(
                        "select count(*) from ap_received where uri = '{id}' and state = 'waiting'"
                    );
                    hub.counts(&waits, 0).await;
                    assert_eq!(
                        row(&hub, uri).await,
                        *before,
                        "{what} {kind}: {}",
                        told.body
                    );
                }
            }
        }
    }
    assert_eq!(hub.count("select count(*) from listings").await, 2);
    // The author himself does change it.
    let mut changed = note.clone();
    changed["name"] = json!("A red kite");
    changed["updated"] = json!(later());
    let update = petra.activity("Update", json!({ "object": changed, "to": [PUBLIC] }));
    let came = said(&hub, &petra, Scheme::Cavage, &update).await;
    assert_eq!(row(&hub, &uri).await["title"], "A red kite", "{came}");
}

fn kite() -> Value {
    json!({
        "name": "A kite", "purpose": "offer", "unitBased": false, "mo:kind": "mo:Listing", "mo:status": "active",
        "publishes": { "type": "Intent", "action": "transfer", "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": "1" } },
    })
}

fn later() -> String {
    (chrono::Utc::now() + chrono::TimeDelta::seconds(60))
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn s_41_nobody_else_shows_a_listing_to_more_people() {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
    let (hub, alice, petra) = market(&peers, "petra").await;
    let carol = hub.member("carol").await;
    let mallory = peers.peer("p2.peer.test").person("mallory");
    let followers = format!("{}/followers", petra.id);
    let note = petra.note("<p>A kite</p>", &[&followers], kite());
    let uri = note["id"].as_str().unwrap().to_owned();
    said(&hub, &petra, Scheme::Cavage, &petra.create(&note)).await;
    let before = row(&hub, &uri).await;
    assert_eq!(before["visibility"], "followers");
    let reads = async |who: &Member| {
        let path = format!("/rest/v1/listings?federated_ap_id=eq.{uri}");
        who.person
            .reads(&hub.hub, &path)
            .await
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((reads(&alice).await, reads(&carol).await), (1, 0));

    // Its own server shows it to whoever asks, for this test: the hub could not tell by that.
    let place = uri.strip_prefix(&petra.peer.origin()).unwrap().to_owned();
    let mut alone = note.clone();
    alone["@context"] = json!("https://www.w3.org/ns/activitystreams");
    petra.peer.serve(&place, &alone);
    let mut wider = note.clone();
    wider["to"] = json!([PUBLIC, carol.actor]);
    let mut his = wider.clone();
    his["attributedTo"] = json!(mallory.id);
    for (kind, object) in [
        ("Create", wider.clone()),
        ("Update", wider.clone()),
        ("Create", his.clone()),
        ("Update", his),
        ("Announce", json!(uri)),
        ("Announce", wider.clone()),
        ("Create", json!(uri)),
    ] {
        let activity = mallory.activity(
            kind,
            json!({ "object": object, "to": [PUBLIC, carol.actor], "cc": [alice.actor] }),
        );
        for activity in [mallory.proved(&activity), activity.clone()] {
            for inbox in [hub.shared_inbox(), format!("{}/inbox", carol.actor)] {
                let told = mallory.send(&inbox, &activity).await;
                assert!(told.status < 500, "{kind}: {} {}", told.status, told.body);
                let id = activity["id"].as_str().unwrap();
                let waits = format!(
                    "select count(*) from ap_received where uri = '{id}' and state = 'waiting'"
                );
                hub.counts(&waits, 0).await;
                let after = row(&hub, &uri).await;
                assert_eq!(after["visibility"], "followers", "{kind}");
                assert_eq!(
                    (after["title"].clone(), after["version"].clone()),
                    (before["title"].clone(), before["version"].clone())
                );
                assert_eq!(reads(&carol).await, 0, "{kind} {object}");
            }
        }
    }
    // Its owner may.
    let mut open = note.clone();
    open["to"] = json!([PUBLIC]);
    open["updated"] = json!(later());
    let update = petra.activity("Update", json!({ "object": open, "to": [PUBLIC] }));
    let came = said(&hub, &petra, Scheme::Cavage, &update).await;
    assert_eq!(row(&hub, &uri).await["visibility"], "public", "{came}");
    assert_eq!(reads(&carol).await, 1);

    // Of this hub's own it is the same: followers and nobody else.
    let lamp = json!({ "listing_type": "physical", "title": "A lamp", "status": "active", "visibility": "followers", "price_type": "free" });
    let lamp = alice.person.adds(&hub.hub, "listings", lamp).await;
    let path = format!("/rest/v1/listings?id=eq.{}", lamp["id"].as_str().unwrap());
    assert_eq!(carol.person.reads(&hub.hub, &path).await, json!([]));
    hub.follows(&carol, &alice.handle).await;
    assert_eq!(
        carol.person.reads(&hub.hub, &path).await[0]["title"],
        "A lamp"
    );
}
