//! What the seeds say about their data and a schema can hold, each test named after its row of the seeds' behaviours:
//! lists, ranges, keys, states and what follows from them, rows that come by themselves, founders who become members.

mod agents;
mod commons;
mod comms;
mod governance;
mod graph;
mod identity;
mod work;

use made_open::base::Caller;

use crate::rows::World;
use crate::stage::Stage;

/// A database with somebody in it.
struct Scene {
    stage: Stage,
    id: String,
    me: Caller,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let (id, me) = stage.account("ada", None).await;
        Self { stage, id, me }
    }

    /// Somebody whom everybody may name.
    async fn other(&self, name: &str) -> (String, Caller) {
        let (id, caller) = self.stage.account(name, None).await;
        self.stage
            .hub(&format!(
                "insert into public.profiles (id, full_name) values ('{id}', '{name}')"
            ))
            .await;
        (id, caller)
    }

    /// I do something, and it holds.
    async fn does(&self, sql: &str) {
        self.lets(&self.me, sql).await;
    }

    /// Somebody does something, and it holds.
    async fn lets(&self, who: &Caller, sql: &str) {
        self.stage
            .act(who, sql)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// I am refused, and the refusal names the rule.
    async fn refuses(&self, sql: &str, rule: &str) {
        self.denies(&self.me, sql, rule).await;
    }

    async fn denies(&self, who: &Caller, sql: &str, rule: &str) {
        match self.stage.act(who, sql).await {
            Ok(()) => panic!("nobody refused: {sql}"),
            Err(error) => assert!(error.to_string().contains(rule), "{error}: {sql}"),
        }
    }

    /// The one value that I read.
    async fn tells(&self, sql: &str) -> String {
        self.shows(&self.me, sql).await
    }

    async fn shows(&self, who: &Caller, sql: &str) -> String {
        let mut rows = self
            .stage
            .reads(who, sql)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0).unwrap_or_default()
    }

    /// Insert as somebody and get the id back in the same statement.
    async fn adds(&self, who: &Caller, sql: &str) -> String {
        self.shows(who, &format!("{sql} returning id::text")).await
    }

    /// Everything that is mine, made by the hub.
    fn world(&self) -> World<'_> {
        self.stage.world(&[("owner", self.id.clone())])
    }
}
