//! The jobs of rules: look at a change with its owner's rules in their order, write down what became of each, and let
//! what was asked for follow as jobs of its own. A change is looked at once, however often the job runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{
    Array, BigInt, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Decision, Rule, actions, decide, read_rule, row_as_seen};
use crate::base::caller::{Behalf, Cause};
use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Attempt, Job, Lane, Order};
use crate::node::Node;
use crate::node::work::Change;

/// How many of somebody's rules look at one change.
const MOST_RULES: i64 = 200;
/// How often a rule may match within a minute; more is a loop that goes by way of something else.
const MOST_A_MINUTE: i64 = 120;

/// What a rule is told of a change.
pub fn event(change: &Change) -> Value {
    json!({
        "id": change.id, "name": change.name(), "kind": change.kind, "verb": change.verb, "row_id": change.row,
        "changed": change.changed, "actor_id": change.actor, "at": change.at, "depth": change.depth,
    })
}

/// A change of somebody's, from the journal.
pub async fn load_change(tx: &mut Tx, id: Uuid) -> Result<Option<(Change, Uuid)>> {
    type Row = (
        Text,
        Text,
        SqlUuid,
        SqlUuid,
        Nullable<SqlUuid>,
        Array<Text>,
        Nullable<Text>,
        Integer,
        Timestamptz,
    );
    type Loaded = (
        String,
        String,
        Uuid,
        Uuid,
        Option<Uuid>,
        Vec<String>,
        Option<String>,
        i32,
        DateTime<Utc>,
    );
    let mut select = Statement::<Row>::new(
        "select kind, verb, row_id, owner_id, actor_id, coalesce(changed, '{}'), correlation, depth, at \
         from hub.journal where owner_id is not null and id = ",
    );
    select.bind(Bind::Uuid(id));
    let found: Option<Loaded> = tx.load(select).await?.into_iter().next();
    Ok(found.map(
        |(kind, verb, row, owner, actor, changed, correlation, depth, at)| {
            let change = Change {
                id,
                kind,
                verb,
                row,
                owner: Some(owner),
                actor,
                changed,
                correlation,
                depth,
                at,
            };
            (change, owner)
        },
    ))
}

/// Look at one change with the rules of its owner.
#[derive(Debug, Serialize, Deserialize)]
pub struct ApplyRules {
    pub event: Uuid,
}

impl Job for ApplyRules {
    const KEY: &'static str = "ops.apply_rules";
    const LANE: Lane = Lane::Interactive;
    const LONGEST: Duration = Duration::from_secs(60);

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let loaded = node
            .db
            .read(&Caller::Hub, async |tx| self.load(tx).await)
            .await?;
        let Some((change, owner, rules)) = loaded.filter(|(.., rules)| !rules.is_empty()) else {
            return Ok(());
        };
        let row = match row_of_owner(node, &change, owner).await {
            // Whoever is banned or gone has no rules.
            Err(error) if error.is("account.not_active") => return Ok(()),
            row => row?,
        };

        let decided: Vec<(Rule, Decision)> = rules
            .into_iter()
            .map(|rule| {
                let decision = decide(&rule, event(&change), row.clone());
                (rule, decision)
            })
            .collect();

        node.db
            .write(&Caller::Hub, async |tx| {
                for (rule, decision) in &decided {
                    write_run(tx, &change, owner, rule, decision.clone()).await?;
                }
                Ok(())
            })
            .await
    }
}

impl ApplyRules {
    async fn load(&self, tx: &mut Tx) -> Result<Option<(Change, Uuid, Vec<Rule>)>> {
        let Some((change, owner)) = load_change(tx, self.event).await? else {
            return Ok(None);
        };
        let mut select = Statement::<(SqlUuid, Text, Array<Text>, Jsonb, Jsonb)>::new(
            "select id, name, trigger_event_types, condition_ast, to_jsonb(actions) from public.rules \
             where enabled and owner_id = ",
        );
        select
            .bind(Bind::Uuid(owner))
            .sql(" and hub.waits_for(trigger_event_types, ")
            .text(change.kind.clone())
            .sql(", ")
            .text(change.verb.clone())
            .sql(") order by coalesce(priority, 100), id limit ")
            .bind(Bind::Int(MOST_RULES));
        let rules: Vec<(Uuid, String, Vec<String>, Value, Value)> = tx.load(select).await?;
        Ok(Some((
            change,
            owner,
            rules.into_iter().map(read_rule).collect(),
        )))
    }
}

/// The row as its owner sees it now; what is gone is not there.
async fn row_of_owner(node: &Node, change: &Change, owner: Uuid) -> Result<Option<Value>> {
    let caller = Caller::For(Behalf {
        account: owner,
        cause: None,
    });
    node.db
        .read(&caller, async |tx| {
            row_as_seen(tx, &change.kind, change.row).await
        })
        .await
}

/// Write down what became of a rule, and enqueue what it asks for. Only the first time.
async fn write_run(
    tx: &mut Tx,
    change: &Change,
    owner: Uuid,
    rule: &Rule,
    mut decision: Decision,
) -> Result<()> {
    if decision.matched && runs_of_last_minute(tx, rule.id).await? >= MOST_A_MINUTE {
        decision.actions.clear();
        decision.error = Some(format!(
            "rules.too_often: it matched {MOST_A_MINUTE} times within a minute"
        ));
    }
    let correlation = change
        .correlation
        .clone()
        .unwrap_or_else(|| change.id.to_string());
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.rule_runs (owner_id, rule_id, event_id, event_type, row_kind, row_id, matched, error, depth, \
         correlation_id) select ",
    );
    insert
        .bind(Bind::Uuid(owner))
        .sql(", r.id, ")
        .bind(Bind::Uuid(change.id))
        .sql(", ")
        .text(change.name())
        .sql(", ")
        .text(change.kind.clone())
        .sql(", ")
        .bind(Bind::Uuid(change.row))
        .sql(if decision.matched {
            ", true, "
        } else {
            ", false, "
        })
        .bind(Bind::Text(decision.error.clone()))
        .sql(", ")
        .bind(Bind::Int(i64::from(change.depth)))
        .sql("::int, ")
        .text(correlation.clone())
        // The rule may have been deleted meanwhile.
        .sql(" from public.rules r where r.id = ")
        .bind(Bind::Uuid(rule.id))
        .sql(" on conflict (owner_id, rule_id, event_id) do nothing returning id");
    let written: Vec<Uuid> = tx.load(insert).await?;
    let Some(run) = written.into_iter().next() else {
        return Ok(());
    };

    let cause = Cause {
        correlation: correlation.clone(),
        depth: change.depth.saturating_add(1),
    };
    let mut asked = Vec::new();
    for action in decision.actions {
        let sort = action.get("type").cloned().unwrap_or(Value::Null);
        let order = Order {
            owner: Some(owner),
            correlation: Some(correlation.clone()),
            triggered_by: Some(change.id.to_string()),
            ..Order::default()
        };
        let job = RuleAction {
            run,
            action,
            cause: cause.clone(),
        };
        let id = jobs::enqueue(tx, &job, order).await?;
        asked.push(json!({ "type": sort, "job_id": id }));
    }
    if asked.is_empty() {
        return Ok(());
    }
    let mut note = Statement::new("update public.rule_runs set actions = ");
    note.text(Value::Array(asked).to_string())
        .sql("::jsonb where id = ")
        .bind(Bind::Uuid(run));
    tx.run(note).await.map(|_| ())
}

async fn runs_of_last_minute(tx: &mut Tx, rule: Uuid) -> Result<i64> {
    let mut select = Statement::<BigInt>::new(
        "select count(*) from public.rule_runs where matched and created_at > now() - interval '1 minute' and rule_id = ",
    );
    select.bind(Bind::Uuid(rule));
    let counts: Vec<i64> = tx.load(select).await?;
    Ok(counts.first().copied().unwrap_or(0))
}

/// Do one thing that a rule asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct RuleAction {
    run: Uuid,
    action: Value,
    cause: Cause,
}

impl Job for RuleAction {
    const KEY: &'static str = "ops.rule_action";
    const LANE: Lane = Lane::Interactive;
    const TRIES: i32 = 5;
    const LONGEST: Duration = Duration::from_secs(60);

    async fn run(&self, node: &Node, attempt: &Attempt) -> Result<()> {
        let Err(error) = actions::perform(node, attempt, &self.action, &self.cause).await else {
            return Ok(());
        };
        if error.is_transient() && attempt.number < Self::TRIES {
            return Err(error);
        }
        // Whoever reads his log is told what a door would have told him, and nothing of the hub's own insides.
        let said = match error.told() {
            Some(told) => format!("{}: {}", told.code, told.message),
            None => "The hub failed; its operator finds the cause in the log.".to_owned(),
        };
        node.db
            .write(&Caller::Hub, async |tx| {
                let mut note = Statement::new(
                    "update public.rule_runs set error = coalesce(error || '; ', '') || ",
                );
                note.text(said.replace('\0', ""))
                    .sql(" where id = ")
                    .bind(Bind::Uuid(self.run));
                tx.run(note).await
            })
            .await?;
        // A refusal is the rule's own affair, told where its owner looks; nobody is to try it again.
        match error.is_transient() {
            true => Err(error),
            false => Ok(()),
        }
    }
}

/// Forget old runs. Once a day.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForgetRuns {}

impl Job for ForgetRuns {
    const KEY: &'static str = "ops.forget_rule_runs";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        loop {
            let gone = node
                .db
                .write(&Caller::Hub, async |tx| {
                    tx.run(Statement::new(
                        "delete from public.rule_runs where id in (select id from public.rule_runs \
                         where created_at < now() - interval '30 days' order by created_at limit 5000)",
                    ))
                    .await
                })
                .await?;
            if gone < 5000 {
                return Ok(());
            }
        }
    }
}
