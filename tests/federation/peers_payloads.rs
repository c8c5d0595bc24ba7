//! What servers of other makes send, in their shapes (tests/fixtures/wire/peers), taken as it should be: a 202, the right
//! effect, and for what the hub has no use for, a stored copy and nothing else.

use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Keys, Peer, Peers, Scheme};

#[tokio::test]
async fn mastodon() {
    takes("mastodon", Scheme::Cavage).await;
}

#[tokio::test]
async fn gotosocial() {
    takes("gotosocial", Scheme::Cavage).await;
}

#[tokio::test]
async fn lemmy() {
    takes("lemmy", Scheme::Cavage).await;
}

#[tokio::test]
async fn mobilizon() {
    takes("mobilizon", Scheme::Cavage).await;
}

#[tokio::test]
async fn mitra() {
    takes("mitra", Scheme::Rfc9421).await;
}

#[tokio::test]
async fn flohmarkt() {
    takes("flohmarkt", Scheme::Cavage).await;
}

#[tokio::test]
async fn bonfire() {
    takes("bonfire", Scheme::Rfc9421).await;
}

/// Send everything of a fixture, one after the other, and look what became of it.
async fn takes(software: &str, scheme: Scheme) {
    let name = format!("{software}.peer.test");
    let peers = Peers::start(&[&name]);
    let peer = peers.peer(&name);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let alice = hub.member("alice").await;
    let note = hub
        .posts(&alice, json!({ "content": "A **blue** bike" }))
        .await;
    let note = hub.url_of(&note).await;
    let path = format!(
        "{}/tests/fixtures/wire/peers/{software}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let fixture: Value = serde_json::from_str(&text).unwrap();
    let filled =
        |value: &Value, who: Option<&Actor>| filled(value, &peer, &alice, &hub, &note, who);

    let mut people = std::collections::HashMap::new();
    for (name, person) in fixture["people"].as_object().unwrap() {
        people.insert(name.clone(), make(&peer, name, person, &filled));
    }
    if let Some(serve) = fixture.get("serve") {
        let first = people.values().next().unwrap();
        for (path, document) in serve.as_object().unwrap() {
            peer.serve(path, &filled(document, Some(first)));
        }
    }
    // What nobody here follows and what is not about anybody here is not wanted.
    let first = fixture["people"].as_object().unwrap().keys().next();
    let followed = fixture["followed"].as_str().or(first.map(String::as_str));
    follows(&hub, &alice, &people[followed.unwrap()]).await;

    for case in fixture["cases"].as_array().unwrap() {
        let what = format!("{software}: {}", case["name"].as_str().unwrap());
        let from = &people[case["as"].as_str().unwrap()];
        for (path, document) in case["serve"].as_object().into_iter().flatten() {
            peer.serve(path, &filled(document, None));
        }
        let mut activity = filled(&case["activity"], None);
        if fixture["proof"] == true {
            activity = from.proved(&activity);
        }
        let inbox = format!("{}/inbox", alice.actor);
        let told = from.send_by(scheme, &inbox, activity.to_string()).await;
        assert_eq!(told.status, 202, "{what}: {}", told.body);
        let id = activity["id"].as_str().unwrap();
        settled(&hub, &what, id).await;
        looks(&hub, &what, &peer, &filled(case, None), from).await;
    }
    let panics = hub.hub.cli(&["doctor", "--json"], None);
    assert!(panics.is_ok(), "{panics:?}");
}

/// Somebody of a fixture: a path of their own, keys of their own.
fn make(
    peer: &Peer,
    name: &str,
    person: &Value,
    filled: &impl Fn(&Value, Option<&Actor>) -> Value,
) -> Actor {
    let keys = Keys::fresh();
    let path = person["path"].as_str().unwrap();
    let id = format!("{}{path}", peer.origin());
    let mut more = json!({
        "id": id, "inbox": format!("{id}/inbox"), "outbox": format!("{id}/outbox"),
        "followers": format!("{id}/followers"), "following": format!("{id}/following"),
        "publicKey": { "id": format!("{id}#main-key"), "owner": id, "publicKeyPem": keys.pem() },
        "assertionMethod": [{ "id": format!("{id}#ed25519-key"), "type": "Multikey", "controller": id, "publicKeyMultibase": keys.multikey() }],
    });
    let given = person["more"].as_object().unwrap().clone();
    more.as_object_mut().unwrap().extend(given);
    let kind = person["type"].as_str().unwrap();
    let plain = peer.actor(kind, name, keys, json!({ "id": id }));
    let more = filled(&more, Some(&plain));
    let mut actor = peer.actor(kind, name, plain.keys, more);
    peer.serve(path, &actor.document);
    if let Some(key) = actor.document["publicKey"]["id"].as_str() {
        actor.key_id = key.to_owned();
    }
    actor
}

/// A fixture's text with its placeholders filled.
fn filled(
    value: &Value,
    peer: &Peer,
    alice: &Member,
    hub: &Hub,
    note: &str,
    who: Option<&Actor>,
) -> Value {
    let now = chrono::Utc::now();
    let pem = who.map(|who| who.keys.pem()).unwrap_or_default();
    let at = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let words = [
        ("{peer}", peer.origin()),
        ("{host}", peer.host.clone()),
        ("{hub}", hub.public.clone()),
        ("{alice}", alice.actor.clone()),
        ("{alice_handle}", alice.handle.clone()),
        ("{alice_note}", note.to_owned()),
        ("{now}", at(now)),
        ("{now_ms}", now.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        ("{now_us}", now.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
        ("{later}", at(now + chrono::TimeDelta::seconds(60))),
        ("{tomorrow}", at(now + chrono::TimeDelta::days(1))),
        ("{pem}", pem.replace('\n', "\\n")),
    ];
    let mut text = value.to_string();
    for (word, meaning) in words {
        text = text.replace(word, &meaning);
    }
    serde_json::from_str(&text).unwrap()
}

async fn follows(hub: &Hub, alice: &Member, whom: &Actor) {
    hub.rpc(
        &alice.person,
        "follows_request",
        json!({ "actor": whom.id }),
    )
    .await;
    let follow = whom.peer.wait("Follow", 1).await.remove(0).json;
    let accept = whom.activity("Accept", json!({ "object": follow, "to": [alice.actor] }));
    let told = whom.send(&hub.shared_inbox(), &accept).await;
    assert_eq!(told.status, 202, "{}", told.body);
    hub.counts(
        "select count(*) from follows where direction = 'out' and state = 'accepted'",
        1,
    )
    .await;
}

/// Wait until the hub is done with an activity; if it keeps a row of it, the row has come to an end that is no failure.
async fn settled(hub: &Hub, what: &str, id: &str) {
    let id = id.replace('\'', "''");
    hub.counts(
        &format!("select count(*) from ap_received where uri = '{id}' and state = 'waiting'"),
        0,
    )
    .await;
    let state = hub
        .text(&format!(
            "select state || coalesce(': ' || reason, '') from ap_received where uri = '{id}'"
        ))
        .await;
    let state = state.unwrap_or_default();
    assert!(!state.starts_with("dead"), "{what}: {state}");
    eprintln!("{what}: {state}");
}

async fn looks(hub: &Hub, what: &str, peer: &Peer, case: &Value, from: &Actor) {
    if let Some(expected) = case.get("post") {
        let uri = expected["uri"].as_str().unwrap();
        let row = hub
            .text(&format!(
                "select to_jsonb(p)::text from posts p where federated_ap_id = '{uri}'"
            ))
            .await
            .unwrap_or_else(|| panic!("{what}: no post {uri}"));
        let row: Value = serde_json::from_str(&row).unwrap();
        for (column, value) in expected.as_object().unwrap() {
            match column.strip_suffix('~') {
                Some(column) => {
                    let text = row[column].as_str().unwrap();
                    assert!(text.contains(value.as_str().unwrap()), "{what}: {row}");
                }
                None if column == "uri" => {}
                None => assert_eq!(row[column], *value, "{what}: {column} of {row}"),
            }
        }
    }
    if let Some(uri) = case["no_post"].as_str() {
        let found = format!("select count(*) from posts where federated_ap_id = '{uri}'");
        assert_eq!(hub.count(&found).await, 0, "{what}");
    }
    for (key, expected) in [("reaction", 1), ("no_reaction", 0)] {
        if let Some(kind) = case[key]["type"].as_str() {
            let found = format!(
                "select count(*) from reactions r join ap_actors a on a.id = r.actor_id where r.direction = 'in' and r.type = '{kind}' and a.uri = '{}'",
                from.id
            );
            assert_eq!(hub.count(&found).await, expected, "{what}");
        }
    }
    if let Some(text) = case["message"]["content~"].as_str() {
        let found = format!("select count(*) from messages where body like '%{text}%'");
        assert_eq!(hub.count(&found).await, 1, "{what}");
        let public = format!(
            "select count(*) from posts where content like '%{text}%' and visibility in ('public', 'unlisted')"
        );
        assert_eq!(hub.count(&public).await, 0, "{what}");
    }
    for (table, expected) in case["count"].as_object().into_iter().flatten() {
        let found = hub.count(&format!("select count(*) from {table}")).await;
        assert_eq!(found, expected.as_i64().unwrap(), "{what}: {table}");
    }
    if let Some(kind) = case["sent"].as_str() {
        let id = case["activity"]["id"].as_str().unwrap();
        let sent = peer.wait(kind, 1).await;
        let answers = |it: &Value| it["object"] == id || it["object"]["id"] == id;
        let start = std::time::Instant::now();
        while !peer.taken(kind).iter().any(|it| answers(&it.json)) {
            assert!(
                start.elapsed() < std::time::Duration::from_secs(20),
                "{what}: no {kind} of {id}: {sent:?}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    if let Some(uri) = case["gone"].as_str() {
        let found =
            format!("select count(*) from ap_actors where uri = '{uri}' and deleted_at is null");
        assert_eq!(hub.count(&found).await, 0, "{what}");
        let found = format!(
            "select count(*) from posts p join ap_actors a on a.id = p.origin_actor_id where a.uri = '{uri}'"
        );
        assert_eq!(hub.count(&found).await, 0, "{what}");
    }
}
