//! What the vault is like: which keys are there, which secrets need which, and what does not open. Changes nothing and
//! tells no secret.

use std::collections::BTreeSet;

use diesel::sql_types::{Bytea, Nullable, Text, Uuid as SqlUuid};
use serde::Serialize;
use uuid::Uuid;

use super::keys::Place;
use super::rotation::{keychecks, needed_keys};
use crate::base::keyring::{Envelope, Keyring, Unopened};
use crate::base::{Caller, Result};
use crate::db::{Bind, Db, Statement, vault};

/// How many secrets are tried in one go.
const BATCH: i64 = 500;

/// What the vault is like.
#[derive(Debug, Default, Serialize)]
pub struct State {
    /// Where the keys lie.
    pub place: String,
    /// What is wrong with the place, if anything.
    pub shut: Option<String>,
    pub keys: Vec<KeyState>,
    /// Secrets that do not open, with what is wrong.
    pub unreadable: Vec<Unreadable>,
    pub secrets: i64,
}

/// What one key is like.
#[derive(Debug, Serialize)]
pub struct KeyState {
    pub id: String,
    /// It lies in the place.
    pub is_there: bool,
    /// The newest: it seals.
    pub seals: bool,
    /// ok | wrong | missing | unknown (to the database).
    pub state: &'static str,
    /// How many secrets need it.
    pub secrets: i64,
}

/// A secret that does not open.
#[derive(Debug, Serialize)]
pub struct Unreadable {
    pub id: Uuid,
    pub owner: Option<Uuid>,
    pub purpose: Option<String>,
    pub key: String,
    pub why: String,
}

impl State {
    /// Whether everything opens and the vault can seal.
    pub fn is_well(&self) -> bool {
        self.shut.is_none()
            && self.unreadable.is_empty()
            && self
                .keys
                .iter()
                .all(|key| key.state == "ok" || key.secrets == 0)
            && self.keys.iter().any(|key| key.seals && key.state == "ok")
    }
}

/// Try every secret, changing nothing and telling none.
pub async fn check(db: &Db, place: &Place, mut tell: impl FnMut(u64, u64)) -> Result<State> {
    let mut state = State {
        place: place.name(),
        ..State::default()
    };
    let ring = match place.read() {
        Ok(keys) => Keyring::new(keys),
        Err(why) => {
            state.shut = Some(why.to_string());
            Keyring::default()
        }
    };
    let needed = needed_keys(db, "").await?;
    let checks = keychecks(db).await?;
    let mut ids = ring.ids();
    let known = checks
        .iter()
        .map(|check| &check.key_id)
        .chain(needed.keys());
    for id in known.cloned().collect::<BTreeSet<_>>() {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let check_of = |id: &str| checks.iter().find(|check| check.key_id == id);
    let sealing = ring
        .ids()
        .into_iter()
        .rev()
        .find(|id| check_of(id).is_some());
    for id in ids {
        let is_there = ring.ids().contains(&id);
        let key_state = match check_of(&id).map(|check| ring.verify(check)) {
            Some(Ok(())) => "ok",
            Some(Err(Unopened::WrongKey(_))) => "wrong",
            _ if !is_there => "missing",
            _ => "unknown",
        };
        state.keys.push(KeyState {
            is_there,
            seals: sealing.as_ref() == Some(&id),
            state: key_state,
            secrets: needed.get(&id).copied().unwrap_or_default(),
            id,
        });
    }
    state.secrets = needed.values().sum();
    let wrong: BTreeSet<String> = state
        .keys
        .iter()
        .filter(|key| key.state == "wrong")
        .map(|key| key.id.clone())
        .collect();
    let all = u64::try_from(state.secrets).unwrap_or_default();
    let (mut after, mut tried) = (Uuid::nil(), 0);
    loop {
        let rows = envelopes_after(db, after).await?;
        let Some((last, ..)) = rows.last() else { break };
        after = *last;
        tried += rows.len() as u64;
        for (id, owner, purpose, key, wrapped_key, sealed) in rows {
            let bound_to = vault::bound_to(id, owner, purpose.as_deref().unwrap_or_default());
            let envelope = Envelope {
                key_id: key,
                wrapped_key,
                sealed,
            };
            if let Err(why) = ring.open(&envelope, &bound_to) {
                let why = match wrong.contains(&envelope.key_id) {
                    true => Unopened::WrongKey(envelope.key_id.clone()),
                    false => why,
                };
                state.unreadable.push(Unreadable {
                    id,
                    owner,
                    purpose,
                    key: envelope.key_id,
                    why: why.to_string(),
                });
            }
        }
        tell(tried, all);
    }
    Ok(state)
}

type Whole = (Uuid, Option<Uuid>, Option<String>, String, Vec<u8>, Vec<u8>);

async fn envelopes_after(db: &Db, after: Uuid) -> Result<Vec<Whole>> {
    type Row = (
        SqlUuid,
        Nullable<SqlUuid>,
        Nullable<Text>,
        Text,
        Bytea,
        Bytea,
    );
    let mut select = Statement::<Row>::new(
        "select id, owner_id, purpose, key_id, wrapped_key, sealed from public.vault_secrets where id > ",
    );
    select
        .bind(Bind::Uuid(after))
        .sql(" order by id limit ")
        .bind(Bind::Int(BATCH));
    db.read(&Caller::Hub, async |tx| tx.load(select.clone()).await)
        .await
}
