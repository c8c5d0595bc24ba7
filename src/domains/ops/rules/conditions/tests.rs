//! What a tree of conditions says of a row, case by case; and that no tree and no row can make reading it fail.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn seen() -> Value {
    json!({
        "row": {
            "title": "Water the garden", "status": "pending", "minutes": 30, "price": 2.5, "tags": ["home", 3],
            "due": "2026-03-01T10:00:00+00:00", "day": "2026-03-01", "done": false, "nothing": null,
            "meta": {"place": {"name": "shed"}, "list": [{"n": 1}, {"n": 2}]}
        },
        "event": {"name": "tasks.update", "verb": "update", "kind": "tasks", "changed": ["status", "minutes"], "depth": 0}
    })
}

fn holds(tree: &Value) -> bool {
    read(tree)
        .unwrap_or_else(|wrong| panic!("{tree}: {wrong:?}"))
        .holds(&seen())
}

fn test(field: &str, op: &str, value: Value) -> Value {
    json!({ "field": field, "op": op, "value": value })
}

#[test]
fn comparisons() {
    let cases = [
        ("title", "eq", json!("Water the garden"), true),
        ("row.title", "eq", json!("water the garden"), false),
        ("status", "neq", json!("done"), true),
        ("nothing", "eq", json!(null), true),
        ("not_there", "eq", json!(null), true),
        ("not_there", "neq", json!("x"), true),
        ("minutes", "eq", json!(30.0), true),
        ("minutes", "eq", json!("30"), false),
        ("minutes", "gt", json!(29), true),
        ("minutes", "gte", json!(30), true),
        ("minutes", "gt", json!("a"), false),
        ("price", "lt", json!(3), true),
        ("price", "lte", json!(2.5), true),
        ("nothing", "lt", json!(1), false),
        // Moments in different dress, and a day against a moment.
        ("due", "eq", json!("2026-03-01T11:00:00+01:00"), false),
        ("due", "lte", json!("2026-03-01T11:00:00+01:00"), true),
        ("due", "lt", json!("2026-03-01T09:30:00-01:00"), true),
        ("day", "gte", json!("2026-02-28T23:59:59Z"), true),
        ("title", "gt", json!("Walk"), true),
        ("done", "eq", json!(false), true),
        ("status", "in", json!(["done", "pending"]), true),
        ("status", "in", json!([]), false),
        ("nothing", "in", json!([null]), true),
        ("title", "contains", json!("garden"), true),
        ("tags", "contains", json!("home"), true),
        ("tags", "contains", json!(["home", 3.0]), true),
        ("tags", "contains", json!("hom"), false),
        ("meta", "contains", json!("place"), true),
        ("minutes", "contains", json!("3"), false),
        ("meta.place.name", "eq", json!("shed"), true),
        ("meta.list.1.n", "eq", json!(2), true),
        ("meta.list.9.n", "exists", json!(false), true),
        ("title", "exists", json!(true), true),
        ("nothing", "exists", json!(true), false),
        ("status", "changed", json!(true), true),
        ("title", "changed", json!(true), false),
        ("title", "changed", json!(false), true),
        ("event.name", "eq", json!("tasks.update"), true),
        ("event.changed", "contains", json!("status"), true),
    ];
    for (field, op, value, expected) in cases {
        let tree = test(field, op, value);
        assert_eq!(holds(&tree), expected, "{tree}");
    }
}

#[test]
fn trees() {
    let yes = test("status", "eq", json!("pending"));
    let no = test("status", "eq", json!("done"));
    let cases = [
        (json!({}), true),
        (json!({"all": []}), true),
        (json!({"any": []}), false),
        (json!({"all": [yes, yes]}), true),
        (json!({"all": [yes, no]}), false),
        (json!({"any": [no, yes]}), true),
        (json!({"not": no}), true),
        (
            json!({"not": {"any": [no, {"all": [yes, {"not": yes}]}]}}),
            true,
        ),
    ];
    for (tree, expected) in cases {
        assert_eq!(holds(&tree), expected, "{tree}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    let mut deep = json!({});
    for _ in 0..20 {
        deep = json!({ "not": deep });
    }
    let wide = json!({"any": vec![test("a", "eq", json!(1)); 201]});
    let cases = [
        (json!([]), "condition_ast"),
        (json!("x"), "condition_ast"),
        (json!(null), "condition_ast"),
        (json!({"all": {}}), "condition_ast.all"),
        (json!({"all": [{}]}), "condition_ast.all[0].field"),
        (json!({"all": [], "any": []}), "condition_ast"),
        (
            json!({"any": [test("a", "eq", json!(1)), test("a", "like", json!("%"))]}),
            "condition_ast.any[1].op",
        ),
        (json!({"not": 1}), "condition_ast.not"),
        (test("", "eq", json!(1)), "condition_ast.field"),
        (test("a..b", "eq", json!(1)), "condition_ast.field"),
        (test("event", "eq", json!(1)), "condition_ast.field"),
        (test("a", "in", json!("x")), "condition_ast.value"),
        (test("a", "in", json!(vec![1; 501])), "condition_ast.value"),
        (test("a", "gt", json!([])), "condition_ast.value"),
        (test("a", "exists", json!("yes")), "condition_ast.value"),
        (
            test("event.name", "changed", json!(true)),
            "condition_ast.field",
        ),
        (json!({"field": "a", "op": "eq"}), "condition_ast.value"),
        (
            json!({"field": "a", "op": "eq", "value": 1, "or": 2}),
            "condition_ast",
        ),
    ];
    for (tree, path) in cases {
        assert_eq!(read(&tree).unwrap_err().path, path, "{tree}");
    }
    assert!(read(&deep).unwrap_err().why.contains("16 deep"));
    assert!(read(&wide).unwrap_err().why.contains("200 nodes"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        "\\PC{0,12}".prop_map(Value::String),
        prop::sample::select(
            &[
                "2026-03-01",
                "9999-99-99",
                "2026-03-01T00:00:00Z",
                "all",
                "eq"
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((word(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn word() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 12] = [
        "all", "any", "not", "field", "op", "value", "row", "event", "changed", "verb", "title",
        "0",
    ];
    prop_oneof![
        prop::sample::select(&KNOWN[..]).prop_map(str::to_owned),
        "\\PC{0,6}"
    ]
}

fn any_tree() -> impl Strategy<Value = Value> {
    let names: Vec<&str> = Op::ALL.iter().map(|(name, _)| *name).collect();
    let leaf = (
        "(row|event)\\.[a-z0-9.]{1,8}|title|0",
        prop::sample::select(names),
        any_json(),
    )
        .prop_map(|(field, op, value)| test(&field, op, value));
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| json!({ "all": all })),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|any| json!({ "any": any })),
            inner.prop_map(|not| json!({ "not": not })),
        ]
    })
}

proptest! {
    #[test]
    fn anything_is_read_or_refused(tree in any_json(), seen in any_json()) {
        if let Ok(condition) = read(&tree) {
            condition.holds(&seen);
        }
    }

    #[test]
    fn not_is_the_opposite_and_nothing_panics(tree in any_tree(), row in any_json(), event in any_json()) {
        let seen = json!({ "row": row, "event": event });
        if let Ok(condition) = read(&tree) {
            let holds = condition.holds(&seen);
            let opposite = Condition::Not(Box::new(condition.clone()));
            prop_assert_eq!(opposite.holds(&seen), !holds);
            prop_assert_eq!(Condition::All(vec![condition.clone()]).holds(&seen), holds);
            prop_assert_eq!(Condition::Any(vec![condition]).holds(&seen), holds);
        }
    }
}
