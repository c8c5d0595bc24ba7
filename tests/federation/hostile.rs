//! A hostile sender whose signatures another library makes: what is good is taken, and what is spoiled in any one way is
//! refused at the door and leaves nothing behind.

use serde_json::{Value, json};

use crate::support::fedify::Hostile;
use crate::support::hubs::{Hub, Member};

/// A signature that does not fit: 503 where the key was looked up again a moment ago and may not be so soon.
const NOT_SIGNED: &[u16] = &[401, 503];

/// A hub with somebody to write to, and somebody who writes.
struct Stage {
    hub: Hub,
    alice: Member,
    hostile: Hostile,
    mallory: String,
}

impl Stage {
    async fn set() -> Self {
        let hub = Hub::at_localhost().await;
        let alice = hub.member("alice").await;
        let mut hostile = Hostile::start();
        let mallory = hostile.does("person", json!({ "name": "mallory" }));
        hostile.does("person", json!({ "name": "trent" }));
        Self {
            hub,
            alice,
            hostile,
            mallory: mallory["id"].as_str().unwrap().to_owned(),
        }
    }

    /// A note to alice with a fresh id; the whole answer.
    fn sends(&mut self, with: Value) -> Value {
        let note = format!("{}/notes/{}", self.hostile.origin, uuid::Uuid::new_v4());
        let mut command = json!({
            "as": "mallory",
            "inbox": format!("{}/inbox", self.alice.actor),
            "activity": { "type": "Create", "to": [self.alice.actor], "object": { "id": note, "type": "Note", "attributedTo": self.mallory, "to": [self.alice.actor], "content": "<p>hello</p>" } },
        });
        for (name, value) in with.as_object().unwrap() {
            command[name] = value.clone();
        }
        self.hostile.does("send", command)
    }

    /// What was sent is taken.
    fn takes(&mut self, with: Value) {
        let said = self.sends(with.clone());
        assert_eq!(said["status"], 202, "{with}: {said}");
    }

    /// What was sent is refused with one of these, and no row tells of it.
    async fn refuses(&mut self, with: Value, statuses: &[u16]) -> Value {
        let before = self.rows().await;
        let said = self.sends(with.clone());
        let status = u16::try_from(said["status"].as_u64().unwrap()).unwrap();
        assert!(statuses.contains(&status), "{with}: {said}");
        assert_eq!(self.rows().await, before, "{with} left a row");
        said
    }

    /// How many rows there are that a stranger could have caused.
    async fn rows(&self) -> i64 {
        self.hub
            .count("select (select count(*) from ap_received) + (select count(*) from posts) + (select count(*) from messages) + (select count(*) from ap_deliveries)")
            .await
    }

    /// So many are kept, and each came to an end.
    async fn received(&self, expected: i64) {
        self.hub
            .counts(
                "select count(*) from ap_received where state not in ('waiting', 'dead')",
                expected,
            )
            .await;
    }
}

#[tokio::test]
async fn good_signatures_and_proofs_of_another_library_are_taken() {
    let mut stage = Stage::set().await;
    stage.takes(json!({ "sign": "cavage" }));
    stage.takes(json!({ "sign": "rfc9421" }));
    stage.takes(json!({ "sign": "cavage", "proof": true }));
    stage.takes(json!({ "sign": "none", "proof": true }));
    // A proof vouches even where the request's signature does not.
    stage.takes(json!({ "sign": "cavage", "proof": true, "wrong": ["other_key"] }));
    stage.received(5).await;
}

#[tokio::test]
async fn unsigned_is_refused_and_told_how_to_sign() {
    let mut stage = Stage::set().await;
    let said = stage.refuses(json!({ "sign": "none" }), &[401]).await;
    let how = said["headers"]["accept-signature"].as_str().unwrap();
    for word in ["@method", "@target-uri", "content-digest", "created"] {
        assert!(how.contains(word), "{how}");
    }
    assert_eq!(said["headers"]["content-type"], "application/problem+json");
}

#[tokio::test]
async fn s_01_a_body_changed_after_signing() {
    let mut stage = Stage::set().await;
    for sign in ["cavage", "rfc9421"] {
        stage
            .refuses(json!({ "sign": sign, "wrong": ["body"] }), NOT_SIGNED)
            .await;
    }
    stage
        .refuses(
            json!({ "sign": "rfc9421", "wrong": ["digest_differs"] }),
            &[401],
        )
        .await;
}

#[tokio::test]
async fn s_02_a_digest_that_is_missing_or_not_signed() {
    let mut stage = Stage::set().await;
    for wrong in ["no_digest", "unsigned_digest"] {
        stage
            .refuses(json!({ "sign": "cavage", "wrong": [wrong] }), &[401])
            .await;
    }
    stage
        .refuses(json!({ "sign": "rfc9421", "wrong": ["no_digest"] }), &[401])
        .await;
}

#[tokio::test]
async fn s_03_a_signature_that_covers_too_little() {
    let mut stage = Stage::set().await;
    for wrong in ["only_digest", "no_date"] {
        stage
            .refuses(json!({ "sign": "cavage", "wrong": [wrong] }), &[401])
            .await;
    }
    for wrong in ["few_components", "no_created"] {
        stage
            .refuses(json!({ "sign": "rfc9421", "wrong": [wrong] }), &[401])
            .await;
    }
}

#[tokio::test]
async fn s_04_a_header_twice() {
    let mut stage = Stage::set().await;
    for wrong in ["two_digests", "two_signatures"] {
        stage
            .refuses(json!({ "sign": "cavage", "wrong": [wrong] }), &[400])
            .await;
    }
}

#[tokio::test]
async fn s_05_a_delivery_to_another_host() {
    let mut stage = Stage::set().await;
    for sign in ["cavage", "rfc9421"] {
        stage
            .refuses(json!({ "sign": sign, "wrong": ["other_host"] }), NOT_SIGNED)
            .await;
    }
}

#[tokio::test]
async fn s_06_a_delivery_to_another_path() {
    let mut stage = Stage::set().await;
    for sign in ["cavage", "rfc9421"] {
        stage
            .refuses(json!({ "sign": sign, "wrong": ["other_path"] }), NOT_SIGNED)
            .await;
    }
}

#[tokio::test]
async fn s_07_too_old_or_from_the_future() {
    let mut stage = Stage::set().await;
    for wrong in ["old", "future"] {
        stage
            .refuses(json!({ "sign": "cavage", "wrong": [wrong] }), &[401])
            .await;
    }
}

#[tokio::test]
async fn s_10_a_key_of_somebody_else() {
    let mut stage = Stage::set().await;
    let trent = format!("{}/people/trent#main-key", stage.hostile.origin);
    let alice = format!("{}#main-key", stage.alice.actor);
    for sign in ["cavage", "rfc9421"] {
        for key in [&trent, &alice] {
            stage
                .refuses(
                    json!({ "sign": sign, "wrong": ["other_key_id"], "key_id": key }),
                    NOT_SIGNED,
                )
                .await;
        }
        stage
            .refuses(json!({ "sign": sign, "wrong": ["other_key"] }), NOT_SIGNED)
            .await;
    }

    // Trent signs with his own good key, and says that Mallory said it.
    let mallory = stage.mallory.clone();
    let activity = json!({ "actor": mallory, "type": "Like", "object": stage.alice.actor });
    let before = stage.rows().await;
    let said = stage.sends(json!({ "as": "trent", "activity": activity }));
    let status = said["status"].as_u64().unwrap();
    assert!([202, 401].contains(&status), "{said}");
    assert_eq!(stage.rows().await, before, "{said}");
}

#[tokio::test]
async fn s_14_odd_keys() {
    let mut stage = Stage::set().await;
    for (name, bits) in [("small", 1024), ("large", 8192)] {
        stage
            .hostile
            .does("person", json!({ "name": name, "bits": bits }));
        let who = format!("{}/people/{name}", stage.hostile.origin);
        let like = json!({ "type": "Like", "object": stage.alice.actor, "actor": who });
        stage
            .refuses(json!({ "as": name, "activity": like }), NOT_SIGNED)
            .await;
    }
    let pem = stage.hostile.does("person", json!({ "name": "plain" }));
    let pem = pem["document"]["publicKey"]["publicKeyPem"]
        .as_str()
        .unwrap()
        .to_owned();
    let huge = format!("{pem}{}", "x".repeat(500_000));
    for (n, odd) in [
        format!("{pem}and more"),
        pem.replace("PUBLIC", "PRIVATE"),
        pem.replace('A', "B"),
        String::new(),
        huge,
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("odd{n}");
        stage
            .hostile
            .does("person", json!({ "name": name, "pem": odd }));
        let who = format!("{}/people/{name}", stage.hostile.origin);
        let like = json!({ "type": "Like", "object": stage.alice.actor, "actor": who });
        stage
            .refuses(json!({ "as": name, "activity": like }), NOT_SIGNED)
            .await;
    }
}

#[tokio::test]
async fn s_15_labels_that_lie() {
    let mut stage = Stage::set().await;
    for wrong in ["hmac", "md5", "sha512"] {
        stage
            .refuses(json!({ "sign": "cavage", "wrong": [wrong] }), &[401])
            .await;
    }
}

#[tokio::test]
async fn s_16_two_signatures_that_differ_and_a_bearer_beside_a_good_one() {
    let mut stage = Stage::set().await;
    stage
        .refuses(
            json!({ "sign": "cavage", "wrong": ["authorization_differs"], "other": "trent" }),
            &[400],
        )
        .await;
    stage.takes(json!({ "sign": "cavage", "wrong": ["same_twice"] }));
    stage.takes(json!({ "sign": "cavage", "wrong": ["bearer"] }));
}

#[tokio::test]
async fn s_17_an_exact_repetition_has_one_effect() {
    let mut stage = Stage::set().await;
    let activity = json!({
        "id": format!("{}/activities/once", stage.hostile.origin), "type": "Create", "to": [stage.alice.actor],
        "object": { "id": format!("{}/notes/once", stage.hostile.origin), "type": "Note", "attributedTo": stage.mallory, "to": [stage.alice.actor], "content": "<p>once</p>" }
    });
    for _ in 0..3 {
        stage.takes(json!({ "activity": activity }));
    }
    stage.received(1).await;
    stage
        .hub
        .counts("select count(*) from messages where body like '%once%'", 1)
        .await;
}

#[tokio::test]
async fn s_21_other_content_types() {
    let mut stage = Stage::set().await;
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json",
    ] {
        stage
            .refuses(
                json!({ "sign": "cavage", "wrong": ["content_type"], "content_type": kind }),
                &[415],
            )
            .await;
    }
}

#[tokio::test]
async fn proofs_that_prove_nothing() {
    let mut stage = Stage::set().await;
    let trent = format!("{}/people/trent#seal", stage.hostile.origin);
    let alice = format!("{}#ed25519-key", stage.alice.actor);
    for wrong in ["proof_changed", "proof_key", "proof_suite"] {
        stage
            .refuses(
                json!({ "sign": "none", "proof": true, "wrong": [wrong] }),
                NOT_SIGNED,
            )
            .await;
    }
    for method in [trent, alice] {
        stage
            .refuses(
                json!({ "sign": "none", "proof": true, "wrong": ["proof_of_other"], "verification_method": method }),
                NOT_SIGNED,
            )
            .await;
    }
}
