//! An account goes while others are to hear of it (S-155, the part of it that federates).

use serde_json::json;

use crate::support::hubs::Hub;

#[tokio::test]
async fn s_155_who_goes_is_gone_everywhere_also_where_nobody_was_at_home() {
    let [a, mut b] = Hub::start_all(&["a", "b"]).await.try_into().ok().unwrap();
    let alice = a.member("alice").await;
    let bruno = b.member("bruno").await;
    b.follows(&bruno, &alice.handle).await;
    let post = json!({ "content": "I was here" });
    let post = a.posts(&alice, post).await;
    let url = a.url_of(&post).await;
    b.reads_post(&bruno, "I was here").await;

    b.kill();
    for n in 0..20 {
        let more = json!({ "content": format!("Last words {n}") });
        a.posts(&alice, more).await;
    }
    let proof = json!({ "password": "alice walks the dog" });
    a.rpc(&alice.person, "users_delete", proof).await;
    // A week later.
    let admin = a.hub.database.admin().await;
    admin
        .batch_execute(
            "update hub.closed_accounts set erase_at = erase_at - interval '7 days'; \
             update job_records set scheduled_for = now() where job_type = 'identity.erase_account'",
        )
        .await
        .unwrap();
    let local = format!(
        "select count(*) from ap_actors where uri = '{}' and deleted_at is not null",
        alice.actor
    );
    a.counts(&local, 1).await;
    for place in [&alice.actor, &url] {
        let told = a
            .until(&format!("{place} is gone"), async || {
                let told = a.ask(place).await;
                (told.status == 410).then_some(told)
            })
            .await;
        assert!(
            !told.body.contains("I was here") && !told.body.contains("alice"),
            "{told:?}"
        );
    }

    // Her keys live until everybody heard of it, however often it is asked for.
    let shred = "update ap_actors set deleted_at = deleted_at - interval '2 hours' where deleted_at is not null; \
                 insert into job_records (job_type, queue, payload) values ('social.shred_keys', 'background', '{}'); notify hub_jobs";
    let keys = format!(
        "select count(*) from ap_keys k join ap_actors a on a.id = k.actor_id where a.uri = '{}' and k.secret_id is not null",
        alice.actor
    );
    admin.batch_execute(shred).await.unwrap();
    a.counts(
        "select count(*) from job_records where job_type = 'social.shred_keys' and status not in ('completed')",
        0,
    )
    .await;
    assert!(a.count(&keys).await > 0, "the Delete could not be signed");

    b.restart();
    let there = format!(
        "select count(*) from ap_actors where uri = '{}' and deleted_at is not null and name is null",
        alice.actor
    );
    b.until("the other hub hears of it", async || {
        a.hurry().await;
        (b.count(&there).await == 1).then_some(())
    })
    .await;
    b.counts(
        "select count(*) from posts where content like 'I was%' or content like 'Last words%'",
        0,
    )
    .await;
    b.counts("select count(*) from follows", 0).await;
    a.counts(
        "select count(*) from ap_deliveries where state = 'waiting'",
        0,
    )
    .await;
    a.until("the keys are destroyed", async || {
        admin.batch_execute(shred).await.unwrap();
        (a.count(&keys).await == 0).then_some(())
    })
    .await;
    assert_eq!(a.ask(&alice.actor).await.status, 410, "for good");
}
