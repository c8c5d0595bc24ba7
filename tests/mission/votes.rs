//! Votes between hubs: local voters, voters of another hub, clicks in a poll, and people who are no members; what is counted,
//! what is told, and what is refused.

use serde_json::{Value, json};

use crate::daos::{Dao, found, is_proved, joins, members};
use crate::support::hubs::{Hub, Member};
use crate::support::peer::{Actor, Peers};

/// Who holds this applies what came in, as `src/fed/apply/rows.rs` has it.
const TURN: i64 = 7_310_001;

/// What became of an activity.
pub async fn ended(hub: &Hub, id: &str) -> String {
    hub.until(&format!("{id} ends"), async || {
        hub.text(&format!(
            "select state || coalesce(' ' || reason, '') from ap_received where uri = '{id}'"
        ))
        .await
        .filter(|state| !state.starts_with("waiting"))
    })
    .await
}

/// A draft by somebody, put to the vote; the row.
pub async fn asks(hub: &Hub, who: &Member, dao: &Dao, title: &str, more: Value) -> Value {
    let mut row = json!({ "dao_id": dao.id, "title": title, "description": "Cost 180 EUR from the tool fund." });
    row.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let row = who.person.adds(&hub.hub, "proposals", row).await;
    hub.rpc(&who.person, "proposals_open", json!({ "id": row["id"] }))
        .await
}

/// As if its time were over, and the time for what is under way too.
pub async fn time_passes(hub: &Hub, proposal: &Value) {
    let id = proposal["id"].as_str().unwrap();
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "set session_replication_role = replica;
             update proposals set voting_opens_at = voting_opens_at - interval '10 days', voting_closes_at = now() - interval '2 minutes'
                 where id = '{id}';
             update votes set cast_at = cast_at - interval '9 days' where proposal_id = '{id}';
             set session_replication_role = origin;
             update job_records set scheduled_for = now() where job_type = 'governance.close' and status = 'enqueued'"
        ))
        .await
        .unwrap();
}

/// Tell the count now and not half a minute later.
pub async fn count_is_told(hub: &Hub) {
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute("update job_records set scheduled_for = now() where job_type = 'governance.tell_tally' and status = 'enqueued'")
        .await
        .unwrap();
}

/// Wait until it has come to this.
pub async fn comes_to(hub: &Hub, proposal: &Value, status: &str) -> Value {
    let id = proposal["id"].as_str().unwrap();
    let row = hub
        .until(&format!("it is {status}"), async || {
            hub.text(&format!(
                "select to_jsonb(p)::text from proposals p where id = '{id}' and status = '{status}'"
            ))
            .await
        })
        .await;
    serde_json::from_str(&row).unwrap()
}

/// A click in the poll, as Mastodon sends it.
pub fn click(who: &Actor, question: &str, dao: &str, name: &str) -> Value {
    let id = format!("{}#votes/{}", who.id, uuid::Uuid::now_v7());
    who.activity(
        "Create",
        json!({ "id": format!("{id}/activity"), "to": dao, "object": {
            "id": id, "type": "Note", "name": name, "attributedTo": who.id, "to": dao, "inReplyTo": question } }),
    )
}

pub async fn sends(hub: &Hub, who: &Actor, activity: &Value) -> String {
    let told = who.send(&hub.shared_inbox(), activity).await;
    assert_eq!(told.status, 202, "{}", told.body);
    ended(hub, activity["id"].as_str().unwrap()).await
}

#[tokio::test]
async fn a_member_of_another_hub_votes_and_hears_the_result() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let (home, away) = (&hubs[0], &hubs[1]);
    let ann = home.member("ann").await;
    let bob = away.member("bob").await;
    let fan = away.member("fan").await;
    let dao = found(
        home,
        &ann,
        "Bikes",
        json!({ "quorum_pct": 25, "pass_threshold": 50 }),
    )
    .await;
    joins(home, &ann, &dao, away, &bob).await;
    away.follows(&fan, &dao.uri).await;

    let asked = asks(home, &ann, &dao, "Buy a truing stand", json!({})).await;
    assert_eq!(asked["status"], "active");
    assert_eq!(asked["number"], 1);
    let uri = asked["uri"].as_str().unwrap().to_owned();
    let question = home.ask(&uri).await.json();
    assert_eq!(question["type"], "Question");
    assert_eq!(question["name"], "#1 Buy a truing stand");
    assert_eq!(question["mo:rules"]["mo:eligibleVoters"], 2);
    assert_eq!(question["mo:rules"]["mo:quorum"], "0.25");
    assert!(
        question["content"]
            .as_str()
            .unwrap()
            .contains("ballots are public")
    );
    assert!(is_proved(home, &question, &dao).await);
    assert_eq!(
        home.ask(&uri).await.json(),
        question,
        "the same bytes each time"
    );

    // It is there at the other hub, as a row for its members and among the posts for whoever follows.
    let mirrored = format!(
        "select id::text from proposals where federated_ap_id = '{uri}' and status = 'active'"
    );
    away.until("the proposal is known", async || away.text(&mirrored).await)
        .await;
    away.reads_post(&fan, "truing stand").await;

    let cast = away
        .rpc(
            &bob.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": "yes", "rationale": "We need it." }),
        )
        .await;
    assert_eq!(cast["state"], "sent");
    home.counts("select count(*) from votes where choice = 'yes' and attestation = 'proof' and ballot_index = 1", 1).await;
    away.counts(
        "select count(*) from votes where answer = 'recorded' and ballot_index = 1",
        1,
    )
    .await;
    let cast = home
        .rpc(
            &ann.person,
            "votes_cast",
            json!({ "proposal": asked["id"], "choice": "no" }),
        )
        .await;
    assert_eq!(
        (&cast["ballot_index"], &cast["weight"]),
        (&json!(2), &json!("1"))
    );
    // She thinks again; her ballot stays where it is.
    let cast = home
        .rpc(
            &ann.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": "abstain" }),
        )
        .await;
    assert_eq!(cast["ballot_index"], 2);

    count_is_told(home).await;
    away.counts(
        &format!(
            "select (tally ->> 'mo:voters')::bigint from proposals where federated_ap_id = '{uri}'"
        ),
        2,
    )
    .await;

    time_passes(home, &asked).await;
    let row = comes_to(home, &asked, "passed").await;
    assert_eq!(
        (&row["votes_yes"], &row["votes_no"], &row["votes_abstain"]),
        (&json!(1), &json!(0), &json!(1))
    );
    assert_eq!(row["quorum_reached"], true);
    away.until("the result is known", async || {
        away.text(&format!("select 'x' from proposals where federated_ap_id = '{uri}' and status = 'passed' and ballots_digest is not null")).await
    })
    .await;
    away.reads_post(&fan, "passed: 1 yes, 0 no, 1 abstain (100 % turnout)")
        .await;
    let question = home.ask(&uri).await.json();
    assert_eq!(question["mo:status"], "passed");
    assert_eq!(question["mo:tally"]["mo:turnout"], "1");
    assert!(question["closed"].is_string());
    let ballots = home.ask(&format!("{uri}/ballots?page=true")).await.json();
    let items = ballots["orderedItems"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1]["object"]["attributedTo"], json!(bob.actor));
    assert_eq!(items[1]["mo:attestation"], "proof");
    assert_eq!(items[0]["object"]["mo:choice"], "abstain");
    home.counts(&members(&dao, "member"), 1).await;
}

#[tokio::test]
async fn clicks_of_members_decide_and_clicks_of_others_are_told_beside() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let dao = found(&hub, &ann, "Bikes", json!({ "membership": "open" })).await;
    let peer = peers.peer("p1.peer.test");
    let (mel, ned) = (peer.person("mel"), peer.person("ned"));
    assert_eq!(
        sends(
            &hub,
            &mel,
            &mel.activity("Join", json!({ "object": dao.uri }))
        )
        .await,
        "done"
    );
    let asked = asks(&hub, &ann, &dao, "Paint it", json!({})).await;
    let uri = asked["uri"].as_str().unwrap();
    // Members get it without following.
    let create = peer.wait("Create", 1).await.remove(0).json;
    assert_eq!(create["object"]["id"], uri);

    assert_eq!(
        sends(&hub, &mel, &click(&mel, uri, &dao.uri, "Yes")).await,
        "done"
    );
    assert_eq!(
        sends(&hub, &ned, &click(&ned, uri, &dao.uri, "No")).await,
        "done"
    );
    // The second click of each changes nothing.
    assert_eq!(
        sends(&hub, &mel, &click(&mel, uri, &dao.uri, "No")).await,
        "done"
    );
    assert_eq!(
        sends(&hub, &ned, &click(&ned, uri, &dao.uri, "Yes")).await,
        "done"
    );
    count_is_told(&hub).await;
    let update = peer.wait("Update", 1).await.remove(0).json;
    let question = &update["object"];
    assert_eq!(question["oneOf"][0]["replies"]["totalItems"], 1);
    assert_eq!(question["oneOf"][1]["replies"]["totalItems"], 0);
    assert_eq!(question["votersCount"], 1);
    assert_eq!(
        question["mo:tally"]["mo:advisory"],
        json!({ "mo:yes": 0, "mo:no": 1, "mo:abstain": 0 })
    );
    assert_eq!(
        question["content"], create["object"]["content"],
        "no word of it changes"
    );
    assert!(question["updated"].as_str() > create["object"]["updated"].as_str());

    // Who clicked is told by a pseudonym (R36).
    let ballots = hub.ask(&format!("{uri}/ballots?page=true")).await;
    assert!(!ballots.body.contains(&mel.id), "{}", ballots.body);
    let ballot = &ballots.json()["orderedItems"][0];
    assert_eq!(ballot["mo:attestation"], "http-signature");
    assert!(
        ballot["object"]["attributedTo"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{uri}#voter-"))
    );
    // Other members of this hub do not see whose it is either.
    let rows = ann.person.reads(&hub.hub, "/rest/v1/votes").await;
    assert_eq!(rows, json!([]));
}

#[tokio::test]
async fn s_45_no_vote_counts_twice_late_or_from_outside() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let dan = hub.member("dan").await;
    let dao = found(
        &hub,
        &ann,
        "Bikes",
        json!({ "membership": "open", "change_vote": false }),
    )
    .await;
    let peer = peers.peer("p1.peer.test");
    let mel = peer.actor("Person", "mel", crate::support::peer::Keys::fresh(), json!({
        "generator": { "type": "Application", "implements": [{ "type": "Link", "href": "https://w3id.org/made-open/hub/v1" }] } }));
    assert_eq!(
        sends(
            &hub,
            &mel,
            &mel.activity("Join", json!({ "object": dao.uri }))
        )
        .await,
        "done"
    );
    let draft = ann
        .person
        .adds(
            &hub.hub,
            "proposals",
            json!({ "dao_id": dao.id, "title": "Later" }),
        )
        .await;
    let (status, _) = hub
        .tries(
            &ann.person,
            "votes_cast",
            json!({ "proposal": draft["id"], "choice": "yes" }),
        )
        .await;
    assert_eq!(status, 409);

    let asked = asks(&hub, &ann, &dao, "Paint it", json!({})).await;
    let uri = asked["uri"].as_str().unwrap();
    // Who joins after it was opened does not decide it.
    hub.rpc(&dan.person, "daos_join", json!({ "id": dao.id }))
        .await;
    let (status, told) = hub
        .tries(
            &dan.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": "yes" }),
        )
        .await;
    assert_eq!(
        (status, &told["code"]),
        (403, &json!("vote.not_eligible")),
        "{told}"
    );
    hub.rpc(
        &ann.person,
        "votes_cast",
        json!({ "proposal": uri, "choice": "yes" }),
    )
    .await;
    let (status, told) = hub
        .tries(
            &ann.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": "no" }),
        )
        .await;
    assert_eq!(
        (status, &told["code"]),
        (409, &json!("vote.already_voted")),
        "{told}"
    );
    let (status, _) = hub
        .tries(
            &ann.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": "maybe" }),
        )
        .await;
    assert_eq!(status, 400);

    let vote = click(&mel, uri, &dao.uri, "Yes");
    assert_eq!(sends(&hub, &mel, &vote).await, "done");
    let mut reasons = Vec::new();
    for (name, reason) in [("No", "already_voted"), ("Maybe", "unknown_option")] {
        let vote = click(&mel, uri, &dao.uri, name);
        sends(&hub, &mel, &vote).await;
        reasons.push((vote["id"].clone(), reason));
    }
    // The same vote again is the same vote; whole as another activity too.
    let mut again = vote.clone();
    again["id"] = json!(format!("{}/again", vote["id"].as_str().unwrap()));
    assert_eq!(sends(&hub, &mel, &again).await, "repeated");

    time_passes(&hub, &asked).await;
    comes_to(&hub, &asked, "passed").await;
    let late = click(&mel, uri, &dao.uri, "No");
    sends(&hub, &mel, &late).await;
    reasons.push((late["id"].clone(), "closed"));
    let (status, _) = hub
        .tries(
            &ann.person,
            "votes_cast",
            json!({ "proposal": uri, "choice": "no" }),
        )
        .await;
    assert_eq!(status, 409);
    hub.counts(&format!("select votes_yes * 10 + votes_no::bigint from proposals where federated_ap_id = '{uri}'"), 20).await;

    let rejects = peer.wait("Reject", reasons.len()).await;
    for (id, reason) in reasons {
        let reject = rejects.iter().find(|it| it.json["object"] == id).unwrap();
        assert_eq!(reject.json["mo:reason"], reason);
        assert_eq!(reject.json["content"], reason);
    }
    let receipt = peer.wait("Accept", 2).await;
    let receipt = receipt
        .iter()
        .find(|it| it.json["object"] == vote["id"])
        .unwrap();
    assert_eq!(receipt.json["result"]["mo:kind"], "mo:VoteReceipt");
}

#[tokio::test]
async fn many_clicks_at_once_are_counted_as_one_by_one() {
    let peers = Peers::start(&["p1.peer.test"]);
    let hub = Hub::start("a", &peers.resolve(), &[]).await;
    let ann = hub.member("ann").await;
    let dao = found(&hub, &ann, "Bikes", json!({ "membership": "open" })).await;
    let peer = peers.peer("p1.peer.test");
    let people: Vec<Actor> = (0..12).map(|n| peer.person(&format!("m{n}"))).collect();
    // The last two are no members.
    for who in &people[..10] {
        let join = who.activity("Join", json!({ "object": dao.uri }));
        assert_eq!(sends(&hub, who, &join).await, "done");
    }
    let asked = asks(&hub, &ann, &dao, "Paint it", json!({})).await;
    let uri = asked["uri"].as_str().unwrap();

    // While somebody else has the turn, they gather.
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(&format!("select pg_advisory_lock({TURN})"))
        .await
        .unwrap();
    let mut said = Vec::new();
    for (n, who) in people.iter().enumerate() {
        let name = ["Yes", "No", "Abstain", "Maybe"][n % 4];
        said.push((who, click(who, uri, &dao.uri, name)));
    }
    // One clicks twice, and one click comes in two activities.
    said.push((&people[0], click(&people[0], uri, &dao.uri, "No")));
    let mut again = said[1].1.clone();
    again["id"] = json!(format!("{}/again", again["id"].as_str().unwrap()));
    said.push((&people[1], again));
    for (who, vote) in &said {
        let told = who.send(&hub.shared_inbox(), vote).await;
        assert_eq!(told.status, 202, "{}", told.body);
    }
    hub.counts(
        "select count(*) from ap_received where state = 'waiting'",
        14,
    )
    .await;
    admin
        .batch_execute(&format!("select pg_advisory_unlock({TURN})"))
        .await
        .unwrap();

    for (n, (_, vote)) in said.iter().enumerate() {
        let wanted = if n == 13 { "repeated" } else { "done" };
        assert_eq!(
            ended(&hub, vote["id"].as_str().unwrap()).await,
            wanted,
            "{n}"
        );
    }
    // Of ten members two said Maybe, which is nothing; of the others three each say yes and no.
    let tally = "select trim_scale(yes) || ' ' || trim_scale(no) || ' ' || trim_scale(abstain) || ' ' || advisory_yes || advisory_no || advisory_abstain from hub.tallies";
    assert_eq!(hub.text(tally).await.unwrap(), "3 3 2 001");
    let told =
        "select string_agg(choice || ' ' || ballot_index, ',' order by ballot_index) from votes";
    assert_eq!(
        hub.text(told).await.unwrap(),
        "yes 1,no 2,abstain 3,yes 4,no 5,abstain 6,yes 7,no 8"
    );
    // The log names who it was.
    for who in &people[..3] {
        let named = format!(
            "select count(*) from audit_log l join votes v on v.id::text = l.resource_id::text where l.actor_id = '{}'",
            who.id
        );
        hub.counts(&named, 1).await;
    }
}
