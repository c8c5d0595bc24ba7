//! The header `Collection-Synchronization` (FEP-8fcf) against its file: as others send it, what the hub asks because of it,
//! and what it says then. `UPDATE_GOLDEN=1` writes the hub's part anew; then read what changed.

use std::path::Path;

use serde_json::{Value, json};

use super::golden::Mask;
use super::inbox::ended;
use super::reading::acquaint;
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Answer, Peers, Received, Scheme, client, sha256};

/// A hub of three, two of whom follow ann since yesterday.
struct Scene {
    hub: Hub,
    peers: Peers,
    ann: Actor,
    people: [Member; 3],
    golden: Value,
}

impl Scene {
    async fn set() -> Self {
        let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
        let peer = peers.peer("p1.peer.test");
        peer.plan([Answer::status(202)]);
        let hub = Hub::start("a", &peers.resolve(), &[]).await;
        let people = [
            hub.member("alice").await,
            hub.member("bob").await,
            hub.member("carl").await,
        ];
        let ann = peer.person("ann");
        acquaint(&hub, &ann).await;
        let admin = hub.hub.database.admin().await;
        admin
            .execute(
                "update ap_actors set followers_url = uri || '/followers' where uri = $1",
                &[&ann.id],
            )
            .await
            .unwrap();
        for who in &people[..2] {
            admin
                .execute(
                    "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
                     select l.row_id, l.id, r.id, 'out', 'accepted', now() - interval '1 day' from ap_actors l, ap_actors r \
                     where l.uri = $1 and r.uri = $2",
                    &[&who.actor, &ann.id],
                )
                .await
                .unwrap();
        }
        let golden = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
        Self {
            hub,
            peers,
            ann,
            people,
            golden,
        }
    }

    /// A part of the file, as it is in truth; with the digest of so many who follow.
    fn told(&self, part: &Value, followers: &[&Member]) -> Value {
        let mut whole = [0_u8; 32];
        for who in followers {
            for (byte, other) in whole.iter_mut().zip(sha256(who.actor.as_bytes())) {
                *byte ^= other;
            }
        }
        let digest: String = whole.iter().map(|byte| format!("{byte:02x}")).collect();
        let [alice, bob, carl] = &self.people;
        let text = part
            .to_string()
            .replace("https://masto.example", &self.ann.peer.origin())
            .replace("{digest}", &digest)
            .replace("{alice}", &alice.actor)
            .replace("{bob}", &bob.actor)
            .replace("{carl}", &carl.actor);
        serde_json::from_str(&text).unwrap()
    }

    /// Ann says something to her followers, with the header.
    async fn sends(&self, header: &Value) {
        let followers = format!("{}/followers", self.ann.id);
        let note = self.ann.note("<p>hello</p>", &[&followers], json!({}));
        let create = self.ann.create(&note);
        let (inbox, body) = (self.hub.shared_inbox(), create.to_string());
        let mut request = client()
            .post(&inbox)
            .header("Content-Type", "application/activity+json")
            .header("Collection-Synchronization", header.as_str().unwrap())
            .body(body.clone());
        for (name, value) in self
            .ann
            .signed(Scheme::Cavage, "POST", &inbox, Some(body.as_bytes()))
        {
            request = request.header(name, value);
        }
        assert_eq!(request.send().await.unwrap().status(), 202);
        assert_eq!(
            ended(&self.hub, create["id"].as_str().unwrap()).await,
            "done"
        );
    }

    /// What the hub asked for, as it stands in the file.
    fn asked(&self, got: &Received) -> Value {
        let signature = got.header("signature").unwrap();
        let word = |name: &str| {
            let (_, rest) = signature.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        json!({
            "method": got.method,
            "url": format!("{}{}", self.ann.peer.origin(), got.path),
            "accept": got.header("accept"),
            "signed": { "keyId": word("keyId"), "headers": word("headers") },
        })
    }
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire/sync/followers.json")
}

#[tokio::test]
async fn the_header_that_compares_followers_leads_to_what_its_file_says() {
    let scene = Scene::set().await;
    let (hub, peer) = (&scene.hub, &scene.ann.peer);
    let [alice, bob, _] = &scene.people;
    let list = scene.told(&scene.golden["list"], &[]);
    peer.serve("/users/ann/followers_synchronization", &list);
    let lists = || -> Vec<Received> {
        let mut got = peer.received();
        got.retain(|got| got.path.ends_with("/followers_synchronization"));
        got
    };

    // Both sides know the same: nobody is asked.
    scene
        .sends(&scene.told(&scene.golden["header"], &[alice, bob]))
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(lists().is_empty());
    hub.counts(
        "select count(*) from job_records where job_type = 'social.followers_sync'",
        0,
    )
    .await;
}

#[tokio::test]
async fn another_digest_makes_the_hub_ask_for_the_list_and_agree_with_it() {
    let scene = Scene::set().await;
    let (hub, peer) = (&scene.hub, &scene.ann.peer);
    let [alice, _, carl] = &scene.people;
    let list = scene.told(&scene.golden["list"], &[]);
    peer.serve("/users/ann/followers_synchronization", &list);
    scene
        .sends(&scene.told(&scene.golden["header"], &[alice, carl]))
        .await;

    let undone = peer.wait("Undo", 1).await.remove(0);
    let left = "select string_agg(l.uri, ' ') from follows f join ap_actors l on l.id = f.local_actor_id where f.direction = 'out'";
    let left = hub.text(left).await;
    assert_eq!(left.as_ref(), Some(&alice.actor), "bob was dropped");
    assert_eq!(undone.json["actor"], json!(carl.actor));
    let mut got = peer.received();
    got.retain(|got| got.path.ends_with("/followers_synchronization"));
    assert_eq!(got.len(), 1);
    let key = format!("{}/ap/actor#main-key", hub.public);
    let pem = "select k.public_key from ap_keys k join ap_actors a on a.id = k.actor_id where a.kind = 'node' and k.algorithm = 'rsa'";
    let pem = hub.text(pem).await.unwrap();
    assert_eq!(got[0].signed_by(&key, &pem), Ok(()));

    let mut mask = Mask::new(hub, &scene.peers);
    let mut golden = scene.golden.clone();
    let told = [
        ("asked", mask.document(&scene.asked(&got[0]))),
        ("said", mask.document(&undone.json)),
    ];
    for (part, told) in told {
        let told = super::golden::short(&told);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            golden[part] = told.clone();
        }
        assert_eq!(golden[part], told, "{part}:\n{told:#}");
    }
    if golden != scene.golden {
        let text = serde_json::to_string_pretty(&golden).unwrap();
        std::fs::write(file(), format!("{text}\n")).unwrap();
    }
}
