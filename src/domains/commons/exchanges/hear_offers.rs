//! Offers of people elsewhere to do what somebody here declared, and that they take them back. Whatever cannot be is answered
//! with its reason, once, and leaves no row.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::BigInt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bargain::{self, Bargain};
use super::state::Side;
use super::subject::{self, Named, Subject};
use super::{By, Deal, Kept, Party, by_uri, enter, locked, money, party, propose, wire};
use crate::base::{Result, clock, text};
use crate::db::{Statement, Tx};
use crate::domains::social::blocks;
use crate::domains::social::limits::{self, Deed};
use crate::fed::actors::{self, Local};
use crate::fed::meaning::recipients;
use crate::fed::{trust, vocab};
use crate::node::incoming::{Applied, Incoming};

/// Longest addresses and words that are kept.
const LONGEST_URI: usize = 2_000;

/// Somebody offers to do what was declared here.
pub async fn on_offer(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    tx.as_hub(async |tx| offered(tx, heard).await).await
}

async fn offered(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    if by_uri(tx, By::Offer(&heard.uri)).await?.is_some() {
        return Ok(Applied::Repeated);
    }
    let bargain = match Bargain::read(&heard.object) {
        Ok(bargain) => bargain,
        Err(reason) => {
            // Of whom it was asked is all that can be known.
            return match addressee(tx, heard).await? {
                Some(me) => answer(tx, &me, heard, reason).await,
                None => Ok(Applied::Refused(reason)),
            };
        }
    };
    let Some(subject) = subject::find(tx, Named::Own(bargain.subject())).await? else {
        return match addressee(tx, heard).await? {
            Some(me) => answer(tx, &me, heard, "not_active").await,
            None => Ok(Applied::Refused("unknown_subject")),
        };
    };
    let Some(me) = actors::by_id(tx, subject.actor)
        .await?
        .filter(|me| !me.is_gone() && me.is_shown && me.suspended_at.is_none())
    else {
        return Ok(Applied::Ignored("gone"));
    };
    if !recipients(&heard.activity).contains(&me.uri.as_str()) {
        return Ok(Applied::Refused("not_addressee"));
    }
    if blocks::is_between(tx, me.id, heard.author.id).await? {
        return answer(tx, &me, heard, "declined").await;
    }
    if limits::take(tx, Deed::Offer, heard.author.id).is_err() {
        return answer(tx, &me, heard, "too_often").await;
    }
    match read(tx, heard, &subject, bargain).await? {
        Ok(offered) => take(tx, heard, &me, &subject, offered).await,
        Err(reason) => answer(tx, &me, heard, reason).await,
    }
}

/// The one of this hub to whom it is addressed.
pub async fn addressee(tx: &mut Tx, heard: &Incoming) -> Result<Option<Local>> {
    let base = format!("{}/", actors::base(tx)?);
    for uri in recipients(&heard.activity)
        .into_iter()
        .filter(|uri| uri.starts_with(&base))
        .take(5)
    {
        if let Some(me) = actors::by_uri(tx, uri).await?
            && !me.is_gone()
            && me.is_shown
        {
            return Ok(Some(me));
        }
    }
    Ok(None)
}

/// Say no to an activity, with the reason, to whoever said it.
pub async fn answer(
    tx: &mut Tx,
    me: &Local,
    heard: &Incoming,
    reason: &'static str,
) -> Result<Applied> {
    tracing::info!(
        event = "trade_refused", reason, peer_domain = %heard.author.host, activity_id = %heard.uri
    );
    let other = Party {
        id: heard.author.id,
        uri: heard.author.uri.clone(),
        kind: None,
        row_id: None,
    };
    let context = context(heard).unwrap_or_else(|| heard.uri.clone());
    let said = wire::reject(&heard.uri, reason, None, None);
    wire::say(tx, me, &other, &context, said).await?;
    Ok(Applied::Done)
}

fn context(heard: &Incoming) -> Option<String> {
    let context = heard.activity.get("context").and_then(vocab::id)?;
    (context.len() <= LONGEST_URI && trust::same_origin(context, &heard.author.uri))
        .then(|| context.to_owned())
}

/// An offer that may stand.
struct Offered {
    bargain: Bargain,
    offer_link: Option<String>,
    need_link: Option<String>,
    expires: DateTime<Utc>,
    words: Option<String>,
    counters: Option<Deal>,
}

/// Read an offer, or say why it cannot stand.
async fn read(
    tx: &mut Tx,
    heard: &Incoming,
    subject: &Subject,
    bargain: Bargain,
) -> Result<Result<Offered, &'static str>> {
    let now = clock::now();
    let said = |name: &str| {
        heard
            .object
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let date = |text: &str| {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|at| at.with_timezone(&Utc))
    };
    let counters = match heard.activity.get("mo:counters").and_then(vocab::id) {
        None => None,
        Some(uri) => match by_uri(tx, By::Offer(uri)).await? {
            Some(old) if old.asker.id != heard.author.id => return Ok(Err("not_party")),
            Some(old) if old.kept.subject_uri != subject.uri => return Ok(Err("not_party")),
            Some(old) if old.kept.agreement.is_some() => return Ok(Err("already_accepted")),
            old => old,
        },
    };
    if !subject.is_open {
        return Ok(Err("not_active"));
    }
    let expires = match said("mo:expires") {
        None => now + TimeDelta::days(7),
        Some(text) => match date(text) {
            Some(at) if at <= now => return Ok(Err("expired")),
            Some(at) => at.min(now + TimeDelta::days(90)),
            None => return Ok(Err("expired")),
        },
    };
    let theirs = counters.as_ref().and_then(|old| old.kept.counter.as_ref());
    let is_his_own = theirs
        .and_then(|counter| Bargain::read(counter).ok())
        .is_some_and(|counter| counter.is(&bargain));
    if let Err(reason) = bargain::fits(&subject.terms, &subject.uri, &bargain, is_his_own) {
        return Ok(Err(reason));
    }

    // The pair it names: this, and something that is not somebody else's.
    let other = match subject.offers() {
        true => said("mo:need"),
        false => said("mo:offer"),
    };
    let other =
        other.filter(|uri| uri.len() <= LONGEST_URI && trust::same_origin(uri, &heard.author.uri));
    let (offer_link, need_link) = propose::links(subject, other);
    if let (Some(offer), Some(need)) = (&offer_link, &need_link)
        && let Some(ours) =
            propose::pending(tx, offer, need, subject.actor, heard.author.id).await?
        && let Some(mut ours) = locked(tx, ours).await?
    {
        // Two offers for one pair that cross: the one to whose the offer is stands (R27).
        if !subject.offers() {
            return Ok(Err("superseded"));
        }
        enter(tx, &mut ours, "rejected", json!({ "reason": "superseded" })).await?;
        money::release(tx, &mut ours).await?;
    }
    Ok(Ok(Offered {
        bargain,
        offer_link,
        need_link,
        expires,
        words: said("mo:terms").map(|words| text::excerpt(words, propose::LONGEST_WORDS)),
        counters,
    }))
}

/// Take an offer in: its row is there for whom it is made to.
async fn take(
    tx: &mut Tx,
    heard: &Incoming,
    me: &Local,
    subject: &Subject,
    offered: Offered,
) -> Result<Applied> {
    if let Some(mut old) = offered.counters {
        // It comes in place of the old one, which is answered too.
        if old.row.status == "proposed" {
            enter(tx, &mut old, "withdrawn", json!({ "reason": "superseded" })).await?;
            let said = wire::reject(&old.kept.offer_uri, "withdrawn", None, None);
            wire::say(tx, me, &old.asker.clone(), &old.kept.context, said).await?;
        }
    }
    let id = Uuid::now_v7();
    let proposer = party(tx, me.id).await?;
    let asker = party(tx, heard.author.id).await?;
    let kept = Kept {
        exchange_id: id,
        proposer_id: me.id,
        asker_id: heard.author.id,
        subject_kind: subject.kind.to_owned(),
        subject_id: subject.id,
        subject_uri: subject.uri.clone(),
        offer_link: offered.offer_link,
        need_link: offered.need_link,
        context: context(heard).unwrap_or_else(|| heard.uri.clone()),
        terms: propose::remembered(subject, &offered.bargain),
        payer: propose::payer(subject).map(str::to_owned),
        community: subject.community.clone(),
        offer_uri: heard.uri.clone(),
        offer: heard.activity.to_string(),
        offered_at: clock::now(),
        counters: heard
            .activity
            .get("mo:counters")
            .and_then(vocab::id)
            .filter(|uri| uri.len() <= LONGEST_URI)
            .map(str::to_owned),
        counter: None,
        accept_uri: None,
        agreement_uri: None,
        agreement: None,
        agreement_now: None,
        agreement_version: 0,
        is_reserved: false,
        is_bound: false,
        is_held: false,
        is_booked: false,
    };
    propose::put(
        tx,
        &kept,
        subject,
        None,
        (&proposer, &asker),
        offered.words.as_deref(),
        offered.expires,
    )
    .await?;
    if let Some(deal) = locked(tx, id).await? {
        super::tell(tx, &deal, "proposed").await?;
    }
    Ok(Applied::Done)
}

/// Somebody takes his offer back: unless it was accepted, it stands no more, and he is told which (R27).
pub async fn on_undone(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    tx.as_hub(async |tx| undone(tx, heard).await).await
}

async fn undone(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(uri) = vocab::id(&heard.object) else {
        return Ok(Applied::Ignored("no_object"));
    };
    let Some(mut deal) = by_uri(tx, By::Offer(uri)).await? else {
        return Ok(match is_under_way(tx, uri).await? {
            true => Applied::Waits("offer_under_way"),
            false => Applied::Ignored("nothing_to_undo"),
        });
    };
    if deal.asker.id != heard.author.id {
        return Ok(Applied::Refused("not_party"));
    }
    let Some(me) = actors::by_id(tx, deal.proposer.id).await? else {
        return Ok(Applied::Ignored("gone"));
    };
    match deal.row.status.as_str() {
        "proposed" | "expired" => {
            enter(tx, &mut deal, "withdrawn", json!({ "reason": "withdrawn" })).await?;
            let said = wire::reject(&deal.kept.offer_uri, "withdrawn", None, None);
            wire::say(tx, &me, &deal.asker.clone(), &deal.kept.context, said).await?;
            Ok(Applied::Done)
        }
        "withdrawn" | "rejected" => Ok(Applied::Repeated),
        // Said again: what he has not heard of yet binds him.
        _ => {
            let agreement: Value = deal
                .kept
                .agreement
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            let said =
                json!({ "type": "Accept", "object": deal.kept.offer_uri, "result": agreement });
            wire::say(tx, &me, &deal.asker.clone(), &deal.kept.context, said).await?;
            Ok(Applied::Done)
        }
    }
}

/// Whether an activity was taken and not looked at yet.
async fn is_under_way(tx: &mut Tx, uri: &str) -> Result<bool> {
    let mut ask = Statement::<BigInt>::new(
        "select count(*) from public.ap_received where state = 'waiting' and uri = ",
    );
    ask.text(uri);
    let counts: Vec<i64> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(counts.into_iter().sum::<i64>() > 0)
}

/// On whose side somebody elsewhere is, if it is one at all.
pub fn side_of(deal: &Deal, heard: &Incoming) -> Option<Side> {
    deal.side_of(heard.author.id)
        .filter(|side| !deal.party(*side).is_local())
}
