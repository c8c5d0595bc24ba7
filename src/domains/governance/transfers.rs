//! What a DAO elsewhere gives from its treasury to a member here: its signed word is booked once, under its address (R37). What
//! it owes counts against the line with its hub, so that nobody makes credits that nothing stands behind.

use serde_json::Value;
use uuid::Uuid;

use super::daos::{self, Person};
use crate::base::{Amount, Result, text};
use crate::db::Tx;
use crate::domains::commons::ledger::{self, Holder, Transfer};
use crate::domains::social::blocks;
use crate::events;
use crate::fed::vouch::{self, Vouched};
use crate::fed::{actors, trust, vocab};
use crate::node::incoming::{Applied, Incoming};

/// What treasuries hold.
const UNIT: &str = "CREDIT";

const LONGEST_URI: usize = 2_000;

/// Somebody elsewhere says what he has given.
pub async fn on_transfer(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let given = match read(&heard.object, &heard.author.uri) {
        Ok(given) => given,
        Err(reason) => return Ok(Applied::Refused(reason)),
    };
    let Some(dao) = daos::of_origin(tx, heard.author.id).await? else {
        return Ok(Applied::Refused("unknown_dao"));
    };
    match vouch::vouched(tx, &heard.object, &heard.author.uri).await? {
        Vouched::Yes(_) => {}
        Vouched::UnknownKey if !heard.missing.contains(&heard.author.uri) => {
            return Ok(Applied::Needs(heard.author.uri.clone()));
        }
        _ => return Ok(Applied::Refused("forged")),
    }
    let Some((me, user)) = receiver(tx, given.receiver).await? else {
        return Ok(Applied::Refused("not_ours"));
    };
    if daos::membership(tx, dao.id, Person::User(user))
        .await?
        .is_none()
    {
        return Ok(Applied::Refused("not_a_member"));
    }
    if blocks::is_between(tx, me, heard.author.id).await? {
        return Ok(Applied::Refused("blocked"));
    }
    if !ledger::may_owe(tx, heard.author.id, UNIT, given.amount).await? {
        return Ok(Applied::Refused("over_limit"));
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
        return Ok(Applied::Repeated);
    }
    let event = events::Event {
        word: "transfer.received",
        kind: "daos",
        row: dao.id,
        owner: Some(user),
    };
    events::emit(tx, event).await?;
    Ok(Applied::Done)
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
