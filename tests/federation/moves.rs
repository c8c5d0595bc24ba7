//! Somebody moves from one hub to another: who follows him moves along, and nobody is moved by a lie.

use serde_json::json;

use crate::support::hubs::{Hub, Member};

const THREE: [&str; 3] = ["a", "b", "c"];

/// How often somebody follows an actor, by what their hub knows.
fn follow_of(who: &Member, whom: &str) -> String {
    format!(
        "select count(*) from follows f join ap_actors a on a.id = f.actor_id where f.direction = 'out' \
         and f.state = 'accepted' and f.owner_id = '{}' and a.uri = '{whom}'",
        who.person.id
    )
}

#[tokio::test]
async fn followers_move_along_from_one_hub_to_another() {
    let [a, b, c] = Hub::start_all(&THREE).await.try_into().ok().unwrap();
    let (alice, alicia) = (a.member("alice").await, b.member("alicia").await);
    let bruno = c.member("bruno").await;
    c.follows(&bruno, &alice.handle).await;

    // The new account has not named the old one: nobody moves.
    let away = json!({ "target": alicia.actor });
    let (status, told) = a.tries(&alice.person, "actors_move", away.clone()).await;
    assert_eq!(
        (status, told["code"].as_str()),
        (409, Some("actor.not_known_there")),
        "{told}"
    );
    c.counts(&follow_of(&bruno, &alice.actor), 1).await;

    let named = json!({ "changes": { "also_known_as": [alice.actor] } });
    b.rpc(&alicia.person, "actors_update", named).await;
    a.until("the new account is seen to name the old one", async || {
        let age =
            "update ap_actors set last_fetched_at = now() - interval '2 days' where kind is null";
        a.hub
            .database
            .admin()
            .await
            .batch_execute(age)
            .await
            .unwrap();
        let (status, _) = a.tries(&alice.person, "actors_move", away.clone()).await;
        (status < 300).then_some(())
    })
    .await;
    c.counts(&follow_of(&bruno, &alicia.actor), 1).await;
    c.counts(&follow_of(&bruno, &alice.actor), 0).await;
    for (hub, expected) in [(&a, 0), (&b, 1)] {
        let followed = "select count(*) from follows where direction = 'in' and state = 'accepted'";
        hub.counts(followed, expected).await;
    }
    let there = a.ask(&alice.actor).await.json();
    assert_eq!(there["movedTo"], json!(alicia.actor), "{there}");
}

#[tokio::test]
async fn s_42_who_moves_to_his_followers_own_hub_takes_them_along() {
    let [a, b] = Hub::start_all(&["a", "b"]).await.try_into().ok().unwrap();
    let alice = a.member("alice").await;
    let (alicia, bruno, clara) = (
        b.member("alicia").await,
        b.member("bruno").await,
        b.member("clara").await,
    );
    let stranger = b.member("mallory").await;
    for who in [&bruno, &clara, &alicia] {
        b.follows(who, &alice.handle).await;
    }
    // Whom one of them has blocked he does not come to follow in this way.
    let blocked = json!({ "actor": alicia.actor });
    b.rpc(&clara.person, "blocks_set", blocked).await;

    // Nobody here has named the old account: said in whatever way, it is not believed.
    let lie = format!(
        "update ap_actors set also_known_as = array['{}'] where uri = '{}'",
        alice.actor, stranger.actor
    );
    let admin = a.hub.database.admin().await;
    a.rpc(
        &alice.person,
        "actors_resolve",
        json!({ "query": stranger.actor }),
    )
    .await;
    admin.batch_execute(&lie).await.unwrap();
    a.rpc(
        &alice.person,
        "actors_move",
        json!({ "target": stranger.actor }),
    )
    .await;
    b.counts(
        "select count(*) from ap_received where type = 'Move' and state = 'refused' and reason = 'not_known_as'",
        1,
    )
    .await;
    for who in [&bruno, &clara, &alicia] {
        b.counts(&follow_of(who, &alice.actor), 1).await;
    }

    // The account here names the old one.
    let named = json!({ "changes": { "also_known_as": [alice.actor] } });
    b.rpc(&alicia.person, "actors_update", named).await;
    let again = "update ap_actors set moved_at = null, moved_to = null where kind = 'user'; \
                 update ap_actors set last_fetched_at = now() - interval '2 days' where kind is null";
    admin.batch_execute(again).await.unwrap();
    let there = json!({ "target": alicia.actor });
    a.rpc(&alice.person, "actors_move", there).await;
    b.counts(&follow_of(&bruno, &alicia.actor), 1).await;
    for who in [&bruno, &clara, &alicia] {
        b.counts(&follow_of(who, &alice.actor), 0).await;
    }
    for who in [&clara, &alicia] {
        assert_eq!(b.count(&follow_of(who, &alicia.actor)).await, 0);
    }
    let followed = format!(
        "select count(*) from follows f join ap_actors l on l.id = f.local_actor_id where f.direction = 'in' and f.state = 'accepted' \
         and l.uri = '{}'",
        alicia.actor
    );
    assert_eq!(b.count(&followed).await, 1);
    a.counts(
        "select count(*) from follows where direction = 'in' and state = 'accepted'",
        0,
    )
    .await;

    // What she says here, he reads; nothing of it went anywhere.
    b.posts(
        &alicia,
        json!({ "content": "I live here now", "visibility": "followers" }),
    )
    .await;
    b.reads_post(&bruno, "I live here now").await;
}

#[tokio::test]
async fn followers_of_the_same_hub_move_along_as_well() {
    let [a, b] = Hub::start_all(&["a", "b"]).await.try_into().ok().unwrap();
    let (alice, anna) = (a.member("alice").await, a.member("anna").await);
    let alicia = b.member("alicia").await;
    a.follows(&anna, &alice.handle).await;
    let named = json!({ "changes": { "also_known_as": [alice.actor] } });
    b.rpc(&alicia.person, "actors_update", named).await;
    let there = json!({ "target": alicia.actor });
    a.rpc(&alice.person, "actors_move", there).await;
    a.counts(&follow_of(&anna, &alicia.actor), 1).await;
    a.counts(&follow_of(&anna, &alice.actor), 0).await;
    let both = "select count(*) from follows f join ap_actors l on l.id = f.local_actor_id where l.preferred_username = 'alice'";
    a.counts(both, 0).await;

    // And from one account of the hub to another one.
    let again = a.member("again").await;
    let named = json!({ "changes": { "also_known_as": [anna.actor] } });
    a.rpc(&again.person, "actors_update", named).await;
    let bea = a.member("bea").await;
    a.follows(&bea, &anna.handle).await;
    let there = json!({ "target": again.actor });
    a.rpc(&anna.person, "actors_move", there).await;
    a.counts(&follow_of(&bea, &again.actor), 1).await;
    a.counts(&follow_of(&bea, &anna.actor), 0).await;
}
