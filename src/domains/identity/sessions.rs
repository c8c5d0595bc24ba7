//! Sessions: begun with a password, kept alive with refresh tokens that work once, over at once when ended.
//! A refresh token that comes a second time was stolen or lost: the session it belongs to ends.

use std::net::IpAddr;

use diesel::sql_types::{Bool, Jsonb, Text, Uuid as SqlUuid};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::accounts::{self, Account};
use super::passwords::{self, Verdict};
use super::{attempts, factors, refusal, tokens};
use crate::base::secret::{random_token, token_hash};
use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// How long a session lasts however often it is refreshed.
const LASTS: &str = "90 days";

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

/// What a client changes about its own account.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub password: Option<String>,
    /// Merged into what is there; null removes.
    pub data: Option<Map<String, Value>>,
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
            accounts::by_email(tx, &email).await
        })
        .await?;
    let kept = account
        .as_ref()
        .and_then(|account| account.encrypted_password.clone());
    let verdict = passwords::verify(password, kept).await?;
    let (Some(account), Verdict::Right | Verdict::RightButWeaklyKept) = (account, verdict) else {
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

/// Change one's own account. A new password ends all other sessions.
pub async fn change(node: &Node, session: Uuid, change: Change) -> Result<Account> {
    let account = account(node, session).await?;
    let password = match &change.password {
        None => None,
        Some(new) => {
            passwords::check(new, &account.email)?;
            if passwords::verify(new, account.encrypted_password.clone()).await? != Verdict::Wrong {
                return Err(refusal(
                    422,
                    "same_password",
                    "New password should be different from the old password.",
                ));
            }
            Some(passwords::hash(new).await?)
        }
    };

    node.db
        .write(&Caller::Hub, async |tx| {
            let account = holder(tx, session).await?;
            if change.password.is_some() {
                factors::must_be_proven(tx, account.id, session).await?;
            }
            if let Some(change) = &change.data {
                let mut data = account
                    .user_metadata
                    .as_object()
                    .cloned()
                    .unwrap_or_default();
                for (name, value) in change {
                    if value.is_null() {
                        data.shift_remove(name);
                    } else {
                        data.insert(name.clone(), value.clone());
                    }
                }
                let data = accounts::described(data)?;
                let mut update = Statement::new("update public.users set raw_user_meta_data = ");
                update.text(data.to_string()).sql("::jsonb where id = ");
                update.bind(Bind::Uuid(account.id));
                tx.run(update).await?;
            }
            if let Some(hash) = &password {
                let mut update = Statement::new("update public.users set encrypted_password = ");
                update.text(hash).sql(" where id = ");
                update.bind(Bind::Uuid(account.id));
                tx.run(update).await?;
                delete(tx, account.id, session, Scope::Others).await?;
            }
            holder(tx, session).await
        })
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
    session: Uuid,
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
async fn begin(
    tx: &mut Tx,
    seen: &Account,
    method: &str,
    rehashed: Option<&str>,
    from: &Origin,
) -> Result<Option<Begun>> {
    if !accounts::signed_in(tx, seen, rehashed).await? {
        return Ok(None);
    }
    let Some(account) = accounts::by_id(tx, seen.id).await? else {
        return Ok(None);
    };
    account.may_sign_in()?;

    let mut insert = Statement::<(SqlUuid, Text, Jsonb)>::new(
        "insert into hub.sessions (user_id, role, user_agent, expires_at, amr) values (",
    );
    insert
        .bind(Bind::Uuid(account.id))
        .sql(", 'authenticated', ")
        .bind(Bind::Text(from.user_agent.clone()))
        .sql(", now() + ")
        .text(LASTS)
        .sql("::interval, ")
        .append(proved_by(method))
        .sql(") returning id, aal, amr");
    let rows: Vec<(Uuid, String, Value)> = tx.load(insert).await?;
    let Some((session, aal, amr)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let proof = Proof { aal, amr };
    let refresh_token = add_token(tx, session).await?;
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
    let mut update =
        Statement::<(Text, Jsonb)>::new("update hub.sessions set aal = 'aal2', amr = amr || ");
    update
        .append(proved_by(method))
        .sql(" where id = ")
        .bind(Bind::Uuid(session))
        .sql(" returning aal, amr");
    let rows: Vec<(String, Value)> = tx.load(update).await?;
    let (aal, amr) = rows.into_iter().next().ok_or_else(over)?;
    let refresh_token = add_token(tx, session).await?;
    Ok(Begun {
        account,
        session,
        proof: Proof { aal, amr },
        refresh_token,
    })
}

/// Use a refresh token up. The verdict is an answer and not an error, because what it did must be committed.
async fn use_up(tx: &mut Tx, token: &str) -> Result<Refreshed> {
    type Row = (SqlUuid, SqlUuid, Text, Jsonb, Bool, Bool);
    let mut select = Statement::<Row>::new(
        "select s.id, s.user_id, s.aal, s.amr, r.used_at is not null, coalesce(s.expires_at <= now(), false) \
         from hub.refresh_tokens r join hub.sessions s on s.id = r.session_id \
         where s.user_id is not null and r.token_hash = ",
    );
    select
        .bind(Bind::Bytes(token_hash(token)))
        .sql(" for update of s, r");
    let rows: Vec<(Uuid, Uuid, String, Value, bool, bool)> = tx.load(select).await?;
    let Some((session, user, aal, amr, is_used, is_over)) = rows.into_iter().next() else {
        return Ok(Refreshed::Unknown);
    };
    if is_used || is_over {
        delete(tx, user, session, Scope::Local).await?;
        tracing::warn!(event = "refresh_refused", %session, %user, is_used);
        return Ok(if is_used {
            Refreshed::Used
        } else {
            Refreshed::Over
        });
    }
    let Some(account) = accounts::by_id(tx, user).await? else {
        return Ok(Refreshed::Unknown);
    };
    account.may_sign_in()?;

    let mut update =
        Statement::new("update hub.refresh_tokens set used_at = now() where token_hash = ");
    update.bind(Bind::Bytes(token_hash(token)));
    tx.run(update).await?;
    let mut update = Statement::new("update hub.sessions set refreshed_at = now() where id = ");
    update.bind(Bind::Uuid(session));
    tx.run(update).await?;
    let refresh_token = add_token(tx, session).await?;
    Ok(Refreshed::Again(Box::new(Begun {
        account,
        session,
        proof: Proof { aal, amr },
        refresh_token,
    })))
}

async fn add_token(tx: &mut Tx, session: Uuid) -> Result<String> {
    let token = random_token();
    let mut insert =
        Statement::new("insert into hub.refresh_tokens (token_hash, session_id) values (");
    insert
        .bind(Bind::Bytes(token_hash(&token)))
        .sql(", ")
        .bind(Bind::Uuid(session))
        .sql(")");
    tx.run(insert).await?;
    Ok(token)
}

/// The account of a session that stands.
pub(super) async fn holder(tx: &mut Tx, session: Uuid) -> Result<Account> {
    let mut select = Statement::<SqlUuid>::new(
        "select user_id from hub.sessions where user_id is not null \
         and (expires_at is null or expires_at > now()) and id = ",
    );
    select.bind(Bind::Uuid(session));
    let users: Vec<Uuid> = tx.load(select).await?;
    let Some(user) = users.first() else {
        return Err(over());
    };
    accounts::by_id(tx, *user).await?.ok_or_else(|| {
        refusal(
            403,
            "user_not_found",
            "User from sub claim in JWT does not exist",
        )
    })
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
