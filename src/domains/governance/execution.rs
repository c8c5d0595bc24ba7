//! What a passed proposal does, once and in one transaction with its mark: pay from the treasury, take a member in or send one
//! away, change a rule, publish a text. What cannot be done leaves it passed, with the reason; those who run the DAO try
//! again (R37).

use diesel::sql_types::Uuid as SqlUuid;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::actions::{Action, read, rule_sql};
use super::daos::{self, Dao, Person};
use super::proposals::{self, Proposal};
use super::{closing, refusals, roll};
use crate::base::{Amount, Caller, Error, Result, text};
use crate::db::{Bind, Statement, Tx};
use crate::domains::commons::ledger::{self, Holder, Transfer};
use crate::domains::social::actors as people;
use crate::fed::actors::{self, time};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;
use crate::jobs::{Attempt, Job};
use crate::node::Node;

/// Carry out what has passed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Execute {
    pub proposal: Uuid,
}

impl Job for Execute {
    const KEY: &'static str = "governance.execute";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let done = node
            .db
            .write(&Caller::Hub, async |tx| execute(tx, self.proposal).await)
            .await;
        match done {
            Ok(()) => Ok(()),
            Err(error) if error.is_transient() => Err(error),
            // Nothing of it happened; why stays with the proposal.
            Err(error) => {
                let reason = error.to_string();
                node.db
                    .write(&Caller::Hub, async |tx| {
                        note_failure(tx, self.proposal, &reason).await
                    })
                    .await
            }
        }
    }
}

/// Do it and mark it, or neither.
async fn execute(tx: &mut Tx, id: Uuid) -> Result<()> {
    let mut mark = Statement::<SqlUuid>::new(
        "update public.proposals set status = 'executed', execution_error = null, \
         version = greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint) \
         where status = 'passed' and action_payload is not null and id = ",
    );
    mark.bind(Bind::Uuid(id)).sql(" returning id");
    let marked: Vec<Uuid> = tx.load(mark).await?;
    if marked.is_empty() {
        return Ok(());
    }
    let proposal = proposals::by_id(tx, id)
        .await?
        .ok_or_else(proposals::missing)?;
    let dao = daos::by_id(tx, proposal.dao_id)
        .await?
        .ok_or_else(proposals::missing)?;
    let payload = proposal.action_payload.clone().unwrap_or_default();
    let action = read(&payload).map_err(|reason| Error::invalid("proposal.action", reason))?;

    perform(tx, &proposal, &dao, action).await?;

    tell_changed(tx, &proposal, &dao).await?;
    proposals::tell(tx, &proposal, &dao, "proposal.executed").await
}

async fn tell_changed(tx: &mut Tx, proposal: &Proposal, dao: &Dao) -> Result<()> {
    if let Some(voice) = daos::voice(tx, dao).await? {
        let also = closing::voters(tx, proposal.id).await?;
        proposals::say(tx, proposal, &voice, "Update", also).await?;
    }
    Ok(())
}

async fn note_failure(tx: &mut Tx, id: Uuid, reason: &str) -> Result<()> {
    note_not_executed(tx, id, reason, "passed").await
}

/// What was carried out came to nothing, since others had to do their part: it is passed again, with the reason.
pub async fn note_refusal(tx: &mut Tx, id: Uuid, reason: &str) -> Result<()> {
    note_not_executed(tx, id, reason, "executed").await
}

async fn note_not_executed(tx: &mut Tx, id: Uuid, reason: &str, was: &str) -> Result<()> {
    let mut note = Statement::<()>::new(
        "update public.proposals set status = 'passed', executed_at = null, execution_error = ",
    );
    note.text(text::excerpt(reason, 1_000))
        .sql(", version = greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint) where status = ")
        .text(was)
        .sql(" and id = ")
        .bind(Bind::Uuid(id));
    tx.run(note).await?;
    let Some(proposal) = proposals::by_id(tx, id).await? else {
        return Ok(());
    };
    let Some(dao) = daos::by_id(tx, proposal.dao_id).await? else {
        return Ok(());
    };
    tell_changed(tx, &proposal, &dao).await?;
    proposals::tell(tx, &proposal, &dao, "proposal.not_executed").await
}

async fn perform(tx: &mut Tx, proposal: &Proposal, dao: &Dao, action: Action) -> Result<()> {
    match action {
        Action::Transfer { to, amount, memo } => {
            let amount = amount
                .parse()
                .map_err(|_| Error::invalid("ledger.amount", "It is no amount."))?;
            transfer(tx, proposal, dao, &to, amount, memo).await
        }
        Action::Admit { actor, role } => {
            let (person, _) = person(tx, &actor).await?;
            let role = role.as_deref().unwrap_or("member");
            roll::let_in(tx, dao, person, role, false).await
        }
        Action::Remove { actor } => {
            let (person, _) = person(tx, &actor).await?;
            roll::send_away(tx, dao, person).await.map(drop)
        }
        Action::SetRule { rule, value } => {
            let mut set = rule_sql(&rule, &value)
                .map_err(|reason| Error::invalid("proposal.action", reason))?;
            set.sql(" where id = ").bind(Bind::Uuid(dao.id));
            tx.run(set).await?;
            roll::tell_changed(tx, dao).await
        }
        Action::Publish { title, content } => publish(tx, proposal, dao, &title, &content).await,
    }
}

/// An account by its id, or anybody by name or address.
async fn person(tx: &mut Tx, named: &str) -> Result<(Person, Option<String>)> {
    if let Ok(id) = named.parse::<Uuid>() {
        let person = Person::User(id);
        return Ok((person, daos::address(tx, person).await?));
    }
    let known = people::named(tx, named).await?;
    let person = Person::of(&known).ok_or_else(|| {
        Error::invalid(
            "dao.not_a_person",
            "Only people and agents belong to a DAO.",
        )
    })?;
    Ok((person, Some(known.uri)))
}

async fn transfer(
    tx: &mut Tx,
    proposal: &Proposal,
    dao: &Dao,
    to: &str,
    amount: Amount,
    memo: Option<String>,
) -> Result<()> {
    let (holder, uri) = match daos_account(tx, to).await? {
        Some(dao) => (Holder::Dao(dao), None),
        None => match person(tx, to).await? {
            (Person::User(id), uri) => (Holder::User(id), uri),
            (Person::Actor(id), uri) => (Holder::Actor(id), uri),
        },
    };
    let document = refusals::next_document(tx, proposal.id).await?;
    let booking = Transfer {
        from: Holder::Dao(dao.id),
        to: holder,
        unit: "CREDIT",
        community: None,
        amount,
        agreement: &document,
        memo: memo.clone().or_else(|| Some(proposal.title.clone())),
        exchange: None,
        hold: None,
    };
    ledger::book(tx, &booking).await?;
    // To a member elsewhere it is said, signed by the DAO, and booked there under this address.
    let (Holder::Actor(_), Some(uri)) = (holder, uri) else {
        return Ok(());
    };
    let Some(voice) = daos::voice(tx, dao).await? else {
        return Ok(());
    };
    let at = time(proposal.as_of());
    let object = json!({
        "type": "Document", "id": document, "attributedTo": voice.uri, "name": proposal.title,
        "content": format!("<p>{} CREDIT from the treasury: {}</p>", amount, text::escaped(&proposal.title)),
        "published": at, "updated": at, "to": [uri],
        "mo:kind": "mo:EconomicEvent", "action": "transfer", "provider": voice.uri, "receiver": uri,
        "resourceQuantity": { "hasUnit": "CREDIT", "hasNumericalValue": amount.to_string() },
        "mo:resultOf": proposal.federated_ap_id, "mo:memo": memo,
    });
    let mut object = object;
    if let Some(object) = object.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    let object =
        crate::domains::social::posts::show::proven(tx, object, &voice, proposal.as_of()).await?;
    let outgoing = Outgoing {
        actor: voice.id,
        activity: json!({ "type": "Create", "object": object }),
        to: vec![uri],
        cc: Vec::new(),
        about: Some(document),
        also: Vec::new(),
        is_private: true,
    };
    outbox::publish(tx, outgoing).await.map(drop)
}

async fn daos_account(tx: &mut Tx, named: &str) -> Result<Option<Uuid>> {
    let Ok(id) = named.parse::<Uuid>() else {
        return Ok(None);
    };
    Ok(daos::by_id(tx, id)
        .await?
        .filter(|dao| !dao.is_elsewhere())
        .map(|dao| dao.id))
}

/// A text of the DAO's own, to everybody.
async fn publish(
    tx: &mut Tx,
    proposal: &Proposal,
    dao: &Dao,
    title: &str,
    content: &str,
) -> Result<()> {
    let voice = daos::voice(tx, dao)
        .await?
        .ok_or_else(|| Error::conflict("dao.not_public", "Nobody outside knows of this DAO."))?;
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.posts (id, owner_id, author_actor_id, type, title, content, content_html, visibility, federated_ap_id, sent_at) \
         select n.id, ",
    );
    let Some(owner) = dao.owner_id else {
        return Err(proposals::missing());
    };
    let html = text::html(content);
    let base = actors::base(tx)?;
    insert
        .bind(Bind::Uuid(owner))
        .sql(", ")
        .bind(Bind::Uuid(voice.id))
        .sql(", 'Article', ")
        .text(title)
        .sql(", ")
        .text(content)
        .sql(", ")
        .text(&html)
        .sql(", 'public', ")
        .text(format!("{base}/ap/posts/"))
        .sql(" || n.id, now() from (select hub.uuid_v7()) n (id) returning id");
    let ids: Vec<Uuid> = tx.load(insert).await?;
    let id = ids.into_iter().next().ok_or_else(proposals::missing)?;
    let at = time(proposal.as_of());
    let object = json!({
        "type": "Article", "id": format!("{base}/ap/posts/{id}"), "attributedTo": voice.uri, "name": title,
        "content": html, "contentMap": { "en": html },
        "source": { "content": content, "mediaType": "text/markdown" },
        "published": at, "updated": at, "to": [PUBLIC], "cc": [voice.followers()],
    });
    let outgoing = Outgoing {
        actor: voice.id,
        activity: json!({ "type": "Create", "object": object }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![voice.followers()],
        about: Some(format!("{base}/ap/posts/{id}")),
        also: Vec::new(),
        is_private: false,
    };
    outbox::publish(tx, outgoing).await.map(drop)
}

/// Which proposal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    id: Uuid,
}

/// Try again what could not be carried out.
pub async fn retry(tx: &mut Tx, input: Which) -> Result<Value> {
    let (proposal, dao) = proposals::seen(tx, &input.id.to_string()).await?;
    daos::officer(tx, &dao).await?;
    if proposal.status != "passed" || proposal.action_payload.is_none() {
        return Err(Error::conflict(
            "proposal.nothing_to_execute",
            "It has not passed, was carried out, or decides nothing that the hub does.",
        ));
    }
    tx.as_hub(async |tx| execute(tx, proposal.id).await).await?;
    let done = proposals::by_id(tx, proposal.id)
        .await?
        .ok_or_else(proposals::missing)?;
    Ok(proposals::shown(&done))
}
