//! Conditions and places. Each value is bound as text and cast to the column's type, so that indexes serve and
//! nothing of a stranger becomes SQL.

use super::select::{From, there};
use crate::db::statement::quoted;
use crate::db::{Bind, Statement};
use crate::kinds::ask::{Fts, Is, Op, Operand, Quantifier, Test};
use crate::kinds::plan::{Condition, Node, Place, base_type, is_jsonish};

/// A column, or something inside it.
pub fn place<T>(sql: &mut Statement<T>, alias: &str, place: &Place<'_>) {
    let column = quoted(place.column);
    if place.path.is_empty() {
        sql.sql(alias).sql(".").sql(column);
        return;
    }
    sql.sql("(");
    match is_jsonish(place.sql_type) {
        true => sql.sql(format!("{alias}.{column}")),
        false => sql.sql(format!("to_jsonb({alias}.{column})")),
    };
    for step in &place.path {
        sql.sql(if step.as_text { "->>" } else { "->" });
        match &step.to {
            Operand::Key(key) => sql.text(key.as_str()),
            Operand::Index(index) => sql.sql(format!("({index})")),
        };
    }
    sql.sql(")");
}

/// The type that a place is compared in.
fn compared_as(place: &Place<'_>) -> String {
    match (place.path.last(), place.sql_type) {
        (None, sql_type) => base_type(sql_type),
        (Some(step), _) if step.as_text => "text".to_owned(),
        (Some(_), "json") => "json".to_owned(),
        (Some(_), _) => "jsonb".to_owned(),
    }
}

/// A condition. In a count there are no joins, so embeds are looked up.
pub fn condition<T>(
    sql: &mut Statement<T>,
    alias: &str,
    node: &Node<'_>,
    condition: &Condition<'_>,
    counts: bool,
) {
    match condition {
        Condition::Test {
            place,
            negated,
            test,
        } => {
            if *negated {
                sql.sql("not (");
            }
            one(sql, alias, place, test);
            if *negated {
                sql.sql(")");
            }
        }
        Condition::Tree {
            negated,
            any,
            terms,
        } => {
            sql.sql(if *negated { "not (" } else { "(" });
            for (number, term) in terms.iter().enumerate() {
                if number > 0 {
                    sql.sql(if *any { " or " } else { " and " });
                }
                self::condition(sql, alias, node, term, counts);
            }
            sql.sql(")");
        }
        Condition::Embed { place, there: yes } => {
            let Some(embed) = node.embeds.get(*place) else {
                return;
            };
            let number = embed.node.number;
            if counts {
                sql.sql(if *yes { "exists (" } else { "not exists (" });
                let from = From::Below { embed, above: node };
                there(sql, &embed.node, from);
                sql.sql(")");
                return;
            }
            let not = if *yes { "" } else { "not " };
            match (embed.to_one, embed.spread) {
                (true, _) => sql.sql(match yes {
                    true => format!("(_j{number} is distinct from null)"),
                    false => format!("(_j{number} is not distinct from null)"),
                }),
                (false, false) => sql.sql(format!("{not}(_j{number}._a is not null)")),
                (false, true) => sql.sql(format!("{not}_j{number}._a")),
            };
        }
    }
}

/// The conditions of a write, all of them, in terms of this alias.
pub fn all<T>(sql: &mut Statement<T>, alias: &str, node: &Node<'_>, conditions: &[Condition<'_>]) {
    for (number, term) in conditions.iter().enumerate() {
        sql.sql(if number > 0 { " and " } else { " where " });
        condition(sql, alias, node, term, true);
    }
}

fn one<T>(sql: &mut Statement<T>, alias: &str, at: &Place<'_>, test: &Test) {
    match test {
        Test::Is(is) => {
            place(sql, alias, at);
            sql.sql(match is {
                Is::Null => " is null",
                Is::NotNull => " is not null",
                Is::True => " is true",
                Is::False => " is false",
                Is::Unknown => " is unknown",
            });
        }
        Test::In(values) => {
            place(sql, alias, at);
            sql.sql(" = any (");
            sql.bind(Bind::Texts(values.iter().cloned().map(Some).collect()));
            cast(sql, &compared_as(at), "[]");
            sql.sql(")");
        }
        Test::Fts {
            kind,
            language,
            value,
        } => full_text(sql, alias, at, *kind, language.as_deref(), value),
        Test::Op {
            op,
            quantifier,
            value,
        } => {
            let is_pattern = matches!(op, Op::Like | Op::Ilike | Op::Match | Op::Imatch);
            let value = match op {
                Op::Like | Op::Ilike => value.replace('*', "%"),
                _ => value.clone(),
            };
            let sql_type = match is_pattern {
                true => "text".to_owned(),
                false => compared_as(at),
            };
            place(sql, alias, at);
            sql.sql(written(*op));
            match quantifier {
                None => {
                    sql.text(value);
                    if sql_type != "text" {
                        cast(sql, &sql_type, "");
                    }
                }
                Some(quantifier) => {
                    sql.sql(match quantifier {
                        Quantifier::Any => "any (",
                        Quantifier::All => "all (",
                    });
                    sql.text(value);
                    cast(sql, &sql_type, "[]");
                    sql.sql(")");
                }
            }
        }
    }
}

fn cast<T>(sql: &mut Statement<T>, sql_type: &str, suffix: &str) {
    sql.sql("::").sql(sql_type).sql(suffix);
}

fn written(op: Op) -> &'static str {
    match op {
        Op::Eq => " = ",
        Op::Neq => " <> ",
        Op::Gt => " > ",
        Op::Gte => " >= ",
        Op::Lt => " < ",
        Op::Lte => " <= ",
        Op::Like => " like ",
        Op::Ilike => " ilike ",
        Op::Match => " ~ ",
        Op::Imatch => " ~* ",
        Op::Cs => " @> ",
        Op::Cd => " <@ ",
        Op::Ov => " && ",
        Op::Sl => " << ",
        Op::Sr => " >> ",
        Op::Nxr => " &< ",
        Op::Nxl => " &> ",
        Op::Adj => " -|- ",
        Op::IsDistinct => " is distinct from ",
    }
}

fn full_text<T>(
    sql: &mut Statement<T>,
    alias: &str,
    at: &Place<'_>,
    kind: Fts,
    language: Option<&str>,
    value: &str,
) {
    let in_language = |sql: &mut Statement<T>| {
        if let Some(language) = language {
            sql.text(language).sql("::regconfig, ");
        }
    };
    match at.sql_type == "tsvector" && at.path.is_empty() {
        true => place(sql, alias, at),
        false => {
            sql.sql("to_tsvector(");
            in_language(sql);
            place(sql, alias, at);
            sql.sql(")");
        }
    }
    sql.sql(match kind {
        Fts::Query => " @@ to_tsquery(",
        Fts::Plain => " @@ plainto_tsquery(",
        Fts::Phrase => " @@ phraseto_tsquery(",
        Fts::Web => " @@ websearch_to_tsquery(",
    });
    in_language(sql);
    sql.text(value).sql(")");
}
