//! Who is who: accounts, their passwords, their sessions and the tokens that prove these. What an account may do in
//! its tenant is a row of `user_profile`, looked up by the database each time.

pub mod accounts;
pub mod attempts;
pub mod changes;
pub mod flows;
pub mod letters;
pub mod links;
pub mod mails;
pub mod passwords;
pub mod proofs;
pub mod redirects;
pub mod sessions;
pub mod sweep;
pub mod tokens;

use crate::base::Error;
use crate::base::error::Told;
use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "identity",
    jobs: &[crate::job!(mails::SendMail), crate::job!(sweep::Sweep)],
    crons: &[sweep::NIGHTLY],
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
