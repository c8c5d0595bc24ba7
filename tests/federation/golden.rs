//! What the hub really says, block by block of the contract, against files: ids, times and keys are masked, everything else
//! must stand there letter by letter. `UPDATE_GOLDEN=1` writes the files anew; then read what changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use made_open::fed::crypto::{Algorithm, PrivateKey};
use made_open::fed::document::Document;
use made_open::fed::proof;
use serde_json::{Map, Value, json};

use super::reading::{acquaint, node_of};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Answer, PUBLIC, Peers, proved_by};

/// Where the files are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire/golden")
}

/// Every file: its name and what stands in it.
pub fn all() -> Vec<(String, Value)> {
    files(&folder())
}

/// The files of listings, declarations and exchanges, which tests/mission holds against what is said.
pub fn of_trade() -> Vec<(String, Value)> {
    let mut found = files(&folder().with_file_name("trade"));
    found.extend(files(&folder().with_file_name("market")));
    found
}

fn files(folder: &Path) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// Puts fixed words in place of what is another each time.
pub struct Mask {
    words: Vec<(String, &'static str)>,
    ids: HashMap<String, usize>,
}

impl Mask {
    pub fn new(hub: &Hub, peers: &Peers) -> Self {
        let masto = peers.peer("p1.peer.test").host;
        let coop = peers.peer("p2.peer.test").host;
        Self {
            words: vec![
                (hub.public.clone(), "https://hub.example"),
                (hub.host.clone(), "hub.example"),
                (format!("http://{masto}"), "https://masto.example"),
                (masto, "masto.example"),
                (format!("http://{coop}"), "https://coop.example"),
                (coop, "coop.example"),
            ],
            ids: HashMap::new(),
        }
    }

    /// A document as it stands in its file; ids are counted anew in each.
    pub fn document(&mut self, value: &Value) -> Value {
        self.ids.clear();
        self.value("", value)
    }

    fn value(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let masked: Map<String, Value> = object
                    .iter()
                    .map(|(name, value)| (name.clone(), self.value(name, value)))
                    .collect();
                Value::Object(masked)
            }
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.value(name, value)).collect())
            }
            Value::String(text) => json!(self.text(name, text)),
            Value::Number(_) if matches!(name, "mo:version" | "mo:head") => json!(1),
            other => other.clone(),
        }
    }

    fn text(&mut self, name: &str, text: &str) -> String {
        match name {
            "publicKeyPem" => {
                assert!(text.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{text}");
                assert!(text.ends_with("-----END PUBLIC KEY-----\n"), "{text}");
                return "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n".to_owned();
            }
            "publicKeyMultibase" => {
                assert!(text.starts_with("z6Mk"), "{text}");
                return "z6Mk…".to_owned();
            }
            "proofValue" => {
                assert_eq!(bs58::decode(&text[1..]).into_vec().unwrap().len(), 64);
                return "z…".to_owned();
            }
            // A proof's time has whole seconds only (R5).
            "created" => {
                assert!(
                    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").is_ok(),
                    "{text}"
                );
                return "2026-11-20T12:00:00Z".to_owned();
            }
            "version" if text == env!("CARGO_PKG_VERSION") => return "…".to_owned(),
            "mo:ballotsDigest" => return "z…".to_owned(),
            "published" | "updated" | "deleted" | "endTime" | "closed" | "mo:startTime"
            | "mo:snapshotAt" => {
                assert!(
                    text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok(),
                    "{text}"
                );
                return "2026-11-20T12:00:00Z".to_owned();
            }
            _ => {}
        }
        let mut text = text.to_owned();
        if let Some((before, rest)) = text.split_once("vote until ")
            && let Some((_, after)) = rest.split_once(" UTC")
        {
            text = format!("{before}vote until 27 Nov 12:00 UTC{after}");
        }
        for (word, fixed) in &self.words {
            text = text.replace(word, fixed);
        }
        if name == "next"
            && let Some((feed, after)) = text.split_once("/ap/changes?after=")
        {
            assert!(after.parse::<u64>().is_ok(), "{text}");
            text = format!("{feed}/ap/changes?after=1");
        }
        self.counted(&text)
    }

    /// Uuids as 0193…-01, -02, in the order in which they come.
    fn counted(&mut self, text: &str) -> String {
        let is_id = |part: &str| part.len() == 36 && uuid::Uuid::parse_str(part).is_ok();
        let mut told = String::new();
        let mut at = 0;
        while at < text.len() {
            match text.get(at..at + 36).filter(|part| is_id(part)) {
                Some(id) => {
                    let next = self.ids.len() + 1;
                    let number = *self.ids.entry(id.to_owned()).or_insert(next);
                    told += &format!("0193a1b2-0000-7000-8000-{number:012}");
                    at += 36;
                }
                None => {
                    let step = text[at..].chars().next().unwrap().len_utf8();
                    told += &text[at..at + step];
                    at += step;
                }
            }
        }
        told
    }
}

/// The contexts of documents are compared elsewhere; here they are names.
pub fn short(value: &Value) -> Value {
    let context = made_open::fed::vocab::context();
    let of_actors = made_open::fed::vocab::actor_context();
    match value {
        Value::Object(object) => {
            let told: Map<String, Value> = object
                .iter()
                .map(|(name, value)| match value {
                    value if name == "@context" && value == context => (name.clone(), json!("CTX")),
                    value if name == "@context" && value == of_actors => {
                        (name.clone(), json!("CTX of actors"))
                    }
                    value => (name.clone(), short(value)),
                })
                .collect();
            Value::Object(told)
        }
        Value::Array(values) => Value::Array(values.iter().map(short).collect()),
        other => other.clone(),
    }
}

/// The other way round: a file as a document.
pub fn whole(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let told: Map<String, Value> = object
                .iter()
                .map(|(name, value)| match value.as_str() {
                    Some("CTX") => (name.clone(), made_open::fed::vocab::context().clone()),
                    Some("CTX of actors") => {
                        (name.clone(), made_open::fed::vocab::actor_context().clone())
                    }
                    _ => (name.clone(), whole(value)),
                })
                .collect();
            Value::Object(told)
        }
        Value::Array(values) => Value::Array(values.iter().map(whole).collect()),
        other => other.clone(),
    }
}

/// What a hub says of everything that it can say by now, with the actor that has proved it.
pub struct Said {
    documents: Vec<(&'static str, Value)>,
    /// Multikeys by actor.
    keys: HashMap<String, String>,
    /// What is no JSON, by the file's whole name.
    texts: Vec<(&'static str, String)>,
}

impl Said {
    async fn all(hub: &Hub, peers: &Peers) -> Self {
        let mut said = Self {
            documents: Vec::new(),
            keys: HashMap::new(),
            texts: Vec::new(),
        };
        let alice = hub.member("alice").await;
        let bob = peers.peer("p1.peer.test").person("bob");
        let reader = node_of(peers, "p2.peer.test");
        acquaint(hub, &reader).await;
        said.actors(hub, &alice).await;
        said.follows(hub, &alice, &bob).await;
        said.posts(hub, &alice, &bob).await;
        super::golden_votes::all(&mut said, hub, &alice, peers).await;
        said.collections(hub, &alice).await;
        said.discovery(hub, &alice).await;
        super::golden_social::all(&mut said, hub, &alice, peers).await;
        said.ends(hub, &alice).await;
        let feed = format!("{}/ap/changes?after=0&limit=1", hub.public);
        said.put("changes_page", reader.get(&feed).await.json());
        said
    }

    pub fn put(&mut self, name: &'static str, document: Value) {
        if let (Some(id), Some(key)) = (
            document["id"].as_str(),
            document["assertionMethod"][0]["publicKeyMultibase"].as_str(),
        ) {
            self.keys.insert(id.to_owned(), key.to_owned());
        }
        self.documents.push((name, document));
    }

    pub async fn activity(&mut self, hub: &Hub, name: &'static str, kind: &str) {
        let query = format!(
            "select body from ap_activities where type = '{kind}' order by seq desc limit 1"
        );
        let body = hub
            .until(&format!("{kind} is said"), async || hub.text(&query).await)
            .await;
        self.put(name, serde_json::from_str(&body).unwrap());
    }

    async fn actors(&mut self, hub: &Hub, alice: &Member) {
        let id = alice.actor.rsplit('/').next().unwrap();
        let changes = json!({
            "summary": "Repairs bikes.", "properties": [{ "name": "Skills", "value": "bike repair, welding" }],
            "also_known_as": [],
        });
        hub.rpc(
            &alice.person,
            "actors_update",
            json!({ "id": id, "changes": changes }),
        )
        .await;
        self.put("person", hub.ask(&alice.actor).await.json());
        self.put("node", hub.ask("/ap/actor").await.json());

        let agent = alice
            .person
            .adds(&hub.hub, "agents", json!({ "name": "Errand" }))
            .await;
        let shown = hub
            .rpc(
                &alice.person,
                "actors_publish",
                json!({ "kind": "agent", "id": agent["id"], "handle": "errand" }),
            )
            .await;
        self.put(
            "agent",
            hub.ask(shown["uri"].as_str().unwrap()).await.json(),
        );

        for (table, name, kind, more) in [
            (
                "daos",
                "dao",
                "dao",
                json!({ "name": "Bike Coop", "slug": "bikecoop", "description": "Worker-owned repair coop." }),
            ),
            (
                "chat_channels",
                "channel",
                "channel",
                json!({ "name": "General", "slug": "general", "visibility": "public" }),
            ),
        ] {
            let row = alice.person.adds(&hub.hub, table, more).await;
            let id = row["id"].as_str().unwrap().to_owned();
            let query =
                format!("select uri from ap_actors where kind = '{kind}' and row_id = '{id}'");
            let uri = hub
                .until(&format!("{kind} is an actor"), async || {
                    hub.text(&query).await
                })
                .await;
            self.put(name, hub.ask(&uri).await.json());
            if kind == "dao" {
                self.put(
                    "moderators",
                    hub.ask(&format!("{uri}/moderators")).await.json(),
                );
            }
        }
    }

    async fn follows(&mut self, hub: &Hub, alice: &Member, bob: &Actor) {
        let follow = bob.activity("Follow", json!({ "object": alice.actor }));
        let told = bob.send(&format!("{}/inbox", alice.actor), &follow).await;
        assert_eq!(told.status, 202, "{told:?}");
        self.activity(hub, "accept_follow", "Accept").await;
        bob.peer.wait("Accept", 1).await;

        hub.rpc(&alice.person, "follows_request", json!({ "actor": bob.id }))
            .await;
        self.activity(hub, "follow", "Follow").await;
        let asked = self.documents.last().unwrap().1.clone();
        let accept = bob.activity("Accept", json!({ "object": asked["id"] }));
        bob.send(&hub.shared_inbox(), &accept).await;
        hub.counts(
            "select count(*) from follows where direction = 'out' and state = 'accepted'",
            1,
        )
        .await;
        let id = alice.actor.rsplit('/').next().unwrap();
        let changes = json!({ "id": id, "changes": { "summary": "Repairs bikes and more." } });
        hub.rpc(&alice.person, "actors_update", changes).await;
        let query = format!(
            "select count(*) from ap_activities a join ap_actors l on l.id = a.actor_id where a.type = 'Update' and l.uri = '{}'",
            alice.actor
        );
        hub.until("the change is said", async || {
            (hub.count(&query).await > 0).then_some(())
        })
        .await;
        let query = format!(
            "select body from ap_activities where type = 'Update' and object_uri = '{}' order by seq desc limit 1",
            alice.actor
        );
        self.put(
            "update_actor",
            serde_json::from_str(&hub.text(&query).await.unwrap()).unwrap(),
        );
    }

    async fn posts(&mut self, hub: &Hub, alice: &Member, bob: &Actor) {
        let post = json!({ "content": "See you **Sunday** at the #bike workshop", "visibility": "public", "language": "en" });
        let post = hub.posts(alice, post).await;
        let url = hub.url_of(&post).await;
        self.activity(hub, "create_note", "Create").await;
        self.put("note", hub.ask(&url).await.json());
        self.put("replies", hub.ask(&format!("{url}/replies")).await.json());
        let change = json!({ "content": "See you **Monday** at the #bike workshop" });
        hub.changes(alice, "posts", &post, change).await;
        let query = format!(
            "select body from ap_activities where type = 'Update' and object_uri = '{url}'"
        );
        let body = hub
            .until("the change is said", async || hub.text(&query).await)
            .await;
        self.put("update_note", serde_json::from_str(&body).unwrap());
        let outbox = format!("{}/outbox?page=true", alice.actor);
        self.put("outbox_page", hub.ask(&outbox).await.json());

        let note = bob.note("<p>Who repairs bikes?</p>", &[PUBLIC], json!({}));
        for (action, name, kind) in [
            ("reactions_like", "like", "Like"),
            ("reactions_announce", "announce", "Announce"),
        ] {
            let object = json!({ "object": note["id"] });
            let done = hub.rpc(&alice.person, action, object).await;
            self.activity(hub, name, kind).await;
            if kind == "Announce" {
                hub.rpc(&alice.person, "reactions_undo", json!({ "id": done["id"] }))
                    .await;
                self.activity(hub, "undo_announce", "Undo").await;
            }
        }

        let direct =
            json!({ "content": "See you Sunday", "visibility": "direct", "recipients": [bob.id] });
        let direct = hub.posts(alice, direct).await;
        let url_of_direct = hub.url_of(&direct).await;
        let query = format!(
            "select body from ap_activities where type = 'Create' and object_uri = '{url_of_direct}'"
        );
        let body = hub
            .until("the message is said", async || hub.text(&query).await)
            .await;
        self.put("create_message", serde_json::from_str(&body).unwrap());

        hub.deletes(alice, "posts", &post).await;
        self.activity(hub, "delete_note", "Delete").await;
        let told = hub
            .until("the post is gone", async || {
                let told = hub.ask(&url).await;
                (told.status == 410).then_some(told)
            })
            .await;
        self.put("tombstone_note", told.json());
    }

    async fn collections(&mut self, hub: &Hub, alice: &Member) {
        for (name, path) in [
            ("followers", "followers"),
            ("followers_page", "followers?page=true"),
            ("following_page", "following?page=true"),
            ("featured", "featured"),
            ("inbox", "inbox"),
        ] {
            self.put(
                name,
                hub.ask(&format!("{}/{path}", alice.actor)).await.json(),
            );
        }
    }

    async fn discovery(&mut self, hub: &Hub, alice: &Member) {
        let name = alice.handle.trim_start_matches('@');
        for (name, path) in [
            (
                "webfinger",
                format!("/.well-known/webfinger?resource=acct:{name}"),
            ),
            (
                "webfinger_node",
                format!("/.well-known/webfinger?resource={}", hub.public),
            ),
            ("host_meta", "/.well-known/host-meta.json".to_owned()),
            ("nodeinfo_links", "/.well-known/nodeinfo".to_owned()),
            ("nodeinfo_2_0", "/nodeinfo/2.0".to_owned()),
            ("nodeinfo_2_1", "/nodeinfo/2.1".to_owned()),
        ] {
            self.put(name, hub.ask(&path).await.json());
        }
        let told = hub.ask("/.well-known/host-meta").await;
        assert_eq!(told.header("content-type"), Some("application/xrd+xml"));
        self.texts.push(("host_meta.xml", told.body));
    }

    /// Whatever ends something.
    async fn ends(&mut self, hub: &Hub, alice: &Member) {
        let rows = alice
            .person
            .reads(&hub.hub, "/rest/v1/follows?direction=eq.out&select=id")
            .await;
        hub.rpc(
            &alice.person,
            "follows_undo",
            json!({ "id": rows[0]["id"] }),
        )
        .await;
        self.activity(hub, "undo_follow", "Undo").await;
        let rows = alice
            .person
            .reads(&hub.hub, "/rest/v1/follows?direction=eq.in&select=id")
            .await;
        hub.rpc(
            &alice.person,
            "follows_answer",
            json!({ "id": rows[0]["id"], "accept": false }),
        )
        .await;
        self.activity(hub, "reject_follow", "Reject").await;

        let rows = hub
            .text("select id::text from ap_actors where kind = 'agent'")
            .await
            .unwrap();
        let uri = hub
            .text("select uri from ap_actors where kind = 'agent'")
            .await
            .unwrap();
        hub.rpc(&alice.person, "actors_withdraw", json!({ "id": rows }))
            .await;
        self.activity(hub, "delete_actor", "Delete").await;
        let told = hub
            .until("the agent is gone", async || {
                let told = hub.ask(&uri).await;
                (told.status == 410).then_some(told)
            })
            .await;
        self.put("tombstone", told.json());
    }
}

#[tokio::test]
async fn the_hub_says_what_the_golden_files_say() {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
    for name in ["p1.peer.test", "p2.peer.test"] {
        peers.peer(name).plan([Answer::status(202)]);
    }
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let said = Said::all(&hub, &peers).await;
    let mut mask = Mask::new(&hub, &peers);

    // Whatever carries a proof was really proved, by whom it says.
    let mut proofs = 0;
    for (name, document) in &said.documents {
        let items = document.get("orderedItems").and_then(Value::as_array);
        for one in std::iter::once(document).chain(items.into_iter().flatten()) {
            let Some(method) = one["proof"]["verificationMethod"].as_str() else {
                continue;
            };
            let owner = method.split('#').next().unwrap();
            let owned = ["actor", "attributedTo"]
                .iter()
                .any(|key| one[*key].as_str() == Some(owner));
            assert!(owned, "{name}: proved by {owner}");
            assert!(
                proved_by(one, &said.keys[owner]),
                "{name}: the proof does not verify"
            );
            assert_eq!(one["proof"]["@context"], one["@context"], "{name}");
            proofs += 1;
        }
    }
    assert!(proofs >= 7, "{proofs}");

    let is_new = std::env::var_os("UPDATE_GOLDEN").is_some();
    std::fs::create_dir_all(folder()).unwrap();
    let mut wrong = Vec::new();
    for (name, document) in &said.documents {
        let told = short(&mask.document(document));
        let path = folder().join(format!("{name}.json"));
        if is_new {
            let text = serde_json::to_string_pretty(&told).unwrap();
            std::fs::write(&path, format!("{text}\n")).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        let golden: Value = serde_json::from_str(&golden).unwrap_or_default();
        if golden != told {
            wrong.push(format!(
                "{name}:\n{}\ninstead of\n{}",
                serde_json::to_string_pretty(&told).unwrap(),
                serde_json::to_string_pretty(&golden).unwrap()
            ));
        }
    }
    for (name, text) in &said.texts {
        let told = mask.text("", text);
        let path = folder().join(name);
        if is_new {
            std::fs::write(&path, &told).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        if golden != told {
            wrong.push(format!("{name}:\n{told}\ninstead of\n{golden}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn golden_files_are_read_and_written_without_loss() {
    let files = all();
    assert!(files.len() >= 20, "only {} files", files.len());
    for (name, golden) in files {
        let mut document = whole(&golden);
        // What nobody here knows stays, wherever it stands.
        document["x:unknown"] = json!({ "deep": [1, "two", { "three": null }] });
        if let Some(object) = document
            .get_mut("object")
            .filter(|object| object.is_object())
        {
            object["x:unknown"] = json!(["kept"]);
        }
        let text = serde_json::to_string(&document).unwrap();
        let read = Document::read(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read.text(), text, "{name}");
        assert_eq!(read.value(), &document, "{name}");
        assert_eq!(serde_json::to_string(read.value()).unwrap(), text, "{name}");
    }
}

#[test]
fn golden_files_can_be_proved_and_a_changed_one_cannot_pass() {
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    for (name, golden) in all() {
        let mut document = whole(&golden);
        if document.get("proof").is_none() {
            continue;
        }
        let now = chrono::DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z")
            .unwrap()
            .to_utc();
        let method = golden["proof"]["verificationMethod"].as_str().unwrap();
        proof::prove(&mut document, method, &key, now).unwrap();
        let names = |value: &Value| -> Vec<String> {
            let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(names(&document["proof"]), names(&golden["proof"]), "{name}");
        let proven = proof::read(&document).unwrap().unwrap();
        assert!(proven.verify(key.public()), "{name}");
        document["x:added"] = json!(1);
        assert!(
            !proof::read(&document)
                .unwrap()
                .unwrap()
                .verify(key.public()),
            "{name}"
        );
    }
}

/// The strict readers of other makes, by what PEERS 2 knows of them.
#[test]
fn s14_strict_readers_take_what_the_hub_says() {
    for (name, golden) in all() {
        strict(&name, &whole(&golden), true);
    }
}

fn strict(name: &str, value: &Value, is_top: bool) {
    let Some(object) = value.as_object() else {
        return;
    };
    // Lemmy, Mitra and Mobilizon fail on lists of types; nothing is ever null.
    if let Some(kind) = object.get("type") {
        assert!(kind.is_string(), "{name}: type is {kind}");
    }
    for (key, value) in object {
        assert!(!value.is_null(), "{name}: {key} is null");
        assert!(
            !matches!(
                key.as_str(),
                "@graph" | "@included" | "@reverse" | "bto" | "bcc"
            ),
            "{name}: {key}"
        );
    }
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let time =
        |key: &str| text(key).map(|text| chrono::DateTime::parse_from_rfc3339(text).unwrap());
    if let (Some(published), Some(updated)) = (time("published"), time("updated")) {
        // GoToSocial takes an older one for malformed.
        assert!(
            updated >= published,
            "{name}: updated before it was published"
        );
    }
    if let Some(url) = object.get("url") {
        assert!(
            url.as_str().is_some_and(|url| url.starts_with("https://")),
            "{name}: url is {url}"
        );
    }
    // Options and votes are to be taken for such, and a receipt is read by hubs alone.
    let is_ballot = object.contains_key("mo:choice") || text("mo:kind") == Some("mo:VoteReceipt");
    if !is_ballot
        && matches!(
            text("type"),
            Some("Note" | "Article" | "Question" | "Event" | "Page")
        )
    {
        // A Note without content is a vote to GoToSocial.
        assert!(
            text("content").is_some_and(|content| !content.is_empty()),
            "{name}: no content"
        );
        assert!(
            text("name").is_none_or(|name| name.chars().count() <= 200),
            "{name}: a long title"
        );
        assert!(object["attributedTo"].is_string(), "{name}: attributedTo");
        for mention in object
            .get("tag")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if mention["type"] == "Mention" {
                let named = ["to", "cc"]
                    .iter()
                    .filter_map(|key| object[*key].as_array())
                    .flatten();
                assert!(
                    named.into_iter().any(|to| *to == mention["href"]),
                    "{name}: mentioned, not addressed"
                );
            }
        }
        // Lemmy: a list of Link{href}, Image{url}, Document{url}, and one that is not fails the whole post.
        for item in object
            .get("attachment")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let place = match item["type"].as_str() {
                Some("Link") => "href",
                Some("Image" | "Document") => "url",
                other => panic!("{name}: attached {other:?}"),
            };
            assert!(item[place].is_string(), "{name}: attached without {place}");
        }
        let audience: Vec<&Value> = ["to", "cc"]
            .iter()
            .filter_map(|key| object.get(*key)?.as_array())
            .flatten()
            .collect();
        assert!(!audience.is_empty(), "{name}: for nobody");
    }
    if matches!(
        text("type"),
        Some("Person" | "Group" | "Organization" | "Service" | "Application")
    ) && object.contains_key("inbox")
    {
        for key in [
            "id",
            "inbox",
            "outbox",
            "preferredUsername",
            "name",
            "followers",
        ] {
            assert!(text(key).is_some(), "{name}: {key}");
        }
        assert!(
            object["publicKey"].is_object(),
            "{name}: one key, not a list (Lemmy)"
        );
        assert_eq!(object["publicKey"]["owner"], object["id"], "{name}");
        assert_eq!(
            object["publicKey"]["id"],
            json!(format!("{}#main-key", text("id").unwrap())),
            "{name}"
        );
        assert!(object["endpoints"]["sharedInbox"].is_string(), "{name}");
    }
    if is_top && object.contains_key("@context") {
        let context = object["@context"].to_string();
        assert!(
            context.contains("https://www.w3.org/ns/activitystreams"),
            "{name}: Mastodon looks for the word"
        );
        if object.contains_key("actor") {
            assert!(text("id").is_some() && text("actor").is_some(), "{name}");
            let to_all = object.get("to").map(Value::to_string).unwrap_or_default();
            assert!(
                !to_all.contains("as:Public")
                    && (!to_all.contains("#Public") || to_all.contains(PUBLIC)),
                "{name}: {to_all}"
            );
        }
    }
    for value in object.values() {
        match value {
            Value::Array(values) => values.iter().for_each(|value| strict(name, value, false)),
            value => strict(name, value, false),
        }
    }
}

/// What stands in FEDERATION.md between marks, made from the files.
fn blocks() -> HashMap<&'static str, String> {
    let files: HashMap<String, Value> = all().into_iter().collect();
    let listed = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let example = |name: &str| {
        let text = serde_json::to_string_pretty(&files[name]).unwrap();
        format!("```json\n{text}\n```\n")
    };

    let mut actors =
        String::from("| actor | `type` | `mo:kind` | beside what all have |\n|---|---|---|---|\n");
    let shared: Vec<&String> = files["person"].as_object().unwrap().keys().collect();
    for (name, what) in [
        ("person", "an account"),
        ("agent", "an agent of somebody's"),
        ("dao", "a DAO"),
        ("channel", "a public room"),
        ("node", "the server itself"),
    ] {
        let document = files[name].as_object().unwrap();
        let own: Vec<&str> = document
            .keys()
            .filter(|key| !shared.contains(key))
            .map(String::as_str)
            .collect();
        let own = if own.is_empty() {
            "–".to_owned()
        } else {
            listed(&own)
        };
        let kind = document["type"].as_str().unwrap();
        let of_hub = document["mo:kind"].as_str().unwrap();
        actors += &format!("| {what} | `{kind}` | `{of_hub}` | {own} |\n");
    }

    let mut said: Vec<String> = files
        .values()
        .filter(|document| document.get("actor").is_some())
        .map(|document| {
            let object = &document["object"];
            let about = match object["type"].as_str() {
                Some(kind) => format!("`{kind}`"),
                None => "an id".to_owned(),
            };
            format!("| `{}` | {about} |\n", document["type"].as_str().unwrap())
        })
        .collect();
    said.sort();
    said.dedup();
    let activities = format!("| activity | object |\n|---|---|\n{}", said.concat());

    HashMap::from([
        ("actors", actors),
        ("activities", activities),
        ("person", example("person")),
        ("accept_follow", example("accept_follow")),
        ("changes_page", example("changes_page")),
    ])
}

#[test]
fn federation_md_says_what_the_golden_files_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/FEDERATION.md");
    let paper = std::fs::read_to_string(path).unwrap();
    let blocks = blocks();
    let mut told = String::new();
    let mut rest = paper.as_str();
    let mut found = 0;
    while let Some(at) = rest.find("<!-- golden: ") {
        let open = at + rest[at..].find("-->").unwrap() + "-->".len();
        let name = rest[at..open]
            .trim_start_matches("<!-- golden: ")
            .trim_end_matches(" -->");
        let close = open + rest[open..].find("<!-- golden end -->").unwrap();
        told += &rest[..open];
        told += &format!("\n{}", blocks[name]);
        rest = &rest[close..];
        found += 1;
    }
    told += rest;
    assert_eq!(found, blocks.len());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &told).unwrap();
    }
    let paper = std::fs::read_to_string(path).unwrap();
    assert!(
        paper == told,
        "FEDERATION.md is not what the golden files say; UPDATE_GOLDEN=1 writes it anew"
    );

    // Whatever is said of addresses and settings is really there.
    for word in ["authorized_fetch", "handle_domain"] {
        assert!(
            made_open::base::config::SETTINGS
                .iter()
                .any(|setting| setting.name == word),
            "{word}"
        );
    }
    assert!(
        made_open::fed::vocab::HUB == "https://w3id.org/made-open/hub/v1"
            && paper.contains(made_open::fed::vocab::HUB)
    );
}
