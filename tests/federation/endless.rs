//! What never ends or takes for ever elsewhere costs little here: lists without an end (S-81), and text made to be slow (S-84).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::posts::Scene;
use super::reading::acquaint;
use crate::support::hubs::Hub;
use crate::support::peer::{ACTIVITY, Actor, Answer, PUBLIC, Peers, Scheme, client};

const CONTEXT: &str = "https://www.w3.org/ns/activitystreams";

/// A delivery that says that both servers know other followers.
async fn hints(hub: &Hub, who: &Actor, list: &str) {
    let followers = format!("{}/followers", who.id);
    let note = who.create(&who.note("<p>hello</p>", &[&followers], json!({})));
    let (body, inbox) = (note.to_string(), hub.shared_inbox());
    let mut request = client()
        .post(&inbox)
        .header("Content-Type", ACTIVITY)
        .body(body.clone());
    for (name, value) in who.signed(Scheme::Cavage, "POST", &inbox, Some(body.as_bytes())) {
        request = request.header(name, value);
    }
    let digest = "1".repeat(64);
    let header = format!("collectionId=\"{followers}\", url=\"{list}\", digest=\"{digest}\"");
    let request = request.header("Collection-Synchronization", header);
    assert_eq!(request.send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn s_81_lists_without_an_end_are_read_to_a_bound_and_say_nothing() {
    let peers = Peers::many(5);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let alice = hub.member("alice").await;
    let admin = hub.hub.database.admin().await;
    let page = |kind: &str, id: &str, more: Value| {
        let mut page = json!({ "@context": CONTEXT, "type": kind, "id": id, "totalItems": 1_000_000_000_000_i64 });
        page.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        page
    };
    let mut people = Vec::new();
    for (n, peer) in peers.all().iter().enumerate() {
        let who = peer.person("ann");
        acquaint(&hub, &who).await;
        admin
            .execute(
                "update ap_actors set followers_url = $1 where uri = $2",
                &[&format!("{}/followers", who.id), &who.id],
            )
            .await
            .unwrap();
        admin
            .execute(
                "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) \
                 select l.row_id, l.id, r.id, 'out', 'accepted', now() - interval '1 day' from ap_actors l, ap_actors r where l.uri = $1 and r.uri = $2",
                &[&alice.actor, &who.id],
            )
            .await
            .unwrap();
        let list = format!("{}/list", peer.origin());
        match n {
            // A page that is its own next one.
            0 => {
                peer.serve(
                    "/list",
                    &page(
                        "OrderedCollectionPage",
                        &list,
                        json!({ "orderedItems": [], "next": list }),
                    ),
                );
            }
            // Two that lead to each other.
            1 => {
                let other = format!("{}/list/2", peer.origin());
                peer.serve(
                    "/list",
                    &page("OrderedCollection", &list, json!({ "first": other })),
                );
                peer.serve(
                    "/list/2",
                    &page(
                        "OrderedCollectionPage",
                        &other,
                        json!({ "orderedItems": [], "next": list }),
                    ),
                );
            }
            // Ever new ones.
            2 => {
                for at in 0..200 {
                    let path = if at == 0 {
                        "/list".to_owned()
                    } else {
                        format!("/list/{at}")
                    };
                    let next = format!("{}/list/{}", peer.origin(), at + 1);
                    peer.serve(
                        &path,
                        &page(
                            "OrderedCollectionPage",
                            &format!("{}{path}", peer.origin()),
                            json!({ "orderedItems": [alice.actor], "next": next }),
                        ),
                    );
                }
            }
            // More items than anybody reads, on few pages.
            3 => {
                let items: Vec<String> = (0..6_000)
                    .map(|n| format!("{}/ap/actors/{n}", hub.public))
                    .collect();
                peer.serve(
                    "/list",
                    &page("OrderedCollection", &list, json!({ "items": items })),
                );
            }
            // A page that is too long for a document.
            _ => {
                peer.serve_as(
                    "/list",
                    Answer::status(200)
                        .header("Content-Type", ACTIVITY)
                        .huge(50 << 20),
                );
            }
        }
        peer.forget();
        hints(&hub, &who, &list).await;
        people.push(who);
    }

    hub.counts(
        "select count(*) from job_records where job_type = 'social.followers_sync' and last_error is not null",
        5,
    )
    .await;
    for peer in peers.all() {
        let asked = peer
            .received()
            .iter()
            .filter(|request| request.path.starts_with("/list"))
            .count();
        assert!((1..=10).contains(&asked), "{asked} at {}", peer.host);
    }
    // Such a list is no reason to end what is there, nor to tell anybody anything.
    hub.counts(
        "select count(*) from follows where direction = 'out' and state = 'accepted'",
        5,
    )
    .await;
    for who in &people {
        assert!(who.peer.taken("Undo").is_empty());
    }
}

#[tokio::test]
async fn s_84_text_made_to_be_slow_is_read_about_as_fast_as_any() {
    let scene = Scene::set().await;
    let long = 900_000;
    let filled = |part: &str| part.repeat(long / part.len());
    let takes = async |what: &str, content: String| {
        let note = scene.ann.note(&content, &[PUBLIC], json!({}));
        let create = scene.ann.create(&note);
        let began = Instant::now();
        let told = scene.ann.send(&scene.hub.shared_inbox(), &create).await;
        assert!(told.status < 500, "{told:?}");
        let id = create["id"].as_str().unwrap();
        loop {
            if told.status != 202 {
                break;
            }
            let state = crate::inbox::state(&scene.hub, id).await.unwrap();
            if !state.starts_with("waiting") {
                break;
            }
            assert!(began.elapsed().as_secs() < 60, "{what:?}: {state}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        eprintln!("{what:?}: {} after {:?}", told.status, began.elapsed());
        began.elapsed()
    };
    takes("", filled("<p>warm</p>")).await;
    let usual = takes("usual", filled("<p>Some plain words of somebody.</p>")).await;
    let longest = usual * 10 + Duration::from_secs(10);
    for part in [
        "<!--",
        "<![CDATA[",
        "<a href='",
        "<b",
        "<b><i>",
        "</p></div></x>",
        "<table><tr>",
        "&#",
        "&amp",
        "@a",
        "@ann@p1.peer.test ",
        "#a#",
        "http://",
        "<a href=\"https://p1.peer.test/@ann\">@",
        "<svg><style>",
        "\u{202e}",
        "((((",
        "******",
    ] {
        let took = takes(part, filled(part)).await;
        assert!(took < longest, "{part:?}: {took:?}, usually {usual:?}");
    }

    // The same of our own people, as Markdown with mentions of a million.
    scene.elsewhere.peer.forget();
    for part in [
        "@guy@p2.peer.test:9 ",
        "[[[[",
        "**a ",
        "> ",
        "`",
        "![",
        "<!--",
        "@@@@",
        "#a",
        "- ",
        "|",
        "\\",
        "<b",
        "http://a.b/",
    ] {
        let began = Instant::now();
        let answer = scene
            .bob
            .person
            .ask(&scene.hub.hub, reqwest::Method::POST, "/rest/v1/posts")
            .json(&json!({ "content": filled(part), "visibility": "public" }))
            .send()
            .await
            .unwrap();
        let (status, took) = (answer.status().as_u16(), began.elapsed());
        eprintln!("own {part:?}: {status} after {took:?}");
        assert!(status < 500, "{part:?}: {status}");
        assert!(took < longest, "{part:?}: {took:?}, usually {usual:?}");
    }
    let asked = scene.elsewhere.peer.received().len();
    assert!(asked <= 20, "{asked} requests");
}
