//! Reading the feeds of other hubs, so that a hub that was down has afterwards what it would have been sent. Every item goes
//! the way of what is posted, from where its author is known on; without its author's proof it is nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::Value;
use tokio::task::LocalSet;
use url::Url;

use crate::base::{Caller, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::fed::document::Document;
use crate::fed::inbox::{self, Checked};
use crate::fed::intake::{self, Taken, Via};
use crate::fed::remote::fetch::{self, Wanted};
use crate::fed::remote::{FETCHES, Unreached};
use crate::fed::{adapter, policy, trust, vocab};
use crate::net::http::Budget;
use crate::node::Node;

/// How often is looked whose feed is to be read.
const EVERY: Duration = Duration::from_secs(2);

/// How many feeds are read in one go, and how many pages of one (S-81).
const FEEDS: i64 = 8;
const PAGES: usize = 100;

/// How many activities are asked for at once, and how many pages of an outbox are looked at after a feed was gone.
const ASKED: usize = 50;
const OUTBOX_PAGES: usize = 3;

/// A hub whose feed is read.
#[derive(Clone, Debug)]
struct Feed {
    host: String,
    url: String,
    cursor: Option<i64>,
}

/// Read feeds for as long as the process lives: all of them first, then those that have gone on.
pub async fn follow(node: &Node) {
    LocalSet::new().run_until(reading(node)).await;
}

async fn reading(node: &Node) {
    let started = clock::now();
    let mut now = tokio::time::interval(EVERY);
    now.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        now.tick().await;
        match claim(node, started).await {
            Ok(feeds) => {
                for feed in feeds {
                    told(&feed, Box::pin(read(node, &feed)).await);
                }
            }
            Err(error) => tracing::debug!(event = "feeds_not_claimed", cause = %error),
        }
    }
}

fn told(feed: &Feed, read: Result<usize, Unreached>) {
    match read {
        Ok(0) => {}
        Ok(kept) => tracing::info!(event = "feed_read", peer_domain = %feed.host, kept),
        Err(why) => {
            tracing::warn!(event = "feed_not_read", peer_domain = %feed.host, reason = why.reason());
        }
    }
}

async fn claim(node: &Node, started: DateTime<Utc>) -> Result<Vec<Feed>> {
    if node.db.hub().public_url().is_none() {
        return Ok(Vec::new());
    }
    let mut claim = Statement::<(Text, Text, Nullable<BigInt>)>::new(
        "select host, changes_url, cursor_in from hub.claim_feeds(",
    );
    claim
        .bind(Bind::Time(started))
        .sql(", ")
        .bind(Bind::Int(FEEDS))
        .sql("::int)");
    let rows: Vec<(String, String, Option<i64>)> = Tx::once(&node.db, &Caller::Hub, claim).await?;
    Ok(rows
        .into_iter()
        .map(|(host, url, cursor)| Feed { host, url, cursor })
        .collect())
}

/// Read a feed to its head; how many activities were new.
async fn read(node: &Node, feed: &Feed) -> Result<usize, Unreached> {
    let Some(mut cursor) = feed.cursor else {
        is_a_hub(node, feed).await?;
        // What was said before the two knew each other is not looked for.
        let head = head(node, feed).await?;
        move_on(node, feed, head, Vec::new()).await?;
        return Ok(0);
    };
    let mut kept = 0;
    for _ in 0..PAGES {
        let at = format!("{}?after={cursor}&limit={ASKED}", feed.url);
        let page = match ask(node, &at).await {
            Err(Unreached::Gone) => return resync(node, feed).await,
            page => page?,
        };
        let taken = wanted(node, feed, &page).await?;
        kept += taken.len();
        let (next, is_last) = next(feed, &page, cursor)?;
        move_on(node, feed, next, taken).await?;
        cursor = next;
        if is_last {
            break;
        }
    }
    Ok(kept)
}

/// Whether the server's own actor says so too: anybody there may write that of himself.
async fn is_a_hub(node: &Node, feed: &Feed) -> Result<(), Unreached> {
    let own = feed.url.replace("/ap/changes", "/ap/actor");
    let found = adapter::resolved(node, &own, &Budget::new(FETCHES)).await?;
    match found.is_node && found.host == feed.host {
        true => Ok(()),
        false => Err(Unreached::Refused("not_a_hub")),
    }
}

/// Where the feed goes on, and whether this was its end. A feed that leads backwards or elsewhere is not followed.
fn next(feed: &Feed, page: &Value, cursor: i64) -> Result<(i64, bool), Unreached> {
    let bad = Unreached::Refused("feed_leads_nowhere");
    if let Some(next) = page.get("next").and_then(Value::as_str) {
        let after = Url::parse(next).ok().and_then(|url| {
            let (_, after) = url.query_pairs().find(|(name, _)| name == "after")?;
            after.parse::<i64>().ok()
        });
        return match after {
            Some(after) if after > cursor && trust::same_origin(next, &feed.url) => {
                Ok((after, false))
            }
            _ => Err(bad),
        };
    }
    let head = page.get("mo:head").and_then(Value::as_i64).ok_or(bad)?;
    Ok((head.max(cursor), true))
}

async fn head(node: &Node, feed: &Feed) -> Result<i64, Unreached> {
    let page = ask(node, &format!("{}?after=0&limit=0", feed.url)).await?;
    let head = page.get("mo:head").and_then(Value::as_i64);
    head.ok_or(Unreached::Refused("feed_without_head"))
}

/// A page, asked for by the hub's own actor.
async fn ask(node: &Node, url: &str) -> Result<Value, Unreached> {
    let signer = fetch::signer(node, None).await;
    let budget = Budget::new(FETCHES);
    let fetched = fetch::document(node, url, Wanted::Activity, signer.as_deref(), &budget).await?;
    if !trust::same_origin(fetched.url.as_str(), url) {
        return Err(Unreached::Refused("feed_elsewhere"));
    }
    Ok(fetched.document.into_value())
}

/// What of a page concerns somebody here, is new and is proved by its author.
async fn wanted(node: &Node, feed: &Feed, page: &Value) -> Result<Vec<Taken>, Unreached> {
    let items = page
        .get("orderedItems")
        .map(vocab::many)
        .unwrap_or_default();
    let mut checked = Vec::new();
    for item in items {
        match looked_at(item) {
            Ok(one) if one.host == feed.host => checked.push(one),
            Ok(one) => refused(feed, &one.id, "not_of_this_host"),
            Err(reason) => refused(feed, vocab::id(item).unwrap_or_default(), reason),
        }
    }
    let news = news(node, &checked).await?;
    let budget = Budget::new(FETCHES);
    let mut taken = Vec::new();
    for one in checked {
        if !news.contains(&one.id) && !is_for_us(node, &one) {
            continue;
        }
        match inbox::is_proven(node, &one, &budget).await {
            Ok(true) => taken.push(one.taken(Via::Feed, None)),
            Ok(false) => refused(feed, &one.id, "not_proven"),
            Err(why) => return Err(why),
        }
    }
    Ok(taken)
}

fn looked_at(item: &Value) -> std::result::Result<Checked, &'static str> {
    let text = serde_json::to_vec(item).map_err(|_| "not_json")?;
    let document = Document::read(&text).map_err(|malformed| malformed.reason())?;
    Checked::of(document).map_err(|refusal| refusal.reason)
}

fn refused(feed: &Feed, id: &str, reason: &'static str) {
    let id: String = id.chars().filter(|c| !c.is_control()).take(200).collect();
    tracing::warn!(event = "feed_item_refused", reason, peer_domain = %feed.host, activity_id = %id);
}

/// Whether it is addressed to somebody of this hub.
fn is_for_us(node: &Node, one: &Checked) -> bool {
    let value = one.document.value();
    ["to", "cc", "object"]
        .into_iter()
        .filter_map(|name| value.get(name))
        .flat_map(vocab::ids)
        .any(|id| policy::is_ours(node, id))
}

/// Ids that are not here yet, of actors whom somebody here follows, or that change what is known already.
async fn news(node: &Node, checked: &[Checked]) -> Result<Vec<String>, Unreached> {
    let texts =
        |text: &dyn Fn(&Checked) -> Option<String>| Bind::Texts(checked.iter().map(text).collect());
    let mut ask = Statement::<Text>::new("select n.uri from unnest(");
    ask.bind(texts(&|one| Some(one.id.clone())))
        .sql("::text[], ")
        .bind(texts(&|one| Some(one.actor.clone())))
        .sql("::text[], ")
        .bind(texts(&|one| Some(one.kind.clone())))
        .sql(
            "::text[]) n (uri, actor, type) join public.ap_actors a on a.uri = n.actor and a.kind is null \
             where not exists (select from public.ap_received r where r.uri = n.uri) \
             and (n.type in ('Delete', 'Update', 'Undo', 'Move') or exists (select from public.follows f \
             where f.actor_id = a.id and f.direction = 'out' and f.state = 'accepted'))",
        );
    Ok(Tx::once(&node.db, &Caller::Hub, ask).await?)
}

/// Keep what was read and how far, together.
async fn move_on(
    node: &Node,
    feed: &Feed,
    cursor: i64,
    taken: Vec<Taken>,
) -> Result<(), Unreached> {
    let mut update = Statement::new("update public.ap_hosts set cursor_at = now(), cursor_in = ");
    update
        .bind(Bind::Int(cursor))
        .sql(", head_seen = case when head_seen > ")
        .bind(Bind::Int(cursor))
        .sql(" then head_seen end where host = ")
        .text(feed.host.as_str());
    node.db
        .write(&Caller::Hub, async |tx| {
            for one in &taken {
                intake::keep_in(tx, one.clone()).await?;
            }
            tx.run(update.clone()).await
        })
        .await?;
    if !taken.is_empty() {
        intake::Intake::of(node).wake();
    }
    Ok(())
}

/// The feed can't be read on from there: what the actors that are followed here still show is looked through instead, and
/// from its head on the feed is read again.
async fn resync(node: &Node, feed: &Feed) -> Result<usize, Unreached> {
    let head = head(node, feed).await?;
    let mut ask = Statement::<Text>::new(
        "select distinct a.outbox_url from public.ap_actors a join public.follows f on f.actor_id = a.id \
         where f.direction = 'out' and f.state = 'accepted' and a.kind is null and a.deleted_at is null \
         and a.outbox_url is not null and a.host = ",
    );
    ask.text(feed.host.as_str());
    let outboxes: Vec<String> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    let mut taken = Vec::new();
    for outbox in outboxes {
        match Box::pin(shown(node, feed, &outbox)).await {
            Ok(more) => taken.extend(more),
            Err(why) if why.is_passing() => return Err(why),
            Err(why) => refused(feed, &outbox, why.reason()),
        }
    }
    let kept = taken.len();
    move_on(node, feed, head, taken).await?;
    Ok(kept)
}

/// What an outbox shows, the oldest first as it would have come.
async fn shown(node: &Node, feed: &Feed, outbox: &str) -> Result<Vec<Taken>, Unreached> {
    let whole = self::ask(node, outbox).await?;
    let mut at = whole.get("first").and_then(vocab::id).map(str::to_owned);
    let mut taken = Vec::new();
    for _ in 0..OUTBOX_PAGES {
        let Some(url) = at.take().filter(|url| trust::same_origin(url, outbox)) else {
            break;
        };
        let page = self::ask(node, &url).await?;
        taken.extend(wanted(node, feed, &page).await?);
        at = page.get("next").and_then(vocab::id).map(str::to_owned);
    }
    taken.reverse();
    Ok(taken)
}
