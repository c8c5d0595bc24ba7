//! Who has received a thing, for whoever said it; and trying again what was given up.

use diesel::sql_types::Uuid as SqlUuid;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::posts;
use crate::base::{Error, Result};
use crate::db::{Statement, Tx};
use crate::fed::outbox::{self, Receipt};
use crate::fed::{actors, dead_letters};

/// Which thing, by its address or the id of a post.
#[derive(Deserialize)]
pub struct Of {
    object: String,
}

/// Where it went and what became of it there.
pub async fn of(tx: &mut Tx, input: Of) -> Result<Vec<Receipt>> {
    let missing = || {
        Error::missing(
            "object.not_found",
            format!("Nothing of yours is known as {}.", input.object),
        )
    };
    let person = tx.person().await?.ok_or_else(|| {
        Error::sign_in(
            "actor.sign_in",
            "Sign in to see who has received something.",
        )
    })?;
    let uri = match input.object.parse::<Uuid>() {
        Ok(id) => posts::by_id(tx, id)
            .await?
            .and_then(|post| post.federated_ap_id)
            .ok_or_else(missing)?,
        Err(_) => input.object.clone(),
    };
    let mut select = Statement::<SqlUuid>::new(
        "select distinct actor_id from public.ap_activities where object_uri = ",
    );
    select.text(&uri);
    let speakers: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let mut is_his = false;
    for speaker in speakers {
        is_his |= actors::spoken_for(tx, person, speaker).await?;
    }
    match is_his {
        true => outbox::receipts(tx, &uri).await,
        false => Err(missing()),
    }
}

/// Which delivery.
#[derive(Deserialize)]
pub struct Retry {
    id: Uuid,
}

/// Try a delivery again that was given up.
pub async fn retry(tx: &mut Tx, input: Retry) -> Result<Value> {
    dead_letters::retry(tx, input.id).await?;
    Ok(json!({ "id": input.id, "state": "waiting" }))
}
