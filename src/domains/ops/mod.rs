//! Running a hub: kinds that plugins bring. Rules, audit and retention follow.

pub mod plugins;

use crate::action;
use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "ops",
    actions: &[
        action!("kinds"."add", "Add a kind from a description of its columns; for developers.", ["kind": "jsonb"] => plugins::add),
        action!(reads "kinds"."list", "Every kind that the caller may see.", [] => plugins::list),
    ],
    ..Domain::EMPTY
};
