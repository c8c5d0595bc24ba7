//! Who asks to belong to a DAO and whom a DAO asks: of each the last word, and who hears of it.

use diesel::sql_types::Jsonb;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::daos::{self, Dao, Person};
use crate::base::{Error, Result, clock, text};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::{self as people, Known};
use crate::domains::social::wire;
use crate::events;
use crate::fed::actors::{self, Local, time};
use crate::fed::outbox;

/// A row of `dao_applications`.
#[derive(Clone, Debug, Deserialize)]
pub struct Application {
    pub id: Uuid,
    pub dao_id: Uuid,
    pub user_id: Option<Uuid>,
    pub actor_id: Option<Uuid>,
    pub direction: String,
    pub state: String,
    pub role: String,
    pub shows_ballot: bool,
    pub federated_ap_id: Option<String>,
}

impl Application {
    /// Whom it is about.
    pub fn person(&self) -> Option<Person> {
        self.user_id
            .map(Person::User)
            .or(self.actor_id.map(Person::Actor))
    }

    /// Whether somebody was asked and has not answered.
    pub fn is_open_invitation(&self) -> bool {
        self.direction == "invite" && self.state == "pending"
    }
}

/// What is written of somebody who asks or is asked.
pub struct Asked<'a> {
    pub direction: &'static str,
    pub role: &'a str,
    pub message: Option<String>,
    pub shows_ballot: bool,
    pub uri: Option<&'a str>,
}

/// Write down who asks or is asked: of each the last word.
pub async fn apply(
    tx: &mut Tx,
    dao: Uuid,
    person: Person,
    asked: Asked<'_>,
) -> Result<Application> {
    let (column, id) = person.column();
    let mut write = Statement::<Jsonb>::new(format!(
        "insert into public.dao_applications as a (dao_id, {column}, direction, role, message, shows_ballot, federated_ap_id) values ("
    ));
    write
        .bind(Bind::Uuid(dao))
        .sql(", ")
        .bind(Bind::Uuid(id))
        .sql(", ")
        .text(asked.direction)
        .sql(", ")
        .text(asked.role)
        .sql(", ")
        .bind(Bind::Text(asked.message))
        .sql(format!(", {}, ", asked.shows_ballot))
        .bind(Bind::Text(asked.uri.map(str::to_owned)))
        .sql(format!(
            ") on conflict (dao_id, {column}) do update set direction = excluded.direction, role = excluded.role, \
             message = excluded.message, shows_ballot = excluded.shows_ballot, federated_ap_id = excluded.federated_ap_id, \
             state = 'pending' returning to_jsonb(a)"
        ));
    let rows: Vec<Value> = tx.as_hub(async |tx| tx.load(write.clone()).await).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    serde_json::from_value(row).map_err(Error::broken)
}

/// The last word about somebody and a DAO.
pub async fn application(tx: &mut Tx, dao: Uuid, person: Person) -> Result<Option<Application>> {
    let (column, id) = person.column();
    let mut select =
        Statement::new("select to_jsonb(a) from public.dao_applications a where a.dao_id = ");
    select
        .bind(Bind::Uuid(dao))
        .sql(format!(" and a.{column} = "))
        .bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// The same by the address of what was said.
pub async fn application_by_uri(tx: &mut Tx, uri: &str) -> Result<Option<Application>> {
    let mut select = Statement::new(
        "select to_jsonb(a) from public.dao_applications a where a.federated_ap_id = ",
    );
    select.text(uri);
    tx.hub_one(select).await
}

/// Bring an application to a state.
pub async fn settle(tx: &mut Tx, application: Uuid, state: &str) -> Result<()> {
    let mut settle = Statement::<()>::new("update public.dao_applications set state = ");
    settle
        .text(state)
        .sql(" where id = ")
        .bind(Bind::Uuid(application));
    tx.as_hub(async |tx| tx.run(settle.clone()).await.map(drop))
        .await
}

/// Those who run a DAO hear that somebody asks.
pub async fn tell_stewards(tx: &mut Tx, dao: &Dao, application: Uuid) -> Result<()> {
    for steward in daos::stewards(tx, dao.id).await? {
        tell(tx, "dao.asked", application, Some(steward)).await?;
    }
    Ok(())
}

/// Somebody of this hub hears what became of an application.
pub async fn tell(tx: &mut Tx, word: &str, application: Uuid, owner: Option<Uuid>) -> Result<()> {
    let event = events::Event {
        word,
        kind: "dao_applications",
        row: application,
        owner,
    };
    events::emit(tx, event).await.map(drop)
}

/// Answer somebody elsewhere: a Join with an answer to it, a letter with a letter.
pub async fn answer(tx: &mut Tx, dao: &Dao, application: &Application, is_yes: bool) -> Result<()> {
    let Some(actor) = application.actor_id else {
        return Ok(());
    };
    let (Some(voice), Some(other)) = (daos::voice(tx, dao).await?, people::by_id(tx, actor).await?)
    else {
        return Ok(());
    };
    let Some(asked) = &application.federated_ap_id else {
        let words = match is_yes {
            true => "You are a member now. Follow this account to see what is put to the vote.",
            false => "You were not let in.",
        };
        return write_to(tx, &voice, &other, words, None).await;
    };
    let word = if is_yes { "Accept" } else { "Reject" };
    let activity = json!({ "type": word, "object": asked });
    outbox::publish(tx, wire::private(&voice, &other, activity))
        .await
        .map(drop)
}

/// Write to somebody in the DAO's name, in the only form that every server shows: a note for him alone.
pub async fn write_to(
    tx: &mut Tx,
    voice: &Local,
    other: &Known,
    words: &str,
    answers: Option<&str>,
) -> Result<()> {
    let at = time(clock::now());
    let content = format!(
        "<p><a href=\"{}\" class=\"u-url mention\">{}</a> {}</p>",
        text::escaped(other.url.as_deref().unwrap_or(&other.uri)),
        text::escaped(&other.address()),
        text::escaped(words)
    );
    let mut note = json!({
        "type": "Note",
        "id": format!("{}/ap/letters/{}", actors::base(tx)?, Uuid::now_v7()),
        "attributedTo": voice.uri,
        "content": content,
        "published": at,
        "updated": at,
        "to": [other.uri],
        "tag": [{ "type": "Mention", "href": other.uri, "name": other.address() }],
        "directMessage": true,
        "mo:kind": "mo:Message",
    });
    if let (Some(note), Some(answers)) = (note.as_object_mut(), answers) {
        note.insert("inReplyTo".to_owned(), json!(answers));
    }
    let create = json!({ "type": "Create", "object": note });
    outbox::publish(tx, wire::private(voice, other, create))
        .await
        .map(drop)
}
