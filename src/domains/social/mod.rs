//! What goes on between actors: who is public, who follows whom, what is said, liked, passed on, blocked and reported.
//! Actors are accounts, tenants, agents, DAOs and rooms of this hub, and whoever lives elsewhere.

pub mod actors;
pub mod follows;
pub mod groups;
pub mod posts;
pub mod reactions;
pub mod wire;

use crate::kinds::verbs::Hook;
use crate::node::domain::Domain;
use crate::node::work::Reaction;
use crate::{action, hears, job, shows};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "social",
    actions: &[
        action!(reads "actors"."resolve", "Who or what a name or an address of any server stands for: an actor, or an object with its author.", ["query": "text"] => actors::resolve).looking_up("query"),
        action!("actors"."publish", "Show oneself, or one's tenant, agent, DAO or room, to other servers.", ["kind": "text", "id": "uuid", "handle": "text"] => actors::publish),
        action!("actors"."withdraw", "Show it no more: others are told that it is gone.", ["id": "uuid"] => actors::withdraw),
        action!("actors"."update", "Change how an actor shows itself: summary, properties, locked, hides_followers, discoverable, indexable, also_known_as.", ["id": "uuid", "changes": "jsonb"] => actors::update),
        action!("actors"."move", "Tell the followers that one has moved to another account, which must name this one.", ["id": "uuid", "target": "text"] => actors::move_away).looking_up("target"),
        action!("follows"."request", "Follow an actor.", ["actor": "text", "as": "uuid"] => follows::request).looking_up("actor"),
        action!("follows"."answer", "Let somebody follow, or not.", ["id": "uuid", "accept": "boolean"] => follows::answer),
        action!("follows"."undo", "Follow no more, or let somebody follow no more.", ["id": "uuid"] => follows::undo),
        action!("reactions"."like", "Like a post of this or any other server.", ["object": "text", "as": "uuid"] => reactions::like).looking_up("object"),
        action!("reactions"."announce", "Pass a public post on to one's followers.", ["object": "text", "as": "uuid"] => reactions::announce).looking_up("object"),
        action!("reactions"."undo", "Take a like back, or what one passed on.", ["id": "uuid"] => reactions::undo),
    ],
    hooks: &[Hook {
        kind: "posts",
        before: Some(posts::publish::before),
        after: Some(posts::publish::after),
    }],
    jobs: &[job!(actors::CatchUp), job!(posts::publish::Address)],
    shows: &[
        shows!("posts" => posts::show::post, posts::show::part),
        shows!("quotes" => posts::quotes::show),
    ],
    reactions: &[Reaction {
        name: "social.actors",
        to: actors::react,
    }],
    hears: &[
        hears!(FollowAsked => wire::on_follow_asked),
        hears!(FollowUndone => wire::on_follow_undone),
        hears!(FollowAccepted => wire::on_follow_accepted),
        hears!(FollowRejected => wire::on_follow_rejected),
        hears!(PostCreated => posts::hear::on_post),
        hears!(PostUpdated => posts::hear::on_post),
        hears!(ObjectDeleted => posts::hear::on_deleted),
        hears!(ActorDeleted => posts::hear::on_author_deleted),
        hears!(Liked => reactions::on_reaction),
        hears!(LikeUndone => reactions::on_undone),
        hears!(Announced => reactions::on_reaction),
        hears!(AnnounceUndone => reactions::on_undone),
        hears!(QuoteAsked => posts::quotes::on_quote_asked),
    ],
    ..Domain::EMPTY
};
