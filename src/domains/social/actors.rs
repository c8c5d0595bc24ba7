//! Whoever of this hub is an actor: when he becomes one, how he shows himself, moves away and goes. Accounts with a public
//! profile, public rooms and public DAOs are actors by themselves; tenants and agents when their people say so.

use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx, vault};
use crate::fed::actors::{self, Local};
use crate::fed::outbox::{self, Outgoing};
use crate::fed::vocab::PUBLIC;
use crate::fed::{collections, keys};
use crate::jobs::{self, Order};
use crate::kinds::verbs::Later;
use crate::node::Node;
use crate::node::work::{Attempt, Change, Job};

/// Kinds whose rows stand behind actors, with the actors' kind.
const BEHIND: &[(&str, &str)] = &[
    ("users", "user"),
    ("profiles", "user"),
    ("tenants", "tenant"),
    ("agents", "agent"),
    ("daos", "dao"),
    ("chat_channels", "channel"),
];

/// An actor as a row, wherever he lives.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Known {
    pub id: Uuid,
    pub uri: String,
    #[serde(rename = "type")]
    pub of_type: String,
    pub preferred_username: Option<String>,
    pub host: String,
    pub name: Option<String>,
    pub url: Option<String>,
    pub inbox_url: Option<String>,
    pub followers_url: Option<String>,
    /// What it stands for here; none for everybody elsewhere.
    pub kind: Option<String>,
    pub row_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    pub manually_approves_followers: bool,
    pub also_known_as: Vec<String>,
    pub moved_to: Option<String>,
}

impl Known {
    /// Whether it is one of this hub.
    pub fn is_local(&self) -> bool {
        self.kind.is_some()
    }

    /// What people call it.
    pub fn address(&self) -> String {
        match &self.preferred_username {
            Some(name) => format!("@{name}@{}", self.host),
            None => self.uri.clone(),
        }
    }
}

const ROW: &str =
    "select to_jsonb(a) - 'document' from public.ap_actors a where a.deleted_at is null and ";

/// Whom nothing is held against.
const FREE: &str = "a.suspended_at is null and ";

/// An actor by name or address, if he is known here.
pub async fn find(tx: &mut Tx, named: &str) -> Result<Option<Known>> {
    let mut select = Statement::new(ROW);
    select.sql(FREE).sql(
        "(a.kind is not null or coalesce((hub.host_policy(a.host)).policy, '') <> 'block') and ",
    );
    look(tx, select, named.trim()).await
}

/// The same, also where he is suspended or his server is blocked: for those who decide about that.
pub async fn find_held(tx: &mut Tx, named: &str) -> Result<Option<Known>> {
    let mut select = Statement::new(ROW);
    match named.trim().parse() {
        Ok(id) => {
            select.sql("a.id = ").bind(Bind::Uuid(id));
            one(tx, select).await
        }
        Err(_) => look(tx, select, named.trim()).await,
    }
}

async fn look(
    tx: &mut Tx,
    mut select: Statement<Nullable<Jsonb>>,
    named: &str,
) -> Result<Option<Known>> {
    match address(tx, named)? {
        Some((name, host, is_own)) if is_own => {
            drop(host);
            select
                .sql("a.kind is not null and lower(a.preferred_username) = lower(")
                .text(name)
                .sql(")");
        }
        Some((name, host, _)) => {
            select
                .sql("a.host = ")
                .text(host)
                .sql(" and lower(a.preferred_username) = lower(")
                .text(name)
                .sql(")");
        }
        None => {
            select
                .sql("(a.uri = ")
                .text(named)
                .sql(" or a.url = ")
                .text(named)
                .sql(")");
        }
    }
    select.sql(" order by a.kind is null, a.id limit 1");
    one(tx, select).await
}

/// An actor by name or address, or a refusal.
pub async fn named(tx: &mut Tx, named: &str) -> Result<Known> {
    find(tx, named)
        .await?
        .ok_or_else(|| Error::missing("actor.not_found", format!("Nobody is known as {named}.")))
}

/// An actor by his row.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Known>> {
    let mut select = Statement::new(ROW);
    select.sql(FREE).sql("a.id = ").bind(Bind::Uuid(id));
    one(tx, select).await
}

async fn one(tx: &mut Tx, select: Statement<Nullable<Jsonb>>) -> Result<Option<Known>> {
    let rows: Vec<Option<Value>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    rows.into_iter()
        .flatten()
        .next()
        .map(|row| serde_json::from_value(row).map_err(Error::broken))
        .transpose()
}

/// `@name@host`, `name@host` or `@name` in its parts, and whether the host is this hub.
fn address(tx: &Tx, named: &str) -> Result<Option<(String, String, bool)>> {
    if named.contains("://") {
        return Ok(None);
    }
    let bare = named.strip_prefix("acct:").unwrap_or(named);
    let bare = bare.strip_prefix('@').unwrap_or(bare);
    let domain = actors::domain(tx)?;
    let own = tx.hub().public_url().map(actors::authority);
    Ok(match bare.rsplit_once('@') {
        Some((name, host)) => {
            let host = host.to_lowercase();
            let is_own = host == domain.to_lowercase() || Some(&host) == own.as_ref();
            Some((name.to_owned(), host, is_own))
        }
        None => Some((bare.to_owned(), domain, true)),
    })
}

/// The actor in whose name the caller speaks: his own, or one that he may speak for.
pub async fn speaker(tx: &mut Tx, wanted: Option<Uuid>) -> Result<Local> {
    let person = tx
        .person()
        .await?
        .ok_or_else(|| Error::sign_in("actor.sign_in", "Sign in to speak to others."))?;
    let actor = match wanted {
        None => match actors::of_row(tx, "user", person).await? {
            Some(actor) => Some(actor),
            None => settle(tx, "user", person, false, None).await?,
        },
        Some(id) => {
            if !actors::spoken_for(tx, person, id).await? {
                return Err(Error::forbidden(
                    "actor.not_yours",
                    "You do not speak for this actor.",
                ));
            }
            actors::by_id(tx, id).await?
        }
    };
    if actor
        .as_ref()
        .is_some_and(|actor| actor.suspended_at.is_some())
    {
        return Err(Error::forbidden(
            "actor.suspended",
            "This actor is suspended: it says nothing to others.",
        ));
    }
    actor
        .filter(|actor| !actor.is_gone() && actor.is_shown)
        .ok_or_else(|| {
            Error::conflict(
                "actor.not_public",
                "Others cannot see you yet: make your profile public, or call actors_publish.",
            )
        })
}

/// Bring an actor's row up to what stands behind it, and tell its followers of a change.
pub async fn settle(
    tx: &mut Tx,
    kind: &str,
    row: Uuid,
    force: bool,
    handle: Option<&str>,
) -> Result<Option<Local>> {
    let base = actors::base(tx)?;
    let mut call = Statement::<(SqlUuid, Text)>::new("select id, became from hub.settle_actor(");
    call.text(kind)
        .sql(", ")
        .bind(Bind::Uuid(row))
        .sql(", ")
        .text(base)
        .sql(format!(", {force}, "))
        .bind(Bind::Text(handle.map(str::to_owned)))
        .sql(")");
    let rows: Vec<(Uuid, String)> = tx.as_hub(async |tx| tx.load(call.clone()).await).await?;
    let Some((id, became)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let Some(actor) = actors::by_id(tx, id).await? else {
        return Ok(None);
    };
    match became.as_str() {
        "changed" => tell_changed(tx, &actor).await?,
        "gone" => go(tx, &actor).await?,
        _ => {}
    }
    Ok(Some(actor))
}

/// Say to the followers how the actor is now.
pub async fn tell_changed(tx: &mut Tx, actor: &Local) -> Result<()> {
    let mut document = actors::document(tx, actor).await?;
    if let Some(document) = document.as_object_mut() {
        document.remove("@context");
    }
    outbox::publish(tx, changed(actor, document))
        .await
        .map(drop)
}

fn changed(actor: &Local, document: Value) -> Outgoing {
    Outgoing {
        actor: actor.id,
        activity: json!({ "type": "Update", "object": document }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![actor.followers()],
        about: Some(actor.uri.clone()),
        also: Vec::new(),
        is_private: false,
    }
}

/// Say to everybody who ever got something that the actor is gone, and keep only that.
pub async fn go(tx: &mut Tx, actor: &Local) -> Result<()> {
    if actor.is_gone() {
        return Ok(());
    }
    let everybody = everybody_told(tx, actor.id).await?;
    let outgoing = Outgoing {
        actor: actor.id,
        activity: json!({ "type": "Delete", "object": actor.uri }),
        to: vec![PUBLIC.to_owned()],
        cc: vec![actor.followers()],
        about: Some(actor.uri.clone()),
        also: everybody,
        is_private: false,
    };
    let said = outbox::publish(tx, outgoing).await?;
    collections::bury(tx, &actor.uri, &actor.uri, &actor.of_type, true).await?;
    // What is left names nobody: neither whom it stood for nor what he was called or said.
    let mut close = Statement::new(
        "update public.ap_actors set deleted_at = now(), name = null, summary = null, icon_url = null, properties = '[]', \
         also_known_as = '{}', user_id = null, url = null, preferred_username = 'gone', row_id = gen_random_uuid() where id = ",
    );
    close.bind(Bind::Uuid(actor.id));
    let mut forget = Statement::new("delete from public.ap_activities where actor_id = ");
    forget
        .bind(Bind::Uuid(actor.id))
        .sql(" and id <> ")
        .bind(Bind::Uuid(said.id));
    tx.as_hub(async |tx| {
        tx.run(close.clone()).await?;
        tx.run(forget.clone()).await.map(drop)
    })
    .await
}

/// One actor of each server that ever got something of this one.
async fn everybody_told(tx: &mut Tx, actor: Uuid) -> Result<Vec<String>> {
    let mut select = Statement::<Text>::new(
        "select distinct on (a.host) a.uri from public.ap_actors a where a.kind is null and a.deleted_at is null \
         and a.inbox_url is not null and a.host in (select distinct d.host from public.ap_deliveries d \
         join public.ap_activities x on x.id = d.activity_id where d.state = 'done' and x.actor_id = ",
    );
    select
        .bind(Bind::Uuid(actor))
        .sql(") order by a.host, a.shared_inbox_url is null, a.id");
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}

/// What follows when what stands behind an actor changes.
pub fn react<'a>(tx: &'a mut Tx, changes: &'a [Change]) -> Later<'a, ()> {
    Box::pin(async move {
        for change in changes {
            let Some((_, kind)) = BEHIND.iter().find(|(table, _)| *table == change.kind) else {
                continue;
            };
            settle(tx, kind, change.row, false, None).await?;
        }
        Ok(())
    })
}

/// Make actors of what was public before the hub federated.
#[derive(Serialize, Deserialize)]
pub struct CatchUp {}

impl Job for CatchUp {
    const KEY: &'static str = "social.catch_up";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let mut last = Uuid::nil();
        loop {
            let mut missing = Statement::<(Text, SqlUuid)>::new(
                "select * from (select 'user' as kind, u.id from public.users u left join public.profiles p on p.id = u.id \
                 where u.deleted_at is null and coalesce(p.is_public, true) and (u.banned_until is null or u.banned_until <= now()) \
                 union all select 'channel', c.id from public.chat_channels c where c.visibility = 'public' \
                 union all select 'dao', d.id from public.daos d where coalesce(d.is_public, true) and d.origin_actor_id is null) m \
                 where not exists (select from public.ap_actors a where a.kind = m.kind and a.row_id = m.id) and m.id > ",
            );
            missing
                .bind(Bind::Uuid(last))
                .sql(" order by m.id limit 100");
            let rows: Vec<(String, Uuid)> = Tx::once(&node.db, &Caller::Hub, missing).await?;
            let Some((_, end)) = rows.last() else {
                return Ok(());
            };
            last = *end;
            for (kind, row) in &rows {
                node.db
                    .write(&Caller::Hub, async |tx| {
                        settle(tx, kind, *row, false, None).await.map(drop)
                    })
                    .await?;
            }
        }
    }
}

/// Whoever is public and no actor yet becomes one soon.
pub async fn at_start(node: &Node) -> Result<()> {
    node.db
        .write(&Caller::Hub, async |tx| {
            jobs::enqueue(tx, &CatchUp {}, Order::default())
                .await
                .map(drop)
        })
        .await
}

/// Destroy the keys of actors that are gone, once everybody heard of it or was given up.
#[derive(Serialize, Deserialize)]
pub struct ShredKeys {}

impl Job for ShredKeys {
    const KEY: &'static str = "social.shred_keys";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        node.db
            .write(&Caller::Hub, async |tx| {
                let over = Statement::<(SqlUuid, SqlUuid)>::new(
                    "select k.id, k.secret_id from public.ap_keys k join public.ap_actors a on a.id = k.actor_id \
                     where a.kind is not null and a.deleted_at < now() - interval '1 hour' and k.secret_id is not null \
                     and not exists (select from public.ap_deliveries d join public.ap_activities x on x.id = d.activity_id \
                     where x.actor_id = a.id and d.state = 'waiting') limit 1000",
                );
                let rows: Vec<(Uuid, Uuid)> = tx.load(over).await?;
                let (keys, secrets): (Vec<Uuid>, Vec<Uuid>) = rows.into_iter().unzip();
                vault::forget(tx, &secrets).await?;
                let mut delete = Statement::new("delete from public.ap_keys where id = any (");
                delete
                    .bind(Bind::Texts(keys.iter().map(|id| Some(id.to_string())).collect()))
                    .sql("::uuid[])");
                tx.run(delete).await.map(drop)
            })
            .await
    }
}

/// What is looked for.
#[derive(Deserialize)]
pub struct Resolve {
    query: String,
}

/// Who or what a name or an address stands for.
pub async fn resolve(tx: &mut Tx, input: Resolve) -> Result<Value> {
    if let Some(actor) = find(tx, &input.query).await? {
        return Ok(json!({
            "kind": "actor", "id": actor.id, "uri": actor.uri, "type": actor.of_type, "handle": actor.address(),
            "name": actor.name, "url": actor.url, "is_local": actor.is_local(), "moved_to": actor.moved_to,
        }));
    }
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select jsonb_build_object('kind', 'post', 'id', p.id, 'uri', p.federated_ap_id, 'type', p.type, 'title', p.title, \
         'content', p.content, 'url', p.url, 'visibility', p.visibility, 'published_at', p.published_at, \
         'is_local', p.owner_id is not null) from public.posts p where p.federated_ap_id = ",
    );
    select
        .text(&input.query)
        .sql(" or p.url = ")
        .text(&input.query)
        .sql(" limit 1");
    let rows: Vec<Option<Value>> = tx.load(select).await?;
    rows.into_iter().flatten().next().ok_or_else(|| {
        Error::missing(
            "actor.not_found",
            format!("Nothing is known as {}.", input.query),
        )
    })
}

/// What is to be shown.
#[derive(Deserialize)]
pub struct Publish {
    kind: Option<String>,
    id: Option<Uuid>,
    handle: Option<String>,
}

/// Show oneself or something one runs.
pub async fn publish(tx: &mut Tx, input: Publish) -> Result<Value> {
    let person = tx
        .person()
        .await?
        .ok_or_else(|| Error::sign_in("actor.sign_in", "Sign in to be seen."))?;
    let kind = input.kind.as_deref().unwrap_or("user");
    let row = input.id.unwrap_or(person);
    if !runs(tx, person, kind, row).await? {
        return Err(Error::missing(
            "actor.not_found",
            "There is nothing of yours with this id.",
        ));
    }
    if kind == "user" {
        // Being an actor and having a public profile are one thing.
        let mut open = Statement::new("insert into public.profiles (id, is_public) values (");
        open.bind(Bind::Uuid(person))
            .sql(", true) on conflict (id) do update set is_public = true");
        tx.as_hub(async |tx| tx.run(open.clone()).await.map(drop))
            .await?;
    }

    let force = matches!(kind, "tenant" | "agent");
    let actor = settle(tx, kind, row, force, input.handle.as_deref()).await?;

    let actor = actor.filter(|actor| actor.is_shown).ok_or_else(|| {
        Error::conflict("actor.not_public", "It is not public: change that first.")
    })?;
    let domain = actors::domain(tx)?;
    Ok(
        json!({ "id": actor.id, "uri": actor.uri, "handle": actor.handle, "address": format!("@{}", actor.address(&domain)) }),
    )
}

/// Whether a person runs what stands behind an actor.
async fn runs(tx: &mut Tx, person: Uuid, kind: &str, row: Uuid) -> Result<bool> {
    if !BEHIND.iter().any(|(_, known)| *known == kind) {
        return Err(Error::invalid(
            "actor.no_such_kind",
            "kind is one of user, tenant, agent, dao, channel.",
        ));
    }
    let mut ask = Statement::<Nullable<SqlUuid>>::new("select r.account from hub.who_runs(");
    ask.text(kind).sql(", ").bind(Bind::Uuid(row)).sql(") r");
    let people: Vec<Option<Uuid>> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(people.contains(&Some(person)))
}

/// Which actor.
#[derive(Deserialize)]
pub struct Which {
    id: Option<Uuid>,
}

/// Show an actor no more.
pub async fn withdraw(tx: &mut Tx, input: Which) -> Result<Value> {
    let actor = speaker(tx, input.id).await?;
    if actor.kind == "user" {
        return Err(Error::conflict(
            "actor.is_an_account",
            "An account's actor goes with the account; a private profile hides it.",
        ));
    }
    go(tx, &actor).await?;
    Ok(json!({ "id": actor.id, "deleted": true }))
}

/// How an actor is to show itself.
#[derive(Deserialize)]
pub struct Update {
    id: Option<Uuid>,
    changes: Changes,
}

/// What may be changed; what is left out stays.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    summary: Option<String>,
    properties: Option<Vec<Line>>,
    locked: Option<bool>,
    hides_followers: Option<bool>,
    discoverable: Option<bool>,
    indexable: Option<bool>,
    also_known_as: Option<Vec<String>>,
}

/// A line of a profile.
#[derive(Deserialize, Serialize)]
pub struct Line {
    name: String,
    value: String,
}

/// Change how an actor shows itself.
pub async fn update(tx: &mut Tx, input: Update) -> Result<Value> {
    let actor = speaker(tx, input.id).await?;
    let changes = input.changes;
    let too_much = changes
        .summary
        .as_ref()
        .is_some_and(|text| text.len() > 10_000)
        || changes.properties.as_ref().is_some_and(|lines| {
            lines.len() > 8
                || lines
                    .iter()
                    .any(|line| line.name.len() > 255 || line.value.len() > 2_000)
        })
        || changes
            .also_known_as
            .as_ref()
            .is_some_and(|names| names.len() > 10);
    if too_much {
        return Err(Error::invalid(
            "actor.too_long",
            "At most 8 properties, 10 other accounts, and 10,000 characters of summary.",
        ));
    }
    if let Some(bad) = changes
        .also_known_as
        .iter()
        .flatten()
        .find(|name| !name.starts_with("https://") && !name.starts_with("http://"))
    {
        return Err(Error::invalid(
            "actor.not_an_address",
            format!("{bad} is not the address of an actor."),
        ));
    }
    let mut patch = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            patch.insert(name.to_owned(), value);
        }
    };
    set("summary", json!(changes.summary));
    set("properties", json!(changes.properties));
    set("manually_approves_followers", json!(changes.locked));
    set("hides_followers", json!(changes.hides_followers));
    set("discoverable", json!(changes.discoverable));
    set("indexable", json!(changes.indexable));
    set("also_known_as", json!(changes.also_known_as));
    let mut write = Statement::new(
        "update public.ap_actors a set (summary, properties, manually_approves_followers, hides_followers, discoverable, \
         indexable, also_known_as) = (n.summary, n.properties, n.manually_approves_followers, n.hides_followers, \
         n.discoverable, n.indexable, n.also_known_as), version = greatest(a.version + 1, \
         (extract(epoch from clock_timestamp()) * 1000)::bigint) from public.ap_actors o, \
         jsonb_populate_record(o, ",
    );
    write
        .text(Value::Object(patch).to_string())
        .sql("::jsonb) n where o.id = a.id and a.id = ")
        .bind(Bind::Uuid(actor.id));
    tx.as_hub(async |tx| tx.run(write.clone()).await.map(drop))
        .await?;

    let actor = actors::by_id(tx, actor.id)
        .await?
        .ok_or_else(|| Error::missing("actor.not_found", "The actor is gone."))?;
    tell_changed(tx, &actor).await?;
    actors::document(tx, &actor).await
}

/// Sign with new keys from now on.
pub async fn rotate_keys(tx: &mut Tx, input: Which) -> Result<Value> {
    let actor = speaker(tx, input.id).await?;
    let retired = keys::rotate(tx, actor.id).await?;
    let mut document = actors::document(tx, &actor).await?;
    if let Some(document) = document.as_object_mut() {
        document.remove("@context");
    }
    outbox::publish_by(tx, changed(&actor, document), &retired).await?;
    Ok(json!({ "id": actor.id, "rotated": true }))
}

/// Where an actor moves.
#[derive(Deserialize)]
pub struct MoveAway {
    id: Option<Uuid>,
    target: String,
}

/// Tell the followers that the actor has moved.
pub async fn move_away(tx: &mut Tx, input: MoveAway) -> Result<Value> {
    let actor = speaker(tx, input.id).await?;
    let target = named(tx, &input.target).await?;
    if target.id == actor.id || !target.also_known_as.contains(&actor.uri) {
        return Err(Error::conflict(
            "actor.not_known_there",
            "The other account must first name this one among its other accounts.",
        ));
    }
    let mut moved = Statement::new("update public.ap_actors set moved_at = now(), moved_to = ");
    moved
        .text(&target.uri)
        .sql(", version = greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint) where id = ")
        .bind(Bind::Uuid(actor.id))
        .sql(" and (moved_at is null or moved_at < now() - interval '7 days')");
    let done = tx.as_hub(async |tx| tx.run(moved.clone()).await).await?;
    if done == 0 {
        return Err(Error::conflict(
            "actor.moved_lately",
            "One moves at most once in seven days.",
        ));
    }
    if let Some(actor) = actors::by_id(tx, actor.id).await? {
        tell_changed(tx, &actor).await?;
    }
    let outgoing = Outgoing {
        actor: actor.id,
        activity: json!({ "type": "Move", "object": actor.uri, "target": target.uri }),
        to: vec![actor.followers()],
        cc: Vec::new(),
        about: Some(actor.uri.clone()),
        also: vec![target.uri.clone()],
        is_private: false,
    };
    outbox::publish(tx, outgoing).await?;
    Ok(json!({ "id": actor.id, "moved_to": target.uri }))
}
