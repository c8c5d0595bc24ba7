//! Saying something: the activity as the bytes that will be sent, once and for all, and a delivery for each inbox that is
//! to have it, in the transaction of whatever it is about. Sending is `deliver`'s.

use chrono::{DateTime, SecondsFormat, Utc};
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::keys::{self, Retired, Signer};
use super::proof;
use super::vocab::{self, PUBLIC};
use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};

/// Where deliverers hear that something was said.
pub const NEWS: &str = "hub_deliveries";

/// What a local actor wants to say.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// The row of the local actor that speaks.
    pub actor: Uuid,
    /// Type, object and whatever belongs to it; who speaks, to whom, when and the proof are added.
    pub activity: Value,
    /// Addresses of actors, the public, or the speaker's followers.
    pub to: Vec<String>,
    pub cc: Vec<String>,
    /// What it is about: what goes to one host about one thing arrives in order.
    pub about: Option<String>,
    /// Actors that get it without being named, such as those who had an earlier version.
    pub also: Vec<String>,
    /// For those it names and nobody else.
    pub is_private: bool,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub id: Uuid,
    pub uri: String,
}

/// To say something to some of those it is addressed to, each in the form that he understands.
#[derive(Clone, Debug, Default)]
pub struct Exactly {
    /// The object's own bytes, which stand in the activity as they are: what a group passes on.
    pub inside: Option<String>,
    /// The actors that get it, whoever it is addressed to.
    pub to: Vec<String>,
}

/// Say it, in this transaction and with the hub's rights: it is delivered if the transaction is committed.
pub async fn publish(tx: &mut Tx, outgoing: Outgoing) -> Result<Published> {
    let signer = keys::signer(tx, outgoing.actor).await?;
    say(tx, outgoing, &signer, None, None).await
}

/// Say it to exactly these.
pub async fn publish_exactly(
    tx: &mut Tx,
    outgoing: Outgoing,
    exactly: Exactly,
) -> Result<Published> {
    let signer = keys::signer(tx, outgoing.actor).await?;
    say(tx, outgoing, &signer, None, Some(exactly)).await
}

/// Say it with the keys that were just retired: how others learn of the new ones from somebody they know (R8).
pub async fn publish_by(tx: &mut Tx, outgoing: Outgoing, retired: &Retired) -> Result<Published> {
    say(tx, outgoing, &retired.signer, Some(retired.rsa_key), None).await
}

async fn say(
    tx: &mut Tx,
    outgoing: Outgoing,
    signer: &Signer,
    key: Option<Uuid>,
    exactly: Option<Exactly>,
) -> Result<Published> {
    let id = Uuid::now_v7();
    let uri = format!("{}/ap/activities/{id}", tx.hub().base()?);

    let now = clock::now();
    let mut activity = dressed(&outgoing, &uri, &signer.actor_uri, now)?;
    proof::prove(&mut activity, &signer.ed25519_id, &signer.ed25519, now)?;
    let body = match exactly
        .as_ref()
        .and_then(|exactly| exactly.inside.as_deref())
    {
        Some(inside) => around(&activity, inside)?,
        None => serde_json::to_string(&activity).map_err(Error::broken)?,
    };

    let put = put(&outgoing, exactly.as_ref(), id, &uri, &activity, body, key);
    let _: Vec<i64> = tx.as_hub(async |tx| tx.load(put.clone()).await).await?;
    Ok(Published { id, uri })
}

/// What became of a thing at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub host: String,
    pub inbox: String,
    /// What was said last of it to this inbox: Create, Update, Delete and so on.
    pub activity: String,
    /// waiting, done, dead or dropped.
    pub state: String,
    /// When that was; when the next try is due while it waits.
    pub at: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub error: Option<String>,
}

/// Who has received a thing: of each inbox the newest delivery about it. Rows are kept for a week after the end.
pub async fn receipts(tx: &mut Tx, object_uri: &str) -> Result<Vec<Receipt>> {
    type Row = (
        Text,
        Text,
        Text,
        Text,
        Nullable<Timestamptz>,
        Integer,
        Nullable<Text>,
    );
    let mut select = Statement::<Row>::new(
        "select distinct on (d.host, d.inbox_url) d.host, d.inbox_url, s.type, d.state, coalesce(d.ended_at, d.next_at), \
         d.attempts, d.last_error from public.ap_activities s join public.ap_deliveries d on d.activity_id = s.id \
         where s.object_uri = ",
    );
    select
        .text(object_uri)
        .sql(" order by d.host, d.inbox_url, d.seq desc limit 10000");
    type Found = (
        String,
        String,
        String,
        String,
        Option<DateTime<Utc>>,
        i32,
        Option<String>,
    );
    let rows: Vec<Found> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows
        .into_iter()
        .map(
            |(host, inbox, activity, state, at, attempts, error)| Receipt {
                host,
                inbox,
                activity,
                state,
                at,
                attempts,
                error,
            },
        )
        .collect())
}

/// The activity as it is sent, but for its proof.
fn dressed(outgoing: &Outgoing, uri: &str, actor: &str, now: DateTime<Utc>) -> Result<Value> {
    let Value::Object(given) = &outgoing.activity else {
        return Err(Error::broken(anyhow::anyhow!("an activity is an object")));
    };
    let mut activity = Map::new();
    // An actor inside brings its keys, whose words only its own context explains (R9).
    let shows_actor = given
        .get("object")
        .and_then(vocab::kind)
        .is_some_and(vocab::is_actor);
    let context = match shows_actor {
        true => vocab::actor_context(),
        false => vocab::context(),
    };
    activity.insert("@context".to_owned(), context.clone());
    activity.insert("id".to_owned(), uri.into());
    activity.insert("actor".to_owned(), actor.into());
    let published = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    activity.insert("published".to_owned(), published.into());
    for (name, people) in [("to", &outgoing.to), ("cc", &outgoing.cc)] {
        if !people.is_empty() {
            activity.insert(name.to_owned(), people.clone().into());
        }
    }
    // Nobody is addressed behind the others' backs, and a proof is made over what is sent.
    for (name, value) in given {
        let is_ours =
            matches!(name.as_str(), "bto" | "bcc" | "proof") || activity.contains_key(name);
        if !is_ours && !value.is_null() {
            activity.insert(name.clone(), value.clone());
        }
    }
    Ok(Value::Object(activity))
}

/// The activity with these bytes for its object. They mean what was signed; only their spelling is kept.
fn around(activity: &Value, inside: &str) -> Result<String> {
    let is_same = serde_json::from_str::<Value>(inside)
        .is_ok_and(|inside| activity.get("object") == Some(&inside));
    if !is_same {
        return Err(Error::broken(anyhow::anyhow!(
            "other bytes than what was signed"
        )));
    }
    let mut shell = activity.clone();
    let place = format!("place-of-{}", Uuid::now_v7());
    if let Some(object) = shell.get_mut("object") {
        *object = Value::String(place.clone());
    }
    let shell = serde_json::to_string(&shell).map_err(Error::broken)?;
    Ok(shell.replacen(&format!("\"{place}\""), inside, 1))
}

fn put(
    outgoing: &Outgoing,
    exactly: Option<&Exactly>,
    id: Uuid,
    uri: &str,
    activity: &Value,
    body: String,
    key: Option<Uuid>,
) -> Statement<BigInt> {
    let texts = |texts: &[String]| Bind::Texts(texts.iter().cloned().map(Some).collect());
    let named: Vec<String> = outgoing.to.iter().chain(&outgoing.cc).cloned().collect();
    let is_public = named.iter().any(|name| name == PUBLIC);
    let object = activity.get("object").and_then(vocab::id);
    let lane = outgoing.about.as_deref().unwrap_or(uri);
    let mut put = Statement::new("select hub.publish_activity(");
    put.bind(Bind::Uuid(id))
        .sql(", ")
        .text(uri)
        .sql(", ")
        .bind(Bind::Uuid(outgoing.actor))
        .sql(", ")
        .text(vocab::kind(activity).unwrap_or_default())
        .sql(", ")
        .bind(Bind::Text(object.map(str::to_owned)))
        .sql(", ")
        .text(body)
        .sql(", ")
        .bind(texts(if exactly.is_some() { &[] } else { &named }))
        .sql(", ")
        .bind(texts(exactly.map_or(&outgoing.also, |exactly| &exactly.to)))
        .sql(", ")
        .text(is_public.to_string())
        .sql("::boolean, ")
        .text(outgoing.is_private.to_string())
        .sql("::boolean, ")
        .text(lane)
        .sql(", ")
        .bind(Bind::Text(key.map(|key| key.to_string())))
        .sql("::uuid)");
    put
}
