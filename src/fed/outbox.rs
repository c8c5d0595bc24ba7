//! stub
use crate::base::Result;
use crate::db::Tx;
use serde_json::Value;
use uuid::Uuid;
pub struct Outgoing {
    pub actor: Uuid,
    pub activity: Value,
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub about: Option<String>,
    pub also: Vec<String>,
    pub is_private: bool,
}
pub struct Published {
    pub id: Uuid,
    pub uri: String,
}
pub async fn publish(_tx: &mut Tx, _o: Outgoing) -> Result<Published> {
    todo!()
}
