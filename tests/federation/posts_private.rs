//! What is not for everybody: posts for followers, direct messages, and groups that pass on only what is public.

use reqwest::Method;
use serde_json::{Value, json};

use crate::posts::Scene;
use crate::support::peer::{ACTIVITY, PUBLIC};

#[tokio::test]
async fn s_87_what_is_for_followers_is_there_for_them_alone() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let carl = hub.member("carl").await;
    let post = hub
        .posts(
            bob,
            json!({ "content": "For friends", "visibility": "followers" }),
        )
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    let create = scene.got(&scene.ann, "Create", &uri).await;
    assert_eq!(
        create["object"]["to"],
        json!([format!("{}/followers", bob.actor)])
    );
    assert!(!create.to_string().contains(PUBLIC));

    assert_eq!(scene.ann.get(&uri).await.status, 200);
    let unknown = hub
        .ask(&format!("{}/ap/posts/{}", hub.public, uuid::Uuid::now_v7()))
        .await;
    let unsigned = hub.ask(&uri).await;
    assert_eq!((unsigned.status, &unsigned.body), (404, &unknown.body));
    for stranger in [&scene.stranger, &scene.elsewhere] {
        let told = stranger.get(&uri).await;
        assert_eq!((told.status, &told.body), (404, &unknown.body));
        assert_eq!(stranger.get(&format!("{uri}/replies")).await.status, 404);
    }
    let path = uri.strip_prefix(&hub.public).unwrap();
    let told = carl
        .person
        .ask(&hub.hub, Method::GET, path)
        .header("Accept", ACTIVITY)
        .header("Host", &hub.host)
        .send()
        .await
        .unwrap();
    assert_eq!(told.status(), 404);
    let activity = hub.ask(create["id"].as_str().unwrap()).await;
    assert_eq!(activity.status, 404);
}

#[tokio::test]
async fn s_39_s_41_what_is_for_few_gets_no_wider() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let carl = hub.member("carl").await;
    let post = hub
        .posts(
            bob,
            json!({ "content": "For friends", "visibility": "followers" }),
        )
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    scene.got(&scene.ann, "Create", &uri).await;
    let boost = scene
        .ann
        .activity("Announce", json!({ "object": uri, "to": [PUBLIC] }));
    assert_eq!(scene.tells(&scene.ann, &boost).await, "refused:not_public");
    let (status, _) = hub
        .tries(&bob.person, "reactions_announce", json!({ "object": uri }))
        .await;
    assert_eq!(status, 403);
    assert_eq!(hub.count("select count(*) from reactions").await, 0);

    // Of a third one: stored for bob alone, and nobody but its author makes it more.
    let followers = format!("{}/followers", scene.ann.id);
    let note = scene
        .ann
        .note("<p>Ann for friends</p>", &[&followers], json!({}));
    assert_eq!(
        scene.tells(&scene.ann, &scene.ann.create(&note)).await,
        "done"
    );
    let row = scene.row(&note["id"]).await.unwrap();
    assert_eq!(row["visibility"], "followers");
    let seen = async |who: &crate::support::hubs::Member| {
        let rows = who
            .person
            .reads(&hub.hub, "/rest/v1/posts?content=like.*Ann*")
            .await;
        rows.as_array().unwrap().len()
    };
    assert_eq!((seen(bob).await, seen(&carl).await), (1, 0));
    let before = scene.bytes(note["id"].as_str().unwrap()).await;
    let mut wider = note.clone();
    wider["to"] = json!([PUBLIC, carl.actor]);
    for thief in [&scene.stranger, &scene.elsewhere] {
        let create = thief.activity(
            "Create",
            json!({ "object": wider, "to": [PUBLIC, carl.actor] }),
        );
        let state = scene.tells(thief, &create).await;
        assert!(!state.starts_with("done"), "{state}");
        let boost = thief.activity("Announce", json!({ "object": note["id"], "to": [PUBLIC] }));
        let state = scene.tells(thief, &boost).await;
        assert!(!state.starts_with("done"), "{state}");
    }
    assert_eq!(scene.bytes(note["id"].as_str().unwrap()).await, before);
    assert_eq!((seen(bob).await, seen(&carl).await), (1, 0));
}

#[tokio::test]
async fn s_61_a_private_answer_stays_private() {
    let scene = Scene::set().await;
    let post = scene
        .hub
        .posts(&scene.bob, json!({ "content": "Bike for sale" }))
        .await;
    let uri = post["federated_ap_id"].as_str().unwrap().to_owned();
    let private = scene.ann.note("<p>My address is Hauptstr. 1</p>", &[&scene.bob.actor], json!({ "inReplyTo": uri, "tag": [{ "type": "Mention", "href": scene.bob.actor, "name": "@bob" }] }));
    assert_eq!(
        scene.tells(&scene.ann, &scene.ann.create(&private)).await,
        "done"
    );
    let open = scene.ann.note(
        "<p>Nice</p>",
        &[PUBLIC, &scene.bob.actor],
        json!({ "inReplyTo": uri }),
    );
    assert_eq!(
        scene.tells(&scene.ann, &scene.ann.create(&open)).await,
        "done"
    );
    let row = scene.row(&json!(uri)).await.unwrap();
    assert_eq!(row["replies_count"], 1);
    let replies = scene.hub.ask(&format!("{uri}/replies?page=true")).await;
    assert_eq!(replies.json()["orderedItems"], json!([open["id"]]));
    assert_eq!(scene.row(&private["id"]).await, None);
    scene
        .hub
        .counts(
            "select count(*) from messages where body like '%Hauptstr%'",
            1,
        )
        .await;
}

#[tokio::test]
async fn a_message_comes_in_and_its_answer_goes_back() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let carl = hub.member("carl").await;
    let said = scene.elsewhere.note(
        "<p>@bob may I <b>see</b> it?</p>",
        &[&bob.actor],
        json!({ "context": "https://x.example/thread" }),
    );
    assert_eq!(
        scene
            .tells(&scene.elsewhere, &scene.elsewhere.create(&said))
            .await,
        "done"
    );
    let again = scene.elsewhere.note(
        "<p>Hello?</p>",
        &[&bob.actor],
        json!({ "context": "https://x.example/thread" }),
    );
    assert_eq!(
        scene
            .tells(&scene.elsewhere, &scene.elsewhere.create(&again))
            .await,
        "done"
    );
    let threads = bob
        .person
        .reads(&hub.hub, "/rest/v1/conversations?actors=not.is.null")
        .await;
    assert_eq!(threads.as_array().unwrap().len(), 1, "{threads}");
    let thread = &threads[0]["id"];
    let messages = bob
        .person
        .reads(
            &hub.hub,
            "/rest/v1/messages?direction=eq.inbound&order=created_at",
        )
        .await;
    assert_eq!(
        (&messages[0]["body"], &messages[0]["conversation_id"]),
        (&json!("@bob may I see it?"), thread)
    );
    assert_eq!(messages.as_array().unwrap().len(), 2);
    let items = bob.person.reads(&hub.hub, "/rest/v1/inbox_items").await;
    assert_eq!(
        (items.as_array().unwrap().len(), &items[0]["channel_type"]),
        (2, &json!("chat"))
    );

    let answer = bob.person.adds(&hub.hub, "messages", json!({ "conversation_id": thread, "direction": "outbound", "body": "Come on *Sunday*" })).await;
    let uri = answer["federated_ap_id"].as_str().unwrap().to_owned();
    let create = scene.got(&scene.elsewhere, "Create", &uri).await;
    let note = &create["object"];
    assert_eq!(
        (&note["to"], &note["cc"], &note["directMessage"]),
        (&json!([scene.elsewhere.id]), &json!([]), &json!(true))
    );
    assert_eq!(note["tag"][0]["href"], json!(scene.elsewhere.id));
    assert_eq!(
        (&note["context"], &note["inReplyTo"]),
        (&json!("https://x.example/thread"), &again["id"])
    );
    assert_eq!(
        (&note["mo:kind"], &note["content"]),
        (
            &json!("mo:Message"),
            &json!("<p>Come on <em>Sunday</em></p>")
        )
    );
    let inbox = scene.elsewhere.document["inbox"].as_str().unwrap();
    hub.counts(
        &format!("select count(*) from ap_deliveries where inbox_url = '{inbox}'"),
        1,
    )
    .await;

    // Only the two read it.
    assert_eq!(scene.elsewhere.get(&uri).await.status, 200);
    assert_eq!(scene.ann.get(&uri).await.status, 404);
    assert_eq!(hub.ask(&uri).await.status, 404);
    let others = carl
        .person
        .reads(&hub.hub, "/rest/v1/messages?body=like.*Sunday*")
        .await;
    assert_eq!(others, json!([]));

    hub.changes(
        bob,
        "messages",
        &answer,
        json!({ "body": "Come on Monday" }),
    )
    .await;
    let update = scene.got(&scene.elsewhere, "Update", &uri).await;
    assert_eq!(update["object"]["content"], "<p>Come on Monday</p>");
    hub.deletes(bob, "messages", &answer).await;
    scene.got(&scene.elsewhere, "Delete", &uri).await;
    assert_eq!(hub.ask(&uri).await.status, 410);

    // Edited and deleted by its author, and by nobody else.
    let mut edited = said.clone();
    edited["content"] = json!("<p>Never mind</p>");
    edited["updated"] = json!("2027-01-01T00:00:00Z");
    let update = scene
        .elsewhere
        .activity("Update", json!({ "object": edited, "to": [bob.actor] }));
    assert_eq!(scene.tells(&scene.elsewhere, &update).await, "done");
    hub.counts("select count(*) from messages where body = 'Never mind'", 1)
        .await;
    for (who, left) in [(&scene.ann, 1), (&scene.elsewhere, 0)] {
        let delete = who.activity("Delete", json!({ "object": said["id"], "to": [bob.actor] }));
        scene.tells(who, &delete).await;
        hub.counts(
            "select count(*) from messages where body = 'Never mind'",
            left,
        )
        .await;
    }
}

#[tokio::test]
async fn a_direct_post_lands_with_those_of_this_hub_too() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let (carl, dora) = (hub.member("carl").await, hub.member("dora").await);
    let post = hub
        .posts(bob, json!({ "content": "Only us", "visibility": "direct", "recipients": [carl.handle, scene.ann.id] }))
        .await;
    let create = scene
        .got(
            &scene.ann,
            "Create",
            post["federated_ap_id"].as_str().unwrap(),
        )
        .await;
    // In the shape of a message.
    let note = &create["object"];
    let to: Vec<&str> = note["to"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        to.len() == 2 && to.contains(&scene.ann.id.as_str()),
        "{note}"
    );
    assert_eq!(
        (&note["mo:kind"], &note["directMessage"], &note["cc"]),
        (&json!("mo:Message"), &json!(true), &json!([]))
    );
    assert!(
        note["context"].is_string() && note["tag"].as_array().unwrap().len() == 2,
        "{note}"
    );
    for none in ["interactionPolicy", "url", "replies", "likes", "shares"] {
        assert_eq!(note.get(none), None, "{note}");
    }
    let messages = carl
        .person
        .reads(&hub.hub, "/rest/v1/messages?body=eq.Only us")
        .await;
    assert_eq!(messages.as_array().unwrap().len(), 1);
    for path in ["messages?body=eq.Only us", "posts?content=eq.Only us"] {
        assert_eq!(
            dora.person
                .reads(&hub.hub, &format!("/rest/v1/{path}"))
                .await,
            json!([])
        );
    }
    // Carl answers both, in the conversation.
    let thread = &messages[0]["conversation_id"];
    carl.person
        .adds(
            &hub.hub,
            "messages",
            json!({ "conversation_id": thread, "direction": "outbound", "body": "Agreed" }),
        )
        .await;
    hub.counts(&format!("select count(*) from messages where body = 'Agreed' and direction = 'inbound' and owner_id = '{}'", bob.person.id), 1)
        .await;
    scene
        .hub
        .until("ann hears", async || {
            scene
                .ann
                .peer
                .taken("Create")
                .iter()
                .any(|it| it.json.to_string().contains("Agreed"))
                .then_some(())
        })
        .await;
    hub.deletes(bob, "posts", &post).await;
    hub.counts("select count(*) from messages where body = 'Only us'", 0)
        .await;
}

#[tokio::test]
async fn whoever_is_blocked_writes_to_nobody() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    hub.rpc(&bob.person, "blocks_set", json!({ "actor": scene.ann.id }))
        .await;
    let post = hub.posts(bob, json!({ "content": "Mine" })).await;
    for note in [
        scene.ann.note("<p>Hey</p>", &[&bob.actor], json!({})),
        scene.ann.note(
            "<p>Hey you</p>",
            &[PUBLIC, &bob.actor],
            json!({ "inReplyTo": post["federated_ap_id"] }),
        ),
    ] {
        let state = scene.tells(&scene.ann, &scene.ann.create(&note)).await;
        assert!(!state.starts_with("done"), "{state}");
    }
    let like = scene
        .ann
        .activity("Like", json!({ "object": post["federated_ap_id"] }));
    assert_eq!(scene.tells(&scene.ann, &like).await, "refused:blocked");
    assert_eq!(hub.count("select count(*) from messages").await, 0);
    assert_eq!(
        hub.count("select count(*) from posts where origin_actor_id is not null")
            .await,
        0
    );
}

#[tokio::test]
async fn a_room_passes_on_what_its_followers_say_word_for_word() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let room = bob
        .person
        .adds(
            &hub.hub,
            "chat_channels",
            json!({ "name": "Bikes", "slug": "bikes", "visibility": "public" }),
        )
        .await;
    let group = hub
        .until("the room is an actor", async || {
            let id = room["id"].as_str().unwrap();
            hub.text(&format!(
                "select uri from ap_actors where kind = 'channel' and row_id = '{id}'"
            ))
            .await
        })
        .await;
    for who in [&scene.ann, &scene.elsewhere] {
        let follow = who.activity("Follow", json!({ "object": group }));
        assert_eq!(scene.tells(who, &follow).await, "done");
    }
    // Guy's server knows groups, ann's does not.
    let admin = hub.hub.database.admin().await;
    let host = &scene.elsewhere.peer.host;
    admin
        .batch_execute(&format!("insert into ap_hosts (host, takes_groups) values ('{host}', true) on conflict (host) do update set takes_groups = true"))
        .await
        .unwrap();

    let note = scene.ann.note(
        "<p>New   bell</p>",
        &[PUBLIC, &group],
        json!({ "odd:key": { "b": 1, "a": [2, 1] } }),
    );
    let create = scene.ann.create(&note);
    assert_eq!(scene.tells(&scene.ann, &create).await, "done");
    let passed = scene
        .got(&scene.elsewhere, "Announce", create["id"].as_str().unwrap())
        .await;
    assert_eq!(
        (&passed["object"], &passed["actor"]),
        (&create, &json!(group))
    );
    let body = hub
        .text("select body from ap_activities where type = 'Announce' and body like '%New   bell%'")
        .await
        .unwrap();
    assert!(
        body.contains(&create.to_string()),
        "the same bytes inside: {body}"
    );
    let plain = scene
        .got(&scene.ann, "Announce", note["id"].as_str().unwrap())
        .await;
    assert_eq!(plain["object"], note["id"]);

    // A stranger's post is not passed on, nor what is for few.
    let admitted = hub
        .count("select count(*) from ap_activities where type = 'Announce'")
        .await;
    let stranger = scene
        .stranger
        .note("<p>Spam</p>", &[PUBLIC, &group], json!({}));
    scene
        .tells(&scene.stranger, &scene.stranger.create(&stranger))
        .await;
    let private = scene.ann.note("<p>Psst</p>", &[&group], json!({}));
    scene.tells(&scene.ann, &scene.ann.create(&private)).await;
    assert_eq!(
        hub.count("select count(*) from ap_activities where type = 'Announce'")
            .await,
        admitted
    );

    // A like and a deletion go to those who know groups; a member of this hub is passed on as well.
    let like = scene
        .elsewhere
        .activity("Like", json!({ "object": note["id"] }));
    scene.tells(&scene.elsewhere, &like).await;
    let delete = scene
        .ann
        .activity("Delete", json!({ "object": note["id"], "to": [PUBLIC] }));
    assert_eq!(scene.tells(&scene.ann, &delete).await, "done");
    scene
        .got(&scene.elsewhere, "Announce", delete["id"].as_str().unwrap())
        .await;
    let own: Value = hub
        .posts(bob, json!({ "content": "Ours too", "recipients": [group] }))
        .await;
    let plain = scene
        .got(
            &scene.ann,
            "Announce",
            own["federated_ap_id"].as_str().unwrap(),
        )
        .await;
    assert_eq!(plain["actor"], json!(group));
}

#[tokio::test]
async fn what_is_written_to_an_agent_or_a_tenant_reaches_those_who_run_it() {
    let scene = Scene::set().await;
    let (hub, bob) = (&scene.hub, &scene.bob);
    let carl = hub.member("carl").await;
    let founder = crate::moderation::operator(hub).await;
    let home = hub
        .text("select organization_id::text from user_profile where role = 'developer'")
        .await
        .unwrap();
    let tenant = hub
        .rpc(
            &founder,
            "actors_publish",
            json!({ "kind": "tenant", "id": home }),
        )
        .await;
    let robot = bob
        .person
        .adds(&hub.hub, "agents", json!({ "name": "Robot" }))
        .await;
    let robot = hub
        .rpc(
            &bob.person,
            "actors_publish",
            json!({ "kind": "agent", "id": robot["id"] }),
        )
        .await;
    let uri = |actor: &Value| actor["uri"].as_str().unwrap().to_owned();

    let said = scene.elsewhere.note(
        "<p>May we rent the hall?</p>",
        &[&uri(&tenant), &uri(&robot)],
        json!({}),
    );
    assert_eq!(
        scene
            .tells(&scene.elsewhere, &scene.elsewhere.create(&said))
            .await,
        "done"
    );
    let mut threads = Vec::new();
    for (reader, count) in [(&founder, 1), (&bob.person, 1), (&carl.person, 0)] {
        let rows = reader
            .reads(&hub.hub, "/rest/v1/messages?body=eq.May we rent the hall?")
            .await;
        let rows = rows.as_array().unwrap().clone();
        assert_eq!(rows.len(), count, "{}: {rows:?}", reader.name);
        let items = reader.reads(&hub.hub, "/rest/v1/inbox_items").await;
        assert_eq!(items.as_array().unwrap().len(), count, "{items}");
        threads.extend(rows.first().map(|row| row["conversation_id"].clone()));
    }

    // The officer answers in the tenant's name, and the agent's owner reads that too.
    let answer =
        json!({ "conversation_id": threads[0], "direction": "outbound", "body": "On Sunday" });
    let answer = founder.adds(&hub.hub, "messages", answer).await;
    let create = scene
        .got(
            &scene.elsewhere,
            "Create",
            answer["federated_ap_id"].as_str().unwrap(),
        )
        .await;
    assert_eq!(create["actor"], tenant["uri"]);
    assert_eq!(create["object"]["attributedTo"], tenant["uri"]);
    assert_eq!(create["object"]["inReplyTo"], said["id"]);
    hub.counts(
        &format!("select count(*) from messages where body = 'On Sunday' and direction = 'inbound' and owner_id = '{}'", bob.person.id),
        1,
    )
    .await;
    // His own copy is the one he wrote.
    hub.counts("select count(*) from messages where body = 'On Sunday'", 2)
        .await;

    // Whom the owner has blocked does not reach him by his agent either.
    hub.rpc(
        &bob.person,
        "blocks_set",
        json!({ "actor": scene.elsewhere.id }),
    )
    .await;
    let again = scene
        .elsewhere
        .note("<p>Hello?</p>", &[&uri(&robot)], json!({}));
    scene
        .tells(&scene.elsewhere, &scene.elsewhere.create(&again))
        .await;
    assert_eq!(
        hub.count("select count(*) from messages where body = 'Hello?'")
            .await,
        0
    );
}
