//! What signing and verifying take on this machine by the hub's own code, in processor time.

use chrono::Utc;
use made_open::fed::crypto::{Algorithm, Hash, PrivateKey};
use made_open::fed::document::Document;
use made_open::fed::proof;
use serde_json::json;

use crate::load;
use crate::processor_seconds;

/// Seconds of one RSA signature, one verification, one Ed25519 signature, and of all that a proof takes to be believed:
/// reading the document strictly, its canonical form, its hashes and the verification.
pub fn print() {
    let rsa = PrivateKey::generate(Algorithm::Rsa).unwrap();
    let ed25519 = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let message = [7; 300];
    let signature = rsa.sign(&message);
    let sign = each(3000, || drop(rsa.sign(&message)));
    let verify = each(30_000, || {
        assert!(rsa.public().verify(Hash::Sha256, &message, &signature));
    });
    let document = each(10_000, || drop(ed25519.sign(&message)));

    let mut proven = load::note("http://s1.peer.test/u/1", 1, None);
    proof::prove(
        &mut proven,
        "http://s1.peer.test/u/1#ed25519-key",
        &ed25519,
        Utc::now(),
    )
    .unwrap();
    let body = proven.to_string();
    let proof = each(3000, || {
        let document = Document::read(body.as_bytes()).unwrap();
        let proven = proof::read(document.value()).unwrap().unwrap();
        assert!(proven.verify(ed25519.public()));
    });
    println!(
        "{}",
        json!({ "sign": sign, "verify": verify, "ed25519": document, "proof": proof })
    );
}

fn each(rounds: u32, work: impl Fn()) -> f64 {
    let before = processor_seconds();
    for _ in 0..rounds {
        work();
    }
    (processor_seconds() - before) / f64::from(rounds)
}
