//! What people offer each other and need from each other, the exchanges that come of it, and the books they are kept in.

pub mod declarations;
pub mod exchanges;
pub mod ledger;
pub mod receipts;
pub mod reputation;

use crate::node::domain::Domain;
use crate::node::work::Cron;
use crate::{action, hears, job, shows};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "commons",
    actions: &[
        action!("exchanges"."propose", "Answer a listing or a declaration of this hub or another with an offer of an exchange; need is an own declaration that it is matched with.", ["listing": "text", "declaration": "text", "need": "text", "quantity": "text", "price": "text", "terms": "text", "expires": "timestamptz", "as": "uuid"] => exchanges::propose::propose).looking_up("declaration|listing"),
        action!("exchanges"."accept", "Accept an offer: both are bound from now on.", ["id": "uuid"] => exchanges::answer::accept),
        action!("exchanges"."reject", "Refuse an offer, with a reason and, if one likes, what would do instead: {quantity, price, terms}.", ["id": "uuid", "reason": "text", "counter": "jsonb"] => exchanges::answer::reject),
        action!("exchanges"."counter", "Say other terms: the one who asked makes a new offer in place of the old, the other says what would do. Without terms the other's are taken.", ["id": "uuid", "quantity": "text", "price": "text", "terms": "text", "expires": "timestamptz"] => exchanges::counter::counter),
        action!("exchanges"."withdraw", "Take an own offer back, unless it was accepted.", ["id": "uuid"] => exchanges::answer::withdraw),
        action!("exchanges"."confirm", "Sign how an exchange went: fulfilled, cancelled or disputed.", ["id": "uuid", "verdict": "text", "note": "text"] => exchanges::confirm::confirm),
        action!("exchanges"."progress", "Tell the other party how far an accepted exchange is.", ["id": "uuid", "progress": "text"] => exchanges::confirm::progress),
        action!("receipts"."file", "All that was signed of an exchange, as one file that made-open receipt verify checks.", ["id": "uuid"] => receipts::file),
        action!("ledger"."give", "Give hours or credits to an account or a treasury of this hub, without an exchange.", ["to": "uuid", "amount": "text", "unit": "text", "memo": "text"] => ledger::give),
        action!("ledger"."issue", "Bring credits into being; for developers.", ["to": "uuid", "amount": "text", "memo": "text", "reference": "text"] => ledger::issue),
        action!(reads "ledger"."mine", "What the caller has, owes and has promised.", [] => ledger::mine),
        action!("reputation"."issue", "Sign what one's reputation in a domain is now, as a credential to take elsewhere.", ["domain": "text"] => reputation::issue),
        action!("reputation"."import", "Take a credential that another hub signed; it counts if it is about an account of one's own there.", ["credential": "jsonb"] => reputation::import).looking_up("/credential/issuer"),
    ],
    hooks: &[declarations::publish::HOOK, exchanges::written::HOOK],
    shows: &[
        shows!("credentials" => reputation::show),
        shows!("declarations" => declarations::show::declaration, declarations::show::part),
        shows!("actors" => declarations::show::no_actor, declarations::show::of_actor),
        shows!("groups" => declarations::show::no_actor, declarations::show::of_actor),
        shows!("export/declarations" => declarations::show::no_actor, declarations::show::exported),
        shows!("agreements" => exchanges::show::agreement),
        shows!("receipts" => exchanges::show::receipt),
        shows!("export/own/agreements" => exchanges::show::nothing, exchanges::show::exported),
    ],
    jobs: &[
        job!(declarations::expire::Expire),
        job!(exchanges::expire::Expire),
    ],
    crons: &[
        Cron {
            name: "commons.expire_declarations",
            schedule: "*/5 * * * *",
            job: "commons.expire_declarations",
        },
        Cron {
            name: "commons.expire_exchanges",
            schedule: "*/5 * * * *",
            job: "commons.expire_exchanges",
        },
    ],
    reactions: &[],
    hears: &[
        hears!(DeclarationSaid => declarations::hear::on_declaration),
        hears!(ObjectDeleted => declarations::hear::on_deleted),
        hears!(ActorDeleted => declarations::hear::on_author_deleted),
        hears!(Liked => declarations::hear::on_reaction),
        hears!(Announced => declarations::hear::on_reaction),
        hears!(OfferMade => exchanges::hear_offers::on_offer),
        hears!(OfferUndone => exchanges::hear_offers::on_undone),
        hears!(Accepted => exchanges::hear::on_accepted),
        hears!(Rejected => exchanges::hear::on_rejected),
        hears!(AgreementSaid => exchanges::hear::on_agreement),
        hears!(ReceiptSaid => exchanges::hear_receipts::on_receipt),
    ],
};
