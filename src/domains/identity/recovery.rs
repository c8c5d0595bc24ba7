//! Recovery codes: ten per account, told once, each in place of a second factor for one time. Only hashes are kept;
//! a code has 80 random bits, so a fast hash is right and wrong ones need not be counted.

use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::sessions::{self, Begun};
use super::{factors, refusal};
use crate::base::secret::{random, token_hash};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// How many there are in a set.
const MANY: usize = 10;

/// What a set is called when nobody names it.
const NAME: &str = "Recovery codes";

/// Make a set of codes; they are told this once. With a set there, only when it is to be `replaced`.
pub async fn generate(node: &Node, session: Uuid, replaced: bool) -> Result<Value> {
    let codes: Vec<String> = (0..MANY).map(|_| fresh()).collect();
    let set = Uuid::now_v7();
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            factors::lock(tx, account.id).await?;
            if !factors::is_proven(tx, account.id).await? || !factors::is_aal2(tx, session).await? {
                return Err(refusal(
                    403,
                    "insufficient_aal",
                    "AAL2 required to make recovery codes",
                ));
            }
            match status(tx, account.id).await? {
                Some(_) if !replaced => {
                    return Err(refusal(
                        422,
                        "mfa_factor_name_conflict",
                        "There are recovery codes already; regenerate replaces them.",
                    ));
                }
                None if replaced => return Err(none()),
                _ => {}
            }
            forget(tx, account.id).await?;
            for code in &codes {
                let mut insert = Statement::new(
                    "insert into hub.recovery_codes (user_id, code_hash, set_id, friendly_name) values (",
                );
                insert
                    .bind(Bind::Uuid(account.id))
                    .sql(", ")
                    .bind(Bind::Bytes(token_hash(&plain(code))))
                    .sql(", ")
                    .bind(Bind::Uuid(set))
                    .sql(", ")
                    .text(NAME)
                    .sql(")");
                tx.run(insert).await?;
            }
            Ok(())
        })
        .await?;
    Ok(json!({
        "id": set, "type": "recovery_code", "friendly_name": NAME, "codes": codes,
        "total": MANY, "remaining": MANY,
    }))
}

/// How many codes are left.
pub async fn left(node: &Node, session: Uuid) -> Result<Value> {
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            let (set, total, remaining, at) = status(tx, account.id).await?.ok_or_else(none)?;
            Ok(json!({
                "id": set, "type": "recovery_code", "friendly_name": NAME,
                "total": total, "remaining": remaining, "created_at": at,
            }))
        })
        .await
}

/// Use a code in place of a second factor: the session is `aal2` from now on.
pub async fn verify(node: &Node, session: Uuid, code: &str) -> Result<Value> {
    let begun: Option<Begun> = node
        .db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            let mut update = Statement::new(
                "update hub.recovery_codes set used_at = now() where used_at is null and user_id = ",
            );
            update
                .bind(Bind::Uuid(account.id))
                .sql(" and code_hash = ")
                .bind(Bind::Bytes(token_hash(&plain(code))));
            if tx.run(update).await? != 1 {
                return Ok(None);
            }
            tracing::warn!(event = "recovery_code_used", user = %account.id, %session);
            sessions::step_up(tx, session, "mfa/recovery_code")
                .await
                .map(Some)
        })
        .await?;
    begun
        .ok_or_else(|| {
            refusal(
                422,
                "mfa_verification_failed",
                "Invalid recovery code entered",
            )
        })?
        .shown(node)
}

/// Give the codes up.
pub async fn remove(node: &Node, session: Uuid) -> Result<Value> {
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            if !factors::is_aal2(tx, session).await? {
                return Err(refusal(
                    422,
                    "insufficient_aal",
                    "AAL2 required to unenroll recovery codes",
                ));
            }
            let (set, ..) = status(tx, account.id).await?.ok_or_else(none)?;
            forget(tx, account.id).await?;
            Ok(json!({ "id": set }))
        })
        .await
}

/// Forget the codes of an account.
pub(super) async fn forget(tx: &mut Tx, account: Uuid) -> Result<()> {
    let mut delete = Statement::new("delete from hub.recovery_codes where user_id = ");
    delete.bind(Bind::Uuid(account));
    tx.run(delete).await.map(|_| ())
}

type Status = (Uuid, i64, i64, chrono::DateTime<chrono::Utc>);

async fn status(tx: &mut Tx, account: Uuid) -> Result<Option<Status>> {
    let mut select = Statement::<(SqlUuid, BigInt, BigInt, Timestamptz)>::new(
        "select set_id, count(*), count(*) filter (where used_at is null), min(created_at) \
         from hub.recovery_codes where user_id = ",
    );
    select.bind(Bind::Uuid(account)).sql(" group by set_id");
    Ok(tx.load::<_, Status>(select).await?.into_iter().next())
}

/// Sixteen letters of five bits in groups that can be typed.
fn fresh() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters: Vec<u8> = random::<16>()
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)).copied())
        .collect();
    letters
        .chunks(4)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join("-")
}

/// A code as it is hashed: however it was typed.
fn plain(code: &str) -> String {
    code.chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .take(64)
        .collect()
}

fn none() -> Error {
    Error::missing("mfa_factor_not_found", "There are no recovery codes.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_can_be_typed_and_are_all_different() {
        let code = fresh();
        assert_eq!((code.len(), code.split('-').count()), (19, 4));
        assert_eq!(plain(&code.to_uppercase().replace('-', " ")), plain(&code));
        assert_eq!(plain(&code).len(), 16);
        assert_ne!(fresh(), fresh());
        assert_eq!(plain("ÄÖ\0-"), "");
    }
}
