//! Reports: what somebody holds against an actor or what he said, kept with the text as it was. Telling the other server is
//! asked for each time, and the hub's own actor tells it, so that nobody learns who complained (S-97). What other servers
//! report is as good as its sender: it names nobody but him (S-60).

use std::collections::BTreeSet;

use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::actors::{self as people, Known};
use super::limits::{self, Deed};
use super::{blocks, moderation};
use crate::base::{Error, Result, text};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors;
use crate::fed::outbox::{self, Outgoing};
use crate::fed::{trust, vocab};
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};
use crate::node::incoming::{Applied, Incoming};

/// How many things one report is about at most, and how long its reason may be.
const MOST: usize = 100;
const LONGEST: usize = 5_000;

/// What follows when a row is written by hand.
pub const HOOK: Hook = Hook {
    kind: "reports",
    before: None,
    after: Some(written),
};

/// What is complained of: an actor or an object, by its address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    object: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    forward: bool,
}

/// Complain of somebody or something.
pub async fn file(tx: &mut Tx, input: File) -> Result<Value> {
    blocks::person(tx).await?;
    if input.reason.chars().count() > LONGEST {
        return Err(Error::invalid(
            "report.reason",
            format!("A reason has at most {LONGEST} characters."),
        ));
    }
    let (target, objects) = match people::find(tx, &input.object).await? {
        Some(actor) => (Some(actor.id), Vec::new()),
        None => {
            let (author, uri) = post(tx, &input.object).await?;
            (author, vec![uri])
        }
    };

    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.reports (owner_id, target_actor_id, objects, reason, forward) values (auth.uid(), ",
    );
    insert
        .bind(Bind::Text(target.map(|id| id.to_string())))
        .sql("::uuid, ")
        .bind(Bind::Texts(objects.into_iter().map(Some).collect()))
        .sql(", ")
        .text(tidy(&input.reason))
        .sql(format!(", {}) returning id", input.forward));
    let ids: Vec<Uuid> = tx.load(insert).await?;
    let id = ids
        .into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("no report came back")))?;
    let forwarded = filed(tx, id).await?;
    Ok(json!({ "id": id, "status": "open", "forwarded": forwarded }))
}

/// A post that the caller reads: its author and its address.
async fn post(tx: &mut Tx, named: &str) -> Result<(Option<Uuid>, String)> {
    let mut select = Statement::<(
        Nullable<SqlUuid>,
        Nullable<SqlUuid>,
        Nullable<SqlUuid>,
        Text,
    )>::new(
        "select p.origin_actor_id, p.author_actor_id, p.owner_id, coalesce(p.federated_ap_id, p.id::text) \
         from public.posts p where p.federated_ap_id = ",
    );
    select
        .text(named)
        .sql(" or p.url = ")
        .text(named)
        .sql(" or p.id::text = ")
        .text(named)
        // Whom he blocked he no longer reads, and may still complain of.
        .sql(" union all select b.origin, b.author, b.owner, coalesce(b.uri, b.id::text) from hub.blocked_posts(array[")
        .text(named)
        .sql("]) b limit 1");
    type Found = (Option<Uuid>, Option<Uuid>, Option<Uuid>, String);
    let found: Vec<Found> = tx.load(select).await?;
    let Some((origin, author, owner, uri)) = found.into_iter().next() else {
        return Err(Error::missing(
            "report.not_found",
            format!("Nothing is known as {named}."),
        ));
    };
    let author = match (origin.or(author), owner) {
        (Some(author), _) => Some(author),
        (None, Some(owner)) => actors::of_row(tx, "user", owner)
            .await?
            .map(|actor| actor.id),
        (None, None) => None,
    };
    Ok((author, uri))
}

fn written<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        if verb == Verb::Insert {
            for id in ids.iter().filter_map(|id| id.parse().ok()) {
                filed(tx, id).await?;
            }
        }
        Ok(())
    })
}

/// A row of `reports`, as far as it is passed on.
#[derive(Debug, Deserialize)]
struct Row {
    id: Uuid,
    owner_id: Option<Uuid>,
    target_actor_id: Option<Uuid>,
    objects: Vec<String>,
    reason: String,
    forward: bool,
    forwarded_at: Option<String>,
}

/// What follows from a new report; whether the other server is told.
async fn filed(tx: &mut Tx, id: Uuid) -> Result<bool> {
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select to_jsonb(r) - 'snapshot' from public.reports r where r.id = ",
    );
    select.bind(Bind::Uuid(id));
    let Some(row) = tx.hub_one::<Row>(select).await? else {
        return Ok(false);
    };
    if let Some(owner) = row.owner_id {
        limits::take_or_refuse(tx, Deed::Report, owner)?;
    }
    if !row.forward || row.forwarded_at.is_some() {
        return Ok(false);
    }
    let target = match row.target_actor_id {
        Some(id) => people::find_held(tx, &id.to_string()).await?,
        None => None,
    };
    match target.filter(|target| !target.is_local()) {
        Some(target) => forward(tx, &row, &target).await,
        None => Ok(false),
    }
}

/// Tell the server of whom it is about, in the hub's own name.
async fn forward(tx: &mut Tx, row: &Row, target: &Known) -> Result<bool> {
    if moderation::held(tx, &target.host).await?.as_deref() == Some("block") {
        return Ok(false);
    }
    let node = actors::node(tx).await?;
    let mut objects = vec![target.uri.clone()];
    let theirs = |uri: &&String| trust::same_origin(uri, &target.uri) && **uri != target.uri;
    objects.extend(row.objects.iter().filter(theirs).cloned());
    let said = Outgoing {
        actor: node.id,
        activity: json!({ "type": "Flag", "content": row.reason, "object": objects }),
        to: vec![target.uri.clone()],
        cc: Vec::new(),
        about: Some(target.uri.clone()),
        also: Vec::new(),
        is_private: true,
    };
    let said = outbox::publish(tx, said).await?;
    let mut mark =
        Statement::new("update public.reports set forwarded_at = now(), federated_ap_id = ");
    mark.text(said.uri)
        .sql(" where id = ")
        .bind(Bind::Uuid(row.id));
    tx.as_hub(async |tx| tx.run(mark.clone()).await.map(drop))
        .await?;
    Ok(true)
}

/// Another server complains.
pub async fn on_flagged(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let held = moderation::held(tx, &heard.author.host).await?;
    if held.as_deref() == Some("reject_reports") {
        return Ok(Applied::Refused("reports_rejected"));
    }
    if limits::take(tx, Deed::Report, heard.author.id).is_err() {
        return Ok(Applied::Refused("too_often"));
    }
    let named = heard.activity.get("object").unwrap_or(&heard.object);
    let objects: BTreeSet<String> = vocab::ids(named)
        .into_iter()
        .filter(|uri| uri.len() <= 2048 && trust::origin(uri).is_some())
        .take(MOST)
        .map(str::to_owned)
        .collect();
    let objects: Vec<String> = objects.into_iter().collect();
    let (target, is_ours) = whom(tx, &objects).await?;
    if !is_ours {
        return Ok(Applied::Ignored("not_ours"));
    }
    let content = heard.activity.get("content").and_then(Value::as_str);
    let reason = tidy(&text::plain(content.unwrap_or_default()));

    let (author, uri) = (heard.author.id, heard.uri.clone());
    let put: Vec<Uuid> = tx
        .as_hub(async |tx| {
            let mut insert = Statement::<SqlUuid>::new(
                "insert into public.reports (owner_id, origin_actor_id, target_actor_id, objects, reason, federated_ap_id) \
                 values (null, ",
            );
            insert
                .bind(Bind::Uuid(author))
                .sql(", ")
                .bind(Bind::Text(target.map(|id: Uuid| id.to_string())))
                .sql("::uuid, ")
                .bind(Bind::Texts(objects.iter().cloned().map(Some).collect()))
                .sql(", ")
                .text(&reason)
                .sql(", ")
                .text(&uri)
                .sql(") on conflict (federated_ap_id) do nothing returning id");
            tx.load(insert).await
        })
        .await?;
    Ok(match put.is_empty() {
        false => Applied::Done,
        true => Applied::Repeated,
    })
}

/// Who of ours it is about, and whether anything of it is ours at all.
async fn whom(tx: &mut Tx, objects: &[String]) -> Result<(Option<Uuid>, bool)> {
    let mut ask = Statement::<Nullable<SqlUuid>>::new(
        "select a.id from public.ap_actors a where a.kind is not null and a.kind <> 'node' and a.uri = any (",
    );
    let bound = || Bind::Texts(objects.iter().cloned().map(Some).collect());
    ask.bind(bound()).sql(
        ") union all select coalesce(p.author_actor_id, (select a.id from public.ap_actors a \
         where a.kind = 'user' and a.row_id = p.owner_id)) from public.posts p where p.owner_id is not null \
         and p.federated_ap_id = any (",
    );
    ask.bind(bound())
        .sql(") union all select t.author from unnest(");
    ask.bind(bound()).sql(
        "::text[]) u (uri) cross join lateral hub.answerable(u.uri) t where t.is_ours limit 1",
    );
    let found: Vec<Option<Uuid>> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok((found.first().copied().flatten(), !found.is_empty()))
}

/// Text as it is kept: no control characters but line breaks, and not endless.
fn tidy(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .take(LONGEST)
        .collect()
}
