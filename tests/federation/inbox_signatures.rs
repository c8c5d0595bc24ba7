//! Who signs what comes in: forged, replayed, stale and odd signatures are refused and leave nothing behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::inbox::{ended, rig, state};
use crate::support::hubs::Hub;
use crate::support::peer::{ACTIVITY, Actor, Keys, PUBLIC, Scheme, Told, client, sha256};

/// A request put together by hand.
pub struct Letter<'a> {
    pub from: &'a Actor,
    pub key_id: String,
    pub body: String,
    /// What the signature says of the request.
    pub target: String,
    pub host: String,
    pub date: String,
    pub covered: &'static str,
    pub algorithm: &'static str,
    pub digest: String,
    pub headers: Vec<(&'static str, String)>,
}

impl<'a> Letter<'a> {
    pub fn new(hub: &Hub, from: &'a Actor, activity: &Value) -> Self {
        let body = activity.to_string();
        Self {
            from,
            key_id: from.key_id.clone(),
            target: "post /ap/inbox".to_owned(),
            host: hub.host.clone(),
            date: http_date(TimeDelta::zero()),
            covered: "(request-target) host date digest",
            algorithm: "rsa-sha256",
            digest: format!("SHA-256={}", BASE64.encode(sha256(body.as_bytes()))),
            body,
            headers: Vec::new(),
        }
    }

    pub fn signature(&self) -> String {
        let lines: Vec<String> = self
            .covered
            .split(' ')
            .map(|name| match name {
                "(request-target)" => format!("(request-target): {}", self.target),
                "host" => format!("host: {}", self.host),
                "date" => format!("date: {}", self.date),
                "digest" => format!("digest: {}", self.digest),
                other => panic!("{other}"),
            })
            .collect();
        let signed = self.from.keys.sign(&lines.join("\n"));
        format!(
            "keyId=\"{}\",algorithm=\"{}\",headers=\"{}\",signature=\"{signed}\"",
            self.key_id, self.algorithm, self.covered
        )
    }

    pub async fn send(&self, hub: &Hub) -> Told {
        self.send_to(&hub.shared_inbox()).await
    }

    pub async fn send_to(&self, inbox: &str) -> Told {
        let mut request = client()
            .post(inbox)
            .header("Date", &self.date)
            .header("Signature", self.signature())
            .body(self.body.clone());
        if !self.digest.is_empty() {
            request = request.header("Digest", &self.digest);
        }
        if !self.headers.iter().any(|(name, _)| *name == "Content-Type") {
            request = request.header("Content-Type", ACTIVITY);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Told::of(request.send().await.unwrap()).await
    }
}

fn http_date(ahead: TimeDelta) -> String {
    (Utc::now() + ahead)
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

fn refused(told: &Told, status: u16, reason: &str) {
    assert_eq!(told.status, status, "{reason}: {told:?}");
    assert_eq!(told.json()["code"], reason, "{told:?}");
    assert_eq!(
        told.header("content-type"),
        Some("application/problem+json")
    );
    if status == 401 {
        assert!(told.header("accept-signature").is_some(), "{told:?}");
    }
}

#[tokio::test]
async fn s_01_to_s_07_r_23_what_is_not_signed_as_it_must_be_leaves_no_row() {
    let (hub, bob, _peers, ann) = rig(&[]).await;
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    let letter = || Letter::new(&hub, &ann, &follow);

    // S-01: another body than the signed one.
    let mut changed = letter();
    changed.body = changed.body.replace("Follow", "Folloz");
    refused(&changed.send(&hub).await, 401, "digest_mismatch");

    // S-02: no digest, or one that is not signed.
    let mut without = letter();
    (without.digest, without.covered) = (String::new(), "(request-target) host date");
    refused(&without.send(&hub).await, 401, "digest_unsigned");
    let mut unsigned = letter();
    unsigned.covered = "(request-target) host date";
    refused(&unsigned.send(&hub).await, 401, "digest_unsigned");

    // S-03: not everything is covered.
    for covered in [
        "digest",
        "(request-target) digest date",
        "host date digest",
        "(request-target) host digest",
    ] {
        let mut less = letter();
        less.covered = covered;
        refused(&less.send(&hub).await, 401, "signature_coverage");
    }

    // S-04: twice.
    for (name, value) in [
        ("Digest", "SHA-256=AAAA".to_owned()),
        ("Signature", letter().signature()),
        ("Date", http_date(TimeDelta::zero())),
    ] {
        let mut twice = letter();
        twice.headers.push((name, value));
        refused(&twice.send(&hub).await, 400, "duplicate_header");
    }

    // S-05: for another host.
    let mut elsewhere = letter();
    elsewhere.host = "other.example".to_owned();
    elsewhere.headers.push(("Host", "other.example".to_owned()));
    refused(&elsewhere.send(&hub).await, 401, "wrong_host");

    // S-07 and R-23: too old, from the future; half an hour behind is right.
    let mut old = letter();
    old.date = http_date(TimeDelta::minutes(-62));
    refused(&old.send(&hub).await, 401, "expired");
    let mut early = letter();
    early.date = http_date(TimeDelta::minutes(30));
    refused(&early.send(&hub).await, 401, "not_yet_valid");

    // S-06: for another inbox. The key is asked for anew, and does not fit either.
    let other = format!("{}/inbox", bob.actor);
    refused(&letter().send_to(&other).await, 401, "signature_invalid");

    assert_eq!(hub.count("select count(*) from ap_received").await, 0);
    let mut late = letter();
    late.date = http_date(TimeDelta::minutes(-30));
    assert_eq!(late.send(&hub).await.status, 202);
}

#[tokio::test]
async fn s_10_a_key_signs_for_its_owner_alone() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let eve = peers.peer("p2.peer.test").person("eve");
    let mate = peers.peer("p1.peer.test").person("mate");
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    for by in [&eve, &mate] {
        let mut letter = Letter::new(&hub, &ann, &follow);
        (letter.from, letter.key_id) = (by, by.key_id.clone());
        refused(&letter.send(&hub).await, 401, "key_owner_mismatch");
    }
    // A key that says it is somebody's who does not show it.
    let stolen = json!({ "id": format!("{}/stolen", eve.peer.origin()), "type": "CryptographicKey",
        "owner": ann.id, "publicKeyPem": eve.keys.pem() });
    eve.peer.serve("/stolen", &stolen);
    let mut letter = Letter::new(&hub, &eve, &follow);
    letter.key_id = format!("{}/stolen", eve.peer.origin());
    refused(&letter.send(&hub).await, 401, "key_owner_mismatch");
    assert_eq!(hub.count("select count(*) from ap_received").await, 0);
}

#[tokio::test]
async fn s_12_a_new_key_is_found_once_and_then_waits() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let peer = peers.peer("p1.peer.test");
    let follow = |who: &Actor| who.activity("Follow", json!({ "object": bob.actor }));
    assert_eq!(
        ann.send(&hub.shared_inbox(), &follow(&ann)).await.status,
        202
    );

    let turned = peer.actor("Person", "ann", Keys::fresh(), json!({}));
    assert_eq!(
        turned
            .send(&hub.shared_inbox(), &follow(&turned))
            .await
            .status,
        202
    );

    let again = peer.actor("Person", "ann", Keys::fresh(), json!({}));
    let told = again.send(&hub.shared_inbox(), &follow(&again)).await;
    refused(&told, 503, "key_looked_at_lately");
    assert!(told.header("retry-after").is_some());
    // Whoever forges in her name meanwhile does not keep her out.
    assert_eq!(
        turned
            .send(&hub.shared_inbox(), &follow(&turned))
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn s_14_odd_keys_are_refused_and_nothing_breaks() {
    let (hub, bob, peers, _) = rig(&[]).await;
    let peer = peers.peer("p1.peer.test");
    let long = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
        "A".repeat(500_000)
    );
    let small = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==\n-----END PUBLIC KEY-----";
    for (name, pem) in [
        ("a", "nonsense"),
        ("b", long.as_str()),
        ("c", small),
        ("d", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"),
    ] {
        let id = format!("{}/users/{name}", peer.origin());
        let key = json!({ "id": format!("{id}#main-key"), "owner": id, "publicKeyPem": pem });
        let odd = peer.actor("Person", name, Keys::fresh(), json!({ "publicKey": key }));
        let told = odd
            .send(
                &hub.shared_inbox(),
                &odd.activity("Follow", json!({ "object": bob.actor })),
            )
            .await;
        assert_eq!(told.status, 401, "{name} {told:?}");
        assert!(
            told.json()["code"].as_str().unwrap().starts_with("key_"),
            "{name} {told:?}"
        );
    }
    assert_eq!(hub.count("select count(*) from ap_received").await, 0);
}

#[tokio::test]
async fn s_15_s_16_s_19_labels_are_honoured_and_nothing_else_is_an_authority() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    let letter = || Letter::new(&hub, &ann, &follow);
    let mut label = letter();
    label.algorithm = "hmac-sha256";
    assert_eq!(label.send(&hub).await.status, 401);
    let mut md5 = letter();
    md5.digest = md5.digest.replace("SHA-256=", "MD5=");
    assert_eq!(md5.send(&hub).await.status, 401);

    // S-16: another's signature beside it, the same one twice, a token beside it.
    let eve = peers.peer("p2.peer.test").person("eve");
    let mut two = letter();
    two.headers.push((
        "Authorization",
        format!("Signature {}", Letter::new(&hub, &eve, &follow).signature()),
    ));
    refused(&two.send(&hub).await, 400, "two_signatures");
    let mut same = letter();
    same.headers
        .push(("Authorization", format!("Signature {}", same.signature())));
    assert_eq!(same.send(&hub).await.status, 202);
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    let mut bearer = Letter::new(&hub, &ann, &follow);
    bearer
        .headers
        .push(("Authorization", "Bearer nonsense".to_owned()));
    assert_eq!(bearer.send(&hub).await.status, 202);

    // S-19: a signature of the old kind in the body.
    let mut signed = ann.activity("Follow", json!({ "object": bob.actor }));
    signed["signature"] = json!({ "type": "RsaSignature2017", "creator": ann.key_id, "created": "2026-11-26T00:00:00Z", "signatureValue": "AAAA" });
    let told = ann
        .send_by(Scheme::Nothing, &hub.shared_inbox(), signed.to_string())
        .await;
    refused(&told, 401, "unsigned");
}

#[tokio::test]
async fn s_17_r_24_the_same_fifty_times_at_once_is_one() {
    let (hub, bob, _peers, ann) = rig(&[]).await;
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    let letter = Letter::new(&hub, &ann, &follow);
    let own = format!("{}/inbox", bob.actor);
    let mut to_own = Letter::new(&hub, &ann, &follow);
    to_own.target = format!("post {}", own.strip_prefix(&hub.public).unwrap());
    let shared = hub.shared_inbox();
    let sent = (0..50).map(|n| {
        if n % 2 == 0 {
            letter.send_to(&shared)
        } else {
            to_own.send_to(&own)
        }
    });
    for told in futures_util::future::join_all(sent).await {
        assert_eq!(told.status, 202, "{told:?}");
    }
    assert_eq!(ended(&hub, follow["id"].as_str().unwrap()).await, "done");
    // Replayed when everything is over.
    assert_eq!(letter.send(&hub).await.status, 202);
    assert_eq!(hub.count("select count(*) from ap_received").await, 1);
    hub.counts("select count(*) from follows where direction = 'in'", 1)
        .await;
    hub.counts(
        "select count(*) from ap_activities where type = 'Accept'",
        1,
    )
    .await;
}

#[tokio::test]
async fn s_21_s_22_s_57_s_79_s_80_what_is_no_activity_is_refused_at_the_door() {
    let (hub, bob, _peers, ann) = rig(&[]).await;
    let follow = ann.activity("Follow", json!({ "object": bob.actor }));
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json",
        "application/ld+json",
    ] {
        let mut other = Letter::new(&hub, &ann, &follow);
        other.headers.push(("Content-Type", kind.to_owned()));
        refused(&other.send(&hub).await, 415, "content_type");
    }
    for coding in ["gzip", "br", "deflate", "x"] {
        let mut coded = Letter::new(&hub, &ann, &follow);
        coded.headers.push(("Content-Encoding", coding.to_owned()));
        refused(&coded.send(&hub).await, 415, "content_encoding");
    }
    let body = |body: String| async {
        let mut letter = Letter::new(&hub, &ann, &follow);
        letter.digest = format!("SHA-256={}", BASE64.encode(sha256(body.as_bytes())));
        letter.body = body;
        letter.send(&hub).await
    };
    let text = follow.to_string();
    let with = |more: &str| format!("{{{more},{}", &text[1..]);
    for (sent, status, reason) in [
        (with("\"actor\":\"https://evil.example/\""), 400, "doubled_key"),
        (with("\"Actor\":\"https://evil.example/\""), 400, "doubled_key"),
        (with("\"@id\":\"https://evil.example/\""), 400, "doubled_key"),
        ("[".repeat(1_000_000), 400, "too_deep"),
        (format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)), 400, "too_deep"),
        (format!("{{\"id\":[{}0]}}", "0,".repeat(120_000)), 400, "too_many_values"),
        (with(&format!("\"x\":\"{}\"", "x".repeat(1_048_576))), 413, "too_long"),
        (with("\"x\":\"\\u0000\""), 400, "nul_in_text"),
        ("[]".to_owned(), 400, "not_an_object"),
        ("nonsense".to_owned(), 400, "not_json"),
        (String::new(), 400, "not_json"),
        (json!({ "type": "Follow", "actor": ann.id }).to_string(), 400, "no_id"),
        (json!({ "type": ["Follow"], "id": follow["id"], "actor": ann.id }).to_string(), 400, "no_type"),
        (json!({ "type": "Follow", "id": follow["id"] }).to_string(), 400, "no_actor"),
        (json!({ "type": "Follow", "id": follow["id"], "actor": [ann.id, ann.id] }).to_string(), 400, "no_actor"),
        (json!({ "type": "Follow", "id": "https://elsewhere.example/1", "actor": ann.id }).to_string(), 400, "id_elsewhere"),
        (json!({ "type": "Follow", "id": follow["id"], "actor": ann.id, "object": vec![bob.actor.clone(); 10_000] }).to_string(), 400, "object_list"),
        (json!({ "type": "Follow", "id": format!("{}/ap/x", hub.public), "actor": format!("{}/ap/y", hub.public) }).to_string(), 403, "local_id"),
    ] {
        let told = body(sent.clone()).await;
        let start = &sent[..sent.len().min(60)];
        assert_eq!((told.status, &told.json()["code"]), (status, &json!(reason)), "{start}: {told:?}");
    }
    let told = ann
        .send(
            &format!("{}/ap/actors/{}/inbox", hub.public, uuid::Uuid::now_v7()),
            &follow,
        )
        .await;
    refused(&told, 404, "no_such_inbox");
    assert_eq!(hub.count("select count(*) from ap_received").await, 0);
    assert_eq!(ann.send(&hub.shared_inbox(), &follow).await.status, 202);
}

#[tokio::test]
async fn s_33_a_stranger_who_is_gone_leaves_no_row() {
    let (hub, _bob, peers, ann) = rig(&[]).await;
    let peer = peers.peer("p1.peer.test");
    peer.serve_as("/users/ann", crate::support::peer::Answer::status(410));
    let gone = ann.activity("Delete", json!({ "object": ann.id, "to": [PUBLIC] }));
    for _ in 0..3 {
        assert_eq!(ann.send(&hub.shared_inbox(), &gone).await.status, 202);
    }
    assert_eq!(hub.count("select count(*) from ap_received").await, 0);
    assert!(
        peer.received().iter().all(|it| it.method != "GET"),
        "nobody is asked"
    );
}

#[tokio::test]
async fn a_gotosocial_key_and_a_proof_are_as_good() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let peer = peers.peer("p1.peer.test");
    // GoToSocial: the key lies beside the actor, in a stub of him.
    let id = format!("{}/users/gus", peer.origin());
    let keys = Keys::fresh();
    let key = json!({ "id": format!("{id}/main-key"), "owner": id, "publicKeyPem": keys.pem() });
    let mut gus = peer.actor("Person", "gus", keys, json!({ "publicKey": key }));
    gus.key_id = format!("{id}/main-key");
    peer.serve(
        "/users/gus/main-key",
        &json!({ "@context": "https://www.w3.org/ns/activitystreams", "id": id, "type": "Person",
        "preferredUsername": "gus", "publicKey": key }),
    );
    let follow = gus.activity("Follow", json!({ "object": bob.actor }));
    let told = gus.send(&hub.shared_inbox(), &follow).await;
    assert_eq!(told.status, 202, "{told:?}");
    assert_eq!(ended(&hub, follow["id"].as_str().unwrap()).await, "done");

    // The proof alone, also by way of somebody else.
    let follow = ann.proved(&ann.activity("Follow", json!({ "object": bob.actor })));
    let told = ann
        .send_by(Scheme::Nothing, &hub.shared_inbox(), follow.to_string())
        .await;
    assert_eq!(told.status, 202, "{told:?}");
    let via = format!(
        "select via from ap_received where uri = '{}'",
        follow["id"].as_str().unwrap()
    );
    assert_eq!(hub.text(&via).await.as_deref(), Some("proof"));
    let mut forged = ann.proved(&ann.activity("Follow", json!({ "object": bob.actor })));
    forged["object"] = json!("https://elsewhere.example/");
    let told = gus.send(&hub.shared_inbox(), &forged).await;
    assert_eq!(told.status, 401, "{told:?}");
    assert_eq!(state(&hub, forged["id"].as_str().unwrap()).await, None);
}

#[tokio::test]
async fn who_signs_by_rfc9421_is_written_to_that_way_from_the_first_time() {
    let (hub, bob, peers, ann) = rig(&[]).await;
    let eve = peers.peer("p2.peer.test").person("eve");
    for (who, scheme) in [(&ann, Scheme::Rfc9421), (&eve, Scheme::Cavage)] {
        let follow = who.activity("Follow", json!({ "object": bob.actor }));
        let told = who
            .send_by(scheme, &hub.shared_inbox(), follow.to_string())
            .await;
        assert_eq!(told.status, 202, "{told:?}");
        let accept = who.peer.wait("Accept", 1).await.remove(0);
        assert_eq!(accept.scheme(), Some(scheme));
        assert_eq!(who.peer.posts().len(), 1, "no knock was in vain");
    }
    // What was learned before is not unlearned by a request.
    hub.counts("select count(*) from ap_hosts where host like 'p1.peer.test%' and sig_scheme = 'rfc9421' and learned_at is not null", 1).await;
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute("update ap_hosts set sig_scheme = 'cavage' where host like 'p2.peer.test%'")
        .await
        .unwrap();
    let note = eve.note("<p>x</p>", &[&bob.actor], json!({}));
    let told = eve
        .send_by(
            Scheme::Rfc9421,
            &hub.shared_inbox(),
            eve.create(&note).to_string(),
        )
        .await;
    assert_eq!(told.status, 202, "{told:?}");
    hub.counts(
        "select count(*) from ap_hosts where host like 'p2.peer.test%' and sig_scheme = 'cavage'",
        1,
    )
    .await;
    // Of what is refused nothing is learned.
    let mallory = peers.peer("p3.peer.test").person("mallory");
    let follow = mallory.activity("Follow", json!({ "object": bob.actor }));
    let told = Actor {
        keys: Keys::fresh(),
        ..mallory.clone()
    }
    .send_by(Scheme::Rfc9421, &hub.shared_inbox(), follow.to_string())
    .await;
    assert_eq!(told.status, 401, "{told:?}");
    assert_eq!(
        hub.count("select count(*) from ap_hosts where host like 'p3.peer.test%'")
            .await,
        0
    );
}
