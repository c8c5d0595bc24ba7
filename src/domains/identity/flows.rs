//! The code flow of apps (RFC 7636): a link that was opened gives the app a code, which only the asker can exchange.
//! Codes work once and for five minutes; one that comes twice was stolen, and what it gave is over.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::sql_types::{Bool, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::sessions::{self, Begun, Origin};
use super::{accounts, refusal};
use crate::base::secret::{random_token, same, token_hash};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// The lengths that a challenge and its verifier may have.
const LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

/// The challenge that a request names, if it names one; only SHA-256 will do.
pub fn challenge(challenge: Option<String>, method: Option<String>) -> Result<Option<String>> {
    let wrong = |message: &str| refusal(400, "validation_failed", message);
    let challenge = challenge.filter(|challenge| !challenge.is_empty());
    let method = method.filter(|method| !method.is_empty());
    let (challenge, method) = match (challenge, method) {
        (None, None) => return Ok(None),
        (Some(challenge), Some(method)) => (challenge, method),
        _ => {
            return Err(wrong(
                "PKCE flow requires code_challenge_method and code_challenge",
            ));
        }
    };
    if !method.eq_ignore_ascii_case("s256") {
        return Err(wrong("The only code_challenge_method is s256"));
    }
    if !LENGTH.contains(&challenge.len()) {
        return Err(wrong(
            "code challenge has to be between 43 and 128 characters",
        ));
    }
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if !challenge.chars().all(is_fine) {
        return Err(wrong(
            "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes",
        ));
    }
    Ok(Some(challenge))
}

/// A code for whoever can answer the challenge.
pub(super) async fn make(tx: &mut Tx, user: Uuid, challenge: &str) -> Result<String> {
    let code = random_token();
    let mut insert = Statement::new(
        "insert into hub.auth_codes (code_hash, user_id, challenge, expires_at) values (",
    );
    insert
        .bind(Bind::Bytes(token_hash(&code)))
        .sql(", ")
        .bind(Bind::Uuid(user))
        .sql(", ")
        .text(challenge)
        .sql(", now() + interval '5 minutes')");
    tx.run(insert).await?;
    Ok(code)
}

/// Exchange a code for a session.
pub async fn exchange(node: &Node, code: &str, verifier: &str, from: &Origin) -> Result<Value> {
    let exchanged = node
        .db
        .write(&Caller::Hub, async |tx| {
            use_up(tx, code, verifier, from).await
        })
        .await?;
    match exchanged {
        Exchanged::For(begun) => begun.shown(node),
        Exchanged::Unknown => Err(refusal(
            404,
            "flow_state_not_found",
            "invalid flow state, no valid flow state found",
        )),
        Exchanged::TooOld => Err(refusal(
            403,
            "flow_state_expired",
            "invalid flow state, flow state has expired",
        )),
        Exchanged::WrongVerifier => Err(refusal(
            400,
            "bad_code_verifier",
            "code challenge does not match previously saved code verifier",
        )),
        Exchanged::Refused(error) => Err(error),
    }
}

enum Exchanged {
    For(Box<Begun>),
    Unknown,
    TooOld,
    WrongVerifier,
    Refused(Error),
}

/// The verdict is an answer and not an error, because what it did must be committed: a code is used up by whoever shows
/// it, also by somebody who can't answer the challenge.
async fn use_up(tx: &mut Tx, code: &str, verifier: &str, from: &Origin) -> Result<Exchanged> {
    type Row = (SqlUuid, Text, Bool, Bool, Nullable<SqlUuid>);
    let mut select = Statement::<Row>::new(
        "select user_id, challenge, used_at is not null, expires_at <= now(), session_id \
         from hub.auth_codes where code_hash = ",
    );
    select
        .bind(Bind::Bytes(token_hash(code)))
        .sql(" for update");
    let rows: Vec<(Uuid, String, bool, bool, Option<Uuid>)> = tx.load(select).await?;
    let Some((user, challenge, is_used, is_old, session)) = rows.into_iter().next() else {
        return Ok(Exchanged::Unknown);
    };
    if is_used {
        if let Some(session) = session {
            sessions::revoke(tx, session).await?;
            tracing::warn!(event = "code_came_twice", %session, %user);
        }
        return Ok(Exchanged::Unknown);
    }
    if is_old {
        return Ok(Exchanged::TooOld);
    }
    let answer = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    if !same(answer.as_bytes(), challenge.as_bytes()) {
        note_use(tx, code, None).await?;
        return Ok(Exchanged::WrongVerifier);
    }
    let Some(account) = accounts::by_id(tx, user).await? else {
        return Ok(Exchanged::Unknown);
    };
    if let Err(error) = account.may_sign_in() {
        return Ok(Exchanged::Refused(error));
    }
    let Some(begun) = sessions::begin(tx, &account, "otp", None, from).await? else {
        return Ok(Exchanged::Unknown);
    };
    note_use(tx, code, Some(begun.session)).await?;
    Ok(Exchanged::For(Box::new(begun)))
}

async fn note_use(tx: &mut Tx, code: &str, session: Option<Uuid>) -> Result<()> {
    let mut update = Statement::new("update hub.auth_codes set used_at = now(), session_id = ");
    match session {
        Some(session) => update.bind(Bind::Uuid(session)),
        None => update.sql("null"),
    };
    update
        .sql(" where code_hash = ")
        .bind(Bind::Bytes(token_hash(code)));
    tx.run(update).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_hashes() {
        let fine = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let with = |challenge_: &str, method: &str| {
            challenge(Some(challenge_.to_owned()), Some(method.to_owned()))
        };
        assert_eq!(with(fine, "s256").unwrap().as_deref(), Some(fine));
        assert_eq!(with(fine, "S256").unwrap().as_deref(), Some(fine));
        assert_eq!(challenge(None, None).unwrap(), None);
        assert_eq!(with("", "").unwrap(), None);
        for (challenge_, method) in [
            (fine, "plain"),
            (fine, ""),
            ("", "s256"),
            ("short", "s256"),
            (&*"x".repeat(129), "s256"),
            (&*format!("{}\n", "x".repeat(43)), "s256"),
        ] {
            assert!(
                with(challenge_, method)
                    .unwrap_err()
                    .is("validation_failed")
            );
        }
    }
}
