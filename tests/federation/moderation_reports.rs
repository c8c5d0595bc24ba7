//! Reports both ways: kept with their text, passed on without the reporter (S-97), taken from others within bounds (S-60).

use serde_json::json;

use super::{followed_by, rig};
use crate::inbox::ended;

#[tokio::test]
async fn s_97_a_report_goes_over_only_when_asked_for_and_names_nobody() {
    let (hub, bob, founder, peers) = rig(&["p1.peer.test"], &[]).await;
    let peer = peers.peer("p1.peer.test");
    let ann = peer.person("ann");
    followed_by(&hub, &ann, &bob).await;
    super::stored_post(&hub, &ann, "rude").await;
    let url = format!("{}/notes/rude", peer.origin());

    let quiet = hub
        .rpc(
            &bob.person,
            "reports_file",
            json!({ "object": url, "reason": "Rude" }),
        )
        .await;
    assert_eq!(quiet["forwarded"], false);
    let told = hub
        .rpc(
            &bob.person,
            "reports_file",
            json!({ "object": url, "reason": "Very rude", "forward": true }),
        )
        .await;
    assert_eq!(told["forwarded"], true);
    let flags = peer.wait("Flag", 1).await;
    assert_eq!(flags.len(), 1);
    let flag = &flags[0].json;
    assert_eq!(flag["actor"], json!(format!("{}/ap/actor", hub.public)));
    assert_eq!(flag["content"], "Very rude");
    assert_eq!(flag["object"], json!([ann.id, url]));
    assert_eq!(flag["to"], json!([ann.id]));
    let all = format!("{flag} {:?}", flags[0]);
    for secret in [bob.actor.as_str(), "bob", &bob.person.id.to_string()] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    peer_knows_the_sender(&hub, &flags[0]).await;

    // The text stays as it was, whatever he makes of it later; operators see it, and they alone decide.
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute("update posts set content = 'kind' where content = 'rude'")
        .await
        .unwrap();
    let rows = founder
        .reads(&hub.hub, "/rest/v1/reports?order=created_at")
        .await;
    assert_eq!(rows[0]["snapshot"][0]["content"], "rude", "{rows}");
    assert_eq!(rows[0]["status"], "open");
    hub.counts(
        "select count(*) from hub.journal where verb = 'report.filed'",
        2,
    )
    .await;
    let notices = format!(
        "select count(distinct e.id) from notification_events e join notification_deliveries d on d.event_id = e.id \
         where e.event_type = 'report.filed' and e.target_user_id = '{}' and e.payload ->> 'title' like '%ann@%'",
        founder.id
    );
    hub.counts(&notices, 2).await;
    let all = "select count(*) from notification_events where event_type = 'report.filed'";
    assert_eq!(hub.count(all).await, 2, "operators alone hear of it");
    let stranger = hub.member("carla").await;
    assert_eq!(
        stranger.person.reads(&hub.hub, "/rest/v1/reports").await,
        json!([])
    );
    let row = json!({ "id": quiet["id"] });
    hub.changes(&stranger, "reports", &row, json!({ "status": "dismissed" }))
        .await;
    hub.counts("select count(*) from reports where status = 'open'", 2)
        .await;
    let answer = founder
        .ask(
            &hub.hub,
            reqwest::Method::PATCH,
            &format!("/rest/v1/reports?id=eq.{}", quiet["id"].as_str().unwrap()),
        )
        .json(&json!({ "status": "resolved", "resolution": "talked to" }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    hub.counts(
        "select count(*) from hub.journal where verb = 'report.resolved' and owner_id is not null",
        1,
    )
    .await;

    // What one cannot read cannot be reported, nor its text be had in this way; a row written by hand neither.
    admin
        .batch_execute(
            "update posts set visibility = 'direct', content = 'secret' where content = 'kind'",
        )
        .await
        .unwrap();
    let (status, _) = hub
        .tries(&stranger.person, "reports_file", json!({ "object": url }))
        .await;
    assert_eq!(status, 404);
    let row = stranger
        .person
        .adds(&hub.hub, "reports", json!({ "objects": [url] }))
        .await;
    assert_eq!(row["snapshot"], json!([]), "{row}");
}

/// Whoever gets it can check who sent it.
async fn peer_knows_the_sender(
    hub: &crate::support::hubs::Hub,
    flag: &crate::support::peer::Received,
) {
    let actor = hub.ask("/ap/actor").await.json();
    let pem = actor["publicKey"]["publicKeyPem"].as_str().unwrap();
    flag.signed_by(actor["publicKey"]["id"].as_str().unwrap(), pem)
        .unwrap();
}

#[tokio::test]
async fn s_60_reports_of_others_are_capped_cleaned_and_their_senders_alone() {
    let settings = [
        ("MADE_OPEN_LIMITS", "on"),
        ("MADE_OPEN_LIMIT_REPORTS", "3/h"),
    ];
    let (hub, bob, founder, peers) = rig(&["p1.peer.test", "p2.peer.test"], &settings).await;
    let ann = peers.peer("p1.peer.test").person("ann");
    let eve = peers.peer("p2.peer.test").person("eve");

    let mut objects = vec![bob.actor.clone()];
    objects.extend((0..10_000).map(|n| format!("{}/x/{n}", ann.peer.origin())));
    let many = ann.activity(
        "Flag",
        json!({ "object": objects, "content": "<script>alert(1)</script><b>bad</b>\u{202e} man" }),
    );
    let told = ann.send(&hub.shared_inbox(), &many).await;
    assert_eq!(told.status, 202, "{told:?}");
    assert_eq!(ended(&hub, many["id"].as_str().unwrap()).await, "done");
    {
        hub.counts(
            "select count(*) from reports where cardinality(objects) = 100",
            1,
        )
        .await;
        hub.counts("select count(*) from notification_events where event_type = 'report.filed' and payload ->> 'message' like '%man'", 1)
            .await;
        hub.counts("select count(*) from reports where reason like '%<%'", 0)
            .await;
        hub.counts("select count(*) from reports r join ap_actors a on a.id = r.target_actor_id where a.kind = 'user'", 1).await;
    }

    // In somebody else's name: not taken.
    let mut forged = eve.activity(
        "Flag",
        json!({ "object": [bob.actor], "content": "forged" }),
    );
    forged["actor"] = json!(ann.id);
    forged["id"] = json!(format!("{}/activities/forged", ann.peer.origin()));
    let told = eve.send(&hub.shared_inbox(), &forged).await;
    assert_eq!(told.status, 401, "{told:?}");
    hub.counts(
        "select count(*) from reports where reason like '%forged%'",
        0,
    )
    .await;

    // Of nobody here: nothing to keep.
    let of_others = eve.activity("Flag", json!({ "object": [ann.id], "content": "other" }));
    eve.send(&hub.shared_inbox(), &of_others).await;
    assert_eq!(
        ended(&hub, of_others["id"].as_str().unwrap()).await,
        "ignored:not_ours"
    );

    // And not without end.
    let mut states = Vec::new();
    for n in 0..4 {
        let flag = eve.activity(
            "Flag",
            json!({ "object": bob.actor, "content": format!("again {n}") }),
        );
        eve.send(&hub.shared_inbox(), &flag).await;
        states.push(ended(&hub, flag["id"].as_str().unwrap()).await);
    }
    assert!(
        states.contains(&"refused:too_often".to_owned()),
        "{states:?}"
    );
    hub.counts("select count(*) from reports r join ap_actors a on a.id = r.origin_actor_id where a.uri like '%eve'", 2).await;
    let (mut last, mut filed) = (200, 0);
    for _ in 0..5 {
        let report = json!({ "object": bob.handle, "reason": "again" });
        (last, _) = hub.tries(&founder, "reports_file", report).await;
        filed += i64::from(last == 200);
    }
    assert_eq!((last, filed), (429, 3));

    // Servers whose reports are not taken.
    hub.rpc(
        &founder,
        "hosts_set_policy",
        json!({ "domain": "p1.peer.test", "policy": "reject_reports" }),
    )
    .await;
    let flag = ann.activity("Flag", json!({ "object": bob.actor, "content": "no" }));
    ann.send(&hub.shared_inbox(), &flag).await;
    assert_eq!(
        ended(&hub, flag["id"].as_str().unwrap()).await,
        "refused:reports_rejected"
    );
}
