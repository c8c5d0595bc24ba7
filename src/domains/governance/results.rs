//! What a vote came to, as a note that every server shows.

use serde_json::{Value, json};

use super::proposals::Proposal;
use super::tally::{Cast, Verdict};
use crate::base::{Result, text};
use crate::db::Tx;
use crate::fed::actors::{self, Local, time};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;

/// The result as a note, which every server shows.
pub async fn say(
    tx: &mut Tx,
    proposal: &Proposal,
    voice: &Local,
    verdict: Verdict,
    cast: &Cast,
) -> Result<()> {
    let base = actors::base(tx)?;
    let object = result(proposal, voice, verdict, cast, &base);
    let outgoing = Outgoing {
        actor: voice.id,
        activity: json!({ "type": "Create", "object": object }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![voice.followers()],
        about: proposal.federated_ap_id.clone(),
        also: Vec::new(),
        is_private: false,
    };
    outbox::publish(tx, outgoing).await.map(drop)
}

/// The note that says how it went; its id is made of the proposal's.
pub fn result(
    proposal: &Proposal,
    voice: &Local,
    verdict: Verdict,
    cast: &Cast,
    base: &str,
) -> Value {
    let word = match verdict {
        Verdict::Passed => "<strong>passed</strong>",
        Verdict::Rejected => "was <strong>rejected</strong>",
        Verdict::QuorumFailed => "<strong>failed for want of a quorum</strong>",
    };
    let turnout = cast.turnout();
    let percent = turnout
        .parse::<crate::base::Amount>()
        .unwrap_or_default()
        .parts()
        / 100;
    let content = format!(
        "<p>Proposal #{}: {} {word}: {} yes, {} no, {} abstain ({percent} % turnout).</p>",
        proposal.number.unwrap_or(1),
        text::escaped(&proposal.title),
        cast.yes,
        cast.no,
        cast.abstain,
    );
    let at = time(
        proposal
            .voting_closes_at
            .unwrap_or_else(|| proposal.as_of()),
    );
    json!({
        "type": "Note",
        "id": format!("{base}/ap/results/{}", proposal.id),
        "attributedTo": voice.uri,
        "inReplyTo": proposal.federated_ap_id,
        "content": content,
        "contentMap": { "en": content },
        "published": at,
        "updated": at,
        "to": [PUBLIC],
        "cc": [voice.followers()],
        "mo:kind": "mo:Result",
        "mo:resultOf": proposal.federated_ap_id,
    })
}
