//! DAOs: who belongs to them, what they put to the vote, how the votes are counted and what follows.

pub mod actions;
pub mod affiliations;
pub mod applications;
pub mod ballots;
pub mod calendar;
pub mod closing;
pub mod daoip2;
pub mod daos;
pub mod delegation;
pub mod execution;
pub mod hear_roll;
pub mod hear_votes;
pub mod joining;
pub mod members;
pub mod offers;
pub mod parting;
pub mod proposals;
pub mod question;
pub mod recount;
pub mod refusals;
pub mod results;
pub mod roll;
pub mod show;
pub mod tally;
pub mod transfers;
pub mod votes;
pub mod votes_away;

use crate::node::domain::Domain;
use crate::node::work::Cron;
use crate::{action, hears, job, shows};

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "governance",
    actions: &[
        action!("daos"."join", "Ask to belong to a DAO of this or another hub, or follow its invitation.", ["id": "uuid", "actor": "text", "message": "text", "shows_ballot": "boolean"] => members::join).looking_up("actor"),
        action!("daos"."invite", "Ask somebody of any hub to belong to a DAO that one runs.", ["id": "uuid", "actor": "text", "role": "text"] => members::invite).looking_up("actor"),
        action!("daos"."admit", "Let in who asked, or not; or make any actor a member, or give a member another role or weight.", ["id": "uuid", "dao": "uuid", "actor": "text", "role": "text", "weight": "text", "accept": "boolean"] => members::admit).looking_up("actor"),
        action!("daos"."remove", "Send a member away.", ["id": "uuid", "actor": "text", "member": "uuid"] => parting::remove).looking_up("actor"),
        action!("daos"."leave", "Belong to a DAO no more.", ["id": "uuid"] => parting::leave),
        action!("proposals"."open", "Put a draft to the vote; one for a DAO elsewhere is offered to it.", ["id": "uuid"] => proposals::open),
        action!("proposals"."cancel", "Call a vote off, or drop a draft.", ["id": "uuid"] => proposals::cancel),
        action!("proposals"."execute", "Try again to carry out what has passed.", ["id": "uuid"] => execution::retry),
        action!("votes"."cast", "Vote yes, no or abstain on a proposal of this or another hub.", ["proposal": "text", "choice": "text", "rationale": "text"] => votes::cast).looking_up("proposal"),
        action!("votes"."delegate", "Let another member of this hub vote where one does not.", ["dao": "uuid", "to": "uuid"] => delegation::delegate),
    ],
    hooks: &[roll::DAOS, roll::MEMBERS],
    jobs: &[
        job!(closing::TellTally),
        job!(closing::Close),
        job!(closing::CloseDue),
        job!(execution::Execute),
    ],
    crons: &[Cron {
        name: "governance.close_due",
        schedule: "*/10 * * * *",
        job: "governance.close_due",
    }],
    hears: &[
        hears!(VoteCast => hear_votes::on_vote, hear_votes::on_votes),
        hears!(ProposalSaid => offers::on_said),
        hears!(ProposalOffered => offers::on_offered),
        hears!(JoinAsked => joining::on_join),
        hears!(Left => joining::on_left),
        hears!(Invited => joining::on_invited),
        hears!(Accepted => joining::on_accepted),
        hears!(Rejected => joining::on_rejected),
        hears!(Added => hear_roll::on_added),
        hears!(Removed => hear_roll::on_removed),
        hears!(MessageCreated => joining::on_message),
        hears!(ReceiptSaid => transfers::on_transfer),
    ],
    shows: &[
        shows!("proposals" => show::proposal, show::part),
        shows!("votes" => show::vote),
        shows!("results" => show::result),
        shows!("relationships" => affiliations::affiliation),
        shows!("export/daos" => show::nothing, show::exported_daos),
        shows!("export/proposals" => show::nothing, show::exported_proposals),
        shows!("groups" => show::nothing, show::of_actor),
    ],
    ..Domain::EMPTY
};
