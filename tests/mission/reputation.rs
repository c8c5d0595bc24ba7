//! A good name is taken along: how agreements ended adds up, the hub signs it, another hub verifies it, and it counts only for
//! whom both hubs name.

use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};

/// Let somebody's agreements have ended so, each with another party.
async fn ended(hub: &Hub, who: &Member, kept: &[bool]) {
    let admin = hub.hub.database.admin().await;
    for (n, kept) in kept.iter().enumerate() {
        let sql = format!(
            "select hub.note_reputation('{}', 'https://x.example/{n}', 'marketplace', 'https://x.example/agreements/{n}', {kept})",
            who.person.id
        );
        admin.batch_execute(&sql).await.unwrap();
    }
}

async fn score(hub: &Hub, who: &Member) -> Option<String> {
    let id = &who.person.id;
    hub.text(&format!("select trim_scale(score::numeric)::text from reputation_scores where owner_id = '{id}' and domain = 'marketplace'"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_name_is_taken_along_and_no_strangers() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let [old, new] = hubs.as_slice() else {
        unreachable!()
    };
    let (ann, anna, eve) = (
        old.member("ann").await,
        new.member("anna").await,
        new.member("eve").await,
    );

    // Four kept and one called off, each weighed by half: 100 * (2 + 1) / (2.5 + 2).
    ended(old, &ann, &[true, true, true, true, false]).await;
    assert_eq!(score(old, &ann).await.as_deref(), Some("66.67"));
    let credential = old
        .rpc(
            &ann.person,
            "reputation_issue",
            json!({ "domain": "marketplace" }),
        )
        .await;
    assert_eq!(credential["credentialSubject"]["mo:score"], "66.67");
    let served = old.ask(credential["id"].as_str().unwrap()).await;
    assert_eq!(served.json(), credential);

    // Hers when each of the two accounts names the other.
    for (hub, who, other) in [(old, &ann, &anna), (new, &anna, &ann)] {
        let own = hub
            .text(&format!(
                "select id::text from ap_actors where uri = '{}'",
                who.actor
            ))
            .await;
        let changes = json!({ "id": own, "changes": { "also_known_as": [other.actor] } });
        hub.rpc(&who.person, "actors_update", changes).await;
    }
    new.rpc(
        &anna.person,
        "actors_resolve",
        json!({ "query": ann.actor }),
    )
    .await;
    let taken = new
        .rpc(
            &anna.person,
            "reputation_import",
            json!({ "credential": credential }),
        )
        .await;
    assert_eq!(
        (taken["counts"].clone(), taken["score"].clone()),
        (json!(true), json!("66.67"))
    );
    // One hub's word weighs as much as three agreements do: 100 * (1.5 * 0.6667 + 1) / (1.5 + 2).
    assert_eq!(score(new, &anna).await.as_deref(), Some("57.14"));

    // Of somebody else it is kept, and counts for nobody.
    let taken = new
        .rpc(
            &eve.person,
            "reputation_import",
            json!({ "credential": credential }),
        )
        .await;
    assert_eq!(taken["counts"], json!(false));
    assert_eq!(score(new, &eve).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_signed_so_is_no_credential() {
    let hubs = Hub::start_all(&["a", "b"]).await;
    let [old, new] = hubs.as_slice() else {
        unreachable!()
    };
    let (ann, eve) = (old.member("ann").await, new.member("eve").await);
    ended(old, &ann, &[true]).await;
    let credential = old
        .rpc(
            &ann.person,
            "reputation_issue",
            json!({ "domain": "marketplace" }),
        )
        .await;

    let changed = |pointer: &str, value: Value| {
        let mut other = credential.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        other
    };
    let mut bare = credential.clone();
    bare.as_object_mut().unwrap().remove("proof");
    for (credential, code) in [
        (
            changed("/credentialSubject/mo:score", json!("99.00")),
            "reputation.forged",
        ),
        (
            changed("/credentialSubject/mo:receipts", json!(50)),
            "reputation.forged",
        ),
        (
            changed(
                "/credentialSubject/id",
                json!(format!("{}/ap/actors/1", old.public)),
            ),
            "reputation.forged",
        ),
        (
            changed("/credentialSubject/id", json!(eve.actor)),
            "reputation.issuer",
        ),
        (changed("/issuer", json!(ann.actor)), "reputation.issuer"),
        (
            changed("/issuer", json!(format!("{}/ap/actor", new.public))),
            "reputation.own",
        ),
        (
            changed("/credentialSubject/mo:score", json!("101")),
            "reputation.malformed",
        ),
        (
            changed("/credentialSubject/mo:score", json!("-1")),
            "reputation.malformed",
        ),
        (
            changed("/credentialSubject/mo:receipts", json!(1.5)),
            "reputation.malformed",
        ),
        (
            changed("/validFrom", json!("2999-01-01T00:00:00Z")),
            "reputation.not_yet",
        ),
        (bare, "reputation.no_proof"),
    ] {
        let (status, told) = new
            .tries(
                &eve.person,
                "reputation_import",
                json!({ "credential": credential }),
            )
            .await;
        assert_eq!(
            (status / 100, told["code"].as_str()),
            (4, Some(code)),
            "{credential}: {told}"
        );
    }
    assert_eq!(
        new.count("select count(*) from reputation_credentials")
            .await,
        0
    );
}
