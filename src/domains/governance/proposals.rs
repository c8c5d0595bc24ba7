//! Proposals: a member's draft is opened, asked to everybody who follows the DAO, and from then on stands as it is. A draft
//! for a DAO elsewhere is offered to it.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::closing::Close;
use super::daos::{self, Dao, Person};
use super::{actions, question};
use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::{self as people, Known};
use crate::events;
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;
use crate::jobs::{self, Order};

/// A row of `proposals`.
#[derive(Clone, Debug, Deserialize)]
pub struct Proposal {
    pub id: Uuid,
    pub author_id: Option<Uuid>,
    pub origin_actor_id: Option<Uuid>,
    pub dao_id: Uuid,
    pub dao_slug: Option<String>,
    pub title: String,
    pub description: Option<String>,
    pub action_payload: Option<Value>,
    pub status: String,
    pub votes_yes: i64,
    pub votes_no: i64,
    pub votes_abstain: i64,
    pub number: Option<i64>,
    pub rules: Option<Value>,
    pub tally: Option<Value>,
    pub version: i64,
    pub ballots_digest: Option<String>,
    pub execution_error: Option<String>,
    pub voting_opens_at: Option<DateTime<Utc>>,
    pub voting_closes_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub federated_ap_id: Option<String>,
}

impl Proposal {
    /// When the vote was opened.
    pub fn opened(&self) -> DateTime<Utc> {
        self.voting_opens_at.unwrap_or(self.created_at)
    }

    /// When it became as it is now.
    pub fn as_of(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.version)
            .filter(|at| *at > self.opened())
            .unwrap_or_else(|| self.opened())
    }

    /// Its page, under the DAO's name.
    pub fn page(&self, base: &str) -> String {
        // A name that does not fit into an address, or that looks like the id of another DAO, is none.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        let name = self.dao_slug.as_deref().filter(|name| {
            !name.trim_matches('.').is_empty()
                && name.chars().all(is_plain)
                && name.parse::<Uuid>().is_err()
        });
        let dao = name.map_or_else(|| self.dao_id.to_string(), str::to_owned);
        format!("{base}/dao/{dao}/proposals/{}", self.number.unwrap_or(1))
    }

    /// What a rule says.
    pub fn rule(&self, name: &str) -> Option<&str> {
        self.rules.as_ref()?.get(name)?.as_str()
    }
}

const ROW: &str = "select to_jsonb(p) || jsonb_build_object('dao_slug', d.slug) from public.proposals p \
     join public.daos d on d.id = p.dao_id where ";

/// A proposal by its row, whoever asks.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Proposal>> {
    let mut select = Statement::new(ROW);
    select.sql("p.id = ").bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// A proposal by its address, whoever asks.
pub async fn by_uri(tx: &mut Tx, uri: &str) -> Result<Option<Proposal>> {
    let mut select = Statement::new(ROW);
    select.sql("p.federated_ap_id = ").text(uri);
    tx.hub_one(select).await
}

/// No such proposal, for this caller.
pub fn missing() -> Error {
    Error::missing("proposal.not_found", "There is no such proposal.")
}

/// A proposal that the caller may know of, with its DAO: by id if he reads the row; by address also if its DAO is public.
pub async fn seen(tx: &mut Tx, named: &str) -> Result<(Proposal, Dao)> {
    let found = match named.trim().parse::<Uuid>() {
        Ok(id) => by_id(tx, id).await?,
        Err(_) => by_uri(tx, named.trim()).await?,
    };
    let proposal = found.ok_or_else(missing)?;
    let dao = daos::by_id(tx, proposal.dao_id)
        .await?
        .ok_or_else(missing)?;
    if dao.is_public() && proposal.status != "draft" {
        return Ok((proposal, dao));
    }
    let mut reads = Statement::<SqlUuid>::new("select p.id from public.proposals p where p.id = ");
    reads.bind(Bind::Uuid(proposal.id));
    let rows: Vec<Uuid> = tx.load(reads).await?;
    match rows.is_empty() {
        false => Ok((proposal, dao)),
        true => Err(missing()),
    }
}

/// Which proposal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    id: Uuid,
}

/// Put a draft to the vote; one for a DAO elsewhere is offered to it.
pub async fn open(tx: &mut Tx, input: Which) -> Result<Value> {
    let (proposal, dao) = seen(tx, &input.id.to_string()).await?;
    if proposal.status != "draft" {
        return Err(Error::conflict(
            "proposal.not_a_draft",
            "It was put to the vote already.",
        ));
    }
    let person = daos::signed_in(tx).await?;
    if dao.is_elsewhere() {
        return super::offers::offer(tx, &proposal, &dao, person).await;
    }
    let membership = daos::membership(tx, dao.id, Person::User(person)).await?;
    let may = membership.is_some_and(|member| match member.role.as_str() {
        "owner" | "admin" => true,
        "member" => proposal.author_id == Some(person),
        _ => false,
    });
    if !may {
        return Err(Error::forbidden(
            "proposal.not_yours",
            "Its author or those who run the DAO open it.",
        ));
    }
    if let Some(payload) = &proposal.action_payload {
        actions::read(payload).map_err(|reason| {
            Error::invalid("proposal.action", format!("action_payload: {reason}"))
        })?;
    }

    let opened = begin(tx, proposal.id, &dao).await?;

    Ok(shown(&opened))
}

/// Open a vote: number, window and electorate are written down, and everybody is asked.
pub async fn begin(tx: &mut Tx, id: Uuid, dao: &Dao) -> Result<Proposal> {
    let voice = daos::voice(tx, dao).await?;
    let uri = match &voice {
        Some(_) => Some(format!("{}/ap/proposals/{id}", actors::base(tx)?)),
        None => None,
    };
    // The DAO's row is held while the number is given.
    let mut open = Statement::<BigInt>::new(
        "with held as (select d.id, d.voting_period_h from public.daos d where d.id = ",
    );
    open.bind(Bind::Uuid(dao.id))
        .sql(" for update), opened as (update public.proposals p set status = 'active', voting_opens_at = now(), \
             voting_closes_at = now() + make_interval(hours => coalesce(h.voting_period_h, 168)), \
             number = coalesce((select max(o.number) from public.proposals o where o.dao_id = h.id), 0) + 1, \
             version = (extract(epoch from clock_timestamp()) * 1000)::bigint, federated_ap_id = ")
        .bind(Bind::Text(uri))
        .sql(" from held h where p.dao_id = h.id and p.status = 'draft' and p.id = ")
        .bind(Bind::Uuid(id))
        .sql(" returning p.id) select count(*) from opened");
    let mut count = Statement::<(BigInt, Text)>::new(
        "select eligible::bigint, trim_scale(electorate)::text from hub.tallies where proposal_id = ",
    );
    count.bind(Bind::Uuid(id));
    let (eligible, weight) = tx
        .as_hub(async |tx| {
            let opened: Vec<i64> = tx.load(open.clone()).await?;
            if opened != [1] {
                return Err(Error::conflict(
                    "proposal.not_a_draft",
                    "It was put to the vote already.",
                ));
            }
            let rows: Vec<(i64, String)> = tx.load(count.clone()).await?;
            Ok(rows.into_iter().next().unwrap_or_default())
        })
        .await?;
    if eligible == 0 {
        return Err(Error::conflict(
            "proposal.nobody_votes",
            "The DAO has nobody who may vote.",
        ));
    }
    let rules = question::rules(dao, eligible, &weight, clock::now());
    let mut write = Statement::<()>::new("update public.proposals set rules = ");
    write
        .text(rules.to_string())
        .sql("::jsonb where id = ")
        .bind(Bind::Uuid(id));
    let mut show = Statement::<Nullable<Text>>::new("select hub.show_tally(");
    show.bind(Bind::Uuid(id)).sql(")::text");
    tx.as_hub(async |tx| {
        tx.run(write.clone()).await?;
        tx.load::<_, Option<String>>(show.clone()).await.map(drop)
    })
    .await?;
    let proposal = by_id(tx, id).await?.ok_or_else(missing)?;

    if let Some(voice) = voice {
        let also = super::closing::voters(tx, id).await?;
        say(tx, &proposal, &voice, "Create", also).await?;
    }
    let order = Order {
        at: proposal
            .voting_closes_at
            .map(|at| at + chrono::TimeDelta::seconds(super::closing::GRACE)),
        key: Some(format!("governance.close:{id}")),
        ..Order::default()
    };
    jobs::enqueue(tx, &Close { proposal: id }, order).await?;
    tell(tx, &proposal, dao, "proposal.opened").await?;
    Ok(proposal)
}

/// Say a proposal as it is now, to the public, the DAO's followers, its proposer and whoever else has it.
pub async fn say(
    tx: &mut Tx,
    proposal: &Proposal,
    voice: &Local,
    how: &str,
    also: Vec<String>,
) -> Result<()> {
    let proposer = proposer(tx, proposal).await?;
    let base = actors::base(tx)?;
    let object = question::write(proposal, voice, proposer.as_ref(), &base);
    let mut cc = vec![voice.followers()];
    cc.extend(proposer.map(|proposer| proposer.uri));
    let outgoing = Outgoing {
        actor: voice.id,
        activity: json!({ "type": how, "object": object }),
        to: vec![PUBLIC.to_owned()],
        cc,
        about: proposal.federated_ap_id.clone(),
        also,
        is_private: false,
    };
    outbox::publish(tx, outgoing).await.map(drop)
}

/// Who put it forward, as an actor that others may know.
pub async fn proposer(tx: &mut Tx, proposal: &Proposal) -> Result<Option<Known>> {
    if let Some(actor) = proposal.origin_actor_id {
        return people::by_id(tx, actor).await;
    }
    let Some(author) = proposal.author_id else {
        return Ok(None);
    };
    match actors::of_row(tx, "user", author).await? {
        Some(actor) if !actor.is_gone() && actor.is_shown && actor.suspended_at.is_none() => {
            people::by_id(tx, actor.id).await
        }
        _ => Ok(None),
    }
}

/// Members of this hub hear of it through whoever put it forward; rules hear the word.
pub async fn tell(tx: &mut Tx, proposal: &Proposal, dao: &Dao, word: &str) -> Result<()> {
    let event = events::Event {
        word,
        kind: "proposals",
        row: proposal.id,
        owner: proposal.author_id.or(dao.owner_id),
    };
    events::emit(tx, event).await.map(drop)
}

/// Call a vote off, before anything is decided.
pub async fn cancel(tx: &mut Tx, input: Which) -> Result<Value> {
    let (proposal, dao) = seen(tx, &input.id.to_string()).await?;
    let person = daos::signed_in(tx).await?;
    let is_own_draft = proposal.status == "draft" && proposal.author_id == Some(person);
    if !is_own_draft {
        daos::officer(tx, &dao).await?;
    }
    let mut lock =
        Statement::<SqlUuid>::new("select t.proposal_id from hub.tallies t where t.proposal_id = ");
    lock.bind(Bind::Uuid(proposal.id)).sql(" for update");
    let mut cancel = Statement::<()>::new(
        "update public.proposals set status = 'cancelled', version = greatest(version + 1, \
         (extract(epoch from clock_timestamp()) * 1000)::bigint) where status in ('draft', 'active') and id = ",
    );
    cancel.bind(Bind::Uuid(proposal.id));
    let done = tx
        .as_hub(async |tx| {
            let _: Vec<Uuid> = tx.load(lock.clone()).await?;
            tx.run(cancel.clone()).await
        })
        .await?;
    if done == 0 {
        return Err(Error::conflict(
            "proposal.is_over",
            "It is decided: that stands.",
        ));
    }
    let cancelled = by_id(tx, proposal.id).await?.ok_or_else(missing)?;
    if proposal.status == "active"
        && let Some(voice) = daos::voice(tx, &dao).await?
    {
        let also = super::closing::voters(tx, proposal.id).await?;
        say(tx, &cancelled, &voice, "Update", also).await?;
    }
    tell(tx, &cancelled, &dao, "proposal.cancelled").await?;
    Ok(shown(&cancelled))
}

/// What an action answers with.
pub fn shown(proposal: &Proposal) -> Value {
    json!({
        "id": proposal.id, "status": proposal.status, "number": proposal.number, "uri": proposal.federated_ap_id,
        "rules": proposal.rules, "tally": proposal.tally, "voting_opens_at": proposal.voting_opens_at,
        "voting_closes_at": proposal.voting_closes_at, "execution_error": proposal.execution_error,
    })
}
