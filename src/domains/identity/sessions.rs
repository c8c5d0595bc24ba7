//! Sessions: begun with a password or a mailed secret, kept alive with refresh tokens that work once, over at once when
//! ended. A refresh token that comes a second time was stolen: the session it belongs to ends. Only a client that did
//! not hear the answer and asks again within seconds gets another.

use std::net::IpAddr;

use diesel::sql_types::{BigInt, Bool, Jsonb, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::accounts::{self, Account};
use super::passwords::{self, Verdict};
use super::{attempts, refusal, tokens};
use crate::base::secret::{random_token, token_hash};
use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// How long a session lasts however often it is refreshed, and how long without being refreshed. The latter stands in
/// `hub.session_claims` too.
const LASTS: &str = "90 days";
const IDLE: &str = "14 days";

/// How soon the token before may come again from a client that did not hear the answer.
const GRACE: &str = "10 seconds";

/// Refresh tokens of ours are shorter.
const LONGEST_REFRESH_TOKEN: usize = 256;

/// Which sessions of an account to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Global,
    /// This one.
    Local,
    /// All but this one.
    Others,
}

/// Where a request comes from, for the list of sessions and against guessing.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
}

/// Sign in with a password.
pub async fn sign_in(node: &Node, email: &str, password: &str, from: &Origin) -> Result<Value> {
    let wrong = || refusal(400, "invalid_credentials", "Invalid login credentials");
    // An address that cannot be one has no account; it costs the same to find out.
    let email = accounts::address(email).unwrap_or_default();
    if node.config.limits {
        attempts::may_try(&email, from.address)?;
    }
    let account = node
        .db
        .read(&Caller::Hub, async |tx| {
            attempts::password_will_do(tx, node, &email).await?;
            accounts::by_email(tx, &email).await
        })
        .await?;
    let kept = account
        .as_ref()
        .and_then(|account| account.encrypted_password.clone());
    let verdict = passwords::verify(password, kept).await?;
    let (Some(account), Verdict::Right | Verdict::RightButWeaklyKept) = (account, verdict) else {
        if node.config.limits {
            let note = async |tx: &mut Tx| attempts::was_wrong(tx, node, &email).await;
            node.db.write(&Caller::Hub, note).await?;
        }
        return Err(wrong());
    };
    if node.config.limits {
        attempts::was_right(&email, from.address);
    }
    account.may_sign_in()?;

    let rehashed = match verdict {
        Verdict::RightButWeaklyKept => Some(passwords::hash(password).await?),
        _ => None,
    };
    let begun = node
        .db
        .write(&Caller::Hub, async |tx| {
            begin(tx, &account, "password", rehashed.as_deref(), from).await
        })
        .await?;
    begun.map_or_else(|| Err(wrong()), |begun| begun.shown(node))
}

/// A session for an account that was just made.
pub async fn start(node: &Node, account: &Account, from: &Origin) -> Result<Value> {
    account.may_sign_in()?;
    let begun = node
        .db
        .write(&Caller::Hub, async |tx| {
            begin(tx, account, "password", None, from).await
        })
        .await?;
    begun
        .ok_or_else(|| refusal(403, "user_not_found", "The account is gone."))?
        .shown(node)
}

/// Exchange a refresh token for a new pair.
pub async fn refresh(node: &Node, token: &str) -> Result<Value> {
    let unknown = || {
        refusal(
            400,
            "refresh_token_not_found",
            "Invalid Refresh Token: Refresh Token Not Found",
        )
    };
    if token.is_empty() || token.len() > LONGEST_REFRESH_TOKEN {
        return Err(unknown());
    }
    let refreshed = node
        .db
        .write(&Caller::Hub, async |tx| use_up(tx, token).await)
        .await?;
    match refreshed {
        Refreshed::Again(again) => again.shown(node),
        Refreshed::Unknown => Err(unknown()),
        Refreshed::Used => Err(refusal(
            400,
            "refresh_token_already_used",
            "Invalid Refresh Token: Already Used",
        )),
        Refreshed::Over => Err(refusal(
            400,
            "session_expired",
            "Invalid Refresh Token: Session Expired",
        )),
    }
}

/// The account of a session.
pub async fn account(node: &Node, session: Uuid) -> Result<Account> {
    node.db
        .read(&Caller::Hub, async |tx| holder(tx, session).await)
        .await
}

/// End sessions. That one of them is over already is no error to whom wanted it over.
pub async fn end(node: &Node, session: Uuid, scope: Scope) -> Result<()> {
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = holder(tx, session).await?;
            delete(tx, account.id, session, scope).await
        })
        .await
}

/// A session with a fresh refresh token.
pub(super) struct Begun {
    account: Account,
    pub(super) session: Uuid,
    proof: Proof,
    refresh_token: String,
}

/// How the holder of a session proved himself.
#[derive(Clone, Debug)]
pub struct Proof {
    /// aal1 | aal2
    pub aal: String,
    /// `[{"method", "timestamp"}]`
    pub amr: Value,
}

enum Refreshed {
    Again(Box<Begun>),
    Unknown,
    Used,
    Over,
}

impl Begun {
    /// As GoTrue answers.
    pub(super) fn shown(&self, node: &Node) -> Result<Value> {
        let access = tokens::access(node, &self.account, self.session, &self.proof)?;
        Ok(json!({
            "access_token": access.token,
            "token_type": "bearer",
            "expires_in": access.expires_in,
            "expires_at": access.expires_at,
            "refresh_token": self.refresh_token,
            "user": self.account.shown(),
        }))
    }
}

/// Begin a session, unless the account was closed or its password changed since it was looked at.
pub(super) async fn begin(
    tx: &mut Tx,
    seen: &Account,
    method: &str,
    rehashed: Option<&str>,
    from: &Origin,
) -> Result<Option<Begun>> {
    let Some(account) = accounts::signed_in(tx, seen, rehashed).await? else {
        return Ok(None);
    };
    account.may_sign_in()?;

    let mut insert = Statement::<(SqlUuid, Text, Jsonb)>::new(
        "with s as (insert into hub.sessions (user_id, role, user_agent, expires_at, amr) values (",
    );
    let refresh_token = random_token();
    insert
        .bind(Bind::Uuid(account.id))
        .sql(", 'authenticated', ")
        .bind(Bind::Text(from.user_agent.clone()))
        .sql(", now() + ")
        .text(LASTS)
        .sql("::interval, ")
        .append(proved_by(method))
        .sql(
            ") returning id, aal, amr), t as (insert into hub.refresh_tokens (token_hash, session_id, generation) select ",
        )
        .bind(Bind::Bytes(token_hash(&refresh_token)))
        .sql(", s.id, 0 from s) select id, aal, amr from s");
    let rows: Vec<(Uuid, String, Value)> = tx.load(insert).await?;
    let Some((session, aal, amr)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let proof = Proof { aal, amr };
    Ok(Some(Begun {
        account,
        session,
        proof,
        refresh_token,
    }))
}

/// SQL for one more proof, by this method, now.
fn proved_by(method: &str) -> Statement {
    let mut proof = Statement::new("jsonb_build_array(jsonb_build_object('method', ");
    proof
        .text(method)
        .sql("::text, 'timestamp', extract(epoch from now())::bigint))");
    proof
}

/// A running session proves itself by a second factor: it is `aal2` from now on, with a fresh pair of tokens.
pub(super) async fn step_up(tx: &mut Tx, session: Uuid, method: &str) -> Result<Begun> {
    let account = holder(tx, session).await?;
    account.may_sign_in()?;
    let mut update = Statement::<(Text, Jsonb, BigInt)>::new(
        "update hub.sessions set aal = 'aal2', amr = amr || ",
    );
    update
        .append(proved_by(method))
        .sql(" where id = ")
        .bind(Bind::Uuid(session))
        .sql(" returning aal, amr, generation::bigint");
    let rows: Vec<(String, Value, i64)> = tx.load(update).await?;
    let (aal, amr, generation) = rows.into_iter().next().ok_or_else(over)?;
    let refresh_token = add_token(tx, session, generation).await?;
    Ok(Begun {
        account,
        session,
        proof: Proof { aal, amr },
        refresh_token,
    })
}

/// A refresh token as it is kept, with its session.
#[derive(Clone, Debug, diesel::Queryable)]
struct Kept {
    session: Uuid,
    user: Uuid,
    aal: String,
    amr: Value,
    /// How often the session had been refreshed when the token was given, and how often until now.
    given_at: i64,
    refreshed: i64,
    is_used: bool,
    /// Used within the grace.
    is_fresh: bool,
    is_over: bool,
}

/// What a refresh token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Refresh,
    /// The answer got lost: another token beside the one that nobody used yet. Whichever of them is used, the other one
    /// is old from then on, so that a thief who was as quick is noticed with the next refresh.
    Again,
    Stolen,
    Over,
}

fn step(kept: &Kept) -> Step {
    match (kept.is_used, kept.refreshed - kept.given_at) {
        _ if kept.is_over => Step::Over,
        (false, 0) => Step::Refresh,
        (true, 1) if kept.is_fresh => Step::Again,
        _ => Step::Stolen,
    }
}

/// Use a refresh token up. The verdict is an answer and not an error, because what it did must be committed.
async fn use_up(tx: &mut Tx, token: &str) -> Result<Refreshed> {
    let Some(kept) = find(tx, token).await? else {
        return Ok(Refreshed::Unknown);
    };
    let (session, user) = (kept.session, kept.user);
    let step = step(&kept);
    if let Step::Stolen | Step::Over = step {
        delete(tx, user, session, Scope::Local).await?;
        tracing::warn!(event = "refresh_refused", %session, %user, reason = ?step);
        return Ok(match step {
            Step::Over => Refreshed::Over,
            _ => Refreshed::Used,
        });
    }
    let Some(account) = accounts::by_id(tx, user).await? else {
        return Ok(Refreshed::Unknown);
    };
    account.may_sign_in()?;

    let generation = match step {
        Step::Refresh => {
            let mut update =
                Statement::new("update hub.refresh_tokens set used_at = now() where token_hash = ");
            update.bind(Bind::Bytes(token_hash(token)));
            tx.run(update).await?;
            let mut update = Statement::new(
                "update hub.sessions set refreshed_at = now(), generation = generation + 1 where id = ",
            );
            update.bind(Bind::Uuid(session));
            tx.run(update).await?;
            kept.refreshed + 1
        }
        _ => kept.refreshed,
    };
    let refresh_token = add_token(tx, session, generation).await?;
    let (aal, amr) = (kept.aal, kept.amr);
    Ok(Refreshed::Again(Box::new(Begun {
        account,
        session,
        proof: Proof { aal, amr },
        refresh_token,
    })))
}

async fn find(tx: &mut Tx, token: &str) -> Result<Option<Kept>> {
    type Row = (
        SqlUuid,
        SqlUuid,
        Text,
        Jsonb,
        BigInt,
        BigInt,
        Bool,
        Bool,
        Bool,
    );
    let mut select = Statement::<Row>::new(format!(
        "select s.id, s.user_id, s.aal, s.amr, r.generation::bigint, s.generation::bigint, r.used_at is not null, \
         coalesce(r.used_at > now() - interval '{GRACE}', false), \
         coalesce(s.expires_at <= now(), false) or s.refreshed_at <= now() - interval '{IDLE}' \
         from hub.refresh_tokens r join hub.sessions s on s.id = r.session_id \
         where s.user_id is not null and r.token_hash = ",
    ));
    select
        .bind(Bind::Bytes(token_hash(token)))
        .sql(" for update of s, r");
    let rows: Vec<Kept> = tx.load(select).await?;
    Ok(rows.into_iter().next())
}

async fn add_token(tx: &mut Tx, session: Uuid, generation: i64) -> Result<String> {
    let token = random_token();
    let mut insert = Statement::new(
        "insert into hub.refresh_tokens (token_hash, session_id, generation) values (",
    );
    insert
        .bind(Bind::Bytes(token_hash(&token)))
        .sql(", ")
        .bind(Bind::Uuid(session))
        .sql(", ")
        .bind(Bind::Int(generation))
        .sql("::integer)");
    tx.run(insert).await?;
    Ok(token)
}

/// The account of a session that stands.
pub(super) async fn holder(tx: &mut Tx, session: Uuid) -> Result<Account> {
    let mut select = Statement::<SqlUuid>::new(format!(
        "select user_id from hub.sessions where user_id is not null and refreshed_at > now() - interval '{IDLE}' \
         and (expires_at is null or expires_at > now()) and id = ",
    ));
    select.bind(Bind::Uuid(session));
    let users: Vec<Uuid> = tx.load(select).await?;
    let Some(user) = users.first() else {
        return Err(over());
    };
    let account = accounts::by_id(tx, *user).await?.ok_or_else(|| {
        refusal(
            403,
            "user_not_found",
            "User from sub claim in JWT does not exist",
        )
    })?;
    if account.is_banned {
        return Err(refusal(403, "user_banned", "User is banned"));
    }
    Ok(account)
}

/// End a session, whoever's it is.
pub(super) async fn revoke(tx: &mut Tx, session: Uuid) -> Result<()> {
    let mut delete = Statement::new("delete from hub.sessions where id = ");
    delete.bind(Bind::Uuid(session));
    tx.run(delete).await.map(|_| ())
}

fn over() -> crate::base::Error {
    refusal(
        403,
        "session_not_found",
        "Session from session_id claim in JWT does not exist",
    )
}

/// End sessions of an account.
pub(super) async fn delete(tx: &mut Tx, user: Uuid, session: Uuid, scope: Scope) -> Result<()> {
    let mut delete = Statement::new("delete from hub.sessions where user_id = ");
    delete.bind(Bind::Uuid(user));
    match scope {
        Scope::Global => {}
        Scope::Local => {
            delete.sql(" and id = ").bind(Bind::Uuid(session));
        }
        Scope::Others => {
            delete.sql(" and id <> ").bind(Bind::Uuid(session));
        }
    }
    tx.run(delete).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_comes_once_or_at_once_again() {
        let kept = |is_used, given_at, refreshed, is_fresh| Kept {
            session: Uuid::nil(),
            user: Uuid::nil(),
            aal: String::new(),
            amr: Value::Null,
            given_at,
            refreshed,
            is_used,
            is_fresh,
            is_over: false,
        };
        assert_eq!(step(&kept(false, 3, 3, false)), Step::Refresh);
        assert_eq!(step(&kept(true, 3, 4, true)), Step::Again);
        assert_eq!(step(&kept(true, 3, 4, false)), Step::Stolen);
        // Older than the one before, however quick.
        assert_eq!(step(&kept(true, 3, 5, true)), Step::Stolen);
        // The one beside it was used.
        assert_eq!(step(&kept(false, 3, 4, false)), Step::Stolen);
        let over = Kept {
            is_over: true,
            ..kept(false, 3, 3, false)
        };
        assert_eq!(step(&over), Step::Over);
    }
}
