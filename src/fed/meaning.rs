//! What an activity is about, and whether its words are its author's to say: decided from the document alone, before any
//! row is read (CONTRACT section 11, steps 7 and 8).

use serde_json::Value;

use super::trust::{self, Embedded};
use super::vocab;
use crate::node::incoming::Meaning;

/// What is known of the author beside his id.
#[derive(Clone, Copy, Debug, Default)]
pub struct Speaker<'a> {
    pub uri: &'a str,
    /// Passes on what others say.
    pub is_group: bool,
    pub followers_url: Option<&'a str>,
}

/// What an activity comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// It means this, about these objects; mostly one.
    Means(Meaning, Vec<Value>),
    /// What it is about is only named, or not to be believed as it stands here: it must be fetched first.
    Fetch(String),
    /// It takes something back that it only names.
    UndoesById(String),
    /// A group passes on what somebody else says.
    PassesOn(Value),
    /// Nothing follows from it.
    Ignore(&'static str),
    /// It should not have been said.
    Refuse(&'static str),
}

/// Types of objects that become posts.
const POSTS: &[&str] = &[
    "Article", "Audio", "Document", "Event", "Image", "Note", "Page", "Question", "Video",
];

/// What an activity means. `is_ours` tells ids of this hub.
pub fn read(activity: &Value, speaker: Speaker<'_>, is_ours: &dyn Fn(&str) -> bool) -> Read {
    let object = activity.get("object").unwrap_or(&Value::Null);
    let Some(kind) = vocab::kind(activity) else {
        return Read::Ignore("no_type");
    };
    match kind {
        "Create" | "Update" => written(kind == "Create", object, speaker, is_ours),
        "Delete" => deleted(object, speaker, is_ours),
        "Undo" => undone(object, speaker),
        "Accept" | "Reject" => answered(kind == "Accept", object, speaker, is_ours),
        "Announce" => announced(object, speaker),
        "Move" => match vocab::id(object) == Some(speaker.uri) {
            true => Read::Means(Meaning::ActorMoved, vec![object.clone()]),
            false => Read::Refuse("not_his"),
        },
        "Follow" => about_ours(Meaning::FollowAsked, object, is_ours),
        "Block" => about_ours(Meaning::Blocked, object, is_ours),
        "QuoteRequest" => about_ours(Meaning::QuoteAsked, object, is_ours),
        "Like" | "EmojiReact" => named(Meaning::Liked, object),
        "Flag" => Read::Means(Meaning::Flagged, vec![object.clone()]),
        "Offer" => offered(object, activity, is_ours),
        "Join" => about_ours(Meaning::JoinAsked, object, is_ours),
        "Leave" => about_ours(Meaning::Left, object, is_ours),
        "Invite" => invited(activity, object, speaker, is_ours),
        "Add" | "Remove" => kept_in(kind == "Add", activity, object, speaker, is_ours),
        _ => Read::Means(Meaning::Unknown, vec![object.clone()]),
    }
}

fn named(meaning: Meaning, object: &Value) -> Read {
    match vocab::id(object) {
        // A copy of somebody else's is worth nothing but its id.
        Some(id) => Read::Means(meaning, vec![Value::String(id.to_owned())]),
        None => Read::Ignore("no_object"),
    }
}

fn about_ours(meaning: Meaning, object: &Value, is_ours: &dyn Fn(&str) -> bool) -> Read {
    match vocab::id(object) {
        Some(id) if is_ours(id) => named(meaning, object),
        Some(_) => Read::Ignore("not_about_us"),
        None => Read::Ignore("no_object"),
    }
}

/// An agreement that somebody proposes to one of ours, or a question for a DAO of ours. It has no id yet, so that only its
/// activity says whose it is.
fn offered(object: &Value, activity: &Value, is_ours: &dyn Fn(&str) -> bool) -> Read {
    let meaning = match vocab::kind(object) {
        Some("Agreement") => Meaning::OfferMade,
        Some("Question") => Meaning::ProposalOffered,
        _ => return Read::Means(Meaning::Unknown, vec![object.clone()]),
    };
    match recipients(activity)
        .iter()
        .chain(&activity.get("target").and_then(vocab::id))
        .any(|id| is_ours(id))
    {
        true => Read::Means(meaning, vec![object.clone()]),
        false => Read::Ignore("not_about_us"),
    }
}

/// A group asks somebody of ours in.
fn invited(
    activity: &Value,
    object: &Value,
    speaker: Speaker<'_>,
    is_ours: &dyn Fn(&str) -> bool,
) -> Read {
    if vocab::id(object) != Some(speaker.uri) {
        return Read::Refuse("not_his");
    }
    match activity.get("target").and_then(vocab::id) {
        Some(target) if is_ours(target) => {
            Read::Means(Meaning::Invited, vec![Value::String(target.to_owned())])
        }
        _ => Read::Ignore("not_about_us"),
    }
}

fn written(
    is_new: bool,
    object: &Value,
    speaker: Speaker<'_>,
    is_ours: &dyn Fn(&str) -> bool,
) -> Read {
    if let Value::Array(objects) = object {
        return several(is_new, objects, speaker, is_ours);
    }
    match vocab::id(object) {
        None if object.is_object() => return Read::Ignore("no_id"),
        None => return Read::Ignore("no_object"),
        Some(id) if is_ours(id) => return Read::Refuse("local_object"),
        Some(id) if !trust::same_origin(id, speaker.uri) => return Read::Refuse("foreign_object"),
        Some(id) if !object.is_object() || object.get("type").is_none() => {
            return Read::Fetch(id.to_owned());
        }
        Some(_) => {}
    }
    if object.get("id").and_then(Value::as_str).is_none() {
        return Read::Ignore("no_id");
    }
    match trust::embedded(object, speaker.uri) {
        Embedded::Trusted => own(is_new, object, speaker),
        Embedded::OtherOwner if trust::owner(object).is_none() => {
            vocab::id(object).map_or(Read::Ignore("no_id"), |id| Read::Fetch(id.to_owned()))
        }
        _ => Read::Refuse("attribution_mismatch"),
    }
}

/// Several choices in a poll, as one activity.
fn several(
    is_new: bool,
    objects: &[Value],
    speaker: Speaker<'_>,
    is_ours: &dyn Fn(&str) -> bool,
) -> Read {
    let mut votes = Vec::with_capacity(objects.len());
    for object in objects {
        match written(is_new, object, speaker, is_ours) {
            Read::Means(Meaning::VoteCast, mut vote) => votes.append(&mut vote),
            one if objects.len() == 1 => return one,
            Read::Refuse(reason) => return Read::Refuse(reason),
            _ => return Read::Ignore("object_list"),
        }
    }
    match votes.is_empty() {
        true => Read::Ignore("no_object"),
        false => Read::Means(Meaning::VoteCast, votes),
    }
}

/// What an object of the speaker's own means, wherever its copy comes from.
pub fn own(is_new: bool, object: &Value, speaker: Speaker<'_>) -> Read {
    if trust::owner(object) != Some(speaker.uri) {
        return Read::Refuse("attribution_mismatch");
    }
    let Some(kind) = vocab::kind(object) else {
        return Read::Ignore("no_type");
    };
    let meaning = if vocab::is_actor(kind) {
        if vocab::id(object) != Some(speaker.uri) {
            return Read::Refuse("not_his");
        }
        Meaning::ActorUpdated
    } else if kind == "Tombstone" {
        Meaning::ObjectDeleted
    } else if is_new && is_vote(object) {
        Meaning::VoteCast
    } else if let Some(meaning) = of_trade(kind, object) {
        meaning
    } else if !POSTS.contains(&kind) {
        Meaning::Unknown
    } else {
        match (is_direct(object, speaker) && kind == "Note", is_new) {
            (true, true) => Meaning::MessageCreated,
            (true, false) => Meaning::MessageUpdated,
            (false, true) => Meaning::PostCreated,
            (false, false) => Meaning::PostUpdated,
        }
    };
    Read::Means(meaning, vec![object.clone()])
}

/// What concerns goods, help and decisions, in our words and in those of others.
fn of_trade(kind: &str, object: &Value) -> Option<Meaning> {
    let own_kind = object.get("mo:kind").and_then(Value::as_str);
    let has = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    match kind {
        "Proposal" | "ValueFlows:Proposal" => Some(Meaning::ListingSaid),
        "Note" if own_kind == Some("mo:Declaration") && has("publishes") => {
            Some(Meaning::DeclarationSaid)
        }
        "Note" if (has("publishes") && has("purpose")) || has("flohmarkt:data") => {
            Some(Meaning::ListingSaid)
        }
        "Agreement" => Some(Meaning::AgreementSaid),
        "Document" if has("fulfills") || own_kind == Some("mo:EconomicEvent") => {
            Some(Meaning::ReceiptSaid)
        }
        "Question" if own_kind == Some("mo:DaoProposal") => Some(Meaning::ProposalSaid),
        _ => None,
    }
}

/// A choice in a poll: a note with a name, an answer to something, and nothing to read.
fn is_vote(object: &Value) -> bool {
    let text = |name: &str| {
        object
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.trim().is_empty())
    };
    vocab::kind(object) == Some("Note")
        && text("name")
        && !text("content")
        && object
            .get("inReplyTo")
            .is_some_and(|to| vocab::id(to).is_some())
}

/// Whether only those whom it names may read it: neither everybody nor anybody's followers.
fn is_direct(object: &Value, speaker: Speaker<'_>) -> bool {
    let audience = recipients(object);
    !audience.is_empty()
        && !audience.iter().any(|id| {
            vocab::is_public(id) || Some(*id) == speaker.followers_url || id.ends_with("/followers")
        })
}

/// Whom a document is addressed to, each once.
pub fn recipients(document: &Value) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for name in ["to", "cc", "audience", "bto", "bcc"] {
        for id in vocab::ids(document.get(name).unwrap_or(&Value::Null)) {
            if !all.contains(&id) {
                all.push(id);
            }
            // Nobody has more readers by name (R12 counts those that matter).
            if all.len() >= 1000 {
                return all;
            }
        }
    }
    all
}

fn deleted(object: &Value, speaker: Speaker<'_>, is_ours: &dyn Fn(&str) -> bool) -> Read {
    let Some(id) = vocab::id(object) else {
        return Read::Ignore("no_object");
    };
    if id == speaker.uri {
        return Read::Means(Meaning::ActorDeleted, vec![object.clone()]);
    }
    if is_ours(id) {
        return Read::Refuse("local_object");
    }
    if !trust::same_origin(id, speaker.uri) {
        return Read::Refuse("foreign_object");
    }
    let is_other = trust::owner(object).is_some_and(|owner| owner != speaker.uri);
    let is_other_actor = vocab::kind(object).is_some_and(vocab::is_actor);
    if is_other || is_other_actor {
        return Read::Refuse("not_his");
    }
    Read::Means(Meaning::ObjectDeleted, vec![object.clone()])
}

fn undone(object: &Value, speaker: Speaker<'_>) -> Read {
    let Some(id) = vocab::id(object) else {
        // Without an id it is told by what it was about.
        return match object.get("type").is_some() {
            true => undoes(object, speaker),
            false => Read::Ignore("no_object"),
        };
    };
    if !trust::same_origin(id, speaker.uri) {
        return Read::Refuse("not_his");
    }
    match object.get("type") {
        Some(_) => undoes(object, speaker),
        None => Read::UndoesById(id.to_owned()),
    }
}

/// What it means that the speaker takes an activity back.
pub fn undoes(inner: &Value, speaker: Speaker<'_>) -> Read {
    if inner.get("actor").is_some() && !trust::may_undo(speaker.uri, inner) {
        return Read::Refuse("not_his");
    }
    let meaning = match vocab::kind(inner) {
        Some("Follow") => Meaning::FollowUndone,
        Some("Like" | "EmojiReact") => Meaning::LikeUndone,
        Some("Announce") => Meaning::AnnounceUndone,
        Some("Block") => Meaning::BlockUndone,
        Some("Offer") => Meaning::OfferUndone,
        Some("Join") => Meaning::Left,
        _ => Meaning::Unknown,
    };
    Read::Means(meaning, vec![inner.clone()])
}

fn answered(
    is_yes: bool,
    object: &Value,
    speaker: Speaker<'_>,
    is_ours: &dyn Fn(&str) -> bool,
) -> Read {
    let meaning = match is_yes {
        true => Meaning::Accepted,
        false => Meaning::Rejected,
    };
    if vocab::kind(object) == Some("Follow") {
        let asked_by_us = trust::owner(object).is_some_and(is_ours);
        return match asked_by_us && trust::may_answer(speaker.uri, object) {
            true => Read::Means(meaning, vec![object.clone()]),
            false => Read::Refuse("not_asked"),
        };
    }
    match vocab::id(object) {
        // Whatever is said of it here counts for nothing: what was asked is known by its id.
        Some(id) if is_ours(id) => named(meaning, object),
        Some(_) => Read::Ignore("not_about_us"),
        None => Read::Ignore("no_object"),
    }
}

fn announced(object: &Value, speaker: Speaker<'_>) -> Read {
    if object.is_object() && vocab::is_activity(object) {
        return match speaker.is_group {
            true => Read::PassesOn(object.clone()),
            false => Read::Ignore("not_a_group"),
        };
    }
    named(Meaning::Announced, object)
}

fn kept_in(
    is_put: bool,
    activity: &Value,
    object: &Value,
    speaker: Speaker<'_>,
    is_ours: &dyn Fn(&str) -> bool,
) -> Read {
    let target = activity.get("target").and_then(vocab::id);
    // What is kept here is changed by those who run it: whether he does is asked where the rows are.
    if !target.is_some_and(|target| trust::same_origin(target, speaker.uri) || is_ours(target)) {
        return Read::Refuse("not_his");
    }
    named(
        match is_put {
            true => Meaning::Added,
            false => Meaning::Removed,
        },
        object,
    )
}

#[cfg(test)]
mod tests;
