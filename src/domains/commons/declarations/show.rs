//! A declaration at its own address, and all of an actor's.

use uuid::Uuid;

use super::{Declaration, wire};
use crate::base::{Error, Result};
use crate::db::{Bind, Tx};
use crate::domains::social::actors as people;
use crate::domains::social::posts::show::{about, proven};
use crate::fed::actors::{self, Local};
use crate::fed::collections;
use crate::node::incoming::{Part, Shown, Wanted};

/// An own declaration that the caller may read and that was said to others.
pub async fn declaration(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let Some((it, author)) = readable(tx, id).await? else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let object =
        wire::object(&it, &author, &base).map_err(|why| Error::broken(anyhow::anyhow!(why)))?;
    let object = proven(tx, object, &author, it.as_of()).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: true,
    }))
}

async fn readable(tx: &mut Tx, id: Uuid) -> Result<Option<(Declaration, Local)>> {
    let Some(it) = super::seen(tx, &id.to_string()).await? else {
        return Ok(None);
    };
    let Some(owner) = it.owner_id.filter(|_| it.sent_at.is_some()) else {
        return Ok(None);
    };
    let author = people::author(tx, owner, it.author_actor_id)
        .await
        .ok()
        .flatten();
    Ok(author.map(|author| (it, author)))
}

/// What was said and thought of a declaration, to everybody.
pub async fn part(tx: &mut Tx, id: Uuid, collection: &str, wanted: Wanted) -> Result<Option<Part>> {
    let Some(uri) = super::by_id(tx, id)
        .await?
        .and_then(|it| it.federated_ap_id)
    else {
        return Ok(None);
    };
    about(tx, ("declarations", id, &uri), collection, wanted).await
}

/// Actors themselves are shown elsewhere.
pub async fn no_actor(_: &mut Tx, _: Uuid) -> Result<Option<Shown>> {
    Ok(None)
}

/// What an actor of this hub declares, newest first.
pub async fn of_actor(
    tx: &mut Tx,
    actor: Uuid,
    collection: &str,
    wanted: Wanted,
) -> Result<Option<Part>> {
    if collection != "declarations" {
        return Ok(None);
    }
    let Some(author) = actors::by_id(tx, actor).await? else {
        return Ok(None);
    };
    const THEIRS: &str = "public.declarations x join public.ap_actors a on case when x.author_actor_id is null \
         then a.kind = 'user' and a.row_id = x.owner_id else a.id = x.author_actor_id end \
         where x.sent_at is not null and x.status in ('active', 'matched', 'fulfilled') and a.id = ";
    let of = Some(Bind::Uuid(actor));
    let found = collections::listed(tx, THEIRS, of, "x.id::text", wanted).await?;
    objects(tx, found, Some(&author)).await.map(Some)
}

/// Everything that is declared here, newest first.
pub async fn exported(tx: &mut Tx, _: Uuid, _: &str, wanted: Wanted) -> Result<Option<Part>> {
    const ALL: &str = "public.declarations x where x.owner_id is not null and x.sent_at is not null \
         and x.status in ('active', 'matched', 'fulfilled') and x.owner_id not in (select hub.closed_accounts())";
    let found = collections::listed(tx, ALL, None, "x.id::text", wanted).await?;
    objects(tx, found, None).await.map(Some)
}

/// The declarations of a page of ids, all of this author or each of its own.
async fn objects(tx: &mut Tx, mut part: Part, of: Option<&Local>) -> Result<Part> {
    let base = actors::base(tx)?;
    let mut objects = Vec::with_capacity(part.items.len());
    for id in collections::ids(&part) {
        let Some(it) = super::by_id(tx, id).await? else {
            continue;
        };
        let author = match (of, it.owner_id) {
            (Some(author), _) => Some(author.clone()),
            (None, Some(owner)) => people::author(tx, owner, it.author_actor_id)
                .await
                .ok()
                .flatten(),
            (None, None) => None,
        };
        objects.extend(author.and_then(|author| wire::object(&it, &author, &base).ok()));
    }
    part.items = objects;
    Ok(part)
}
