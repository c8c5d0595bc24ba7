//! Votes of this hub's people on what a DAO elsewhere asks: signed, sent to it, and kept until it says what became of them.

use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::daos::Dao;
use super::proposals::{self, Proposal};
use super::votes::{Cast, note, refusal};
use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::posts::show::proven;
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};

/// Send a vote to the DAO's hub; what it says of it comes later.
pub async fn send(
    tx: &mut Tx,
    input: &Cast,
    person: Uuid,
    proposal: &Proposal,
    dao: &Dao,
    me: Option<Local>,
) -> Result<Value> {
    let me = me.ok_or_else(|| {
        Error::conflict(
            "actor.not_public",
            "The DAO lives elsewhere and cannot see you: make your profile public first.",
        )
    })?;
    let now = clock::now();
    if proposal.status != "active" || proposal.voting_closes_at.is_some_and(|ends| ends < now) {
        return Err(refusal("closed"));
    }
    let (Some(to), Some(_)) = (dao.federated_ap_id.clone(), &proposal.federated_ap_id) else {
        return Err(proposals::missing());
    };
    let before = sent_before(tx, proposal.id, person).await?;
    let changes = proposal
        .rules
        .as_ref()
        .is_some_and(|rules| rules.get("mo:changeVote") == Some(&Value::Bool(true)));
    if before.is_some() && !changes {
        return Err(refusal("already_voted"));
    }

    let uri = format!("{}/ap/votes/{}", actors::base(tx)?, Uuid::now_v7());
    let mut vote = note(input, &me, proposal, &uri, now, before);
    if let Some(vote) = vote.as_object_mut() {
        vote.insert("to".to_owned(), json!([to]));
    }
    let vote = proven(tx, vote, &me, now).await?;
    let outgoing = Outgoing {
        actor: me.id,
        activity: json!({ "type": "Create", "object": vote }),
        to: vec![to],
        cc: Vec::new(),
        about: proposal.federated_ap_id.clone(),
        also: Vec::new(),
        is_private: true,
    };
    let id = keep_sent(tx, input, person, proposal, &vote, &uri).await?;
    outbox::publish(tx, outgoing).await?;

    Ok(json!({ "id": id, "proposal": proposal.id, "choice": input.choice, "state": "sent" }))
}

async fn sent_before(tx: &mut Tx, proposal: Uuid, person: Uuid) -> Result<Option<String>> {
    let mut select = Statement::<Nullable<Text>>::new(
        "select v.federated_ap_id from public.votes v where v.answer in ('sent', 'recorded') and v.proposal_id = ",
    );
    select
        .bind(Bind::Uuid(proposal))
        .sql(" and v.user_id = ")
        .bind(Bind::Uuid(person));
    let rows: Vec<Option<String>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows.into_iter().flatten().next())
}

async fn keep_sent(
    tx: &mut Tx,
    input: &Cast,
    person: Uuid,
    proposal: &Proposal,
    vote: &Value,
    uri: &str,
) -> Result<Uuid> {
    let mut keep = Statement::<SqlUuid>::new(
        "insert into public.votes (proposal_id, user_id, choice, rationale, ballot, published_at, federated_ap_id, answer) values (",
    );
    keep.bind(Bind::Uuid(proposal.id))
        .sql(", ")
        .bind(Bind::Uuid(person))
        .sql(", ")
        .text(&input.choice)
        .sql(", ")
        .bind(Bind::Text(input.rationale.clone()))
        .sql(", ")
        .text(vote.to_string())
        .sql("::jsonb, now(), ")
        .text(uri)
        .sql(
            ", 'sent') on conflict (proposal_id, user_id) do update set choice = excluded.choice, rationale = excluded.rationale, \
             ballot = excluded.ballot, published_at = excluded.published_at, federated_ap_id = excluded.federated_ap_id, \
             cast_at = now(), answer = 'sent' returning id",
        );
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(keep.clone()).await).await?;
    ids.into_iter().next().ok_or_else(proposals::missing)
}
