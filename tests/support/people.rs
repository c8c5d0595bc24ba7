//! The cast: people with accounts on a test hub.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use uuid::Uuid;

use super::hub::TestHub;

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: Uuid,
    pub name: String,
    pub token: String,
    pub refresh: String,
}

impl Person {
    /// A request of this person.
    pub fn ask(&self, hub: &TestHub, method: Method, path: &str) -> RequestBuilder {
        hub.ask(method, path)
            .header("Authorization", format!("Bearer {}", self.token))
    }

    /// Read rows.
    pub async fn reads(&self, hub: &TestHub, path: &str) -> Value {
        let answer = self.ask(hub, Method::GET, path).send().await.unwrap();
        let status = answer.status();
        let body = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// Insert a row; it comes back as stored.
    pub async fn adds(&self, hub: &TestHub, table: &str, row: Value) -> Value {
        let answer = self
            .ask(hub, Method::POST, &format!("/rest/v1/{table}"))
            .header("Prefer", "return=representation")
            .header("Accept", "application/vnd.pgrst.object+json")
            .json(&row)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{table}: {status} {body}");
        body
    }
}
