//! An [`Ask`]'s query back to text, every name and value in quotes: what was understood can be said again, and
//! understood to mean the same.

use std::fmt::Write as _;

use super::{
    Aggregate, Ask, Embed, Field, Filter, Item, Logic, Operand, Order, Path, Quantifier, Test,
};

/// The query string of an ask, percent-encoded.
pub fn query(ask: &Ask) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(items) = &ask.select {
        pairs.push(("select".to_owned(), select(items)));
    }
    for (path, logic) in &ask.filters {
        pairs.push(match logic {
            Logic::Filter(filter) => (
                at(path, &field(&filter.field)),
                test(filter.negated, &filter.test, false),
            ),
            Logic::Tree {
                negated,
                any,
                terms,
            } => {
                let word = if *any { "or" } else { "and" };
                let not = if *negated { "not." } else { "" };
                (at(path, &format!("{not}{word}")), tree(terms))
            }
        });
    }
    for (path, orders) in &ask.orders {
        let terms: Vec<String> = orders.iter().map(order).collect();
        pairs.push((at(path, "order"), terms.join(",")));
    }
    for (path, window) in &ask.windows {
        if let Some(limit) = window.limit {
            pairs.push((at(path, "limit"), limit.to_string()));
        }
        pairs.push((at(path, "offset"), window.offset.to_string()));
    }
    for (key, list) in [("columns", &ask.columns), ("on_conflict", &ask.on_conflict)] {
        if let Some(list) = list {
            let names: Vec<String> = list.iter().map(|name| quoted(name)).collect();
            pairs.push((key.to_owned(), names.join(",")));
        }
    }
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn at(path: &Path, last: &str) -> String {
    path.iter()
        .map(|name| quoted(name) + ".")
        .collect::<String>()
        + last
}

fn quoted(text: &str) -> String {
    let inner = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{inner}\"")
}

fn select(items: &[Item]) -> String {
    let items: Vec<String> = items.iter().map(item).collect();
    items.join(",")
}

fn item(item: &Item) -> String {
    let named = |alias: &Option<String>| match alias {
        Some(alias) => quoted(alias) + ":",
        None => String::new(),
    };
    let to = |cast: &Option<String>| match cast {
        Some(cast) => format!("::{cast}"),
        None => String::new(),
    };
    match item {
        Item::Star => "*".to_owned(),
        Item::CountAll { cast, alias } => format!("{}count(){}", named(alias), to(cast)),
        Item::Field {
            field: it,
            cast,
            alias,
            aggregate,
        } => {
            let function = match aggregate {
                Some(Aggregate { function, cast }) => format!(".{}(){}", function.name(), to(cast)),
                None => String::new(),
            };
            format!("{}{}{}{function}", named(alias), field(it), to(cast))
        }
        Item::Embed(Embed {
            relation,
            alias,
            hint,
            inner,
            spread,
            items,
        }) => {
            let dots = if *spread { "..." } else { "" };
            let hint = match hint {
                Some(hint) => format!("!{}", quoted(hint)),
                None => String::new(),
            };
            let join = match inner {
                Some(true) => "!inner",
                Some(false) => "!left",
                None => "",
            };
            format!(
                "{dots}{}{}{join}{hint}({})",
                named(alias),
                quoted(relation),
                select(items)
            )
        }
    }
}

fn field(field: &Field) -> String {
    let mut said = quoted(&field.name);
    for step in &field.path {
        said.push_str(if step.as_text { "->>" } else { "->" });
        match &step.to {
            Operand::Key(key) => said.push_str(&quoted(key)),
            Operand::Index(index) => {
                let _ = write!(said, "{index}");
            }
        }
    }
    said
}

fn tree(terms: &[Logic]) -> String {
    let terms: Vec<String> = terms.iter().map(logic).collect();
    format!("({})", terms.join(","))
}

fn logic(logic: &Logic) -> String {
    match logic {
        Logic::Filter(Filter {
            field: it,
            negated,
            test: how,
        }) => format!("{}.{}", field(it), test(*negated, how, true)),
        Logic::Tree {
            negated,
            any,
            terms,
        } => {
            let not = if *negated { "not." } else { "" };
            let word = if *any { "or" } else { "and" };
            format!("{not}{word}{}", tree(terms))
        }
    }
}

fn test(negated: bool, test: &Test, in_tree: bool) -> String {
    let not = if negated { "not." } else { "" };
    let value = |value: &str| match in_tree {
        true => quoted(value),
        false => value.to_owned(),
    };
    let said = match test {
        Test::Is(is) => format!("is.{}", is.name()),
        Test::In(values) => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("in.({})", values.join(","))
        }
        Test::Fts {
            kind,
            language,
            value: text,
        } => {
            let language = match language {
                Some(language) => format!("({language})"),
                None => String::new(),
            };
            format!("{}{language}.{}", kind.name(), value(text))
        }
        Test::Op {
            op,
            quantifier,
            value: text,
        } => {
            let quantifier = match quantifier {
                Some(Quantifier::Any) => "(any)",
                Some(Quantifier::All) => "(all)",
                None => "",
            };
            format!("{}{quantifier}.{}", op.name(), value(text))
        }
    };
    format!("{not}{said}")
}

fn order(order: &Order) -> String {
    let mut said = match &order.relation {
        Some(relation) => format!("{}({})", quoted(relation), field(&order.field)),
        None => field(&order.field),
    };
    said.push_str(match order.descending {
        Some(true) => ".desc",
        Some(false) => ".asc",
        None => "",
    });
    said.push_str(match order.nulls_first {
        Some(true) => ".nullsfirst",
        Some(false) => ".nullslast",
        None => "",
    });
    said
}
