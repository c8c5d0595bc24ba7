//! Votes as they come in: from hubs with a signature of their own, from every other server as a click in a poll. Members
//! decide; what others say is told beside it. Hubs get an answer, others never asked for one.

use std::collections::HashMap;

use diesel::sql_types::{Bool, Integer, Text, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ballots;
use super::daos::{self, Person};
use super::proposals::{self, Proposal};
use super::votes::{self, Handed, LONGEST_RATIONALE, Taken};
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::limits::{self, Deed};
use crate::fed::actors::Local;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab;
use crate::fed::vouch::{self, Vouched};
use crate::node::incoming::{Applied, Incoming};

/// Longest votes that are kept, in bytes.
const LONGEST: usize = 16 * 1024;
const LONGEST_URI: usize = 2_000;

/// Somebody voted. Many come at once, so the rights that counting needs are taken once for each.
pub async fn on_vote(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    tx.as_hub(async |tx| voted(tx, heard).await).await
}

async fn voted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(asked) = asked(heard) else {
        return Ok(Applied::Ignored("no_question"));
    };
    let Some(proposal) = proposals::by_uri(tx, asked).await? else {
        // the vote may have overtaken its question only where the question is ours to know, and ours always is.
        return Ok(Applied::Ignored("no_such_question"));
    };
    let Some(uri) = vocab::id(&heard.object).filter(|uri| uri.len() <= LONGEST_URI) else {
        return Ok(Applied::Refused("no_id"));
    };
    if limits::take(tx, Deed::Vote, heard.author.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }
    let Some(choice) = ballots::choice(&heard.object) else {
        return refused(tx, heard, &proposal, "unknown_option").await;
    };
    let size = heard.object.to_string().len();
    if size > LONGEST {
        return Ok(Applied::Refused("too_long"));
    }
    let attestation = match attested(tx, heard).await? {
        Ok(attestation) => attestation,
        Err(applied) => return Ok(applied),
    };
    let handed = handed(heard, &proposal, choice, uri, attestation);

    let taken = votes::take(tx, handed).await?;

    match taken.verdict.as_str() {
        "counted" | "changed" => {
            answer(tx, heard, &proposal, Some(&taken), "").await?;
            Ok(Applied::Done)
        }
        "repeated" => Ok(Applied::Repeated),
        "older" => Ok(Applied::Ignored("older")),
        "id_taken" => Ok(Applied::Refused("id_taken")),
        "advisory" => refused(tx, heard, &proposal, "not_eligible").await,
        "already_voted" => refused(tx, heard, &proposal, "already_voted").await,
        _ => refused(tx, heard, &proposal, "closed").await,
    }
}

fn handed<'a>(
    heard: &Incoming,
    proposal: &'a Proposal,
    choice: &'a str,
    uri: &str,
    attestation: &'static str,
) -> Handed<'a> {
    let said = |name: &str| heard.object.get(name).and_then(Value::as_str);
    let published = said("published")
        .filter(|at| chrono::DateTime::parse_from_rfc3339(at).is_ok())
        .map(str::to_owned);
    Handed {
        proposal,
        voter: Person::Actor(heard.author.id),
        choice,
        uri: uri.to_owned(),
        published,
        rationale: said("mo:rationale")
            .filter(|text| text.len() <= LONGEST_RATIONALE)
            .map(str::to_owned),
        attestation: Some(attestation),
        vote: Some(heard.object.clone()),
        received: Some(heard.id),
    }
}

/// Many clicks in polls at once. Whatever is to be answered or looked at more closely is heard by itself: what hubs say, what
/// brings a proof, and what names no choice.
pub async fn on_votes(tx: &mut Tx, heard: &[Incoming]) -> Result<Vec<Option<Applied>>> {
    let hubs = hubs_among(tx, heard).await?;
    let mut proposals: HashMap<&str, Option<Proposal>> = HashMap::new();
    for asked in heard.iter().filter_map(asked) {
        if !proposals.contains_key(asked) {
            let proposal = proposals::by_uri(tx, asked).await?;
            proposals.insert(asked, proposal);
        }
    }

    let mut all = vec![None; heard.len()];
    let mut given = Vec::with_capacity(heard.len());
    for (nth, (heard, applied)) in heard.iter().zip(&mut all).enumerate() {
        let proposal = asked(heard).and_then(|asked| proposals.get(asked)?.as_ref());
        let (Some(proposal), Some(choice), Some(uri)) = (
            proposal,
            ballots::choice(&heard.object),
            vocab::id(&heard.object).filter(|uri| uri.len() <= LONGEST_URI),
        ) else {
            continue;
        };
        let is_special = heard.object.get("proof").is_some()
            || hubs.contains(&heard.author.id)
            || heard.object.to_string().len() > LONGEST;
        if is_special {
            continue;
        }
        if limits::take(tx, Deed::Vote, heard.author.id).is_err() {
            *applied = Some(Applied::Refused("too_often"));
            continue;
        }
        let handed = handed(heard, proposal, choice, uri, "http-signature");
        let mut vote = votes::given(&handed)?;
        if let Some(vote) = vote.as_object_mut() {
            vote.insert("nth".to_owned(), json!(nth));
            vote.insert("voter".to_owned(), json!(heard.author.uri));
        }
        given.push(vote);
    }

    let mut take = Statement::<(Integer, Text, Bool)>::new(
        "select nth, verdict, is_news from hub.take_votes(",
    );
    take.text(Value::Array(given).to_string()).sql("::jsonb)");
    let verdicts: Vec<(i32, String, bool)> = tx.load(take).await?;
    for (nth, verdict, is_news) in verdicts {
        let nth = usize::try_from(nth).unwrap_or(usize::MAX);
        let (Some(one), Some(heard)) = (all.get_mut(nth), heard.get(nth)) else {
            continue;
        };
        let proposal = asked(heard).and_then(|asked| proposals.get(asked)?.as_ref());
        if let (Some(proposal), true) = (proposal, is_news) {
            votes::tell_soon(tx, proposal).await?;
        }
        *one = Some(match verdict.as_str() {
            "counted" | "changed" => Applied::Done,
            "repeated" => Applied::Repeated,
            "older" => Applied::Ignored("older"),
            "id_taken" => Applied::Refused("id_taken"),
            "advisory" => not_counted(heard, "not_eligible"),
            "already_voted" => not_counted(heard, "already_voted"),
            _ => not_counted(heard, "closed"),
        });
    }
    Ok(all)
}

/// The question that a vote answers.
fn asked(heard: &Incoming) -> Option<&str> {
    heard.object.get("inReplyTo").and_then(vocab::id)
}

/// Those of the authors that are a hub's.
async fn hubs_among(tx: &mut Tx, heard: &[Incoming]) -> Result<Vec<Uuid>> {
    let authors = heard.iter().map(|heard| Some(heard.author.id.to_string()));
    let mut select = Statement::<SqlUuid>::new(
        "select a.id from public.ap_actors a where a.is_hub and a.id = any (",
    );
    select.bind(Bind::Texts(authors.collect())).sql("::uuid[])");
    tx.load(select).await
}

/// What vouches for a vote: its own proof, or only the request's signature. A proof that is none counts for nothing.
async fn attested(tx: &mut Tx, heard: &Incoming) -> Result<Result<&'static str, Applied>> {
    Ok(
        match vouch::vouched(tx, &heard.object, &heard.author.uri).await? {
            Vouched::Yes(_) => Ok("proof"),
            Vouched::NoProof => Ok("http-signature"),
            Vouched::No(reason) => Err(Applied::Refused(reason)),
            Vouched::UnknownKey if heard.missing.contains(&heard.author.uri) => {
                Err(Applied::Refused("proof_key"))
            }
            Vouched::UnknownKey => Err(Applied::Needs(heard.author.uri.clone())),
        },
    )
}

/// It does not count: one line in the log, and one answer to a hub. What was noted of it stays.
async fn refused(
    tx: &mut Tx,
    heard: &Incoming,
    proposal: &Proposal,
    reason: &'static str,
) -> Result<Applied> {
    answer(tx, heard, proposal, None, reason).await?;
    Ok(not_counted(heard, reason))
}

fn not_counted(heard: &Incoming, reason: &'static str) -> Applied {
    tracing::info!(
        event = "vote_not_counted",
        reason,
        peer_domain = %heard.author.host,
        activity_id = %heard.uri,
    );
    Applied::Done
}

async fn answer(
    tx: &mut Tx,
    heard: &Incoming,
    proposal: &Proposal,
    taken: Option<&Taken>,
    reason: &str,
) -> Result<()> {
    if !is_hub(tx, heard).await? {
        return Ok(());
    }
    let Some(dao) = daos::by_id(tx, proposal.dao_id).await? else {
        return Ok(());
    };
    let Some(voice) = daos::voice(tx, &dao).await? else {
        return Ok(());
    };
    let activity = match taken {
        Some(taken) => json!({
            "type": "Accept",
            "object": heard.uri,
            "result": {
                "type": "Note",
                "content": "Vote recorded",
                "mo:kind": "mo:VoteReceipt",
                "mo:ballotIndex": taken.index,
                "mo:weight": taken.weight,
            },
        }),
        None => {
            json!({ "type": "Reject", "object": heard.uri, "content": reason, "mo:reason": reason })
        }
    };
    say(tx, &voice, &heard.author.uri, activity, proposal).await
}

async fn say(
    tx: &mut Tx,
    voice: &Local,
    to: &str,
    activity: Value,
    proposal: &Proposal,
) -> Result<()> {
    let outgoing = Outgoing {
        actor: voice.id,
        activity,
        to: vec![to.to_owned()],
        cc: Vec::new(),
        about: proposal.federated_ap_id.clone(),
        also: Vec::new(),
        is_private: true,
    };
    outbox::publish(tx, outgoing).await.map(drop)
}

async fn is_hub(tx: &mut Tx, heard: &Incoming) -> Result<bool> {
    let mut select =
        Statement::<Bool>::new("select a.is_hub from public.ap_actors a where a.id = ");
    select.bind(Bind::Uuid(heard.author.id));
    let rows: Vec<bool> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows == [true])
}

/// The DAO's hub has answered a vote of ours; not mine if it was no vote.
pub async fn on_answered(
    tx: &mut Tx,
    heard: &Incoming,
    asked: &str,
    is_yes: bool,
) -> Result<Applied> {
    let mut select = Statement::<(Text, Text)>::new(
        "select v.id::text, d.federated_ap_id from public.ap_activities x join public.votes v on v.federated_ap_id = x.object_uri \
         join public.proposals p on p.id = v.proposal_id join public.daos d on d.id = p.dao_id \
         where v.user_id is not null and d.origin_actor_id is not null and x.type = 'Create' and x.uri = ",
    );
    select.text(asked);
    let rows: Vec<(String, String)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some((vote, dao)) = rows.into_iter().next() else {
        return Ok(Applied::NotMine);
    };
    if dao != heard.author.uri {
        return Ok(Applied::Refused("not_addressee"));
    }
    let result = heard.activity.get("result");
    let index = result
        .and_then(|result| result.get("mo:ballotIndex")?.as_i64())
        .filter(|index| (1..=i64::from(i32::MAX)).contains(index));
    let word = match is_yes {
        true => "recorded".to_owned(),
        false => ["mo:reason", "content"]
            .iter()
            .filter_map(|name| heard.activity.get(*name).and_then(Value::as_str))
            .find(|reason| {
                matches!(
                    *reason,
                    "not_eligible" | "closed" | "already_voted" | "unknown_option"
                )
            })
            .unwrap_or("declined")
            .to_owned(),
    };
    let mut note = Statement::<()>::new("update public.votes set answer = ");
    // A number that the DAO gave to another of ours already is none.
    let index = Bind::Text(index.map(|index| index.to_string()));
    note.text(word)
        .sql(", ballot_index = (select n from (select ")
        .bind(index)
        .sql("::int) g (n) where not exists (select from public.votes o where o.proposal_id = votes.proposal_id \
             and o.id <> votes.id and o.ballot_index = g.n)) where id = ")
        .text(vote)
        .sql("::uuid");
    tx.as_hub(async |tx| tx.run(note.clone()).await.map(drop))
        .await?;
    Ok(Applied::Done)
}
