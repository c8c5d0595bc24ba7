//! Own posts go out as their rows are inserted, changed and deleted, in the same transaction. Where somebody named or the
//! post answered is not known here yet, a job looks first; who cannot be found is named to the author and the rest goes.

use diesel::sql_types::{Jsonb, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audience::{self, Audience};
use super::{Post, wire};
use crate::base::{Caller, Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::domains::social::groups;
use crate::events;
use crate::fed::actors;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab;
use crate::jobs::{self, Attempt, Job, Lane, Order};
use crate::kinds::ask::Rows;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::Later;
use crate::node::Node;

/// Before posts are written: the hub's address, which their own begin with.
pub fn before(tx: &mut Tx, _: Verb, rows: Rows) -> Later<'_, Rows> {
    Box::pin(async move {
        if let Ok(base) = actors::base(tx) {
            let mut set = Statement::<Nullable<Text>>::new("select set_config('hub.base', ");
            set.text(base).sql(", true)");
            let _: Vec<Option<String>> = tx.load(set).await?;
        }
        Ok(rows)
    })
}

/// After posts were written: say so.
pub fn after<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            if verb == Verb::Delete {
                say_deleted(tx, id).await?;
            } else if let Some(post) = super::by_id(tx, id).await? {
                say(tx, &post, None).await?;
            }
        }
        Ok(())
    })
}

/// How it was looked for whoever was not known.
#[derive(Debug)]
struct Looked {
    /// Those whose servers did not answer; they are looked for again.
    away: Vec<String>,
    /// The post was said before to those who were known then.
    is_late: bool,
    /// There is somebody to say it to who was not known before.
    has_more: bool,
}

/// Say a post as it is now. Unless it was `looked`, whoever is not known is looked for first, by a job.
async fn say(tx: &mut Tx, post: &Post, looked: Option<&Looked>) -> Result<()> {
    let (Some(owner), Some(uri)) = (post.owner_id, post.federated_ap_id.as_deref()) else {
        return Ok(());
    };
    if post.of_type == "Question" {
        return Err(Error::invalid(
            "post.no_polls",
            "A poll is asked by a DAO's proposal.",
        ));
    }
    let Some(author) = people::author(tx, owner, post.author_actor_id).await? else {
        return Ok(());
    };
    if post.sent_at.is_none() && looked.is_none() && post.visibility != "direct" {
        audience::may_answer(tx, post, &author).await?;
    }
    let mut audience = audience::of(tx, post, &author).await?;
    audience::fill(tx, post, &author, &audience).await?;

    let is_answered_known = post.in_reply_to_id.is_some()
        || !post
            .in_reply_to
            .as_deref()
            .is_some_and(|uri| uri.contains("://"))
        || audience::other_answered(tx, post).await?.is_some();
    if looked.is_none() && (!audience.unknown.is_empty() || !is_answered_known) {
        let order = Order {
            owner: Some(owner),
            ..Order::default()
        };
        return jobs::enqueue(tx, &Address { post: post.id }, order)
            .await
            .map(drop);
    }

    let base = actors::base(tx)?;
    let note = wire::note(post, &author.uri, &audience, &base);
    let is_first = post.sent_at.is_none();
    let is_late = looked.is_some_and(|looked| looked.is_late);
    let is_wanted = looked.is_none_or(|looked| !looked.is_late || looked.has_more);
    let published = match is_wanted && goes(post, &audience) {
        true => {
            let also = match is_first {
                true => Vec::new(),
                false => audience::told_before(tx, uri).await?,
            };
            let outgoing = Outgoing {
                actor: author.id,
                activity: json!({ "type": if is_first || is_late { "Create" } else { "Update" }, "object": note }),
                to: audience.to.clone(),
                cc: audience.cc.clone(),
                about: Some(uri.to_owned()),
                also,
                is_private: post.visibility == "direct",
            };
            Some(outbox::publish(tx, outgoing).await?)
        }
        false => None,
    };
    let away = looked.map_or(&[][..], |looked| &looked.away);
    audience.unknown.retain(|name| !away.contains(name));
    note_sent(tx, post, &note, &audience).await?;
    if is_first {
        tell_named(tx, post, (owner, author.id), &audience).await?;
    }
    if let (Some(published), true) = (published, post.is_public()) {
        groups::pass_on_own(tx, &author, &audience, &published, post, is_first).await?;
    }
    Ok(())
}

/// Whether there is anybody to say it to.
fn goes(post: &Post, audience: &Audience) -> bool {
    post.visibility != "direct" || !audience.mentions.is_empty() || post.sent_at.is_some()
}

async fn note_sent(tx: &mut Tx, post: &Post, note: &Value, audience: &Audience) -> Result<()> {
    let html = note
        .get("content")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut sent = Statement::<()>::new(
        "update public.posts set sent_at = coalesce(sent_at, now()), content_html = ",
    );
    sent.text(html)
        .sql(", unreached = ")
        .bind(Bind::Texts(
            audience.unknown.iter().cloned().map(Some).collect(),
        ))
        .sql(" where id = ")
        .bind(Bind::Uuid(post.id));
    tx.as_hub(async |tx| tx.run(sent.clone()).await.map(drop))
        .await?;
    if audience.unknown.is_empty() {
        return Ok(());
    }
    let event = events::Event {
        word: "post.unreached",
        kind: "posts",
        row: post.id,
        owner: post.owner_id,
    };
    events::emit(tx, event).await.map(drop)
}

/// Those of this hub who are named, and whose words are answered, hear of it, but for whoever has muted the author.
async fn tell_named(
    tx: &mut Tx,
    post: &Post,
    (owner, author): (Uuid, Uuid),
    audience: &Audience,
) -> Result<()> {
    let own = audience
        .mentions
        .iter()
        .filter(|mention| mention.kind.as_deref() == Some("user"));
    let uris: Vec<Option<String>> = own.map(|mention| Some(mention.uri.clone())).collect();
    // Whose listing or the like is answered hears of it, named or not; of what few read only who is named does.
    let other = post
        .in_reply_to
        .clone()
        .filter(|_| post.in_reply_to_id.is_none() && post.is_public());
    let mut tell = Statement::<Nullable<Text>>::new(
        "with answered as (select o.owner_id as account, false as is_told from public.posts o where o.id = ",
    );
    tell.bind(Bind::Text(post.in_reply_to_id.map(|id| id.to_string())))
        .sql("::uuid union all select t.owner, true from hub.answerable(")
        .bind(Bind::Text(other))
        .sql(") t where t.is_ours and t.is_public), named as (select w.account from answered w where w.is_told \
             union select a.row_id from public.ap_actors a where a.kind = 'user' and a.uri = any (")
        .bind(Bind::Texts(uris))
        .sql(")) select hub.emit(case when exists (select from answered w where w.account = n.account) then 'post.replied' \
             else 'post.mentioned' end, 'posts', ")
        .bind(Bind::Uuid(post.id))
        .sql(", n.account)::text from named n where n.account <> ")
        .bind(Bind::Uuid(owner))
        .sql(" and hub.hears_of(n.account, ")
        .bind(Bind::Uuid(author))
        .sql(")");
    tx.as_hub(async |tx| tx.load::<_, Option<String>>(tell.clone()).await.map(drop))
        .await
}

/// A post that was said is gone: whoever got it is told.
async fn say_deleted(tx: &mut Tx, id: Uuid) -> Result<()> {
    let Ok(base) = actors::base(tx) else {
        return Ok(());
    };
    let uri = format!("{base}/ap/posts/{id}");
    take_back(tx, &uri).await
}

/// Take back something that was said under this address, if it was.
pub async fn take_back(tx: &mut Tx, uri: &str) -> Result<()> {
    // To whom it was said last says to whom it was said.
    let mut select = Statement::<Jsonb>::new(
        "select jsonb_build_object('actor', x.actor_id, 'is_private', x.is_private, 'activity', x.body::jsonb) \
         from public.ap_activities x where x.type in ('Create', 'Update') and x.object_uri = ",
    );
    select.text(uri).sql(" order by x.seq desc limit 1");
    let rows: Vec<Value> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some(last) = rows.into_iter().next() else {
        return Ok(());
    };
    let last: Said = serde_json::from_value(last).map_err(Error::broken)?;
    let Some(author) = actors::by_id(tx, last.actor)
        .await?
        .filter(|author| !author.is_gone())
    else {
        return Ok(());
    };
    let also = audience::told_before(tx, uri).await?;
    let addressed = |name: &str| -> Vec<String> {
        let list = last.activity.get(name).unwrap_or(&Value::Null);
        vocab::ids(list).into_iter().map(str::to_owned).collect()
    };
    let former = last
        .activity
        .get("object")
        .and_then(vocab::kind)
        .unwrap_or("Note")
        .to_owned();
    let at = actors::time(clock::now());
    let outgoing = Outgoing {
        actor: author.id,
        activity: json!({ "type": "Delete", "object": { "type": "Tombstone", "id": uri, "formerType": former, "deleted": at } }),
        to: addressed("to"),
        cc: addressed("cc"),
        about: Some(uri.to_owned()),
        also,
        is_private: last.is_private,
    };
    let published = outbox::publish(tx, outgoing).await?;
    groups::pass_on_deleted(tx, uri, &published).await
}

#[derive(Deserialize)]
struct Said {
    actor: Uuid,
    is_private: bool,
    activity: Value,
}

/// Look for everybody a post names and for what it answers, then say it. Whose server does not answer is looked for again
/// while the others have it; only who is not found in the end counts as unreached.
#[derive(Debug, Serialize, Deserialize)]
pub struct Address {
    post: Uuid,
}

impl Job for Address {
    const KEY: &'static str = "social.address";
    const LANE: Lane = Lane::Interactive;

    async fn run(&self, node: &Node, attempt: &Attempt) -> Result<()> {
        let names = node
            .db
            .write(&Caller::Hub, async |tx| self.unknown(tx).await)
            .await?;
        let (mut away, mut waits) = (Vec::new(), None);
        for name in &names {
            if let Some(look_up) = node.look_up.get()
                && let Err(error) = look_up(node, &Caller::Hub, name).await
            {
                tracing::info!(event = "not_found_elsewhere", name = %name, reason = %error);
                if error.is_transient() && attempt.number < Self::TRIES {
                    away.push(name.clone());
                    waits = Some(error);
                }
            }
        }
        let is_late = attempt.number > 1;
        if let Some(error) = waits.take_if(|_| is_late && away.len() == names.len()) {
            return Err(error);
        }
        node.db
            .write(&Caller::Hub, async |tx| {
                settle_answered(tx, self.post).await?;
                let looked = Looked {
                    has_more: self.unknown(tx).await?.len() < names.len(),
                    away: away.clone(),
                    is_late,
                };
                match super::by_id(tx, self.post).await? {
                    Some(post) => say(tx, &post, Some(&looked)).await,
                    None => Ok(()),
                }
            })
            .await?;
        waits.map_or(Ok(()), Err)
    }
}

impl Address {
    async fn unknown(&self, tx: &mut Tx) -> Result<Vec<String>> {
        let Some(post) = super::by_id(tx, self.post).await? else {
            return Ok(Vec::new());
        };
        let Some(owner) = post.owner_id else {
            return Ok(Vec::new());
        };
        let Some(author) = people::author(tx, owner, post.author_actor_id).await? else {
            return Ok(Vec::new());
        };
        let mut names = audience::of(tx, &post, &author).await?.unknown;
        if post.in_reply_to_id.is_none() && audience::other_answered(tx, &post).await?.is_none() {
            names.extend(post.in_reply_to.filter(|uri| uri.contains("://")));
        }
        Ok(names)
    }
}

/// What a post answers may be known by now; only what everybody may read, since nobody asks here.
async fn settle_answered(tx: &mut Tx, post: Uuid) -> Result<()> {
    let mut settle = Statement::<()>::new(
        "update public.posts p set in_reply_to_id = o.id, context = coalesce(o.context, p.context) from public.posts o \
         where p.in_reply_to_id is null and o.federated_ap_id = p.in_reply_to and o.visibility in ('public', 'unlisted') and p.id = ",
    );
    settle.bind(Bind::Uuid(post));
    tx.run(settle).await.map(drop)
}
