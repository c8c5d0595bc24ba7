//! What is offered for a price: listings of this hub and of others.

pub mod listings;
pub mod terms;

use crate::node::domain::Domain;
use crate::node::work::Cron;
use crate::{action, hears, job, shows};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "market",
    actions: &[
        action!("listings"."renew", "Show an own listing longer, or again after it has expired.", ["id": "uuid", "expires_at": "timestamptz"] => listings::tasks::renew),
        action!(reads "listings"."search" as "search_listings", "Public listings that are to be had, newest first; each argument narrows it down, and before and before_id of the last row give the next page.", ["words": "text", "category": "text", "listing_type": "text", "tags": "text[]", "price_min": "numeric", "price_max": "numeric", "currency": "text", "is_free": "boolean", "latitude": "double precision", "longitude": "double precision", "within_km": "double precision", "before": "timestamptz", "before_id": "uuid", "limit": "integer"] => listings::search::search),
    ],
    hooks: &[listings::publish::HOOK],
    shows: &[
        shows!("listings" => listings::show::listing, listings::show::part),
        shows!("listings/proposal" => listings::show::proposal),
        shows!("export/listings" => listings::show::no_actor, listings::show::exported),
        shows!("actors" => listings::show::no_actor, listings::show::of_actor),
        shows!("groups" => listings::show::no_actor, listings::show::of_actor),
    ],
    jobs: &[job!(listings::tasks::Expire)],
    crons: &[Cron {
        name: "market.expire_listings",
        schedule: "*/5 * * * *",
        job: "market.expire_listings",
    }],
    reactions: &[],
    hears: &[
        hears!(ListingSaid => listings::hear::on_listing),
        hears!(ObjectDeleted => listings::hear::on_deleted),
        hears!(ActorDeleted => listings::hear::on_author_deleted),
        hears!(Liked => listings::hear::on_reaction),
        hears!(Announced => listings::hear::on_reaction),
    ],
};
