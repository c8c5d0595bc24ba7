//! Rotation: a new key wraps every data key anew, and the old ones go once nothing needs them. Each step may be the
//! last before a kill: what was done stands, and the next rotation goes on from there. Secrets are not re-encrypted.
//!
//! The order is what keeps them safe: a key is in the file before it may seal (its keycheck), and may seal nothing any
//! more before it leaves the file.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use diesel::sql_types::{BigInt, Bool, Bytea, Nullable, Text, Uuid as SqlUuid};
use serde::Serialize;
use uuid::Uuid;

use super::keys::{self, Place};
use crate::base::keyring::{Envelope, Keyring, Unopened};
use crate::base::{Caller, Result};
use crate::db::{Bind, Db, Statement, Tx, vault};

/// How many data keys one transaction wraps anew.
const BATCH: i64 = 500;

/// What a rotation did.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    /// The key that wraps from now on.
    pub key: String,
    /// Whether this rotation made it; otherwise it finished an earlier one.
    pub is_new: bool,
    /// How many secrets it wrapped anew.
    pub rewrapped: u64,
    /// How many no key opens.
    pub unreadable: u64,
    /// How many of them were not known to be lost.
    pub unexpected: u64,
    /// Keys that are gone, because nothing needs them.
    pub removed: Vec<String>,
    /// Keys that some secret still needs.
    pub still_needed: Vec<String>,
}

/// Rotate. `afresh` goes on without the keys that are lost: their secrets stay, marked as unreadable. `tell` hears
/// how many of how many were wrapped.
pub async fn rotate(
    db: &Db,
    place: &Place,
    afresh: bool,
    tell: &mut impl FnMut(u64, u64),
) -> anyhow::Result<Done> {
    let _turn = place.lock()?;
    let held = match place.read() {
        Err(Unopened::NoKey(_)) if afresh => Vec::new(),
        read => read.map_err(vault::shut)?,
    };
    let ring = Keyring::new(held.iter().cloned());
    let usable = usable_keys(db, &ring, afresh).await?;

    // A rotation may be under way already: then that one is finished, and only where nothing was left begins another.
    if let Some(newest) = ring.newest().filter(|id| usable.contains(id)) {
        let known = keychecks(db).await?;
        let waiting = needed_keys(db, "where unreadable_at is null").await?;
        let is_new_here = known.iter().all(|check| check.key_id != newest);
        let is_awaited = waiting.keys().any(|id| *id != newest);
        if ring.ids().len() > 1 || is_new_here || is_awaited {
            let done = finish(db, place, &ring, &usable, afresh, newest, tell).await?;
            if is_new_here || done.rewrapped > 0 || !done.removed.is_empty() || is_awaited && afresh
            {
                return Ok(done);
            }
        }
    }
    let (id, key) = keys::fresh();
    let all: Vec<_> = place.read().unwrap_or_default();
    let all: Vec<_> = all.into_iter().chain([(id.clone(), key)]).collect();
    place.write(&all)?;
    ring.replace(all);
    let done = finish(db, place, &ring, &usable, afresh, id, tell).await?;
    Ok(Done {
        is_new: true,
        ..done
    })
}

/// Wrap everything by `key`, then let go of every other key that nothing needs.
async fn finish(
    db: &Db,
    place: &Place,
    ring: &Keyring,
    usable: &BTreeSet<String>,
    afresh: bool,
    key: String,
    tell: &mut impl FnMut(u64, u64),
) -> anyhow::Result<Done> {
    db.write(&Caller::Hub, async |tx| {
        vault::register(tx, ring, &key).await
    })
    .await?;
    let known = keychecks(db).await?.into_iter().map(|check| check.key_id);
    let old: BTreeSet<String> = known.chain(ring.ids()).filter(|id| *id != key).collect();
    let work = Work {
        ring,
        usable,
        afresh,
        key: &key,
    };

    let mut done = Done::default();
    rewrap_all(db, &work, &mut done, tell).await?;
    for id in old {
        let mut is_retired = retired(db, &id).await?;
        if !is_retired && usable.contains(&id) {
            // Somebody sealed with it while the others were being wrapped.
            rewrap_all(db, &work, &mut done, tell).await?;
            is_retired = retired(db, &id).await?;
        }
        match (is_retired, ring.ids().contains(&id)) {
            (true, true) => done.removed.push(id),
            (true, false) => {}
            (false, _) => done.still_needed.push(id),
        }
    }
    if !done.removed.is_empty() && matches!(place, Place::File(_)) {
        let left = place.read().map_err(vault::shut)?;
        let is_left = |(id, _): &(String, _)| !done.removed.contains(id);
        place.write(&left.into_iter().filter(is_left).collect::<Vec<_>>())?;
    }
    done.key = key;
    Ok(done)
}

/// The keys of the ring that the database does not contradict. Unless afresh, every key that some secret needs must be
/// among them.
async fn usable_keys(db: &Db, ring: &Keyring, afresh: bool) -> anyhow::Result<BTreeSet<String>> {
    let checks = keychecks(db).await?;
    let wrong: BTreeMap<String, Unopened> = checks
        .iter()
        .filter_map(|check| {
            ring.verify(check)
                .err()
                .map(|why| (check.key_id.clone(), why))
        })
        .collect();
    let usable: BTreeSet<String> = ring
        .ids()
        .into_iter()
        .filter(|id| !wrong.contains_key(id))
        .collect();
    if !afresh {
        for id in needed_keys(db, "where unreadable_at is null")
            .await?
            .into_keys()
        {
            if !usable.contains(&id) {
                let why = wrong.get(&id).cloned().unwrap_or(Unopened::NoKey(id));
                return Err(anyhow::Error::new(vault::shut(why)).context(
                    "put the key back, or begin afresh without it: made-open vault rotate --new-key",
                ));
            }
        }
    }
    Ok(usable)
}

/// The keychecks that the database has.
pub async fn keychecks(db: &Db) -> Result<Vec<Envelope>> {
    db.read(&Caller::Hub, async |tx| vault::keychecks(tx).await)
        .await
}

/// How many secrets each key wraps, of those that a condition holds for.
pub async fn needed_keys(db: &Db, condition: &str) -> Result<BTreeMap<String, i64>> {
    let select = Statement::<(Text, BigInt)>::new(format!(
        "select key_id, count(*) from public.vault_secrets {condition} group by key_id"
    ));
    let rows: Vec<(String, i64)> = db
        .read(&Caller::Hub, async |tx| tx.load(select.clone()).await)
        .await?;
    Ok(rows.into_iter().collect())
}

async fn retired(db: &Db, key_id: &str) -> Result<bool> {
    let mut tx = Tx::begin(db, &Caller::Hub).await?;
    match vault::retire(&mut tx, key_id).await {
        Ok(true) => tx.commit().await.map(|()| true),
        Ok(false) => tx.roll_back().await.map(|()| false),
        Err(error) => {
            tx.roll_back().await?;
            Err(error)
        }
    }
}

/// What is to be wrapped, and how.
struct Work<'a> {
    ring: &'a Keyring,
    usable: &'a BTreeSet<String>,
    afresh: bool,
    key: &'a str,
}

/// A secret whose data key is wrapped by another key.
type Wrapped = (Uuid, Option<Uuid>, Option<String>, String, Vec<u8>, bool);

async fn rewrap_all(
    db: &Db,
    work: &Work<'_>,
    done: &mut Done,
    tell: &mut impl FnMut(u64, u64),
) -> Result<()> {
    let counted = needed_keys(db, "").await?;
    let others = counted.iter().filter(|(id, _)| *id != work.key);
    let all: i64 = others.map(|(_, count)| count).sum();
    let all = u64::try_from(all).unwrap_or_default() + done.rewrapped;
    let (mut after, mut unreadable, mut unexpected) = (Uuid::nil(), 0, 0);
    tell(done.rewrapped, all);
    loop {
        let (last, wrapped, lost, new) = db
            .write(&Caller::Hub, async |tx| batch(tx, work, after).await)
            .await?;
        let Some(last) = last else { break };
        after = last;
        done.rewrapped += wrapped;
        unreadable += lost;
        unexpected += new;
        tell(done.rewrapped, all);
    }
    done.unreadable = unreadable;
    done.unexpected = unexpected;
    Ok(())
}

async fn batch(tx: &mut Tx, work: &Work<'_>, after: Uuid) -> Result<(Option<Uuid>, u64, u64, u64)> {
    type Row = (
        SqlUuid,
        Nullable<SqlUuid>,
        Nullable<Text>,
        Text,
        Bytea,
        Bool,
    );
    let mut select = Statement::<Row>::new(
        "select id, owner_id, purpose, key_id, wrapped_key, unreadable_at is not null from public.vault_secrets where key_id <> ",
    );
    select
        .text(work.key)
        .sql(" and id > ")
        .bind(Bind::Uuid(after))
        .sql(" order by id limit ")
        .bind(Bind::Int(BATCH))
        .sql(" for update");
    let rows: Vec<Wrapped> = tx.load(select).await?;
    let last = rows.last().map(|(id, ..)| *id);

    let (mut ids, mut wrapped_keys, mut lost, mut new) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (id, owner, purpose, key_id, wrapped_key, is_known) in &rows {
        let bound_to = vault::bound_to(*id, *owner, purpose.as_deref().unwrap_or_default());
        let rewrapped = match work.usable.contains(key_id) {
            true => work.ring.rewrap((key_id, wrapped_key), &bound_to, work.key),
            false => Err(Unopened::NoKey(key_id.clone())),
        };
        match rewrapped {
            Ok(wrapped) => {
                ids.push(Some(id.to_string()));
                wrapped_keys.push(Some(BASE64.encode(wrapped)));
            }
            Err(_) => {
                lost.push(*id);
                new += u64::from(!work.afresh && !is_known);
            }
        }
    }
    let (wrapped, unreadable) = (ids.len() as u64, lost.len() as u64);
    if !ids.is_empty() {
        let mut update = Statement::new(
            "update public.vault_secrets v set wrapped_key = decode(n.wrapped, 'base64'), unreadable_at = null, key_id = ",
        );
        update
            .text(work.key)
            .sql(" from unnest(")
            .bind(Bind::Texts(ids))
            .sql("::uuid[], ")
            .bind(Bind::Texts(wrapped_keys))
            .sql("::text[]) n(id, wrapped) where v.id = n.id");
        tx.run(update).await?;
    }
    if work.afresh && !lost.is_empty() {
        mark_unreadable(tx, &lost).await?;
    }
    Ok((last, wrapped, unreadable, new))
}

/// Say of secrets that no key opens them, where their owners see it. Nothing is deleted: the key may be found.
async fn mark_unreadable(tx: &mut Tx, lost: &[Uuid]) -> Result<()> {
    let ids = || Bind::Texts(lost.iter().map(|id| Some(id.to_string())).collect());
    let marks = [
        (
            "update public.vault_secrets set unreadable_at = now() where unreadable_at is null and id = any (",
            "::uuid[])",
        ),
        (
            "update public.key_store set verified = false where verified and api_key = any (",
            ")",
        ),
        (
            "update public.user_integration_credentials set connection_status = 'unreadable' \
             where connection_status <> 'unreadable' and num_nonnulls(vault_access_token_id, vault_refresh_token_id) > 0 \
             and array[vault_access_token_id, vault_refresh_token_id] && (",
            "::text[])",
        ),
        (
            "update public.user_credentials c set is_active = false from public.vault_secrets v where c.is_active \
             and v.owner_id = c.owner_id and v.name = any (c.vault_keys) and v.id = any (",
            "::uuid[])",
        ),
    ];
    for (begin, end) in marks {
        let mut mark = Statement::new(begin);
        mark.bind(ids()).sql(end);
        tx.run(mark).await?;
    }
    Ok(())
}
