//! What comes by way of somebody else: it is its author's if he has proved it, or if his own server shows the same. What
//! his server shows counts then, never the copy that came.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::author::is_proven;
use super::checks::Checked;
use super::{About, Recipient, keep};
use crate::fed::document::Document;
use crate::fed::intake::{Taken, Via};
use crate::fed::remote::fetch::{self, Wanted};
use crate::fed::remote::keys::Keys;
use crate::fed::remote::{Unreached, actors, objects};
use crate::fed::{policy, trust, vocab};
use crate::net::http::Budget;
use crate::node::Node;

/// How many origins are asked at the same time because of what was passed on, and how much for each.
const AT_ONCE: usize = 20;
const FETCHES: u32 = 5;

/// How long one of them may take in all.
const LONGEST: Duration = Duration::from_secs(30);

struct Asking(Arc<Semaphore>);

/// Ask the origin of what somebody passed on, after he was answered. What comes while too many are asked is let go: the
/// origin sends its own to whoever follows.
pub(super) fn ask_later(node: &Node, checked: &Checked, recipient: Recipient) {
    let asking = node.part(|_| Asking(Arc::new(Semaphore::new(AT_ONCE))));
    let about = About {
        host: checked.host.clone(),
        id: checked.id.clone(),
    };
    if !Keys::of(node).may_ask(&checked.host) {
        return about.say("inbox_dropped", "origin_asked_too_often");
    }
    let Ok(permit) = asking.0.clone().try_acquire_owned() else {
        return about.say("inbox_dropped", "too_many_passed_on");
    };
    let Ok(document) = Document::read(checked.document.text().as_bytes()) else {
        return;
    };
    let Ok(checked) = Checked::of(document) else {
        return;
    };
    let node = node.beside(node.db.clone());
    tokio::task::spawn_local(async move {
        let _permit = permit;
        let budget = Budget::new(FETCHES);
        let asked = async {
            let mut taken = from_origin(&node, checked, &budget).await?;
            taken.recipient = recipient;
            keep(&node, taken).await.map_err(Unreached::from)
        };
        match tokio::time::timeout(LONGEST, asked).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => about.say("inbox_dropped", why.reason()),
            Err(_) => about.say("inbox_dropped", "origin_too_slow"),
        }
    });
}

/// What a group passes on: the activity inside, once it is known whose it is.
pub async fn inside(node: &Node, activity: &Value, budget: &Budget) -> Result<Taken, Unreached> {
    let document = Document::read(activity.to_string().as_bytes())
        .map_err(|malformed| Unreached::Refused(malformed.reason()))?;
    let checked = Checked::of(document).map_err(|refusal| Unreached::Refused(refusal.reason))?;
    if policy::is_ours(node, &checked.id) {
        return Err(Unreached::Refused("local_id"));
    }
    if policy::is_blocked(node, &checked.host).await? {
        return Err(Unreached::Blocked);
    }
    if is_proven(node, &checked, budget).await? {
        return Ok(checked.taken(Via::Proof, None));
    }
    from_origin(node, checked, budget).await
}

/// The same activity from its own server; where activities are not shown, what it is about.
pub async fn from_origin(
    node: &Node,
    checked: Checked,
    budget: &Budget,
) -> Result<Taken, Unreached> {
    let author = actors::actor(node, &checked.actor, budget).await?;
    if author.is_local || author.is_deleted || author.is_suspended {
        return Err(Unreached::Refused("author"));
    }
    let signer = fetch::signer(node, None).await;
    let shown = objects::fetch(
        node,
        &checked.id,
        Wanted::Activity,
        signer.as_deref(),
        budget,
    )
    .await;
    match shown {
        Ok(shown) => {
            let shown = Checked::of(shown.document)
                .map_err(|refusal| Unreached::Refused(refusal.reason))?;
            let is_same = shown.id == checked.id
                && shown.actor == checked.actor
                && shown.kind == checked.kind;
            match is_same {
                true => Ok(shown.taken(Via::Origin, None)),
                false => Err(Unreached::Refused("not_the_same")),
            }
        }
        Err(why) if why.is_passing() => Err(why),
        Err(why) => by_its_object(node, checked, budget).await.ok_or(why),
    }
}

/// An activity that is true because what it speaks of is as it says.
async fn by_its_object(node: &Node, checked: Checked, budget: &Budget) -> Option<Taken> {
    let uri = checked.object_uri()?.to_owned();
    if !trust::same_origin(&uri, &checked.actor) {
        return None;
    }
    let shown = objects::object(node, &uri, None, budget).await;
    let object = match (checked.kind.as_str(), shown) {
        ("Create" | "Update", Ok(object)) if trust::owns(&checked.actor, &object) => object,
        ("Delete", Err(Unreached::Gone)) => Value::String(uri),
        ("Delete", Ok(object)) if vocab::kind(&object) == Some("Tombstone") => Value::String(uri),
        _ => return None,
    };
    let audience = |name: &str| object.get(name).cloned().unwrap_or(json!([]));
    let activity = json!({
        "@context": vocab::ACTIVITYSTREAMS, "id": checked.id, "type": checked.kind, "actor": checked.actor,
        "to": audience("to"), "cc": audience("cc"), "object": object,
    });
    let document = Document::read(activity.to_string().as_bytes()).ok()?;
    Some(Checked::of(document).ok()?.taken(Via::Origin, None))
}
