//! The tokens that this domain gives away: access tokens for sessions, the public key, keys for programs.
//! They are signed and read in `base::token`.

use chrono::Duration;
use diesel::sql_types;
use serde_json::json;
use uuid::Uuid;

use super::accounts::Account;
use super::refusal;
use super::sessions::Proof;
use crate::base::{Caller, Result, clock};
use crate::db::{Bind, Statement};
use crate::node::Node;

/// A token that proves a session for a while, with what clients like to read from it.
pub struct Access {
    pub token: String,
    pub expires_in: i64,
    pub expires_at: i64,
}

/// An access token for a session of this account, whose holder proved himself like this.
pub fn access(node: &Node, account: &Account, session: Uuid, proof: &Proof) -> Result<Access> {
    let now = clock::now();
    let expires_in = i64::from(node.config.access_token_seconds);
    let expires_at = (now + Duration::seconds(expires_in)).timestamp();
    let issuer = match &node.config.public_url {
        Some(url) => format!("{}/auth/v1", url.as_str().trim_end_matches('/')),
        None => "made-open".to_owned(),
    };
    let token = node.signer()?.sign(&json!({
        "iss": issuer,
        "sub": account.id,
        "aud": "authenticated",
        "exp": expires_at,
        "iat": now.timestamp(),
        "email": account.email,
        "phone": account.phone.as_deref().unwrap_or_default(),
        "app_metadata": account.app_metadata,
        "user_metadata": account.user_metadata,
        "role": "authenticated",
        "aal": proof.aal,
        "amr": proof.amr,
        "session_id": session,
        "is_anonymous": account.is_anonymous,
    }));
    Ok(Access {
        token,
        expires_in,
        expires_at,
    })
}

/// The public key that apps name beside the hub's address.
pub fn anon_key(node: &Node) -> Result<String> {
    Ok(node.signer()?.anon_key())
}

/// A key for a program that acts for the hub. It can't be shown again, but revoked by deleting its session.
pub async fn service_key(node: &Node, name: Option<String>) -> Result<(Uuid, String)> {
    if name
        .as_deref()
        .is_some_and(|name| name.chars().any(char::is_control))
    {
        return Err(refusal(
            422,
            "validation_failed",
            "The name holds control characters.",
        ));
    }
    let session = node
        .db
        .write(&Caller::Hub, async |tx| {
            let mut insert = Statement::<sql_types::Uuid>::new(
                "insert into hub.sessions (role, name) values ('service_role', ",
            );
            insert.bind(Bind::Text(name.clone())).sql(") returning id");
            let ids: Vec<Uuid> = tx.load(insert).await?;
            ids.into_iter()
                .next()
                .ok_or_else(|| crate::base::Error::broken(anyhow::anyhow!("no session was made")))
        })
        .await?;
    Ok((session, node.signer()?.service_key(session)))
}

/// A key of a program, without the key.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: Uuid,
    pub name: Option<String>,
    pub role: String,
    pub created_at: chrono::DateTime<chrono::Utc>,
}

/// The keys of programs that stand.
pub async fn keys(node: &Node) -> Result<Vec<Key>> {
    type Row = (
        sql_types::Uuid,
        sql_types::Nullable<sql_types::Text>,
        sql_types::Text,
        sql_types::Timestamptz,
    );
    let select = Statement::<Row>::new(
        "select id, name, role, created_at from hub.sessions where user_id is null \
         and (expires_at is null or expires_at > now()) order by created_at, id",
    );
    type Found = (Uuid, Option<String>, String, chrono::DateTime<chrono::Utc>);
    let rows: Vec<Found> = node
        .db
        .read(&Caller::Hub, async |tx| tx.load(select.clone()).await)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name, role, created_at)| Key {
            id,
            name,
            role,
            created_at,
        })
        .collect())
}

/// Revoke a key, or end a person's session: its tokens are worth nothing from now on.
pub async fn revoke(node: &Node, id: Uuid) -> Result<()> {
    let revoked = node
        .db
        .write(&Caller::Hub, async |tx| {
            let mut delete = Statement::new("delete from hub.sessions where id = ");
            delete.bind(Bind::Uuid(id));
            tx.run(delete).await
        })
        .await?;
    match revoked {
        0 => Err(crate::base::Error::missing(
            "session_not_found",
            "There is no key and no session with this id.",
        )),
        _ => Ok(()),
    }
}
