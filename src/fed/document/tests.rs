//! Documents that two readers could read differently, and such that would cost too much.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn flaw(text: &str) -> Option<Malformed> {
    Document::read(text.as_bytes()).err()
}

#[test]
fn a_document_keeps_its_text_and_says_what_it_says() {
    let text = " {\"type\" : \"Create\",\r\n\"id\":\"https://a.example/1\",\"actor\":{\"id\":\"https://a.example/a\"},\"object\":{\"n\":1.50,\"b\":2}} ";
    let document = Document::read(text.as_bytes()).unwrap();
    assert_eq!(document.text(), text);
    assert_eq!(document.id(), Some("https://a.example/1"));
    assert_eq!(document.actor(), Some("https://a.example/a"));
    assert_eq!(document.kind(), Some("Create"));
    assert_eq!(document.object(), Some(&json!({"n": 1.5, "b": 2})));
    assert_eq!(
        document.value(),
        &serde_json::from_str::<Value>(text).unwrap()
    );

    let several = Document::read(br#"{"actor":["a","b"],"type":5,"id":{"id":"a"}}"#).unwrap();
    assert_eq!(
        (several.actor(), several.kind(), several.id()),
        (None, None, None)
    );
}

#[test]
fn s_22_no_key_comes_twice_or_in_two_spellings() {
    for text in [
        r#"{"actor":"a","actor":"b"}"#,
        r#"{"actor":"a","act\u006fr":"b"}"#,
        r#"{"actor":"a","Actor":"b"}"#,
        r#"{"ACTOR":"a","Actor":"b"}"#,
        r#"{"id":"a","ID":"b"}"#,
        r#"{"type":"Create","Type":"Note"}"#,
        r#"{"object":{},"oBject":{}}"#,
        r#"{"@id":"a","id":"b"}"#,
        r#"{"@type":"a","type":"b"}"#,
        r#"{"object":{"@id":"a","id":"b"}}"#,
        r#"{"object":{"content":"a","content":"a"}}"#,
        r#"{"object":[1,{"deep":{"a":1,"b":2,"a":3}}]}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(flaw(text), Some(Malformed::DoubledKey), "{text}");
    }
    // Below the top, and for what decides nothing, the case of a letter makes another key.
    assert_eq!(
        flaw(
            r#"{"content":"a","Content":"b","object":{"id":"a","Id":"b"},"@context":[{"id":"@id","type":"@type","a":{"@id":"b","@type":"@id"}}]}"#
        ),
        None
    );
}

#[test]
fn s_80_what_is_deep_long_or_crowded_is_refused() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(flaw(&nested(63)), None);
    assert_eq!(flaw(&nested(64)), Some(Malformed::TooDeep));
    assert_eq!(flaw(&nested(100_000)), Some(Malformed::TooDeep));
    assert_eq!(flaw(&"[".repeat(LONGEST)), Some(Malformed::TooDeep));
    assert_eq!(
        flaw(&"{\"a\":".repeat(LONGEST / 5)),
        Some(Malformed::TooDeep)
    );
    assert_eq!(
        flaw(&format!("{{\"a\":\"{}\"}}", "a".repeat(LONGEST))),
        Some(Malformed::TooLong)
    );
    let keys: String = (0..100_500).map(|n| format!("\"{n:x}\":1,")).collect();
    assert_eq!(
        flaw(&format!("{{{keys}\"end\":1}}")),
        Some(Malformed::TooMany)
    );
    assert_eq!(
        flaw(&format!("{{\"a\":[{}1]}}", "[],".repeat(200_000))),
        Some(Malformed::TooMany)
    );
    assert_eq!(Malformed::TooLong.status(), 413);
    assert_eq!(Malformed::TooDeep.status(), 400);
}

#[test]
fn r11_text_that_cannot_be_kept_is_refused() {
    assert_eq!(flaw(r#"{"a":"b\u0000c"}"#), Some(Malformed::Nul));
    assert_eq!(flaw(r#"{"a\u0000":"b"}"#), Some(Malformed::Nul));
    assert_eq!(flaw(r#"{"a":["b",{"c":"\u0000"}]}"#), Some(Malformed::Nul));
    assert_eq!(flaw(r#"{"a":"\\u0000"}"#), None);
}

#[test]
fn what_is_not_one_object_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "{}{}",
        "{} x",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":NaN}",
        "{\"a\":1e400}",
        "{\"a\":01}",
        "{\"a\":\"\\ud800\"}",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "// a\n{}",
    ] {
        assert_eq!(flaw(text), Some(Malformed::NotJson), "{text:?}");
    }
    for text in ["[]", "\"a\"", "5", "null", "[{}]"] {
        assert_eq!(flaw(text), Some(Malformed::NotAnObject), "{text}");
    }
    assert_eq!(
        Document::read(b"{\"a\":\"\xff\"}").err(),
        Some(Malformed::NotJson)
    );
    assert_eq!(flaw("{}"), None);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("x[a-z]{0,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_any_parser_reads(value in values()) {
        let text = json!({"x": value}).to_string();
        let document = Document::read(text.as_bytes()).unwrap();
        prop_assert_eq!(document.value(), &serde_json::from_str::<Value>(&text).unwrap());
        prop_assert_eq!(document.text(), text);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9a-z\\\\ue+.-]{0,200}") {
        let _ = Document::read(&bytes);
        let _ = Document::read(text.as_bytes());
    }
}
