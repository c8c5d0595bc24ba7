//! What of governance others may fetch: proposals with their replies and ballots, votes whose voters are shown, results, and
//! who belongs to a public DAO.

use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::affiliations;
use super::ballots::{self, Ballot};
use super::daos::{self, Dao};
use super::proposals::{self, Proposal};
use super::question;
use super::results;
use super::tally::{Cast, Verdict};
use super::votes;
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::posts::show::proven;
use crate::fed::actors::{self, Local};
use crate::fed::collections;
use crate::node::incoming::{Part, Shown, Wanted};

/// How many ballots a page has: they are read by machines.
const BALLOTS: i64 = 200;

/// A proposal of a public DAO of this hub.
pub async fn proposal(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let Some((proposal, voice)) = public(tx, id).await? else {
        return Ok(None);
    };
    let object = document(tx, &proposal, &voice).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: true,
    }))
}

async fn document(tx: &mut Tx, proposal: &Proposal, voice: &Local) -> Result<Value> {
    let proposer = proposals::proposer(tx, proposal).await?;
    let base = actors::base(tx)?;
    let object = question::write(proposal, voice, proposer.as_ref(), &base);
    proven(tx, object, voice, proposal.as_of()).await
}

async fn public(tx: &mut Tx, id: Uuid) -> Result<Option<(Proposal, Local)>> {
    let Some(proposal) = proposals::by_id(tx, id).await? else {
        return Ok(None);
    };
    let was_said = proposal.federated_ap_id.is_some() && proposal.rules.is_some();
    let Some(dao) = daos::by_id(tx, proposal.dao_id).await? else {
        return Ok(None);
    };
    if !was_said || dao.is_elsewhere() {
        return Ok(None);
    }
    Ok(daos::voice(tx, &dao).await?.map(|voice| (proposal, voice)))
}

/// Replies to a proposal, or its ballots.
pub async fn part(tx: &mut Tx, id: Uuid, collection: &str, wanted: Wanted) -> Result<Option<Part>> {
    let Some((proposal, _)) = public(tx, id).await? else {
        return Ok(None);
    };
    match collection {
        "ballots" if proposal.rule("mo:ballot") != Some("secret") => {
            cast(tx, id, wanted).await.map(Some)
        }
        "replies" => replies(tx, &votes::address_of(&proposal), wanted)
            .await
            .map(Some),
        _ => Ok(None),
    }
}

async fn cast(tx: &mut Tx, id: Uuid, wanted: Wanted) -> Result<Part> {
    let mut count = Statement::<BigInt>::new(
        "select count(*) from public.votes v where v.ballot_hash is not null and v.proposal_id = ",
    );
    count.bind(Bind::Uuid(id));
    let totals: Vec<i64> = tx.as_hub(async |tx| tx.load(count.clone()).await).await?;
    let total = totals.first().copied().unwrap_or_default();
    let Wanted::Page(after) = wanted else {
        return Ok(Part {
            total,
            ..Part::default()
        });
    };
    type Row = (BigInt, Text, Nullable<Text>, Text, Text, Nullable<Jsonb>);
    let mut page = Statement::<Row>::new(
        "select v.ballot_index::bigint, trim_scale(v.weight)::text, v.attestation, v.choice, v.ballot_hash, v.ballot \
         from public.votes v where v.ballot_hash is not null and v.proposal_id = ",
    );
    page.bind(Bind::Uuid(id));
    if let Some(after) = after.and_then(|after| after.parse::<i32>().ok()) {
        page.sql(" and v.ballot_index < ")
            .bind(Bind::Int(i64::from(after)));
    }
    page.sql(" order by v.ballot_index desc limit ")
        .bind(Bind::Int(BALLOTS + 1));
    type Found = (i64, String, Option<String>, String, String, Option<Value>);
    let rows: Vec<Found> = tx.as_hub(async |tx| tx.load(page.clone()).await).await?;
    let most = usize::try_from(BALLOTS).unwrap_or(usize::MAX);
    let next = match rows.len() > most {
        true => rows.get(most - 1).map(|row| row.0.to_string()),
        false => None,
    };
    let items =
        rows.into_iter()
            .take(most)
            .map(|(index, weight, attestation, choice, hash, vote)| {
                ballots::item(Ballot {
                    index,
                    weight: &weight,
                    attestation: attestation.as_deref(),
                    choice: &choice,
                    hash: &hash,
                    vote,
                })
            });
    Ok(Part {
        total,
        items: items.collect(),
        next,
    })
}

async fn replies(tx: &mut Tx, uri: &str, wanted: Wanted) -> Result<Part> {
    let from = "public.posts x where x.visibility in ('public', 'unlisted') and x.hidden_at is null \
         and x.federated_ap_id is not null and x.in_reply_to = ";
    collections::listed(
        tx,
        from,
        Some(Bind::Text(Some(uri.to_owned()))),
        "x.federated_ap_id",
        wanted,
    )
    .await
}

/// A vote of somebody of this hub, if the voter is shown.
pub async fn vote(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let uri = format!("{}/ap/votes/{id}", actors::base(tx)?);
    Ok(votes::document(tx, &uri)
        .await?
        .filter(|(_, is_public)| *is_public)
        .map(|(object, is_public)| Shown::Object { object, is_public }))
}

/// What a vote came to, as a note; its id is the proposal's.
pub async fn result(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let Some((proposal, voice)) = public(tx, id).await? else {
        return Ok(None);
    };
    let verdict = match proposal.status.as_str() {
        "passed" | "executed" => Verdict::Passed,
        "rejected" => Verdict::Rejected,
        "quorum_failed" => Verdict::QuorumFailed,
        _ => return Ok(None),
    };
    let weight = |name: &str| {
        let text = proposal.tally.as_ref()?.get(name)?.as_str()?;
        text.parse().ok()
    };
    let electorate = proposal
        .rule("mo:eligibleWeight")
        .and_then(|weight| weight.parse().ok());
    let cast = Cast {
        yes: weight("mo:yes").unwrap_or_default(),
        no: weight("mo:no").unwrap_or_default(),
        abstain: weight("mo:abstain").unwrap_or_default(),
        electorate: electorate.unwrap_or_default(),
    };
    let base = actors::base(tx)?;
    let note = results::result(&proposal, &voice, verdict, &cast, &base);
    let at = proposal
        .voting_closes_at
        .unwrap_or_else(|| proposal.as_of());
    let object = proven(tx, note, &voice, at).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: true,
    }))
}

/// Nothing stands for an actor but its own document.
pub async fn nothing(_: &mut Tx, _: Uuid) -> Result<Option<Shown>> {
    Ok(None)
}

/// What a DAO has beside what every actor has: its members, how each belongs to it, and what it put to the vote.
pub async fn of_actor(
    tx: &mut Tx,
    id: Uuid,
    collection: &str,
    wanted: Wanted,
) -> Result<Option<Part>> {
    if !matches!(collection, "members" | "affiliations" | "proposals") {
        return Ok(None);
    }
    let Some(actor) = actors::by_id(tx, id).await?.filter(|it| it.kind == "dao") else {
        return Ok(None);
    };
    let dao = match actor.row_id {
        Some(row) => daos::by_id(tx, row).await?,
        None => None,
    };
    let Some(dao) = dao.filter(Dao::is_public) else {
        return Ok(None);
    };
    match collection {
        "members" => {
            let from = "public.dao_members x join public.ap_actors a on a.deleted_at is null and \
                 (a.id = x.actor_id or (a.kind = 'user' and a.row_id = x.user_id)) where x.dao_id = ";
            collections::listed(tx, from, Some(Bind::Uuid(dao.id)), "a.uri", wanted)
                .await
                .map(Some)
        }
        "affiliations" => affiliations::all(tx, &dao, &actor, wanted).await.map(Some),
        _ => asked(tx, &dao, &actor, wanted).await.map(Some),
    }
}

async fn asked(tx: &mut Tx, dao: &Dao, voice: &Local, wanted: Wanted) -> Result<Part> {
    let from = "public.proposals x where x.federated_ap_id is not null and x.rules is not null and x.dao_id = ";
    let mut part =
        collections::listed(tx, from, Some(Bind::Uuid(dao.id)), "x.id::text", wanted).await?;
    let mut full = Vec::with_capacity(part.items.len());
    for id in collections::ids(&part) {
        if let Some(proposal) = proposals::by_id(tx, id).await? {
            full.push(document(tx, &proposal, voice).await?);
        }
    }
    part.items = full;
    Ok(part)
}

/// Every public DAO of this hub, as its actor's document, newest first.
pub async fn exported_daos(tx: &mut Tx, _: Uuid, _: &str, wanted: Wanted) -> Result<Option<Part>> {
    let from = "public.daos x join public.ap_actors a on a.kind = 'dao' and a.row_id = x.id and a.deleted_at is null \
         and a.suspended_at is null where x.origin_actor_id is null and coalesce(x.is_public, true)";
    let mut part = collections::listed(tx, from, None, "a.id::text", wanted).await?;
    let mut full = Vec::with_capacity(part.items.len());
    for id in collections::ids(&part) {
        if let Some(actor) = actors::by_id(tx, id).await?.filter(|actor| actor.is_shown) {
            full.push(actors::document(tx, &actor).await?);
        }
    }
    part.items = full;
    Ok(Some(part))
}

/// Everything that public DAOs of this hub put to the vote, newest first.
pub async fn exported_proposals(
    tx: &mut Tx,
    _: Uuid,
    _: &str,
    wanted: Wanted,
) -> Result<Option<Part>> {
    let from = "public.proposals x join public.daos o on o.id = x.dao_id and o.origin_actor_id is null and coalesce(o.is_public, true) \
         where x.federated_ap_id is not null and x.rules is not null";
    let mut part = collections::listed(tx, from, None, "x.id::text", wanted).await?;
    let mut full = Vec::with_capacity(part.items.len());
    for id in collections::ids(&part) {
        if let Some((proposal, voice)) = public(tx, id).await? {
            full.push(document(tx, &proposal, &voice).await?);
        }
    }
    part.items = full;
    Ok(Some(part))
}

/// A proposal of a public DAO by its number.
pub async fn by_number(tx: &mut Tx, slug: &str, number: i32) -> Result<Option<Shown>> {
    let Some(dao) = daos::public_by_slug(tx, slug).await? else {
        return Ok(None);
    };
    let mut select = Statement::<SqlUuid>::new("select id from public.proposals where dao_id = ");
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" and number = ")
        .bind(Bind::Int(i64::from(number)));
    let rows: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    match rows.into_iter().next() {
        Some(id) => proposal(tx, id).await,
        None => Ok(None),
    }
}
