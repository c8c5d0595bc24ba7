//! Rows follow the rules: by a job that may be run again and again, when a rule, its end or the hub's mode makes it needed.

use diesel::sql_types::{BigInt, Jsonb, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::note;
use crate::base::config::FederationMode;
use crate::base::{Caller, Result};
use crate::db::audit::{self, Note};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Attempt, Job, Lane, Order};
use crate::node::Node;

/// How many rows of a kind are moved at a time.
const AT_A_TIME: i64 = 500;

/// Bring the rows to what the rules say, as soon as this transaction is committed.
pub async fn settle_later(tx: &mut Tx, settle: Settle) -> Result<()> {
    jobs::enqueue(tx, &settle, Order::default()).await.map(drop)
}

/// Bring rows to what is held of a domain, of an actor, or of every server.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Settle {
    domain: Option<String>,
    actor: Option<Uuid>,
}

impl Settle {
    /// Rows of a domain and its sub-domains.
    pub fn domain(domain: &str) -> Self {
        Self {
            domain: Some(domain.to_owned()),
            actor: None,
        }
    }

    /// Rows of an actor.
    pub fn actor(actor: Uuid) -> Self {
        Self {
            domain: None,
            actor: Some(actor),
        }
    }
}

impl Job for Settle {
    const KEY: &'static str = "social.settle";
    const LANE: Lane = Lane::Realtime;

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        if let Some(actor) = self.actor {
            let mut step = Statement::<BigInt>::new("select hub.settle_standing(");
            step.bind(Bind::Uuid(actor))
                .sql(", ")
                .bind(Bind::Int(AT_A_TIME))
                .sql("::int)");
            return until_nothing(node, step).await;
        }
        let mut ask = Statement::<Text>::new("select hub.hosts_below(");
        ask.bind(Bind::Text(self.domain.clone())).sql(")");
        let hosts: Vec<String> = Tx::once(&node.db, &Caller::Hub, ask).await?;
        for host in hosts {
            let mut step = Statement::<BigInt>::new("select hub.settle_host(");
            step.text(host)
                .sql(", ")
                .bind(Bind::Int(AT_A_TIME))
                .sql("::int)");
            until_nothing(node, step).await?;
        }
        Ok(())
    }
}

/// A transaction at a time, until one has nothing left to do.
async fn until_nothing(node: &Node, step: Statement<BigInt>) -> Result<()> {
    loop {
        let touched: Vec<i64> = Tx::once(&node.db, &Caller::Hub, step.clone()).await?;
        if touched.iter().all(|touched| *touched == 0) {
            return Ok(());
        }
    }
}

/// Forget rules and mutes whose time is over, and undo what followed from them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Expire {}

impl Job for Expire {
    const KEY: &'static str = "social.expire";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        node.db
            .write(&Caller::Hub, async |tx| {
                let over: Vec<Value> = tx
                    .load(Statement::<Jsonb>::new(
                        "delete from public.ap_domains d where d.expires_at <= now() returning to_jsonb(d)",
                    ))
                    .await?;
                for row in &over {
                    note(tx, "delete", row, "expired").await?;
                    let domain = row.get("domain").and_then(Value::as_str);
                    settle_later(tx, Settle::domain(domain.unwrap_or_default())).await?;
                }
                tx.run(Statement::new(
                    "delete from public.mutes where expires_at <= now()",
                ))
                .await
                .map(drop)
            })
            .await
    }
}

/// Tell the database with whom the hub federates from now on; where that is new, rows follow.
pub async fn settle_mode(node: &Node) -> Result<()> {
    let mode = match node.config.federation_mode {
        FederationMode::Open => "open",
        FederationMode::Allowlist => "allowlist",
        FederationMode::Off => "off",
    };
    node.db
        .write(&Caller::Hub, async |tx| {
            let before: Vec<Option<String>> = tx
                .load(Statement::<Nullable<Text>>::new(
                    "select hub.federation_mode()",
                ))
                .await?;
            if before == [Some(mode.to_owned())] {
                return Ok(());
            }
            let mut put = Statement::new(
                "insert into hub.settings as s (name, value) values ('federation_mode', to_jsonb(",
            );
            put.text(mode)
                .sql("::text)) on conflict (name) do update set value = excluded.value");
            tx.run(put).await?;
            let done = Note {
                action: "write",
                resource: "federation_mode",
                id: None,
                owner: None,
                metadata: json!({ "mode": mode }),
            };
            audit::note(tx, done).await?;
            settle_later(tx, Settle::default()).await
        })
        .await
}
