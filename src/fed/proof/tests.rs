//! Proofs: the published examples, what may be changed afterwards (nothing), and canonical JSON.

use std::sync::LazyLock;

use chrono::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::fed::crypto::tests::{from_seed, known};
use crate::fed::vocab;

static EXAMPLES: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../tests/fixtures/wire/proofs.json")).unwrap()
});

const KEY_ID: &str = "https://hub.example/ap/actors/0193a1#ed25519-key";

fn when() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2023, 2, 24, 23, 36, 38).unwrap()
}

fn key() -> PublicKey {
    PublicKey::from_multibase(EXAMPLES["key"].as_str().unwrap()).unwrap()
}

fn holds(document: &Value) -> bool {
    read(document).is_ok_and(|proven| proven.is_some_and(|proven| proven.verify(&key())))
}

fn proven() -> Value {
    let mut document = json!({
        "@context": vocab::context(), "type": "Create", "id": "https://hub.example/ap/activities/1",
        "actor": "https://hub.example/ap/actors/0193a1", "mo:version": 3,
        "object": {"type": "Note", "content": "<p>Grüße 🚲</p>",
            "location": {"type": "Place", "latitude": 52.5, "longitude": 13.405}},
    });
    prove(&mut document, KEY_ID, &known(), when()).unwrap();
    document
}

#[test]
fn the_published_examples_verify() {
    for name in ["fep_8b32", "w3c", "without_context_in_the_proof"] {
        let document = &EXAMPLES[name];
        let proof = read(document).unwrap().unwrap();
        assert!(proof.verify(&key()), "{name}");
        assert_eq!(proof.created, Some(when()));
        assert_eq!(
            document["proof"]["verificationMethod"],
            proof.verification_method
        );
        assert!(!proof.verify(from_seed(&[7; 32]).public()), "{name}");
    }
}

#[test]
fn the_published_examples_are_made_alike() {
    for name in ["fep_8b32", "w3c"] {
        let expected = &EXAMPLES[name];
        let method = expected["proof"]["verificationMethod"].as_str().unwrap();
        let mut document = expected.clone();
        document.as_object_mut().unwrap().remove("proof");
        prove(&mut document, method, &known(), when()).unwrap();
        assert_eq!(&document, expected, "{name}");
    }
}

#[test]
fn a_proof_has_whole_seconds_and_the_keys_of_the_contract() {
    let document = proven();
    let proof = document["proof"].as_object().unwrap();
    let mut keys: Vec<&str> = proof.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "@context",
            "created",
            "cryptosuite",
            "proofPurpose",
            "proofValue",
            "type",
            "verificationMethod"
        ]
    );
    assert_eq!(proof["created"], "2023-02-24T23:36:38Z");
    assert_eq!(&proof["@context"], vocab::context());
    assert!(holds(&document));

    let mut again = document.clone();
    prove(&mut again, KEY_ID, &known(), when()).unwrap();
    assert_eq!(again, document, "an older proof is replaced, not signed");
}

#[test]
fn whatever_is_changed_breaks_the_proof() {
    let document = proven();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document);
        document
    };
    for (what, document) in [
        (
            "content",
            changed(&|d| d["object"]["content"] = "<p>Other</p>".into()),
        ),
        ("a number", changed(&|d| d["mo:version"] = 4.into())),
        (
            "a place",
            changed(&|d| d["object"]["location"]["latitude"] = 52.6.into()),
        ),
        ("something more", changed(&|d| d["extra"] = Value::Null)),
        (
            "something less",
            changed(&|d| drop(d.as_object_mut().unwrap().remove("id"))),
        ),
        (
            "the context",
            changed(&|d| d["@context"][3]["action"] = "https://evil.example/".into()),
        ),
        (
            "both contexts",
            changed(&|d| {
                d["@context"][0] = "https://evil.example/".into();
                d["proof"]["@context"][0] = "https://evil.example/".into();
            }),
        ),
        (
            "the time",
            changed(&|d| d["proof"]["created"] = "2023-02-24T23:36:39Z".into()),
        ),
        (
            "the key",
            changed(&|d| d["proof"]["verificationMethod"] = "https://evil.example/#key".into()),
        ),
        (
            "the purpose",
            changed(&|d| d["proof"]["proofPurpose"] = "authentication".into()),
        ),
        (
            "the suite's name",
            changed(&|d| d["proof"]["cryptosuite"] = SUITES[1].into()),
        ),
        (
            "more in the proof",
            changed(&|d| d["proof"]["challenge"] = "1".into()),
        ),
        (
            "less in the proof",
            changed(&|d| drop(d["proof"].as_object_mut().unwrap().remove("created"))),
        ),
        (
            "a value of 63 bytes",
            changed(&|d| {
                d["proof"]["proofValue"] =
                    format!("z{}", bs58::encode([1; 63]).into_string()).into()
            }),
        ),
        (
            "no base58",
            changed(&|d| d["proof"]["proofValue"] = "z0OIl".into()),
        ),
        (
            "a long value",
            changed(&|d| d["proof"]["proofValue"] = format!("z{}", "2".repeat(5000)).into()),
        ),
    ] {
        assert!(!holds(&document), "{what}");
    }
}

#[test]
fn what_a_later_hand_may_add_is_read_as_it_was_signed() {
    // An older signature beside the proof, as forwarders add it.
    let mut document = proven();
    document["signature"] = json!({"type": "RsaSignature2017", "signatureValue": "b3BhcXVl"});
    assert!(holds(&document));
    // More contexts behind those that were signed.
    let mut document = proven();
    document["@context"]
        .as_array_mut()
        .unwrap()
        .push("https://more.example/".into());
    assert!(holds(&document));
    // But not before them, and none taken away.
    let mut document = proven();
    document["@context"]
        .as_array_mut()
        .unwrap()
        .insert(0, "https://more.example/".into());
    assert_eq!(read(&document).err(), Some(Flaw::Context));
    let mut document = proven();
    document["@context"].as_array_mut().unwrap().pop();
    assert_eq!(read(&document).err(), Some(Flaw::Context));
    let mut document = proven();
    document.as_object_mut().unwrap().remove("@context");
    assert_eq!(read(&document).err(), Some(Flaw::Context));
}

#[test]
fn the_older_name_of_the_suite_and_several_proofs_are_read() {
    let mut document = EXAMPLES["without_context_in_the_proof"].clone();
    let object = document.as_object_mut().unwrap();
    object.remove("proof");
    let mut proof = json!({"type": TYPE, "cryptosuite": SUITES[1], "created": "2023-02-24T23:36:38Z",
        "verificationMethod": KEY_ID, "proofPurpose": "assertionMethod"});
    let message = message(&hash(&proof).unwrap(), &hash(&*object).unwrap());
    let value = bs58::encode(known().sign(&message)).into_string();
    proof["proofValue"] = format!("z{value}").into();
    document["proof"] = proof.clone();
    assert!(holds(&document));

    let other = json!({"type": TYPE, "cryptosuite": "ecdsa-rdfc-2019", "proofValue": "z1"});
    document["proof"] = json!([other, proof]);
    assert!(holds(&document));
    document["proof"] = json!([other]);
    assert!(matches!(read(&document), Ok(None)));
}

#[test]
fn what_is_no_proof_of_ours_is_none_and_what_is_broken_is_refused() {
    for none in [
        json!({}),
        json!([]),
        json!("a"),
        json!({"proof": null}),
        json!({"proof": "z"}),
        json!({"proof": [1, "a", [], {}]}),
        json!({"proof": {"type": "RsaSignature2017"}}),
    ] {
        assert!(matches!(read(&none), Ok(None)), "{none}");
    }
    let with = |name: &str, value: Value| {
        let mut document = proven();
        document["proof"][name] = value;
        read(&document).err()
    };
    assert_eq!(with("verificationMethod", json!(1)), Some(Flaw::Malformed));
    assert_eq!(
        with("verificationMethod", json!("a\nb")),
        Some(Flaw::Malformed)
    );
    assert_eq!(
        with("verificationMethod", json!("a".repeat(5000))),
        Some(Flaw::Malformed)
    );
    assert_eq!(
        with("proofPurpose", json!(["assertionMethod"])),
        Some(Flaw::Purpose)
    );
    assert_eq!(with("proofValue", json!("m1234")), Some(Flaw::Malformed));
    assert_eq!(with("created", json!("yesterday")), Some(Flaw::Malformed));
    assert_eq!(with("expires", json!(5)), Some(Flaw::Malformed));
}

#[test]
fn the_end_of_a_proof_is_told() {
    let mut document = proven();
    document["proof"]["expires"] = "2023-03-01T00:00:00Z".into();
    let proof = read(&document).unwrap().unwrap();
    assert!(!proof.is_over(when()));
    assert!(proof.is_over(when() + chrono::TimeDelta::days(30)));
    assert!(!proof.verify(&key()), "it was not signed");
}

#[test]
fn r7_only_places_have_fractions_and_no_number_is_larger_than_all_read_it() {
    let prove_with = |value: Value| {
        let mut document =
            json!({"@context": ["https://www.w3.org/ns/activitystreams"], "object": value});
        prove(&mut document, KEY_ID, &known(), when()).is_ok()
    };
    assert!(prove_with(
        json!({"type": "Place", "latitude": 1.5, "inside": [2.5]})
    ));
    assert!(prove_with(
        json!({"count": 9_007_199_254_740_991_u64, "less": -9_007_199_254_740_991_i64})
    ));
    assert!(!prove_with(json!({"price": 1.5})));
    assert!(!prove_with(json!({"price": 1.0})));
    assert!(!prove_with(json!([1, [2, {"a": 0.5}]])));
    assert!(!prove_with(json!(9_007_199_254_740_992_u64)));
    assert!(!prove_with(json!(u64::MAX)));
    assert!(!prove_with(json!(i64::MIN)));

    // Both spell the same once they are canonical: a proof of one would be a proof of the other.
    let mut document = proven();
    document["mo:version"] = 9_007_199_254_740_993_u64.into();
    assert_eq!(read(&document).err(), Some(Flaw::Number));
}

#[test]
fn what_cannot_be_proven_is_not() {
    let rsa = PrivateKey::generate(Algorithm::Rsa).unwrap();
    let mut document = json!({"@context": "https://www.w3.org/ns/activitystreams"});
    assert!(prove(&mut document, KEY_ID, &rsa, when()).is_err());
    assert!(
        prove(&mut json!({"id": "a"}), KEY_ID, &known(), when()).is_err(),
        "no context"
    );
    assert!(
        prove(&mut json!(["a"]), KEY_ID, &known(), when()).is_err(),
        "no object"
    );
    assert!(!read(&proven()).unwrap().unwrap().verify(rsa.public()));
}

/// With the feature `arbitrary_precision` numbers are kept as text, and canonical JSON is none any more (R7).
#[test]
fn r7_numbers_are_numbers() {
    assert!(serde_json::from_str::<Value>("1e400").is_err());
    let number: Value = serde_json::from_str("1.0000").unwrap();
    assert_eq!(number.to_string(), "1.0");
    assert_eq!(serde_jcs::to_string(&number).unwrap(), "1");
}

#[test]
fn canonical_json_is_that_of_rfc_8785() {
    let canonical =
        |text: &str| serde_jcs::to_string(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
    // Numbers, by the bits of their doubles.
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553_u64, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbece_cf64_7a21_5f2e, "-0.0000036748"),
    ] {
        let made = serde_jcs::to_string(&f64::from_bits(bits)).unwrap();
        if bits != 0xbece_cf64_7a21_5f2e {
            assert_eq!(made, text, "{bits:x}");
        }
        assert_eq!(canonical(&made), made);
    }
    // Keys by their UTF-16, where an emoji comes before a Hebrew ligature.
    assert_eq!(
        canonical(
            r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji","\u0080":"Control","\u00f6":"Latin"}"#
        ),
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin\",\"€\":\"Euro Sign\",\"😀\":\"Emoji\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
    );
    // Texts: only what must be is escaped.
    assert_eq!(
        canonical(r#"{"s":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/\u001f\u007f"}"#),
        "{\"s\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\\u001f\u{7f}\"}"
    );
    assert_eq!(
        canonical(r#"{"b":[56,{"d":true,"10":null,"1":[]}],"a":{}}"#),
        r#"{"a":{},"b":[56,{"1":[],"10":null,"d":true}]}"#
    );
}

proptest! {
    #[test]
    fn what_is_proven_verifies_and_any_changed_text_does_not(
        content in "\\PC{0,40}", key in "[a-zA-Z:]{1,8}", number in -9_007_199_254_740_991_i64..9_007_199_254_740_991,
        at in any::<prop::sample::Index>(), to in any::<char>(),
    ) {
        prop_assume!(!["@context", "proof", "signature"].contains(&key.as_str()));
        let mut document = json!({"@context": [vocab::ACTIVITYSTREAMS], "content": content});
        document[&key] = number.into();
        prove(&mut document, KEY_ID, &known(), when()).unwrap();
        prop_assert!(holds(&document));
        let sent: Value = serde_json::from_str(&document.to_string()).unwrap();
        prop_assert!(holds(&sent));

        let mut letters: Vec<char> = document["content"].as_str().unwrap_or_default().chars().collect();
        if !letters.is_empty() {
            let place = at.index(letters.len());
            prop_assume!(letters[place] != to);
            letters[place] = to;
            document["content"] = letters.into_iter().collect::<String>().into();
            prop_assert!(!holds(&document));
        }
    }

    #[test]
    fn no_proof_makes_reading_panic(fields in prop::collection::vec(("[a-zA-Z@]{0,20}", "\\PC{0,30}"), 0..6), value in "\\PC{0,120}") {
        let mut document = proven();
        for (name, value) in fields {
            document["proof"][name] = value.into();
        }
        document["proof"]["proofValue"] = value.into();
        let _ = read(&document).map(|proof| proof.map(|proof| proof.verify(&key())));
    }
}
