//! Groups (FEP-1b12): what members say to a public room or DAO is passed on to those who follow it. Servers that know groups
//! get the activity itself, word for word; to all others the group passes on the post.

use diesel::sql_types::{Jsonb, Nullable, Text};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::posts::Post;
use super::posts::audience::Audience;
use crate::base::Result;
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::Local;
use crate::fed::outbox::{self, Exactly, Outgoing, Published};
use crate::fed::vocab::{self, PUBLIC};
use crate::node::incoming::{Incoming, Meaning};

/// A local group that is to pass something on, and who is to get it in which form.
#[derive(Debug, Deserialize)]
struct Group {
    id: Uuid,
    followers_url: String,
    /// Followers whose servers know groups.
    aware: Vec<String>,
    others: Vec<String>,
}

/// What came in and was kept is passed on by the groups it is addressed to, if its author is one of theirs.
pub async fn pass_on(tx: &mut Tx, heard: &Incoming) -> Result<()> {
    let about = vocab::id(&heard.object).or(heard.object_uri.as_deref());
    let Some(about) = about.map(str::to_owned) else {
        return Ok(());
    };
    let groups = match heard.meaning {
        Meaning::PostCreated | Meaning::PostUpdated => {
            if !is_open(&heard.object) {
                return Ok(());
            }
            groups(tx, heard.author.id, &of_ours(tx, heard)?).await?
        }
        // What is said about a post goes where the post went.
        _ => {
            let about = heard
                .object
                .get("object")
                .and_then(vocab::id)
                .unwrap_or(&about)
                .to_owned();
            passed_before(tx, heard.author.id, &about).await?
        }
    };
    if groups.is_empty() {
        return Ok(());
    }
    let Some(body) = received(tx, heard.id).await? else {
        return Ok(());
    };
    let is_top = heard.meaning == Meaning::PostCreated
        && heard.object.get("inReplyTo").is_none_or(Value::is_null);
    for group in &groups {
        announce(tx, group, &about, &heard.activity, body.clone(), is_top).await?;
    }
    Ok(())
}

/// Whether what came in is addressed to a group of this hub.
pub fn are_named(tx: &Tx, heard: &Incoming) -> Result<bool> {
    Ok(!of_ours(tx, heard)?.is_empty())
}

/// The groups of this hub that it is addressed to.
fn of_ours(tx: &Tx, heard: &Incoming) -> Result<Vec<String>> {
    let base = format!("{}/ap/groups/", crate::fed::actors::base(tx)?);
    let mut named = named(&[&*heard.activity, &heard.object]);
    named.retain(|uri| uri.starts_with(&base));
    Ok(named)
}

/// The same for what is said on this hub.
pub async fn pass_on_own(
    tx: &mut Tx,
    author: &Local,
    audience: &Audience,
    published: &Published,
    post: &Post,
    is_new: bool,
) -> Result<()> {
    let own = audience
        .mentions
        .iter()
        .filter(|mention| matches!(mention.kind.as_deref(), Some("dao" | "channel")));
    let named: Vec<String> = own.map(|mention| mention.uri.clone()).collect();
    let groups = groups(tx, author.id, &named).await?;
    let (Some(uri), false) = (post.federated_ap_id.as_deref(), groups.is_empty()) else {
        return Ok(());
    };
    pass_on_said(
        tx,
        &groups,
        uri,
        published,
        is_new && post.in_reply_to.is_none(),
    )
    .await
}

/// What was passed on and is deleted here.
pub async fn pass_on_deleted(tx: &mut Tx, uri: &str, published: &Published) -> Result<()> {
    let mut author = Statement::<Nullable<diesel::sql_types::Uuid>>::new(
        "select actor_id from public.ap_activities where id = ",
    );
    author.bind(Bind::Uuid(published.id));
    let authors: Vec<Option<Uuid>> = tx.as_hub(async |tx| tx.load(author.clone()).await).await?;
    let Some(author) = authors.into_iter().flatten().next() else {
        return Ok(());
    };
    let groups = passed_before(tx, author, uri).await?;
    pass_on_said(tx, &groups, uri, published, false).await
}

async fn pass_on_said(
    tx: &mut Tx,
    groups: &[Group],
    uri: &str,
    published: &Published,
    is_top: bool,
) -> Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut select = Statement::<Text>::new("select body from public.ap_activities where id = ");
    select.bind(Bind::Uuid(published.id));
    let bodies: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some(body) = bodies.into_iter().next() else {
        return Ok(());
    };
    let activity: Value = serde_json::from_str(&body).unwrap_or_default();
    for group in groups {
        announce(tx, group, uri, &activity, body.clone(), is_top).await?;
    }
    Ok(())
}

async fn announce(
    tx: &mut Tx,
    group: &Group,
    about: &str,
    activity: &Value,
    body: String,
    is_top: bool,
) -> Result<()> {
    let outgoing = |object: Value| Outgoing {
        actor: group.id,
        activity: json!({ "type": "Announce", "object": object }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![group.followers_url.clone()],
        about: Some(about.to_owned()),
        also: Vec::new(),
        is_private: false,
    };
    let exactly = Exactly {
        inside: Some(body),
        to: group.aware.clone(),
    };
    outbox::publish_exactly(tx, outgoing(activity.clone()), exactly).await?;
    if is_top {
        let exactly = Exactly {
            inside: None,
            to: group.others.clone(),
        };
        outbox::publish_exactly(tx, outgoing(json!(about)), exactly).await?;
    }
    Ok(())
}

/// A group passes on what everybody may read, and never a vote or a deal.
fn is_open(object: &Value) -> bool {
    let list = |name: &str| vocab::ids(object.get(name).unwrap_or(&Value::Null));
    let is_public = list("to")
        .iter()
        .chain(&list("cc"))
        .any(|id| vocab::is_public(id));
    let kind = object.get("mo:kind").and_then(Value::as_str);
    is_public && !matches!(kind, Some("mo:Vote" | "mo:Message" | "mo:Ballot"))
}

fn named(documents: &[&Value]) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for document in documents {
        for list in ["to", "cc", "audience"] {
            for id in vocab::ids(document.get(list).unwrap_or(&Value::Null)) {
                if named.len() < 1000 && !named.iter().any(|known| known == id) {
                    named.push(id.to_owned());
                }
            }
        }
    }
    named
}

/// Whether this author may speak in a group `g`: he is a member, runs it, or follows a room that everybody may join.
const SPEAKS: &str = "a.kind is distinct from 'node' and (exists (select from public.dao_members m where g.kind = 'dao' and m.dao_id = g.row_id \
     and (m.actor_id = a.id or (a.kind = 'user' and m.user_id = a.row_id))) \
     or exists (select from public.channel_members m where g.kind = 'channel' and m.channel_id = g.row_id and m.left_at is null \
     and ((a.kind = 'user' and m.member_user_id = a.row_id) or (a.kind = 'agent' and m.member_agent_id = a.row_id))) \
     or (g.kind = 'channel' and exists (select from public.follows f where f.local_actor_id = g.id and f.actor_id = a.id \
     and f.direction = 'in' and f.state = 'accepted')))";

/// Followers of a group by what their servers understand.
const GROUP: &str = "select jsonb_build_object('id', g.id, 'followers_url', g.followers_url, \
     'aware', coalesce((select jsonb_agg(o.uri) from followers o where o.group_id = g.id and o.is_aware), '[]'), \
     'others', coalesce((select jsonb_agg(o.uri) from followers o where o.group_id = g.id and not o.is_aware), '[]')) from wanted g";

const FOLLOWERS: &str = "), followers as (select f.local_actor_id as group_id, o.uri, coalesce(h.takes_groups or h.is_hub, false) or o.is_hub as is_aware \
     from wanted g join public.follows f on f.local_actor_id = g.id and f.direction = 'in' and f.state = 'accepted' \
     join public.ap_actors o on o.id = f.actor_id and o.kind is null and o.deleted_at is null and o.suspended_at is null \
     left join public.ap_hosts h on h.host = o.host) ";

/// Groups of this hub among those named, in which the author may speak.
async fn groups(tx: &mut Tx, author: Uuid, named: &[String]) -> Result<Vec<Group>> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Statement::<Jsonb>::new(
        "with wanted as (select g.* from public.ap_actors g join public.ap_actors a on a.id = ",
    );
    select
        .bind(Bind::Uuid(author))
        .sql(" where g.kind in ('dao', 'channel') and g.deleted_at is null and g.suspended_at is null and g.uri = any (")
        .bind(Bind::Texts(named.iter().cloned().map(Some).collect()))
        .sql(") and ")
        .sql(SPEAKS)
        .sql(FOLLOWERS)
        .sql(GROUP);
    load(tx, select).await
}

/// Groups of this hub that passed something on before, in which the author may speak.
async fn passed_before(tx: &mut Tx, author: Uuid, about: &str) -> Result<Vec<Group>> {
    let mut select = Statement::<Jsonb>::new(
        "with wanted as (select g.* from public.ap_actors g join public.ap_actors a on a.id = ",
    );
    select
        .bind(Bind::Uuid(author))
        .sql(" where g.kind in ('dao', 'channel') and g.deleted_at is null and g.suspended_at is null \
             and (exists (select from public.posts p where p.owner_id is null and g.uri = any (p.recipients) and p.federated_ap_id = ")
        .text(about)
        .sql(") or exists (select from public.ap_activities x where x.type = 'Create' and x.object_uri = ")
        .text(about)
        .sql(" and (x.body::jsonb -> 'to' ? g.uri or x.body::jsonb -> 'cc' ? g.uri))) and ")
        .sql(SPEAKS)
        .sql(FOLLOWERS)
        .sql(GROUP);
    load(tx, select).await
}

async fn load(tx: &mut Tx, select: Statement<Jsonb>) -> Result<Vec<Group>> {
    let rows: Vec<Value> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    rows.into_iter()
        .map(|row| serde_json::from_value(row).map_err(crate::base::Error::broken))
        .collect()
}

/// An activity as it came in.
async fn received(tx: &mut Tx, id: Uuid) -> Result<Option<String>> {
    let mut select = Statement::<Text>::new("select body from public.ap_received where id = ");
    select.bind(Bind::Uuid(id));
    let bodies: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(bodies.into_iter().next())
}
