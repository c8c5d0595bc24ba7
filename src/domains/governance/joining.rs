//! What others say about belonging to DAOs: they ask, are asked, answer, come and go. Whatever is asked of a DAO of this hub
//! is for those who run it to decide.

use serde_json::{Value, json};

use super::applications::{self, Application, Asked};
use super::daos::{self, Person};
use super::{hear_votes, offers, refusals, roll};
use crate::base::{Result, text};
use crate::db::Tx;
use crate::domains::social::actors as people;
use crate::domains::social::limits::{self, Deed};
use crate::domains::social::{blocks, wire};
use crate::fed::actors::{self, Local};
use crate::fed::outbox;
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming};

/// Somebody elsewhere asks to belong to a DAO of ours.
pub async fn on_join(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some((dao, voice)) = daos::by_uri(tx, heard.object_uri()?).await? else {
        return Ok(Applied::NotMine);
    };
    let Some(other) = people::by_id(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_actor"));
    };
    let Some(person) = Person::of(&other) else {
        return Ok(Applied::Refused("not_a_person"));
    };
    if limits::take(tx, Deed::Follow, other.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }
    let answer = |word: &str, reason: Option<&str>| {
        let mut said = json!({ "type": word, "object": heard.uri });
        if let (Some(said), Some(reason)) = (said.as_object_mut(), reason) {
            said.insert("content".to_owned(), json!(reason));
            said.insert("mo:reason".to_owned(), json!(reason));
        }
        wire::private(&voice, &other, said)
    };
    if blocks::is_between(tx, voice.id, other.id).await? {
        return Ok(Applied::Refused("blocked"));
    }
    if daos::membership(tx, dao.id, person).await?.is_some() {
        outbox::publish(tx, answer("Accept", None)).await?;
        return Ok(Applied::Done);
    }
    let before = applications::application(tx, dao.id, person).await?;
    let invited = before.filter(Application::is_open_invitation);
    let role = invited.as_ref().map_or("member", |it| it.role.as_str());
    if invited.is_some() || dao.membership == "open" {
        outbox::publish(tx, answer("Accept", None)).await?;
        roll::let_in(tx, &dao, person, role, false).await?;
        if let Some(invited) = &invited {
            applications::settle(tx, invited.id, "accepted").await?;
        }
        return Ok(Applied::Done);
    }
    if dao.membership == "invite" {
        outbox::publish(tx, answer("Reject", Some("by_invitation"))).await?;
        return Ok(Applied::Done);
    }
    let message = heard
        .activity
        .get("content")
        .and_then(Value::as_str)
        .map(|html| text::excerpt(&text::plain(html), 2_000));
    let asked = Asked {
        direction: "join",
        role: "member",
        message,
        shows_ballot: false,
        uri: Some(&heard.uri),
    };
    let application = applications::apply(tx, dao.id, person, asked).await?;
    applications::tell_stewards(tx, &dao, application.id).await?;
    Ok(Applied::Done)
}

/// Somebody elsewhere belongs to a DAO of ours no more.
pub async fn on_left(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let place = match heard.object.get("object").and_then(vocab::id) {
        Some(inside) => inside,
        None => heard.object_uri()?,
    };
    let Some((dao, _)) = daos::by_uri(tx, place).await? else {
        return Ok(Applied::NotMine);
    };
    let person = Person::Actor(heard.author.id);
    let asked = applications::application(tx, dao.id, person).await?;
    if let Some(asked) = &asked {
        applications::settle(tx, asked.id, "withdrawn").await?;
    }
    match roll::send_away(tx, &dao, person).await? || asked.is_some() {
        true => Ok(Applied::Done),
        false => Ok(Applied::Ignored("not_a_member")),
    }
}

/// A DAO elsewhere asks one of ours in.
pub async fn on_invited(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some((me, user)) = own_person(tx, heard.object_uri()?).await? else {
        return Ok(Applied::Ignored("not_ours"));
    };
    let Some(other) = people::by_id(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_actor"));
    };
    if blocks::is_between(tx, me.id, other.id).await? {
        return Ok(Applied::Refused("blocked"));
    }
    if limits::take(tx, Deed::Follow, other.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }
    let Some(dao) = daos::keep(tx, other.id).await? else {
        return Ok(Applied::Refused("not_a_dao"));
    };
    let asked = Asked {
        direction: "invite",
        role: "member",
        message: None,
        shows_ballot: false,
        uri: Some(&heard.uri),
    };
    let application = applications::apply(tx, dao.id, Person::User(user), asked).await?;
    applications::tell(tx, "dao.invited", application.id, Some(user)).await?;
    Ok(Applied::Done)
}

/// What one of ours asked for is granted.
pub async fn on_accepted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    answered(tx, heard, true).await
}

/// What one of ours asked for is not granted.
pub async fn on_rejected(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    answered(tx, heard, false).await
}

async fn answered(tx: &mut Tx, heard: &Incoming, is_yes: bool) -> Result<Applied> {
    let Some(asked) = vocab::id(&heard.object) else {
        return Ok(Applied::NotMine);
    };
    if let Some(application) = applications::application_by_uri(tx, asked).await? {
        return about_membership(tx, heard, &application, is_yes).await;
    }
    let applied = match offers::on_answered(tx, heard, asked, is_yes).await? {
        Applied::NotMine => hear_votes::on_answered(tx, heard, asked, is_yes).await?,
        applied => applied,
    };
    match applied {
        Applied::NotMine if !is_yes => refusals::on_refused(tx, heard, asked).await,
        applied => Ok(applied),
    }
}

async fn about_membership(
    tx: &mut Tx,
    heard: &Incoming,
    application: &Application,
    is_yes: bool,
) -> Result<Applied> {
    let Some(dao) = daos::by_id(tx, application.dao_id).await? else {
        return Ok(Applied::Ignored("gone"));
    };
    let Some(person) = application.person() else {
        return Ok(Applied::Ignored("gone"));
    };
    // Ours asked a DAO elsewhere, or a DAO of ours asked somebody elsewhere; nobody else answers.
    let may_answer = match (application.direction.as_str(), person) {
        ("join", Person::User(_)) => dao.origin_actor_id == Some(heard.author.id),
        ("invite", Person::Actor(actor)) => !dao.is_elsewhere() && actor == heard.author.id,
        _ => false,
    };
    if !may_answer {
        return Ok(Applied::Refused("not_addressee"));
    }
    let state = if is_yes { "accepted" } else { "rejected" };
    if application.state == state {
        return Ok(Applied::Repeated);
    }
    if application.state == "withdrawn" {
        return Ok(Applied::Ignored("withdrawn"));
    }
    applications::settle(tx, application.id, state).await?;
    match is_yes {
        true => {
            let role = &application.role;
            roll::let_in(tx, &dao, person, role, application.shows_ballot).await?;
        }
        false => {
            roll::send_away(tx, &dao, person).await?;
        }
    }
    let word = if is_yes {
        "dao.admitted"
    } else {
        "dao.turned_away"
    };
    applications::tell(
        tx,
        word,
        application.id,
        application.user_id.or(dao.owner_id),
    )
    .await?;
    Ok(Applied::Done)
}

/// Somebody of any server writes to a DAO: that is how one asks where there is no Join.
pub async fn on_message(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let to = vocab::ids(heard.object.get("to").unwrap_or(&Value::Null));
    let mut found = None;
    for uri in to.into_iter().take(20) {
        found = daos::by_uri(tx, uri).await?;
        if found.is_some() {
            break;
        }
    }
    let Some((dao, voice)) = found else {
        return Ok(Applied::Ignored("not_wanted"));
    };
    let Some(other) = people::by_id(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_actor"));
    };
    let Some(person) = Person::of(&other) else {
        return Ok(Applied::Refused("not_a_person"));
    };
    if blocks::is_between(tx, voice.id, other.id).await? {
        return Ok(Applied::Refused("blocked"));
    }
    if limits::take(tx, Deed::Follow, other.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }
    if daos::membership(tx, dao.id, person).await?.is_some() {
        return Ok(Applied::Ignored("is_a_member"));
    }
    let html = heard.said("content").unwrap_or_default();
    let message = text::excerpt(&text::plain(&text::clean(html)), 2_000);
    let before = applications::application(tx, dao.id, person).await?;
    if before.is_some_and(|it| it.direction == "join" && it.state == "pending") {
        return Ok(Applied::Repeated);
    }
    let words = match dao.membership.as_str() {
        "invite" => "This DAO asks people in; nobody asks it.",
        _ => "You have asked to join. Those who run the DAO will answer.",
    };
    if dao.membership != "invite" {
        let asked = Asked {
            direction: "join",
            role: "member",
            message: Some(message),
            shows_ballot: false,
            uri: None,
        };
        let application = applications::apply(tx, dao.id, person, asked).await?;
        applications::tell_stewards(tx, &dao, application.id).await?;
    }
    applications::write_to(tx, &voice, &other, words, heard.object_uri.as_deref()).await?;
    Ok(Applied::Done)
}

/// A person of this hub by the address of his actor.
pub async fn own_person(tx: &mut Tx, uri: &str) -> Result<Option<(Local, uuid::Uuid)>> {
    let actor = actors::by_uri(tx, uri).await?;
    Ok(actor.and_then(|actor| {
        let user = actor
            .row_id
            .filter(|_| actor.kind == "user" && !actor.is_gone());
        user.map(|user| (actor, user))
    }))
}
