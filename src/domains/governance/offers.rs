//! Proposals between hubs: a member's draft for a DAO elsewhere is offered to it, and what members elsewhere would have a DAO
//! of this hub ask is asked. What a DAO elsewhere has asked is kept as a row that only it changes.

use std::sync::Arc;

use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::daos::{self, Dao, Person};
use super::proposals::{self, Proposal};
use super::question;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::limits::{self, Deed};
use crate::domains::social::posts;
use crate::domains::social::{actors as people, wire};
use crate::fed::actors;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming, Meaning};

/// Offer a draft to the DAO elsewhere.
pub async fn offer(tx: &mut Tx, proposal: &Proposal, dao: &Dao, person: Uuid) -> Result<Value> {
    if proposal.author_id != Some(person) {
        return Err(proposals::missing());
    }
    limits::take_or_refuse(tx, Deed::Offer, person)?;
    let me = people::speaker(tx, None).await?;
    let Some(to) = dao.federated_ap_id.clone() else {
        return Err(proposals::missing());
    };
    let mut object = question::draft(proposal, &to);
    if let Some(object) = object.as_object_mut() {
        object.insert("mo:proposer".to_owned(), json!(me.uri));
    }
    let outgoing = Outgoing {
        actor: me.id,
        activity: json!({ "type": "Offer", "object": object, "target": to }),
        to: vec![to.clone()],
        cc: Vec::new(),
        about: Some(to),
        also: Vec::new(),
        is_private: true,
    };
    let said = outbox::publish(tx, outgoing).await?;
    let mut note = Statement::<()>::new("update public.proposals set offer_uri = ");
    note.text(&said.uri)
        .sql(", execution_error = null where id = ")
        .bind(Bind::Uuid(proposal.id));
    tx.as_hub(async |tx| tx.run(note.clone()).await.map(drop))
        .await?;
    Ok(json!({ "id": proposal.id, "status": "draft", "state": "offered" }))
}

/// A member elsewhere would have a DAO of ours ask something.
pub async fn on_offered(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let target = heard.activity.get("target").and_then(vocab::id);
    let named = vocab::ids(heard.activity.get("to").unwrap_or(&Value::Null));
    let mut found = None;
    for uri in target.into_iter().chain(named).take(5) {
        found = daos::by_uri(tx, uri).await?;
        if found.is_some() {
            break;
        }
    }
    let Some((dao, voice)) = found else {
        return Ok(Applied::Ignored("not_ours"));
    };
    let Some(other) = people::by_id(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_actor"));
    };
    if offered_before(tx, &heard.uri).await? {
        return Ok(Applied::Repeated);
    }
    if limits::take(tx, Deed::Offer, other.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }
    let refuse = |reason: &'static str| json!({ "type": "Reject", "object": heard.uri, "content": reason, "mo:reason": reason });
    let membership = daos::membership(tx, dao.id, Person::Actor(other.id)).await?;
    if membership.is_none_or(|member| member.role == "guest") {
        outbox::publish(tx, wire::private(&voice, &other, refuse("not_eligible"))).await?;
        log(heard, "not_eligible");
        return Ok(Applied::Done);
    }
    let (title, description) = match question::offered(&heard.object) {
        Ok(read) => read,
        Err(reason) => {
            outbox::publish(tx, wire::private(&voice, &other, refuse(reason))).await?;
            log(heard, reason);
            return Ok(Applied::Done);
        }
    };

    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.proposals (author_id, origin_actor_id, dao_id, title, description, proposal_type, offer_uri) values (null, ",
    );
    insert
        .bind(Bind::Uuid(other.id))
        .sql(", ")
        .bind(Bind::Uuid(dao.id))
        .sql(", ")
        .text(title)
        .sql(", ")
        .bind(Bind::Text(description))
        .sql(", 'offered', ")
        .text(&heard.uri)
        .sql(") returning id");
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(insert.clone()).await).await?;
    let id = ids.into_iter().next().ok_or_else(proposals::missing)?;
    let opened = tx
        .as_hub(async |tx| proposals::begin(tx, id, &dao).await)
        .await?;

    let base = actors::base(tx)?;
    let result = question::write(&opened, &voice, Some(&other), &base);
    let accept = json!({ "type": "Accept", "object": heard.uri, "result": result });
    outbox::publish(tx, wire::private(&voice, &other, accept)).await?;
    Ok(Applied::Done)
}

fn log(heard: &Incoming, reason: &str) {
    tracing::info!(
        event = "proposal_not_taken",
        reason,
        peer_domain = %heard.author.host,
        activity_id = %heard.uri,
    );
}

async fn offered_before(tx: &mut Tx, uri: &str) -> Result<bool> {
    let mut select =
        Statement::<SqlUuid>::new("select id from public.proposals where offer_uri = ");
    select.text(uri);
    let rows: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(!rows.is_empty())
}

/// The DAO elsewhere has answered a draft of ours; not mine if it was none.
pub async fn on_answered(
    tx: &mut Tx,
    heard: &Incoming,
    asked: &str,
    is_yes: bool,
) -> Result<Applied> {
    let mut select = Statement::<(SqlUuid, Text, Text)>::new(
        "select p.id, p.status, d.federated_ap_id from public.proposals p join public.daos d on d.id = p.dao_id \
         where d.origin_actor_id is not null and p.offer_uri = ",
    );
    select.text(asked);
    let rows: Vec<(Uuid, String, String)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some((id, status, dao)) = rows.into_iter().next() else {
        return Ok(Applied::NotMine);
    };
    if dao != heard.author.uri {
        return Ok(Applied::Refused("not_addressee"));
    }
    if status != "draft" {
        return Ok(Applied::Repeated);
    }
    if !is_yes {
        let reason = heard
            .activity
            .get("mo:reason")
            .or_else(|| heard.activity.get("content"))
            .and_then(Value::as_str)
            .unwrap_or("declined");
        let mut note = Statement::<()>::new(
            "update public.proposals set offer_uri = null, execution_error = ",
        );
        note.text(crate::base::text::excerpt(reason, 500))
            .sql(" where id = ")
            .bind(Bind::Uuid(id));
        tx.as_hub(async |tx| tx.run(note.clone()).await.map(drop))
            .await?;
        return Ok(Applied::Done);
    }
    let Some(result) = heard.activity.get("result") else {
        return Ok(Applied::Refused("no_result"));
    };
    // The question itself is the DAO's; the draft has become it.
    let mut gone =
        Statement::<()>::new("delete from public.proposals where status = 'draft' and id = ");
    gone.bind(Bind::Uuid(id));
    tx.as_hub(async |tx| tx.run(gone.clone()).await.map(drop))
        .await?;
    match result.is_object() && vocab::id(result).is_some() {
        true => match keep(tx, heard, result, true).await? {
            Applied::Ignored(_) | Applied::Repeated => Ok(Applied::Done),
            applied => Ok(applied),
        },
        false => Ok(Applied::Done),
    }
}

/// A DAO elsewhere asks something, or tells how it stands.
pub async fn on_said(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let uri = vocab::id(&heard.object).unwrap_or_default();
    let is_fetched = heard.uri == uri;
    let applied = keep(tx, heard, &heard.object.clone(), is_fetched).await?;

    // Followers read it among the posts, as they read every poll.
    let is_update = heard.activity.get("type").and_then(Value::as_str) == Some("Update");
    let as_post = Incoming {
        meaning: match is_update {
            true => Meaning::PostUpdated,
            false => Meaning::PostCreated,
        },
        activity: Arc::clone(&heard.activity),
        ..heard.clone()
    };
    match applied {
        Applied::Done | Applied::Repeated | Applied::Ignored("not_wanted" | "not_a_dao") => {
            let posted = posts::hear::on_post(tx, &as_post).await?;
            match (applied, posted) {
                (Applied::Done, _) | (_, Applied::Done) => Ok(Applied::Done),
                (Applied::Repeated, _) => Ok(Applied::Repeated),
                (_, posted) => Ok(posted),
            }
        }
        refused => Ok(refused),
    }
}

async fn keep(tx: &mut Tx, heard: &Incoming, object: &Value, is_fetched: bool) -> Result<Applied> {
    if object.get("mo:dao").and_then(vocab::id) != Some(heard.author.uri.as_str()) {
        return Ok(Applied::Refused("not_owner"));
    }
    let mut read = match question::read(object) {
        Ok(read) => read,
        Err(reason) => return Ok(Applied::Refused(reason)),
    };
    if let Some(read) = read.as_object_mut() {
        read.insert("author".to_owned(), json!(heard.author.id));
        read.insert("is_fetched".to_owned(), json!(is_fetched));
    }
    let mut take =
        Statement::<(Text, Nullable<SqlUuid>)>::new("select verdict, id from hub.take_proposal(");
    take.text(read.to_string()).sql("::jsonb)");
    let rows: Vec<(String, Option<Uuid>)> = tx
        .as_hub(async |tx| tx.load(take.clone()).await)
        .await
        .map_err(|error| match error.told() {
            // What does not fit a row is the peer's fault, not ours.
            Some(told) => Error::invalid("proposal.unfit", told.message.clone()),
            None => error,
        })?;
    let verdict = rows.into_iter().next().unwrap_or_default().0;
    Ok(match verdict.as_str() {
        "new" | "changed" => Applied::Done,
        "repeated" => Applied::Repeated,
        "older" => Applied::Ignored("older"),
        "not_wanted" => Applied::Ignored("not_wanted"),
        "not_a_dao" => Applied::Ignored("not_a_dao"),
        "local_object" => Applied::Refused("local_object"),
        "number_taken" => Applied::Refused("number_taken"),
        _ => Applied::Refused("not_owner"),
    })
}
