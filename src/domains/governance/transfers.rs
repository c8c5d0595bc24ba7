//! What a DAO elsewhere gives from its treasury to a member here: its signed word is booked once, under its address (R37). What
//! it owes counts against the line with its hub, so that nobody makes credits that nothing stands behind. What is not booked
//! is refused in so many words, once (R30), and stays refused.

use diesel::sql_types::Bool;
use serde_json::Value;
use uuid::Uuid;

use super::daos::{self, Person};
use crate::base::{Amount, Result, text};
use crate::db::{Statement, Tx};
use crate::domains::commons::exchanges::hear_offers::addressee;
use crate::domains::commons::exchanges::wire::reject;
use crate::domains::commons::ledger::{self, Holder, Transfer};
use crate::domains::social::blocks;
use crate::domains::social::limits::{self, Deed};
use crate::events;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vouch::{self, Vouched};
use crate::fed::{actors, collections, trust, vocab};
use crate::node::incoming::{Applied, Incoming};

/// What treasuries hold.
const UNIT: &str = "CREDIT";

const LONGEST_URI: usize = 2_000;

/// Why something is not booked.
struct No {
    /// As the log has it.
    why: &'static str,
    /// As the other side reads it.
    code: &'static str,
    words: Option<&'static str>,
}

impl No {
    fn because(why: &'static str) -> Self {
        let (code, words) = match why {
            "unknown_dao" => ("not_party", Some("No DAO is known here that gives it.")),
            "not_ours" => ("not_party", Some("The receiver does not live here.")),
            "not_a_member" => ("not_party", Some("The receiver is no member.")),
            "over_limit" => (
                "declined",
                Some("It is more than your hub may owe this one."),
            ),
            // Who has blocked whom is nobody's to know.
            "blocked" => ("declined", None),
            told => (told, None),
        };
        Self { why, code, words }
    }
}

/// Somebody elsewhere says what he has given.
pub async fn on_transfer(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    if was_refused(tx, heard).await? {
        return Ok(Applied::Repeated);
    }
    match take(tx, heard).await? {
        Ok(applied) => Ok(applied),
        Err(why) => refuse(tx, heard, No::because(why)).await,
    }
}

async fn take(tx: &mut Tx, heard: &Incoming) -> Result<Result<Applied, &'static str>> {
    let given = match read(&heard.object, &heard.author.uri) {
        Ok(given) => given,
        Err(reason) => return Ok(Err(reason)),
    };
    let Some(dao) = daos::of_origin(tx, heard.author.id).await? else {
        return Ok(Err("unknown_dao"));
    };
    match vouch::vouched(tx, &heard.object, &heard.author.uri).await? {
        Vouched::Yes(_) => {}
        Vouched::UnknownKey if !heard.missing.contains(&heard.author.uri) => {
            return Ok(Ok(Applied::Needs(heard.author.uri.clone())));
        }
        _ => return Ok(Err("forged")),
    }
    let Some((me, user)) = receiver(tx, given.receiver).await? else {
        return Ok(Err("not_ours"));
    };
    if daos::membership(tx, dao.id, Person::User(user))
        .await?
        .is_none()
    {
        return Ok(Err("not_a_member"));
    }
    if blocks::is_between(tx, me, heard.author.id).await? {
        return Ok(Err("blocked"));
    }
    if !ledger::may_owe(tx, heard.author.id, UNIT, given.amount).await? {
        return Ok(Err("over_limit"));
    }

    let transfer = Transfer {
        from: Holder::Actor(heard.author.id),
        to: Holder::User(user),
        unit: UNIT,
        community: None,
        amount: given.amount,
        agreement: given.uri,
        memo: given.memo,
        exchange: None,
        hold: None,
    };
    if !ledger::book(tx, &transfer).await? {
        return Ok(Ok(Applied::Repeated));
    }
    let event = events::Event {
        word: "transfer.received",
        kind: "daos",
        row: dao.id,
        owner: Some(user),
    };
    events::emit(tx, event).await?;
    Ok(Ok(Applied::Done))
}

/// Say no, with the reason, in the name of whom it is for.
async fn refuse(tx: &mut Tx, heard: &Incoming, no: No) -> Result<Applied> {
    let me = match heard.object.get("receiver").and_then(vocab::id) {
        Some(uri) => actors::by_uri(tx, uri).await?,
        None => None,
    };
    let me = match me.filter(|me| me.row_id.is_some()) {
        Some(me) => Some(me),
        None => tx.as_hub(async |tx| addressee(tx, heard).await).await?,
    };
    let Some(me) = me.filter(|me| !me.is_gone() && me.is_shown && me.suspended_at.is_none()) else {
        return Ok(Applied::Refused(no.why));
    };
    if limits::take(tx, Deed::Offer, heard.author.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }
    tracing::info!(
        event = "transfer_refused", reason = no.why, peer_domain = %heard.author.host, activity_id = %heard.uri
    );
    let outgoing = Outgoing {
        actor: me.id,
        activity: reject(&heard.uri, no.code, no.words, None),
        to: vec![heard.author.uri.clone()],
        cc: Vec::new(),
        about: vocab::id(&heard.object).map(str::to_owned),
        also: Vec::new(),
        is_private: true,
    };
    tx.as_hub(async |tx| outbox::publish(tx, outgoing.clone()).await)
        .await?;
    bury(tx, heard).await?;
    Ok(Applied::Done)
}

/// Whether this was refused before, by whatever activity it came: its hub has taken it back since.
async fn was_refused(tx: &mut Tx, heard: &Incoming) -> Result<bool> {
    let Some(document) = vocab::id(&heard.object) else {
        return Ok(false);
    };
    let mut ask =
        Statement::<Bool>::new("select exists (select from public.ap_tombstones t where t.uri = ");
    ask.text(document)
        .sql(" and t.actor_uri = ")
        .text(&heard.author.uri)
        .sql(")");
    let was: Vec<bool> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(was == [true])
}

/// From now on it is as good as gone, so that it is neither told twice nor booked after all.
async fn bury(tx: &mut Tx, heard: &Incoming) -> Result<()> {
    let author = heard.author.uri.as_str();
    match vocab::id(&heard.object) {
        Some(uri) if uri.len() <= LONGEST_URI && trust::same_origin(uri, author) => {
            collections::bury(tx, uri, author, "Document", false).await
        }
        _ => Ok(()),
    }
}

/// What is said to have been given.
struct Given<'a> {
    uri: &'a str,
    receiver: &'a str,
    amount: Amount,
    memo: Option<String>,
}

fn read<'a>(object: &'a Value, author: &str) -> Result<Given<'a>, &'static str> {
    let said = |name: &str| object.get(name).and_then(vocab::id);
    let uri = said("id")
        .filter(|uri| uri.len() <= LONGEST_URI && trust::same_origin(uri, author))
        .ok_or("forged")?;
    if trust::owner(object) != Some(author) || said("provider") != Some(author) {
        return Err("forged");
    }
    if said("action") != Some("transfer") {
        return Err("not_party");
    }
    let receiver = said("receiver").ok_or("not_party")?;
    let quantity = object.get("resourceQuantity").ok_or("wrong_quantity")?;
    let word = |name: &str| quantity.get(name).and_then(Value::as_str);
    if word("hasUnit") != Some(UNIT) {
        return Err("wrong_unit");
    }
    let amount = word("hasNumericalValue")
        .and_then(|value| value.parse::<Amount>().ok())
        .filter(|amount| !amount.is_zero())
        .ok_or("wrong_quantity")?;
    let memo = object
        .get("mo:memo")
        .or_else(|| object.get("name"))
        .and_then(Value::as_str)
        .map(|memo| text::excerpt(&text::name(memo), 500))
        .filter(|memo| !memo.is_empty());
    Ok(Given {
        uri,
        receiver,
        amount,
        memo,
    })
}

/// The actor and the account of somebody here.
async fn receiver(tx: &mut Tx, uri: &str) -> Result<Option<(Uuid, Uuid)>> {
    let actor = actors::by_uri(tx, uri).await?;
    Ok(actor
        .filter(|actor| actor.kind == "user" && !actor.is_gone())
        .and_then(|actor| Some((actor.id, actor.row_id?))))
}
