//! What an organization may use and what it pays for. Licences and the modules that they open; the payment provider's
//! half is rows that it writes.

pub mod licences;

use crate::action;
use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "billing",
    actions: &[
        action!(reads "org_modules"."usable", "The modules that the caller's organization has a valid licence for, and until when.", [] => licences::usable),
    ],
    ..Domain::EMPTY
};
