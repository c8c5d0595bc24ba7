//! What other servers read: who gets which form of a document, what caches are told, what is gone, what only its audience
//! sees, and that nothing private stands in anything public.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};
use crate::support::peer::{ACTIVITY, Actor, Keys, Peers, Scheme, Told, client};

const HUB_CONTRACT: &str = "https://w3id.org/made-open/hub/v1";

/// Make a peer's actor known to a hub, as if it had been looked up.
pub async fn acquaint(hub: &Hub, actor: &Actor) {
    let admin = hub.hub.database.admin().await;
    let document = actor.document.to_string();
    let kind = actor.document["type"].as_str().unwrap();
    let inbox = actor.document["inbox"].as_str().unwrap();
    admin
        .execute(
            "with made as (insert into ap_actors (uri, type, preferred_username, host, inbox_url, document) \
             values ($1, $2, $3, $4, $5, $6) on conflict (uri) do update set document = excluded.document returning id) \
             insert into ap_keys (actor_id, key_uri, algorithm, public_key) select made.id, k.uri, k.kind, k.text from made, \
             (values ($7::text, 'rsa', $8::text), ($9::text, 'ed25519', $10::text)) k (uri, kind, text) on conflict do nothing",
            &[
                &actor.id,
                &kind,
                &actor.name,
                &actor.peer.host,
                &inbox,
                &document,
                &actor.key_id,
                &actor.keys.pem(),
                &format!("{}#ed25519-key", actor.id),
                &actor.keys.multikey(),
            ],
        )
        .await
        .unwrap();
}

/// The actor of a peer that is a hub itself.
pub fn node_of(peers: &Peers, host: &str) -> Actor {
    let peer = peers.peer(host);
    let id = format!("{}/ap/actor", peer.origin());
    let more = json!({
        "id": id,
        "implements": [{ "type": "Link", "href": HUB_CONTRACT, "name": "Hub contract v1" }],
        "mo:kind": "mo:Node", "mo:changes": format!("{}/ap/changes", peer.origin()),
    });
    peer.actor("Application", "node", Keys::fresh(), more)
}

/// Let somebody elsewhere follow one of the hub.
async fn let_follow(hub: &Hub, whom: &str, who: &str) {
    let admin = hub.hub.database.admin().await;
    admin
        .execute(
            "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
             select l.row_id, l.id, r.id, 'in', 'accepted', now() from ap_actors l, ap_actors r where l.uri = $1 and r.uri = $2",
            &[&whom, &who],
        )
        .await
        .unwrap();
}

async fn asked(hub: &Hub, method: Method, path: &str, headers: &[(&str, &str)]) -> Told {
    let path = path.strip_prefix(&hub.public).unwrap_or(path);
    let mut request = client()
        .request(method, format!("{}{path}", hub.hub.url))
        .header("Host", &hub.host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Told::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn servers_get_the_document_and_people_the_page() {
    let hub = Hub::start("a", "", &[]).await;
    let alice = hub.member("alice").await;
    let page = format!("{}/@alice", hub.public);
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    for (accept, is_document) in [
        (Some("application/activity+json"), true),
        (Some("application/activity+json, application/ld+json"), true),
        (
            Some("application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\""),
            true,
        ),
        (
            Some(
                "application/activity+json, application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
            ),
            true,
        ),
        (Some("application/ld+json"), true),
        (Some("application/json"), true),
        (Some("APPLICATION/Activity+JSON"), true),
        (Some("*/*"), true),
        (Some("application/*"), true),
        (None, true),
        (Some(""), true),
        (Some("image/png"), true),
        (Some("text/html"), false),
        (Some(browser), false),
        (Some("text/html;q=0.5, application/activity+json"), true),
        (Some("application/activity+json;q=0.5, text/html"), false),
        (
            Some("application/activity+json;q=0.4, text/html;q=0.5"),
            false,
        ),
        (Some("text/html;q=0, application/activity+json;q=0.1"), true),
        (Some("text/html, application/activity+json;q=0"), false),
        (Some("application/activity+json;q=x, text/html;q=0.9"), true),
    ] {
        let headers: Vec<(&str, &str)> = accept.iter().map(|accept| ("Accept", *accept)).collect();
        // Twice: the second answer may come from a shelf.
        for _ in 0..2 {
            let told = asked(&hub, Method::GET, &alice.actor, &headers).await;
            assert_eq!(told.header("vary"), Some("Accept, Signature"), "{accept:?}");
            if is_document {
                assert_eq!(told.status, 200, "{accept:?}: {told:?}");
                assert_eq!(told.header("content-type"), Some(ACTIVITY), "{accept:?}");
            } else {
                assert_eq!(told.status, 302, "{accept:?}: {told:?}");
                assert_eq!(told.header("location"), Some(page.as_str()));
            }
        }
    }

    // The page's address leads servers to the document.
    let told = asked(&hub, Method::GET, "/@alice", &[("Accept", ACTIVITY)]).await;
    assert_eq!(
        (told.status, told.header("location")),
        (303, Some(alice.actor.as_str()))
    );
    let told = asked(&hub, Method::GET, "/@alice", &[("Accept", browser)]).await;
    assert_eq!(told.status, 200);
    assert!(
        told.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
}

#[tokio::test]
async fn documents_have_tags_and_are_read_by_head_as_well() {
    let hub = Hub::start("a", "", &[]).await;
    let alice = hub.member("alice").await;
    let accept = ("Accept", ACTIVITY);
    for path in [
        alice.actor.clone(),
        format!("{}/outbox", alice.actor),
        format!("{}/followers", alice.actor),
        "/ap/actor".to_owned(),
    ] {
        let told = asked(&hub, Method::GET, &path, &[accept]).await;
        assert_eq!(told.status, 200, "{path}: {told:?}");
        assert_eq!(told.header("cache-control"), Some("max-age=60"), "{path}");
        assert_eq!(
            told.header("access-control-allow-origin"),
            Some("*"),
            "{path}"
        );
        assert_eq!(
            told.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        let tag = told.header("etag").unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");

        for same in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            "*".to_owned(),
        ] {
            let again = asked(
                &hub,
                Method::GET,
                &path,
                &[accept, ("If-None-Match", &same)],
            )
            .await;
            assert_eq!(
                (again.status, again.body.as_str()),
                (304, ""),
                "{path} {same}"
            );
            assert_eq!(again.header("etag"), Some(tag.as_str()));
            assert_eq!(again.header("vary"), Some("Accept, Signature"));
        }
        let other = asked(
            &hub,
            Method::GET,
            &path,
            &[accept, ("If-None-Match", "\"other\"")],
        )
        .await;
        assert_eq!(other.status, 200, "{path}");

        let head = asked(&hub, Method::HEAD, &path, &[accept]).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("etag"), Some(tag.as_str()));
        assert_eq!(head.header("content-type"), Some(ACTIVITY));
    }

    // A change is seen at once, and has another tag.
    let before = asked(&hub, Method::GET, &alice.actor, &[accept]).await;
    let changes = json!({ "id": before.json()["id"].as_str().unwrap().rsplit('/').next().unwrap(), "changes": { "summary": "Repairs bikes." } });
    hub.rpc(&alice.person, "actors_update", changes).await;
    let tag = before.header("etag").unwrap().to_owned();
    hub.until("the change is seen", async || {
        let told = asked(
            &hub,
            Method::GET,
            &alice.actor,
            &[accept, ("If-None-Match", &tag)],
        )
        .await;
        (told.status == 200
            && told.json()["summary"]
                .as_str()
                .unwrap_or_default()
                .contains("Repairs"))
        .then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_gone_says_so_and_what_never_was_does_not() {
    let hub = Hub::start("a", "", &[]).await;
    let alice = hub.member("alice").await;
    let agent = json!({ "name": "Errand" });
    let agent = alice.person.adds(&hub.hub, "agents", agent).await;
    let shown = json!({ "kind": "agent", "id": agent["id"], "handle": "errand" });
    let shown = hub.rpc(&alice.person, "actors_publish", shown).await;
    let uri = shown["uri"].as_str().unwrap().to_owned();
    assert_eq!(hub.ask(&uri).await.status, 200);
    let which = json!({ "id": shown["id"] });
    hub.rpc(&alice.person, "actors_withdraw", which).await;

    let told = hub
        .until("the actor is gone", async || {
            let told = hub.ask(&uri).await;
            (told.status == 410).then_some(told)
        })
        .await;
    assert_eq!(told.header("content-type"), Some(ACTIVITY));
    let stone = told.json();
    assert_eq!(stone["type"], "Tombstone");
    assert_eq!(stone["id"], json!(uri));
    assert_eq!(stone["formerType"], "Service");
    assert!(stone["deleted"].is_string());
    let mut keys: Vec<&String> = stone.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["@context", "deleted", "formerType", "id", "type"]);
    assert_eq!(hub.ask(&format!("{uri}/outbox")).await.status, 404);
    let acct = format!("/.well-known/webfinger?resource=acct:errand@{}", hub.host);
    assert_eq!(hub.ask(&acct).await.status, 404);

    for never in [
        "/ap/actors/0193a1b2-0000-7000-8000-000000000000",
        "/ap/actors/nobody",
        "/ap/actors/..%2f..%2fetc",
        "/ap/activities/0193a1b2-0000-7000-8000-000000000000",
        "/ap/unheard/0193a1b2-0000-7000-8000-000000000000",
        "/ap/actor/secrets",
    ] {
        assert_eq!(hub.ask(never).await.status, 404, "{never}");
    }
    // An actor is only where its id says: not below another kind's path.
    let bob = hub.member("bob").await;
    let elsewhere = bob.actor.replace("/actors/", "/groups/");
    assert_eq!(hub.ask(&elsewhere).await.status, 404);
    assert_eq!(hub.ask(&format!("{elsewhere}/outbox")).await.status, 404);
}

#[tokio::test]
async fn collections_have_pages_of_forty_with_the_newest_first() {
    let hub = Hub::start("a", "", &[]).await;
    let alice = hub.member("alice").await;
    let admin = hub.hub.database.admin().await;
    admin
        .execute(
            "with made as (insert into ap_actors (uri, type, preferred_username, host, inbox_url) \
             select 'https://masto.example/users/' || n, 'Person', 'u' || n, 'masto.example', 'https://masto.example/inbox' \
             from generate_series(1, 85) n returning id, uri) \
             insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at, id) \
             select l.row_id, l.id, made.id, 'in', case when split_part(made.uri, '/', 5)::int > 82 then 'pending' else 'accepted' end, now(), \
             ('0193a1b2-0000-7000-8000-' || lpad(split_part(made.uri, '/', 5), 12, '0'))::uuid from made, ap_actors l where l.uri = $1",
            &[&alice.actor],
        )
        .await
        .unwrap();

    let uri = format!("{}/followers", alice.actor);
    let whole = hub.ask(&uri).await.json();
    assert_eq!(whole["type"], "OrderedCollection");
    assert_eq!(whole["totalItems"], 82);
    assert_eq!(whole["attributedTo"], json!(alice.actor));
    let mut at = whole["first"].as_str().unwrap().to_owned();
    let mut sizes = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let page = hub.ask(&at).await.json();
        assert_eq!(page["type"], "OrderedCollectionPage");
        assert_eq!(page["partOf"], json!(uri));
        assert_eq!(page["id"], json!(at));
        assert_eq!(page["attributedTo"], json!(alice.actor));
        let items = page["orderedItems"].as_array().unwrap();
        sizes.push(items.len());
        seen.extend(items.iter().map(|item| item.as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => at = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(sizes, [40, 40, 2]);
    let expected: Vec<String> = (1..=82)
        .rev()
        .map(|n| format!("https://masto.example/users/{n}"))
        .collect();
    assert_eq!(seen, expected);

    // Hidden followers are only a number.
    let id = alice.actor.rsplit('/').next().unwrap();
    hub.rpc(
        &alice.person,
        "actors_update",
        json!({ "id": id, "changes": { "hides_followers": true } }),
    )
    .await;
    for name in ["followers", "following"] {
        let uri = format!("{}/{name}", alice.actor);
        let whole = hub.ask(&uri).await.json();
        assert!(
            whole.get("first").is_none() && whole.get("orderedItems").is_none(),
            "{whole}"
        );
        assert_eq!(hub.ask(&format!("{uri}?page=true")).await.status, 404);
    }

    // What came in is nobody else's to read; garbage for a cursor begins at the beginning.
    for name in ["inbox", "featured", "outbox"] {
        let told = hub.ask(&format!("{}/{name}", alice.actor)).await.json();
        assert_eq!(told["totalItems"], 0, "{told}");
        assert_eq!(told["orderedItems"], json!([]), "{told}");
    }
    for odd in ["x", "%27", "-1", "99999999999999999999", "%00"] {
        let told = hub
            .ask(&format!("{}/outbox?page=true&after={odd}", alice.actor))
            .await;
        assert_eq!(told.status, 200, "{odd}: {told:?}");
    }
}

#[tokio::test]
async fn s_53_no_other_door_answers_as_activitypub() {
    let hub = Hub::start("a", "", &[]).await;
    let alice = hub.member("alice").await;
    // What somebody stores is his text, whatever it says it is and whatever the reader would like it to be.
    let forged = json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "Note", "id": format!("{}/rest/v1/posts", hub.public) });
    let path = format!("/rest/v1/profiles?id=eq.{}", alice.person.id);
    alice
        .person
        .ask(&hub.hub, Method::PATCH, &path)
        .json(&json!({ "full_name": forged.to_string() }))
        .send()
        .await
        .unwrap();
    for path in [
        "/rest/v1/profiles",
        "/rest/v1/posts",
        "/rest/v1/unheard",
        "/auth/v1/settings",
        "/auth/v1/health",
        "/api/kinds",
        "/openapi.json",
        "/livez",
        "/",
        "/first",
        "/storage/v1/object/public/a.json",
        "/@alice/a.json",
        "/nothing",
    ] {
        for accept in [
            ACTIVITY,
            "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
        ] {
            let told = alice
                .person
                .ask(&hub.hub, Method::GET, path)
                .header("Accept", accept)
                .send()
                .await
                .unwrap();
            let told = Told::of(told).await;
            let kind = told
                .header("content-type")
                .unwrap_or_default()
                .to_lowercase();
            // JSON-LD without the profile is no ActivityPub to anybody (S-52).
            let is_activity = kind.contains("activity+json")
                || (kind.contains("ld+json") && kind.contains("activitystreams"));
            assert!(!is_activity, "{path}: {kind}");
            assert_eq!(
                told.header("x-content-type-options"),
                Some("nosniff"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn s_87_what_is_private_is_there_for_its_audience_alone() {
    let peers = Peers::start(&["p1.peer.test", "p2.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let alice = hub.member("alice").await;
    let other = hub.member("bob").await;
    let named = peers.peer("p1.peer.test").person("named");
    let same_host = peers.peer("p1.peer.test").person("neighbour");
    let stranger = peers.peer("p2.peer.test").person("stranger");
    for actor in [&named, &same_host, &stranger] {
        acquaint(&hub, actor).await;
    }
    let_follow(&hub, &other.actor, &same_host.id).await;
    // Somebody follows; what he says is for the other alone.
    hub.rpc(
        &alice.person,
        "follows_request",
        json!({ "actor": named.id }),
    )
    .await;
    let uri = hub
        .text("select uri from ap_activities where type = 'Follow'")
        .await
        .unwrap();
    let nowhere = format!("{}/ap/activities/{}", hub.public, uuid::Uuid::now_v7());

    let told = named.get(&uri).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(told.json()["id"], json!(uri));
    assert_eq!(told.header("cache-control"), Some("private, no-store"));

    let unknown = hub.ask(&nowhere).await;
    assert_eq!(unknown.status, 404);
    let mut answers = vec![("unsigned", hub.ask(&uri).await)];
    answers.push(("a stranger", stranger.get(&uri).await));
    answers.push((
        "a neighbour who follows somebody else",
        same_host.get(&uri).await,
    ));
    let session = alice.person.ask(
        &hub.hub,
        Method::GET,
        uri.strip_prefix(&hub.public).unwrap(),
    );
    let session = session.header("Accept", ACTIVITY).send().await.unwrap();
    answers.push(("a session", Told::of(session).await));
    // A signature that is not the audience's, or is for another address, is none.
    answers.push(("another key", forged(&named).get(&uri).await));
    let mut borrowed = client().get(&uri).header("Accept", ACTIVITY);
    for (name, value) in named.signed(Scheme::Cavage, "GET", &nowhere, None) {
        borrowed = borrowed.header(name, value);
    }
    answers.push((
        "signed for another path",
        Told::of(borrowed.send().await.unwrap()).await,
    ));
    for (who, told) in answers {
        assert_eq!((told.status, &told.body), (404, &unknown.body), "{who}");
        assert_eq!(
            told.header("content-type"),
            unknown.header("content-type"),
            "{who}"
        );
        assert_eq!(told.header("vary"), unknown.header("vary"), "{who}");
    }

    // By RFC 9421 as well, and by HEAD.
    let mut request = client().get(&uri).header("Accept", ACTIVITY);
    for (name, value) in named.signed(Scheme::Rfc9421, "GET", &uri, None) {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
    let mut request = client().head(&uri).header("Accept", ACTIVITY);
    for (name, value) in named.signed(Scheme::Cavage, "HEAD", &uri, None) {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn s_91_with_authorized_fetch_only_servers_that_are_welcome_read() {
    let peers = Peers::start(&["good.peer.test", "bad.peer.test"]);
    let settings = [("MADE_OPEN_AUTHORIZED_FETCH", "on")];
    let hub = Hub::start("a", &peers.resolve(), &settings).await;
    let alice = hub.member("alice").await;
    let good = peers.peer("good.peer.test").person("ann");
    let bad = peers.peer("bad.peer.test").person("mallory");
    let gone = peers.peer("good.peer.test").person("suspended");
    for actor in [&good, &bad, &gone] {
        acquaint(&hub, actor).await;
    }
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "insert into ap_domains (domain, policy) values ('peer.test', 'limit'), ('bad.peer.test', 'block'); \
             update ap_actors set suspended_at = now() where uri = '{}'",
            gone.id
        ))
        .await
        .unwrap();

    for path in ["", "/outbox", "/followers", "/outbox?page=true"] {
        let url = format!("{}{path}", alice.actor);
        let told = hub.ask(&url).await;
        assert_eq!(told.status, 401, "{path}: {told:?}");
        assert!(
            told.header("accept-signature")
                .unwrap()
                .contains("@target-uri")
        );
        let told = good.get(&url).await;
        assert_eq!(told.status, 200, "{path}: {told:?}");
        // No cache in between hands it to whoever did not sign.
        assert_eq!(told.header("cache-control"), Some("private, no-store"));
        assert_eq!(bad.get(&url).await.status, 403, "{path}");
        assert_eq!(gone.get(&url).await.status, 403, "{path}");
        assert_eq!(forged(&good).get(&url).await.status, 401, "{path}");
        assert_eq!(hub.ask(&url).await.status, 401, "{path}: from the shelf");
    }
    // Or nobody could ever check a signature.
    let told = hub.ask("/ap/actor").await;
    assert_eq!(
        (told.status, told.header("cache-control")),
        (200, Some("max-age=60"))
    );
    assert_eq!(hub.ask("/ap/actor/outbox").await.status, 401);
    let page = asked(&hub, Method::GET, &alice.actor, &[("Accept", "text/html")]).await;
    assert_eq!(page.status, 302);
    let acct = format!("/.well-known/webfinger?resource=acct:alice@{}", hub.host);
    assert_eq!(hub.ask(&acct).await.status, 200);
}

#[tokio::test]
async fn s_93_nothing_private_stands_in_a_public_answer() {
    let hub = Hub::start("a", "", &[]).await;
    let alice = hub.member("alice").await;
    let admin = hub.hub.database.admin().await;
    // Every text column of the account and its profile that is not shown by name gets a secret of its own.
    let mut secrets = vec![alice.person.id.to_string(), "alice@example.org".to_owned()];
    for table in ["users", "profiles", "user_profile"] {
        let key = if table == "user_profile" {
            "user_id"
        } else {
            "id"
        };
        let columns = admin
            .query(
                "select column_name::text from information_schema.columns where table_schema = 'public' and table_name = $1 \
                 and data_type = 'text' and is_generated = 'NEVER'",
                &[&table],
            )
            .await
            .unwrap();
        for column in columns {
            let column: String = column.get(0);
            if ["handle", "full_name", "name", "avatar_url"].contains(&column.as_str()) {
                continue;
            }
            let secret = format!("SECRET-{table}-{column}");
            let seeded = admin
                .execute(
                    &format!("update public.{table} set {column} = $1 where {key}::text = $2"),
                    &[&secret, &alice.person.id.to_string()],
                )
                .await;
            // What a constraint keeps is known by its form already.
            if seeded.is_ok() {
                secrets.push(secret);
            }
        }
    }
    assert!(secrets.len() > 4, "nothing was seeded: {secrets:?}");
    let id = alice.actor.rsplit('/').next().unwrap();
    hub.rpc(
        &alice.person,
        "actors_update",
        json!({ "id": id, "changes": { "summary": "Hello" } }),
    )
    .await;
    let rows = admin
        .query("select k.id::text, k.secret_id::text from ap_keys k union all select s.id::text, s.purpose from vault_secrets s", &[])
        .await
        .unwrap();
    secrets.extend(
        rows.iter()
            .flat_map(|row| [row.get::<_, String>(0), row.get(1)]),
    );
    secrets.push("PRIVATE KEY".to_owned());

    let acct = format!("/.well-known/webfinger?resource=acct:alice@{}", hub.host);
    let mut paths: Vec<String> = [
        "",
        "/outbox",
        "/outbox?page=true",
        "/followers",
        "/following",
        "/featured",
        "/inbox",
    ]
    .iter()
    .map(|part| format!("{}{part}", alice.actor))
    .collect();
    paths.extend([
        acct,
        "/@alice".into(),
        "/ap/actor".into(),
        "/.well-known/nodeinfo".into(),
        "/nodeinfo/2.0".into(),
    ]);
    paths.extend([
        "/nodeinfo/2.1".into(),
        "/.well-known/host-meta".into(),
        "/ns/hub/v1".into(),
        "/ap/actor/outbox".into(),
    ]);
    for path in paths {
        for accept in [ACTIVITY, "text/html"] {
            let told = asked(&hub, Method::GET, &path, &[("Accept", accept)]).await;
            let whole = format!("{:?} {}", told.headers, told.body);
            for secret in &secrets {
                assert!(
                    !whole.contains(secret.as_str()),
                    "{path} shows {secret}: {whole}"
                );
            }
        }
    }

    // What stands in it is a list, not whatever the row has.
    let document = hub.ask(&alice.actor).await.json();
    let allowed = [
        "@context",
        "type",
        "id",
        "preferredUsername",
        "webfinger",
        "name",
        "summary",
        "url",
        "inbox",
        "outbox",
        "followers",
        "following",
        "featured",
        "endpoints",
        "manuallyApprovesFollowers",
        "discoverable",
        "indexable",
        "published",
        "updated",
        "alsoKnownAs",
        "movedTo",
        "icon",
        "attachment",
        "publicKey",
        "assertionMethod",
        "generator",
        "mo:kind",
        "mo:listings",
        "mo:declarations",
        "mo:version",
    ];
    for name in document.as_object().unwrap().keys() {
        assert!(
            allowed.contains(&name.as_str()),
            "{name} is not among what an actor shows"
        );
    }
}

#[tokio::test]
async fn a_follower_reads_what_is_for_followers_and_loses_it_with_the_follow() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let alice = hub.member("alice").await;
    let fan = peers.peer("p1.peer.test").person("fan");
    acquaint(&hub, &fan).await;
    let uri = said(
        &hub,
        &alice,
        &[&format!("{}/followers", alice.actor)],
        false,
    )
    .await;
    assert_eq!(fan.get(&uri).await.status, 404);
    let_follow(&hub, &alice.actor, &fan.id).await;
    assert_eq!(fan.get(&uri).await.status, 200);
    let admin = hub.hub.database.admin().await;
    admin
        .execute("delete from follows where direction = 'in'", &[])
        .await
        .unwrap();
    assert_eq!(fan.get(&uri).await.status, 404);
}

/// Put an activity where the hub keeps what it said; its URI.
pub async fn said(hub: &Hub, who: &Member, to: &[&str], is_public: bool) -> String {
    let admin = hub.hub.database.admin().await;
    let id = uuid::Uuid::now_v7();
    let uri = format!("{}/ap/activities/{id}", hub.public);
    let object = format!("{}/ap/posts/{id}", hub.public);
    let body: Value = json!({ "@context": "https://www.w3.org/ns/activitystreams", "id": uri, "type": "Create", "actor": who.actor, "to": to, "object": { "type": "Note", "id": object, "attributedTo": who.actor, "content": format!("<p>{id}</p>"), "to": to } });
    admin
        .execute(
            "insert into ap_activities (id, uri, actor_id, type, object_uri, body, is_public, hosts) \
             select $1::text::uuid, $2, a.id, 'Create', $3, $4, $5, coalesce((select array_agg(distinct o.host) from follows f \
             join ap_actors o on o.id = f.actor_id where f.local_actor_id = a.id and f.direction = 'in' and f.state = 'accepted'), '{}') \
             from ap_actors a where a.uri = $6",
            &[&id.to_string(), &uri, &object, &body.to_string(), &is_public, &who.actor],
        )
        .await
        .unwrap();
    uri
}

/// The same actor with other keys, as a forger has it.
pub fn forged(actor: &Actor) -> Actor {
    Actor {
        keys: Keys::fresh(),
        ..actor.clone()
    }
}
