//! Who votes for a member where the member does not.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::daos::{self, Person};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// To whom a member gives his voice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    dao: Uuid,
    /// A member of this hub; nobody takes it back.
    to: Option<Uuid>,
}

/// Let another member vote where one does not; it counts for votes that are opened from now on.
pub async fn delegate(tx: &mut Tx, input: Delegate) -> Result<Value> {
    let person = daos::signed_in(tx).await?;
    let dao = daos::named(tx, Some(input.dao), None).await?;
    if dao.is_elsewhere() {
        return Err(Error::conflict(
            "vote.delegate_elsewhere",
            "Voices are given to others only where the DAO lives.",
        ));
    }
    if input.to == Some(person) {
        return Err(Error::invalid(
            "vote.delegate_oneself",
            "Nobody votes for himself twice.",
        ));
    }
    for one in [Some(person), input.to].into_iter().flatten() {
        let membership = daos::membership(tx, dao.id, Person::User(one)).await?;
        if membership.is_none_or(|member| member.role == "guest") {
            return Err(Error::forbidden(
                "dao.not_a_member",
                "Both are members of the DAO who may vote.",
            ));
        }
    }
    let mut write = Statement::<()>::new("update public.dao_members set delegate_id = ");
    write
        .bind(Bind::Text(input.to.map(|to| to.to_string())))
        .sql("::uuid where dao_id = ")
        .bind(Bind::Uuid(dao.id))
        .sql(" and user_id = ")
        .bind(Bind::Uuid(person));
    tx.as_hub(async |tx| tx.run(write.clone()).await.map(drop))
        .await?;
    Ok(json!({ "dao": dao.id, "to": input.to }))
}
