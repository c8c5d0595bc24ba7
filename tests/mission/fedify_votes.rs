//! A server made with Fedify reads a proposal as the poll that it is, believes whose it is, and its people vote in it as
//! those of Mastodon do.

use serde_json::json;

use crate::daos::found;
use crate::support::fedify::Fedify;
use crate::support::hubs::Hub;
use crate::votes::{asks, comes_to, count_is_told, time_passes};

#[tokio::test]
async fn fedify_sees_the_proposal_and_votes_in_the_poll() {
    let (hub, fedify) = (Hub::at_localhost().await, Fedify::start());
    let ann = hub.member("ann").await;
    let dao = found(&hub, &ann, "Bikes", json!({ "membership": "open" })).await;
    fedify.sends("follow", json!({ "actor": dao.uri })).await;
    fedify.knows("fay", "following", &dao.uri, true).await;
    // Fay belongs to it; Finn does not.
    let fay = fedify.actor("fay");
    let finn = fedify.actor("finn");
    let raw = async |who: &str, activity: serde_json::Value| {
        let with = json!({ "as": who, "activity": activity, "inbox": hub.shared_inbox() });
        fedify.sends("raw", with).await;
    };
    raw("fay", json!({ "@context": "https://www.w3.org/ns/activitystreams", "id": format!("{fay}#join"), "type": "Join", "actor": fay, "object": dao.uri })).await;
    hub.counts(&crate::daos::members(&dao, "member"), 1).await;

    let asked = asks(&hub, &ann, &dao, "Buy a truing stand", json!({})).await;
    let uri = asked["uri"].as_str().unwrap();
    let create = fedify.took("Create", 1).await.remove(0);
    assert_eq!(create["activity"]["object"]["id"], uri);
    assert!(create["signed"] != json!(null), "{create}");
    let seen = fedify.does("lookup", json!({ "url": uri })).await;
    assert_eq!(seen["type"], "Question", "{seen}");
    assert_eq!(seen["attributedTo"], json!(dao.uri));
    assert!(seen["endTime"].is_string(), "{seen}");
    let options = seen["oneOf"].as_array().unwrap();
    let names: Vec<_> = options
        .iter()
        .map(|option| option["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Yes", "No", "Abstain"]);
    let proof = fedify.does("verify", json!({ "url": uri })).await;
    assert_eq!(proof, json!({ "proof": true, "verified": true }));

    for (who, actor, name) in [("fay", &fay, "Yes"), ("finn", &finn, "No")] {
        raw(who, json!({ "@context": "https://www.w3.org/ns/activitystreams", "id": format!("{actor}#votes/1/activity"), "type": "Create",
            "actor": actor, "to": dao.uri, "object": { "id": format!("{actor}#votes/1"), "type": "Note", "name": name,
            "attributedTo": actor, "to": dao.uri, "inReplyTo": uri } })).await;
    }
    hub.counts(
        "select yes_voters * 10 + advisory_no::bigint from hub.tallies",
        11,
    )
    .await;
    count_is_told(&hub).await;
    let update = fedify.took("Update", 1).await.pop().unwrap();
    assert_eq!(update["activity"]["object"]["votersCount"], 1, "{update}");
    time_passes(&hub, &asked).await;
    comes_to(&hub, &asked, "quorum_failed").await;
    let result = fedify.took("Create", 2).await.pop().unwrap();
    assert_eq!(
        result["activity"]["object"]["mo:kind"], "mo:Result",
        "{result}"
    );
}
