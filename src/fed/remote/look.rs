//! Somebody waits to hear who or what a name stands for: it is looked up for him, once he has shown that he has a session.

use std::time::Duration;

use diesel::sql_types::Bool;
use moka::future::Cache;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

use super::{FETCHES, Unreached, actors, objects, webfinger};
use crate::base::caller::Remote;
use crate::base::{Caller, Error, Result};
use crate::db::{Statement, Tx};
use crate::fed::apply::hear;
use crate::fed::meaning::{self, Read, Speaker};
use crate::fed::{policy, trust, vocab};
use crate::net::http::Budget;
use crate::node::incoming::{Applied, Author, Incoming, Meaning};
use crate::node::{Looking, Node};

/// How long what was looked up is not looked up again.
const FRESH: Duration = Duration::from_secs(60);

/// The longest name or address that is looked up.
const LONGEST: usize = 2048;

struct Looked(Cache<String, ()>);

/// What plugs into the node: `@user@host`, `user@host`, `acct:…`, or the address of an actor or an object.
pub fn look_up<'a>(node: &'a Node, caller: &'a Caller, named: &'a str) -> Looking<'a> {
    Box::pin(looked_up(node, caller, named.trim()))
}

async fn looked_up(node: &Node, caller: &Caller, named: &str) -> Result<()> {
    if named.len() > LONGEST {
        return Ok(());
    }
    // Whom nobody has looked at for long is looked at again: he may have changed, and what he says of himself counts.
    let is_known = match known(node, named).await? {
        Some(Seen::Lately) => return Ok(()),
        Some(Seen::LongAgo) => true,
        None => false,
    };
    let looked = node.part(|_| {
        Looked(
            Cache::builder()
                .max_capacity(10_000)
                .time_to_live(FRESH)
                .build(),
        )
    });
    let key = format!("{is_known} {named}");
    if looked.0.get(&key).await.is_some() {
        return Ok(());
    }
    may_ask(node, caller).await?;

    let budget = Budget::new(FETCHES);
    let found = match webfinger::split(named) {
        Some((_, host)) if is_own_host(node, host) => return Ok(()),
        Some(_) => Box::pin(webfinger::handle(node, named, &budget))
            .await
            .map(drop),
        None if trust::origin(named).is_some() && !policy::is_ours(node, named) => {
            Box::pin(take_in(node, named, None, &budget)).await
        }
        None => return Ok(()),
    };
    match found {
        Ok(()) => {
            looked.0.insert(key, ()).await;
            Ok(())
        }
        // What is known of him is better than nothing.
        Err(why) if is_known => {
            tracing::info!(event = "not_looked_up_again", reason = why.reason());
            looked.0.insert(key, ()).await;
            Ok(())
        }
        Err(why) => {
            tracing::info!(event = "not_looked_up", reason = why.reason());
            Err(why.into())
        }
    }
}

/// Only whoever has a session that holds makes the hub ask others.
async fn may_ask(node: &Node, caller: &Caller) -> Result<()> {
    match caller {
        Caller::Session(_) | Caller::For(_) => Tx::begin(&node.db, caller).await?.roll_back().await,
        Caller::Hub => Ok(()),
        Caller::Anonymous | Caller::Remote(_) => Err(Error::sign_in(
            "PGRST301",
            "Sign in to look up people of other servers.",
        )),
    }
}

fn is_own_host(node: &Node, host: &str) -> bool {
    let url = node.db.hub().public_url();
    url.is_some_and(|url| trust::host_key(url) == host)
}

/// When it was last seen.
enum Seen {
    Lately,
    LongAgo,
}

/// Whether it is an actor or an object that is known here, and whether an actor elsewhere was looked at in the last hour.
async fn known(node: &Node, named: &str) -> Result<Option<Seen>> {
    let mut ask = Statement::<Bool>::new(
        "select kind is not null or coalesce(last_fetched_at > now() - interval '1 hour', false) \
         from public.ap_actors where deleted_at is null and ",
    );
    match webfinger::split(named) {
        Some((user, host)) => ask
            .sql("host = ")
            .text(host)
            .sql(" and lower(preferred_username) = lower(")
            .text(user)
            .sql(")"),
        None => ask
            .sql("uri = ")
            .text(named)
            .sql(" union all select true from public.posts where federated_ap_id = ")
            .text(named)
            .sql(" union all select true from public.declarations where federated_ap_id = ")
            .text(named)
            .sql(" union all select true from public.listings where federated_ap_id = ")
            .text(named)
            .sql(" union all select true from public.proposals where federated_ap_id = ")
            .text(named),
    };
    ask.sql(" limit 1");
    let found: Vec<bool> = Tx::once(&node.db, &Caller::Hub, ask).await?;
    Ok(found.first().map(|is_lately| match is_lately {
        true => Seen::Lately,
        false => Seen::LongAgo,
    }))
}

/// Fetch what lies at an address and take it in: an actor is kept, an object becomes what its author's own word would have
/// made of it.
pub async fn take_in(
    node: &Node,
    uri: &str,
    signed_by: Option<Uuid>,
    budget: &Budget,
) -> Result<(), Unreached> {
    let object = objects::object(node, uri, signed_by, budget).await?;
    if vocab::kind(&object).is_some_and(vocab::is_actor) {
        let told = actors::Told::read(&object).map_err(Unreached::Refused)?;
        let handle = webfinger::confirmed(node, &told, budget)
            .await
            .ok()
            .flatten();
        let document = object.to_string();
        return actors::keep(node, &told, &document, handle.as_deref())
            .await
            .map(drop);
    }
    Box::pin(take_in_object(node, &object, budget)).await
}

/// Take in an object that its own server has shown.
pub async fn take_in_object(node: &Node, object: &Value, budget: &Budget) -> Result<(), Unreached> {
    let id = vocab::id(object).ok_or(Unreached::Refused("no_id"))?;
    let owner = trust::owner(object).ok_or(Unreached::Refused("no_author"))?;
    if !trust::same_origin(owner, id) {
        return Err(Unreached::Refused("attribution_mismatch"));
    }
    let author = actors::actor(node, owner, budget).await?;
    if author.is_local || author.is_deleted || author.is_suspended {
        return Err(Unreached::Refused("author"));
    }
    let speaker = Speaker {
        uri: owner,
        is_group: false,
        followers_url: None,
    };
    let Read::Means(meaning, _) = meaning::own(true, object, speaker) else {
        return Err(Unreached::Refused("not_a_post"));
    };
    if !matches!(
        meaning,
        Meaning::PostCreated
            | Meaning::MessageCreated
            | Meaning::ListingSaid
            | Meaning::DeclarationSaid
            | Meaning::ProposalSaid
    ) {
        return Err(Unreached::Refused("not_a_post"));
    }
    let caller = Caller::Remote(Remote {
        id: author.id,
        uri: author.uri.clone(),
    });
    let mut heard = Incoming {
        id: Uuid::nil(),
        uri: id.to_owned(),
        author: Author {
            id: author.id,
            uri: author.uri,
            host: author.host,
            is_silenced: author.is_silenced,
        },
        meaning,
        activity: Arc::new(json!({ "type": "Create", "actor": owner, "object": id })),
        object: object.clone(),
        object_uri: Some(id.to_owned()),
        recipient: None,
        is_proven: false,
        missing: Vec::new(),
    };
    // What it answers may have to be fetched first, and so on, as far as the budget reaches.
    loop {
        let applied = tell(node, &caller, &heard).await?;
        match applied {
            Applied::Done | Applied::Repeated => return Ok(()),
            Applied::Needs(uri) if !heard.missing.contains(&uri) => {
                match Box::pin(take_in(node, &uri, None, budget)).await {
                    Ok(()) => {}
                    Err(why) if why.is_passing() => return Err(why),
                    Err(_) => heard.missing.push(uri.clone()),
                }
                // A need that stays although it was met would go on for ever.
                if budget.spend().is_err() {
                    heard.missing.push(uri);
                }
            }
            Applied::Refused(reason) | Applied::Ignored(reason) | Applied::Waits(reason) => {
                return Err(Unreached::Refused(reason));
            }
            Applied::Needs(_) | Applied::NotMine => return Err(Unreached::Refused("not_heard")),
        }
    }
}

/// Tell the domains; whatever they wrote is taken back unless they are done.
async fn tell(node: &Node, caller: &Caller, heard: &Incoming) -> Result<Applied> {
    let mut tx = Tx::begin(&node.db, caller).await?;
    let said = hear(node, &mut tx, heard).await;
    match said {
        Ok(Applied::Done | Applied::Repeated) => tx.commit().await?,
        _ => tx.roll_back().await?,
    }
    said
}
