//! What a proposal may do once it has passed, read from its row: a short list, and nothing else is an action. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::base::Amount;
use crate::db::Statement;

/// What may be done. Everything else is no action.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Pay from the treasury: to an account, a DAO of this hub, or an actor elsewhere by its address.
    Transfer {
        to: String,
        amount: String,
        memo: Option<String>,
    },
    /// Take somebody in.
    Admit { actor: String, role: Option<String> },
    /// Send somebody away.
    Remove { actor: String },
    /// Change one of the DAO's rules.
    SetRule { rule: String, value: Value },
    /// Say something in the DAO's name.
    Publish { title: String, content: String },
}

/// Rules that a vote may change, with the greatest of those that are numbers.
const NUMBERS: &[(&str, i64)] = &[
    ("quorum_pct", 100),
    ("pass_threshold", 100),
    ("voting_period_h", 24 * 366),
];
const WORDS: &[(&str, &[&str])] = &[
    ("membership", &["open", "approval", "invite"]),
    ("ballot", &["public", "secret"]),
    ("threshold_base", &["yes_no", "cast", "electorate"]),
];

/// Read what a proposal would do, or say why it does nothing.
pub fn read(payload: &Value) -> Result<Action, String> {
    let action: Action =
        serde_json::from_value(payload.clone()).map_err(|error| error.to_string())?;
    match &action {
        Action::Transfer { amount, .. } => {
            let is_fine = amount
                .parse::<Amount>()
                .is_ok_and(|amount| amount > Amount::ZERO);
            if !is_fine {
                return Err("amount is a decimal number above nothing, in text".to_owned());
            }
        }
        Action::Admit { role, .. } => {
            if !matches!(role.as_deref(), None | Some("admin" | "member" | "guest")) {
                return Err("role is admin, member or guest".to_owned());
            }
        }
        Action::SetRule { rule, value } => {
            rule_sql(rule, value)?;
        }
        Action::Publish { title, content } => {
            if content.trim().is_empty() || content.len() > 100_000 || title.len() > 500 {
                return Err("a text is neither empty nor longer than 100,000 bytes".to_owned());
            }
        }
        Action::Remove { .. } => {}
    }
    Ok(action)
}

/// The change of a rule as a statement without its row.
pub fn rule_sql(rule: &str, value: &Value) -> Result<Statement, String> {
    let mut set = Statement::new("update public.daos set ");
    if let Some((name, most)) = NUMBERS.iter().find(|(name, _)| *name == rule) {
        let least = i64::from(*name == "voting_period_h");
        let number = value
            .as_i64()
            .filter(|number| (least..=*most).contains(number))
            .ok_or_else(|| format!("{rule} is a whole number from {least} to {most}"))?;
        set.name(name).sql(format!(" = {number}"));
        return Ok(set);
    }
    if let Some((name, words)) = WORDS.iter().find(|(name, _)| *name == rule) {
        let word = value
            .as_str()
            .filter(|word| words.contains(word))
            .ok_or_else(|| format!("{rule} is one of {}", words.join(", ")))?;
        set.name(name).sql(" = ").text(word);
        return Ok(set);
    }
    match (rule, value) {
        ("change_vote", Value::Bool(yes)) => {
            set.sql(format!("change_vote = {yes}"));
            Ok(set)
        }
        ("bylaws", Value::String(text)) if text.len() <= 100_000 => {
            set.sql("bylaws = ").text(text);
            Ok(set)
        }
        ("change_vote", _) => Err("change_vote is true or false".to_owned()),
        ("bylaws", _) => Err("bylaws is a text".to_owned()),
        _ => Err(format!("no vote changes {rule}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_listed_is_done() {
        for good in [
            json!({ "action": "transfer", "to": "@a@b.example", "amount": "10" }),
            json!({ "action": "admit", "actor": "@a@b.example", "role": "guest" }),
            json!({ "action": "remove", "actor": "@a@b.example" }),
            json!({ "action": "set_rule", "rule": "quorum_pct", "value": 25 }),
            json!({ "action": "set_rule", "rule": "membership", "value": "open" }),
            json!({ "action": "publish", "title": "Bylaws", "content": "Be kind." }),
        ] {
            assert!(read(&good).is_ok(), "{good}");
        }
        for bad in [
            json!({ "action": "delete", "table": "users" }),
            json!({ "action": "transfer", "to": "x", "amount": "-10" }),
            json!({ "action": "transfer", "to": "x", "amount": "0" }),
            json!({ "action": "transfer", "to": "x", "amount": "1.00001" }),
            json!({ "action": "transfer", "to": "x", "amount": "1", "from": "y" }),
            json!({ "action": "admit", "actor": "x", "role": "owner" }),
            json!({ "action": "set_rule", "rule": "quorum_pct", "value": 101 }),
            json!({ "action": "set_rule", "rule": "voting_period_h", "value": 0 }),
            json!({ "action": "set_rule", "rule": "owner_id", "value": "x" }),
            json!({ "action": "set_rule", "rule": "treasury_credits", "value": 5 }),
            json!({ "action": "publish", "title": "x", "content": " " }),
            json!({ "pay": 1 }),
            json!("transfer"),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
