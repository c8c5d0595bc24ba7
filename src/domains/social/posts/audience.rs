//! To whom a post goes: everybody, followers, whoever is named in it or beside it; and who of this hub reads what is not
//! for everybody. A post and its activity are addressed in the same words (CONTRACT section 1, rule 6).

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::Post;
use super::text::{self, Piece};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::{self as people, Known};
use crate::domains::social::blocks;
use crate::fed::actors::{self, Local};
use crate::fed::vocab::PUBLIC;

/// How many of other servers one post may name (R12).
const MOST_OTHERS: usize = 50;
/// How many of this hub it may name.
const MOST_OWN: usize = 200;

/// Somebody who is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub id: Uuid,
    pub uri: String,
    /// `@name@host`.
    pub name: String,
    /// His page.
    pub href: String,
    pub is_group: bool,
    /// What he stands for here, if he is of this hub.
    pub kind: Option<String>,
    /// How he is called in the text.
    pub written: Vec<String>,
}

impl Mention {
    /// What is shown of his name.
    pub fn short(&self) -> String {
        let bare = self.name.trim_start_matches('@');
        format!("@{}", bare.split('@').next().unwrap_or(bare))
    }

    fn of(known: &Known) -> Self {
        Self {
            id: known.id,
            uri: known.uri.clone(),
            name: known.address(),
            href: known.url.clone().unwrap_or_else(|| known.uri.clone()),
            is_group: known.of_type == "Group",
            kind: known.kind.clone(),
            written: Vec::new(),
        }
    }
}

/// To whom a post goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub mentions: Vec<Mention>,
    /// Names and addresses that are not known here.
    pub unknown: Vec<String>,
}

/// Whom a post of this author is for.
pub async fn of(tx: &mut Tx, post: &Post, author: &Local) -> Result<Audience> {
    let mut audience = Audience::default();
    for (name, is_written) in names(post) {
        match people::find(tx, &name).await? {
            Some(known) => name_somebody(&mut audience, &known, author, is_written.then_some(name)),
            // `@somebody` without a server may be anything; a full name is meant.
            None if is_written && !name.trim_start_matches('@').contains('@') => {}
            None => audience.unknown.push(name),
        }
    }
    if post.visibility != "direct"
        && let Some(answered) = answered_author(tx, post).await?
    {
        name_somebody(&mut audience, &answered, author, None);
    }
    let blocked = blocked(tx, author, &audience).await?;
    audience
        .mentions
        .retain(|mention| !blocked.contains(&mention.id));

    let others = audience
        .mentions
        .iter()
        .filter(|mention| mention.kind.is_none())
        .count()
        + audience.unknown.len();
    if others > MOST_OTHERS || audience.mentions.len() > MOST_OWN {
        return Err(Error::invalid(
            "post.too_many_recipients",
            format!("A post names at most {MOST_OTHERS} people of other servers."),
        ));
    }
    address(&mut audience, &post.visibility, &author.followers());
    Ok(audience)
}

/// Names beside the post and in it, each once, and whether it stands in the text.
fn names(post: &Post) -> Vec<(String, bool)> {
    let mut names: Vec<(String, bool)> = Vec::new();
    let mut add =
        |name: String, is_written: bool| match names.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 |= is_written,
            None => names.push((name, is_written)),
        };
    for given in &post.recipients {
        let given = given.trim();
        if given.contains("://") || given.starts_with('@') {
            add(given.to_owned(), false);
        } else if !given.is_empty() {
            add(format!("@{given}"), false);
        }
    }
    for piece in text::marked(&post.content).pieces {
        if let Piece::Mention(name) = piece {
            add(name, true);
        }
    }
    names
}

fn name_somebody(audience: &mut Audience, known: &Known, author: &Local, written: Option<String>) {
    if known.id == author.id {
        return;
    }
    let at = audience
        .mentions
        .iter()
        .position(|mention| mention.id == known.id);
    let mention = match at.and_then(|at| audience.mentions.get_mut(at)) {
        Some(mention) => mention,
        None => {
            audience.mentions.push(Mention::of(known));
            match audience.mentions.last_mut() {
                Some(mention) => mention,
                None => return,
            }
        }
    };
    mention.written.extend(written);
}

/// `to` and `cc` of a visibility. A group that is named gets it in `to`, where groups look.
pub fn address(audience: &mut Audience, visibility: &str, followers: &str) {
    let (groups, people): (Vec<_>, Vec<_>) = audience
        .mentions
        .iter()
        .partition(|mention| mention.is_group);
    let uris = |mentions: Vec<&Mention>| {
        mentions
            .into_iter()
            .map(|mention| mention.uri.clone())
            .collect::<Vec<_>>()
    };
    let (groups, people) = (uris(groups), uris(people));
    let (everybody, followers) = (PUBLIC.to_owned(), followers.to_owned());
    (audience.to, audience.cc) = match visibility {
        "public" => (
            [vec![everybody], groups].concat(),
            [vec![followers], people].concat(),
        ),
        "unlisted" => (
            [vec![followers], groups].concat(),
            [vec![everybody], people].concat(),
        ),
        "followers" => ([vec![followers], groups].concat(), people),
        _ => ([groups, people].concat(), Vec::new()),
    };
}

/// Who wrote what a post answers.
async fn answered_author(tx: &mut Tx, post: &Post) -> Result<Option<Known>> {
    let Some(answered) = post.in_reply_to_id else {
        let other = other_answered(tx, post).await?;
        return match other.filter(|other| other.is_public) {
            Some(other) => people::by_id(tx, other.author).await,
            None => Ok(None),
        };
    };
    let Some(answered) = super::by_id(tx, answered).await? else {
        return Ok(None);
    };
    let actor = match (
        answered.origin_actor_id.or(answered.author_actor_id),
        answered.owner_id,
    ) {
        (Some(actor), _) => Some(actor),
        (None, Some(owner)) => actors::of_row(tx, "user", owner)
            .await?
            .map(|actor| actor.id),
        (None, None) => None,
    };
    match actor {
        Some(actor) => people::by_id(tx, actor).await,
        None => Ok(None),
    }
}

/// Something else than a post that a post answers: a listing, a declaration, a proposal.
#[derive(Debug)]
pub struct Other {
    /// Who said it.
    pub author: Uuid,
    pub is_public: bool,
    /// Members of a DAO do not shut each other out of what it says.
    pub of_dao: bool,
}

/// What a post answers, if that is known here and no post.
pub async fn other_answered(tx: &mut Tx, post: &Post) -> Result<Option<Other>> {
    let Some(uri) = post
        .in_reply_to
        .as_deref()
        .filter(|_| post.in_reply_to_id.is_none())
    else {
        return Ok(None);
    };
    let mut ask = Statement::<(SqlUuid, Bool, Bool)>::new(
        "select author, is_public, of_dao from hub.answerable(",
    );
    ask.text(uri).sql(") where author is not null limit 1");
    let found: Vec<(Uuid, bool, bool)> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(found
        .into_iter()
        .next()
        .map(|(author, is_public, of_dao)| Other {
            author,
            is_public,
            of_dao,
        }))
}

/// Refuse an answer to somebody's words if one of the two has blocked the other (S-154).
pub async fn may_answer(tx: &mut Tx, post: &Post, author: &Local) -> Result<()> {
    if let Some(other) = other_answered(tx, post).await?
        && other.of_dao
    {
        return Ok(());
    }
    let Some(answered) = answered_author(tx, post).await? else {
        return Ok(());
    };
    match answered.id != author.id && blocks::is_between(tx, author.id, answered.id).await? {
        true => Err(Error::forbidden(
            "post.blocked",
            "One of you has blocked the other.",
        )),
        false => Ok(()),
    }
}

/// Whom the author blocked, and who blocked him.
async fn blocked(tx: &mut Tx, author: &Local, audience: &Audience) -> Result<Vec<Uuid>> {
    if audience.mentions.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Statement::<SqlUuid>::new("select b from hub.blocked_with(");
    select.bind(Bind::Uuid(author.id)).sql(") b");
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}

/// Write down who of this hub reads it, and who elsewhere was named in it.
pub async fn fill(tx: &mut Tx, post: &Post, author: &Local, audience: &Audience) -> Result<()> {
    let named = audience
        .mentions
        .iter()
        .map(|mention| Some(mention.uri.clone()))
        .collect();
    let mut fill = Statement::<()>::new(
        "with named as (select a.id, a.kind, a.row_id from public.ap_actors a where a.uri = any (",
    );
    fill.bind(Bind::Texts(named))
        .sql(")), readers as (select row_id as user_id, null::uuid as actor_id from named where kind = 'user' \
             union select null, id from named where kind is null union select f.owner_id, null from public.follows f where ")
        .text(&post.visibility)
        .sql("::text = 'followers' and f.direction = 'out' and f.state = 'accepted' and f.owner_id is not null and f.actor_id = ")
        .bind(Bind::Uuid(author.id))
        .sql("), gone as (delete from public.post_audience x where x.post_id = ")
        .bind(Bind::Uuid(post.id))
        .sql(" and not exists (select from readers r where r.user_id = x.user_id or r.actor_id = x.actor_id)) \
             insert into public.post_audience (owner_id, post_id, user_id, actor_id) select ")
        .bind(Bind::Text(post.owner_id.map(|id| id.to_string())))
        .sql("::uuid, ")
        .bind(Bind::Uuid(post.id))
        .sql(", r.user_id, r.actor_id from readers r on conflict do nothing");
    tx.as_hub(async |tx| tx.run(fill.clone()).await.map(drop))
        .await
}

/// Actors elsewhere by whom something under this address was received, one for each inbox.
pub async fn told_before(tx: &mut Tx, uri: &str) -> Result<Vec<String>> {
    let mut select = Statement::<Text>::new(
        "select distinct a.uri from (select distinct d.host, d.inbox_url from public.ap_activities x \
         join public.ap_deliveries d on d.activity_id = x.id where x.object_uri = ",
    );
    select
        .text(uri)
        .sql(" union select h.host, null from public.ap_activities x cross join lateral unnest(x.hosts) h (host) \
             where not x.is_private and x.object_uri = ")
        .text(uri)
        .sql(") t cross join lateral (select a.uri from public.ap_actors a where a.host = t.host and a.kind is null \
             and a.deleted_at is null and case when t.inbox_url is null then a.shared_inbox_url is not null \
             else t.inbox_url in (a.shared_inbox_url, a.inbox_url) end limit 1) a");
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}
