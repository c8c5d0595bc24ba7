//! The roll of a DAO: who is put on it, who is taken off, with which role and weight, and how that is said to others.

use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use serde_json::json;
use uuid::Uuid;

use super::daos::{self, Dao, Person};
use crate::base::{Amount, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::fed::outbox::{self, Outgoing};
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};

/// What follows when rows of DAOs are changed by hand.
pub const DAOS: Hook = Hook {
    kind: "daos",
    before: None,
    after: Some(after_daos),
};

/// What follows when somebody is put on the roll or struck off by hand.
pub const MEMBERS: Hook = Hook {
    kind: "dao_members",
    before: None,
    after: Some(after_members),
};

/// Other rules are told to whoever knows the DAO.
fn after_daos<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            if verb == Verb::Update
                && let Some(dao) = daos::by_id(tx, id).await?
            {
                tell_changed(tx, &dao).await?;
            }
        }
        Ok(())
    })
}

/// Who has come by himself or was put there is told like everybody else, and so is who goes.
fn after_members<'a>(tx: &'a mut Tx, verb: Verb, ids: &'a [String]) -> Later<'a, ()> {
    Box::pin(async move {
        for id in ids.iter().filter_map(|id| id.parse::<Uuid>().ok()) {
            if verb == Verb::Insert
                && let Some((dao, person)) = entered(tx, id).await?
            {
                say(tx, &dao, person, "Add").await?;
            }
        }
        if verb == Verb::Delete {
            for (dao, person) in departed(tx, ids).await? {
                say(tx, &dao, person, "Remove").await?;
            }
        }
        Ok(())
    })
}

/// Who was struck off by these rows, of the DAOs that are still there; the database remembers it until the transaction ends.
async fn departed(tx: &mut Tx, ids: &[String]) -> Result<Vec<(Dao, Person)>> {
    type Row = (SqlUuid, Nullable<SqlUuid>, Nullable<SqlUuid>);
    let mut select = Statement::<Row>::new(
        "select g.dao_id, g.user_id, g.actor_id from jsonb_populate_recordset(null::public.dao_members, \
         coalesce(nullif(current_setting('hub.departed', true), ''), '[]')::jsonb) g where g.id::text = any (",
    );
    select
        .bind(Bind::Texts(ids.iter().cloned().map(Some).collect()))
        .sql(")");
    let rows: Vec<(Uuid, Option<Uuid>, Option<Uuid>)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let mut gone = Vec::new();
    for (dao, user, actor) in rows {
        let person = user.map(Person::User).or(actor.map(Person::Actor));
        let dao = daos::by_id(tx, dao)
            .await?
            .filter(|dao| !dao.is_elsewhere());
        gone.extend(dao.zip(person));
    }
    Ok(gone)
}

async fn entered(tx: &mut Tx, membership: Uuid) -> Result<Option<(Dao, Person)>> {
    type Row = (SqlUuid, Nullable<SqlUuid>, Nullable<SqlUuid>);
    let mut select = Statement::<Row>::new(
        "select dao_id, user_id, actor_id from public.dao_members where id = ",
    );
    select.bind(Bind::Uuid(membership));
    let rows: Vec<(Uuid, Option<Uuid>, Option<Uuid>)> =
        tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some((dao, user, actor)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let person = user.map(Person::User).or(actor.map(Person::Actor));
    let dao = daos::by_id(tx, dao)
        .await?
        .filter(|dao| !dao.is_elsewhere());
    Ok(dao.zip(person))
}

/// Put somebody among the members, or give him another role, and say so.
pub async fn let_in(
    tx: &mut Tx,
    dao: &Dao,
    person: Person,
    role: &str,
    shows_ballot: bool,
) -> Result<()> {
    let (column, id) = person.column();
    let mut insert = Statement::<Text>::new(format!(
        "insert into public.dao_members as m (dao_id, {column}, role, shows_ballot) values ("
    ));
    insert
        .bind(Bind::Uuid(dao.id))
        .sql(", ")
        .bind(Bind::Uuid(id))
        .sql(", ")
        .text(role)
        .sql(format!(
            ", {shows_ballot}) on conflict (dao_id, {column}) do update set role = case m.role when 'owner' then m.role else excluded.role end \
             returning (xmax = 0)::text"
        ));
    let rows: Vec<String> = tx.as_hub(async |tx| tx.load(insert.clone()).await).await?;
    if rows != ["true"] || dao.is_elsewhere() {
        return Ok(());
    }
    say(tx, dao, person, "Add").await
}

/// Take somebody from among the members, and say so; whether he was one. Who founded it stays.
pub async fn send_away(tx: &mut Tx, dao: &Dao, person: Person) -> Result<bool> {
    if dao.owner_id.map(Person::User) == Some(person) {
        return Err(Error::conflict(
            "dao.owner_stays",
            "Its owner belongs to it: hand it over first.",
        ));
    }
    let (column, id) = person.column();
    let mut delete = Statement::<()>::new("delete from public.dao_members where dao_id = ");
    delete
        .bind(Bind::Uuid(dao.id))
        .sql(format!(" and {column} = "))
        .bind(Bind::Uuid(id));
    let done = tx.as_hub(async |tx| tx.run(delete.clone()).await).await?;
    if done == 0 {
        return Ok(false);
    }
    if !dao.is_elsewhere() {
        say(tx, dao, person, "Remove").await?;
    }
    Ok(true)
}

/// Say who has come or gone, to the followers and to himself.
async fn say(tx: &mut Tx, dao: &Dao, person: Person, how: &str) -> Result<()> {
    let Some(voice) = daos::voice(tx, dao).await? else {
        return Ok(());
    };
    let Some(uri) = daos::address(tx, person).await? else {
        return Ok(());
    };
    let is_away = matches!(person, Person::Actor(_));
    let outgoing = Outgoing {
        actor: voice.id,
        activity: json!({ "type": how, "object": uri, "target": format!("{}/members", voice.uri) }),
        to: vec![voice.followers()],
        cc: if is_away {
            vec![uri.clone()]
        } else {
            Vec::new()
        },
        about: Some(uri),
        also: Vec::new(),
        is_private: false,
    };
    outbox::publish(tx, outgoing).await.map(drop)
}

/// Give a member's voice another weight.
pub async fn weigh(tx: &mut Tx, dao: Uuid, person: Person, weight: Amount) -> Result<()> {
    let (column, id) = person.column();
    let mut write = Statement::<()>::new("update public.dao_members set voting_weight = ");
    write
        .text(weight.to_string())
        .sql("::text::numeric where dao_id = ")
        .bind(Bind::Uuid(dao))
        .sql(format!(" and {column} = "))
        .bind(Bind::Uuid(id));
    tx.as_hub(async |tx| tx.run(write.clone()).await.map(drop))
        .await
}

/// The DAO's document is another: say so.
pub async fn tell_changed(tx: &mut Tx, dao: &Dao) -> Result<()> {
    let Some(voice) = daos::voice(tx, dao).await? else {
        return Ok(());
    };
    let mut touch = Statement::<()>::new(
        "update public.ap_actors set version = greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint) where id = ",
    );
    touch.bind(Bind::Uuid(voice.id));
    tx.as_hub(async |tx| tx.run(touch.clone()).await.map(drop))
        .await?;
    match daos::voice(tx, dao).await? {
        Some(voice) => people::tell_changed(tx, &voice).await,
        None => Ok(()),
    }
}
