//! What people do with actors by actions: find one, show one, change how it shows itself, move it away and withdraw it.

use diesel::sql_types::{Jsonb, Nullable, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::told::{changed, go, tell_changed};
use super::{BEHIND, find, named, settle, speaker};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::moves;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::{actors, keys};

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
    if let Some(post) = rows.into_iter().flatten().next() {
        return Ok(post);
    }
    // What stands in tables of its own is named, and read there.
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select jsonb_build_object('kind', x.kind, 'id', x.id, 'uri', x.uri, 'title', x.title) from (",
    );
    for (n, (kind, table)) in [
        ("listing", "listings"),
        ("declaration", "declarations"),
        ("proposal", "proposals"),
    ]
    .into_iter()
    .enumerate()
    {
        select
            .sql(if n > 0 { " union all " } else { "" })
            .sql(format!("select '{kind}' as kind, t.id, t.federated_ap_id as uri, t.title from public.{table} t where t.federated_ap_id = "))
            .text(&input.query);
    }
    select.sql(") x limit 1");
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
    // Nothing is sent to those of this hub.
    if let Some(old) = super::by_id(tx, actor.id).await? {
        moves::follow_along(tx, &old, &target).await?;
    }
    Ok(json!({ "id": actor.id, "moved_to": target.uri }))
}
