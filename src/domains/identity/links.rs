//! One-time links and the six digits that may stand beside them: a secret that somebody was given works once, and only
//! its hash is here (S-119). What follows from showing one is decided in `proofs`.

use diesel::sql_types::{Bytea, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::base::secret::{random, random_token, same, token_hash};
use crate::base::token::Signer;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// How often other digits may be typed for one letter's.
const WRONG_TRIES: i64 = 5;

/// What the secret of a link that is opened for an app begins with, so that errors can be said the app's way.
pub const FOR_AN_APP: &str = "pkce_";

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Makes the first account of the hub.
    FirstAccount,
    /// Lets somebody sign up on a hub that is closed to others.
    Invitation,
    /// Proves the address of whoever signed up.
    Signup,
    /// Proves the address of somebody for whom the operator made an account.
    Invite,
    /// Signs in.
    MagicLink,
    /// Signs in whoever forgot the password.
    Recovery,
    /// Proves the new address of an account.
    EmailChangeNew,
    /// Proves that the holder of the present address agrees to a new one.
    EmailChangeCurrent,
    /// Proves again whom a session belongs to.
    Reauthentication,
}

impl Purpose {
    const ALL: [Self; 9] = [
        Self::FirstAccount,
        Self::Invitation,
        Self::Signup,
        Self::Invite,
        Self::MagicLink,
        Self::Recovery,
        Self::EmailChangeNew,
        Self::EmailChangeCurrent,
        Self::Reauthentication,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::FirstAccount => "first_account",
            Self::Invitation => "invitation",
            Self::Signup => "signup",
            Self::Invite => "invite",
            Self::MagicLink => "magiclink",
            Self::Recovery => "recovery",
            Self::EmailChangeNew => "email_change_new",
            Self::EmailChangeCurrent => "email_change_current",
            Self::Reauthentication => "reauthentication",
        }
    }

    fn lives(self) -> &'static str {
        match self {
            Self::FirstAccount => "1 day",
            Self::Invitation => "14 days",
            _ => "1 hour",
        }
    }
}

/// What somebody was given.
pub struct Given {
    /// 256 bits, for a link.
    pub token: String,
    /// Six digits, to be typed.
    pub code: String,
}

/// What a link that was used up says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub purpose: Purpose,
    /// Whose account.
    pub user: Uuid,
    /// The address it was sent to.
    pub email: String,
    /// What an app asked for it with.
    pub code_challenge: Option<String>,
}

/// Give an account's holder a link and digits for one purpose; earlier ones for the same stop working.
pub(super) async fn give(
    tx: &mut Tx,
    signer: &Signer,
    purpose: Purpose,
    user: Uuid,
    email: &str,
    code_challenge: Option<&str>,
) -> Result<Given> {
    take_back(tx, user, &[purpose]).await?;
    let prefix = code_challenge.map_or("", |_| FOR_AN_APP);
    let given = Given {
        token: format!("{prefix}{}", random_token()),
        code: format!(
            "{:06}",
            u64::from_be_bytes(random())
                .checked_rem(1_000_000)
                .unwrap_or_default()
        ),
    };
    let token = token_hash(&given.token);
    let mut insert = Statement::new(
        "insert into hub.one_time_links (token_hash, purpose, user_id, email, code_hash, code_challenge, expires_at) \
         values (",
    );
    insert
        .bind(Bind::Bytes(token.clone()))
        .sql(", ")
        .text(purpose.name())
        .sql(", ")
        .bind(Bind::Uuid(user))
        .sql(", ")
        .text(email)
        .sql(", ")
        .bind(Bind::Bytes(digits_mark(signer, &token, &given.code)))
        .sql(", ")
        .bind(Bind::Text(code_challenge.map(str::to_owned)))
        .sql(", now() + ")
        .text(purpose.lives())
        .sql("::text::interval)");
    tx.run(insert).await?;
    Ok(given)
}

/// Forget what an account's holder was given for these purposes and did not use.
pub(super) async fn take_back(tx: &mut Tx, user: Uuid, purposes: &[Purpose]) -> Result<()> {
    let mut delete =
        Statement::new("delete from hub.one_time_links where used_at is null and user_id = ");
    delete.bind(Bind::Uuid(user)).sql(" and purpose = any (");
    delete.bind(names(purposes)).sql(")");
    tx.run(delete).await.map(|_| ())
}

/// Use up what the secret of a link was given for. Of two at once only one gets it.
pub(super) async fn take_link(
    tx: &mut Tx,
    purposes: &[Purpose],
    token: &str,
) -> Result<Option<Taken>> {
    let mut update = Statement::new(
        "update hub.one_time_links set used_at = now() where user_id is not null and token_hash = ",
    );
    update
        .bind(Bind::Bytes(token_hash(token)))
        .sql(" and purpose = any (")
        .bind(names(purposes))
        .sql(") and used_at is null and expires_at > now()");
    taken(tx, update).await
}

/// Use up what six digits were given for. A wrong try counts, whichever purpose was meant, so commit what this wrote.
pub(super) async fn take_code(
    tx: &mut Tx,
    signer: &Signer,
    purposes: &[Purpose],
    email: &str,
    code: &str,
) -> Result<Option<Taken>> {
    let mut tried = Statement::<(Bytea, Nullable<Bytea>)>::new(
        "update hub.one_time_links set wrong_tries = wrong_tries + 1 where token_hash = \
         (select token_hash from hub.one_time_links where user_id is not null and used_at is null \
         and expires_at > now() and email = ",
    );
    tried
        .text(email)
        .sql(" and purpose = any (")
        .bind(names(purposes))
        .sql(") order by created_at desc limit 1) and used_at is null and wrong_tries < ")
        .bind(Bind::Int(WRONG_TRIES))
        .sql(" returning token_hash, code_hash");
    let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> = tx.load(tried).await?;
    let Some((token, kept)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let shown = digits_mark(signer, &token, code);
    if !kept.is_some_and(|kept| same(&kept, &shown)) {
        return Ok(None);
    }
    let mut update = Statement::new(
        "update hub.one_time_links set used_at = now(), wrong_tries = wrong_tries - 1 where token_hash = ",
    );
    update.bind(Bind::Bytes(token)).sql(" and used_at is null");
    taken(tx, update).await
}

/// Make a link; what is given away is the answer and nowhere else. Bound to an address when there is one.
pub async fn make(tx: &mut Tx, purpose: Purpose, email: Option<String>) -> Result<String> {
    let token = random_token();
    let mut insert = Statement::new(
        "insert into hub.one_time_links (token_hash, purpose, email, expires_at) values (",
    );
    insert
        .bind(Bind::Bytes(token_hash(&token)))
        .sql(", ")
        .text(purpose.name())
        .sql(", ")
        .bind(Bind::Text(email))
        .sql(", now() + ")
        .text(purpose.lives())
        .sql("::text::interval)");
    tx.run(insert).await?;
    Ok(token)
}

/// Whether the link works at the moment for this address. Cheap; only [`take`] settles it.
pub async fn works(tx: &mut Tx, purpose: Purpose, token: &str, email: &str) -> Result<bool> {
    let mut select =
        Statement::<diesel::sql_types::Text>::new("select purpose from hub.one_time_links where ");
    matching(&mut select, purpose, token, email);
    Ok(!tx.load::<_, String>(select).await?.is_empty())
}

/// Use the link up. Of two at once only one is told yes.
pub async fn take(
    tx: &mut Tx,
    purpose: Purpose,
    token: &str,
    email: &str,
    by: Uuid,
) -> Result<bool> {
    let mut update = Statement::new("update hub.one_time_links set used_at = now(), user_id = ");
    update.bind(Bind::Uuid(by)).sql(" where ");
    matching(&mut update, purpose, token, email);
    Ok(tx.run(update).await? == 1)
}

/// Forget links of this purpose that nobody used.
pub async fn withdraw(tx: &mut Tx, purpose: Purpose) -> Result<()> {
    let mut delete =
        Statement::new("delete from hub.one_time_links where used_at is null and purpose = ");
    delete.text(purpose.name());
    tx.run(delete).await.map(|_| ())
}

async fn taken(tx: &mut Tx, update: Statement) -> Result<Option<Taken>> {
    let mut update = update.answering::<(Text, SqlUuid, Text, Nullable<Text>)>();
    update.sql(" returning purpose, user_id, coalesce(email, ''), code_challenge");
    let rows: Vec<(String, Uuid, String, Option<String>)> = tx.load(update).await?;
    let Some((name, user, email, code_challenge)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let purpose = Purpose::ALL
        .into_iter()
        .find(|purpose| purpose.name() == name)
        .ok_or_else(|| Error::broken(anyhow::anyhow!("a link has a purpose nobody knows")))?;
    Ok(Some(Taken {
        purpose,
        user,
        email,
        code_challenge,
    }))
}

/// What is kept of six digits: bound to their link, and under the hub's key, because a million of them is soon tried.
fn digits_mark(signer: &Signer, token_hash: &[u8], code: &str) -> Vec<u8> {
    let of: String = token_hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    signer.mark("code", &format!("{of}\0{}", code.trim()))
}

fn names(purposes: &[Purpose]) -> Bind {
    Bind::Texts(
        purposes
            .iter()
            .map(|purpose| Some(purpose.name().to_owned()))
            .collect(),
    )
}

fn matching<T>(statement: &mut Statement<T>, purpose: Purpose, token: &str, email: &str) {
    statement
        .sql("token_hash = ")
        .bind(Bind::Bytes(token_hash(token)))
        .sql(" and purpose = ")
        .text(purpose.name())
        .sql(" and used_at is null and expires_at > now() and (email is null or email = ")
        .text(email)
        .sql(")");
}
