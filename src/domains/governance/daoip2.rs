//! A public DAO in the words of DAOIP-2, for whoever lists and compares DAOs: itself, its members, its proposals, what was
//! done and by what rules; its decisions as a feed and its deadlines as a calendar.

use diesel::sql_types::{BigInt, Text};
use serde_json::{Value, json};

use super::calendar::{atom, calendar, decided, open};
use super::daos::{self, Dao};
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors;

const CONTEXT: &str = "http://www.daostar.org/schemas";
/// How much of each list is told.
const MOST: i64 = 10_000;
/// What is asked for, by the last part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sheet {
    Dao,
    Members,
    Proposals,
    Activity,
    Governance,
    Decisions,
    Deadlines,
}

impl Sheet {
    /// By the name in its address.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "daoip2.json" => Self::Dao,
            "members.json" => Self::Members,
            "proposals.json" => Self::Proposals,
            "activity.json" => Self::Activity,
            "governance.md" => Self::Governance,
            "decisions.atom" => Self::Decisions,
            "deadlines.ics" => Self::Deadlines,
            _ => return None,
        })
    }

    /// In which form it is.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Governance => "text/markdown; charset=utf-8",
            Self::Decisions => "application/atom+xml; charset=utf-8",
            Self::Deadlines => "text/calendar; charset=utf-8",
            _ => "application/ld+json",
        }
    }
}

/// A sheet of a DAO; none where there is no such DAO for everybody.
pub async fn sheet(tx: &mut Tx, slug: &str, sheet: Sheet) -> Result<Option<String>> {
    let Some(dao) = daos::public_by_slug(tx, slug).await? else {
        return Ok(None);
    };
    let Some(voice) = actors::of_row(tx, "dao", dao.id)
        .await?
        .filter(|voice| voice.is_shown && !voice.is_gone() && voice.suspended_at.is_none())
    else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let here = format!(
        "{base}/dao/{}",
        dao.slug.clone().unwrap_or_else(|| dao.id.to_string())
    );
    Ok(Some(match sheet {
        Sheet::Dao => about(&dao, &here).to_string(),
        Sheet::Members => members(tx, &dao).await?.to_string(),
        Sheet::Proposals => proposals(tx, &dao, &here).await?.to_string(),
        Sheet::Activity => activity(tx, &dao).await?.to_string(),
        Sheet::Governance => governance(&dao),
        Sheet::Decisions => atom(&dao, &voice, &here, &decided(tx, &dao).await?),
        Sheet::Deadlines => calendar(&dao, &here, &open(tx, &dao).await?),
    }))
}

fn about(dao: &Dao, here: &str) -> Value {
    json!({
        "@context": CONTEXT,
        "type": "DAO",
        "name": dao.name,
        "description": dao.description.as_deref().unwrap_or_default(),
        "membersURI": format!("{here}/members.json"),
        "proposalsURI": format!("{here}/proposals.json"),
        "activityLogURI": format!("{here}/activity.json"),
        "governanceURI": format!("{here}/governance.md"),
    })
}

async fn members(tx: &mut Tx, dao: &Dao) -> Result<Value> {
    let mut select = Statement::<Text>::new(
        "select a.uri from public.dao_members m join public.ap_actors a on a.deleted_at is null \
         and (a.id = m.actor_id or (a.kind = 'user' and a.row_id = m.user_id)) where m.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" order by m.id limit ")
        .bind(Bind::Int(MOST));
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let members: Vec<Value> = rows
        .into_iter()
        .map(|uri| json!({ "type": "Member", "id": uri }))
        .collect();
    Ok(json!({ "@context": CONTEXT, "type": "DAO", "name": dao.name, "members": members }))
}

async fn proposals(tx: &mut Tx, dao: &Dao, here: &str) -> Result<Value> {
    let mut select = Statement::<(Text, Text, Text, BigInt)>::new(
        "select p.federated_ap_id, p.title, p.status, p.number::bigint from public.proposals p \
         where p.federated_ap_id is not null and p.number is not null and p.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" order by p.number desc limit ")
        .bind(Bind::Int(MOST));
    let rows: Vec<(String, String, String, i64)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let proposals: Vec<Value> = rows
        .into_iter()
        .map(|(uri, title, status, number)| {
            let page = format!("{here}/proposals/{number}");
            json!({
                "type": "proposal", "id": uri, "name": title, "contentURI": page,
                "discussionURI": format!("{page}#replies"), "status": status,
            })
        })
        .collect();
    Ok(json!({ "@context": CONTEXT, "type": "DAO", "name": dao.name, "proposals": proposals }))
}

async fn activity(tx: &mut Tx, dao: &Dao) -> Result<Value> {
    // What a voter has signed is his to be seen with; pseudonyms and secret ballots are nobody's activity.
    let mut select = Statement::<(Text, Text, Text, Text)>::new(
        "select v.federated_ap_id, p.federated_ap_id, a.uri, 'vote' from public.votes v join public.proposals p on p.id = v.proposal_id \
         join public.ap_actors a on a.deleted_at is null and (a.id = v.actor_id or (a.kind = 'user' and a.row_id = v.user_id)) \
         where v.is_open and v.attestation = 'proof' and v.federated_ap_id is not null and p.federated_ap_id is not null \
         and p.rules ->> 'mo:ballot' is distinct from 'secret' and p.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" order by v.id desc limit ")
        .bind(Bind::Int(MOST));
    let rows: Vec<(String, String, String, String)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let activities: Vec<Value> = rows
        .into_iter()
        .map(|(uri, proposal, member, kind)| {
            json!({
                "id": uri, "type": "activity", "activity": { "type": kind, "proposal": proposal },
                "member": { "type": "Member", "id": member },
            })
        })
        .collect();
    Ok(json!({ "@context": CONTEXT, "type": "DAO", "name": dao.name, "activities": activities }))
}

fn governance(dao: &Dao) -> String {
    let percent = |value: Option<i64>| value.unwrap_or(51);
    let of = match dao.threshold_base.as_str() {
        "cast" => "all ballots",
        "electorate" => "all members",
        _ => "yes and no",
    };
    let joined = match dao.membership.as_str() {
        "open" => "Whoever wants to joins.",
        "invite" => "Whoever is asked joins.",
        _ => "Whoever asks is let in or not by the stewards.",
    };
    let ballots = match dao.ballot.as_str() {
        "secret" => "Ballots are secret.",
        _ => "Ballots are public.",
    };
    let changed = match dao.change_vote {
        true => "A ballot can be replaced while the vote is open.",
        false => "A ballot stands as it was cast first.",
    };
    format!(
        "# How {} decides\n\n- A vote takes {} hours.\n- At least {} % of the members must vote.\n\
         - It passes at {} % of {of}, if yes outnumbers no.\n- {ballots}\n- {changed}\n- {joined}\n{}",
        dao.name.replace(['\n', '\r'], " "),
        dao.voting_period_h.unwrap_or(168),
        percent(dao.quorum_pct),
        percent(dao.pass_threshold),
        dao.bylaws
            .as_ref()
            .map(|bylaws| format!("\n## Bylaws\n\n{bylaws}\n"))
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sheet_has_one_name() {
        assert_eq!(Sheet::named("daoip2.json"), Some(Sheet::Dao));
        assert_eq!(Sheet::named("secrets.json"), None);
    }
}
