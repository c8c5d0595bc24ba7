//! The grammar, case by case; and whatever comes, it neither panics nor forgets.

use proptest::prelude::*;

use super::body::body;
use super::{Ask, Headers, Method, Request, parse, say};
use crate::base::Result;

fn ask(query: &str) -> Result<Ask> {
    parse(Request {
        method: Method::Get,
        table: "t",
        query,
        headers: Headers::default(),
        body: b"",
    })
}

#[test]
fn these_are_understood_and_said_again() {
    for query in [
        "",
        "select=*",
        "select=id,a:b->c->>0::text,...d!inner(e),f:g!h!left(*,i(count)),j.sum()::text,count()",
        "select=a()&a=not.is.null&a.b=eq.1&a.not.or=(x.eq.1,not.and(y.in.(1,%222%22),z.is.null))",
        "id=not.in.(1,2,%22a,b%22)&name=like(any).{a*,b*}&t=fts(english).x&u=wfts.y&v=isdistinct.z",
        "order=a.desc.nullslast,b(c->d).asc&limit=3&offset=4&b.order=x&b.limit=1",
        "columns=a,b&on_conflict=c,%22d,e%22",
        "or=(a.cs.{1,2},b.eq.%22(%22,c->>d.eq.e)",
        "and=(a.eq.,b.eq.%22%22)",
    ] {
        let first = ask(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let said = say::query(&first);
        let second = ask(&said).unwrap_or_else(|error| panic!("{query} -> {said}: {error}"));
        assert_eq!(first, second, "{query} -> {said}");
    }
}

#[test]
fn these_are_refused() {
    for (query, code) in [
        ("select=id,", "PGRST100"),
        ("select=a(b", "PGRST100"),
        ("select=a.b", "PGRST100"),
        ("id=1", "PGRST100"),
        ("id=foo.1", "PGRST100"),
        ("id=in.1", "PGRST100"),
        ("id=is.nul", "PGRST100"),
        ("id=neq(any).1", "PGRST100"),
        ("or=a.eq.1", "PGRST100"),
        ("or=()", "PGRST100"),
        ("order=a.up", "PGRST100"),
        ("limit=-1", "PGRST103"),
        ("offset=-1", "PGRST103"),
        ("limit=x", "PGRST100"),
        ("a=eq.%00", "PGRST100"),
        ("a=eq.%ff", "PGRST100"),
    ] {
        let error = ask(query).expect_err(query);
        assert!(error.is(code), "{query}: {error}");
    }
    let deep = format!("select={}b{}", "a(".repeat(60), ")".repeat(60));
    assert!(ask(&deep).expect_err("too deep").is("PGRST100"));
    let deep = format!("or={}a.eq.1{}", "(or".repeat(60), ")".repeat(60));
    assert!(ask(&deep).is_err());
    let many = format!("or=({})", vec!["a.eq.1"; 10_000].join(","));
    assert!(ask(&many).expect_err("too many").is("PGRST100"));
    let many = vec!["a=eq.1"; 10_000].join("&");
    assert!(ask(&many).expect_err("too many").is("PGRST100"));
}

#[test]
fn bodies() {
    let digits = "9".repeat(400);
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    for (text, fixed, is_fine) in [
        ("{\"a\":1}", false, true),
        ("[]", false, true),
        ("[{},{}]", false, true),
        (&format!("{{\"a\":{digits}}}"), false, true),
        ("[{\"a\":1,\"b\":2},{\"b\":1,\"a\":2}]", false, true),
        ("[{\"a\":1},{\"b\":1}]", false, false),
        ("[{\"a\":1},{\"b\":1}]", true, true),
        ("[{\"a\":1},2]", false, false),
        ("", false, false),
        ("5", false, false),
        ("{\"a\":1", false, false),
        ("{\"a\":1} x", false, false),
        ("{\"a\":1,\"a\":2}", false, false),
        ("{\"a\":{\"b\":1,\"b\":2}}", false, true),
        (r#"{"a":"\u0000"}"#, false, false),
        (r#"{"a":"\\u0000"}"#, false, true),
        (r#"{"a":["\ud800"]}"#, false, false),
        (r#"{"a":["\ud83d x"]}"#, false, false),
        (r#"{"a":["\udc00"]}"#, false, false),
        (r#"{"a":"\ud83e\udd80"}"#, false, true),
        (r#"{"\ud800":1}"#, false, false),
        (&deep(100), false, true),
        (&deep(101), false, false),
        (&deep(20_000), false, false),
    ] {
        let read = body(text.as_bytes(), None, fixed);
        assert_eq!(read.is_ok(), is_fine, "{:.80}: {read:?}", text);
    }
}

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "b c",
        "*",
        "->",
        "->>",
        "(",
        ")",
        ",",
        ".",
        ":",
        "::",
        "!",
        "\"",
        "\\",
        "{",
        "}",
        "...",
        "not",
        "and",
        "or",
        "eq",
        "in",
        "is",
        "null",
        "like",
        "any",
        "fts",
        "count()",
        "sum()",
        "desc",
        "nullslast",
        "-1",
        "0",
        "inner",
        "é",
        "%",
        "_$",
        " ",
        "eq.",
        "in.(",
        "is.null",
        "text",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

fn keys() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "select",
        "order",
        "limit",
        "offset",
        "or",
        "and",
        "not.or",
        "x.or",
        "x.order",
        "columns",
        "on_conflict",
        "id",
        "x.id",
        "d->>e",
    ]);
    prop_oneof![4 => fixed.prop_map(str::to_owned), 1 => words()]
}

proptest! {
    #[test]
    fn no_query_panics_and_what_is_accepted_means_the_same_when_said_again(
        pairs in prop::collection::vec((keys(), words()), 1..4)
    ) {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        if let Ok(first) = ask(&query) {
            let said = say::query(&first);
            let second = ask(&said);
            prop_assert!(second.is_ok(), "{} -> {}: {:?}", query, said, second);
            prop_assert_eq!(Some(first), second.ok(), "{}", said);
        }
    }

    #[test]
    fn no_bytes_panic(query in ".*", header in ".*", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for method in [Method::Get, Method::Post, Method::Put] {
            for kind in ["application/json", "text/csv", "application/x-www-form-urlencoded"] {
                let headers = Headers {
                    accept: Some(&header), prefer: Some(&header), range: Some(&header),
                    content_type: Some(kind), ..Headers::default()
                };
                let _ = parse(Request { method, table: "t", query: &query, headers, body: &bytes });
            }
        }
    }
}
