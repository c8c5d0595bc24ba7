//! Who is who: accounts, their passwords, their sessions and the tokens that prove these. What an account may do in
//! its tenant is a row of `user_profile`, looked up by the database each time.

pub mod accounts;
pub mod administration;
pub mod attempts;
pub mod changes;
pub mod deletion;
pub mod factors;
pub mod flows;
pub mod gone;
pub mod handed;
pub mod letters;
pub mod links;
pub mod mails;
pub mod passwords;
pub mod proofs;
pub mod recovery;
pub mod redirects;
pub mod sessions;
pub mod sweep;
pub mod teams;
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
        action!("team_canvas_layouts"."save" as "save_team_canvas_layout", "Save where the caller sees his teams, for a workspace or beside all of them.",
            ["p_user_id": "uuid", "p_workspace_id": "uuid", "p_positions": "jsonb", "p_connections": "jsonb", "p_view_settings": "jsonb"] => teams::save_layout),
        action!("team_connections"."create" as "create_team_connection", "Draw a line between two teams of the caller.",
            ["p_from_team_id": "uuid", "p_to_team_id": "uuid", "p_connection_type": "text", "p_created_by_user_id": "uuid"] => teams::connect),
    ],
    jobs: &[
        job!(mails::SendMail),
        job!(sweep::Sweep),
        job!(deletion::EraseAccount),
        job!(deletion::ReapplyDeletions),
    ],
    crons: &[
        sweep::NIGHTLY,
        Cron {
            name: "identity.reapply_deletions",
            schedule: "17 3 * * *",
            job: "identity.reapply_deletions",
        },
    ],
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
