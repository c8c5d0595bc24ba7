//! What `scripts/bench federation` needs from the library: how long a signature takes here, and somebody who says things.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints, and stops where it can't measure"
)]

use std::sync::Arc;
use std::time::Instant;

use made_open::base::Caller;
use made_open::base::config::{self, Flags};
use made_open::base::hub::Hub;
use made_open::db::Db;
use made_open::domains::vault::keys::ring;
use made_open::fed::crypto::{Algorithm, Hash, PrivateKey};
use made_open::fed::outbox::{self, Outgoing};
use made_open::fed::vocab::PUBLIC;
use serde_json::json;

/// The actor that the script has put into the database.
const SPEAKER: &str = "00000000-0000-7000-8000-000000000001";

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["units"] => units(),
        ["publish", data_dir, database, public_url, posts, from] => {
            publish(
                data_dir,
                database,
                public_url,
                posts.parse().unwrap(),
                from.parse().unwrap(),
            );
        }
        _ => panic!("units | publish DATA_DIR DATABASE_URL PUBLIC_URL POSTS FROM"),
    }
}

/// Seconds of one signature, verification and document signature.
fn units() {
    let rsa = PrivateKey::generate(Algorithm::Rsa).unwrap();
    let ed25519 = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let message = [7; 300];
    let signature = rsa.sign(&message);
    let timed = |count: u32, work: &dyn Fn()| {
        work();
        let began = Instant::now();
        for _ in 0..count {
            work();
        }
        began.elapsed().as_secs_f64() / f64::from(count)
    };
    let sign = timed(1000, &|| drop(rsa.sign(&message)));
    let verify = timed(5000, &|| {
        assert!(rsa.public().verify(Hash::Sha256, &message, &signature));
    });
    let document = timed(5000, &|| drop(ed25519.sign(&message)));
    println!(
        "{}",
        json!({ "sign": sign, "verify": verify, "ed25519": document })
    );
}

/// Say so many things to all followers, each in a transaction of its own.
fn publish(data_dir: &str, database: &str, public_url: &str, posts: usize, from: usize) {
    let flags = Flags {
        data_dir: Some(data_dir.into()),
        database_url: Some(database.to_owned()),
        public_url: Some(public_url.to_owned()),
        ..Flags::default()
    };
    let hub = Arc::new(Hub::default());
    hub.set_public_url(public_url.parse().unwrap());
    hub.set_keyring(Arc::new(ring(&config::load(&flags).unwrap())));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let db = Db::of(hub, database, 2).unwrap();
        let speaker = format!("{public_url}/ap/actors/1");
        let mut ids = Vec::new();
        let mut before = 0.0;
        for n in from..from + posts {
            let note = format!("{speaker}/notes/{n}");
            let outgoing = Outgoing {
                actor: SPEAKER.parse().unwrap(),
                activity: json!({ "type": "Create", "object": {
                    "id": note, "type": "Note", "attributedTo": speaker, "to": [PUBLIC], "cc": [format!("{speaker}/followers")],
                    "content": format!("<p>{}</p>", "Something that is worth saying. ".repeat(20)),
                } }),
                to: vec![PUBLIC.to_owned()],
                cc: vec![format!("{speaker}/followers")],
                about: Some(note),
                ..Outgoing::default()
            };
            let said = db
                .write(&Caller::Hub, async |tx| outbox::publish(tx, outgoing.clone()).await)
                .await
                .unwrap();
            ids.push(said.uri);
            if n == from {
                // Starting up and opening keys is not what is measured.
                before = processor_seconds();
            }
        }
        println!("{}", json!({ "ids": ids, "cpu": processor_seconds() - before }));
    });
}

/// User and system time of this process.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let fields: Vec<f64> = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap())
        .collect();
    fields.iter().sum::<f64>() / 100.0
}
