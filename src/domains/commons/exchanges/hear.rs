//! Answers to offers of this hub, and agreements. Each must be the word of whom it concerns, by his own proof; what is not
//! changes nothing, and he is told once.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::bargain::Bargain;
use super::hear_offers::answer;
use super::state::{Side, Verdict};
use super::{By, Deal, by_uri, confirm, effects, enter, keep, money, wire};
use crate::base::{Result, clock, text};
use crate::db::Tx;
use crate::fed::vouch::{self, Vouched};
use crate::fed::{actors, trust, vocab};
use crate::node::incoming::{Applied, Incoming};

/// How late an acceptance may come after an offer has expired.
const LATEST: TimeDelta = TimeDelta::hours(48);

/// An offer of this hub was accepted.
pub async fn on_accepted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    tx.as_hub(async |tx| accepted(tx, heard).await).await
}

async fn accepted(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(mut deal) = asked(tx, heard).await? else {
        return Ok(Applied::NotMine);
    };
    if deal.proposer.id != heard.author.id {
        return Ok(Applied::Refused("not_addressee"));
    }
    let Some(agreement) = heard.activity.get("result").filter(|it| it.is_object()) else {
        return Ok(Applied::Refused("no_agreement"));
    };
    let uri = vocab::id(agreement).unwrap_or_default().to_owned();
    if deal.kept.agreement.is_some() {
        return match deal.kept.agreement_uri.as_deref() == Some(&uri) {
            true => Ok(Applied::Repeated),
            false => refuse(tx, &deal, heard, "already_accepted").await,
        };
    }
    if let Some(stop) = stands(tx, heard, agreement).await? {
        return stopped(tx, &deal, heard, stop).await;
    }
    let Some(accepted) = fits(&deal, agreement) else {
        return refuse(tx, &deal, heard, "forged").await;
    };
    if deal.row.status == "rejected" {
        return refuse(tx, &deal, heard, "withdrawn").await;
    }

    deal.kept.accept_uri = Some(heard.uri.clone());
    deal.kept.agreement_uri = Some(uri.clone());
    deal.kept.agreement = Some(agreement.to_string());
    deal.kept.agreement_now = Some(agreement.to_string());
    deal.kept.agreement_version = version(agreement).unwrap_or(1);
    keep(tx, &deal.kept).await?;
    deal.row.accepted_at = Some(accepted);
    let columns = json!({ "accepted_at": accepted, "federated_ap_id": uri, "reason": null });
    enter(tx, &mut deal, "accepted", columns).await?;

    // It binds if it was said in time, also when it comes late; but not after two days (R27).
    let now = clock::now();
    let is_late = deal
        .row
        .expires_at
        .is_some_and(|end| accepted > end || now > end + LATEST);
    if is_late {
        let words = Some("It was accepted too late.");
        confirm::say(tx, &mut deal, Side::Asker, Verdict::Cancelled, words).await?;
    } else {
        if !deal.kept.is_held {
            match money::bind(tx, &mut deal, Side::Asker).await {
                Err(error) if error.is("ledger.over_limit") => {
                    let words = Some("I cannot give so many hours any more.");
                    confirm::say(tx, &mut deal, Side::Asker, Verdict::Cancelled, words).await?;
                    return Ok(Applied::Done);
                }
                held => held?,
            }
        }
        effects::bind_asker(tx, &mut deal).await?;
    }
    Ok(Applied::Done)
}

/// The exchange whose offer an answer names.
async fn asked(tx: &mut Tx, heard: &Incoming) -> Result<Option<Deal>> {
    let Some(uri) = vocab::id(&heard.object) else {
        return Ok(None);
    };
    Ok(by_uri(tx, By::Offer(uri))
        .await?
        .filter(|deal| deal.asker.is_local()))
}

/// Whether a document stands by its author's own proof: what to do instead, if not.
pub async fn stands(
    tx: &mut Tx,
    heard: &Incoming,
    document: &Value,
) -> Result<Option<Result<Applied, &'static str>>> {
    let is_his = trust::owner(document) == Some(heard.author.uri.as_str())
        && vocab::id(document)
            .is_some_and(|id| id.len() <= 2_000 && trust::same_origin(id, &heard.author.uri));
    if !is_his {
        return Ok(Some(Err("forged")));
    }
    Ok(
        match vouch::vouched(tx, document, &heard.author.uri).await? {
            Vouched::Yes(_) => None,
            Vouched::UnknownKey if !heard.missing.contains(&heard.author.uri) => {
                Some(Ok(Applied::Needs(heard.author.uri.clone())))
            }
            _ => Some(Err("forged")),
        },
    )
}

/// What follows where a document does not stand.
pub async fn stopped(
    tx: &mut Tx,
    deal: &Deal,
    heard: &Incoming,
    stop: Result<Applied, &'static str>,
) -> Result<Applied> {
    match stop {
        Ok(applied) => Ok(applied),
        Err(reason) => refuse(tx, deal, heard, reason).await,
    }
}

/// Say no to it in the name of the party that lives here.
pub async fn refuse(
    tx: &mut Tx,
    deal: &Deal,
    heard: &Incoming,
    reason: &'static str,
) -> Result<Applied> {
    let me = deal.party(deal.own_side()).id;
    match actors::by_id(tx, me).await?.filter(|me| !me.is_gone()) {
        Some(me) => answer(tx, &me, heard, reason).await,
        None => Ok(Applied::Refused(reason)),
    }
}

/// Whether an agreement is about what was offered, between these two; when it was made.
fn fits(deal: &Deal, agreement: &Value) -> Option<DateTime<Utc>> {
    let text = |name: &str| agreement.get(name).and_then(vocab::id);
    let bargain = Bargain::read(agreement).ok()?;
    let uri = vocab::id(agreement)?;
    let (giver, taker) = (
        deal.party(deal.giver()).uri.as_str(),
        deal.party(deal.giver().other()).uri.as_str(),
    );
    let between = |name: &str, provider: &str, receiver: &str| match agreement.get(name) {
        None => true,
        Some(it) => {
            it.get("provider").and_then(vocab::id) == Some(provider)
                && it.get("receiver").and_then(vocab::id) == Some(receiver)
                && it
                    .get("id")
                    .and_then(Value::as_str)
                    .is_some_and(|id| id.starts_with(&format!("{uri}#")))
        }
    };
    let is_fine = vocab::kind(agreement) == Some("Agreement")
        && bargain.is(&deal.bargain().ok()?)
        && between("stipulates", giver, taker)
        && between("stipulatesReciprocal", taker, giver)
        && text("mo:offerActivity") == Some(deal.kept.offer_uri.as_str())
        && text("mo:offer") == deal.kept.offer_link.as_deref()
        && text("mo:need") == deal.kept.need_link.as_deref()
        && wire::obligations(agreement).len() == 1 + usize::from(bargain.reciprocal.is_some());
    let published = agreement.get("published")?.as_str()?;
    let published = DateTime::parse_from_rfc3339(published).ok()?;
    is_fine.then(|| published.with_timezone(&Utc))
}

/// Which version a document says it is.
pub fn version(document: &Value) -> Option<i64> {
    document
        .get("mo:version")
        .and_then(Value::as_i64)
        .filter(|version| (1..=1 << 53).contains(version))
}

/// An offer of this hub was refused.
pub async fn on_rejected(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    tx.as_hub(async |tx| rejected(tx, heard).await).await
}

async fn rejected(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(mut deal) = asked(tx, heard).await? else {
        return Ok(Applied::NotMine);
    };
    if deal.proposer.id != heard.author.id {
        return Ok(Applied::Refused("not_addressee"));
    }
    let word = |name: &str| {
        heard
            .activity
            .get(name)
            .and_then(Value::as_str)
            .map(|said| text::excerpt(&text::plain(said), 500))
            .filter(|said| !said.is_empty())
    };
    match deal.row.status.as_str() {
        "proposed" => {
            let counter = heard
                .activity
                .get("mo:counter")
                .and_then(|counter| Some((counter, Bargain::read(counter).ok()?)))
                .filter(|(_, bargain)| bargain.subject() == deal.kept.subject_uri);
            let terms = counter
                .as_ref()
                .and_then(|(counter, _)| counter.get("mo:terms"))
                .and_then(Value::as_str)
                .map(|terms| text::excerpt(terms, 5_000));
            let shown = counter
                .as_ref()
                .map(|(_, bargain)| super::answer::shown_counter(bargain, terms.as_deref()));
            deal.kept.counter = counter.map(|(counter, _)| counter.clone());
            keep(tx, &deal.kept).await?;
            let reason =
                word("mo:reason").filter(|reason| reason != "declined" && reason != "other_terms");
            let reason = reason.or_else(|| word("content"));
            let columns = json!({ "reason": reason.unwrap_or_else(|| "declined".to_owned()), "counter": shown });
            enter(tx, &mut deal, "rejected", columns).await?;
            money::release(tx, &mut deal).await?;
            Ok(Applied::Done)
        }
        // What was kept for an acceptance that might have been under way is free now.
        "withdrawn" | "expired" | "rejected" => {
            money::release(tx, &mut deal).await?;
            Ok(Applied::Done)
        }
        _ => Ok(Applied::Ignored("already_accepted")),
    }
}

/// An agreement as its author has it now: news, which decides nothing.
pub async fn on_agreement(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    tx.as_hub(async |tx| agreed(tx, heard).await).await
}

async fn agreed(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let uri = vocab::id(&heard.object).unwrap_or_default().to_owned();
    let Some(mut deal) = by_uri(tx, By::Agreement(&uri)).await? else {
        let offer = heard
            .said("mo:offerActivity")
            .unwrap_or_default()
            .to_owned();
        return Ok(match by_uri(tx, By::Offer(&offer)).await? {
            Some(deal) if deal.proposer.id == heard.author.id => match deal.kept.agreement {
                None => Applied::Waits("not_accepted_yet"),
                Some(_) => Applied::Refused("forged"),
            },
            _ => Applied::Refused("not_party"),
        });
    };
    if deal.proposer.id != heard.author.id {
        return Ok(Applied::Refused("not_party"));
    }
    if let Some(stop) = stands(tx, heard, &heard.object).await? {
        return stopped(tx, &deal, heard, stop).await;
    }
    if fits(&deal, &heard.object).is_none() {
        return refuse(tx, &deal, heard, "forged").await;
    }
    let Some(version) = version(&heard.object) else {
        return refuse(tx, &deal, heard, "stale").await;
    };
    if version == deal.kept.agreement_version {
        return Ok(Applied::Repeated);
    }
    if version < deal.kept.agreement_version {
        return Ok(Applied::Ignored("stale"));
    }
    deal.kept.agreement_version = version;
    deal.kept.agreement_now = Some(heard.object.to_string());
    keep(tx, &deal.kept).await?;
    let progress = heard
        .object
        .pointer("/preview/name")
        .and_then(Value::as_str)
        .map(|name| text::excerpt(&text::name(name), 200));
    super::set(tx, deal.row.id, json!({ "progress": progress })).await?;
    Ok(Applied::Done)
}
