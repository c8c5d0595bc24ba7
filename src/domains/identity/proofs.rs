//! What follows when somebody shows a mailed secret: his address is proven, and he is in, halfway to a new address, or
//! sent back to his app with a code. What is refused here is refused with the same words whoever's address it is.

use serde_json::Value;

use super::accounts;
use super::changes::{self, Step};
use super::links::{self, Purpose, Taken};
use super::sessions::{self, Begun, Origin};
use super::{attempts, flows, refusal};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// Longer secrets are none of ours.
const LONGEST: usize = 256;

/// What clients call the kinds of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Signup,
    Invite,
    MagicLink,
    Recovery,
    EmailChange,
    /// Whatever signs in.
    Email,
}

impl Kind {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "signup" => Self::Signup,
            "invite" => Self::Invite,
            "magiclink" => Self::MagicLink,
            "recovery" => Self::Recovery,
            "email_change" => Self::EmailChange,
            "email" => Self::Email,
            _ => return None,
        })
    }

    fn purposes(self) -> &'static [Purpose] {
        match self {
            Self::Signup => &[Purpose::Signup],
            Self::Invite => &[Purpose::Invite],
            // Who asks for a link before his address is proven gets one that proves it.
            Self::MagicLink => &[Purpose::MagicLink, Purpose::Signup],
            Self::Recovery => &[Purpose::Recovery],
            Self::EmailChange => &[Purpose::EmailChangeNew, Purpose::EmailChangeCurrent],
            Self::Email => &[Purpose::MagicLink, Purpose::Signup, Purpose::Invite],
        }
    }
}

/// What is shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// The secret of a link, from wherever the app got it.
    Token(String),
    /// The link itself, opened in a browser.
    Link(String),
    /// Six digits, by the holder of an address.
    Code { email: String, code: String },
}

/// What became of it.
#[derive(Debug)]
pub enum Proven {
    /// Signed in: the pair of tokens and the account.
    In(Value),
    /// One of two addresses agreed.
    Halfway,
    /// The app gets a code.
    Code(String),
}

enum Verdict {
    In(Box<Begun>),
    Halfway,
    Code(String),
    No,
    Refused(Error),
}

/// Show a secret.
pub async fn show(node: &Node, kind: Kind, shown: Shown, from: &Origin) -> Result<Proven> {
    let no = || {
        let message = match &shown {
            Shown::Code { .. } => "Token has expired or is invalid",
            _ => "Email link is invalid or has expired",
        };
        refusal(403, "otp_expired", message)
    };
    let (email, secret) = match &shown {
        Shown::Token(token) | Shown::Link(token) => (String::new(), token),
        Shown::Code { email, code } => (accounts::address(email).unwrap_or_default(), code),
    };
    if secret.len() > LONGEST {
        return Err(no());
    }
    if node.config.limits {
        attempts::may_try(&format!("code {email}"), from.address)?;
    }

    let verdict = node
        .db
        .write(&Caller::Hub, async |tx| {
            let taken = match &shown {
                Shown::Token(token) | Shown::Link(token) => {
                    links::take_link(tx, kind.purposes(), token).await?
                }
                Shown::Code { code, .. } => {
                    links::take_code(tx, node.signer()?, kind.purposes(), &email, code).await?
                }
            };
            match taken {
                Some(taken) => {
                    attempts::forget_wrong(tx, node, &taken.email).await?;
                    let for_app = matches!(shown, Shown::Link(_));
                    follow(tx, &taken, for_app, from).await
                }
                None => Ok(Verdict::No),
            }
        })
        .await?;

    if node.config.limits && !matches!(verdict, Verdict::No) {
        attempts::was_right(&format!("code {email}"), from.address);
    }
    match verdict {
        Verdict::In(begun) => begun.shown(node).map(Proven::In),
        Verdict::Halfway => Ok(Proven::Halfway),
        Verdict::Code(code) => Ok(Proven::Code(code)),
        Verdict::No => Err(no()),
        Verdict::Refused(error) => Err(error),
    }
}

/// The verdict is an answer and not an error, because what it did must be committed.
async fn follow(tx: &mut Tx, taken: &Taken, for_app: bool, from: &Origin) -> Result<Verdict> {
    let Some(account) = accounts::by_id(tx, taken.user).await? else {
        return Ok(Verdict::No);
    };
    if account.is_banned {
        return Ok(match account.may_sign_in() {
            Err(error) => Verdict::Refused(error),
            Ok(()) => Verdict::No,
        });
    }

    match taken.purpose {
        Purpose::EmailChangeNew | Purpose::EmailChangeCurrent => {
            match changes::agree(tx, taken).await? {
                Step::Halfway => return Ok(Verdict::Halfway),
                Step::Over => return Ok(Verdict::No),
                Step::Taken => return Ok(Verdict::Refused(changes::taken_address())),
                Step::Changed => {}
            }
        }
        // A letter to an address that is the account's no more proves nothing.
        _ if account.email != taken.email => return Ok(Verdict::No),
        _ => {
            let mut confirm = Statement::new(
                "update public.users set email_confirmed_at = now() where email_confirmed_at is null and id = ",
            );
            confirm.bind(Bind::Uuid(account.id));
            tx.run(confirm).await?;
        }
    }
    let Some(account) = accounts::by_id(tx, taken.user).await? else {
        return Ok(Verdict::No);
    };
    if let Err(error) = account.may_sign_in() {
        return Ok(Verdict::Refused(error));
    }

    if let Some(challenge) = taken.code_challenge.as_deref().filter(|_| for_app) {
        return flows::make(tx, account.id, challenge)
            .await
            .map(Verdict::Code);
    }
    Ok(
        match sessions::begin(tx, &account, "otp", None, from).await? {
            Some(begun) => Verdict::In(Box::new(begun)),
            None => Verdict::No,
        },
    )
}
