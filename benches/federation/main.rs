//! What `scripts/bench federation` needs from the library: what signatures take here, somebody who says things, and many
//! senders who say things to the hub, from a process of their own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints, and stops where it can't measure"
)]

mod load;
mod units;

use std::sync::Arc;

use made_open::base::Caller;
use made_open::base::config::{self, Flags};
use made_open::base::hub::Hub;
use made_open::db::Db;
use made_open::domains::vault::keys::ring;
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
        ["units"] => units::print(),
        ["senders", file, count] => load::senders(file, count.parse().unwrap()),
        ["load", file, url, hub, count, connections, mode, from] => {
            let load = load::Load {
                url,
                hub,
                count: count.parse().unwrap(),
                connections: connections.parse().unwrap(),
                mode,
                from: from.parse().unwrap(),
            };
            load::run(file, &load);
        }
        ["publish", data_dir, database, public_url, posts, from] => {
            publish(
                data_dir,
                database,
                public_url,
                posts.parse().unwrap(),
                from.parse().unwrap(),
            );
        }
        _ => panic!(
            "units | publish DATA_DIR DATABASE_URL PUBLIC_URL POSTS FROM | senders FILE COUNT | \
             load FILE URL HUB COUNT CONNECTIONS signed|named|both|proof|forged|tampered FROM"
        ),
    }
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
            // Each note is said, and then said anew as it is now: their order counts.
            let note = format!("{speaker}/notes/{}", n / 2);
            let kind = if n % 2 == 0 { "Create" } else { "Update" };
            let outgoing = Outgoing {
                actor: SPEAKER.parse().unwrap(),
                activity: json!({ "type": kind, "object": {
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
pub fn processor_seconds() -> f64 {
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
