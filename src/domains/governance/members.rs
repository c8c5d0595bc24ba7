//! Belonging to a DAO: asking, being asked, being let in and sent away, leaving; here and across hubs. Only those who run a
//! DAO decide who belongs to it (S-43), and nobody belongs to one elsewhere without having asked or been asked.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::applications::{self, Application, Asked, answer, application, apply, settle, tell};
use super::daos::{self, Dao, Person};
use super::roll::{let_in, weigh};
use crate::base::{Amount, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::{self as people, Known, speaker};
use crate::domains::social::limits::{self, Deed};
use crate::domains::social::{blocks, wire};
use crate::fed::outbox;

/// Which DAO, and what one says to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    id: Option<Uuid>,
    actor: Option<String>,
    message: Option<String>,
    shows_ballot: Option<bool>,
}

/// Ask to belong to a DAO, or follow its invitation.
pub async fn join(tx: &mut Tx, input: Join) -> Result<Value> {
    let person = daos::signed_in(tx).await?;
    if input
        .message
        .as_ref()
        .is_some_and(|text| text.len() > 5_000)
    {
        return Err(Error::invalid(
            "dao.too_long",
            "A message has at most 5,000 bytes.",
        ));
    }
    let dao = daos::named(tx, input.id, input.actor.as_deref()).await?;
    if daos::membership(tx, dao.id, Person::User(person))
        .await?
        .is_some()
    {
        return Ok(json!({ "dao": dao.id, "state": "accepted" }));
    }
    limits::take_or_refuse(tx, Deed::Follow, person)?;
    let before = application(tx, dao.id, Person::User(person)).await?;
    let invited = before.filter(Application::is_open_invitation);
    let shows_ballot = input.shows_ballot.unwrap_or(false);
    if dao.is_elsewhere() {
        return join_elsewhere(tx, &dao, person, &input, invited).await;
    }
    if let Some(invited) = invited {
        let_in(tx, &dao, Person::User(person), &invited.role, shows_ballot).await?;
        settle(tx, invited.id, "accepted").await?;
        return Ok(json!({ "dao": dao.id, "state": "accepted", "role": invited.role }));
    }
    match dao.membership.as_str() {
        "open" => {
            let_in(tx, &dao, Person::User(person), "member", shows_ballot).await?;
            Ok(json!({ "dao": dao.id, "state": "accepted", "role": "member" }))
        }
        "invite" => Err(Error::forbidden(
            "dao.by_invitation",
            "This DAO asks people in; nobody asks it.",
        )),
        _ => {
            let asked = Asked {
                direction: "join",
                role: "member",
                message: input.message,
                shows_ballot,
                uri: None,
            };
            let application = apply(tx, dao.id, Person::User(person), asked).await?;
            applications::tell_stewards(tx, &dao, application.id).await?;
            Ok(json!({ "dao": dao.id, "id": application.id, "state": "pending" }))
        }
    }
}

async fn join_elsewhere(
    tx: &mut Tx,
    dao: &Dao,
    person: Uuid,
    input: &Join,
    invited: Option<Application>,
) -> Result<Value> {
    let me = speaker(tx, None).await?;
    let other = elsewhere(tx, dao).await?;
    let activity = match invited
        .as_ref()
        .and_then(|it| it.federated_ap_id.as_deref())
    {
        Some(invitation) => json!({ "type": "Accept", "object": invitation }),
        None => {
            let mut join = json!({ "type": "Join", "object": other.uri });
            if let (Some(join), Some(message)) = (join.as_object_mut(), &input.message) {
                join.insert("content".to_owned(), json!(message));
            }
            join
        }
    };
    let said = outbox::publish(tx, wire::private(&me, &other, activity)).await?;
    match invited {
        // The DAO puts him among its members and says so.
        Some(invited) => settle(tx, invited.id, "accepted").await?,
        None => {
            let asked = Asked {
                direction: "join",
                role: "member",
                message: input.message.clone(),
                shows_ballot: input.shows_ballot.unwrap_or(false),
                uri: Some(&said.uri),
            };
            apply(tx, dao.id, Person::User(person), asked).await?;
        }
    }
    Ok(json!({ "dao": dao.id, "state": "asked" }))
}

/// The actor that a DAO elsewhere is.
pub async fn elsewhere(tx: &mut Tx, dao: &Dao) -> Result<Known> {
    let known = match dao.origin_actor_id {
        Some(actor) => people::by_id(tx, actor).await?,
        None => None,
    };
    known.ok_or_else(|| Error::missing("dao.not_found", "The DAO is gone."))
}

/// Whom a DAO asks in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    id: Uuid,
    actor: String,
    role: Option<String>,
}

/// Ask somebody in, wherever he lives.
pub async fn invite(tx: &mut Tx, input: Invite) -> Result<Value> {
    let dao = daos::named(tx, Some(input.id), None).await?;
    daos::officer(tx, &dao).await?;
    let role = role(input.role.as_deref())?;
    let other = people::named(tx, &input.actor).await?;
    let person = Person::of(&other).ok_or_else(not_a_person)?;
    if daos::membership(tx, dao.id, person).await?.is_some() {
        return Err(Error::conflict(
            "dao.is_a_member",
            "They belong to it already.",
        ));
    }
    // Who asked already need not be asked.
    if let Some(before) = application(tx, dao.id, person).await?
        && before.direction == "join"
        && before.state == "pending"
    {
        return admit_applicant(tx, &dao, &before, role).await;
    }
    let mut asked = Asked {
        direction: "invite",
        role,
        message: None,
        shows_ballot: false,
        uri: None,
    };
    let application = match person {
        Person::User(user) => {
            let application = apply(tx, dao.id, person, asked).await?;
            tell(tx, "dao.invited", application.id, Some(user)).await?;
            application
        }
        Person::Actor(_) => {
            let voice = daos::voice(tx, &dao).await?.ok_or_else(not_public)?;
            if blocks::is_between(tx, voice.id, other.id).await? {
                return Err(Error::forbidden(
                    "dao.blocked",
                    "One of you has blocked the other.",
                ));
            }
            let activity = json!({ "type": "Invite", "object": voice.uri, "target": other.uri });
            let said = outbox::publish(tx, wire::private(&voice, &other, activity)).await?;
            asked.uri = Some(&said.uri);
            apply(tx, dao.id, person, asked).await?
        }
    };
    Ok(json!({ "id": application.id, "dao": dao.id, "state": "pending" }))
}

/// Whom to let in: an application, or anybody.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admit {
    id: Option<Uuid>,
    dao: Option<Uuid>,
    actor: Option<String>,
    role: Option<String>,
    weight: Option<String>,
    accept: Option<bool>,
}

/// Let somebody in who asked, or not; put an actor of any server among the members; give a member another role or weight.
pub async fn admit(tx: &mut Tx, input: Admit) -> Result<Value> {
    let role = role(input.role.as_deref())?;
    let weight = input
        .weight
        .as_deref()
        .map(|text| {
            text.parse::<Amount>()
                .map_err(|_| Error::invalid("dao.weight", "A weight is a decimal number in text."))
        })
        .transpose()?;
    if let Some(id) = input.id {
        let mut select =
            Statement::new("select to_jsonb(a) from public.dao_applications a where a.id = ");
        select.bind(Bind::Uuid(id)).sql(" for update");
        let missing = || Error::missing("dao.no_application", "Nobody has asked that.");
        let application: Application = tx.hub_one(select).await?.ok_or_else(missing)?;
        let dao = daos::by_id(tx, application.dao_id)
            .await?
            .ok_or_else(missing)?;
        daos::officer(tx, &dao).await?;
        if application.state != "pending" || application.direction != "join" {
            return Err(Error::conflict("dao.answered", "It was answered already."));
        }
        if input.accept == Some(false) {
            return turn_away(tx, &dao, &application).await;
        }
        let done = admit_applicant(tx, &dao, &application, role).await?;
        if let (Some(weight), Some(person)) = (weight, application.person()) {
            weigh(tx, dao.id, person, weight).await?;
        }
        return Ok(done);
    }
    let dao = daos::named(tx, input.dao, None).await?;
    daos::officer(tx, &dao).await?;
    let Some(actor) = &input.actor else {
        return Err(Error::invalid(
            "dao.nobody",
            "Name an application by id, or an actor.",
        ));
    };
    let known = people::named(tx, actor).await?;
    let person = Person::of(&known).ok_or_else(not_a_person)?;
    match daos::membership(tx, dao.id, person).await? {
        Some(member) => {
            if input.role.is_some() && member.role != "owner" {
                let_in(tx, &dao, person, role, false).await?;
            }
        }
        None => let_in(tx, &dao, person, role, false).await?,
    }
    if let Some(weight) = weight {
        weigh(tx, dao.id, person, weight).await?;
    }
    Ok(json!({ "dao": dao.id, "actor": known.uri, "state": "accepted" }))
}

async fn admit_applicant(
    tx: &mut Tx,
    dao: &Dao,
    application: &Application,
    role: &str,
) -> Result<Value> {
    let Some(person) = application.person() else {
        return Err(not_a_person());
    };
    answer(tx, dao, application, true).await?;
    let_in(tx, dao, person, role, application.shows_ballot).await?;
    settle(tx, application.id, "accepted").await?;
    tell(tx, "dao.admitted", application.id, application.user_id).await?;
    Ok(json!({ "id": application.id, "dao": dao.id, "state": "accepted", "role": role }))
}

async fn turn_away(tx: &mut Tx, dao: &Dao, application: &Application) -> Result<Value> {
    answer(tx, dao, application, false).await?;
    settle(tx, application.id, "rejected").await?;
    tell(tx, "dao.turned_away", application.id, application.user_id).await?;
    Ok(json!({ "id": application.id, "dao": dao.id, "state": "rejected" }))
}

fn role(given: Option<&str>) -> Result<&'static str> {
    match given {
        None | Some("member") => Ok("member"),
        Some("admin") => Ok("admin"),
        Some("guest") => Ok("guest"),
        Some(_) => Err(Error::invalid(
            "dao.no_such_role",
            "role is admin, member or guest.",
        )),
    }
}

/// Rooms and servers are no members.
pub fn not_a_person() -> Error {
    Error::invalid(
        "dao.not_a_person",
        "Only people and agents belong to a DAO.",
    )
}

fn not_public() -> Error {
    Error::conflict("dao.not_public", "Nobody outside knows of this DAO.")
}
