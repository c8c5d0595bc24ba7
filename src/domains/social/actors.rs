//! Whoever of this hub is an actor: when he becomes one, how he shows himself, moves away and goes. Accounts with a public
//! profile, public rooms and public DAOs are actors by themselves; tenants and agents when their people say so.

mod deeds;
mod tasks;
mod told;

use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::deeds::{move_away, publish, resolve, rotate_keys, update, withdraw};
pub use self::tasks::{CatchUp, ShredKeys, at_start};
pub use self::told::{go, tell_changed};

use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::fed::actors::{self, Local};
use crate::kinds::verbs::Later;
use crate::node::work::Change;

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
            tx.hub_one(select).await
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
    tx.hub_one(select).await
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
    tx.hub_one(select).await
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
    let actor = actor_for(tx, person, wanted).await?;
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

/// In whose name a row of somebody's speaks; none where he is not seen by others.
pub async fn author(tx: &mut Tx, owner: Uuid, wanted: Option<Uuid>) -> Result<Option<Local>> {
    let actor = actor_for(tx, owner, wanted).await?;
    Ok(actor.filter(|actor| !actor.is_gone() && actor.is_shown && actor.suspended_at.is_none()))
}

/// Somebody's own actor, which he becomes by being asked for if he is public.
pub async fn own(tx: &mut Tx, person: Uuid) -> Result<Option<Local>> {
    match actors::of_row(tx, "user", person).await? {
        Some(actor) => Ok(Some(actor)),
        None => settle(tx, "user", person, false, None).await,
    }
}

async fn actor_for(tx: &mut Tx, person: Uuid, wanted: Option<Uuid>) -> Result<Option<Local>> {
    let Some(id) = wanted else {
        return own(tx, person).await;
    };
    if !actors::spoken_for(tx, person, id).await? {
        return Err(Error::forbidden(
            "actor.not_yours",
            "You do not speak for this actor.",
        ));
    }
    actors::by_id(tx, id).await
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
