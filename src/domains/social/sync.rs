//! What follows from hints that come with a delivery: how far the peer's feed reaches, and whether both servers know the same
//! followers. Hints only lead to a question at the server that gave them; they change nothing by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{actors as people, follows, wire};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::followers_sync::{self, Told};
use crate::fed::{actors, outbox, trust};
use crate::jobs::{self, Order};
use crate::node::Node;
use crate::node::work::{Attempt, Job};

/// How long a host's and an actor's hints are remembered.
const HEADS: Duration = Duration::from_secs(20);
const DIGESTS: Duration = Duration::from_secs(10 * 60);

/// The lowest and the highest one that was noted.
struct Heads(Cache<String, (i64, i64)>);
struct Digests(Cache<String, ()>);

fn remembered<T: Clone + Send + Sync + 'static>(lasts: Duration) -> Cache<String, T> {
    Cache::builder()
        .max_capacity(10_000)
        .time_to_live(lasts)
        .build()
}

/// Note what a verified delivery of this actor said beside the activity.
pub async fn heard(node: &Node, actor: &str, head: Option<&str>, sync: Option<&str>) {
    let noted = async {
        if let Some(head) = head.and_then(|head| head.parse::<i64>().ok()) {
            note_head(node, actor, head).await?;
        }
        if let Some(told) = sync.and_then(followers_sync::read) {
            compare(node, actor, told).await?;
        }
        Ok::<(), Error>(())
    };
    if let Err(error) = noted.await {
        tracing::debug!(event = "hint_not_noted", cause = %error);
    }
}

/// How far the feed of the actor's server reaches.
async fn note_head(node: &Node, actor: &str, head: i64) -> Result<()> {
    let Some(host) = trust::origin(actor).map(|origin| origin.host_key()) else {
        return Ok(());
    };
    let heads = node.part(|_| Heads(remembered(HEADS)));
    // What is no news is not written again; a higher one is, however soon it comes.
    let (lowest, highest) = heads.0.get(&host).unwrap_or((head, i64::MIN));
    if (lowest..=highest).contains(&head) {
        return Ok(());
    }
    let noted = (lowest.min(head), highest.max(head));
    heads.0.insert(host.clone(), noted);
    // One that is behind what was read of the feed is that of a restored backup.
    let mut update = Statement::<SqlUuid>::new("update public.ap_hosts set head_seen = ");
    update
        .bind(Bind::Int(head))
        .sql(" where is_hub and (coalesce(head_seen, 0) < ")
        .bind(Bind::Int(head))
        .sql(" or cursor_in > ")
        .bind(Bind::Int(head))
        .sql(") and host = ")
        .text(host)
        .sql(" returning id");
    Tx::once(&node.db, &Caller::Hub, update)
        .await
        .map(|_: Vec<Uuid>| ())
}

/// Whether the actor's server counts the same followers here as we do; if not, its list is looked at.
async fn compare(node: &Node, actor: &str, told: Told) -> Result<()> {
    if !trust::same_origin(actor, &told.collection) {
        return Ok(());
    }
    let digests = node.part(|_| Digests(remembered(DIGESTS)));
    if digests.0.contains_key(actor) {
        return Ok(());
    }
    let mut ask = Statement::<(SqlUuid, Text)>::new(
        "select a.id, coalesce(l.uri, '') from public.ap_actors a left join (public.follows f join public.ap_actors l \
         on l.id = f.local_actor_id) on f.actor_id = a.id and f.direction = 'out' and f.state = 'accepted' \
         where a.kind is null and a.followers_url = ",
    );
    ask.text(told.collection.as_str())
        .sql(" and a.uri = ")
        .text(actor);
    let rows: Vec<(Uuid, String)> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    let Some((id, _)) = rows.first() else {
        return Ok(());
    };
    digests.0.insert(actor.to_owned(), ());
    let own = rows.iter().map(|(_, uri)| uri.as_str());
    if followers_sync::digest_of(own.filter(|uri| !uri.is_empty())) == told.digest {
        return Ok(());
    }

    let job = Followers {
        actor: *id,
        url: told.url,
    };
    let order = Order {
        key: Some(format!("followers_sync:{id}:{}", told.digest)),
        ..Order::default()
    };
    node.db
        .write(&Caller::Hub, async |tx| {
            jobs::enqueue(tx, &job, order.clone()).await.map(drop)
        })
        .await
}

/// Look through the list of those who, to the actor's server, follow him from here, and make both sides the same.
#[derive(Serialize, Deserialize)]
pub struct Followers {
    actor: Uuid,
    url: String,
}

/// A follow of one of ours.
struct Row {
    id: Uuid,
    uri: String,
    is_granted: bool,
}

impl Job for Followers {
    const KEY: &'static str = "social.followers_sync";
    const TRIES: i32 = 4;

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let listed = followers_sync::listed(node, &self.url).await?;
        let listed = followers_sync::ours(node, listed);
        node.db
            .write(&Caller::Hub, async |tx| {
                settle(tx, self.actor, &listed).await
            })
            .await
    }
}

async fn settle(tx: &mut Tx, actor: Uuid, listed: &BTreeSet<String>) -> Result<()> {
    let Some(other) = people::by_id(tx, actor).await? else {
        return Ok(());
    };
    // What was granted only just now may not be in the list yet.
    let mut ask = Statement::<(SqlUuid, Text, Bool)>::new(
        "select f.id, l.uri, f.state = 'accepted' and coalesce(f.accepted_at < now() - interval '1 minute', true) \
         from public.follows f join public.ap_actors l on l.id = f.local_actor_id where f.direction = 'out' and f.actor_id = ",
    );
    ask.bind(Bind::Uuid(actor)).sql(" for update of f");
    let rows: Vec<(Uuid, String, bool)> = tx.load(ask).await?;
    let ours: BTreeMap<String, Row> = rows
        .into_iter()
        .map(|(id, uri, is_granted)| {
            (
                uri.clone(),
                Row {
                    id,
                    uri,
                    is_granted,
                },
            )
        })
        .collect();

    let mut dropped = 0;
    for row in ours.values() {
        if row.is_granted && !listed.contains(&row.uri) {
            follows::remove(tx, row.id).await?;
            dropped += 1;
        }
    }
    let mut undone = 0;
    for uri in listed.iter().filter(|uri| !ours.contains_key(*uri)) {
        if undo_unknown(tx, uri, &other).await? {
            undone += 1;
        }
    }
    tracing::info!(event = "followers_compared", actor = %other.uri, dropped, undone);
    Ok(())
}

/// Tell the other side that one of ours does not follow, whatever it believes.
async fn undo_unknown(tx: &mut Tx, uri: &str, other: &people::Known) -> Result<bool> {
    let Some(me) = actors::by_uri(tx, uri).await?.filter(|me| !me.is_gone()) else {
        return Ok(false);
    };
    let base = actors::base(tx)?;
    let follow = json!({
        "type": "Follow", "id": format!("{base}/ap/activities/{}", Uuid::now_v7()), "actor": me.uri, "object": other.uri,
    });
    let said = wire::private(&me, other, json!({ "type": "Undo", "object": follow }));
    outbox::publish(tx, said).await?;
    Ok(true)
}
