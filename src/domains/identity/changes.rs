//! What people change about their own account. A new address counts when both the present and the new one agreed; a new
//! password ends all other sessions and whatever would begin one.

use diesel::sql_types::{Integer, Text};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::accounts::{self, Account};
use super::links::{self, Purpose, Taken};
use super::mails::{self, About, SendMail};
use super::passwords::{self, Verdict};
use super::sessions::{self, Origin, Scope};
use super::{attempts, factors, refusal};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// What somebody changes about himself.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub email: Option<String>,
    pub password: Option<String>,
    /// The six digits that were mailed for a change of password.
    pub nonce: Option<String>,
    /// Merged into what is there; null removes.
    pub data: Option<Map<String, Value>>,
    /// Where links of the letters lead back to.
    pub redirect_to: Option<String>,
    pub code_challenge: Option<String>,
}

/// How far a change of address came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The other address has to agree, too.
    Halfway,
    Changed,
    /// This change is not wanted any more.
    Over,
    /// Somebody else has the address by now.
    Taken,
}

/// Change one's own account.
pub async fn change(node: &Node, session: Uuid, change: Change, from: &Origin) -> Result<Account> {
    let account = sessions::account(node, session).await?;
    let email = change
        .email
        .as_deref()
        .map(accounts::address)
        .transpose()?
        .filter(|email| *email != account.email);
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
            prove_again(node, session, &account, change.nonce.as_deref(), from).await?;
            Some(passwords::hash(new).await?)
        }
    };

    node.db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            if password.is_some() || email.is_some() {
                factors::must_be_proven(tx, account.id, session).await?;
            }
            if let Some(data) = &change.data {
                describe(tx, &account, data).await?;
            }
            if let Some(hash) = &password {
                set_password(tx, account.id, hash).await?;
                sessions::delete(tx, account.id, session, Scope::Others).await?;
            }
            if let Some(email) = &email {
                if node.config.autoconfirm {
                    if !move_to(tx, account.id, email).await? {
                        return Err(taken_address());
                    }
                } else {
                    ask_for(tx, node, &account, email, &change, from).await?;
                }
            }
            sessions::holder(tx, session).await
        })
        .await
}

/// Ask the addresses of an account whether it may change; both letters are written by the job.
async fn ask_for(
    tx: &mut Tx,
    node: &Node,
    account: &Account,
    email: &str,
    change: &Change,
    from: &Origin,
) -> Result<()> {
    attempts::may_mail(tx, node, email, from.address).await?;
    let mut update = Statement::new("update public.users set email_change = ");
    update
        .text(email)
        .sql(", email_change_sent_at = now(), email_change_confirm_status = 0 where id = ")
        .bind(Bind::Uuid(account.id));
    tx.run(update).await?;
    // What agreed to another address before does not count for this one.
    links::take_back(tx, account.id, CHANGE_OF_ADDRESS).await?;
    let mail = SendMail {
        redirect_to: change.redirect_to.clone(),
        code_challenge: change.code_challenge.clone(),
        ..SendMail::about(About::EmailChange, &account.email)
    };
    mails::enqueue(tx, &mail).await
}

pub(super) const CHANGE_OF_ADDRESS: &[Purpose] =
    &[Purpose::EmailChangeNew, Purpose::EmailChangeCurrent];

/// One of the two addresses agreed.
pub(super) async fn agree(tx: &mut Tx, taken: &Taken) -> Result<Step> {
    let mut select = Statement::<(Text, Text, Integer)>::new(
        "select coalesce(email, ''), coalesce(email_change, ''), coalesce(email_change_confirm_status, 0)::integer \
         from public.users where deleted_at is null and id = ",
    );
    select.bind(Bind::Uuid(taken.user)).sql(" for update");
    let rows: Vec<(String, String, i32)> = tx.load(select).await?;
    let Some((present, new, agreed)) = rows.into_iter().next() else {
        return Ok(Step::Over);
    };
    let expected = match taken.purpose {
        Purpose::EmailChangeNew => &new,
        _ => &present,
    };
    if new.is_empty() || taken.email != *expected {
        return Ok(Step::Over);
    }
    if agreed == 0 && !present.is_empty() {
        let mut update =
            Statement::new("update public.users set email_change_confirm_status = 1 where id = ");
        update.bind(Bind::Uuid(taken.user));
        tx.run(update).await?;
        return Ok(Step::Halfway);
    }
    Ok(match move_to(tx, taken.user, &new).await? {
        true => Step::Changed,
        false => Step::Taken,
    })
}

/// Give an account its new address, unless somebody else has it. What was mailed to the old one works no more.
async fn move_to(tx: &mut Tx, user: Uuid, email: &str) -> Result<bool> {
    let mut update = Statement::new("update public.users u set email = ");
    update
        .text(email)
        .sql(
            ", email_change = '', email_change_confirm_status = 0, \
             email_confirmed_at = coalesce(email_confirmed_at, now()) where u.id = ",
        )
        .bind(Bind::Uuid(user))
        .sql(
            " and not exists (select from public.users o where o.deleted_at is null and o.id <> u.id \
             and lower(o.email) = lower(",
        )
        .text(email)
        .sql("))");
    match tx.run(update).await {
        Ok(moved) => {
            links::take_back(tx, user, SIGNING_IN).await?;
            links::take_back(tx, user, CHANGE_OF_ADDRESS).await?;
            Ok(moved == 1)
        }
        // Somebody took it in the same moment.
        Err(error) if error.is("23505") => Err(taken_address()),
        Err(error) => Err(error),
    }
}

const SIGNING_IN: &[Purpose] = &[
    Purpose::Signup,
    Purpose::Invite,
    Purpose::MagicLink,
    Purpose::Recovery,
    Purpose::Reauthentication,
];

pub(super) fn taken_address() -> Error {
    refusal(
        422,
        "email_exists",
        "A user with this email address has already been registered",
    )
}

/// Keep a password. Links and codes that sign in without it are over, so that whoever had them is out as well.
pub(super) async fn set_password(tx: &mut Tx, user: Uuid, hash: &str) -> Result<()> {
    let mut update = Statement::new("update public.users set encrypted_password = ");
    update.text(hash).sql(" where id = ").bind(Bind::Uuid(user));
    tx.run(update).await?;
    links::take_back(tx, user, SIGNING_IN).await?;
    let mut delete =
        Statement::new("delete from hub.auth_codes where used_at is null and user_id = ");
    delete.bind(Bind::Uuid(user));
    tx.run(delete).await.map(|_| ())
}

async fn describe(tx: &mut Tx, account: &Account, change: &Map<String, Value>) -> Result<()> {
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
    tx.run(update).await.map(|_| ())
}

/// Where the hub asks for it, whoever holds a session of yesterday shows that he still reads the account's mail.
async fn prove_again(
    node: &Node,
    session: Uuid,
    account: &Account,
    nonce: Option<&str>,
    from: &Origin,
) -> Result<()> {
    if !node.config.reauthenticate {
        return Ok(());
    }
    let mut select = Statement::<Text>::new(
        "select 'old' from hub.sessions where created_at < now() - interval '24 hours' and id = ",
    );
    select.bind(Bind::Uuid(session));
    let old: Vec<String> = node
        .db
        .read(&Caller::Hub, async |tx| tx.load(select.clone()).await)
        .await?;
    if old.is_empty() {
        return Ok(());
    }
    let Some(nonce) = nonce.filter(|nonce| !nonce.is_empty()) else {
        return Err(refusal(
            400,
            "reauthentication_needed",
            "Password update requires reauthentication",
        ));
    };
    let who = format!("code {}", account.email);
    if node.config.limits {
        attempts::may_try(&who, from.address)?;
    }
    let taken = node
        .db
        .write(&Caller::Hub, async |tx| {
            let purposes = &[Purpose::Reauthentication];
            links::take_code(tx, node.signer()?, purposes, &account.email, nonce).await
        })
        .await?;
    if taken.is_none_or(|taken| taken.user != account.id) {
        return Err(refusal(
            422,
            "reauthentication_not_valid",
            "Nonce has expired or is invalid",
        ));
    }
    if node.config.limits {
        attempts::was_right(&who, from.address);
    }
    Ok(())
}
