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
