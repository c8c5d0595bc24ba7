//! What people offer each other and need from each other, the exchanges that come of it, and the books they are kept in.

pub mod ledger;
pub mod reputation;

use crate::node::domain::Domain;
use crate::{action, shows};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "commons",
    actions: &[
        action!("ledger"."give", "Give hours or credits to an account or a treasury of this hub, without an exchange.", ["to": "uuid", "amount": "text", "unit": "text", "memo": "text"] => ledger::give),
        action!("ledger"."issue", "Bring credits into being; for developers.", ["to": "uuid", "amount": "text", "memo": "text", "reference": "text"] => ledger::issue),
        action!(reads "ledger"."mine", "What the caller has, owes and has promised.", [] => ledger::mine),
        action!("reputation"."issue", "Sign what one's reputation in a domain is now, as a credential to take elsewhere.", ["domain": "text"] => reputation::issue),
        action!("reputation"."import", "Take a credential that another hub signed; it counts if it is about an account of one's own there.", ["credential": "jsonb"] => reputation::import).looking_up("/credential/issuer"),
    ],
    hooks: &[],
    shows: &[shows!("credentials" => reputation::show)],
    jobs: &[],
    crons: &[],
    reactions: &[],
    hears: &[],
};
