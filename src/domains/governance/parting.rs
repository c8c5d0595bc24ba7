//! How somebody comes to belong to a DAO no more: sent away by those who run it, or by leaving.

use diesel::sql_types::{Nullable, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::applications::{application, settle};
use super::daos::{self, Person};
use super::members::{elsewhere, not_a_person};
use super::roll::send_away;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::{self as people, speaker};
use crate::domains::social::wire;
use crate::fed::outbox;

/// Who is to go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    id: Uuid,
    actor: Option<String>,
    member: Option<Uuid>,
}

/// Send a member away: by name or address, or by the row of the membership.
pub async fn remove(tx: &mut Tx, input: Remove) -> Result<Value> {
    let dao = daos::named(tx, Some(input.id), None).await?;
    daos::officer(tx, &dao).await?;
    let missing = || Error::missing("dao.not_a_member", "They do not belong to it.");
    let person = match (input.member, &input.actor) {
        (Some(member), _) => by_row(tx, dao.id, member).await?.ok_or_else(missing)?,
        (None, Some(actor)) => {
            let known = people::named(tx, actor).await?;
            Person::of(&known).ok_or_else(not_a_person)?
        }
        (None, None) => return Err(missing()),
    };
    match send_away(tx, &dao, person).await? {
        true => Ok(json!({ "dao": dao.id, "removed": true })),
        false => Err(missing()),
    }
}

async fn by_row(tx: &mut Tx, dao: Uuid, member: Uuid) -> Result<Option<Person>> {
    let mut select = Statement::<(Nullable<SqlUuid>, Nullable<SqlUuid>)>::new(
        "select user_id, actor_id from public.dao_members where dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao))
        .sql(" and id = ")
        .bind(Bind::Uuid(member));
    let rows: Vec<(Option<Uuid>, Option<Uuid>)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows
        .into_iter()
        .next()
        .and_then(|(user, actor)| user.map(Person::User).or(actor.map(Person::Actor))))
}

/// Which DAO.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    id: Uuid,
}

/// Belong to a DAO no more, or ask it no more.
pub async fn leave(tx: &mut Tx, input: Leave) -> Result<Value> {
    let person = daos::signed_in(tx).await?;
    let dao = daos::named(tx, Some(input.id), None).await?;
    let was_member = send_away(tx, &dao, Person::User(person)).await?;
    let asked = application(tx, dao.id, Person::User(person)).await?;
    if let Some(asked) = &asked {
        settle(tx, asked.id, "withdrawn").await?;
    }
    if !was_member && asked.is_none() {
        return Err(Error::missing(
            "dao.not_a_member",
            "You do not belong to it.",
        ));
    }
    if dao.is_elsewhere() {
        let me = speaker(tx, None).await?;
        let other = elsewhere(tx, &dao).await?;
        let leave = json!({ "type": "Leave", "object": other.uri });
        outbox::publish(tx, wire::private(&me, &other, leave)).await?;
    }
    Ok(json!({ "dao": dao.id, "left": true }))
}
