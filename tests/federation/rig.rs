//! The peers among themselves: what one signs, another one of another make verifies. Only so does a refusal by the hub
//! mean something.

use serde_json::json;

use crate::support::fedify::{Fedify, Hostile};
use crate::support::peer::{PUBLIC, Peers, Scheme, proved_by};

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
    let fay: serde_json::Value = crate::support::peer::client()
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
