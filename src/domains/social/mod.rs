//! What goes on between actors: who is public, who follows whom, what is said, liked, passed on, blocked and reported.
//! Actors are accounts, tenants, agents, DAOs and rooms of this hub, and whoever lives elsewhere.

pub mod actors;
pub mod blocks;
pub mod deliveries;
pub mod follows;
pub mod foreign;
pub mod groups;
pub mod limits;
pub mod moderation;
pub mod moves;
pub mod mutes;
pub mod posts;
pub mod reactions;
pub mod reports;
pub mod standing;
pub mod sync;
pub mod wire;

use crate::kinds::verbs::Hook;
use crate::node::domain::Domain;
use crate::node::work::{Cron, Reaction};
use crate::{action, hears, job, shows};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "social",
    actions: &[
        action!(reads "actors"."resolve", "Who or what a name or an address of any server stands for: an actor, or an object with its author.", ["query": "text"] => actors::resolve).looking_up("query"),
        action!("actors"."publish", "Show oneself, or one's tenant, agent, DAO or room, to other servers.", ["kind": "text", "id": "uuid", "handle": "text"] => actors::publish),
        action!("actors"."withdraw", "Show it no more: others are told that it is gone.", ["id": "uuid"] => actors::withdraw),
        action!("actors"."update", "Change how an actor shows itself: summary, properties, locked, hides_followers, discoverable, indexable, also_known_as.", ["id": "uuid", "changes": "jsonb"] => actors::update),
        action!("actors"."rotate_keys", "Sign with new keys from now on.", ["id": "uuid"] => actors::rotate_keys),
        action!("actors"."move", "Tell the followers that one has moved to another account, which must name this one.", ["id": "uuid", "target": "text"] => actors::move_away).looking_up("target"),
        action!("follows"."request", "Follow an actor.", ["actor": "text", "as": "uuid"] => follows::request).looking_up("actor"),
        action!("follows"."answer", "Let somebody follow, or not.", ["id": "uuid", "accept": "boolean"] => follows::answer),
        action!("follows"."undo", "Follow no more, or let somebody follow no more.", ["id": "uuid"] => follows::undo),
        action!("reactions"."like", "Like a post of this or any other server.", ["object": "text", "as": "uuid"] => reactions::like).looking_up("object"),
        action!("reactions"."announce", "Pass a public post on to one's followers.", ["object": "text", "as": "uuid"] => reactions::announce).looking_up("object"),
        action!("reactions"."undo", "Take a like back, or what one passed on.", ["id": "uuid"] => reactions::undo),
        action!(reads "deliveries"."of", "Who has received a thing that one has said.", ["object": "text"] => deliveries::of),
        action!("deliveries"."retry", "Try a delivery again that was given up.", ["id": "uuid"] => deliveries::retry),
        action!("blocks"."set", "Block an actor: nothing goes between the two any more.", ["actor": "text", "reason": "text"] => blocks::set).looking_up("actor"),
        action!("blocks"."undo", "Block an actor no more.", ["id": "uuid"] => blocks::undo),
        action!("mutes"."set", "Be told no more what an actor does.", ["actor": "text", "hide_notifications": "boolean", "expires_at": "timestamptz"] => mutes::set).looking_up("actor"),
        action!("mutes"."undo", "Be told again what an actor does.", ["id": "uuid"] => mutes::undo),
        action!("reports"."file", "Report an actor or what he said to the operators, and, if forward is set, to his server without saying who reports.", ["object": "text", "reason": "text", "forward": "boolean"] => reports::file).looking_up("object"),
        action!("hosts"."set_policy", "Hold something of a domain and its sub-domains: allow, limit, reject_media, reject_reports or block; for developers.", ["domain": "text", "policy": "text", "comment": "text", "private_comment": "text", "expires_at": "timestamptz"] => moderation::set_policy),
        action!("hosts"."clear_policy", "Hold nothing of a domain any more; for developers.", ["domain": "text"] => moderation::clear_policy),
        action!(reads "hosts"."list", "What is held of other domains; for developers.", [] => moderation::list),
        action!("actors"."silence", "Let only its followers hear of an actor; for developers.", ["actor": "text"] => standing::silence),
        action!("actors"."suspend", "Take nothing from an actor and send it nothing; an account of this hub is logged out; for developers.", ["actor": "text"] => standing::suspend),
        action!("actors"."restore", "Hold nothing of an actor any more; for developers.", ["actor": "text"] => standing::restore),
    ],
    hooks: &[
        Hook {
            kind: "posts",
            before: Some(posts::publish::before),
            after: Some(posts::publish::after),
        },
        blocks::HOOK,
        reports::HOOK,
    ],
    shows: &[
        shows!("posts" => posts::show::post, posts::show::part),
        shows!("quotes" => posts::quotes::show),
    ],
    jobs: &[
        job!(actors::CatchUp),
        job!(posts::publish::Address),
        job!(actors::ShredKeys),
        job!(moderation::Settle),
        job!(moderation::Expire),
        job!(sync::Followers),
    ],
    crons: &[
        Cron {
            name: "social.catch_up",
            schedule: "17 * * * *",
            job: "social.catch_up",
        },
        Cron {
            name: "social.shred_keys",
            schedule: "23 * * * *",
            job: "social.shred_keys",
        },
        Cron {
            name: "social.expire",
            schedule: "*/5 * * * *",
            job: "social.expire",
        },
    ],
    reactions: &[Reaction {
        name: "social.actors",
        to: actors::react,
    }],
    hears: &[
        hears!(FollowAsked => wire::on_follow_asked),
        hears!(FollowUndone => wire::on_follow_undone),
        hears!(Accepted => wire::on_follow_accepted),
        hears!(Rejected => wire::on_follow_rejected),
        hears!(PostCreated => posts::hear::on_post, posts::hear::on_posts),
        hears!(PostUpdated => posts::hear::on_post),
        hears!(ObjectDeleted => posts::hear::on_deleted),
        hears!(ActorDeleted => posts::hear::on_author_deleted),
        hears!(ActorMoved => moves::on_moved),
        hears!(Liked => reactions::on_reaction),
        hears!(LikeUndone => reactions::on_undone),
        hears!(Announced => reactions::on_reaction),
        hears!(AnnounceUndone => reactions::on_undone),
        hears!(QuoteAsked => posts::quotes::on_quote_asked),
        hears!(Blocked => blocks::on_blocked),
        hears!(BlockUndone => blocks::on_block_undone),
        hears!(Flagged => reports::on_flagged),
        hears!(PassedOn => wire::on_passed_on),
    ],
};
