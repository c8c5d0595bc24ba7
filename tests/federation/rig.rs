//! The peers among themselves: what one signs, another one of another make verifies. Only so does a refusal by the hub
//! mean something.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fedify::{Fedify, Hostile};
use crate::support::hubs::Hub;
use crate::support::peer::{Answer, PUBLIC, Peers, Scheme, Told, client, proved_by};

#[tokio::test]
async fn fedify_takes_what_a_scripted_peer_signs_by_each_scheme() {
    let (peers, fedify) = (Peers::start(&["localhost"]), Fedify::start());
    let ann = peers.peer("localhost").person("ann");
    let inbox = format!("{}/inbox", fedify.actor("fay"));

    for scheme in [Scheme::Cavage, Scheme::Rfc9421, Scheme::Nothing] {
        let create = ann.create(&ann.note("<p>hello</p>", &[PUBLIC], json!({})));
        let told = ann.send_by(scheme, &inbox, create.to_string()).await;
        let expected = if scheme == Scheme::Nothing { 401 } else { 202 };
        assert_eq!(told.status, expected, "{scheme:?}: {told:?}");
    }
    let create = ann.create(&ann.note("<p>hello</p>", &[PUBLIC], json!({})));
    let told = ann
        .send_by(Scheme::Nothing, &inbox, ann.proved(&create).to_string())
        .await;
    assert_eq!(told.status, 202, "{told:?}");
}

#[tokio::test]
async fn a_scripted_peer_verifies_what_fedify_signs() {
    let (peers, fedify) = (Peers::start(&["localhost"]), Fedify::start());
    let peer = peers.peer("localhost");
    let ann = peer.person("ann");
    let fay: serde_json::Value = client()
        .get(fedify.actor("fay"))
        .header("Accept", crate::support::peer::ACTIVITY)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let key = &fay["publicKey"];
    let (key, pem) = (
        key["id"].as_str().unwrap(),
        key["publicKeyPem"].as_str().unwrap(),
    );

    for (scheme, expected) in [("cavage", Scheme::Cavage), ("rfc9421", Scheme::Rfc9421)] {
        peer.forget();
        let note = json!({ "content": "<p>hello</p>", "to": [ann.id], "scheme": scheme });
        fedify.sends("create", note).await;
        let got = peer.wait("Create", 1).await.remove(0);
        assert_eq!(got.scheme(), Some(expected));
        assert_eq!(got.signed_by(key, pem), Ok(()));
        let other = crate::support::peer::Keys::fresh().pem();
        assert!(got.signed_by(key, &other).is_err());
    }

    peer.forget();
    let note = json!({ "content": "<p>hello</p>", "to": [ann.id], "scheme": "proof" });
    fedify.sends("create", note).await;
    let got = peer.wait("Create", 1).await.remove(0);
    assert!(got.signed_by(key, pem).is_err());
    let keys = fay["assertionMethod"].as_array().unwrap();
    let multikey = keys[1]["publicKeyMultibase"].as_str().unwrap();
    assert!(proved_by(&got.json, multikey));
    let mut changed = got.json.clone();
    changed["actor"] = json!(ann.id);
    assert!(!proved_by(&changed, multikey));
}

#[tokio::test]
async fn fedify_takes_what_apsig_signs_and_refuses_what_is_spoiled() {
    let (fedify, mut hostile) = (Fedify::start(), Hostile::start());
    let me = hostile.does("person", json!({ "name": "mallory" }));
    let inbox = format!("{}/inbox", fedify.actor("fay"));
    let create = json!({ "type": "Create", "to": [fedify.actor("fay")], "object": { "type": "Note", "id": format!("{}/n1", me["id"].as_str().unwrap()), "attributedTo": me["id"], "content": "x" } });
    let mut send = |more: serde_json::Value| {
        let mut command = json!({ "as": "mallory", "inbox": inbox, "activity": create });
        command
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        hostile.does("send", command)["status"].as_u64().unwrap()
    };

    assert_eq!(send(json!({ "sign": "cavage" })), 202);
    assert_eq!(send(json!({ "sign": "rfc9421" })), 202);
    assert_eq!(send(json!({ "sign": "none", "proof": true })), 202);
    assert_eq!(send(json!({ "sign": "none" })), 401);
    for wrong in [
        "body",
        "no_digest",
        "other_path",
        "old",
        "other_key",
        "sha512",
    ] {
        let status = send(json!({ "sign": "cavage", "wrong": [wrong] }));
        assert_eq!(status, 401, "{wrong}");
    }
    for wrong in ["proof_changed", "proof_key", "proof_suite"] {
        let status = send(json!({ "sign": "none", "proof": true, "wrong": [wrong] }));
        assert_eq!(status, 401, "{wrong}");
    }
}

#[tokio::test]
async fn fifty_peers_answer_by_their_plans() {
    let peers = Peers::many(50);
    for (n, peer) in peers.all().iter().enumerate() {
        peer.plan([
            Answer::status(503),
            Answer::status(429).header("Retry-After", "7"),
            Answer::status(202).text(format!("number {n}")),
        ]);
    }
    for (n, peer) in peers.all().iter().enumerate() {
        let mut said = Vec::new();
        for _ in 0..4 {
            let answer = client()
                .post(format!("{}/inbox", peer.origin()))
                .body("{}")
                .send()
                .await
                .unwrap();
            said.push(Told::of(answer).await);
        }
        let statuses: Vec<u16> = said.iter().map(|told| told.status).collect();
        assert_eq!(statuses, [503, 429, 202, 202]);
        assert_eq!(said[1].header("retry-after"), Some("7"));
        assert_eq!(said[3].body, format!("number {n}"));
        assert_eq!(peer.posts().len(), 4);
    }

    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    assert_eq!(ann.get(&ann.id).await.json(), ann.document);
    let url = peer.serve_as(
        "/slow",
        Answer::status(200).after(Duration::from_millis(300)),
    );
    let start = Instant::now();
    assert_eq!(ann.get(&url).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
    let url = peer.serve_as("/away", Answer::redirect("/users/ann"));
    assert_eq!(ann.get(&url).await.header("location"), Some("/users/ann"));
    let url = peer.serve_as("/huge", Answer::status(200).huge(3 << 20));
    assert!(ann.get(&url).await.body.len() > 3 << 20);
    let url = peer.serve_as("/cut", Answer::status(200).cut());
    let cut = client().get(&url).send().await.unwrap();
    assert!(cut.text().await.is_err());
    for (path, answer) in [
        ("/drip", Answer::status(200).drip(Duration::from_millis(50))),
        ("/never", Answer::never()),
    ] {
        let url = peer.serve_as(path, answer);
        let whole = async { Told::of(client().get(&url).send().await.unwrap()).await };
        let waited = tokio::time::timeout(Duration::from_millis(500), whole).await;
        assert!(waited.is_err(), "{path}");
    }
}

#[tokio::test]
async fn a_hub_keeps_its_address_when_it_is_killed_frozen_and_cut_off() {
    let mut hubs = Hub::start_all(&["a", "b"]).await;
    assert_ne!(hubs[0].host, hubs[1].host);
    let hub = &mut hubs[0];
    let alive = async |hub: &Hub| {
        let request = client()
            .get(format!("{}/livez", hub.public))
            .timeout(Duration::from_secs(1))
            .send();
        request.await.is_ok_and(|answer| answer.status() == 200)
    };
    assert!(alive(hub).await);
    hub.cut_off();
    assert!(!alive(hub).await);
    assert_eq!(hub.hub.get("/livez").await.status(), 200);
    hub.reconnect();
    assert!(alive(hub).await);
    hub.hub.signal("STOP");
    assert!(!alive(hub).await);
    hub.hub.signal("CONT");
    assert!(alive(hub).await);
    let before = hub.public.clone();
    hub.kill();
    assert!(!alive(hub).await);
    hub.restart();
    assert!(alive(hub).await);
    assert_eq!(hub.public, before);
}
