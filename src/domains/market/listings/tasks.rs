//! Listings end by themselves: their owner is told before, and renews them with one action.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::publish;
use crate::base::{Caller, Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::comms::notify::{self, News};
use crate::jobs::{Attempt, Job};
use crate::node::Node;

/// How many at once; the rest waits for the next time.
const MOST: usize = 500;

/// How long before its end a listing's owner is told.
const WARNING: &str = "3 days";

/// How long a renewed listing stands.
const RENEWED_DAYS: i64 = 60;

/// End what is over, and warn of what is about to be.
#[derive(Debug, Serialize, Deserialize)]
pub struct Expire {}

impl Job for Expire {
    const KEY: &'static str = "market.expire_listings";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let over = Statement::<SqlUuid>::new(format!(
            "select id from public.listings where status in ('active', 'paused', 'reserved') and expires_at < now() and owner_id is not null limit {MOST}"
        ));
        let ids: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, over).await?;
        for id in ids {
            node.db
                .write(&Caller::Hub, async |tx| end(tx, id).await)
                .await?;
        }
        let soon = Statement::<SqlUuid>::new(format!(
            "select id from public.listings where status = 'active' and warned_at is null and owner_id is not null \
             and expires_at between now() and now() + interval '{WARNING}' limit {MOST}"
        ));
        let ids: Vec<Uuid> = Tx::once(&node.db, &Caller::Hub, soon).await?;
        for id in ids {
            node.db
                .write(&Caller::Hub, async |tx| warn(tx, id).await)
                .await?;
        }
        Ok(())
    }
}

async fn end(tx: &mut Tx, id: Uuid) -> Result<()> {
    let mut end = Statement::<(SqlUuid, Text)>::new(
        "update public.listings set status = 'expired' where status in ('active', 'paused') and expires_at < now() and owner_id is not null and id = ",
    );
    end.bind(Bind::Uuid(id)).sql(" returning owner_id, title");
    let ended: Vec<(Uuid, String)> = tx.load(end).await?;
    for (owner, title) in ended {
        publish::say(tx, id).await?;
        tell(
            tx,
            owner,
            id,
            "listing.expired",
            format!("“{title}” has expired"),
            "Renew it to show it again.",
        )
        .await?;
    }
    Ok(())
}

async fn warn(tx: &mut Tx, id: Uuid) -> Result<()> {
    let mut warn = Statement::<(SqlUuid, Text, Timestamptz)>::new(
        "update public.listings set warned_at = now() where status = 'active' and warned_at is null and id = ",
    );
    warn.bind(Bind::Uuid(id))
        .sql(" returning owner_id, title, expires_at");
    let warned: Vec<(Uuid, String, DateTime<Utc>)> = tx.load(warn).await?;
    for (owner, title, at) in warned {
        let body = format!(
            "It ends on {}. Renew it to keep it.",
            at.format("%-d %B, %H:%M UTC")
        );
        tell(
            tx,
            owner,
            id,
            "listing.expires_soon",
            format!("“{title}” expires soon"),
            &body,
        )
        .await?;
    }
    Ok(())
}

async fn tell(
    tx: &mut Tx,
    owner: Uuid,
    id: Uuid,
    kind: &str,
    title: String,
    body: &str,
) -> Result<()> {
    let news = News {
        target: owner,
        event_type: kind.to_owned(),
        source: "market".to_owned(),
        title,
        message: body.to_owned(),
        action_url: Some(format!("/listings/{id}")),
        ..News::default()
    };
    notify::tell(tx, news).await.map(drop)
}

/// Which listing, and until when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    id: Uuid,
    expires_at: Option<DateTime<Utc>>,
}

/// Show a listing again, or longer.
pub async fn renew(tx: &mut Tx, input: Renew) -> Result<Value> {
    let until = input
        .expires_at
        .unwrap_or_else(|| clock::now() + chrono::TimeDelta::days(RENEWED_DAYS));
    if until <= clock::now() {
        return Err(Error::invalid(
            "listing.expires_at",
            "expires_at lies in the past.",
        ));
    }
    // Row security speaks: what is not his to change is not there.
    let mut renew = Statement::<SqlUuid>::new("update public.listings set expires_at = ");
    renew
        .bind(Bind::Time(until))
        .sql(", status = case when status = 'expired' then 'active' else status end where status in ('active', 'paused', 'reserved', 'expired') and id = ")
        .bind(Bind::Uuid(input.id))
        .sql(" returning id");
    let renewed: Vec<Uuid> = tx.load(renew).await?;
    if renewed.is_empty() {
        return Err(Error::missing(
            "listing.missing",
            "There is no such listing of yours that can be renewed.",
        ));
    }
    publish::say(tx, input.id).await?;
    Ok(json!({ "id": input.id, "expires_at": until }))
}
