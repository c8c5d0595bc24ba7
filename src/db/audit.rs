//! Notes in the audit log that no change of a row makes by itself, for every room: a secret opened, an export.
//! Written in the transaction of what happens; who acts and through which door the database reads from the request.

use uuid::Uuid;

use super::{Bind, Statement, Tx};
use crate::base::Result;

/// What happened.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    /// read | write | delete | publish | execute.
    pub action: &'a str,
    /// The table or verb.
    pub resource: &'a str,
    pub id: Option<Uuid>,
    /// Whose log it belongs in; none: the actor's own.
    pub owner: Option<Uuid>,
    /// Names and counts, never a value that somebody stored.
    pub metadata: serde_json::Value,
}

/// Note that it happened.
pub async fn note(tx: &mut Tx, note: Note<'_>) -> Result<()> {
    let mut call = Statement::new("select hub.note_audit(");
    call.text(note.action)
        .sql(", ")
        .text(note.resource)
        .sql(", ")
        .bind(Bind::Text(note.id.map(|id| id.to_string())))
        .sql(", ")
        .bind(Bind::Text(note.owner.map(|owner| owner.to_string())))
        .sql("::uuid, ")
        .text(note.metadata.to_string())
        .sql("::jsonb)");
    tx.as_hub(async |tx| tx.run(call.clone()).await).await?;
    Ok(())
}
