//! One-time links: a secret that somebody was given works once, and only its hash is here (S-119).

use uuid::Uuid;

use crate::base::Result;
use crate::base::secret::{random_token, token_hash};
use crate::db::{Bind, Statement, Tx};

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Makes the first account of the hub.
    FirstAccount,
    /// Lets somebody sign up on a hub that is closed to others.
    Invitation,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::FirstAccount => "first_account",
            Self::Invitation => "invitation",
        }
    }

    fn lives(self) -> &'static str {
        match self {
            Self::FirstAccount => "1 day",
            Self::Invitation => "14 days",
        }
    }
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
