//! Links that a program with the service key hands on itself instead of having the hub mail them. They are those of the
//! letters: one use, one hour, bound to the address.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::accounts::{self, Account};
use super::links::{self, Purpose};
use super::{changes, mails, passwords, redirects, refusal};
use crate::base::{Caller, Error, Result};
use crate::db::Tx;
use crate::node::Node;

/// The link that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// signup, invite, magiclink or recovery.
    pub kind: String,
    pub email: String,
    /// Of the account that a sign-up makes.
    pub password: Option<String>,
    pub data: Map<String, Value>,
    pub redirect_to: Option<String>,
}

/// Make a link for somebody; an account too, where the kind of link begins one.
pub async fn link(node: &Node, caller: &Caller, wanted: Wanted) -> Result<Value> {
    let email = accounts::address(&wanted.email)?;
    let purpose = match wanted.kind.as_str() {
        "signup" => Purpose::Signup,
        "invite" => Purpose::Invite,
        "magiclink" => Purpose::MagicLink,
        "recovery" => Purpose::Recovery,
        other => {
            return Err(refusal(
                400,
                "validation_failed",
                &format!("Invalid email action link type requested: {other:?}"),
            ));
        }
    };
    let password = match (purpose, &wanted.password) {
        (Purpose::Signup, Some(password)) => {
            passwords::check(password, &email)?;
            Some(passwords::hash(password).await?)
        }
        (Purpose::Signup, None) => {
            return Err(refusal(
                400,
                "validation_failed",
                "Signup requires a valid password",
            ));
        }
        _ => None,
    };
    let data = accounts::described(wanted.data)?;
    let back = redirects::allowed(node, wanted.redirect_to.as_deref())?;

    let (account, given) = node
        .db
        .write(caller, async |tx| {
            let account = match accounts::by_email(tx, &email).await? {
                Some(account) => account,
                None => begin(tx, purpose, &email, data.clone(), password.as_deref()).await?,
            };
            let is_proven = account.email_confirmed_at.is_some();
            let purpose = match (purpose, is_proven) {
                (Purpose::Signup | Purpose::Invite, true) => return Err(changes::taken_address()),
                // Whose address is not proven proves it by coming in.
                (Purpose::MagicLink, false) => Purpose::Signup,
                (purpose, _) => purpose,
            };
            let given = links::give(tx, node.signer()?, purpose, account.id, &email, None).await?;
            Ok((account, given))
        })
        .await?;

    let link = mails::link(node, &wanted.kind, &given.token, &back)?;
    tracing::info!(event = "link_handed_out", user = %account.id, kind = wanted.kind);
    let mut shown = account.shown();
    if let Value::Object(shown) = &mut shown {
        let properties = [
            ("action_link", json!(link.as_str())),
            ("email_otp", json!(given.code)),
            ("hashed_token", json!(given.token)),
            ("verification_type", json!(wanted.kind)),
            ("redirect_to", json!(back.as_str())),
        ];
        shown.extend(properties.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(shown)
}

async fn begin(
    tx: &mut Tx,
    purpose: Purpose,
    email: &str,
    data: Value,
    password: Option<&str>,
) -> Result<Account> {
    if purpose == Purpose::Recovery {
        return Err(Error::missing("user_not_found", "User not found"));
    }
    let account = accounts::admit(tx, email, data, true)
        .await?
        .ok_or_else(changes::taken_address)?;
    if let Some(hash) = password {
        changes::set_password(tx, account.id, hash).await?;
    }
    reread(tx, account.id).await
}

async fn reread(tx: &mut Tx, id: Uuid) -> Result<Account> {
    accounts::by_id(tx, id)
        .await?
        .ok_or_else(|| Error::missing("user_not_found", "User not found"))
}
