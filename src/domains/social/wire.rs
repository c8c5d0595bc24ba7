//! Following as it is said to other servers, and what follows from what they say.

use serde_json::{Value, json};

use super::actors::{self as people, Known};
use super::blocks;
use super::follows::{self, Follow};
use super::limits::{self, Deed};
use crate::base::Result;
use crate::db::Tx;
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming};

/// A wish to follow.
pub fn follow(me: &Local, other: &Known) -> Outgoing {
    private(me, other, json!({ "type": "Follow", "object": other.uri }))
}

/// A follow taken back.
pub fn undo_follow(me: &Local, other: &Known, follow: &Follow) -> Outgoing {
    let object = json!({ "type": "Follow", "id": follow.federated_ap_id, "actor": me.uri, "object": other.uri });
    private(me, other, json!({ "type": "Undo", "object": object }))
}

/// The answer to a wish to follow; the wish itself is inside, since some read only that.
pub fn answer(me: &Local, other: &Known, follow: &Follow, accept: bool) -> Outgoing {
    let object = json!({ "type": "Follow", "id": follow.federated_ap_id, "actor": other.uri, "object": me.uri });
    let word = if accept { "Accept" } else { "Reject" };
    private(me, other, json!({ "type": word, "object": object }))
}

/// Something for one actor alone.
pub fn private(me: &Local, other: &Known, activity: Value) -> Outgoing {
    Outgoing {
        actor: me.id,
        activity,
        to: vec![other.uri.clone()],
        cc: Vec::new(),
        about: Some(other.uri.clone()),
        also: Vec::new(),
        is_private: true,
    }
}

/// Somebody wants to follow one of ours.
pub async fn on_follow_asked(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(me) = actors::by_uri(tx, heard.object_uri()?).await? else {
        return Ok(Applied::Ignored("not_ours"));
    };
    if me.is_gone() || !me.is_shown || me.suspended_at.is_some() {
        return Ok(Applied::Ignored("gone"));
    }
    let Some(other) = people::by_id(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_actor"));
    };
    if blocks::is_between(tx, me.id, other.id).await? {
        outbox::publish(tx, wire_reject(&me, &other, &heard.activity)).await?;
        return Ok(Applied::Refused("blocked"));
    }

    if limits::take(tx, Deed::Follow, other.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }

    let before = follows::between(tx, me.id, other.id, "in").await?;
    let is_granted = before
        .as_ref()
        .is_some_and(|follow| follow.state == "accepted");
    let state = match me.is_locked && !is_granted {
        true => "pending",
        false => "accepted",
    };
    let follow = follows::write(tx, &me, &other, "in", state, Some(&heard.uri)).await?;

    if state == "accepted" {
        // Said again when it was granted before: the other side may have lost it.
        outbox::publish(tx, answer(&me, &other, &follow, true)).await?;
    }
    if is_granted {
        return Ok(Applied::Repeated);
    }
    follows::tell(tx, &follow, state).await?;
    Ok(Applied::Done)
}

fn wire_reject(me: &Local, other: &Known, asked: &Value) -> Outgoing {
    let object =
        json!({ "type": "Follow", "id": asked.get("id"), "actor": other.uri, "object": me.uri });
    private(me, other, json!({ "type": "Reject", "object": object }))
}

/// Somebody does not follow one of ours any more.
pub async fn on_follow_undone(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let inner = heard.object.get("object").and_then(vocab::id);
    let follow = match (vocab::id(&heard.object), inner) {
        (_, Some(whom)) => match actors::by_uri(tx, whom).await? {
            Some(me) => follows::between(tx, me.id, heard.author.id, "in").await?,
            None => None,
        },
        (Some(uri), None) => follows::by_uri(tx, uri, "in").await?,
        (None, None) => None,
    };
    match follow.filter(|follow| follow.actor_id == heard.author.id) {
        Some(follow) => {
            follows::remove(tx, follow.id).await?;
            Ok(Applied::Done)
        }
        // The follow may still come; then it is taken back again.
        None => Ok(Applied::Waits("no_such_follow")),
    }
}

/// One of ours may follow.
pub async fn on_follow_accepted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    answered(tx, heard, "accepted").await
}

/// One of ours may not follow, or not any more.
pub async fn on_follow_rejected(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    answered(tx, heard, "rejected").await
}

async fn answered(tx: &mut Tx, heard: &Incoming, state: &str) -> Result<Applied> {
    let Some(follow) = asked_for(tx, heard).await? else {
        return Ok(Applied::NotMine);
    };
    if follow.actor_id != heard.author.id {
        return Ok(Applied::Refused("not_addressee"));
    }
    if follow.state == state {
        return Ok(Applied::Repeated);
    }
    let follow = follows::enter(tx, follow.id, state).await?;
    follows::tell(tx, &follow, state).await?;
    Ok(Applied::Done)
}

/// The follow that an answer speaks of: by its id, or by who asked whom.
async fn asked_for(tx: &mut Tx, heard: &Incoming) -> Result<Option<Follow>> {
    if let Some(uri) = vocab::id(&heard.object)
        && let Some(follow) = follows::by_uri(tx, uri, "out").await?
    {
        return Ok(Some(follow));
    }
    let Some(asker) = heard.object.get("actor").and_then(vocab::id) else {
        return Ok(None);
    };
    match actors::by_uri(tx, asker).await? {
        Some(me) => follows::between(tx, me.id, heard.author.id, "out").await,
        None => Ok(None),
    }
}

/// A group passed something of somebody else on: it counts when one of ours follows the group.
pub async fn on_passed_on(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    Ok(match follows::is_followed(tx, heard.author.id).await? {
        true => Applied::Done,
        false => Applied::Ignored("not_followed"),
    })
}
