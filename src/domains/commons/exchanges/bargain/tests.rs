//! What fits what was declared, and what does not.

use super::*;

const URI: &str = "https://hub.example/ap/listings/1";

fn intent(unit: &str, value: Option<&str>, conforms_to: Option<&str>) -> Intent {
    Intent {
        action: "transfer".to_owned(),
        conforms_to: conforms_to.map(str::to_owned),
        quantity: Some(Quantity {
            unit: unit.to_owned(),
            value: value.map(|value| value.parse().unwrap()),
        }),
        available: None,
        minimum: None,
    }
}

fn terms(unit_based: Option<bool>) -> Terms {
    Terms {
        purpose: Purpose::Offer,
        unit_based,
        primary: intent("hour", Some("1"), None),
        reciprocal: Some(intent(
            "one",
            Some("30.00"),
            Some("https://www.wikidata.org/wiki/Q4916"),
        )),
    }
}

fn bargain(value: &str, price: Option<&str>) -> Bargain {
    let amount = |text: &str| text.parse().ok();
    Bargain {
        primary: Commitment {
            satisfies: format!("{URI}#primary"),
            unit: "hour".to_owned(),
            value: amount(value),
        },
        reciprocal: price.map(|price| Commitment {
            satisfies: format!("{URI}/proposal#reciprocal"),
            unit: "one".to_owned(),
            value: amount(price),
        }),
    }
}

#[test]
fn what_was_declared_is_answered_by_as_much() {
    let fixed = terms(Some(false));
    for (value, price, expected) in [
        ("1", Some("30"), Ok(())),
        ("1.00", Some("30.0"), Ok(())),
        ("2", Some("60"), Err("wrong_quantity")),
        ("1", Some("29.99"), Err("wrong_quantity")),
        ("1", Some("30.001"), Err("wrong_quantity")),
        ("0", Some("30"), Err("wrong_quantity")),
        ("1", None, Err("wrong_quantity")),
    ] {
        let found = fits(&fixed, URI, &bargain(value, price), false);
        assert_eq!(found, expected, "{value} {price:?}");
    }
    // What the owner named himself is fine, but neither nothing nor more digits than there are.
    assert_eq!(fits(&fixed, URI, &bargain("1", Some("25")), true), Ok(()));
    assert!(fits(&fixed, URI, &bargain("1", Some("25.001")), true).is_err());
}

#[test]
fn by_the_unit_it_is_so_many_times_as_much() {
    let hourly = terms(Some(true));
    assert_eq!(fits(&hourly, URI, &bargain("3", Some("90")), false), Ok(()));
    for (value, price) in [("1.5", "45"), ("3", "89"), ("3", "30")] {
        let found = fits(&hourly, URI, &bargain(value, Some(price)), false);
        assert_eq!(found, Err("wrong_quantity"), "{value} {price}");
    }
    let usual = usual(&hourly, URI, "4".parse().ok(), None).unwrap();
    assert!(usual.is(&bargain("4", Some("120"))));
}

#[test]
fn units_stock_and_other_intents() {
    let mut free = terms(None);
    assert_eq!(
        fits(&free, URI, &bargain("7.25", Some("11.50")), false),
        Ok(())
    );
    free.primary.available = "2".parse().ok();
    assert_eq!(
        fits(&free, URI, &bargain("3", Some("1")), false),
        Err("over_stock")
    );
    let mut other = bargain("1", Some("1"));
    other.primary.unit = "kilogram".to_owned();
    assert_eq!(fits(&free, URI, &other, false), Err("wrong_unit"));
    let mut other = bargain("1", Some("1"));
    other.primary.satisfies = format!("{URI}#reciprocal");
    assert!(fits(&free, URI, &other, false).is_err());
    assert!(
        fits(
            &free,
            "https://hub.example/ap/listings/2",
            &bargain("1", Some("1")),
            false
        )
        .is_err()
    );
}

#[test]
fn what_is_no_amount_is_no_commitment() {
    for value in [
        json!(1),
        json!("-1"),
        json!("1e3"),
        json!("1.00001"),
        json!(""),
    ] {
        let agreement = json!({ "stipulates": { "type": "Commitment", "satisfies": "x#primary",
            "resourceQuantity": { "hasUnit": "one", "hasNumericalValue": value } } });
        assert!(Bargain::read(&agreement).is_err(), "{value}");
    }
}
