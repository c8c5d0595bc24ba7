//! Second factors: codes of a device (TOTP, RFC 6238), asked for by a challenge and good for one time each.
//! A right code makes the session `aal2`; seeds lie in the vault. Codes for whoever lost the device: `recovery`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use diesel::sql_types::{BigInt, Bool, Integer, Timestamptz, Uuid as SqlUuid};
use fast_qr::ECL;
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::qr::QRBuilder;
use serde_json::{Value, json};
use totp_rs::Totp;
use uuid::Uuid;

use super::sessions::{self, Begun};
use super::{recovery, refusal};
use crate::base::error::Told;
use crate::base::secret::{Secret, random};
use crate::base::{Caller, Error, Result, clock};
use crate::db::{Bind, Statement, Tx, vault};
use crate::node::Node;

/// What the vault keeps a seed for.
const PURPOSE: &str = "totp_seed";

/// How many factors an account may have.
const MOST: i64 = 10;

/// How long a factor that nobody proved is kept, and how long a challenge can be answered.
const UNPROVED_LIVES: &str = "1 hour";
const CHALLENGE_LIVES: &str = "5 minutes";

/// Wrong codes for one challenge, and of one account before it has to wait.
const WRONG: i32 = 5;

/// The first wait in seconds, doubled each time, and the longest.
const WAIT: i64 = 30;
const LONGEST_WAIT: i64 = 900;

const LONGEST_NAME: usize = 100;

/// A factor to be added.
#[derive(Clone, Debug, Default)]
pub struct Enroll {
    pub friendly_name: String,
    /// Who asks for the codes, as the device shows it.
    pub issuer: Option<String>,
}

/// How an attempt ended. An answer and not an error, because a wrong one must be counted.
enum Verdict {
    Right(Box<Begun>),
    Wrong,
    Over,
    Wait(i64),
}

/// Begin to add a factor: the seed is told this once and counts once a code of it was right.
pub async fn enroll(node: &Node, session: Uuid, wanted: Enroll) -> Result<Value> {
    let name = fitting(&wanted.friendly_name)?;
    let issuer = match wanted.issuer.as_deref().map(fitting).transpose()? {
        Some(issuer) if !issuer.is_empty() => issuer,
        _ => issuer_of(node),
    };
    let seed: [u8; 20] = random();

    let (id, account) = node
        .db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            lock(tx, account.id).await?;
            if is_proven(tx, account.id).await? && !is_aal2(tx, session).await? {
                return Err(refusal(
                    403,
                    "insufficient_aal",
                    "AAL2 required to enroll a new factor",
                ));
            }
            forget_unproved(tx, account.id).await?;
            if count(tx, account.id).await? >= MOST {
                return Err(refusal(
                    422,
                    "too_many_enrolled_mfa_factors",
                    "Maximum number of verified factors reached, unenroll to continue",
                ));
            }
            let new = vault::New {
                owner: Some(account.id),
                purpose: PURPOSE,
                ..Default::default()
            };
            let secret = vault::keep(tx, new, &Secret::new(STANDARD_NO_PAD.encode(seed))).await?;
            let id = add(tx, account.id, &name, secret).await?;
            Ok((id, account))
        })
        .await?;

    let secret = base32(&seed);
    let uri = uri_of(&issuer, &account.email, &secret);
    Ok(json!({
        "id": id,
        "type": "totp",
        "friendly_name": name,
        "totp": { "qr_code": drawn(&uri)?, "secret": secret, "uri": uri },
    }))
}

/// Ask for a code.
pub async fn challenge(node: &Node, session: Uuid, factor: Uuid) -> Result<Value> {
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            find(tx, account.id, factor).await?;
            // One question at a time; old ones are swept on the way.
            let mut sweep = Statement::new(
                "delete from hub.factor_challenges where expires_at < now() or (session_id = ",
            );
            sweep
                .bind(Bind::Uuid(session))
                .sql(" and factor_id = ")
                .bind(Bind::Uuid(factor))
                .sql(")");
            tx.run(sweep).await?;
            let mut insert = Statement::<(SqlUuid, Timestamptz)>::new(
                "insert into hub.factor_challenges (factor_id, session_id, expires_at) values (",
            );
            insert
                .bind(Bind::Uuid(factor))
                .sql(", ")
                .bind(Bind::Uuid(session))
                .sql(", now() + ")
                .text(CHALLENGE_LIVES)
                .sql("::text::interval) returning id, expires_at");
            let rows: Vec<(Uuid, chrono::DateTime<chrono::Utc>)> = tx.load(insert).await?;
            let (id, until) = rows.into_iter().next().ok_or_else(unknown)?;
            Ok(json!({ "id": id, "type": "totp", "expires_at": until.timestamp() }))
        })
        .await
}

/// Answer a challenge. A right code proves the factor and makes the session `aal2`; it works this once.
pub async fn verify(
    node: &Node,
    session: Uuid,
    factor: Uuid,
    challenge: Uuid,
    code: &str,
) -> Result<Value> {
    let verdict = node
        .db
        .write(&Caller::Hub, async |tx| {
            judge(tx, session, factor, challenge, code).await
        })
        .await?;
    match verdict {
        Verdict::Right(begun) => begun.shown(node),
        Verdict::Wrong => Err(refusal(
            422,
            "mfa_verification_failed",
            "Invalid TOTP code entered",
        )),
        Verdict::Over => Err(refusal(
            422,
            "mfa_challenge_expired",
            "MFA challenge has expired, verify against another challenge or create a new challenge.",
        )),
        Verdict::Wait(seconds) => Err(Error::TooMuch(
            Box::new(Told::new(
                "over_request_rate_limit",
                "Too many wrong codes; wait, or use a recovery code.",
            )),
            std::time::Duration::from_secs(seconds.unsigned_abs().max(1)),
        )),
    }
}

/// Take a factor away. A proven one only by a session that a second factor vouched for; then all others end.
pub async fn remove(node: &Node, session: Uuid, factor: Uuid) -> Result<Value> {
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            lock(tx, account.id).await?;
            let found = find(tx, account.id, factor).await?;
            if found.is_proven && !is_aal2(tx, session).await? {
                return Err(refusal(
                    422,
                    "insufficient_aal",
                    "AAL2 required to unenroll verified factor",
                ));
            }
            drop_factor(tx, account.id, &found).await?;
            if found.is_proven {
                sessions::delete(tx, account.id, session, sessions::Scope::Others).await?;
            }
            Ok(json!({ "id": factor }))
        })
        .await
}

/// Take a factor of somebody away, as the operator: all his sessions end.
pub(super) async fn withdraw(tx: &mut Tx, account: Uuid, factor: Uuid) -> Result<Value> {
    lock(tx, account).await?;
    let found = find(tx, account, factor).await?;
    drop_factor(tx, account, &found).await?;
    if found.is_proven {
        sessions::delete(tx, account, Uuid::nil(), sessions::Scope::Others).await?;
    }
    Ok(json!({ "id": factor }))
}

/// Whether the account has a factor that counts.
pub async fn is_proven(tx: &mut Tx, account: Uuid) -> Result<bool> {
    let mut select = Statement::<Bool>::new(
        "select exists (select from hub.factors where verified_at is not null and user_id = ",
    );
    select.bind(Bind::Uuid(account)).sql(")");
    Ok(tx.load(select).await?.first() == Some(&true))
}

/// Whether a second factor vouched for this session.
pub async fn is_aal2(tx: &mut Tx, session: Uuid) -> Result<bool> {
    let mut select = Statement::<Bool>::new("select aal = 'aal2' from hub.sessions where id = ");
    select.bind(Bind::Uuid(session));
    Ok(tx.load(select).await?.first() == Some(&true))
}

/// Refuse a session that only a password vouched for, where the account has a second factor.
pub(super) async fn must_be_proven(tx: &mut Tx, account: Uuid, session: Uuid) -> Result<()> {
    if is_proven(tx, account).await? && !is_aal2(tx, session).await? {
        return Err(refusal(
            401,
            "insufficient_aal",
            "AAL2 session is required to update email or password when MFA is enabled.",
        ));
    }
    Ok(())
}

/// Whoever changes or tries factors of one account does so one after the other.
pub(super) async fn lock(tx: &mut Tx, account: Uuid) -> Result<(i32, i64)> {
    let mut take = Statement::<(Integer, BigInt)>::new(
        "insert into hub.factor_guesses as g (user_id) values (",
    );
    take.bind(Bind::Uuid(account)).sql(
        ") on conflict (user_id) do update set user_id = excluded.user_id \
         returning g.wrong, ceil(extract(epoch from g.wait_until - now()))::bigint",
    );
    let rows: Vec<(i32, i64)> = tx.load(take).await?;
    rows.into_iter().next().ok_or_else(unknown)
}

/// A factor as its row has it.
struct Factor {
    id: Uuid,
    secret: Uuid,
    is_proven: bool,
    last_step: i64,
}

async fn judge(
    tx: &mut Tx,
    session: Uuid,
    factor: Uuid,
    challenge: Uuid,
    code: &str,
) -> Result<Verdict> {
    let account = sessions::holder(tx, session).await?;
    let (wrong, wait) = lock(tx, account.id).await?;
    let found = find(tx, account.id, factor).await?;
    if wait > 0 {
        return Ok(Verdict::Wait(wait));
    }
    if !is_asked(tx, session, factor, challenge).await? {
        return Ok(Verdict::Over);
    }

    let seed = vault::open(tx, found.secret, PURPOSE).await?;
    let now = clock::now().timestamp().unsigned_abs();
    let step = totp(&seed)?
        .check(code, now)
        .and_then(|step| i64::try_from(step).ok())
        .filter(|step| *step > found.last_step);
    let Some(step) = step else {
        count_wrong(tx, account.id, challenge, wrong).await?;
        tracing::warn!(event = "factor_refused", user = %account.id, %session);
        return Ok(Verdict::Wrong);
    };

    let mut update = Statement::new(
        "update hub.factors set updated_at = now(), verified_at = coalesce(verified_at, now()), last_step = ",
    );
    update
        .bind(Bind::Int(step))
        .sql(" where id = ")
        .bind(Bind::Uuid(factor));
    tx.run(update).await?;
    let mut answered = Statement::new("delete from hub.factor_challenges where id = ");
    answered.bind(Bind::Uuid(challenge));
    tx.run(answered).await?;
    let mut forgive = Statement::new("delete from hub.factor_guesses where user_id = ");
    forgive.bind(Bind::Uuid(account.id));
    tx.run(forgive).await?;
    if !found.is_proven {
        // From now on a password alone is not enough, wherever it was given.
        sessions::delete(tx, account.id, session, sessions::Scope::Others).await?;
    }
    let begun = sessions::step_up(tx, session, "totp").await?;
    Ok(Verdict::Right(Box::new(begun)))
}

async fn is_asked(tx: &mut Tx, session: Uuid, factor: Uuid, challenge: Uuid) -> Result<bool> {
    let mut select = Statement::<Bool>::new(
        "select true from hub.factor_challenges where expires_at > now() and wrong < ",
    );
    select
        .bind(Bind::Int(WRONG.into()))
        .sql(" and id = ")
        .bind(Bind::Uuid(challenge))
        .sql(" and factor_id = ")
        .bind(Bind::Uuid(factor))
        .sql(" and session_id = ")
        .bind(Bind::Uuid(session));
    Ok(!tx.load::<_, bool>(select).await?.is_empty())
}

async fn count_wrong(tx: &mut Tx, account: Uuid, challenge: Uuid, before: i32) -> Result<()> {
    let mut update =
        Statement::new("update hub.factor_challenges set wrong = wrong + 1 where id = ");
    update.bind(Bind::Uuid(challenge));
    tx.run(update).await?;
    let mut update = Statement::new("update hub.factor_guesses set wrong = wrong + 1");
    let wait = wait_after(before + 1);
    if wait > 0 {
        update
            .sql(", wait_until = now() + make_interval(secs => ")
            .bind(Bind::Int(wait))
            .sql(")");
    }
    update.sql(" where user_id = ").bind(Bind::Uuid(account));
    tx.run(update).await.map(|_| ())
}

/// How many seconds to wait after so many wrong codes in a row.
fn wait_after(wrong: i32) -> i64 {
    match wrong - WRONG {
        ..0 => 0,
        more => WAIT.saturating_mul(1 << more.min(10)).min(LONGEST_WAIT),
    }
}

async fn find(tx: &mut Tx, account: Uuid, factor: Uuid) -> Result<Factor> {
    let mut select = Statement::<(SqlUuid, Bool, BigInt)>::new(
        "select secret_id, verified_at is not null, last_step from hub.factors where id = ",
    );
    select
        .bind(Bind::Uuid(factor))
        .sql(" and user_id = ")
        .bind(Bind::Uuid(account));
    let rows: Vec<(Uuid, bool, i64)> = tx.load(select).await?;
    let (secret, is_proven, last_step) = rows.into_iter().next().ok_or_else(unknown)?;
    Ok(Factor {
        id: factor,
        secret,
        is_proven,
        last_step,
    })
}

async fn add(tx: &mut Tx, account: Uuid, name: &str, secret: Uuid) -> Result<Uuid> {
    let mut insert = Statement::<SqlUuid>::new(
        "insert into hub.factors (user_id, friendly_name, secret_id) values (",
    );
    insert
        .bind(Bind::Uuid(account))
        .sql(", ")
        .text(name)
        .sql(", ")
        .bind(Bind::Uuid(secret))
        .sql(") on conflict (user_id, friendly_name) do nothing returning id");
    let ids: Vec<Uuid> = tx.load(insert).await?;
    ids.into_iter().next().ok_or_else(|| {
        refusal(
            422,
            "mfa_factor_name_conflict",
            "A factor with this friendly name exists already.",
        )
    })
}

async fn count(tx: &mut Tx, account: Uuid) -> Result<i64> {
    let mut select = Statement::<BigInt>::new("select count(*) from hub.factors where user_id = ");
    select.bind(Bind::Uuid(account));
    Ok(tx.load(select).await?.first().copied().unwrap_or_default())
}

/// Remove a factor with its seed; after the last one a password is enough again, and recovery codes have no use.
async fn drop_factor(tx: &mut Tx, account: Uuid, factor: &Factor) -> Result<()> {
    let mut delete = Statement::new("delete from hub.factors where id = ");
    delete.bind(Bind::Uuid(factor.id));
    tx.run(delete).await?;
    vault::forget(tx, &[factor.secret]).await?;
    if factor.is_proven && !is_proven(tx, account).await? {
        recovery::forget(tx, account).await?;
        let mut lower = Statement::new("update hub.sessions set aal = 'aal1' where user_id = ");
        lower.bind(Bind::Uuid(account));
        tx.run(lower).await?;
    }
    Ok(())
}

async fn forget_unproved(tx: &mut Tx, account: Uuid) -> Result<()> {
    let mut delete = Statement::<SqlUuid>::new(
        "delete from hub.factors where verified_at is null and created_at < now() - ",
    );
    delete
        .text(UNPROVED_LIVES)
        .sql("::text::interval and user_id = ")
        .bind(Bind::Uuid(account))
        .sql(" returning secret_id");
    let secrets: Vec<Uuid> = tx.load(delete).await?;
    if !secrets.is_empty() {
        vault::forget(tx, &secrets).await?;
    }
    Ok(())
}

fn totp(seed: &Secret) -> Result<Totp> {
    let seed: [u8; 20] = STANDARD_NO_PAD
        .decode(seed.reveal())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::broken(anyhow::anyhow!("a seed of the vault has no 20 bytes")))?;
    totp_rs::Builder::new()
        .with_secret(totp_rs::Secret::new_stack(seed))
        .build()
        .map_err(|error| Error::broken(anyhow::anyhow!("TOTP: {error:?}")))
}

fn fitting(name: &str) -> Result<String> {
    let name = name.trim();
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(refusal(
            400,
            "validation_failed",
            "A name has at most 100 characters and no control characters.",
        ));
    }
    Ok(name.to_owned())
}

fn issuer_of(node: &Node) -> String {
    node.db
        .hub()
        .public_url()
        .and_then(|url| url.host_str())
        .unwrap_or("made-open")
        .to_owned()
}

/// What a device reads (Key Uri Format).
fn uri_of(issuer: &str, account: &str, secret: &str) -> String {
    let (issuer, account) = (escaped(issuer), escaped(account));
    format!(
        "otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits=6&issuer={issuer}&period=30&secret={secret}"
    )
}

fn drawn(uri: &str) -> Result<String> {
    let code = QRBuilder::new(uri)
        .ecl(ECL::M)
        .build()
        .map_err(|error| Error::broken(anyhow::anyhow!("QR code: {error:?}")))?;
    Ok(SvgBuilder::default().to_str(&code))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Base32 of RFC 4648 without padding, as devices let people type it.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    for five in bytes.chunks(5) {
        let mut block = [0; 8];
        for (to, from) in block.iter_mut().skip(3).zip(five) {
            *to = *from;
        }
        let bits = u64::from_be_bytes(block);
        for place in 0..(five.len() * 8).div_ceil(5) {
            let letter = (bits >> (35 - 5 * place)) & 31;
            out.extend(LETTERS.get(letter as usize).copied().map(char::from));
        }
    }
    out
}

fn unknown() -> Error {
    Error::missing("mfa_factor_not_found", "Factor not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (plain, expected) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), expected);
        }
        assert_eq!(base32(&[0; 20]).len(), 32);
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        let seed = Secret::new(STANDARD_NO_PAD.encode(b"12345678901234567890"));
        let totp = totp(&seed).unwrap();
        // The last six of the eight digits of the appendix.
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp.check(code, time), Some(time / 30));
            assert_eq!(
                totp.check(code, time + 30),
                Some(time / 30),
                "one step late"
            );
            assert_eq!(totp.check(code, time + 60), None, "two steps late");
        }
        for odd in [
            "",
            "28708",
            "2870822",
            "２８７０８２",
            "-87082",
            "28 082",
            "\0",
        ] {
            assert_eq!(totp.check(odd, 59), None, "{odd:?}");
        }
        assert!(super::totp(&Secret::new("c2hvcnQ")).is_err());
    }

    #[test]
    fn a_uri_holds_what_it_names_and_nothing_else() {
        let uri = uri_of("A:B & Söhne", "a+b@c.example?secret=X", "MZXW6");
        assert_eq!(
            uri,
            "otpauth://totp/A%3AB%20%26%20S%C3%B6hne:a%2Bb%40c.example%3Fsecret%3DX?algorithm=SHA1&digits=6\
             &issuer=A%3AB%20%26%20S%C3%B6hne&period=30&secret=MZXW6"
        );
        let svg = drawn(&uri).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        assert!(!svg.contains("script") && !svg.contains("href"));
    }

    #[test]
    fn waits_begin_after_five_and_end_at_a_quarter_of_an_hour() {
        let waits: Vec<i64> = [0, 4, 5, 6, 7, 10, 11, 1000, i32::MAX]
            .into_iter()
            .map(wait_after)
            .collect();
        assert_eq!(waits, [0, 0, 30, 60, 120, 900, 900, 900, 900]);
    }
}
