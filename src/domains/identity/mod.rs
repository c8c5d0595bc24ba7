//! Who is who: accounts, their passwords, their sessions and the tokens that prove these. What an account may do in
//! its tenant is a row of `user_profile`, looked up by the database each time.

pub mod accounts;
pub mod administration;
pub mod attempts;
pub mod deletion;
pub mod factors;
pub mod gone;
pub mod links;
pub mod passwords;
pub mod recovery;
pub mod sessions;
pub mod tenants;
pub mod tokens;

use crate::action;
use crate::base::Error;
use crate::base::error::Told;
use crate::job;
use crate::node::domain::Domain;
use crate::node::work::Cron;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "identity",
    actions: &[
        action!("users"."delete", "Delete one's own account: it is closed at once and removed after a week.", ["password": "text"] => deletion::wish),
    ],
    jobs: &[
        job!(deletion::EraseAccount),
        job!(deletion::ReapplyDeletions),
    ],
    crons: &[Cron {
        name: "identity.reapply_deletions",
        schedule: "17 3 * * *",
        job: "identity.reapply_deletions",
    }],
    ..Domain::EMPTY
};

/// A refusal whose status the clients of the auth door expect beside its code.
fn refusal(status: u16, code: &'static str, message: &str) -> Error {
    let told = Box::new(Told::new(code, message).status(status));
    match status {
        401 => Error::SignIn(told),
        403 => Error::Forbidden(told),
        409 => Error::Conflict(told),
        _ => Error::Invalid(told),
    }
}
