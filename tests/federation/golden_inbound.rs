//! What others send, block by block of the contract (tests/fixtures/wire/inbound): taken, kept word for word, and the row that
//! became of it. `UPDATE_GOLDEN=1` writes the rows anew; then read what changed.

use std::path::{Path, PathBuf};

use made_open::fed::document::Document;
use serde_json::{Value, json};

use super::golden::whole;
use super::inbox::ended;
use super::reading::acquaint;
use crate::support::hubs::Hub;
use crate::support::peer::{Actor, Keys, Peers};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire/inbound");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A hub with a DAO, a listing and somebody who follows everybody at the peers.
struct Scene {
    hub: Hub,
    _peers: Peers,
    actors: Vec<Actor>,
    /// What stands in the files, and what it is in truth.
    words: Vec<(String, String)>,
}

impl Scene {
    async fn set() -> Self {
        let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
        let (masto, coop) = (peers.peer("p1.peer.test"), peers.peer("p2.peer.test"));
        let hub = Hub::start("a", &peers.resolve(), &[]).await;
        let alice = hub.member("alice").await;
        let row = json!({ "name": "Bike Coop", "slug": "bikecoop", "description": "Repairs." });
        alice.person.adds(&hub.hub, "daos", row).await;
        let dao = "select uri from ap_actors where kind = 'dao'";
        let dao = hub
            .until("the DAO is an actor", async || hub.text(dao).await)
            .await;

        let lamp = json!({ "listing_type": "physical", "title": "A lamp", "status": "active", "price_type": "free" });
        let lamp = alice.person.adds(&hub.hub, "listings", lamp).await;
        let listing = lamp["federated_ap_id"].as_str().unwrap().to_owned();

        let carol = coop.person("carol");
        let knows = json!({ "alsoKnownAs": [carol.id] });
        let actors = vec![
            masto.actor("Person", "bob", Keys::fresh(), knows),
            coop.actor("Group", "coop", Keys::fresh(), json!({})),
            carol,
        ];
        let admin = hub.hub.database.admin().await;
        for actor in &actors {
            acquaint(&hub, actor).await;
            admin
                .execute(
                    "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
                     select l.row_id, l.id, r.id, 'out', 'accepted', now() from ap_actors l, ap_actors r where l.uri = $1 and r.uri = $2",
                    &[&alice.actor, &actor.id],
                )
                .await
                .unwrap();
        }
        let words = vec![
            ("https://hub.example/ap/groups/0193d0".to_owned(), dao),
            ("https://hub.example/ap/listings/0193c3".to_owned(), listing),
            (
                "https://hub.example/ap/actors/0193a1".to_owned(),
                alice.actor.clone(),
            ),
            ("https://masto.example".to_owned(), masto.origin()),
            ("https://coop.example".to_owned(), coop.origin()),
        ];
        Self {
            hub,
            _peers: peers,
            actors,
            words,
        }
    }

    /// A text of a file as it is in truth.
    fn real(&self, text: &str) -> String {
        let words = self.words.iter();
        words.fold(text.to_owned(), |text, (word, truth)| {
            text.replace(word, truth)
        })
    }

    /// What it is in truth as it would stand in a file.
    fn told(&self, text: &str) -> String {
        let words = self.words.iter();
        words.fold(text.to_owned(), |text, (word, truth)| {
            text.replace(truth, word)
        })
    }
}

#[tokio::test]
async fn what_others_send_becomes_what_the_files_say() {
    let scene = Scene::set().await;
    let hub = &scene.hub;
    let is_new = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut case = read(&file);
        let from = case["from"].as_str().unwrap();
        let from = scene.actors.iter().find(|actor| actor.name == from);
        let body = scene.real(&whole(&case["activity"]).to_string());
        let told = from
            .unwrap()
            .send_by(
                crate::support::peer::Scheme::Cavage,
                &hub.shared_inbox(),
                body.clone(),
            )
            .await;
        assert_eq!(told.status, 202, "{name}: {told:?}");
        let id = scene.real(case["activity"]["id"].as_str().unwrap());
        let state = ended(hub, &id).await;
        assert_eq!(json!(state), case["state"], "{name}");
        let kept = format!("select body from ap_received where uri = '{id}'");
        assert_eq!(hub.text(&kept).await.unwrap(), body, "{name}: other bytes");

        let query = scene.real(case["query"].as_str().unwrap());
        let row = hub
            .text(&format!("select r::text from ({query}) q (r)"))
            .await;
        let row = scene.told(&row.unwrap_or_else(|| panic!("{name}: no row")));
        let row: Value = serde_json::from_str(&row).unwrap();
        if is_new {
            case["row"] = row.clone();
            let text = serde_json::to_string_pretty(&case).unwrap();
            std::fs::write(&file, format!("{text}\n")).unwrap();
        }
        if case["row"] != row {
            wrong.push(format!("{name}: {row:#} instead of {:#}", case["row"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(files().len() >= 14);
}

#[test]
fn inbound_files_are_read_and_written_without_loss() {
    for file in files() {
        let mut document = whole(&read(&file)["activity"]);
        document["x:unknown"] = json!({ "deep": [1, "two", { "three": null }] });
        let text = serde_json::to_string(&document).unwrap();
        let read = Document::read(text.as_bytes()).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        assert_eq!(read.text(), text, "{file:?}");
        assert_eq!(read.value(), &document, "{file:?}");
    }
}
