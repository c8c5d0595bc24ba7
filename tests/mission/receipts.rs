//! A receipt is a file that anybody can check: it holds as it is, and with one letter changed it does not.

use serde_json::{Value, json};

use super::trade::Market;

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_checked_without_a_hub() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let uri = market
        .declares(json!({ "decl_type": "offer", "title": "A shelf", "exchange_type": "monetary", "quantity": 1,
            "price_amount": "12.5", "price_currency": "EUR" }))
        .await;
    let (his, hers) = market.agrees(json!({ "declaration": uri })).await;
    let (status, _) = b
        .tries(&market.alice.person, "receipts_file", json!({ "id": his }))
        .await;
    assert!((400..500).contains(&status), "somebody else's: {status}");
    market.bruno_says(&his, "fulfilled").await;
    market.alice_says(&hers, "fulfilled").await;
    market.both_stand(&his, &hers, "completed").await;

    let of_b = b
        .rpc(&market.bruno.person, "receipts_file", json!({ "id": his }))
        .await;
    let of_a = a
        .rpc(&market.alice.person, "receipts_file", json!({ "id": hers }))
        .await;
    // Both have the same words.
    for part in ["offer", "agreement", "documents"] {
        assert_eq!(of_a[part], of_b[part], "{part}");
    }
    assert_eq!(of_b["documents"].as_array().unwrap().len(), 2);

    let verify = |receipt: &Value, more: &[&str]| {
        let file = b.hub.data_dir.join("receipt.json");
        std::fs::write(&file, receipt.to_string()).unwrap();
        let mut arguments = vec!["receipt", "verify", file.to_str().unwrap(), "--json"];
        arguments.extend(more);
        b.hub.cli(&arguments, None)
    };
    let said: Value = serde_json::from_str(&verify(&of_b, &[]).unwrap()).unwrap();
    assert_eq!(
        (&said["valid"], &said["state"]),
        (&json!(true), &json!("completed"))
    );
    assert_eq!(said["shows"], "consistency");

    // With keys from elsewhere it shows who it was.
    let key = |actor: &str| {
        let parties = said["parties"].as_array().unwrap();
        let party = parties
            .iter()
            .find(|party| party["actor"] == actor)
            .unwrap();
        format!("{actor}={}", party["key"].as_str().unwrap())
    };
    let (one, other) = (key(&market.alice.actor), key(&market.bruno.actor));
    let said: Value =
        serde_json::from_str(&verify(&of_a, &["--trust", &one, "--trust", &other]).unwrap())
            .unwrap();
    assert_eq!(said["shows"], "identity");
    let swapped = format!(
        "{}={}",
        market.alice.actor,
        other.rsplit('=').next().unwrap()
    );
    let refused = verify(&of_a, &["--trust", &swapped]).unwrap_err();
    assert!(
        refused.contains("exit status: 1") && refused.contains("\"valid\":false"),
        "{refused}"
    );
    assert!(
        verify(&of_a, &["--trust", "nonsense"])
            .unwrap_err()
            .contains("exit status: 2")
    );

    // Whatever is changed, it does not hold any more.
    for (pointer, value) in [
        (
            "/agreement/stipulates/resourceQuantity/hasNumericalValue",
            json!("2"),
        ),
        (
            "/agreement/stipulatesReciprocal/resourceQuantity/hasNumericalValue",
            json!("1.00"),
        ),
        (
            "/offer/object/stipulates/resourceQuantity/hasNumericalValue",
            json!("2"),
        ),
        ("/documents/0/mo:verdict", json!("cancelled")),
        ("/documents/1/attributedTo", json!(market.alice.actor)),
        ("/agreement/stipulates/provider", json!(market.bruno.actor)),
        (
            "/actors/0/assertionMethod/0/publicKeyMultibase",
            of_b["actors"][1]["assertionMethod"][0]["publicKeyMultibase"].clone(),
        ),
    ] {
        let mut forged = of_b.clone();
        *forged
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{pointer}")) = value;
        let refused = verify(&forged, &[]).unwrap_err();
        assert!(refused.contains("\"valid\":false"), "{pointer}: {refused}");
    }
    // One document twice is not two.
    let mut doubled = of_b.clone();
    doubled["documents"][1] = doubled["documents"][0].clone();
    assert!(
        verify(&doubled, &[])
            .unwrap_err()
            .contains("two are of one party")
    );

    // Agreement and receipts are for the two and nobody else.
    for address in [
        of_b["agreement"]["id"].as_str().unwrap(),
        of_b["documents"][0]["id"].as_str().unwrap(),
    ] {
        assert_eq!(a.ask(address).await.status, 404, "{address}");
    }
}
