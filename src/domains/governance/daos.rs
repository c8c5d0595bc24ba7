//! DAOs as rows: those of this hub, which have an actor if they are public, and those elsewhere, which are an actor. Who
//! belongs to one, who runs it, and how a name or an address leads to it.

use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::{self as people, Known};
use crate::fed::actors::{self, Local};

/// A row of `daos`.
#[derive(Clone, Debug, Deserialize)]
pub struct Dao {
    pub id: Uuid,
    /// Who founded it; none for one elsewhere.
    pub owner_id: Option<Uuid>,
    pub origin_actor_id: Option<Uuid>,
    pub name: String,
    pub description: Option<String>,
    pub slug: Option<String>,
    pub quorum_pct: Option<i64>,
    pub pass_threshold: Option<i64>,
    pub voting_period_h: Option<i64>,
    pub membership: String,
    pub is_public: Option<bool>,
    pub ballot: String,
    pub threshold_base: String,
    pub change_vote: bool,
    pub bylaws: Option<String>,
    pub federated_ap_id: Option<String>,
}

impl Dao {
    /// Whether it lives on another hub.
    pub fn is_elsewhere(&self) -> bool {
        self.origin_actor_id.is_some()
    }

    /// Whether others may know of it.
    pub fn is_public(&self) -> bool {
        self.is_public.unwrap_or(true)
    }
}

/// Somebody who belongs to a DAO, or would: an account of this hub or an actor elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    User(Uuid),
    Actor(Uuid),
}

impl Person {
    /// Who is behind an actor; none for what is no person: a group, a node.
    pub fn of(known: &Known) -> Option<Self> {
        match (known.kind.as_deref(), known.row_id) {
            (Some("user"), Some(user)) => Some(Self::User(user)),
            (Some(_), _) => None,
            (None, _) if matches!(known.of_type.as_str(), "Group" | "Application") => None,
            (None, _) => Some(Self::Actor(known.id)),
        }
    }

    /// The column and the value that name him.
    pub fn column(self) -> (&'static str, Uuid) {
        match self {
            Self::User(id) => ("user_id", id),
            Self::Actor(id) => ("actor_id", id),
        }
    }
}

/// A row of `dao_members`.
#[derive(Clone, Debug, Deserialize)]
pub struct Membership {
    pub id: Uuid,
    pub role: String,
}

/// A DAO by its row.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Dao>> {
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select to_jsonb(d) - 'treasury_credits' from public.daos d where d.id = ",
    );
    select.bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// A DAO by its slug or its id, if everybody may know of it and it is of this hub.
pub async fn public_by_slug(tx: &mut Tx, slug: &str) -> Result<Option<Dao>> {
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select to_jsonb(d) - 'treasury_credits' from public.daos d where coalesce(d.is_public, true) and d.owner_id is not null and ",
    );
    match slug.parse() {
        Ok(id) => select.sql("d.id = ").bind(Bind::Uuid(id)),
        Err(_) => select.sql("d.slug = ").text(slug),
    };
    tx.hub_one(select).await
}

/// A DAO elsewhere by its actor, if it is known here.
pub async fn of_origin(tx: &mut Tx, actor: Uuid) -> Result<Option<Dao>> {
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select to_jsonb(d) - 'treasury_credits' from public.daos d where d.origin_actor_id = ",
    );
    select.bind(Bind::Uuid(actor));
    tx.hub_one(select).await
}

/// A DAO that the caller knows of: by its row, which he must be able to read, or by its actor's name or address.
pub async fn named(tx: &mut Tx, id: Option<Uuid>, actor: Option<&str>) -> Result<Dao> {
    let missing = || Error::missing("dao.not_found", "There is no such DAO.");
    if let Some(id) = id {
        let mut seen = Statement::<SqlUuid>::new("select d.id from public.daos d where d.id = ");
        seen.bind(Bind::Uuid(id));
        let rows: Vec<Uuid> = tx.load(seen).await?;
        return match (rows.is_empty(), by_id(tx, id).await?) {
            (false, Some(dao)) => Ok(dao),
            // Who was asked in may answer, also where he cannot see what he was asked into.
            (true, Some(dao)) if is_asked(tx, &dao).await? => Ok(dao),
            _ => Err(missing()),
        };
    }
    let Some(actor) = actor else {
        return Err(Error::invalid(
            "dao.unnamed",
            "Name the DAO by id or actor.",
        ));
    };
    let known = people::named(tx, actor).await?;
    let dao = match (known.kind.as_deref(), known.row_id) {
        (Some("dao"), Some(row)) => by_id(tx, row).await?.filter(Dao::is_public),
        (Some(_), _) => None,
        (None, _) => keep(tx, known.id).await?,
    };
    dao.ok_or_else(missing)
}

/// Make an actor elsewhere a DAO of the tables; none where it is none.
pub async fn keep(tx: &mut Tx, actor: Uuid) -> Result<Option<Dao>> {
    let mut keep = Statement::<Nullable<SqlUuid>>::new("select hub.keep_dao(");
    keep.bind(Bind::Uuid(actor)).sql(")");
    let rows: Vec<Option<Uuid>> = tx.as_hub(async |tx| tx.load(keep.clone()).await).await?;
    match rows.into_iter().flatten().next() {
        Some(id) => by_id(tx, id).await,
        None => Ok(None),
    }
}

async fn is_asked(tx: &mut Tx, dao: &Dao) -> Result<bool> {
    let Some(person) = tx.person().await? else {
        return Ok(false);
    };
    let mut select = Statement::<SqlUuid>::new(
        "select a.id from public.dao_applications a where a.direction = 'invite' and a.state = 'pending' and a.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao.id))
        .sql(" and a.user_id = ")
        .bind(Bind::Uuid(person));
    let rows: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(!rows.is_empty())
}

/// In whose name a public DAO of this hub speaks; none for one that nobody outside knows of.
pub async fn voice(tx: &mut Tx, dao: &Dao) -> Result<Option<Local>> {
    if dao.is_elsewhere() || !dao.is_public() {
        return Ok(None);
    }
    let actor = match actors::of_row(tx, "dao", dao.id).await? {
        Some(actor) => Some(actor),
        None => people::settle(tx, "dao", dao.id, false, None).await?,
    };
    Ok(actor.filter(|actor| !actor.is_gone() && actor.is_shown && actor.suspended_at.is_none()))
}

/// The DAO of this hub that an actor's address stands for.
pub async fn by_uri(tx: &mut Tx, uri: &str) -> Result<Option<(Dao, Local)>> {
    let Some(actor) = actors::by_uri(tx, uri).await? else {
        return Ok(None);
    };
    let is_dao = actor.kind == "dao" && !actor.is_gone() && actor.is_shown;
    let (Some(row), true) = (actor.row_id, is_dao && actor.suspended_at.is_none()) else {
        return Ok(None);
    };
    Ok(by_id(tx, row).await?.map(|dao| (dao, actor)))
}

/// How somebody belongs to a DAO.
pub async fn membership(tx: &mut Tx, dao: Uuid, person: Person) -> Result<Option<Membership>> {
    let (column, id) = person.column();
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select jsonb_build_object('id', m.id, 'role', m.role) from public.dao_members m where m.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao))
        .sql(format!(" and m.{column} = "))
        .bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// Whether somebody runs a DAO.
pub async fn is_officer(tx: &mut Tx, dao: Uuid, person: Person) -> Result<bool> {
    let membership = membership(tx, dao, person).await?;
    Ok(membership.is_some_and(|member| matches!(member.role.as_str(), "owner" | "admin")))
}

/// The caller, who must run the DAO.
pub async fn officer(tx: &mut Tx, dao: &Dao) -> Result<Uuid> {
    let person = signed_in(tx).await?;
    match !dao.is_elsewhere() && is_officer(tx, dao.id, Person::User(person)).await? {
        true => Ok(person),
        false => Err(Error::forbidden(
            "dao.not_an_officer",
            "Only those who run the DAO may do that.",
        )),
    }
}

/// The caller as a person.
pub async fn signed_in(tx: &mut Tx) -> Result<Uuid> {
    tx.person()
        .await?
        .ok_or_else(|| Error::sign_in("PGRST301", "Somebody has to be signed in."))
}

/// Note that somebody elsewhere tried what only officers may (S-43).
pub async fn note_denied(tx: &mut Tx, dao: &Dao, by: &str, what: &str) -> Result<()> {
    let note = json!([{
        "door": "activitypub", "action": "write", "resource_type": "dao_members", "outcome": "denied",
        "metadata": { "dao": dao.id, "verb": what, "by": by },
    }]);
    let mut call = Statement::<BigInt>::new("select hub.note_attempts(");
    call.text(note.to_string()).sql("::jsonb)");
    tx.as_hub(async |tx| tx.load::<_, i64>(call.clone()).await.map(drop))
        .await
}

/// Addresses of those who run a DAO and live here, for what they should hear.
pub async fn stewards(tx: &mut Tx, dao: Uuid) -> Result<Vec<Uuid>> {
    let mut select = Statement::<SqlUuid>::new(
        "select m.user_id from public.dao_members m where m.user_id is not null and m.role in ('owner', 'admin') and m.dao_id = ",
    );
    select
        .bind(Bind::Uuid(dao))
        .sql(" order by m.user_id limit 100");
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}

/// The address of whoever is behind a membership or a vote; none for an account that is no actor.
pub async fn address(tx: &mut Tx, person: Person) -> Result<Option<String>> {
    let mut select = Statement::<Text>::new(
        "select a.uri from public.ap_actors a where a.deleted_at is null and ",
    );
    match person {
        Person::User(id) => select
            .sql("a.kind = 'user' and a.row_id = ")
            .bind(Bind::Uuid(id)),
        Person::Actor(id) => select.sql("a.id = ").bind(Bind::Uuid(id)),
    };
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows.into_iter().next())
}

/// The page of a public DAO.
pub async fn page(tx: &mut Tx, dao: &Dao) -> Result<Option<String>> {
    let voice = actors::of_row(tx, "dao", dao.id).await?;
    Ok(voice
        .filter(|voice| voice.is_shown && !voice.is_gone())
        .and_then(|voice| voice.url))
}
