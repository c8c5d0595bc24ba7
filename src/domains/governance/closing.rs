//! What happens to a vote by itself: the count is told while it changes, at the end it is closed and its result said. What
//! others have heard can be counted again, to the last ballot.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::ballots::Digest;
use super::daos::{self, Dao};
use super::execution::Execute;
use super::proposals::{self, Proposal};
use super::results;
use super::tally::{Base, Cast, Rules, Verdict};
use crate::base::{Caller, Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Attempt, Job, Lane, Order};
use crate::node::Node;

/// How long votes that were cast in time may be under way, in seconds.
pub const GRACE: i64 = 60;
/// How long others have to send what they could not, once the hub is back (R34).
const AFTER_OUTAGE: TimeDelta = TimeDelta::minutes(15);
/// How long counts are gathered before they are told.
const DEBOUNCE: TimeDelta = TimeDelta::seconds(30);
/// The same where many hear of it.
const DEBOUNCE_LARGE: TimeDelta = TimeDelta::minutes(5);
/// From how many voters on.
const LARGE: i64 = 500;
/// How many ballots are read at a time.
const PAGE: i64 = 2_000;

/// Since when this process can take votes.
static SINCE: LazyLock<DateTime<Utc>> = LazyLock::new(clock::now);

/// Note the time of the start.
pub fn begin() {
    LazyLock::force(&SINCE);
}

/// When a vote is closed: a minute after its end; if the hub was away since it was opened, not before others had time to
/// send what they had for it.
fn due(opened: DateTime<Utc>, ends: DateTime<Utc>, since: DateTime<Utc>) -> DateTime<Utc> {
    let regular = ends + TimeDelta::seconds(GRACE);
    match since > opened {
        true => regular.max(since + AFTER_OUTAGE),
        false => regular,
    }
}

/// Tell the count of a vote to everybody who has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellTally {
    pub proposal: Uuid,
}

impl Job for TellTally {
    const KEY: &'static str = "governance.tell_tally";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        node.db
            .write(&Caller::Hub, async |tx| {
                let mut lower = Statement::<SqlUuid>::new(
                    "update hub.tallies set is_due = false where is_due and proposal_id = ",
                );
                lower
                    .bind(Bind::Uuid(self.proposal))
                    .sql(" returning proposal_id");
                let was_due: Vec<Uuid> = tx.load(lower).await?;
                let Some((proposal, dao)) = open(tx, self.proposal)
                    .await?
                    .filter(|_| !was_due.is_empty())
                else {
                    return Ok(());
                };
                show(tx, proposal.id).await?;
                let Some(voice) = daos::voice(tx, &dao).await? else {
                    return Ok(());
                };
                let Some(proposal) = proposals::by_id(tx, proposal.id).await? else {
                    return Ok(());
                };
                let also = voters(tx, proposal.id).await?;
                proposals::say(tx, &proposal, &voice, "Update", also).await
            })
            .await
    }
}

/// There is something to tell: soon, and once for all that comes until then.
pub async fn tell_soon(tx: &mut Tx, proposal: Uuid, voters: i64) -> Result<()> {
    let wait = match voters >= LARGE {
        true => DEBOUNCE_LARGE,
        false => DEBOUNCE,
    };
    let order = Order {
        at: Some(clock::now() + wait),
        ..Order::default()
    };
    jobs::enqueue(tx, &TellTally { proposal }, order)
        .await
        .map(drop)
}

async fn show(tx: &mut Tx, proposal: Uuid) -> Result<()> {
    let mut show = Statement::<Nullable<Text>>::new("select hub.show_tally(");
    show.bind(Bind::Uuid(proposal)).sql(")::text");
    tx.load::<_, Option<String>>(show).await.map(drop)
}

async fn open(tx: &mut Tx, id: Uuid) -> Result<Option<(Proposal, Dao)>> {
    let Some(proposal) = proposals::by_id(tx, id).await? else {
        return Ok(None);
    };
    let Some(dao) = daos::by_id(tx, proposal.dao_id).await? else {
        return Ok(None);
    };
    let is_open = proposal.status == "active" && !dao.is_elsewhere();
    Ok(is_open.then_some((proposal, dao)))
}

/// One of those who may vote or have voted elsewhere for each inbox: they hear how it goes, whether they follow or not.
pub async fn voters(tx: &mut Tx, proposal: Uuid) -> Result<Vec<String>> {
    let mut select = Statement::<Text>::new(
        "select min(a.uri) from public.ap_actors a where a.kind is null and a.deleted_at is null and a.suspended_at is null and a.id in \
         (select e.actor_id from hub.electorate e where e.proposal_id = ",
    );
    select
        .bind(Bind::Uuid(proposal))
        .sql(" union all select x.actor_id from hub.advisory_votes x where x.proposal_id = ")
        .bind(Bind::Uuid(proposal))
        .sql(") group by coalesce(a.shared_inbox_url, a.inbox_url) limit 20000");
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}

/// Close a vote, once it is time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Close {
    pub proposal: Uuid,
}

impl Job for Close {
    const KEY: &'static str = "governance.close";
    const LANE: Lane = Lane::Interactive;

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        node.db
            .write(&Caller::Hub, async |tx| self.close(tx).await)
            .await
    }
}

impl Close {
    async fn close(&self, tx: &mut Tx) -> Result<()> {
        // Ballots wait behind this lock, and find the vote closed.
        let mut lock = Statement::<(Integer, Text, Timestamptz)>::new(
            "select t.eligible, trim_scale(t.electorate)::text, t.snapshot_at from hub.tallies t where t.proposal_id = ",
        );
        lock.bind(Bind::Uuid(self.proposal)).sql(" for update");
        let rows: Vec<(i32, String, DateTime<Utc>)> = tx.load(lock).await?;
        let Some((_, electorate, opened)) = rows.into_iter().next() else {
            return Ok(());
        };
        let Some((proposal, dao)) = open(tx, self.proposal).await? else {
            return Ok(());
        };
        let ends = proposal.voting_closes_at.unwrap_or(opened);
        let due = due(opened, ends, *SINCE);
        if due > clock::now() {
            let order = Order {
                at: Some(due),
                ..Order::default()
            };
            let again = Self {
                proposal: self.proposal,
            };
            return jobs::enqueue(tx, &again, order).await.map(drop);
        }

        let mut delegated = Statement::<Integer>::new("select hub.take_delegated(");
        delegated.bind(Bind::Uuid(proposal.id)).sql(")");
        let _: Vec<i32> = tx.load(delegated).await?;
        show(tx, proposal.id).await?;
        let digest = match proposal.rule("mo:ballot") {
            Some("secret") => None,
            _ => Some(digest(tx, proposal.id).await?),
        };
        let (cast, rules) = counted(tx, &proposal, &electorate).await?;
        let verdict = cast.verdict(&rules);

        write(tx, &proposal, verdict, &cast, &rules, digest).await?;

        self.tell(tx, &dao, verdict, &cast).await
    }

    async fn tell(&self, tx: &mut Tx, dao: &Dao, verdict: Verdict, cast: &Cast) -> Result<()> {
        let proposal = proposals::by_id(tx, self.proposal)
            .await?
            .ok_or_else(proposals::missing)?;
        if let Some(voice) = daos::voice(tx, dao).await? {
            let also = voters(tx, proposal.id).await?;
            proposals::say(tx, &proposal, &voice, "Update", also).await?;
            results::say(tx, &proposal, &voice, verdict, cast).await?;
        }
        let mut forget =
            Statement::<()>::new("delete from hub.advisory_votes where proposal_id = ");
        forget.bind(Bind::Uuid(proposal.id));
        tx.run(forget).await?;
        proposals::tell(tx, &proposal, dao, "proposal.closed").await?;
        if verdict == Verdict::Passed && proposal.action_payload.is_some() {
            let execute = Execute {
                proposal: proposal.id,
            };
            let order = Order {
                key: Some(format!("governance.execute:{}", proposal.id)),
                ..Order::default()
            };
            jobs::enqueue(tx, &execute, order).await?;
        }
        Ok(())
    }
}

/// The digest over all ballots, read page by page.
async fn digest(tx: &mut Tx, proposal: Uuid) -> Result<String> {
    let mut digest = Digest::new();
    loop {
        let mut page = Statement::<(BigInt, Text)>::new(
            "select v.ballot_index::bigint, v.ballot_hash from public.votes v where v.ballot_hash is not null and v.proposal_id = ",
        );
        page.bind(Bind::Uuid(proposal))
            .sql(" and v.ballot_index > ")
            .bind(Bind::Int(digest.lines()))
            .sql(" order by v.ballot_index limit ")
            .bind(Bind::Int(PAGE));
        let rows: Vec<(i64, String)> = tx.load(page).await?;
        let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for (index, hash) in rows {
            if index != digest.lines() + 1 {
                return Err(Error::broken(anyhow::anyhow!(
                    "ballot {} of {proposal} is not there",
                    digest.lines() + 1
                )));
            }
            digest.line(&hash);
        }
        if is_last {
            return Ok(digest.finish());
        }
    }
}

async fn counted(tx: &mut Tx, proposal: &Proposal, electorate: &str) -> Result<(Cast, Rules)> {
    let mut select = Statement::<(Text, Text, Text)>::new(
        "select trim_scale(yes)::text, trim_scale(no)::text, trim_scale(abstain)::text from hub.tallies where proposal_id = ",
    );
    select.bind(Bind::Uuid(proposal.id));
    let rows: Vec<(String, String, String)> = tx.load(select).await?;
    let (yes, no, abstain) = rows.into_iter().next().unwrap_or_default();
    let weight = |text: &str| text.parse().map_err(Error::broken);
    let cast = Cast {
        yes: weight(&yes)?,
        no: weight(&no)?,
        abstain: weight(&abstain)?,
        electorate: weight(electorate)?,
    };
    let share = |name: &str| {
        proposal
            .rule(name)
            .unwrap_or("0.51")
            .parse()
            .map_err(Error::broken)
    };
    let rules = Rules {
        quorum: share("mo:quorum")?,
        threshold: share("mo:threshold")?,
        base: Base::named(proposal.rule("mo:thresholdBase").unwrap_or_default()),
    };
    Ok((cast, rules))
}

async fn write(
    tx: &mut Tx,
    proposal: &Proposal,
    verdict: Verdict,
    cast: &Cast,
    rules: &Rules,
    digest: Option<String>,
) -> Result<()> {
    let is_met = cast.meets(rules.quorum);
    let end = json!({ "mo:quorumMet": is_met, "mo:turnout": cast.turnout() });
    let mut write = Statement::<()>::new("update public.proposals set status = ");
    write
        .text(verdict.name())
        .sql(format!(", quorum_reached = {is_met}, tally = tally || "))
        .text(end.to_string())
        .sql("::jsonb, ballots_digest = ")
        .bind(Bind::Text(digest))
        .sql(
            ", version = greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint) where id = ",
        )
        .bind(Bind::Uuid(proposal.id));
    tx.run(write).await?;
    let mut settled =
        Statement::<()>::new("update hub.tallies set is_due = false where proposal_id = ");
    settled.bind(Bind::Uuid(proposal.id));
    tx.run(settled).await.map(drop)
}

/// Close what should be closed and has no job any more.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloseDue {}

impl Job for CloseDue {
    const KEY: &'static str = "governance.close_due";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let due = Statement::<SqlUuid>::new(
            "select p.id from public.proposals p join hub.tallies t on t.proposal_id = p.id where p.status = 'active' \
             and p.voting_closes_at < now() - interval '20 minutes' limit 100",
        );
        let rows: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, due).await?;
        for proposal in rows {
            node.db
                .write(&Caller::Hub, async |tx| Close { proposal }.close(tx).await)
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_while_it_was_open_gives_time_to_send() {
        let at = |minutes: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let regular = at(100) + TimeDelta::seconds(GRACE);
        // Up since before it was opened.
        assert_eq!(due(at(10), at(100), at(0)), regular);
        // Away in the midst of it, long before the end.
        assert_eq!(due(at(10), at(100), at(50)), regular);
        // Back shortly before the end, or after it.
        assert_eq!(due(at(10), at(100), at(95)), at(110));
        assert_eq!(due(at(10), at(100), at(105)), at(120));
        // Back long after it: the wait begins then.
        assert_eq!(due(at(10), at(100), at(115)), at(130));
    }
}
