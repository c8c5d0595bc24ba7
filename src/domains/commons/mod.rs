//! What people offer each other and need from each other, the exchanges that come of it, and the books they are kept in.

pub mod ledger;

use crate::action;
use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "commons",
    actions: &[
        action!("ledger"."give", "Give hours or credits to an account or a treasury of this hub, without an exchange.", ["to": "uuid", "amount": "text", "unit": "text", "memo": "text"] => ledger::give),
        action!("ledger"."issue", "Bring credits into being; for developers.", ["to": "uuid", "amount": "text", "memo": "text", "reference": "text"] => ledger::issue),
        action!(reads "ledger"."mine", "What the caller has, owes and has promised.", [] => ledger::mine),
    ],
    hooks: &[],
    shows: &[],
    jobs: &[],
    crons: &[],
    reactions: &[],
    hears: &[],
};
