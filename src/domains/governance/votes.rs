//! Voting: a member of this hub casts a ballot here or sends it to the DAO's hub, signed; and lets another vote for him.
//! One ballot per member; who votes again replaces it where the rules let him (R34).

use diesel::sql_types::{Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ballots;
use super::daos::{self, Person};
use super::proposals::{self, Proposal};
use super::votes_away;
use crate::base::error::Told;
use crate::base::{Error, Result, clock};
use crate::db::{Statement, Tx};
use crate::domains::social::actors as people;
use crate::domains::social::limits::{self, Deed};
use crate::domains::social::posts::show::proven;
use crate::fed::actors::{self, Local, time};

/// Longest rationales, in bytes.
pub const LONGEST_RATIONALE: usize = 5_000;

/// What came of a ballot.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// counted, changed, repeated, older, advisory, or a reason of R30.
    pub verdict: String,
    pub index: Option<i32>,
    pub weight: Option<String>,
    /// There was nothing to tell before.
    pub is_news: bool,
    pub vote: Option<Uuid>,
}

/// A ballot as it is handed to the database.
#[derive(Clone, Debug)]
pub struct Handed<'a> {
    pub proposal: &'a Proposal,
    pub voter: Person,
    pub choice: &'a str,
    pub uri: String,
    pub published: Option<String>,
    pub rationale: Option<String>,
    /// proof, http-signature; none for a session of this hub.
    pub attestation: Option<&'static str>,
    /// As it was signed or received; none where there is no document.
    pub vote: Option<Value>,
    /// The activity that brought it.
    pub received: Option<Uuid>,
}

/// Have a ballot counted.
pub async fn take(tx: &mut Tx, handed: Handed<'_>) -> Result<Taken> {
    let given = given(&handed)?;
    type Row = (
        Text,
        Nullable<Integer>,
        Nullable<Text>,
        Bool,
        Nullable<SqlUuid>,
    );
    let mut take = Statement::<Row>::new(
        "select verdict, ballot_index, weight, is_news, vote from hub.take_vote(",
    );
    take.text(given.to_string()).sql("::jsonb)");
    type Found = (String, Option<i32>, Option<String>, bool, Option<Uuid>);
    let rows: Vec<Found> = tx.as_hub(async |tx| tx.load(take.clone()).await).await?;
    let Some((verdict, index, weight, is_news, vote)) = rows.into_iter().next() else {
        return Ok(Taken::default());
    };
    if is_news {
        tell_soon(tx, handed.proposal).await?;
    }
    Ok(Taken {
        verdict,
        index,
        weight,
        is_news,
        vote,
    })
}

/// There is something new to tell of a vote.
pub async fn tell_soon(tx: &mut Tx, proposal: &Proposal) -> Result<()> {
    let voters = proposal
        .tally
        .as_ref()
        .and_then(|tally| tally.get("mo:voters")?.as_i64());
    super::closing::tell_soon(tx, proposal.id, voters.unwrap_or_default()).await
}

/// A ballot as `hub.take_vote` takes it.
pub fn given(handed: &Handed<'_>) -> Result<Value> {
    let place = address_of(handed.proposal);
    let anonymous = ballots::anonymous(&place, handed.choice);
    let (column, voter) = match handed.voter {
        Person::User(id) => ("user", id),
        Person::Actor(id) => ("actor", id),
    };
    let canonical = match &handed.vote {
        Some(vote) => ballots::canonical(vote)?,
        None => ballots::canonical(&anonymous)?,
    };
    let mut given = json!({
        "proposal": handed.proposal.id,
        "choice": handed.choice,
        "uri": handed.uri,
        "published": handed.published,
        "rationale": handed.rationale,
        "attestation": handed.attestation,
        "vote": handed.vote,
        "canonical": canonical,
        "anonymous": ballots::canonical(&anonymous)?,
        "received": handed.received,
        "many": if handed.received.is_some() { "on" } else { "off" },
    });
    if let Some(given) = given.as_object_mut() {
        given.insert(column.to_owned(), json!(voter));
    }
    Ok(given)
}

/// Under which address a proposal is voted on.
pub fn address_of(proposal: &Proposal) -> String {
    proposal
        .federated_ap_id
        .clone()
        .unwrap_or_else(|| format!("urn:uuid:{}", proposal.id))
}

/// How somebody votes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// Its id, or its address.
    proposal: String,
    pub choice: String,
    pub rationale: Option<String>,
}

/// Vote.
pub async fn cast(tx: &mut Tx, input: Cast) -> Result<Value> {
    let person = daos::signed_in(tx).await?;
    if ballots::name_of(&input.choice).is_none() {
        return Err(Error::invalid(
            "vote.unknown_option",
            "choice is yes, no or abstain.",
        ));
    }
    if input
        .rationale
        .as_ref()
        .is_some_and(|text| text.len() > LONGEST_RATIONALE)
    {
        return Err(Error::invalid(
            "vote.too_long",
            "A rationale has at most 5,000 bytes.",
        ));
    }
    let (proposal, dao) = proposals::seen(tx, &input.proposal).await?;
    if proposal.status == "draft" {
        return Err(refusal("closed"));
    }
    limits::take_or_refuse(tx, Deed::Vote, person)?;
    let me = me(tx, person).await?;
    match dao.is_elsewhere() {
        false => cast_here(tx, &input, person, &proposal, me).await,
        true => votes_away::send(tx, &input, person, &proposal, &dao, me).await,
    }
}

/// The voter as others see him; none if they don't.
async fn me(tx: &mut Tx, person: Uuid) -> Result<Option<Local>> {
    let actor = people::own(tx, person).await?;
    if actor
        .as_ref()
        .is_some_and(|actor| actor.suspended_at.is_some())
    {
        return Err(Error::forbidden(
            "actor.suspended",
            "This account is suspended.",
        ));
    }
    Ok(actor.filter(|actor| !actor.is_gone() && actor.is_shown))
}

async fn cast_here(
    tx: &mut Tx,
    input: &Cast,
    person: Uuid,
    proposal: &Proposal,
    me: Option<Local>,
) -> Result<Value> {
    let id = Uuid::now_v7();
    let uri = format!("{}/ap/votes/{id}", actors::base(tx)?);
    let now = clock::now();
    let is_secret = proposal.rule("mo:ballot") == Some("secret");
    let signed = match (&me, proposal.federated_ap_id.as_deref()) {
        (Some(me), Some(_)) if !is_secret => {
            let note = note(input, me, proposal, &uri, now, None);
            Some(proven(tx, note, me, now).await?)
        }
        _ => None,
    };
    let handed = Handed {
        proposal,
        voter: Person::User(person),
        choice: &input.choice,
        uri,
        published: Some(time(now)),
        rationale: input.rationale.clone(),
        attestation: signed.as_ref().map(|_| "proof"),
        vote: signed,
        received: None,
    };
    let taken = take(tx, handed).await?;
    match taken.verdict.as_str() {
        "counted" | "changed" | "repeated" => Ok(json!({
            "id": taken.vote, "proposal": proposal.id, "choice": input.choice, "state": "recorded",
            "ballot_index": taken.index, "weight": taken.weight,
        })),
        reason => Err(refusal(reason)),
    }
}

/// A refusal in words.
pub fn refusal(reason: &str) -> Error {
    match reason {
        "closed" => Error::conflict("vote.closed", "There is no vote on it at this time."),
        "already_voted" | "older" => Error::conflict(
            "vote.already_voted",
            "You have voted, and votes stand here.",
        ),
        _ => Error::Forbidden(Box::new(Told::new(
            "vote.not_eligible",
            "Only those vote who were members when it was opened.",
        ))),
    }
}

/// A vote as it is signed.
pub fn note(
    input: &Cast,
    me: &Local,
    proposal: &Proposal,
    uri: &str,
    now: chrono::DateTime<chrono::Utc>,
    before: Option<String>,
) -> Value {
    let mut note = json!({
        "type": "Note",
        "id": uri,
        "attributedTo": me.uri,
        "inReplyTo": proposal.federated_ap_id,
        "name": ballots::name_of(&input.choice),
        "published": time(now),
        "mo:kind": "mo:Vote",
        "mo:choice": input.choice,
    });
    if let Some(note) = note.as_object_mut() {
        if let Some(rationale) = &input.rationale {
            note.insert("mo:rationale".to_owned(), json!(rationale));
        }
        if let Some(before) = before {
            note.insert("mo:supersedes".to_owned(), json!(before));
        }
    }
    note
}

/// A vote as its row has it, for whoever may see it: its document.
pub async fn document(tx: &mut Tx, uri: &str) -> Result<Option<(Value, bool)>> {
    let mut select = Statement::<(Nullable<Jsonb>, Bool)>::new(
        "select v.ballot, v.is_open and v.answer is null and p.rules ->> 'mo:ballot' is distinct from 'secret' and p.federated_ap_id is not null \
         from public.votes v join public.proposals p on p.id = v.proposal_id \
         where v.user_id is not null and v.federated_ap_id = ",
    );
    select.text(uri);
    let rows: Vec<(Option<Value>, bool)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows
        .into_iter()
        .next()
        .and_then(|(vote, is_public)| Some((vote?, is_public))))
}
